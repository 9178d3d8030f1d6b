//! What keeps a rule quiet for a while though its incidents are open: hours in which nobody wants to
//! hear of them, planned maintenance, and other incidents that explain them.
//!
//! Owns what is written; what becomes of an incident meanwhile is `core::step`'s. Nothing in here
//! forgets anything: whatever is held back is told, or summed up, when it ends.

mod calendar;
pub mod read;

use std::sync::Arc;

use serde::Serialize;

pub use calendar::{Active, Hours};

use super::condition::{Conditions, Facts};
use super::rule::{Field, RuleKey};
use crate::time::Time;

/// What an incident of one rule does to those of another: while it is open, they are not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inhibit {
    /// The other rule, of the same file: a team cannot silence another one.
    pub rule: RuleKey,
    /// The values that must be equal; both rules group by them, so each incident has one value.
    pub equal: Vec<Field>,
}

/// Planned work: nothing is told of what it is about before its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Maintenance {
    /// What people call it.
    pub name: Arc<str>,
    /// When it begins; none: it has begun.
    pub from: Option<Time>,
    /// When it ends.
    pub until: Time,
    /// What it is about: source, cluster, namespace, service, workload.
    pub matching: Conditions,
    /// Those of its file: all must fit.
    pub scopes: Vec<Conditions>,
    /// Whose rules it holds: those of its file. None: all rules, by the operator's word.
    pub file: Option<Arc<str>>,
}

impl Maintenance {
    /// The keys that its `match` may have: what does not change from one event to the next.
    pub const FIELDS: [Field; 5] = [Field::Source, Field::Cluster, Field::Namespace, Field::Service, Field::Workload];

    /// Whether it goes on.
    pub fn holds_at(&self, now: Time) -> bool {
        self.from.is_none_or(|from| from <= now) && now < self.until
    }

    /// Whether it is about what a rule says of this.
    pub fn is_about(&self, rule: &RuleKey, facts: &Facts<'_>) -> bool {
        self.file.as_ref().is_none_or(|file| *file == rule.file)
            && self.matching.fit(facts)
            && self.scopes.iter().all(|scope| scope.fit(facts))
    }
}
