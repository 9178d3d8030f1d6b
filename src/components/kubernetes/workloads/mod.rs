//! The health of deployments, stateful sets and daemon sets, from watches of their status. Where they cannot be read,
//! nothing is reported: then incidents end by events and silence.

mod object;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use self::object::Object;
use super::api::Api;
use super::fault::{Fault, FaultKind};
use super::follow::{Follower, WatchEvent};
use super::owners::{SharedOwners, metadata};
use super::resource::Resource;
use super::signals::{self, Signal, Signals, StateSignal};
use super::{KubernetesConfig, place};
use crate::clock;
use crate::sources::{SourceEvent, WantedMetadata};
use podbell_core::event::{Level, Target};
use podbell_core::health::{Health, HealthReport, NO_POD_IS_READY, UNAVAILABLE, WorkloadKind};
use podbell_core::metadata::MetadataKey;
use podbell_core::rollout::{PodTemplate, TemplateReport};
use podbell_core::time::Time;

/// How long the first list waits for the lists of pods and their owners, which tell the services of workloads.
const OWNERS_WAIT: Duration = Duration::from_secs(10);
/// A watch that fails for longer says nothing of the present.
const STALE_AFTER: Duration = Duration::from_secs(60);
/// Beyond this, workloads are not kept; their incidents end by events and silence.
const MAX_WORKLOADS: usize = 100_000;

/// Watches the workloads of one kind, in one namespace or in all.
pub(super) struct WorkloadWatch {
    /// The source.
    pub config: Arc<KubernetesConfig>,
    /// Its API server.
    pub api: Arc<Api>,
    /// The kind of workloads.
    pub kind: WorkloadKind,
    /// The namespace; `None` for all of them.
    pub namespace: Option<Arc<str>>,
    /// What tells their services, and hears of their labels.
    pub owners: SharedOwners,
    /// The labels and annotations that rules look at.
    pub wanted: WantedMetadata,
    /// Turn true once owners are listed.
    pub ready: Vec<watch::Receiver<bool>>,
    /// Turns true once the first list is there, or cannot be had.
    pub listed: watch::Sender<bool>,
    /// Hears of their health.
    pub events: mpsc::Sender<SourceEvent>,
    /// Takes what their conditions say.
    pub signals: Signals,
}

/// The namespace and name of a workload.
type WorkloadName = (Box<str>, Arc<str>);

/// What was reported of each workload.
type Reported = HashMap<WorkloadName, ReportedWorkload>;

/// What was reported of a workload.
struct ReportedWorkload {
    target: Target,
    health: Health,
    /// What it runs, as a hash: that is told when it changes.
    template: u64,
    /// That its rollout stalls.
    stalled: Option<StateSignal>,
    /// Since when no pod of it is ready, though some should be and no rollout is under way.
    none_ready_since: Option<Time>,
}

/// Runs a watch for as long as it is polled.
pub(super) async fn keep(mut watch: WorkloadWatch) {
    let known = async {
        for listed in &mut watch.ready {
            // A dropped sender means that podbell is shutting down.
            let _ = listed.wait_for(|listed| *listed).await;
        }
    };
    let _ = timeout(OWNERS_WAIT, known).await;
    let resource = Resource::of(watch.kind);
    let (api, config, namespace) = (watch.api.clone(), watch.config.clone(), watch.namespace.clone());
    let follow = || Follower::new(api.clone(), config.clone(), resource, namespace.clone());
    let (mut follower, mut wanted) = (follow(), watch.wanted.clone());
    let keys = wanted.borrow_and_update().clone();
    let (reported, shown) = (Reported::new(), HashSet::new());
    let mut reporter = WorkloadReporter { watch, keys, reported, shown, began: None, failing: None, is_refused: false };
    loop {
        let happening = tokio::select! {
            happening = follower.next() => happening,
            keys = metadata::other_keys(&mut wanted, &reporter.keys) => {
                // Rules want other keys now, which the cache lacks: list again.
                reporter.starts_over();
                reporter.watch.owners.forget_metadata(resource);
                (reporter.keys, follower) = (keys, follow());
                continue;
            }
        };
        match happening {
            WatchEvent::Page { items, last } => reporter.page(&items, last).await,
            WatchEvent::ListsAgain => reporter.starts_over(),
            WatchEvent::Changed(object) => reporter.changed(&object).await,
            WatchEvent::Deleted(object) => reporter.deleted(&object).await,
            WatchEvent::Opened | WatchEvent::Heard(_) => reporter.failing = None,
            WatchEvent::Failed(fault) => {
                if reporter.failed(&fault).await {
                    // A watch that is taken up again would not show what does not change.
                    follower.list_again(reporter.watch.config.timing.first_pause);
                }
            }
        }
    }
}

