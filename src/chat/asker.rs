//! From what a platform heard to what podbell says: whether it was heard before, whether the speaker may ask, whether
//! there is a place, and then one question to the query service, however often the same comes again.
//!
//! An adapter proves who speaks, hands over what they said ([`Incoming`]), and shows the [`ChatAnswer`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::access::{Access, Denied, Identity};
use super::adapter_notice::AdapterNotice;
use super::answer_delivery::AnswerDelivery;
use super::once::{Answered, Deduplicator, Registered};
use super::reconnect::{self, Backoff, Connection, Pauses};
use super::{ChatDeps, Entry, MessageKey, Question, Reply, Speaker};
use crate::notifiers::buttons::Button;
use podbell_core::ask::{self, OpenIncident};
use podbell_core::message::Style;
use podbell_core::time::Time;
use podbell_core::translations::Language;

/// How many questions of a chat are asked concurrently.
const ASKING: usize = 16;
/// How many questions are in hand, including those that wait.
const IN_HAND: u32 = 256;
/// How long reading the incident again may take, when a press of a button acknowledged it and its answer is replaced.
const ANEW_WITHIN: Duration = Duration::from_secs(2);
/// How long answers may take when podbell ends.
pub(crate) const FINISH_WITHIN: Duration = Duration::from_secs(3);
/// The longest command, in bytes.
const MAX_TEXT: usize = 2_048;

/// What every chat has.
#[derive(Clone)]
pub struct ChatSettings {
    /// The chat's name in podbell.yaml.
    pub name: String,
    /// Who may speak, and what they see.
    pub access: Access,
    /// The language of answers.
    pub language: Language,
    /// The zone of times in answers.
    pub time_zone: TimeZone,
}

impl fmt::Debug for ChatSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatSettings")
            .field("name", &self.name)
            .field("language", &self.language)
            .field("time_zone", &self.time_zone.iana_name())
            .field("access", &self.access)
            .finish()
    }
}

/// Something that somebody said to podbell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The ids by which a repetition is recognized. The first is the same on every connection.
    pub ids: Vec<String>,
    /// Every team that is named.
    pub teams: Vec<String>,
    /// The person's id.
    pub user: String,
    /// What people call them.
    pub name: Option<String>,
    /// The channel's id.
    pub channel: String,
    /// The word that began it.
    pub entry: Entry,
    /// What follows.
    pub text: String,
}

impl Incoming {
    /// The channel, or the person where nobody else is there.
    pub(crate) fn conversation(&self) -> String {
        if self.channel == super::access::DIRECT { self.user.clone() } else { self.channel.clone() }
    }

    /// Whether it is a command that changes something, such as an acknowledgement.
    pub(crate) fn asks_for_change(&self) -> bool {
        matches!(ask::parse(self.entry, &self.text), Ok(ask::Command::Change(_)))
    }
}

/// What podbell says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChatAnswer {
    /// The adapter's own words.
    Notice(AdapterNotice),
    /// The answer of the query service.
    Reply(Reply),
}

impl ChatAnswer {
    /// The incident that somebody acknowledged, if that is what it answers.
    pub(crate) fn acknowledged(&self) -> Option<OpenIncident> {
        let Self::Reply(reply) = self else { return None };
        reply.incident.filter(|incident| reply.public && incident.acknowledged)
    }
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// There is no place; it may come again.
    Busy,
    /// Nothing more can be remembered.
    Full,
    /// Somebody of another team.
    Stranger,
}

/// Where the answer will be, for everybody who said the same.
pub(crate) type Answer = watch::Receiver<Answered<Arc<ChatAnswer>>>;

/// Something that was heard, with the channel of its answer.
pub(crate) struct Submitted {
    /// Where its answer will be.
    pub answer: Answer,
    /// Whether it was heard for the first time.
    pub first: bool,
    /// Its place among what is in hand, for whoever sends the answer: an orderly end waits for it.
    pub permit: Option<Permit>,
}

