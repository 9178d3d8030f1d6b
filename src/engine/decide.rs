//! Decides what follows from the inputs of a turn: what ends by itself, which notices are made, which sends may leave.

use super::{Engine, InMemoryState, TurnResult, log};
use podbell_core::outbox::DestinationReport;
use podbell_core::step::{Input, step};
use podbell_store::{Recovery, StoreError};

impl Engine {
    /// Carries out what is due, puts notices into the outbox, and claims sends, with their bodies.
    ///
    /// # Errors
    /// When the notices or the body of a claimed send cannot be read.
    pub(super) fn decide(&mut self, memory: &mut InMemoryState, turn: &mut TurnResult) -> Result<(), StoreError> {
        for Recovery { fate, kept } in &self.recoveries {
            let kept = kept.as_ref().map(|kept| kept.display().to_string());
            let input = Input::Store { fate, kept: kept.as_deref() };
            step(&mut memory.state, &self.setup, input, turn.now, &mut turn.writes);
        }
        step(&mut memory.state, &self.setup, Input::Tick, turn.now, &mut turn.writes);
        memory.outbox.tick(turn.now, &mut turn.outbox);
        self.post(memory, turn);
        update_threads(memory, turn);
        if self.claiming {
            let jobs = memory.outbox.claim(turn.now, &mut turn.outbox);
            self.prepare(memory, jobs, turn)?;
        }
        Ok(())
    }

    /// Adds new notices to the outbox until nothing follows from that: trouble with one destination makes notices to
    /// the others.
    fn post(&self, memory: &mut InMemoryState, turn: &mut TurnResult) {
        loop {
            let new = turn.writes.notices.get(turn.posted..).unwrap_or_default();
            for notice in new {
                log::lost(notice, &self.policies);
                memory.outbox.add(notice, turn.now, &mut turn.outbox);
            }
            turn.posted = turn.writes.notices.len();
            let destination_reports = std::mem::take(&mut turn.outbox.destination_reports);
            if destination_reports.is_empty() {
                return;
            }
            for report in &destination_reports {
                let input = match report {
                    DestinationReport::Trouble(name, error) => {
                        tracing::warn!(destination = %name, code = error.code, text = error.text, "a destination does not take messages");
                        Input::Destination { name, error: Some(error) }
                    }
                    DestinationReport::Recovered(name) => {
                        tracing::info!(destination = %name, "a destination takes messages again");
                        Input::Destination { name, error: None }
                    }
                    DestinationReport::Dead(destination, deliveries, why) => {
                        tracing::error!(destination = %destination, deliveries, why, "deliveries were given up; see podbell outbox list");
                        turn.totals.given_up += deliveries;
                        Input::Dead { destination, deliveries: *deliveries, why }
                    }
                };
                step(&mut memory.state, &self.setup, input, turn.now, &mut turn.writes);
            }
        }
    }
}

/// Updates the outbox about incidents that messages may stand for.
fn update_threads(memory: &mut InMemoryState, turn: &mut TurnResult) {
    if !memory.outbox.has_threads() {
        return;
    }
    let changed = turn.writes.incidents.iter().chain(&turn.writes.acknowledged).copied();
    // An incident may have changed or ended while its new message was on its way.
    let new = turn.outbox.threads.iter().map(|(_, incident)| *incident);
    for incident in changed.chain(new).collect::<std::collections::BTreeSet<_>>() {
        match memory.state.message_state(incident) {
            Some(message_state) => memory.outbox.want(incident, message_state, turn.now),
            None => memory.outbox.end(incident, turn.now, &mut turn.outbox),
        }
    }
    let ended = turn.writes.ended.iter().map(|ended| ended.incident.id);
    for incident in ended.chain(turn.writes.troubles_over.iter().copied()) {
        memory.outbox.end(incident, turn.now, &mut turn.outbox);
    }
}
