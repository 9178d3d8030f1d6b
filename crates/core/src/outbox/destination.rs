//! A destination: its waiting deliveries, its open sends and its health.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::queue::{Class, Queue};
use super::{
    Claimed, Content, DEAD_TOLD_EVERY, Delivery, DeliveryId, DeliveryState, GIVE_UP_AFTER, MessageState, OutboxWrites,
    SendId, SendResult, SendTask, Storm, StormFacts, Thread, Threads, UNREACHABLE_AFTER, is_end,
};
use crate::rule::{Destination, Severity};
use crate::time::Time;

/// The longest back-off, except for `Retry-After`.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// One request that is not settled yet; its body is frozen in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSend {
    /// What it carries, oldest first; empty if it only brings a message up to date.
    pub deliveries: Vec<Delivery>,
    /// The incident whose message it brings up to date.
    pub refreshes: Option<u64>,
    /// What its message will show of the incident, if it stands for one and that is known.
    pub message_state: Option<MessageState>,
    /// Number of attempts.
    pub attempts: u32,
    /// Whether an answer is outstanding.
    pub in_flight: bool,
    /// Its sequence number among the requests of its destination; the first one is 1.
    pub(super) sequence: u64,
    /// How often in a row it was refused while others were taken.
    pub(super) refused: u32,
    /// When it may be repeated after such a refusal.
    pub(super) backoff_until: Option<Time>,
    /// Whether it is a digest.
    pub(super) digest: bool,
    /// Whether it only changes a message: nobody is disturbed.
    pub(super) silent: bool,
}

impl OpenSend {
    /// A send in flight that carries deliveries.
    pub(crate) fn carrying(deliveries: Vec<Delivery>) -> Self {
        let first = deliveries.first().and_then(|delivery| delivery.incident);
        let digest = deliveries.iter().any(|delivery| delivery.incident != first);
        Self {
            deliveries,
            refreshes: None,
            message_state: None,
            attempts: 1,
            in_flight: true,
            sequence: 0,
            refused: 0,
            backoff_until: None,
            digest,
            silent: false,
        }
    }

    /// Its class for readers; `None` if nobody is disturbed.
    pub(super) fn class(&self) -> Option<Class> {
        let told = |of: fn(&Delivery) -> bool| self.deliveries.iter().any(of);
        // The newest delivery of an incident decides: collecting keeps the last.
        let newest: BTreeMap<u64, bool> =
            self.deliveries.iter().filter_map(|delivery| Some((delivery.incident?, is_end(delivery.kind)))).collect();
        match () {
            () if self.silent || self.deliveries.is_empty() => None,
            () if newest.values().any(|over| !over) => Some(Class::News),
            () if told(|delivery| delivery.incident.is_none()) => Some(Class::Announcement),
            () => Some(Class::End),
        }
    }

    /// Whether it can be repeated now.
    pub(super) fn is_idle(&self, now: Time) -> bool {
        !self.in_flight && self.backoff_until.is_none_or(|until| until <= now)
    }

    /// The incident that it tells of, unless it is a digest.
    pub(super) fn incident(&self) -> Option<u64> {
        let incidents = self.incidents();
        self.refreshes.or(incidents.first().copied().filter(|_| incidents.len() == 1))
    }

    /// The incidents that it tells of: one, or those of a digest.
    pub(super) fn incidents(&self) -> BTreeSet<u64> {
        self.deliveries.iter().filter_map(|delivery| delivery.incident).collect()
    }

    pub(super) fn severity(&self) -> Severity {
        self.deliveries.iter().map(|delivery| delivery.severity).max().unwrap_or_default()
    }
}

/// A request that begins: its number, its destination and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendStart<'a> {
    pub(super) send: SendId,
    pub(super) name: &'a Destination,
    pub(super) now: Time,
}

/// How deliveries are sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum SendMode {
    /// One incident, in a message that disturbs.
    Alone,
    /// Many in one message.
    Digest(StormFacts),
    /// As a change of the message that stands for the incident.
    Silent,
}

