//! A mute: said by a person, with author, reason and end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::RuleKey;
use super::scope::Scope;
use super::time::Time;

/// The longest mute: what is longer is no silence but a rule.
pub const LONGEST_MUTE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who said something, kept with it for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Author {
    /// What people call them, text from outside.
    pub name: String,
    /// Where they said it: a chat of podbell.yaml, `api TOKEN` or `command line`.
    pub via: String,
}

/// What is muted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Muted {
    /// Everything that a service shows. What is `None` is any.
    Service {
        /// The cluster's id.
        cluster: Option<String>,
        /// The namespace.
        namespace: Option<String>,
        /// The service's name, or a workload's.
        service: String,
    },
    /// One incident.
    Incident {
        /// Its number.
        id: u64,
    },
    /// Everything that one rule tells.
    Rule {
        /// Which.
        rule: RuleKey,
    },
}

/// A mute that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// Ascending in the order of saying.
    pub id: u64,
    /// What is muted.
    pub what: Muted,
    /// What its author may see: it holds nothing beyond.
    pub scope: Scope,
    /// Who said it.
    pub by: Author,
    /// Why, in their words.
    pub why: Option<String>,
    /// Since when.
    pub from: Time,
    /// Its end, at most [`LONGEST_MUTE`] after `from`.
    pub until: Time,
}

/// An acknowledgement: a person has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: Author,
    /// When.
    pub at: Time,
}
