//! What the desk says, as Slack's JSON; and the adapter's own few words, for when the desk is not
//! asked or is slow. Pure.

use serde_json::{Value, json};

use crate::chat::Reply;
use crate::core::message::Language;
use crate::core::outbox::Content;
use crate::notifiers::slack;

/// What the adapter says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The answer follows.
    Working,
    /// Too many questions wait.
    Busy,
    /// The command is longer than any command.
    TooLong,
    /// This person may not ask.
    NotYou,
    /// This channel is not podbell's.
    NotHere,
    /// The desk broke down.
    Broken,
}

impl Own {
    /// In the reader's language. Names nothing that the reader does not know.
    pub fn text(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Working, Language::En) => "Working on it; the answer follows.",
            (Self::Working, Language::Zh) => "正在处理，稍后回复。",
            (Self::Busy, Language::En) => "Too many questions at once. Nothing was done; try again in a moment.",
            (Self::Busy, Language::Zh) => "同时提问太多，未执行任何操作，请稍后再试。",
            (Self::TooLong, Language::En) => "That is too long for a command. Nothing was done; try `help`.",
            (Self::TooLong, Language::Zh) => "命令过长，未执行任何操作。请输入 `help` 查看用法。",
            (Self::NotYou, Language::En) => "You are not on podbell's list. Ask whoever runs it.",
            (Self::NotYou, Language::Zh) => "您不在 podbell 的名单中，请联系管理员。",
            (Self::NotHere, Language::En) => "podbell does not answer in this channel. Ask whoever runs it.",
            (Self::NotHere, Language::Zh) => "podbell 不在此频道中应答，请联系管理员。",
            (Self::Broken, Language::En) => "Something broke down; it may or may not be done. Ask `show` or `mutes`.",
            (Self::Broken, Language::Zh) => "内部出错，操作可能已执行，也可能未执行。请用 `show` 或 `mutes` 查看。",
        }
    }

    /// As an answer that only its reader sees.
    pub fn body(self, language: Language) -> Value {
        json!({"response_type": "ephemeral", "replace_original": false, "text": self.text(language)})
    }
}

/// An answer of the desk. `content` is how much of it.
pub fn body(reply: &Reply, content: Content) -> Value {
    let mut body = slack::body(&reply.message, content, &[]);
    body["response_type"] = json!(if reply.public { "in_channel" } else { "ephemeral" });
    // A button's message is a notice that others still need.
    body["replace_original"] = json!(false);
    let blocks = body.get_mut("blocks").and_then(Value::as_array_mut);
    if let (Some(incident), Some(blocks)) = (reply.incident, blocks) {
        blocks.push(slack::buttons(incident, reply.message.language));
    }
    body
}
