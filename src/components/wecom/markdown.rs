//! WeCom group robots: markdown of at most 4,096 bytes. It has no escape character, so special characters of text from
//! outside become their full-width twins: `<@all>` arrives as `＜＠all＞`.

use serde_json::{Value, json};

use crate::notifiers::budget;
use crate::notifiers::markup::{Markup, escape_address, full_width};
use podbell_core::message::Message;
use podbell_core::outbox::Content;
use podbell_core::rule::Severity;

/// The platform's limit of a markdown content, in bytes.
const CONTENT: usize = 4096;
const SHORT: usize = 1500;
/// The limit of a text content is 2,048.
const TEXT: usize = 2000;
const TITLE: usize = 500;

const MARKUP: Markup = Markup {
    escape,
    // Only of the names of facts: the title has the color of its severity.
    bold: grey,
    code: |command| format!("`{command}`"),
    link: |url, text| format!("[{text}]({})", escape_address(url).replace('@', "%40")),
    // The empty line ends the quotation.
    quote: |lines| lines.iter().map(|line| format!("> {line}\n")).collect(),
    small: grey,
    line_end: "\n",
    cost: budget::bytes,
};

/// The body of the request. `mentions` are user ids.
pub(super) fn body(message: &Message, content: Content, mentions: &[String]) -> Value {
    let limit = match content {
        Content::Full => CONTENT,
        Content::Short => SHORT,
        Content::Minimal => {
            let text = MARKUP.minimal(message, TEXT);
            // Here everybody has an `@`.
            let called: Vec<&str> = mentions.iter().map(|id| if id == "all" { "@all" } else { id }).collect();
            return json!({"msgtype": "text", "text": {"content": text, "mentioned_list": called}});
        }
    };
    json!({"msgtype": "markdown", "markdown": {"content": content_of(message, mentions, limit)}})
}

/// The message as markdown of at most `limit` bytes, also for answers in chats.
pub(crate) fn content_of(message: &Message, mentions: &[String], limit: usize) -> String {
    let title = format!("**<font color=\"{}\">{}</font>**", color(message), neutral(&message.title, TITLE));
    let called: String = mentions.iter().take(8).map(|id| format!("<@{id}>")).collect();
    let called = (!called.is_empty()).then_some(called.as_str());
    let body = MARKUP.body(message, called, limit - title.len() - 1);
    format!("{title}\n{body}")
}

fn grey(text: &str) -> String {
    format!("<font color=\"comment\">{text}</font>")
}

fn color(message: &Message) -> &'static str {
    match message.severity {
        _ if message.over => "info",
        Severity::Critical | Severity::Warning => "warning",
        Severity::Info => "comment",
    }
}

/// A text from outside without markup, of at most `limit` bytes.
pub(crate) fn neutral(text: &str, limit: usize) -> String {
    MARKUP.plain(text, limit)
}

/// The characters of tags, links, mentions, bold and code become their full-width twins, which look the same and mean
/// nothing. `&` is among them, in case a client reads `&lt;` as `<`; `#` only where it would begin a heading.
fn escape(text: &str) -> String {
    let text: String = text.chars().map(full_width).collect();
    let begins = text.trim_start();
    let is_heading =
        begins.starts_with('#') && !begins.trim_start_matches('#').starts_with(|c: char| !c.is_whitespace());
    if is_heading { text.replacen('#', "＃", 1) } else { text }
}
