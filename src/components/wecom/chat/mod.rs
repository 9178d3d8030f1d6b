//! WeCom: an AI bot over a long connection ([`Bot`]), and an app whose messages WeCom posts ([`App`]).
//!
//! Both ways end in `Asker::hear`, which checks whether it was heard before, whether the speaker may ask, and
//! whether there is a place. Then the query service is asked once, however often the message comes again. The
//! adapter never reads the store and never parses a command.

mod access;
mod answer;
mod app;
mod bot;
pub(super) mod config;
mod crypto;
mod frame;
mod once;
mod outbox;
mod xml;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use tokio::sync::{Semaphore, watch};

use self::answer::{AdapterNotice, Form};
use self::once::{Answered, Came, Once};
use crate::chat::{ChatDeps, Question};
use podbell_core::message::{Language, Style};
use podbell_core::time::Time;

pub use access::{Access, DIRECT, Denied, Heard};
pub use app::{App, AppConfig, AppTiming};
pub use bot::{Bot, BotConfig, BotTiming, ENDPOINT};
pub use crypto::{BadKey, Crypto};

/// How many questions of a chat are asked concurrently.
const ASKING: usize = 16;
/// How many questions are in hand, including those that wait.
const IN_HAND: usize = 256;
/// The longest command, in bytes: WeCom sends an app no longer text.
const MOST_TEXT: usize = 2_048;

/// What both kinds of chats have.
#[derive(Clone)]
pub struct Talk {
    /// The chat's name in podbell.yaml.
    pub name: String,
    /// Who may speak, and what they see.
    pub access: Access,
    /// The language of answers.
    pub language: Language,
    /// The zone of times in answers.
    pub time_zone: TimeZone,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotTaken {
    /// There is no place; WeCom should send it again.
    Busy,
    /// Nothing more can be remembered.
    Full,
}

/// Something that was heard, with the channel of its answer.
struct Taken {
    answer: watch::Receiver<Answered>,
    first: bool,
}

/// Asks the query service, once for each message.
struct Asker {
    talk: Talk,
    deps: ChatDeps,
    form: Form,
    once: Mutex<Once>,
    asking: Semaphore,
    in_hand: Arc<Semaphore>,
    complaints: Mutex<Vec<&'static str>>,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk")
            .field("name", &self.name)
            .field("language", &self.language)
            .field("time_zone", &self.time_zone.iana_name())
            .field("access", &self.access)
            .finish()
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("name", &self.talk.name).finish_non_exhaustive()
    }
}

impl Asker {
    fn new(talk: Talk, deps: ChatDeps, form: Form) -> Arc<Self> {
        Arc::new(Self {
            talk,
            deps,
            form,
            once: Mutex::default(),
            asking: Semaphore::new(ASKING),
            in_hand: Arc::new(Semaphore::new(IN_HAND)),
            complaints: Mutex::default(),
        })
    }

    fn now(&self) -> Time {
        (self.deps.now)()
    }

    fn own(&self, own: AdapterNotice) -> Arc<str> {
        own.say(self.talk.language).into()
    }

    /// Logs what is wrong with the other side, once for each kind.
    fn complain(&self, what: &'static str) {
        let mut known = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(&what) {
            known.push(what);
            tracing::warn!(chat = %self.talk.name, "{what} (said once)");
        }
    }

    /// Asks in a task of its own, unless the same was asked before. It is carried out even if the other side hangs
    /// up.
    fn hear(self: &Arc<Self>, heard: Heard) -> Result<Taken, NotTaken> {
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        let (put, answer) = match once.came(&heard.id, self.now()) {
            Came::Again(answer) => return Ok(Taken { answer, first: false }),
            Came::Full => return Err(NotTaken::Full),
            Came::First(put, answer) => (put, answer),
        };
        let Ok(place) = self.in_hand.clone().try_acquire_owned() else {
            once.forget(&heard.id);
            return Err(NotTaken::Busy);
        };
        drop(once);
        let asker = self.clone();
        tokio::spawn(async move {
            let said = asker.answer(heard).await;
            put.send_replace(Some(said));
            drop(place);
        });
        Ok(Taken { answer, first: true })
    }

    async fn answer(&self, heard: Heard) -> Arc<str> {
        let speaker = match self.talk.access.speaker(&heard, &self.talk.name) {
            Err(Denied::User) => return self.own(AdapterNotice::NotYou),
            Err(Denied::Channel) => return self.own(AdapterNotice::NotHere),
            Ok(_) if heard.text.len() > MOST_TEXT => return self.own(AdapterNotice::TooLong),
            Ok(speaker) => speaker,
        };
        // The semaphore is never closed.
        let _turn = self.asking.acquire().await;
        let style = Style { language: self.talk.language, time_zone: self.talk.time_zone.clone(), now: self.now() };
        let question = Question { speaker, entry: heard.entry, text: heard.text, style };
        self.form.write(&self.deps.queries.ask(question).await).into()
    }

    /// The answer, once it is there.
    async fn said(&self, mut answer: watch::Receiver<Answered>) -> Arc<str> {
        match answer.wait_for(Option::is_some).await.ok().and_then(|said| said.clone()) {
            Some(said) => said,
            // An answer that never comes is a bug of the query service; at least tell the person.
            None => self.own(AdapterNotice::Broken),
        }
    }
}
