//! A target was read: finds what changed, which incidents that joins, and what it ends.

use std::cell::OnceCell;
use std::time::Duration;

use super::decision::{Decision, Effect};
use super::shared::Shared;
use super::state::Ages;
use super::{SeriesRow, Setup, State, StepContext, Tally, TargetState, Writes};
use crate::diff::{CLOCK_TOLERANCE, Change, ChangeKind, Diff, FIRST_POLL_WINDOW, Reading, compare};
use crate::event::{Event, Level, Subject, Target};
use crate::incident::Joining;
use crate::incident::window::Occurrences;
use crate::reports::{self, ObjectFailure};
use crate::rules::{Claim, RuleId};
use crate::time::Time;
use crate::workload;

/// How far back a source is taken to remember if the setup does not know it.
pub(super) const SOURCE_MEMORY: Duration = Duration::from_secs(3600);

/// Why what an event reports says nothing of the present.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    /// It has ended.
    Ended,
    /// Its object was deleted.
    Deleted,
}

/// What was read of a target.
pub(super) enum Reads<'a> {
    /// Its whole list.
    Whole(&'a [Event<'a>]),
    /// Changed events, and events that the cluster deleted: absence means nothing.
    Part(&'a [Event<'a>], &'a [Event<'a>]),
}

impl<'a> Reads<'a> {
    fn events(&self) -> &'a [Event<'a>] {
        match self {
            Self::Whole(events) | Self::Part(events, _) => events,
        }
    }
}

impl State {
    pub(super) fn handle_observation(&mut self, target: &Target, events: &[Event<'_>], cx: &mut StepContext<'_>) {
        // The answer was under way when its service was found to be gone.
        if !self.targets.contains_key(target) {
            return;
        }
        self.take_in(target, &Reads::Whole(events), cx);
    }

    /// Takes in what was read of a target: finds the changes and applies them.
    pub(super) fn take_in(&mut self, target: &Target, reads: &Reads<'_>, cx: &mut StepContext<'_>) {
        let events = reads.events();
        cx.writes.tally.add(Tally { polls: 1, events: events.len() as u64, ..Tally::default() });
        self.count_events(events.len() as u64);
        self.recovered(target, cx);
        let (diff, previous) = self.compare_with_known(target, reads, cx);
        self.note_new(&diff);
        self.note_shown(target, &diff, cx.writes);
        let memory = cx.setup.sources.get(&target.source).map_or(SOURCE_MEMORY, |info| info.memory);
        let whole = matches!(reads, Reads::Whole(_));
        if let Some(from) = previous.filter(|last| whole && cx.now.since(*last) > memory) {
            self.was_blind(target, from, cx);
        }
        if previous.is_none() {
            self.met(target, &diff, events, cx);
        }
        let unchanged = diff.changes.is_empty() && diff.baseline.is_empty() && diff.forgotten.is_empty();
        if !unchanged || previous.is_none() {
            cx.writes.targets.insert(target.clone());
        }
        self.note_scaled(target, &diff, cx);
        self.apply(target, &diff, previous, cx);
        record(target, diff, cx.now, cx.writes);
        self.after_poll(target, cx);
        self.bound_episodes(cx.writes);
    }

    /// Compares what was read of a target with its known readings, and updates these. Also returns until when the
    /// target had been read before.
    fn compare_with_known<'e>(
        &mut self,
        target: &Target,
        reads: &Reads<'e>,
        cx: &StepContext<'_>,
    ) -> (Diff<'e>, Option<Time>) {
        let events = reads.events();
        let met = self.watched_before(target);
        let entry = self.targets.entry(target.clone()).or_default();
        let mut ages = entry.ages.take();
        // The source was watched before this target appeared: all that the target shows is new.
        let previous = entry.last_good.or(met);
        // A part says nothing of what it does not show. Only a whole list, or a watch that missed nothing, tells until
        // when a target was seen.
        if previous.is_none() || matches!(reads, Reads::Whole(_)) {
            entry.last_good = Some(previous.map_or(cx.now, |last| last.max(cx.now)));
        }
        let mut readings = entry.readings.take().unwrap_or_default();
        // A crash can leave the stored time behind the true one; the newer one is the better bound.
        readings.last_good = previous;
        let newest = events.iter().map(|event| event.last_seen).max().filter(|newest| !newest.is_unknown());
        let lag = &mut self.sources.entry(target.source.clone()).or_default().lag;
        if let Some(newest) = newest {
            lag.note_newest(newest, cx.now);
        }
        readings.behind = lag.behind();
        readings.read_since = self.sources.get(&target.source).and_then(|source| source.first_good);
        let before = readings.len();
        let diff = match reads {
            Reads::Part(events, gone) if previous.is_some() => {
                readings.observe_part(events, gone, &mut self.identities, cx.now)
            }
            Reads::Whole(events) | Reads::Part(events, _) => {
                let info = cx.setup.sources.get(&target.source);
                let window = info.map_or(FIRST_POLL_WINDOW, |info| info.first_poll_window);
                readings.observe(events, &mut self.identities, window, cx.now)
            }
        };
        self.episodes = (self.episodes + readings.len()).saturating_sub(before);
        match &mut ages {
            Some(ages) => ages.note_changes(&diff, cx.now),
            // After a start, what is in the list already tells ages, too.
            None => ages = Some(Ages::of(events, cx.now)),
        }
        if let Some(entry) = self.targets.get_mut(target) {
            (entry.readings, entry.ages) = (Some(readings), ages);
        }
        (diff, previous)
    }

