//! Telegram: commands, mentions, direct messages and buttons, over long polling. Telegram need not reach podbell.
//!
//! Telegram keeps an update until podbell asks for greater numbers. podbell does that when everything of a batch was
//! carried out, so that nothing is lost when it ends in between; what is handed out again meanwhile is remembered and
//! runs once. An orderly end confirms what was carried out.
//!
//! Source: "Telegram Bot API": getUpdates (one poller at a time, 409 for another), answerCallbackQuery, sendMessage,
//! ResponseParameters (`retry_after`).

mod api;
mod config;
mod update;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::api::Api;
use self::update::{MessageRef, Received, Update};
use super::{PACE, html, keyboard, refused};
use crate::chat::ChatDeps;
use crate::chat::answer_delivery::{AnswerDelivery, AnswerTiming, Posted};
use crate::chat::asker::{Asker, ChatAnswer, ChatSettings, Rejection};
use crate::chat::rate::Rate;
use crate::chat::reconnect::{Backoff, Connection, Disconnect, Pauses};
use podbell_core::outbox::Content;

pub use config::CHAT;

/// How long an answer is tried.
const POSTS_WITHIN: Duration = Duration::from_secs(10 * 60);
/// The longest text beside a press, in characters.
const TOAST: usize = 190;

/// One bot.
#[derive(Clone, Debug)]
pub struct TelegramConfig {
    /// What every chat has. Its channels are numbers of chats, or `direct`.
    pub settings: ChatSettings,
    /// The bot's token.
    pub token: SecretString,
    /// The Bot API.
    pub api: Url,
    /// How long things take.
    pub timing: Timing,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long Telegram holds a request for which it has no update.
    pub hold: Duration,
    /// Before updates are asked for again; another program that asks for them, too, displaces podbell.
    pub pauses: Pauses,
    /// How answers are posted.
    pub answers: AnswerTiming,
    /// What was written longer ago than this is not carried out.
    pub stale: Duration,
    /// How long a batch of updates may take before the next ones are asked for.
    pub batch: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            hold: seconds(25),
            pauses: Pauses { displaced: seconds(30), ..Pauses::default() },
            answers: AnswerTiming::at(PACE),
            stale: seconds(15 * 60),
            batch: seconds(30),
        }
    }
}

/// A running bot.
pub struct Telegram {
    asker: Arc<Asker>,
    api: Api,
    timing: Timing,
    rate: Rate,
    /// The bot's name, once Telegram said it.
    name: OnceLock<String>,
    /// The first number that was not carried out, until Telegram knows it.
    next: Mutex<Option<i64>>,
}

impl Telegram {
    /// A bot that does not listen yet: see [`Telegram::connect`].
    pub fn new(config: TelegramConfig, deps: ChatDeps) -> Arc<Self> {
        let TelegramConfig { settings, token, api, timing } = config;
        let api = Api { client: deps.client.clone(), url: api, token, now: deps.now.clone() };
        let rate = Rate::new(timing.answers.pace);
        Arc::new(Self {
            asker: Asker::new(settings, deps),
            api,
            timing,
            rate,
            name: OnceLock::new(),
            next: Mutex::default(),
        })
    }

