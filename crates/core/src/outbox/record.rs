//! What came of a request, and what follows from it for its deliveries and its destination.

use std::collections::HashMap;
use std::time::Duration;

use super::{
    Delivery, DeliveryId, DeliveryState, DestinationState, OpenSend, Outbox, OutboxWrites, Parent, Paused, SendId,
    Signal, Thread, storm::Arrived,
};
use crate::rules::Severity;
use crate::rules::rule::Destination;
use crate::source::Problem;
use crate::time::Time;

/// What came of a request, as the notifier of the platform reads status, body and error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Delivered,
    /// It arrived as a new message, which can be changed and answered to: from now on it stands for
    /// the incident.
    Posted(Parent),
    /// Nothing was taken: the message that stood for the incident is gone.
    Orphaned {
        /// The platform's words.
        why: String,
    },
    /// A definite "not now": nothing was taken. The send dissolves and may fold anew, unless an
    /// earlier attempt was unclear: that one may have been taken, so id and body stay.
    Refused {
        /// When to come back, if that was said.
        retry_after: Option<Duration>,
        /// The platform's words.
        why: String,
    },
    /// Nobody knows whether it was taken: the same id and body must be repeated.
    Unclear {
        /// When to come back, if that was said.
        retry_after: Option<Duration>,
        /// What happened.
        why: String,
    },
    /// The platform does not take this content: it concerns these deliveries only.
    Content {
        /// The platform's words.
        why: String,
    },
    /// The URL or the credential is dead.
    Dead {
        /// The platform's code.
        code: String,
        /// The platform's words.
        text: String,
        /// What the operator can do.
        advice: String,
    },
}

impl Outcome {
    /// Whether it is there now.
    pub fn arrived(&self) -> bool {
        matches!(self, Self::Delivered | Self::Posted(_))
    }
}

/// The longest back-off, but for `Retry-After`.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// An outage is looked at so often at least while it is young,
const YOUNG: Duration = Duration::from_secs(4);
/// and later in steps of this part of its age: who comes back after a minute is told soon, and who is away for an
/// hour is not asked a thousand times.
const PART_OF_AGE: u32 = 6;
/// The longest `Retry-After` that is believed: a day.
const LONGEST_WALL: Duration = Duration::from_secs(24 * 3600);
/// The first pause of what was not taken while others were,
const FIRST_REST: Duration = Duration::from_millis(500);
/// and the longest.
const LONGEST_REST: Duration = Duration::from_secs(600);
/// A destination that took something so lately is not down because something fails,
const LATELY: Duration = Duration::from_secs(30);
/// unless so many requests in a row fail, or as many as may be in flight.
const FEW: usize = 3;

/// How long a destination is left alone after so many failures in a row: 1 s, 2 s, 4 s and on to a minute,
/// but no longer than a sixth of the time since it took something (4 s at least); less up to a half by `chance`
/// (0 to 1), so that many processes do not come back in step.
pub fn backoff(failures: u32, outage: Duration, chance: f64) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(2u32.saturating_pow(failures.clamp(1, 16) - 1));
    jittered(doubled.min(YOUNG.max(outage / PART_OF_AGE)).min(LONGEST), chance)
}

/// How long one request is left that was not taken while others were, for the `refused`th time in a row.
fn rest(refused: u32, chance: f64) -> Duration {
    let grown = 1.3f64.powi(i32::try_from(refused.clamp(1, 40)).unwrap_or(40) - 1);
    jittered(FIRST_REST.mul_f64(grown).min(LONGEST_REST), chance)
}

