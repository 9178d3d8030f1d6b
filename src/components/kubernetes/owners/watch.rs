//! Keeps up to date what is known of one resource.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::super::KubernetesConfig;
use super::super::api::{Api, FaultKind};
use super::super::follow::{Follower, Happening, Purpose, Resource};
use super::super::object::Object;
use super::super::signals::{self, Signals, StateSignal};
use super::{SharedOwners, kind, metadata};
use crate::clock;
use crate::sources::{SourceEvent, WantedMetadata};
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

/// Runs a watch for as long as it is polled.
pub(crate) async fn keep(watch: OwnerWatch) {
    let OwnerWatch { config, api, resource, namespace, owners, mut wanted, listed, events, signals } = watch;
    let deleted = async |objects: Vec<ObjectName>| {
        if !objects.is_empty() {
            let event = SourceEvent::Deleted { source: config.name.clone(), at: clock::now(), objects };
            // The receiver is gone only when the process ends.
            let _ = events.send(event).await;
        }
    };
    let read_signals: Option<fn(&str) -> Vec<StateSignal>> = match resource {
        Resource::Pods => Some(signals::of_pod),
        Resource::Jobs => Some(signals::of_job),
        Resource::Autoscalers => Some(signals::of_autoscaler),
        _ => None,
    };
    let note = |text: &RawValue, object: &Object| {
        if let (Some(read_signals), Some(kind)) = (read_signals, kind(resource)) {
            let key = object_key(kind, object);
            signals.put(&key, read_signals(text.get()), config.event_ttl, clock::now());
        }
    };
    let forget = |key: &str| signals.put(key, Vec::new(), config.event_ttl, clock::now());
    let follow = || Follower::new(api.clone(), config.clone(), resource, namespace.clone());
    let mut follower = follow();
    let mut keys = wanted.borrow_and_update().clone();
    let serves = resource.serves();
    // These are read for their labels and annotations only.
    let only_labels = serves == Purpose::Labels;
    let mut began = None;
    let mut said: Option<String> = None;
    loop {
        if only_labels && keys.is_empty() {
            owners.forget_metadata(resource);
            listed.send_replace(true);
            keys = metadata::other_keys(&mut wanted, &keys).await;
        }
        let happening = tokio::select! {
            happening = follower.next() => happening,
            other = metadata::other_keys(&mut wanted, &keys), if kind(resource).is_some() => {
                // What is known of the objects says nothing of other keys: all of them are listed again.
                keys = other;
                (follower, began) = (follow(), None);
                continue;
            }
        };
        match happening {
            Happening::Page { items, last } => {
                let gone = owners.change(|owners| {
                    let began = *began.get_or_insert_with(|| owners.list_begins());
                    for item in &items {
                        if let Some(object) = read(item) {
                            note(item, &object);
                            owners.put(resource, object, metadata::read(item, &keys));
                        }
                    }
                    match last {
                        true => owners.list_ends(resource, namespace.as_deref(), began, clock::now()),
                        false => Vec::new(),
                    }
                });
                gone.iter().for_each(|one| forget(&signals::key(&one.kind, &one.namespace, &one.name)));
                if !only_labels {
                    deleted(gone).await;
                }
                if last {
                    began = None;
                    listed.send_replace(true);
                    if said.take().is_some() {
                        tracing::info!(source = %config.name, resource = resource.name(), "can be read again");
                    }
                }
            }
            Happening::ListsAgain => began = None,
            Happening::Changed(object) => {
                if let Some(read) = read(&object) {
                    note(&object, &read);
                    owners.change(|owners| owners.put(resource, read, metadata::read(&object, &keys)));
                }
            }
            Happening::Deleted(object) => {
                if let Some(object) = read(&object) {
                    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
                    owners.gone(resource, namespace, &object.metadata.name);
                    let kind = kind(resource).filter(|_| !only_labels);
                    if let Some(kind) = kind {
                        forget(&object_key(kind, &object));
                    }
                    let one = |kind: &str| ObjectName {
                        namespace: object.metadata.namespace.clone().unwrap_or_default(),
                        kind: kind.to_owned(),
                        name: object.metadata.name.clone(),
                    };
                    deleted(kind.map(one).into_iter().collect()).await;
                }
            }
            Happening::Opened | Happening::Heard(_) => owners.change(|owners| owners.prune(clock::now())),
            Happening::Failed(fault) => {
                listed.send_replace(true);
                // Any other failure affects events, too, and is reported there.
                let refused = fault.kind == FaultKind::Refused && fault.error.code != "http-401";
                if refused && said.as_deref() != Some(&fault.error.code) {
                    let (source, resource) = (&config.name, resource.name());
                    let (code, text) = (&fault.error.code, &fault.error.text);
                    match serves {
                        Purpose::Autoscalers => tracing::info!(%source, resource, code, text,
                            "cannot be read: their incidents end when their events stop"),
                        Purpose::Labels => tracing::info!(%source, resource, code, text,
                            "cannot be read: rules see none of their labels and annotations"),
                        _ => tracing::warn!(%source, resource, code, text,
                            "cannot be read: which service an event belongs to is taken from names instead"),
                    }
                    said = Some(fault.error.code.clone());
                }
                if refused {
                    // The operator has to fix that: no hurry.
                    tokio::time::sleep(config.pace.longest_pause).await;
                }
            }
        }
    }
}

fn object_key(kind: &str, object: &Object) -> String {
    signals::key(kind, object.metadata.namespace.as_deref().unwrap_or_default(), &object.metadata.name)
}

fn read(object: &RawValue) -> Option<Object> {
    serde_json::from_str(object.get()).ok()
}
