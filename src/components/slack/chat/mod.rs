//! Slack: slash commands, buttons, mentions and direct messages, over HTTP and over Socket Mode.
//!
//! Both ways end in `Slack::take`, which checks who speaks, whether they may, and whether it was heard before. Then
//! the query service is asked and its answer sent. The adapter never reads the store and never parses a command.
//! Without a signing secret there is no endpoint, without an app-level token no connection.

mod answer;
mod config;
mod frame;
mod http;
mod outbound;
pub(crate) mod payload;
mod respond;
mod signature;
mod socket;
mod ticket;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use self::answer::AdapterNotice;
use self::outbound::Hosts;
use self::payload::{Heard, MOST_TEXT};
use crate::chat::access::Identity;
use crate::chat::once::{Came, Once};
use crate::chat::rate::Rate;
use crate::chat::replays::Replays;
use crate::chat::{ChatDeps, MessageKey, Question, Reply, Speaker};
use podbell_core::message::{Language, Style};
use podbell_core::outbox::Content;
use podbell_core::outbox::pace::Pace;
use podbell_core::time::Time;

pub use crate::chat::access::{Access, Channel, Denied};
pub use config::CHAT;
pub use outbound::{Lookup, guarded_client, system};

/// How many connections of Socket Mode an app may have.
pub(crate) const MOST_CONNECTIONS: u64 = 10;
/// How many questions of a chat are asked concurrently.
const ASKING: usize = 16;
/// How many questions are in hand, including those that wait.
const IN_HAND: usize = 256;

/// One Slack app.
#[derive(Clone)]
pub struct SlackConfig {
    /// The chat's name in podbell.yaml; part of its address.
    pub name: String,
    /// Proves calls over HTTP.
    pub signing_secret: Option<SecretString>,
    /// Opens connections of Socket Mode.
    pub app_token: Option<SecretString>,
    /// Answers mentions and direct messages.
    pub bot_token: Option<SecretString>,
    /// The Web API.
    pub api: Url,
    /// How many connections are kept open.
    pub connections: usize,
    /// Who may speak, and what they see.
    pub access: Access,
    /// The language of answers.
    pub language: Language,
    /// The zone of times in answers.
    pub time_zone: TimeZone,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// An answer within this time goes into the reply; Slack waits 3 s.
    pub inline: Duration,
    /// The pause before an answer is posted again; doubles each time.
    pub post_again: Duration,
    /// How fast answers are posted in one conversation.
    pub pace: Pace,
    /// The pause before a connection is opened again; doubles each time.
    pub reopen: Duration,
    /// The longest such pause.
    pub reopen_most: Duration,
    /// The same pause after Slack refused a connection as one too many.
    pub crowded: Duration,
    /// How often podbell asks a connection whether it lives.
    pub ping: Duration,
    /// A connection without any data for this long is dead.
    pub silence: Duration,
    /// How long opening a connection may take.
    pub open: Duration,
    /// How long a connection that was replaced may stay open; Slack closes it after about 10 s.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            inline: Duration::from_millis(2500),
            post_again: Duration::from_secs(1),
            pace: Pace::ONE_A_SECOND,
            reopen: Duration::from_secs(1),
            reopen_most: Duration::from_secs(60),
            crowded: Duration::from_secs(30),
            ping: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            open: Duration::from_secs(20),
            linger: Duration::from_secs(60),
        }
    }
}

/// A running chat.
pub struct Slack {
    config: SlackConfig,
    deps: ChatDeps,
    /// For addresses that come from outside, see [`guarded_client`].
    guarded: reqwest::Client,
    hosts: Hosts,
    rate: Rate,
    replays: Mutex<Replays>,
    /// Shared by all connections and by HTTP: a repetition may come over another one.
    once: Mutex<Once<()>>,
    asking: Semaphore,
    in_hand: Arc<Semaphore>,
    complaints: Mutex<Vec<&'static str>>,
}

/// Something that was heard for the first time, with a place among the questions in hand.
struct Taken {
    heard: Heard,
    what: What,
    _place: OwnedSemaphorePermit,
}

/// What to do with it.
enum What {
    Ask(Speaker),
    Say(AdapterNotice),
}

/// Why nothing is done with it.
#[derive(Debug)]
enum NotTaken {
    /// It was heard before.
    Again,
    /// There is no place; Slack should send it again.
    Busy,
    /// A stranger.
    Stranger(Denied),
}

