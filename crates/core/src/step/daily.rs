//! The daily line of a chat: one sentence about the last day.
//!
//! Counts are kept in memory and stored with the heartbeat: a crash may lose the counts of some seconds, never a
//! message.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::decision::{Decision, Effect, Verdict};
use super::{Setup, State, StepContext};
use crate::notice::Info;
use crate::rules::Severity;
use crate::rules::quiet::Hours;
use crate::rules::rule::Destination;
use crate::time::{Jump, Time};

/// Bound on the kinds of unsent Warnings that are counted.
const MAX_UNTOLD: usize = 1_000;

/// The time of day at which a destination gets its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyAt(pub Hours);

/// The counts for one destination since its last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Start of the counts.
    pub since: Time,
    /// Entries of all lists that were read.
    pub events: u64,
    /// Messages that the destination took.
    pub messages: u64,
    /// Incidents whose opening was sent to it.
    pub incidents: u64,
    /// Kinds of Warnings (workload and reason) that no rule sent, as hashes.
    pub untold: BTreeSet<u64>,
    /// When the line is due; not stored, each process computes it.
    #[serde(skip)]
    due: Option<Time>,
}

impl Day {
    fn new(since: Time) -> Self {
        Self { since, events: 0, messages: 0, incidents: 0, untold: BTreeSet::new(), due: None }
    }
}

impl Day {
    /// Shifts the start of the counts. The due time follows the calendar and is computed anew.
    pub(super) fn clock_set(&mut self, by: Jump) {
        self.since.carry(by);
        self.due = None;
    }
}

/// The counts of all destinations that want a line.
pub type Days = BTreeMap<Destination, Day>;

impl State {
    /// The counts for the daily lines.
    pub fn days(&self) -> &Days {
        &self.days
    }

    /// When the next line is due.
    pub(super) fn daily_wake(&self, setup: &Setup) -> Option<Time> {
        // A destination without a day gets one with the next tick.
        let new = setup.daily.keys().any(|name| !self.days.contains_key(name)).then_some(Time::default());
        let due = self.days.iter().filter(|(name, _)| setup.daily.contains_key(*name));
        new.into_iter().chain(due.filter_map(|(_, day)| day.due)).min()
    }

    pub(super) fn count_events(&mut self, events: u64) {
        self.days.values_mut().for_each(|day| day.events += events);
    }

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

    /// Counts a kind of Warning as unsent, until a rule sends one of that kind.
    pub(super) fn count_untold(&mut self, decision: &Decision) {
        if self.days.is_empty() {
            return;
        }
        let target = &decision.target;
        let kind = [&*target.cluster, &*target.namespace, &decision.workload, &decision.reason].join("\0");
        let kind = xxh3_64(kind.as_bytes());
        let told = match &decision.verdict {
            Verdict::NoRule | Verdict::Ignored(_) => false,
            Verdict::Claimed(claimed) => !claimed
                .iter()
                .all(|one| matches!(one.effect, Effect::Gathers { .. } | Effect::TooYoung { .. } | Effect::Waits)),
        };
        for day in self.days.values_mut() {
            if told {
                day.untold.remove(&kind);
            } else if day.untold.len() < MAX_UNTOLD {
                day.untold.insert(kind);
            }
        }
    }

    /// Sends the lines that are due, and starts the days of new destinations.
    pub(super) fn wake_daily(&mut self, cx: &mut StepContext<'_>) {
        self.days.retain(|name, _| cx.setup.daily.contains_key(name));
        for (name, at) in &cx.setup.daily {
            let day = self.days.entry(name.clone()).or_insert_with(|| Day::new(cx.now));
            // The clock was set back: start the day anew.
            if day.since > cx.now {
                *day = Day::new(cx.now);
            }
            let due = *day.due.get_or_insert_with(|| at.0.next_start(day.since).unwrap_or(Time::from_millis(i64::MAX)));
            if due > cx.now {
                continue;
            }
            let info = Info::Daily {
                since: day.since,
                until: cx.now,
                events: day.events,
                messages: day.messages,
                incidents: day.incidents,
                untold: day.untold.len() as u64,
            };
            *day = Day { due: at.0.next_start(cx.now), ..Day::new(cx.now) };
            cx.writes.daily = true;
            self.inform(Severity::Info, vec![name.clone()], info, cx);
        }
    }
}
