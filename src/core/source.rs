//! What is known of a source, and what it can say besides event lists.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::Target;

/// What the core must know of a source to judge its times and silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// How often each target is read.
    pub poll_every: Duration,
    /// How far back its lists reach; longer blindness loses events.
    pub memory: Duration,
    /// At first contact, what happened within this time is told.
    pub first_poll_window: Duration,
    /// The offset of its `time_zone` now, in seconds east of UTC.
    pub utc_offset_seconds: i32,
    /// What people call its clusters.
    pub aliases: BTreeMap<String, String>,
}

/// A target and how it came to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// The target.
    pub target: Target,
    /// Found by discovery, so that it may go again; else configured, and its absence is trouble.
    pub discovered: bool,
}

/// Why a target could not be read, in words for the operator and without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollError {
    /// The API's code such as `4100`, or a short word of ours: `timeout`, `connect`, `cut-off`,
    /// `not-json`, `too-large`, `http-502`.
    pub code: String,
    /// What happened.
    pub text: String,
    /// What the operator can do about it.
    pub advice: String,
    /// The service does not exist (any more): -16013.
    pub gone: bool,
}
