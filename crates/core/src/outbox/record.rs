//! The outcome of a request, and its consequences for its deliveries and its destination.

use std::collections::HashMap;
use std::time::Duration;

use super::destination::LONGEST_BACKOFF;
use super::storm::Arrived;
use super::{
    Delivery, DeliveryId, DeliveryState, DestinationReport, DestinationState, OpenSend, Outbox, OutboxWrites, Parent,
    Paused, SendId, SendResult, Thread,
};
use crate::backoff::{doubled, jittered};
use crate::rule::{Destination, Severity};
use crate::source::Problem;
use crate::time::Time;

/// The outcome of a request, as the notifier of the platform reads it from status, body and error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It arrived as a new message that can be changed and replied to: from now on this message stands for the
    /// incident.
    Posted(Parent),
    /// Its platform needs no request for this: nothing was sent, so nothing is known of the destination.
    NotNeeded,
    /// Nothing was taken: the message that stood for the incident is gone.
    Orphaned {
        /// The platform's words.
        why: String,
    },
    /// A definite "not now": nothing was taken. The send dissolves and its deliveries may be folded anew, unless an
    /// earlier attempt was unclear: that one may have been taken, so id and body stay.
    Refused {
        /// When to try again, if the platform said so.
        retry_after: Option<Duration>,
        /// The platform's words.
        why: String,
    },
    /// It is unknown whether the request was taken: the same id and body must be repeated.
    Unclear {
        /// When to try again, if the platform said so.
        retry_after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// The platform refuses this content: only these deliveries are affected.
    ContentRejected {
        /// The platform's words.
        why: String,
    },
    /// The URL or the credential is no longer valid.
    InvalidDestination {
        /// The platform's code.
        code: String,
        /// The platform's words.
        text: String,
        /// What the operator can do.
        advice: String,
    },
}

impl Outcome {
    /// Whether the message arrived.
    pub fn arrived(&self) -> bool {
        matches!(self, Self::Delivered | Self::Posted(_))
    }
}

/// The longest back-off of a young outage.
const YOUNG: Duration = Duration::from_secs(4);
/// Later a back-off is at most the length of the outage divided by this: a destination that is back after a minute is
/// asked soon, and one that is away for an hour is not asked a thousand times.
const PART_OF_AGE: u32 = 6;
/// The longest `Retry-After` that is believed: a day.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// The first pause of a request that was refused while others were taken.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest such pause.
const LONGEST_REQUEST_BACKOFF: Duration = Duration::from_secs(600);
/// A destination that took something this recently is not down because a request fails.
const LATELY: Duration = Duration::from_secs(30);
/// It is down after this many failed requests, or as many as may be in flight if those are more.
const FEW: usize = 3;

/// How long a destination is left alone after so many failures in a row: 1 s, 2 s, 4 s and on to a minute, but no
/// longer than a sixth of the outage (4 s at least). `chance` (0 to 1) shortens that by up to a half, so that many
/// processes do not come back in step.
pub fn backoff(failures: u32, outage: Duration, chance: f64) -> Duration {
    let longest = YOUNG.max(outage / PART_OF_AGE).min(LONGEST_BACKOFF);
    jittered(doubled(Duration::from_secs(1), failures.saturating_sub(1), longest), chance)
}

/// How long a request pauses that was refused while others were taken, for the `refused`th time in a row.
fn rest(refused: u32, chance: f64) -> Duration {
    let grown = 1.3f64.powi(i32::try_from(refused.clamp(1, 40)).unwrap_or(40) - 1);
    jittered(FIRST_BACKOFF.mul_f64(grown).min(LONGEST_REQUEST_BACKOFF), chance)
}

