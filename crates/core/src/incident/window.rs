//! `open_when`: whether enough occurrences lie within the window, or one object's trouble lasts for long enough.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rule::{CountScope, OpenWhen};
use crate::time::{Jump, Time};

/// Occurrences of one object that lie further apart than this are not one lasting trouble, unless the rule's window is
/// longer: the kubelet is silent about an object for 5 minutes, and for as long again when it has two things to say.
const STREAK_GAP: Duration = Duration::from_secs(15 * 60);
/// Bound on the objects that are counted separately.
const MAX_STREAKS: usize = 1000;

/// New occurrences: the last at `last`, the others spread evenly before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occurrences {
    /// The first occurrence lies here if `at_first`, else after this.
    pub first: Time,
    /// Whether the first occurrence has a date.
    pub at_first: bool,
    /// The newest occurrence.
    pub last: Time,
    /// How many; at least 1.
    pub new: u64,
    /// Occurrences before this do not count; `None`: all of them count.
    pub not_before: Option<Time>,
}

impl Occurrences {
    /// The moment of the `n`th, counting from 1.
    fn at(&self, n: u64) -> Time {
        let span = i128::from(self.last.millis() - self.first.millis().min(self.last.millis()));
        let (n, of) = match self.at_first {
            true if self.new > 1 => (n.saturating_sub(1), self.new - 1),
            true => (1, 1),
            false => (n, self.new.max(1)),
        };
        let offset = span * i128::from(n) / i128::from(of);
        self.last.minus(Duration::from_millis(u64::try_from(span - offset).unwrap_or(0)))
    }

    /// The first `needed` and the last `needed` occurrences: with even spacing no others decide whether a window holds
    /// `needed` of them. The first may share a window with older occurrences, the last with later ones.
    fn deciding(&self, needed: u64) -> impl Iterator<Item = Time> {
        let first = 1..=self.new.min(needed);
        let last = self.new.saturating_sub(needed).max(needed) + 1..=self.new;
        let this = *self;
        first.chain(last).map(move |n| this.at(n)).filter(move |at| this.not_before.is_none_or(|bound| *at >= bound))
    }
}

/// The occurrences of one object that may still open an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectStreak {
    /// A hash of the object.
    object: u32,
    /// Since when it goes on without too long a pause.
    since: Time,
    /// Its newest occurrences, ascending.
    times: Vec<Time>,
    /// When the object is old enough for `settled`. Set once: later occurrences do not postpone it.
    #[serde(default)]
    settles_at: Option<Time>,
    /// Its newest occurrences before `settles_at`. They count once the object is known to fail after that, too.
    #[serde(default)]
    early: Vec<Time>,
}

impl ObjectStreak {
    fn new(object: u32, since: Time, settles_at: Option<Time>) -> Self {
        Self { object, since, times: Vec::new(), settles_at, early: Vec::new() }
    }

    /// Its newest occurrence, counted or not.
    fn newest(&self) -> Option<Time> {
        self.times.last().max(self.early.last()).copied()
    }

    /// The clock was set.
    pub(super) fn clock_set(&mut self, by: Jump) {
        let times = self.times.iter_mut().chain(&mut self.early);
        times.chain([&mut self.since]).chain(&mut self.settles_at).for_each(|at| at.carry(by));
    }
}

/// What occurred to which object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectOccurrences {
    /// A hash of the object.
    pub object: u32,
    /// When it happened.
    pub occurrences: Occurrences,
    /// When the object is old enough for `settled`; `None`: it is, or its age is unknown.
    pub settles_at: Option<Time>,
}

/// What new occurrences mean for an incident that is not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenCheck {
    /// `open_when` is met.
    Opens,
    /// It is not met yet.
    Waits,
    /// They do not count before this moment, because their object is too young.
    TooYoung(Time),
}

