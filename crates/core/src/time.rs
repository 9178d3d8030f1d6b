//! Instants as plain data. The core never reads a clock: it gets the time as an argument.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since the Unix epoch, UTC. Arithmetic saturates, so that no text from
/// a cluster can make it overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, description = "Milliseconds since 1970, UTC.")]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// Stands for a date of an event that the source does not show or that cannot be read; see [`Time::is_unknown`].
    pub const UNKNOWN: Self = Self(0);

    /// Whether it stands for a date that could not be read: no cluster is as old as the epoch.
    pub const fn is_unknown(self) -> bool {
        self.0 <= 0
    }

    /// The instant `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The instant `seconds` seconds after the Unix epoch.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The same as a timestamp.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }

    /// The instant `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The instant `span` earlier.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The same moment on a clock that was set since.
    #[must_use]
    pub fn moved(self, by: Jump) -> Self {
        Self(self.0.saturating_add(by.0))
    }

    /// Moves this moment along with the clock that was set.
    pub fn carry(&mut self, by: Jump) {
        *self = self.moved(by);
    }

    /// How long ago `earlier` was; zero if it is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// By how much a clock was set: forward, or back. A moment that is carried along by it is as far from now as before,
/// so that no duration becomes longer or shorter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Jump(i64);

impl Jump {
    /// A clock that is off by less than this was not set.
    pub const MIN_LENGTH: Duration = Duration::from_secs(1);
    /// The clock was not set.
    pub const NONE: Self = Self(0);

    /// The jump from the time that a clock should show to the time that it shows.
    pub fn between(expected: Time, shown: Time) -> Self {
        Self(shown.0.saturating_sub(expected.0))
    }

    /// Both jumps, one after the other.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// The opposite jump.
    #[must_use]
    pub fn undone(self) -> Self {
        Self(self.0.saturating_neg())
    }

    /// Whether the clock was not set.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether it was set back.
    pub fn is_back(self) -> bool {
        self.0 < 0
    }

    /// How far, either way.
    pub fn length(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
