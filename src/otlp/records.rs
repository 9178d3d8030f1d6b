//! From what was committed to log records, named by OpenTelemetry's conventions where there is a name. Pure.

use jiff::tz::TimeZone;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::Exported;
use podbell_core::diff::ChangeKind;
use podbell_core::message::{Style, compose_built_in};
use podbell_core::notice::{Notice, NoticeBody, Story, Trouble, TroubleSubject};
use podbell_core::rule::Severity;
use podbell_core::step::decision::{Decision, Verdict};
use podbell_core::time::Time;
use podbell_core::translations::Language;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A request with these records.
pub(super) fn request(batch: &[Exported]) -> ExportLogsServiceRequest {
    let log_records = batch.iter().map(|one| match one {
        Exported::Change(change) => of_change(change),
        Exported::Notice(notice) => of_notice(notice),
    });
    let scope = InstrumentationScope { name: "podbell".into(), version: VERSION.into(), ..Default::default() };
    let scope_logs = ScopeLogs { scope: Some(scope), log_records: log_records.collect(), ..Default::default() };
    let attributes = vec![text("service.name", "podbell"), text("service.version", VERSION)];
    let resource = Resource { attributes, ..Default::default() };
    let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..Default::default() };
    ExportLogsServiceRequest { resource_logs: if batch.is_empty() { Vec::new() } else { vec![logs] } }
}

/// A change of a Warning: when it happened by the cluster's clock, and when podbell saw it.
fn of_change(change: &Decision) -> LogRecord {
    let target = &change.target;
    let mut attributes = place(&target.cluster, &target.namespace, &change.workload);
    attributes.extend(object(&change.obj_type, &change.obj_name));
    attributes.extend([
        text("k8s.event.reason", &change.reason),
        number("k8s.event.count", change.count),
        text("podbell.source", &target.source),
        text("podbell.service", &target.service),
        text("podbell.change", word(change.change)),
        number("podbell.new_occurrences", change.new),
        texts("podbell.rules", rules(&change.verdict)),
        text("podbell.verdict", verdict(&change.verdict)),
    ]);
    let incidents = change.incidents().map(|incident| Value::IntValue(signed(incident)));
    attributes.push(list("podbell.incidents", incidents));
    if !attributes.iter().any(|one| one.key == "k8s.node.name") {
        attributes.push(text("k8s.node.name", &change.node));
    }
    let happened = if change.last_seen.is_unknown() { change.at } else { change.last_seen };
    LogRecord {
        event_name: "podbell.warning".to_owned(),
        severity_number: SeverityNumber::Warn.into(),
        severity_text: "Warning".to_owned(),
        body: Some(any(Value::StringValue(change.message.clone()))),
        ..record(happened, change.at, attributes)
    }
}

/// A notice, in the words of a message.
fn of_notice(notice: &Notice) -> LogRecord {
    let mut notice = notice.clone();
    // Container logs go only to destinations that podbell.yaml allows to quote them; an exporter has no such key.
    notice.remove_logs();
    let style = Style { language: Language::En, time_zone: TimeZone::UTC, now: notice.made_at };
    let message = compose_built_in(&notice, &style);
    let (about, mut attributes) = match &notice.body {
        NoticeBody::Incident(story) => ("incident", of_story(story)),
        NoticeBody::Trouble(trouble) => ("trouble", of_trouble(trouble)),
        NoticeBody::Info(_) => ("announcement", Vec::new()),
    };
    let to = notice.to.iter().map(|to| to.to_string()).collect();
    attributes.extend([number("podbell.notice.id", notice.id), texts("podbell.notice.to", to)]);
    let severity = match notice.severity {
        _ if notice.kind.is_end() => SeverityNumber::Info,
        Severity::Info => SeverityNumber::Info,
        Severity::Warning => SeverityNumber::Warn,
        Severity::Critical => SeverityNumber::Error,
    };
    LogRecord {
        event_name: format!("podbell.{about}.{}", notice.kind.as_str()),
        severity_number: severity.into(),
        severity_text: notice.severity.as_str().to_owned(),
        body: Some(any(Value::StringValue(format!("{}\n{}", message.title, message.text()).trim_end().to_owned()))),
        ..record(notice.caused_at, notice.made_at, attributes)
    }
}

