//! A message in the HTML of Telegram's. <https://core.telegram.org/bots/api#html-style>

use serde_json::{Value, json};

use crate::notifiers::markup::{Markup, escape_address, escape_html};
use podbell_core::message::Message;
use podbell_core::outbox::Content;

/// The longest text, in UTF-16 units. The platform counts it without marks; here they count, too.
const TEXT: usize = 4000;
const SHORT: usize = 1000;

const MARKUP: Markup = Markup {
    escape: escape_html,
    bold: |text| format!("<b>{text}</b>"),
    code: |command| format!("<code>{command}</code>"),
    link: |url, text| format!("<a href=\"{}\">{text}</a>", escape_address(url).replace('&', "&amp;")),
    quote: |lines| format!("<blockquote>{}</blockquote>", lines.join("\n")),
    small: str::to_owned,
    line_end: "\n",
    cost: char::len_utf16,
};

/// The arguments of a method, without the chat. `mentions` are names or numbers of people.
pub(super) fn arguments(message: &Message, content: Content, mentions: &[String]) -> Value {
    let called: Vec<String> = mentions.iter().take(20).map(|id| mention(id)).collect();
    let called = (!called.is_empty()).then(|| called.join(" "));
    let text = match content {
        Content::Minimal => {
            [Some(MARKUP.minimal(message, SHORT)), called].into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
        content => {
            let title = MARKUP.title(message);
            let limit = if content == Content::Full { TEXT } else { SHORT };
            let left = limit.saturating_sub(title.encode_utf16().count() + 1);
            format!("{title}\n{}", MARKUP.body(message, called.as_deref(), left))
        }
    };
    json!({"text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": true}})
}

/// A line of podbell's own words.
pub(super) fn own(text: &str) -> Value {
    json!({"text": escape_html(text), "parse_mode": "HTML"})
}

fn mention(id: &str) -> String {
    match id.bytes().all(|b| b.is_ascii_digit()) {
        true => format!("<a href=\"tg://user?id={id}\">{id}</a>"),
        false => format!("@{id}"),
    }
}
