//! Passes events to the step and the outbox. Pure: what it needs of the store was loaded.

use super::load::TurnInputs;
use super::{Engine, InMemoryState, Inputs, TurnResult, commands};
use crate::sources::SourceEvent;
use podbell_core::event::Target;
use podbell_core::outbox::{Outcome, SendId};
use podbell_core::step::{Input, step};
use podbell_core::time::Time;

impl Engine {
    /// Takes in everything that happened since the last turn.
    pub(super) fn take_in(
        &mut self,
        memory: &mut InMemoryState,
        inputs: &Inputs,
        loaded: TurnInputs,
        turn: &mut TurnResult,
    ) {
        for (target, rows) in loaded.readings {
            memory.state.load(&target, rows);
        }
        // Before the polls of this turn, so that each is judged by one generation of the rules.
        for rules in &self.new_rules.clone() {
            self.replace_rules(rules, &loaded.good_rules, memory, turn);
        }
        for event in &inputs.events {
            self.apply(event, memory, turn);
            self.throttle.of_source(event, turn.now);
            turn.totals.failed_polls +=
                u64::from(matches!(event, SourceEvent::Failed { .. } | SourceEvent::WatchFailed { .. }));
        }
        for (send, outcome) in &inputs.answers {
            self.record(*send, outcome, memory, turn);
        }
        for request in loaded.requests {
            let answer = commands::carry_out(&request, &self.setup, memory, turn);
            turn.answered.push((request.item, answer));
        }
        for asked in &inputs.asked {
            turn.done.push(memory.state.act(&self.setup, &asked.action, turn.now, &mut turn.writes));
        }
    }

    /// Records the result of a send.
    fn record(&mut self, send: SendId, outcome: &Outcome, memory: &mut InMemoryState, turn: &mut TurnResult) {
        let delivered = outcome.arrived();
        turn.totals.delivered += u64::from(delivered);
        turn.totals.undelivered += u64::from(!delivered && *outcome != Outcome::NotNeeded);
        if let Some(destination) = memory.outbox.destination_of(send) {
            self.throttle.of_destination(destination, outcome, turn.now);
            // Updating an existing message notifies nobody.
            if let Some(destination) = memory.outbox.destination_of_deliveries(send).filter(|_| delivered) {
                step(&mut memory.state, &self.setup, Input::MessageArrived { destination }, turn.now, &mut turn.writes);
            }
        }
        memory.outbox.record(send, outcome.clone(), (self.chance)(), turn.now, &mut turn.outbox);
    }

    fn apply(&self, event: &SourceEvent, memory: &mut InMemoryState, turn: &mut TurnResult) {
        let now = turn.now;
        if let SourceEvent::PartialObservation { receipt, .. }
        | SourceEvent::ListCompleted { receipt, .. }
        | SourceEvent::WatchProgress { receipt, .. } = event
            && receipt.is_stale()
        {
            return;
        }
        // A poll counts at the time when it was complete, not at its turn, and never in the future. Times that were
        // read before the clock was set are shifted.
        let jump = self.jump;
        let heard = |at: Time| at.moved(jump).min(now);
        let (input, at) = match event {
            SourceEvent::TargetList { source, targets, complete } => {
                (Input::TargetList { source, targets, complete: *complete }, now)
            }
            SourceEvent::Polled { target, at, events } => {
                know(memory, target);
                (Input::Observed { target, events }, heard(*at))
            }
            SourceEvent::Unusable { target, at, entries } => {
                (Input::Unusable { target, entries: *entries }, heard(*at))
            }
            SourceEvent::Failed { target, at, error } => (Input::Failed { target, error }, heard(*at)),
            SourceEvent::DiscoveryFailed { source, at, error } => {
                (Input::DiscoveryFailed { source, error }, heard(*at))
            }
            SourceEvent::PartialObservation { at, whole, lists, .. } => {
                for seen in lists {
                    know(memory, &seen.target);
                    let input = Input::PartialObservation { seen, whole: *whole };
                    step(&mut memory.state, &self.setup, input, heard(*at), &mut turn.writes);
                }
                return;
            }
            SourceEvent::ListCompleted { covers, at, shown, .. } => {
                (Input::ListCompleted { covers, shown }, heard(*at))
            }
            SourceEvent::WatchProgress { covers, at, .. } => (Input::WatchProgress { covers }, heard(*at)),
            SourceEvent::Deleted { source, at, objects } => (Input::Deleted { source, objects }, heard(*at)),
            SourceEvent::Health { at, reports } => (Input::Health { reports }, heard(*at)),
            SourceEvent::Enriched { incident, at, state } => {
                (Input::Enriched { incident: *incident, state }, heard(*at))
            }
            SourceEvent::Templates { at, reports } => (Input::Templates { reports }, heard(*at)),
            SourceEvent::WatchFailed { covers, at, error } => (Input::WatchFailed { covers, error }, heard(*at)),
        };
        step(&mut memory.state, &self.setup, input, at, &mut turn.writes);
    }
}

/// Marks a target as loaded that was not stored when the turn began: it has no stored readings.
fn know(memory: &mut InMemoryState, target: &Target) {
    for new in memory.state.readings_to_load(target) {
        memory.state.load(&new, []);
    }
}
