//! Rebuilding the outbox from the store, and bringing it in line with podbell.yaml.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::destination::{DestinationHealth, DestinationState, OpenSend, Paused};
use super::{Delivery, Outbox, OutboxWrites, Policy, SendId, SendResult, Thread};
use crate::rule::Destination;
use crate::time::Time;

/// How far the clock at a start may lie behind the newest stored time: the time between two heartbeats.
const AHEAD: Duration = Duration::from_secs(15);

/// What an [`Outbox`] is rebuilt from.
#[derive(Debug, Default)]
pub struct RestoredOutbox {
    /// Destinations with the fingerprint they had, and their health.
    pub destinations: Vec<(Destination, Arc<str>, DestinationHealth)>,
    /// Deliveries that are due or claimed.
    pub deliveries: Vec<(Destination, Delivery, Option<SendId>)>,
    /// Messages that stand for incidents.
    pub threads: Vec<StoredThread>,
    /// Sends that are not settled, with their attempts.
    pub sends: Vec<(SendId, Destination, u32)>,
    /// Attempts of the last minutes, ascending.
    pub attempts: Vec<(Arc<str>, Time)>,
    /// The first free number of deliveries.
    pub next_delivery: u64,
    /// The first free number of sends.
    pub next_send: u64,
}

/// A message that stands for an incident, as the store has it.
#[derive(Clone, Debug)]
pub struct StoredThread {
    /// Its destination.
    pub destination: Destination,
    /// See [`super::ThreadPolicy::place`].
    pub place: Arc<str>,
    /// Its incident.
    pub incident: u64,
    /// The message.
    pub thread: Thread,
}

impl Outbox {
    /// Rebuilds the state in memory from a store. Destinations that are gone give up their deliveries, renamed ones keep them, and
    /// a changed URL or credential ends a pause.
    pub fn restore(
        restored: RestoredOutbox,
        policies: BTreeMap<Destination, Policy>,
        now: Time,
        writes: &mut OutboxWrites,
    ) -> Self {
        let mut outbox = Self {
            next_delivery: restored.next_delivery.max(1),
            next_send: restored.next_send.max(1),
            ..Self::default()
        };
        let mut fingerprints = BTreeMap::new();
        for (name, fingerprint, health) in restored.destinations {
            outbox.destinations.insert(name.clone(), DestinationState { health, accounted: now, ..Default::default() });
            fingerprints.insert(name, fingerprint);
        }
        let mut carried: BTreeMap<SendId, Vec<Delivery>> = BTreeMap::new();
        let open: HashSet<SendId> = restored.sends.iter().map(|(send, ..)| *send).collect();
        for (destination, delivery, send) in restored.deliveries {
            match send.filter(|send| open.contains(send)) {
                Some(send) => carried.entry(send).or_default().push(delivery),
                None => outbox.destinations.entry(destination).or_default().due.insert(delivery),
            }
        }
        for (send, destination, attempts) in restored.sends {
            // A request that was in flight when the process ended is unclear: it will be repeated.
            let Some(deliveries) = carried.remove(&send) else {
                // It only brought a message up to date: whether that is still needed is found anew.
                writes.settled.push((send, SendResult::Left));
                continue;
            };
            let state = outbox.destinations.entry(destination).or_default();
            state.open_send(send, OpenSend { attempts, in_flight: false, ..OpenSend::carrying(deliveries) });
        }
        let mut places = BTreeMap::new();
        for StoredThread { destination, place, incident, thread } in restored.threads {
            let state = outbox.destinations.entry(destination.clone()).or_default();
            state.anchor(incident, Some(thread), &destination, now, &mut OutboxWrites::default());
            places.insert(destination, place);
        }
        // Times further ahead are from a clock that was set back since; they were stored again with shifted times.
        let known = |(_, at): &(Arc<str>, Time)| *at <= now.plus(AHEAD);
        let mut attempts: Vec<(Arc<str>, Time)> = restored.attempts.into_iter().filter(known).collect();
        // Those that were stored again when the clock was set lie among the others, and a window is ascending.
        attempts.sort_by_key(|(_, at)| *at);
        for (endpoint, at) in attempts {
            outbox.windows.entry(endpoint).or_default().note(at);
        }
        outbox.reconcile(policies, &fingerprints, now, writes);
        outbox.leave_places(&places, now, writes);
        outbox
    }

    /// Forgets messages in another channel, and messages of destinations that no longer use threads.
    fn leave_places(&mut self, places: &BTreeMap<Destination, Arc<str>>, now: Time, writes: &mut OutboxWrites) {
        for (name, state) in &mut self.destinations {
            let old = writes.renamed.iter().find(|(_, to)| to == name).map_or(name, |(from, _)| from);
            let stays = self.policies.get(name).and_then(|policy| policy.threads.as_ref());
            if places.get(old).is_none_or(|place| stays.is_some_and(|threads| threads.place == *place)) {
                continue;
            }
            for incident in state.threads.incidents() {
                state.anchor(incident, None, name, now, writes);
            }
        }
    }

    /// After a rebuild in a running process: marks the sends whose answers are still outstanding.
    pub fn still_in_flight(&mut self, sends: &HashSet<SendId>) {
        for state in self.destinations.values_mut() {
            for (id, send) in &mut state.sends {
                send.in_flight |= sends.contains(id);
            }
        }
    }

    /// Brings the stored destinations in line with the configuration.
    fn reconcile(
        &mut self,
        policies: BTreeMap<Destination, Policy>,
        fingerprints: &BTreeMap<Destination, Arc<str>>,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        let gone: Vec<Destination> =
            self.destinations.keys().filter(|name| !policies.contains_key(*name)).cloned().collect();
        for old in gone {
            let new_name = fingerprints.get(&old).and_then(|fingerprint| {
                let same = |(name, policy): &(&Destination, &Policy)| {
                    policy.fingerprint == *fingerprint && !self.destinations.contains_key(*name)
                };
                policies.iter().find(same).map(|(name, _)| name.clone())
            });
            match (self.destinations.remove(&old), new_name) {
                (Some(state), Some(new_name)) => {
                    self.destinations.insert(new_name.clone(), state);
                    writes.destinations.insert(new_name.clone());
                    writes.renamed.push((old, new_name));
                }
                (Some(mut state), None) => {
                    state.give_up(&old, |_| true, "the destination was removed from podbell.yaml", now, writes);
                    if let Some((deliveries, why)) = state.health.dead.take() {
                        writes.destination_reports.push(super::DestinationReport::Dead(old.clone(), deliveries, why));
                    }
                    if state.health.told {
                        writes.destination_reports.push(super::DestinationReport::Recovered(old.clone()));
                    }
                    writes.removed.push(old);
                }
                (None, _) => {}
            }
        }
        for (name, policy) in &policies {
            let state = self.destinations.entry(name.clone()).or_default();
            state.accounted = now;
            state.threads.keep_up(policy.threads.as_ref().map(|threads| threads.upkeep).unwrap_or_default(), now);
            writes.destinations.insert(name.clone());
            let changed = |paused: &Paused| paused.fingerprint != *policy.fingerprint;
            if state.health.paused.as_ref().is_some_and(changed) {
                state.health.paused = None;
                state.recover(name, now, writes);
            }
        }
        self.policies = policies;
    }
}
