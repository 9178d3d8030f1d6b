//! A message as a mail: text and HTML, one thread for an incident. Pure: the same mail for the same message.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use crate::notifiers::budget;
use crate::notifiers::markup::{Markup, escape_address, escape_tags};
use crate::notifiers::{Rendering, fingerprint};
use podbell_core::message::Message;
use podbell_core::outbox::Content;

/// The longest subject, in characters, and the longest text of either form, in bytes.
const SUBJECT: usize = 200;
const TEXT: usize = 60_000;
const SHORT: usize = 2_000;

const MARKUP: Markup = Markup {
    escape: escape_tags,
    bold: |text| format!("<b>{text}</b>"),
    code: |command| format!("<code>$ {command}</code>"),
    link: |url, text| format!("<a href=\"{}\">{text}</a>", escape_address(url)),
    quote: |lines| format!("<blockquote>{}</blockquote>", lines.join("<br>\n")),
    small: str::to_owned,
    line_end: "<br>\n",
    cost: budget::bytes,
};

/// The mail, in ASCII. `None` if it cannot be made of what the rendering holds.
pub(super) fn of(rendering: &Rendering<'_>, from: &Mailbox, to: &[Mailbox]) -> Option<String> {
    let message = &rendering.message;
    let domain = from.email.domain();
    let sent = Duration::from_millis(u64::try_from(rendering.style.now.millis()).unwrap_or_default());
    let subject: String = message.title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut mail = lettre::Message::builder()
        .from(from.clone())
        .subject(budget::fit(&subject, SUBJECT, |_| 1))
        .date(UNIX_EPOCH + sent)
        .message_id(Some(format!("<{}@{domain}>", rendering.message_id)));
    for one in to {
        mail = mail.to(one.clone());
    }
    // Mails of a thread refer to an id made from the incident, which no mail has: if they referred to the first mail,
    // its loss would break the thread.
    if let Some(incident) = rendering.incident_key().filter(|_| !rendering.is_digest) {
        let thread = format!("<{incident}@{domain}>");
        mail = mail.in_reply_to(thread.clone()).references(thread);
    }
    for (name, value) in [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")] {
        let name = HeaderName::new_from_ascii(name.to_owned()).ok()?;
        mail = mail.raw_header(HeaderValue::new(name, value.to_owned()));
    }
    let part = |kind: ContentType, text: String| {
        SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text)
    };
    let mail = match rendering.content {
        Content::Minimal => {
            mail.singlepart(part(ContentType::TEXT_PLAIN, format!("{}\n{}\n", message.title, message.gist())))
        }
        content => {
            let limit = if content == Content::Full { TEXT } else { SHORT };
            let text = budget::fit_lines(&message.text(), limit, budget::bytes, |n| message.more(n));
            let text = part(ContentType::TEXT_PLAIN, format!("{}\n\n{text}\n", message.title));
            let html = part(ContentType::TEXT_HTML, html(message, limit));
            mail.multipart(MultiPart::alternative().boundary(boundary(rendering)).singlepart(text).singlepart(html))
        }
    };
    String::from_utf8(mail.ok()?.formatted()).ok()
}

/// What separates the parts: `=_` is in no text in this encoding.
fn boundary(rendering: &Rendering<'_>) -> String {
    format!("=_podbell_{}", fingerprint([rendering.message_id]))
}

fn html(message: &Message, limit: usize) -> String {
    let body = MARKUP.body(message, None, limit);
    format!(
        "<!DOCTYPE html>\n<html><body style=\"font-family: sans-serif\">\n<p>{}</p>\n<div>{body}</div>\n</body></html>\n",
        MARKUP.title(message)
    )
}
