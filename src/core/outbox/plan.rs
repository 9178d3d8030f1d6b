//! What a destination is asked next: pure, so that it can be model-checked.

use std::cmp::Reverse;

use super::destination::DestinationState;
use super::pace::Window;
use super::{DeliveryId, Policy, SendId, storm};
use crate::core::rules::Severity;
use crate::core::time::Time;

/// What to do for a destination at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Claim these deliveries, all of one incident, as one new send. The newest is told, the
    /// others are folded into it.
    Send(Vec<DeliveryId>),
    /// Claim these deliveries, of many incidents, as one new send that sums them up.
    Digest(Vec<DeliveryId>),
    /// Repeat an open send whose outcome is unclear: same id, same body.
    Repeat(SendId),
    /// Nothing until then; `None`: nothing until something happens.
    Wait(Option<Time>),
}

/// Decides what a destination is asked next.
///
/// Never more in flight than the policy allows, one alone while it is failing; never before a
/// back-off or `Retry-After` ends; never over the pace; one open send per incident; the most
/// severe first, then the oldest. In a storm few go alone, see [`super::Storm`].
pub fn plan(destination: &DestinationState, policy: &Policy, window: &mut Window, now: Time) -> Plan {
    if destination.health.paused.is_some() {
        return Plan::Wait(None);
    }
    if let Some(until) = destination.blocked_until(now).filter(|until| *until > now) {
        return Plan::Wait(Some(until));
    }
    let allowed = if destination.health.failures > 0 { 1 } else { policy.concurrency };
    if destination.in_flight() >= allowed {
        return Plan::Wait(None);
    }
    let Some((severity, plan)) = next(destination) else { return Plan::Wait(None) };
    let plan = match (plan, policy.digest_after) {
        (Plan::Send(deliveries), Some(after)) => storm::plan(destination, after, now).unwrap_or(Plan::Send(deliveries)),
        (plan, _) => plan,
    };
    if matches!(plan, Plan::Wait(_)) {
        return plan;
    }
    if let Some(pace) = policy.pace {
        let free_at = window.free_at(pace, severity == Severity::Critical, now);
        if free_at > now {
            return Plan::Wait(Some(free_at));
        }
    }
    plan
}

/// The most urgent of what could go: an open send to repeat, or due deliveries of an incident
/// without an open send. Of equal severity the open send goes first: it is the older one.
fn next(destination: &DestinationState) -> Option<(Severity, Plan)> {
    let repeats = destination.sends.iter().filter(|(_, send)| !send.in_flight);
    let repeat =
        repeats.map(|(id, send)| (send.severity(), *id)).min_by_key(|(severity, id)| (Reverse(*severity), *id));
    let fresh = destination.due.next();
    match (repeat, fresh) {
        (Some((severity, send)), fresh) if fresh.as_ref().is_none_or(|(other, _)| *other <= severity) => {
            Some((severity, Plan::Repeat(send)))
        }
        (_, Some((severity, deliveries))) => Some((severity, Plan::Send(deliveries))),
        (Some((severity, send)), None) => Some((severity, Plan::Repeat(send))),
        (None, None) => None,
    }
}
