//! What is read of a cluster, and for what.

use std::time::Duration;

use super::settings::KubernetesConfig;
use podbell_core::health::WorkloadKind;

/// How long watches of metadata last: their bookmarks show the version reached.
const METADATA_WATCH: Duration = Duration::from_secs(290);

/// What a resource is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What is told.
    Events,
    /// Which service an event belongs to.
    Owners,
    /// Whether a workload has recovered.
    Health,
    /// Whether a node is down.
    Nodes,
    /// Whether an autoscaler works again, or was deleted.
    Autoscalers,
    /// Labels and annotations of objects from which other objects inherit them.
    Labels,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// core/v1 events, whole.
    Events,
    /// Whole, for their status.
    Pods,
    /// Metadata only.
    ReplicaSets,
    /// Whole, for their status.
    Jobs,
    /// Whole, for their selectors.
    Services,
    /// Whole, for their status.
    Deployments,
    /// Whole, for their status.
    StatefulSets,
    /// Whole, for their status.
    DaemonSets,
    /// Whole, for their status.
    Nodes,
    /// Whole, for their conditions, which the first version of their API keeps in an annotation.
    Autoscalers,
    /// Metadata only.
    CronJobs,
    /// Metadata only.
    Namespaces,
}

impl Resource {
    /// The resource of a kind of workloads.
    pub(crate) fn of(kind: WorkloadKind) -> Self {
        match kind {
            WorkloadKind::Deployment => Self::Deployments,
            WorkloadKind::StatefulSet => Self::StatefulSets,
            WorkloadKind::DaemonSet => Self::DaemonSets,
        }
    }

    /// What podbell reads it for.
    pub(crate) fn serves(self) -> Purpose {
        match self {
            Self::Events => Purpose::Events,
            Self::Pods | Self::ReplicaSets | Self::Jobs | Self::Services => Purpose::Owners,
            Self::Deployments | Self::StatefulSets | Self::DaemonSets => Purpose::Health,
            Self::Nodes => Purpose::Nodes,
            Self::Autoscalers => Purpose::Autoscalers,
            Self::CronJobs | Self::Namespaces => Purpose::Labels,
        }
    }

    /// The path of its list.
    pub(crate) fn path(self, namespace: Option<&str>) -> String {
        let group = match self.group() {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        let name = self.name();
        match namespace {
            Some(namespace) => format!("{group}/namespaces/{namespace}/{name}"),
            None => format!("{group}/{name}"),
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Pods => "pods",
            Self::ReplicaSets => "replicasets",
            Self::Jobs => "jobs",
            Self::Services => "services",
            Self::Deployments => "deployments",
            Self::StatefulSets => "statefulsets",
            Self::DaemonSets => "daemonsets",
            Self::Nodes => "nodes",
            Self::Autoscalers => "horizontalpodautoscalers",
            Self::CronJobs => "cronjobs",
            Self::Namespaces => "namespaces",
        }
    }

    /// Its API group; empty: the core's.
    pub fn group(self) -> &'static str {
        match self {
            Self::Events | Self::Pods | Self::Services | Self::Nodes | Self::Namespaces => "",
            Self::ReplicaSets | Self::Deployments | Self::StatefulSets | Self::DaemonSets => "apps",
            Self::Jobs | Self::CronJobs => "batch",
            Self::Autoscalers => "autoscaling",
        }
    }

    /// Whether it belongs to no namespace.
    pub(crate) fn is_of_the_cluster(self) -> bool {
        matches!(self, Self::Nodes | Self::Namespaces)
    }

    fn is_metadata(self) -> bool {
        matches!(self, Self::ReplicaSets | Self::CronJobs | Self::Namespaces)
    }

    /// The `Accept` header of lists.
    pub(crate) fn accepts_list(self) -> &'static str {
        if self.is_metadata() {
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        } else {
            "application/json"
        }
    }

    /// The `Accept` header of watches.
    pub(crate) fn accepts_watch(self) -> &'static str {
        if self.is_metadata() {
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        } else {
            "application/json"
        }
    }

    /// How long one watch lasts.
    pub(crate) fn watch_for(self, config: &KubernetesConfig) -> Duration {
        if self == Self::Events { config.timing.watch_for } else { METADATA_WATCH }
    }
}
