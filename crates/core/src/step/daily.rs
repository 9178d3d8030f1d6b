//! The daily line of a chat: one sentence about the last day.
//!
//! Counts are kept in memory and stored with the heartbeat: a crash may lose the counts of some seconds, never a
//! message.

use xxhash_rust::xxh3::xxh3_64;

use super::decision::{Decision, Effect, Verdict};
use super::{Day, Days, Setup, State, StepContext};
use crate::notice::Info;
use crate::rule::quiet::Hours;
use crate::rule::{Destination, Severity};
use crate::time::Time;

/// Bound on the kinds of Warnings without a notice that are counted.
const MAX_UNTOLD: usize = 1_000;

/// The time of day at which a destination gets its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyAt(pub Hours);

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

    /// Counts a kind of Warning as not notified of, until a rule notifies of one.
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
