//! A notice as an event of PagerDuty's.

use serde_json::{Value, json};

use crate::notifiers::{Rendering, budget};
use podbell_core::notice::{Info, NoticeBody};
use podbell_core::outbox::{Content, is_end};
use podbell_core::rule::Severity;

/// The longest summary, in characters.
const SUMMARY: usize = 1024;
/// The longest details, in bytes: the whole event may have 512 KB.
const DETAILS: usize = 100_000;
const SHORT: usize = 4_000;

/// What an event does to its alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Trigger,
    Acknowledge,
    Resolve,
    /// It is not sent.
    Nothing,
}

impl Action {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Acknowledge => "acknowledge",
            Self::Resolve => "resolve",
            Self::Nothing => "nothing",
        }
    }

    fn of(rendering: &Rendering<'_>) -> Self {
        let (acknowledged, flaps) = match &rendering.notice.body {
            NoticeBody::Incident(story) => (story.acknowledged.is_some(), story.flaps()),
            NoticeBody::Trouble(_) | NoticeBody::Info(_) => (false, false),
        };
        match rendering.notice.kind {
            _ if is_no_alert(&rendering.notice.body) => Self::Nothing,
            kind if is_end(kind) => Self::Resolve,
            _ if rendering.refresh && acknowledged => Self::Acknowledge,
            // One that flaps comes back without a notice, and its alert was resolved.
            _ if rendering.refresh && flaps => Self::Trigger,
            _ if rendering.refresh => Self::Nothing,
            _ => Self::Trigger,
        }
    }
}

/// The event, without its routing key.
pub(super) fn of(rendering: &Rendering<'_>) -> Value {
    let action = Action::of(rendering);
    let mut event = json!({"event_action": action.as_str(), "dedup_key": alert(rendering)});
    if action != Action::Trigger {
        return event;
    }
    let message = &rendering.message;
    let summary = budget::fit(&format!("{} · {}", message.title, message.gist()), SUMMARY, |_| 1);
    let severity = match message.severity {
        Severity::Critical => "critical",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let mut payload = json!({"summary": summary, "severity": severity, "source": "podbell"});
    let mut links: Vec<Value> = rendering.url.iter().map(|url| json!({"href": url, "text": "podbell"})).collect();
    if let NoticeBody::Incident(story) = &rendering.notice.body {
        let place = [&story.cluster, &story.namespace, &story.workload];
        let place: Vec<&str> = place.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        payload["source"] = json!(place.join("/"));
        payload["component"] = json!(story.workload);
        payload["group"] = json!(story.cluster);
        payload["class"] = json!(story.reasons.first().map(|reason| &reason.reason));
        payload["timestamp"] = json!(story.first_at.timestamp().to_string());
        links.extend(story.runbook.iter().map(|url| json!({"href": url, "text": "runbook"})));
    }
    let details = match rendering.content {
        Content::Full => Some(DETAILS),
        Content::Short => Some(SHORT),
        Content::Minimal => None,
    };
    if let Some(limit) = details {
        let text = budget::fit_lines(&message.text(), limit, budget::bytes, |n| message.more(n));
        payload["custom_details"] = json!({"text": text});
    }
    event["payload"] = payload;
    event["client"] = json!("podbell");
    event["links"] = json!(links);
    if let Some(url) = rendering.url {
        event["client_url"] = json!(url);
    }
    event
}

/// Whether it is an announcement that nothing would ever end, such as that somebody muted something.
fn is_no_alert(body: &NoticeBody) -> bool {
    matches!(body, NoticeBody::Info(info) if !matches!(info, Info::Dead { .. } | Info::Store { .. } | Info::Test { .. }))
}

/// The alert that an incident is: the one that was triggered first, whatever has become of the incident since.
fn alert(rendering: &Rendering<'_>) -> String {
    match (rendering.parent, rendering.incident_key()) {
        (Some(parent), _) => parent.message.to_string(),
        (None, Some(key)) => key,
        (None, None) => format!("podbell-{}", rendering.message_id),
    }
}
