//! What can be wrong with what somebody typed, and what to type instead.

use serde::Serialize;

use super::help;
use super::registry;
use super::scribe::Scribe;
use super::words::{MOST_CHARS, MOST_WORDS};
use crate::message::{Block, Message, Span};

/// A mistake in a command.
#[expect(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "mistake", rename_all = "snake_case")]
pub enum Mistake {
    /// More text than is looked at.
    TooLong,
    /// More words than any command has.
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
    /// An option without what it needs.
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
    /// A word too many.
    Extra {
        command: &'static str,
        word: String,
    },
    NoNumber {
        command: &'static str,
        option: &'static str,
        word: String,
    },
    /// No length of time.
    NoTime {
        command: &'static str,
        word: String,
    },
    /// Longer than a mute may be, or no time at all.
    Length {
        word: String,
    },
    /// No number of an incident.
    NoIncident {
        command: &'static str,
        word: String,
    },
    /// No name of a service.
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
    /// The name of a service, for the options that were given.
    Service,
}

impl Mistake {
    /// The command that it was made in, if that is known.
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
            | Self::NoIncident { command, .. }
            | Self::NoName { command, .. } => Some(command),
        }
    }

    /// In words, with what can be typed instead.
    pub(super) fn answer(&self, scribe: &Scribe<'_>) -> Message {
        let talk = scribe.talk;
        let said: Vec<Span> = match self {
            Self::TooLong => scribe.fill(&talk.too_long(MOST_CHARS), &[]),
            Self::TooManyWords => scribe.fill(&talk.too_many_words(MOST_WORDS), &[]),
            Self::UnknownCommand { word, .. } => scribe.fill(talk.unknown_command(), &[word]),
            Self::UnknownOption { command, word, .. } => scribe.fill(&talk.unknown_option(*command), &[word]),
            Self::NoValue { option, .. } => scribe.fill(&talk.no_value(*option), &[]),
            Self::Twice { option, .. } => scribe.fill(&talk.twice(*option), &[]),
            Self::Missing { what, .. } => scribe.fill(what.say(scribe.style.language), &[]),
            Self::Extra { command: "incidents", word } => scribe.fill(&talk.extra_name("incidents"), &[word]),
            Self::Extra { command, word } => scribe.fill(&talk.extra(*command), &[word]),
            Self::NoNumber { option, word, .. } => scribe.fill(&talk.no_number(*option), &[word]),
            Self::NoTime { word, .. } => scribe.fill(talk.no_time(), &[word]),
            Self::Length { word } => scribe.fill(talk.wrong_length(), &[word]),
            Self::NoIncident { word, .. } => scribe.fill(talk.no_incident(), &[word]),
            Self::NoName { word, .. } => scribe.fill(talk.no_name(), &[word]),
        };
        let mut blocks = vec![Block::Line(said)];
        match self {
            Self::UnknownCommand { meant: Some(meant), .. } => {
                blocks.push(scribe.meant(std::slice::from_ref(meant)));
            }
            Self::Extra { command: "incidents", word } => {
                let word = super::word(word);
                blocks.push(scribe.meant(&[format!("events {word}"), format!("incidents -n {word}")]));
            }
            Self::UnknownOption { meant: Some(meant), .. } => blocks.push(scribe.meant_option(meant)),
            _ => {}
        }
        let usage = self.command().and_then(registry::find).map_or(help::SPEC.name, |spec| spec.usage);
        blocks.push(scribe.type_this(usage));
        scribe.message(format!("✋ {}", talk.not_understood()), blocks)
    }
}
