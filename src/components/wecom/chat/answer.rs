//! The query service's answers, as WeCom shows them. Pure.

use super::super::markdown;
pub(crate) use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::asker::ChatAnswer;
use crate::notifiers::budget;
use podbell_core::message::Message;
use podbell_core::translations::Language;

/// The longest content of a stream of the AI bot, in bytes. Source: "Reply to a message: stream".
pub(crate) const STREAM: usize = 20_480;
/// The longest text of a passive reply, in bytes. Source: "Passive reply: text".
pub(crate) const TEXT: usize = 2_048;

/// How answers look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Markdown, in a stream of the AI bot.
    Stream,
    /// Plain text, in a passive reply of an app: it knows no markdown.
    Text,
}

impl Form {
    /// An answer, within the platform's limit.
    pub(crate) fn write(self, said: &ChatAnswer, language: Language) -> String {
        match (self, said) {
            (_, ChatAnswer::Notice(own)) => own.say(language).into(),
            (Self::Stream, ChatAnswer::Reply(reply)) => markdown::content_of(&reply.message, &[], STREAM),
            (Self::Text, ChatAnswer::Reply(reply)) => text(&reply.message, TEXT),
        }
    }
}

/// Whole lines of the plain answer. WeCom reads `<a href>` even in a text, so nothing may begin a tag.
fn text(message: &Message, limit: usize) -> String {
    let plain = format!("{}\n{}", message.title, message.text());
    let plain = plain.replace('<', "＜").replace('>', "＞");
    let plain = plain.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    budget::fit_lines(plain.trim_end(), limit, budget::bytes, |left| message.more(left))
}
