//! How far a source's dates lie behind podbell's clock.
//!
//! A cluster's clock may be wrong by minutes, and its lists may be read in a wrong zone. The newest date that a source
//! showed lately tells by how much; a single event that was written late does not.

use std::time::Duration;

use crate::diff::CLOCK_TOLERANCE;
use crate::time::Time;

/// Events at least this far apart are independent evidence.
const APART: Duration = Duration::from_secs(30);
/// How long an age is believed: between one and two windows.
const WINDOW: Duration = Duration::from_secs(1800);

/// The smallest age of the events that a source showed lately, at the time they were shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lag {
    /// Start of the current window, and the smallest age in it, in milliseconds; negative: in the future.
    current: Option<(Time, i64)>,
    /// The smallest age in the window before.
    before: Option<i64>,
    /// When the first event was shown.
    first: Option<Time>,
    /// Whether events were shown at least [`APART`] apart: a single event may have been written late.
    sure: bool,
    /// The newest date so far.
    newest: Time,
}

impl Lag {
    /// Notes the newest date of a list at `now`. A date that is not newer than before proves nothing.
    pub(super) fn note_newest(&mut self, date: Time, now: Time) {
        if date > self.newest {
            self.newest = date;
            self.note(date, now);
        }
    }

    fn note(&mut self, date: Time, now: Time) {
        let first = *self.first.get_or_insert(now);
        self.sure |= now.since(first) >= APART;
        let age = now.millis().saturating_sub(date.millis());
        match &mut self.current {
            Some((since, smallest)) if now.since(*since) < WINDOW => *smallest = age.min(*smallest),
            Some((_, smallest)) => {
                self.before = Some(*smallest);
                self.current = Some((now, age));
            }
            None => self.current = Some((now, age)),
        }
    }

    /// How much too early the source's dates are. A delay that a poll and a slow reporter may cause counts as none.
    pub(super) fn behind(&self) -> Duration {
        let smallest = self.current.map(|(_, age)| age).into_iter().chain(self.before).min().unwrap_or(0);
        let behind = Duration::from_millis(u64::try_from(smallest).unwrap_or(0));
        if self.sure && behind > CLOCK_TOLERANCE { behind } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(seconds: i64) -> Time {
        Time::from_seconds(seconds)
    }

    #[test]
    fn a_clock_that_is_behind_is_told_from_an_event_that_was_written_late() {
        let mut lag = Lag::default();
        assert_eq!(lag.behind(), Duration::ZERO);
        lag.note(t(10_000 - 700), t(10_000));
        assert_eq!(lag.behind(), Duration::ZERO, "one may be late");
        lag.note(t(10_020 - 700), t(10_020));
        lag.note(t(10_031 - 700), t(10_031));
        assert_eq!(lag.behind(), Duration::from_secs(700), "several are not");
        lag.note(t(10_000), t(10_040));
        assert_eq!(lag.behind(), Duration::ZERO);
        lag.note(t(10_000), t(11_000));
        lag.note(t(12_000), t(12_700));
        assert_eq!(lag.behind(), Duration::ZERO, "half an hour later it still is");
        lag.note(t(13_900), t(14_600));
        lag.note(t(16_000), t(16_700));
        assert_eq!(lag.behind(), Duration::from_secs(700), "the cluster's clock was set back");
    }
}
