//! A plausible event for a rule, made from its `match`, and an incident that began with it: what previews show.
//!
//! Pure. Begins with an event that clusters really write and changes only what the rule asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::set::{RuleId, Rules};
use crate::event::{Event, Level, Subject, Target};
use crate::message::sample;
use crate::metadata::{Metadata, MetadataKey};
use crate::notice::{Newest, ReasonCount, Story};
use crate::rule::condition::Conditions;
use crate::rule::{Field, Rule};
use crate::time::Time;
use crate::workload;

/// Events as clusters write them: object's kind, object's name, reason, message.
const EVENTS: [[&str; 4]; 15] = [
    ["Pod", POD, "BackOff", "Back-off pulling image \"registry.example.com/shop/web:v5\""],
    ["Pod", POD, "Failed", "Failed to pull image \"registry.example.com/shop/web:v5\": rpc error: code = NotFound"],
    ["Pod", POD, "Failed", "Error: ImagePullBackOff"],
    ["Pod", POD, "BackOff", "Back-off restarting failed container app in pod web-6d4cf56db6-x2x7v_shop"],
    [
        "Pod",
        POD,
        "FailedScheduling",
        "0/6 nodes are available: 6 Insufficient cpu. preemption: 0/6 nodes are available",
    ],
    ["Pod", POD, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"],
    ["Pod", POD, "Unhealthy", "Liveness probe failed: Get \"http://10.0.3.7:8080/healthz\": context deadline exceeded"],
    [
        "Pod",
        POD,
        "FailedMount",
        "MountVolume.SetUp failed for volume \"settings\" : configmap \"web-settings\" not found",
    ],
    [
        "Pod",
        POD,
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: plugin type=\"calico\" failed (add): timeout",
    ],
    ["Pod", POD, "Evicted", "The node was low on resource: memory."],
    [
        "Pod",
        POD,
        "pod启动失败",
        "Error syncing pod, skipping: failed to \"StartContainer\" for \"web\" with ImagePullBackOff",
    ],
    ["ReplicaSet", "web-6d4cf56db6", "FailedCreate", "Error creating: pods is forbidden: exceeded quota: team"],
    ["Job", "report-28391040", "BackoffLimitExceeded", "Job has reached the specified backoff limit"],
    ["Node", "node-7", "NodeNotReady", "Node node-7 status is now: NodeNotReady"],
    ["Node", "node-7", "SystemOOM", "System OOM encountered, victim process: java, pid: 4711"],
];

const POD: &str = "web-6d4cf56db6-x2x7v";

/// An event with its target.
#[derive(Clone, Debug)]
pub struct Example {
    /// The target.
    pub target: Target,
    /// The event.
    pub event: Event<'static>,
    /// The object's name without generated suffixes.
    pub workload: String,
    /// Whether the rule matches it. The example may fail where only a person can guess, such as with a long expression.
    pub fits: bool,
}

impl Example {
    /// The event as rules look at it.
    pub fn subject(&self) -> Subject<'_> {
        Subject { target: &self.target, event: &self.event, workload: &self.workload }
    }
}

/// The example of a rule: among those that it matches, the one with the fewest changes.
pub fn of(rules: &Rules, id: RuleId, at: Time) -> Example {
    let rule = rules.get(id);
    let made = EVENTS.iter().enumerate().map(|(place, event)| {
        let (changes, example) = shaped(rule, event, at);
        let fits = rules.matches(id, &example.subject());
        ((!fits, changes, place), Example { fits, ..example })
    });
    let best = made.min_by_key(|(cost, _)| *cost).map(|(_, example)| example);
    best.unwrap_or_else(|| shaped(rule, &EVENTS[0], at).1)
}

