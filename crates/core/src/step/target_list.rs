//! The list of targets: services come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Setup, State, Writes};
use crate::event::Target;
use crate::source::TargetEntry;
use crate::time::Time;

/// A service is gone once it was absent from this many complete discoveries.
pub const GONE_AFTER: u32 = 2;

impl State {
    pub(super) fn target_list(
        &mut self,
        setup: &Setup,
        source: &Arc<str>,
        entries: &[TargetEntry],
        complete: bool,
        now: Time,
        writes: &mut Writes,
    ) {
        for entry in entries {
            let known = self.targets.contains_key(&entry.target);
            let state = self.targets.entry(entry.target.clone()).or_default();
            state.absences = 0;
            if !known || state.discovered != entry.discovered {
                state.discovered = entry.discovered;
                writes.targets.insert(entry.target.clone());
            }
        }
        if !complete {
            return;
        }
        self.discovery_recovered(setup, source, now, writes);
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
                self.gone(&target, "no longer watched", setup, now, writes);
            } else if state.absences >= GONE_AFTER {
                self.gone(&target, "service deleted", setup, now, writes);
            }
        }
        self.sources.entry(source.clone()).or_default().roster_known = true;
    }

    /// Forgets a target, and closes the incidents that only it shows.
    pub(super) fn gone(&mut self, target: &Target, because: &str, setup: &Setup, now: Time, writes: &mut Writes) {
        self.leave(target, because, setup, now, writes);
        self.leave_trouble(setup, target, now, writes);
        if let Some(state) = self.targets.remove(target) {
            self.episodes = self.episodes.saturating_sub(state.readings.map_or(0, |readings| readings.len()));
        }
        // Only a target that changed has rows in this commit: of ten thousand that are gone, hardly any. Skip the scan
        // for the others.
        if writes.targets.remove(target) {
            writes.series.retain(|row| row.target != *target);
        }
        writes.forgotten.retain(|(of, _)| of != target);
        writes.gone.insert(target.clone());
    }

    /// Forgets the targets of sources that are no longer set up.
    pub fn forget_removed_sources(&mut self, setup: &Setup, now: Time, writes: &mut Writes) {
        let removed: Vec<Target> =
            self.targets.keys().filter(|target| !setup.sources.contains_key(&target.source)).cloned().collect();
        for target in removed {
            self.gone(&target, "source removed", setup, now, writes);
        }
        self.end_troubles_of_removed_sources(setup, now, writes);
    }
}
