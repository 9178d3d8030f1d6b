//! The signals of a pod: containers that were killed for their memory or crashed, and that it finds no node.

use std::time::Duration;

use serde::Deserialize;

use super::{Condition, Signal, StateSignal, instant};
use podbell_core::event::Level;
use podbell_core::time::Time;

/// A container that ran for longer before it crashed is started again without a word; after a shorter time the kubelet
/// waits, and says `BackOff`.
const BACK_OFF_FORGETS: Duration = Duration::from_secs(600);
/// Reasons of pods that were stopped from outside.
const DISRUPTED: [&str; 5] = ["Terminated", "NodeShutdown", "Shutdown", "Evicted", "Preempting"];
/// How long a pod may look for a node before that is a signal: the scheduler says so itself, but its event may be lost.
const UNSCHEDULABLE_AFTER: Duration = Duration::from_secs(300);
/// How much is kept of what a container runtime says.
const MAX_WHY_BYTES: usize = 1000;

/// The part of a pod that tells why its containers ended.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Meta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: String,
    namespace: String,
    deletion_timestamp: Option<String>,
    owner_references: Option<Vec<Owner>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: String,
    containers: Vec<Container>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    limits: Option<Limits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Limits {
    memory: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    reason: String,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    restart_count: u64,
    state: ContainerState,
    last_state: ContainerState,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerState {
    terminated: Option<Terminated>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    reason: Option<String>,
    /// Of a container that could not be started, what the container runtime says; else what the program left there.
    message: Option<String>,
    exit_code: i64,
    started_at: Option<String>,
    finished_at: Option<String>,
}

/// An end of a container that the pod still shows.
struct End<'a> {
    container: &'a str,
    /// How often it has ended, this time included.
    number: u64,
    how: &'a Terminated,
    at: Time,
}

/// The signals of a pod.
pub(in super::super) fn of_pod(text: &str) -> Vec<StateSignal> {
    let Ok(pod) = serde_json::from_str::<Pod>(text) else { return Vec::new() };
    let mut signals: Vec<StateSignal> = pod.ends().filter_map(|end| pod.ended(&end)).collect();
    signals.extend(pod.unschedulable());
    signals
}

impl Pod {
    /// Each end of a container, once, as often as the pod still shows one.
    fn ends(&self) -> impl Iterator<Item = End<'_>> {
        let status = &self.status;
        let all = [&status.init_container_statuses, &status.container_statuses].into_iter().flatten().flatten();
        all.flat_map(|one| {
            let last = one.last_state.terminated.as_ref().map(|how| (one.restart_count, how));
            let now = one.state.terminated.as_ref().map(|how| (one.restart_count + 1, how));
            [last, now].into_iter().flatten().filter_map(|(number, how)| {
                let at = instant(how.finished_at.as_deref()?)?;
                Some(End { container: &one.name, number, how, at })
            })
        })
    }

    fn ended(&self, end: &End<'_>) -> Option<StateSignal> {
        let End { container, number, how, at } = *end;
        let restarts = if number > 1 { format!(", for the {number}{} time", ordinal(number)) } else { String::new() };
        if how.reason.as_deref() == Some("OOMKilled") {
            let whose = match self.memory_limit(container) {
                Some(limit) => format!("at its memory limit of {limit}"),
                None => "because memory ran out".to_owned(),
            };
            let message = format!("Container {container} was killed {whose} (exit code {}){restarts}", how.exit_code);
            return Some(self.signal("OOMKilled", message, at).now());
        }
        // Whoever deletes or disrupts a pod ends its containers on purpose. Whether a job failed, its controller says.
        let expected = self.metadata.deletion_timestamp.is_some() || self.is_disrupted() || self.is_of_a_job();
        if how.exit_code == 0 || expected || told_as_back_off(end) {
            return None;
        }
        let reason = how.reason.as_deref().filter(|reason| !["", "Error"].contains(reason));
        let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let message = format!("Container {container} ended with exit code {}{reason}{restarts}", how.exit_code);
        let mut signal = self.signal("ContainerCrashed", message, at).now();
        if let Some(why) = how.why_not_started() {
            // The signal's id is of the text without these words, to which the kubelet may append.
            signal.event.event.message.to_mut().push_str(&format!(": {why}"));
        }
        Some(signal)
    }

    /// Whether the kubelet or the scheduler stopped it, as when its node is shut down.
    fn is_disrupted(&self) -> bool {
        let is_target = |one: &Condition| one.r#type == "DisruptionTarget" && one.status == "True";
        DISRUPTED.contains(&self.status.reason.as_str()) || self.status.conditions.iter().flatten().any(is_target)
    }

    fn is_of_a_job(&self) -> bool {
        self.metadata.owner_references.iter().flatten().any(|owner| owner.kind == "Job")
    }

    fn unschedulable(&self) -> Option<StateSignal> {
        let mut conditions = self.status.conditions.iter().flatten();
        let condition = conditions.find(|one| {
            one.r#type == "PodScheduled" && one.status == "False" && one.reason.as_deref() == Some("Unschedulable")
        })?;
        let message = condition.message.clone().unwrap_or_else(|| "no node takes it".to_owned());
        let signal = self.signal("PodUnschedulable", message, condition.changed_at()?);
        Some(signal.after(UNSCHEDULABLE_AFTER).while_it_lasts())
    }

    fn memory_limit(&self, container: &str) -> Option<&str> {
        let mut all = self.spec.init_containers.iter().flatten().chain(&self.spec.containers);
        all.find(|one| one.name == container)?.resources.limits.as_ref()?.memory.as_deref()
    }

    fn signal<'a>(&'a self, reason: &'static str, message: String, at: Time) -> Signal<'a> {
        let Meta { name, namespace, .. } = &self.metadata;
        let node = &self.spec.node_name;
        Signal { level: Level::Warning, kind: "Pod", namespace, name, node, reason, message, at }
    }
}