    /// Applies the changes of a target; `previous` is until when the target had been read before.
    fn apply(&mut self, target: &Target, diff: &Diff<'_>, previous: Option<Time>, cx: &mut StepContext<'_>) {
        let ends: Vec<&Event<'_>> =
            diff.changes.iter().map(|change| &change.event).filter(|event| reports::ends(event)).collect();
        for change in &diff.changes {
            cx.writes.tally.changes += 1;
            cx.writes.tally.warning_changes += u64::from(change.event.level == Level::Warning);
            let is_over = self.is_over(target, &change.event, &ends)
                || self.was_placed_since(target, &change.event)
                || self.deletions.has_gone_for_good(target, &change.event);
            let past = if is_over {
                Some(Past::Ended)
            } else {
                self.is_gone(target, &change.event, cx.now).then_some(Past::Deleted)
            };
            self.changed(target, (change, past), previous, cx);
        }
    }

    /// Notes episodes that were not known before, for [`Self::new_to_incident`].
    fn note_new(&mut self, diff: &Diff<'_>) {
        let new = diff.changes.iter().filter(|change| change.kind != ChangeKind::Increased).map(|change| change.key);
        new.chain(diff.baseline.iter().map(|(key, _)| *key)).for_each(|key| self.shared.note(key));
        if self.shared.is_worn(self.episodes) {
            let mut fresh = Shared::default();
            let known = self.targets.values().filter_map(|state| state.readings.as_ref());
            known.flat_map(|readings| readings.keys()).for_each(|key| fresh.note(key));
            self.shared = fresh;
        }
    }

