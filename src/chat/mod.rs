//! Chats: how people's questions reach [`Queries`], and how answers reach people.
//!
//! A chat adapter (one folder per platform) proves who speaks, finds out what that channel may see, and hands a
//! [`Question`] to the query service. It never parses a command and never reads the store. The query service knows
//! no platform.

pub mod access;
pub(crate) mod adapter_notice;
mod answer_context;
pub mod answer_delivery;
mod answers;
pub(crate) mod asker;
pub(crate) mod endpoint;
mod find;
pub(crate) mod inbox_sink;
pub(crate) mod lists;
pub(crate) mod once;
mod plans;
pub(crate) mod queries;
pub(crate) mod rate;
pub mod reconnect;
pub(crate) mod replays;
pub(crate) mod viewer;
pub(crate) mod views;
pub(crate) mod websocket;

use std::fmt;
use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::access::Access;
pub use self::asker::ChatSettings;
pub use self::queries::{QueryService, RuleCatalog};
use crate::examine::{Checked, Net};
use crate::http::{ClientError, HttpOptions};
use crate::settings::Draft;
use crate::tasks::SideTask;
pub use podbell_core::ask::Entry;
use podbell_core::ask::OpenIncident;
use podbell_core::message::{Message, Style};
use podbell_core::mute::Author;
use podbell_core::scope::Scope;
use podbell_core::time::Time;
use podbell_core::translations::Language;
use podbell_core::user_action::{ActionResult, UserAction};
use podbell_core::yaml::key::Rows;
use podbell_core::yaml::{MapReader, Reader};

/// A kind of chat: one row of the registry.
#[derive(Clone, Copy)]
pub struct ChatKind {
    /// `kind:` in podbell.yaml.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The language of its answers unless podbell.yaml says otherwise.
    pub language: Language,
    /// The zone of times in its answers unless podbell.yaml says otherwise.
    pub time_zone: &'static str,
    /// The keys of this kind alone.
    pub keys: Rows,
    /// Reads the keys of this kind. `chats:` reads the rest of the map.
    pub read: fn(&mut MapReader<'_>, &ChatHead, &mut Reader) -> Option<Draft<dyn Chat>>,
    /// Help for a key that belongs elsewhere.
    pub elsewhere: fn(&str) -> Option<&'static str>,
}

/// What every chat of podbell.yaml has.
#[derive(Clone, Debug)]
pub struct ChatHead {
    /// Its name in logs and authors; part of its address.
    pub name: String,
    /// The language of its answers.
    pub language: Language,
    /// The zone of times in its answers.
    pub time_zone: TimeZone,
}

impl ChatHead {
    /// What every chat has, with who may ask in this one.
    pub(crate) fn settings(&self, access: Access) -> ChatSettings {
        let Self { name, language, time_zone } = self.clone();
        ChatSettings { name, access, language, time_zone }
    }
}

/// A chat, ready for use.
pub trait Chat: fmt::Debug + Send + Sync {
    /// Builds what serves it.
    ///
    /// # Errors
    /// When the network cannot be set up.
    fn serve(&self, deps: &ChatDeps, http: &HttpOptions) -> Result<Served, ClientError>;

    /// Checks whether it can be reached, without opening a connection: that would displace the connection of a
    /// running podbell, or take part of its questions.
    fn examine<'a>(&'a self, net: &'a Net, public_url: Option<&'a Url>) -> BoxFuture<'a, Checked>;
}

/// What a chat needs.
#[derive(Clone)]
pub struct ChatDeps {
    /// Answers.
    pub queries: Arc<dyn Queries>,
    /// For addresses of podbell.yaml.
    pub client: reqwest::Client,
    /// The clock.
    pub now: Arc<dyn Fn() -> Time + Send + Sync>,
    /// A random number from 0 to 1, to spread waits.
    pub chance: Arc<dyn Fn() -> f64 + Send + Sync>,
}

/// What serves a chat.
#[derive(Default)]
pub struct Served {
    /// The routes that the platform calls.
    pub routes: Router,
    /// The connections to the platform, where it gives each message to one of all that are open: each replica has its own.
    pub connections: Vec<SideTask>,
    /// The connections to a platform that has one at a time, or gives each message to all: the active replica has them.
    pub exclusive: Vec<ExclusiveConnection>,
}

/// Makes a connection that only one process may have at a time, and serves it until the token is cancelled.
pub type ExclusiveConnection = Arc<dyn Fn(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;

/// Somebody whose identity and channel the platform proved.
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
    /// The message that it came with, if a platform may deliver that again.
    pub key: Option<MessageKey>,
}

/// Names a message of a platform over all replicas: what it asks for is done once, however many of them it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageKey(pub String);

impl MessageKey {
    /// Of a message in the chat of this name. The first of its ids is the same on every connection of the platform.
    pub(crate) fn of(chat: &str, ids: &[String]) -> Option<Self> {
        ids.first().map(|id| Self(format!("{chat} {id}")))
    }
}

/// What the query service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The answer, to be escaped and shortened by the platform.
    pub message: Message,
    /// Whether everybody in the channel sees it (something was changed), or only who asked.
    pub public: bool,
    /// Whether the command was carried out. A mistake in a command gets a reply, too.
    pub good: bool,
    /// The one open incident that it is about; the platform may offer what can be done with it.
    pub incident: Option<OpenIncident>,
}

/// Answers questions in words. Never fails: every question gets an answer.
pub trait Queries: Send + Sync {
    /// Answers one question.
    fn ask(&self, question: Question) -> BoxFuture<'_, Reply>;
}

/// Why a user action could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The store cannot be written at the moment; nothing was changed.
    #[error("the store cannot be written; nothing was changed, try again")]
    Store,
    /// The service does not answer, or is shutting down.
    #[error("podbell does not answer; it may or may not be done, ask `mutes` or `show`")]
    Silent,
    /// The service does not run.
    #[error("podbell is not running; nothing was changed")]
    NotRunning,
}

/// An action that was asked for before.
pub struct Repeated {
    /// The action.
    pub action: UserAction,
    /// What came of it.
    pub done: Result<ActionResult, ActError>,
}

/// The result of a user action, once it is committed.
pub type Acting<'a> = BoxFuture<'a, Result<ActionResult, ActError>>;

/// Carries out user actions: the running engine, or the store's inbox.
pub trait CommandSink: Send + Sync {
    /// Carries out the action and waits until it is committed. With the `key` of a message that was carried out before,
    /// it says what came of that.
    fn act(&self, action: UserAction, key: Option<MessageKey>) -> Acting<'_>;

    /// What came of the action that was asked for with this key before, on whichever replica.
    fn repeated(&self, _: &MessageKey) -> BoxFuture<'_, Option<Repeated>> {
        Box::pin(std::future::ready(None))
    }
}
