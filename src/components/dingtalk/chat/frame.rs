//! The frames of Stream mode. Pure.
//!
//! Source: "Stream mode: protocol": `SYSTEM` frames (`ping` wants its data back, `disconnect` announces the end), `CALLBACK` frames
//! with a message for the robot or a press of a card's button, each acknowledged by its `messageId`; "Card: event callback".

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::chat::access::DIRECT;
use crate::chat::asker::{Incoming, command};
use podbell_core::time::Time;

/// The largest frame: a message and what it carries beside its text.
pub(super) const MAX: usize = 1024 * 1024;
/// What is subscribed to: messages for the robot.
pub(super) const MESSAGES: &str = "/v1.0/im/bot/messages/get";
/// What else is subscribed to: presses of buttons.
pub(super) const PRESSES: &str = "/v1.0/card/instances/callback";

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// DingTalk asks whether podbell lives; this answers.
    Ping(String),
    /// DingTalk will close the connection, and sends nothing more over it.
    Disconnect,
    /// Something for the robot.
    Message {
        /// What acknowledges it.
        ack: String,
        /// What somebody wrote or pressed. `None` if it is nothing that podbell answers.
        said: Option<Box<Received>>,
    },
    /// A press that cannot be read.
    Unread(String),
    /// Something that wants to be acknowledged only.
    Other(String),
    /// Something that wants nothing.
    Ignored,
}

/// What somebody wrote or pressed, and where the answer goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub incoming: Incoming,
    pub to: Address,
    /// When it was written or pressed.
    pub at: Option<Time>,
}

/// Where an answer goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// The address of a message, which takes answers until then.
    Session(Url, Time),
    /// A group, written to by this robot.
    Group { robot: String, conversation: String },
}

#[derive(Deserialize)]
struct Raw {
    r#type: String,
    headers: Headers,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Headers {
    topic: String,
    #[serde(default)]
    message_id: String,
    /// Milliseconds since 1970.
    #[serde(default)]
    time: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    msg_id: String,
    conversation_id: String,
    conversation_type: String,
    #[serde(default)]
    msgtype: String,
    #[serde(default)]
    is_in_at_list: Option<bool>,
    #[serde(default)]
    sender_staff_id: String,
    #[serde(default)]
    sender_id: String,
    #[serde(default)]
    sender_nick: String,
    #[serde(default)]
    sender_corp_id: String,
    session_webhook: String,
    session_webhook_expired_time: i64,
    #[serde(default)]
    create_at: Option<i64>,
    #[serde(default)]
    text: Value,
    #[serde(default)]
    content: Value,
}

/// A press of a button.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Press {
    #[serde(default)]
    corp_id: String,
    user_id: String,
    space_type: String,
    /// The group, for a card of a group.
    space_id: String,
    /// JSON: [`Content`].
    content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    card_private_data: Pressed,
}

#[derive(Deserialize)]
struct Pressed {
    params: Params,
}

/// What the button carries: see [`super::super::card`].
#[derive(Deserialize)]
struct Params {
    command: String,
    robot: String,
}

/// Reads a frame. `None` if it is not DingTalk's.
pub(super) fn read(text: &str) -> Option<Frame> {
    let raw: Raw = serde_json::from_str(text).ok()?;
    let id = raw.headers.message_id;
    Some(match (raw.r#type.as_str(), raw.headers.topic.as_str()) {
        ("SYSTEM", "ping") => Frame::Ping(acknowledgement(&id, &raw.data)),
        ("SYSTEM", "disconnect") => Frame::Disconnect,
        ("SYSTEM", _) => Frame::Ignored,
        ("CALLBACK", MESSAGES) => {
            // One that cannot be read would only come again.
            let message = serde_json::from_str::<Message>(&raw.data).ok();
            let said = message.and_then(|message| message.read(&id)).map(Box::new);
            Frame::Message { ack: acknowledgement(&id, &json!({"response": null}).to_string()), said }
        }
        ("CALLBACK", PRESSES) => {
            let press = serde_json::from_str::<Press>(&raw.data).ok();
            let at = raw.headers.time.parse().ok().map(Time::from_millis);
            let ack = acknowledgement(&id, &json!({"response": {}}).to_string());
            match press.and_then(|press| press.read(&id, at)) {
                Some(said) => Frame::Message { ack, said: Some(Box::new(said)) },
                None => Frame::Unread(ack),
            }
        }
        ("EVENT", _) => Frame::Other(acknowledgement(&id, &json!({"status": "SUCCESS"}).to_string())),
        _ => Frame::Other(acknowledgement(&id, &json!({"response": null}).to_string())),
    })
}

/// The frame that acknowledges another.
fn acknowledgement(id: &str, data: &str) -> String {
    let headers = json!({"contentType": "application/json", "messageId": id});
    json!({"code": 200, "headers": headers, "message": "OK", "data": data}).to_string()
}

impl Message {
    /// What a person wrote: in a group, to the robot.
    fn read(self, frame: &str) -> Option<Received> {
        let is_direct = self.conversation_type == "1";
        if !is_direct && self.is_in_at_list == Some(false) {
            return None;
        }
        let words = match self.msgtype.as_str() {
            "text" => self.text["content"].as_str()?.to_owned(),
            "richText" => {
                let parts = self.content["richText"].as_array()?;
                parts.iter().filter_map(|part| part["text"].as_str()).collect()
            }
            _ => return None,
        };
        let words = words.trim();
        // DingTalk leaves the mention out, but not in every kind of message.
        let words = match words.strip_prefix('@') {
            Some(mention) if !is_direct => mention.split_once(char::is_whitespace).map_or("", |(_, rest)| rest),
            _ => words,
        };
        let (entry, text) = command(words);
        // Guests are not in the address book.
        let user = if self.sender_staff_id.is_empty() { self.sender_id } else { self.sender_staff_id };
        let incoming = Incoming {
            ids: vec![format!("message {}", self.msg_id), format!("frame {frame}")],
            teams: Some(self.sender_corp_id).filter(|id| !id.is_empty()).into_iter().collect(),
            user,
            name: Some(self.sender_nick).filter(|name| !name.is_empty()),
            channel: if is_direct { DIRECT.to_owned() } else { self.conversation_id },
            entry,
            text,
        };
        let until = Time::from_millis(self.session_webhook_expired_time);
        let to = Address::Session(Url::parse(&self.session_webhook).ok()?, until);
        Some(Received { incoming, to, at: self.create_at.map(Time::from_millis) })
    }
}

impl Press {
    /// The command of the button.
    fn read(self, frame: &str, at: Option<Time>) -> Option<Received> {
        // Cards are shown in groups only.
        if !self.space_type.eq_ignore_ascii_case("im_group") {
            return None;
        }
        let content: Content = serde_json::from_str(&self.content).ok()?;
        let Params { command, robot } = content.card_private_data.params;
        let (entry, text) = self::command(&command);
        let incoming = Incoming {
            ids: vec![format!("frame {frame}")],
            teams: Some(self.corp_id).filter(|id| !id.is_empty()).into_iter().collect(),
            user: self.user_id,
            name: None,
            channel: self.space_id.clone(),
            entry,
            text,
        };
        Some(Received { incoming, to: Address::Group { robot, conversation: self.space_id }, at })
    }
}