    /// Whether what an event reports has ended already: by its own list, or by an event about a node that was read
    /// before.
    fn is_over(&self, target: &Target, event: &Event<'_>, ends: &[&Event<'_>]) -> bool {
        let Some(report) = reports::of(event) else { return false };
        // An event of the node itself is in the same list as its end.
        let back = (report.trouble == ObjectFailure::NodeAway && event.obj_type.trim() != "Node")
            .then(|| self.nodes_back.get(&(target.source.clone(), target.cluster.clone())))
            .flatten();
        back.is_some_and(|back| *back >= event.last_seen) || ends.iter().any(|end| reports::is_ended(event, end))
    }

    /// Whether an event reports what happened before its object was deleted, a while ago.
    fn is_gone(&self, target: &Target, event: &Event<'_>, now: Time) -> bool {
        let behind = self.sources.get(&target.source).map_or(Duration::ZERO, |source| source.lag.behind());
        !event.last_seen.is_unknown()
            && self.deletions.were_before(target, event, event.last_seen.plus(behind).min(now), now)
    }

    /// Takes in one change: joins it for every rule that wins a destination, and keeps open the incidents that it
    /// sustains.
    fn changed(
        &mut self,
        target: &Target,
        (change, past): (&Change<'_>, Option<Past>),
        previous: Option<Time>,
        cx: &mut StepContext<'_>,
    ) {
        let event = &change.event;
        let workload = workload::of(&event.obj_type, &event.obj_name);
        let subject = Subject { target, event, workload };
        let (times, late) = self.times(target, change, previous, cx.now);
        let mut claimed = Vec::new();
        for Claim { rule, destinations } in cx.setup.rules.claims(&subject) {
            let new = self.new_to_incident(cx.setup, rule, &subject, change);
            let settled = cx.setup.rules.get(rule).settings.open_when.settled;
            let joining = Joining {
                target,
                event,
                episode: change.key,
                workload,
                new,
                times: Occurrences { new, ..times },
                late,
                over: past.is_some(),
                settles_at: settled
                    .and_then(|age| Some(self.object_created_at(target, change, previous, cx.now)?.plus(age))),
                open: false,
                end_is_shown: false,
                destinations: &destinations,
            };
            let joined = self.join(rule, &subject, &joining, cx);
            let mut made = self.claimed(cx.setup, rule, &joining, joined, cx.now);
            if made.effect == Effect::Over && past == Some(Past::Deleted) {
                made.effect = Effect::Gone;
            }
            claimed.push(made);
        }
        if event.level == Level::Warning {
            let decision = Decision::new(cx.setup, &subject, change, claimed, cx.now);
            self.count_untold(&decision);
            cx.writes.decisions.push(decision);
        }
        self.end_troubles(&subject, times.last, cx);
        if !self.index.of_target(target).is_empty() && cx.setup.rules.could_sustain(&subject) {
            self.sustain(&subject, cx);
        }
    }

    /// When the new occurrences of a change happened, by podbell's clock, and whether they were written late. Uses the
    /// dates of the list where it has them, else the time between the last reading and this one.
    fn times(&self, target: &Target, change: &Change<'_>, previous: Option<Time>, now: Time) -> (Occurrences, bool) {
        let behind = self.sources.get(&target.source).map_or(Duration::ZERO, |source| source.lag.behind());
        let dated = |date: Time| date.plus(behind).min(now);
        let event = &change.event;
        let last = dated(event.last_seen);
        let late = previous.is_some_and(|read| last < read.minus(CLOCK_TOLERANCE));
        let (first, at_first) = match change.after {
            Some(after) if late => (dated(after), false),
            Some(after) => (previous.map_or(dated(after), |read| dated(after).max(read)), false),
            None if change.new == event.count => (dated(event.first_seen), true),
            None => (last, true),
        };
        (Occurrences { first: first.min(last), at_first, last, new: change.new, not_before: None }, late)
    }

    /// Notes which kinds of ends a source shows.
    fn note_shown(&mut self, target: &Target, diff: &Diff<'_>, writes: &mut Writes) {
        let changed = diff.changes.iter().map(|change| &change.event);
        let events = || changed.clone().chain(diff.baseline.iter().map(|(_, event)| event));
        if events().next().is_none() {
            return;
        }
        let source = self.sources.entry(target.source.clone()).or_default();
        let ends = source.shows_ends || events().any(reports::is_pod_lifecycle);
        let nodes = source.shows_nodes || events().any(reports::is_of_a_node);
        if (ends, nodes) != (source.shows_ends, source.shows_nodes) {
            (source.shows_ends, source.shows_nodes) = (ends, nodes);
            writes.sources.insert(target.source.clone());
        }
    }

    /// How many occurrences of a change no other service of the namespace has shown to this incident before.
    fn new_to_incident(&self, setup: &Setup, rule: RuleId, subject: &Subject<'_>, change: &Change<'_>) -> u64 {
        if !self.shared.may_be_shared(change.key) {
            return change.new;
        }
        let now = Reading { count: change.event.count, last_seen: change.event.last_seen };
        let group = OnceCell::new();
        let elsewhere = self.namespace(subject.target).filter(|(sibling, _)| *sibling != subject.target);
        elsewhere
            .filter_map(|(sibling, state)| {
                let reading = state.readings.as_ref()?.reading(change.key)?;
                Some((sibling, reading, state.last_good))
            })
            .filter(|(sibling, ..)| {
                let there = Subject { target: sibling, ..*subject };
                // Ask for all claims, not for this rule alone: what an earlier rule ignored or claimed there was never
                // counted there.
                setup.rules.claims(&there).iter().any(|claim| claim.rule == rule) && {
                    let here = group.get_or_init(|| setup.rules.group_key(rule, subject));
                    setup.rules.group_key(rule, &there) == *here
                }
            })
            .map(|(_, reading, read_at)| compare(reading, now, read_at).map_or(0, |(_, new)| new))
            .fold(change.new, u64::min)
    }

    pub(super) fn was_blind(&mut self, target: &Target, from: Time, cx: &mut StepContext<'_>) {
        for id in self.index.of_target(target) {
            if let Some(incident) = self.incidents.get_mut(id) {
                incident.was_blind(from, cx.now);
                cx.writes.incidents.insert(*id);
            }
        }
        self.note_blind(target, from, cx);
    }

    /// Forgets the least useful absent episodes beyond the bound for all targets.
    fn bound_episodes(&mut self, writes: &mut Writes) {
        let mut excess = self.episodes.saturating_sub(self.most_episodes);
        if excess == 0 {
            return;
        }
        // A little more than needed, so that this walk over all targets stays rare.
        excess += self.most_episodes / 20;
        let absent = |state: &TargetState| state.readings.as_ref().map_or(0, |readings| readings.absent());
        let all: usize = self.targets.values().map(absent).sum();
        for (target, state) in &mut self.targets {
            let Some(readings) = &mut state.readings else { continue };
            let share = (readings.absent() * excess).div_ceil(all.max(1));
            let forgotten = readings.forget_least(share);
            self.episodes -= forgotten.len();
            writes.forgotten.extend(forgotten.into_iter().map(|key| (target.clone(), key)));
        }
    }
}

