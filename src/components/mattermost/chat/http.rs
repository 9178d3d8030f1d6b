//! Mattermost over HTTP: one address for slash commands (a form, proved by the command's token) and presses of buttons
//! (JSON, proved by podbell's own code). The body was already read within its limits (`guard`); nothing is asked before it
//! is proved.
//!
//! Sources: "Custom slash commands" (`Authorization: Token …`, the token in the form, 30 s), "Interactive messages".

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use subtle::{Choice, ConstantTimeEq as _};

use super::super::actions;
use super::Mattermost;
use crate::chat::access::DIRECT;
use crate::chat::asker::{Incoming, command};
use crate::chat::endpoint;
use crate::guard::{Refused, headers};

impl Mattermost {
    /// Its routes: none if nothing could be proved.
    pub fn routes(self: &Arc<Self>) -> Router {
        match self.config.tokens.is_empty() && self.config.bot_token.is_none() {
            true => Router::new(),
            false => {
                let path = endpoint::path("mattermost", &self.asker.settings.name);
                Router::new().route(&path, post(called)).with_state(self.clone())
            }
        }
    }
}

async fn called(
    State(chat): State<Arc<Mattermost>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<endpoint::Json, Refused> {
    call(&chat, &headers, &body).await.map(endpoint::Json)
}

async fn call(chat: &Arc<Mattermost>, headers: &HeaderMap, body: &[u8]) -> Result<Value, Refused> {
    let within = chat.config.timing.reply;
    match headers::content_type(headers).as_str() {
        "application/x-www-form-urlencoded" => {
            let mut incoming = typed(chat, headers, body)?;
            if chat.learn_who_it_is().await {
                incoming = typed(chat, headers, body)?;
            }
            Ok(chat.command_answer(&*endpoint::ask(&chat.asker, incoming, within).await?))
        }
        "application/json" => {
            let (mut press, mut answers) = pressed(chat, body)?;
            if chat.learn_who_it_is().await {
                (press, answers) = pressed(chat, body)?;
            }
            let said = endpoint::ask(&chat.asker, press.clone(), within).await?;
            Ok(chat.press_answer(&said, &press, answers.as_deref()).await)
        }
        _ => Err(endpoint::wrong_type()),
    }
}

/// A slash command.
fn typed(chat: &Mattermost, headers: &HeaderMap, body: &[u8]) -> Result<Incoming, Refused> {
    let mut fields = BTreeMap::new();
    let mut is_clear = true;
    for (key, value) in url::form_urlencoded::parse(body) {
        // Refuse a repeated field: podbell and a proxy in front of it might each read a different one.
        is_clear &= fields.insert(key.into_owned(), value.into_owned()).is_none();
    }
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    // Older servers put it into the form only.
    let token = match headers.contains_key(header::AUTHORIZATION) {
        true => {
            headers::only_text(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Token "))
        }
        false => fields.get("token").map(String::as_str),
    };
    let token = token.ok_or(Refused::new(StatusCode::UNAUTHORIZED, "no token of a slash command"))?;
    if !knows(chat, token) {
        return Err(Refused::new(StatusCode::UNAUTHORIZED, "a wrong token"));
    }
    if !is_clear || !field("command").starts_with('/') {
        return Err(endpoint::malformed());
    }
    let (entry, text) = command(&format!("{} {}", field("command"), field("text")));
    incoming(chat, &|name| field(name).to_owned(), entry, text)
}

/// Compares with all tokens in constant time, so that no wrong one shows how far it is right.
fn knows(chat: &Mattermost, token: &str) -> bool {
    let all = chat.config.tokens.iter().map(|known| known.expose_secret().as_bytes().ct_eq(token.as_bytes()));
    all.fold(Choice::from(0), |found, one| found | one).into()
}

/// A press of a button. If the press changes the post in which the button stands, also the post that this one answers.
fn pressed(chat: &Mattermost, body: &[u8]) -> Result<(Incoming, Option<String>), Refused> {
    let unproved = Refused::new(StatusCode::UNAUTHORIZED, "a press of a button that is not podbell's");
    let token = chat.config.bot_token.as_ref().ok_or(unproved)?;
    let body: Value = serde_json::from_slice(body).map_err(|_| unproved)?;
    let actions::Press { command: typed, answers } = actions::pressed(&body["context"], token).ok_or(unproved)?;
    let (entry, text) = command(&typed);
    let incoming = incoming(chat, &|name| body[name].as_str().unwrap_or_default().to_owned(), entry, text)?;
    Ok((incoming, answers))
}

fn incoming(
    chat: &Mattermost,
    field: &dyn Fn(&str) -> String,
    entry: podbell_core::ask::Entry,
    text: String,
) -> Result<Incoming, Refused> {
    let [user, channel, team, trigger] = ["user_id", "channel_id", "team_id", "trigger_id"].map(field);
    if user.is_empty() || channel.is_empty() {
        return Err(endpoint::malformed());
    }
    // Each use of a command or button has its own; a server that has none repeats nothing either.
    let ids = Some(trigger).filter(|trigger| (2..=1024).contains(&trigger.len())).map(|id| format!("trigger {id}"));
    if ids.is_none() {
        chat.asker.complain("a call without a `trigger_id`: what comes twice is not recognized");
    }
    let name = Some(field("user_name")).filter(|name| !name.is_empty());
    // As over the websocket: a conversation with the bot is `direct`, and belongs to no team. Mattermost calls it by both ids, and
    // lets no other channel be called so.
    let name_of_channel = field("channel_name");
    let direct = chat
        .me
        .get()
        .is_some_and(|me| name_of_channel == format!("{me}__{user}") || name_of_channel == format!("{user}__{me}"));
    let channel = if direct { DIRECT.to_owned() } else { channel };
    let teams = Some(team).filter(|team| !team.is_empty() && !direct);
    Ok(Incoming {
        ids: ids.into_iter().collect(),
        teams: teams.into_iter().collect(),
        user,
        name,
        channel,
        entry,
        text,
    })
}
