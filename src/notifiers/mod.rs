//! What a platform must implement to notify, and what all platforms share: composing messages, requests, replies.
//!
//! A [`Notifier`] renders a message into the body of a request and interprets the reply; [`NotifierKind`] is its
//! row in the registry. [`Notifiers`] is every destination of podbell.yaml. Rendering is pure: its result is
//! stored, and repeated byte for byte in every attempt. Delivering makes one request and decides nothing: the
//! outbox decides whether and when to try again. URLs and secrets never leave a notifier: not in errors, not in
//! `Debug`, not where a reply echoes them.

pub(crate) mod budget;
pub(crate) mod buttons;
pub(crate) mod hook;
pub(crate) mod http_request;
pub(crate) mod markup;
pub(crate) mod redact;
pub(crate) mod reply;
pub(crate) mod terminal;
pub(crate) mod thread;
pub(crate) mod token_cache;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::examine::{Checked, Net};
use crate::hex::hex;
use crate::settings::Draft;
use podbell_core::message::{
    Message, Style, compose_below, compose_built_in, compose_digest, compose_for, fold, page_path,
};
use podbell_core::notice::{Notice, NoticeBody};
use podbell_core::outbox::{Content, Outcome, Parent, Policy, SendContent};
use podbell_core::rule::Destination;
use podbell_core::template::{Failure, Template};
use podbell_core::time::Time;
use podbell_core::translations::Language;
use podbell_core::yaml::key::Rows;
use podbell_core::yaml::{MapReader, Reader};

/// A kind of notifier: one row of the registry.
#[derive(Clone, Copy)]
pub struct NotifierKind {
    /// `kind:` in podbell.yaml.
    pub name: &'static str,
    /// Who reads it.
    pub audience: Audience,
    /// The forms that its item in podbell.yaml can take, each with its own keys.
    pub forms: &'static [NotifierForm],
    /// Reads the keys of this kind. `notifiers:` reads the rest of the map.
    pub read: ReadNotifier,
    /// Help for a key that belongs elsewhere or to another form.
    pub elsewhere: fn(&str) -> Option<&'static str>,
    /// Ids of people there, for `mentions:`.
    pub people: Option<People>,
    /// A notifier for this address, to show how messages look.
    pub preview: fn(url::Url) -> Arc<dyn Notifier>,
}

impl fmt::Debug for NotifierKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Reads the keys of a kind.
pub type ReadNotifier = fn(&mut MapReader<'_>, &ConfiguredChats, &mut Reader) -> Option<Draft<dyn Notifier>>;

/// One form of a notifier's item in podbell.yaml.
#[derive(Clone, Copy)]
pub struct NotifierForm {
    /// What it is, in a sentence.
    pub about: &'static str,
    /// The keys of this form alone.
    pub keys: Rows,
}

/// What a notifier may know of the rest of podbell.yaml.
#[derive(Clone, Debug, Default)]
pub struct ConfiguredChats {
    /// The kinds of the chats that receive what people press.
    pub kinds: Vec<&'static str>,
}

/// Who reads what a notifier tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// People: they get troubles and digests.
    People,
    /// Whoever looks at podbell's own terminal.
    Terminal,
    /// A program: it gets every notice that rules tell it.
    Programs,
}

impl Audience {
    /// Whether people read it.
    pub(crate) fn is_people(self) -> bool {
        self != Self::Programs
    }
}

/// How people are named on a platform.
#[derive(Clone, Copy)]
pub struct People {
    /// What the platform is called.
    pub platform: &'static str,
    /// Where such an id is found.
    pub help: &'static str,
    /// Turns an id as people write it into one as messages need it; `None` if it is not an id.
    pub read: fn(&str) -> Option<String>,
}

/// A destination's platform, ready for use.
pub trait Notifier: fmt::Debug + Send + Sync {
    /// What the platform demands. Leaves out `digest_after`, which is the operator's.
    fn policy(&self) -> Policy;

    /// The body of one request. Pure.
    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8>;

    /// The part of a stored body that the platform gets, for `podbell preview`. What each attempt adds, such as a
    /// signature, is not in it.
    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(stored)
    }

    /// Whether what follows the message that represents an incident is shown below it.
    fn answers_in_threads(&self) -> bool {
        true
    }

    /// Makes one request, or prints. Never follows a redirect; gives up after a bounded time (10 s over HTTP).
    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome>;

    /// Checks whether it would take messages, without sending one.
    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked>;
}

