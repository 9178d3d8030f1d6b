//! What the desk says, as WeCom shows it; and the adapter's own few words, for when the desk is not
//! asked or is slow. Pure.

use crate::chat::Reply;
use crate::core::message::{Language, Message};
use crate::notifiers::{terminal, wecom};

/// The longest content of a stream of the AI bot, in bytes. Source: "Reply to a message: stream".
pub const STREAM: usize = 20_480;
/// The longest text of a passive reply, in bytes. Source: "Passive reply: text".
pub const TEXT: usize = 2_048;

/// What the adapter says by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The answer follows.
    Working,
    /// The answer does not come in time, and cannot follow.
    Slow,
    /// Too many questions wait.
    Busy,
    /// The command is longer than any command.
    TooLong,
    /// This person may not ask.
    NotYou,
    /// This conversation is not podbell's.
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
            (Self::Slow, Language::En) => {
                "This takes longer than WeCom waits. Ask again in a moment; whether a change was made, `show` and `mutes` say."
            }
            (Self::Slow, Language::Zh) => {
                "处理时间超过企业微信的等待时间，请稍后再问；操作是否已执行，可用 `show` 或 `mutes` 查看。"
            }
            (Self::Busy, Language::En) => "Too many questions at once. Nothing was done; try again in a moment.",
            (Self::Busy, Language::Zh) => "同时提问太多，未执行任何操作，请稍后再试。",
            (Self::TooLong, Language::En) => "That is too long for a command. Nothing was done; try `help`.",
            (Self::TooLong, Language::Zh) => "命令过长，未执行任何操作。请输入 `help` 查看用法。",
            (Self::NotYou, Language::En) => "You are not on podbell's list. Ask whoever runs it.",
            (Self::NotYou, Language::Zh) => "您不在 podbell 的名单中，请联系管理员。",
            (Self::NotHere, Language::En) => "podbell does not answer in this conversation. Ask whoever runs it.",
            (Self::NotHere, Language::Zh) => "podbell 不在此会话中应答，请联系管理员。",
            (Self::Broken, Language::En) => "Something broke down; it may or may not be done. Ask `show` or `mutes`.",
            (Self::Broken, Language::Zh) => "内部出错，操作可能已执行，也可能未执行。请用 `show` 或 `mutes` 查看。",
        }
    }
}

/// How answers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Markdown, in a stream of the AI bot.
    Stream,
    /// Plain text, in a passive reply of an app: it knows no markdown.
    Text,
}

impl Form {
    /// An answer of the desk, within the platform's limit.
    pub fn write(self, reply: &Reply) -> String {
        match self {
            Self::Stream => wecom::content_of(&reply.message, &[], STREAM),
            Self::Text => text(&reply.message, TEXT),
        }
    }
}

/// Whole lines of the plain answer. In a text, too, WeCom reads `<a href>`: nothing may begin a tag.
fn text(message: &Message, limit: usize) -> String {
    let plain = anstream::adapter::strip_str(&terminal(message)).to_string();
    let plain = plain.replace('<', "＜").replace('>', "＞");
    let lines: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let short = |lines: &[&str], more: &str| -> Option<String> {
        let all: usize = lines.iter().map(|line| line.len() + 1).sum();
        (all + more.len() <= limit).then(|| format!("{}\n{more}", lines.join("\n")).trim_end().to_owned())
    };
    for kept in (1..=lines.len()).rev() {
        let left = lines.len() - kept;
        let more = if left == 0 { String::new() } else { message.more(left) };
        if let Some(text) = short(&lines[..kept], &more) {
            return text;
        }
    }
    wecom::neutral(&message.title, limit)
}
