//! How old the objects are that a target showed lately, for `settled` of `open_when`.
//!
//! What starts fails a probe or two. Kubernetes writes when a pod is placed and when its containers start; the list of an
//! hour has that beside what the pod does first. Everything else about an object only says that it was there by then.

use std::time::Duration;

use super::State;
use super::state::FirstSeen;
use crate::diff::{Change, ChangeKind};
use crate::event::{Event, Level, Target};
use crate::reports::{self, ObjectFailure};
use crate::time::Time;

impl State {
    /// Whether an event says that a pod cannot be scheduled, and dates from before a node took the pod. The scheduler
    /// writes the last count of such a series minutes later.
    pub(super) fn was_placed_since(&self, target: &Target, event: &Event<'_>) -> bool {
        let sight = || self.targets.get(target)?.ages.as_ref()?.sight(event);
        reports::of(event).is_some_and(|report| report.trouble == ObjectFailure::Unscheduled)
            && !event.last_seen.is_unknown()
            && sight().is_some_and(|sight| event.last_seen < sight.placed)
    }

    /// When the object of a Warning change was created, by podbell's clock; `None` if that is long ago or unknown:
    /// `settled` does not delay the change then.
    pub(super) fn object_created_at(
        &self,
        target: &Target,
        change: &Change<'_>,
        previous: Option<Time>,
        now: Time,
    ) -> Option<Time> {
        let event = &change.event;
        if event.level != Level::Warning {
            return None;
        }
        let source = self.sources.get(&target.source);
        let behind = source.map_or(Duration::ZERO, |source| source.lag.behind());
        let sight = self.targets.get(target).and_then(|state| state.ages.as_ref()?.sight(event));
        let first = match sight {
            Some(FirstSeen { at, starts: true, .. }) => at,
            // The source shows when pods start: a pod without such an event started earlier than its lists reach back.
            _ if event.obj_type.trim() == "Pod" && source.is_some_and(|source| source.shows_ends) => return None,
            _ if change.kind == ChangeKind::Restarted || previous.is_none() => return None,
            // Before the source was read for the first time, nobody looked: then the first sight says nothing.
            _ => {
                let first = sight.map_or(event.first_seen, |sight| sight.at.min(event.first_seen));
                let watched = source.and_then(|source| source.first_good)?;
                Some(first).filter(|first| first.plus(behind) >= watched)?
            }
        };
        (!first.is_unknown()).then(|| first.plus(behind).min(now))
    }
}
