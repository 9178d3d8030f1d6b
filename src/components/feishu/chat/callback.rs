//! Events over HTTP: for an application that sends them to a server instead of the long connection.
//!
//! Sources: "Send events to developer's server", "Card callback". The platform waits 3 s and posts again what was not answered
//! with 200; what comes twice is remembered by its `event_id`, so that a recorded request runs nothing a second time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Feishu;
use super::answer;
use super::event::{self, Event, Origin};
use super::signed::{Headers, Subscription};
use crate::chat::endpoint;
use crate::chat::replays::Unproved;
use crate::guard::{Refused, headers};

/// How long asking for the bot's name may take, of the 3 s that the platform waits.
const NAMED: Duration = Duration::from_secs(1);

/// What podbell is asked when the address is written into the application's settings.
#[derive(Deserialize)]
struct Asked {
    r#type: String,
    challenge: String,
    token: String,
}

#[derive(Deserialize)]
struct Raw {
    header: Head,
}

#[derive(Deserialize)]
struct Head {
    token: String,
    app_id: String,
}

impl Feishu {
    /// The routes of events over HTTP; none without a subscription.
    pub fn routes(self: &Arc<Self>) -> Router {
        match self.subscription {
            Some(_) => Router::new()
                .route(&endpoint::path("feishu", &self.asker.settings.name), post(called))
                .with_state(self.clone()),
            None => Router::new(),
        }
    }
}

async fn called(State(chat): State<Arc<Feishu>>, headers: HeaderMap, body: Bytes) -> Result<endpoint::Json, Refused> {
    call(&chat, &headers, &body).await.map(endpoint::Json)
}

async fn call(chat: &Arc<Feishu>, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refused> {
    let Some(subscription) = &chat.subscription else {
        return Err(Refused::new(StatusCode::NOT_FOUND, "an event without a subscription"));
    };
    if headers::content_type(headers) != "application/json" {
        return Err(endpoint::wrong_type());
    }
    let header = |name| headers::only_text(headers, name);
    let proof = (header("x-lark-request-timestamp"), header("x-lark-request-nonce"), header("x-lark-signature"));
    let (Some(timestamp), Some(nonce), Some(signature)) = proof else {
        // The question whether podbell is there is encrypted, but not signed.
        return challenge(subscription, &subscription.decrypt(body).unwrap_or_default())
            .ok_or(Unproved::Unsigned.into());
    };
    subscription.verify(&Headers { timestamp, nonce, signature }, body, chat.asker.now())?;
    let plain = subscription.decrypt(body).ok_or(endpoint::malformed())?;
    if let Some(answer) = challenge(subscription, &plain) {
        return Ok(answer);
    }
    let Raw { header } = serde_json::from_slice(&plain).map_err(|_| endpoint::malformed())?;
    if !subscription.knows(&header.token) {
        return Err(Refused::new(StatusCode::UNAUTHORIZED, "a wrong verification token"));
    }
    if header.app_id != chat.api.app {
        return Err(Refused::new(StatusCode::FORBIDDEN, "an event of another application"));
    }
    let said = match event::read(&plain, "").ok_or(endpoint::malformed())? {
        Event::Message(said) if said.how == Origin::Pressed => said,
        // Whether podbell is meant depends on the bot's name.
        _ => {
            let named = tokio::time::timeout(NAMED, chat.bot()).await.ok().flatten();
            let me = named.ok_or(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the bot's id cannot be asked for"))?;
            match event::read(&plain, me).ok_or(endpoint::malformed())? {
                Event::Message(said) => said,
                Event::Other => return Ok(json!({})),
            }
        }
    };
    let answering = answer::submit(chat, *said)?;
    let (chat, (answers, answer)) = (chat.clone(), oneshot::channel());
    // Whoever hangs up gets the answer below the message all the same.
    tokio::spawn(async move {
        let toast = answering.ready(&chat).await;
        let _ = answers.send(toast);
        if answering.taken.first {
            answering.follow(chat).await;
        }
    });
    Ok(answer.await.ok().flatten().unwrap_or(json!({})))
}

/// The answer to the question whether podbell is there; `None` if this is none, or another's.
fn challenge(subscription: &Subscription, plain: &[u8]) -> Option<Value> {
    let asked: Asked = serde_json::from_slice(plain).ok()?;
    let is_own = asked.r#type == "url_verification" && subscription.knows(&asked.token);
    is_own.then(|| json!({"challenge": asked.challenge}))
}
