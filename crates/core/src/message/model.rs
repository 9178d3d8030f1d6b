//! The facts that a template can ask for, in the reader's language and zone. Every field is in
//! docs/templates.md; no field will be removed or change its meaning.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use serde::Serialize;

use super::story::{added_since, command, flapping, help, place, what};
use super::{Message, MessageFormatter};
use crate::notice::{CloseReason, Newest, Notice, NoticeKind, ReasonCount, Story};
use crate::template::TemplateValues;

/// Of an object whose labels or annotations are not known.
const NONE: &BTreeMap<String, String> = &BTreeMap::new();

#[derive(Serialize)]
struct Model<'a> {
    notice: &'static str,
    severity: &'static str,
    language: &'static str,
    title: &'a str,
    text: String,
    gist: String,
    incident: u64,
    rule: &'a str,
    rule_file: &'a str,
    source: &'a str,
    cluster: &'a str,
    cluster_alias: Option<&'a str>,
    namespace: &'a str,
    workload: &'a str,
    services: &'a [String],
    place: String,
    what: String,
    reasons: &'a [ReasonCount],
    occurrences: u64,
    in_all: u64,
    added: Option<u64>,
    objects: u64,
    object_names: &'a [String],
    newest: &'a Newest,
    since: String,
    last: String,
    in_cluster_since: String,
    told: Option<LastNotifiedModel>,
    news: &'a [String],
    quiet: Option<String>,
    unacknowledged: Option<String>,
    closed_because: Option<&'a str>,
    reopened: u32,
    flapping: bool,
    over: bool,
    blind: Vec<BlindModel>,
    rollout: Option<RolloutModel>,
    runbook: Option<&'a str>,
    labels: &'a BTreeMap<String, String>,
    object_labels: &'a BTreeMap<String, String>,
    object_annotations: &'a BTreeMap<String, String>,
    mentions: &'a [String],
    command: Option<String>,
    help: Option<&'static str>,
}

#[derive(Serialize)]
struct LastNotifiedModel {
    at: String,
    occurrences: u64,
    objects: u64,
}

#[derive(Serialize)]
struct RolloutModel {
    after: String,
    at: String,
    images: Option<String>,
}

#[derive(Serialize)]
struct BlindModel {
    from: String,
    until: String,
}

impl MessageFormatter<'_> {
    /// The facts of a notice; `message` is what podbell itself says of it.
    pub(super) fn model(&self, notice: &Notice, story: &Story, message: &Message) -> TemplateValues {
        let told = story.told.map(|told| LastNotifiedModel {
            at: self.clock.at(told.at),
            occurrences: told.occurrences,
            objects: told.objects,
        });
        let blind = story.blind.iter().map(|(from, until)| {
            let (from, until) = self.clock.ends(*from, *until);
            BlindModel { from, until }
        });
        let rollout = story.rollout.as_ref().map(|followed| RolloutModel {
            after: self.texts.duration(followed.after_seconds),
            at: self.clock.at(followed.rollout.at),
            images: followed.rollout.images(),
        });
        TemplateValues::from(Serde(Model {
            notice: notice.kind.as_str(),
            severity: notice.severity.as_str(),
            language: self.language.as_str(),
            title: &message.title,
            text: message.text(),
            gist: message.gist(),
            incident: story.incident,
            rule: &story.rule.name,
            rule_file: &story.rule.file,
            source: &story.source,
            cluster: &story.cluster,
            cluster_alias: story.cluster_alias.as_deref(),
            namespace: &story.namespace,
            workload: &story.workload,
            services: &story.services,
            place: place(story),
            what: what(story),
            reasons: &story.reasons,
            occurrences: story.occurrences,
            in_all: story.in_all,
            added: added_since(story),
            objects: story.objects,
            object_names: &story.object_names,
            newest: &story.newest,
            since: self.clock.at(story.first_at),
            last: self.clock.at(story.last_at),
            in_cluster_since: self.clock.at(story.first_seen),
            told,
            news: &story.news,
            quiet: (notice.kind == NoticeKind::Resolved).then(|| self.texts.duration(story.quiet_seconds)),
            unacknowledged: story.unacknowledged_seconds.map(|seconds| self.texts.duration(seconds)),
            closed_because: story.closed_because.map(CloseReason::as_str),
            reopened: story.reopened,
            flapping: flapping(notice, story),
            over: message.over,
            blind: blind.collect(),
            rollout,
            runbook: story.runbook.as_deref(),
            labels: &story.labels,
            object_labels: story.metadata.as_deref().map_or(NONE, |metadata| &metadata.labels),
            object_annotations: story.metadata.as_deref().map_or(NONE, |metadata| &metadata.annotations),
            mentions: &story.mentions,
            command: command(story),
            help: help(story, self.language).filter(|_| !message.over),
        }))
    }
}
