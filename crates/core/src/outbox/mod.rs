//! The outbox: every notice on its way to its destinations, until it is sent, folded or dead.
//!
//! Pure like the rest of the core: [`Outbox`] holds in memory what the store does, its methods say in
//! [`OutboxWrites`] what must be committed *before* a request may leave, and [`plan()`] decides what
//! a destination is asked next.

mod clock;
mod delivery;
mod destination;
pub mod pace;
mod plan;
mod queue;
mod record;
mod restore;
mod storm;
mod thread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use delivery::{Content, Delivery, DeliveryId, DeliveryPhase, DeliveryState, SendId, SendResult};
pub use destination::{DestinationHealth, DestinationState, OpenSend, Paused};
pub use plan::Plan;
pub(crate) use plan::{RateWindows, plan};
pub use queue::{Class, Queue, ReadyGroup};
pub use record::{Outcome, backoff};
pub use restore::{RestoredOutbox, StoredThread};
pub use storm::{MAX_MESSAGES, Storm, StormFacts};
pub use thread::{MessageState, Parent, Thread, ThreadPolicy, Threads, Upkeep, is_end};

use self::destination::{SendMode, SendStart};
use self::pace::Pace;
use super::notice::Notice;
use super::source::Problem;
use super::time::Time;
use crate::rule::Destination;

/// Retry budget of a delivery; pauses and `Retry-After` do not count.
pub(crate) const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Given-up deliveries are reported elsewhere at most this often.
pub(crate) const DEAD_TOLD_EVERY: Duration = Duration::from_secs(3600);
/// A destination that fails for this long is reported elsewhere.
pub(crate) const UNREACHABLE_AFTER: Duration = Duration::from_secs(600);

/// What the platform behind a destination demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Identifies what shares a pace: a hash of the URL, or of token and channel. Never the URL itself.
    pub endpoint: Arc<str>,
    /// A hash of URL and credentials: a change ends a pause.
    pub fingerprint: Arc<str>,
    /// How fast it may be asked.
    pub pace: Option<Pace>,
    /// How many requests may be in flight at once.
    pub concurrency: usize,
    /// More notices than this within a minute become a digest; `None`: each is sent by itself.
    pub digest_after: Option<usize>,
    /// How threads are used, if each incident has one message and a thread for what follows; `None`: a message for each
    /// notice.
    pub threads: Option<ThreadPolicy>,
}

impl Policy {
    /// The policy of an endpoint that takes one request at a time, at any pace, each with one message. `fingerprint` is
    /// a hash of its address and credentials.
    pub fn of(endpoint: Arc<str>, fingerprint: Arc<str>) -> Self {
        Self { endpoint, fingerprint, pace: None, concurrency: 1, digest_after: None, threads: None }
    }
}

/// What the outbox wants committed before anything leaves.
#[derive(Debug, Default)]
pub struct OutboxWrites {
    /// New deliveries.
    pub added: Vec<(Destination, Delivery)>,
    /// Deliveries whose state changed; the last state counts.
    pub changed: BTreeMap<DeliveryId, DeliveryState>,
    /// Sends that were claimed, with their deliveries; their bodies are frozen with them.
    pub claimed: Vec<Claimed>,
    /// Sends that are tried again, with the number of the attempt.
    pub repeated: Vec<(SendId, u32)>,
    /// Sends that are settled, and how.
    pub settled: Vec<(SendId, SendResult)>,
    /// Attempts, by endpoint.
    pub attempts: Vec<(Arc<str>, Time)>,
    /// Incidents whose message at a destination changed, or is gone.
    pub threads: BTreeSet<(Destination, u64)>,
    /// Destinations whose health changed.
    pub destinations: BTreeSet<Destination>,
    /// Stored destinations that were renamed.
    pub renamed: Vec<(Destination, Destination)>,
    /// Stored destinations that were removed.
    pub removed: Vec<Destination>,
    /// Podbell's own reports about destinations.
    pub destination_reports: Vec<DestinationReport>,
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
            && self.threads.is_empty()
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
    /// Its destination.
    pub destination: Destination,
    /// What it carries, oldest first; empty if it only brings a message up to date.
    pub deliveries: Vec<Delivery>,
    /// The incident whose message it brings up to date, or whose notices it carries.
    pub incident: Option<u64>,
    /// The message that stands for that incident, if there is one.
    pub parent: Option<Parent>,
    /// How much of the message is sent.
    pub content: Content,
    /// The storm that it sums up, if it is a digest.
    pub storm: Option<StormFacts>,
    /// When it was claimed.
    pub at: Time,
}

impl Claimed {
    /// Whether it changes a message instead of posting one.
    fn changes_a_message(&self) -> bool {
        self.parent.is_some() && self.deliveries.last().is_none_or(|delivery| is_end(delivery.kind))
    }
}

/// The content of one request.
#[derive(Clone, Copy, Debug)]
pub struct SendContent<'a> {
    /// The notices, oldest first; of one incident, unless it is a digest.
    pub notices: &'a [Notice],
    /// How much of them is sent.
    pub content: Content,
    /// The storm that it sums up, if it is a digest.
    pub storm: Option<StormFacts>,
    /// The message that stands for the incident, if there is one.
    pub parent: Option<&'a Parent>,
    /// Whether it only brings that message up to date: nobody is to be disturbed.
    pub refresh: bool,
}

