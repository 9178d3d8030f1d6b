//! Feishu or Lark: mentions of an app's bot, direct messages to it and presses of its buttons, over a long connection that
//! podbell opens, or as events that the platform posts to podbell.
//!
//! The platform sends a request again until it is answered, over whichever connection there is then; what comes twice is
//! remembered.

mod answer;
mod callback;
mod config;
mod event;
mod frame;
mod signed;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

use super::api::Api;
use super::{app, card};
use crate::chat::ChatDeps;
use crate::chat::answer_delivery::AnswerTiming;
use crate::chat::asker::{Asker, ChatAnswer, ChatSettings};
use crate::chat::rate::Rate;
use crate::chat::reconnect::ConnectionTiming;
use podbell_core::outbox::Content;

pub use config::CHAT;
pub use signed::Subscription;

/// One app.
#[derive(Clone, Debug)]
pub struct FeishuConfig {
    /// What every chat has.
    pub settings: ChatSettings,
    /// The app's id.
    pub app_id: String,
    /// The app's secret.
    pub app_secret: SecretString,
    /// The API.
    pub api: Url,
    /// Events are posted to podbell if there is one; otherwise it opens the long connection.
    pub subscription: Option<Subscription>,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A request is answered within this time; the platform waits 3 s.
    pub reply: Duration,
    /// How its connection is kept; the platform may want pings more often.
    pub connection: ConnectionTiming,
    /// How answers are posted.
    pub answers: AnswerTiming,
    /// What was said longer ago than this is not carried out.
    pub stale: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            reply: seconds(2),
            connection: ConnectionTiming { ping: seconds(30), silence: seconds(90), ..ConnectionTiming::default() },
            answers: AnswerTiming::at(app::PACE),
            stale: seconds(15 * 60),
        }
    }
}

/// A running chat.
pub struct Feishu {
    asker: Arc<Asker>,
    api: Api,
    timing: Timing,
    rate: Rate,
    subscription: Option<Subscription>,
    /// The bot's open_id, once it was asked for.
    me: OnceCell<String>,
}

impl Feishu {
    /// A chat that does not listen yet: see [`Feishu::connect`].
    pub fn new(config: FeishuConfig, deps: ChatDeps) -> Arc<Self> {
        let FeishuConfig { settings, app_id, app_secret, api, subscription, timing } = config;
        Arc::new(Self {
            asker: Asker::new(settings, deps),
            api: Api::new(api, app_id, app_secret),
            timing,
            rate: Rate::new(timing.answers.pace),
            subscription,
            me: OnceCell::new(),
        })
    }

    /// The bot's open_id; `None` if it cannot be asked for now.
    async fn bot(&self) -> Option<&str> {
        self.me.get_or_try_init(|| self.me()).await.ok().map(String::as_str)
    }

    /// An answer as it is posted. `direct` is the chat, if it is a conversation of one person with the bot.
    fn content(&self, said: &ChatAnswer, content: Content, direct: Option<&str>) -> Value {
        match said {
            ChatAnswer::Notice(own) => card::own(own.say(self.asker.settings.language)),
            ChatAnswer::Reply(reply) => {
                let buttons = reply.incident.map(|one| app::buttons(one.into(), reply.message.language, direct));
                card::content(&reply.message, content, &[], buttons.as_ref())
            }
        }
    }
}