/// What is known of a destination.
#[derive(Clone, Debug, Default)]
pub struct DestinationState {
    /// Deliveries that no open send carries.
    pub due: Queue,
    /// Requests that are not settled.
    pub sends: BTreeMap<SendId, OpenSend>,
    /// The messages that stand for incidents.
    pub threads: Threads,
    /// The part that is stored beside the deliveries.
    pub health: DestinationHealth,
    /// Up to when `health.active` is accounted for.
    pub(super) accounted: Time,
    /// The results of its newest requests.
    pub(super) history: RequestHistory,
}

/// The results of a destination's newest requests, to tell an outage from a request that fails alone. Not stored: a
/// start knows none of them.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestHistory {
    /// How many requests began.
    pub begun: u64,
    /// How many had begun at the last success.
    pub begun_at_success: u64,
    /// When the last success was.
    pub success: Option<Time>,
    /// How many had begun when the present outage was last counted as a failure.
    pub begun_at_failure: u64,
    /// How many requests have failed alone since the last success.
    pub failed_alone: u32,
    /// The first delivery of the request that failed last: another one goes next.
    pub failed: Option<DeliveryId>,
}

impl RequestHistory {
    /// Numbers a request that begins.
    pub(crate) fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.begun
    }

    /// Notes a success.
    pub(crate) fn succeed(&mut self, now: Time) {
        *self = Self { begun: self.begun, begun_at_success: self.begun, success: Some(now), ..Self::default() };
    }
}

/// The stored part of a destination's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationHealth {
    /// Failures in a row.
    pub failures: u32,
    /// Since when it fails.
    pub failing_since: Option<Time>,
    /// The end of the back-off.
    pub retry_at: Option<Time>,
    /// The end of the `Retry-After` that it asked for.
    pub rate_limited_until: Option<Time>,
    /// Set while it is paused, until its URL or credential changes or it works.
    pub paused: Option<Paused>,
    /// For how long deliveries could be tried, in all.
    pub active: Duration,
    /// Whether its trouble was reported elsewhere.
    pub told: bool,
    /// How many deliveries were given up and not reported yet, and why.
    #[serde(default)]
    pub dead: Option<(u64, String)>,
    /// The error of its newest failure; empty when it works.
    #[serde(default)]
    pub why: String,
    /// When given-up deliveries were last reported.
    #[serde(default)]
    pub dead_told_at: Option<Time>,
    /// Its recent messages, by which storms are detected.
    #[serde(default)]
    pub storm: Storm,
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
    /// When the oldest delivery became due that has not arrived and was not given up; `None` if there is none.
    pub fn oldest_waiting(&self) -> Option<Time> {
        let sent = self.sends.values().flat_map(|send| &send.deliveries).map(|delivery| delivery.made_at);
        sent.chain(self.due.oldest()).min()
    }

    /// Until when it may not be asked: the end of a back-off or of a `Retry-After`.
    pub(crate) fn blocked_until(&self, now: Time) -> Option<Time> {
        // A back-off that ends later than this is left from a clock that was set back.
        let retry_at = self.health.retry_at.map(|at| at.min(now.plus(LONGEST_BACKOFF)));
        retry_at.max(self.health.rate_limited_until)
    }

    /// Whether there is nothing to ask of it.
    pub(super) fn is_idle(&self) -> bool {
        self.due.is_empty() && self.sends.is_empty() && self.threads.first_change().is_none()
    }

    /// How many answers are outstanding.
    pub(crate) fn in_flight(&self) -> usize {
        self.sends.values().filter(|send| send.in_flight).count()
    }

    /// Opens a send: its incidents get no other one until it is closed.
    pub(super) fn open_send(&mut self, id: SendId, send: OpenSend) {
        for incident in send.incidents() {
            self.due.set_busy(incident, true);
        }
        self.sends.insert(id, send);
    }

    /// Removes an open send and returns its deliveries.
    pub(super) fn close_send(&mut self, id: SendId) -> Vec<Delivery> {
        let Some(send) = self.sends.remove(&id) else { return Vec::new() };
        for incident in send.incidents() {
            self.due.set_busy(incident, false);
        }
        send.deliveries
    }

    /// Counts the active time up to `now`; pauses and `Retry-After` are not active.
    pub(super) fn account(&mut self, now: Time) {
        let from = self
            .health
            .rate_limited_until
            .map_or(self.accounted, |rate_limited_until| rate_limited_until.max(self.accounted));
        if self.health.paused.is_none() {
            self.health.active += now.since(from);
        }
        self.accounted = self.accounted.max(now);
    }

    /// When its outage is reported elsewhere, if nothing else happens.
    pub(super) fn outage_report_due_at(&self) -> Option<Time> {
        let since = self.health.failing_since.filter(|_| !self.health.told && !self.is_idle())?;
        Some(since.plus(UNREACHABLE_AFTER))
    }

    /// What a digest says of its storm. Without a storm, when many ends share a digest, it says how many they are.
    pub(super) fn sums_up(&self, deliveries: &[DeliveryId]) -> Option<StormFacts> {
        let first = || deliveries.iter().filter_map(|id| self.due.get(*id)).map(|delivery| delivery.made_at).min();
        let facts = || Some(StormFacts { since: first()?, notices: deliveries.len() as u64 });
        self.health.storm.facts().or_else(facts)
    }

    /// When the oldest delivery is given up, if nothing else happens.
    pub(super) fn gives_up_at(&self, now: Time) -> Option<Time> {
        let open = self.sends.values().filter(|send| !send.in_flight);
        let youngest = open.filter_map(|send| send.deliveries.iter().map(|delivery| delivery.born).max());
        let born = youngest.chain(self.due.first_born()).min()?;
        self.health.paused.is_none().then(|| now.plus((born + GIVE_UP_AFTER).saturating_sub(self.health.active)))
    }
}

