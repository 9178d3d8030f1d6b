//! Mattermost: slash commands and buttons over HTTP, mentions and direct messages over a bot's websocket.
//!
//! Every way ends in `Asker::submit`, which knows what was heard before. Without tokens of slash commands and a bot's token
//! there is no endpoint, without a bot's token no connection.

mod api;
mod config;
mod event;
mod http;
mod missed;
mod socket;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use self::socket::Position;
use super::{actions, post};
use crate::chat::ChatDeps;
use crate::chat::answer_delivery::AnswerTiming;
use crate::chat::asker::{Asker, ChatAnswer, ChatSettings, Incoming};
use crate::chat::rate::Rate;
use crate::chat::reconnect::ConnectionTiming;
use podbell_core::outbox::Content;
use podbell_core::outbox::pace::Pace;

pub use config::CHAT;
pub(super) use config::id;

/// One server of Mattermost.
#[derive(Clone, Debug)]
pub struct MattermostConfig {
    /// What every chat has.
    pub settings: ChatSettings,
    /// Prove calls of slash commands; each command has its own.
    pub tokens: Vec<SecretString>,
    /// The bot's token: it opens the websocket, and proves presses of buttons.
    pub bot_token: Option<SecretString>,
    /// Where Mattermost is; needed for the websocket.
    pub server: Option<Url>,
    /// Where Mattermost reaches this chat, for the buttons of answers.
    pub actions_url: Option<Url>,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// An answer over HTTP is ready within this time; Mattermost waits 30 s.
    pub reply: Duration,
    /// How its connection is kept.
    pub connection: ConnectionTiming,
    /// How answers are posted.
    pub answers: AnswerTiming,
}

impl Default for Timing {
    fn default() -> Self {
        let answers = AnswerTiming::at(Pace::ONE_A_SECOND);
        Self { reply: Duration::from_secs(25), connection: ConnectionTiming::default(), answers }
    }
}

/// A running chat.
pub struct Mattermost {
    asker: Arc<Asker>,
    config: MattermostConfig,
    rate: Rate,
    /// Up to where the websocket was read.
    position: Mutex<Position>,
    /// The bot's id, once it is known.
    me: OnceLock<String>,
}

impl Mattermost {
    /// A chat that does not listen yet: see [`Mattermost::routes`] and [`Mattermost::connect`].
    pub fn new(config: MattermostConfig, deps: ChatDeps) -> Arc<Self> {
        let rate = Rate::new(config.timing.answers.pace);
        Arc::new(Self {
            asker: Asker::new(config.settings.clone(), deps),
            config,
            rate,
            position: Mutex::default(),
            me: OnceLock::new(),
        })
    }

    /// An answer in the parts of a post. `answers` is the post that it answers, if it will be one that can be changed: what only
    /// its reader sees cannot.
    fn parts(&self, said: &ChatAnswer, content: Content, answers: Option<&str>) -> post::PostParts {
        match said {
            ChatAnswer::Notice(own) => post::PostParts::own(own.say(self.asker.settings.language)),
            ChatAnswer::Reply(reply) => {
                let mut parts = post::PostParts::of(&reply.message, content, &[]);
                if let (Some(incident), Some(url), Some(token)) =
                    (reply.incident, &self.config.actions_url, &self.config.bot_token)
                {
                    let language = reply.message.language;
                    parts.add_buttons(actions::buttons(incident.into(), language, url, token, answers));
                }
                parts
            }
        }
    }

    /// An answer to a slash command.
    fn command_answer(&self, said: &ChatAnswer) -> Value {
        let public = matches!(said, ChatAnswer::Reply(reply) if reply.public);
        let mut body = self.parts(said, Content::Full, None).webhook();
        body["response_type"] = json!(if public { "in_channel" } else { "ephemeral" });
        body
    }

    /// A bot's post that answers this one.
    fn post(&self, said: &ChatAnswer, content: Content, answers: &str) -> Value {
        let mut post = self.parts(said, content, Some(answers)).post();
        post["props"][event::ANSWERS] = json!(answers);
        post
    }

    /// An answer to a press. One that acknowledges an incident changes the post that the button stands in, if that answers another one.
    async fn press_answer(&self, said: &ChatAnswer, press: &Incoming, answers: Option<&str>) -> Value {
        let text = match said {
            ChatAnswer::Notice(own) => own.say(self.asker.settings.language).to_owned(),
            ChatAnswer::Reply(reply) => post::text(&reply.message),
        };
        let mut answer = json!({"ephemeral_text": text});
        if let Some(answers) = answers
            && let Some(anew) = self.asker.shown_anew(press, said).await
        {
            answer["update"] = self.post(&ChatAnswer::Reply(anew), Content::Full, answers);
        }
        answer
    }
}
