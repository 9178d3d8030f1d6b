//! The frames of the websocket. Pure.
//!
//! Source: "WebSocket events": each has a sequence number; `hello` names the connection; `posted` carries the post as text.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::chat::access::DIRECT;
use crate::chat::asker::{Incoming, command};

/// The largest frame: a post has at most 16,383 characters, and what it carries beside them.
pub(super) const MAX: usize = 1024 * 1024;

/// A frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// An event, with its number.
    Event(i64, Event),
    /// A request was carried out.
    Done,
    /// A request was refused.
    Refused,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The connection is ready, and has this id.
    Hello(String),
    /// Somebody wrote something for podbell.
    Message(Box<Received>),
    /// Anything else.
    Other,
}

/// What somebody wrote, and where the answer goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub incoming: Incoming,
    /// The channel.
    pub channel: String,
    /// The post itself.
    pub post: String,
    /// The first post of its thread.
    pub root: String,
}

/// The property of an answer that names the post which it answers.
pub(super) const ANSWERS: &str = "podbell_answers";

/// The bot itself.
#[derive(Clone, Debug, Default)]
pub(super) struct BotIdentity {
    pub id: String,
    pub name: String,
}

#[derive(Deserialize)]
struct Raw {
    event: Option<String>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    seq: i64,
    status: Option<String>,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    user_id: String,
    channel_id: String,
    #[serde(default)]
    root_id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    props: Value,
}

/// Reads a frame. `None` if it is not Mattermost's.
pub(super) fn read(text: &str, me: &BotIdentity) -> Option<Frame> {
    let raw: Raw = serde_json::from_str(text).ok()?;
    let event = match (raw.event.as_deref(), raw.status) {
        (None, Some(status)) if status == "OK" => return Some(Frame::Done),
        (None, Some(_)) => return Some(Frame::Refused),
        (None, None) => return None,
        (Some("hello"), _) => Event::Hello(raw.data["connection_id"].as_str().unwrap_or_default().to_owned()),
        (Some("posted"), _) => match posted(&raw.data, me) {
            Some(said) => Event::Message(Box::new(said)),
            None => Event::Other,
        },
        (Some(_), _) => Event::Other,
    };
    Some(Frame::Event(raw.seq, event))
}

/// A person's post that begins with the bot's name, or any in a conversation with it.
pub(super) fn posted(data: &Value, me: &BotIdentity) -> Option<Received> {
    let post: Post = serde_json::from_str(data["post"].as_str()?).ok()?;
    let is_program =
        ["from_bot", "from_webhook"].iter().any(|key| post.props[key] == "true" || post.props[key] == true);
    if post.user_id == me.id || !post.r#type.is_empty() || is_program {
        return None;
    }
    let direct = data["channel_type"] == "D";
    let text = post.message.trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let mentioned = first
        .strip_prefix('@')
        .is_some_and(|name| name.trim_end_matches([':', ',']).eq_ignore_ascii_case(&me.name) && !me.name.is_empty());
    let (entry, text) = match (mentioned, direct && !text.is_empty()) {
        (true, _) => command(rest),
        (false, true) => command(text),
        (false, false) => return None,
    };
    let string = |key: &str| data[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let channel = if direct { DIRECT.to_owned() } else { post.channel_id.clone() };
    let incoming = Incoming {
        ids: vec![format!("post {}", post.id)],
        teams: string("team_id").into_iter().collect(),
        user: post.user_id,
        name: string("sender_name").map(|name| name.trim_start_matches('@').to_owned()),
        channel,
        entry,
        text,
    };
    let root = if post.root_id.is_empty() { post.id.clone() } else { post.root_id };
    Some(Received { incoming, channel: post.channel_id, post: post.id, root })
}

/// The first frame: who podbell is.
pub(super) fn challenge(token: &str) -> String {
    json!({"seq": 1, "action": "authentication_challenge", "data": {"token": token}}).to_string()
}
