//! Keeps up to date what is known of one resource.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::super::KubernetesConfig;
use super::super::api::Api;
use super::super::fault::{Fault, FaultKind};
use super::super::follow::{Follower, WatchEvent};
use super::super::object::Object;
use super::super::signals::{self, Signals, StateSignal};
use super::{SharedOwners, kind, metadata};
use crate::clock;
use crate::components::kubernetes::resource::{Purpose, Resource};
use crate::sources::{SourceEvent, WantedMetadata};
use podbell_core::metadata::MetadataKey;
use podbell_core::source::ObjectName;

/// Keeps up to date what is known of one resource.
pub(crate) struct OwnerWatch {
    /// The source.
    pub config: Arc<KubernetesConfig>,
    /// Its API server.
    pub api: Arc<Api>,
    /// The resource.
    pub resource: Resource,
    /// Its namespace; `None` for all of them.
    pub namespace: Option<Arc<str>>,
    /// What is known.
    pub owners: SharedOwners,
    /// The labels and annotations that rules look at.
    pub wanted: WantedMetadata,
    /// Turns true once the first list is there, or cannot be had.
    pub listed: watch::Sender<bool>,
    /// Hears of deleted objects.
    pub events: mpsc::Sender<SourceEvent>,
    /// Takes what the states of pods say.
    pub(in super::super) signals: Signals,
}

/// How far the current list is, and what was said of it.
#[derive(Default)]
struct Progress {
    /// The generation of the list that is under way.
    began: Option<u64>,
    /// The code of the refusal that was logged, until the resource can be read again.
    refused: Option<String>,
}

/// Runs a watch for as long as it is polled.
pub(crate) async fn keep(mut watch: OwnerWatch) {
    let mut follower = watch.follow();
    let mut keys = watch.wanted.borrow_and_update().clone();
    let mut progress = Progress::default();
    loop {
        if watch.is_for_labels() && keys.is_empty() {
            watch.owners.forget_metadata(watch.resource);
            watch.listed.send_replace(true);
            keys = metadata::other_keys(&mut watch.wanted, &keys).await;
        }
        let happening = tokio::select! {
            happening = follower.next() => happening,
            other = metadata::other_keys(&mut watch.wanted, &keys), if kind(watch.resource).is_some() => {
                // Rules want other keys now, which the cache lacks: list again.
                keys = other;
                (follower, progress.began) = (watch.follow(), None);
                continue;
            }
        };
        match happening {
            WatchEvent::Page { items, last } => watch.page(&items, last, &keys, &mut progress).await,
            WatchEvent::ListsAgain => progress.began = None,
            WatchEvent::Changed(object) => watch.changed(&object, &keys),
            WatchEvent::Deleted(object) => watch.deleted(&object).await,
            WatchEvent::Opened | WatchEvent::Heard(_) => watch.owners.change(|owners| owners.prune(clock::now())),
            WatchEvent::Failed(fault) => watch.failed(&fault, &mut progress).await,
        }
    }
}

impl OwnerWatch {
    fn follow(&self) -> Follower {
        Follower::new(self.api.clone(), self.config.clone(), self.resource, self.namespace.clone())
    }

    /// Whether the objects are read for their labels and annotations only.
    fn is_for_labels(&self) -> bool {
        self.resource.serves() == Purpose::Labels
    }

    async fn page(&self, items: &[Box<RawValue>], last: bool, keys: &BTreeSet<MetadataKey>, progress: &mut Progress) {
        let gone = self.owners.change(|owners| {
            let began = *progress.began.get_or_insert_with(|| owners.list_begins());
            for item in items {
                if let Some(object) = read(item) {
                    self.note_signals(item, &object);
                    owners.put(self.resource, object, metadata::read(item, keys));
                }
            }
            match last {
                true => owners.list_ends(self.resource, self.namespace.as_deref(), began, clock::now()),
                false => Vec::new(),
            }
        });
        gone.iter().for_each(|one| self.forget_signals(&signals::key(&one.kind, &one.namespace, &one.name)));
        if !self.is_for_labels() {
            self.report_deleted(gone).await;
        }
        if last {
            progress.began = None;
            self.listed.send_replace(true);
            if progress.refused.take().is_some() {
                tracing::info!(source = %self.config.name, resource = self.resource.name(), "can be read again");
            }
        }
    }

    fn changed(&self, text: &RawValue, keys: &BTreeSet<MetadataKey>) {
        if let Some(object) = read(text) {
            self.note_signals(text, &object);
            self.owners.change(|owners| owners.put(self.resource, object, metadata::read(text, keys)));
        }
    }

    async fn deleted(&self, text: &RawValue) {
        let Some(object) = read(text) else { return };
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        self.owners.gone(self.resource, namespace, &object.metadata.name);
        let Some(kind) = kind(self.resource).filter(|_| !self.is_for_labels()) else { return };
        self.forget_signals(&object_key(kind, &object));
        let namespace = namespace.to_owned();
        self.report_deleted(vec![ObjectName { namespace, kind: kind.to_owned(), name: object.metadata.name }]).await;
    }

    async fn report_deleted(&self, objects: Vec<ObjectName>) {
        if !objects.is_empty() {
            let event = SourceEvent::Deleted { source: self.config.name.clone(), at: clock::now(), objects };
            // The receiver is gone only when the process ends.
            let _ = self.events.send(event).await;
        }
    }

    async fn failed(&self, fault: &Fault, progress: &mut Progress) {
        self.listed.send_replace(true);
        // Any other failure affects events, too, and is reported there.
        if fault.kind != FaultKind::Refused {
            return;
        }
        if progress.refused.as_deref() != Some(&fault.error.code) {
            let (source, resource) = (&self.config.name, self.resource.name());
            let (code, text) = (&fault.error.code, &fault.error.text);
            match self.resource.serves() {
                Purpose::Autoscalers => tracing::info!(%source, resource, code, text,
                    "cannot be read: their incidents end when their events stop"),
                Purpose::Labels => tracing::info!(%source, resource, code, text,
                    "cannot be read: rules see none of their labels and annotations"),
                _ => tracing::warn!(%source, resource, code, text,
                    "cannot be read: which service an event belongs to is taken from names instead"),
            }
            progress.refused = Some(fault.error.code.clone());
        }
        // The operator has to fix that: no hurry.
        tokio::time::sleep(self.config.timing.longest_pause).await;
    }

    /// Takes what the state of an object says.
    fn note_signals(&self, text: &RawValue, object: &Object) {
        let of_state: fn(&str) -> Vec<StateSignal> = match self.resource {
            Resource::Pods => signals::of_pod,
            Resource::Jobs => signals::of_job,
            Resource::Autoscalers => signals::of_autoscaler,
            _ => return,
        };
        if let Some(kind) = kind(self.resource) {
            self.signals.put(&object_key(kind, object), of_state(text.get()), self.config.event_ttl, clock::now());
        }
    }

    fn forget_signals(&self, object: &str) {
        self.signals.put(object, Vec::new(), self.config.event_ttl, clock::now());
    }
}

fn object_key(kind: &str, object: &Object) -> String {
    signals::key(kind, object.metadata.namespace.as_deref().unwrap_or_default(), &object.metadata.name)
}

fn read(object: &RawValue) -> Option<Object> {
    serde_json::from_str(object.get()).ok()
}
