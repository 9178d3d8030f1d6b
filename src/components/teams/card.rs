//! A message as an Adaptive Card. Text from outside goes into text runs, which have no markup, so that nothing needs escaping;
//! text blocks, which have, hold mentions only. <https://adaptivecards.io/explorer/RichTextBlock.html>

use serde_json::{Value, json};

use crate::notifiers::budget;
use podbell_core::message::{Block, Message, Span};
use podbell_core::outbox::Content;
use podbell_core::rule::Severity;

/// The largest request, in bytes; the platform refuses 28 KB.
const BODY: usize = 26_000;
/// How long one line may become, in bytes.
const LINE: usize = 1_200;
const TITLE: usize = 500;

/// The body of the request. `mentions` are the addresses of people; `page` is where the status page shows it.
pub(super) fn body(message: &Message, content: Content, mentions: &[String], page: Option<&str>) -> Value {
    budget::first_that_fits(content, BODY, |quote| around(elements(message, mentions, quote), mentions, page, message))
        .unwrap_or_else(|| minimal(message, mentions))
}

fn minimal(message: &Message, mentions: &[String]) -> Value {
    let mut elements = vec![title(message), paragraph(vec![run(&message.gist())])];
    elements.extend(called(mentions));
    around(elements, mentions, None, message)
}

fn around(elements: Vec<Value>, mentions: &[String], page: Option<&str>, message: &Message) -> Value {
    let entities: Vec<Value> = mentions
        .iter()
        .take(20)
        .map(|id| json!({"type": "mention", "text": format!("<at>{id}</at>"), "mentioned": {"id": id, "name": id}}))
        .collect();
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": elements, "msteams": {"width": "Full", "entities": entities},
    });
    if let Some(url) = page {
        let said = message.open_page();
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": said, "url": url}]);
    }
    let kind = "application/vnd.microsoft.card.adaptive";
    json!({"type": "message", "attachments": [{"contentType": kind, "contentUrl": null, "content": card}]})
}

fn elements(message: &Message, mentions: &[String], quote: usize) -> Vec<Value> {
    let mut elements = vec![title(message)];
    let mut mentions = called(mentions);
    for block in &message.blocks {
        match block {
            Block::Line(spans) => {
                elements.push(paragraph(runs(spans)));
                elements.extend(mentions.take());
            }
            Block::Facts(facts) => {
                for fact in facts {
                    let mut label = run(&format!("{}{}", fact.label, message.colon()));
                    label["weight"] = json!("Bolder");
                    elements.push(close(paragraph([label].into_iter().chain(runs(&fact.value)).collect())));
                }
            }
            Block::Quote { of, text } => {
                elements.push(paragraph(vec![run(of)]));
                let quoted = budget::fit_lines(text, quote, budget::bytes, |n| message.more(n));
                let mut quoted = run(&quoted);
                quoted["fontType"] = json!("Monospace");
                let inside = paragraph(vec![quoted]);
                elements.push(json!({"type": "Container", "style": "emphasis", "items": [inside], "spacing": "Small"}));
            }
            Block::Command(command) => {
                let mut command = run(&format!("$ {command}"));
                command["fontType"] = json!("Monospace");
                elements.push(paragraph(vec![command]));
            }
            Block::Text(said) => {
                elements.extend(mentions.take());
                elements
                    .push(paragraph(vec![run(&budget::fit_lines(said, quote, budget::bytes, |n| message.more(n)))]));
            }
            Block::Small(spans) => {
                let small = |mut run: Value| {
                    run["isSubtle"] = json!(true);
                    run["size"] = json!("Small");
                    run
                };
                elements.push(paragraph(runs(spans).into_iter().map(small).collect()));
            }
        }
    }
    elements.extend(mentions.take());
    elements
}

fn title(message: &Message) -> Value {
    let mut title = run(&budget::fit(&message.title, TITLE, budget::bytes));
    (title["weight"], title["size"], title["color"]) = (json!("Bolder"), json!("Medium"), json!(color(message)));
    paragraph(vec![title])
}

fn color(message: &Message) -> &'static str {
    match message.severity {
        _ if message.over => "Good",
        Severity::Critical => "Attention",
        Severity::Warning => "Warning",
        Severity::Info => "Accent",
    }
}

fn paragraph(runs: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": runs})
}

/// Close to the one before, as a line of a list.
fn close(mut paragraph: Value) -> Value {
    paragraph["spacing"] = json!("Small");
    paragraph
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": text})
}

fn runs(spans: &[Span]) -> Vec<Value> {
    let one = |span: &Span| match span {
        Span::Words(text) | Span::Data(text) => run(&budget::fit(text, LINE, budget::bytes)),
        Span::Link(url) => {
            let mut link = run(&budget::fit(url, LINE, budget::bytes));
            if url.len() <= LINE {
                link["selectAction"] = json!({"type": "Action.OpenUrl", "url": url});
            }
            link
        }
    };
    spans.iter().map(one).collect()
}

/// Whom the card calls: a text block of nothing but mentions.
fn called(mentions: &[String]) -> Option<Value> {
    let at: Vec<String> = mentions.iter().take(20).map(|id| format!("<at>{id}</at>")).collect();
    (!at.is_empty()).then(|| json!({"type": "TextBlock", "text": at.join(" "), "wrap": true}))
}
