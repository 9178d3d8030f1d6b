//! What states say and no event does, or not reliably: a container that was killed for its memory, a rollout that makes no
//! progress, a node that is down.
//!
//! A signal has the shape of an event, and the [reporter](super::report) shows it beside the events: whole lists contain
//! it, rules match it, the diff counts it once. It exists as long as its object's state says so, and no longer than an
//! event would.

mod autoscaler;
mod job;
mod node;
mod pod;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_128;

use super::event::KubeEvent;
use crate::clock;
use podbell_core::event::{Event, Level};
use podbell_core::time::Time;

pub(super) use autoscaler::of_autoscaler;
pub(super) use job::of_job;
pub(super) use node::of_node;
pub(super) use pod::of_pod;

/// Beyond this, no more signals are kept.
const MAX_SIGNALS: usize = 20_000;

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
    by_object: HashMap<Box<str>, Vec<NotedSignal>>,
    count: usize,
    /// When an object has a signal that is due then. Entries may be outdated.
    waiting: BTreeSet<(Time, Box<str>)>,
    news: Vec<Change>,
}

/// A signal, and whether the reporter was told of it.
struct NotedSignal {
    signal: StateSignal,
    shown: bool,
}

/// A signal that is true from `due` on, if its object's state stays.
#[derive(Clone)]
pub(super) struct StateSignal {
    /// What is shown.
    pub event: KubeEvent,
    /// When it may be shown.
    pub due: Time,
    /// Whether it tells of what still is, however long ago it began; otherwise it is old after a while, like an event.
    pub lasts: bool,
}

impl StateSignal {
    /// The same, of a state that still is.
    pub(super) fn while_it_lasts(self) -> Self {
        Self { lasts: true, ..self }
    }

    fn is_old(&self, ttl: Duration, now: Time) -> bool {
        !self.lasts && now.since(self.event.event.last_seen) >= ttl
    }
}

/// What the reporter has not heard yet.
pub(super) enum Change {
    /// A signal that is new.
    New(KubeEvent),
    /// One that is gone.
    Gone(KubeEvent),
}

impl Signals {
    /// Sets the signals of an object. Those that are past and older than `ttl` are left out, as the server would delete such
    /// events.
    pub(super) fn put(&self, object: &str, mut signals: Vec<StateSignal>, ttl: Duration, now: Time) {
        signals.retain(|signal| !signal.is_old(ttl, now));
        for signal in &mut signals {
            // A clock of the cluster that is ahead must not hold it back.
            let began = signal.event.event.last_seen;
            signal.due = signal.due.min(now.plus(signal.due.since(began)));
        }
        let mut inner = self.lock();
        let before = inner.by_object.remove(object).unwrap_or_default();
        if before.is_empty() && signals.is_empty() {
            return;
        }
        inner.count -= before.len();
        signals.truncate(MAX_SIGNALS.saturating_sub(inner.count));
        inner.count += signals.len();
        let was_shown = |id: u128| before.iter().any(|one| one.shown && one.signal.event.id == id);
        let kept: Vec<NotedSignal> =
            signals.into_iter().map(|signal| NotedSignal { shown: was_shown(signal.event.id), signal }).collect();
        let stays = |id: u128| kept.iter().any(|one| one.signal.event.id == id);
        let gone = before.iter().filter(|one| one.shown && !stays(one.signal.event.id));
        let gone: Vec<Change> = gone.map(|one| Change::Gone(one.signal.event.clone())).collect();
        inner.note(gone);
        inner.waiting.extend(kept.iter().filter(|one| !one.shown).map(|one| (one.signal.due, object.into())));
        if !kept.is_empty() {
            inner.by_object.insert(object.into(), kept);
        }
        inner.ripen(now);
        drop(inner);
        self.0.changed.notify_one();
    }

