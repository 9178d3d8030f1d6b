//! The deliveries of one destination that no open send carries, ordered by what goes next.
//!
//! Deliveries of one incident go together. The next group is found without a search: after an outage thousands wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::{Delivery, DeliveryId, is_end};
use crate::rule::Severity;
use crate::time::{Jump, Time};

/// Deliveries that are sent together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Group {
    Incident(u64),
    Alone(DeliveryId),
}

/// The most severe first, then the oldest.
type Rank = (Reverse<Severity>, DeliveryId, Group);

/// What a group means to its readers, in the order of sending: ends wait for news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something is wrong, still or again.
    News,
    /// An announcement of podbell's own ([`crate::notice::NoticeBody::Info`]).
    Announcement,
    /// Something is over.
    End,
}

/// A group that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyGroup {
    /// Its class.
    pub class: Class,
    /// The most severe of its deliveries.
    pub severity: Severity,
    /// Its deliveries, oldest first.
    pub deliveries: Vec<DeliveryId>,
}

/// The back-off of a group that was refused while others were taken.
#[derive(Clone, Copy, Debug)]
struct GroupBackoff {
    /// The group is not tried before this.
    until: Option<Time>,
    /// How often in a row it was refused.
    refused: u32,
}

/// The waiting deliveries of one destination.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    deliveries: BTreeMap<DeliveryId, Delivery>,
    groups: HashMap<Group, BTreeSet<DeliveryId>>,
    /// Groups that may go and disturb people, by rank: those of incidents without an open send.
    news: BTreeSet<Rank>,
    words: BTreeSet<Rank>,
    ends: BTreeSet<Rank>,
    /// Groups that may go and disturb nobody: the end of an incident for which a message stands.
    silent: BTreeSet<Rank>,
    /// Incidents for which a message stands.
    anchored: HashSet<u64>,
    by_birth: BTreeSet<(Duration, DeliveryId)>,
    busy: HashSet<u64>,
    backoffs: HashMap<Group, GroupBackoff>,
    backoff_ends: BTreeSet<(Time, Group)>,
}

