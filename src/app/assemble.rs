//! From a checked configuration to the parts of a service.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::{Deliver, SideTask, SourceTask};
use crate::chat::{FrontDesk, Surroundings};
use crate::clock;
use crate::config::{self, Config, NotifierKind, ServiceSelection, SourceConfig};
use crate::engine::{Renderer, SendJob};
use crate::http::{ClientError, HttpOptions};
use crate::notifiers::{ConfigError, Kind, NotifierConfig, Notifiers};
use crate::server::gateway::{self, GatewayKey};
use crate::server::{Reload, api, page};
use crate::sources::{file, poller, qcloud};
use podbell_core::outbox::{Policy, SendContent};
use podbell_core::rules::Rules;
use podbell_core::rules::quiet::Hours;
use podbell_core::rules::rule::Destination;
use podbell_core::source::SourceInfo;
use podbell_core::step::Setup;
use podbell_core::step::daily::DailyAt;
use podbell_core::time::Time;
use podbell_store::Readers;

/// Why a checked configuration cannot be put to work.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The network cannot be reached as `http:` says.
    #[error(transparent)]
    Http(#[from] ClientError),
    /// A notifier's secret turned out to be none.
    #[error(transparent)]
    Notifier(#[from] ConfigError),
    /// `http.proxy` is no URL.
    #[error("http.proxy is not a URL")]
    Proxy,
    /// A chat's secret turned out to be none.
    #[error("chats: {name}: {key}: {error}")]
    Chat {
        /// The chat.
        name: String,
        /// The secret's key.
        key: &'static str,
        /// What is wrong with it.
        error: crate::chat::wecom::BadKey,
    },
}

/// How podbell reaches the network.
///
/// # Errors
/// When the proxy is no URL.
pub fn http_options(config: &config::HttpConfig) -> Result<HttpOptions, AssemblyError> {
    let proxy =
        config.proxy.as_ref().map(|proxy| url::Url::parse(proxy.expose_secret()).map_err(|_| AssemblyError::Proxy));
    Ok(HttpOptions { proxy: proxy.transpose()?, ca_file: config.ca_file.clone() })
}

/// The client that everything shares: reading the system's certificate authorities once is enough.
///
/// # Errors
/// When the network cannot be set up as `http:` says.
pub fn client(config: &config::HttpConfig) -> Result<reqwest::Client, AssemblyError> {
    Ok(crate::http::client(&http_options(config)?)?)
}

/// The notifiers of a configuration.
///
/// # Errors
/// When a secret is none.
pub fn notifiers(config: &Config, client: reqwest::Client) -> Result<Notifiers, AssemblyError> {
    let configs = config.notifiers.iter().map(notifier).collect();
    let page = config.server.public_url.as_ref().filter(|_| config.server.has_page());
    Ok(Notifiers::new(configs, config.mentions.clone(), client)?.linking(page))
}

fn notifier(config: &config::NotifierConfig) -> NotifierConfig {
    let kind = match &config.kind {
        NotifierKind::Slack { url } => Kind::Slack { url: url.clone() },
        NotifierKind::SlackApp { token, channel, api, buttons } => {
            Kind::SlackApp { token: token.clone(), channel: channel.clone(), api: api.clone(), buttons: *buttons }
        }
        NotifierKind::Wecom { url } => Kind::Wecom { url: url.clone() },
        NotifierKind::Webhook { url, secrets } => Kind::Webhook { url: url.clone(), secrets: secrets.clone() },
        NotifierKind::Console => Kind::Console { color: crate::notifiers::Color::Auto },
    };
    NotifierConfig {
        name: config.name.clone(),
        kind,
        language: config.language,
        time_zone: config.time_zone.clone(),
        digest_after: config.digest_after,
        template: config.template.clone(),
    }
}

/// Rules, sources and operator for the engine.
pub fn setup(config: &Config, rules: Rules, now: Time) -> Setup {
    let sources = config.sources.iter().map(|source| (Arc::from(source.name()), info(source, now)));
    let destinations = config.notifiers.iter().map(|notifier| notifier.name.clone()).collect();
    let daily = config.notifiers.iter().filter_map(|notifier| {
        Some((notifier.name.clone(), DailyAt(Hours::daily(notifier.daily?, notifier.time_zone.clone()))))
    });
    Setup {
        rules,
        sources: sources.collect(),
        operator: config.operator.notify.clone(),
        destinations,
        daily: daily.collect(),
    }
}

fn info(source: &SourceConfig, now: Time) -> SourceInfo {
    let (zone, poll_every, first_poll_window, memory) = match source {
        SourceConfig::Qcloud(s) => (&s.time_zone, real_interval(s), s.first_poll_window, qcloud::MEMORY),
        SourceConfig::Kubernetes(s) => (&TimeZone::UTC, s.watch_for, s.first_poll_window, s.event_ttl),
        SourceConfig::File(s) => (&s.time_zone, s.poll_every, s.first_poll_window, qcloud::MEMORY),
    };
    let at = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    SourceInfo {
        poll_every,
        memory,
        first_poll_window,
        utc_offset_seconds: zone.to_offset(at).seconds(),
        aliases: source.aliases().clone(),
    }
}

/// How often each service is really read, as far as the configuration tells.
fn real_interval(source: &config::QcloudConfig) -> Duration {
    let named = source.services.iter().map(|selection| match selection {
        ServiceSelection::Named { names, .. } => names.len(),
        ServiceSelection::Discover { .. } => 0,
    });
    let rate = NonZeroU32::new(source.requests_per_second).unwrap_or(NonZeroU32::MIN);
    poller::real_interval(named.sum(), rate, source.poll_every)
}

/// How old the newest good poll may be while all is well.
fn polled_within(config: &Config) -> Duration {
    let interval = |source: &SourceConfig| match source {
        SourceConfig::Qcloud(source) => real_interval(source),
        SourceConfig::Kubernetes(source) => source.watch_for,
        SourceConfig::File(source) => source.poll_every,
    };
    let longest = config.sources.iter().map(interval).max().unwrap_or_default();
    longest.saturating_mul(2).max(Duration::from_secs(600))
}

/// The sources, ready to run.
pub fn sources(config: &Config, client: &reqwest::Client) -> Vec<SourceTask> {
    config.sources.iter().map(|source| task(source, client.clone())).collect()
}

fn task(source: &SourceConfig, http: reqwest::Client) -> SourceTask {
    match source {
        SourceConfig::Qcloud(source) => qcloud_task(qcloud(source), http),
        SourceConfig::Kubernetes(source) => kubernetes_task(source),
        SourceConfig::File(source) => {
            let config = file::FileConfig {
                time_zone: source.time_zone.clone(),
                poll_every: source.poll_every,
                ..file::FileConfig::new(&source.name, &source.path)
            };
            Box::new(move |events, stop| Box::pin(file::run(config, events, stop)))
        }
    }
}

/// A source of the legacy API, ready to run.
pub fn qcloud_task(config: qcloud::QcloudConfig, http: reqwest::Client) -> SourceTask {
    Box::new(move |events, stop| Box::pin(qcloud::run(config, http, events, stop)))
}

#[cfg(feature = "kubernetes")]
fn kubernetes_task(source: &config::KubernetesConfig) -> SourceTask {
    let config = kubernetes(source);
    Box::new(move |events, stop| Box::pin(crate::sources::kubernetes::run(config, events, stop)))
}

/// A source of the Kubernetes API, as the source itself takes it.
#[cfg(feature = "kubernetes")]
pub fn kubernetes(source: &config::KubernetesConfig) -> crate::sources::kubernetes::KubernetesConfig {
    use crate::sources::kubernetes::{KubernetesConfig, Pace};
    KubernetesConfig {
        name: source.name.as_str().into(),
        cluster: source.cluster.as_str().into(),
        kubeconfig: source.kubeconfig.clone(),
        context: source.context.clone(),
        namespaces: source.namespaces.clone(),
        service_labels: source.service_labels.clone(),
        event_ttl: source.event_ttl,
        watch_list: source.watch_list,
        pace: Pace { watch_for: source.watch_for, ..Pace::default() },
    }
}

/// Reading the configuration has said so already.
#[cfg(not(feature = "kubernetes"))]
fn kubernetes_task(_: &config::KubernetesConfig) -> SourceTask {
    Box::new(|_, _| Box::pin(std::future::ready(())))
}

/// A source of the legacy API, as the source itself takes it.
pub fn qcloud(source: &config::QcloudConfig) -> qcloud::QcloudConfig {
    let key = source.secret_key.clone();
    let mut config = qcloud::QcloudConfig::new(&source.name, source.endpoint.clone(), source.secret_id.clone(), key);
    config.region = source.region.clone();
    config.token = source.token.clone();
    config.signature_method = source.signature_method;
    config.time_zone = source.time_zone.clone();
    config.poll_every = source.poll_every;
    config.requests_per_second = NonZeroU32::new(source.requests_per_second).unwrap_or(NonZeroU32::MIN);
    config.aliases = source.aliases.clone();
    config.services = source.services.clone();
    config
}

/// How requests are carried out.
pub fn deliver(notifiers: Arc<Notifiers>) -> Deliver {
    Arc::new(move |job: SendJob| {
        let notifiers = notifiers.clone();
        Box::pin(async move { notifiers.deliver(&job.destination, &job.message_id, job.body, clock::now()).await })
    })
}

/// The engine's renderer.
pub struct Rendered(pub Arc<Notifiers>);

impl Renderer for Rendered {
    fn render(&self, to: &Destination, content: &SendContent<'_>, message_id: &str, now: Time) -> Vec<u8> {
        self.0.freeze(to, content, message_id, now)
    }
}

/// The operator's heartbeat, if there is one.
pub fn heartbeat(config: &Config, pulse: &Arc<super::Pulse>, client: reqwest::Client) -> Option<SideTask> {
    let heartbeat = config.operator.heartbeat.as_ref()?;
    let (url, every, within, pulse) = (heartbeat.url.clone(), heartbeat.every, polled_within(config), pulse.clone());
    Some(Box::new(move |stop| Box::pin(super::heartbeat::run(client, url, every, pulse, within, stop))))
}

/// The server, on a listener that is bound already. `outside` are routes for strangers.
pub fn server(
    listener: tokio::net::TcpListener,
    pulse: Arc<super::Pulse>,
    reload: Option<Reload>,
    outside: axum::Router,
) -> SideTask {
    Box::new(move |stop| Box::pin(crate::server::serve(listener, pulse, reload, outside, stop)))
}

/// Who may reload rules; `asks` reach whoever does it.
pub fn reload(config: &Config, asks: mpsc::Sender<super::reload::Ask>) -> Reload {
    Reload { asks, tokens: tokens(config) }
}

/// The routes of the status page.
pub fn page(
    config: &Config,
    desk: Arc<FrontDesk>,
    pulse: Arc<super::Pulse>,
    policies: &BTreeMap<Destination, Policy>,
) -> axum::Router {
    let interval = |source: &SourceConfig| match source {
        SourceConfig::Qcloud(source) => real_interval(source),
        other => other.poll_every(),
    };
    let server = &config.server;
    let proxy = server.page.proxy.as_ref().map(|proxy| page::Proxy {
        header: proxy.header.clone(),
        secret_header: proxy.secret_header.clone(),
        secret: proxy.secret.clone(),
        rights: proxy.rights,
        scope: proxy.scope.clone(),
    });
    let page = page::PageConfig {
        tokens: tokens(config),
        proxy,
        public_url: server.public_url.clone(),
        language: server.page.language,
        time_zone: server.page.time_zone.clone(),
        intervals: config.sources.iter().map(|source| (source.name().to_owned(), interval(source))).collect(),
        paces: policies.iter().map(|(name, policy)| (name.to_string(), policy.pace)).collect(),
        now: Arc::new(clock::now),
    };
    page::routes(page, desk, pulse)
}

/// The route of the gateway.
pub fn gateway(config: &Config, readers: Readers, surroundings: Arc<Surroundings>) -> axum::Router {
    let keys = config.gateway.iter().map(|key| GatewayKey {
        secret_id: key.secret_id.clone(),
        secret_key: key.secret_key.clone(),
        scope: key.scope.clone(),
    });
    let host = config.server.public_url.as_ref().and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    gateway::routes(keys.collect(), host, readers, surroundings)
}

/// The routes of the API.
pub fn api(config: &Config, desk: Arc<FrontDesk>) -> axum::Router {
    api::routes(tokens(config), desk)
}

fn tokens(config: &Config) -> Vec<api::Token> {
    let tokens = config.server.tokens.iter().map(|one| api::Token {
        name: one.name.clone(),
        secret: one.token.clone(),
        rights: one.rights,
        scope: one.scope.clone(),
    });
    tokens.collect()
}