/// A watch, and what it has reported.
struct WorkloadReporter {
    watch: WorkloadWatch,
    /// The labels and annotations that are read.
    keys: BTreeSet<MetadataKey>,
    reported: Reported,
    /// What the current list has shown so far.
    shown: HashSet<WorkloadName>,
    /// The mark of the current list.
    began: Option<u64>,
    /// Since when it fails.
    failing: Option<Instant>,
    /// Whether the account may not read them, which is logged once.
    is_refused: bool,
}

/// Why a workload is not reported any more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forgotten {
    /// It is not there any more.
    Deleted,
    /// It cannot be seen any more.
    Unseen,
}

impl WorkloadReporter {
    /// The current list is void.
    fn starts_over(&mut self) {
        self.shown.clear();
        self.began = None;
    }

    async fn page(&mut self, items: &[Box<RawValue>], last: bool) {
        let began = *self.began.get_or_insert_with(|| self.watch.owners.list_begins());
        let objects: Vec<Object> = items.iter().filter_map(|item| self.read(item)).collect();
        self.shown.extend(objects.iter().map(Object::key));
        self.watch.templates(&objects, &self.reported).await;
        let mut reports = self.watch.reports(objects, &mut self.reported);
        if last {
            let gone = self.reported.extract_if(|key, _| !self.shown.contains(key));
            reports.extend(gone.map(|(place, known)| self.watch.forget(&place, known, Forgotten::Deleted)));
            let resource = Resource::of(self.watch.kind);
            self.watch.owners.list_ends(resource, self.watch.namespace.as_deref(), began);
            self.starts_over();
            self.failing = None;
        }
        self.watch.send(reports).await;
        if last {
            self.watch.listed.send_replace(true);
            if std::mem::take(&mut self.is_refused) {
                let (source, resource) = (&self.watch.config.name, Resource::of(self.watch.kind).name());
                tracing::info!(%source, resource, "can be read again");
            }
        }
    }

    async fn changed(&mut self, object: &RawValue) {
        let objects: Vec<Object> = self.read(object).into_iter().collect();
        self.watch.templates(&objects, &self.reported).await;
        let reports = self.watch.reports(objects, &mut self.reported);
        self.watch.send(reports).await;
    }

    /// Reads an object, and takes in its labels and annotations.
    fn read(&self, object: &RawValue) -> Option<Object> {
        let read = Object::read(object)?;
        if !self.keys.is_empty() {
            let (namespace, name) = read.key();
            let metadata = metadata::read(object, &self.keys);
            self.watch.owners.describe(self.watch.kind.as_str(), (&namespace, &name), metadata);
        }
        Some(read)
    }

    async fn deleted(&mut self, object: &RawValue) {
        if let Some(object) = Object::read(object)
            && let Some((place, known)) = self.reported.remove_entry(&object.key())
        {
            self.watch.send(vec![self.watch.forget(&place, known, Forgotten::Deleted)]).await;
        }
    }

    /// What was reported is taken back when it cannot be read any more, or has not been for too long. Returns whether
    /// anything was.
    async fn failed(&mut self, fault: &Fault) -> bool {
        let is_refused = fault.kind == FaultKind::Refused;
        if is_refused {
            self.watch.listed.send_replace(true);
        }
        let since = *self.failing.get_or_insert_with(clock::monotonic);
        let stale = (is_refused || since.elapsed() >= STALE_AFTER) && !self.reported.is_empty();
        if stale {
            let all = self
                .reported
                .drain()
                .map(|(place, known)| self.watch.forget(&place, known, Forgotten::Unseen))
                .collect();
            self.watch.send(all).await;
        }
        if is_refused {
            if !std::mem::replace(&mut self.is_refused, true) {
                let (source, resource) = (&self.watch.config.name, Resource::of(self.watch.kind).name());
                let (code, text) = (&fault.error.code, &fault.error.text);
                tracing::info!(%source, resource, code, text,
                    "cannot be read: incidents of such workloads end by events and silence");
            }
            // The operator has to fix that: no hurry.
            tokio::time::sleep(self.watch.config.timing.longest_pause).await;
        }
        stale
    }
}

