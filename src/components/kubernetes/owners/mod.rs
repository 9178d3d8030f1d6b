//! What is known of pods, replica sets, jobs and services, from watches of their metadata, and how workloads and
//! namespaces are labelled. Deleted objects are kept for as long as their events may exist. Where these watches see
//! nothing, attribution falls back to the shapes of names; no event is lost.
//!
//! `attribution`: which service an object belongs to; `nodes`: where pods are; `metadata`: labels and annotations that
//! rules look at; `watch` keeps all of it up to date.

mod attribution;
pub(super) mod metadata;
mod nodes;
mod watch;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use self::attribution::{Selector, learned_key};
use super::object::Object;
use super::resource::Resource;
use podbell_core::metadata::Metadata;
use podbell_core::source::ObjectName;
use podbell_core::time::Time;

pub(crate) use self::watch::{OwnerWatch, keep};

/// Beyond this, objects are not kept; their events are attributed by name.
const MAX_OBJECTS: usize = 200_000;
/// How much longer than the events' lifetime a deleted object is kept.
const LINGER: Duration = Duration::from_secs(600);
/// How often deleted objects are checked for their age.
const PRUNE_EVERY: Duration = Duration::from_secs(60);

type Labels = BTreeMap<String, String>;

/// Shared by the watches that fill it and the one that queries it.
#[derive(Clone)]
pub(crate) struct SharedOwners(Arc<RwLock<Owners>>);

impl SharedOwners {
    /// See [`Owners`].
    pub(crate) fn new(owners: Owners) -> Self {
        Self(Arc::new(RwLock::new(owners)))
    }

    /// Runs a query.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Owners) -> T) -> T {
        ask(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Owners) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    keys: Vec<String>,
    keep: Duration,
    /// By kind, then by `namespace/name`.
    objects: HashMap<&'static str, HashMap<Box<str>, Entry>>,
    /// By kind and `namespace/name` of an owner: the service in the labels of its objects.
    learned: HashMap<Box<str>, Arc<str>>,
    /// By namespace.
    selectors: HashMap<Box<str>, Vec<Selector>>,
    words: HashSet<Arc<str>>,
    /// Labels and annotations that objects have in common.
    shared: HashSet<Arc<Metadata>>,
    generation: u64,
    pruned: Time,
}

#[derive(Debug, Default)]
struct Entry {
    label: Option<Arc<str>>,
    owner: Option<(Arc<str>, Arc<str>)>,
    /// Only of a pod.
    node: Option<Arc<str>>,
    /// Kept only of a pod that has neither label nor owner.
    labels: Option<Labels>,
    /// What rules look at.
    metadata: Option<Arc<Metadata>>,
    gone: Option<Time>,
    generation: u64,
}

impl Owners {
    /// For a cluster that nothing is known of yet.
    pub(crate) fn new(keys: &[String], event_ttl: Duration) -> Self {
        Self { keys: keys.to_vec(), keep: event_ttl + LINGER, ..Self::default() }
    }

    /// Adds or updates an object.
    pub(crate) fn put(&mut self, resource: Resource, object: Object, metadata: Option<Metadata>) {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let name = &object.metadata.name;
        if resource == Resource::Services {
            self.put_selector(namespace, name, object.spec.selector);
            return;
        }
        let Some(kind) = kind(resource) else { return };
        if !matches!(resource, Resource::Pods | Resource::ReplicaSets | Resource::Jobs) {
            // Their own labels must not name services: they are read only while rules look at labels.
            return self.describe(kind, namespace, name, metadata);
        }
        let label = self.label(object.metadata.labels.as_ref());
        let owner = object.metadata.owner().map(|owner| (owner.kind.clone(), owner.name.clone()));
        let owner = owner.map(|(kind, name)| (self.word(&kind), self.word(&name)));
        if let (Some(label), Some((kind, name))) = (&label, &owner) {
            self.learned.insert(learned_key(kind, namespace, name), label.clone());
        }
        let bare = label.is_none() && owner.is_none() && resource == Resource::Pods;
        let labels = object.metadata.labels.filter(|labels| bare && !labels.is_empty());
        let node = object.spec.node_name.filter(|node| !node.is_empty()).map(|node| self.word(&node));
        let metadata = metadata.map(|metadata| self.share(metadata));
        let generation = self.generation;
        let key = key(namespace, name);
        let of_kind = self.objects.entry(kind).or_default();
        if of_kind.len() < MAX_OBJECTS || of_kind.contains_key(&*key) {
            of_kind.insert(key, Entry { label, owner, node, labels, metadata, gone: None, generation });
        }
    }

    /// An object was deleted. It is kept for its events.
    pub(crate) fn gone(&mut self, resource: Resource, (namespace, name): (&str, &str), now: Time) {
        if resource == Resource::Services {
            self.forget_selector(namespace, name);
        } else if let Some(entry) =
            kind(resource).and_then(|kind| self.objects.get_mut(kind)?.get_mut(&*key(namespace, name)))
        {
            entry.gone.get_or_insert(now);
        }
    }

