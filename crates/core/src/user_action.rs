//! What people do to incidents: mute, unmute, acknowledge. And the results.
//!
//! The engine carries a user action out in one commit with its entry in the log of actions, so that whoever asks
//! afterwards sees it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mute::{Acknowledged, Author, Mute, Muted};
use super::scope::Scope;

/// Something that a person wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAction {
    /// Who wants it.
    pub by: Author,
    /// What they may see; whatever is outside does not exist for them.
    pub scope: Scope,
    /// What they want.
    pub act: Act,
}

/// What a person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Hold notices back.
    Mute {
        /// What to mute.
        what: Muted,
        /// How long; more than [`super::mute::LONGEST_MUTE`] is refused.
        lasts: Duration,
        /// The reason.
        why: Option<String>,
    },
    /// End a mute before its time.
    Unmute {
        /// All mutes of exactly this.
        what: Muted,
    },
    /// Acknowledge an incident: no reminders until it comes back.
    Acknowledge {
        /// The incident.
        id: u64,
    },
}

/// The result of a user action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub enum ActionResult {
    /// It is muted.
    Muted {
        /// The mute that is now in force.
        mute: Mute,
        /// How many open incidents it holds at this moment.
        holds: u64,
    },
    /// These mutes are over.
    Unmuted {
        /// Never empty.
        mutes: Vec<Mute>,
    },
    /// It is acknowledged.
    Acknowledged {
        /// The incident.
        id: u64,
        /// By whom it was acknowledged before, if it was.
        before: Option<Acknowledged>,
    },
    /// Nothing was changed.
    Refused {
        /// Why.
        because: Refusal,
    },
}

/// Why a user action was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is nothing like that, or nothing that the person may see.
    Unknown,
    /// It reaches into services that the person may not see.
    NotYours,
    /// It is over already.
    Over,
    /// Longer than a mute may be, or zero.
    Length,
    /// Nothing like that is muted.
    NotMuted,
    /// There are too many mutes.
    TooMany,
}
