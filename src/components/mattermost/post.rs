//! A message as a post of Mattermost's: its body is an attachment with a colour.

use serde_json::{Value, json};

use crate::notifiers::markup::{Markup, escape_address, escape_markdown};
use podbell_core::message::Message;
use podbell_core::outbox::Content;
use podbell_core::rule::Severity;

/// The longest text of an attachment, in characters: the whole post may have 16,383.
const TEXT: usize = 12_000;
const SHORT: usize = 2_000;

const MARKUP: Markup = Markup {
    escape: escape_markdown,
    bold: |text| format!("**{text}**"),
    code: |command| format!("`{command}`"),
    link: |url, text| format!("[{text}]({})", escape_address(url)),
    // Without an empty line, the next one belongs to the quote.
    quote: |lines| lines.iter().map(|line| format!("> {line}\n")).collect(),
    small: str::to_owned,
    // A line that only ends with a line feed continues.
    line_end: "  \n",
    cost: |_| 1,
};

/// The parts of a post.
pub(super) struct PostParts {
    /// The title, and who is called.
    text: String,
    attachments: Vec<Value>,
}

impl PostParts {
    /// `mentions` are names of people.
    pub(super) fn of(message: &Message, content: Content, mentions: &[String]) -> Self {
        let called: String = mentions.iter().take(20).map(|name| format!(" @{name}")).collect();
        let limit = match content {
            Content::Full => TEXT,
            Content::Short => SHORT,
            Content::Minimal => {
                return Self { text: format!("{}{called}", MARKUP.minimal(message, SHORT)), attachments: Vec::new() };
            }
        };
        let text = MARKUP.body(message, None, limit);
        let attachment = json!({"fallback": MARKUP.plain(&message.title, 500), "color": color(message), "text": text});
        Self { text: format!("{}{called}", MARKUP.title(message)), attachments: vec![attachment] }
    }

    /// A line of podbell's own words.
    pub(super) fn own(text: &str) -> Self {
        Self { text: text.to_owned(), attachments: Vec::new() }
    }

    /// With buttons in the attachment, if there is one.
    pub(super) fn add_buttons(&mut self, buttons: Value) {
        if let Some(first) = self.attachments.first_mut() {
            first["actions"] = buttons;
        }
    }

    /// As an incoming webhook takes it.
    pub(super) fn webhook(self) -> Value {
        json!({"text": self.text, "attachments": self.attachments})
    }

    /// As a bot posts it.
    pub(super) fn post(self) -> Value {
        json!({"message": self.text, "props": {"attachments": self.attachments}})
    }
}

/// A text for one reader, who pressed a button.
pub(super) fn text(message: &Message) -> String {
    format!("{}  \n{}", MARKUP.title(message), MARKUP.body(message, None, TEXT))
}

fn color(message: &Message) -> &'static str {
    match message.severity {
        _ if message.over => "#2eb67d",
        Severity::Critical => "#e01e5a",
        Severity::Warning => "#ecb22e",
        Severity::Info => "#36c5f0",
    }
}
