//! How fast an endpoint may be asked: a sliding window over attempts.
//!
//! A token bucket of 20 refilled at 20 a minute lets 39 through in its first minute; a window over
//! the attempts themselves, rebuilt from the store at start, does not.

use std::collections::VecDeque;
use std::time::Duration;

use crate::rule::Severity;
use crate::time::{Jump, Time};

/// How many attempts an endpoint takes in any span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The most attempts in any span.
    pub limit: usize,
    /// The length of a span.
    pub per: Duration,
    /// How many of the attempts are reserved for critical messages.
    pub kept_for_critical: usize,
}

impl Pace {
    /// One message a second, the usual limit of a chat. A little longer than a second, because the network can bring
    /// two requests closer together.
    pub const ONE_A_SECOND: Self = Self { limit: 1, per: Duration::from_millis(1100), kept_for_critical: 0 };
}

/// The attempts at one endpoint that still count.
#[derive(Clone, Debug, Default)]
pub struct RateWindow {
    attempts: VecDeque<Time>,
}

impl RateWindow {
    pub(super) fn clock_set(&mut self, by: Jump) {
        self.attempts.iter_mut().for_each(|at| at.carry(by));
    }

    /// Whether no attempt counts any more.
    pub fn is_free(&mut self, pace: Pace, now: Time) -> bool {
        self.free_at(pace, Severity::Critical, now);
        self.attempts.is_empty()
    }

    /// Attempts that may still count, ascending.
    pub(super) fn attempts(&self) -> impl Iterator<Item = Time> + '_ {
        self.attempts.iter().copied()
    }

    /// Notes an attempt.
    pub fn note(&mut self, at: Time) {
        self.attempts.push_back(at);
    }

    /// The first moment, `now` or later, at which another attempt for a notice of this severity is within the pace.
    pub fn free_at(&mut self, pace: Pace, severity: Severity, now: Time) -> Time {
        // After the clock was set back, attempts of the future count as made now.
        for future in self.attempts.iter_mut().rev().take_while(|at| **at > now) {
            *future = now;
        }
        while self.attempts.front().is_some_and(|first| first.plus(pace.per) <= now) {
            self.attempts.pop_front();
        }
        let limit = if severity == Severity::Critical {
            pace.limit
        } else {
            pace.limit.saturating_sub(pace.kept_for_critical).max(1)
        };
        // The attempt that must leave the window before another one fits.
        match self.attempts.len().checked_sub(limit).and_then(|at| self.attempts.get(at)) {
            Some(leaving) => leaving.plus(pace.per).max(now),
            None => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_window_holds_at_most_the_pace_and_critical_has_its_own_reserve() {
        let t = |s: i64| Time::from_seconds(1000 + s);
        let pace = Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 5 };
        let mut window = RateWindow::default();
        for n in 0..15 {
            assert_eq!(window.free_at(pace, Severity::Warning, t(n)), t(n));
            window.note(t(n));
        }
        assert_eq!(window.free_at(pace, Severity::Warning, t(15)), t(61));
        for n in 15..20 {
            assert_eq!(window.free_at(pace, Severity::Critical, t(n)), t(n));
            window.note(t(n));
        }
        assert_eq!(window.free_at(pace, Severity::Critical, t(20)), t(61));
        assert_eq!(window.free_at(pace, Severity::Critical, t(61)), t(61));
        assert_eq!(window.free_at(pace, Severity::Warning, t(61)), t(66));
    }
}
