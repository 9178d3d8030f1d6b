//! What sources say, as inputs of the step.

use super::{Batch, Engine, Mirror};
use crate::core::event::Target;
use crate::core::step::{Input, step};
use crate::core::time::Time;
use crate::sources::SourceEvent;
use crate::store::StoreError;

impl Engine {
    pub(super) fn take_in(
        &self,
        mirror: &mut Mirror,
        event: &SourceEvent,
        now: Time,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        if let SourceEvent::Seen { receipt, .. }
        | SourceEvent::Swept { receipt, .. }
        | SourceEvent::Watched { receipt, .. } = event
            && receipt.is_stale()
        {
            return Ok(());
        }
        // A poll counts when it was complete, not when its turn came; time never goes backwards.
        let (input, at) = match event {
            SourceEvent::Roster { source, targets, complete } => {
                (Input::Roster { source, targets, complete: *complete }, now)
            }
            SourceEvent::Polled { target, at, events } => {
                self.load(mirror, target)?;
                (Input::Observed { target, events }, (*at).min(now))
            }
            SourceEvent::Unusable { target, at, entries } => {
                (Input::Unusable { target, entries: *entries }, (*at).min(now))
            }
            SourceEvent::Failed { target, at, error } => (Input::Failed { target, error }, (*at).min(now)),
            SourceEvent::DiscoveryFailed { source, at, error } => {
                (Input::DiscoveryFailed { source, error }, (*at).min(now))
            }
            SourceEvent::Seen { at, whole, lists, .. } => {
                for seen in lists {
                    self.load(mirror, &seen.target)?;
                    let input = Input::Seen { seen, whole: *whole };
                    step(&mut mirror.state, &self.setup, input, (*at).min(now), &mut batch.writes);
                }
                return Ok(());
            }
            SourceEvent::Swept { covers, at, shown, .. } => (Input::Swept { covers, shown }, (*at).min(now)),
            SourceEvent::Watched { covers, at, .. } => (Input::Watched { covers }, (*at).min(now)),
            SourceEvent::Deleted { source, at, objects } => (Input::Deleted { source, objects }, (*at).min(now)),
            SourceEvent::Unwatched { covers, at, error } => (Input::Unwatched { covers, error }, (*at).min(now)),
        };
        step(&mut mirror.state, &self.setup, input, at, &mut batch.writes);
        Ok(())
    }

    fn load(&self, mirror: &mut Mirror, target: &Target) -> Result<(), StoreError> {
        for wanted in mirror.state.wants(target) {
            let rows = self.store.readings(&wanted)?;
            mirror.state.load(&wanted, rows);
        }
        Ok(())
    }
}
