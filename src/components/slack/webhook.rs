//! A channel of Slack through an incoming webhook: one message per notice.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use std::fmt;

use url::Url;

use super::blocks::Presses;
use super::{blocks, people};
use crate::examine::Checked;
use crate::notifiers::hook::{Hook, Replies};
use crate::notifiers::post::Post;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{Attempt, Look, Notifier, Rendering};
use crate::tasks::Waiting;
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy};

const REPLIES: Replies = Replies {
    what: "Slack webhook",
    public: &["services", "workflows"],
    // An address of another shape may be a workflow's, or a program's that takes Slack's messages.
    is_own: |url| url.path().contains("/services/"),
    classify,
    is_about_content: |_| false,
};

/// An incoming webhook.
pub(crate) struct IncomingWebhook {
    hook: Hook,
}

impl IncomingWebhook {
    /// A webhook at this address.
    pub(crate) fn new(url: Url) -> Self {
        Self { hook: Hook::new(url, Vec::new(), &REPLIES) }
    }
}

impl fmt::Debug for IncomingWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slack")
    }
}

impl Notifier for IncomingWebhook {
    fn policy(&self) -> Policy {
        Policy { pace: Some(Pace::ONE_A_SECOND), ..self.hook.policy() }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = people::mentions(rendering);
        blocks::body(&rendering.message, rendering.content, &mentions, Presses::AreNot).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> Waiting<'a, Outcome> {
        Box::pin(self.hook.deliver(attempt.client, Post::json(attempt.body, attempt.now)))
    }

    fn examine<'a>(&'a self, look: Look<'a>) -> Waiting<'a, Checked> {
        Box::pin(self.hook.examine(look))
    }
}

/// What a reply means. Slack answers `ok` as plain text, or an error code as plain text.
fn classify(reply: &Reply) -> Outcome {
    let code = reply.body.trim();
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match reply.status {
        200 if code == "ok" => Outcome::Delivered,
        200..=299 => reply::unclear(reply, "a success that is not Slack's (a proxy or a login page in between?)"),
        400 if is_code => Outcome::Content { why: reply.said() },
        401 | 403 | 404 | 410 if is_code => {
            Outcome::Dead { code: code.to_owned(), text: reply.said(), advice: advice(code).to_owned() }
        }
        // These are not Slack's words: something in between answers, which says nothing about the URL.
        401 | 403 | 404 | 410 => reply::unclear(reply, "an answer that is not Slack's (a proxy in between?)"),
        _ => reply::by_status(reply),
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
