//! `open_when`: whether enough occurrences lie within the window.

use std::time::Duration;

use crate::core::rules::rule::OpenWhen;
use crate::core::time::Time;

/// New occurrences, spread evenly over `(from, until]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrences {
    /// After this.
    pub from: Time,
    /// Up to and including this.
    pub until: Time,
    /// How many; at least 1.
    pub new: u64,
}

impl Occurrences {
    /// The moment of the `n`th, counting from 1.
    fn at(&self, n: u64) -> Time {
        let span = i128::from(self.until.millis() - self.from.millis().min(self.until.millis()));
        let offset = span * i128::from(n) / i128::from(self.new.max(1));
        self.until.minus(Duration::from_millis(u64::try_from(span - offset).unwrap_or(0)))
    }
}

/// Adds occurrences to the recent ones and says whether `open_when` is met at any of them. Keeps
/// no more than can still matter.
pub fn gather(recent: &mut Vec<Time>, occurrences: Occurrences, open_when: OpenWhen) -> bool {
    if open_when.count <= 1 {
        return true;
    }
    let needed = u64::from(open_when.count);
    // Within one even spread the first `needed` show the joint with what was before, and from
    // then on nothing changes: the last `needed` are all that later ones can see.
    let first = 1..=occurrences.new.min(needed);
    let last = occurrences.new.saturating_sub(needed).max(needed) + 1..=occurrences.new;
    for n in first.chain(last) {
        recent.push(occurrences.at(n));
        if reached(recent, open_when) {
            return true;
        }
        if recent.len() > open_when.count as usize {
            recent.remove(0);
        }
    }
    recent.retain(|at| occurrences.until.since(*at) < open_when.within);
    false
}

/// Whether the newest `count` lie within the window.
fn reached(recent: &[Time], open_when: OpenWhen) -> bool {
    let Some(first) = recent.len().checked_sub(open_when.count as usize) else { return false };
    match (recent.get(first), recent.last()) {
        (Some(first), Some(last)) => last.since(*first) < open_when.within,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    /// Polls as (from, until, new); whether the last of them meets `count` within `within` seconds.
    fn met(count: u32, within: u64, polls: &[(i64, i64, u64)]) -> Vec<bool> {
        let mut recent = Vec::new();
        let open_when = OpenWhen { count, within: Duration::from_secs(within) };
        polls
            .iter()
            .map(|&(from, until, new)| {
                gather(&mut recent, Occurrences { from: t(from), until: t(until), new }, open_when)
            })
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
                let open_when = OpenWhen { count, within: Duration::from_secs(within) };
                let occurrences = Occurrences { from: t(0), until: t(span), new };
                let all: Vec<Time> = (1..=new).map(|n| occurrences.at(n)).collect();
                let naive = all.windows(count as usize).any(|w| w[w.len() - 1].since(w[0]) < open_when.within);
                assert_eq!(gather(&mut Vec::new(), occurrences, open_when), naive, "{count} {new} {span} {within}");
            }
        }
    }
}
