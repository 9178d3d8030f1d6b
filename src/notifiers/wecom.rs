//! WeCom group robots: markdown of at most 4,096 bytes, and what the robot's replies mean.
//!
//! WeCom's markdown has no escape character, so text from outside gets full-width twins of the
//! special characters (see [`escape::wecom`]): `<@all>` arrives as `＜＠all＞`.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::{budget, escape};
use podbell_core::message::{Block, Message, Span};
use podbell_core::outbox::{Content, Outcome};
use podbell_core::rules::rule::Severity;

/// The platform's limit of a markdown content, in bytes.
const CONTENT: usize = 4096;
/// The limit of a text content is 2,048.
const TEXT: usize = 2000;
/// How long one line may become, in bytes.
const LINE: usize = 1200;
const TITLE: usize = 500;
/// What a quote may take, in bytes: the first that lets the whole message fit.
const QUOTES: [usize; 5] = [2400, 1200, 600, 200, 60];

/// The body of the request. `mentions` are user ids.
pub(super) fn body(message: &Message, content: Content, mentions: &[String]) -> Value {
    let markdown =
        |limit| json!({"msgtype": "markdown", "markdown": {"content": content_of(message, mentions, limit)}});
    match content {
        Content::Full => markdown(CONTENT),
        Content::Short => markdown(1500),
        Content::Minimal => minimal(message, mentions),
    }
}

/// One built-in line, without markup.
fn minimal(message: &Message, mentions: &[String]) -> Value {
    let text = neutral(&format!("{}\n{}", message.title, message.gist()), TEXT);
    json!({"msgtype": "text", "text": {"content": text, "mentioned_list": mentions}})
}

/// The message as markdown of at most `limit` bytes, also for answers in chats.
pub(crate) fn content_of(message: &Message, mentions: &[String], limit: usize) -> String {
    let mut lines = Vec::new();
    for quote in QUOTES {
        lines = render(message, mentions, quote);
        if length(&lines) <= limit {
            return lines.join("\n");
        }
    }
    cut(message, lines, limit)
}

fn length(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + 1).sum::<usize>().saturating_sub(1)
}

/// Whole lines only: half a line could end inside of a tag.
fn cut(message: &Message, mut lines: Vec<String>, limit: usize) -> String {
    let all = lines.len();
    let mut more = String::new();
    while length(&lines) + more.len() + 1 > limit && lines.len() > 1 {
        lines.pop();
        more = message.more(all - lines.len());
    }
    lines.push(more);
    lines.join("\n")
}

fn render(message: &Message, mentions: &[String], quote_limit: usize) -> Vec<String> {
    let title = neutral(&message.title, TITLE);
    let mut lines = vec![format!("**<font color=\"{}\">{title}</font>**", color(message))];
    let mut mentions = some_mentions(mentions);
    for block in &message.blocks {
        match block {
            Block::Line(spans) => {
                lines.push(markup(spans, LINE));
                lines.extend(mentions.take());
            }
            Block::Facts(facts) => lines.extend(facts.iter().map(|fact| {
                let label = neutral(&fact.label, 60);
                format!("> <font color=\"comment\">{label}{}</font>{}", message.colon(), markup(&fact.value, LINE))
            })),
            Block::Quote { of, text } => quote(message, of, text, quote_limit, &mut lines),
            // Safe for a shell, so safe here: letters, digits, dots, hyphens and blanks. The empty
            // line ends the quotation before it.
            Block::Command(command) => lines.push(format!("\n`{command}`")),
            Block::Text(text) => {
                // First: what is cut is cut from the end, and nobody may miss a call.
                lines.extend(mentions.take());
                lines.extend(text.lines().map(plain_line));
            }
            Block::Small(spans) => {
                let gap = if lines.last().is_some_and(|line| line.starts_with('>')) { "\n" } else { "" };
                lines.push(format!("{gap}<font color=\"comment\">{}</font>", markup(spans, LINE)));
            }
        }
    }
    lines.extend(mentions.take());
    lines
}

