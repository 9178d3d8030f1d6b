//! A checked `kind: kubernetes` source.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Labels that name a service; the first one present counts. The old console wrote `qcloud-app`.
pub const SERVICE_LABELS: [&str; 4] = ["qcloud-app", "k8s-app", "app.kubernetes.io/name", "app"];

/// How long an API server keeps events by default.
pub const EVENT_TTL: Duration = Duration::from_secs(3600);

/// A checked `kind: kubernetes` source.
#[derive(Clone, Debug)]
pub struct KubernetesConfig {
    /// The source's name.
    pub name: Arc<str>,
    /// What the cluster is called.
    pub cluster: Arc<str>,
    /// A kubeconfig; without one: the cluster that podbell runs in, else the user's own kubeconfig.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts; without one its current context.
    pub context: Option<String>,
    /// The namespaces to watch; empty: every namespace.
    pub namespaces: Vec<String>,
    /// Labels that name a service; the first one present counts.
    pub service_labels: Vec<String>,
    /// How long the cluster keeps an event.
    pub event_ttl: Duration,
    /// Whether the first list comes as a watch.
    pub watch_list: bool,
    /// What is asked of pods whose incidents open.
    pub enrich: Enrich,
    /// Time limits and intervals.
    pub timing: Timing,
}

impl KubernetesConfig {
    /// A source with the defaults of podbell.yaml: every namespace.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            cluster: name.into(),
            kubeconfig: None,
            context: None,
            namespaces: Vec::new(),
            service_labels: SERVICE_LABELS.map(str::to_owned).to_vec(),
            event_ttl: EVENT_TTL,
            watch_list: false,
            enrich: Enrich::default(),
            timing: Timing::default(),
        }
    }
}

/// How long things take. The operator can set only `watch_for`.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long one watch lasts; its normal end proves that nothing was missed.
    pub watch_for: Duration,
    /// How long changes wait for others to form a batch.
    pub gather: Duration,
    /// How long a watch must be quiet after its beginning to count as up to date.
    pub settled: Duration,
    /// The first pause after a failure; doubles.
    pub first_pause: Duration,
    /// The longest.
    pub longest_pause: Duration,
    /// How long an answer's beginning may take.
    pub patience: Duration,
    /// How long a workload must be without a ready pod before that is a signal.
    pub unavailable_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            watch_for: Duration::from_secs(30),
            gather: Duration::from_millis(200),
            settled: Duration::from_secs(1),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            patience: Duration::from_secs(30),
            unavailable_after: Duration::from_secs(300),
        }
    }
}

/// What is asked of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enrich {
    /// Nothing.
    Off,
    /// Their state.
    #[default]
    State,
    /// Their state, and the last lines of a container's log.
    Logs,
}
