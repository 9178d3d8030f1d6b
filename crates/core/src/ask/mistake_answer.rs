//! The answer to a command with a mistake.

use super::formatter::AnswerFormatter;
use super::mistake::Mistake;
use super::words::{MAX_CHARS, MAX_WORDS};
use super::{help, registry};
use crate::message::{Block, Message, Span};

impl Mistake {
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
