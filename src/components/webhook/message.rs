//! The shape of a webhook's message (docs/webhook.md), from which its JSON Schema follows. A new field needs no
//! announcement; none is removed or changes its type.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

use podbell_core::event::Level;
use podbell_core::notice::{CloseReason, NoticeKind};
use podbell_core::rule::{Field, Severity};
use podbell_core::time::Time;

/// Infos by the words after the dot of their type.
pub(super) const INFOS: [&str; 8] = ["first_contact", "blind", "held", "daily", "muted", "store", "test", "dead"];

/// The JSON Schema of a message.
pub(crate) fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Message<'static>>().to_value()
}

/// The body of every request that podbell sends to a webhook. Readers must ignore fields they do not know: new ones may be added, none of these will be removed or change its type.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "podbell webhook message", deny_unknown_fields)]
pub(super) struct Message<'a> {
    /// The same in every attempt, and the same as the header webhook-id.
    pub id: &'a str,
    /// What it is about, and what happened to it.
    #[serde(rename = "type")]
    #[schemars(schema_with = "types")]
    pub kind: String,
    /// When the notice was made (of several, the first).
    pub timestamp: Timestamp,
    pub data: Data<'a>,
}

/// Every type of a message.
fn types(_: &mut SchemaGenerator) -> Schema {
    use NoticeKind::{Closed, Escalated, Opened, Reminded, Reopened, Resolved};
    let incidents = [Opened, Escalated, Reminded, Resolved, Reopened, Closed].map(|kind| ("incident", kind.as_str()));
    let troubles = [Opened, Escalated, Reminded, Resolved].map(|kind| ("trouble", kind.as_str()));
    let all = incidents.into_iter().chain(troubles).chain(INFOS.map(|word| ("info", word)));
    let all: Vec<String> = all.map(|(about, word)| format!("{about}.{word}")).collect();
    json_schema!({"type": "string", "enum": all})
}

/// RFC 3339, UTC.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(rename = "time")]
pub(super) struct Timestamp(String);

impl From<Time> for Timestamp {
    fn from(time: Time) -> Self {
        Self(time.timestamp().to_string())
    }
}

/// What it says. `incident`, `trouble` or `info` are left out when the receiver refused the message twice because of its content.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "data", deny_unknown_fields)]
pub(super) struct Data<'a> {
    pub notice: NoticeKind,
    /// The numbers of all notices that are folded into this message, ascending.
    pub notices: Vec<u64>,
    pub severity: Severity,
    /// When the poll was made, or the timer fired, that caused the notice (of several notices, the first).
    pub caused_at: Timestamp,
    pub made_at: Timestamp,
    /// One line for people, in the language of the destination.
    pub title: String,
    /// Some lines for people. Contains text of the cluster, not escaped.
    pub text: String,
    /// The number people know it by, #1042; null for an info.
    pub incident_id: Option<u64>,
    /// Where the status page shows it; only with server.public_url and a page that somebody can sign in to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "&'a str")]
    pub url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Incident<'a>")]
    pub incident: Option<Box<Incident<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Trouble<'a>")]
    pub trouble: Option<Trouble<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Info<'a>")]
    pub info: Option<Info<'a>>,
}

/// A problem in a cluster.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "incident", deny_unknown_fields)]
pub(super) struct Incident<'a> {
    pub id: u64,
    pub rule: Rule<'a>,
    /// The values it is grouped by.
    #[schemars(with = "BTreeMap<String, String>")]
    pub group: &'a BTreeMap<Field, String>,
    pub source: String,
    pub cluster: String,
    pub cluster_alias: Option<String>,
    pub namespace: String,
    /// Empty where the rule mixes several.
    pub workload: String,
    pub services: Vec<String>,
    /// The most frequent first.
    pub reasons: Vec<Reason>,
    /// Since it opened.
    pub occurrences: u64,
    /// What the cluster has counted, older occurrences included.
    pub in_all: u64,
    /// Distinct objects within the last hour.
    pub objects: u64,
    /// Some of them, the newest first.
    pub object_names: Vec<String>,
    pub newest: NewestEvent,
    /// When podbell first observed it.
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// Since when the cluster has seen it, by its own clock.
    pub first_seen: Timestamp,
    /// How often it came back.
    pub reopened: u32,
    /// What this destination was told before; null with its first message.
    pub told: Option<Told>,
    /// Reasons and kinds of message that are new since then.
    pub news: Vec<String>,
    /// For how long nobody had acknowledged it, if that is why it is sent; else null.
    pub unacknowledged_seconds: Option<u64>,
    /// For how long it has been quiet; 0 unless resolved.
    pub quiet_seconds: u64,
    /// The event that ended it; null unless one did. An empty reason: the object was deleted.
    pub ended_by: Option<EndingEvent>,
    /// The rollout of its workload that it began at most 30 min after; null if there was none. Empty lists: images are unknown or did not change.
    pub rollout: Option<Rollout>,
    /// The workloads that its cause affects, such as those of a node that is down; up to ten, those with most pods first.
    pub affected: Vec<Affected>,
    /// How many workloads it affects in all.
    pub affected_count: u64,
    /// How many pods of its workloads are ready: at its end, if their readiness ended it; before its end, while not all of them are ready. Otherwise null, also if podbell does not know.
    pub status: Option<Readiness>,
    /// How its newest failed pod was when it opened; in the first notice only, and where the source could be asked.
    pub pod: Option<Pod>,
    pub closed_because: Option<CloseReason>,
    /// When podbell could not see.
    pub blind: Vec<Span>,
    pub runbook: Option<&'a str>,
    pub labels: &'a BTreeMap<String, String>,
    /// What to type to look closer. Only names that Kubernetes gives out are in it.
    pub command: Option<String>,
    /// What the newest event usually means, in the language of the destination; null for reasons that podbell does not know, and when it is over.
    pub help: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Rule<'a> {
    pub file: &'a str,
    pub name: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Affected {
    pub namespace: String,
    pub workload: String,
    pub pods: u64,
}

