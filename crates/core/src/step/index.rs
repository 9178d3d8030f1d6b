//! Finds incidents by what they are about: by rule and group, by target, and by the shape of a generated name.

use std::hash::Hash;

use crate::event::Target;
use crate::incident::{Incident, insert_sorted};
use crate::map::FastMap;
use crate::rule::{Field, RuleKey};
use crate::series::{Identities, IncidentKey};
use crate::workload;

/// The incidents that are not over for good. A number is in it as long as its incident is.
#[derive(Debug)]
pub(super) struct IncidentIndex {
    identities: Identities,
    by_key: FastMap<IncidentKey, u64>,
    /// Numbers, ascending.
    by_target: FastMap<Target, Vec<u64>>,
    /// Incidents of workloads with generated names, by rule, group and shape of the name; ascending by number.
    by_shape: FastMap<IncidentKey, Vec<u64>>,
}

impl IncidentIndex {
    /// An empty one with room for so many incidents; `identities` are those of the state's store.
    pub(super) fn new(identities: Identities, room: usize) -> Self {
        Self {
            identities,
            by_key: FastMap::with_capacity_and_hasher(room, Default::default()),
            by_target: FastMap::with_capacity_and_hasher(room, Default::default()),
            by_shape: FastMap::default(),
        }
    }

    /// Takes in an incident.
    pub(super) fn insert(&mut self, incident: &Incident) {
        self.by_key.insert(self.identities.problem(&incident.rule, &incident.group), incident.id);
        if let Some((shape, _)) = self.shape_of(&incident.rule, &incident.group) {
            insert(&mut self.by_shape, shape, incident.id);
        }
        for target in &incident.targets {
            self.note_target(target, incident.id);
        }
    }

    /// Notes that a target shows an incident.
    pub(super) fn note_target(&mut self, target: &Target, id: u64) {
        match self.by_target.get_mut(target) {
            // Most targets show one incident.
            None => drop(self.by_target.insert(target.clone(), vec![id])),
            Some(ids) => _ = insert_sorted(ids, id),
        }
    }

    /// Forgets an incident.
    pub(super) fn remove(&mut self, incident: &Incident) {
        self.by_key.remove(&self.identities.problem(&incident.rule, &incident.group));
        if let Some((shape, _)) = self.shape_of(&incident.rule, &incident.group) {
            without(&mut self.by_shape, &shape, incident.id);
        }
        for target in &incident.targets {
            without(&mut self.by_target, target, incident.id);
        }
    }

    /// Gives an incident to another rule, unless that rule has one of the same group. Returns whether it did.
    pub(super) fn give_to(&mut self, incident: &Incident, rule: &RuleKey) -> bool {
        let new = self.identities.problem(rule, &incident.group);
        if self.by_key.contains_key(&new) {
            return false;
        }
        self.by_key.remove(&self.identities.problem(&incident.rule, &incident.group));
        self.by_key.insert(new, incident.id);
        if let Some((shape, _)) = self.shape_of(&incident.rule, &incident.group) {
            without(&mut self.by_shape, &shape, incident.id);
        }
        if let Some((shape, _)) = self.shape_of(rule, &incident.group) {
            insert(&mut self.by_shape, shape, incident.id);
        }
        true
    }

    /// The incident that a rule has of a group.
    pub(super) fn of(&mut self, rule: &RuleKey, group: &[(Field, String)]) -> Option<u64> {
        self.by_key.get(&self.identities.problem(rule, group)).copied()
    }

    /// The incidents that a target shows, ascending.
    pub(super) fn of_target(&self, target: &Target) -> &[u64] {
        self.by_target.get(target).map_or(&[], Vec::as_slice)
    }

    /// Forgets a target, and returns the incidents that it showed.
    pub(super) fn forget_target(&mut self, target: &Target) -> Vec<u64> {
        self.by_target.remove(target).unwrap_or_default()
    }

    /// The incidents of a rule whose groups differ from this one by the generated part of the workload's name only,
    /// ascending; and whether it is certain that a part is generated. `None` if the name has no such part.
    pub(super) fn of_shape(&mut self, rule: &RuleKey, group: &[(Field, String)]) -> Option<(&[u64], bool)> {
        let (shape, sure) = self.shape_of(rule, group)?;
        Some((self.by_shape.get(&shape)?, sure))
    }

    /// The identity of a group with the shape of the workload's generated name in the name's place.
    fn shape_of(&mut self, rule: &RuleKey, group: &[(Field, String)]) -> Option<(IncidentKey, bool)> {
        let at = group.iter().position(|(field, _)| *field == Field::Workload)?;
        let shape = workload::shape(&group.get(at)?.1)?;
        let mut of_shape = group.to_vec();
        of_shape.get_mut(at)?.1 = shape.text;
        Some((self.identities.problem(rule, &of_shape), shape.sure))
    }
}

/// Puts a number into the list at a key, which stays ascending.
fn insert(lists: &mut FastMap<IncidentKey, Vec<u64>>, key: IncidentKey, id: u64) {
    insert_sorted(lists.entry(key).or_default(), id);
}

/// Takes a number out of the list at a key, and the list out of the map if it is empty then.
fn without<K: Eq + Hash>(lists: &mut FastMap<K, Vec<u64>>, key: &K, id: u64) {
    if let Some(ids) = lists.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            lists.remove(key);
        }
    }
}
