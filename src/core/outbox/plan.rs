//! What a destination is asked next: pure, so that it can be model-checked.

use std::collections::BTreeMap;

use super::pace::Window;
use super::{DeliveryId, DestinationState, Policy, SendId};
use crate::core::rules::Severity;
use crate::core::time::Time;

/// What to do for a destination at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Claim these deliveries, all of one incident, as one new send. The newest is told, the
    /// others are folded into it.
    Send(Vec<DeliveryId>),
    /// Repeat an open send whose outcome is unclear: same id, same body.
    Repeat(SendId),
    /// Nothing until then; `None`: nothing until something happens.
    Wait(Option<Time>),
}

/// A thing that could be sent now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    severity: std::cmp::Reverse<Severity>,
    oldest: DeliveryId,
    send: Option<SendId>,
    deliveries: Vec<DeliveryId>,
}

/// Decides what a destination is asked next.
///
/// Never more in flight than the policy allows, one alone while it is failing; never before a
/// back-off or `Retry-After` ends; never over the pace; one open send per incident; the most
/// severe first, then the oldest.
///
/// The digest of a storm belongs here, between [`candidates`] and the choice: it will be one more
/// candidate that carries many incidents.
pub fn plan(destination: &DestinationState, policy: &Policy, window: &mut Window, now: Time) -> Plan {
    if destination.health.paused.is_some() {
        return Plan::Wait(None);
    }
    if let Some(until) = destination.blocked_until().filter(|until| *until > now) {
        return Plan::Wait(Some(until));
    }
    let in_flight = destination.sends.values().filter(|send| send.in_flight).count();
    let allowed = if destination.health.failures > 0 { 1 } else { policy.concurrency };
    if in_flight >= allowed {
        return Plan::Wait(None);
    }
    let Some(candidate) = candidates(destination).into_iter().min() else { return Plan::Wait(None) };
    if let Some(pace) = policy.pace {
        let free_at = window.free_at(pace, candidate.severity.0 == Severity::Critical, now);
        if free_at > now {
            return Plan::Wait(Some(free_at));
        }
    }
    match candidate.send {
        Some(send) => Plan::Repeat(send),
        None => Plan::Send(candidate.deliveries),
    }
}

/// Open sends to repeat, and due deliveries by incident where no send is open.
fn candidates(destination: &DestinationState) -> Vec<Candidate> {
    let repeats = destination.sends.iter().filter(|(_, send)| !send.in_flight).map(|(id, send)| Candidate {
        severity: std::cmp::Reverse(send.severity()),
        oldest: send.deliveries.first().map_or(DeliveryId(0), |delivery| delivery.id),
        send: Some(*id),
        deliveries: Vec::new(),
    });
    repeats.chain(due_by_incident(destination)).collect()
}

fn due_by_incident(destination: &DestinationState) -> impl Iterator<Item = Candidate> {
    let busy: Vec<u64> = destination.sends.values().filter_map(|send| send.incident()).collect();
    let mut groups: BTreeMap<(Option<u64>, DeliveryId), Candidate> = BTreeMap::new();
    for delivery in destination.due.values() {
        let key = match delivery.incident {
            Some(incident) if busy.contains(&incident) => continue,
            Some(incident) => (Some(incident), DeliveryId(0)),
            None => (None, delivery.id),
        };
        let candidate = groups.entry(key).or_insert_with(|| Candidate {
            severity: std::cmp::Reverse(delivery.severity),
            oldest: delivery.id,
            send: None,
            deliveries: Vec::new(),
        });
        candidate.severity = candidate.severity.min(std::cmp::Reverse(delivery.severity));
        candidate.deliveries.push(delivery.id);
    }
    groups.into_values()
}
