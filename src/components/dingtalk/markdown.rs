//! A message as markdown of DingTalk's, which has no escape character: special characters become their full-width twins.

use serde_json::{Value, json};

use crate::notifiers::budget;
use crate::notifiers::markup::{Markup, escape_address, full_width};
use podbell_core::message::Message;
use podbell_core::outbox::Content;

/// The longest text, in bytes of JSON: the whole request may have 20,000.
const TEXT: usize = 15_000;
const SHORT: usize = 1_500;
const TITLE: usize = 300;

const MARKUP: Markup = Markup {
    escape,
    bold: |text| format!("**{text}**"),
    code: |command| format!("`{command}`"),
    link: |url, text| format!("[{text}]({})", escape_address(url)),
    quote: |lines| lines.iter().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n\n"),
    small: str::to_owned,
    line_end: "\n\n",
    // Of the text as JSON, because the limits are those of a request.
    cost: json_bytes,
};

/// The longest text that an application sends: `msgParam` with its keys and title may have 15,000 bytes.
const TEMPLATE_TEXT: usize = 14_000;

/// All below a message's title, of at most `limit` bytes of JSON.
pub(super) fn text(message: &Message, limit: usize) -> String {
    MARKUP.body(message, None, limit)
}

/// A message's two plainest lines, of at most `limit` bytes of JSON.
pub(super) fn minimal(message: &Message, limit: usize) -> String {
    MARKUP.minimal(message, limit)
}

/// What a character takes in a text of JSON, in bytes.
fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}

/// A message of an application's robot: a template's name and its parameters, as JSON in a text.
pub(super) fn template(message: &Message, content: Content) -> Value {
    let limit = match content {
        Content::Full => TEMPLATE_TEXT,
        Content::Short => SHORT,
        Content::Minimal => return plain_template(&MARKUP.minimal(message, SHORT)),
    };
    let text = format!("{}\n\n{}", MARKUP.title(message), MARKUP.body(message, None, limit - 2 * TITLE));
    let title = budget::fit(&message.title, TITLE, json_bytes);
    json!({"msgKey": "sampleMarkdown", "msgParam": json!({"title": title, "text": text}).to_string()})
}

/// podbell's own words as a message of an application's robot.
pub(super) fn plain_template(text: &str) -> Value {
    json!({"msgKey": "sampleText", "msgParam": json!({"content": text}).to_string()})
}

/// The body of the request. `mentions` are user ids, or `all`.
pub(super) fn body(message: &Message, content: Content, mentions: &[String]) -> Value {
    let everybody = mentions.iter().any(|id| id == "all");
    let people: Vec<&String> = mentions.iter().filter(|id| *id != "all").take(20).collect();
    let at = json!({"atUserIds": people, "isAtAll": everybody});
    // Only whom the text names is called.
    let called = people.iter().map(|id| format!("@{id}")).collect::<Vec<_>>().join(" ");
    let called = (!called.is_empty()).then_some(called);
    let limit = match content {
        Content::Full => TEXT,
        Content::Short => SHORT,
        Content::Minimal => {
            let said = MARKUP.minimal(message, SHORT);
            let text = [Some(said), called].into_iter().flatten().collect::<Vec<_>>().join("\n");
            return json!({"msgtype": "text", "text": {"content": text}, "at": at});
        }
    };
    let text = format!("{}\n\n{}", MARKUP.title(message), MARKUP.body(message, called.as_deref(), limit));
    // The title is what a phone's lock screen shows; it has no marks.
    let title = budget::fit(&message.title, TITLE, budget::bytes);
    json!({"msgtype": "markdown", "markdown": {"title": title, "text": text}, "at": at})
}

fn escape(text: &str) -> String {
    let twin = |c| match c {
        '#' => '＃',
        '_' => '＿',
        '!' => '！',
        '|' => '｜',
        '~' => '～',
        '\\' => '＼',
        c => full_width(c),
    };
    let text: String = text.chars().map(twin).collect();
    // A line that begins so would be a list, or a rule.
    match text.trim_start().chars().next() {
        Some(first @ ('-' | '+' | '=')) => text.replacen(first, &format!("\u{200b}{first}"), 1),
        _ => text,
    }
}
