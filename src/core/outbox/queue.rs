//! The deliveries of one destination that no open send carries, ready to be asked what goes next.
//!
//! Deliveries of one incident go together. The next group is found without looking at the others:
//! after an outage thousands wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::{Delivery, DeliveryId};
use crate::core::rules::Severity;

/// What is sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Group {
    Incident(u64),
    Alone(DeliveryId),
}

/// The most severe first, then the oldest.
type Rank = (Reverse<Severity>, DeliveryId, Group);

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    deliveries: BTreeMap<DeliveryId, Delivery>,
    groups: HashMap<Group, BTreeSet<DeliveryId>>,
    /// Groups that may go, by rank: those of incidents without an open send.
    ready: BTreeSet<Rank>,
    by_birth: BTreeSet<(Duration, DeliveryId)>,
    busy: HashSet<u64>,
}

impl Queue {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Since when the one that is tried longest is tried, in the destination's active time.
    pub fn first_born(&self) -> Option<Duration> {
        self.by_birth.first().map(|(born, _)| *born)
    }

    /// Adds one.
    pub fn insert(&mut self, delivery: Delivery) {
        let group = group_of(&delivery);
        self.unrank(group);
        self.groups.entry(group).or_default().insert(delivery.id);
        self.by_birth.insert((delivery.born, delivery.id));
        self.deliveries.insert(delivery.id, delivery);
        self.rank(group);
    }

    /// Takes one out.
    pub fn remove(&mut self, id: DeliveryId) -> Option<Delivery> {
        let group = group_of(self.deliveries.get(&id)?);
        self.unrank(group);
        if let Some(ids) = self.groups.get_mut(&group) {
            ids.remove(&id);
            if ids.is_empty() {
                self.groups.remove(&group);
            }
        }
        self.rank(group);
        let removed = self.deliveries.remove(&id)?;
        self.by_birth.remove(&(removed.born, id));
        Some(removed)
    }

    /// An incident has an open send, or has none any more.
    pub fn set_busy(&mut self, incident: u64, busy: bool) {
        self.unrank(Group::Incident(incident));
        if busy {
            self.busy.insert(incident);
        } else {
            self.busy.remove(&incident);
        }
        self.rank(Group::Incident(incident));
    }

    /// What goes next: its severity and its deliveries, oldest first.
    pub fn next(&self) -> Option<(Severity, Vec<DeliveryId>)> {
        let (Reverse(severity), _, group) = self.ready.first()?;
        Some((*severity, self.groups.get(group)?.iter().copied().collect()))
    }

    /// How many groups may go.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Everything that may go, group by group, each oldest first.
    pub fn all_ready(&self) -> Vec<DeliveryId> {
        self.ready.iter().filter_map(|(_, _, group)| self.groups.get(group)).flatten().copied().collect()
    }

    /// Takes out all that `over` names.
    pub fn drain(&mut self, over: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let ids: Vec<DeliveryId> =
            self.deliveries.values().filter(|delivery| over(delivery)).map(|delivery| delivery.id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn rank_of(&self, group: Group) -> Option<Rank> {
        if matches!(group, Group::Incident(incident) if self.busy.contains(&incident)) {
            return None;
        }
        let ids = self.groups.get(&group)?;
        let severity = ids.iter().filter_map(|id| self.deliveries.get(id)).map(|delivery| delivery.severity).max()?;
        Some((Reverse(severity), *ids.first()?, group))
    }

    fn unrank(&mut self, group: Group) {
        if let Some(rank) = self.rank_of(group) {
            self.ready.remove(&rank);
        }
    }

    fn rank(&mut self, group: Group) {
        if let Some(rank) = self.rank_of(group) {
            self.ready.insert(rank);
        }
    }
}

fn group_of(delivery: &Delivery) -> Group {
    delivery.incident.map_or(Group::Alone(delivery.id), Group::Incident)
}
