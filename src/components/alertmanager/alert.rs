//! A notice as an alert of Alertmanager's.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::notifiers::{Rendering, budget};
use podbell_core::notice::{Notice, NoticeBody, Story, TroubleSubject};
use podbell_core::outbox::{Content, is_end};
use podbell_core::time::Time;

/// The longest annotations and label, in bytes. Alertmanager keeps alerts in memory and has no limits of its own.
const SUMMARY: usize = 1_000;
const DESCRIPTION: usize = 16_000;
const SHORT: usize = 2_000;
const LABEL: usize = 500;
/// How far the `endsAt` of a resolved alert lies before its notice, in milliseconds. If Alertmanager's clock is slow,
/// a later `endsAt` would lie in its future: it would not end the alert, and the one that was sent before would stand.
const EARLIER: i64 = 60_000;

/// What identifies an alert: two with the same labels are one.
pub(super) type Labels = BTreeMap<String, String>;

/// The alert. While it is open it has no `endsAt`: that depends on when it is sent.
pub(super) fn of(rendering: &Rendering<'_>) -> Value {
    let notice = rendering.notice;
    let starts_at = began(notice).min(notice.made_at);
    let mut alert = json!({
        "labels": labels(rendering),
        "annotations": annotations(rendering),
        "startsAt": rfc3339(starts_at),
    });
    if is_end(notice.kind) {
        let ends_at = Time::from_millis(notice.made_at.millis().saturating_sub(EARLIER)).max(starts_at);
        alert["endsAt"] = json!(rfc3339(ends_at));
    }
    if let Some(url) = rendering.url {
        alert["generatorURL"] = json!(url);
    }
    alert
}

/// UTC, as Alertmanager reads it.
pub(super) fn rfc3339(time: Time) -> String {
    time.timestamp().to_string()
}

fn began(notice: &Notice) -> Time {
    match &notice.body {
        NoticeBody::Incident(story) => story.first_at,
        NoticeBody::Trouble(trouble) => trouble.since,
        NoticeBody::Info(_) => notice.made_at,
    }
}

/// The labels with which the alert was first sent, whatever has become of its rule since; otherwise new ones.
fn labels(rendering: &Rendering<'_>) -> Labels {
    let first = rendering.parent.and_then(|parent| serde_json::from_str(&parent.message).ok());
    first.unwrap_or_else(|| new_labels(rendering))
}

fn new_labels(rendering: &Rendering<'_>) -> Labels {
    let mut labels = Labels::new();
    // A label that is there stays: the rule's own labels come last.
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            labels.entry(name.to_owned()).or_insert_with(|| budget::fit(value, LABEL, budget::bytes));
        }
    };
    add("severity", rendering.notice.severity.as_str());
    match &rendering.notice.body {
        NoticeBody::Incident(story) => {
            add("alertname", &story.rule.name);
            add("podbell_incident", &story.incident.to_string());
            add("source", &story.source);
            add("cluster", &story.cluster);
            add("namespace", &story.namespace);
            add("workload", &story.workload);
            story.labels.iter().for_each(|(name, value)| add(&label_name(name), value));
        }
        NoticeBody::Trouble(trouble) => {
            let (kind, name) = match &trouble.subject {
                TroubleSubject::Source(name) => ("source", name),
                TroubleSubject::Destination(name) => ("destination", name),
                TroubleSubject::Rules(name) => ("rules", name),
            };
            add("alertname", "podbell trouble");
            add("podbell_incident", &trouble.incident.to_string());
            add(kind, name);
        }
        NoticeBody::Info(_) => {
            add("alertname", "podbell");
            add("podbell_message", rendering.message_id);
        }
    }
    labels
}

/// A name that every version of Alertmanager takes.
fn label_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn annotations(rendering: &Rendering<'_>) -> Map<String, Value> {
    let message = &rendering.message;
    let mut annotations = Map::new();
    let summary = format!("{} · {}", message.title, message.gist());
    annotations.insert("summary".to_owned(), json!(budget::fit(&summary, SUMMARY, budget::bytes)));
    let limit = match rendering.content {
        Content::Full => Some(DESCRIPTION),
        Content::Short => Some(SHORT),
        Content::Minimal => None,
    };
    if let Some(limit) = limit {
        let text = budget::fit_lines(&message.text(), limit, budget::bytes, |n| message.more(n));
        annotations.insert("description".to_owned(), json!(text));
    }
    if let NoticeBody::Incident(story) = &rendering.notice.body {
        annotations.extend(of_story(story));
    }
    annotations
}

fn of_story(story: &Story) -> impl Iterator<Item = (String, Value)> {
    let acknowledged = story.acknowledged.as_ref().map(|by| by.by.name.as_str());
    let all = [("runbook_url", story.runbook.as_deref()), ("acknowledged_by", acknowledged)];
    all.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(budget::fit(value?, LABEL, budget::bytes)))))
}
