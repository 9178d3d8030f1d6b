//! Slack incoming webhooks: Block Kit within its limits, and what Slack's replies mean.
//!
//! Severity is shown by a sign in the header, not by the coloured bar of an attachment: attachments are legacy,
//! fold behind "Show more", and their colour is lost in notifications and for the colour-blind. The sign also
//! appears in the notification.

use serde_json::{Value, json};

use super::escape;
use crate::notifiers::budget;
use crate::notifiers::buttons::{Button, Pressable};
use podbell_core::message::{Block, Fact, Message, Span};
use podbell_core::outbox::Content;
use podbell_core::translations::Language;

const HEADER: usize = 150;
const SECTION: usize = 3000;
const FIELD: usize = 2000;
const FIELDS: usize = 10;
const BLOCKS: usize = 50;
/// Slack recommends 4,000 for the text beside the blocks.
const TEXT: usize = 3000;

/// Whether an app receives what people press. Slack marks a button as broken, also one that only leads to an address, when nobody
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presses {
    AreReceived,
    AreNot,
}

/// The body of the request.
pub(super) fn body(message: &Message, content: Content, mentions: &[String], presses: Presses) -> Value {
    match content {
        Content::Full => with_blocks(message, mentions, (SECTION, FIELD), presses),
        Content::Short => with_blocks(message, mentions, (600, 300), presses),
        Content::Minimal => minimal(message, mentions),
    }
}

fn with_blocks(
    message: &Message,
    mentions: &[String],
    (section_limit, field_limit): (usize, usize),
    presses: Presses,
) -> Value {
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": plain(&message.title, HEADER), "emoji": false},
    })];
    let mut mentions = Some(mentions).filter(|mentions| !mentions.is_empty());
    let mut lines: Option<String> = None;
    for block in &message.blocks {
        if blocks.len() + 3 > BLOCKS {
            break;
        }
        match block {
            Block::Line(spans) => match address(spans).filter(|_| presses == Presses::AreReceived) {
                Some(button) => add_address(&mut blocks, button),
                None => {
                    let mut text = mrkdwn(spans, section_limit - 300);
                    if let Some(mentions) = mentions.take() {
                        text = format!("{text}  {}", some_mentions(mentions, 290));
                    }
                    match &mut lines {
                        // Sections stand far apart on a phone: lines that follow each other share one.
                        Some(lines) if lines.encode_utf16().count() + text.encode_utf16().count() < section_limit => {
                            *lines = format!("{lines}\n{text}");
                            blocks.pop();
                        }
                        _ => lines = Some(text),
                    }
                    blocks.extend(lines.as_deref().map(section));
                    continue;
                }
            },
            Block::Facts(facts) => blocks.extend(facts.chunks(FIELDS).map(|facts| fields(facts, field_limit))),
            Block::Quote { of, text } => blocks.push(section(&quote(message, of, text, section_limit))),
            Block::Command(command) => blocks.push(section(&block_of_code(command))),
            Block::Text(text) => {
                let text = budget::fit_lines(text, section_limit, escape::cost, |n| message.more(n));
                // Plain text has no markup at all, so mentions need a section of their own.
                blocks.push(json!({
                    "type": "section",
                    "text": {"type": "plain_text", "text": escape::text(&text), "emoji": false},
                }));
                blocks.extend(mentions.take().map(|mentions| section(&some_mentions(mentions, 290))));
            }
            Block::Small(spans) => blocks.push(json!({
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": mrkdwn(spans, section_limit), "verbatim": true}],
            })),
        }
        lines = None;
    }
    blocks.extend(mentions.take().map(|mentions| section(&some_mentions(mentions, 290))));
    let text = plain(&format!("{}\n{}", message.title, message.gist()), TEXT);
    // `mrkdwn: false`: the text beside the blocks is for notifications and is not markup.
    json!({"text": text, "mrkdwn": false, "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

/// The id of the button that acknowledges, in an answer.
pub(super) const ACKNOWLEDGE_IN_ANSWER: &str = "podbell.ack.answer";

/// Buttons for what can be done with an open incident. The value of each is the command that a person would type;
/// an acknowledged incident gets no button to acknowledge it. For answers, and for notices posted with an app's
/// token: an incoming webhook's buttons lead nowhere without an app behind it.
pub(crate) fn buttons(pressable: Pressable, language: Language) -> Vec<Value> {
    let button = |button: Button| {
        let text = json!({"type": "plain_text", "text": button.say(language), "emoji": false});
        let action = match pressable.changes_answer(button) {
            true => ACKNOWLEDGE_IN_ANSWER.to_owned(),
            false => format!("podbell.{}", button.name()),
        };
        json!({"type": "button", "action_id": action, "text": text, "value": button.command(pressable.incident)})
    };
    pressable.buttons().into_iter().map(button).collect()
}

/// Puts buttons into a message, before those that lead to addresses.
pub(crate) fn add_buttons(blocks: &mut Vec<Value>, mut buttons: Vec<Value>) {
    match row_of_buttons(blocks) {
        Some(row) => {
            buttons.append(row);
            *row = buttons;
        }
        None => blocks.push(json!({"type": "actions", "elements": buttons})),
    }
}

/// Puts a button that leads to an address into the message's row of buttons.
fn add_address(blocks: &mut Vec<Value>, button: Value) {
    match row_of_buttons(blocks) {
        Some(row) => row.push(button),
        None => blocks.push(json!({"type": "actions", "elements": [button]})),
    }
}

fn row_of_buttons(blocks: &mut [Value]) -> Option<&mut Vec<Value>> {
    blocks.iter_mut().find(|block| block["type"] == "actions")?["elements"].as_array_mut()
}

/// A line that is a label and an address, as a button that leads there.
fn address(spans: &[Span]) -> Option<Value> {
    let [Span::Words(label), Span::Link(url)] = spans else { return None };
    let (label, url) = (label.trim_end_matches([':', '：', ' ']), escape::url(url));
    // Slack's limits for a button's address and label.
    let fits = url.len() <= 3000 && label.chars().count() <= 75;
    let text = json!({"type": "plain_text", "text": plain(label, 75), "emoji": false});
    fits.then(|| json!({"type": "button", "action_id": format!("address.{label}"), "text": text, "url": url}))
}

/// One built-in line that nothing in it can break.
fn minimal(message: &Message, mentions: &[String]) -> Value {
    let title = code(&message.title, 1000);
    let text = format!("{title}\n{} {}", code(&message.gist(), 1000), some_mentions(mentions, 290));
    json!({"text": text.trim_end(), "unfurl_links": false, "unfurl_media": false})
}

/// As many mentions as fit, none of them cut.
fn some_mentions(mentions: &[String], limit: usize) -> String {
    let mut text = String::new();
    for mention in mentions {
        if text.len() + mention.len() < limit {
            text = format!("{text}{mention} ");
        }
    }
    text.trim_end().to_owned()
}

/// `verbatim` keeps Slack from finding links, channels or names in the text.
fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}})
}

