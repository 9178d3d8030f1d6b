//! What a request of the platform says: somebody wrote to podbell, or pressed one of its buttons. Pure.
//!
//! Sources: "Receive message" (`im.message.receive_v1`), "Card callback" (`card.action.trigger`).

use serde::Deserialize;
use serde_json::Value;

use crate::chat::access::DIRECT;
use crate::chat::asker::{Incoming, command};
use podbell_core::time::Time;

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Somebody said something to podbell.
    Message(Box<Received>),
    /// Anything else.
    Other,
}

/// What somebody said, and where the answer goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub incoming: Incoming,
    pub how: Origin,
    /// When, by the platform's clock.
    pub at: Time,
    /// The message that it is in, and that the answer belongs to.
    pub message: String,
    /// The chat, if it is a conversation of one person with the bot.
    pub direct: Option<String>,
    /// Whether it is a press of an answer's button that acknowledges its incident.
    pub changes_answer: bool,
}

/// How something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Written,
    Pressed,
}

#[derive(Deserialize)]
struct Raw {
    header: Head,
    #[serde(default)]
    event: Value,
}

#[derive(Deserialize)]
struct Head {
    event_id: String,
    event_type: String,
    create_time: String,
    tenant_key: String,
}

#[derive(Deserialize)]
struct Message {
    message_id: String,
    chat_id: String,
    chat_type: String,
    message_type: String,
    content: String,
    #[serde(default)]
    mentions: Vec<Mention>,
}

#[derive(Deserialize)]
struct Mention {
    key: String,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    name: String,
}

/// Reads a request. `me` is the bot's open_id. `None` if it is not the platform's.
pub(super) fn read(payload: &[u8], me: &str) -> Option<Event> {
    let raw: Raw = serde_json::from_slice(payload).ok()?;
    let said = match raw.header.event_type.as_str() {
        "im.message.receive_v1" => written(&raw, me),
        "card.action.trigger" => pressed(&raw),
        _ => None,
    };
    Some(said.map_or(Event::Other, |said| Event::Message(Box::new(said))))
}

/// Milliseconds, of some events microseconds, since 1970.
fn at(head: &Head) -> Option<Time> {
    let number: i64 = head.create_time.parse().ok()?;
    Some(Time::from_millis(if number > 100_000_000_000_000 { number / 1000 } else { number }))
}

/// Every tenant that is named: that of the app, and the person's where it differs.
fn teams(head: &Head, person: &Value) -> Vec<String> {
    let own = person["tenant_key"].as_str().filter(|key| *key != head.tenant_key);
    std::iter::once(head.tenant_key.as_str()).chain(own).filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// A person's text that begins with the bot's name, or any in a conversation with it.
fn written(raw: &Raw, me: &str) -> Option<Received> {
    let sender = &raw.event["sender"];
    let message: Message = serde_json::from_value(raw.event["message"].clone()).ok()?;
    if sender["sender_type"] != "user" || message.message_type != "text" {
        return None;
    }
    let content: Value = serde_json::from_str(&message.content).ok()?;
    let text = content["text"].as_str()?.trim();
    let direct = message.chat_type == "p2p";
    let is_me = |mention: &&Mention| !me.is_empty() && mention.id["open_id"] == me;
    let after = |mention: &Mention| {
        let rest = text.strip_prefix(mention.key.as_str())?;
        // @_user_1 is no part of @_user_12.
        (!rest.starts_with(|c: char| c.is_ascii_digit())).then_some(rest)
    };
    let text = match message.mentions.iter().filter(is_me).find_map(after) {
        Some(rest) => rest.trim_start_matches([':', '：', ',']),
        None if direct && !text.is_empty() => text,
        None => return None,
    };
    let (entry, text) = command(&named(text, &message.mentions));
    let channel = if direct { DIRECT.to_owned() } else { message.chat_id.clone() };
    let incoming = Incoming {
        ids: vec![format!("event {}", raw.header.event_id), format!("message {}", message.message_id)],
        teams: teams(&raw.header, sender),
        user: sender["sender_id"]["open_id"].as_str()?.to_owned(),
        name: None,
        channel,
        entry,
        text,
    };
    let direct = direct.then_some(message.chat_id);
    let (how, at, message) = (Origin::Written, at(&raw.header)?, message.message_id);
    Some(Received { incoming, how, at, message, direct, changes_answer: false })
}

/// The text with the names of people in place of their keys, such as `@_user_1`. Of keys that begin each other the
/// longest counts. Names are never searched for keys: people choose them.
fn named(text: &str, mentions: &[Mention]) -> String {
    let mut named = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at);
        named.push_str(before);
        let known = mentions.iter().filter(|mention| mention.key.starts_with('@') && after.starts_with(&mention.key));
        let (said, key) = match known.max_by_key(|mention| mention.key.len()) {
            Some(mention) => (&*mention.name, mention.key.len()),
            None => ("", 1),
        };
        named.push('@');
        named.push_str(said);
        rest = &after[key..];
    }
    named + rest
}

/// A press of one of podbell's buttons.
fn pressed(raw: &Raw) -> Option<Received> {
    let (operator, context, value) = (&raw.event["operator"], &raw.event["context"], &raw.event["action"]["value"]);
    let (entry, text) = command(value["command"].as_str()?);
    let chat = context["open_chat_id"].as_str()?;
    // A press does not say what kind of chat it is in; the button does, for the chat that it was made for.
    let direct = value["direct"].as_str().filter(|made_for| *made_for == chat);
    let incoming = Incoming {
        ids: vec![format!("event {}", raw.header.event_id)],
        teams: teams(&raw.header, operator),
        user: operator["open_id"].as_str()?.to_owned(),
        name: None,
        channel: direct.map_or(chat, |_| DIRECT).to_owned(),
        entry,
        text,
    };
    let message = context["open_message_id"].as_str()?.to_owned();
    let direct = direct.map(str::to_owned);
    let changes_answer = value["changes_answer"] == true;
    Some(Received { incoming, how: Origin::Pressed, at: at(&raw.header)?, message, direct, changes_answer })
}
