//! The list of targets: services come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Setup, State, Turn, Writes};
use crate::event::Target;
use crate::notice::CloseReason;
use crate::source::TargetEntry;
use crate::time::Time;

/// A service is gone once it was absent from this many complete discoveries.
pub const GONE_AFTER: u32 = 2;

impl State {
    pub(super) fn target_list(
        &mut self,
        source: &Arc<str>,
        entries: &[TargetEntry],
        complete: bool,
        turn: &mut Turn<'_>,
    ) {
        for entry in entries {
            let known = self.targets.contains_key(&entry.target);
            let state = self.targets.entry(entry.target.clone()).or_default();
            state.absences = 0;
            if !known || state.discovered != entry.discovered {
                state.discovered = entry.discovered;
                turn.writes.targets.insert(entry.target.clone());
            }
        }
        if !complete {
            return;
        }
        self.discovery_recovered(source, turn);
        let present: BTreeSet<&Target> = entries.iter().map(|entry| &entry.target).collect();
        let absent: Vec<Target> = self
            .targets
            .keys()
            .filter(|target| target.source == *source && !present.contains(target))
            .cloned()
            .collect();
        for target in absent {
            let Some(state) = self.targets.get_mut(&target) else { continue };
            state.absences += 1;
            if !state.discovered {
                self.gone(&target, CloseReason::NotWatched, turn);
            } else if state.absences >= GONE_AFTER {
                self.gone(&target, CloseReason::ServiceDeleted, turn);
            }
        }
        self.sources.entry(source.clone()).or_default().target_list_known = true;
    }

    /// Forgets a target, and closes the incidents that only it shows.
    pub(super) fn gone(&mut self, target: &Target, reason: CloseReason, turn: &mut Turn<'_>) {
        self.leave(target, reason, turn);
        self.leave_trouble(target, turn);
        self.forget_rollouts(target, turn);
        if let Some(state) = self.targets.remove(target) {
            self.episodes = self.episodes.saturating_sub(state.readings.map_or(0, |readings| readings.len()));
        }
        // Only a target that changed has rows in this commit: of ten thousand that are gone, hardly any. Skip the scan
        // for the others.
        if turn.writes.targets.remove(target) {
            turn.writes.series.retain(|row| row.target != *target);
        }
        turn.writes.forgotten.retain(|(of, _)| of != target);
        turn.writes.gone.insert(target.clone());
    }

    /// Forgets the targets of sources that are no longer set up.
    pub fn forget_removed_sources(&mut self, setup: &Setup, now: Time, writes: &mut Writes) {
        let turn = &mut Turn { setup, now, writes };

        let removed: Vec<Target> =
            self.targets.keys().filter(|target| !turn.setup.sources.contains_key(&target.source)).cloned().collect();
        for target in removed {
            self.gone(&target, CloseReason::SourceRemoved, turn);
        }
        self.end_troubles_of_removed_sources(turn);
    }
}
