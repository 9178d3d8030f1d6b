//! The mirrors of the store, and how they go along when the clock is set.

use super::{Batch, Engine};
use podbell_core::outbox::{Face, Outbox};
use podbell_core::step::{Input, Setup, State, step};
use podbell_core::time::{Jump, Time};
use podbell_store::StoreError;

/// What is thrown away and read again when a commit fails.
pub(super) struct Mirror {
    pub state: State,
    pub outbox: Outbox,
    /// What restoring itself wants written; goes into the first commit.
    pub pending: Batch,
}

impl Mirror {
    /// Carries what is remembered along with a clock that was set; it is written with the next commit.
    pub fn clock_set(&mut self, by: Jump, setup: &Setup, now: Time) {
        if !by.is_none() {
            self.state.clock_set(by, setup, now, &mut self.pending.writes);
            self.outbox.clock_set(by, now, &mut self.pending.outbox);
        }
    }
}

impl Engine {
    /// The clock was set since the last turn, and it is `now`: what was to happen in five minutes still happens in five minutes. Who
    /// measures time by two clocks says so; a clock that was set back is noticed without it.
    pub fn clock_set(&mut self, by: Jump, now: Time) {
        if by.is_none() {
            return;
        }
        self.jump = self.jump.and(by);
        self.uncommitted_jump = self.uncommitted_jump.and(by);
        for last in [&mut self.last_turn, &mut self.last_inbox, &mut self.last_heartbeat, &mut self.last_tidy] {
            last.carry(by);
        }
        self.complaints.clock_set(by);
        if let Some(mirror) = &mut self.mirror {
            mirror.clock_set(by, &self.setup, now);
        }
    }

    /// The moment of this turn. A clock that goes back by less than a second stands still until it is there again.
    pub(super) fn notice_a_clock_set_back(&mut self, now: Time) -> Time {
        let back = Jump::between(self.last_turn, now);
        if back.is_back() && back.length() >= Jump::LEAST {
            self.clock_set(back, now);
        }
        self.last_turn = self.last_turn.max(now);
        self.last_turn
    }

    /// Rebuilds both mirrors from the store.
    pub(super) fn read_mirror(&mut self, now: Time) -> Result<Mirror, StoreError> {
        let mut batch = Batch::default();
        // What is stored goes by the clock as it was: it is read as it was meant, and carried along.
        let jump = self.uncommitted_jump;
        let then = now.moved(jump.undone());
        let state = State::restore(self.store.restore()?, &self.setup, then);
        let restored = self.store.restore_outbox(then)?;
        let outbox = Outbox::restore(restored, self.policies.clone(), then, &mut batch.outbox);
        let mut mirror = Mirror { state, outbox, pending: batch };
        mirror.clock_set(jump, &self.setup, now);
        let Mirror { mut state, mut outbox, pending: mut batch } = mirror;
        state.forget_removed_sources(&self.setup, now, &mut batch.writes);
        let generation = self.setup.rules.generation();
        if self.store.rules_generation()? != Some(generation) {
            batch.generation = Some(generation);
            step(&mut state, &self.setup, Input::RulesChanged, now, &mut batch.writes);
        }
        outbox.still_in_flight(&self.in_flight);
        for (from, to) in &batch.outbox.renamed {
            tracing::info!(from = %from, to = %to, "a destination has a new name; its deliveries go there");
            state.rename_destination(from, to, &mut batch.writes);
        }
        state.keep_destinations(&self.setup.destinations);
        for incident in outbox.threaded() {
            if let Some(incident) = state.incident(incident) {
                outbox.want(incident.id, Face::of(incident), now);
            } else if state.trouble(incident).is_none() {
                outbox.end(incident, now, &mut batch.outbox);
            }
        }
        Ok(Mirror { state, outbox, pending: batch })
    }
}