/// Whether something is still carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Stale,
}

/// A place among what is in hand.
pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// Asks the query service, once for each message. See the module.
pub(crate) struct Asker {
    pub(crate) settings: ChatSettings,
    pub(crate) deps: ChatDeps,
    once: Mutex<Deduplicator<Arc<ChatAnswer>>>,
    asking: Semaphore,
    in_hand: Arc<Semaphore>,
    complaints: Mutex<Vec<&'static str>>,
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Asker {
    pub(crate) fn new(settings: ChatSettings, deps: ChatDeps) -> Arc<Self> {
        Arc::new(Self {
            settings,
            deps,
            once: Mutex::default(),
            asking: Semaphore::new(ASKING),
            in_hand: Arc::new(Semaphore::new(IN_HAND as usize)),
            complaints: Mutex::default(),
        })
    }

    pub(crate) fn now(&self) -> Time {
        (self.deps.now)()
    }

    /// Logs what is wrong with the other side, once for each kind.
    pub(crate) fn complain(&self, what: &'static str) {
        let mut known = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&what) {
            known.push(what);
            tracing::warn!(chat = %self.settings.name, "{what} (said once)");
        }
    }

    /// Asks in a task of its own, unless the same was asked before. It is carried out even if the other side hangs
    /// up.
    pub(crate) fn submit(self: &Arc<Self>, incoming: Incoming) -> Result<Submitted, Rejection> {
        self.take(incoming, Age::Fresh)
    }

    /// The same for what was written at a known time. If that was longer ago than `stale`, it is not carried out: the
    /// answer says so, to those who may ask.
    pub(crate) fn submit_written(
        self: &Arc<Self>,
        incoming: Incoming,
        at: Option<Time>,
        stale: Duration,
    ) -> Result<Submitted, Rejection> {
        let is_stale = at.is_some_and(|at| self.now().since(at) > stale);
        self.take(incoming, if is_stale { Age::Stale } else { Age::Fresh })
    }

    fn take(self: &Arc<Self>, incoming: Incoming, age: Age) -> Result<Submitted, Rejection> {
        let access = self.speaker(&incoming);
        if access == Err(Denied::Team) {
            return Err(Rejection::Stranger);
        }
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        let (put, answer) = match once.register(&incoming.ids, self.now()) {
            Registered::Again(answer) => return Ok(Submitted { answer, first: false, permit: None }),
            Registered::Full => return Err(Rejection::Full),
            Registered::First(put, answer) => (put, answer),
        };
        let Ok(permit) = self.in_hand.clone().try_acquire_owned() else {
            once.forget_last(&incoming.ids);
            return Err(Rejection::Busy);
        };
        drop(once);
        let permit = Arc::new(permit);
        let (asker, asking) = (self.clone(), permit.clone());
        tokio::spawn(async move {
            let said = match access {
                Err(Denied::User | Denied::Team) => ChatAnswer::Notice(AdapterNotice::NotYou),
                Err(Denied::Channel) => ChatAnswer::Notice(AdapterNotice::NotHere),
                Ok(_) if age == Age::Stale => ChatAnswer::Notice(AdapterNotice::Late),
                Ok(_) if incoming.text.len() > MAX_TEXT => ChatAnswer::Notice(AdapterNotice::TooLong),
                Ok(speaker) => {
                    // The semaphore is never closed.
                    let _turn = asker.asking.acquire().await;
                    let key = MessageKey::of(&asker.settings.name, &incoming.ids);
                    ChatAnswer::Reply(asker.ask(speaker, incoming.entry, incoming.text, key).await)
                }
            };
            put.send_replace(Some(Arc::new(said)));
            drop(asking);
        });
        Ok(Submitted { answer, first: true, permit: Some(permit) })
    }

    fn speaker(&self, incoming: &Incoming) -> Result<Speaker, Denied> {
        let Incoming { teams, user, name, channel, .. } = incoming;
        self.settings.access.speaker(&Identity { teams, user, name: name.as_deref(), channel }, &self.settings.name)
    }

