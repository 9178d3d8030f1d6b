//! A message as an embed of Discord's. Nobody is called but whom podbell.yaml names: `allowed_mentions` says so, whatever the
//! text contains.

use serde_json::{Value, json};

use crate::notifiers::markup::{Markup, escape_address, escape_markdown};
use podbell_core::message::Message;
use podbell_core::outbox::Content;
use podbell_core::rule::Severity;

/// The longest title and description, in UTF-16 units.
const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
const SHORT: usize = 1000;

const MARKUP: Markup = Markup {
    escape: escape_markdown,
    bold: |text| format!("**{text}**"),
    code: |command| format!("`{command}`"),
    link: |url, text| format!("[{text}]({})", escape_address(url)),
    quote: |lines| lines.iter().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n"),
    small: str::to_owned,
    line_end: "\n",
    cost: char::len_utf16,
};

/// The body of the request. `mentions` are ids of users, or `&` and ids of roles.
pub(super) fn body(message: &Message, content: Content, mentions: &[String]) -> Value {
    let called: String = mentions.iter().take(20).map(|id| format!("<@{id}>")).collect();
    let of = |is_role: bool| {
        let ids = mentions.iter().filter(move |id| id.starts_with('&') == is_role);
        ids.map(|id| id.trim_start_matches('&')).take(20).collect::<Vec<_>>()
    };
    let allowed = json!({"parse": [], "users": of(false), "roles": of(true)});
    let limit = match content {
        Content::Full => DESCRIPTION,
        Content::Short => SHORT,
        Content::Minimal => {
            let said = format!("{} {called}", MARKUP.minimal(message, SHORT));
            // Without this, an embed that the message had before would stay.
            return json!({"content": said.trim_end(), "embeds": [], "allowed_mentions": allowed});
        }
    };
    let embed = json!({
        "title": MARKUP.plain(&message.title, TITLE),
        "description": MARKUP.body(message, None, limit),
        "color": color(message),
    });
    json!({"content": called, "embeds": [embed], "allowed_mentions": allowed})
}

/// A line of podbell's own words.
pub(super) fn own(text: &str) -> Value {
    json!({"content": text, "allowed_mentions": {"parse": []}})
}

fn color(message: &Message) -> u32 {
    match message.severity {
        _ if message.over => 0x2e_b6_7d,
        Severity::Critical => 0xe0_1e_5a,
        Severity::Warning => 0xec_b2_2e,
        Severity::Info => 0x36_c5_f0,
    }
}
