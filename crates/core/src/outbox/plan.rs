//! What a destination is asked next: pure, so that it can be model-checked.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::destination::{DestinationState, OpenSend};
use super::pace::{Pace, RateWindow};
use super::queue::{Class, ReadyGroup};
use super::storm::{Release, WaitingNews};
use super::{DeliveryId, Policy, SendId, ThreadPolicy};
use crate::rule::Severity;
use crate::time::Time;

/// What to do for a destination at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Claim these deliveries, all of one incident, as one new send. It tells the newest one; the others are folded
    /// into that.
    Send(Vec<DeliveryId>),
    /// Claim these deliveries, of many incidents, as one new send that sums them up.
    Digest(Vec<DeliveryId>),
    /// Claim these deliveries, all of one incident, as one new send that changes the message which
    /// stands for it: nobody is disturbed.
    Silent(Vec<DeliveryId>),
    /// Bring the message of this incident up to date.
    Refresh(u64),
    /// Repeat an open send whose outcome is unclear: same id, same body.
    Repeat(SendId),
    /// Nothing until then; `None`: nothing until something happens.
    Wait(Option<Time>),
}

/// The attempts of each endpoint.
pub(crate) type RateWindows = BTreeMap<Arc<str>, RateWindow>;

/// Decides what a destination is asked next.
///
/// Never more in flight than the policy allows, and only one while the destination fails; never before a back-off or
/// `Retry-After` ends; never over the pace; one open send per incident; the most severe first, then the oldest. In a
/// storm few go alone, see [`super::Storm`]. Changes of messages disturb nobody and come last: first those because
/// something is over, then those for outdated counts.
pub(crate) fn plan(destination: &DestinationState, policy: &Policy, windows: &mut RateWindows, now: Time) -> Plan {
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
    let loud = next(destination, now).map(|next| match next {
        Candidate::Repeat(severity, send) => (severity, Plan::Repeat(send)),
        Candidate::Fresh(next) => {
            let severity = next.severity;
            let of_storm = policy.digest_after.and_then(|after| plan_of_storm(destination, &next, after, now));
            (severity, of_storm.unwrap_or(Plan::Send(next.deliveries)))
        }
    });
    let later = match loud {
        Some((severity, plan)) if !matches!(plan, Plan::Wait(_)) => {
            let at = free_at(&policy.endpoint, policy.pace, severity, windows, now);
            return at.map_or(plan, |at| Plan::Wait(Some(at)));
        }
        // A storm delays only what would disturb people.
        Some((_, Plan::Wait(until))) => until,
        _ => None,
    };
    let backoffs = destination.sends.values().filter(|send| !send.in_flight).filter_map(|send| send.backoff_until);
    let rested = backoffs.chain(destination.due.first_rest()).filter(|until| *until > now).min();
    let silent = match &policy.threads {
        Some(threads) => silent(destination, policy, threads, windows, now),
        None => Plan::Wait(None),
    };
    match silent {
        Plan::Wait(until) => Plan::Wait([later, rested, until].into_iter().flatten().min()),
        plan => plan,
    }
}

/// What could go next.
enum Candidate {
    Repeat(Severity, SendId),
    Fresh(ReadyGroup),
}

/// The most urgent of what could go: an open send to repeat, or due deliveries of an incident without an open send. Of
/// equal severity the open send goes first, because it is older. While a destination fails, what failed last goes last:
/// its content may be the cause.
fn next(destination: &DestinationState, now: Time) -> Option<Candidate> {
    let failed = destination.history.failed.filter(|_| destination.health.failures > 0);
    let again = |send: &OpenSend| failed.is_some() && send.deliveries.first().map(|first| first.id) == failed;
    let repeats = destination.sends.iter().filter(|(_, send)| send.is_idle(now));
    let repeat = repeats
        .map(|(id, send)| (again(send), Reverse(send.severity()), *id))
        .min()
        .map(|(again, Reverse(severity), id)| (again, severity, id));
    let fresh = destination.due.next(failed);
    let fresh_again =
        |next: &ReadyGroup| failed.is_some() && next.deliveries.first().is_some_and(|first| Some(*first) == failed);
    match (repeat, fresh) {
        (Some((again, severity, send)), Some(next)) => {
            let repeats = (again, Reverse(severity)) <= (fresh_again(&next), Reverse(next.severity));
            Some(if repeats { Candidate::Repeat(severity, send) } else { Candidate::Fresh(next) })
        }
        (Some((_, severity, send)), None) => Some(Candidate::Repeat(severity, send)),
        (None, fresh) => fresh.map(Candidate::Fresh),
    }
}

/// The next change of an existing message.
fn silent(
    destination: &DestinationState,
    policy: &Policy,
    threads: &ThreadPolicy,
    windows: &mut RateWindows,
    now: Time,
) -> Plan {
    if let Some((severity, deliveries)) = destination.due.next_silent() {
        return match change_waits(policy, threads, severity, windows, now) {
            Some(at) => Plan::Wait(Some(at)),
            None => Plan::Silent(deliveries),
        };
    }
    let Some((at, incident)) = destination.threads.first_change() else { return Plan::Wait(None) };
    if at > now {
        return Plan::Wait(Some(at));
    }
    match change_waits(policy, threads, Severity::Info, windows, now) {
        Some(at) => Plan::Wait(Some(at)),
        None => Plan::Refresh(incident),
    }
}

/// Until when a change of a message waits, if it does: it is paced twice, by its channel and by the limit on changes.
fn change_waits(
    policy: &Policy,
    threads: &ThreadPolicy,
    severity: Severity,
    windows: &mut RateWindows,
    now: Time,
) -> Option<Time> {
    let by_channel = free_at(&policy.endpoint, policy.pace, severity, windows, now);
    by_channel.or_else(|| free_at(&threads.endpoint, Some(threads.pace), severity, windows, now))
}

/// When the endpoint may be asked next, if not now.
fn free_at(
    endpoint: &Arc<str>,
    pace: Option<Pace>,
    severity: Severity,
    windows: &mut RateWindows,
    now: Time,
) -> Option<Time> {
    let free_at = windows.entry(endpoint.clone()).or_default().free_at(pace?, severity, now);
    Some(free_at).filter(|at| *at > now)
}

/// The plan for `next` in a storm, or when too many ends come together; else `None`.
fn plan_of_storm(destination: &DestinationState, next: &ReadyGroup, after: usize, now: Time) -> Option<Plan> {
    let (storm, due) = (&destination.health.storm, &destination.due);
    let release = match next.class {
        Class::News => {
            let count = due.count(Class::News);
            let waiting = WaitingNews { count, first: next.severity, several_critical: due.has_several_critical() };
            storm.release_news(waiting, after, now)?
        }
        // An announcement joins a digest if there is one; sent alone, it takes no place from others.
        Class::Announcement => return None,
        Class::End => storm.release_ends(due.count(Class::End), after, now)?,
    };
    Some(match release {
        Release::Alone => Plan::Send(next.deliveries.clone()),
        Release::Digest => Plan::Digest(due.all_ready()),
        Release::At(time) => Plan::Wait(Some(time)),
    })
}
