//! A channel of Slack through an incoming webhook: one message per notice.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use std::fmt;

use url::Url;

use super::{blocks, people};
use crate::examine::{Checked, Group};
use crate::notifiers::post::{Post, post};
use crate::notifiers::probe::{Probe, probe};
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{Attempt, Look, Notifier, Rendering, fingerprint};
use crate::tasks::Waiting;
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy};

/// An incoming webhook.
pub struct IncomingWebhook {
    url: Url,
    redactor: Redactor,
}

impl IncomingWebhook {
    /// A webhook at this address.
    pub fn new(url: Url) -> Self {
        let redactor = Redactor::new(url.as_str(), &[], &["services", "workflows"]);
        Self { url, redactor }
    }
}

impl fmt::Debug for IncomingWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slack")
    }
}

impl Notifier for IncomingWebhook {
    fn policy(&self) -> Policy {
        let endpoint = fingerprint([self.url.as_str()]);
        Policy { pace: Some(Pace::ONE_A_SECOND), ..Policy::of(endpoint.clone(), endpoint) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = people::mentions(rendering);
        blocks::body(&rendering.message, rendering.content, &mentions).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> Waiting<'a, Outcome> {
        Box::pin(async move {
            let Attempt { client, body, now, .. } = attempt;
            match post(client, &self.url, Post::json(body, now), &self.redactor).await {
                Ok(reply) => classify(&reply),
                Err(outcome) => outcome,
            }
        })
    }

    fn examine<'a>(&'a self, look: Look<'a>) -> Waiting<'a, Checked> {
        const WHAT: &str = "Slack webhook";
        Box::pin(async move {
            let Look { subject, net, now, test_follows } = look;
            if test_follows {
                return Checked::default();
            }
            // Do not probe an address of another shape. It may be a workflow's, or a program's that takes Slack's
            // messages: both might act on the probe.
            if !self.url.path().contains("/services/") {
                return net.reached(Group::Destinations, subject, WHAT, self.url.clone()).await.into();
            }
            let (url, redactor) = (&self.url, &self.redactor);
            let asked = Probe { subject, what: WHAT, url, redactor, classify, is_about_content: |_| false };
            probe(&asked, &net.client, now).await
        })
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
