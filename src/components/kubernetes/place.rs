//! Determines which service an event belongs to. Pure: objects are looked up through [`ObjectLookup`].
//!
//! The first match counts: a label of the object or of its owners, in the configured order; for a pod without an
//! owner, the service whose selector fits; the end of the owner chain (Pod, ReplicaSet, Deployment; Job, CronJob);
//! the shape of the name. What has no namespace belongs to `node/NAME` or `cluster`.

use std::borrow::Cow;
use std::sync::Arc;

use super::event::KubeEvent;
use podbell_core::workload;

/// The service of what has no namespace and is not a node.
pub(crate) const CLUSTER: &str = "cluster";
/// The longest owner chain that is followed; longer ones do not exist.
pub(super) const LONGEST_CHAIN: usize = 6;

/// What is known of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// The service in its labels.
    pub label: Option<Arc<str>>,
    /// The kind and name of its owner.
    pub owner: Option<(Arc<str>, Arc<str>)>,
    /// The service whose selector fits it, if it has no owner.
    pub selected: Option<Arc<str>>,
}

/// What is known of a cluster.
pub trait ObjectLookup {
    /// What is known of an object.
    fn facts(&self, kind: &str, namespace: &str, name: &str) -> Option<ObjectFacts>;
    /// The service in the labels of objects that this one owns.
    fn learned(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<str>>;
}

/// Namespace (empty: none) and service of an event.
pub(crate) fn of<'a>(event: &'a KubeEvent, known: &impl ObjectLookup) -> (&'a str, Arc<str>) {
    let (kind, name) = (event.event.obj_type.as_ref(), event.event.obj_name.as_ref());
    if event.object_namespace.is_empty() {
        let service = if kind == "Node" { Cow::Owned(format!("node/{name}")) } else { Cow::Borrowed(CLUSTER) };
        return ("", service.as_ref().into());
    }
    let namespace = event.object_namespace.as_str();
    (namespace, service(kind, namespace, name, known))
}

/// The service of an object in a namespace.
pub(super) fn service(kind: &str, namespace: &str, name: &str, known: &impl ObjectLookup) -> Arc<str> {
    let (mut kind, mut name): (Arc<str>, Arc<str>) = (kind.into(), name.into());
    let mut selected = None;
    for step in 0..LONGEST_CHAIN {
        let facts = known.facts(&kind, namespace, &name);
        let label = facts.as_ref().and_then(|facts| facts.label.clone());
        if let Some(label) = label.or_else(|| known.learned(&kind, namespace, &name)) {
            return label;
        }
        match facts {
            Some(facts) => {
                selected = selected.or(facts.selected);
                let Some(owner) = facts.owner else {
                    return selected.unwrap_or_else(|| shape(&kind, namespace, &name, known));
                };
                (kind, name) = owner;
            }
            None if step == 0 => return shape(&kind, namespace, &name, known),
            // The last known object ends the chain: a Deployment, a CronJob. The name of a Job or ReplicaSet that
            // cannot be seen contains its owner's name.
            None => return shape(&kind, namespace, &name, known),
        }
    }
    name
}

/// The pod that a claim was made for: `disk-db-0` of a StatefulSet's pod `db-0`, `web-x2x7v-scratch` of the pod
/// that owns it. Claims are not watched, so the pod is found by the claim's name.
fn pod_of_claim<'n>(namespace: &str, name: &'n str, known: &impl ObjectLookup) -> Option<&'n str> {
    let facts = |pod: &str| known.facts("Pod", namespace, pod);
    let of_set = |pod: &&str| {
        facts(pod).is_some_and(|facts| facts.owner.is_some_and(|(kind, _)| &*kind == "StatefulSet"))
            || known.learned("StatefulSet", namespace, workload::of("Pod", pod)).is_some()
    };
    let gaps = || name.match_indices('-').map(|(at, _)| at);
    let owner = || gaps().map(|at| &name[..at]).rfind(|pod| facts(pod).is_some());
    gaps().map(|at| &name[at + 1..]).find(of_set).or_else(owner)
}

/// Derives the service from the name alone, and from labels learned from other objects of that workload.
fn shape(kind: &str, namespace: &str, name: &str, known: &impl ObjectLookup) -> Arc<str> {
    if kind == "PersistentVolumeClaim"
        && let Some(pod) = pod_of_claim(namespace, name, known)
    {
        return service("Pod", namespace, pod, known);
    }
    let workload = workload::of(kind, name);
    let learned = likely_owners(kind).iter().find_map(|owner| known.learned(owner, namespace, workload));
    learned.unwrap_or_else(|| workload.into())
}