    /// A list begins. At its end, whatever it did not show is gone.
    pub(crate) fn list_begins(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Ends the list that began with this generation, of one namespace or of all. Returns what is gone since the
    /// list before.
    pub(crate) fn list_ends(
        &mut self,
        resource: Resource,
        namespace: Option<&str>,
        began: u64,
        now: Time,
    ) -> Vec<ObjectName> {
        let mut ended = Vec::new();
        if resource == Resource::Services {
            self.selectors_end(namespace, began);
            return ended;
        }
        let prefix = namespace.map(|namespace| format!("{namespace}/"));
        let of_list = |key: &str| prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix.as_str()));
        let Some(kind) = kind(resource) else { return ended };
        for (key, entry) in self.objects.get_mut(kind).into_iter().flatten() {
            if entry.generation >= began || !of_list(key) || entry.gone.is_some() {
                continue;
            }
            entry.gone = Some(now);
            let (namespace, name) = key.split_once('/').unwrap_or(("", key));
            ended.push(ObjectName { namespace: namespace.to_owned(), kind: kind.to_owned(), name: name.to_owned() });
        }
        ended
    }

    /// Forgets what has been gone for too long.
    pub(crate) fn prune(&mut self, now: Time) {
        if now.since(self.pruned) < PRUNE_EVERY {
            return;
        }
        self.pruned = now;
        let keep = self.keep;
        let mut forgot = false;
        for objects in self.objects.values_mut() {
            objects.retain(|_, entry| {
                let stays = entry.gone.is_none_or(|gone| now.since(gone) < keep);
                forgot |= !stays;
                stays
            });
        }
        if !forgot {
            return;
        }
        self.learn_again();
        self.words.retain(|word| Arc::strong_count(word) > 1);
        self.shared.retain(|metadata| Arc::strong_count(metadata) > 1);
    }

    /// Shares equal texts: thousands of pods have a few names in common.
    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.words.get(text) {
            return known.clone();
        }
        let word: Arc<str> = text.into();
        self.words.insert(word.clone());
        word
    }
}

fn kind(resource: Resource) -> Option<&'static str> {
    match resource {
        Resource::Pods => Some("Pod"),
        Resource::ReplicaSets => Some("ReplicaSet"),
        Resource::Jobs => Some("Job"),
        Resource::Deployments => Some("Deployment"),
        Resource::StatefulSets => Some("StatefulSet"),
        Resource::DaemonSets => Some("DaemonSet"),
        Resource::Autoscalers => Some("HorizontalPodAutoscaler"),
        Resource::CronJobs => Some("CronJob"),
        Resource::Namespaces => Some("Namespace"),
        Resource::Events | Resource::Services | Resource::Nodes => None,
    }
}

fn key(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{SERVICE_LABELS, place};
    use super::*;

    /// How many objects are kept.
    fn count(owners: &Owners) -> usize {
        owners.objects.values().map(HashMap::len).sum()
    }

    pub(super) fn owners() -> Owners {
        Owners::new(&SERVICE_LABELS.map(str::to_owned), Duration::from_secs(3600))
    }

    pub(super) fn object(name: &str, labels: Value, owner: Value) -> Object {
        serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "shop", "labels": labels, "ownerReferences": owner}}),
        )
        .unwrap()
    }

    pub(super) fn service_of(owners: &Owners, kind: &str, name: &str) -> String {
        let text = json!({"metadata": {"namespace": "shop"}, "involvedObject": {"kind": kind, "namespace": "shop", "name": name}});
        place::of(&super::super::event::read(&text.to_string()).unwrap(), owners).1.to_string()
    }

    pub(super) fn at(seconds: i64) -> Time {
        Time::from_seconds(1_767_323_040 + seconds)
    }

    #[test]
    fn a_deleted_pod_stays_attributable_for_its_events_lifetime_and_no_longer() {
        let mut owners = owners();
        let pod = || {
            object(
                "web-6d4cf56db6-x2x7v",
                json!({"app": "web-service"}),
                json!([{"kind": "ReplicaSet", "name": "web-6d4cf56db6"}]),
            )
        };
        owners.put(Resource::Pods, pod(), None);
        owners.gone(Resource::Pods, ("shop", "web-6d4cf56db6-x2x7v"), at(0));
        owners.prune(at(3600));
        assert_eq!(service_of(&owners, "Pod", "web-6d4cf56db6-x2x7v"), "web-service");
        owners.prune(at(3600 + 601));
        assert_eq!(count(&owners), 0);
        assert_eq!(service_of(&owners, "Pod", "web-6d4cf56db6-x2x7v"), "web");
    }

    #[test]
    fn what_a_new_list_does_not_show_is_gone_in_its_namespace_only() {
        let mut owners = owners();
        owners.put(Resource::Pods, object("a", json!({"app": "a"}), json!(null)), None);
        owners.put(Resource::Pods, object("b", json!({"app": "b"}), json!(null)), None);
        let began = owners.list_begins();
        owners.put(Resource::Pods, object("b", json!({"app": "b"}), json!(null)), None);
        owners.list_ends(Resource::Pods, Some("other"), began, at(0));
        owners.prune(at(10_000));
        assert_eq!(count(&owners), 2);
        owners.list_ends(Resource::Pods, Some("shop"), began, at(10_000));
        owners.prune(at(20_000));
        assert_eq!(count(&owners), 1);
    }
}
