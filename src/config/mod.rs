//! The operator's configuration: podbell.yaml to checked types, once.
//!
//! Two stages. [`load()`] reads podbell.yaml and its rule files and checks everything that can be
//! checked without secrets; what it gives is a [`Config`] of [`SecretRef`]s. [`Config::resolve`]
//! puts the secrets in. Never starts anything.

mod chats;
mod files;
mod gateway;
pub mod hours;
mod load;
mod mask;
mod notifiers;
mod page;
mod secret;
mod shape;
mod sources;
mod wecom_chats;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use url::Url;

use podbell_core::rules::Destination;
use podbell_core::rules::quiet::Maintenance;
use podbell_core::scope::Scope;
use podbell_core::template::Template;

pub use crate::notifiers::MentionIds;
pub use crate::server::api::Rights;
pub use crate::sources::qcloud::ServiceSelection;
pub use crate::sources::qcloud::signature::SignatureMethod;
pub use files::{expand, read_source};
pub use load::{Loaded, fingerprint, load, lone_rule_file};
pub use podbell_core::message::Language;
pub use secret::{Partly, Secret, SecretError, SecretRef, Surroundings, System};

/// All of podbell.yaml. `S` is what stands for a secret: a reference, or the secret itself.
#[derive(Debug)]
pub struct Config<S = SecretString> {
    /// Where event lists come from.
    pub sources: Vec<SourceConfig<S>>,
    /// Where notices go.
    pub notifiers: Vec<NotifierConfig<S>>,
    /// Where people ask.
    pub chats: Vec<ChatConfig<S>>,
    /// Who a name of `mention:` is on each platform.
    pub mentions: BTreeMap<String, MentionIds>,
    /// Whether there is a `rules:` key; without one the built-in set holds.
    pub has_rules: bool,
    /// Planned work: nothing is told of it before its end, whatever the rules.
    pub maintenance: Vec<Maintenance>,
    /// What podbell tells about itself.
    pub operator: OperatorConfig<S>,
    /// Where state is kept.
    pub store: StoreConfig,
    /// What podbell serves.
    pub server: ServerConfig<S>,
    /// Who may ask through the legacy API; without one nobody may.
    pub gateway: Vec<GatewayKeyConfig<S>>,
    /// How it reaches the network.
    pub http: HttpConfig<S>,
}

impl<S> Config<S> {
    /// Where the built-in set goes: every notifier that people read, or where there is none every other.
    /// Silence is no default.
    pub fn built_in_destinations(&self) -> Vec<Destination> {
        let any_chat = self.notifiers.iter().any(|notifier| notifier.kind.is_chat());
        let told = self.notifiers.iter().filter(|notifier| notifier.kind.is_chat() || !any_chat);
        told.map(|notifier| notifier.name.clone()).collect()
    }

    /// Where podbell's own trouble goes unless said otherwise: to every notifier that people read. Programs that rules
    /// name get what rules tell and nothing else; without rules they are all there is.
    pub fn default_operators(&self) -> Vec<Destination> {
        let of_people = |name: &Destination| self.notifiers.iter().any(|one| one.name == *name && one.kind.is_chat());
        let told = self.built_in_destinations().into_iter();
        told.filter(|name| !self.has_rules || of_people(name)).collect()
    }

    /// What people call clusters, by id, over all sources.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        self.sources.iter().flat_map(|source| source.aliases().clone()).collect()
    }
}

/// One source.
#[derive(Debug)]
pub enum SourceConfig<S = SecretString> {
    /// The legacy container-service API.
    Qcloud(QcloudConfig<S>),
    /// A Kubernetes cluster.
    Kubernetes(KubernetesConfig),
    /// A recording.
    File(FileConfig),
}

impl<S> SourceConfig<S> {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Qcloud(source) => &source.name,
            Self::Kubernetes(source) => &source.name,
            Self::File(source) => &source.name,
        }
    }

    /// Time between two polls of a service, as wished.
    pub fn poll_every(&self) -> Duration {
        match self {
            Self::Qcloud(source) => source.poll_every,
            Self::Kubernetes(source) => source.watch_for,
            Self::File(source) => source.poll_every,
        }
    }

    /// What people call its clusters, by id.
    pub fn aliases(&self) -> &BTreeMap<String, String> {
        match self {
            Self::Qcloud(source) => &source.aliases,
            Self::Kubernetes(source) => &source.aliases,
            Self::File(source) => &source.aliases,
        }
    }
}