fn jittered(whole: Duration, chance: f64) -> Duration {
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

impl Outbox {
    /// Takes in what came of a send. `chance` is a random number between 0 and 1.
    pub fn record(&mut self, send: SendId, outcome: Outcome, chance: f64, now: Time, writes: &mut OutboxWrites) {
        let found = self.destinations.iter_mut().find(|(_, state)| state.sends.contains_key(&send));
        let Some((name, state)) = found else { return };
        let name = name.clone();
        let policy = self.policies.get(&name);
        let fingerprint = policy.map(|policy| policy.fingerprint.to_string()).unwrap_or_default();
        let (digest_after, few) =
            policy.map_or((None, FEW), |policy| (policy.digest_after, policy.concurrency.max(FEW)));
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
                state.settle(send, &name, now, writes);
                state.recover(&name, now, writes);
            }
            Outcome::Orphaned { .. } => {
                state.orphaned(send, &name, now, writes);
                // It answered, and not about itself.
                state.recover(&name, now, writes);
            }
            Outcome::Refused { retry_after, why } => {
                let failure = state.judge(send, retry_after, why, few, chance, now);
                state.not_taken(send, "refused", failure, now, writes);
            }
            Outcome::Unclear { retry_after, why } => {
                let failure = state.judge(send, retry_after, why, few, chance, now);
                match state.drop_refresh(send, writes) {
                    Some(incident) => state.threads.show(incident, None, now),
                    None => state.repeat_later(send, failure, now),
                }
            }
            Outcome::Content { why } => {
                state.reduce(send, &why, now, writes);
                // It answered, and not about itself: the others may go on.
                state.recover(&name, now, writes);
            }
            Outcome::Dead { code, text, advice } => {
                state.not_taken(send, "paused", Failure::OfDestination, now, writes);
                state.pause(&name, Problem { code, text, advice, gone: false }, fingerprint, now, writes);
            }
        }
    }
}

/// Whose failure it was that a request was not taken.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// The destination's: it takes nothing.
    OfDestination,
    /// The request's alone: others are taken. It rests.
    OfRequest {
        /// Between 0 and 1.
        chance: f64,
    },
}

impl DestinationState {
    /// What arrived counts for storms.
    fn count(&mut self, send: SendId, digest_after: Option<usize>, now: Time) {
        let (Some(after), Some(open)) = (digest_after, self.sends.get(&send)) else { return };
        let Some(class) = open.class() else { return };
        let critical = open.severity() == Severity::Critical;
        self.health.storm.message(after, Arrived { class, critical, digest: open.digest }, now);
    }

    /// It arrived: of each incident the newest delivery was told, the others are part of its story.
    fn settle(&mut self, send: SendId, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        let deliveries = self.close_send(send);
        writes.settled.push((send, "delivered"));
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

    /// What the message of a send that arrived shows; `posted`: it is a new one.
    fn shown(
        &mut self,
        send: SendId,
        posted: Option<Parent>,
        name: &Destination,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        let Some(open) = self.sends.get(&send) else { return };
        let (Some(incident), face) = (open.incident(), open.face) else { return };
        match posted {
            Some(parent) => {
                let over = self.threads.is_over(incident);
                let shown = face.map(|face| (face, now));
                self.anchor(incident, Some(Thread::restored(parent, now, shown)), name, now, writes);
                if over {
                    self.threads.end(incident, now);
                }
            }
            None if face.is_some() && self.threads.get(incident).is_some() => {
                self.threads.show(incident, face, now);
                writes.threads.insert((name.clone(), incident));
            }
            None => {}
        }
    }

    /// The message that stood for an incident is gone: what was to be said of it goes into a new one.
    fn orphaned(&mut self, send: SendId, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        let incident = self.sends.get(&send).and_then(OpenSend::incident);
        // Also after an attempt that was unclear: a message that is not there has not taken it.
        let deliveries = self.close_send(send);
        writes.settled.push((send, "its message is gone"));
        if let Some(incident) = incident {
            self.anchor(incident, None, name, now, writes);
        }
        self.due_again(deliveries, writes);
    }

    /// A refresh is not repeated: what its message does not show is seen from the difference.
    fn drop_refresh(&mut self, send: SendId, writes: &mut OutboxWrites) -> Option<u64> {
        let incident = self.sends.get(&send)?.refreshes?;
        self.close_send(send);
        writes.settled.push((send, "not taken"));
        Some(incident)
    }

    /// This attempt was not taken. If it was the first, nothing was, and its deliveries are due
    /// again; a repetition follows an unclear attempt, and whoever took that knows it by its id.
    fn not_taken(&mut self, send: SendId, why: &'static str, failure: Failure, now: Time, writes: &mut OutboxWrites) {
        if let Some(incident) = self.drop_refresh(send, writes) {
            return self.threads.show(incident, None, now);
        }
        if self.sends.get(&send).is_some_and(|open| open.attempts > 1) {
            return self.repeat_later(send, failure, now);
        }
        let deliveries = self.close_send(send);
        writes.settled.push((send, why));
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
            open.rests_until = Some(now.plus(rest(open.refused, chance)));
        }
    }

