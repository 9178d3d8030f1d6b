//! What podbell tells of itself: its troubles, and announcements.

use serde::{Deserialize, Serialize};

use crate::mute::Author;
use crate::rule::quiet::Window;
use crate::time::Time;

/// Podbell's own trouble: one per subject and error code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The number people know it by.
    pub incident: u64,
    /// What it is about.
    pub subject: TroubleSubject,
    /// The error code or short word, such as `4100` or `timeout`.
    pub code: String,
    /// What happened, as the other side's error says it, without secrets.
    pub text: String,
    /// What the operator can do.
    pub advice: String,
    /// What is affected: targets of a source, deliveries of a destination; at most 20.
    pub affected: Vec<String>,
    /// How many are affected in all.
    pub affected_count: u64,
    /// Since when.
    pub since: Time,
    /// Until when, once it is over.
    pub until: Option<Time>,
}

/// What podbell has trouble with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TroubleSubject {
    /// Reading a source.
    Source(String),
    /// Delivering to a destination.
    Destination(String),
    /// Reading a rule file, or podbell.yaml for its rules.
    Rules(String),
}

impl TroubleSubject {
    /// The name of the source or destination, or the path of the file.
    pub fn name(&self) -> &str {
        match self {
            Self::Source(name) | Self::Destination(name) | Self::Rules(name) => name,
        }
    }
}

/// An announcement of podbell's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub enum Info {
    /// The first contact with a source.
    FirstContact {
        /// The source's name.
        source: String,
        /// How many services are watched.
        services: u64,
        /// Problems that were already there and are not alerted.
        already_there: u64,
        /// How far the events' times are off, in whole hours, and the zone that would fit.
        clock_hint: Option<ClockHint>,
    },
    /// A source or some of its targets could not be read for longer than it remembers.
    Blind {
        /// The source's name.
        source: String,
        /// How many services.
        services: u64,
        /// The first moment that may have been missed.
        from: Time,
        /// When it could be read again.
        until: Time,
    },
    /// A window ended that held notices for the destination.
    Held {
        /// The window.
        window: Window,
        /// When the first of those notices became due.
        from: Time,
        /// The window's end.
        until: Time,
        /// The incidents that are over by now, in words; at most 20.
        over: Vec<String>,
        /// How many are over by now in all.
        over_count: u64,
        /// How many are still open; those have notices of their own.
        still_open: u64,
    },
    /// The summary of the last day.
    Daily {
        /// Since when.
        since: Time,
        /// Until when.
        until: Time,
        /// Entries of all lists that were read.
        events: u64,
        /// Messages that the destination took.
        messages: u64,
        /// Incidents of whose opening it was notified.
        incidents: u64,
        /// Kinds of Warnings that no rule notified of.
        untold: u64,
    },
    /// A person muted something that the destination would be notified of.
    Muted {
        /// What, in words: a service, an incident, a rule.
        what: String,
        /// Who muted it.
        by: Author,
        /// The reason, in their words.
        why: Option<String>,
        /// Until when.
        until: Time,
        /// How many open incidents it holds.
        holds: u64,
    },
    /// A person tests a destination.
    Test {
        /// The destination.
        destination: String,
    },
    /// The store is not as podbell left it.
    Store {
        /// What happened to it.
        #[serde(flatten)]
        fate: StoreFate,
        /// The folder in which the damaged files are kept.
        kept: Option<String>,
    },
    /// Deliveries that were given up.
    Dead {
        /// The destination.
        destination: String,
        /// How many.
        deliveries: u64,
        /// Why, in words.
        why: String,
    },
}

/// What happened to the store since podbell wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum StoreFate {
    /// Commits are missing: a backup was put in its place, or its log is damaged or gone.
    WentBack {
        /// How many commits.
        commits: u64,
        /// When the newest commit that is still there was made.
        from: Option<Time>,
        /// When the last commit was made.
        until: Time,
    },
    /// Another store is in its place.
    Replaced {
        /// When the last commit was made to the store that was there.
        until: Time,
    },
    /// It is gone or empty: a new one was begun.
    Lost {
        /// When the last commit was made.
        until: Option<Time>,
    },
    /// It is damaged, and nothing of it can be read: a new one was begun.
    Damaged {
        /// What is wrong.
        why: String,
        /// When the last commit was made.
        until: Option<Time>,
    },
    /// It is damaged; podbell goes on with what could be read.
    Mended {
        /// What is wrong.
        why: String,
        /// Rows that could be read.
        rows: u64,
    },
    /// It was deleted while podbell ran, which wrote it again.
    Rewritten,
    /// It is a backup, and what podbell did since that was made is unknown.
    Restored {
        /// When the backup was made.
        from: Time,
    },
    /// Its stamp is damaged or gone: whether commits are missing cannot be known.
    Unsure,
}

impl StoreFate {
    /// The word in webhooks and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::WentBack { .. } => "went_back",
            Self::Replaced { .. } => "replaced",
            Self::Lost { .. } => "lost",
            Self::Damaged { .. } => "damaged",
            Self::Mended { .. } => "mended",
            Self::Rewritten => "rewritten",
            Self::Restored { .. } => "restored",
            Self::Unsure => "unsure",
        }
    }
}

/// The events' times do not fit the source's `time_zone`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockHint {
    /// Whole hours; positive when the events seem to lie in the future.
    pub hours: i64,
    /// The zone that would fit, if it is a common one.
    pub zone: Option<String>,
}