impl DestinationState {
    /// Opens a send that carries deliveries.
    pub(super) fn open(
        &mut self,
        claim: SendStart<'_>,
        deliveries: &[DeliveryId],
        mode: SendMode,
        writes: &mut OutboxWrites,
    ) -> SendTask {
        let deliveries: Vec<Delivery> = deliveries.iter().filter_map(|id| self.due.remove(*id)).collect();
        for delivery in &deliveries {
            writes.changed.insert(delivery.id, DeliveryState::Claimed { send: claim.send });
        }
        let content = deliveries.iter().map(|delivery| delivery.content).max().unwrap_or_default();
        let silent = matches!(mode, SendMode::Silent);
        let storm = match mode {
            SendMode::Digest(storm) => Some(storm),
            SendMode::Alone | SendMode::Silent => None,
        };
        let open = OpenSend { silent, ..OpenSend::carrying(deliveries) };
        self.claim(claim, open, (content, storm), writes)
    }

    /// Opens a send that brings the message of an incident up to date.
    pub(super) fn open_refresh(
        &mut self,
        claim: SendStart<'_>,
        incident: u64,
        writes: &mut OutboxWrites,
    ) -> Option<SendTask> {
        let content = self.threads.get(incident)?.content;
        // Do not refresh again before the answer is there.
        self.threads.leave(incident, claim.now);
        let open = OpenSend { refreshes: Some(incident), silent: true, ..OpenSend::carrying(Vec::new()) };
        Some(self.claim(claim, open, (content, None), writes))
    }

    fn claim(
        &mut self,
        SendStart { send, name, now }: SendStart<'_>,
        mut open: OpenSend,
        (content, storm): (Content, Option<StormFacts>),
        writes: &mut OutboxWrites,
    ) -> SendTask {
        open.sequence = self.history.begin();
        let incident = open.incident().filter(|_| storm.is_none());
        let claimed = Claimed {
            send,
            destination: name.clone(),
            deliveries: open.deliveries.clone(),
            incident,
            parent: incident.and_then(|incident| self.threads.get(incident)).map(|thread| thread.parent.clone()),
            content,
            storm,
            at: now,
        };
        writes.claimed.push(claimed.clone());
        self.open_send(send, open);
        SendTask::First(claimed)
    }

