//! Storms: more notices for a chat within a minute than people can read.
//!
//! Then the two most severe go alone and the rest is one digest, at most one a minute and later
//! every five minutes; never more than three messages in any minute. All of it follows from a few
//! times that are stored with the destination, so that a restart changes nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::destination::DestinationState;
use super::plan::Plan;
use crate::core::rules::Severity;
use crate::core::time::Time;

/// What a storm is measured by.
const MINUTE: Duration = Duration::from_secs(60);
/// In a storm no more messages than this go out in any minute, digests included.
pub const MOST_MESSAGES: usize = 3;
/// Of those, so many tell one incident each.
const MOST_ALONE: usize = 2;
/// So many digests are a minute apart, the later ones [`LATER`].
const MINUTELY: u32 = 5;
/// How far apart later digests are.
const LATER: Duration = Duration::from_secs(300);
/// A storm is over when fewer notices than make one came within so long.
const CALM: Duration = Duration::from_secs(300);

/// What a destination went through lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storm {
    /// When messages went out, the last [`MOST_MESSAGES`] or as many as make no storm.
    messages: Vec<Time>,
    /// When the newest notices fell due, one more than make no storm.
    arrived: Vec<Time>,
    /// Since when a storm is on.
    since: Option<Time>,
    /// Notices since then.
    notices: u64,
    /// Digests since then.
    digests: u32,
    /// The newest of them.
    last_digest: Option<Time>,
}

/// What a digest says of its storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StormFacts {
    /// Since when it is on.
    pub since: Time,
    /// Notices since then, told or not.
    pub notices: u64,
}

impl Storm {
    /// A notice fell due at `now`.
    pub(super) fn arrive(&mut self, after: usize, now: Time) {
        keep(&mut self.arrived, after + 1, now);
        self.notices += u64::from(self.since.is_some());
    }

    /// A message goes out at `now`.
    pub(super) fn message(&mut self, after: usize, digest: bool, now: Time) {
        keep(&mut self.messages, after.max(MOST_MESSAGES), now);
        if digest {
            self.digests += 1;
            self.last_digest = Some(now);
        }
    }

    /// Whether a storm is on while so many incidents wait to be told.
    fn is_on(&self, waiting: usize, after: usize, now: Time) -> bool {
        let going_on = self.since.is_some()
            && self.arrived.len() > after
            && self.arrived.first().is_some_and(|first| now.since(*first) < CALM);
        going_on || waiting + self.lately(now).count() > after
    }

    /// Notes that a storm began or ended.
    pub(super) fn turn(&mut self, waiting: usize, after: usize, now: Time) {
        match (self.is_on(waiting, after, now), self.since) {
            (true, None) => {
                let told = self.lately(now).count();
                let first = self.lately(now).chain(self.arrived.iter().copied()).min();
                self.since = Some(first.map_or(now, |first| first.min(now)));
                self.notices = (waiting + told) as u64;
            }
            (false, Some(_)) => {
                *self = Self {
                    messages: std::mem::take(&mut self.messages),
                    arrived: std::mem::take(&mut self.arrived),
                    ..Self::default()
                };
            }
            _ => {}
        }
    }

    /// What there is to say of the storm that is on.
    pub(super) fn facts(&self) -> Option<StormFacts> {
        self.since.map(|since| StormFacts { since, notices: self.notices })
    }

    /// Messages of the last minute, ascending. A clock that was set back must not silence anybody.
    fn lately(&self, now: Time) -> impl Iterator<Item = Time> + '_ {
        self.messages.iter().copied().filter(move |at| *at <= now && now.since(*at) < MINUTE)
    }
}

fn keep(times: &mut Vec<Time>, most: usize, now: Time) {
    times.push(now);
    let excess = times.len().saturating_sub(most);
    times.drain(..excess);
}

/// What is due while a storm is on; `None` while none is.
pub(super) fn plan(destination: &DestinationState, after: usize, now: Time) -> Option<Plan> {
    let (storm, due) = (&destination.health.storm, &destination.due);
    let waiting = due.ready();
    let (severity, first) = due.next()?;
    if !storm.is_on(waiting, after, now) {
        return None;
    }
    let lately: Vec<Time> = storm.lately(now).collect();
    if lately.len() >= MOST_MESSAGES {
        return Some(Plan::Wait(Some(lately[lately.len() - MOST_MESSAGES].plus(MINUTE))));
    }
    let critical = severity == Severity::Critical;
    let apart = if storm.digests < MINUTELY || critical { MINUTE } else { LATER };
    let last = storm.last_digest.filter(|last| *last <= now);
    let digest_at = last.map_or(now, |last| last.plus(apart));
    // Nobody waits for a digest who must be called now, as long as there is room for both.
    let alone = match critical {
        true => lately.len() < MOST_ALONE || digest_at > now,
        false => lately.len() < MOST_ALONE && last.is_none(),
    };
    Some(match digest_at <= now {
        _ if alone => Plan::Send(first),
        true if waiting == 1 => Plan::Send(first),
        true => Plan::Digest(due.all_ready()),
        false => Plan::Wait(Some(digest_at)),
    })
}
