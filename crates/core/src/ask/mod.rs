//! The one command language: what people type in chats, in a terminal and at the API, and the answers.
//!
//! Pure: text goes in, a [`Command`] or a [`Mistake`] comes out; facts go in, a [`Message`] comes out. One file per
//! command. Never reads a store and knows no platform. Changes are described as a [`crate::user_action`] and carried
//! out elsewhere.

mod ack;
mod args;
mod brief;
pub mod events;
mod formatter;
mod help;
pub mod incidents;
mod known;
pub(crate) mod mistake;
mod mistake_answer;
pub mod mute;
pub mod mutes;
pub mod place;
mod registry;
pub mod show;
mod spec;
pub mod status;
mod translations;
mod unmute;
pub mod untold;
pub mod why;
mod words;

use serde::Serialize;

pub use brief::{Brief, Logged, StoredIncident, few};
pub use formatter::{Prompt, named, typed, word};
pub use known::{AnswerFacts, KnownRule};
pub use mistake::Mistake;
pub use place::{Choice, FoundService, Kind, Named, Unknown};
pub use registry::COMMANDS;
pub use spec::{Label, OptionSpec, Spec};
pub use words::without_dashes;

use self::formatter::AnswerFormatter;
use self::words::Word;
use crate::diagnostic::did_you_mean;
use crate::message::{Block, Message, Style};
use crate::mute::Mute;
use crate::user_action::ActionResult;

/// Lines on a page: what a phone shows.
pub const PAGE: usize = 10;

/// Which slash command was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `/events`: the rest are its arguments.
    Events,
    /// `/podbell`: the name of a command follows. Also for a message to a bot, an API request, and a button, which
    /// sends the command that a person would type.
    Podbell,
}

/// What a person asks podbell to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Answer a question.
    Query(Query),
    /// Change something.
    Change(Change),
    /// Say what can be typed.
    Help {
        /// Of one command only.
        about: Option<&'static str>,
    },
}

/// A question; it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The open incidents and the baseline.
    Overview {
        /// The page, counted from 1.
        page: u32,
    },
    /// The events of a service.
    Events(events::Ask),
    /// Incidents.
    Incidents(incidents::Ask),
    /// One incident.
    Show {
        /// Its number.
        id: u64,
    },
    /// What is muted.
    Mutes,
    /// Why an incident was reported, or was not.
    Why {
        /// Its number.
        id: u64,
        /// The page of its changes, counted from 1.
        page: u32,
    },
    /// Warnings that nobody was notified of.
    Untold(untold::Ask),
    /// Whether podbell itself is well.
    Status,
}

/// A change that a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Acknowledge an incident.
    Ack {
        /// The incident.
        id: u64,
    },
    /// Hold notices back.
    Mute(mute::Ask),
    /// End a mute.
    Unmute(mute::MuteArgument),
}

/// Reads a command.
///
/// # Errors
/// A [`Mistake`]; it can be answered like a command.
pub fn parse(entry: Entry, text: &str) -> Result<Command, Mistake> {
    let words = words::split(text)?;
    match entry {
        Entry::Events => events::SPEC.read(&words, text),
        Entry::Podbell => podbell(&words, text),
    }
}

/// Reads what follows `/podbell`. Where a platform has no slash commands, people type that word, too.
fn podbell(words: &[Word], text: &str) -> Result<Command, Mistake> {
    let Some((first, rest)) = words.split_first() else { return Ok(Command::Help { about: None }) };
    let named = first.text.trim_start_matches('/').to_lowercase();
    match named.as_str() {
        "podbell" => podbell(rest, text),
        "-h" | "--help" | "?" => Ok(Command::Help { about: None }),
        name => match registry::find(name) {
            Some(row) => row.read(rest, text),
            None => {
                let meant = did_you_mean(name, COMMANDS.iter().map(|row| row.name));
                // Keep the words after the mistyped one.
                let rest = rest.first().and_then(|word| text.get(word.start..)).unwrap_or_default();
                let meant = meant.map(|meant| format!("{meant} {rest}").trim_end().to_owned());
                Err(Mistake::UnknownCommand { word: first.text.clone(), meant })
            }
        },
    }
}

/// An answer as facts, for people and for machines.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// See [`Query::Overview`].
    Overview(events::Overview),
    /// See [`Query::Events`].
    Events(Box<events::Events>),
    /// See [`Query::Incidents`].
    Incidents(incidents::Incidents),
    /// See [`Query::Show`].
    Shown(Box<show::Shown>),
    /// See [`Query::Why`].
    Why(Box<why::Why>),
    /// See [`Query::Mutes`].
    Mutes(mutes::Mutes),
    /// See [`Query::Untold`].
    Untold(untold::Untold),
    /// See [`Query::Status`].
    Status(status::Status),
    /// See [`Command::Help`].
    Help {
        /// Of one command only.
        about: Option<&'static str>,
    },
    /// The result of a user action.
    Done {
        /// The result.
        #[serde(flatten)]
        done: Box<ActionResult>,
        /// What it was about, as the argument of a command.
        about: String,
        /// Who did it.
        by: crate::mute::Author,
    },
    /// Several things have that name.
    Choice(Choice),
    /// Nothing has that name.
    Unknown(Unknown),
    /// It cannot be understood.
    Mistake(Mistake),
    /// It cannot be answered now, or not to this person.
    Excuse {
        /// Why.
        because: Excuse,
    },
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    /// The store takes too long.
    Slow,
    /// The store cannot be read.
    Unreadable,
    /// This person, or this channel, may only read.
    MayNotWrite,
    /// The store cannot be written.
    NotDone,
    /// Nobody confirmed whether it was done.
    Silent,
    /// The service does not run.
    NotRunning,
}