/// A source that watches a Kubernetes cluster.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// The source's name.
    pub name: String,
    /// What rules and messages call the cluster.
    pub cluster: String,
    /// A kubeconfig; without one the cluster that podbell runs in, else the user's own.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts.
    pub context: Option<String>,
    /// What is watched; empty: every namespace.
    pub namespaces: Vec<String>,
    /// Labels that name a service, the first that is there counts.
    pub service_labels: Vec<String>,
    /// How long one watch lasts.
    pub watch_for: Duration,
    /// How long the cluster keeps events.
    pub event_ttl: Duration,
    /// Whether the first list comes as a watch.
    pub watch_list: bool,
    /// Below this age an event of the first list is news.
    pub first_poll_window: Duration,
    /// Cluster to what people read.
    pub aliases: BTreeMap<String, String>,
}

/// A source of the legacy container-service API.
#[derive(Debug)]
pub struct QcloudConfig<S = SecretString> {
    /// The source's name.
    pub name: String,
    /// Where the API answers.
    pub endpoint: Url,
    /// Such as `ap-guangzhou`.
    pub region: String,
    /// Public half of the key pair.
    pub secret_id: S,
    /// Secret half.
    pub secret_key: S,
    /// Of temporary credentials.
    pub token: Option<S>,
    /// How requests are signed.
    pub signature_method: SignatureMethod,
    /// The zone of the times in its lists.
    pub time_zone: TimeZone,
    /// Time between two polls of a service.
    pub poll_every: Duration,
    /// The most requests in a second.
    pub requests_per_second: u32,
    /// Below this age an event of the first list is news.
    pub first_poll_window: Duration,
    /// Cluster id to what people read.
    pub aliases: BTreeMap<String, String>,
    /// What is polled.
    pub services: Vec<ServiceSelection>,
}

/// A source that plays a recording.
#[derive(Debug)]
pub struct FileConfig {
    /// The source's name.
    pub name: String,
    /// The recording.
    pub path: PathBuf,
    /// The zone of its times.
    pub time_zone: TimeZone,
    /// Time between two looks at it.
    pub poll_every: Duration,
    /// Below this age an event of the first list is news.
    pub first_poll_window: Duration,
    /// Cluster id to what people read.
    pub aliases: BTreeMap<String, String>,
}

/// One notifier.
#[derive(Debug)]
pub struct NotifierConfig<S = SecretString> {
    /// What rules call it.
    pub name: Destination,
    /// The language of its messages.
    pub language: Language,
    /// The zone of times in its messages.
    pub time_zone: TimeZone,
    /// More notices than this within a minute become a digest; `None`: each is told by itself.
    pub digest_after: Option<usize>,
    /// The minute of the day at which it wants a line about the last day.
    pub daily: Option<u16>,
    /// Its own words for messages, where the rule has none.
    pub template: Template,
    /// What it is.
    pub kind: NotifierKind<S>,
}

/// What a notifier is.
#[derive(Debug)]
pub enum NotifierKind<S = SecretString> {
    /// An incoming webhook of Slack.
    Slack {
        /// Its address, a secret.
        url: S,
    },
    /// A channel of Slack, through the token of an app.
    SlackApp {
        /// The bot's token.
        token: S,
        /// The channel's id, or `#` and its name.
        channel: String,
        /// Slack's Web API.
        api: Url,
        /// Whether its messages have buttons: an app must hear of them.
        buttons: bool,
    },
    /// A robot of WeCom.
    Wecom {
        /// Its address, a secret.
        url: S,
    },
    /// Any HTTP endpoint.
    Webhook {
        /// Its address, which may hold a secret.
        url: S,
        /// What bodies are signed with; several while one replaces another.
        secrets: Vec<S>,
    },
    /// Standard output.
    Console,
}

impl<S> NotifierKind<S> {
    /// Whether people read it.
    pub fn is_chat(&self) -> bool {
        !matches!(self, Self::Webhook { .. })
    }
}

/// A chat in which podbell answers.
#[derive(Debug)]
pub struct ChatConfig<S = SecretString> {
    /// What logs and authors call it; part of its address.
    pub name: String,
    /// The language of its answers.
    pub language: Language,
    /// The zone of times in its answers.
    pub time_zone: TimeZone,
    /// What it is.
    pub kind: ChatKind<S>,
}

/// What a chat is.
#[derive(Debug)]
pub enum ChatKind<S = SecretString> {
    /// A Slack app.
    Slack(SlackChat<S>),
    /// An AI bot of WeCom, over a long connection.
    WecomBot(WecomBotChat<S>),
    /// An app of WeCom, over its callback.
    WecomApp(WecomAppChat<S>),
}

