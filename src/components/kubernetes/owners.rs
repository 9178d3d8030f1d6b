//! What is known of pods, replica sets, jobs and services, from watches of their metadata. Deleted objects are kept
//! for as long as their events may exist. Where these watches see nothing, attribution falls back to the shapes of
//! names; no event is lost.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};

use super::KubernetesConfig;
use super::api::{Api, FaultKind};
use super::follow::{Follower, Happening, Resource};
use super::object::{Described, Describing, Object};
use super::place::{Facts, Known, LONGEST_CHAIN};
use super::signals::{self, Signals, StateSignal};
use crate::clock;
use crate::sources::{SourceEvent, WantedMetadata};
use podbell_core::metadata::{Metadata, MetadataKey};
use podbell_core::source::ObjectName;
use podbell_core::time::Time;

/// Beyond this, objects are not kept; their events are attributed by name.
const MOST_OBJECTS: usize = 200_000;
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

/// What a Service selects.
#[derive(Debug)]
struct Selector {
    service: Arc<str>,
    labels: Labels,
    generation: u64,
}

#[derive(Debug)]
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
            self.forget_selector(namespace, name);
            let Some(selector) = object.spec.selector.filter(|selector| !selector.is_empty()) else { return };
            if let Some(label) = self.label(Some(&selector)) {
                self.learned.insert(learned_key("Service", namespace, name), label);
            }
            let (service, generation) = (self.word(name), self.generation);
            let one = Selector { service, labels: selector, generation };
            self.selectors.entry(namespace.into()).or_default().push(one);
            return;
        }
        let Some(kind) = kind(resource) else { return };
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
        if of_kind.len() < MOST_OBJECTS || of_kind.contains_key(&*key) {
            of_kind.insert(key, Entry { label, owner, node, labels, metadata, gone: None, generation });
        }
    }

    /// An object was deleted. It is kept for its events.
    pub(crate) fn gone(&mut self, resource: Resource, object: &Object, now: Time) {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        if resource == Resource::Services {
            self.forget_selector(namespace, &object.metadata.name);
        } else if let Some(entry) =
            kind(resource).and_then(|kind| self.objects.get_mut(kind)?.get_mut(&*key(namespace, &object.metadata.name)))
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

    fn selectors_end(&mut self, namespace: Option<&str>, began: u64) {
        let of_list = |key: &str| namespace.is_none_or(|namespace| namespace == key);
        for (namespace, selectors) in self.selectors.iter_mut().filter(|(key, _)| of_list(key)) {
            for one in selectors.extract_if(.., |one| one.generation < began) {
                self.learned.remove(&learned_key("Service", namespace, &one.service));
            }
        }
        self.selectors.retain(|_, selectors| !selectors.is_empty());
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
        // Learn again only from the objects that are left.
        self.learned.retain(|key, _| key.starts_with("Service "));
        for objects in self.objects.values() {
            for (key, entry) in objects {
                let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
                if let (Some(label), Some((kind, name))) = (&entry.label, &entry.owner) {
                    self.learned.insert(learned_key(kind, namespace, name), label.clone());
                }
            }
        }
        self.words.retain(|word| Arc::strong_count(word) > 1);
        self.shared.retain(|metadata| Arc::strong_count(metadata) > 1);
    }

    fn share(&mut self, metadata: Metadata) -> Arc<Metadata> {
        if let Some(known) = self.shared.get(&metadata) {
            return known.clone();
        }
        let metadata = Arc::new(metadata);
        self.shared.insert(metadata.clone());
        metadata
    }

    /// The labels and annotations of an object that rules look at, and of its owners where it has none of that key.
    pub(crate) fn metadata(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Metadata>> {
        if self.shared.is_empty() {
            return None;
        }
        let mut found: Option<Arc<Metadata>> = None;
        let mut next = self.objects.get(kind)?.get(&*key(namespace, name));
        for _ in 0..LONGEST_CHAIN {
            let Some(entry) = next else { break };
            found = match (found, &entry.metadata) {
                (Some(near), Some(far)) if near != *far => Some(Arc::new(Metadata::clone(&near).or(far))),
                (near, far) => near.or_else(|| far.clone()),
            };
            next = entry.owner.as_ref().and_then(|(kind, name)| self.objects.get(&**kind)?.get(&*key(namespace, name)));
        }
        found
    }

    /// The node of a pod.
    pub(crate) fn node(&self, namespace: &str, pod: &str) -> Option<Arc<str>> {
        self.objects.get("Pod")?.get(&*key(namespace, pod))?.node.clone()
    }

    /// The node of all pods of a workload, if they are on one.
    pub(crate) fn only_node(&self, kind: &str, namespace: &str, workload: &str) -> Option<Arc<str>> {
        let prefix = format!("{namespace}/{workload}-");
        let mut nodes = HashSet::new();
        for (key, entry) in
            self.objects.get("Pod")?.iter().filter(|(key, one)| one.gone.is_none() && key.starts_with(&*prefix))
        {
            let pod = key.split_once('/').map_or("", |(_, pod)| pod);
            if self.end_of_chain("Pod", namespace, pod) == (kind.into(), workload.into()) {
                nodes.insert(entry.node.clone()?);
            }
        }
        let mut nodes = nodes.into_iter();
        nodes.next().filter(|_| nodes.next().is_none())
    }

    /// The owner of the owner, and so on.
    fn end_of_chain(&self, kind: &str, namespace: &str, name: &str) -> (Arc<str>, Arc<str>) {
        let (mut kind, mut name): (Arc<str>, Arc<str>) = (kind.into(), name.into());
        for _ in 0..LONGEST_CHAIN {
            let Some(owner) = self.facts(&kind, namespace, &name).and_then(|facts| facts.owner) else { break };
            (kind, name) = owner;
        }
        (kind, name)
    }

    fn forget_selector(&mut self, namespace: &str, name: &str) {
        self.learned.remove(&learned_key("Service", namespace, name));
        if let Some(of_namespace) = self.selectors.get_mut(namespace) {
            of_namespace.retain(|one| *one.service != *name);
        }
    }

    fn label(&mut self, labels: Option<&Labels>) -> Option<Arc<str>> {
        let labels = labels?;
        let found = self.keys.iter().filter_map(|key| labels.get(key)).find(|value| !value.is_empty())?;
        let found = found.clone();
        Some(self.word(&found))
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

impl Known for Owners {
    fn facts(&self, kind: &str, namespace: &str, name: &str) -> Option<Facts> {
        let entry = self.objects.get(kind)?.get(&*key(namespace, name))?;
        let selected = entry.labels.as_ref().and_then(|labels| {
            let fits = |selector: &Labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value));
            let fitting = self.selectors.get(namespace)?.iter().filter(|one| fits(&one.labels));
            // The most specific selector, then by name: two watches must not decide by chance.
            fitting
                .max_by_key(|one| (one.labels.len(), std::cmp::Reverse(one.service.clone())))
                .map(|one| one.service.clone())
        });
        Some(Facts { label: entry.label.clone(), owner: entry.owner.clone(), selected })
    }

    fn learned(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<str>> {
        self.learned.get(&learned_key(kind, namespace, name)).cloned()
    }
}

fn kind(resource: Resource) -> Option<&'static str> {
    match resource {
        Resource::Pods => Some("Pod"),
        Resource::ReplicaSets => Some("ReplicaSet"),
        Resource::Jobs => Some("Job"),
        _ => None,
    }
}

fn key(namespace: &str, name: &str) -> Box<str> {
    format!("{namespace}/{name}").into()
}

fn learned_key(kind: &str, namespace: &str, name: &str) -> Box<str> {
    format!("{kind} {namespace}/{name}").into()
}

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
    pub(super) signals: Signals,
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
    let mut began = None;
    let mut said: Option<String> = None;
    loop {
        let happening = tokio::select! {
            happening = follower.next() => happening,
            () = changed(&mut wanted, &keys), if kind(resource).is_some() => {
                // What is known of the objects says nothing of other keys: all of them are listed again.
                keys = wanted.borrow_and_update().clone();
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
                            owners.put(resource, object, metadata(item, &keys));
                        }
                    }
                    match last {
                        true => owners.list_ends(resource, namespace.as_deref(), began, clock::now()),
                        false => Vec::new(),
                    }
                });
                gone.iter().for_each(|one| forget(&signals::key(&one.kind, &one.namespace, &one.name)));
                deleted(gone).await;
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
                    owners.change(|owners| owners.put(resource, read, metadata(&object, &keys)));
                }
            }
            Happening::Deleted(object) => {
                if let Some(object) = read(&object) {
                    owners.change(|owners| owners.gone(resource, &object, clock::now()));
                    if let Some(kind) = kind(resource) {
                        forget(&object_key(kind, &object));
                    }
                    let one = |kind: &str| ObjectName {
                        namespace: object.metadata.namespace.clone().unwrap_or_default(),
                        kind: kind.to_owned(),
                        name: object.metadata.name.clone(),
                    };
                    deleted(kind(resource).map(one).into_iter().collect()).await;
                }
            }
            Happening::Opened | Happening::Heard(_) => owners.change(|owners| owners.prune(clock::now())),
            Happening::Failed(fault) => {
                listed.send_replace(true);
                // Any other failure affects events, too, and is reported there.
                let refused = fault.kind == FaultKind::Refused && fault.error.code != "http-401";
                if refused && said.as_deref() != Some(&fault.error.code) {
                    let (code, text) = (&fault.error.code, &fault.error.text);
                    tracing::warn!(source = %config.name, resource = resource.name(), code, text,
                        "cannot be read: which service an event belongs to is taken from names instead");
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

/// Waits until rules look at other labels and annotations.
async fn changed(wanted: &mut WantedMetadata, keys: &BTreeSet<MetadataKey>) {
    // Without a sender there are no other rules to come.
    if wanted.wait_for(|wanted| wanted != keys).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The labels and annotations of an object that rules look at.
fn metadata(object: &RawValue, keys: &BTreeSet<MetadataKey>) -> Option<Metadata> {
    if keys.is_empty() {
        return None;
    }
    let described: Described = serde_json::from_str(object.get()).ok()?;
    let chosen = |mut all: Labels, labels: bool| {
        let of_kind = keys.iter().filter(move |key| key.is_label() == labels);
        of_kind.filter_map(move |key| all.remove_entry(key.key())).collect::<Vec<_>>()
    };
    let Describing { labels, annotations } = described.metadata;
    Metadata::of(chosen(labels.unwrap_or_default(), true), chosen(annotations.unwrap_or_default(), false))
}

fn read(object: &RawValue) -> Option<Object> {
    serde_json::from_str(object.get()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use podbell_core::diagnostic::Source;
    use podbell_core::rules::{Names, RuleFile, Rules, compile};

    use super::super::{SERVICE_LABELS, place};
    use super::*;

    /// How many objects are kept.
    fn count(owners: &Owners) -> usize {
        owners.objects.values().map(HashMap::len).sum()
    }

    fn owners() -> Owners {
        Owners::new(&SERVICE_LABELS.map(str::to_owned), Duration::from_secs(3600))
    }

    fn object(name: &str, labels: Value, owner: Value) -> Object {
        serde_json::from_value(
            json!({"metadata": {"name": name, "namespace": "shop", "labels": labels, "ownerReferences": owner}}),
        )
        .unwrap()
    }

    fn service_of(owners: &Owners, kind: &str, name: &str) -> String {
        let text = json!({"metadata": {"namespace": "shop"}, "involvedObject": {"kind": kind, "namespace": "shop", "name": name}});
        place::of(&super::super::event::read(&text.to_string()).unwrap(), owners).1.to_string()
    }

    fn at(seconds: i64) -> Time {
        Time::from_seconds(1_767_323_040 + seconds)
    }

    #[test]
    fn the_first_configured_label_wins_whatever_their_order_on_the_object() {
        let mut owners = owners();
        let all = json!({"app": "d", "app.kubernetes.io/name": "c", "k8s-app": "b", "qcloud-app": "a"});
        owners.put(Resource::Pods, object("one", all, json!(null)), None);
        owners.put(
            Resource::Pods,
            object("two", json!({"app": "d", "app.kubernetes.io/name": "c"}), json!(null)),
            None,
        );
        owners.put(Resource::Pods, object("empty", json!({"qcloud-app": "", "app": "d"}), json!(null)), None);
        assert_eq!(["one", "two", "empty"].map(|name| service_of(&owners, "Pod", name)), ["a", "c", "d"]);
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
        owners.gone(Resource::Pods, &pod(), at(0));
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

    #[test]
    fn a_bare_pod_belongs_to_the_service_that_selects_it_most_closely() {
        let mut owners = owners();
        let service = |name: &str, selector: Value| -> Object {
            serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": "shop"}, "spec": {"selector": selector}}),
            )
            .unwrap()
        };
        owners.put(Resource::Services, service("any", json!({"tier": "front"})), None);
        owners.put(Resource::Services, service("close", json!({"tier": "front", "zone": "a"})), None);
        owners.put(Resource::Services, service("headless", json!(null)), None);
        owners.put(Resource::Pods, object("p", json!({"tier": "front", "zone": "a"}), json!(null)), None);
        assert_eq!(service_of(&owners, "Pod", "p"), "close");
        owners.gone(Resource::Services, &service("close", json!(null)), at(0));
        assert_eq!(service_of(&owners, "Pod", "p"), "any");
        owners.put(Resource::Services, service("web-svc", json!({"app": "web"})), None);
        assert_eq!(service_of(&owners, "EndpointSlice", "web-svc-x2x7v"), "web");
        // Deleted while nobody watched: the next list does not show it.
        let began = owners.list_begins();
        owners.put(Resource::Services, service("web-svc", json!({"app": "web"})), None);
        owners.list_ends(Resource::Services, Some("other"), began, at(1));
        assert_eq!(service_of(&owners, "Pod", "p"), "any");
        owners.list_ends(Resource::Services, Some("shop"), began, at(1));
        assert_eq!(service_of(&owners, "Pod", "p"), "p");
        assert_eq!(service_of(&owners, "EndpointSlice", "web-svc-x2x7v"), "web");
    }

    #[test]
    fn labels_of_the_nearest_object_count_and_only_keys_that_rules_use_are_kept() {
        let rules = r#"{"version": 1, "rules": [{"name": "a", "notify": ["x"], "group_by": ["label:team", "label:tier"],
            "match": {"reason": "x", "annotation:owner": "*"}}]}"#;
        let file = RuleFile {
            source: Source::new("r.yaml", rules),
            entry: 0,
            scope: None,
            names: Names::default(),
            defaults: Default::default(),
        };
        let keys = Rules::of([compile(&file)]).metadata_keys();
        let of = |name: &str, labels: Value, annotations: Value, owner: Value| {
            let text = json!({"metadata": {"name": name, "namespace": "shop", "labels": labels,
                "annotations": annotations, "ownerReferences": owner}});
            let raw = RawValue::from_string(text.to_string()).unwrap();
            (read(&raw).unwrap(), metadata(&raw, &keys), metadata(&raw, &BTreeSet::new()))
        };
        let mut owners = owners();
        let set = json!([{"kind": "ReplicaSet", "name": "web-6d4cf56db6"}]);
        let (pod, its, unwanted) = of("web-6d4cf56db6-x2x7v", json!({"team": "a", "app": "web"}), json!(null), set);
        assert_eq!(unwanted, None, "no rule looks at any");
        owners.put(Resource::Pods, pod, its);
        let own = json!({"team": "b", "tier": "front"});
        let annotations = json!({"owner": "ann", "kubectl.kubernetes.io/last-applied-configuration": "{}"});
        let (set, its, _) = of("web-6d4cf56db6", own, annotations, json!(null));
        owners.put(Resource::ReplicaSets, set, its);
        let known = owners.metadata("Pod", "shop", "web-6d4cf56db6-x2x7v").unwrap();
        assert_eq!(json!(*known), json!({"labels": {"team": "a", "tier": "front"}, "annotations": {"owner": "ann"}}));
        assert_eq!(owners.metadata("Pod", "shop", "other"), None);
        assert_eq!(owners.metadata("Deployment", "shop", "web"), None);
    }
}