    async fn ask(&self, speaker: Speaker, entry: Entry, text: String, key: Option<MessageKey>) -> Reply {
        let ChatSettings { language, time_zone, .. } = &self.settings;
        let style = Style { language: *language, time_zone: time_zone.clone(), now: self.now() };
        self.deps.queries.ask(Question { speaker, entry, text, style, key }).await
    }

    /// The answer to `show` for the incident that this press acknowledged: it replaces the answer with the pressed
    /// button. `None` if the press acknowledged nothing.
    pub(crate) async fn shown_anew(&self, press: &Incoming, said: &ChatAnswer) -> Option<Reply> {
        let id = said.acknowledged()?.id;
        let speaker = self.speaker(press).ok()?;
        let shown = async {
            let _turn = self.asking.acquire().await;
            self.ask(speaker, Entry::Podbell, Button::Show.command(id), None).await
        };
        tokio::time::timeout(ANEW_WITHIN, shown).await.ok().filter(|shown| shown.good)
    }

    /// The answer, once it is there.
    pub(crate) async fn answered(&self, mut answer: Answer) -> Arc<ChatAnswer> {
        match answer.wait_for(Option::is_some).await.ok().and_then(|said| said.clone()) {
            Some(said) => said,
            // An answer that never comes is a bug of the query service; at least tell the person.
            None => Arc::new(ChatAnswer::Notice(AdapterNotice::Broken)),
        }
    }

    /// An [`AnswerDelivery`] of this chat that has no pace and posts as often as podbell wants.
    pub(crate) fn delivery(&self, again: Duration, within: Duration) -> AnswerDelivery<'_> {
        AnswerDelivery { chat: &self.settings.name, deps: &self.deps, rate: None, again, within, max_posts: None }
    }

    /// Keeps a connection of this chat, which `what` names in the log, until `stop` is cancelled; then finishes what is
    /// in hand.
    pub(crate) async fn keep_connected(
        &self,
        what: &'static str,
        pauses: Pauses,
        connection: &impl Connection,
        stop: CancellationToken,
    ) {
        let backoff = Backoff::new(&self.settings.name, what, pauses, self.deps.chance.clone());
        reconnect::keep(connection, backoff, stop).await;
        self.finish().await;
    }

    /// Waits until nothing is in hand any more, at most [`FINISH_WITHIN`].
    pub(crate) async fn finish(&self) {
        let _ = tokio::time::timeout(FINISH_WITHIN, self.in_hand.acquire_many(IN_HAND)).await;
    }
}

/// Strips the command's first word, as a person types it: `/events web`, `/podbell help`, `/mute 12 1h`, or only
/// `help`.
pub(crate) fn command(text: &str) -> (Entry, String) {
    let text = text.trim();
    let Some(slashed) = text.strip_prefix('/') else { return (Entry::Podbell, text.to_owned()) };
    let (word, rest) = slashed.split_once(char::is_whitespace).unwrap_or((slashed, ""));
    match word.to_ascii_lowercase().as_str() {
        "events" => (Entry::Events, rest.trim().to_owned()),
        "podbell" => (Entry::Podbell, rest.trim().to_owned()),
        _ => (Entry::Podbell, slashed.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_says_what_follows() {
        for (text, entry, rest) in [
            ("/events web-service", Entry::Events, "web-service"),
            (" /Events  支付服务 最近2小时 ", Entry::Events, "支付服务 最近2小时"),
            ("/podbell help", Entry::Podbell, "help"),
            ("/mute 12 1h", Entry::Podbell, "mute 12 1h"),
            ("help", Entry::Podbell, "help"),
            ("", Entry::Podbell, ""),
            ("/", Entry::Podbell, ""),
        ] {
            assert_eq!(command(text), (entry, rest.to_owned()), "{text}");
        }
    }
}
