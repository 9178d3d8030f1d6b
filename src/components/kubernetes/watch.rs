//! The source: what it watches, and its tasks.

use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::api::Api;
use super::nodes::{self, NodeWatch};
use super::owners::{self, OwnerWatch, Owners, SharedOwners};
use super::report::{self, EventWatch};
use super::resource::Resource;
use super::settings::{Enrich, KubernetesConfig};
use super::signals::Signals;
use super::workloads::{self, WorkloadWatch};
use super::{enrich, examine};
use crate::examine::Checked;
use crate::sources::{Source, SourceEvent, SourceTask, WantedMetadata};
use podbell_core::enrichment::{PodQuestion, PodState};
use podbell_core::health::WorkloadKind;

/// What tells to whom objects belong, how those are labelled, and which of them are gone.
const OWNERS: [Resource; 6] = [
    Resource::Pods,
    Resource::ReplicaSets,
    Resource::Jobs,
    Resource::CronJobs,
    Resource::Services,
    Resource::Autoscalers,
];

/// A source of podbell.yaml.
pub(super) struct KubernetesSource {
    config: KubernetesConfig,
    /// For questions about pods.
    api: OnceLock<Api>,
}

impl fmt::Debug for KubernetesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl KubernetesSource {
    pub(super) fn new(config: KubernetesConfig) -> Self {
        Self { config, api: OnceLock::new() }
    }
}

impl Source for KubernetesSource {
    fn task(self: Arc<Self>, _: reqwest::Client, wanted: WantedMetadata) -> SourceTask {
        Box::new(move |events, stop| Box::pin(run(self.config.clone(), wanted, events, stop)))
    }

    fn examine<'a>(&'a self, _: &'a reqwest::Client) -> BoxFuture<'a, Checked> {
        Box::pin(examine::examine(&self.config))
    }

    fn enriches(&self) -> bool {
        self.config.enrich != Enrich::Off
    }

    fn enrich<'a>(&'a self, question: &'a PodQuestion) -> BoxFuture<'a, Option<PodState>> {
        let api = self.api.get_or_init(|| Api::new(&self.config));
        Box::pin(enrich::ask(api, self.config.enrich, question))
    }
}

/// Watches until told to stop, and says what it sees.
pub async fn run(
    config: KubernetesConfig,
    wanted: WantedMetadata,
    events: mpsc::Sender<SourceEvent>,
    stop: CancellationToken,
) {
    let config = Arc::new(config);
    let api = Arc::new(Api::new(&config));
    let owners: SharedOwners = SharedOwners::new(Owners::new(&config.service_labels, config.event_ttl));
    let mut tasks = JoinSet::new();
    // An account for some namespaces may still see how all of them are labelled: they are watched once.
    let (listed, labelled) = watch::channel(false);
    tasks.spawn(owners::keep(OwnerWatch {
        config: config.clone(),
        api: api.clone(),
        resource: Resource::Namespaces,
        namespace: None,
        owners: owners.clone(),
        wanted: wanted.clone(),
        listed,
        events: events.clone(),
        signals: Signals::default(),
    }));
    for covers in super::covers(&config.name, &config.namespaces) {
        let mut ready = vec![labelled.clone()];
        let signals = Signals::default();
        for resource in OWNERS {
            let (listed, wait) = watch::channel(false);
            ready.push(wait);
            let namespace = covers.namespace.clone();
            let (config, api, events) = (config.clone(), api.clone(), events.clone());
            let (owners, signals, wanted) = (owners.clone(), signals.clone(), wanted.clone());
            let watch = OwnerWatch { config, api, resource, namespace, owners, wanted, listed, events, signals };
            tasks.spawn(owners::keep(watch));
        }
        let mut healthy = Vec::new();
        for kind in [WorkloadKind::Deployment, WorkloadKind::StatefulSet, WorkloadKind::DaemonSet] {
            let (listed, wait) = watch::channel(false);
            healthy.push(wait);
            let (config, api, events) = (config.clone(), api.clone(), events.clone());
            let (namespace, owners, ready) = (covers.namespace.clone(), owners.clone(), ready.clone());
            let (signals, wanted) = (signals.clone(), wanted.clone());
            let watch = WorkloadWatch { config, api, kind, namespace, owners, wanted, ready, listed, events, signals };
            tasks.spawn(workloads::keep(watch));
        }
        ready.extend(healthy);
        // They belong to no namespace: an account for some namespaces has no right to see them.
        if covers.namespace.is_none() {
            let (listed, wait) = watch::channel(false);
            ready.push(wait);
            let (config, api, events, signals) = (config.clone(), api.clone(), events.clone(), signals.clone());
            tasks.spawn(nodes::keep(NodeWatch { config, api, listed, events, signals }));
        }
        let (config, api, owners, out) = (config.clone(), api.clone(), owners.clone(), events.clone());
        tasks.spawn(report::report(EventWatch { config, api, covers, owners, signals, ready, out }));
    }
    tokio::select! {
        () = stop.cancelled() => {}
        () = events.closed() => {}
        // These tasks never end by themselves. A panic must end the process, not silence the source.
        Some(ended) = tasks.join_next() => if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
            std::panic::resume_unwind(panic);
        },
    }
}