/// An AI bot of WeCom.
#[derive(Debug)]
pub struct WecomBotChat<S = SecretString> {
    /// The bot's id.
    pub bot_id: String,
    /// Its secret for long connections.
    pub secret: S,
    /// Where WeCom listens, ws(s).
    pub endpoint: Url,
    /// Who may speak, and what they see.
    pub access: crate::chat::wecom::Access,
}

/// An app of WeCom.
#[derive(Debug)]
pub struct WecomAppChat<S = SecretString> {
    /// The company's id.
    pub corp_id: String,
    /// Proves WeCom's calls.
    pub token: S,
    /// Encrypts what is said: 43 letters and digits.
    pub encoding_aes_key: S,
    /// Only this app's messages are answered.
    pub agent_id: Option<String>,
    /// Who may speak, and what they see.
    pub access: crate::chat::wecom::Access,
}

/// A Slack app. It has a signing secret, an app-level token, or both.
#[derive(Debug)]
pub struct SlackChat<S = SecretString> {
    /// Proves Slack's calls over HTTP; without it there is no such endpoint.
    pub signing_secret: Option<S>,
    /// Opens connections of Socket Mode; without it there are none.
    pub app_token: Option<S>,
    /// Answers mentions and direct messages; without it they are not answered.
    pub bot_token: Option<S>,
    /// Slack's Web API.
    pub api: Url,
    /// How many connections of Socket Mode are kept open.
    pub connections: usize,
    /// Who may speak, and what they see.
    pub access: crate::chat::slack::Access,
}

/// What podbell tells about itself.
#[derive(Debug)]
pub struct OperatorConfig<S = SecretString> {
    /// Where its own trouble goes; every chat destination unless said otherwise.
    pub notify: Vec<Destination>,
    /// An address to call while all is well.
    pub heartbeat: Option<Heartbeat<S>>,
}

/// A dead man's switch.
#[derive(Debug)]
pub struct Heartbeat<S = SecretString> {
    /// What to call; often holds a secret.
    pub url: S,
    /// How often.
    pub every: Duration,
}

/// Where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// A file of SQLite.
    Sqlite(PathBuf),
}

/// What podbell serves.
#[derive(Debug)]
pub struct ServerConfig<S = SecretString> {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where people reach it, for links.
    pub public_url: Option<Url>,
    /// Who may use the API; without one there is none.
    pub tokens: Vec<TokenConfig<S>>,
    /// The status page.
    pub page: PageConfig<S>,
}

impl<S> ServerConfig<S> {
    /// Whether there is a status page: somebody can sign in.
    pub fn has_page(&self) -> bool {
        !self.tokens.is_empty() || self.page.proxy.is_some()
    }
}

/// The status page. It is there where somebody can sign in.
#[derive(Debug)]
pub struct PageConfig<S = SecretString> {
    /// Its language; none: the one that the reader's browser asks for.
    pub language: Option<Language>,
    /// The zone of its times.
    pub time_zone: TimeZone,
    /// Whose word for who somebody is is taken.
    pub proxy: Option<ProxyConfig<S>>,
}

impl<S> Default for PageConfig<S> {
    fn default() -> Self {
        Self { language: None, time_zone: TimeZone::UTC, proxy: None }
    }
}

/// A proxy in front of the page that signs people in.
#[derive(Debug)]
pub struct ProxyConfig<S = SecretString> {
    /// In which header it names the person.
    pub header: HeaderName,
    /// In which header it proves itself.
    pub secret_header: HeaderName,
    /// What it shows there.
    pub secret: S,
    /// What people who come through it may do.
    pub rights: Rights,
    /// What they see.
    pub scope: Scope,
}

/// A token of the API.
#[derive(Debug)]
pub struct TokenConfig<S = SecretString> {
    /// What logs and authors call it.
    pub name: String,
    /// The token.
    pub token: S,
    /// What it may do.
    pub rights: Rights,
    /// What it sees.
    pub scope: Scope,
}

/// A key of the gateway.
#[derive(Debug)]
pub struct GatewayKeyConfig<S = SecretString> {
    /// The `SecretId`.
    pub secret_id: S,
    /// Its key.
    pub secret_key: S,
    /// What it sees.
    pub scope: Scope,
}

/// How podbell reaches the network.
#[derive(Debug)]
pub struct HttpConfig<S = SecretString> {
    /// A proxy for all requests; may hold a password.
    pub proxy: Option<S>,
    /// Certificates to trust beside the usual ones.
    pub ca_file: Option<PathBuf>,
}