    /// Sets or removes the message that stands for an incident.
    pub(super) fn anchor(
        &mut self,
        incident: u64,
        thread: Option<Thread>,
        name: &Destination,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        self.due.set_anchored(incident, thread.is_some());
        match thread {
            Some(thread) => self.threads.put(incident, thread, now),
            None => drop(self.threads.remove(incident)),
        }
        writes.threads.insert((name.clone(), incident));
    }

    /// Forgets the message of an incident that is over for good, once no notice of it is left to send.
    pub(super) fn forget_over(&mut self, incident: u64, name: &Destination, writes: &mut OutboxWrites) {
        let told = !self.due.has(incident) && !self.sends.values().any(|send| send.incidents().contains(&incident));
        if told && self.threads.is_over(incident) {
            self.threads.remove(incident);
            self.due.set_anchored(incident, false);
            writes.threads.insert((name.clone(), incident));
        }
    }

    pub(super) fn repeat(&mut self, send: SendId, name: &Destination, writes: &mut OutboxWrites) -> Option<SendTask> {
        let open = self.sends.get_mut(&send)?;
        open.in_flight = true;
        open.sequence = self.history.begin();
        open.backoff_until = None;
        open.attempts = open.attempts.saturating_add(1);
        writes.repeated.push((send, open.attempts));
        Some(SendTask::Again { send, destination: name.clone() })
    }

    /// Removes a waiting delivery, or the idle send that carries it.
    pub(super) fn discard(&mut self, id: DeliveryId, writes: &mut OutboxWrites) -> Option<Vec<DeliveryId>> {
        if self.due.remove(id).is_some() {
            return Some(vec![id]);
        }
        let carries = |send: &OpenSend| !send.in_flight && send.deliveries.iter().any(|delivery| delivery.id == id);
        let send = self.sends.iter().find(|(_, send)| carries(send)).map(|(send, _)| *send)?;
        writes.settled.push((send, SendResult::Dropped));
        Some(self.close_send(send).into_iter().map(|delivery| delivery.id).collect())
    }

    /// Counts given-up deliveries. They are reported with the next tick, but at most once an hour: after a day without
    /// success every notice ends like this.
    pub(super) fn note_dead(&mut self, deliveries: u64, why: &str) {
        let (count, words) = self.health.dead.get_or_insert_with(|| (0, String::new()));
        *count += deliveries;
        why.clone_into(words);
    }

    /// The given-up deliveries that are to be reported now, and why they were given up.
    pub(super) fn take_dead(&mut self, now: Time) -> Option<(u64, String)> {
        let waits = self.health.dead_told_at.is_some_and(|at| at <= now && now.since(at) < DEAD_TOLD_EVERY);
        if waits || self.health.dead.is_none() {
            return None;
        }
        self.health.dead_told_at = Some(now);
        self.health.dead.take()
    }

    /// Gives up the deliveries that `over` selects, and the open sends that carry nothing else.
    pub(super) fn give_up(
        &mut self,
        name: &Destination,
        over: impl Fn(&Delivery) -> bool,
        why: &str,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        let drained = self.due.drain(&over);
        drained.iter().for_each(|delivery| self.due.taken(delivery));
        let mut dead: Vec<DeliveryId> = drained.into_iter().map(|delivery| delivery.id).collect();
        let carries = |send: &OpenSend| !send.deliveries.is_empty() && send.deliveries.iter().all(&over);
        let idle = self.sends.iter().filter(|(_, send)| !send.in_flight && carries(send));
        for id in idle.map(|(id, _)| *id).collect::<Vec<_>>() {
            dead.extend(self.close_send(id).into_iter().map(|delivery| delivery.id));
            writes.settled.push((id, SendResult::GivenUp));
        }
        if dead.is_empty() {
            return;
        }
        // If a user revives the delivery, it must not go last for its old failure.
        self.history.failed = self.history.failed.filter(|failed| !dead.contains(failed));
        writes.destinations.insert(name.clone());
        self.note_dead(dead.len() as u64, why);
        for id in dead {
            writes.changed.insert(id, DeliveryState::Dead { at: now, why: why.to_owned() });
        }
    }
}