impl Outbox {
    /// Takes in the outcome of a send. `chance` is a random number between 0 and 1.
    pub fn record(&mut self, send: SendId, outcome: Outcome, chance: f64, now: Time, writes: &mut OutboxWrites) {
        let found = self.destinations.iter_mut().find(|(_, state)| state.sends.contains_key(&send));
        let Some((name, state)) = found else { return };
        let name = name.clone();
        let policy = self.policies.get(&name);
        let fingerprint = policy.map(|policy| policy.fingerprint.to_string()).unwrap_or_default();
        let (digest_after, most_alone) =
            policy.map_or((None, FEW), |policy| (policy.digest_after, policy.concurrency.max(FEW)));
        let attempt = Attempt { send, most_alone, chance, now };
        state.account(now);
        writes.destinations.insert(name.clone());
        match outcome {
            Outcome::Delivered | Outcome::Posted(_) => {
                let posted = match outcome {
                    Outcome::Posted(parent) => Some(parent),
                    _ => None,
                };
                state.count(send, digest_after, now);
                state.shown(send, posted, &name, now, writes);
                state.mark_delivered(send, &name, now, writes);
                state.recover(&name, now, writes);
            }
            Outcome::NotNeeded => {
                state.shown(send, None, &name, now, writes);
                state.mark_delivered(send, &name, now, writes);
            }
            Outcome::Orphaned { .. } => {
                state.orphaned(send, &name, now, writes);
                // The destination answered, and its answer is not about itself.
                state.recover(&name, now, writes);
            }
            Outcome::Refused { retry_after, why } => {
                let failure = state.judge(attempt, retry_after, why);
                state.not_taken(send, SendResult::Refused, failure, now, writes);
            }
            Outcome::Unclear { retry_after, why } => {
                let failure = state.judge(attempt, retry_after, why);
                match state.drop_refresh(send, writes) {
                    Some(incident) => state.threads.show(incident, None, now),
                    None => state.repeat_later(send, failure, now),
                }
            }
            Outcome::ContentRejected { why } => {
                state.reduce(send, &why, now, writes);
                // The answer is about the content, not the destination: the others may go on.
                state.recover(&name, now, writes);
            }
            Outcome::InvalidDestination { code, text, advice } => {
                state.not_taken(send, SendResult::Paused, Failure::OfDestination, now, writes);
                state.pause(&name, Problem { code, text, advice, gone: false }, fingerprint, now, writes);
            }
        }
    }
}

/// A request that was not taken.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    send: SendId,
    /// This many requests may fail alone before the destination counts as down.
    most_alone: usize,
    /// A random number between 0 and 1.
    chance: f64,
    now: Time,
}

/// Whether the destination or the request is at fault.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// The destination takes nothing.
    OfDestination,
    /// Only this request fails, others are taken: it pauses.
    OfRequest {
        /// A random number between 0 and 1.
        chance: f64,
    },
}

impl DestinationState {
    /// Counts a message that arrived for storms.
    fn count(&mut self, send: SendId, digest_after: Option<usize>, now: Time) {
        let (Some(after), Some(open)) = (digest_after, self.sends.get(&send)) else { return };
        let Some(class) = open.class() else { return };
        let critical = open.severity() == Severity::Critical;
        self.health.storm.message(after, Arrived { class, critical, digest: open.digest }, now);
    }

    /// Settles a send that arrived: of each incident the newest delivery counts as sent, the others as folded into it.
    fn mark_delivered(&mut self, send: SendId, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        let deliveries = self.close_send(send);
        writes.settled.push((send, SendResult::Delivered));
        let newest: HashMap<u64, DeliveryId> =
            deliveries.iter().filter_map(|delivery| Some((delivery.incident?, delivery.id))).collect();
        for delivery in deliveries {
            self.due.taken(&delivery);
            let told = delivery.incident.and_then(|incident| newest.get(&incident).copied()).unwrap_or(delivery.id);
            let state = match delivery.id == told {
                true => DeliveryState::Sent { at: now },
                false => DeliveryState::Folded { at: now, into: told },
            };
            writes.changed.insert(delivery.id, state);
            if let Some(incident) = delivery.incident {
                self.forget_over(incident, name, writes);
            }
        }
    }

