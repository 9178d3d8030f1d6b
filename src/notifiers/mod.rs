//! Notifiers: one file per platform. A notifier renders a message into a request body, and reads
//! what the platform's reply means.
//!
//! [`Notifiers::freeze`] is pure: what it returns is stored, and repeated byte for byte however
//! often it is tried. [`Notifiers::deliver`] makes one request and no decision: whether and when to
//! try again is the outbox's. URLs and secrets never leave this module: not in errors, not in
//! `Debug`, not where a reply echoes them. The dispatcher calls it; it calls nobody.
//!
//! A new platform is a file, a row of [`Kind`], and an arm wherever the compiler asks for one.

mod budget;
mod console;
mod escape;
mod http;
mod probe;
mod redact;
mod reply;
pub(crate) mod slack;
mod slack_app;
mod webhook;
pub(crate) mod wecom;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

pub use console::{Color, terminal};
pub use probe::{Answered, Identity, Probed, auth_test};
pub(crate) use reply::retry_after;

use self::redact::Redactor;
use self::webhook::SigningKey;
use podbell_core::message::{Language, Message, Style, compose_built_in, compose_digest, compose_for, fold, page_path};
use podbell_core::notice::{Notice, NoticeBody};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Content, Outcome, Policy, SendContent, ThreadPolicy};
use podbell_core::rules::rule::Destination;
use podbell_core::template::{Failure, Template};
use podbell_core::time::Time;

/// A destination, as podbell.yaml describes it.
#[derive(Clone, Debug)]
pub struct NotifierConfig {
    /// What rules call it.
    pub name: Destination,
    /// The platform, and how to reach it.
    pub kind: Kind,
    /// The language of its readers.
    pub language: Language,
    /// The clock of its readers.
    pub time_zone: TimeZone,
    /// More notices than this within a minute become a digest; `None`: each is told by itself.
    pub digest_after: Option<usize>,
    /// Its own words for messages, where the rule has none.
    pub template: Template,
}

/// The platforms.
#[derive(Clone)]
pub enum Kind {
    /// A Slack incoming webhook.
    Slack {
        /// Its URL; whoever knows it can post.
        url: SecretString,
    },
    /// A channel of Slack, through an app's token: one message an incident.
    SlackApp {
        /// The bot's token.
        token: SecretString,
        /// The channel's id, or `#` and its name.
        channel: String,
        /// Slack's Web API.
        api: url::Url,
        /// Whether somebody hears of its buttons.
        buttons: bool,
    },
    /// A WeCom group robot.
    Wecom {
        /// Its URL, with the key in it.
        url: SecretString,
    },
    /// A program.
    Webhook {
        /// Where it listens.
        url: SecretString,
        /// What requests are signed with, each a base64 text with or without `whsec_`. Several
        /// while one replaces another; none: requests are not signed.
        secrets: Vec<SecretString>,
    },
    /// Podbell's own terminal.
    Console {
        /// When to use colours.
        color: Color,
    },
}

/// Whether webhooks can be signed with it.
pub fn is_signing_secret(secret: &SecretString) -> bool {
    SigningKey::read(secret).is_some()
}

impl Kind {
    /// The word of podbell.yaml.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Slack { .. } | Self::SlackApp { .. } => "slack",
            Self::Wecom { .. } => "wecom",
            Self::Webhook { .. } => "webhook",
            Self::Console { .. } => "console",
        }
    }

    /// Whether people read it: it gets troubles and digests.
    pub fn is_chat(&self) -> bool {
        !matches!(self, Self::Webhook { .. })
    }

    fn url(&self) -> Option<&SecretString> {
        match self {
            Self::Slack { url } | Self::Wecom { url } | Self::Webhook { url, .. } => Some(url),
            Self::SlackApp { .. } | Self::Console { .. } => None,
        }
    }

    fn secrets(&self) -> &[SecretString] {
        match self {
            Self::Webhook { secrets, .. } => secrets,
            Self::SlackApp { token, .. } => std::slice::from_ref(token),
            _ => &[],
        }
    }

    fn pace(&self) -> (Option<Pace>, usize) {
        match self {
            Self::Slack { .. } | Self::SlackApp { .. } => (Some(Pace::SLACK), 1),
            Self::Wecom { .. } => (Some(Pace::WECOM), 1),
            Self::Webhook { .. } => (None, 8),
            Self::Console { .. } => (None, 1),
        }
    }
}