impl WorkloadWatch {
    /// Reports of the workloads whose health or service changed.
    fn reports(&self, objects: Vec<Object>, reported: &mut Reported) -> Vec<HealthReport> {
        let mut reports = Vec::new();
        for object in objects {
            let (place, health) = (object.key(), object.health(self.kind));
            let target = self.target(&place.0, &place.1);
            let before = reported.get(&place);
            if before.is_none() && reported.len() >= MAX_WORKLOADS {
                continue;
            }
            if let Some(moved) = before.filter(|before| before.target != target) {
                reports.push(self.report(moved.target.clone(), &place, None));
            }
            if before.is_none_or(|before| before.target != target || before.health != health) {
                reports.push(self.report(target.clone(), &place, Some(health)));
            }
            let none_ready_since =
                object.none_ready_since(health, before.map(|before| before.none_ready_since), clock::now());
            let (template, stalled) = (hash(&object.template(self.kind)), object.stalled(self.kind));
            let known = ReportedWorkload { target, health, template, stalled, none_ready_since };
            self.signal(&place, &known);
            reported.insert(place, known);
        }
        reports
    }

    /// Reports what workloads run, where that is new or has changed, before their health: an incident may follow from it.
    async fn templates(&self, objects: &[Object], reported: &Reported) {
        let is_new = |object: &&Object| {
            let (place, template) = (object.key(), hash(&object.template(self.kind)));
            reported.get(&place).is_none_or(|known| known.template != template)
        };
        let report = |object: &Object| {
            let (namespace, name) = object.key();
            let (target, template) = (self.target(&namespace, &name), object.template(self.kind));
            TemplateReport { target, kind: self.kind, name, template }
        };
        let room = MAX_WORKLOADS.saturating_sub(reported.len());
        let reports: Vec<TemplateReport> = objects.iter().filter(is_new).take(room).map(report).collect();
        if !reports.is_empty() {
            // The receiver is gone only when the process ends.
            let _ = self.events.send(SourceEvent::Templates { at: clock::now(), reports }).await;
        }
    }

    fn report(&self, target: Target, place: &WorkloadName, health: Option<Health>) -> HealthReport {
        HealthReport { target, kind: self.kind, name: place.1.clone(), health, deleted: false }
    }

    /// Sets what the state of a workload says and no event does.
    fn signal(&self, place: &WorkloadName, known: &ReportedWorkload) {
        let ((namespace, name), now, kind) = (place, clock::now(), self.kind.as_str());
        let unavailable = known.none_ready_since.map(|at| {
            let (level, reason, message) = (Level::Warning, UNAVAILABLE, NO_POD_IS_READY.to_owned());
            let node = self.owners.ask(|owners| owners.only_node(kind, namespace, name)).unwrap_or_default();
            let signal = Signal { level, kind, namespace, name, node: &node, reason, message, at };
            signal.after(self.config.timing.unavailable_after).while_it_lasts()
        });
        let all = known.stalled.iter().cloned().chain(unavailable).collect();
        self.signals.put(&signals::key(self.kind.as_str(), namespace, name), all, self.config.event_ttl, now);
    }

    /// Takes back its signals; the report takes back its health.
    fn forget(&self, place: &WorkloadName, known: ReportedWorkload, why: Forgotten) -> HealthReport {
        let deleted = why == Forgotten::Deleted;
        let key = signals::key(self.kind.as_str(), &place.0, &place.1);
        self.signals.put(&key, Vec::new(), self.config.event_ttl, clock::now());
        if deleted {
            self.owners.gone(Resource::of(self.kind), &place.0, &place.1);
        }
        HealthReport { deleted, ..self.report(known.target, place, None) }
    }

    fn target(&self, namespace: &str, name: &str) -> Target {
        Target {
            source: self.config.name.clone(),
            cluster: self.config.cluster.clone(),
            namespace: namespace.into(),
            service: self.owners.ask(|owners| place::service(self.kind.as_str(), namespace, name, owners)),
        }
    }

    async fn send(&self, reports: Vec<HealthReport>) {
        if !reports.is_empty() {
            // The receiver is gone only when the process ends.
            let _ = self.events.send(SourceEvent::Health { at: clock::now(), reports }).await;
        }
    }
}

/// A template in 64 bits: a workload's images may be long, and only whether they changed is asked.
fn hash(template: &PodTemplate) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in template.images.iter().chain([&template.revision]) {
        hash.update(part.as_bytes());
        hash.update(&[0]);
    }
    hash.digest()
}