fn record(target: &Target, diff: Diff<'_>, now: Time, writes: &mut Writes) {
    let changed = diff.changes.into_iter().map(|change| (change.key, change.event, Some((change.kind, change.new))));
    let baseline = diff.baseline.into_iter().map(|(key, event)| (key, event, None));
    for (key, event, change) in changed.chain(baseline) {
        // Two polls of one commit: the later one counts.
        if !writes.forgotten.is_empty() {
            writes.forgotten.remove(&(target.clone(), key));
        }
        writes.series.push(SeriesRow {
            target: target.clone(),
            key,
            event: event.into_owned(),
            observed_at: now,
            change,
        });
    }
    writes.forgotten.extend(diff.forgotten.into_iter().map(|key| (target.clone(), key)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{EpisodeKey, SeriesId};

    fn key(number: usize) -> EpisodeKey {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        EpisodeKey { series: SeriesId(id), first_seen: Time::default() }
    }

    /// Searching all forgotten episodes for each of these would take minutes.
    #[test]
    fn what_is_seen_again_in_the_commit_that_forgot_it_stays_also_among_very_many() {
        const MANY: usize = 100_000;
        let target = Target::new("prod", "cls-1", "shop", "web");
        let forgotten = (0..MANY).map(|number| (target.clone(), key(number))).collect();
        let mut writes = Writes { forgotten, ..Writes::default() };
        let event = Event {
            first_seen: Time::default(),
            last_seen: Time::default(),
            count: 1,
            level: Level::Warning,
            obj_type: "Pod".into(),
            obj_name: "web-0".into(),
            reason: "Failed".into(),
            message: "m".into(),
            ..Event::default()
        };
        let baseline = (0..MANY).map(|number| (key(number * 2), event.clone())).collect();
        record(&target, Diff { baseline, ..Diff::default() }, Time::default(), &mut writes);
        assert_eq!((writes.series.len(), writes.forgotten.len()), (MANY, MANY / 2));
        assert!(writes.forgotten.iter().all(|(_, key)| key.series.0[0] % 2 == 1));
    }
}
