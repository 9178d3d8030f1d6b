//! Discord: commands and buttons as interactions, which Discord posts to podbell.
//!
//! An answer that is ready in time is the reply; otherwise the reply says that it follows, and the answer changes it.
//! Answers are shown to whoever asked, changes to the channel. A press that acknowledges an incident takes the button from the answer
//! that it stands below.
//!
//! Source: "Interactions" (3 s for the reply, 15 min for changing it; 10,000 refused requests in 10 min ban an address).

mod config;
mod interaction;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use self::interaction::{Asked, BUTTON, Interaction};
use super::embed;
use super::reply::of_webhook;
use crate::chat::ChatDeps;
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::asker::{Asker, NotTaken, Said, Talk};
use crate::chat::endpoint;
use crate::chat::insist::{Insist, Posted};
use crate::chat::replays::{Replays, Unproved};
use crate::guard::{Refused, headers};
use crate::notifiers::buttons::{Button, Pressable};
use crate::notifiers::post::{Post, post};
use crate::notifiers::redact::Redactor;
use podbell_core::message::Language;
use podbell_core::outbox::Content;

pub use config::CHAT;
pub use interaction::PublicKey;

/// Kinds of replies.
const PONG: u8 = 1;
const MESSAGE: u8 = 4;
const FOLLOWS: u8 = 5;
/// Changes the message that the pressed button stands below.
const CHANGE: u8 = 7;
/// Only whoever asked sees it.
const EPHEMERAL: u32 = 64;
/// How long a reply can be changed: 15 min, less what is on the way.
const CHANGED_WITHIN: Duration = Duration::from_secs(14 * 60);

/// One application.
#[derive(Clone)]
pub struct DiscordConfig {
    /// What every chat has.
    pub talk: Talk,
    /// The application's id: interactions for others are refused.
    pub application: String,
    /// Proves its interactions.
    pub public_key: PublicKey,
    /// Discord's API.
    pub api: Url,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// An answer within this time is the reply; Discord waits 3 s.
    pub reply: Duration,
    /// The pause before an answer is sent again; doubles each time.
    pub again: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { reply: Duration::from_millis(2000), again: Duration::from_secs(1) }
    }
}

impl fmt::Debug for DiscordConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscordConfig")
            .field("talk", &self.talk)
            .field("application", &self.application)
            .field("api", &self.api.as_str())
            .finish_non_exhaustive()
    }
}

/// A running chat.
pub struct Discord {
    asker: Arc<Asker>,
    config: DiscordConfig,
    replays: Mutex<Replays>,
}

impl fmt::Debug for Discord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discord").field("asker", &self.asker).finish_non_exhaustive()
    }
}

impl Discord {
    /// A chat that is asked over [`Discord::routes`].
    pub fn new(config: DiscordConfig, deps: ChatDeps) -> Arc<Self> {
        Arc::new(Self { asker: Asker::new(config.talk.clone(), deps), config, replays: Mutex::default() })
    }

    /// Its routes.
    pub fn routes(self: &Arc<Self>) -> Router {
        let path = endpoint::path("discord", &self.asker.talk.name);
        Router::new().route(&path, routing::post(called)).with_state(self.clone())
    }

    /// An answer as a message.
    fn message(&self, said: &Said, content: Content) -> Value {
        match said {
            Said::Own(own) => embed::own(own.say(self.asker.talk.language)),
            Said::Reply(reply) => {
                let mut message = embed::body(&reply.message, content, &[]);
                if let Some(incident) = reply.incident {
                    message["components"] = buttons(incident.into(), reply.message.language);
                }
                message
            }
        }
    }

    /// Sends the answer after the reply: in its place, or as a message of its own.
    async fn follow(&self, token: &str, said: &Said, how: Follow) {
        let token = SecretString::from(token.to_owned());
        let redactor = Redactor::new("", std::slice::from_ref(&token), &[]);
        let webhook = ["webhooks", &self.config.application, token.expose_secret()];
        let send = |message: Value| {
            let redactor = &redactor;
            let request = Post::json(message.to_string().into_bytes(), self.asker.now());
            let request = match how {
                Follow::InPlace => request.patch().below(&[&webhook[..], &["messages", "@original"]].concat()),
                Follow::Below => request.below(&webhook),
            };
            async move {
                match post(&self.asker.deps.client, &self.config.api, request, redactor).await {
                    Err(outcome) => Posted::from(outcome),
                    // Discord may not have read the reply yet.
                    Ok(reply) if reply.status == 404 && how == Follow::Below => Posted::Later(None),
                    Ok(reply) => Posted::from(of_webhook(None, &reply)),
                }
            }
        };
        let insist = Insist {
            chat: &self.asker.talk.name,
            deps: &self.asker.deps,
            rate: None,
            again: self.config.timing.again,
            within: CHANGED_WITHIN,
            most: None,
        };
        let [full, plain] = [Content::Full, Content::Minimal].map(|content| self.message(said, content));
        insist.post(full, plain, send).await;
    }
}