    fn due_again(&mut self, deliveries: Vec<Delivery>, writes: &mut OutboxWrites) {
        for delivery in deliveries {
            let state = DeliveryState::Due { content: delivery.content, born: delivery.born };
            writes.changed.insert(delivery.id, state);
            self.due.put_back(delivery);
        }
    }

    /// Its content was not taken: shorter, then one line, then it is given up.
    fn reduce(&mut self, send: SendId, why: &str, now: Time, writes: &mut OutboxWrites) {
        if let Some(incident) = self.drop_refresh(send, writes) {
            return self.threads.reduce(incident, now);
        }
        let deliveries = self.close_send(send);
        writes.settled.push((send, "content refused"));
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

    /// A request was not taken: whose failure is it? One outage is one failure, however many requests were in
    /// flight when it began; and a destination that takes others is not down.
    fn judge(
        &mut self,
        send: SendId,
        retry_after: Option<Duration>,
        why: String,
        few: usize,
        chance: f64,
        now: Time,
    ) -> Failure {
        let (begun, first) = self.sends.get(&send).map_or((0, None), |open| (open.begun, open.deliveries.first()));
        let first = first.map(|delivery| delivery.id);
        self.health.why = why;
        let since = *self.health.failing_since.get_or_insert(now);
        if let Some(wait) = retry_after {
            self.health.rate_limited_until = self.health.rate_limited_until.max(Some(now.plus(wait.min(LONGEST_WALL))));
        }
        let course = &mut self.course;
        if begun <= course.begun_at_success && course.success.is_some() {
            return Failure::OfRequest { chance };
        }
        if self.health.failures > 0 && begun <= course.begun_at_failure {
            return Failure::OfDestination;
        }
        let takes_some = course.success.is_some_and(|at| now.since(at) < LATELY);
        if self.health.failures == 0 && takes_some && (course.failed_alone as usize) < few {
            course.failed_alone += 1;
            return Failure::OfRequest { chance };
        }
        self.health.failures = self.health.failures.saturating_add(1);
        course.begun_at_failure = course.begun;
        course.failed = first.or(course.failed);
        if retry_after.is_none() {
            self.health.retry_at = Some(now.plus(backoff(self.health.failures, now.since(since), chance)));
        }
        Failure::OfDestination
    }

    /// Others hear of it when it takes nothing for long, whatever the reason.
    pub(super) fn tell_elsewhere(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        if self.told_at().is_none_or(|at| at > now) {
            return;
        }
        self.health.told = true;
        writes.destinations.insert(name.clone());
        let walled = self
            .health
            .rate_limited_until
            .map(|wall| wall.since(now).as_secs().div_ceil(60))
            .filter(|minutes| *minutes > 0);
        let (text, advice) = match walled {
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
        writes.signals.push(Signal::Trouble(name.clone(), error));
    }

    /// URL or credential are dead: nothing more is tried until they change or a test succeeds.
    fn pause(&mut self, name: &Destination, error: Problem, fingerprint: String, now: Time, writes: &mut OutboxWrites) {
        self.health.paused =
            Some(Paused { since: now, fingerprint, code: error.code.clone(), text: error.text.clone() });
        self.health.told = true;
        writes.signals.push(Signal::Trouble(name.clone(), error));
    }

    /// It works: the queue is released. A wall stays until it ends: the success may be that of a
    /// request that was in flight beside the refused one.
    pub(super) fn recover(&mut self, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        self.course.succeed(now);
        self.health.failures = 0;
        self.health.failing_since = None;
        self.health.retry_at = None;
        self.health.why = String::new();
        // Nor can URL and credential be dead: one of several behind the address said so.
        self.health.paused = None;
        if std::mem::take(&mut self.health.told) {
            writes.signals.push(Signal::Recovered(name.clone()));
        }
        writes.destinations.insert(name.clone());
    }
}