    /// Listens until `stop` is cancelled, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, stop: CancellationToken) {
        self.asker.keep_connected("the bot", self.timing.pauses, &self, stop).await;
    }

    fn next(&self) -> Option<i64> {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_next(&self, next: Option<i64>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Carries out a batch, and says from which number on the next updates are. Waits until all of it is done: Telegram
    /// would hand out again what was not, if podbell ended now.
    async fn take(self: &Arc<Self>, updates: &[Value], bot: &str) -> Option<i64> {
        let read: Vec<Update> = updates.iter().filter_map(|update| update::read(update, bot)).collect();
        let mut doing = tokio::task::JoinSet::new();
        let mut next = None;
        for Update { id, said } in read {
            if let Some(said) = said {
                match self.asker.submit_written(said.incoming.clone(), said.at, self.timing.stale) {
                    Err(Rejection::Busy | Rejection::Full) => {
                        // It and what follows is handed out again.
                        self.asker.complain("too many questions at once: some are left for Telegram to hand out again");
                        break;
                    }
                    Err(Rejection::Stranger) => {}
                    Ok(taken) if !taken.first => {}
                    Ok(taken) => {
                        let telegram = self.clone();
                        doing.spawn(async move {
                            let answer = telegram.asker.answered(taken.answer).await;
                            // The answer is on its way by itself: a slow chat must not hold up the next updates.
                            tokio::spawn(async move {
                                telegram.answer(&said, &answer).await;
                                drop(taken.permit);
                            });
                        });
                    }
                }
            }
            next = next.max(Some(id.saturating_add(1)));
        }
        let _ = tokio::time::timeout(self.timing.batch, async { while doing.join_next().await.is_some() {} }).await;
        doing.detach_all();
        next
    }

    /// Confirms a press, and posts the answer.
    async fn answer(&self, said: &Received, answer: &ChatAnswer) {
        let language = self.asker.settings.language;
        if let Some(press) = &said.pressed {
            let title = match answer {
                ChatAnswer::Notice(own) => own.say(language),
                ChatAnswer::Reply(reply) => &reply.message.title,
            };
            let arguments = json!({"callback_query_id": press, "text": podbell_core::message::clip(title, TOAST)});
            // One that is too old cannot be confirmed; the answer is posted all the same.
            let _ = self.api.call("answerCallbackQuery", &arguments).await;
        }
        let (body, plain) = match answer {
            ChatAnswer::Notice(own) => (html::own(own.say(language)), html::own(own.say(language))),
            ChatAnswer::Reply(reply) => {
                let mut full = html::arguments(&reply.message, Content::Full, &[]);
                if let Some(incident) = reply.incident {
                    keyboard(&mut full, incident.into(), language);
                }
                (full, html::arguments(&reply.message, Content::Minimal, &[]))
            }
        };
        let conversation = said.place.chat.to_string();
        let delivery = self.asker.delivery(self.timing.answers.again, POSTS_WITHIN);
        let delivery = AnswerDelivery { rate: Some((&self.rate, &conversation)), ..delivery };
        let [body, plain] = [body, plain].map(|arguments| below(&said.place, arguments));
        let answer_posted = delivery.post(body, plain, |arguments| self.posted("sendMessage", arguments));
        tokio::join!(answer_posted, self.remove_button(said, answer));
    }

    /// Takes the button *Acknowledge* from the message on which it was pressed, if that acknowledged its incident.
    async fn remove_button(&self, said: &Received, answer: &ChatAnswer) {
        let Some(incident) = answer.acknowledged().filter(|_| said.pressed.is_some()) else { return };
        let mut without = json!({"chat_id": said.place.chat, "message_id": said.place.message});
        keyboard(&mut without, incident.into(), self.asker.settings.language);
        let change = |arguments: Value| async move {
            match self.posted("editMessageReplyMarkup", arguments).await {
                Posted::Later(after) => Posted::Later(after),
                // A message that is too old, deleted, or already without the button stays as it is.
                Posted::Done | Posted::ContentRejected | Posted::Never(_) => Posted::Done,
            }
        };
        self.asker.delivery(self.timing.answers.again, POSTS_WITHIN).post(without.clone(), without, change).await;
    }

    async fn posted(&self, method: &str, arguments: Value) -> Posted {
        match self.api.call(method, &arguments).await {
            Err(outcome) => Posted::from(outcome),
            Ok(reply) if reply.status == 200 => Posted::Done,
            Ok(reply) => Posted::from(refused(None, &reply)),
        }
    }
}

/// Makes a message answer another one.
fn below(place: &MessageRef, mut arguments: Value) -> Value {
    arguments["chat_id"] = json!(place.chat);
    arguments["reply_parameters"] = json!({"message_id": place.message, "allow_sending_without_reply": true});
    if let Some(topic) = place.topic {
        arguments["message_thread_id"] = json!(topic);
    }
    arguments
}

impl Connection for Arc<Telegram> {
    fn run<'a>(&'a self, backoff: &'a mut Backoff, stop: &'a CancellationToken) -> BoxFuture<'a, Disconnect> {
        Box::pin(poll(self, backoff, stop))
    }
}

/// Polls until something goes wrong.
async fn poll(telegram: &Arc<Telegram>, backoff: &mut Backoff, stop: &CancellationToken) -> Disconnect {
    let bot = match telegram.name.get() {
        Some(name) => name.clone(),
        None => {
            let nothing = json!({});
            let asked = tokio::select! {
                () = stop.cancelled() => return Disconnect::Stopped,
                asked = telegram.api.result("getMe", &nothing) => asked,
            };
            match asked {
                Ok(me) => {
                    let name = me["username"].as_str().unwrap_or_default().to_owned();
                    telegram.name.get_or_init(|| name).clone()
                }
                Err(end) => return end,
            }
        }
    };
    let mut connected = false;
    loop {
        // The first request is short, so that it soon shows whether the bot is heard.
        let hold = if connected { telegram.timing.hold } else { Duration::ZERO };
        let from = telegram.next();
        let asked = tokio::select! {
            () = stop.cancelled() => break,
            asked = telegram.api.updates(from, hold) => asked,
        };
        let updates = match asked {
            Ok(updates) => updates,
            Err(end) => return end,
        };
        if !std::mem::replace(&mut connected, true) {
            backoff.connected();
        }
        // Telegram knows that number now. Without one it begins with what was not confirmed; after a week without
        // updates it counts anew, so that an old number would hide the next ones.
        telegram.set_next(None);
        if !updates.is_empty() {
            let next = telegram.take(&updates, &bot).await;
            if next.is_none() {
                return Disconnect::lost("none of Telegram's updates can be taken");
            }
            telegram.set_next(next);
        }
    }
    if let Some(from) = telegram.next() {
        // What was carried out is confirmed, so that the next podbell does not hear it again.
        let _ = tokio::time::timeout(Duration::from_secs(2), telegram.api.updates(Some(from), Duration::ZERO)).await;
    }
    Disconnect::Stopped
}