/// How an answer follows its reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// It takes the reply's place.
    InPlace,
    /// It is a message of its own.
    Below,
}

/// The row of buttons below a message.
pub(super) fn buttons(pressable: Pressable, language: Language) -> Value {
    let button = |button: Button| {
        let id = format!("{BUTTON}{}", button.command(pressable.incident));
        json!({"type": 2, "style": 2, "label": button.label(language), "custom_id": id})
    };
    let row: Vec<Value> = pressable.buttons().into_iter().map(button).collect();
    json!([{"type": 1, "components": row}])
}

async fn called(State(discord): State<Arc<Discord>>, headers: HeaderMap, body: Bytes) -> Response {
    match call(&discord, &headers, &body).await {
        Ok(body) => endpoint::json(&body),
        Err(refused) => refused.into_response(),
    }
}

async fn call(discord: &Arc<Discord>, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refused> {
    if headers::content_type(headers) != "application/json" {
        return Err(endpoint::wrong_type());
    }
    let (time, signed) =
        (headers::only_text(headers, "x-signature-timestamp"), headers::only_text(headers, "x-signature-ed25519"));
    let (Some(time), Some(signed)) = (time, signed) else { return Err(Unproved::Unsigned.into()) };
    let now = discord.asker.now();
    let proof = interaction::verify(&discord.config.public_key, time, signed, body, now)?;
    discord.replays.lock().unwrap_or_else(PoisonError::into_inner).admit(proof, now)?;
    match interaction::read(body).ok_or(endpoint::malformed())? {
        Interaction::Ping => Ok(json!({"type": PONG})),
        Interaction::Other => Err(Refused::new(StatusCode::BAD_REQUEST, "an interaction that podbell does not offer")),
        Interaction::Asked(asked) if asked.application != discord.config.application => {
            Err(Refused::new(StatusCode::FORBIDDEN, "an interaction of another application"))
        }
        Interaction::Asked(asked) => answer(discord, *asked).await,
    }
}

async fn answer(discord: &Arc<Discord>, asked: Asked) -> Result<Value, Refused> {
    let hidden = |mut message: Value| {
        message["flags"] = json!(EPHEMERAL);
        json!({"type": MESSAGE, "data": message})
    };
    let changes = asked.heard.asks_for_change();
    let taken = match discord.asker.hear(asked.heard) {
        Ok(taken) => taken,
        Err(NotTaken::Busy) => return Ok(hidden(discord.message(&Said::Own(AdapterNotice::Busy), Content::Full))),
        Err(refused) => return Err(refused.into()),
    };
    let waited = tokio::time::timeout(discord.config.timing.reply, discord.asker.said(taken.answer.clone())).await;
    let follow = {
        let (chat, place) = (discord.clone(), taken.place);
        move |how: Follow| {
            tokio::spawn(async move {
                let said = chat.asker.said(taken.answer).await;
                chat.follow(&asked.token, &said, how).await;
                drop(place);
            })
        }
    };
    if let Ok(said) = waited {
        let Said::Reply(reply) = &*said else { return Ok(hidden(discord.message(&said, Content::Full))) };
        if let Some(incident) = reply.incident.filter(|one| reply.public && one.acknowledged && asked.below_answer) {
            follow(Follow::Below);
            let without = buttons(incident.into(), reply.message.language);
            return Ok(json!({"type": CHANGE, "data": {"components": without}}));
        }
        let message = discord.message(&said, Content::Full);
        return Ok(if reply.public { json!({"type": MESSAGE, "data": message}) } else { hidden(message) });
    }
    follow(Follow::InPlace);
    // Who sees an answer that follows is decided now, before it is known: everybody sees what a command that changes something led to.
    let data = if changes { json!({}) } else { json!({"flags": EPHEMERAL}) };
    Ok(json!({"type": FOLLOWS, "data": data}))
}