/// What a body is made of.
pub struct Rendering<'a> {
    /// The message in the reader's language.
    pub message: Message,
    /// How much of it.
    pub content: Content,
    /// The folded notice.
    pub notice: &'a Notice,
    /// All notices that it stands for.
    pub notices: &'a [Notice],
    /// Whether it sums up a storm.
    pub is_digest: bool,
    /// The message that represents the incident, if there is one.
    pub parent: Option<&'a Parent>,
    /// Whether only to update that message.
    pub refresh: bool,
    /// The message's id, the same in every attempt.
    pub message_id: &'a str,
    /// Where the status page shows it.
    pub url: Option<&'a str>,
    /// The reader's language, clock, and the moment.
    pub style: &'a Style,
    mentions: &'a Mentions,
}

impl Rendering<'_> {
    /// Names the incident or trouble on a platform, the same for all of its notices; `None` for infos. Numbers alone would be
    /// those of another podbell, too.
    pub(crate) fn incident_key(&self) -> Option<String> {
        match &self.notice.body {
            NoticeBody::Incident(story) => {
                // Not its rule and not its source: a reload and a second source may change them.
                let identity = fingerprint(story.group.values().map(String::as_str));
                Some(incident_key(story.incident, &identity))
            }
            NoticeBody::Trouble(trouble) => {
                let identity = fingerprint([trouble.subject.name(), &*trouble.since.timestamp().to_string()]);
                Some(incident_key(trouble.incident, &identity))
            }
            NoticeBody::Info(_) => None,
        }
    }

    /// The ids of the people to mention on a platform, each once. Leaves out names without an id there: a mention
    /// that reaches nobody would only look like one.
    pub(crate) fn mentioned(&mut self, kind: &str) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for mention in std::mem::take(&mut self.message.mentions) {
            let id = self.mentions.get(&mention).and_then(|ids| ids.get(kind));
            ids.extend(id.filter(|id| !ids.contains(id)).cloned());
        }
        ids
    }
}

/// The platform's ids of a name of `mention:`, by the kind of notifier.
pub(crate) type Mentions = BTreeMap<String, BTreeMap<&'static str, String>>;

/// One attempt to deliver a stored body.
pub struct Attempt<'a> {
    /// The HTTP client.
    pub client: &'a reqwest::Client,
    /// The id of the message.
    pub message_id: &'a str,
    /// The stored body.
    pub body: Vec<u8>,
    /// The time of this attempt.
    pub now: Time,
}

/// How a destination is looked at.
#[derive(Clone, Copy)]
pub struct ExamineContext<'a> {
    /// The destination's name.
    pub subject: &'a str,
    /// The HTTP clients.
    pub net: &'a Net,
    /// Whether a test message follows, which says more than a probe could.
    pub test_follows: bool,
    /// The moment.
    pub now: Time,
}

/// A destination of podbell.yaml, with its platform.
#[derive(Clone, Debug)]
pub struct NamedNotifier {
    /// What rules call it.
    pub name: Destination,
    /// The platform.
    pub platform: Arc<dyn Notifier>,
    /// The language of its readers.
    pub language: Language,
    /// The clock of its readers.
    pub time_zone: TimeZone,
    /// More notices than this within a minute become a digest; `None`: each is sent by itself.
    pub digest_after: Option<usize>,
    /// Its own words for messages, where the rule has none.
    pub template: Template,
    /// Whether its messages may quote logs.
    pub logs: bool,
}

/// Every destination, ready for use.
pub struct Notifiers {
    notifiers: BTreeMap<Destination, NamedNotifier>,
    mentions: Mentions,
    client: reqwest::Client,
    /// Where people reach the status page, without a slash at the end.
    page: Option<String>,
    /// Template failures that were logged already.
    logged: Mutex<HashSet<String>>,
}

/// After this many different ones, template failures are no longer logged.
const MAX_LOGGED: usize = 1_000;

impl fmt::Debug for Notifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.notifiers.iter().map(|(name, notifier)| (name, &notifier.platform))).finish()
    }
}

impl Notifiers {
    /// Destinations of different names. `client` must not follow redirects, see [`crate::http::client`].
    pub fn new(notifiers: Vec<NamedNotifier>, mentions: Mentions, client: reqwest::Client) -> Self {
        let notifiers = notifiers.into_iter().map(|notifier| (notifier.name.clone(), notifier)).collect();
        Self { notifiers, mentions, client, page: None, logged: Mutex::new(HashSet::new()) }
    }