impl<'a> SendContent<'a> {
    /// All that there is to say of one incident.
    pub fn full(notices: &'a [Notice]) -> Self {
        Self { notices, content: Content::Full, storm: None, parent: None, refresh: false }
    }
}

/// Podbell's own report about a destination, sent elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DestinationReport {
    /// It cannot be reached, or refuses podbell.
    Trouble(Destination, Problem),
    /// It works again.
    Recovered(Destination),
    /// Deliveries were given up.
    Dead(Destination, u64, String),
}

/// What is to be done after the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendTask {
    /// Carry out a send that was just claimed.
    First(Claimed),
    /// Carry out a send again, with the stored body.
    Again {
        /// The send.
        send: SendId,
        /// Its destination.
        destination: Destination,
    },
}

/// All destinations, and what is on its way to them.
#[derive(Debug, Default)]
pub struct Outbox {
    destinations: BTreeMap<Destination, DestinationState>,
    policies: BTreeMap<Destination, Policy>,
    windows: RateWindows,
    next_delivery: u64,
    next_send: u64,
}

impl Outbox {
    /// Adds the deliveries of a notice that is about to be committed.
    pub fn add(&mut self, notice: &Notice, now: Time, writes: &mut OutboxWrites) {
        for to in &notice.to {
            // The destination was removed meanwhile: the rules follow with the next reload.
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
            state.due.insert(delivery.clone());
            // Ends and podbell's announcements do not count towards a storm.
            let loud = delivery.incident.is_some() && !is_end(delivery.kind);
            if let Some(after) = self.policies.get(to).and_then(|policy| policy.digest_after).filter(|_| loud) {
                state.health.storm.note_due(after, now);
                writes.destinations.insert(to.clone());
            }
            writes.added.push((to.clone(), delivery));
        }
    }

    /// Claims whatever may be sent now. The jobs may start once the writes are committed.
    pub fn claim(&mut self, now: Time, writes: &mut OutboxWrites) -> Vec<SendTask> {
        let names: Vec<Destination> = self.policies.keys().cloned().collect();
        names.iter().flat_map(|name| self.claim_for(name, now, writes)).collect()
    }

    /// Until when the endpoint of a destination may not be asked, whichever of its destinations was told so.
    fn rate_limited_until(&self, name: &Destination) -> Option<Time> {
        let endpoint = &self.policies.get(name)?.endpoint;
        let same = self.policies.iter().filter(|(_, policy)| policy.endpoint == *endpoint);
        same.filter_map(|(other, _)| self.destinations.get(other)?.health.rate_limited_until).max()
    }

    fn claim_for(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) -> Vec<SendTask> {
        let mut jobs = Vec::new();
        let limited_until = self.rate_limited_until(name);
        let (Some(policy), Some(state)) = (self.policies.get(name), self.destinations.get_mut(name)) else {
            return jobs;
        };
        if limited_until.is_some_and(|until| until > now) {
            return jobs;
        }
        if state.is_idle() {
            return jobs;
        }
        state.due.wake(now);
        loop {
            let windows = &mut self.windows;
            if let Some(after) = policy.digest_after {
                state.health.storm.turn(state.due.count(Class::News), after, now);
            }
            let planned = plan(state, policy, windows, now);
            let digest = matches!(planned, Plan::Digest(_));
            let claim = SendStart { send: SendId(self.next_send), name, now };
            let job = match planned {
                Plan::Wait(_) => return jobs,
                Plan::Repeat(send) => state.repeat(send, name, writes),
                Plan::Silent(deliveries) => Some(state.open(claim, &deliveries, SendMode::Silent, writes)),
                Plan::Refresh(incident) => state.open_refresh(claim, incident, writes),
                Plan::Send(deliveries) | Plan::Digest(deliveries) => {
                    let storm = digest.then(|| state.sums_up(&deliveries)).flatten();
                    if digest {
                        state.health.storm.sum_up();
                    }
                    writes.destinations.insert(name.clone());
                    let mode = storm.map_or(SendMode::Alone, SendMode::Digest);
                    Some(state.open(claim, &deliveries, mode, writes))
                }
            };
            let mut changes = false;
            if let Some(SendTask::First(claimed)) = &job {
                self.next_send += 1;
                changes = claimed.changes_a_message();
            }
            let of_threads = policy.threads.as_ref().filter(|_| changes).map(|threads| &threads.endpoint);
            for endpoint in policy.pace.map(|_| &policy.endpoint).into_iter().chain(of_threads) {
                self.windows.entry(endpoint.clone()).or_default().note(now);
                writes.attempts.push((endpoint.clone(), now));
            }
            jobs.extend(job);
        }
    }

