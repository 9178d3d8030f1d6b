//! WeCom group robots: markdown of at most 4,096 bytes, and what the robot's replies mean.
//!
//! WeCom's markdown has no escape character, so text from outside gets full-width twins of the
//! special characters (see `escape`): `<@all>` arrives as `＜＠all＞`.

use serde_json::{Value, json};

use crate::notifiers::budget;
use crate::notifiers::markup::full_width;
use podbell_core::message::{Block, Message, Span};
use podbell_core::outbox::Content;
use podbell_core::rules::rule::Severity;

/// The platform's limit of a markdown content, in bytes.
const CONTENT: usize = 4096;
/// The limit of a text content is 2,048.
const TEXT: usize = 2000;
/// How long one line may become, in bytes.
const LINE: usize = 1200;
const TITLE: usize = 500;
/// How much of a quote is shown, in bytes: the first that lets the whole message fit.
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

/// Keeps whole lines only: half a line could end inside a tag.
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
            // Commands consist of letters, digits, dots, hyphens and blanks, which are safe in a shell and here.
            // The empty line ends the quotation before it.
            Block::Command(command) => lines.push(format!("\n`{command}`")),
            Block::Text(text) => {
                // First, because text is cut from the end, and nobody may miss a mention.
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
    // Counted after escaping: a full-width twin has three bytes where the original has one.
    let text = budget::fit_lines(&escape(text), limit, budget::bytes, |n| message.more(n));
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

/// A line of its own: `#` at its beginning would make a heading.
fn plain_line(line: &str) -> String {
    let heading = line.trim_start().starts_with('#');
    neutral(&if heading { line.replacen('#', "＃", 1) } else { line.to_owned() }, LINE)
}

/// A text from outside without markup, of at most `limit` bytes.
pub(crate) fn neutral(text: &str, limit: usize) -> String {
    budget::fit(&escape(text), limit, budget::bytes)
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
    // The label is for people: without scheme and query.
    let label = url.split(['?', '#']).next().unwrap_or(url);
    let label = neutral(label.split_once("://").map_or(label, |(_, rest)| rest), 120);
    let address = escape_url(url);
    let link = format!("[{label}]({address})");
    if link.len() <= limit { link } else { label }
}

/// WeCom has no escape character. The characters that make up its tags, links, mentions, bold and code are replaced
/// by their full-width twins, which look the same and mean nothing. `&` is among them, in case a client reads
/// `&lt;` as `<`.
fn escape(text: &str) -> String {
    text.chars().map(full_width).collect()
}

/// An address in `[x](address)`: nothing may end it early.
fn escape_url(url: &str) -> String {
    url.replace('<', "%3C").replace('>', "%3E").replace('(', "%28").replace(')', "%29").replace('@', "%40")
}
