//! The outbox: every notice on its way to its destinations, until it is sent, folded or dead.
//!
//! Pure like the rest of the core: [`Outbox`] mirrors the store, its methods say in
//! [`OutboxWrites`] what must be committed *before* a request may leave, and [`plan`] decides what
//! a destination is asked next.

pub mod pace;
mod plan;
mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use plan::{Plan, plan};
pub use record::{Outcome, backoff};

use self::pace::{Pace, Window};
use super::notice::{Notice, NoticeKind};
use super::rules::Severity;
use super::rules::rule::Destination;
use super::source::PollError;
use super::time::Time;

/// After so much time of trying a delivery is given up; pauses and `Retry-After` do not count.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A destination that fails for so long is told elsewhere.
pub const UNREACHABLE_AFTER: Duration = Duration::from_secs(600);

/// The number of a delivery, ascending in the order of making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub u64);

/// The number of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SendId(pub u64);

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
}

/// How much of a message is sent: less after the platform refused its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// All of it.
    #[default]
    Full,
    /// Shortened.
    Short,
    /// One built-in line.
    Minimal,
}

/// A notice on its way to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// Its notice.
    pub notice: u64,
    /// The notice's incident.
    pub incident: Option<u64>,
    /// What the notice says.
    pub kind: NoticeKind,
    /// How urgent it is.
    pub severity: Severity,
    /// When it became due.
    pub made_at: Time,
    /// The destination's active time when it became due, see [`DestinationState::active`].
    pub born: Duration,
    /// How much of it is sent.
    pub content: Content,
}

/// One request that is not settled yet; its body is frozen in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSend {
    /// What it carries, oldest first.
    pub deliveries: Vec<Delivery>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether an answer is outstanding.
    pub in_flight: bool,
}

impl OpenSend {
    fn incident(&self) -> Option<u64> {
        self.deliveries.first().and_then(|delivery| delivery.incident)
    }

    fn severity(&self) -> Severity {
        self.deliveries.iter().map(|delivery| delivery.severity).max().unwrap_or_default()
    }
}

/// What is known of a destination.
#[derive(Clone, Debug, Default)]
pub struct DestinationState {
    /// Deliveries that no open send carries.
    pub due: BTreeMap<DeliveryId, Delivery>,
    /// Requests that are not settled.
    pub sends: BTreeMap<SendId, OpenSend>,
    /// The part that is stored beside the deliveries.
    pub health: Health,
    /// Up to when `health.active` is accounted for.
    accounted: Time,
}

/// The stored part of a destination's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Failures in a row.
    pub failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Time>,
    /// The end of the back-off.
    pub retry_at: Option<Time>,
    /// `Retry-After`: a wall.
    pub wall: Option<Time>,
    /// Paused until URL or credential change.
    pub paused: Option<Paused>,
    /// For how long deliveries could be tried, all in all.
    pub active: Duration,
    /// Whether its trouble was told elsewhere.
    pub told: bool,
}

/// Why a destination is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when.
    pub since: Time,
    /// The fingerprint of URL and credentials that were refused.
    pub fingerprint: String,
    /// The platform's code.
    pub code: String,
    /// The platform's words.
    pub text: String,
}

impl DestinationState {
    /// The end of whatever keeps it from being asked: a back-off or a wall.
    pub fn blocked_until(&self) -> Option<Time> {
        self.health.retry_at.max(self.health.wall)
    }

    /// Brings the active time up to `now`: pauses and `Retry-After` are not trying.
    fn account(&mut self, now: Time) {
        let from = self.health.wall.map_or(self.accounted, |wall| wall.max(self.accounted));
        if self.health.paused.is_none() {
            self.health.active += now.since(from);
        }
        self.accounted = self.accounted.max(now);
    }