/// Who did it, and where.
#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct By {
    pub name: String,
    pub via: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Reason {
    pub reason: String,
    pub occurrences: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct NewestEvent {
    #[schemars(schema_with = "levels")]
    pub level: &'static str,
    pub obj_type: String,
    pub obj_name: String,
    pub reason: String,
    pub message: String,
}

fn levels(_: &mut SchemaGenerator) -> Schema {
    let levels = [Level::Normal, Level::Warning].map(Level::as_str);
    json_schema!({"type": "string", "enum": levels})
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Told {
    pub at: Timestamp,
    pub occurrences: u64,
    pub objects: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct EndingEvent {
    pub reason: String,
    pub obj_type: String,
    pub obj_name: String,
    pub at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Rollout {
    pub at: Timestamp,
    pub after_seconds: u64,
    pub before: Vec<String>,
    pub after: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Readiness {
    pub wanted: u32,
    pub ready: u32,
    pub rolling_out: bool,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Pod {
    pub name: String,
    pub node: String,
    pub phase: String,
    pub containers: Vec<Container>,
    /// Only with `enrich: logs` of the source and `logs: true` of the destination; secrets are masked.
    pub log: Option<Log>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Container {
    pub name: String,
    pub waiting: String,
    pub restarts: u64,
    pub ended: Option<Ended>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Ended {
    pub reason: String,
    pub exit_code: i64,
    pub at: Timestamp,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Log {
    pub container: String,
    pub previous: bool,
    pub text: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Podbell cannot read a source, deliver to a destination, or use a rule file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "trouble", deny_unknown_fields)]
pub(super) struct Trouble<'a> {
    pub id: u64,
    pub subject: Subject<'a>,
    pub code: String,
    pub text: String,
    pub advice: String,
    /// Some of them.
    pub affected: Vec<String>,
    pub affected_count: u64,
    pub since: Timestamp,
    /// Null while it lasts.
    pub until: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
#[schemars(inline, deny_unknown_fields)]
pub(super) enum Subject<'a> {
    Source(&'a str),
    Destination(&'a str),
    Rules(&'a str),
}

/// Podbell's own word. The type of the message says which of these it is.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "info", deny_unknown_fields)]
pub(super) enum Info<'a> {
    /// A source was read for the first time.
    FirstContact {
        source: &'a str,
        services: u64,
        already_there: u64,
        /// By how many hours its dates are off, if they seem to be.
        clock_off_hours: Option<i64>,
    },
    /// A source could not be read for a while.
    Blind { source: &'a str, services: u64, from: Timestamp, until: Timestamp },
    /// A window ended in which things were held back.
    Held {
        /// Hours outside of which a rule tells, or planned work.
        window: Window,
        from: Timestamp,
        until: Timestamp,
        /// What was held back and is over; some of it.
        over: Vec<String>,
        over_count: u64,
        /// What was held back and is still there; it is told by itself.
        still_open: u64,
    },
    /// The line of a day.
    Daily {
        since: Timestamp,
        until: Timestamp,
        events: u64,
        messages: u64,
        incidents: u64,
        /// Kinds of Warnings that no rule told.
        untold: u64,
    },
    /// Somebody muted something.
    Muted {
        /// As people type it.
        what: String,
        by: By,
        why: Option<String>,
        until: Timestamp,
        /// How many open incidents it holds.
        holds: u64,
    },
    /// Podbell's store is not as podbell left it.
    Store {
        fate: &'static str,
        why: Option<String>,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        /// How many commits or rows are missing.
        missing: u64,
        /// Where the damaged files are.
        kept: Option<String>,
    },
    /// Somebody asked for a test.
    Test { destination: &'a str },
    /// Deliveries were given up.
    Dead { destination: &'a str, deliveries: u64, why: String },
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Window {
    #[schemars(schema_with = "window_kinds")]
    pub kind: &'static str,
    pub name: String,
}

fn window_kinds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["hours", "maintenance"]})
}
