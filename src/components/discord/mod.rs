//! Discord: notifies through a webhook, and answers questions ([`chat`]).
//!
//! `kind: discord` of `notifiers:`: a channel of Discord, through a webhook. One message an incident: its end changes it.
//! <https://docs.discord.com/developers/resources/webhook>

pub mod chat;
mod embed;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::examine::Checked;
use crate::notifiers::hook::{Hook, Replies};
use crate::notifiers::post::Post;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{Attempt, Audience, Look, Notifier, NotifierForm, NotifierKind, People, Rendering, fingerprint};
use crate::settings::{Draft, Secret, SecretKind};
use crate::tasks::Waiting;
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};
use podbell_core::yaml::key::Key;

/// 5 in 2 s and 30 in a minute are allowed: one each 2.1 s satisfies both. Whoever ignores refusals is banned by address.
const PACE: Pace = Pace { most: 1, per: Duration::from_millis(2100), kept_for_critical: 0 };
/// The pace of changes, which have a limit of their own.
const CHANGES: Pace = Pace { most: 20, per: Duration::from_secs(61), kept_for_critical: 0 };
const REPLIES: Replies = Replies {
    what: "Discord webhook",
    public: &["api", "webhooks"],
    is_own: |url| url.path().starts_with("/api/") && url.path().contains("/webhooks/"),
    classify: |reply| classify(None, reply),
    is_about_content: |_| false,
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "Of a webhook of the channel.");

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "discord",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A channel of Discord, through a webhook.", keys: &[&URL] }],
    read: |map, _, reader| {
        let url = URL.take(map, reader)?;
        Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(Channel::new(secrets.url(&url)?)))))
    },
    elsewhere: |_| None,
    people: Some(People {
        platform: "Discord",
        help: "write the id of a user such as 80351110224678912, or &id of a role (developer mode shows them)",
        read: read_id,
    }),
    preview: |url| Arc::new(Channel::new(url)),
};

/// Reads the id of a user, or `&` and the id of a role, with or without the marks of a mention.
fn read_id(written: &str) -> Option<String> {
    let bare = written.trim();
    let bare = bare.strip_prefix("<@").and_then(|rest| rest.strip_suffix('>')).unwrap_or(bare).trim_start_matches('!');
    let digits = bare.strip_prefix('&').unwrap_or(bare);
    ((15..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then(|| bare.to_owned())
}

#[derive(Debug)]
struct Channel {
    hook: Hook,
    place: Arc<str>,
}

impl Channel {
    fn new(url: Url) -> Self {
        let place = fingerprint([url.as_str()]);
        Self { hook: Hook::new(url, Vec::new(), &REPLIES), place }
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let request = match Request::read(&attempt.body, &self.place) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        // `wait`: the answer names the message, so that it can be changed.
        let post = Post::json(request.arguments.to_string().into_bytes(), attempt.now)
            .query(vec![("wait", "true".to_owned())]);
        let post = match &request.act {
            Act::Change(message) => post.patch().below(&["messages", message]),
            // A webhook cannot answer a message.
            Act::Post | Act::Answer(_) => post,
        };
        match self.hook.ask(attempt.client, post).await {
            Ok(reply) => classify(Some(&request), &reply),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Channel {
    fn policy(&self) -> Policy {
        let policy = self.hook.policy();
        let endpoint = fingerprint([&*policy.endpoint, "changes"]);
        let threads = ThreadPolicy { place: self.place.clone(), endpoint, pace: CHANGES, upkeep: Upkeep::Changes };
        Policy { pace: Some(PACE), threads: Some(threads), ..policy }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        let arguments = embed::body(&rendering.message, rendering.content, &mentions);
        Request::new(rendering, &self.place, arguments).stored()
    }

    fn sent<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Request::sent(stored)
    }

    // What follows stands in the channel, wherever that is by then.
    fn answers_in_threads(&self) -> bool {
        false
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> Waiting<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, look: Look<'a>) -> Waiting<'a, Checked> {
        Box::pin(self.hook.examine(look))
    }
}

/// A message, as Discord answers with it.
#[derive(Default, Deserialize)]
struct Posted {
    #[serde(default)]
    id: String,
    #[serde(default)]
    channel_id: String,
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
}

/// What a reply means.
fn classify(request: Option<&Request>, reply: &Reply) -> Outcome {
    let code = serde_json::from_str::<Refusal>(&reply.body).unwrap_or_default().code;
    match (reply.status, code) {
        (200..=299, _) => {
            let posted = serde_json::from_str::<Posted>(&reply.body).unwrap_or_default();
            let is_own = reply.status == 204 || !posted.id.is_empty();
            match request {
                _ if !is_own => reply::unclear(reply, "a success that is not Discord's (a proxy or a login page in between?)"),
                Some(request) => request.arrived(&posted.channel_id, &posted.id),
                None => Outcome::Delivered,
            }
        }
        // The message that was to be changed was deleted.
        (404, 10_008) if request.is_some_and(Request::needs_a_message) => Outcome::Orphaned { why: reply.said() },
        // It stands in a thread that is archived; a new message brings the thread back.
        (400, 50_083) if request.is_some_and(Request::needs_a_message) => {
            request.map_or(Outcome::Content { why: reply.said() }, |one| one.is_too_late(reply.said()))
        }
        (400, 220_001) => Outcome::Dead {
            code: code.to_string(),
            text: reply.said(),
            advice: "the webhook is one of a forum: add `?thread_id=` and the id of a post to its URL".to_owned(),
        },
        (401 | 403 | 404, _) if code != 0 => Outcome::Dead {
            code: code.to_string(),
            text: reply.said(),
            advice: "the webhook was deleted or its URL is wrong: make one in the channel's settings (Integrations), and put its URL into podbell.yaml"
                .to_owned(),
        },
        (401 | 403 | 404 | 405, _) => reply::unclear(reply, "an answer that is not Discord's (wrong host, or a proxy in between?)"),
        _ => reply::by_status(reply),
    }
}
