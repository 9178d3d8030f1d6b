//! What keeps a rule quiet for a while though its incidents are open: hours in which nobody wants to
//! hear of them, planned maintenance, and other incidents that explain them.
//!
//! Owns the settings; [`crate::step`] decides what happens to an incident meanwhile. Nothing in here forgets anything:
//! whatever is held back is sent, or summed up, when it ends.

mod calendar;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use calendar::{Active, Hours};

use super::condition::{Conditions, EventFields};
use super::{Field, RuleKey};
use crate::time::Time;

/// What an incident of one rule does to those of another: while it is open, they are held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inhibit {
    /// The other rule, of the same file: a team cannot silence another one.
    pub rule: RuleKey,
    /// The values that must be equal. Both rules group by them, so each incident has one value; but for the node, where
    /// every node of the other incident must be one that this one is about.
    pub equal: Vec<Field>,
    /// Whether this incident lists what it holds back, which then is told by itself only if it outlives the cause.
    pub into_cause: bool,
}

/// Planned work: until its end, notices of what it is about are held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Maintenance {
    /// What people call it.
    pub name: Arc<str>,
    /// When it begins; `None` if it has begun.
    pub from: Option<Time>,
    /// When it ends.
    pub until: Time,
    /// What it is about: source, cluster, namespace, service, workload.
    pub matching: Conditions,
    /// The scopes of its file: all must fit.
    pub scopes: Vec<Conditions>,
    /// The file whose rules it holds. `None`: all rules, as the operator decided.
    pub file: Option<Arc<str>>,
}

impl Maintenance {
    /// The keys that its `match` may have: what does not change from one event to the next.
    pub(crate) const FIELDS: [Field; 5] =
        [Field::Source, Field::Cluster, Field::Namespace, Field::Service, Field::Workload];

    /// Whether it is in effect at this time.
    pub(crate) fn holds_at(&self, now: Time) -> bool {
        self.from.is_none_or(|from| from <= now) && now < self.until
    }

    /// Whether it holds a rule's notices about these facts.
    pub(crate) fn is_about(&self, rule: &RuleKey, facts: &EventFields<'_>) -> bool {
        self.file.as_ref().is_none_or(|file| *file == rule.file)
            && self.matching.fit(facts)
            && self.scopes.iter().all(|scope| scope.fit(facts))
    }
}

/// A span of time in which nothing is sent, by the name that people know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// The time outside of these hours.
    Hours(Arc<str>),
    /// Planned work of this name.
    Maintenance {
        /// Its name.
        name: Arc<str>,
        /// The file whose rules it holds, because names are unique in a file only; `None`: podbell.yaml.
        file: Option<Arc<str>>,
    },
}

impl Window {
    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Hours(name) | Self::Maintenance { name, .. } => name,
        }
    }
}
