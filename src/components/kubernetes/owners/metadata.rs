//! The labels and annotations that rules look at.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::object::{Described, Describing};
use super::super::place::LONGEST_CHAIN;
use super::{Labels, Owners, key};
use podbell_core::metadata::{Metadata, MetadataKey};

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
}

/// The labels and annotations of an object that rules look at.
pub(super) fn read(object: &RawValue, keys: &BTreeSet<MetadataKey>) -> Option<Metadata> {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::follow::Resource;
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
    }
}
