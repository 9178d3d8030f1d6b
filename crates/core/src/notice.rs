//! A notice: one thing to tell. Its facts are frozen when it is made, so that a late message says what was true then.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enrichment::PodState;
use super::event::Level;
use super::health::{Health, Status};
use super::incident::FLAPPING;
use super::incident::hold::Window;
use super::incident::standing::EndedBy;
use super::metadata::Metadata;
use super::mute::{Acknowledged, Author};
use super::rollout::Rollout;
use super::rules::rule::{Destination, Field, RuleKey, Severity};
use super::template::Template;
use super::time::Time;

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
    /// It went quiet.
    Resolved,
    /// It came back.
    Reopened,
    /// Its rule or its targets are gone.
    Closed,
    /// An announcement of podbell's own; belongs to no incident.
    Info,
}

/// Why an incident was closed before its end was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// When the poll was that caused it (of a deferred one: the first of them), or its timer.
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
    /// The newest text.
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
    /// Takes out what only destinations may read that are meant to.
    pub fn without_logs(&mut self) {
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

/// The newest event of an incident.
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