    /// When the oldest delivery is given up, if nothing else happens.
    fn gives_up_at(&self, now: Time) -> Option<Time> {
        let due = self.due.values().next().map(|delivery| delivery.born);
        let open = self.sends.values().filter(|send| !send.in_flight).flat_map(|send| &send.deliveries);
        let born = open.map(|delivery| delivery.born).chain(due).min()?;
        self.health.paused.is_none().then(|| now.plus((born + GIVE_UP_AFTER).saturating_sub(self.health.active)))
    }
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

/// The state of a delivery as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its turn.
    Due {
        /// How much of it will be sent.
        content: Content,
        /// The active time from which on it is tried.
        born: Duration,
    },
    /// Part of an open send.
    Claimed {
        /// Which.
        send: SendId,
    },
    /// Arrived.
    Sent {
        /// When.
        at: Time,
    },
    /// Part of the message that told a newer notice of its incident.
    Folded {
        /// When.
        at: Time,
        /// The delivery that told it.
        into: DeliveryId,
    },
    /// Given up.
    Dead {
        /// When.
        at: Time,
        /// Why.
        why: String,
    },
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
    /// When it was claimed.
    pub at: Time,
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

/// What an [`Outbox`] is rebuilt from.
#[derive(Debug, Default)]
pub struct RestoredOutbox {
    /// Destinations with the fingerprint they had, and their health.
    pub destinations: Vec<(Destination, Arc<str>, Health)>,
    /// Deliveries that are due or claimed.
    pub deliveries: Vec<(Destination, Delivery, Option<SendId>)>,
    /// Sends that are not settled, with their attempts.
    pub sends: Vec<(SendId, Destination, u32)>,
    /// Attempts of the last minutes, ascending.
    pub attempts: Vec<(Arc<str>, Time)>,
    /// The first free numbers.
    pub next_delivery: u64,
    /// See `next_delivery`.
    pub next_send: u64,
}

impl Outbox {
    /// The mirror of a store. Destinations that are gone give up their deliveries, renamed ones
    /// keep them, and a changed URL or credential ends a pause.
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
        for (send, destination, attempts) in restored.sends {
            // What was in flight when the process ended is unclear: it will be repeated.
            let open = OpenSend { deliveries: Vec::new(), attempts, in_flight: false };
            outbox.destinations.entry(destination).or_default().sends.insert(send, open);
        }
        for (destination, delivery, send) in restored.deliveries {
            let state = outbox.destinations.entry(destination).or_default();
            match send.and_then(|send| state.sends.get_mut(&send)) {
                Some(open) => open.deliveries.push(delivery),
                None => {
                    state.due.insert(delivery.id, delivery);
                }
            }
        }
        for (endpoint, at) in restored.attempts {
            outbox.windows.entry(endpoint).or_default().note(at);
        }
        outbox.reconcile(policies, &fingerprints, now, writes);
        outbox
    }

    /// After a rebuild in a living process: answers to these sends are still outstanding.
    pub fn still_in_flight(&mut self, sends: &std::collections::HashSet<SendId>) {
        for state in self.destinations.values_mut() {
            for (id, send) in &mut state.sends {
                send.in_flight |= sends.contains(id);
            }
        }
    }

