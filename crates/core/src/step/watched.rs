//! What a watching source reports: changes as they come, whole lists from time to time, and until when nothing was
//! missed. Absence in a part means nothing. Silence counts only where the source was watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::observe::{Reads, SOURCE_MEMORY};
use super::{Setup, State, StepContext};
use crate::diff::REMEMBER;
use crate::event::{Event, Target};
use crate::notice::TroubleSubject;
use crate::source::{PartialObservation, WatchCoverage};
use crate::time::Time;

/// How often the episodes that left the lists are checked for expiry.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

impl State {
    /// Events of a target that may be new to podbell.
    pub(super) fn handle_partial_observation(
        &mut self,
        seen: &PartialObservation,
        whole: bool,
        cx: &mut StepContext<'_>,
    ) {
        let target = &seen.target;
        if !self.targets.contains_key(target) && seen.events.is_empty() {
            return;
        }
        if !self.targets.contains_key(target) {
            let met = self.watched_before(target);
            let state = self.targets.entry(target.clone()).or_default();
            (state.discovered, state.last_good) = (true, met);
            cx.writes.targets.insert(target.clone());
        }
        let reads = if whole { Reads::Whole(&seen.events) } else { Reads::Part(&seen.events, &seen.gone) };
        self.take_in(target, &reads, cx);
    }

    /// All lists of a watch were handed in: targets that are not among them have no events left.
    pub(super) fn handle_list_completed(&mut self, covers: &WatchCoverage, shown: &[Target], cx: &mut StepContext<'_>) {
        let shown: BTreeSet<&Target> = shown.iter().collect();
        for target in self.covered(covers) {
            if shown.contains(&target) {
                continue;
            }
            match self.targets.get(&target).is_some_and(|state| state.readings.is_some()) {
                true => self.take_in(&target, &Reads::Whole(&[]), cx),
                false => self.empty_list(&target, cx),
            }
        }
        let source = self.sources.entry(covers.source.clone()).or_default();
        source.first_good.get_or_insert(cx.now);
        source.watched_since.get_or_insert(cx.now);
        source.target_list_known = true;
        cx.writes.sources.insert(covers.source.clone());
        self.handle_watch_progress(covers, cx);
    }

    /// Notes that a watch missed nothing until `now`.
    pub(super) fn handle_watch_progress(&mut self, covers: &WatchCoverage, cx: &mut StepContext<'_>) {
        self.watch_recovered(covers, cx);
        let source = self.sources.entry(covers.source.clone()).or_default();
        let until = source.watched.entry(covers.name()).or_insert(cx.now);
        *until = (*until).max(cx.now);
        let since = *source.watched_since.get_or_insert(cx.now);
        let ages = source.expired_at.is_none_or(|last| cx.now.since(last) >= EXPIRE_EVERY);
        if ages {
            source.expired_at = Some(cx.now);
        }
        for target in self.covered(covers) {
            self.still(&target, cx.now);
            if ages {
                self.age(&target, since, cx);
            }
            self.after_poll(&target, cx);
        }
    }

    /// Until when a target was watched, if it was: what it shows later was not there before.
    pub(super) fn watched_before(&self, target: &Target) -> Option<Time> {
        let watched = &self.sources.get(&target.source)?.watched;
        if watched.is_empty() {
            return None;
        }
        WatchCoverage::of(target).filter_map(|covers| watched.get(&covers.name()).copied()).max()
    }

    fn still(&mut self, target: &Target, now: Time) {
        if let Some(state) = self.targets.get_mut(target) {
            state.last_good = Some(state.last_good.map_or(now, |last| last.max(now)));
        }
    }

    /// A list is empty, and what the target showed before is not loaded from the store: it is taken as unchanged.
    fn empty_list(&mut self, target: &Target, cx: &mut StepContext<'_>) {
        let memory = cx.setup.sources.get(&target.source).map_or(SOURCE_MEMORY, |info| info.memory);
        if let Some(from) = self.last_good(target).filter(|last| cx.now.since(*last) > memory) {
            self.was_blind(target, from, cx);
        }
        self.still(target, cx.now);
    }

    fn covered(&self, covers: &WatchCoverage) -> Vec<Target> {
        self.of_source(&covers.source).filter(|target| covers.includes(target)).cloned().collect()
    }

    fn of_source(&self, source: &Arc<str>) -> impl Iterator<Item = &Target> {
        let first = Target { source: source.clone(), cluster: "".into(), namespace: "".into(), service: "".into() };
        let source = source.clone();
        self.targets.range(first..).map(|(target, _)| target).take_while(move |target| target.source == source)
    }

    /// Forgets episodes that left the lists a day ago, and the target if it has none left.
    fn age(&mut self, target: &Target, since: Time, cx: &mut StepContext<'_>) {
        let nothing: [Event<'_>; 0] = [];
        let loaded = self.targets.get(target).is_some_and(|state| state.readings.is_some());
        if loaded {
            self.take_in(target, &Reads::Part(&nothing, &nothing), cx);
        }
        let Some(state) = self.targets.get(target) else { return };
        let empty = state.readings.as_ref().is_none_or(|readings| readings.is_empty());
        let long = cx.now.since(since) >= REMEMBER;
        if state.discovered && empty && long && self.index.of_target(target).is_empty() {
            self.forget_target(target, cx);
        }
    }

    /// Unchanged polls write nothing, so a target that did not fail was read until shortly before the last heartbeat.
    /// Too early a time is safe: what was seen after it is in the store. Too late a time would make new occurrences
    /// look old.
    pub(super) fn believe_heartbeat(&mut self, heartbeat: Option<Time>, setup: &Setup) {
        let Some(heartbeat) = heartbeat else { return };
        let cuts = self.cuts();
        for (target, state) in &mut self.targets {
            let read = alive(heartbeat, setup, &target.source);
            let cut = cuts.get(&target.source).and_then(|cuts| {
                WatchCoverage::of(target).filter_map(|covers| cuts.get(&covers.name()).copied()).min()
            });
            let read = cut.map_or(read, |cut| cut.min(read));
            if state.failing.is_none() {
                state.last_good = state.last_good.map(|last| last.max(read));
            }
        }
        for (name, source) in &mut self.sources {
            let read = alive(heartbeat, setup, name);
            for (covers, until) in &mut source.watched {
                let cut = cuts.get(name).and_then(|cuts| cuts.get(covers).copied());
                *until = (*until).max(cut.map_or(read, |cut| cut.min(read)));
            }
        }
    }

    /// Since when watches have been cut, by source and by what they cover.
    fn cuts(&self) -> BTreeMap<Arc<str>, BTreeMap<String, Time>> {
        let mut cuts: BTreeMap<Arc<str>, BTreeMap<String, Time>> = BTreeMap::new();
        for trouble in self.troubles.values() {
            if let TroubleSubject::Source(name) = &trouble.subject {
                cuts.entry(name.as_str().into()).or_default().extend(trouble.members.clone());
            }
        }
        cuts
    }
}

/// Until when a source that did not fail was certainly read.
fn alive(heartbeat: Time, setup: &Setup, source: &str) -> Time {
    let interval = setup.sources.get(source).map_or(Duration::from_secs(60), |info| info.poll_every);
    heartbeat.minus(interval.saturating_mul(2))
}