impl Terminated {
    /// The first line of what kept the container from being started.
    fn why_not_started(&self) -> Option<&str> {
        let never_started = ["StartError", "ContainerCannotRun"].contains(&self.reason.as_deref()?);
        let line = self.message.as_deref()?.trim().lines().next()?;
        (never_started && !line.is_empty())
            .then(|| line.get(..line.floor_char_boundary(MAX_WHY_BYTES)).unwrap_or_default())
    }
}

/// Whether the kubelet waits before it starts the container again, and writes that as an event.
fn told_as_back_off(end: &End<'_>) -> bool {
    let started = end.how.started_at.as_deref().and_then(instant);
    end.number > 1 && started.is_none_or(|started| end.at.since(started) < BACK_OFF_FORGETS)
}

/// The ending of an ordinal number.
fn ordinal(number: u64) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AT: &str = "2026-01-01T10:00:00Z";

    fn pod(statuses: Value) -> Value {
        json!({
            "metadata": {"name": "web-6d4cf56db6-x2x7v", "namespace": "shop"},
            "spec": {"nodeName": "n1", "containers": [
                {"name": "web", "resources": {"limits": {"memory": "256Mi"}}},
                {"name": "proxy", "resources": {}},
            ]},
            "status": {"containerStatuses": statuses},
        })
    }

    fn ended(reason: &str, code: i64, from: &str, at: &str) -> Value {
        json!({"terminated": {"reason": reason, "exitCode": code, "startedAt": from, "finishedAt": at}})
    }

    fn killed(at: &str) -> Value {
        ended("OOMKilled", 137, at, at)
    }

    fn words(pod: &Value) -> Vec<String> {
        let say = |signal: &StateSignal| format!("{}: {}", signal.event.event.reason, signal.event.event.message);
        of_pod(&pod.to_string()).iter().map(say).collect()
    }

    #[test]
    fn each_kill_for_memory_is_one_signal_with_its_container_limit_and_exit_code() {
        let told = "OOMKilled: Container web was killed at its memory limit of 256Mi (exit code 137)";
        let running = json!({"running": {"startedAt": AT}});
        let one = |state: &Value, last: Value, restarts: u64| json!([{"name": "web", "state": state, "lastState": last, "restartCount": restarts}]);
        let cases = [
            ("it was killed and started again", one(&running, killed(AT), 1), vec![told.to_owned()]),
            ("it was killed just now", one(&killed(AT), json!({}), 0), vec![told.to_owned()]),
            (
                "it was killed twice",
                one(&killed("2026-01-01T10:01:00Z"), killed(AT), 1),
                vec![told.to_owned(), format!("{told}, for the 2nd time")],
            ),
            (
                "it has no limit",
                json!([{"name": "proxy", "state": running, "lastState": killed(AT), "restartCount": 11}]),
                vec![
                    "OOMKilled: Container proxy was killed because memory ran out (exit code 137), for the 11th time"
                        .to_owned(),
                ],
            ),
            ("nothing has run yet", Value::Null, vec![]),
        ];
        for (why, statuses, expected) in cases {
            assert_eq!(words(&pod(statuses)), expected, "{why}");
        }
        assert!(words(&json!("no pod")).is_empty());
        // The same kill is the same signal, wherever the pod shows it.
        let now = of_pod(&pod(one(&killed(AT), json!({}), 0)).to_string());
        let then = of_pod(&pod(one(&running, killed(AT), 1)).to_string());
        assert_eq!(now[0].event.id, then[0].event.id);
        assert_eq!((now[0].event.event.node(), now[0].event.event.signal), ("n1", true));
    }

    #[test]
    fn a_crash_is_a_signal_where_the_kubelet_starts_the_container_again_without_a_word() {
        let late = "2026-01-01T10:30:00Z";
        let running = json!({"running": {}});
        let of = |last: Value, restarts: u64| {
            pod(json!([{"name": "web", "state": running, "lastState": last, "restartCount": restarts}]))
        };
        assert_eq!(
            words(&of(ended("Error", 1, AT, AT), 1)),
            ["ContainerCrashed: Container web ended with exit code 1"]
        );
        assert_eq!(
            words(&of(ended("ContainerCannotRun", 127, AT, late), 4)),
            ["ContainerCrashed: Container web ended with exit code 127 (ContainerCannotRun), for the 4th time"],
            "it had run for half an hour"
        );
        let mut not_started = ended("StartError", 128, AT, AT);
        not_started["terminated"]["message"] = json!("exec: \"/usr/bin/web\": no such file or directory\nusage: …");
        assert_eq!(
            words(&of(not_started, 1)),
            [
                "ContainerCrashed: Container web ended with exit code 128 (StartError): exec: \"/usr/bin/web\": no such file or directory"
            ]
        );
        let mut left = ended("Error", 1, AT, AT);
        left["terminated"]["message"] = json!("password=hunter2");
        assert_eq!(
            words(&of(left, 1)),
            ["ContainerCrashed: Container web ended with exit code 1"],
            "what a program leaves behind is not for everyone"
        );
        assert!(words(&of(ended("Error", 1, AT, AT), 2)).is_empty(), "the kubelet backs off, and says so");
        assert!(words(&of(ended("Completed", 0, AT, AT), 1)).is_empty(), "it ended well");
        let mut deleted = of(ended("Error", 143, AT, AT), 1);
        deleted["metadata"]["deletionTimestamp"] = json!(AT);
        assert!(words(&deleted).is_empty(), "somebody deletes it");
        let mut of_a_job = of(ended("Error", 1, AT, AT), 1);
        of_a_job["metadata"]["ownerReferences"] = json!([{"kind": "Job", "name": "report"}]);
        assert!(words(&of_a_job).is_empty(), "the job may try again");
    }

    #[test]
    fn a_container_that_was_stopped_with_its_node_has_not_crashed() {
        let stopped = ended("Error", 143, AT, "2026-01-01T10:30:00Z");
        let mut pod = pod(json!([{"name": "web", "state": {"running": {}}, "lastState": stopped, "restartCount": 1}]));
        assert_eq!(words(&pod).len(), 1);
        pod["status"]["reason"] = json!("Terminated");
        assert!(words(&pod).is_empty());
        pod["status"]["reason"] = json!("");
        pod["status"]["conditions"] = json!([{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": AT}]);
        assert!(words(&pod).is_empty());
    }

    #[test]
    fn a_pod_without_a_node_is_a_signal_after_five_minutes() {
        let mut pod = pod(Value::Null);
        let condition = |status: &str, reason: &str| json!([{"type": "PodScheduled", "status": status, "reason": reason, "message": "0/3 nodes are available", "lastTransitionTime": AT}]);
        pod["status"]["conditions"] = condition("False", "Unschedulable");
        let signals = of_pod(&pod.to_string());
        assert_eq!(words(&pod), ["PodUnschedulable: 0/3 nodes are available"]);
        assert_eq!(signals[0].due.since(signals[0].event.event.first_seen), UNSCHEDULABLE_AFTER);
        pod["status"]["conditions"] = condition("False", "SchedulingGated");
        assert!(words(&pod).is_empty(), "somebody holds it back");
        pod["status"]["conditions"] = condition("True", "");
        assert!(words(&pod).is_empty());
    }
}
