//! What sources say, as inputs of the step.

use super::{Batch, Engine, Mirror};
use crate::sources::SourceEvent;
use podbell_core::event::Target;
use podbell_core::step::{Input, step};
use podbell_core::time::Time;
use podbell_store::StoreError;

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
        // A poll counts when it was complete, not when its turn came; time never goes backwards. What was read before
        // the clock was set is carried along.
        let jump = self.jump;
        let heard = |at: Time| at.moved(jump).min(now);
        let (input, at) = match event {
            SourceEvent::Roster { source, targets, complete } => {
                (Input::Roster { source, targets, complete: *complete }, now)
            }
            SourceEvent::Polled { target, at, events } => {
                self.load(mirror, target)?;
                (Input::Observed { target, events }, heard(*at))
            }
            SourceEvent::Unusable { target, at, entries } => {
                (Input::Unusable { target, entries: *entries }, heard(*at))
            }
            SourceEvent::Failed { target, at, error } => (Input::Failed { target, error }, heard(*at)),
            SourceEvent::DiscoveryFailed { source, at, error } => {
                (Input::DiscoveryFailed { source, error }, heard(*at))
            }
            SourceEvent::Seen { at, whole, lists, .. } => {
                for seen in lists {
                    self.load(mirror, &seen.target)?;
                    let input = Input::Seen { seen, whole: *whole };
                    step(&mut mirror.state, &self.setup, input, heard(*at), &mut batch.writes);
                }
                return Ok(());
            }
            SourceEvent::Swept { covers, at, shown, .. } => (Input::Swept { covers, shown }, heard(*at)),
            SourceEvent::Watched { covers, at, .. } => (Input::Watched { covers }, heard(*at)),
            SourceEvent::Deleted { source, at, objects } => (Input::Deleted { source, objects }, heard(*at)),
            SourceEvent::Unwatched { covers, at, error } => (Input::Unwatched { covers, error }, heard(*at)),
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