    /// All signals that are due and not older than `ttl`, for a list. What was new before is among them.
    pub(super) fn all(&self, ttl: Duration, now: Time) -> Vec<KubeEvent> {
        let mut inner = self.lock();
        inner.ripen(now);
        inner.news.clear();
        inner.by_object.retain(|_, signals| {
            signals.retain(|one| !one.signal.is_old(ttl, now));
            !signals.is_empty()
        });
        inner.count = inner.by_object.values().map(Vec::len).sum();
        let shown = inner.by_object.values().flatten().filter(|one| one.shown);
        shown.map(|one| one.signal.event.clone()).collect()
    }

    /// Waits for a change, or for a signal to be due.
    pub(super) async fn changed(&self) {
        let due = self.lock().waiting.first().map(|(due, _)| *due);
        let ripe = async {
            match due {
                Some(due) => tokio::time::sleep(due.since(clock::now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.0.changed.notified() => {}
            () = ripe => {}
        }
    }

    /// What has changed since this was asked last.
    pub(super) fn news(&self, now: Time) -> Vec<Change> {
        let mut inner = self.lock();
        inner.ripen(now);
        std::mem::take(&mut inner.news)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Shows what is due.
    fn ripen(&mut self, now: Time) {
        let later = self.waiting.split_off(&(now.plus(Duration::from_millis(1)), "".into()));
        let due = std::mem::replace(&mut self.waiting, later);
        let mut new = Vec::new();
        for (_, object) in due {
            let kept = self.by_object.get_mut(&object).into_iter().flatten();
            for one in kept.filter(|one| !one.shown && one.signal.due <= now) {
                one.shown = true;
                new.push(Change::New(one.signal.event.clone()));
            }
        }
        self.note(new);
    }

    fn note(&mut self, news: Vec<Change>) {
        if self.news.len() >= MAX_SIGNALS {
            // Nobody has asked for long: the next list shows what there is.
            self.news.clear();
        }
        self.news.extend(news);
    }
}

/// The key of an object in [`Signals`].
pub(super) fn key(kind: &str, namespace: &str, name: &str) -> String {
    format!("{kind}/{namespace}/{name}")
}

/// A signal about an object.
pub(super) struct Signal<'a> {
    /// Warning, or Normal for the end of a trouble.
    pub level: Level,
    /// The object's kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The node that it is on; empty: not known, or none.
    pub node: &'a str,
    /// The word that rules match.
    pub reason: &'static str,
    /// In a sentence. It never changes for one signal.
    pub message: String,
    /// When it began.
    pub at: Time,
}

impl Signal<'_> {
    /// As the reporter takes it, at once.
    pub(super) fn now(self) -> StateSignal {
        let due = self.at;
        StateSignal { event: self.event(), due, lasts: false }
    }

    /// The same, once it has lasted for so long.
    pub(super) fn after(self, long: Duration) -> StateSignal {
        let due = self.at.plus(long);
        StateSignal { event: self.event(), due, lasts: false }
    }

    fn event(self) -> KubeEvent {
        let Self { level, kind, namespace, name, node, reason, message, at } = self;
        let id = xxh3_128(format!("signal {kind}/{namespace}/{name} {reason} {} {message}", at.millis()).as_bytes());
        let event = Event {
            first_seen: at,
            last_seen: at,
            count: 1,
            series: false,
            signal: true,
            metadata: None,
            node: (!node.is_empty()).then(|| node.to_owned().into()),
            level,
            obj_type: kind.to_owned().into(),
            obj_name: name.to_owned().into(),
            reason: reason.into(),
            message: message.into(),
        };
        KubeEvent { id, namespace: namespace.to_owned(), object_namespace: namespace.to_owned(), event }
    }
}

/// An object that says how it is by conditions alone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditioned {
    metadata: Meta,
    status: Conditions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: String,
    /// Empty of a node.
    namespace: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    conditions: Option<Vec<Condition>>,
}

/// A condition of an object, as all kinds write it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    /// Its name, such as `Ready`.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A word for machines.
    pub reason: Option<String>,
    /// A sentence.
    pub message: Option<String>,
    /// When it was last written anew.
    pub last_update_time: Option<String>,
    /// When `status` last changed.
    pub last_transition_time: Option<String>,
}

impl Condition {
    /// When `status` last changed.
    pub(super) fn changed_at(&self) -> Option<Time> {
        instant(self.last_transition_time.as_deref()?)
    }
}