/// Nothing but the platform: a URL is a credential.
impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a mention of a rule file is written on each platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MentionIds {
    /// A Slack user (`U…`), user group (`S…`), or `here`, `channel`, `everyone`.
    pub slack: Option<String>,
    /// A WeCom user id, or `all`.
    pub wecom: Option<String>,
}

impl MentionIds {
    /// A Slack id as people write it: bare, after an `@`, or as messages show it. `None` if it is none.
    pub fn slack(written: &str) -> Option<String> {
        let bare = written.trim();
        let bare = bare.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(bare);
        // A label follows the id in what Slack shows.
        let bare = bare.split('|').next().unwrap_or_default();
        let bare = bare.trim_start_matches(['@', '!', '#']);
        let bare = bare.strip_prefix("subteam^").unwrap_or(bare);
        slack::mention(bare).map(|_| bare.to_owned())
    }

    /// A WeCom user id as people write it, or everybody: an `@` before it belongs to the mention. `None` if it is none.
    pub fn wecom(written: &str) -> Option<String> {
        let bare = written.trim();
        let bare = bare.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(bare);
        let bare = bare.trim_start_matches('@');
        wecom::is_user(bare).then(|| bare.to_owned())
    }
}

/// Why a configuration cannot work. Never contains a URL or a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The URL is none.
    #[error("notifier {name}: the url is not an http or https address")]
    Url {
        /// The destination.
        name: Destination,
    },
    /// A signing secret is none.
    #[error("notifier {name}: a secret is not base64 (make one with `openssl rand -base64 32`)")]
    Secret {
        /// The destination.
        name: Destination,
    },
    /// A mention's id is not one of its platform.
    #[error("mentions: {mention}: \"{id}\" is not a {platform} id")]
    Mention {
        /// The mention, as rules write it.
        mention: String,
        /// The platform.
        platform: &'static str,
        /// What was given.
        id: String,
    },
    /// Two notifiers of one name.
    #[error("notifier {name} is described twice")]
    Twice {
        /// The destination.
        name: Destination,
    },
}

/// Every destination, ready for use.
pub struct Notifiers {
    notifiers: BTreeMap<Destination, Notifier>,
    mentions: BTreeMap<String, MentionIds>,
    client: reqwest::Client,
    /// Where people reach the status page, without a slash at the end.
    page: Option<String>,
    /// Failures of templates that were logged.
    logged: Mutex<HashSet<String>>,
}

/// After so many different ones further failures of templates are not logged.
const MOST_LOGGED: usize = 1_000;

impl fmt::Debug for Notifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.notifiers.iter().map(|(name, notifier)| (name, &notifier.config.kind))).finish()
    }
}

struct Notifier {
    config: NotifierConfig,
    url: Option<url::Url>,
    keys: Vec<SigningKey>,
    redactor: Redactor,
}

impl Notifier {
    fn new(config: NotifierConfig) -> Result<Self, ConfigError> {
        let name = || config.name.clone();
        let url = config.kind.url().map(|url| read_url(url.expose_secret()).ok_or(ConfigError::Url { name: name() }));
        let url = url.transpose()?;
        let keys = match &config.kind {
            Kind::Webhook { secrets, .. } => secrets.iter().map(SigningKey::read).collect::<Option<Vec<_>>>(),
            _ => Some(Vec::new()),
        };
        let keys = keys.ok_or(ConfigError::Secret { name: name() })?;
        let redactor = Redactor::new(url.as_ref().map_or("", url::Url::as_str), config.kind.secrets());
        Ok(Self { config, url, keys, redactor })
    }

    fn policy(&self) -> Policy {
        let kind = &self.config.kind;
        let (pace, concurrency) = kind.pace();
        let url = self.url.as_ref().map_or(kind.as_str(), url::Url::as_str);
        let secrets = kind.secrets().iter().map(ExposeSecret::expose_secret);
        let (whole, threads) = match kind {
            Kind::SlackApp { token, channel, api, .. } => {
                let token = token.expose_secret();
                let threads = ThreadPolicy {
                    place: hash([api.as_str(), channel].into_iter()),
                    endpoint: hash([api.as_str(), token, "changes"].into_iter()),
                    pace: Pace::SLACK_CHANGES,
                };
                (vec![api.as_str(), channel, token], Some(threads))
            }
            _ => (vec![url], None),
        };
        Policy {
            endpoint: hash(whole.iter().copied()),
            fingerprint: hash(whole.iter().copied().chain(secrets)),
            pace,
            threads,
            concurrency,
            digest_after: self.config.digest_after.filter(|_| kind.is_chat()),
        }
    }
}