fn of_story(story: &Story) -> Vec<KeyValue> {
    let mut attributes = place(&story.cluster, &story.namespace, &story.workload);
    attributes.extend(object(&story.newest.obj_type, &story.newest.obj_name));
    attributes.extend([
        text("k8s.event.reason", &story.newest.reason),
        text("podbell.source", &story.source),
        texts("podbell.services", story.services.clone()),
        text("podbell.cluster.alias", story.cluster_alias.as_deref().unwrap_or_default()),
        number("podbell.incident.id", story.incident),
        number("podbell.incident.occurrences", story.occurrences),
        number("podbell.incident.objects", story.objects),
        text("podbell.rule", &story.rule.to_string()),
    ]);
    attributes
}

fn of_trouble(trouble: &Trouble) -> Vec<KeyValue> {
    let (kind, name) = match &trouble.subject {
        TroubleSubject::Source(name) => ("source", name),
        TroubleSubject::Destination(name) => ("destination", name),
        TroubleSubject::Rules(name) => ("rules", name),
    };
    vec![
        number("podbell.incident.id", trouble.incident),
        text("podbell.trouble.about", kind),
        text("podbell.trouble.name", name),
        text("error.type", &trouble.code),
    ]
}

/// Where something happened.
fn place(cluster: &str, namespace: &str, workload: &str) -> Vec<KeyValue> {
    vec![text("k8s.cluster.name", cluster), text("k8s.namespace.name", namespace), text("podbell.workload", workload)]
}

/// An object by its kind and name, and by the attribute that the conventions have for its kind.
fn object(kind: &str, name: &str) -> Vec<KeyValue> {
    let by_kind = match kind.to_ascii_lowercase().as_str() {
        "pod" => Some("k8s.pod.name"),
        "node" => Some("k8s.node.name"),
        "deployment" => Some("k8s.deployment.name"),
        "replicaset" => Some("k8s.replicaset.name"),
        "statefulset" => Some("k8s.statefulset.name"),
        "daemonset" => Some("k8s.daemonset.name"),
        "job" => Some("k8s.job.name"),
        "cronjob" => Some("k8s.cronjob.name"),
        "horizontalpodautoscaler" => Some("k8s.hpa.name"),
        _ => None,
    };
    let general = [text("k8s.object.kind", kind), text("k8s.object.name", name)];
    general.into_iter().chain(by_kind.map(|key| text(key, name))).collect()
}

fn word(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Appeared => "appeared",
        ChangeKind::Increased => "increased",
        ChangeKind::Restarted => "restarted",
    }
}

fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::NoRule => "no_rule",
        Verdict::Ignored(_) => "ignored",
        Verdict::Claimed(_) => "claimed",
    }
}

fn rules(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::NoRule => Vec::new(),
        Verdict::Ignored(rules) => rules.iter().map(ToString::to_string).collect(),
        Verdict::Claimed(claimed) => claimed.iter().map(|claimed| claimed.rule.to_string()).collect(),
    }
}

/// A record with its times. Attributes without a value are left out.
fn record(happened: Time, observed: Time, mut attributes: Vec<KeyValue>) -> LogRecord {
    attributes.retain(|one| !is_empty(one));
    LogRecord {
        time_unix_nano: nanos(happened),
        observed_time_unix_nano: nanos(observed),
        attributes,
        ..Default::default()
    }
}

fn is_empty(attribute: &KeyValue) -> bool {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.is_empty(),
        Some(Value::ArrayValue(list)) => list.values.is_empty(),
        _ => false,
    }
}

fn nanos(time: Time) -> u64 {
    u64::try_from(time.millis()).unwrap_or(0).saturating_mul(1_000_000)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, Value::IntValue(signed(value)))
}

fn texts(key: &str, values: Vec<String>) -> KeyValue {
    list(key, values.into_iter().map(Value::StringValue))
}

fn list(key: &str, values: impl Iterator<Item = Value>) -> KeyValue {
    attribute(key, Value::ArrayValue(ArrayValue { values: values.map(any).collect() }))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..Default::default() }
}
