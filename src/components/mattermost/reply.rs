//! What the replies of Mattermost mean. An error is JSON with an `id` of its own.

use serde::Deserialize;

use crate::notifiers::reply::{self, Reply};
use crate::notifiers::thread::Request;
use podbell_core::outbox::Outcome;

#[derive(Deserialize)]
struct Refusal {
    id: String,
}

#[derive(Deserialize)]
struct Posted {
    id: String,
}

fn refusal(reply: &Reply) -> Option<String> {
    serde_json::from_str::<Refusal>(&reply.body).ok().map(|refusal| refusal.id).filter(|id| id.contains('.'))
}

/// What the reply of an incoming webhook means.
pub(super) fn of_webhook(reply: &Reply) -> Outcome {
    match (reply.status, refusal(reply)) {
        (200, _) if reply.body.trim() == "ok" => Outcome::Delivered,
        (200, _) => reply::success_not_of(reply, "Mattermost"),
        (400 | 413, Some(id)) if [".too_large", ".msg.", ".parse.", ".decode.", ".text."].iter().any(|word| id.contains(word)) => {
            reply.content_rejected()
        }
        (400 | 401 | 403 | 404 | 501, Some(_)) => reply.invalid_destination(reply.status, "the webhook was deleted, its channel is gone, or webhooks are switched off: make one (Integrations) and put its URL into podbell.yaml"),
        (400 | 401 | 403 | 404 | 405, None) => {
            reply::answer_not_of(reply, "Mattermost")
        }
        _ => reply::of_platform(reply),
    }
}

/// What the reply to a bot's request means.
pub(super) fn of_bot(request: &Request, reply: &Reply) -> Outcome {
    if (200..300).contains(&reply.status) {
        return match serde_json::from_str::<Posted>(&reply.body) {
            Ok(posted) => request.arrived("", &posted.id),
            Err(_) => reply::success_not_of(reply, "Mattermost"),
        };
    }
    let id = refusal(reply).unwrap_or_default();
    let gone = reply.status == 404 || id.contains("root_id") || id.contains("get_single") || id.contains("parent");
    match request.needs_a_message() {
        true if gone && !id.is_empty() => Outcome::Orphaned { why: reply.summary() },
        // Who may change posts, and for how long, is a setting of the server.
        true if id.contains("permissions") || id.contains("time_limit") => request.too_late(reply.summary()),
        _ => of_question(reply),
    }
}

/// What the reply to a question means.
pub(super) fn of_question(reply: &Reply) -> Outcome {
    match (reply.status, refusal(reply)) {
        (400, Some(id)) if id.contains("_deleted.") => reply.invalid_destination(reply.status, "the channel is archived: unarchive it, or put another one into podbell.yaml (`channel`)"),
        (401 | 403 | 404, Some(_)) => reply.invalid_destination(reply.status, "the bot's token is not valid any more, or the bot is not in the channel: check both, and `channel` in podbell.yaml"),
        (401 | 403 | 404 | 405, None) => {
            reply::answer_not_of(reply, "Mattermost")
        }
        _ => reply::of_platform(reply),
    }
}
