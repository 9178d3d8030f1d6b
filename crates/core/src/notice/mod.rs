//! A notice: one thing to tell. Its facts are frozen when it is made, so that a late message says what was true then.

mod own;

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::enrichment::PodState;
use crate::event::Level;
use crate::health::{Health, Status};
use crate::metadata::Metadata;
use crate::mute::{Acknowledged, Author};
use crate::rollout::Rollout;
use crate::rule::{Destination, Field, RuleKey, Severity};
use crate::template::Template;
use crate::time::Time;
use crate::workload;

pub use own::{ClockHint, Info, StoreFate, Trouble, TroubleSubject};

/// An incident that reopened this often flaps: that is sent once, and after it only the final end.
pub(crate) const FLAPPING: u32 = 3;

/// What a notice says about its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// A problem started.
    Opened,
    /// It got worse.
    Escalated,
    /// It is still there.
    Reminded,
    /// It is over.
    Resolved,
    /// It came back.
    Reopened,
    /// Its rule or its targets are gone.
    Closed,
    /// An announcement of podbell's own; belongs to no incident.
    Info,
}

/// Why an incident was closed before its end was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum CloseReason {
    /// Its rule was removed, or groups by other fields now.
    #[serde(rename = "rule removed")]
    RuleRemoved,
    /// Discovery does not find its service any more.
    #[serde(rename = "service deleted")]
    ServiceDeleted,
    /// podbell.yaml does not name its service any more.
    #[serde(rename = "no longer watched")]
    NotWatched,
    /// podbell.yaml does not name its source any more.
    #[serde(rename = "source removed")]
    SourceRemoved,
}

impl CloseReason {
    /// The words in webhooks and templates, the same as serde writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RuleRemoved => "rule removed",
            Self::ServiceDeleted => "service deleted",
            Self::NotWatched => "no longer watched",
            Self::SourceRemoved => "source removed",
        }
    }
}

impl NoticeKind {
    /// The word in rule tests, webhooks and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Reminded => "reminded",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Closed => "closed",
            Self::Info => "info",
        }
    }

    /// Whether it says that its incident is over.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Resolved | Self::Closed)
    }
}

/// One thing to tell some destinations. Immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Ascending in the order in which they were made.
    pub id: u64,
    /// What it says.
    pub kind: NoticeKind,
    /// When the poll was made that caused it (the first of them, if the notice was deferred), or when its timer fired.
    pub caused_at: Time,
    /// When it became due.
    pub made_at: Time,
    /// How urgent it is.
    pub severity: Severity,
    /// The destinations.
    pub to: Vec<Destination>,
    /// The facts.
    pub body: NoticeBody,
}

/// The facts of a notice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "lowercase")]
pub enum NoticeBody {
    /// A problem in a cluster.
    Incident(Box<Story>),
    /// Podbell's own trouble: it cannot read a source, or cannot deliver to a destination.
    Trouble(Box<Trouble>),
    /// An announcement of podbell's own.
    Info(Info),
}

impl NoticeBody {
    /// The incident it belongs to, if any.
    pub fn incident(&self) -> Option<u64> {
        match self {
            Self::Incident(story) => Some(story.incident),
            Self::Trouble(trouble) => Some(trouble.incident),
            Self::Info(_) => None,
        }
    }
}

