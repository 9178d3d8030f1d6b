//! From a checked configuration to the parts of a service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::sync::mpsc;

use super::Deliver;
use super::enrich::Enricher;
use super::heartbeat::{self, Heartbeat};
use crate::chat::{QueryService, RuleCatalog};
use crate::clock;
use crate::components::legacy_api::gateway::{self, GatewayKey};
use crate::config::{self, Config, SourceConfig};
use crate::engine::{Renderer, SendJob};
use crate::health::HealthStatus;
use crate::http::{ClientError, HttpOptions};
use crate::notifiers::{NamedNotifier, Notifiers};
use crate::otlp::{self, Collector, Exporter};
use crate::server::{Reload, api, page};
use crate::sources::{SourceTask, WantedMetadata};
use crate::tasks::SideTask;
use podbell_core::outbox::{Policy, SendContent};
use podbell_core::rule::Destination;
use podbell_core::rule::quiet::Hours;
use podbell_core::rules::Rules;
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
    /// `http.proxy` is not a URL.
    #[error("http.proxy is not a URL")]
    Proxy,
}

/// How podbell reaches the network.
///
/// # Errors
/// When the proxy is not a URL.
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
pub fn notifiers(config: &Config, client: reqwest::Client) -> Notifiers {
    let notifier = |notifier: &config::NotifierConfig| NamedNotifier {
        name: notifier.name.clone(),
        platform: notifier.platform.clone(),
        language: notifier.language,
        time_zone: notifier.time_zone.clone(),
        digest_after: notifier.digest_after,
        template: notifier.template.clone(),
        logs: notifier.logs,
    };
    let page = config.server.public_url.as_ref().filter(|_| config.server.has_page());
    let notifiers = config.notifiers.iter().map(notifier).collect();
    Notifiers::new(notifiers, config.mentions.clone(), client).linking(page)
}

/// Rules, sources and operator for the engine.
pub fn setup(config: &Config, rules: Rules, now: Time) -> Setup {
    let sources = config.sources.iter().map(|source| (Arc::from(source.name.as_str()), info(source, now)));
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
    let facts = &source.facts;
    SourceInfo {
        poll_every: facts.rhythm.interval(),
        memory: facts.memory,
        first_poll_window: facts.first_poll_window,
        utc_offset_seconds: facts.time_zone.to_offset(now.timestamp()).seconds(),
        aliases: facts.aliases.clone(),
        extent: facts.extent.clone(),
    }
}

/// How old the newest good poll may be while all is well.
fn polled_within(config: &Config) -> Duration {
    let longest = config.sources.iter().map(|source| source.facts.rhythm.interval()).max().unwrap_or_default();
    longest.saturating_mul(2).max(Duration::from_secs(600))
}

/// The sources, ready to run.
pub fn sources(config: &Config, client: &reqwest::Client, wanted: &WantedMetadata) -> Vec<SourceTask> {
    config.sources.iter().map(|source| source.source.clone().task(client.clone(), wanted.clone())).collect()
}

/// How requests are carried out.
pub fn deliver(notifiers: Arc<Notifiers>) -> Deliver {
    Arc::new(move |job: SendJob| {
        let notifiers = notifiers.clone();
        Box::pin(async move { notifiers.deliver(&job.destination, &job.message_id, job.body, clock::now()).await })
    })
}

/// The engine's renderer.
pub struct NotifierRenderer(pub Arc<Notifiers>);

impl Renderer for NotifierRenderer {
    fn render(&self, to: &Destination, content: &SendContent<'_>, message_id: &str, now: Time) -> Vec<u8> {
        self.0.render(to, content, message_id, now)
    }
}

/// The sources that say more of pods; `None` if there are none.
pub fn enricher(config: &Config) -> Option<Enricher> {
    let sources = config.sources.iter().filter(|source| source.source.enriches());
    let sources: BTreeMap<_, _> = sources.map(|one| (Arc::from(one.name.as_str()), one.source.clone())).collect();
    (!sources.is_empty()).then(|| Enricher(sources))
}

/// The collector of records, if there is one.
pub(crate) fn collector(config: &Config) -> Option<Collector> {
    let otlp = config.otlp.as_ref()?;
    // It was read as an address.
    let endpoint = url::Url::parse(otlp.endpoint.expose_secret()).ok()?;
    Some(Collector::new(endpoint, otlp.headers.clone()))
}

/// The exporter of records, if there is one; its counts are in the metrics.
pub fn exporter(config: &Config, client: &reqwest::Client, health: &HealthStatus) -> Option<Exporter> {
    let (exporter, counts) = otlp::exporter(collector(config)?, client.clone());
    health.set_export_counts(counts);
    Some(exporter)
}

/// The operator's heartbeat, if there is one.
pub fn heartbeat(
    config: &Config,
    health: &Arc<crate::health::HealthStatus>,
    client: reqwest::Client,
) -> Option<SideTask> {
    let configured = config.operator.heartbeat.as_ref()?;
    let (url, every) = (configured.url.clone(), configured.every);
    let heartbeat = Heartbeat { url, every, polled_within: polled_within(config) };
    let health = health.clone();
    Some(Box::new(move |stop| Box::pin(heartbeat::run(heartbeat, client, health, stop))))
}

/// The server, on a listener that is bound already. `outside` are the public routes.
pub fn server(
    listener: tokio::net::TcpListener,
    health: Arc<crate::health::HealthStatus>,
    reload: Option<Reload>,
    outside: axum::Router,
) -> SideTask {
    Box::new(move |stop| Box::pin(crate::server::serve(listener, health, reload, outside, stop)))
}

/// Who may reload rules; `asks` go to the task that reloads them.
pub(crate) fn reload(config: &Config, asks: mpsc::Sender<crate::server::ReloadRequest>) -> Reload {
    Reload { asks, tokens: tokens(config), is_public: config.server.public_url.is_some() }
}

/// The routes of the status page.
pub fn page(
    config: &Config,
    queries: Arc<QueryService>,
    health: Arc<crate::health::HealthStatus>,
    policies: &BTreeMap<Destination, Policy>,
) -> axum::Router {
    let server = &config.server;
    let proxy = server.page.proxy.as_ref().map(|proxy| page::Proxy {
        header: proxy.header.clone(),
        secret_header: proxy.secret_header.clone(),
        secret: proxy.secret.clone(),
        rights: proxy.rights,
        scope: proxy.scope.clone(),
    });
    let page = page::PageSetup {
        tokens: tokens(config),
        proxy,
        public_url: server.public_url.clone(),
        language: server.page.language,
        time_zone: server.page.time_zone.clone(),
        intervals: config.sources.iter().map(|source| (source.name.clone(), source.facts.rhythm.interval())).collect(),
        paces: policies.iter().map(|(name, policy)| (name.to_string(), policy.pace)).collect(),
        now: Arc::new(clock::now),
    };
    page::routes(page, queries, health)
}

/// The route of the gateway.
pub fn gateway(config: &Config, readers: Readers, catalog: Arc<RuleCatalog>) -> axum::Router {
    let keys = config.gateway.iter().map(|key| GatewayKey {
        secret_id: key.secret_id.clone(),
        secret_key: key.secret_key.clone(),
        scope: key.scope.clone(),
    });
    let host = config.server.public_url.as_ref().and_then(|url| {
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    });
    gateway::routes(keys.collect(), host, readers, catalog)
}

/// The routes of the API.
pub fn api(config: &Config, queries: Arc<QueryService>) -> axum::Router {
    api::routes(tokens(config), queries)
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
