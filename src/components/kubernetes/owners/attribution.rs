//! Which service an object belongs to: what labels say, what was learned from them, and what services select.

use std::cmp::Reverse;
use std::sync::Arc;

use super::super::place::{ObjectFacts, ObjectLookup};
use super::{Labels, Owners, key};

/// What a Service selects.
#[derive(Debug)]
pub(super) struct Selector {
    service: Arc<str>,
    labels: Labels,
    generation: u64,
}

impl Owners {
    /// What a service selects, in place of what it selected before.
    pub(super) fn put_selector(&mut self, namespace: &str, name: &str, selector: Option<Labels>) {
        self.forget_selector(namespace, name);
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return };
        if let Some(label) = self.label(Some(&selector)) {
            self.learned.insert(learned_key("Service", namespace, name), label);
        }
        let (service, generation) = (self.word(name), self.generation);
        let one = Selector { service, labels: selector, generation };
        self.selectors.entry(namespace.into()).or_default().push(one);
    }

    pub(super) fn forget_selector(&mut self, namespace: &str, name: &str) {
        self.learned.remove(&learned_key("Service", namespace, name));
        if let Some(of_namespace) = self.selectors.get_mut(namespace) {
            of_namespace.retain(|one| *one.service != *name);
        }
    }

    /// Forgets the services that a list did not show.
    pub(super) fn selectors_end(&mut self, namespace: Option<&str>, began: u64) {
        let of_list = |key: &str| namespace.is_none_or(|namespace| namespace == key);
        for (namespace, selectors) in self.selectors.iter_mut().filter(|(key, _)| of_list(key)) {
            for one in selectors.extract_if(.., |one| one.generation < began) {
                self.learned.remove(&learned_key("Service", namespace, &one.service));
            }
        }
        self.selectors.retain(|_, selectors| !selectors.is_empty());
    }

    /// Learns again from the objects that are left.
    pub(super) fn learn_again(&mut self) {
        self.learned.retain(|key, _| key.starts_with("Service "));
        for objects in self.objects.values() {
            for (key, entry) in objects {
                let namespace = key.split_once('/').map_or("", |(namespace, _)| namespace);
                if let (Some(label), Some((kind, name))) = (&entry.label, &entry.owner) {
                    self.learned.insert(learned_key(kind, namespace, name), label.clone());
                }
            }
        }
    }

    /// The service in the labels of an object.
    pub(super) fn label(&mut self, labels: Option<&Labels>) -> Option<Arc<str>> {
        let labels = labels?;
        let found = self.keys.iter().filter_map(|key| labels.get(key)).find(|value| !value.is_empty())?;
        let found = found.clone();
        Some(self.word(&found))
    }
}

impl ObjectLookup for Owners {
    fn facts(&self, kind: &str, namespace: &str, name: &str) -> Option<ObjectFacts> {
        let entry = self.objects.get(kind)?.get(&*key(namespace, name))?;
        let selected = entry.labels.as_ref().and_then(|labels| {
            let fits = |selector: &Labels| selector.iter().all(|(key, value)| labels.get(key) == Some(value));
            let fitting = self.selectors.get(namespace)?.iter().filter(|one| fits(&one.labels));
            // The most specific selector, then by name: two watches must not decide by chance.
            fitting.max_by_key(|one| (one.labels.len(), Reverse(one.service.clone()))).map(|one| one.service.clone())
        });
        Some(ObjectFacts { label: entry.label.clone(), owner: entry.owner.clone(), selected })
    }

    fn learned(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<str>> {
        self.learned.get(&learned_key(kind, namespace, name)).cloned()
    }
}

pub(super) fn learned_key(kind: &str, namespace: &str, name: &str) -> Box<str> {
    format!("{kind} {namespace}/{name}").into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::object::Object;
    use super::super::tests::{at, object, owners, service_of};
    use crate::components::kubernetes::resource::Resource;

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
        owners.gone(Resource::Services, ("shop", "close"), at(0));
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
}
