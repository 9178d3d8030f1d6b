//! `open_when`: whether enough occurrences lie within the window, or one object's trouble lasts for long enough.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::rule::{OpenWhen, Per};
use crate::time::{Jump, Time};

/// Occurrences of one object that lie further apart than this are not one lasting trouble, unless the rule's window is
/// longer: the kubelet is silent about an object for 5 minutes, and for as long again when it has two things to say.
const RUN_GAP: Duration = Duration::from_secs(15 * 60);
/// Bound on the objects that are counted separately.
const MOST_RUNS: usize = 1000;

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

    /// The occurrences that can decide whether a window holds `needed` of them. In an even spread the first `needed`
    /// show the transition from earlier ones, and after them nothing changes; later ones can see only the last
    /// `needed`.
    fn deciding(&self, needed: u64) -> impl Iterator<Item = Time> {
        let first = 1..=self.new.min(needed);
        let last = self.new.saturating_sub(needed).max(needed) + 1..=self.new;
        let this = *self;
        first.chain(last).map(move |n| this.at(n)).filter(move |at| this.not_before.is_none_or(|bound| *at >= bound))
    }
}

/// The occurrences of one object that may still open an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// A hash of the object.
    object: u32,
    /// Since when it goes on without too long a pause.
    since: Time,
    /// Its newest occurrences, ascending.
    times: Vec<Time>,
}

impl Run {
    /// The clock was set.
    pub(super) fn clock_set(&mut self, by: Jump) {
        self.times.iter_mut().chain([&mut self.since]).for_each(|at| at.carry(by));
    }
}

/// Adds occurrences of an object and returns whether `open_when` is met. Keeps only what can still matter.
pub(crate) fn gather(
    recent: &mut Vec<Time>,
    runs: &mut Vec<Run>,
    object: u32,
    occurrences: Occurrences,
    open_when: OpenWhen,
) -> bool {
    let whole = match open_when.per {
        Per::Group => open_when.count,
        Per::Object => None,
    };
    let counted = whole.is_some_and(|count| add(recent, occurrences, count, open_when.within));
    if open_when.lasts.is_none() && open_when.per == Per::Group {
        return counted;
    }
    run(runs, object, occurrences, open_when) || counted
}

/// The same for the count of one object.
fn run(runs: &mut Vec<Run>, object: u32, occurrences: Occurrences, open_when: OpenWhen) -> bool {
    let gap = RUN_GAP.max(open_when.within);
    runs.retain(|run| run.times.last().is_some_and(|last| occurrences.last.since(*last) <= gap));
    let first = occurrences.deciding(1).next();
    let (Some(first), Some(_)) = (first, occurrences.deciding(1).last()) else { return false };
    let at = match runs.iter().position(|run| run.object == object) {
        Some(at) => at,
        None if runs.len() >= MOST_RUNS => return false,
        None => {
            runs.push(Run { object, since: first, times: Vec::new() });
            runs.len() - 1
        }
    };
    let Some(run) = runs.get_mut(at) else { return false };
    run.since = run.since.min(first);
    let count = match open_when.per {
        Per::Object => open_when.count,
        Per::Group => None,
    };
    let counted = match count {
        Some(count) => add(&mut run.times, occurrences, count, open_when.within),
        None => false,
    };
    // Keep the newest occurrence: it shows that the run goes on.
    if run.times.last().is_none_or(|last| *last < occurrences.last) {
        run.times.push(occurrences.last);
    }
    let lasts = open_when.lasts.is_some_and(|lasts| occurrences.last.since(run.since) >= lasts);
    counted || lasts
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
    let met = recent.windows(count).any(|window| match (window.first(), window.last()) {
        (Some(first), Some(last)) => last.since(*first) < within,
        _ => false,
    });
    if met {
        return true;
    }
    let newest = recent.last().copied().unwrap_or_default();
    recent.retain(|at| newest.since(*at) < within);
    let excess = recent.len().saturating_sub(count);
    recent.drain(..excess);
    false
}

/// Until when the gathered occurrences may still open an incident.
pub(crate) fn gathers_until(recent: &[Time], runs: &[Run], open_when: OpenWhen) -> Option<Time> {
    let recent = recent.last().map(|last| last.plus(open_when.within));
    let gap = RUN_GAP.max(open_when.within);
    let runs = runs.iter().filter_map(|run| run.times.last()).max().map(|last| last.plus(gap));
    recent.max(runs)
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

    /// Gathers polls given as (from, until, new); returns for each whether it meets `count` within `within` seconds.
    fn met(count: u32, within: u64, polls: &[(i64, i64, u64)]) -> Vec<bool> {
        let mut recent = Vec::new();
        let open_when = OpenWhen { count: Some(count), within: Duration::from_secs(within), ..OpenWhen::AT_ONCE };
        polls
            .iter()
            .map(|&(from, until, new)| gather(&mut recent, &mut Vec::new(), 0, between(from, until, new), open_when))
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
                let met = gather(&mut Vec::new(), &mut Vec::new(), 0, occurrences, open_when);
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
        assert!(gather(&mut recent, &mut Vec::new(), 0, between(119, 120, 1), open_when));
        let old = Occurrences { not_before: Some(t(1000)), ..between(0, 120, 30) };
        assert!(!gather(&mut Vec::new(), &mut Vec::new(), 0, old, open_when), "older than its window");
    }

    #[test]
    fn each_object_is_counted_on_its_own_and_lasts_on_its_own() {
        let ten = Duration::from_secs(600);
        let open_when = OpenWhen { count: Some(3), within: ten, per: Per::Object, lasts: Some(ten) };
        let (mut recent, mut runs) = (Vec::new(), Vec::new());
        let mut said = |object, at| gather(&mut recent, &mut runs, object, between(at - 1, at, 1), open_when);
        // A rollout: two of each of twenty pods, for ten minutes.
        assert!((0..20).all(|pod| !said(pod, i64::from(pod) * 30) & !said(pod, i64::from(pod) * 30 + 20)));
        // One in five minutes of one pod, as the kubelet's spam filter lets through.
        assert!(!said(99, 1000) && !said(99, 1300));
        assert!(said(99, 1601), "it lasts");
        assert!(!said(7, 5000) && !said(7, 5950) && !said(7, 6900), "with such pauses it does not");
    }
}
