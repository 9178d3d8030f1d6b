//! The deliveries of one destination that no open send carries, ready to be asked what goes next.
//!
//! Deliveries of one incident go together. The next group is found without looking at the others:
//! after an outage thousands wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::{Delivery, DeliveryId, is_end};
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
    /// Groups that may go and disturb people, by rank: those of incidents without an open send.
    ready: BTreeSet<Rank>,
    /// Groups that may go and disturb nobody: the end of something, shown by the message that stands
    /// for it.
    silent: BTreeSet<Rank>,
    /// Incidents for which a message stands.
    anchored: HashSet<u64>,
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

    /// A message stands for an incident, or none does any more.
    pub fn set_anchored(&mut self, incident: u64, anchored: bool) {
        self.unrank(Group::Incident(incident));
        if anchored {
            self.anchored.insert(incident);
        } else {
            self.anchored.remove(&incident);
        }
        self.rank(Group::Incident(incident));
    }

    /// Whether something waits that is to be said of an incident.
    pub fn has(&self, incident: u64) -> bool {
        self.groups.contains_key(&Group::Incident(incident))
    }

    /// Whether what waits to be said of an incident will disturb nobody.
    pub fn is_silent(&self, incident: u64) -> bool {
        self.anchored.contains(&incident) && self.is_over(Group::Incident(incident))
    }

    /// Whether the newest of what waits says that it is over: the rest is folded into that.
    fn is_over(&self, group: Group) -> bool {
        let newest = self.groups.get(&group).and_then(|ids| self.deliveries.get(ids.last()?));
        newest.is_some_and(|delivery| is_end(delivery.kind))
    }

    /// What goes next of what disturbs nobody.
    pub fn next_silent(&self) -> Option<(Severity, Vec<DeliveryId>)> {
        self.first_of(&self.silent)
    }

    fn first_of(&self, ready: &BTreeSet<Rank>) -> Option<(Severity, Vec<DeliveryId>)> {
        let (Reverse(severity), _, group) = ready.first()?;
        Some((*severity, self.groups.get(group)?.iter().copied().collect()))
    }

    /// What goes next and disturbs people: its severity and its deliveries, oldest first.
    pub fn next(&self) -> Option<(Severity, Vec<DeliveryId>)> {
        self.first_of(&self.ready)
    }

    /// How many groups may go and disturb people.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Everything that may go and disturbs people, group by group, each oldest first.
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
            self.silent.remove(&rank);
        }
    }

    fn rank(&mut self, group: Group) {
        if let Some(rank) = self.rank_of(group) {
            let silent = matches!(group, Group::Incident(incident) if self.is_silent(incident));
            if silent { &mut self.silent } else { &mut self.ready }.insert(rank);
        }
    }
}

fn group_of(delivery: &Delivery) -> Group {
    delivery.incident.map_or(Group::Alone(delivery.id), Group::Incident)
}
