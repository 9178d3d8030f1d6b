//! The pods that suffer from the cause of an incident.

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::{fold_name, insert_sorted};
use crate::notice::AffectedWorkload;

/// Most workloads kept per incident, and most pods of each.
const MAX_WORKLOADS: usize = 500;
const MAX_PODS: usize = 500;

/// The pods of a workload that suffer, folded to 32 bits, sorted; by `namespace/workload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affected(LiteMap<Box<str>, Vec<u32>>);

impl Affected {
    /// Adds a pod of a workload. Returns whether it is new.
    pub(super) fn add(&mut self, place: &str, pod: &str) -> bool {
        self.add_workload(place);
        let Some(pods) = self.0.get_mut(place).filter(|pods| pods.len() < MAX_PODS) else { return false };
        insert_sorted(pods, fold_name(pod))
    }

    /// Adds a workload of which no pod is known, unless there are too many.
    pub(super) fn add_workload(&mut self, place: &str) {
        if self.0.len() < MAX_WORKLOADS && !self.has(place) {
            self.0.insert(place.into(), Vec::new());
        }
    }

    /// Whether it has a workload.
    pub(super) fn has(&self, place: &str) -> bool {
        self.0.contains_key(place)
    }

    /// Whether it has a pod of a workload.
    pub(super) fn knows(&self, place: &str, pod: &str) -> bool {
        self.0.get(place).is_some_and(|pods| pods.binary_search(&fold_name(pod)).is_ok())
    }

    /// How many workloads.
    pub(super) fn workloads(&self) -> usize {
        self.0.len()
    }

    /// The workloads for a story, those with most pods first.
    pub(super) fn named(&self, most: usize) -> Vec<AffectedWorkload> {
        let mut all: Vec<(&str, usize)> = self.0.iter().map(|(place, pods)| (&**place, pods.len())).collect();
        all.sort_by_key(|(place, pods)| (std::cmp::Reverse(*pods), *place));
        let named = |(place, pods): (&str, usize)| {
            let (namespace, workload) = place.split_once('/').unwrap_or(("", place));
            AffectedWorkload { namespace: namespace.to_owned(), workload: workload.to_owned(), pods: pods as u64 }
        };
        all.into_iter().take(most).map(named).collect()
    }
}
