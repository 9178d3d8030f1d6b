//! What states say that no event does: a container that was killed for its memory, a rollout that makes no progress.
//!
//! A signal has the shape of an event, and the [reporter](super::report) shows it beside the events: whole lists contain
//! it, rules match it, the diff counts it once. It exists as long as its object's state says so, and no longer than an
//! event would.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_128;

use super::event::KubeEvent;
use podbell_core::event::{Event, Level};
use podbell_core::time::Time;

/// Beyond this, no more signals are kept.
const MOST_SIGNALS: usize = 20_000;

/// The signals of the objects of one watch, shared by the watches of states and the reporter.
#[derive(Clone, Default)]
pub(super) struct Signals(Arc<Shared>);

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    /// By kind, namespace and name of the object.
    by_object: HashMap<Box<str>, Vec<KubeEvent>>,
    count: usize,
    news: Vec<Change>,
}

/// What the reporter has not heard yet.
pub(super) enum Change {
    /// A signal that is new.
    New(KubeEvent),
    /// One that is gone.
    Gone(KubeEvent),
}

impl Signals {
    /// Sets the signals of an object. Those older than `ttl` are left out, as the server would delete such events.
    pub(super) fn put(&self, object: &str, mut signals: Vec<KubeEvent>, ttl: Duration, now: Time) {
        signals.retain(|signal| now.since(signal.event.last_seen) < ttl);
        let mut inner = self.0.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.by_object.remove(object).unwrap_or_default();
        inner.count -= before.len();
        signals.truncate(MOST_SIGNALS.saturating_sub(inner.count));
        let is_in = |list: &[KubeEvent], one: &KubeEvent| list.iter().any(|other| other.id == one.id);
        let new = signals.iter().filter(|one| !is_in(&before, one)).cloned().map(Change::New);
        let gone = before.iter().filter(|one| !is_in(&signals, one)).cloned().map(Change::Gone);
        let news: Vec<Change> = new.chain(gone).collect();
        let any = !news.is_empty();
        if inner.news.len() >= MOST_SIGNALS {
            // Nobody has asked for long: the next list shows what there is.
            inner.news.clear();
        }
        inner.news.extend(news);
        if !signals.is_empty() {
            inner.count += signals.len();
            inner.by_object.insert(object.into(), signals);
        }
        if any {
            self.0.changed.notify_one();
        }
    }

    /// All signals that are not older than `ttl`, for a list. What was new before is among them.
    pub(super) fn all(&self, ttl: Duration, now: Time) -> Vec<KubeEvent> {
        let mut inner = self.0.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.news.clear();
        inner.by_object.retain(|_, signals| {
            signals.retain(|signal| now.since(signal.event.last_seen) < ttl);
            !signals.is_empty()
        });
        inner.count = inner.by_object.values().map(Vec::len).sum();
        inner.by_object.values().flatten().cloned().collect()
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// What has changed since this was asked last.
    pub(super) fn news(&self) -> Vec<Change> {
        std::mem::take(&mut self.0.inner.lock().unwrap_or_else(PoisonError::into_inner).news)
    }
}

/// The key of an object in [`Signals`].
pub(super) fn key(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind}/{namespace}/{name}")
}

/// A signal about an object.
pub(super) struct Signal<'a> {
    /// The object's kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The word that rules match.
    pub reason: &'static str,
    /// In a sentence. It never changes for one signal.
    pub message: String,
    /// When it began.
    pub at: Time,
}

impl Signal<'_> {
    /// As the reporter takes it.
    pub(super) fn event(self) -> KubeEvent {
        let Self { kind, namespace, name, reason, message, at } = self;
        let id = xxh3_128(format!("signal {kind}/{namespace}/{name} {reason} {} {message}", at.millis()).as_bytes());
        let event = Event {
            first_seen: at,
            last_seen: at,
            count: 1,
            series: false,
            metadata: None,
            level: Level::Warning,
            obj_type: kind.to_owned().into(),
            obj_name: name.to_owned().into(),
            reason: reason.into(),
            message: message.into(),
        };
        KubeEvent { id, namespace: namespace.to_owned(), object_namespace: namespace.to_owned(), event }
    }
}

/// The part of a pod that tells why its containers ended.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Meta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: String,
    namespace: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
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
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
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
    exit_code: i64,
    finished_at: Option<String>,
}

