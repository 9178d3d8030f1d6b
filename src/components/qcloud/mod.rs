//! The legacy container-service API: its configuration, and the source that polls it.
//!
//! `signature`, `codes` and `answer` are pure; `client` carries requests; `discovery` finds services; `served` is
//! the server's side, and `emulator` uses it for demos and tests. `poller` decides when what is polled.

pub mod client;
pub(crate) mod codes;
mod config;
pub mod discovery;
pub mod emulator;
mod examine;
pub mod gateway;
pub(crate) mod served;
pub mod signature;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::client::Client;
use crate::examine::Checked;
use crate::sources::poller::{self, PollerConfig, TargetReader};
use crate::sources::{List, Problem, SourceEvent, SourceTask, TargetEntry};
use podbell_core::event::Target;

pub(crate) use self::config::SOURCE;
pub use self::signature::{HttpMethod, SignatureMethod};

/// Where the API lived.
pub(crate) const DEFAULT_ENDPOINT: &str = "https://ccs.api.qcloud.com/v2/index.php";
/// The API shows the events of the last hour; what is not read within it is lost.
pub(crate) const MEMORY: Duration = Duration::from_secs(3600);
/// How often services are looked for.
pub const REDISCOVER_EVERY: Duration = Duration::from_secs(300);

/// A checked `kind: qcloud` source.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// The source's name.
    pub name: Arc<str>,
    /// Where the API is; its query is ignored.
    pub endpoint: Url,
    /// `Region` of every request.
    pub region: String,
    /// The `SecretId` of requests.
    pub secret_id: SecretString,
    /// The key that signs requests.
    pub secret_key: SecretString,
    /// `Token` of temporary credentials.
    pub token: Option<SecretString>,
    /// How requests are signed.
    pub signature_method: SignatureMethod,
    /// The HTTP method of requests.
    pub method: HttpMethod,
    /// The zone of the wall clock in the lists.
    pub time_zone: TimeZone,
    /// How often each service is read.
    pub poll_every: Duration,
    /// The most requests a second, retries and discovery included.
    pub requests_per_second: NonZeroU32,
    /// How often services are looked for.
    pub rediscover_every: Duration,
    /// How long one request may take in all.
    pub timeout: Duration,
    /// The first delay before trying again within one poll; doubles.
    pub retry_delay: Duration,
    /// The longest answer that is read, in bytes.
    pub max_answer: usize,
    /// What people call the clusters.
    pub aliases: BTreeMap<String, String>,
    /// What is watched.
    pub services: Vec<ServiceSelection>,
}

/// One entry of `services:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceSelection {
    /// These services.
    Named {
        /// The cluster's id.
        cluster: String,
        /// The namespace.
        namespace: String,
        /// The services' names.
        names: Vec<String>,
    },
    /// Every service of every namespace.
    Discover {
        /// Of this cluster; `None`: of every cluster of the account in this region.
        cluster: Option<String>,
    },
}

impl ServiceSelection {
    /// How many services it names.
    fn named(&self) -> usize {
        match self {
            Self::Named { names, .. } => names.len(),
            Self::Discover { .. } => 0,
        }
    }
}

impl ApiConfig {
    /// A source with the defaults of podbell.yaml, which watches nothing yet.
    pub fn new(name: &str, endpoint: Url, secret_id: SecretString, secret_key: SecretString) -> Self {
        Self {
            name: name.into(),
            endpoint,
            region: "ap-guangzhou".to_owned(),
            secret_id,
            secret_key,
            token: None,
            signature_method: SignatureMethod::HmacSha256,
            method: HttpMethod::Get,
            time_zone: china(),
            poll_every: Duration::from_secs(60),
            requests_per_second: NonZeroU32::MIN.saturating_add(9),
            rediscover_every: REDISCOVER_EVERY,
            timeout: crate::http::TIMEOUT,
            retry_delay: Duration::from_millis(500),
            max_answer: 16 * 1024 * 1024,
            aliases: BTreeMap::new(),
            services: Vec::new(),
        }
    }

    /// The services that are named, each once.
    pub(crate) fn named_targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for selection in &self.services {
            if let ServiceSelection::Named { cluster, namespace, names } = selection {
                // Share the place's strings: there may be ten thousand services.
                let place = Target::new(&self.name, cluster, namespace, "");
                targets.extend(names.iter().map(|name| Target { service: name.as_str().into(), ..place.clone() }));
            }
        }
        targets.sort();
        targets.dedup();
        targets
    }

    /// Whether it discovers services.
    pub(crate) fn discovers(&self) -> bool {
        self.services.iter().any(|selection| matches!(selection, ServiceSelection::Discover { .. }))
    }
}

/// The zone of the API's wall clock unless podbell.yaml says otherwise.
pub(crate) fn china() -> TimeZone {
    // China has had one offset since 1991, in case the bundled database ever lacks the zone.
    TimeZone::get("Asia/Shanghai").unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(8)))
}

/// A source of podbell.yaml.
#[derive(Debug)]
struct QcloudSource(ApiConfig);

impl crate::sources::Source for QcloudSource {
    fn task(self: Arc<Self>, http: reqwest::Client, _: crate::sources::WantedMetadata) -> SourceTask {
        task(self.0.clone(), http)
    }

    fn examine<'a>(&'a self, http: &'a reqwest::Client) -> BoxFuture<'a, Checked> {
        Box::pin(examine::examine(&self.0, http.clone()))
    }
}

/// The task that polls it.
pub fn task(config: ApiConfig, http: reqwest::Client) -> SourceTask {
    Box::new(move |events, stop| Box::pin(run(config, http, events, stop)))
}

/// Polls until told to stop, and says what it sees. Returns when everything in flight has ended.
pub async fn run(config: ApiConfig, http: reqwest::Client, events: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
    let source = Source { client: Client::new(config, http) };
    let config = source.client.config();
    let plan = PollerConfig {
        source: config.name.clone(),
        poll_every: config.poll_every,
        requests_per_second: config.requests_per_second,
        memory: MEMORY,
        rediscover_every: config.discovers().then_some(config.rediscover_every),
        concurrency: poller::concurrency(config.requests_per_second),
    };
    poller::run(Arc::new(source), plan, events, stop).await;
}

struct Source {
    client: Client,
}

impl TargetReader for Source {
    async fn read(&self, target: &Target) -> Result<List, Problem> {
        self.client.events(target).await
    }

    fn configured(&self) -> Vec<TargetEntry> {
        let named = self.client.config().named_targets();
        named.into_iter().map(|target| TargetEntry { target, discovered: false }).collect()
    }

    async fn discover(&self) -> poller::Discovery {
        discovery::discover(&self.client).await
    }
}
