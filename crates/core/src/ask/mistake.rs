//! What can be wrong with what somebody typed, and what to type instead.

use serde::Serialize;

use super::formatter::AnswerFormatter;
use super::help;
use super::registry;
use super::words::{MAX_CHARS, MAX_WORDS};
use crate::message::{Block, Message, Span};

/// A mistake in a command.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mistake", rename_all = "snake_case")]
pub enum Mistake {
    /// The text is too long.
    TooLong,
    /// There are too many words.
    TooManyWords,
    /// No command has this name.
    UnknownCommand {
        word: String,
        /// What was probably meant: the whole command.
        meant: Option<String>,
    },
    /// The command has no such option.
    UnknownOption {
        command: &'static str,
        word: String,
        /// What was probably meant.
        meant: Option<&'static str>,
    },
    /// An option lacks its value.
    NoValue {
        command: &'static str,
        option: &'static str,
    },
    Twice {
        command: &'static str,
        option: &'static str,
    },
    Missing {
        command: &'static str,
        what: Missing,
    },
    /// One word too many.
    Extra {
        command: &'static str,
        word: String,
    },
    NoNumber {
        command: &'static str,
        option: &'static str,
        word: String,
    },
    /// Not a duration.
    NoTime {
        command: &'static str,
        word: String,
    },
    /// Not a label with its value.
    NoLabel {
        command: &'static str,
        word: String,
    },
    /// Longer than a mute may be, or zero.
    Length {
        word: String,
    },
    /// Not the number of an incident.
    NoIncident {
        command: &'static str,
        word: String,
    },
    /// Not the name of a service.
    NoName {
        command: &'static str,
        word: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The number of an incident.
    Incident,
    /// What is to be muted.
    What,
    Length,
    /// The name of a service, which the given options need.
    Service,
}

impl Mistake {
    /// The command with the mistake, if it is known.
    pub fn command(&self) -> Option<&'static str> {
        match self {
            Self::TooLong | Self::TooManyWords | Self::UnknownCommand { .. } => None,
            Self::Length { .. } => Some("mute"),
            Self::UnknownOption { command, .. }
            | Self::NoValue { command, .. }
            | Self::Twice { command, .. }
            | Self::Missing { command, .. }
            | Self::Extra { command, .. }
            | Self::NoNumber { command, .. }
            | Self::NoTime { command, .. }
            | Self::NoLabel { command, .. }
            | Self::NoIncident { command, .. }
            | Self::NoName { command, .. } => Some(command),
        }
    }

    /// In words, with what can be typed instead.
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let texts = formatter.texts;
        let said: Vec<Span> = match self {
            Self::TooLong => formatter.fill(&texts.too_long(MAX_CHARS), &[]),
            Self::TooManyWords => formatter.fill(&texts.too_many_words(MAX_WORDS), &[]),
            Self::UnknownCommand { word, .. } => formatter.fill(texts.unknown_command(), &[word]),
            Self::UnknownOption { command, word, .. } => formatter.fill(&texts.unknown_option(*command), &[word]),
            Self::NoValue { option, .. } => formatter.fill(&texts.no_value(*option), &[]),
            Self::Twice { option, .. } => formatter.fill(&texts.twice(*option), &[]),
            Self::Missing { what, .. } => formatter.fill(what.say(formatter.style.language), &[]),
            Self::Extra { command: "incidents", word } => formatter.fill(&texts.extra_name("incidents"), &[word]),
            Self::Extra { command, word } => formatter.fill(&texts.extra(*command), &[word]),
            Self::NoNumber { option, word, .. } => formatter.fill(&texts.no_number(*option), &[word]),
            Self::NoTime { word, .. } => formatter.fill(texts.no_time(), &[word]),
            Self::NoLabel { word, .. } => formatter.fill(texts.no_label(), &[word]),
            Self::Length { word } => formatter.fill(texts.wrong_length(), &[word]),
            Self::NoIncident { word, .. } => formatter.fill(texts.no_incident(), &[word]),
            Self::NoName { word, .. } => formatter.fill(texts.no_name(), &[word]),
        };
        let mut blocks = vec![Block::Line(said)];
        match self {
            Self::UnknownCommand { meant: Some(meant), .. } => {
                blocks.push(formatter.meant(std::slice::from_ref(meant)));
            }
            Self::Extra { command: "incidents", word } => {
                let word = super::word(word);
                blocks.push(formatter.meant(&[format!("events {word}"), format!("incidents -n {word}")]));
            }
            Self::UnknownOption { meant: Some(meant), .. } => blocks.push(formatter.meant_option(meant)),
            _ => {}
        }
        let usage = self.command().and_then(registry::find).map_or(help::SPEC.name, |spec| spec.usage);
        blocks.push(formatter.type_this(usage));
        formatter.message(format!("✋ {}", texts.not_understood()), blocks)
    }
}
