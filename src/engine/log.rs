//! The engine's log lines for the operator.

use std::collections::BTreeMap;

use podbell_core::notice::{Info, Notice, NoticeBody, TroubleSubject};
use podbell_core::outbox::Policy;
use podbell_core::rule::Destination;
use podbell_core::user_action::{ActionResult, UserAction};

/// Logs a notice to a notifier that does not run yet: rules may name one that comes with the next start.
pub(super) fn lost(notice: &Notice, policies: &BTreeMap<Destination, Policy>) {
    for to in notice.to.iter().filter(|to| !policies.contains_key(*to)) {
        tracing::error!(destination = %to, notice = notice.id, "no such notifier runs, so this is not told there; restart podbell");
    }
}

/// One line for each notice.
pub(super) fn notices(notices: &[Notice]) {
    for notice in notices {
        tracing::info!(
            notice = notice.id,
            kind = notice.kind.as_str(),
            incident = notice.body.incident(),
            severity = notice.severity.as_str(),
            about = about(&notice.body),
            to = notice.to.join(","),
            "telling"
        );
    }
}

/// Logs a user action, or its refusal.
pub(super) fn user_action(action: &UserAction, done: &ActionResult) {
    let (by, via) = (action.by.name.as_str(), action.by.via.as_str());
    match done {
        ActionResult::Muted { mute, holds } => {
            let seconds = mute.until.since(mute.from).as_secs();
            tracing::info!(mute = mute.id, what = ?mute.what, by, via, seconds, holds, "muted");
        }
        ActionResult::Unmuted { mutes } => {
            tracing::info!(mutes = mutes.len(), what = ?mutes.first().map(|mute| &mute.what), by, via, "unmuted");
        }
        ActionResult::Acknowledged { id, .. } => tracing::info!(incident = id, by, via, "acknowledged"),
        ActionResult::Refused { because } => tracing::info!(?because, by, via, "refused what a person wanted done"),
    }
}

/// What a notice is about, in a word or two.
fn about(body: &NoticeBody) -> String {
    match body {
        NoticeBody::Incident(story) => {
            let reason = story.reasons.first().map_or("", |reason| reason.reason.as_str());
            format!("{}/{} {reason}", story.namespace, story.workload)
        }
        NoticeBody::Trouble(trouble) => match &trouble.subject {
            TroubleSubject::Source(name) | TroubleSubject::Destination(name) | TroubleSubject::Rules(name) => {
                format!("{name} {}", trouble.code)
            }
        },
        NoticeBody::Info(Info::FirstContact { source, .. } | Info::Blind { source, .. }) => source.clone(),
        NoticeBody::Info(Info::Dead { destination, .. } | Info::Test { destination }) => destination.clone(),
        NoticeBody::Info(Info::Store { fate, .. }) => format!("the store: {}", fate.word()),
        NoticeBody::Info(Info::Held { window, .. }) => format!("held: {}", window.name()),
        NoticeBody::Info(Info::Muted { what, .. }) => format!("muted: {what}"),
        NoticeBody::Info(Info::Daily { .. }) => "the day".to_owned(),
    }
}
