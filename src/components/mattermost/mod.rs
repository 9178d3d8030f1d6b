//! Mattermost: notifies through an incoming webhook or a bot, and answers questions ([`chat`]).
//!
//! `kind: mattermost` of `notifiers:`: a channel of Mattermost, through an incoming webhook, or through a bot: then a message
//! stands for an incident, what follows answers it, and its end changes it.
//! <https://developers.mattermost.com/integrate/webhooks/incoming/>, <https://developers.mattermost.com/api-documentation/>

mod actions;
pub mod chat;
mod post;
mod reply;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::buttons::Pressable;
use crate::notifiers::hook::{HookForm, HookNotifier, Replies};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, ExamineContext, Notifier, NotifierForm, NotifierKind, People, Rendering,
    fingerprint,
};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Id, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

/// The pace of changes.
const CHANGES: Pace = Pace { limit: 40, per: Duration::from_secs(61), kept_for_critical: 0 };
const WEBHOOK: HookForm = HookForm {
    replies: Replies {
        what: "Mattermost webhook",
        public: &["hooks"],
        // A server answers an empty message and a webhook that was deleted alike.
        is_own: |_| false,
        classify: reply::of_webhook,
        is_about_content: |_| false,
    },
    pace: Pace::ONE_A_SECOND,
    query: None,
    body: |rendering| {
        let mentions = rendering.mentioned(NOTIFIER.name);
        post::PostParts::of(&rendering.message, rendering.content, &mentions).webhook()
    },
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of an incoming webhook.");
const TOKEN: Key<Secret> = Key::required("token", Secret(SecretKind::Any), "The token of a bot account.");
const CHANNEL: Key<Id> = Key::required(
    "channel",
    Id { found_in: "the channel's menu: View Info, at the bottom", ..chat::id("a channel") },
    "For a bot: the channel's id, 26 letters and digits.",
);
const SERVER: Key<Address> = Key::required("server", HTTP, "For a bot: where Mattermost is.");
const ACTIONS_URL: Key<Address> = Key::optional(
    "actions_url",
    HTTP,
    "Gives a bot's messages buttons: where Mattermost reaches this podbell's chat of the same bot, such as https://podbell.example.com/mattermost/NAME [default: no buttons].",
);

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "mattermost",
    audience: Audience::People,
    forms: &[
        NotifierForm {
            about: "A channel of Mattermost, through an incoming webhook: a message a notice.",
            keys: &[&URL],
        },
        NotifierForm {
            about: "A channel of Mattermost, through a bot: a message an incident, its course in the thread.",
            keys: &[&TOKEN, &CHANNEL, &SERVER, &ACTIONS_URL],
        },
    ],
    read,
    elsewhere: |key| match key {
        "url" => Some("an incoming webhook has `url`, a bot `token`, `channel` and `server`: one of both"),
        "token" | "channel" | "server" | "actions_url" => Some("for `kind: mattermost` with a bot"),
        _ => None,
    },
    people: Some(People {
        platform: "Mattermost",
        help: "write the person's @name; channel, here and all call everybody",
        read: |written| {
            let id = written.trim().trim_start_matches('@');
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
            ((1..=64).contains(&id.len()) && id.bytes().all(fits)).then(|| id.to_owned())
        },
    }),
    preview: |url| Arc::new(HookNotifier::new(url, &WEBHOOK)),
};

fn read(map: &mut MapReader<'_>, _: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    if ["token", "channel", "server"].iter().any(|key| map.has(key)) {
        let (token, channel, server) = (TOKEN.take(map, reader), CHANNEL.take(map, reader), SERVER.take(map, reader));
        let actions_url = ACTIONS_URL.take(map, reader);
        let (token, channel, server) = (token?, channel?, server?);
        return Some(Draft::<dyn Notifier>::new(move |secrets| {
            Some(Arc::new(Channel { token: secrets.get(&token)?, channel, server, actions_url }))
        }));
    }
    let url = URL.take(map, reader)?;
    Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(HookNotifier::new(secrets.url(&url)?, &WEBHOOK)))))
}

/// A channel, and the bot that posts there.
struct Channel {
    token: SecretString,
    channel: String,
    server: Url,
    /// Where presses of its buttons go.
    actions_url: Option<Url>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOTIFIER.name)
    }
}

impl Channel {
    fn place(&self) -> Arc<str> {
        fingerprint([self.server.as_str(), &self.channel])
    }

    fn redactor(&self) -> Redactor {
        Redactor::new("", std::slice::from_ref(&self.token), &[])
    }

    async fn call(&self, attempt: Attempt<'_>) -> Outcome {
        let request = match Request::read(&attempt.body, &self.place()) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        let mut arguments = request.arguments.clone();
        let below: &[&str] = match &request.act {
            Act::Post => &["api", "v4", "posts"],
            Act::Answer(root) => {
                arguments["root_id"] = json!(root);
                &["api", "v4", "posts"]
            }
            Act::Change(message) => &["api", "v4", "posts", message, "patch"],
        };
        if !matches!(request.act, Act::Change(_)) {
            arguments["channel_id"] = json!(self.channel);
            // Mattermost makes no second post with the same one within half a minute, so that one whose answer was lost is shown
            // once.
            arguments["pending_post_id"] = json!(attempt.message_id);
        }
        let asked = HttpRequest::post(arguments.to_string(), attempt.now).below(below).bearer(&self.token);
        let asked = if matches!(request.act, Act::Change(_)) { asked.method(Method::PUT) } else { asked };
        match asked.send(attempt.client, &self.server, &self.redactor()).await {
            Ok(answer) => reply::of_bot(&request, &answer),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Channel {
    fn policy(&self) -> Policy {
        let (server, token) = (self.server.as_str(), self.token.expose_secret());
        let endpoint = fingerprint([server, token, "changes"]);
        let threads = ThreadPolicy { place: self.place(), endpoint, pace: CHANGES, upkeep: Upkeep::Changes };
        let policy = Policy::of(self.place(), fingerprint([server, &self.channel, token]));
        Policy { pace: Some(Pace::ONE_A_SECOND), threads: Some(threads), ..policy }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        let mut parts = post::PostParts::of(&rendering.message, rendering.content, &mentions);
        if let (Some(url), Some(pressable)) = (&self.actions_url, Pressable::of(rendering)) {
            let buttons = actions::buttons(pressable, rendering.message.language, url, &self.token, None);
            parts.add_buttons(buttons);
        }
        Request::new(rendering, &self.place(), parts.post()).stored()
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Request::shown_body(stored)
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.call(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let ExamineContext { subject, net, now, .. } = context;
            let group = Group::Destinations;
            let asked = HttpRequest::get(now).below(&["api", "v4", "channels", &self.channel]).bearer(&self.token);
            let finding = match asked.send(&net.client, &self.server, &self.redactor()).await {
                Ok(answer) => match reply::of_question(&answer) {
                    outcome if outcome.arrived() => Finding::ok(group, subject, "the bot sees the channel"),
                    outcome => not_well(group, subject, "the bot", &outcome),
                },
                Err(outcome) => not_well(group, subject, "Mattermost", &outcome),
            };
            finding.into()
        })
    }
}
