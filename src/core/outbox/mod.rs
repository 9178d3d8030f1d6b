//! The outbox: every notice on its way to its destinations, until it is sent, folded or dead.
//!
//! Pure like the rest of the core: [`Outbox`] mirrors the store, its methods say in
//! [`OutboxWrites`] what must be committed *before* a request may leave, and [`plan()`] decides what
//! a destination is asked next.

mod delivery;
mod destination;
pub mod pace;
mod plan;
mod queue;
mod record;
mod restore;
mod storm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use delivery::{Content, Delivery, DeliveryId, DeliveryState, SendId};
pub use destination::{DestinationState, Health, OpenSend, Paused};
pub use plan::{Plan, plan};
pub use queue::Queue;
pub use record::{Outcome, backoff};
pub use restore::RestoredOutbox;
pub use storm::{MOST_MESSAGES, Storm, StormFacts};

use self::pace::{Pace, Window};
use super::notice::Notice;
use super::rules::rule::Destination;
use super::source::PollError;
use super::time::Time;

/// After so much time of trying a delivery is given up; pauses and `Retry-After` do not count.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Deliveries that were given up are told elsewhere at most this often.
pub const DEAD_TOLD_EVERY: Duration = Duration::from_secs(3600);
/// A destination that fails for so long is told elsewhere.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(600);

/// What the platform behind a destination demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What shares a pace: a hash of the URL, or of token and channel. Never the URL itself.
    pub endpoint: Arc<str>,
    /// A hash of URL and credentials: a change ends a pause.
    pub fingerprint: Arc<str>,
    /// How fast it may be asked.
    pub pace: Option<Pace>,
    /// How many requests may be in flight at once.
    pub concurrency: usize,
    /// More notices than this within a minute become a digest; `None`: each is told by itself.
    pub digest_after: Option<usize>,
}

/// What the outbox wants committed before anything leaves.
#[derive(Debug, Default)]
pub struct OutboxWrites {
    /// New deliveries.
    pub added: Vec<(Destination, Delivery)>,
    /// Deliveries whose state changed; the last word counts.
    pub changed: BTreeMap<DeliveryId, DeliveryState>,
    /// Sends that were claimed, with their deliveries; their bodies are frozen with them.
    pub claimed: Vec<Claimed>,
    /// Sends that are tried again, with the number of the attempt.
    pub repeated: Vec<(SendId, u32)>,
    /// Sends that are settled, with what came of it.
    pub settled: Vec<(SendId, &'static str)>,
    /// Attempts, by endpoint.
    pub attempts: Vec<(Arc<str>, Time)>,
    /// Destinations whose health changed.
    pub destinations: BTreeSet<Destination>,
    /// Stored destinations that got another name.
    pub renamed: Vec<(Destination, Destination)>,
    /// Stored destinations that are gone.
    pub removed: Vec<Destination>,
    /// What podbell itself has to say about it.
    pub signals: Vec<Signal>,
}

impl OutboxWrites {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.changed.is_empty()
            && self.claimed.is_empty()
            && self.repeated.is_empty()
            && self.settled.is_empty()
            && self.attempts.is_empty()
            && self.destinations.is_empty()
            && self.renamed.is_empty()
            && self.removed.is_empty()
    }
}

/// A send that must be committed, then carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Its number.
    pub send: SendId,
    /// To whom.
    pub destination: Destination,
    /// What it carries, oldest first.
    pub deliveries: Vec<Delivery>,
    /// How much of it.
    pub content: Content,
    /// Of a digest: the storm it sums up.
    pub storm: Option<StormFacts>,
    /// When it was claimed.
    pub at: Time,
}

/// What one request is to tell.
#[derive(Clone, Copy, Debug)]
pub struct Parcel<'a> {
    /// The notices, oldest first: of one incident, unless it is a digest.
    pub notices: &'a [Notice],
    /// How much of them.
    pub content: Content,
    /// Of a digest: the storm it sums up.
    pub storm: Option<StormFacts>,
}

impl<'a> Parcel<'a> {
    /// All that there is to say of one incident.
    pub fn full(notices: &'a [Notice]) -> Self {
        Self { notices, content: Content::Full, storm: None }
    }
}

/// Podbell's own word about a destination, told elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It cannot be reached, or does not want us.
    Trouble(Destination, PollError),
    /// It works again.
    Recovered(Destination),
    /// Deliveries were given up.
    Dead(Destination, u64, String),
}

/// What is to be done after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Carry out a send that was just claimed.
    First(Claimed),
    /// Carry out a send again, with the stored body.
    Again {
        /// Which.
        send: SendId,
        /// To whom.
        destination: Destination,
    },
}

/// All destinations and what is on its way to them.
#[derive(Debug, Default)]
pub struct Outbox {
    destinations: BTreeMap<Destination, DestinationState>,
    policies: BTreeMap<Destination, Policy>,
    windows: BTreeMap<Arc<str>, Window>,
    next_delivery: u64,
    next_send: u64,
}

impl Outbox {
    /// Puts a committed-to-be notice on its way.
    pub fn add(&mut self, notice: &Notice, now: Time, writes: &mut OutboxWrites) {
        for to in &notice.to {
            // A destination that is gone since: the rules will follow with the next reload.
            let Some(state) = self.destinations.get_mut(to).filter(|_| self.policies.contains_key(to)) else {
                continue;
            };
            state.account(now);
            let delivery = Delivery {
                id: DeliveryId(self.next_delivery),
                notice: notice.id,
                incident: notice.body.incident(),
                kind: notice.kind,
                severity: notice.severity,
                made_at: notice.made_at,
                born: state.health.active,
                content: Content::Full,
            };
            self.next_delivery += 1;
            if let Some(after) = self.policies.get(to).and_then(|policy| policy.digest_after) {
                state.health.storm.arrive(after, now);
                writes.destinations.insert(to.clone());
            }
            state.due.insert(delivery.clone());
            writes.added.push((to.clone(), delivery));
        }
    }