    /// When something may be sent or given up, if nothing else happens.
    pub fn next_wake(&mut self, now: Time) -> Option<Time> {
        let mut next: Option<Time> = None;
        let limits: Vec<Option<Time>> = self.policies.keys().map(|name| self.rate_limited_until(name)).collect();
        for ((name, policy), limited_until) in self.policies.iter().zip(limits) {
            let Some(state) = self.destinations.get_mut(name) else { continue };
            if state.is_idle() {
                continue;
            }
            state.due.wake(now);
            let planned =
                match (limited_until.filter(|until| *until > now), plan(state, policy, &mut self.windows, now)) {
                    (Some(until), _) => Some(until),
                    (None, Plan::Wait(until)) => until,
                    (None, _) => Some(now),
                };
            next = [next, planned, state.gives_up_at(now), state.outage_report_due_at()].into_iter().flatten().min();
        }
        next
    }

    /// Gives up deliveries that were tried for a day, and reports destinations that take nothing.
    pub fn tick(&mut self, now: Time, writes: &mut OutboxWrites) {
        for (name, state) in &mut self.destinations {
            state.account(now);
            state.report_outage(name, now, writes);
            let active = state.health.active;
            let over = |delivery: &Delivery| active.saturating_sub(delivery.born) >= GIVE_UP_AFTER;
            let first = state.due.first_born().is_some_and(|born| active.saturating_sub(born) >= GIVE_UP_AFTER);
            let open = state.sends.values().any(|send| !send.in_flight && send.deliveries.iter().all(over));
            if first || open {
                let why = "could not be delivered for 24 h";
                state.give_up(name, over, why, now, writes);
            }
            // An incident's last notices may have been given up instead of sent.
            for incident in state.threads.over() {
                state.forget_over(incident, name, writes);
            }
            if let Some((deliveries, why)) = state.take_dead(now) {
                writes.destinations.insert(name.clone());
                writes.destination_reports.push(DestinationReport::Dead(name.clone(), deliveries, why));
            }
        }
    }

    /// Makes a dead delivery due again for a user. The delivery comes from the store.
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

    /// Gives up a delivery for a user: one that waits, or one whose request failed and would be repeated; the other
    /// deliveries of that request go with it. Returns how many were given up.
    pub fn discard(&mut self, id: DeliveryId, now: Time, writes: &mut OutboxWrites) -> usize {
        let dropped = self.destinations.values_mut().find_map(|state| state.discard(id, writes)).unwrap_or_default();
        for id in &dropped {
            writes.changed.insert(*id, DeliveryState::Dead { at: now, why: "dropped by hand".into() });
        }
        dropped.len()
    }

    /// Ends a pause or back-off, because a test message arrived.
    pub fn works_again(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) -> bool {
        let Some(state) = self.destinations.get_mut(name) else { return false };
        state.account(now);
        state.health.paused = None;
        state.recover(name, now, writes);
        true
    }

    /// The destinations and their states.
    pub fn destinations(&self) -> impl Iterator<Item = (&Destination, &DestinationState)> {
        self.destinations.iter()
    }

    /// Sets what is true of an incident, for the messages that show it.
    pub fn want(&mut self, incident: u64, message_state: MessageState, now: Time) {
        for state in self.destinations.values_mut() {
            state.threads.want(incident, message_state, now);
        }
    }

    /// Notes that an incident is over for good: its messages are forgotten once its last notice is sent.
    pub fn end(&mut self, incident: u64, now: Time, writes: &mut OutboxWrites) {
        for (name, state) in &mut self.destinations {
            state.threads.end(incident, now);
            state.forget_over(incident, name, writes);
        }
    }

    /// Incidents for which a message stands at any destination.
    pub fn threaded(&self) -> BTreeSet<u64> {
        self.destinations.values().flat_map(|state| state.threads.incidents()).collect()
    }

    /// Whether any destination uses threads.
    pub fn has_threads(&self) -> bool {
        self.policies.values().any(|policy| policy.threads.is_some())
    }

    /// Sets what the message of an open send will show once it arrives.
    pub fn will_show(&mut self, destination: &str, send: SendId, message_state: Option<MessageState>) {
        if let Some(open) = self.destinations.get_mut(destination).and_then(|state| state.sends.get_mut(&send)) {
            open.message_state = message_state;
        }
    }

    /// The destination of an open send, if the send carries deliveries.
    pub fn destination_of_deliveries(&self, send: SendId) -> Option<&Destination> {
        let carries = |open: &OpenSend| !open.deliveries.is_empty();
        self.destinations.iter().find(|(_, state)| state.sends.get(&send).is_some_and(carries)).map(|(name, _)| name)
    }

    /// The destination of an open send.
    pub fn destination_of(&self, send: SendId) -> Option<&Destination> {
        self.destinations.iter().find(|(_, state)| state.sends.contains_key(&send)).map(|(name, _)| name)
    }

    /// The notices that a destination's next messages carry, roughly in their order, at most `most`.
    pub fn upcoming(&self, destination: &str, most: usize) -> impl Iterator<Item = u64> {
        self.destinations.get(destination).into_iter().flat_map(|state| state.due.upcoming()).take(most)
    }

    /// A destination's state and policy.
    pub fn destination(&self, name: &str) -> Option<(&DestinationState, &Policy)> {
        Some((self.destinations.get(name)?, self.policies.get(name)?))
    }
}
