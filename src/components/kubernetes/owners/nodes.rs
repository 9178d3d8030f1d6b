//! Where pods are.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::place::{LONGEST_CHAIN, ObjectLookup};
use super::{Owners, key};

impl Owners {
    /// The node of a pod.
    pub(crate) fn node(&self, namespace: &str, pod: &str) -> Option<Arc<str>> {
        self.objects.get("Pod")?.get(&*key(namespace, pod))?.node.clone()
    }

    /// The workload's node, if all its scheduled pods share one. Pods that wait for a node do not count: where a node is
    /// away, they replace those that were on it.
    pub(crate) fn only_node(&self, kind: &str, namespace: &str, workload: &str) -> Option<Arc<str>> {
        let prefix = format!("{namespace}/{workload}-");
        let mut nodes = HashSet::new();
        for (key, entry) in
            self.objects.get("Pod")?.iter().filter(|(key, one)| one.gone.is_none() && key.starts_with(&*prefix))
        {
            let pod = key.split_once('/').map_or("", |(_, pod)| pod);
            if self.end_of_chain("Pod", namespace, pod) == (kind.into(), workload.into()) {
                nodes.extend(entry.node.clone());
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
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{object, owners};
    use super::*;
    use crate::components::kubernetes::object::Object;
    use crate::components::kubernetes::resource::Resource;

    fn pod(name: &str, node: Option<&str>) -> Object {
        let owner = json!([{"kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": true}]);
        let mut pod = object(name, json!({}), owner);
        pod.spec.node_name = node.map(str::to_owned);
        pod
    }

    #[test]
    fn a_workload_is_on_the_node_of_those_of_its_pods_that_have_one() {
        let mut owners = owners();
        let owner = json!([{"kind": "Deployment", "name": "web", "controller": true}]);
        owners.put(Resource::ReplicaSets, object("web-6d4cf56db6", json!({}), owner), None);
        let node = |owners: &Owners| owners.only_node("Deployment", "shop", "web").map(|node| node.to_string());
        owners.put(Resource::Pods, pod("web-6d4cf56db6-b8k2n", None), None);
        assert_eq!(node(&owners), None, "it waits for a node");
        owners.put(Resource::Pods, pod("web-6d4cf56db6-x2x7v", Some("n1")), None);
        assert_eq!(node(&owners).as_deref(), Some("n1"), "the other one still waits");
        owners.put(Resource::Pods, pod("web-6d4cf56db6-b8k2n", Some("n2")), None);
        assert_eq!(node(&owners), None, "it is on two");
    }
}
