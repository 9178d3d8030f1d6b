//! What became of each Warning change, and why: the audit trail for `explain` and backtests.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Setup;
use crate::diff::{Change, ChangeKind};
use crate::event::{Subject, Target};
use crate::incident::hold::HoldReason;
use crate::metadata::Metadata;
use crate::rule::{Destination, RuleKey};
use crate::time::Time;

/// How many characters of a message are kept.
const MAX_MESSAGE: usize = 300;
/// How many characters of every other text of a cluster are kept.
const MAX_NAME: usize = 300;

/// What became of one change of level Warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When podbell observed it.
    pub at: Time,
    /// The target that showed it.
    pub target: Target,
    /// How the diff classified it.
    pub change: ChangeKind,
    /// New occurrences.
    pub new: u64,
    /// The cluster's count of occurrences.
    pub count: u64,
    /// The type of the event's object.
    pub obj_type: String,
    /// The name of the event's object.
    pub obj_name: String,
    /// The event's reason.
    pub reason: String,
    /// The beginning of the event's message.
    pub message: String,
    /// The object's workload.
    pub workload: String,
    /// The rules that decided: equal for equal rules, see [`crate::rules::Rules::generation`].
    pub rules: u64,
    /// The outcome.
    pub verdict: Verdict,
    /// The node that its object was on, as far as that was known.
    #[serde(default)]
    pub node: String,
    /// Whether a source derived this event from an object's state, instead of reading it from the cluster.
    #[serde(default)]
    pub signal: bool,
    /// The labels and annotations of its object that were known.
    #[serde(default)]
    pub metadata: Option<Arc<Metadata>>,
    /// When the newest occurrence was, by the cluster's clock.
    #[serde(default)]
    pub last_seen: Time,
}

/// The outcome, by the step that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No rule matches it.
    NoRule,
    /// These rules ignore it as noise.
    Ignored(Vec<RuleKey>),
    /// These rules won it, each for some destinations.
    Claimed(Vec<RuleDecision>),
}

/// What one rule made of the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDecision {
    /// The rule.
    pub rule: RuleKey,
    /// The destinations that the rule won.
    pub to: Vec<Destination>,
    /// The incident that the change joined, if any.
    pub incident: Option<u64>,
    /// What joining did to the incident.
    pub effect: Effect,
    /// The destinations whose notices are held back now, and what holds them.
    #[serde(default)]
    pub held: Vec<(Destination, HoldReason)>,
}

/// What joining did to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Another service of the namespace had shown the same occurrences before.
    SeenElsewhere,
    /// Too few occurrences yet for `open_when`.
    Gathers {
        /// Occurrences within the window.
        have: u64,
        /// Occurrences needed to open.
        need: u64,
    },
    /// Its object is younger than `settled` of `open_when`: it counts if it still goes on then.
    TooYoung {
        /// When the object is old enough.
        until: Time,
    },
    /// It has not lasted long enough yet for `open_when`.
    Waits,
    /// What it reports had ended before it was written.
    Over,
    /// Its object had been deleted long before it was written.
    Gone,
    /// The incident opened.
    Opened,
    /// The incident reopened.
    Reopened,
    /// The incident was open already, and counts the occurrences.
    Counted,
}

impl Decision {
    pub(super) fn new(
        setup: &Setup,
        subject: &Subject<'_>,
        change: &Change<'_>,
        claimed: Vec<RuleDecision>,
        now: Time,
    ) -> Self {
        let clip = |text: &str, most: usize| text.trim().chars().take(most).collect::<String>();
        let event = &change.event;
        let verdict = if claimed.is_empty() {
            let ignored = setup.rules.ignored_by(subject);
            let keys: Vec<RuleKey> = ignored.into_iter().map(|id| setup.rules.get(id).settings.key.clone()).collect();
            if keys.is_empty() { Verdict::NoRule } else { Verdict::Ignored(keys) }
        } else {
            Verdict::Claimed(claimed)
        };
        Self {
            at: now,
            target: subject.target.clone(),
            change: change.kind,
            new: change.new,
            count: event.count,
            obj_type: clip(&event.obj_type, MAX_NAME),
            obj_name: clip(&event.obj_name, MAX_NAME),
            reason: clip(&event.reason, MAX_NAME),
            message: clip(&event.message, MAX_MESSAGE),
            workload: clip(subject.workload, MAX_NAME),
            rules: setup.rules.generation(),
            verdict,
            node: clip(event.node.as_deref().unwrap_or_default(), MAX_NAME),
            signal: event.signal,
            metadata: event.metadata.clone(),
            last_seen: event.last_seen,
        }
    }

    /// The incidents that the change joined.
    pub fn incidents(&self) -> impl Iterator<Item = u64> + '_ {
        let claimed = match &self.verdict {
            Verdict::Claimed(claimed) => claimed.as_slice(),
            _ => &[],
        };
        claimed.iter().filter_map(|claimed| claimed.incident)
    }
}