fn quote(message: &Message, of: &str, text: &str, limit: usize, lines: &mut Vec<String>) {
    lines.push(format!("> <font color=\"comment\">{}</font>", neutral(of, 200)));
    // A full-width twin has three bytes where the original has one: counted as it is sent.
    let text = budget::fit_lines(&escape::wecom(text), limit, budget::bytes, |n| message.more(n));
    lines.extend(text.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("> {line}")));
}

fn some_mentions(mentions: &[String]) -> Option<String> {
    let some: Vec<String> = mentions.iter().take(8).map(|id| format!("<@{id}>")).collect();
    (!some.is_empty()).then(|| some.concat())
}

fn color(message: &Message) -> &'static str {
    match message.severity {
        _ if message.over => "info",
        Severity::Critical | Severity::Warning => "warning",
        Severity::Info => "comment",
    }
}

/// A line of its own: at its beginning `#` would make a heading.
fn plain_line(line: &str) -> String {
    let heading = line.trim_start().starts_with('#');
    neutral(&if heading { line.replacen('#', "＃", 1) } else { line.to_owned() }, LINE)
}

/// A text from outside without markup, of at most `limit` bytes.
pub(crate) fn neutral(text: &str, limit: usize) -> String {
    budget::fit(&escape::wecom(text), limit, budget::bytes)
}

fn markup(spans: &[Span], limit: usize) -> String {
    let mut text = String::new();
    for span in spans {
        let left = limit.saturating_sub(text.len());
        match span {
            Span::Words(outside) | Span::Data(outside) => text.push_str(&neutral(outside, left)),
            Span::Link(url) => text.push_str(&link(url, left)),
        }
    }
    text
}

fn link(url: &str, limit: usize) -> String {
    // Read by people: without scheme and query.
    let label = url.split(['?', '#']).next().unwrap_or(url);
    let label = neutral(label.split_once("://").map_or(label, |(_, rest)| rest), 120);
    let address = escape::wecom_url(url);
    let link = format!("[{label}]({address})");
    if link.len() <= limit { link } else { label }
}

/// Whether podbell.yaml may name this user: letters, digits and `_-.@`.
pub(super) fn is_user(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@".contains(&b))
}

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
}

/// The code of an answer that is WeCom's.
pub(super) fn errcode(reply: &Reply) -> Option<i64> {
    let answer: Answer = serde_json::from_str(&reply.body).ok()?;
    (reply.status == 200).then_some(answer.errcode)
}

/// What a reply means. The robot always answers 200; the code is in the body.
pub(super) fn classify(reply: &Reply) -> Outcome {
    if reply.status != 200 {
        return match reply.status {
            429 | 413 | 300..=399 | 500..=599 => reply::by_status(reply),
            _ => reply::unclear(reply, "an answer that is not WeCom's (wrong host, or a proxy in between?)"),
        };
    }
    let Ok(Answer { errcode }) = serde_json::from_str(&reply.body) else {
        return reply::unclear(reply, "a success that is not WeCom's (a proxy or a login page in between?)");
    };
    match errcode {
        0 => Outcome::Delivered,
        // Over 20 in a minute: the window must pass.
        45009 | 45033 => Outcome::Refused {
            retry_after: Some(reply.retry_after.unwrap_or(Duration::from_secs(60))),
            why: reply.said(),
        },
        40001 | 40014 | 42001 | 40013 | 93000..=93999 => {
            Outcome::Dead { code: errcode.to_string(), text: reply.said(), advice: advice(errcode).to_owned() }
        }
        // What is wrong with a content: its type, a parameter, its length, empty.
        40004..=40063 | 44001..=45008 | 47001 => Outcome::Content { why: reply.said() },
        _ => reply::unclear(reply, "an error"),
    }
}

fn advice(errcode: i64) -> &'static str {
    match errcode {
        93000 => {
            "the robot was removed or its URL is wrong: add a group robot in WeCom and put its new webhook URL into podbell.yaml"
        }
        _ => "check the group robot in WeCom and its webhook URL in podbell.yaml; then run `podbell send-test`",
    }
}
