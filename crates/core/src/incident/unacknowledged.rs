//! The steps of a rule for an incident that nobody acknowledges: who is told next, and what ends that.
//!
//! A destination that is told by a step hears of the incident from then on as the others do. When the incident reopens,
//! it hears nothing until a step tells it again: the first minutes belong to those whom the rule notifies.

use serde::{Deserialize, Serialize};

use super::notification_state::{NotificationState, NotifiedByStep, PendingNotice};
use super::{Incident, Phase};
use crate::notice::NoticeKind;
use crate::rule::{Destination, RuleSettings, UnacknowledgedStep};
use crate::time::Time;

/// How far the steps of an incident have come. An incident that was acknowledged, muted or is over has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unacknowledged {
    /// Since when: it opened or reopened, or the hold of its first notice ended.
    pub since: Time,
    /// Whether anybody was told of it since: what nobody knows of, nobody can acknowledge.
    pub told: bool,
    /// `after` of the last step that was told or passed over, in seconds.
    pub step: u64,
}

impl Incident {
    /// It opened or reopened.
    pub(super) fn start_steps(&mut self, now: Time) {
        self.unacknowledged = Some(Unacknowledged { since: now, told: false, step: 0 });
        for (_, notifications) in &mut self.notifications {
            // A destination that knows of the flapping waits for the final end.
            if notifications.by_step == NotifiedByStep::SinceOpening && !notifications.flapping {
                notifications.by_step = NotifiedByStep::BeforeReopening;
                notifications.next = None;
            }
        }
    }

    /// Somebody was told of it. If that notice was held back before, the time for an acknowledgement begins only now.
    pub(super) fn note_told(&mut self, was_held: bool, now: Time) {
        if let Some(state) = self.unacknowledged.as_mut().filter(|state| !state.told) {
            state.told = true;
            if was_held {
                state.since = now;
            }
        }
    }

    /// Somebody acknowledged or muted it: no step follows, and notices of steps that are not sent yet are dropped.
    pub(crate) fn end_steps(&mut self) {
        self.unacknowledged = None;
        let mut unaware: Vec<Destination> = Vec::new();
        for (to, notifications) in &mut self.notifications {
            let Some(next) = notifications.next.filter(|next| next.unacknowledged.is_some()) else { continue };
            notifications.next = None;
            match (notifications.by_step, next.kind) {
                (_, NoticeKind::Escalated) => {}
                (NotifiedByStep::Never, _) => {
                    notifications.next = Some(PendingNotice { unacknowledged: None, at_once: false, ..next })
                }
                (_, NoticeKind::Reopened) => notifications.by_step = NotifiedByStep::BeforeReopening,
                _ => unaware.push(to.clone()),
            }
        }
        for to in &unaware {
            self.notifications.remove(to);
        }
    }

    /// New rules: steps whose time has passed are not told.
    pub(super) fn pass_unacknowledged(&mut self, rule: &RuleSettings, now: Time) -> bool {
        let Some(state) = self.unacknowledged.as_mut() else { return false };
        let open_for = now.since(state.since);
        let passed = rule.unacknowledged.iter().map(|step| step.after).filter(|after| *after <= open_for).max();
        let passed = passed.map_or(0, |after| after.as_secs()).max(state.step);
        std::mem::replace(&mut state.step, passed) != passed
    }

    /// The next step, and when it is due unless somebody acknowledges the incident before. There is none while an event says
    /// that the trouble is over.
    pub fn next_step<'r>(&self, steps: &'r [UnacknowledgedStep]) -> Option<(&'r UnacknowledgedStep, Time)> {
        let state = self.unacknowledged.filter(|state| state.told && self.phase == Phase::Open)?;
        if self.ended_by_event().is_some() {
            return None;
        }
        let step = steps.iter().find(|step| step.after.as_secs() > state.step)?;
        Some((step, state.since.plus(step.after)))
    }

    /// Gives the destinations of the steps that are due a notice. Returns whether there were any.
    pub(crate) fn take_steps(&mut self, rule: &RuleSettings, now: Time) -> bool {
        let mut any = false;
        while let Some((step, at)) = self.next_step(&rule.unacknowledged).filter(|(_, at)| *at <= now) {
            for to in &step.notify {
                self.call(to, rule, step, at);
            }
            if let Some(state) = &mut self.unacknowledged {
                state.step = step.after.as_secs();
            }
            any = true;
        }
        any
    }

    fn call(&mut self, to: &Destination, rule: &RuleSettings, step: &UnacknowledgedStep, at: Time) {
        if !self.notifications.contains_key(to) {
            self.notifications.insert(to.clone(), NotificationState::default());
        }
        let Some(notifications) = self.notifications.get_mut(to) else { return };
        let kind = match (notifications.next, notifications.told, notifications.by_step) {
            (Some(next), _, _) => next.kind,
            (None, None, _) => NoticeKind::Opened,
            (None, Some(_), NotifiedByStep::BeforeReopening) => NoticeKind::Reopened,
            (None, Some(_), _) => NoticeKind::Escalated,
        };
        // What waited is told with it.
        let caused_at = notifications.next.map_or(at, |next| next.caused_at.min(at));
        let unacknowledged = Some(step.after.as_secs());
        notifications.next = Some(PendingNotice { kind, caused_at, at_once: true, unacknowledged });
        if !rule.notify.contains(to) {
            notifications.by_step = NotifiedByStep::SinceOpening;
        }
    }
}

impl NotificationState {
    /// Whether a rule tells its destination of an incident, by its `notify` or because a step did.
    pub(super) fn is_notified_by(&self, rule: &RuleSettings, to: &Destination) -> bool {
        rule.notify.contains(to)
            || self.by_step == NotifiedByStep::SinceOpening
                && rule.unacknowledged.iter().any(|step| step.notify.contains(to))
    }
}