    /// Makes messages link to the status page at this address.
    #[must_use]
    pub fn linking(mut self, page: Option<&url::Url>) -> Self {
        self.page = page.map(|url| {
            let mut url = url.clone();
            url.set_query(None);
            url.set_fragment(None);
            url.as_str().trim_end_matches('/').to_owned()
        });
        self
    }

    /// What each platform demands.
    pub fn policies(&self) -> BTreeMap<Destination, Policy> {
        let policy =
            |notifier: &NamedNotifier| Policy { digest_after: notifier.digest_after, ..notifier.platform.policy() };
        self.notifiers.iter().map(|(name, notifier)| (name.clone(), policy(notifier))).collect()
    }

    /// The body of one request: to be stored and repeated byte for byte. Pure. Empty if there is no such destination or
    /// nothing to tell.
    pub fn render(&self, destination: &str, sent: &SendContent<'_>, message_id: &str, now: Time) -> Vec<u8> {
        let SendContent { notices, content, storm, parent, refresh } = *sent;
        let Some(notifier) = self.notifiers.get(destination) else { return Vec::new() };
        let notices = &*allowed(notices, notifier.logs);
        let Some(notice) = fold(notices) else { return Vec::new() };
        let style = Style { language: notifier.language, time_zone: notifier.time_zone.clone(), now };
        let mut message = match storm {
            Some(storm) => compose_digest(notices, storm, &style),
            // The last attempt uses podbell's own words: the platform may have refused the template's.
            None if content == Content::Minimal => compose_built_in(&notice, &style),
            None => {
                // Below the message that represents the incident, nothing is said to people again.
                let below = parent.is_some() && !refresh && notifier.platform.answers_in_threads();
                let compose = if below { compose_below } else { compose_for };
                let composed = compose(&notice, &style, &notifier.template);
                if let Some(failure) = &composed.failed {
                    self.log_once(destination, &notice, failure);
                }
                composed.message
            }
        };
        let url = self.page.as_ref().and_then(|base| {
            // A digest is about many incidents, so it links to the start page.
            let path = if storm.is_some() { Some(String::from("/")) } else { page_path(&notice) };
            Some(format!("{base}{}", path?))
        });
        if let Some(url) = &url {
            message.link_to(url.clone());
        }
        notifier.platform.body(&mut Rendering {
            message,
            content,
            notice: &notice,
            notices,
            is_digest: storm.is_some(),
            parent,
            refresh,
            message_id,
            url: url.as_deref(),
            style: &style,
            mentions: &self.mentions,
        })
    }

    /// What is sent of such a body.
    pub(crate) fn shown_body<'a>(&self, destination: &str, body: &'a [u8]) -> Cow<'a, [u8]> {
        match self.notifiers.get(destination) {
            Some(notifier) => notifier.platform.shown_body(body),
            None => Cow::Borrowed(body),
        }
    }

    /// Logs a template's failure once, because it would fail often.
    fn log_once(&self, destination: &str, notice: &Notice, failure: &Failure) {
        let rule = match &notice.body {
            NoticeBody::Incident(story) => story.rule.to_string(),
            _ => String::new(),
        };
        let key = format!("{destination} {rule} {failure}");
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < MAX_LOGGED && logged.insert(key) {
            tracing::warn!(destination, rule, %failure, "a template failed; the message goes out in podbell's own words");
        }
    }

    /// Makes one request, or prints.
    pub async fn deliver(&self, destination: &str, message_id: &str, body: Vec<u8>, now: Time) -> Outcome {
        let Some(notifier) = self.notifiers.get(destination) else {
            return Outcome::Unclear { retry_after: None, why: "there is no such destination any more".into() };
        };
        notifier.platform.deliver(Attempt { client: &self.client, message_id, body, now }).await
    }
}

/// The notices as a destination may read them.
fn allowed(notices: &[Notice], logs: bool) -> Cow<'_, [Notice]> {
    let has_log = |notice: &Notice| matches!(&notice.body, NoticeBody::Incident(story) if story.pod.as_ref().is_some_and(|pod| pod.log.is_some()));
    if logs || !notices.iter().any(has_log) {
        return Cow::Borrowed(notices);
    }
    let mut notices = notices.to_vec();
    notices.iter_mut().for_each(Notice::remove_logs);
    Cow::Owned(notices)
}

fn incident_key(number: u64, identity: &str) -> String {
    format!("podbell-{number}-{}", identity.get(..12).unwrap_or_default())
}

/// Distinguishes one endpoint or set of secrets from another. It cannot be reversed, and is too short to be
/// mistaken for the secret itself.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> Arc<str> {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    hex(&sha.finalize()[..12]).into()
}