/// An incident as it was when the notice was made: the whole story, and what is new in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// The number people know it by, `#1042`.
    pub incident: u64,
    /// The rule that groups it.
    pub rule: RuleKey,
    /// The values it is grouped by.
    pub group: BTreeMap<Field, String>,
    /// Where: the source's name.
    pub source: String,
    /// Where: the cluster's id.
    pub cluster: String,
    /// What people call the cluster, when `aliases` says so.
    pub cluster_alias: Option<String>,
    /// Where: the namespace.
    pub namespace: String,
    /// The workload, such as `frontend`.
    pub workload: String,
    /// The services whose lists showed it.
    pub services: Vec<String>,
    /// Reasons with their occurrences in this incident, most frequent first.
    pub reasons: Vec<ReasonCount>,
    /// Occurrences since it opened (kept over reopening).
    pub occurrences: u64,
    /// What the cluster itself has counted of the same episodes, older occurrences included.
    pub in_all: u64,
    /// Distinct objects within the last hour.
    pub objects: u64,
    /// Up to five of their names, the newest first.
    pub object_names: Vec<String>,
    /// The event that messages quote: the newest, or the newest that names the cause.
    pub newest: Newest,
    /// When podbell first observed it.
    pub first_at: Time,
    /// When podbell last observed a new occurrence.
    pub last_at: Time,
    /// Since when the cluster has seen it.
    pub first_seen: Time,
    /// How often it came back.
    pub reopened: u32,
    /// What the destinations of this notice were last notified of; `None` in their first notice.
    pub told: Option<LastNotified>,
    /// New reasons or kinds of message since then.
    pub news: Vec<String>,
    /// How many seconds it has been quiet, if it is resolved.
    pub quiet_seconds: u64,
    /// The event that ended it; `None` if silence did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// The health of its workloads: at its end, if that ended it; before, if it is quiet but they are not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How ready its workloads were when the notice was made, if they were not wholly; not at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Health>,
    /// The workloads that its cause affects, those with most pods first; up to ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<AffectedWorkload>,
    /// How many they are in all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub affected_count: u64,
    /// How its newest failed pod was when it opened; only in the first notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodState>,
    /// The rollout of its workload that it opened soon after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<FollowedRollout>,
    /// Why it was closed.
    pub closed_because: Option<CloseReason>,
    /// Whose mute ended while it is still open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mute_over: Option<Author>,
    /// For how many seconds nobody had acknowledged it, if that is why it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unacknowledged_seconds: Option<u64>,
    /// Who acknowledged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
    /// When podbell could not read its source, within this incident.
    pub blind: Vec<(Time, Time)>,
    /// Whom to mention, in the words of the rule file.
    pub mentions: Vec<String>,
    /// The address of the runbook.
    pub runbook: Option<String>,
    /// The rule's labels: facts that the team adds.
    pub labels: BTreeMap<String, String>,
    /// The labels and annotations of the newest event's object, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<Metadata>>,
    /// The rule's template when the notice was made.
    #[serde(default, skip_serializing_if = "Template::is_empty")]
    pub template: Template,
}

impl Story {
    /// Whether it came back so often that its returns are no longer told: what knows of it hears of its final end.
    pub fn flaps(&self) -> bool {
        self.reopened >= FLAPPING
    }
}

impl Notice {
    /// Removes the container log: only notifiers with `logs: true` may send it.
    pub fn remove_logs(&mut self) {
        if let NoticeBody::Incident(story) = &mut self.body
            && let Some(pod) = &mut story.pod
        {
            pod.log = None;
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A workload that suffers from the cause of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedWorkload {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub workload: String,
    /// How many of its pods are known to suffer; 0: it is said of the workload itself.
    pub pods: u64,
}

/// A rollout that an incident opened soon after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct FollowedRollout {
    /// How many seconds after it the incident began.
    pub after_seconds: u64,
    /// The rollout.
    #[serde(flatten)]
    pub rollout: Rollout,
}

/// How often a reason occurred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: String,
    /// Its occurrences in the incident.
    pub occurrences: u64,
}

/// The event of an incident that messages quote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Its level.
    pub level: Level,
    /// Kind of object.
    pub obj_type: String,
    /// Name of the object.
    pub obj_name: String,
    /// Its reason.
    pub reason: String,
    /// Its text, trimmed, at most 4,000 characters.
    pub message: String,
}

/// What a destination was last notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastNotified {
    /// When that was.
    pub at: Time,
    /// How many occurrences there were then.
    pub occurrences: u64,
    /// How many objects there were then.
    pub objects: u64,
}

/// The event that ended the last standing trouble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedBy {
    /// Its reason, such as `NodeReady`; empty: the object was deleted.
    pub reason: String,
    /// The kind of its object.
    pub obj_type: String,
    /// The name of its object.
    pub obj_name: String,
    /// When it came, by podbell's clock.
    pub at: Time,
}

impl EndedBy {
    /// Whether it is a completed run of a cron job.
    pub(crate) fn is_a_run(&self) -> bool {
        self.obj_type == "Job" && workload::is_a_scheduled_run(&self.obj_name)
    }
}