/// Adds occurrences of an object and returns whether `open_when` is met. Keeps only what can still matter.
pub(crate) fn gather(
    recent: &mut Vec<Time>,
    streaks: &mut Vec<ObjectStreak>,
    happened: ObjectOccurrences,
    open_when: OpenWhen,
) -> OpenCheck {
    let ObjectOccurrences { object, occurrences, settles_at } = happened;
    forget_old(streaks, occurrences.last, open_when);
    let of_group =
        |recent: &mut Vec<Time>| opens(open_when.per == CountScope::Group && counted(recent, occurrences, open_when));
    let (Some(first), Some(_)) = (occurrences.deciding(1).next(), occurrences.deciding(1).last()) else {
        return of_group(recent);
    };
    let settles_at = settles_at.filter(|at| open_when.settled.is_some() && occurrences.last < *at);
    let needs_run = open_when.lasts.is_some() || open_when.per == CountScope::Object || settles_at.is_some();
    let at = streaks.iter().position(|streak| streak.object == object).or_else(|| {
        (needs_run && streaks.len() < MAX_STREAKS).then(|| {
            streaks.push(ObjectStreak::new(object, first, settles_at));
            streaks.len() - 1
        })
    });
    let Some(streak) = at.and_then(|at| streaks.get_mut(at)) else {
        // The table of objects is full: its occurrences count at once.
        return of_group(recent);
    };
    streak.since = streak.since.min(first);
    let lasts = open_when.lasts.is_some_and(|lasts| occurrences.last.since(streak.since) >= lasts);
    if let Some(until) = streak.settles_at.filter(|at| occurrences.last < *at) {
        streak.hold(occurrences, open_when);
        return if lasts { OpenCheck::Opens } else { OpenCheck::TooYoung(until) };
    }
    streak.settles_at = None;
    let early = std::mem::take(&mut streak.early);
    let times = match open_when.per {
        CountScope::Group => &mut *recent,
        CountScope::Object => &mut streak.times,
    };
    times.extend(early);
    let counted = counted(times, occurrences, open_when);
    // Keep the newest occurrence: it shows that the streak goes on.
    if streak.newest().is_none_or(|last| last < occurrences.last) {
        streak.keep(occurrences.last, open_when.per);
    }
    opens(counted || lasts)
}

fn opens(met: bool) -> OpenCheck {
    if met { OpenCheck::Opens } else { OpenCheck::Waits }
}

/// The longest pause within a streak.
fn gap(open_when: OpenWhen) -> Duration {
    STREAK_GAP.max(open_when.within).max(open_when.settled.unwrap_or_default())
}

fn forget_old(streaks: &mut Vec<ObjectStreak>, now: Time, open_when: OpenWhen) {
    let gap = gap(open_when);
    streaks.retain(|streak| streak.newest().is_some_and(|last| now.since(last) <= gap));
}

impl ObjectStreak {
    /// Keeps its newest occurrence. Those of a group are counted elsewhere.
    fn keep(&mut self, newest: Time, per: CountScope) {
        if per == CountScope::Group {
            self.times.clear();
        }
        self.times.push(newest);
    }

    /// Keeps occurrences that do not count yet.
    fn hold(&mut self, occurrences: Occurrences, open_when: OpenWhen) {
        let count = open_when.count.unwrap_or(1);
        self.early.extend(occurrences.deciding(u64::from(count)));
        self.early.sort_unstable();
        let excess = self.early.len().saturating_sub(count as usize);
        self.early.drain(..excess);
    }
}

/// When the next object whose occurrences do not count yet will be old enough.
pub(crate) fn settles_at(streaks: &[ObjectStreak]) -> Option<Time> {
    streaks.iter().filter(|streak| !streak.early.is_empty()).filter_map(|streak| streak.settles_at).min()
}

