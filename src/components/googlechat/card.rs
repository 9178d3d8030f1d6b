//! A message as a card of Google Chat's, whose text is a part of HTML.

use serde_json::{Value, json};

use crate::notifiers::budget;
use crate::notifiers::markup::{Markup, escape_address, escape_html};
use podbell_core::message::Message;
use podbell_core::outbox::Content;

/// The longest text, in bytes: the whole message may have 32,000.
const TEXT: usize = 20_000;
const SHORT: usize = 1_500;
const TITLE: usize = 500;

const MARKUP: Markup = Markup {
    escape: escape_html,
    bold: |text| format!("<b>{text}</b>"),
    code: |command| format!("<font color=\"#37474f\">$ {command}</font>"),
    link: |url, text| format!("<a href=\"{}\">{text}</a>", escape_address(url).replace('&', "&amp;")),
    quote: |lines| format!("<i>{}</i>", lines.join("<br>")),
    small: str::to_owned,
    line_end: "<br>",
    cost: budget::bytes,
};

/// The body of the request. `mentions` are numbers of users, or `all`; `thread` is the key of the thread that it belongs to.
pub(super) fn body(message: &Message, content: Content, mentions: &[String], thread: Option<String>) -> Value {
    let called: Vec<String> = mentions.iter().take(20).map(|id| format!("<users/{id}>")).collect();
    let mut body = match content {
        // In plain text only `<…>` is a mark, and `*_~` and backquotes are emphasis.
        Content::Minimal => {
            let said = format!("{}\n{}", message.title, message.gist());
            let said = budget::fit(&said, SHORT, budget::bytes)
                .replace('<', "＜")
                .replace('@', "＠")
                .replace('*', "＊")
                .replace('_', "＿")
                .replace('~', "～")
                .replace('`', "\u{2cb}");
            json!({"text": format!("{said} {}", called.join(" ")).trim_end()})
        }
        content => {
            let limit = if content == Content::Full { TEXT } else { SHORT };
            // A heading has no marks.
            let title = budget::fit(&message.title, TITLE, budget::bytes);
            let widget = json!({"textParagraph": {"text": MARKUP.body(message, None, limit)}});
            let card = json!({"header": {"title": title}, "sections": [{"widgets": [widget]}]});
            let mut body = json!({"cardsV2": [{"cardId": "podbell", "card": card}], "fallbackText": title});
            if !called.is_empty() {
                body["text"] = json!(called.join(" "));
            }
            body
        }
    };
    if let Some(key) = thread {
        body["thread"] = json!({"threadKey": key});
    }
    body
}
