//! The labels and annotations that rules look at.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::object::{DescribedObject, Describing};
use super::super::place::{self, LONGEST_CHAIN};
use super::{Entry, Labels, MAX_OBJECTS, Owners, SharedOwners, key, kind};
use crate::clock;
use crate::components::kubernetes::resource::Resource;
use crate::sources::WantedMetadata;
use podbell_core::metadata::{Metadata, MetadataKey};
use podbell_core::workload;

impl Owners {
    /// Objects with equal metadata share it.
    pub(super) fn share(&mut self, metadata: Metadata) -> Arc<Metadata> {
        if let Some(known) = self.shared.get(&metadata) {
            return known.clone();
        }
        let metadata = Arc::new(metadata);
        self.shared.insert(metadata.clone());
        metadata
    }

    /// Sets what describes a workload or a namespace.
    pub(super) fn describe(&mut self, kind: &'static str, namespace: &str, name: &str, metadata: Option<Metadata>) {
        let (key, generation) = (key(namespace, name), self.generation);
        let metadata = metadata.map(|metadata| self.share(metadata));
        let of_kind = self.objects.entry(kind).or_default();
        // An autoscaler is also kept to know when it was deleted.
        let is_wanted = metadata.is_some() || kind == "HorizontalPodAutoscaler";
        let has_room = is_wanted && of_kind.len() < MAX_OBJECTS;
        if has_room || of_kind.contains_key(&*key) {
            of_kind.insert(key, Entry { metadata, generation, ..Entry::default() });
        }
    }

    fn forget_metadata(&mut self, resource: Resource) {
        let of_kind = kind(resource).and_then(|kind| self.objects.get_mut(kind));
        of_kind.into_iter().flatten().for_each(|(_, entry)| entry.metadata = None);
    }

    /// The labels and annotations of an object that rules look at; those of its owners, then those of its namespace,
    /// where it has none of that key.
    pub(crate) fn metadata(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<Metadata>> {
        if self.shared.is_empty() {
            return None;
        }
        let (mut kind, mut name) = (kind, name);
        let mut found = None;
        for _ in 0..LONGEST_CHAIN {
            let entry = self.entry(kind, namespace, name);
            found = nearest(found, entry.or_else(|| self.likely_owner(kind, namespace, name)));
            let Some((owner_kind, owner)) = entry.and_then(|entry| entry.owner.as_ref()) else { break };
            (kind, name) = (owner_kind, owner);
        }
        nearest(found, self.entry("Namespace", "", namespace))
    }

    fn entry(&self, kind: &str, namespace: &str, name: &str) -> Option<&Entry> {
        self.objects.get(kind)?.get(&*key(namespace, name))
    }

    /// The owner of an object that is not known, by the shape of its name.
    fn likely_owner(&self, kind: &str, namespace: &str, name: &str) -> Option<&Entry> {
        let workload = workload::of(kind, name);
        place::likely_owners(kind).iter().find_map(|owner| self.entry(owner, namespace, workload))
    }
}

impl SharedOwners {
    /// Sets what describes a workload.
    pub(in super::super) fn describe(
        &self,
        kind: &'static str,
        (namespace, name): (&str, &str),
        metadata: Option<Metadata>,
    ) {
        self.change(|owners| owners.describe(kind, namespace, name, metadata));
    }

    /// Forgets the labels and annotations of a resource: no rule looks at any.
    pub(in super::super) fn forget_metadata(&self, resource: Resource) {
        self.change(|owners| owners.forget_metadata(resource));
    }

    /// A list of such objects begins: its mark.
    pub(in super::super) fn list_begins(&self) -> u64 {
        self.change(Owners::list_begins)
    }

    /// The list with this mark ends: what it did not show is gone.
    pub(in super::super) fn list_ends(&self, resource: Resource, namespace: Option<&str>, began: u64) {
        self.change(|owners| owners.list_ends(resource, namespace, began, clock::now()));
    }

    /// Such an object was deleted. It is kept for its events.
    pub(in super::super) fn gone(&self, resource: Resource, namespace: &str, name: &str) {
        self.change(|owners| owners.gone(resource, (namespace, name), clock::now()));
    }
}

/// What is known from nearer objects, and what only a farther one has.
fn nearest(near: Option<Arc<Metadata>>, far: Option<&Entry>) -> Option<Arc<Metadata>> {
    match (near, far.and_then(|entry| entry.metadata.as_ref())) {
        (Some(near), Some(far)) if near != *far => Some(Arc::new(Metadata::clone(&near).or(far))),
        (near, far) => near.or_else(|| far.cloned()),
    }
}

/// Waits until rules look at other labels and annotations, and returns those.
pub(in super::super) async fn other_keys(
    wanted: &mut WantedMetadata,
    keys: &BTreeSet<MetadataKey>,
) -> BTreeSet<MetadataKey> {
    let other = wanted.wait_for(|wanted| wanted != keys).await.map(|wanted| wanted.clone());
    match other {
        Ok(keys) => keys,
        // Without a sender there are no other rules to come.
        Err(_) => std::future::pending().await,
    }
}

/// The labels and annotations of an object that rules look at.
pub(in super::super) fn read(object: &RawValue, keys: &BTreeSet<MetadataKey>) -> Option<Metadata> {
    if keys.is_empty() {
        return None;
    }
    let described: DescribedObject = serde_json::from_str(object.get()).ok()?;
    let chosen = |mut all: Labels, labels: bool| {
        let of_kind = keys.iter().filter(move |key| key.is_label() == labels);
        of_kind.filter_map(move |key| all.remove_entry(key.key())).collect::<Vec<_>>()
    };
    let Describing { labels, annotations } = described.metadata;
    Metadata::of(chosen(labels.unwrap_or_default(), true), chosen(annotations.unwrap_or_default(), false))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::owners;
    use podbell_core::diagnostic::Source;
    use podbell_core::rules::{Names, RuleFile, Rules, compile};

    use super::*;

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
            (serde_json::from_str(raw.get()).unwrap(), read(&raw, &keys), read(&raw, &BTreeSet::new()))
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
        // What the set has not, its deployment may have; then the namespace.
        let known = |owners: &Owners, kind: &str, name: &str| {
            json!(owners.metadata(kind, "shop", name).map(|all| all.labels.clone()))
        };
        let label = |key: &str, value: &str| Metadata::of([(key.to_owned(), value.to_owned())], []);
        owners.describe("Deployment", "shop", "web", label("tier", "back"));
        owners.describe("Namespace", "", "shop", label("team", "shop"));
        assert_eq!(
            known(&owners, "Pod", "web-6d4cf56db6-zzzzz"),
            json!({"team": "shop", "tier": "back"}),
            "by its name"
        );
        assert_eq!(known(&owners, "Deployment", "web"), json!({"team": "shop", "tier": "back"}));
        assert_eq!(known(&owners, "Pod", "web-6d4cf56db6-x2x7v"), json!({"team": "a", "tier": "front"}));
        assert_eq!(known(&owners, "Service", "other"), json!({"team": "shop"}));
        owners.describe("Namespace", "", "shop", None);
        assert_eq!(known(&owners, "Service", "other"), json!(null));
    }
}
