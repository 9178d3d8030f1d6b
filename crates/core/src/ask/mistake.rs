//! What can be wrong with what somebody typed, and what to type instead.

use serde::Serialize;

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
}