    /// Claims whatever may be sent now. The jobs may start once the writes are committed.
    pub fn claim(&mut self, now: Time, writes: &mut OutboxWrites) -> Vec<Job> {
        let names: Vec<Destination> = self.policies.keys().cloned().collect();
        names.iter().flat_map(|name| self.claim_for(name, now, writes)).collect()
    }

    fn claim_for(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) -> Vec<Job> {
        let mut jobs = Vec::new();
        let (Some(policy), Some(state)) = (self.policies.get(name), self.destinations.get_mut(name)) else {
            return jobs;
        };
        if state.due.is_empty() && state.sends.is_empty() {
            return jobs;
        }
        let window = self.windows.entry(policy.endpoint.clone()).or_default();
        loop {
            if let Some(after) = policy.digest_after {
                state.health.storm.turn(state.due.ready(), after, now);
            }
            let planned = plan(state, policy, window, now);
            let digest = matches!(planned, Plan::Digest(_));
            let job = match planned {
                Plan::Wait(_) => return jobs,
                Plan::Repeat(send) => state.repeat(send, name, writes),
                Plan::Send(deliveries) | Plan::Digest(deliveries) => {
                    if let Some(after) = policy.digest_after {
                        state.health.storm.message(after, digest, now);
                        writes.destinations.insert(name.clone());
                    }
                    let storm = state.health.storm.facts().filter(|_| digest);
                    let send = SendId(self.next_send);
                    self.next_send += 1;
                    state.open(send, &deliveries, storm, name, now, writes)
                }
            };
            if policy.pace.is_some() {
                window.note(now);
                writes.attempts.push((policy.endpoint.clone(), now));
            }
            jobs.extend(job);
        }
    }

    /// When something may be sent or given up, if nothing else happens.
    pub fn next_wake(&mut self, now: Time) -> Option<Time> {
        let mut next: Option<Time> = None;
        for (name, policy) in &self.policies {
            let Some(state) = self.destinations.get(name) else { continue };
            if state.due.is_empty() && state.sends.is_empty() {
                continue;
            }
            let window = self.windows.entry(policy.endpoint.clone()).or_default();
            let planned = match plan(state, policy, window, now) {
                Plan::Wait(until) => until,
                Plan::Send(_) | Plan::Digest(_) | Plan::Repeat(_) => Some(now),
            };
            next = [next, planned, state.gives_up_at(now)].into_iter().flatten().min();
        }
        next
    }

    /// Gives up what was tried for a day.
    pub fn tick(&mut self, now: Time, writes: &mut OutboxWrites) {
        for (name, state) in &mut self.destinations {
            state.account(now);
            let active = state.health.active;
            let over = |delivery: &Delivery| active.saturating_sub(delivery.born) >= GIVE_UP_AFTER;
            let first = state.due.first_born().is_some_and(|born| active.saturating_sub(born) >= GIVE_UP_AFTER);
            let open = state.sends.values().any(|send| !send.in_flight && send.deliveries.iter().all(over));
            if first || open {
                let why = "could not be delivered for 24 h";
                state.give_up(name, over, why, now, writes);
            }
            if let Some((deliveries, why)) = state.take_dead(now) {
                writes.destinations.insert(name.clone());
                writes.signals.push(Signal::Dead(name.clone(), deliveries, why));
            }
        }
    }

    /// A person wants a dead delivery sent again. The delivery comes from the store.
    pub fn revive(&mut self, name: &Destination, mut delivery: Delivery, now: Time, writes: &mut OutboxWrites) -> bool {
        let Some(state) = self.destinations.get_mut(name).filter(|_| self.policies.contains_key(name)) else {
            return false;
        };
        state.account(now);
        delivery.born = state.health.active;
        delivery.content = Content::Full;
        writes.changed.insert(delivery.id, DeliveryState::Due { content: delivery.content, born: delivery.born });
        state.due.insert(delivery);
        true
    }

    /// A person gives a delivery up that waits, or whose request failed and would be repeated;
    /// with it go the others of that request. Says how many were given up.
    pub fn discard(&mut self, id: DeliveryId, now: Time, writes: &mut OutboxWrites) -> usize {
        let dropped = self.destinations.values_mut().find_map(|state| state.discard(id, writes)).unwrap_or_default();
        for id in &dropped {
            writes.changed.insert(*id, DeliveryState::Dead { at: now, why: "dropped by hand".into() });
        }
        dropped.len()
    }

    /// A test message arrived: a pause or back-off is over.
    pub fn works_again(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) -> bool {
        let Some(state) = self.destinations.get_mut(name) else { return false };
        state.account(now);
        state.health.paused = None;
        state.recover(name, writes);
        true
    }

    /// The states by name.
    pub fn destinations(&self) -> impl Iterator<Item = (&Destination, &DestinationState)> {
        self.destinations.iter()
    }

    /// To whom an open send goes.
    pub fn receiver_of(&self, send: SendId) -> Option<&Destination> {
        self.destinations.iter().find(|(_, state)| state.sends.contains_key(&send)).map(|(name, _)| name)
    }

    /// A destination's state and policy.
    pub fn destination(&self, name: &str) -> Option<(&DestinationState, &Policy)> {
        Some((self.destinations.get(name)?, self.policies.get(name)?))
    }
}
