//! The daily line of a chat: what the last day brought, in one sentence.
//!
//! Counts are kept in memory and stored with the heartbeat: a crash may cost the count of some
//! seconds, never a message.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::decision::{Decision, Effect, Verdict};
use super::{Made, Setup, State, Writes};
use crate::notice::{Info, NoticeBody, NoticeKind};
use crate::rules::Severity;
use crate::rules::quiet::Hours;
use crate::rules::rule::Destination;
use crate::time::{Jump, Time};

/// So many kinds of untold Warnings are told apart.
const MOST_UNTOLD: usize = 1_000;

/// The time of day at which a destination wants its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyAt(pub Hours);

/// What was counted for one destination since its last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Since when.
    pub since: Time,
    /// Entries of all lists that were read.
    pub events: u64,
    /// Messages that it took.
    pub messages: u64,
    /// Incidents that it was told the opening of.
    pub incidents: u64,
    /// Kinds of Warnings (workload and reason) that no rule told, as hashes.
    pub untold: BTreeSet<u64>,
    /// When the line is due; found out anew by each process.
    #[serde(skip)]
    due: Option<Time>,
}

impl Day {
    fn new(since: Time) -> Self {
        Self { since, events: 0, messages: 0, incidents: 0, untold: BTreeSet::new(), due: None }
    }
}

impl Day {
    /// The clock was set: when the line is due is the calendar's, and found out anew.
    pub(super) fn clock_set(&mut self, by: Jump) {
        self.since.carry(by);
        self.due = None;
    }
}

/// The days of all destinations that want a line.
pub type Days = BTreeMap<Destination, Day>;

impl State {
    /// What is counted for the daily lines.
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// When the next line is due.
    pub(super) fn daily_wake(&self, setup: &Setup) -> Option<Time> {
        // A destination that has no day yet gets one with the next tick.
        let new = setup.daily.keys().any(|name| !self.days.contains_key(name)).then_some(Time::default());
        let due = self.days.iter().filter(|(name, _)| setup.daily.contains_key(*name));
        new.into_iter().chain(due.filter_map(|(_, day)| day.due)).min()
    }

    pub(super) fn count_events(&mut self, events: u64) {
        self.days.values_mut().for_each(|day| day.events += events);
    }

    /// A destination took a message.
    pub(super) fn count_message(&mut self, to: &Destination) {
        if let Some(day) = self.days.get_mut(to) {
            day.messages += 1;
        }
    }

    pub(super) fn count_opened(&mut self, to: &[Destination]) {
        for name in to {
            if let Some(day) = self.days.get_mut(name) {
                day.incidents += 1;
            }
        }
    }

    /// What no rule tells is counted, until one does.
    pub(super) fn count_untold(&mut self, decision: &Decision) {
        if self.days.is_empty() {
            return;
        }
        let target = &decision.target;
        let kind = [&*target.cluster, &*target.namespace, &decision.workload, &decision.reason].join("\0");
        let kind = xxh3_64(kind.as_bytes());
        let told = match &decision.verdict {
            Verdict::NoRule | Verdict::Ignored(_) => false,
            Verdict::Claimed(claimed) => {
                !claimed.iter().all(|one| matches!(one.effect, Effect::Gathers { .. } | Effect::Waits))
            }
        };
        for day in self.days.values_mut() {
            if told {
                day.untold.remove(&kind);
            } else if day.untold.len() < MOST_UNTOLD {
                day.untold.insert(kind);
            }
        }
    }

    /// Tells the lines that are due, and begins the days of destinations that are new.
    pub(super) fn wake_daily(&mut self, setup: &Setup, now: Time, writes: &mut Writes) {
        self.days.retain(|name, _| setup.daily.contains_key(name));
        for (name, at) in &setup.daily {
            let day = self.days.entry(name.clone()).or_insert_with(|| Day::new(now));
            // After the clock was set back, the day begins anew.
            if day.since > now {
                *day = Day::new(now);
            }
            let due = *day.due.get_or_insert_with(|| at.0.next_start(day.since).unwrap_or(Time::from_millis(i64::MAX)));
            if due > now {
                continue;
            }
            let info = Info::Daily {
                since: day.since,
                until: now,
                events: day.events,
                messages: day.messages,
                incidents: day.incidents,
                untold: day.untold.len() as u64,
            };
            *day = Day { due: at.0.next_start(now), ..Day::new(now) };
            writes.daily = true;
            let made = Made {
                kind: NoticeKind::Info,
                caused_at: now,
                severity: Severity::Info,
                to: vec![name.clone()],
                body: NoticeBody::Info(info),
            };
            self.notice(made, now, writes);
        }
    }
}