/// The signals of a pod: each container that was killed for its memory, once for each kill that the pod still shows.
pub(super) fn of_pod(text: &str) -> Vec<KubeEvent> {
    let Ok(Pod { metadata, spec, status }) = serde_json::from_str::<Pod>(text) else { return Vec::new() };
    let statuses = [status.init_container_statuses, status.container_statuses].into_iter().flatten().flatten();
    let limit = |name: &str| {
        let all = spec.init_containers.iter().flatten().chain(&spec.containers);
        let container = all.into_iter().find(|container| container.name == name)?;
        container.resources.limits.as_ref()?.memory.as_deref()
    };
    let mut signals = Vec::new();
    for status in statuses {
        for ended in [&status.last_state, &status.state].into_iter().filter_map(|state| state.terminated.as_ref()) {
            let at = ended.finished_at.as_deref().and_then(instant);
            let (Some("OOMKilled"), Some(at)) = (ended.reason.as_deref(), at) else { continue };
            let whose = match limit(&status.name) {
                Some(limit) => format!("at its memory limit of {limit}"),
                None => "because memory ran out".to_owned(),
            };
            let message = format!("Container {} was killed {whose} (exit code {})", status.name, ended.exit_code);
            let (namespace, name) = (metadata.namespace.as_str(), metadata.name.as_str());
            signals.push(Signal { kind: "Pod", namespace, name, reason: "OOMKilled", message, at }.event());
        }
    }
    signals
}

/// A time of the API.
pub(super) fn instant(text: &str) -> Option<Time> {
    text.parse::<Timestamp>().ok().map(|at| Time::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(statuses: Value) -> String {
        json!({
            "metadata": {"name": "web-6d4cf56db6-x2x7v", "namespace": "shop"},
            "spec": {"containers": [
                {"name": "web", "resources": {"limits": {"memory": "256Mi"}}},
                {"name": "proxy", "resources": {}},
            ]},
            "status": {"containerStatuses": statuses},
        })
        .to_string()
    }

    fn ended(reason: &str, at: &str) -> Value {
        json!({"terminated": {"reason": reason, "exitCode": 137, "finishedAt": at}})
    }

    fn words(text: &str) -> Vec<String> {
        of_pod(text).iter().map(|signal| format!("{}: {}", signal.event.reason, signal.event.message)).collect()
    }

    #[test]
    fn each_kill_for_memory_is_one_signal_with_its_container_limit_and_exit_code() {
        let at = "2026-01-01T10:00:00Z";
        let killed = "OOMKilled: Container web was killed at its memory limit of 256Mi (exit code 137)";
        let running = json!({"running": {"startedAt": at}});
        let cases = [
            (
                "it was killed and started again",
                json!([{"name": "web", "state": running, "lastState": ended("OOMKilled", at)}]),
                vec![killed],
            ),
            (
                "it was killed just now",
                json!([{"name": "web", "state": ended("OOMKilled", at), "lastState": {}}]),
                vec![killed],
            ),
            (
                "it was killed twice",
                json!([{"name": "web", "state": ended("OOMKilled", "2026-01-01T10:01:00Z"), "lastState": ended("OOMKilled", at)}]),
                vec![killed, killed],
            ),
            ("it ended otherwise", json!([{"name": "web", "state": running, "lastState": ended("Error", at)}]), vec![]),
            (
                "it has no limit",
                json!([{"name": "proxy", "state": running, "lastState": ended("OOMKilled", at)}]),
                vec!["OOMKilled: Container proxy was killed because memory ran out (exit code 137)"],
            ),
            ("nothing has run yet", Value::Null, vec![]),
        ];
        for (why, statuses, expected) in cases {
            assert_eq!(words(&pod(statuses)), expected, "{why}");
        }
        assert!(words("no pod").is_empty());
        // The same kill is the same signal, wherever the pod shows it.
        let now = of_pod(&pod(json!([{"name": "web", "state": ended("OOMKilled", at)}])));
        let then = of_pod(&pod(json!([{"name": "web", "state": running, "lastState": ended("OOMKilled", at)}])));
        assert_eq!(now[0].id, then[0].id);
    }

    #[test]
    fn the_reporter_hears_of_each_signal_once_and_of_its_end() {
        let (signals, now) = (Signals::default(), instant("2026-01-01T10:05:00Z").unwrap());
        let of = |at: &str| of_pod(&pod(json!([{"name": "web", "state": ended("OOMKilled", at)}])));
        let hour = Duration::from_secs(3600);
        let heard = || {
            let news = signals.news().into_iter();
            news.map(|change| matches!(change, Change::New(_))).collect::<Vec<_>>()
        };
        signals.put("Pod/shop/web", of("2026-01-01T10:00:00Z"), hour, now);
        assert_eq!(heard(), [true]);
        signals.put("Pod/shop/web", of("2026-01-01T10:00:00Z"), hour, now);
        assert!(heard().is_empty(), "nothing is new");
        signals.put("Pod/shop/web", of("2026-01-01T10:04:00Z"), hour, now);
        assert_eq!(heard(), [true, false], "another kill, and the first is not shown any more");
        assert_eq!(signals.all(hour, now).len(), 1);
        assert!(signals.all(hour, now.plus(hour)).is_empty(), "it is too old by then");
        signals.put("Pod/shop/web", of("2026-01-01T10:04:30Z"), hour, now);
        signals.put("Pod/shop/web", Vec::new(), hour, now);
        assert_eq!(heard(), [true, false]);
        signals.put("Pod/shop/old", of("2026-01-01T09:00:00Z"), hour, now);
        assert!(heard().is_empty() && signals.all(hour, now).is_empty(), "an event would have expired, too");
    }
}
