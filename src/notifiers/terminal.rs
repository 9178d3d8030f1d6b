//! The terminal: messages rendered for a person who watches.
//!
//! Colour is always written; `anstream` removes it where it is not wanted, so that a pipe gets plain text. The core
//! has already removed control characters from the cluster's text.

use anstyle::{AnsiColor, Style};

use super::budget;
use podbell_core::message::{Block, Message, Style as Reader, clip, plain};
use podbell_core::outbox::Content;
use podbell_core::rule::Severity;

const INDENT: &str = "      ";
const DIM: Style = Style::new().dimmed();

/// The lines to print, with colours, and the time of day at their head.
pub(crate) fn lines(message: &Message, content: Content, reader: &Reader) -> Vec<u8> {
    let clock = reader.clock();
    let style = style(message);
    let mut text = format!("{DIM}{clock}{DIM:#} {style}{}{style:#}\n", clip(&message.title, 400));
    let blocks = match content {
        Content::Full | Content::Short => message.blocks.as_slice(),
        Content::Minimal => message.blocks.get(..1).unwrap_or_default(),
    };
    for block in blocks {
        write_block(message, block, content, &mut text);
    }
    text.push('\n');
    text.into_bytes()
}

/// An answer on a terminal, with colours, whole.
pub(crate) fn terminal(message: &Message) -> String {
    let bold = Style::new().bold();
    let mut text = format!("{bold}{}{bold:#}\n", clip(&message.title, 400));
    for block in &message.blocks {
        write_block(message, block, Content::Full, &mut text);
    }
    text
}

fn write_block(message: &Message, block: &Block, content: Content, text: &mut String) {
    match block {
        Block::Line(spans) => *text += &format!("{INDENT}{}\n", clip(&plain(spans), 3_000)),
        Block::Facts(facts) => {
            let widest = facts.iter().map(|fact| width(&fact.label)).max().unwrap_or(0);
            for fact in facts {
                let gap = " ".repeat(widest - width(&fact.label) + 2);
                *text += &format!("{INDENT}{DIM}{}{DIM:#}{gap}{}\n", fact.label, clip(&plain(&fact.value), 3_000));
            }
        }
        Block::Quote { of, text: quoted } => {
            *text += &format!("{INDENT}{DIM}{of}{DIM:#}\n");
            let limit = if content == Content::Full { 4_000 } else { 400 };
            for line in budget::fit_lines(quoted, limit, |_| 1, |n| message.more(n)).lines() {
                *text += &format!("{INDENT}{DIM}│{DIM:#} {line}\n");
            }
        }
        Block::Command(command) => {
            let bold = Style::new().bold();
            *text += &format!("{INDENT}{DIM}${DIM:#} {bold}{command}{bold:#}\n");
        }
        Block::Text(said) => {
            for line in budget::fit_lines(said, 4_000, |_| 1, |n| message.more(n)).lines() {
                *text += &format!("{INDENT}{line}\n");
            }
        }
        Block::Small(spans) => *text += &format!("{INDENT}{DIM}{}{DIM:#}\n", plain(spans)),
    }
}

fn style(message: &Message) -> Style {
    let color = match message.severity {
        _ if message.over => AnsiColor::Green,
        Severity::Critical => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Info => AnsiColor::Blue,
    };
    Style::new().bold().fg_color(Some(color.into()))
}

/// Columns on a terminal, approximately: Chinese characters take two.
fn width(label: &str) -> usize {
    label.chars().map(|c| if ('\u{2e80}'..='\u{ffe6}').contains(&c) { 2 } else { 1 }).sum()
}
