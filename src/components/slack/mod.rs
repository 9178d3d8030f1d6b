//! Slack: notifies through an incoming webhook or an app's channel, and answers questions through an app.

mod blocks;
mod channel;
pub mod chat;
mod error_class;
mod escape;
mod people;
mod requests;
mod token;
mod webhook;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value as Json, json};

use self::channel::Channel;
use self::webhook::WEBHOOK;
use crate::notifiers::hook::HookNotifier;
use crate::notifiers::{Audience, ConfiguredChats, Notifier, NotifierForm, NotifierKind};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::yaml::key::{Bool, Custom, Key};
use podbell_core::yaml::{MapReader, Node, Reader};

/// Slack's Web API.
pub const API: &str = "https://slack.com/api";

const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of an incoming webhook.");
const TOKEN: Key<Secret> = Key::required(
    "token",
    Secret(SecretKind::Any),
    "Of an app's bot, xoxb-...: a message an incident, its course in the thread.",
);
const CHANNEL: Key<Custom<String>> = Key::required(
    "channel",
    Custom { read: read_channel, schema: channel_schema },
    "For an app: the channel's id such as C0123ABC, or \"#name\".",
);
const WEB_API: Key<Address> = Key::with_default("api", HTTP, API, "Slack's Web API.");
const BUTTONS: Key<Bool> = Key::optional(
    "buttons",
    Bool,
    "For an app: whether messages have buttons [default: when chats has a Slack app that hears of them].",
);

/// The registry row of the notifiers.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "slack",
    audience: Audience::People,
    forms: &[
        NotifierForm { about: "A Slack channel, through an incoming webhook: a message a notice.", keys: &[&URL] },
        NotifierForm {
            about: "A Slack channel, through an app: a message an incident, its course in the thread.",
            keys: &[&TOKEN, &CHANNEL, &WEB_API, &BUTTONS],
        },
    ],
    read,
    elsewhere: |key| match key {
        "url" => Some("an incoming webhook has `url`, an app `token` and `channel`: one of both"),
        "token" | "channel" | "api" | "buttons" => Some("for `kind: slack` with an app's `token` and `channel`"),
        _ => None,
    },
    people: Some(people::PEOPLE),
    preview: |url| Arc::new(HookNotifier::new(url, &WEBHOOK)),
};

/// The registry row of the chat.
pub(crate) use chat::CHAT;

fn read(map: &mut MapReader<'_>, chats: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    if ["token", "channel"].iter().any(|key| map.has(key)) {
        return read_app(map, chats, reader);
    }
    let url = URL.take(map, reader)?;
    Some(Draft::<dyn Notifier>::new(move |secrets| Some(Arc::new(HookNotifier::new(secrets.url(&url)?, &WEBHOOK)))))
}

/// Reads an app's token and a channel, for threads and updates of messages.
fn read_app(map: &mut MapReader<'_>, chats: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let node = TOKEN.node(map, reader);
    let token = node.and_then(|node| {
        let token = TOKEN.read(node, reader)?;
        if token.written_out().is_some_and(|token| !is_bot_token(&token)) {
            let help = "copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions";
            reader.error_help(&node.span, "this is not a token of a Slack bot", help);
        }
        Some(token)
    });
    let channel = CHANNEL.take(map, reader);
    let api = WEB_API.take(map, reader);
    let buttons = BUTTONS.take(map, reader).unwrap_or_else(|| chats.kinds.contains(&CHAT.name));
    let (token, channel, api) = (token?, channel?, api?);
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let token = secrets.get(&token)?;
        Some(Arc::new(Channel { token, channel, api, buttons }))
    }))
}

fn is_bot_token(token: &SecretString) -> bool {
    token.expose_secret().starts_with("xox")
}

/// A channel's id, or `#` and its name.
fn read_channel(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a channel's id such as C0123ABC")?;
    let id = text.starts_with(['C', 'G', 'D']) && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let name = text.strip_prefix('#').is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    if !(id || name) || text.len() > 100 {
        let help = "copy the channel's id from the end of its details in Slack, or write \"#name\", in quotes";
        reader.error_help(&node.span, format!("`{text}` is not a channel of Slack"), help);
        return None;
    }
    Some(text.to_owned())
}

fn channel_schema() -> Json {
    json!({"type": "string", "pattern": "^([CGD][A-Z0-9]+|#[^\\s]+)$", "maxLength": 100})
}
