//! What came of a request, and what follows from it for its deliveries and its destination.

use std::collections::HashMap;
use std::time::Duration;

use super::{
    Delivery, DeliveryId, DeliveryState, DestinationState, OpenSend, Outbox, OutboxWrites, Parent, Paused, SendId,
    Signal, Thread, UNREACHABLE_AFTER,
};
use crate::core::rules::rule::Destination;
use crate::core::source::PollError;
use crate::core::time::Time;

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
pub(super) const LONGEST: Duration = Duration::from_secs(600);
/// The longest `Retry-After` that is believed.
const LONGEST_WALL: Duration = Duration::from_secs(24 * 3600);

/// How long to wait after so many failures in a row: 2 s, doubled up to 10 min, less up to a half
/// by `chance` (0 to 1), so that many processes do not come back in step.
pub fn backoff(failures: u32, chance: f64) -> Duration {
    let whole = Duration::from_secs(1).saturating_mul(2u32.saturating_pow(failures.clamp(1, 16))).min(LONGEST);
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

impl Outbox {
    /// Takes in what came of a send. `chance` is a random number between 0 and 1.
    pub fn record(&mut self, send: SendId, outcome: Outcome, chance: f64, now: Time, writes: &mut OutboxWrites) {
        let found = self.destinations.iter_mut().find(|(_, state)| state.sends.contains_key(&send));
        let Some((name, state)) = found else { return };
        let name = name.clone();
        let fingerprint = self.policies.get(&name).map(|policy| policy.fingerprint.to_string()).unwrap_or_default();
        state.account(now);
        writes.destinations.insert(name.clone());
        match outcome {
            Outcome::Delivered => {
                state.shown(send, None, &name, now, writes);
                state.settle(send, &name, now, writes);
                state.recover(&name, writes);
            }
            Outcome::Posted(parent) => {
                state.shown(send, Some(parent), &name, now, writes);
                state.settle(send, &name, now, writes);
                state.recover(&name, writes);
            }
            Outcome::Orphaned { .. } => {
                state.orphaned(send, &name, now, writes);
                // It answered, and not about itself.
                state.recover(&name, writes);
            }
            Outcome::Refused { retry_after, why } => {
                state.not_taken(send, "refused", now, writes);
                state.fail(&name, retry_after, &why, chance, now, writes);
            }
            Outcome::Unclear { retry_after, why } => {
                match state.drop_refresh(send, writes) {
                    Some(incident) => state.threads.show(incident, None, now),
                    None => state.repeat_later(send),
                }
                state.fail(&name, retry_after, &why, chance, now, writes);
            }
            Outcome::Content { why } => {
                state.reduce(send, &why, now, writes);
                // It answered, and not about itself: the others may go on.
                state.recover(&name, writes);
            }
            Outcome::Dead { code, text, advice } => {
                state.not_taken(send, "paused", now, writes);
                state.pause(&name, PollError { code, text, advice, gone: false }, fingerprint, now, writes);
            }
        }
    }
}

impl DestinationState {
    /// It arrived: of each incident the newest delivery was told, the others are part of its story.
    fn settle(&mut self, send: SendId, name: &Destination, now: Time, writes: &mut OutboxWrites) {
        let deliveries = self.close_send(send);
        writes.settled.push((send, "delivered"));
        let newest: HashMap<u64, DeliveryId> =
            deliveries.iter().filter_map(|delivery| Some((delivery.incident?, delivery.id))).collect();
        for delivery in deliveries {
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
        for delivery in deliveries {
            self.due_again(delivery, writes);
        }
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
    fn not_taken(&mut self, send: SendId, why: &'static str, now: Time, writes: &mut OutboxWrites) {
        if let Some(incident) = self.drop_refresh(send, writes) {
            return self.threads.show(incident, None, now);
        }
        if self.sends.get(&send).is_some_and(|open| open.attempts > 1) {
            return self.repeat_later(send);
        }
        let deliveries = self.close_send(send);
        writes.settled.push((send, why));
        for delivery in deliveries {
            self.due_again(delivery, writes);
        }
    }

    fn repeat_later(&mut self, send: SendId) {
        if let Some(open) = self.sends.get_mut(&send) {
            open.in_flight = false;
        }
    }

    fn due_again(&mut self, delivery: Delivery, writes: &mut OutboxWrites) {
        let state = DeliveryState::Due { content: delivery.content, born: delivery.born };
        writes.changed.insert(delivery.id, state);
        self.due.insert(delivery);
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
        for delivery in deliveries {
            self.due_again(Delivery { content: less, ..delivery }, writes);
        }
    }

    /// It cannot be reached, or wants to be left alone for a while.
    fn fail(
        &mut self,
        name: &Destination,
        retry_after: Option<Duration>,
        why: &str,
        chance: f64,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        self.health.failures = self.health.failures.saturating_add(1);
        let since = *self.health.failing_since.get_or_insert(now);
        match retry_after {
            Some(wait) => self.health.wall = self.health.wall.max(Some(now.plus(wait.min(LONGEST_WALL)))),
            None => self.health.retry_at = Some(now.plus(backoff(self.health.failures, chance))),
        }
        if !self.health.told && now.since(since) >= UNREACHABLE_AFTER {
            self.health.told = true;
            let error = PollError {
                code: "unreachable".into(),
                text: why.to_owned(),
                advice: "nothing is lost: podbell keeps trying for 24 h and delivers everything when it answers again"
                    .into(),
                gone: false,
            };
            writes.signals.push(Signal::Trouble(name.clone(), error));
        }
    }

    /// URL or credential are dead: nothing more is tried until they change or a test succeeds.
    fn pause(
        &mut self,
        name: &Destination,
        error: PollError,
        fingerprint: String,
        now: Time,
        writes: &mut OutboxWrites,
    ) {
        self.health.paused =
            Some(Paused { since: now, fingerprint, code: error.code.clone(), text: error.text.clone() });
        self.health.told = true;
        writes.signals.push(Signal::Trouble(name.clone(), error));
    }

    /// It works: the queue is released. A wall stays until it ends: the success may be that of a
    /// request that was in flight beside the refused one.
    pub(super) fn recover(&mut self, name: &Destination, writes: &mut OutboxWrites) {
        self.health.failures = 0;
        self.health.failing_since = None;
        self.health.retry_at = None;
        // Nor can URL and credential be dead: one of several behind the address said so.
        self.health.paused = None;
        if std::mem::take(&mut self.health.told) {
            writes.signals.push(Signal::Recovered(name.clone()));
        }
        writes.destinations.insert(name.clone());
    }
}
