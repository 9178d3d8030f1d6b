//! Podbell without its edges, in virtual time: what would have been sent.
//!
//! Rule tests, backtests and `explain` feed it lists and let time pass; it runs the same
//! [`step`] and the same [`Outbox`] as the service, with destinations that take everything
//! at once, and without a store. Pure: time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Event, Target};
use super::health::HealthReport;
use super::notice::Notice;
use super::outbox::{Outbox, OutboxWrites, Outcome, Policy, RestoredOutbox, SendTask};
use super::rollout::TemplateReport;
use super::source::{ObjectName, Problem, TargetEntry, WatchCoverage};
use super::step::decision::Decision;
use super::step::{Input, Restored, Setup, State, Tally, Writes, step};
use super::time::Time;
use crate::rule::Destination;

/// A request that a destination would have got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it is sent.
    pub at: Time,
    /// The destination.
    pub to: Destination,
    /// The numbers of the notices that it tells or contains, oldest first.
    pub notices: Vec<u64>,
}

/// The result of one input, or of time that passed.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// The notices, in the order in which they were made.
    pub notices: Vec<Notice>,
    /// The requests that carry them.
    pub sent: Vec<Sent>,
    /// The decision about each Warning change.
    pub decisions: Vec<Decision>,
}

/// Podbell's core in virtual time, see the module.
pub struct Replay {
    setup: Arc<Setup>,
    state: State,
    outbox: Outbox,
    now: Time,
    tally: Tally,
}

impl Replay {
    /// A replay that begins at `now` and knows nothing. Without policies no requests are planned.
    pub fn new(setup: Arc<Setup>, policies: BTreeMap<Destination, Policy>, now: Time) -> Self {
        let state = State::restore(Restored::default(), &setup, now);
        // An empty outbox has nothing to write.
        let outbox = Outbox::restore(RestoredOutbox::default(), policies, now, &mut OutboxWrites::default());
        Self { setup, state, outbox, now, tally: Tally::default() }
    }

    /// Adds targets to those that are watched.
    pub fn watch(&mut self, source: &Arc<str>, targets: Vec<Target>) -> Outcomes {
        let targets: Vec<TargetEntry> =
            targets.into_iter().map(|target| TargetEntry { target, discovered: false }).collect();
        self.input(Input::TargetList { source, targets: &targets, complete: false })
    }

    /// A good poll of a watched target at `at`; timers that are due until then come first.
    pub fn observe(&mut self, target: &Target, events: &[Event<'_>], at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        for wanted in self.state.readings_to_load(target) {
            self.state.load(&wanted, []);
        }
        outcomes.add(self.input(Input::Observed { target, events }));
        outcomes
    }

    /// A failed poll of a target at `at`.
    pub fn fail(&mut self, target: &Target, error: &Problem, at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        outcomes.add(self.input(Input::Failed { target, error }));
        outcomes
    }

    /// The health of workloads at `at`.
    pub fn health(&mut self, reports: &[HealthReport], at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        outcomes.add(self.input(Input::Health { reports }));
        outcomes
    }

    /// What workloads run from `at` on.
    pub fn templates(&mut self, reports: &[TemplateReport], at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        outcomes.add(self.input(Input::Templates { reports }));
        outcomes
    }

    /// Objects were deleted at `at`.
    pub fn deleted(&mut self, source: &Arc<str>, objects: &[ObjectName], at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        outcomes.add(self.input(Input::Deleted { source, objects }));
        outcomes
    }

    /// A watch has missed nothing until `at`.
    pub fn watched(&mut self, covers: &WatchCoverage, at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        outcomes.add(self.input(Input::WatchProgress { covers }));
        outcomes
    }

    /// Lets time pass up to and including `until`.
    pub fn pass(&mut self, until: Time) -> Outcomes {
        let mut outcomes = Outcomes::default();
        while let Some(next) = self.next_timer().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            outcomes.add(self.input(Input::Tick));
        }
        self.now = self.now.max(until);
        outcomes
    }

    /// The current state: incidents and everything else.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Counts of what went through.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The current virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    fn next_timer(&mut self) -> Option<Time> {
        [self.state.next_wake(&self.setup), self.outbox.next_wake(self.now)].into_iter().flatten().min()
    }

    fn input(&mut self, input: Input<'_>) -> Outcomes {
        let mut writes = Writes::default();
        let now = self.now;
        step(&mut self.state, &self.setup, input, now, &mut writes);
        step(&mut self.state, &self.setup, Input::Tick, now, &mut writes);
        self.tally.add(writes.tally);
        let mut outbox = OutboxWrites::default();
        self.outbox.tick(now, &mut outbox);
        for notice in &writes.notices {
            self.outbox.add(notice, now, &mut outbox);
        }
        let sent = self.send(&mut outbox);
        Outcomes { notices: writes.notices, sent, decisions: writes.decisions }
    }

    /// Sends whatever may leave now; everything arrives at once.
    fn send(&mut self, writes: &mut OutboxWrites) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            let jobs = self.outbox.claim(self.now, writes);
            if jobs.is_empty() {
                return sent;
            }
            for job in jobs {
                let send = match &job {
                    SendTask::First(claimed) => claimed.send,
                    SendTask::Again { send, .. } => *send,
                };
                if let SendTask::First(claimed) = job {
                    let notices = claimed.deliveries.iter().map(|delivery| delivery.notice).collect();
                    sent.push(Sent { at: self.now, to: claimed.destination, notices });
                }
                self.outbox.record(send, Outcome::Delivered, 0.5, self.now, writes);
            }
        }
    }
}

impl Outcomes {
    /// Adds what came later.
    pub fn add(&mut self, later: Self) {
        self.notices.extend(later.notices);
        self.sent.extend(later.sent);
        self.decisions.extend(later.decisions);
    }
}
