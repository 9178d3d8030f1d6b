//! Microsoft Teams: an outgoing webhook of a team. Whoever mentions it in a channel is answered below their message.
//!
//! Source: "Create an outgoing webhook" (an answer within 10 s, as the body of the reply; it cannot follow later).

mod activity;
mod config;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use serde_json::{Value, json};

use super::card;
use crate::chat::ChatDeps;
use crate::chat::asker::{Asker, ChatAnswer, ChatSettings};
use crate::chat::endpoint;
use crate::chat::replays::{Proof, Replays, Unproved, fresh};
use crate::guard::{Refused, headers};
use podbell_core::outbox::Content;

pub use activity::SecurityToken;
pub use config::CHAT;

/// One outgoing webhook.
#[derive(Clone, Debug)]
pub struct TeamsConfig {
    /// What every chat has.
    pub settings: ChatSettings,
    /// Proves its calls.
    pub token: Arc<SecurityToken>,
    /// An answer is ready within this time; Teams waits 10 s.
    pub reply: Duration,
}

/// A running chat.
pub struct Teams {
    asker: Arc<Asker>,
    config: TeamsConfig,
    replays: Mutex<Replays>,
}

impl Teams {
    /// A chat that is asked over [`Teams::routes`].
    pub fn new(config: TeamsConfig, deps: ChatDeps) -> Arc<Self> {
        Arc::new(Self { asker: Asker::new(config.settings.clone(), deps), config, replays: Mutex::default() })
    }

    /// Its routes.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new().route(&endpoint::path("teams", &self.asker.settings.name), post(called)).with_state(self.clone())
    }
}

async fn called(State(teams): State<Arc<Teams>>, headers: HeaderMap, body: Bytes) -> Result<endpoint::Json, Refused> {
    call(&teams, &headers, &body).await.map(endpoint::Json)
}

async fn call(teams: &Arc<Teams>, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refused> {
    if headers::content_type(headers) != "application/json" {
        return Err(endpoint::wrong_type());
    }
    let header = headers::only_text(headers, header::AUTHORIZATION.as_str()).ok_or(Unproved::Unsigned)?;
    let signature = activity::verify(&teams.config.token, header, body)?;
    let activity = activity::read(body).ok_or(endpoint::malformed())?;
    let now = teams.asker.now();
    fresh(activity.at, now)?;
    let proof = Proof { timestamp: activity.at, signature };
    teams.replays.lock().unwrap_or_else(PoisonError::into_inner).admit(proof, now)?;
    let Some(incoming) = activity.incoming else { return Ok(json!({})) };
    let said = endpoint::ask(&teams.asker, incoming, teams.config.reply).await?;
    Ok(match &*said {
        ChatAnswer::Notice(own) => json!({"type": "message", "text": own.say(teams.asker.settings.language)}),
        ChatAnswer::Reply(reply) => card::body(&reply.message, Content::Full, &[], None),
    })
}
