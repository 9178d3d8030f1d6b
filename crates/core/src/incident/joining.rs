//! What an incident takes in.

use super::window::Occurrences;
use crate::event::{Event, Target};
use crate::rule::Destination;
use crate::series::EpisodeKey;
use crate::time::Time;

/// A change that is about to join an incident.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joining<'a> {
    /// The target that showed it.
    pub target: &'a Target,
    /// The event, with the episode's whole count.
    pub event: &'a Event<'a>,
    /// The episode.
    pub episode: EpisodeKey,
    /// The object's workload.
    pub workload: &'a str,
    /// Occurrences that are new to this incident; 0 when another service's list showed them first.
    pub new: u64,
    /// When the new occurrences happened, by podbell's clock.
    pub times: Occurrences,
    /// Whether the occurrences were written late: they happened before the last good poll, but it did not show them.
    pub late: bool,
    /// Whether what they report had ended when it was written.
    pub over: bool,
    /// When its object is old enough for its rule; `None`: it is, or its age is unknown.
    pub settles_at: Option<Time>,
    /// Whether they join an open incident.
    pub open: bool,
    /// Whether the source would show the event that ends such a trouble: then only a standing trouble counts as
    /// lasting, and repeated occurrences do not.
    pub end_is_shown: bool,
    /// The destinations that the rule won.
    pub destinations: &'a [Destination],
}
