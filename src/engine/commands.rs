//! Commands that the command line gives to a running service.

use serde::Serialize;

use super::load::Request;
use super::{InMemoryState, TurnResult};
use crate::sources::bounds;
use podbell_core::outbox::{DeliveryPhase, DeliveryState};
use podbell_core::rule::Destination;
use podbell_core::step::Setup;
use podbell_store::{Command, DeliveryResult, StoredDelivery};

/// Carries out a command and returns its answer as JSON.
pub(super) fn carry_out(request: &Request, setup: &Setup, memory: &mut InMemoryState, turn: &mut TurnResult) -> String {
    let now = turn.now;
    let result = match &request.item.command {
        Command::RetryDelivery { id } => match request.deliveries.first() {
            None => DeliveryResult::Unknown { id: *id },
            Some(stored) if stored.state != DeliveryPhase::Dead => {
                DeliveryResult::NotDead { id: *id, state: stored.state.as_str().to_owned() }
            }
            Some(stored) => {
                let destination = stored.destination.to_string();
                match revive(stored, memory, turn) {
                    true => DeliveryResult::DueAgain { id: *id, destination },
                    false => DeliveryResult::NoDestination { destination },
                }
            }
        },
        Command::RetryAll { destination: Some(destination) }
            if !memory.outbox.destinations().any(|(name, _)| **name == **destination) =>
        {
            DeliveryResult::NoDestination { destination: destination.clone() }
        }
        Command::RetryAll { .. } => {
            let revived = request.deliveries.iter().filter(|stored| revive(stored, memory, turn)).count();
            DeliveryResult::AllDueAgain { deliveries: revived as u64 }
        }
        Command::DropDelivery { id } => match memory.outbox.discard(*id, now, &mut turn.outbox) {
            0 => DeliveryResult::NotWaiting { id: *id },
            dropped => DeliveryResult::GivenUp { id: *id, others: dropped as u64 - 1 },
        },
        Command::UserAction { action } => {
            let mut action = action.clone();
            bounds::user_action(&mut action);
            let done = memory.state.act(setup, &action, now, &mut turn.writes);
            super::log::user_action(&action, &done);
            return json(&done);
        }
        Command::DestinationWorks { destination } => {
            let name: Destination = destination.as_str().into();
            match memory.outbox.works_again(&name, now, &mut turn.outbox) {
                true => DeliveryResult::Works { destination: destination.clone() },
                false => DeliveryResult::NoDestination { destination: destination.clone() },
            }
        }
    };
    json(&result)
}

fn json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).unwrap_or_else(|error| format!("done, but the answer cannot be written: {error}"))
}

/// Makes a dead delivery due again. Two commands of one turn may name the same one.
fn revive(stored: &StoredDelivery, memory: &mut InMemoryState, turn: &mut TurnResult) -> bool {
    let delivery = stored.delivery.clone();
    let revived = matches!(turn.outbox.changed.get(&delivery.id), Some(DeliveryState::Due { .. }));
    revived || memory.outbox.revive(&stored.destination, delivery, turn.now, &mut turn.outbox)
}
