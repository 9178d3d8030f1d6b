//! The whole middle of podbell in virtual time: what would have been told.
//!
//! Rule tests, backtests and `explain` feed it lists and let time pass; it runs the same
//! [`step`] and the same [`Outbox`] as the service, with destinations that take everything
//! at once, and without a store. Pure: time is an argument.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Event, Target};
use super::notice::Notice;
use super::outbox::{Job, Outbox, OutboxWrites, Outcome, Policy, RestoredOutbox};
use super::rules::rule::Destination;
use super::source::{Problem, TargetEntry};
use super::step::decision::Decision;
use super::step::{Input, Restored, Setup, State, Tally, Writes, step};
use super::time::Time;

/// A request that a destination would have got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub at: Time,
    /// Who.
    pub to: Destination,
    /// Numbers of the notices it tells or contains, oldest first.
    pub notices: Vec<u64>,
}

/// What came of one input or of time that passed.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// What was told, in the order of making.
    pub notices: Vec<Notice>,
    /// The requests that carried it.
    pub sent: Vec<Sent>,
    /// What became of each Warning change.
    pub decisions: Vec<Decision>,
}

/// See the module.
pub struct Replay {
    setup: Arc<Setup>,
    state: State,
    outbox: Outbox,
    now: Time,
    tally: Tally,
}

impl Replay {
    /// Nothing has happened yet, and it is `now`. Without policies no requests are planned.
    pub fn new(setup: Arc<Setup>, policies: BTreeMap<Destination, Policy>, now: Time) -> Self {
        let state = State::restore(Restored::default(), &setup, now);
        // An empty outbox has nothing to write.
        let outbox = Outbox::restore(RestoredOutbox::default(), policies, now, &mut OutboxWrites::default());
        Self { setup, state, outbox, now, tally: Tally::default() }
    }

    /// Targets are watched from now on, beside those that are.
    pub fn watch(&mut self, source: &Arc<str>, targets: Vec<Target>) -> Outcomes {
        let targets: Vec<TargetEntry> =
            targets.into_iter().map(|target| TargetEntry { target, discovered: false }).collect();
        self.input(Input::TargetList { source, targets: &targets, complete: false })
    }

    /// A good poll of a watched target at `at`; what falls due until then comes first.
    pub fn observe(&mut self, target: &Target, events: &[Event<'_>], at: Time) -> Outcomes {
        let mut outcomes = self.pass(at);
        for wanted in self.state.wants(target) {
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

    /// What is known now: incidents that are open, and the rest.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Counts of what went through.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The time that has passed.
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
                    Job::First(claimed) => claimed.send,
                    Job::Again { send, .. } => *send,
                };
                if let Job::First(claimed) = job {
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
