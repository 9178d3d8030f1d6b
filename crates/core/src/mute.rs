//! Mutes and acknowledgements. A person makes them, and a mute has an author, a reason and an end.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::Target;
use super::scope::Scope;
use super::time::Time;
use crate::rule::RuleKey;

/// The longest mute. For anything longer write a rule.
pub(crate) const LONGEST_MUTE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who did something, kept with it for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Author {
    /// What people call them, text from outside.
    pub name: String,
    /// Where they did it: a chat of podbell.yaml, [`Self::API_PREFIX`] and a token's name, [`Self::PAGE`] or
    /// [`Self::COMMAND_LINE`].
    pub via: String,
}

impl Author {
    /// On the status page. No chat has this name.
    pub const PAGE: &str = "page";
    /// By a command in a terminal. A chat's name has no spaces.
    pub const COMMAND_LINE: &str = "command line";
    /// Before the name of the API's token.
    pub const API_PREFIX: &str = "api ";
}

/// What is muted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Muted {
    /// Everything that a service shows. `None` matches anything.
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
    /// All notices of one rule.
    Rule {
        /// The rule.
        rule: RuleKey,
    },
}

/// A mute that a person made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mute {
    /// Ascending in the order in which they were made.
    pub id: u64,
    /// What is muted.
    pub what: Muted,
    /// What its author may see: it holds nothing outside of it.
    pub scope: Scope,
    /// Who made it.
    pub by: Author,
    /// The reason, in their words.
    pub why: Option<String>,
    /// Since when.
    pub from: Time,
    /// Its end, at most 7 days after `from`.
    pub until: Time,
}

impl Muted {
    /// Whether it is about all that a target shows, judged by the service alone.
    pub(crate) fn is_service(&self, target: &Target) -> bool {
        match self {
            Self::Service { service, .. } => self.is_place(target) && *service == *target.service,
            Self::Incident { .. } | Self::Rule { .. } => false,
        }
    }

    /// Whether a target is in the cluster and namespace of the muted service.
    pub(crate) fn is_place(&self, target: &Target) -> bool {
        let is = |wanted: &Option<String>, fact: &str| wanted.as_ref().is_none_or(|wanted| wanted == fact);
        match self {
            Self::Service { cluster, namespace, .. } => {
                is(cluster, &target.cluster) && is(namespace, &target.namespace)
            }
            Self::Incident { .. } | Self::Rule { .. } => false,
        }
    }

    /// Whether this covers everything that `other` covers; `None` here matches anything.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let is = |wanted: &Option<String>, fact: &Option<String>| wanted.is_none() || wanted == fact;
        match (self, other) {
            (
                Self::Service { cluster, namespace, service },
                Self::Service { cluster: other_cluster, namespace: other_namespace, service: other_service },
            ) => service == other_service && is(cluster, other_cluster) && is(namespace, other_namespace),
            _ => self == other,
        }
    }
}

/// An acknowledgement: a person takes care of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledged {
    /// Who acknowledged it.
    pub by: Author,
    /// When they did.
    pub at: Time,
}
