//! Discord: commands and buttons as interactions, which Discord posts to podbell.
//!
//! An answer that is ready in time is the reply; otherwise the reply says that it follows, and the answer changes it.
//! Answers are shown to whoever asked, changes to the channel. A press that acknowledges an incident takes the button from the answer
//! that it stands in.
//!
//! Source: "Interactions" (3 s for the reply, 15 min for changing it; 10,000 refused requests in 10 min ban an address).

mod config;
mod interaction;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use self::interaction::{Asked, BUTTON, Interaction};
use super::embed;
use super::reply::of_webhook;
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::answer_delivery::Posted;
use crate::chat::asker::{Asker, ChatAnswer, ChatSettings, Rejection};
use crate::chat::replays::{Replays, Unproved};
use crate::chat::{ChatDeps, endpoint};
use crate::guard::{Refused, headers};
use crate::notifiers::buttons::{Button, Pressable};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use podbell_core::outbox::Content;
use podbell_core::translations::Language;

pub use config::CHAT;
pub use interaction::PublicKey;

/// Kinds of replies.
const PONG: u8 = 1;
const MESSAGE: u8 = 4;
const FOLLOWS: u8 = 5;
/// The message that the pressed button stands in may change later.
const CHANGE_FOLLOWS: u8 = 6;
/// Changes that message.
const CHANGE: u8 = 7;
/// Only whoever asked sees it.
const EPHEMERAL: u32 = 64;
/// How long a reply can be changed: 15 min, less what is on the way.
const CHANGED_WITHIN: Duration = Duration::from_secs(14 * 60);

/// One application.
#[derive(Clone, Debug)]
pub struct DiscordConfig {
    /// What every chat has.
    pub settings: ChatSettings,
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

/// A running chat.
pub struct Discord {
    asker: Arc<Asker>,
    config: DiscordConfig,
    replays: Mutex<Replays>,
}

impl Discord {
    /// A chat that is asked over [`Discord::routes`].
    pub fn new(config: DiscordConfig, deps: ChatDeps) -> Arc<Self> {
        Arc::new(Self { asker: Asker::new(config.settings.clone(), deps), config, replays: Mutex::default() })
    }

    /// Its routes.
    pub fn routes(self: &Arc<Self>) -> Router {
        let path = endpoint::path("discord", &self.asker.settings.name);
        Router::new().route(&path, routing::post(called)).with_state(self.clone())
    }

    /// An answer as a message.
    fn message(&self, said: &ChatAnswer, content: Content) -> Value {
        match said {
            ChatAnswer::Notice(own) => embed::own(own.say(self.asker.settings.language)),
            ChatAnswer::Reply(reply) => {
                let mut message = embed::body(&reply.message, content, &[]);
                if let Some(incident) = reply.incident {
                    message["components"] = buttons(incident.into(), reply.message.language);
                }
                message
            }
        }
    }

    /// The same for a message that nothing was said about yet: whoever asked sees an answer, everybody a change.
    fn seen_by_its_readers(&self, said: &ChatAnswer, content: Content) -> Value {
        let mut message = self.message(said, content);
        if !matches!(said, ChatAnswer::Reply(reply) if reply.public) {
            message["flags"] = json!(EPHEMERAL);
        }
        message
    }

    /// Sends the answer after the reply.
    async fn follow(&self, token: &str, said: &ChatAnswer, how: Follow) {
        let token = SecretString::from(token.to_owned());
        let redactor = Redactor::new("", std::slice::from_ref(&token), &[]);
        let webhook = ["webhooks", &self.config.application, token.expose_secret()];
        let original = [&webhook[..], &["messages", "@original"]].concat();
        let request = |message: Value| HttpRequest::post(message.to_string(), self.asker.now());
        let send = |request: HttpRequest| {
            let redactor = &redactor;
            async move {
                match request.send(&self.asker.deps.client, &self.config.api, redactor).await {
                    Err(outcome) => Posted::from(outcome),
                    // Discord may not have read the reply yet.
                    Ok(reply) if reply.status == 404 && how != Follow::InPlace => Posted::Later(None),
                    Ok(reply) => Posted::from(of_webhook(None, &reply)),
                }
            }
        };
        let change = |message: Value| send(request(message).method(Method::PATCH).below(&original));
        let add = |message: Value| send(request(message).below(&webhook));
        let delivery = self.asker.delivery(self.config.timing.again, CHANGED_WITHIN);
        let contents = [Content::Full, Content::Minimal];
        if how == Follow::InPlace {
            let [full, plain] = contents.map(|content| self.message(said, content));
            return delivery.post(full, plain, change).await;
        }
        let [full, plain] = contents.map(|content| self.seen_by_its_readers(said, content));
        delivery.post(full, plain, add).await;
        if let (Follow::AfterPress, Some(components)) = (how, without_acknowledge(said)) {
            let without = json!({"components": components});
            delivery.post(without.clone(), without, change).await;
        }
    }
}

/// How an answer follows its reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// It takes the reply's place.
    InPlace,
    /// It is a message of its own.
    Below,
    /// The same, and the answer that the pressed button stands in may change, too.
    AfterPress,
}

/// What stays of the buttons of an answer, if the press of one of them acknowledged the incident.
fn without_acknowledge(said: &ChatAnswer) -> Option<Value> {
    let ChatAnswer::Reply(reply) = said else { return None };
    said.acknowledged().map(|incident| buttons(incident.into(), reply.message.language))
}

/// The row of buttons below a message.
pub(super) fn buttons(pressable: Pressable, language: Language) -> Value {
    let button = |button: Button| {
        let id = format!("{BUTTON}{}", button.command(pressable.incident));
        json!({"type": 2, "style": 2, "label": button.say(language), "custom_id": id})
    };
    let row: Vec<Value> = pressable.buttons().into_iter().map(button).collect();
    json!([{"type": 1, "components": row}])
}

async fn called(
    State(discord): State<Arc<Discord>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<endpoint::Json, Refused> {
    call(&discord, &headers, &body).await.map(endpoint::Json)
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
    let reply = |said: &ChatAnswer| json!({"type": MESSAGE, "data": discord.seen_by_its_readers(said, Content::Full)});
    let changes = asked.incoming.asks_for_change();
    let taken = match discord.asker.submit(asked.incoming) {
        Ok(taken) => taken,
        Err(Rejection::Busy) => return Ok(reply(&ChatAnswer::Notice(AdapterNotice::Busy))),
        Err(refused) => return Err(refused.into()),
    };
    let waited = tokio::time::timeout(discord.config.timing.reply, discord.asker.answered(taken.answer.clone())).await;
    let follow = {
        let (chat, permit) = (discord.clone(), taken.permit);
        move |how: Follow| {
            tokio::spawn(async move {
                let said = chat.asker.answered(taken.answer).await;
                chat.follow(&asked.token, &said, how).await;
                drop(permit);
            })
        }
    };
    match waited {
        Ok(said) => Ok(match without_acknowledge(&said).filter(|_| asked.in_answer) {
            Some(components) => {
                follow(Follow::Below);
                json!({"type": CHANGE, "data": {"components": components}})
            }
            None => reply(&said),
        }),
        Err(_) if asked.in_answer && changes => {
            follow(Follow::AfterPress);
            Ok(json!({"type": CHANGE_FOLLOWS}))
        }
        Err(_) => {
            follow(Follow::InPlace);
            // Who sees it is decided now, before it is known: everybody sees what a command that changes something led to.
            let data = if changes { json!({}) } else { json!({"flags": EPHEMERAL}) };
            Ok(json!({"type": FOLLOWS, "data": data}))
        }
    }
}