/// A time of the API.
pub(super) fn instant(text: &str) -> Option<Time> {
    text.parse::<Timestamp>().ok().map(|at| Time::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(minute: u32) -> Time {
        instant(&format!("2026-01-01T10:{minute:02}:00Z")).unwrap()
    }

    fn signal(minute: u32) -> Signal<'static> {
        let (namespace, name, node, message) = ("shop", "web-0", "n1", String::new());
        Signal {
            level: Level::Warning,
            kind: "Pod",
            namespace,
            name,
            node,
            reason: "OOMKilled",
            message,
            at: at(minute),
        }
    }

    /// Whether each thing that the reporter hears is new.
    fn heard(signals: &Signals, now: Time) -> Vec<bool> {
        signals.news(now).iter().map(|change| matches!(change, Change::New(_))).collect()
    }

    #[test]
    fn a_state_that_still_is_never_grows_old_and_a_clock_that_is_ahead_holds_nothing_back() {
        let (signals, now) = (Signals::default(), at(40));
        signals.put("Node//n1", vec![signal(0).now().while_it_lasts()], HOUR, now);
        assert_eq!(heard(&signals, now), [true]);
        assert_eq!(signals.all(HOUR, now.plus(HOUR)).len(), 1, "it is over an hour old");
        signals.put("Pod/shop/web", vec![signal(50).now()], HOUR, now);
        assert_eq!(heard(&signals, now), [true], "its node's clock is ten minutes ahead");
        signals.put("Pod/shop/other", vec![signal(50).after(Duration::from_secs(60))], HOUR, now);
        assert!(heard(&signals, now).is_empty());
        assert_eq!(heard(&signals, now.plus(Duration::from_secs(60))), [true]);
    }

    #[test]
    fn the_reporter_hears_of_each_signal_once_and_of_its_end() {
        let (signals, now) = (Signals::default(), at(5));
        signals.put("Pod/shop/web", vec![signal(0).now()], HOUR, now);
        assert_eq!(heard(&signals, now), [true]);
        signals.put("Pod/shop/web", vec![signal(0).now()], HOUR, now);
        assert!(heard(&signals, now).is_empty(), "nothing is new");
        signals.put("Pod/shop/web", vec![signal(4).now()], HOUR, now);
        assert_eq!(heard(&signals, now), [false, true], "another kill, and the first is not shown any more");
        assert_eq!(signals.all(HOUR, now).len(), 1);
        assert!(signals.all(HOUR, now.plus(HOUR)).is_empty(), "it is too old by then");
        signals.put("Pod/shop/web", vec![signal(3).now()], HOUR, now);
        signals.put("Pod/shop/web", Vec::new(), HOUR, now);
        assert_eq!(heard(&signals, now), [true, false]);
        signals.put("Pod/shop/old", vec![signal(0).now()], Duration::from_secs(60), now);
        assert!(
            heard(&signals, now).is_empty() && signals.all(HOUR, now).is_empty(),
            "an event would have expired, too"
        );
    }

    #[test]
    fn a_signal_that_must_last_is_shown_when_it_has_lasted_and_never_if_it_ends_before() {
        let signals = Signals::default();
        let waits = || vec![signal(0).after(Duration::from_secs(300))];
        signals.put("Pod/shop/web", waits(), HOUR, at(1));
        signals.put("Pod/shop/web", waits(), HOUR, at(4));
        assert!(heard(&signals, at(4)).is_empty() && signals.all(HOUR, at(4)).is_empty());
        assert_eq!(heard(&signals, at(5)), [true]);
        assert!(heard(&signals, at(6)).is_empty(), "once");
        signals.put("Pod/shop/api", waits(), HOUR, at(1));
        signals.put("Pod/shop/api", Vec::new(), HOUR, at(4));
        assert!(heard(&signals, at(9)).is_empty(), "it ended before");
        signals.put("Pod/shop/new", waits(), HOUR, at(9));
        assert_eq!(heard(&signals, at(9)), [true], "it has lasted already");
    }
}