    /// Notes what the message of a send that arrived shows. `posted`: it is a new message.
    fn shown(
        &mut self,
        send: SendId,
        posted: Option<Parent>,
        name: &Destination,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        let Some(open) = self.sends.get(&send) else { return };
        let (Some(incident), message_state) = (open.incident(), open.message_state) else { return };
        match posted {
            Some(parent) => {
                let over = self.threads.is_over(incident);
                let shown = message_state.map(|message_state| (message_state, now));
                self.anchor(incident, Some(Thread::restored(parent, now, shown)), name, now, writes);
                if over {
                    self.threads.end(incident, now);
                }
            }
            None if message_state.is_some() && self.threads.get(incident).is_some() => {
                self.threads.show(incident, message_state, now);
                writes.threads.insert((name.clone(), incident));
            }
            None => {}
        }
    }

    /// The message that stood for the incident is gone: the deliveries go into a new one.
    fn orphaned(&mut self, send: SendId, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        let incident = self.sends.get(&send).and_then(OpenSend::incident);
        // Also after an unclear attempt: a message that is not there has not taken it.
        let deliveries = self.close_send(send);
        writes.settled.push((send, SendResult::MessageGone));
        if let Some(incident) = incident {
            self.anchor(incident, None, name, now, writes);
        }
        self.due_again(deliveries, writes);
    }

    /// Drops a refresh instead of repeating it: the difference to what the message shows brings it back.
    fn drop_refresh(&mut self, send: SendId, writes: &mut OutboxWrites) -> Option<u64> {
        let incident = self.sends.get(&send)?.refreshes?;
        self.close_send(send);
        writes.settled.push((send, SendResult::NotTaken));
        Some(incident)
    }

    /// This attempt was not taken. After a first attempt nothing was, and the deliveries are due again. A repetition
    /// follows an unclear attempt: it keeps its id, by which the platform knows what it has taken.
    fn not_taken(&mut self, send: SendId, result: SendResult, failure: Failure, now: Time, writes: &mut OutboxWrites) {
        if let Some(incident) = self.drop_refresh(send, writes) {
            return self.threads.show(incident, None, now);
        }
        if self.sends.get(&send).is_some_and(|open| open.attempts > 1) {
            return self.repeat_later(send, failure, now);
        }
        let deliveries = self.close_send(send);
        writes.settled.push((send, result));
        let ids: Vec<DeliveryId> = deliveries.iter().map(|delivery| delivery.id).collect();
        self.due_again(deliveries, writes);
        if let Failure::OfRequest { chance } = failure {
            self.due.rest(&ids, |refused| rest(refused, chance), now);
        }
    }

    fn repeat_later(&mut self, send: SendId, failure: Failure, now: Time) {
        let Some(open) = self.sends.get_mut(&send) else { return };
        open.in_flight = false;
        if let Failure::OfRequest { chance } = failure {
            open.refused = open.refused.saturating_add(1);
            open.backoff_until = Some(now.plus(rest(open.refused, chance)));
        }
    }

    fn due_again(&mut self, deliveries: Vec<Delivery>, writes: &mut OutboxWrites) {
        for delivery in deliveries {
            let state = DeliveryState::Due { content: delivery.content, born: delivery.born };
            writes.changed.insert(delivery.id, state);
            self.due.put_back(delivery);
        }
    }

    /// The content was refused: try shorter, then one line, then give up.
    fn reduce(&mut self, send: SendId, why: &str, now: Time, writes: &mut OutboxWrites) {
        if let Some(incident) = self.drop_refresh(send, writes) {
            return self.threads.reduce(incident, now);
        }
        let deliveries = self.close_send(send);
        writes.settled.push((send, SendResult::ContentRefused));
        let content = deliveries.iter().map(|delivery| delivery.content).max().unwrap_or_default();
        let Some(less) = content.less() else {
            let why = format!("the platform does not take it: {why}");
            self.note_dead(deliveries.len() as u64, &why);
            for delivery in deliveries {
                writes.changed.insert(delivery.id, DeliveryState::Dead { at: now, why: why.clone() });
            }
            return;
        };
        let shorter = deliveries.into_iter().map(|delivery| Delivery { content: less, ..delivery });
        self.due_again(shorter.collect(), writes);
    }