    /// Brings what is stored in line with what is set up.
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
            let heir = fingerprints.get(&old).and_then(|fingerprint| {
                let same = |(name, policy): &(&Destination, &Policy)| {
                    policy.fingerprint == *fingerprint && !self.destinations.contains_key(*name)
                };
                policies.iter().find(same).map(|(name, _)| name.clone())
            });
            match (self.destinations.remove(&old), heir) {
                (Some(state), Some(heir)) => {
                    self.destinations.insert(heir.clone(), state);
                    writes.destinations.insert(heir.clone());
                    writes.renamed.push((old, heir));
                }
                (Some(mut state), None) => {
                    state.give_up(&old, |_| true, "the destination was removed from podbell.yaml", now, writes);
                    writes.removed.push(old);
                }
                (None, _) => {}
            }
        }
        for (name, policy) in &policies {
            let state = self.destinations.entry(name.clone()).or_default();
            state.accounted = now;
            writes.destinations.insert(name.clone());
            let changed = |paused: &Paused| paused.fingerprint != *policy.fingerprint;
            if state.health.paused.as_ref().is_some_and(changed) {
                state.health.paused = None;
                state.recover(name, writes);
            }
        }
        self.policies = policies;
    }

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
            state.due.insert(delivery.id, delivery.clone());
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
            let job = match plan(state, policy, window, now) {
                Plan::Wait(_) => return jobs,
                Plan::Repeat(send) => state.repeat(send, name, writes),
                Plan::Send(deliveries) => {
                    let send = SendId(self.next_send);
                    self.next_send += 1;
                    state.open(send, &deliveries, name, now, writes)
                }
            };
            window.note(now);
            writes.attempts.push((policy.endpoint.clone(), now));
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
                Plan::Send(_) | Plan::Repeat(_) => Some(now),
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
            let first = state.due.values().next().is_some_and(over);
            let open = state.sends.values().any(|send| !send.in_flight && send.deliveries.iter().any(over));
            if first || open {
                let why = "could not be delivered for 24 h";
                state.give_up(name, over, why, now, writes);
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
        state.due.insert(delivery.id, delivery);
        true
    }

    /// A person gives a due delivery up.
    pub fn discard(&mut self, id: DeliveryId, now: Time, writes: &mut OutboxWrites) -> bool {
        for state in self.destinations.values_mut() {
            if state.due.remove(&id).is_some() {
                writes.changed.insert(id, DeliveryState::Dead { at: now, why: "dropped by hand".into() });
                return true;
            }
        }
        false
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

    /// A destination's state and policy.
    pub fn destination(&self, name: &str) -> Option<(&DestinationState, &Policy)> {
        Some((self.destinations.get(name)?, self.policies.get(name)?))
    }
}

impl DestinationState {
    fn open(
        &mut self,
        send: SendId,
        deliveries: &[DeliveryId],
        name: &Destination,
        now: Time,
        writes: &mut OutboxWrites,
    ) -> Option<Job> {
        let deliveries: Vec<Delivery> = deliveries.iter().filter_map(|id| self.due.remove(id)).collect();
        for delivery in &deliveries {
            writes.changed.insert(delivery.id, DeliveryState::Claimed { send });
        }
        let content = deliveries.iter().map(|delivery| delivery.content).max().unwrap_or_default();
        let claimed = Claimed { send, destination: name.clone(), deliveries: deliveries.clone(), content, at: now };
        writes.claimed.push(claimed.clone());
        self.sends.insert(send, OpenSend { deliveries, attempts: 1, in_flight: true });
        Some(Job::First(claimed))
    }

    fn repeat(&mut self, send: SendId, name: &Destination, writes: &mut OutboxWrites) -> Option<Job> {
        let open = self.sends.get_mut(&send)?;
        open.in_flight = true;
        open.attempts = open.attempts.saturating_add(1);
        writes.repeated.push((send, open.attempts));
        Some(Job::Again { send, destination: name.clone() })
    }

    /// Gives up the deliveries that `over` names, and the open sends that carry one of them.
    fn give_up(
        &mut self,
        name: &Destination,
        over: impl Fn(&Delivery) -> bool,
        why: &str,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        let mut dead: Vec<DeliveryId> = Vec::new();
        self.due.retain(|id, delivery| {
            let over = over(delivery);
            if over {
                dead.push(*id);
            }
            !over
        });
        self.sends.retain(|id, send| {
            let over = !send.in_flight && send.deliveries.iter().any(&over);
            if over {
                dead.extend(send.deliveries.iter().map(|delivery| delivery.id));
                writes.settled.push((*id, "given up"));
            }
            !over
        });
        if dead.is_empty() {
            return;
        }
        writes.destinations.insert(name.clone());
        writes.signals.push(Signal::Dead(name.clone(), dead.len() as u64, why.to_owned()));
        for id in dead {
            writes.changed.insert(id, DeliveryState::Dead { at: now, why: why.to_owned() });
        }
    }
}