impl Queue {
    /// How many deliveries wait.
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// A waiting delivery.
    pub(crate) fn get(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id)
    }

    /// Whether no delivery waits.
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// When the oldest of its deliveries became due.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.deliveries.values().next().map(|delivery| delivery.made_at)
    }

    /// The active time at which the delivery became due that has been tried longest.
    pub(crate) fn first_born(&self) -> Option<Duration> {
        self.by_birth.first().map(|(born, _)| *born)
    }

    /// Adds a new delivery and ends the pause of its incident: the content that was refused is another now.
    pub(crate) fn insert(&mut self, delivery: Delivery) {
        self.taken(&delivery);
        self.put_back(delivery);
    }

    /// Adds a delivery that was not taken.
    pub(crate) fn put_back(&mut self, delivery: Delivery) {
        let group = group_of(&delivery);
        self.unrank(group);
        self.groups.entry(group).or_default().insert(delivery.id);
        self.by_birth.insert((delivery.born, delivery.id));
        self.deliveries.insert(delivery.id, delivery);
        self.rank(group);
    }

    /// Pauses the groups of these deliveries, which were refused by a destination that takes others. `pause` gives the
    /// length after so many refusals in a row.
    pub(crate) fn rest<'a>(
        &mut self,
        deliveries: impl IntoIterator<Item = &'a DeliveryId>,
        pause: impl Fn(u32) -> Duration,
        now: Time,
    ) {
        let of = |id: &DeliveryId| self.deliveries.get(id).map(group_of);
        let groups: BTreeSet<Group> = deliveries.into_iter().filter_map(of).collect();
        for group in groups {
            self.unrank(group);
            let refused = self.backoffs.get(&group).map_or(0, |rest| rest.refused).saturating_add(1);
            self.set_backoff(group, Some(GroupBackoff { until: Some(now.plus(pause(refused))), refused }));
            self.rank(group);
        }
    }

    /// Ends the back-off of a delivery's group: its request was taken or given up, or its content is new.
    pub(crate) fn taken(&mut self, delivery: &Delivery) {
        let group = group_of(delivery);
        self.unrank(group);
        self.set_backoff(group, None);
        self.rank(group);
    }

    /// Ends the pauses that last until `now`.
    pub(crate) fn wake(&mut self, now: Time) {
        while let Some((_, group)) = self.backoff_ends.first().copied().filter(|(until, _)| *until <= now) {
            self.unrank(group);
            let rest = self.backoffs.get(&group).copied();
            self.set_backoff(group, rest.map(|rest| GroupBackoff { until: None, ..rest }));
            self.rank(group);
        }
    }

    /// When the next pause ends.
    pub(crate) fn first_rest(&self) -> Option<Time> {
        self.backoff_ends.first().map(|(until, _)| *until)
    }

    pub(super) fn clock_set(&mut self, by: Jump) {
        self.backoffs.values_mut().filter_map(|rest| rest.until.as_mut()).for_each(|until| until.carry(by));
        self.backoff_ends = self.backoff_ends.iter().map(|(until, group)| (until.moved(by), *group)).collect();
    }

    fn set_backoff(&mut self, group: Group, rest: Option<GroupBackoff>) {
        let before = match rest {
            Some(rest) => self.backoffs.insert(group, rest),
            None => self.backoffs.remove(&group),
        };
        if let Some(until) = before.and_then(|rest| rest.until) {
            self.backoff_ends.remove(&(until, group));
        }
        if let Some(until) = rest.and_then(|rest| rest.until) {
            self.backoff_ends.insert((until, group));
        }
    }

    /// Removes a delivery.
    pub(crate) fn remove(&mut self, id: DeliveryId) -> Option<Delivery> {
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

    /// Sets whether an incident has an open send.
    pub(crate) fn set_busy(&mut self, incident: u64, busy: bool) {
        self.unrank(Group::Incident(incident));
        if busy {
            self.busy.insert(incident);
        } else {
            self.busy.remove(&incident);
        }
        self.rank(Group::Incident(incident));
    }

    /// Sets whether a message stands for an incident.
    pub(crate) fn set_anchored(&mut self, incident: u64, anchored: bool) {
        self.unrank(Group::Incident(incident));
        if anchored {
            self.anchored.insert(incident);
        } else {
            self.anchored.remove(&incident);
        }
        self.rank(Group::Incident(incident));
    }

    /// Whether a delivery of an incident waits.
    pub(crate) fn has(&self, incident: u64) -> bool {
        self.groups.contains_key(&Group::Incident(incident))
    }

    /// Whether the waiting deliveries of an incident will disturb nobody.
    pub(crate) fn is_silent(&self, incident: u64) -> bool {
        self.anchored.contains(&incident) && self.is_over(Group::Incident(incident))
    }

    /// Whether the newest delivery of a group tells the end: the others are folded into it.
    fn is_over(&self, group: Group) -> bool {
        let newest = self.groups.get(&group).and_then(|ids| self.deliveries.get(ids.last()?));
        newest.is_some_and(|delivery| is_end(delivery.kind))
    }

    /// The group that goes next of those that disturb nobody.
    pub(crate) fn next_silent(&self) -> Option<(Severity, Vec<DeliveryId>)> {
        let (Reverse(severity), _, group) = self.silent.first()?;
        Some((*severity, self.groups.get(group)?.iter().copied().collect()))
    }

    /// The group that goes next of those that disturb people. The group that begins with `but` goes only if there is no
    /// other.
    pub(crate) fn next(&self, but: Option<DeliveryId>) -> Option<ReadyGroup> {
        let ranks = || self.ready();
        let other = ranks().find(|(_, (_, first, _))| Some(*first) != but);
        let (class, (Reverse(severity), _, group)) = other.or_else(|| ranks().next())?;
        let deliveries = self.groups.get(group)?.iter().copied().collect();
        Some(ReadyGroup { class, severity: *severity, deliveries })
    }

    /// How many groups of a class may go.
    pub fn count(&self, class: Class) -> usize {
        self.of_class(class).len()
    }

    /// Whether more than one group of news is critical.
    pub(crate) fn has_several_critical(&self) -> bool {
        self.news.iter().nth(1).is_some_and(|(Reverse(severity), ..)| *severity == Severity::Critical)
    }

    /// All deliveries that may go and disturb people, group by group, each oldest first.
    pub(crate) fn all_ready(&self) -> Vec<DeliveryId> {
        self.ready().filter_map(|(_, (_, _, group))| self.groups.get(group)).flatten().copied().collect()
    }

    /// The notices of the deliveries that go next, roughly in their order.
    pub(super) fn upcoming(&self) -> impl Iterator<Item = u64> {
        let ranks = self.ready().map(|(_, rank)| rank).chain(&self.silent);
        let deliveries = ranks.filter_map(|(_, _, group)| self.groups.get(group)).flatten();
        deliveries.filter_map(|id| self.deliveries.get(id)).map(|delivery| delivery.notice)
    }

    fn ready(&self) -> impl Iterator<Item = (Class, &Rank)> {
        [Class::News, Class::Announcement, Class::End]
            .into_iter()
            .flat_map(|class| self.of_class(class).iter().map(move |rank| (class, rank)))
    }

    fn of_class(&self, class: Class) -> &BTreeSet<Rank> {
        match class {
            Class::News => &self.news,
            Class::Announcement => &self.words,
            Class::End => &self.ends,
        }
    }

    fn class_of(&self, group: Group) -> Class {
        match group {
            Group::Alone(_) => Class::Announcement,
            Group::Incident(_) if self.is_over(group) => Class::End,
            Group::Incident(_) => Class::News,
        }
    }

    /// Removes all deliveries that `over` selects.
    pub(crate) fn drain(&mut self, over: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let ids: Vec<DeliveryId> =
            self.deliveries.values().filter(|delivery| over(delivery)).map(|delivery| delivery.id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn rank_of(&self, group: Group) -> Option<Rank> {
        if matches!(group, Group::Incident(incident) if self.busy.contains(&incident)) {
            return None;
        }
        if self.backoffs.get(&group).is_some_and(|rest| rest.until.is_some()) {
            return None;
        }
        let ids = self.groups.get(&group)?;
        let severity = ids.iter().filter_map(|id| self.deliveries.get(id)).map(|delivery| delivery.severity).max()?;
        Some((Reverse(severity), *ids.first()?, group))
    }

    fn unrank(&mut self, group: Group) {
        if let Some(rank) = self.rank_of(group) {
            for ranks in [&mut self.news, &mut self.words, &mut self.ends, &mut self.silent] {
                ranks.remove(&rank);
            }
        }
    }

    fn rank(&mut self, group: Group) {
        if let Some(rank) = self.rank_of(group) {
            let silent = matches!(group, Group::Incident(incident) if self.is_silent(incident));
            let ranks = match self.class_of(group) {
                _ if silent => &mut self.silent,
                Class::News => &mut self.news,
                Class::Announcement => &mut self.words,
                Class::End => &mut self.ends,
            };
            ranks.insert(rank);
        }
    }
}

fn group_of(delivery: &Delivery) -> Group {
    delivery.incident.map_or(Group::Alone(delivery.id), Group::Incident)
}
