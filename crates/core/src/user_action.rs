//! What people do to incidents: mute, unmute, acknowledge. And what came of it.
//!
//! A deed is carried out by the engine, in one commit with its entry in the log of actions; whoever
//! asks afterwards sees it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mute::{Acknowledged, Author, Mute, Muted};
use super::scope::Scope;

/// Something that a person wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAction {
    /// Who.
    pub by: Author,
    /// What they may see: whatever lies outside is, for them, not there.
    pub scope: Scope,
    /// What.
    pub act: Act,
}

/// What a person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Hold what would be told.
    Mute {
        /// Of what.
        what: Muted,
        /// How long; more than [`super::mute::LONGEST_MUTE`] is refused.
        lasts: Duration,
        /// Why.
        why: Option<String>,
    },
    /// End a mute before its time.
    Unmute {
        /// Which mutes: all of exactly this.
        what: Muted,
    },
    /// "I have it": no reminders until it comes back.
    Acknowledge {
        /// The incident.
        id: u64,
    },
}

/// What came of a deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub enum ActionResult {
    /// It is muted.
    Muted {
        /// As it holds now.
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

/// Why a deed was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is nothing like that, or nothing that the person may see.
    Unknown,
    /// It reaches into services that the person may not see.
    NotYours,
    /// It is over already.
    Over,
    /// Longer than a mute may be, or no time at all.
    Length,
    /// Nothing like that is muted.
    NotMuted,
    /// There are too many mutes.
    TooMany,
}
