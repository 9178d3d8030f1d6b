//! The operator's configuration: turns podbell.yaml into checked types, once.
//!
//! Two stages. [`load()`] reads podbell.yaml and its rule files and checks everything that can be checked without
//! secrets; it returns a [`Config`] as [`Unresolved`]. [`Config::resolve`] puts the secrets in. Never starts anything,
//! and knows components only through the registry.

mod chats;
mod export;
mod files;
mod gateway;
pub mod hours;
mod kind_schemas;
mod load;
mod mask;
mod notifiers;
mod page;
mod parse;
mod resolve;
mod sources;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use url::Url;

use crate::chat::Chat;
use crate::notifiers::{Mentions, Notifier, NotifierKind};
use crate::settings::{Draft, SecretRef};
use crate::sources::{Source, SourceFacts};
use podbell_core::rule::Destination;
use podbell_core::rule::quiet::Maintenance;
use podbell_core::scope::{Rights, Scope};
use podbell_core::template::Template;
use podbell_core::translations::Language;

pub(crate) use files::is_glob;
pub use files::{expand, read_source};
pub use load::{Loaded, fingerprint, load, lone_rule_file};
pub use parse::{SECTIONS, schema};
pub(crate) use resolve::Partly;
pub use store::StoreConfig;

/// How far a configuration has been processed.
pub trait Stage: fmt::Debug {
    /// The type of a secret.
    type Secret: fmt::Debug;
    /// The type of a source.
    type Source: fmt::Debug;
    /// The type of a notifier.
    type Notifier: fmt::Debug;
    /// The type of a chat.
    type Chat: fmt::Debug;
}

/// As podbell.yaml says it: secrets are references.
#[derive(Debug)]
pub struct Unresolved;

impl Stage for Unresolved {
    type Secret = SecretRef;
    type Source = Draft<dyn Source>;
    type Notifier = Draft<dyn Notifier>;
    type Chat = Draft<dyn Chat>;
}

/// With its secrets resolved, ready for use.
#[derive(Debug)]
pub struct Complete;

impl Stage for Complete {
    type Secret = SecretString;
    type Source = Arc<dyn Source>;
    type Notifier = Arc<dyn Notifier>;
    type Chat = Arc<dyn Chat>;
}

/// All of podbell.yaml.
#[derive(Debug)]
pub struct Config<S: Stage = Complete> {
    /// Where event lists come from.
    pub sources: Vec<SourceConfig<S>>,
    /// Where notices go.
    pub notifiers: Vec<NotifierConfig<S>>,
    /// Where people ask.
    pub chats: Vec<ChatConfig<S>>,
    /// The platforms' ids of each name that `mention:` may use.
    pub mentions: Mentions,
    /// Whether there is a `rules:` key; without one the built-in rules apply.
    pub has_rules: bool,
    /// Planned work: whatever the rules, nothing is told of it before its end.
    pub maintenance: Vec<Maintenance>,
    /// What podbell tells about itself.
    pub operator: OperatorConfig<S>,
    /// Where state is kept.
    pub store: StoreConfig,
    /// What podbell serves.
    pub server: ServerConfig<S>,
    /// Who may use the legacy API; if empty, nobody.
    pub gateway: Vec<GatewayKeyConfig<S>>,
    /// A collector of OpenTelemetry for what podbell sees and says.
    pub otlp: Option<OtlpConfig<S>>,
    /// How it reaches the network.
    pub http: HttpConfig<S>,
}

impl<S: Stage> Config<S> {
    /// Drops what a running podbell serves or reports by itself, whose secrets a single command does not need.
    pub(crate) fn drop_what_is_served(&mut self) {
        self.chats.clear();
        self.operator.heartbeat = None;
        self.server.tokens.clear();
        self.server.page.proxy = None;
        self.gateway.clear();
        self.otlp = None;
    }

    /// Where the built-in rules notify: every notifier that people read, or all others if there is none. Silence is
    /// no acceptable default.
    pub(crate) fn built_in_destinations(&self) -> Vec<Destination> {
        let any_chat = self.notifiers.iter().any(|notifier| notifier.kind.audience.is_people());
        let told = self.notifiers.iter().filter(|notifier| notifier.kind.audience.is_people() || !any_chat);
        told.map(|notifier| notifier.name.clone()).collect()
    }

    /// Where podbell reports its own trouble by default: to every notifier that people read. Programs get only what
    /// rules tell them, unless there is no `rules:` key and no notifier that people read.
    pub(crate) fn default_operators(&self) -> Vec<Destination> {
        let of_people =
            |name: &Destination| self.notifiers.iter().any(|one| one.name == *name && one.kind.audience.is_people());
        let told = self.built_in_destinations().into_iter();
        told.filter(|name| !self.has_rules || of_people(name)).collect()
    }