/// Objects are old enough by `now`: counts their early occurrences if the objects `still_fail`, else forgets them.
/// Returns whether `open_when` is met.
pub(crate) fn count_matured(
    recent: &mut Vec<Time>,
    streaks: &mut Vec<ObjectStreak>,
    still_fail: bool,
    open_when: OpenWhen,
    now: Time,
) -> bool {
    let mut met = false;
    for streak in streaks.iter_mut().filter(|streak| streak.settles_at.is_some_and(|at| at <= now)) {
        streak.settles_at = None;
        let early = std::mem::take(&mut streak.early);
        if !still_fail {
            continue;
        }
        // The failure goes on: shift its occurrences so that the last one is now.
        let pause = early.last().map(|last| now.since(*last)).unwrap_or_default();
        let occurred: Vec<Time> = early.iter().map(|at| at.plus(pause)).collect();
        let times = match open_when.per {
            CountScope::Group => &mut *recent,
            CountScope::Object => &mut streak.times,
        };
        times.extend(occurred);
        times.sort_unstable();
        let count = open_when.count.unwrap_or(u32::MAX) as usize;
        met |= times.len() >= count && is_met(times, count, open_when.within);
        if open_when.per == CountScope::Group {
            streak.keep(now, CountScope::Group);
        }
    }
    streaks.retain(|streak| streak.newest().is_some());
    met
}

/// Adds occurrences that count, and returns whether the rule's count is met.
fn counted(times: &mut Vec<Time>, occurrences: Occurrences, open_when: OpenWhen) -> bool {
    open_when.count.is_some_and(|count| add(times, occurrences, count, open_when.within))
}

/// Adds occurrences to the recent ones and returns whether `count` of them lie within the window.
fn add(recent: &mut Vec<Time>, occurrences: Occurrences, count: u32, within: Duration) -> bool {
    if count <= 1 {
        return true;
    }
    recent.extend(occurrences.deciding(u64::from(count)));
    // Occurrences that were written late lie before known ones.
    recent.sort_unstable();
    let count = count as usize;
    if is_met(recent, count, within) {
        return true;
    }
    let newest = recent.last().copied().unwrap_or_default();
    recent.retain(|at| newest.since(*at) < within);
    let excess = recent.len().saturating_sub(count);
    recent.drain(..excess);
    false
}

/// Whether `count` of these ascending times lie within the window.
fn is_met(times: &[Time], count: usize, within: Duration) -> bool {
    count <= 1
        || times.windows(count).any(|window| match (window.first(), window.last()) {
            (Some(first), Some(last)) => last.since(*first) < within,
            _ => false,
        })
}

