//! Chats: how people's questions reach the [`Queries`] and its answers reach them.
//!
//! A chat adapter (one folder per platform) proves who speaks, finds out what that channel may see,
//! and hands a [`Question`] to the query service. It never parses a command and never reads the store. The query service
//! never knows a platform.

mod adapter_notice;
mod answers;
mod find;
pub(crate) mod inbox_sink;
pub(crate) mod lists;
mod plans;
pub(crate) mod queries;
pub mod slack;
pub(crate) mod views;
mod websocket;
pub mod wecom;

use std::future::Future;
use std::pin::Pin;

pub use self::queries::{QueryService, RuleCatalog};
pub use podbell_core::ask::Entry;
use podbell_core::deed::{Deed, Done};
use podbell_core::message::{Message, Style};
use podbell_core::mute::Author;
use podbell_core::scope::Scope;

/// Somebody whose identity and channel were proved by the platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Who, and in which chat.
    pub author: Author,
    /// What they may see and act on.
    pub scope: Scope,
    /// Whether they may change anything: acknowledge and mute.
    pub may_write: bool,
}

/// What somebody typed, and for whom the answer is written.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub speaker: Speaker,
    /// The word that began it.
    pub entry: Entry,
    /// What follows that word, as it was typed: text from outside.
    pub text: String,
    /// The reader's language, clock and the moment of asking.
    pub style: Style,
}

/// What the query service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer, to be escaped and shortened by the platform.
    pub message: Message,
    /// Whether everybody in the channel is to see it (something was changed), or only who asked.
    pub public: bool,
    /// Whether it was carried out; a mistake in the command is an answer, too.
    pub good: bool,
    /// The one open incident that it is about: the platform may offer what can be done with it.
    pub incident: Option<u64>,
}

/// A future that is boxed, so that a query service can stand behind a pointer.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;

/// Answers questions. Every question gets an answer, in words; it never fails.
pub trait Queries: Send + Sync {
    /// Answers one question.
    fn ask(&self, question: Question) -> Answering<'_>;
}

/// Why a deed could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The store cannot be written at the moment; nothing was changed.
    #[error("the store cannot be written; nothing was changed, try again")]
    Store,
    /// The service is not there, or ends.
    #[error("podbell does not answer; it may or may not be done, ask `mutes` or `show`")]
    Silent,
    /// The service does not run.
    #[error("podbell is not running; nothing was changed")]
    NotRunning,
}

/// A future that is boxed, so that a sink can stand behind a pointer.
pub type Acting<'a> = Pin<Box<dyn Future<Output = Result<Done, ActError>> + Send + 'a>>;

/// Carries out what people do: the running engine, or the store's inbox.
pub trait CommandSink: Send + Sync {
    /// Carries it out and waits until it is committed.
    fn act(&self, deed: Deed) -> Acting<'_>;
}