    /// What people call clusters, by id, over all sources.
    pub(crate) fn aliases(&self) -> BTreeMap<String, String> {
        self.sources.iter().flat_map(|source| source.facts.aliases.clone()).collect()
    }
}

/// One source.
#[derive(Debug)]
pub struct SourceConfig<S: Stage = Complete> {
    /// Its name.
    pub name: String,
    /// What is known without its secrets.
    pub facts: SourceFacts,
    /// The source itself.
    pub source: S::Source,
}

/// One notifier.
#[derive(Debug)]
pub struct NotifierConfig<S: Stage = Complete> {
    /// What rules call it.
    pub name: Destination,
    /// The language of its messages.
    pub language: Language,
    /// The zone of times in its messages.
    pub time_zone: TimeZone,
    /// More notices than this within a minute become a digest; `None`: each is sent by itself.
    pub digest_after: Option<usize>,
    /// The minute of the day at which it gets a line about the last day.
    pub daily: Option<u16>,
    /// Its own words for messages, where the rule has none.
    pub template: Template,
    /// Whether its messages may quote logs.
    pub logs: bool,
    /// What it is.
    pub kind: NotifierKind,
    /// The notifier itself.
    pub platform: S::Notifier,
}

/// A chat in which podbell answers.
#[derive(Debug)]
pub struct ChatConfig<S: Stage = Complete> {
    /// Its name in logs and authors; part of its address.
    pub name: String,
    /// The chat itself.
    pub chat: S::Chat,
}

/// What podbell tells about itself.
#[derive(Debug)]
pub struct OperatorConfig<S: Stage = Complete> {
    /// Where its own trouble goes; by default every notifier that people read.
    pub notify: Vec<Destination>,
    /// An address to call while all is well.
    pub heartbeat: Option<Heartbeat<S>>,
}

/// A dead man's switch.
#[derive(Debug)]
pub struct Heartbeat<S: Stage = Complete> {
    /// What to call; often holds a secret.
    pub url: S::Secret,
    /// How often.
    pub every: Duration,
}

/// What podbell serves.
#[derive(Debug)]
pub struct ServerConfig<S: Stage = Complete> {
    /// Address and port.
    pub listen: SocketAddr,
    /// Where people reach it, for links.
    pub public_url: Option<Url>,
    /// Who may use the API; if empty, there is no API.
    pub tokens: Vec<TokenConfig<S>>,
    /// The status page.
    pub page: PageConfig<S>,
}

impl<S: Stage> ServerConfig<S> {
    /// Whether there is a status page: only if somebody can sign in.
    pub fn has_page(&self) -> bool {
        !self.tokens.is_empty() || self.page.proxy.is_some()
    }
}

/// The status page. It is served only if somebody can sign in.
#[derive(Debug)]
pub struct PageConfig<S: Stage = Complete> {
    /// Its language; `None`: the one that the reader's browser asks for.
    pub language: Option<Language>,
    /// The zone of its times.
    pub time_zone: TimeZone,
    /// The proxy that is trusted to say who somebody is.
    pub proxy: Option<ProxyConfig<S>>,
}

impl<S: Stage> Default for PageConfig<S> {
    fn default() -> Self {
        Self { language: None, time_zone: TimeZone::UTC, proxy: None }
    }
}

/// A proxy in front of the page that signs people in.
#[derive(Debug)]
pub struct ProxyConfig<S: Stage = Complete> {
    /// The header in which it names the person.
    pub header: HeaderName,
    /// The header in which it proves itself.
    pub secret_header: HeaderName,
    /// The secret in that header.
    pub secret: S::Secret,
    /// What people who come through it may do.
    pub rights: Rights,
    /// What they see.
    pub scope: Scope,
}

/// A token of the API.
#[derive(Debug)]
pub struct TokenConfig<S: Stage = Complete> {
    /// What logs and authors call it.
    pub name: String,
    /// The token.
    pub token: S::Secret,
    /// What it may do.
    pub rights: Rights,
    /// What it sees.
    pub scope: Scope,
}

/// A key of the gateway.
#[derive(Debug)]
pub struct GatewayKeyConfig<S: Stage = Complete> {
    /// The `SecretId`.
    pub secret_id: S::Secret,
    /// Its key.
    pub secret_key: S::Secret,
    /// What it sees.
    pub scope: Scope,
}

/// A collector of OpenTelemetry.
#[derive(Debug)]
pub struct OtlpConfig<S: Stage = Complete> {
    /// Its base address; may hold a password.
    pub endpoint: S::Secret,
    /// Headers of each request.
    pub headers: Vec<(HeaderName, S::Secret)>,
}

/// How podbell reaches the network.
#[derive(Debug)]
pub struct HttpConfig<S: Stage = Complete> {
    /// A proxy for all requests; may hold a password.
    pub proxy: Option<S::Secret>,
    /// Certificates to trust beside the usual ones.
    pub ca_file: Option<PathBuf>,
}
