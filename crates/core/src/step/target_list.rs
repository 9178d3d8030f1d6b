//! The list of targets: services come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Setup, State, StepContext, Writes};
use crate::event::Target;
use crate::notice::CloseReason;
use crate::source::{Extent, TargetEntry};
use crate::time::Time;

/// A service is gone once it was absent from this many complete discoveries.
const GONE_AFTER: u32 = 2;

impl State {
    pub(super) fn handle_target_list(
        &mut self,
        source: &Arc<str>,
        entries: &[TargetEntry],
        complete: bool,
        cx: &mut StepContext<'_>,
    ) {
        for entry in entries {
            let known = self.targets.contains_key(&entry.target);
            let state = self.targets.entry(entry.target.clone()).or_default();
            state.absences = 0;
            if !known || state.discovered != entry.discovered {
                state.discovered = entry.discovered;
                cx.writes.targets.insert(entry.target.clone());
            }
        }
        if !complete {
            return;
        }
        self.discovery_recovered(source, cx);
        let present: BTreeSet<&Target> = entries.iter().map(|entry| &entry.target).collect();
        let absent: Vec<Target> = self
            .targets
            .keys()
            .filter(|target| target.source == *source && !present.contains(target))
            .cloned()
            .collect();
        let finds = cx.setup.sources.get(source).is_none_or(|info| info.extent != Extent::Named);
        for target in absent {
            let Some(state) = self.targets.get_mut(&target) else { continue };
            state.absences += 1;
            if !state.discovered || !finds {
                self.gone(&target, CloseReason::NotWatched, cx);
            } else if state.absences >= GONE_AFTER {
                self.gone(&target, CloseReason::ServiceDeleted, cx);
            }
        }
        self.sources.entry(source.clone()).or_default().target_list_known = true;
    }

    /// Forgets a target, and closes the incidents that only it shows.
    pub(super) fn gone(&mut self, target: &Target, reason: CloseReason, cx: &mut StepContext<'_>) {
        self.leave(target, reason, cx);
        self.forget_rollouts(target, cx);
        self.forget_target(target, cx);
    }

    /// Forgets a target that no incident names. Its workloads may be there, only without events.
    pub(super) fn forget_target(&mut self, target: &Target, cx: &mut StepContext<'_>) {
        self.leave_trouble(target, cx);
        self.handle_unusable(target, 0, cx);
        if let Some(state) = self.targets.remove(target) {
            self.episodes = self.episodes.saturating_sub(state.readings.map_or(0, |readings| readings.len()));
        }
        // Only a target that changed has rows in this commit: of ten thousand that are gone, hardly any. Skip the scan
        // for the others.
        if cx.writes.targets.remove(target) {
            cx.writes.series.retain(|row| row.target != *target);
        }
        cx.writes.forgotten.retain(|(of, _)| of != target);
        cx.writes.gone.insert(target.clone());
    }

    /// Forgets what podbell.yaml does not name any more: sources with their targets, and namespaces of watches.
    pub fn forget_unwatched(&mut self, setup: &Setup, now: Time, writes: &mut Writes) {
        let cx = &mut StepContext { setup, now, writes };
        let reason = |target: &Target| match setup.sources.get(&target.source).map(|info| &info.extent) {
            None => Some(CloseReason::SourceRemoved),
            Some(Extent::Covered(all)) if !all.iter().any(|covers| covers.includes(target)) => {
                Some(CloseReason::NotWatched)
            }
            Some(_) => None,
        };
        let unwatched: Vec<(Target, CloseReason)> =
            self.targets.keys().filter_map(|target| Some((target.clone(), reason(target)?))).collect();
        for (target, reason) in unwatched {
            self.gone(&target, reason, cx);
        }
        for (name, source) in &mut self.sources {
            let extent = setup.sources.get(name).map(|info| &info.extent);
            if let Some(Extent::Covered(all)) = extent {
                source.watched.retain(|watched, _| all.iter().any(|covers| covers.name() == *watched));
            }
        }
        self.end_troubles_of_what_is_unwatched(cx);
    }
}
