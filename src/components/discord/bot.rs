//! A channel through the bot of an application, whose messages have buttons.
//! <https://docs.discord.com/developers/resources/message>

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{CHANGES, NOTIFIER, chat, embed, reply};
use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::buttons::Pressable;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{Attempt, ExamineContext, Notifier, Rendering, fingerprint};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};

/// In the form that Discord asks for.
const USER_AGENT: &str = concat!("DiscordBot (podbell, ", env!("CARGO_PKG_VERSION"), ")");
/// The longest nonce, in characters.
const NONCE: usize = 25;

/// See the module.
pub(super) struct Bot {
    pub(super) token: SecretString,
    /// The channel's id.
    pub(super) channel: String,
    pub(super) api: Url,
    /// Whether messages have buttons.
    pub(super) buttons: bool,
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOTIFIER.name)
    }
}

impl Bot {
    fn place(&self) -> Arc<str> {
        fingerprint([self.api.as_str(), &self.channel])
    }

    fn redactor(&self) -> Redactor {
        Redactor::new("", std::slice::from_ref(&self.token), &[])
    }

    fn authorized(&self, post: HttpRequest) -> HttpRequest {
        post.authorized("Bot", &self.token).user_agent(USER_AGENT)
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let request = match Request::read(&attempt.body, &self.place()) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let mut arguments = request.arguments.clone();
        if let Act::Answer(message) = &request.act {
            arguments["message_reference"] = json!({"message_id": message});
        }
        if !matches!(request.act, Act::Change(_)) {
            // Discord makes no second message with the same one within minutes, so that one whose answer was lost is shown once.
            let nonce: String = fingerprint([attempt.message_id]).chars().take(NONCE).collect();
            arguments["nonce"] = json!(nonce);
            arguments["enforce_nonce"] = json!(true);
        }
        let asked = self.authorized(HttpRequest::post(arguments.to_string(), attempt.now));
        let messages = ["channels", &self.channel, "messages"];
        let asked = match &request.act {
            Act::Change(message) => asked.method(Method::PATCH).below(&[&messages[..], &[message]].concat()),
            Act::Post | Act::Answer(_) => asked.below(&messages),
        };
        match asked.send(attempt.client, &self.api, &self.redactor()).await {
            Ok(answer) => reply::of_bot(&request, &answer),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Bot {
    fn policy(&self) -> Policy {
        let token = self.token.expose_secret();
        let endpoint = fingerprint([self.api.as_str(), token, "changes"]);
        let threads = ThreadPolicy { place: self.place(), endpoint, pace: CHANGES, upkeep: Upkeep::Changes };
        let policy = Policy::of(self.place(), fingerprint([self.api.as_str(), &self.channel, token]));
        Policy { pace: Some(Pace::ONE_A_SECOND), threads: Some(threads), ..policy }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        let mut arguments = embed::body(&rendering.message, rendering.content, &mentions);
        let pressable = Pressable::of(rendering).filter(|_| self.buttons);
        // An empty list removes the buttons of a message that is changed.
        arguments["components"] =
            pressable.map_or_else(|| json!([]), |of| chat::buttons(of, rendering.message.language));
        Request::new(rendering, &self.place(), arguments).stored()
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Request::shown_body(stored)
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let ExamineContext { subject, net, now, .. } = context;
            let group = Group::Destinations;
            let asked = self.authorized(HttpRequest::get(now).below(&["channels", &self.channel]));
            let finding = match asked.send(&net.client, &self.api, &self.redactor()).await {
                Ok(answer) => match reply::of_look(&answer) {
                    outcome if outcome.arrived() => Finding::ok(group, subject, "the bot sees the channel"),
                    outcome => not_well(group, subject, "the bot", &outcome),
                },
                Err(outcome) => not_well(group, subject, "Discord", &outcome),
            };
            finding.into()
        })
    }
}
