//! A message as a card of Feishu's. Text from outside goes into `plain_text`, which has no markup, so that nothing
//! needs escaping; `lark_md` is used for what podbell writes itself: mentions and links.
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>, <https://open.feishu.cn/document/server-docs/im-v1/message/create>

use serde_json::{Value, json};

use crate::notifiers::budget;
use podbell_core::message::{Block, Message, Span, plain};
use podbell_core::outbox::Content;
use podbell_core::rule::Severity;

/// The largest request of a robot, in bytes; the platform refuses 20 KB.
const BODY: usize = 19_000;
/// The largest request of an app, in bytes; the platform refuses 30 KB.
const APP_BODY: usize = 28_000;
/// How long one line may become, in bytes.
const LINE: usize = 1_500;
const TITLE: usize = 500;

/// The body of a robot's request, without its signature. `mentions` are ids of people.
pub(super) fn body(message: &Message, content: Content, mentions: &[String]) -> Value {
    let request = |quote| json!({"msg_type": "interactive", "card": card(message, mentions, quote)});
    budget::first_that_fits(content, BODY, request).unwrap_or_else(|| minimal(message, mentions))
}

/// What an app sends: always a card, because only a card can be changed later. `buttons` stand at its end.
pub(super) fn content(message: &Message, content: Content, mentions: &[String], buttons: Option<&Value>) -> Value {
    let request = |mut card: Value| {
        // Without it, the platform changes a card for the person who pressed a button only.
        card["config"]["update_multi"] = json!(true);
        if let (Some(elements), Some(buttons)) = (card["elements"].as_array_mut(), buttons) {
            elements.push(json!({"tag": "action", "actions": buttons}));
        }
        json!({"msg_type": "interactive", "content": card.to_string()})
    };
    budget::first_that_fits(content, APP_BODY, |quote| request(card(message, mentions, quote)))
        .unwrap_or_else(|| request(minimal_card(message, mentions)))
}

/// podbell's own words as an app sends them.
pub(super) fn own(text: &str) -> Value {
    let card = json!({"config": {"wide_screen_mode": true, "update_multi": true}, "elements": [self::text(text)]});
    json!({"msg_type": "interactive", "content": card.to_string()})
}

/// Two built-in lines.
fn gist(message: &Message) -> String {
    fit(&format!("{}\n{}", message.title, message.gist()), LINE)
}

fn minimal_card(message: &Message, mentions: &[String]) -> Value {
    let elements: Vec<Value> = std::iter::once(text(&gist(message))).chain(at(mentions)).collect();
    json!({"config": {"wide_screen_mode": true}, "elements": elements})
}

/// The same without a card. In a text only `<at …>` is markup.
fn minimal(message: &Message, mentions: &[String]) -> Value {
    let said = gist(message).replace('<', "＜");
    let at: String = mentions.iter().take(8).map(|id| format!("<at user_id=\"{id}\"></at>")).collect();
    json!({"msg_type": "text", "content": {"text": format!("{said} {at}").trim_end()}})
}

fn card(message: &Message, mentions: &[String], quote: usize) -> Value {
    let mut elements = Vec::new();
    let mut mentions = at(mentions);
    for block in &message.blocks {
        match block {
            Block::Line(spans) => {
                elements.extend(line(spans));
                elements.extend(mentions.take());
            }
            Block::Facts(facts) => {
                for fact in facts {
                    let label = format!("{}{}", fact.label, message.colon());
                    let value = fit(&without_links(&fact.value), LINE);
                    elements.extend((!value.trim().is_empty()).then(|| text(&format!("{label}{value}"))));
                    elements.extend(links(&label, &fact.value));
                }
            }
            Block::Quote { of, text: quoted } => {
                let quoted = budget::fit_lines(quoted, quote, budget::bytes, |n| message.more(n));
                elements.push(text(&format!("{of}\n{quoted}")));
            }
            Block::Command(command) => elements.push(text(&format!("$ {command}"))),
            Block::Text(said) => {
                elements.extend(mentions.take());
                elements.push(text(&budget::fit_lines(said, quote, budget::bytes, |n| message.more(n))));
            }
            Block::Small(spans) => {
                let note = json!({"tag": "plain_text", "content": fit(&plain(spans), LINE)});
                elements.push(json!({"tag": "note", "elements": [note]}));
            }
        }
    }
    elements.extend(mentions.take());
    json!({
        "config": {"wide_screen_mode": true},
        "header": {"title": {"tag": "plain_text", "content": fit(&message.title, TITLE)}, "template": color(message)},
        "elements": elements,
    })
}

fn line(spans: &[Span]) -> Vec<Value> {
    let said = fit(&without_links(spans), LINE);
    let said = (!said.trim().is_empty()).then(|| text(&said));
    said.into_iter().chain(links("", spans)).collect()
}

fn text(content: &str) -> Value {
    json!({"tag": "div", "text": {"tag": "plain_text", "content": content}})
}

fn without_links(spans: &[Span]) -> String {
    let said = spans.iter().filter(|span| !matches!(span, Span::Link(_)));
    plain(&said.cloned().collect::<Vec<_>>())
}

/// Addresses as separate links, after a label of podbell's: `plain_text` has no links.
fn links(label: &str, spans: &[Span]) -> Vec<Value> {
    let link = |span: &Span| match span {
        Span::Link(url) if url.len() <= LINE => {
            let address = escape_url(url);
            Some(json!({"tag": "markdown", "content": format!("{label}[{address}]({address})")}))
        }
        _ => None,
    };
    spans.iter().filter_map(link).collect()
}

/// An address in `[x](address)`: nothing may end it early or begin other markup.
fn escape_url(url: &str) -> String {
    let special = |c: char| matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | '*' | '`' | '~' | '\\' | ' ');
    url.chars().map(|c| if special(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() }).collect()
}

fn at(mentions: &[String]) -> Option<Value> {
    let at: String = mentions.iter().take(8).map(|id| format!("<at id={id}></at>")).collect();
    (!at.is_empty()).then(|| json!({"tag": "div", "text": {"tag": "lark_md", "content": at}}))
}

fn color(message: &Message) -> &'static str {
    match message.severity {
        _ if message.over => "green",
        Severity::Critical => "red",
        Severity::Warning => "orange",
        Severity::Info => "blue",
    }
}

fn fit(text: &str, limit: usize) -> String {
    budget::fit(text, limit, budget::bytes)
}