fn read_url(url: &str) -> Option<url::Url> {
    let url = url::Url::parse(url.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// Not reversible, and not long enough to be mistaken for the thing itself.
fn hash<'a>(parts: impl Iterator<Item = &'a str>) -> Arc<str> {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    sha.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

impl Notifiers {
    /// Checks the configuration. `client` must not follow redirects, see [`crate::http::client`].
    pub fn new(
        configs: Vec<NotifierConfig>,
        mentions: BTreeMap<String, MentionIds>,
        client: reqwest::Client,
    ) -> Result<Self, ConfigError> {
        check_mentions(&mentions)?;
        let mut notifiers = BTreeMap::new();
        for config in configs {
            let name = config.name.clone();
            if notifiers.insert(name.clone(), Notifier::new(config)?).is_some() {
                return Err(ConfigError::Twice { name });
            }
        }
        Ok(Self { notifiers, mentions, client, page: None, logged: Mutex::new(HashSet::new()) })
    }

    /// Messages link to the status page, which people reach there.
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
        self.notifiers.iter().map(|(name, notifier)| (name.clone(), notifier.policy())).collect()
    }

    /// The body of one request: to be stored and repeated byte for byte. Pure. Empty if there is no
    /// such destination or nothing to tell.
    pub fn freeze(&self, destination: &str, parcel: &SendContent<'_>, message_id: &str, now: Time) -> Vec<u8> {
        let SendContent { notices, content, storm, parent, refresh } = *parcel;
        let (Some(notifier), Some(notice)) = (self.notifiers.get(destination), fold(notices)) else {
            return Vec::new();
        };
        let config = &notifier.config;
        let style = Style { language: config.language, time_zone: config.time_zone.clone(), now };
        let mut message = match storm {
            Some(storm) => compose_digest(notices, storm, &style),
            // The last attempt is in podbell's own words: the platform may have refused the template's.
            None if content == Content::Minimal => compose_built_in(&notice, &style),
            None => {
                let composed = compose_for(&notice, &style, &config.template);
                if let Some(failure) = &composed.failed {
                    self.log_once(destination, &notice, failure);
                }
                composed.message
            }
        };
        let url = self.page.as_ref().and_then(|base| {
            // A digest is about many.
            let path = if storm.is_some() { Some(String::from("/")) } else { page_path(&notice) };
            Some(format!("{base}{}", path?))
        });
        if let Some(url) = &url {
            message.link_to(url.clone());
        }
        let body = match &config.kind {
            Kind::Slack { .. } => {
                let ids = self.resolve(&mut message, |ids| ids.slack.as_deref().and_then(slack::mention));
                slack::body(&message, content, &ids)
            }
            Kind::SlackApp { channel, buttons, .. } => {
                let ids = self.resolve(&mut message, |ids| ids.slack.as_deref().and_then(slack::mention));
                let alone = Some(&notice.body).filter(|_| storm.is_none());
                let incident = alone.and_then(|body| match body {
                    NoticeBody::Incident(story) => Some((story.incident, story.acknowledged.is_some())),
                    NoticeBody::Trouble(_) | NoticeBody::Info(_) => None,
                });
                let about_one = alone.is_some_and(|body| body.incident().is_some());
                let facts = slack_app::Facts { channel, parent, refresh, incident, about_one, buttons: *buttons };
                json!(slack_app::request(&message, content, &ids, &facts))
            }
            Kind::Wecom { .. } => {
                let ids = self.resolve(&mut message, |ids| ids.wecom.clone());
                wecom::body(&message, content, &ids)
            }
            Kind::Webhook { .. } => {
                let mut notices: Vec<u64> = notices.iter().map(|notice| notice.id).collect();
                notices.sort_unstable();
                let facts = webhook::Facts { notice: &notice, notices, id: message_id, url: url.as_deref() };
                webhook::body(&facts, &message, content)
            }
            Kind::Console { .. } => {
                return console::body(&message, content, &style);
            }
        };
        body.to_string().into_bytes()
    }

    /// A template that fails once fails often.
    fn log_once(&self, destination: &str, notice: &Notice, failure: &Failure) {
        let rule = match &notice.body {
            NoticeBody::Incident(story) => story.rule.to_string(),
            _ => String::new(),
        };
        let key = format!("{destination} {rule} {failure}");
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() < MOST_LOGGED && logged.insert(key) {
            tracing::warn!(destination, rule, %failure, "a template failed; the message goes out in podbell's own words");
        }
    }

    /// The platform's ids of whom to mention, each once. Who has no id there is left out: a
    /// mention that reaches nobody would only look like one.
    fn resolve(&self, message: &mut Message, id: impl Fn(&MentionIds) -> Option<String>) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for mention in std::mem::take(&mut message.mentions) {
            if let Some(id) = self.mentions.get(&mention).and_then(&id).filter(|id| !ids.contains(id)) {
                ids.push(id);
            }
        }
        ids
    }

    /// Makes one request, or prints. Never follows a redirect; gives up after 10 s.
    pub async fn deliver(&self, destination: &str, message_id: &str, body: Vec<u8>, now: Time) -> Outcome {
        let Some(notifier) = self.notifiers.get(destination) else {
            return Outcome::Unclear { retry_after: None, why: "there is no such destination any more".into() };
        };
        match (&notifier.config.kind, &notifier.url) {
            (Kind::Console { color }, _) => console::print(body, *color).await,
            (Kind::SlackApp { token, api, channel, .. }, _) => {
                self.call_slack(notifier, (token, api, channel), message_id, &body, now).await
            }
            (kind, Some(url)) => {
                let attempt = http::Attempt { id: message_id, body, now, bearer: None };
                let signature = webhook::signature(&notifier.keys, message_id, now.seconds(), &attempt.body);
                let signed = matches!(kind, Kind::Webhook { .. }).then_some(signature);
                let answer = http::post(&self.client, url, attempt, signed, &notifier.redactor).await;
                match answer {
                    Err(outcome) => outcome,
                    Ok(reply) => match kind {
                        Kind::Slack { .. } => slack::classify(&reply),
                        Kind::Wecom { .. } => wecom::classify(&reply),
                        Kind::SlackApp { .. } | Kind::Webhook { .. } | Kind::Console { .. } => reply::by_status(&reply),
                    },
                }
            }
            (_, None) => Outcome::Unclear { retry_after: None, why: "it has no URL".into() },
        }
    }

    /// One call of Slack's Web API.
    async fn call_slack(
        &self,
        notifier: &Notifier,
        (token, api, channel): (&SecretString, &url::Url, &str),
        message_id: &str,
        frozen: &[u8],
        now: Time,
    ) -> Outcome {
        let Ok(request) = serde_json::from_slice::<slack_app::Request>(frozen) else {
            return Outcome::Content { why: "the stored request cannot be read".into() };
        };
        if let Some(outcome) = slack_app::outdated(&request, channel) {
            return outcome;
        }
        let url = url::Url::parse(&format!("{}/{}", api.as_str().trim_end_matches('/'), request.method.as_str()));
        let Ok(url) = url else {
            return Outcome::Unclear { retry_after: None, why: "the address of Slack's API is none".into() };
        };
        let body = request.arguments.to_string().into_bytes();
        let attempt = http::Attempt { id: message_id, body, now, bearer: Some(token) };
        match http::post(&self.client, &url, attempt, None, &notifier.redactor).await {
            Ok(reply) => slack_app::classify(&request, &reply),
            Err(outcome) => outcome,
        }
    }
}

fn check_mentions(mentions: &BTreeMap<String, MentionIds>) -> Result<(), ConfigError> {
    for (mention, ids) in mentions {
        let wrong = |platform, id: &str| ConfigError::Mention { mention: mention.clone(), platform, id: id.to_owned() };
        if let Some(id) = ids.slack.as_deref().filter(|id| MentionIds::slack(id).as_deref() != Some(*id)) {
            return Err(wrong("Slack", id));
        }
        if let Some(id) = ids.wecom.as_deref().filter(|id| MentionIds::wecom(id).as_deref() != Some(*id)) {
            return Err(wrong("WeCom", id));
        }
    }
    Ok(())
}
