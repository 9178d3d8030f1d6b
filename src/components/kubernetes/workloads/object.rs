//! What is read of a workload's object: how it is, what it runs, what no event says.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::signals::{self, Condition, Signal, StateSignal};
use super::WorkloadName;
use podbell_core::event::Level;
use podbell_core::health::{Health, ROLLOUT_STALLED, WorkloadKind};
use podbell_core::rollout::PodTemplate as RolloutTemplate;
use podbell_core::time::Time;

/// A workload's object, of any of the three kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Object {
    metadata: Meta,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: String,
    namespace: String,
    generation: u64,
    annotations: Annotations,
}

/// The annotations that count the revisions of a template.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "deployment.kubernetes.io/revision")]
    deployment: String,
    #[serde(rename = "deprecated.daemonset.template.generation")]
    daemon_set: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<u32>,
    paused: bool,
    update_strategy: Strategy,
    template: PodTemplate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodTemplate {
    spec: PodSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Strategy {
    r#type: String,
    rolling_update: Option<Rolling>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rolling {
    partition: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    observed_generation: u64,
    replicas: u32,
    ready_replicas: u32,
    updated_replicas: u32,
    current_revision: String,
    update_revision: String,
    desired_number_scheduled: u32,
    number_ready: u32,
    updated_number_scheduled: u32,
    conditions: Option<Vec<Condition>>,
}

impl Object {
    /// `None` if it is no such object.
    pub(super) fn read(object: &RawValue) -> Option<Self> {
        serde_json::from_str(object.get()).ok().filter(|object: &Self| !object.metadata.name.is_empty())
    }

    /// What the workload runs.
    pub(super) fn template(&self, kind: WorkloadKind) -> RolloutTemplate {
        let revision = match kind {
            WorkloadKind::Deployment => &self.metadata.annotations.deployment,
            WorkloadKind::StatefulSet => &self.status.update_revision,
            WorkloadKind::DaemonSet => &self.metadata.annotations.daemon_set,
        };
        RolloutTemplate::new(revision, self.spec.template.spec.containers.iter().map(|one| one.image.clone()))
    }

    /// How the workload is. What counts as the end of a rollout is what `kubectl rollout status` waits for.
    pub(super) fn health(&self, kind: WorkloadKind) -> Health {
        let Self { metadata, spec, status } = self;
        let unseen = status.observed_generation < metadata.generation;
        let on_delete = spec.update_strategy.r#type == "OnDelete";
        match kind {
            WorkloadKind::Deployment => {
                let wanted = spec.replicas.unwrap_or(1);
                let mixed = status.updated_replicas < wanted || status.replicas > status.updated_replicas;
                Health { wanted, ready: status.ready_replicas, rolling_out: unseen || (mixed && !spec.paused) }
            }
            WorkloadKind::StatefulSet => {
                let wanted = spec.replicas.unwrap_or(1);
                // Pods below the partition keep the old template on purpose.
                let partition = spec.update_strategy.rolling_update.as_ref().and_then(|rolling| rolling.partition);
                let updating = status.update_revision != status.current_revision && !on_delete;
                let behind = status.updated_replicas < wanted.saturating_sub(partition.unwrap_or(0));
                Health { wanted, ready: status.ready_replicas, rolling_out: unseen || (updating && behind) }
            }
            WorkloadKind::DaemonSet => {
                let wanted = status.desired_number_scheduled;
                let behind = status.updated_number_scheduled < wanted && !on_delete;
                Health { wanted, ready: status.number_ready, rolling_out: unseen || behind }
            }
        }
    }

    /// The signal that its rollout makes no progress any more, if its controller says so.
    pub(super) fn stalled(&self, kind: WorkloadKind) -> Option<StateSignal> {
        let Meta { namespace, name, .. } = &self.metadata;
        let is_stalled = |condition: &&Condition| {
            let Condition { r#type, status, reason, .. } = condition;
            r#type == "Progressing" && status == "False" && reason.as_deref() == Some("ProgressDeadlineExceeded")
        };
        let stalled = self.status.conditions.iter().flatten().find(is_stalled)?;
        let at = stalled.last_update_time.as_deref().and_then(signals::instant)?;
        let message = stalled.message.clone().unwrap_or_else(|| "the rollout makes no progress".to_owned());
        let (level, kind, node, reason) = (Level::Warning, kind.as_str(), "", ROLLOUT_STALLED);
        Some(Signal { level, kind, namespace, name, node, reason, message, at }.now().while_it_lasts())
    }

    /// Since when no pod is ready, though some should be and no rollout is under way. For a deployment that was not known
    /// before, its controller dates that.
    pub(super) fn none_ready_since(&self, health: Health, before: Option<Option<Time>>, now: Time) -> Option<Time> {
        // A deployment whose newest pods were ready once is in no rollout, though its pods are missing: they cannot be
        // created.
        let finished = |one: &&Condition| {
            let reason = one.reason.as_deref();
            one.r#type == "Progressing" && matches!(reason, Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded"))
        };
        let finished = self.status.observed_generation >= self.metadata.generation
            && self.status.conditions.iter().flatten().any(|one| finished(&one));
        if health.wanted == 0 || health.ready > 0 || (health.rolling_out && !finished) {
            return None;
        }
        let is_unavailable = |one: &&Condition| one.r#type == "Available" && one.status == "False";
        let unavailable = self.status.conditions.iter().flatten().find(is_unavailable);
        let dated = unavailable.and_then(Condition::changed_at);
        Some(match before {
            None => dated.unwrap_or(now),
            Some(since) => since.unwrap_or(now),
        })
    }

    /// Its namespace and name.
    pub(super) fn key(&self) -> WorkloadName {
        (self.metadata.namespace.as_str().into(), self.metadata.name.as_str().into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_workload_is_whole_when_kubectl_says_that_its_rollout_is_over_and_its_pods_are_ready() {
        use WorkloadKind::{DaemonSet, Deployment, StatefulSet};
        let of = |generation: u64, spec: Value, status: Value| json!({"metadata": {"name": "web", "namespace": "shop", "generation": generation}, "spec": spec, "status": status});
        let three = |status: Value| {
            let mut whole = json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3});
            whole.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
            of(2, json!({"replicas": 3}), whole)
        };
        let sets = |strategy: Value, updated: u64| {
            let status = json!({"observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "updatedReplicas": updated,
                "currentRevision": "db-1", "updateRevision": "db-2"});
            of(1, json!({"replicas": 3, "updateStrategy": strategy}), status)
        };
        let daemons = |strategy: &str, ready: u64, updated: u64| {
            let status = json!({"observedGeneration": 1, "desiredNumberScheduled": 4, "numberReady": ready,
                "updatedNumberScheduled": updated});
            of(1, json!({"updateStrategy": {"type": strategy}}), status)
        };
        let rolling = |partition: u64| json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}});
        let cases = [
            ("all ready", Deployment, three(json!({})), (3, 3, false)),
            ("one is not", Deployment, three(json!({"readyReplicas": 2})), (3, 2, false)),
            ("none is, so the field is left out", Deployment, three(json!({"readyReplicas": 0})), (3, 0, false)),
            (
                "its controller has not seen the newest template",
                Deployment,
                three(json!({"observedGeneration": 1})),
                (3, 3, true),
            ),
            ("new pods are missing", Deployment, three(json!({"updatedReplicas": 1})), (3, 3, true)),
            ("an old pod is left", Deployment, three(json!({"replicas": 4})), (3, 3, true)),
            (
                "scaled to nothing",
                Deployment,
                of(1, json!({"replicas": 0}), json!({"observedGeneration": 1})),
                (0, 0, false),
            ),
            ("nothing is known yet", Deployment, of(1, json!({}), json!({})), (1, 0, true)),
            (
                "paused half-way, on purpose",
                Deployment,
                of(
                    3,
                    json!({"replicas": 2, "paused": true}),
                    json!({"observedGeneration": 3, "replicas": 2, "updatedReplicas": 1, "readyReplicas": 2}),
                ),
                (2, 2, false),
            ),
            ("a set in its rollout", StatefulSet, sets(rolling(0), 1), (3, 3, true)),
            ("a set whose rest keeps the old template", StatefulSet, sets(rolling(2), 1), (3, 3, false)),
            ("a set that is updated by hand", StatefulSet, sets(json!({"type": "OnDelete"}), 0), (3, 3, false)),
            ("daemons", DaemonSet, daemons("RollingUpdate", 4, 4), (4, 4, false)),
            ("a daemon is missing", DaemonSet, daemons("RollingUpdate", 3, 4), (4, 3, false)),
            ("daemons in their rollout", DaemonSet, daemons("RollingUpdate", 4, 2), (4, 4, true)),
            ("daemons that are updated by hand", DaemonSet, daemons("OnDelete", 4, 2), (4, 4, false)),
        ];
        for (why, kind, object, (wanted, ready, rolling_out)) in cases {
            let object: Object = serde_json::from_value(object).unwrap();
            assert_eq!(object.health(kind), Health { wanted, ready, rolling_out }, "{why}");
        }
    }
}