/// The kinds of workloads that an object of this kind may belong to.
pub(super) fn likely_owners(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "ReplicaSet"],
        "ReplicaSet" | "HorizontalPodAutoscaler" | "PodDisruptionBudget" => &["Deployment", "StatefulSet"],
        "Job" => &["CronJob"],
        "Endpoints" | "EndpointSlice" | "Ingress" => &["Service"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Objects as `kind/name`.
    #[derive(Default)]
    struct Cluster {
        facts: BTreeMap<&'static str, ObjectFacts>,
        learned: BTreeMap<&'static str, &'static str>,
    }

    impl ObjectLookup for Cluster {
        fn facts(&self, kind: &str, namespace: &str, name: &str) -> Option<ObjectFacts> {
            (namespace == "shop").then(|| self.facts.get(format!("{kind}/{name}").as_str()).cloned())?
        }

        fn learned(&self, kind: &str, namespace: &str, name: &str) -> Option<Arc<str>> {
            (namespace == "shop")
                .then(|| self.learned.get(format!("{kind}/{name}").as_str()))?
                .map(|name| (*name).into())
        }
    }

    fn facts(label: Option<&str>, owner: Option<(&str, &str)>, selected: Option<&str>) -> ObjectFacts {
        ObjectFacts {
            label: label.map(Into::into),
            owner: owner.map(|(kind, name)| (kind.into(), name.into())),
            selected: selected.map(Into::into),
        }
    }

    fn event(kind: &str, namespace: &str, name: &str) -> KubeEvent {
        let text = serde_json::json!({"metadata": {"namespace": if namespace.is_empty() { "default" } else { namespace }},
            "involvedObject": {"kind": kind, "namespace": namespace, "name": name}});
        super::super::event::read(&text.to_string()).unwrap()
    }

    #[test]
    fn an_event_belongs_to_the_service_that_labels_owners_selectors_or_its_name_say() {
        let cluster = Cluster {
            facts: BTreeMap::from([
                ("Pod/web-6d4cf56db6-x2x7v", facts(Some("web-service"), Some(("ReplicaSet", "web-6d4cf56db6")), None)),
                ("Pod/api-6d4cf56db6-x2x7v", facts(None, Some(("ReplicaSet", "api-6d4cf56db6")), Some("never"))),
                ("ReplicaSet/api-6d4cf56db6", facts(None, Some(("Deployment", "api")), None)),
                ("Pod/cart-6d4cf56db6-x2x7v", facts(None, Some(("ReplicaSet", "cart-6d4cf56db6")), None)),
                ("ReplicaSet/cart-6d4cf56db6", facts(Some("cart-service"), Some(("Deployment", "cart")), None)),
                ("Pod/report-28391040-x2x7v", facts(None, Some(("Job", "report-28391040")), None)),
                ("Job/report-28391040", facts(None, Some(("CronJob", "report")), None)),
                ("Pod/blind-28391040-x2x7v", facts(None, Some(("Job", "blind-28391040")), None)),
                ("Pod/db-0", facts(None, Some(("StatefulSet", "db")), None)),
                ("Pod/bare", facts(None, None, Some("front"))),
                ("Pod/lone-x2x7v", facts(None, None, None)),
                ("Pod/loop", facts(None, Some(("Pod", "loop")), None)),
            ]),
            learned: BTreeMap::from([
                ("Deployment/web", "web-service"),
                ("StatefulSet/queue", "queue-service"),
                ("Service/front-svc", "front"),
            ]),
        };
        let cases = [
            ("Pod", "shop", "web-6d4cf56db6-x2x7v", "web-service", "its own label"),
            ("Pod", "shop", "web-6d4cf56db6-other", "web-6d4cf56db6-other", "unknown, and no generated name"),
            ("Pod", "shop", "web-6d4cf56db6-zzzzz", "web-service", "gone before podbell came: its workload is known"),
            ("Deployment", "shop", "web", "web-service", "what its replica sets are labelled"),
            ("HorizontalPodAutoscaler", "shop", "web", "web-service", "named after its workload"),
            ("Pod", "shop", "api-6d4cf56db6-x2x7v", "api", "Pod -> ReplicaSet -> Deployment"),
            ("ReplicaSet", "shop", "api-6d4cf56db6", "api", "ReplicaSet -> Deployment"),
            ("Pod", "shop", "cart-6d4cf56db6-x2x7v", "cart-service", "the label of its owner"),
            ("Pod", "shop", "report-28391040-x2x7v", "report", "Pod -> Job -> CronJob"),
            ("Job", "shop", "report-28391040", "report", "Job -> CronJob"),
            ("Pod", "shop", "blind-28391040-x2x7v", "blind", "a job that cannot be seen"),
            ("Pod", "shop", "db-0", "db", "Pod -> StatefulSet"),
            ("Pod", "shop", "bare", "front", "a selector fits"),
            ("Pod", "shop", "lone-x2x7v", "lone", "nobody owns or selects it"),
            ("Pod", "shop", "loop", "loop", "owners in a circle"),
            ("Service", "shop", "front-svc", "front", "what its selector calls its pods"),
            ("Endpoints", "shop", "front-svc", "front", "the same"),
            ("EndpointSlice", "shop", "front-svc-x2x7v", "front", "the same"),
            ("Service", "shop", "other", "other", "its own name"),
            ("PersistentVolumeClaim", "shop", "data-db-0", "db", "of a StatefulSet's pod"),
            ("PersistentVolumeClaim", "shop", "big-data-db-0", "db", "the template's name has a dash"),
            ("PersistentVolumeClaim", "shop", "wal-queue-3", "queue-service", "the pod is gone, its set is known"),
            ("PersistentVolumeClaim", "shop", "web-6d4cf56db6-x2x7v-tmp", "web-service", "of the pod that owns it"),
            ("PersistentVolumeClaim", "shop", "data-lost-0", "data-lost", "the shape of the name"),
            ("PersistentVolumeClaim", "shop", "uploads", "uploads", "its own name"),
            ("Pod", "else", "web-6d4cf56db6-x2x7v", "web", "another namespace knows nothing of this"),
        ];
        for (kind, namespace, name, service, why) in cases {
            let event = event(kind, namespace, name);
            assert_eq!(of(&event, &cluster), (namespace, service.into()), "{kind} {name}: {why}");
        }
    }

    #[test]
    fn what_lies_in_no_namespace_belongs_to_its_node_or_the_cluster() {
        let cluster = Cluster::default();
        for (kind, name, service) in
            [("Node", "n1", "node/n1"), ("PersistentVolume", "pv1", "cluster"), ("Namespace", "shop", "cluster")]
        {
            assert_eq!(of(&event(kind, "", name), &cluster), ("", service.into()), "{kind}");
        }
    }
}