/// An open incident that an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenIncident {
    /// Its number.
    pub id: u64,
    /// Whether somebody has it.
    pub acknowledged: bool,
}

impl Answer {
    /// Whether the request was carried out.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Done { done, .. } => !matches!(**done, ActionResult::Refused { .. }),
            Self::Choice(_) | Self::Unknown(_) | Self::Mistake(_) | Self::Excuse { .. } => false,
            _ => true,
        }
    }

    /// Whether everybody should see it: something was changed.
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Done { .. }) && self.is_good()
    }

    /// The one open incident that it is about.
    pub fn incident(&self) -> Option<OpenIncident> {
        match self {
            Self::Shown(shown) if shown.brief.resolved_at.is_none() => {
                Some(OpenIncident { id: shown.brief.id, acknowledged: shown.brief.acknowledged.is_some() })
            }
            Self::Done { done, .. } => match **done {
                ActionResult::Acknowledged { id, .. } => Some(OpenIncident { id, acknowledged: true }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Replaces the ids of clusters by their aliases, for people to read.
    #[must_use]
    pub fn in_names(&self, known: &AnswerFacts) -> Self {
        let mut answer = self.clone();
        let mutes: Vec<&mut Mute> = match &mut answer {
            Self::Mutes(mutes) => mutes.mutes.iter_mut().collect(),
            Self::Shown(shown) => shown.brief.muted.iter_mut().collect(),
            Self::Why(why) => why.brief.muted.iter_mut().collect(),
            Self::Done { done, .. } => match &mut **done {
                ActionResult::Muted { mute, .. } => vec![mute],
                ActionResult::Unmuted { mutes } => mutes.iter_mut().collect(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        for mute in mutes {
            mute.what = known.in_names(&mute.what);
        }
        answer
    }

    /// Composes the message, with commands as they are typed at this prompt.
    pub fn compose(&self, style: &Style, prompt: Prompt) -> Message {
        let formatter = AnswerFormatter::new(style, prompt);
        match self {
            Self::Overview(overview) => overview.answer(&formatter),
            Self::Events(events) => events.answer(&formatter),
            Self::Incidents(incidents) => incidents.answer(&formatter),
            Self::Shown(shown) => shown.answer(&formatter),
            Self::Why(why) => why.answer(&formatter),
            Self::Mutes(mutes) => mutes.answer(&formatter),
            Self::Untold(untold) => untold.answer(&formatter),
            Self::Status(status) => status.answer(&formatter),
            Self::Help { about } => help::answer(*about, &COMMANDS, &formatter),
            Self::Done { done, about, by } => mute::answer_done(done, about, by, &formatter),
            Self::Choice(choice) => choice.answer(&formatter),
            Self::Unknown(unknown) => unknown.answer(&formatter),
            Self::Mistake(mistake) => mistake.answer(&formatter),
            Self::Excuse { because } => excuse(*because, &formatter),
        }
    }
}

fn excuse(because: Excuse, formatter: &AnswerFormatter<'_>) -> Message {
    let mut blocks = vec![formatter.line(because.say(formatter.style.language))];
    if because == Excuse::Silent {
        blocks.push(formatter.next(&["mutes".to_owned(), "incidents".to_owned()]));
    }
    let title = match because {
        Excuse::MayNotWrite => formatter.texts.not_allowed(),
        Excuse::NotDone | Excuse::NotRunning => formatter.texts.not_done(),
        Excuse::Slow | Excuse::Unreadable | Excuse::Silent => formatter.texts.no_answer(),
    };
    formatter.message(format!("⚠️ {title}"), blocks)
}

/// How many pages there are, and the lines of one of them.
fn page<T>(all: &[T], page: u32) -> (u32, &[T]) {
    let pages = u32::try_from(all.len().div_ceil(PAGE).max(1)).unwrap_or(u32::MAX);
    let from = (page.max(1) as usize - 1).saturating_mul(PAGE).min(all.len());
    (pages, &all[from..(from + PAGE).min(all.len())])
}

/// Says which page this is, if there are several.
fn pages(formatter: &AnswerFormatter<'_>, page: u32, pages: u32) -> Option<Block> {
    (pages > 1).then(|| Block::Small(vec![crate::message::words(formatter.texts.page(page, pages))]))
}
