//! The frames of the AI bot's long connection. Pure.
//!
//! Source: "AI bot: long connection" of WeCom's developer documentation. Every frame is JSON with
//! `cmd`, `headers.req_id` and `body`; what answers a frame has its `req_id`, `errcode` and `errmsg`,
//! and no `cmd`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{DIRECT, command};
use crate::chat::asker::Incoming;

/// The largest frame that is read, in bytes: many times a text with what it quotes.
pub(crate) const MAX: usize = 256 * 1024;
/// The longest `req_id` that is sent back.
const MAX_ID: usize = 256;

/// What WeCom sends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Answers a frame of podbell's.
    Answer {
        /// That frame's id.
        req_id: String,
        /// 0 means success.
        code: i64,
    },
    /// Somebody wrote to the bot.
    Message {
        /// What answers must carry.
        req_id: String,
        /// What was said, if it is text.
        incoming: Option<Incoming>,
    },
    /// A newer connection of the same bot took this one's place.
    Kicked,
    /// Something that podbell does not use.
    Other,
}

/// A frame that is not WeCom's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    cmd: String,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    body: Value,
    errcode: Option<i64>,
}

#[derive(Default, Deserialize)]
struct Headers {
    #[serde(default)]
    req_id: String,
}

impl Frame {
    /// Reads a frame.
    ///
    /// # Errors
    /// When it is not WeCom's.
    pub(super) fn read(text: &str) -> Result<Self, Malformed> {
        let raw: Raw = serde_json::from_str(text).map_err(|_| Malformed)?;
        let req_id = raw.headers.req_id;
        match raw.cmd.as_str() {
            "" => raw.errcode.map(|code| Self::Answer { req_id, code }).ok_or(Malformed),
            "aibot_msg_callback" if (1..=MAX_ID).contains(&req_id.len()) => {
                Ok(Self::Message { req_id, incoming: message(&raw.body)? })
            }
            "aibot_msg_callback" => Err(Malformed),
            "aibot_event_callback" if raw.body["event"]["eventtype"] == "disconnected_event" => Ok(Self::Kicked),
            _ => Ok(Self::Other),
        }
    }
}

/// A message's text: a plain one, or the texts among pictures.
fn message(body: &Value) -> Result<Option<Incoming>, Malformed> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let words = match body["msgtype"].as_str() {
        Some("text") => text(&body["text"]["content"]).ok_or(Malformed)?,
        _ => return Ok(None),
    };
    let short = |text: &String| (1..=256).contains(&text.len());
    let id = text(&body["msgid"]).filter(short).ok_or(Malformed)?;
    let user = text(&body["from"]["userid"]).filter(short).ok_or(Malformed)?;
    let group = body["chattype"] == "group";
    let channel = match group {
        true => text(&body["chatid"]).filter(short).ok_or(Malformed)?,
        false => DIRECT.to_owned(),
    };
    let (entry, text) = command(&words, group);
    Ok(Some(Incoming { ids: vec![id], teams: Vec::new(), user, name: None, channel, entry, text }))
}

/// The first frame on a connection: who podbell is.
pub(crate) fn subscribe(req_id: &str, bot_id: &str, secret: &str) -> String {
    let body = json!({"bot_id": bot_id, "secret": secret});
    json!({"cmd": "aibot_subscribe", "headers": {"req_id": req_id}, "body": body}).to_string()
}

/// Keeps a connection alive; due every 30 s.
pub(crate) fn ping(req_id: &str) -> String {
    json!({"cmd": "ping", "headers": {"req_id": req_id}}).to_string()
}

/// An answer, or its beginning: `content` replaces what the stream had before.
pub(crate) fn respond(req_id: &str, stream: &str, content: &str, finish: bool) -> String {
    let stream = json!({"id": stream, "finish": finish, "content": content});
    let body = json!({"msgtype": "stream", "stream": stream});
    json!({"cmd": "aibot_respond_msg", "headers": {"req_id": req_id}, "body": body}).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use podbell_core::ask::Entry;

    fn vector(name: &str) -> Value {
        let text = include_str!("../../../../tests/fixtures/vectors/wecom_aibot_json.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let case = vectors["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
        serde_json::from_str(case["plain"].as_str().unwrap()).unwrap()
    }

    fn callback(body: &Value) -> Result<Frame, Malformed> {
        Frame::read(&json!({"cmd": "aibot_msg_callback", "headers": {"req_id": "r1"}, "body": body}).to_string())
    }

    #[test]
    fn a_group_s_message_is_read_as_the_vector_has_it() {
        let incoming = Incoming {
            ids: vec!["CAIQ16HMjQYY".into()],
            teams: Vec::new(),
            user: "USERID".into(),
            name: None,
            channel: "CHATID".into(),
            entry: Entry::Events,
            text: "web-service".into(),
        };
        let body = vector("msg-text-group");
        assert_eq!(callback(&body), Ok(Frame::Message { req_id: "r1".into(), incoming: Some(incoming) }));
        let mut direct = body.clone();
        direct["chattype"] = "single".into();
        let Ok(Frame::Message { incoming: Some(incoming), .. }) = callback(&direct) else { panic!() };
        assert_eq!((incoming.channel.as_str(), incoming.entry), (DIRECT, Entry::Podbell));
        let mut picture = body.clone();
        picture["msgtype"] = "image".into();
        assert_eq!(callback(&picture), Ok(Frame::Message { req_id: "r1".into(), incoming: None }));
        for gone in ["msgid", "from", "text", "chatid"] {
            let mut body = body.clone();
            body.as_object_mut().unwrap().remove(gone);
            assert_eq!(callback(&body), Err(Malformed), "{gone}");
        }
    }

    #[test]
    fn an_answer_is_written_as_the_vector_has_it() {
        let frame: Value = serde_json::from_str(&respond("r1", "s1", "**events** web-service", true)).unwrap();
        assert_eq!(frame["body"], vector("reply-stream"));
        assert_eq!((&frame["cmd"], &frame["headers"]["req_id"]), (&json!("aibot_respond_msg"), &json!("r1")));
    }

    #[test]
    fn answers_kicks_and_what_is_new_are_told_apart() {
        let read = |value: Value| Frame::read(&value.to_string());
        let answer = json!({"headers": {"req_id": "a"}, "errcode": 846605, "errmsg": "invalid req_id"});
        assert_eq!(read(answer), Ok(Frame::Answer { req_id: "a".into(), code: 846_605 }));
        let event = |kind: &str| {
            json!({"cmd": "aibot_event_callback", "headers": {"req_id": "b"},
                   "body": {"msgtype": "event", "event": {"eventtype": kind}}})
        };
        assert_eq!(read(event("disconnected_event")), Ok(Frame::Kicked));
        assert_eq!(read(event("enter_chat")), Ok(Frame::Other));
        assert_eq!(read(json!({"cmd": "something_new"})), Ok(Frame::Other));
        assert_eq!(read(json!({})), Err(Malformed));
        assert_eq!(read(json!([])), Err(Malformed));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(text in ".*", content in "\\PC{0,40}") {
            let _ = Frame::read(&text);
            let body = json!({"msgid": content, "from": {"userid": text}, "chattype": "group", "chatid": "c",
                              "msgtype": "text", "text": {"content": content}});
            let _ = callback(&body);
        }
    }
}
