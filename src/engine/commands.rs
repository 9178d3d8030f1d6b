//! Commands that the command line gives to a running service.

use super::load::Request;
use super::{InMemoryState, TurnResult};
use crate::sources::bounds;
use podbell_core::outbox::{DeliveryPhase, DeliveryState};
use podbell_core::rule::Destination;
use podbell_core::step::Setup;
use podbell_store::{Command, StoredDelivery};

/// Carries out a command and returns the answer in words.
pub(super) fn carry_out(request: &Request, setup: &Setup, memory: &mut InMemoryState, turn: &mut TurnResult) -> String {
    let now = turn.now;
    match &request.item.command {
        Command::RetryDelivery { id } => match request.deliveries.first() {
            None => format!("there is no delivery {}", id.0),
            Some(stored) if stored.state != DeliveryPhase::Dead => {
                format!("delivery {} is {}, not dead", id.0, stored.state.as_str())
            }
            Some(stored) => match revive(stored, memory, turn) {
                true => format!("delivery {} is due again for {}", id.0, stored.destination),
                false => format!("{} is not a destination any more", stored.destination),
            },
        },
        Command::RetryAll { .. } => {
            match request.deliveries.iter().filter(|stored| revive(stored, memory, turn)).count() {
                1 => "1 delivery is due again".to_owned(),
                revived => format!("{revived} deliveries are due again"),
            }
        }
        Command::DropDelivery { id } => match memory.outbox.discard(*id, now, &mut turn.outbox) {
            0 => format!("delivery {} does not wait: it is on its way, settled, or there is none", id.0),
            1 => format!("delivery {} was given up", id.0),
            2 => format!("delivery {} was given up, with another of the same message", id.0),
            n => format!("delivery {} was given up, with {} others of the same message", id.0, n - 1),
        },
        Command::UserAction { action } => {
            let mut action = action.clone();
            bounds::user_action(&mut action);
            let done = memory.state.act(setup, &action, now, &mut turn.writes);
            super::log::user_action(&action, &done);
            serde_json::to_string(&done)
                .unwrap_or_else(|error| format!("done, but the answer cannot be written: {error}"))
        }
        Command::DestinationWorks { destination } => {
            let name: Destination = destination.as_str().into();
            match memory.outbox.works_again(&name, now, &mut turn.outbox) {
                true => format!("{name} takes messages again"),
                false => format!("{name} is not a destination of this service"),
            }
        }
    }
}

/// Makes a dead delivery due again. Two commands of one turn may name the same one.
fn revive(stored: &StoredDelivery, memory: &mut InMemoryState, turn: &mut TurnResult) -> bool {
    let delivery = stored.delivery.clone();
    let revived = matches!(turn.outbox.changed.get(&delivery.id), Some(DeliveryState::Due { .. }));
    revived || memory.outbox.revive(&stored.destination, delivery, turn.now, &mut turn.outbox)
}