/// Until when the gathered occurrences may still open an incident.
pub(crate) fn gathers_until(recent: &[Time], streaks: &[ObjectStreak], open_when: OpenWhen) -> Option<Time> {
    let recent = recent.last().map(|last| last.plus(open_when.within));
    let streaks = streaks.iter().filter_map(ObjectStreak::newest).max().map(|last| last.plus(gap(open_when)));
    recent.max(streaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    fn between(from: i64, until: i64, new: u64) -> Occurrences {
        Occurrences { first: t(from), at_first: false, last: t(until), new, not_before: None }
    }

    /// Gathers occurrences of an object that is old enough.
    fn opened(
        recent: &mut Vec<Time>,
        streaks: &mut Vec<ObjectStreak>,
        object: u32,
        occurrences: Occurrences,
        open_when: OpenWhen,
    ) -> bool {
        gather(recent, streaks, ObjectOccurrences { object, occurrences, settles_at: None }, open_when)
            == OpenCheck::Opens
    }

    /// Gathers polls given as (from, until, new); returns for each whether it meets `count` within `within` seconds.
    fn met(count: u32, within: u64, polls: &[(i64, i64, u64)]) -> Vec<bool> {
        let mut recent = Vec::new();
        let open_when = OpenWhen { count: Some(count), within: Duration::from_secs(within), ..OpenWhen::AT_ONCE };
        polls
            .iter()
            .map(|&(from, until, new)| opened(&mut recent, &mut Vec::new(), 0, between(from, until, new), open_when))
            .collect()
    }

    #[test]
    fn occurrences_are_spread_evenly_and_counted_in_a_sliding_window() {
        assert_eq!(met(1, 0, &[(0, 60, 1)]), [true]);
        assert_eq!(met(3, 600, &[(0, 60, 1), (60, 120, 1), (120, 180, 1)]), [false, false, true]);
        assert_eq!(met(3, 60, &[(0, 60, 1), (60, 120, 1), (120, 180, 1)]), [false, false, false]);
        assert_eq!(met(3, 600, &[(0, 60, 3)]), [true]);
        // Ten in five minutes are never three in one minute,
        assert_eq!(met(3, 60, &[(0, 300, 10)]), [false]);
        // but twenty are,
        assert_eq!(met(3, 60, &[(0, 300, 20)]), [true]);
        // and two late ones with one early in the next poll are, too.
        assert_eq!(met(3, 180, &[(0, 1, 2), (1, 301, 2)]), [false, true]);
        assert_eq!(met(100, 600, &[(0, 60, 70_944)]), [true]);
    }

    #[test]
    fn a_skipped_middle_never_changes_the_answer() {
        for (count, new, span) in [(3u32, 50u64, 100i64), (5, 11, 60), (4, 9, 1), (2, 1000, 7)] {
            for within in [1u64, 2, 5, 10, 30] {
                let open_when =
                    OpenWhen { count: Some(count), within: Duration::from_secs(within), ..OpenWhen::AT_ONCE };
                let occurrences = between(0, span, new);
                let all: Vec<Time> = (1..=new).map(|n| occurrences.at(n)).collect();
                let naive = all.windows(count as usize).any(|w| w[w.len() - 1].since(w[0]) < open_when.within);
                let met = opened(&mut Vec::new(), &mut Vec::new(), 0, occurrences, open_when);
                assert_eq!(met, naive, "{count} {new} {span} {within}");
            }
        }
    }

    #[test]
    fn what_is_dated_on_both_ends_stands_there() {
        let dated = Occurrences { at_first: true, ..between(0, 60, 4) };
        assert_eq!((1..=4).map(|n| dated.at(n)).collect::<Vec<_>>(), [t(0), t(20), t(40), t(60)]);
        assert_eq!(Occurrences { at_first: true, ..between(0, 60, 1) }.at(1), t(60));
    }

    #[test]
    fn what_was_written_late_is_put_where_it_belongs() {
        let open_when = OpenWhen { count: Some(3), within: Duration::from_secs(60), ..OpenWhen::AT_ONCE };
        let mut recent = vec![t(100), t(140)];
        assert!(opened(&mut recent, &mut Vec::new(), 0, between(119, 120, 1), open_when));
        let old = Occurrences { not_before: Some(t(1000)), ..between(0, 120, 30) };
        assert!(!opened(&mut Vec::new(), &mut Vec::new(), 0, old, open_when), "older than its window");
    }

    #[test]
    fn each_object_is_counted_on_its_own_and_lasts_on_its_own() {
        let ten = Duration::from_secs(600);
        let open_when =
            OpenWhen { count: Some(3), within: ten, per: CountScope::Object, lasts: Some(ten), settled: None };
        let (mut recent, mut streaks) = (Vec::new(), Vec::new());
        let mut said = |object, at| opened(&mut recent, &mut streaks, object, between(at - 1, at, 1), open_when);
        // A rollout: two of each of twenty pods, for ten minutes.
        assert!((0..20).all(|pod| !said(pod, i64::from(pod) * 30) & !said(pod, i64::from(pod) * 30 + 20)));
        // One in five minutes of one pod, as the kubelet's spam filter lets through.
        assert!(!said(99, 1000) && !said(99, 1300));
        assert!(said(99, 1601), "it lasts");
        assert!(!said(7, 5000) && !said(7, 5950) && !said(7, 6900), "with such pauses it does not");
    }

    /// `{count: 3, within: 600s, settled: 300s}`.
    fn settled(per: CountScope) -> OpenWhen {
        let [within, settled] = [600, 300].map(Duration::from_secs);
        OpenWhen { count: Some(3), within, per, lasts: None, settled: Some(settled) }
    }

    fn young(object: u32, from: i64, until: i64, new: u64, settles_at: i64) -> ObjectOccurrences {
        ObjectOccurrences { object, occurrences: between(from, until, new), settles_at: Some(t(settles_at)) }
    }

    #[test]
    fn what_a_young_object_does_counts_once_it_goes_on_when_the_object_is_old_enough() {
        for per in [CountScope::Group, CountScope::Object] {
            let (mut recent, mut streaks) = (Vec::new(), Vec::new());
            let mut at =
                |from, until, new| gather(&mut recent, &mut streaks, young(7, from, until, new, 300), settled(per));
            assert_eq!(at(0, 60, 50), OpenCheck::TooYoung(t(300)), "{per:?}");
            assert_eq!(at(60, 299, 20), OpenCheck::TooYoung(t(300)), "{per:?}");
            // What was written before counts now: one more is enough.
            assert_eq!(at(299, 310, 1), OpenCheck::Opens, "{per:?}");
        }
    }

    #[test]
    fn an_object_never_grows_younger_while_it_goes_on() {
        let (mut recent, mut streaks) = (Vec::new(), Vec::new());
        let mut at = |until, settles_at| {
            gather(&mut recent, &mut streaks, young(7, until - 1, until, 1, settles_at), settled(CountScope::Object))
        };
        assert_eq!(at(100, 300), OpenCheck::TooYoung(t(300)));
        // It was created again, or its age is taken for less.
        assert_eq!(at(200, 500), OpenCheck::TooYoung(t(300)));
        assert_eq!(at(301, 601), OpenCheck::Opens);
    }

    #[test]
    fn what_a_group_counts_of_old_objects_is_not_held_back_by_young_ones() {
        let (mut recent, mut streaks) = (Vec::new(), Vec::new());
        let mut said = |happened| gather(&mut recent, &mut streaks, happened, settled(CountScope::Group));
        assert_eq!(said(young(1, 0, 60, 50, 300)), OpenCheck::TooYoung(t(300)));
        let old = |at| ObjectOccurrences { object: 2, occurrences: between(at - 1, at, 1), settles_at: None };
        assert_eq!(
            [said(old(70)), said(old(80)), said(old(90))],
            [OpenCheck::Waits, OpenCheck::Waits, OpenCheck::Opens]
        );
    }

    #[test]
    fn what_is_known_of_an_object_that_grew_old_decides_without_another_occurrence() {
        for (per, still_fails) in
            [CountScope::Group, CountScope::Object].into_iter().flat_map(|per| [(per, true), (per, false)])
        {
            let (mut recent, mut streaks) = (Vec::new(), Vec::new());
            gather(&mut recent, &mut streaks, young(7, 0, 30, 3, 300), settled(per));
            assert_eq!(settles_at(&streaks), Some(t(300)));
            assert!(!count_matured(&mut recent, &mut streaks, true, settled(per), t(299)), "it is too young still");
            let met = count_matured(&mut recent, &mut streaks, still_fails, settled(per), t(300));
            assert_eq!((met, settles_at(&streaks)), (still_fails, None), "{per:?}");
            // Two, of which it is not known whether it fails, are not three.
            gather(&mut recent, &mut streaks, young(8, 0, 30, 2, 300), settled(CountScope::Object));
            assert!(!count_matured(&mut recent, &mut streaks, true, settled(CountScope::Object), t(300)));
        }
    }

    #[test]
    fn lasting_is_told_whatever_the_age() {
        let open_when = OpenWhen { lasts: Some(Duration::from_secs(120)), ..settled(CountScope::Object) };
        let (mut recent, mut streaks) = (Vec::new(), Vec::new());
        let mut at = |until| gather(&mut recent, &mut streaks, young(7, until - 1, until, 1, 300), open_when);
        assert_eq!(
            [at(10), at(70), at(131)],
            [OpenCheck::TooYoung(t(300)), OpenCheck::TooYoung(t(300)), OpenCheck::Opens]
        );
    }

    #[test]
    fn runs_of_an_older_store_are_read() {
        let stored = rmp_serde::to_vec(&(7_u32, t(10), vec![t(20)])).unwrap();
        let streak: ObjectStreak = rmp_serde::from_slice(&stored).unwrap();
        assert_eq!(streak, ObjectStreak { times: vec![t(20)], ..ObjectStreak::new(7, t(10), None) });
        assert_eq!(rmp_serde::from_slice::<ObjectStreak>(&rmp_serde::to_vec(&streak).unwrap()).unwrap(), streak);
    }
}
