//! A channel of Slack through an app's token: one message per incident, and its follow-ups in a thread.

use std::fmt;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{people, requests, token};
use crate::examine::{Checked, Finding, Group};
use crate::notifiers::buttons::Pressable;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::{Attempt, ExamineContext, Notifier, Rendering, fingerprint};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};

/// The pace of message updates. An app may make 50 a minute in a workspace, and its other actions need some of
/// them.
const CHANGES: Pace = Pace { limit: 40, per: std::time::Duration::from_secs(61), kept_for_critical: 0 };

/// A channel, and the app that posts there.
pub(super) struct Channel {
    /// The bot's token.
    pub token: SecretString,
    /// The channel's id, or `#` and its name.
    pub channel: String,
    /// Slack's Web API.
    pub api: Url,
    /// Whether messages have buttons: only if a chat receives what people press.
    pub buttons: bool,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("slack")
    }
}

impl Channel {
    async fn call(&self, attempt: Attempt<'_>) -> Outcome {
        let Ok(request) = serde_json::from_slice::<requests::Request>(&attempt.body) else {
            return Outcome::ContentRejected { why: "the stored request cannot be read".into() };
        };
        if let Some(outcome) = requests::outdated(&request, &self.channel) {
            return outcome;
        }
        let url = token::method(&self.api, request.method.as_str());
        let Some(url) = url else {
            return Outcome::Unclear { retry_after: None, why: "Slack's `api` is not an address".into() };
        };
        let asked = HttpRequest::post(request.arguments.to_string(), attempt.now).bearer(&self.token);
        let redactor = Redactor::new("", std::slice::from_ref(&self.token), &[]);
        match asked.send(attempt.client, &url, &redactor).await {
            Ok(reply) => requests::classify(&request, &reply),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Channel {
    fn policy(&self) -> Policy {
        let (api, token) = (self.api.as_str(), self.token.expose_secret());
        let whole = [api, &self.channel, token];
        let threads = ThreadPolicy {
            place: fingerprint([api, &self.channel]),
            endpoint: fingerprint([api, token, "changes"]),
            pace: CHANGES,
            upkeep: Upkeep::Changes,
        };
        Policy {
            pace: Some(Pace::ONE_A_SECOND),
            threads: Some(threads),
            ..Policy::of(fingerprint(whole), fingerprint(whole.into_iter().chain([token])))
        }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = people::mentions(rendering);
        let alone = Some(&rendering.notice.body).filter(|_| !rendering.is_digest);
        let facts = requests::RequestFacts {
            channel: &self.channel,
            parent: rendering.parent,
            refresh: rendering.refresh,
            pressable: Pressable::of(rendering),
            about_one: alone.is_some_and(|body| body.incident().is_some()),
            buttons: self.buttons,
        };
        json!(requests::request(&rendering.message, rendering.content, &mentions, &facts)).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.call(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let ExamineContext { subject, net, test_follows, now } = context;
            let asked = token::TokenCheck { group: Group::Destinations, subject, api: &self.api, token: &self.token };
            let (mut checked, scopes) = token::examine(&asked, &["chat:write"], net, now).await;
            if scopes.is_some() && !test_follows {
                let channel = &self.channel;
                let found =
                    format!("posts to {channel}; `podbell send-test {subject}` shows whether the app is in there");
                checked.findings.push(Finding::ok(Group::Destinations, subject, found));
            }
            checked
        })
    }
}
