//! Slack: slash commands, buttons, mentions and direct messages, over HTTP and over Socket Mode.
//!
//! Both ways end in `Slack::submit`, and from there in what all chats share: who speaks, whether they may, whether it was
//! heard before, and one question to the query service. The adapter never reads the store and never parses a command.
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
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use self::outbound::Hosts;
use self::payload::{AnswerTo, Received};
use crate::chat::ChatDeps;
use crate::chat::answer_delivery::AnswerTiming;
use crate::chat::asker::{self, Asker, Rejection};
use crate::chat::rate::Rate;
use crate::chat::reconnect::{ConnectionTiming, Pauses};
use crate::chat::replays::Replays;
use podbell_core::outbox::pace::Pace;
use podbell_core::time::Time;

pub use crate::chat::access::{Access, Channel, Denied};
pub use crate::chat::asker::ChatSettings;
pub use config::CHAT;
pub use outbound::{Lookup, guarded_client, system};

/// How many connections of Socket Mode an app may have.
pub(crate) const MAX_CONNECTIONS: u64 = 10;

/// One Slack app.
#[derive(Clone)]
pub struct SlackConfig {
    /// Its name, part of its address, who may speak, and how it answers.
    pub settings: ChatSettings,
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
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// An answer within this time goes into the reply; Slack waits 3 s.
    pub inline: Duration,
    /// How answers are posted.
    pub answers: AnswerTiming,
    /// How each of its connections is kept.
    pub connection: ConnectionTiming,
    /// How long a connection that was replaced may stay open; Slack closes it after about 10 s.
    pub linger: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        // Only the operator can mend a refused token, but one that works again is soon noticed.
        let pauses = Pauses { refused: seconds(60), displaced: seconds(30), ..Pauses::default() };
        Self {
            inline: Duration::from_millis(2500),
            answers: AnswerTiming::at(Pace::ONE_A_SECOND),
            connection: ConnectionTiming { ping: seconds(10), silence: seconds(30), pauses, ..Default::default() },
            linger: seconds(60),
        }
    }
}

/// A running chat.
pub struct Slack {
    config: SlackConfig,
    asker: Arc<Asker>,
    /// For addresses that come from outside, see [`guarded_client`].
    guarded: reqwest::Client,
    hosts: Hosts,
    rate: Rate,
    replays: Mutex<Replays>,
}

/// Something that was heard for the first time, and where its answer will be.
struct Submitted {
    received: Received,
    answer: asker::Answer,
    permit: Option<asker::Permit>,
}

impl fmt::Debug for SlackConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackConfig")
            .field("settings", &self.settings)
            .field("api", &self.api.as_str())
            .field("connections", &self.connections)
            .field("is_called", &self.signing_secret.is_some())
            .field("connects", &self.app_token.is_some())
            .field("answers_mentions", &self.bot_token.is_some())
            .finish_non_exhaustive()
    }
}

impl Slack {
    /// A chat that does not listen yet: see [`Slack::routes`] and [`Slack::connect`].
    pub fn new(config: SlackConfig, deps: ChatDeps, guarded: reqwest::Client) -> Arc<Self> {
        let hosts = Hosts::of(&config.api);
        let rate = Rate::new(config.timing.answers.pace);
        let asker = Asker::new(config.settings.clone(), deps);
        Arc::new(Self { config, asker, guarded, hosts, rate, replays: Mutex::default() })
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
        self.asker.now()
    }

    /// Whether podbell cannot answer this, because it is a message and there is no `bot_token`. Logs that once.
    fn cannot_answer(&self, received: &Received) -> bool {
        let unanswerable = matches!(received.answer, AnswerTo::Message { .. }) && self.config.bot_token.is_none();
        if unanswerable {
            self.asker.complain("mentions and direct messages cannot be answered: the chat has no `bot_token`");
        }
        unanswerable
    }

    /// Has it carried out; `None` for what was heard before. `more` is a further identity under which it may come
    /// again, such as its envelope's.
    fn submit(&self, received: Received, more: Option<String>) -> Result<Option<Submitted>, Rejection> {
        let mut incoming = received.incoming.clone();
        incoming.ids.extend(more);
        let asker::Submitted { answer, first, permit } = self.asker.submit(incoming)?;
        Ok(first.then_some(Submitted { received, answer, permit }))
    }

    /// Sends the answer to where it belongs, in a task of its own.
    fn answer_later(self: &Arc<Self>, taken: Submitted) {
        let slack = self.clone();
        tokio::spawn(async move {
            let Submitted { received, answer, permit } = taken;
            let said = slack.asker.answered(answer).await;
            respond::send(&slack, &received, &said).await;
            drop(permit);
        });
    }
}