fn fields(facts: &[Fact], limit: usize) -> Value {
    let field = |fact: &Fact| {
        let text = format!("*{}*\n{}", escape::text(&fact.label), mrkdwn(&fact.value, limit - 60));
        json!({"type": "mrkdwn", "text": text, "verbatim": true})
    };
    json!({"type": "section", "fields": facts.iter().map(field).collect::<Vec<_>>()})
}

fn quote(message: &Message, of: &str, text: &str, limit: usize) -> String {
    let of = code(of, limit / 3);
    let text = budget::fit_lines(text, limit - limit / 3 - 20, escape::cost, |n| message.more(n));
    format!("{of}\n{}", block_of_code(&text))
}

fn block_of_code(text: &str) -> String {
    format!("```\n{}\n```", escape::text(&escape::backticks(text)))
}

/// A code span: markup, emoji codes and addresses in it stay text.
fn code(text: &str, limit: usize) -> String {
    let text = budget::fit(text.trim(), limit.saturating_sub(2), escape::cost);
    if text.is_empty() { String::new() } else { format!("`{}`", escape::text(&escape::backticks(&text))) }
}

fn plain(text: &str, limit: usize) -> String {
    escape::text(&budget::fit(text, limit, escape::cost))
}

/// The spans as Slack's markup, at most `limit` long: text from outside becomes code.
fn mrkdwn(spans: &[Span], limit: usize) -> String {
    let mut text = String::new();
    let mut left = limit;
    for span in spans {
        let piece = match span {
            Span::Words(words) => plain(words, left),
            Span::Data(data) => code(data, left),
            Span::Link(url) => link(url, left),
        };
        left = left.saturating_sub(piece.encode_utf16().count());
        text.push_str(&piece);
    }
    if text.trim().is_empty() { "…".to_owned() } else { text }
}

fn link(url: &str, limit: usize) -> String {
    let link = format!("<{}>", escape::url(url));
    if link.encode_utf16().count() <= limit { link } else { String::new() }
}
