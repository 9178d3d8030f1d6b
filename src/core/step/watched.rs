//! What a source says that watches: changes as they come, whole lists from time to time, and until when nothing was
//! missed. Absence in a part means nothing; silence is what was watched, not what was not heard.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::observe::Reads;
use super::{Setup, State, Writes};
use crate::core::diff::REMEMBER;
use crate::core::event::{Event, Target};
use crate::core::notice::TroubleSubject;
use crate::core::source::{Covers, PollError, Seen};
use crate::core::time::Time;

/// How often what left the lists is looked through.
const AGE_EVERY: Duration = Duration::from_secs(3600);

impl State {
    /// Events of a target that may be new to podbell.
    pub(super) fn seen(&mut self, setup: &Setup, seen: &Seen, whole: bool, now: Time, writes: &mut Writes) {
        let target = &seen.target;
        if !self.targets.contains_key(target) && seen.events.is_empty() {
            return;
        }
        if !self.targets.contains_key(target) {
            let met = self.watched_before(target);
            let state = self.targets.entry(target.clone()).or_default();
            (state.discovered, state.last_good) = (true, met);
            writes.targets.insert(target.clone());
        }
        let reads = if whole { Reads::Whole(&seen.events) } else { Reads::Part(&seen.events, &seen.gone) };
        self.take_in(setup, target, &reads, now, writes);
    }

    /// All lists of a watch were handed in: what it did not show, it no longer has.
    pub(super) fn swept(
        &mut self,
        setup: &Setup,
        covers: &Covers,
        shown: &[Target],
        now: Time,
        writes: &mut Writes,
    ) {
        let shown: BTreeSet<&Target> = shown.iter().collect();
        for target in self.covered(covers) {
            if shown.contains(&target) {
                continue;
            }
            match self.targets.get(&target).is_some_and(|state| state.readings.is_some()) {
                true => self.take_in(setup, &target, &Reads::Whole(&[]), now, writes),
                false => self.still(&target, now),
            }
        }
        let source = self.sources.entry(covers.source.clone()).or_default();
        source.first_good.get_or_insert(now);
        source.watched_since.get_or_insert(now);
        source.roster_known = true;
        source.watched = Some(source.watched.map_or(now, |until| until.max(now)));
        writes.sources.insert(covers.source.clone());
        self.watched_on(setup, covers, now, writes);
    }

    /// Nothing was missed until `now`.
    pub(super) fn watched_on(&mut self, setup: &Setup, covers: &Covers, now: Time, writes: &mut Writes) {
        self.watch_recovered(setup, covers, now, writes);
        let source = self.sources.entry(covers.source.clone()).or_default();
        source.watched = Some(source.watched.map_or(now, |until| until.max(now)));
        let since = *source.watched_since.get_or_insert(now);
        let ages = source.aged.is_none_or(|last| now.since(last) >= AGE_EVERY);
        if ages {
            source.aged = Some(now);
        }
        for target in self.covered(covers) {
            self.still(&target, now);
            if ages {
                self.age(setup, &target, since, now, writes);
            }
            self.settle(setup, &target, now, writes);
        }
    }

    /// A watch is cut, and does not come back at once. Trouble, if it lasts.
    pub(super) fn unwatched(
        &mut self,
        setup: &Setup,
        covers: &Covers,
        error: &PollError,
        now: Time,
        writes: &mut Writes,
    ) {
        self.watch_failed(setup, covers, error, now, writes);
    }

    /// Until when a watching source was seen, if it was: what is new then was not there before.
    pub(super) fn watched_before(&self, target: &Target) -> Option<Time> {
        self.sources.get(&target.source).and_then(|source| source.watched)
    }

    fn still(&mut self, target: &Target, now: Time) {
        if let Some(state) = self.targets.get_mut(target) {
            state.last_good = Some(state.last_good.map_or(now, |last| last.max(now)));
        }
    }

    fn covered(&self, covers: &Covers) -> Vec<Target> {
        self.of_source(&covers.source).filter(|target| covers.includes(target)).cloned().collect()
    }

    fn of_source(&self, source: &Arc<str>) -> impl Iterator<Item = &Target> {
        let first = Target { source: source.clone(), cluster: "".into(), namespace: "".into(), service: "".into() };
        let source = source.clone();
        self.targets.range(first..).map(|(target, _)| target).take_while(move |target| target.source == source)
    }

    /// Forgets what left the lists a day ago, and a target of which nothing is left.
    fn age(&mut self, setup: &Setup, target: &Target, since: Time, now: Time, writes: &mut Writes) {
        let nothing: [Event<'_>; 0] = [];
        let loaded = self.targets.get(target).is_some_and(|state| state.readings.is_some());
        if loaded {
            self.take_in(setup, target, &Reads::Part(&nothing, &nothing), now, writes);
        }
        let Some(state) = self.targets.get(target) else { return };
        let empty = state.readings.as_ref().is_none_or(|readings| readings.is_empty());
        let long = now.since(since) >= REMEMBER;
        if state.discovered && empty && long && !self.by_target.contains_key(target) {
            self.gone(target, "nothing is left of it", setup, now, writes);
        }
    }

    /// Since when the watch that shows a target has been cut, if it is.
    pub(super) fn cut_since(&self, target: &Target) -> Option<Time> {
        let subject = TroubleSubject::Source(target.source.to_string());
        let one = Covers { source: target.source.clone(), namespace: Some(target.namespace.clone()) };
        let all = Covers { source: target.source.clone(), namespace: None };
        let kept = Covers { source: target.source.clone(), namespace: Some("default".into()) };
        let covering = [all, one, kept].into_iter().filter(|covers| covers.includes(target)).map(|covers| covers.name());
        let names: Vec<String> = covering.collect();
        let troubles = self.troubles.values().filter(|trouble| trouble.subject == subject);
        troubles.flat_map(|trouble| names.iter().filter_map(|name| trouble.members.get(name).copied())).min()
    }
}
