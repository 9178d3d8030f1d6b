//! `kind: dingtalk-app` of `chats:`: the robot of an application, heard over Stream mode, a connection that podbell opens.
//! Answers go to the address that comes with each message; a press has none, and is answered in its group by the robot.

mod config;
mod frame;
mod stream;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::api::Api;
use super::{PACE, PRESS_PACE};
use crate::chat::answer_delivery::AnswerTiming;
use crate::chat::asker::Asker;
use crate::chat::rate::Rate;
use crate::chat::reconnect::ConnectionTiming;
use crate::chat::{ChatDeps, ChatSettings};
use podbell_core::outbox::pace::Pace;

pub use config::CHAT;

/// How many groups are named in the log.
const MAX_NAMED: usize = 200;

/// What a chat of an application needs.
#[derive(Clone, Debug)]
pub struct DingTalkConfig {
    /// What every chat has.
    pub settings: ChatSettings,
    /// The application's key (Client ID).
    pub app_key: String,
    /// Its secret (Client Secret).
    pub app_secret: SecretString,
    /// Where the API is.
    pub api: Url,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How its connection is kept.
    pub connection: ConnectionTiming,
    /// How answers are posted.
    pub answers: AnswerTiming,
    /// How fast presses are answered in one group: the robot tells there, too, within the same limit.
    pub press_pace: Pace,
    /// What was written longer ago is not carried out.
    pub stale: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connection: ConnectionTiming::default(),
            answers: AnswerTiming::at(PACE),
            press_pace: PRESS_PACE,
            stale: Duration::from_secs(15 * 60),
        }
    }
}

/// A running chat.
pub struct DingTalk {
    asker: Arc<Asker>,
    api: Api,
    timing: Timing,
    rate: Rate,
    press_rate: Rate,
    /// The groups that the log has named.
    named: Mutex<HashSet<String>>,
}

impl DingTalk {
    /// A chat that does not listen yet: see [`DingTalk::connect`].
    pub fn new(config: DingTalkConfig, deps: ChatDeps) -> Arc<Self> {
        let DingTalkConfig { settings, app_key, app_secret, api, timing } = config;
        let api = Api::new(api, app_key, app_secret);
        Arc::new(Self {
            asker: Asker::new(settings, deps),
            api,
            timing,
            rate: Rate::new(timing.answers.pace),
            press_rate: Rate::new(timing.press_pace),
            named: Mutex::default(),
        })
    }

    /// Names a group in the log, once: nothing else shows the id that `conversation` and `channels` want.
    fn name(&self, conversation: &str) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MAX_NAMED && named.insert(conversation.to_owned()) {
            tracing::info!(chat = %self.asker.settings.name, conversation, "asked in a group (said once)");
        }
    }
}
