//! Events in few words.

use podbell_core::event::{Event, Level};
use podbell_core::time::Time;

/// 2026-01-02 03:04:00 UTC, where virtual time starts.
pub const START: Time = Time::from_seconds(1_767_323_040);

/// `seconds` after the start of virtual time.
pub fn at(seconds: i64) -> Time {
    Time::from_seconds(START.seconds() + seconds)
}

/// A Warning of a pod; times in seconds of virtual time.
pub fn warning(obj_name: &str, reason: &str, message: &str, count: u64, first: i64, last: i64) -> Event<'static> {
    Event {
        series: false,
        metadata: None,
        first_seen: at(first),
        last_seen: at(last),
        count,
        level: Level::Warning,
        obj_type: "Pod".into(),
        obj_name: obj_name.to_owned().into(),
        reason: reason.to_owned().into(),
        message: message.to_owned().into(),
    }
}
