//! One trouble of one object of an incident.

use serde::{Deserialize, Serialize};

use crate::reports::ObjectFailure;
use crate::time::{Jump, Time};

/// A trouble of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectTrouble {
    /// Which trouble.
    pub trouble: ObjectFailure,
    /// When it began, by podbell's clock.
    pub since: Time,
    /// Its newest occurrence, by podbell's clock.
    pub at: Time,
    /// When podbell last heard of it.
    pub heard: Time,
    /// The longest interval at which its reporter repeats it, in seconds; 0: it is reported once.
    pub(super) repeats: u32,
    /// Whether its end is always reported, so that silence is no end.
    pub(super) end_is_reported: bool,
    /// When it ended, by podbell's clock.
    pub ended: Option<Time>,
    /// Whether it came back right after an event reported its end: that event was about something else.
    #[serde(default)]
    pub(super) came_back: bool,
    /// Whether a completed run of its cron job ended it, and no event of its own object.
    #[serde(default)]
    pub(super) ended_by_a_run: bool,
}

impl ObjectTrouble {
    /// The clock was set.
    pub(super) fn clock_set(&mut self, by: Jump) {
        [&mut self.since, &mut self.at, &mut self.heard].into_iter().chain(&mut self.ended).for_each(|at| at.carry(by));
    }
}
