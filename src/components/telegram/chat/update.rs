//! What Telegram hands out: updates, as far as podbell answers them. Pure.
//!
//! Source: "Telegram Bot API": Update, Message, CallbackQuery; "Privacy mode" (in groups a bot reads commands, and what
//! mentions or answers it).

use serde::Deserialize;

use crate::chat::access::DIRECT;
use crate::chat::asker::{Incoming, command};
use podbell_core::time::Time;

/// An update that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    /// Its number: the next ones have greater ones.
    pub id: i64,
    /// What somebody said, if it is for podbell.
    pub said: Option<Received>,
}

/// What somebody said or pressed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    /// Who and what.
    pub incoming: Incoming,
    /// The message that the answer follows.
    pub place: MessageRef,
    /// The press to confirm, if it is one.
    pub pressed: Option<String>,
    /// When it was said; unknown of a press.
    pub at: Option<Time>,
}

/// A message of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageRef {
    /// The chat.
    pub chat: i64,
    /// The topic of the chat.
    pub topic: Option<i64>,
    /// The message.
    pub message: i64,
}

#[derive(Deserialize)]
struct RawUpdate {
    update_id: i64,
    #[serde(default)]
    message: Option<serde_json::Value>,
    #[serde(default)]
    callback_query: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct RawMessage {
    message_id: i64,
    #[serde(default)]
    date: i64,
    chat: RawChat,
    from: Option<RawUser>,
    #[serde(default)]
    text: String,
    message_thread_id: Option<i64>,
    #[serde(default)]
    is_topic_message: bool,
}

#[derive(Deserialize)]
struct RawChat {
    id: i64,
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize)]
struct RawUser {
    id: i64,
    #[serde(default)]
    is_bot: bool,
    username: Option<String>,
    first_name: Option<String>,
}

#[derive(Deserialize)]
struct RawPress {
    id: String,
    from: RawUser,
    message: Option<RawMessage>,
    #[serde(default)]
    data: String,
}

/// Reads one update for the bot of this name. `None` if it is not an update at all. One whose inside cannot be read
/// keeps its number, so that it is passed over and not handed out for ever.
pub(super) fn read(update: &serde_json::Value, bot: &str) -> Option<Update> {
    let raw: RawUpdate = serde_json::from_value(update.clone()).ok()?;
    let message = raw.message.and_then(|message| serde_json::from_value(message).ok());
    let press = raw.callback_query.and_then(|press| serde_json::from_value(press).ok());
    let said = match (message, press) {
        (Some(message), _) => written(message, bot, raw.update_id),
        (None, Some(press)) => pressed(press, raw.update_id),
        (None, None) => None,
    };
    Some(Update { id: raw.update_id, said })
}

fn written(message: RawMessage, bot: &str, update: i64) -> Option<Received> {
    let from = message.from.as_ref().filter(|from| !from.is_bot)?;
    let direct = message.chat.r#type == "private";
    let text = addressed(&message.text, bot, direct)?;
    // What Telegram sends when somebody opens the bot.
    let text = if text.trim() == "/start" { "help".to_owned() } else { text };
    let incoming = incoming(from, &message, &text, vec![format!("update {update}")]);
    Some(Received { incoming, place: message.place(), pressed: None, at: Some(Time::from_seconds(message.date)) })
}

fn pressed(press: RawPress, update: i64) -> Option<Received> {
    // Without its message, which is too old, nobody knows where it was pressed.
    let message = press.message?;
    let ids = vec![format!("update {update}"), format!("press {}", press.id)];
    let incoming = incoming(&press.from, &message, &press.data, ids);
    Some(Received { incoming, place: message.place(), pressed: Some(press.id), at: None })
}

fn incoming(from: &RawUser, message: &RawMessage, text: &str, ids: Vec<String>) -> Incoming {
    let channel = match message.chat.r#type.as_str() {
        "private" => DIRECT.to_owned(),
        _ => message.chat.id.to_string(),
    };
    let (entry, text) = command(text);
    let name = from.username.clone().or_else(|| from.first_name.clone());
    Incoming { ids, teams: Vec::new(), user: from.id.to_string(), name, channel, entry, text }
}

impl RawMessage {
    fn place(&self) -> MessageRef {
        let topic = self.message_thread_id.filter(|_| self.is_topic_message);
        MessageRef { chat: self.chat.id, topic, message: self.message_id }
    }
}

/// The text without the bot's name, if it is for this bot: a command, one that names it, or what begins with its
/// mention; anything in a conversation of two.
fn addressed(text: &str, bot: &str, direct: bool) -> Option<String> {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (begin, named) = word.split_once('@').map_or((word, None), |(begin, named)| (begin, Some(named)));
    let is_own = |name: &str| name.eq_ignore_ascii_case(bot);
    match (begin, named) {
        (_, None) if begin.starts_with('/') => Some(text.to_owned()),
        // A command for another bot of the group.
        (_, Some(named)) if begin.starts_with('/') => is_own(named).then(|| format!("{begin} {rest}")),
        ("", Some(named)) if is_own(named) => Some(rest.trim().to_owned()),
        _ => (direct && !text.is_empty()).then(|| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podbell_core::ask::Entry;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn message(text: &str, kind: &str) -> Value {
        let chat = json!({"id": -1001, "type": kind});
        json!({"update_id": 7, "message": {
            "message_id": 70, "date": 1000, "chat": chat, "text": text,
            "from": {"id": 5, "is_bot": false, "username": "steve"},
        }})
    }

    fn incoming(update: &Value) -> Option<Incoming> {
        read(update, "podbell_bot").unwrap().said.map(|said| said.incoming)
    }

    #[test]
    fn a_bot_hears_what_is_for_it() {
        for (text, kind, entry, rest) in [
            ("/events web-service", "supergroup", Entry::Events, "web-service"),
            ("/events@podbell_bot web-service", "supergroup", Entry::Events, "web-service"),
            ("/events@Podbell_Bot   支付服务 ", "group", Entry::Events, "支付服务"),
            ("@podbell_bot /events web", "group", Entry::Events, "web"),
            ("@podbell_bot mute 12 1h", "group", Entry::Podbell, "mute 12 1h"),
            ("/ack@podbell_bot 12", "group", Entry::Podbell, "ack 12"),
            ("/start", "private", Entry::Podbell, "help"),
            ("/start@podbell_bot", "group", Entry::Podbell, "help"),
            ("incidents", "private", Entry::Podbell, "incidents"),
        ] {
            let incoming = incoming(&message(text, kind)).unwrap();
            assert_eq!((incoming.entry, incoming.text.as_str()), (entry, rest), "{text}");
            assert_eq!(incoming.channel, if kind == "private" { DIRECT } else { "-1001" });
        }
        for text in ["/events@other_bot web", "good morning", "@other_bot help", "mail steve@example.com", "", "😀"] {
            assert_eq!(incoming(&message(text, "supergroup")), None, "{text}");
        }
        let mut bot = message("/events web", "group");
        bot["message"]["from"]["is_bot"] = true.into();
        assert_eq!(incoming(&bot), None);
    }

    #[test]
    fn an_update_that_cannot_be_read_keeps_its_number() {
        for inside in [json!({}), json!({"message": 1}), json!({"message": {"message_id": "x"}}), json!({"poll": {}})] {
            let mut update = inside;
            update["update_id"] = 9.into();
            assert_eq!(read(&update, "b"), Some(Update { id: 9, said: None }), "{update}");
        }
        assert_eq!(read(&json!({"message": {}}), "b"), None);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in ".{0,40}", direct in any::<bool>()) {
            let _ = addressed(&text, "podbell_bot", direct);
        }
    }
}
