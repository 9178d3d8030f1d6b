//! Handles a clock that was set: shifts back-offs, ends of `Retry-After`, paces and storms, so that none ends early or
//! lasts longer.

use super::{DestinationHealth, DestinationState, Outbox, OutboxWrites};
use crate::time::{Jump, Time};

impl Outbox {
    /// Shifts the times of podbell's own clock by `by`; `now` is the time after the clock was set.
    pub fn clock_set(&mut self, by: Jump, now: Time, writes: &mut OutboxWrites) {
        for (endpoint, window) in &mut self.windows {
            window.clock_set(by);
            // Store the attempts anew: their times have moved.
            writes.attempts.extend(window.attempts().map(|at| (endpoint.clone(), at)));
        }
        for (name, state) in &mut self.destinations {
            state.clock_set(by, now);
            writes.destinations.insert(name.clone());
            writes.threads.extend(state.threads.incidents().into_iter().map(|incident| (name.clone(), incident)));
        }
    }
}

impl DestinationState {
    fn clock_set(&mut self, by: Jump, now: Time) {
        // Destructure, so that a new field cannot be forgotten.
        let Self { due, sends, threads, health, accounted, history } = self;
        due.clock_set(by);
        threads.clock_set(by, now);
        let backoffs = sends.values_mut().filter_map(|send| send.backoff_until.as_mut());
        let DestinationHealth {
            failures: _,
            failing_since,
            retry_at,
            rate_limited_until,
            paused,
            active: _,
            told: _,
            dead: _,
            why: _,
            dead_told_at,
            storm,
        } = health;
        storm.clock_set(by);
        let since = paused.iter_mut().map(|paused| &mut paused.since);
        let own =
            [failing_since, retry_at, rate_limited_until, dead_told_at, &mut history.success].into_iter().flatten();
        for at in backoffs.chain(since).chain(own).chain([accounted]) {
            at.carry(by);
        }
    }
}