/// The number of changes, and the event, changed where it did not fit.
fn shaped(rule: &Rule, [kind, name, reason, message]: &[&str; 4], at: Time) -> (usize, Example) {
    let mut changes = 0;
    let mut fact = |field, usual: &str| {
        let conditions = || std::iter::once(&rule.matching).chain(&rule.scopes);
        let fits = |text: &str| conditions().all(|conditions| fits(conditions, field, text));
        if fits(usual) {
            return usual.to_owned();
        }
        changes += 1;
        let examples = conditions().filter_map(|conditions| conditions.key(field)).flatten().map(|one| one.example());
        examples.into_iter().find(|text| !text.is_empty() && fits(text)).unwrap_or_else(|| usual.to_owned())
    };
    let (kind, reason, message) =
        (fact(Field::ObjType, kind), fact(Field::Reason, reason), fact(Field::Message, message));
    let wanted = fact(Field::Workload, workload::of(&kind, name));
    let name = if wanted == workload::of(&kind, name) { (*name).to_owned() } else { named_for(&kind, &wanted) };
    let name = fact(Field::ObjName, &name);
    let level = Level::of(&fact(Field::Level, "Warning"));
    let service = fact(Field::Service, workload::of(&kind, &name));
    let target = Target::new(
        &fact(Field::Source, "prod"),
        &fact(Field::Cluster, "cls-xxxxx"),
        &fact(Field::Namespace, "shop"),
        &service,
    );
    let keys: BTreeSet<MetadataKey> = std::iter::once(&rule.matching)
        .chain(&rule.scopes)
        .flat_map(Conditions::keys)
        .filter_map(|(field, _)| field.place().err())
        .collect();
    let said = keys.into_iter().map(|key| (key, fact(Field::Metadata(key), "example")));
    let (labels, annotations): (Vec<_>, Vec<_>) = said.partition(|(key, _)| key.is_label());
    let pair = |(key, value): (MetadataKey, String)| (key.key().to_owned(), value);
    let metadata = Metadata::of(labels.into_iter().map(pair), annotations.into_iter().map(pair)).map(Arc::new);
    let workload = workload::of(&kind, &name).to_owned();
    let (obj_type, obj_name) = (kind.into(), name.into());
    let (reason, message) = (reason.into(), message.into());
    let event = Event {
        metadata,
        first_seen: at,
        last_seen: at,
        count: 1,
        level,
        obj_type,
        obj_name,
        reason,
        message,
        ..Event::default()
    };
    (changes, Example { target, event, workload, fits: false })
}

fn fits(conditions: &Conditions, field: Field, text: &str) -> bool {
    conditions.key(field).is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(text)))
}

/// A name that Kubernetes would give an object of this workload.
fn named_for(kind: &str, workload: &str) -> String {
    match kind {
        "Pod" => format!("{workload}-6d4cf56db6-x2x7v"),
        "ReplicaSet" => format!("{workload}-6d4cf56db6"),
        _ => workload.to_owned(),
    }
}

/// An incident of a rule that began with this event.
pub fn story(rules: &Rules, id: RuleId, example: &Example, alias: Option<String>) -> Story {
    let settings = &rules.get(id).settings;
    let Example { target, event, workload, .. } = example;
    let names = siblings(&event.obj_type, &event.obj_name);
    let group: BTreeMap<_, _> = rules.group_key(id, &example.subject()).into_iter().collect();
    let one = group.contains_key(&Field::Workload) || group.contains_key(&Field::ObjName);
    Story {
        rule: settings.key.clone(),
        group,
        source: target.source.to_string(),
        cluster: target.cluster.to_string(),
        cluster_alias: alias,
        namespace: target.namespace.to_string(),
        workload: if one { workload.clone() } else { String::new() },
        services: vec![target.service.to_string()],
        reasons: vec![ReasonCount { reason: event.reason.to_string(), occurrences: 134 }],
        objects: names.len() as u64,
        object_names: names,
        newest: Newest {
            level: event.level,
            obj_type: event.obj_type.to_string(),
            obj_name: event.obj_name.to_string(),
            reason: event.reason.to_string(),
            message: event.message.to_string(),
        },
        mentions: settings.mention.get(&settings.severity).cloned().unwrap_or_default(),
        runbook: settings.runbook.clone(),
        labels: settings.labels.clone(),
        metadata: event.metadata.clone(),
        template: settings.template.clone(),
        ..sample::story()
    }
}

/// Invents more pods: those of one ReplicaSet seldom fail alone.
fn siblings(kind: &str, name: &str) -> Vec<String> {
    match name.rsplit_once('-') {
        Some((set, _)) if kind == "Pod" => {
            std::iter::once(name.to_owned()).chain(["9rkxq", "b7c2d"].map(|one| format!("{set}-{one}"))).collect()
        }
        _ => vec![name.to_owned()],
    }
}
