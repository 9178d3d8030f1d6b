//! What is known of a source.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::notice::ClockHint;
use crate::source::SourceInfo;
use crate::step::lag::Lag;
use crate::time::Time;

/// A list reaches back an hour: if even its newest event is older than this, its dates are wrong.
const TOO_OLD: Duration = Duration::from_secs(70 * 60);
/// If even its oldest event lies further in the future than this, its dates are wrong, too.
const TOO_YOUNG: Duration = Duration::from_secs(5 * 60);

/// What is known of a source as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// Whether the first contact was announced.
    pub announced: bool,
    /// When its first target was read.
    pub first_good: Option<Time>,
    /// Workloads with Warnings in the silent baseline.
    pub already_there: u64,
    /// The age of the newest event at first contact, in milliseconds; negative: in the future.
    pub newest_age: Option<i64>,
    /// The age of the oldest event at first contact, likewise.
    pub oldest_age: Option<i64>,
    /// A blind time that has no notice yet.
    pub blind: Option<Blind>,
    /// Until when each watch of the source missed nothing, as of the last write; by the name of what the watch covers.
    #[serde(default)]
    pub watched: BTreeMap<String, Time>,
    /// Whether it ever showed an event about how pods come and go: then it also shows the ends of their troubles.
    #[serde(default)]
    pub shows_ends: bool,
    /// The same for nodes.
    #[serde(default)]
    pub shows_nodes: bool,
    /// How far the source's dates lie behind podbell's clock.
    #[serde(skip)]
    pub(in crate::step) lag: Lag,
    /// Since when the source is watched, in this run.
    #[serde(skip)]
    pub(in crate::step) watched_since: Option<Time>,
    /// When the episodes that left its lists were last checked for expiry.
    #[serde(skip)]
    pub(in crate::step) expired_at: Option<Time>,
    /// Whether a complete list of its targets was handed in since the start.
    #[serde(skip)]
    pub target_list_known: bool,
}

/// A time in which targets could not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// When the first of them went blind.
    pub from: Time,
    /// When the last of them was back.
    pub until: Time,
    /// Number of targets.
    pub services: u64,
    /// When the notice is due: postponed while more targets come back, up to `tell_by`.
    pub tell_at: Time,
    /// The latest time for the notice.
    pub tell_by: Time,
}

impl SourceState {
    /// When the next notice about the source is due.
    pub(in crate::step) fn wake_at(&self, info: Option<&SourceInfo>) -> Option<Time> {
        let first = self.first_good.filter(|_| !self.announced).map(|at| at.plus(patience(info)));
        [first, self.blind.map(|blind| blind.tell_at)].into_iter().flatten().min()
    }

    pub(in crate::step) fn meet(&mut self, already_there: u64, events: &[Event<'_>], now: Time) {
        self.first_good.get_or_insert(now);
        self.already_there += already_there;
        for event in events.iter().filter(|event| !event.last_seen.is_unknown()) {
            let age = now.millis().saturating_sub(event.last_seen.millis());
            self.newest_age = Some(self.newest_age.map_or(age, |newest| newest.min(age)));
            self.oldest_age = Some(self.oldest_age.map_or(age, |oldest| oldest.max(age)));
        }
    }

    /// The clock hint of the first contact, if every date is too old or in the future.
    pub(in crate::step) fn clock_hint(&self, info: Option<&SourceInfo>) -> Option<ClockHint> {
        // A watch reports instants, not wall clocks, and may be quiet for long.
        if !self.watched.is_empty() {
            return None;
        }
        clock_hint(self.newest_age?, self.oldest_age?, info.map(|info| info.utc_offset_seconds))
    }
}

/// The hint for lists that reach back an hour, if every date in them is too old or in the future. Takes the ages of the
/// newest and of the oldest event in milliseconds (negative: in the future), read in a zone with this offset.
pub fn clock_hint(newest: i64, oldest: i64, utc_offset_seconds: Option<i32>) -> Option<ClockHint> {
    const HOUR: i64 = 3_600_000;
    let too_old = newest > i64::try_from(TOO_OLD.as_millis()).unwrap_or(i64::MAX);
    let future = oldest < -i64::try_from(TOO_YOUNG.as_millis()).unwrap_or(i64::MAX);
    if !too_old && !future {
        return None;
    }
    // A true age lies between 0 and 1 h: the whole hours of the newest age are the error.
    let hours = -newest.div_euclid(HOUR);
    let zone = match utc_offset_seconds.map(|offset| i64::from(offset) + hours * 3600) {
        Some(0) => Some("UTC"),
        Some(28_800) => Some("Asia/Shanghai"),
        _ => None,
    };
    Some(ClockHint { hours, zone: zone.map(str::to_owned) })
}

/// How long the first contact waits for targets that cannot be read.
pub(in crate::step) fn patience(info: Option<&SourceInfo>) -> Duration {
    info.map_or(Duration::from_secs(60), |info| info.poll_every).saturating_mul(2)
}
