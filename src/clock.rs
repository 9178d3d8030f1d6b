//! The only place that reads the machine's clocks. Everything else gets the time as an argument.
#![allow(clippy::disallowed_methods)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use podbell_core::time::{Jump, Time};

/// The wall clock.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The monotonic clock, for measuring how long something took.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Compares both clocks: the monotonic clock says how much time passed. Where the wall clock differs from that, it was
/// set.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// What both showed when they were last in step.
    wall: Time,
    monotonic: Instant,
}

impl Clocks {
    /// Both clocks are in step now.
    pub(crate) fn start() -> Self {
        Self::in_step(now(), monotonic())
    }

    /// Both clocks are in step at this moment.
    pub fn in_step(wall: Time, monotonic: Instant) -> Self {
        Self { wall, monotonic }
    }

    /// What time it is, and by how much the wall clock was set since it was last asked.
    pub fn read(&mut self) -> (Time, Jump) {
        let wall = now();
        (wall, self.compare(wall, monotonic()))
    }

    /// The same, for given readings of both clocks.
    pub fn compare(&mut self, wall: Time, monotonic: Instant) -> Jump {
        let expected = self.wall.plus(monotonic.saturating_duration_since(self.monotonic));
        let jump = Jump::between(expected, wall);
        if jump.length() < Jump::MIN_LENGTH {
            return Jump::NONE;
        }
        *self = Self::in_step(wall, monotonic);
        jump
    }
}
