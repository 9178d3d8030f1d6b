//! The frames of Stream mode. Pure.
//!
//! Source: "Stream mode: protocol": `SYSTEM` frames (`ping` wants its data back, `disconnect` announces the end), `CALLBACK` frames
//! with a message for the robot, each acknowledged by its `messageId`.

use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::chat::access::DIRECT;
use crate::chat::asker::{Heard, command};
use podbell_core::time::Time;

/// The largest frame: a message and what it carries beside its text.
pub(super) const MOST: usize = 1024 * 1024;
/// What is subscribed to: messages for the robot.
pub(super) const TOPIC: &str = "/v1.0/im/bot/messages/get";

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
        /// What somebody wrote. `None` if it is nothing that podbell answers.
        said: Option<Box<Said>>,
    },
    /// Something that wants to be acknowledged only.
    Other(String),
    /// Something that wants nothing.
    Ignored,
}

/// What somebody wrote, and where the answer goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub heard: Heard,
    /// Takes the answer.
    pub webhook: Url,
    /// Until then.
    pub until: Time,
    /// When it was written.
    pub at: Option<Time>,
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

/// Reads a frame. `None` if it is not DingTalk's.
pub(super) fn read(text: &str) -> Option<Frame> {
    let raw: Raw = serde_json::from_str(text).ok()?;
    let id = raw.headers.message_id;
    Some(match (raw.r#type.as_str(), raw.headers.topic.as_str()) {
        ("SYSTEM", "ping") => Frame::Ping(acknowledgement(&id, &raw.data)),
        ("SYSTEM", "disconnect") => Frame::Disconnect,
        ("SYSTEM", _) => Frame::Ignored,
        ("CALLBACK", TOPIC) => {
            // One that cannot be read would only come again.
            let message = serde_json::from_str::<Message>(&raw.data).ok();
            let said = message.and_then(|message| message.said(&id)).map(Box::new);
            Frame::Message { ack: acknowledgement(&id, &json!({"response": null}).to_string()), said }
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
    fn said(self, frame: &str) -> Option<Said> {
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
        let heard = Heard {
            ids: vec![format!("message {}", self.msg_id), format!("frame {frame}")],
            teams: Some(self.sender_corp_id).filter(|id| !id.is_empty()).into_iter().collect(),
            user,
            name: Some(self.sender_nick).filter(|name| !name.is_empty()),
            channel: if is_direct { DIRECT.to_owned() } else { self.conversation_id },
            entry,
            text,
        };
        let until = Time::from_millis(self.session_webhook_expired_time);
        Some(Said {
            heard,
            webhook: Url::parse(&self.session_webhook).ok()?,
            until,
            at: self.create_at.map(Time::from_millis),
        })
    }
}