/// A body to send, and the same in the plainest form.
struct Said {
    body: Value,
    plain: Value,
}

impl fmt::Debug for SlackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackConfig")
            .field("name", &self.name)
            .field("api", &self.api.as_str())
            .field("connections", &self.connections)
            .field("is_called", &self.signing_secret.is_some())
            .field("connects", &self.app_token.is_some())
            .field("answers_mentions", &self.bot_token.is_some())
            .field("language", &self.language)
            .field("time_zone", &self.time_zone.iana_name())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Slack {
    /// A chat that does not listen yet: see [`Slack::routes`] and [`Slack::connect`].
    pub fn new(config: SlackConfig, deps: ChatDeps, guarded: reqwest::Client) -> Arc<Self> {
        let hosts = Hosts::of(&config.api);
        let rate = Rate::new(config.timing.pace);
        Arc::new(Self {
            config,
            deps,
            guarded,
            hosts,
            rate,
            replays: Mutex::default(),
            once: Mutex::default(),
            asking: Semaphore::new(ASKING),
            in_hand: Arc::new(Semaphore::new(IN_HAND)),
            complaints: Mutex::default(),
        })
    }

    /// Whether it is reached over HTTP.
    pub(crate) fn is_called(&self) -> bool {
        self.config.signing_secret.is_some()
    }

    /// Whether it is reached over Socket Mode.
    pub(crate) fn connects(&self) -> bool {
        self.config.app_token.is_some()
    }

    fn now(&self) -> Time {
        (self.deps.now)()
    }

    /// Logs what is wrong with the other side, once for each kind.
    fn complain(&self, what: &'static str) {
        let mut known = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&what) {
            known.push(what);
            tracing::warn!(chat = %self.config.name, "{what} (said once)");
        }
    }

    /// Accepts what was said: once, from those who may speak, if there is a place. `more` is a further identity
    /// under which it may come again, such as its envelope's.
    fn take(&self, heard: Heard, more: Option<String>) -> Result<Taken, NotTaken> {
        let who = Identity {
            teams: &heard.teams,
            user: &heard.user,
            name: heard.user_name.as_deref(),
            channel: &heard.channel,
        };
        let access = self.config.access.speaker(&who, &self.config.name);
        if let Err(denied @ Denied::Team) = access {
            return Err(NotTaken::Stranger(denied));
        }
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ids = heard.ids.clone();
        ids.extend(more);
        match once.came(&ids, self.now()) {
            Came::First(..) => {}
            Came::Again(_) => return Err(NotTaken::Again),
            Came::Full => return Err(NotTaken::Busy),
        }
        let Ok(place) = self.in_hand.clone().try_acquire_owned() else {
            // Do not remember what finds no place: it may come again.
            once.forget(&ids);
            return Err(NotTaken::Busy);
        };
        drop(once);
        let what = match access {
            Err(Denied::Channel) => What::Say(AdapterNotice::NotHere),
            Err(Denied::User | Denied::Team) => What::Say(AdapterNotice::NotYou),
            Ok(_) if heard.text.len() > MOST_TEXT => What::Say(AdapterNotice::TooLong),
            Ok(speaker) => What::Ask(speaker),
        };
        Ok(Taken { heard, what, _place: place })
    }

    /// The answer to it.
    async fn answer(&self, heard: &Heard, what: What) -> Said {
        let language = self.config.language;
        let speaker = match what {
            What::Say(own) => return Said { body: answer::own(own, language), plain: answer::own(own, language) },
            What::Ask(speaker) => speaker,
        };
        // The semaphore is never closed.
        let _turn = self.asking.acquire().await;
        let style = Style { language, time_zone: self.config.time_zone.clone(), now: self.now() };
        let key = MessageKey::of(&self.config.name, &heard.ids);
        let question = Question { speaker, entry: heard.entry, text: heard.text.clone(), style, key };
        let reply: Reply = self.deps.queries.ask(question).await;
        Said { body: answer::body(&reply, Content::Full), plain: answer::body(&reply, Content::Minimal) }
    }

    /// Asks, and sends the answer to where it belongs, in a task of its own.
    fn run(self: &Arc<Self>, taken: Taken) {
        let slack = self.clone();
        tokio::spawn(async move {
            let Taken { heard, what, _place } = taken;
            let said = slack.answer(&heard, what).await;
            respond::send(&slack, &heard, said.body, said.plain).await;
        });
    }
}
