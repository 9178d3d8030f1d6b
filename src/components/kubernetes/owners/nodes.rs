//! Where pods are.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::place::{Known, LONGEST_CHAIN};
use super::{Owners, key};

impl Owners {
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
}