    /// Decides who is at fault when a request was not taken. One outage is one failure, however many requests were in
    /// flight when it began; and a destination that takes others is not down.
    fn judge(&mut self, attempt: Attempt, retry_after: Option<Duration>, why: String) -> Failure {
        let Attempt { send, most_alone, chance, now } = attempt;
        let (sequence, first) =
            self.sends.get(&send).map_or((0, None), |open| (open.sequence, open.deliveries.first()));
        let first = first.map(|delivery| delivery.id);
        self.health.why = why;
        let since = *self.health.failing_since.get_or_insert(now);
        if let Some(wait) = retry_after {
            self.health.rate_limited_until =
                self.health.rate_limited_until.max(Some(now.plus(wait.min(LONGEST_RETRY_AFTER))));
        }
        let history = &mut self.history;
        if sequence <= history.begun_at_success && history.success.is_some() {
            return Failure::OfRequest { chance };
        }
        if self.health.failures > 0 && sequence <= history.begun_at_failure {
            return Failure::OfDestination;
        }
        let takes_some = history.success.is_some_and(|at| now.since(at) < LATELY);
        if self.health.failures == 0 && takes_some && (history.failed_alone as usize) < most_alone {
            history.failed_alone += 1;
            return Failure::OfRequest { chance };
        }
        self.health.failures = self.health.failures.saturating_add(1);
        history.begun_at_failure = history.begun;
        history.failed = first.or(history.failed);
        if retry_after.is_none() {
            self.health.retry_at = Some(now.plus(backoff(self.health.failures, now.since(since), chance)));
        }
        Failure::OfDestination
    }

    /// Reports elsewhere that the destination has taken nothing for long, whatever the reason.
    pub(super) fn report_outage(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        if self.outage_report_due_at().is_none_or(|at| at > now) {
            return;
        }
        self.health.told = true;
        writes.destinations.insert(name.clone());
        let rate_limited_minutes = self
            .health
            .rate_limited_until
            .map(|until| until.since(now).as_secs().div_ceil(60))
            .filter(|minutes| *minutes > 0);
        let (text, advice) = match rate_limited_minutes {
            Some(minutes) => (
                format!("{}; it asks (Retry-After) to be left alone for {minutes} more min", self.health.why),
                "nothing is lost: podbell delivers everything when that time is over",
            ),
            None => (
                self.health.why.clone(),
                "nothing is lost: podbell keeps trying for 24 h and delivers everything when it answers again",
            ),
        };
        let error = Problem { code: "unreachable".into(), text, advice: advice.into(), gone: false };
        writes.destination_reports.push(DestinationReport::Trouble(name.clone(), error));
    }

    /// URL or credential are no longer valid: nothing is tried until they change or a test succeeds.
    fn pause(&mut self, name: &Destination, error: Problem, fingerprint: String, now: Time, writes: &mut OutboxWrites) {
        self.health.paused =
            Some(Paused { since: now, fingerprint, code: error.code.clone(), text: error.text.clone() });
        self.health.told = true;
        writes.destination_reports.push(DestinationReport::Trouble(name.clone(), error));
    }

    /// The destination works: releases the queue. A `Retry-After` stays until it ends: the success may be that of a
    /// request that was in flight beside the refused one.
    pub(super) fn recover(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        self.history.succeed(now);
        self.health.failures = 0;
        self.health.failing_since = None;
        self.health.retry_at = None;
        self.health.why = String::new();
        // URL and credential must be valid, too: only one of several servers behind the address refused them.
        self.health.paused = None;
        if std::mem::take(&mut self.health.told) {
            writes.destination_reports.push(DestinationReport::Recovered(name.clone()));
        }
        writes.destinations.insert(name.clone());
    }
}
