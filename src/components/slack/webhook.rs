//! A channel of Slack through an incoming webhook: one message per notice.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use super::blocks::Presses;
use super::{blocks, people};
use crate::notifiers::hook::{HookForm, Replies};
use crate::notifiers::reply::{self, Reply};
use podbell_core::outbox::Outcome;
use podbell_core::outbox::pace::Pace;

/// An incoming webhook.
pub(super) const WEBHOOK: HookForm = HookForm {
    replies: Replies {
        what: "Slack webhook",
        public: &["services", "workflows"],
        // An address of another shape may be a workflow's, or a program's that takes Slack's messages.
        is_own: |url| url.path().contains("/services/"),
        classify,
        is_about_content: |_| false,
    },
    pace: Pace::ONE_A_SECOND,
    query: None,
    body: |rendering| {
        let mentions = people::mentions(rendering);
        blocks::body(&rendering.message, rendering.content, &mentions, Presses::AreNot)
    },
};

/// What a reply means. Slack answers `ok` as plain text, or an error code as plain text.
fn classify(reply: &Reply) -> Outcome {
    let code = reply.body.trim();
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match reply.status {
        200 if code == "ok" => Outcome::Delivered,
        200..=299 => reply::success_not_of(reply, "Slack"),
        400 if is_code => reply.content_rejected(),
        401 | 403 | 404 | 410 if is_code => reply.invalid_destination(code.to_owned(), advice(code)),
        // These are not Slack's words: something in between answers, which says nothing about the URL.
        401 | 403 | 404 | 410 => reply::answer_not_of(reply, "Slack"),
        _ => reply::of_platform(reply),
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "no_service" | "no_service_id" | "no_active_hooks" | "invalid_token" | "no_team" => {
            "this webhook URL is no longer valid: create a new incoming webhook in Slack and put its URL into podbell.yaml"
        }
        "channel_not_found" | "channel_is_archived" => {
            "the channel is gone or archived: restore it, or create a webhook for another channel and put its URL into podbell.yaml"
        }
        "action_prohibited" | "posting_to_general_channel_denied" | "admin_disabled" => {
            "an administrator of the Slack workspace forbids this webhook to post: ask for permission, then run `podbell send-test`"
        }
        "team_disabled" => "the Slack workspace is disabled: use another destination",
        _ => "check the webhook in Slack's app settings; after mending run `podbell send-test` for this destination",
    }
}
