//! What the command line asks of a running service, carried out inside a turn.

use super::{Batch, Mirror};
use crate::sources::bounds;
use podbell_core::rules::rule::Destination;
use podbell_core::step::Setup;
use podbell_core::time::Time;
use podbell_store::{Command, Store, StoreError};

/// Carries out a command and says in words what came of it.
pub(super) fn carry_out(
    store: &Store,
    setup: &Setup,
    mirror: &mut Mirror,
    command: &Command,
    now: Time,
    batch: &mut Batch,
) -> Result<String, StoreError> {
    let Mirror { outbox, state, .. } = mirror;
    let answer = match command {
        Command::RetryDelivery { id } => match store.delivery(*id)? {
            None => format!("there is no delivery {}", id.0),
            Some(stored) if stored.state != "dead" => format!("delivery {} is {}, not dead", id.0, stored.state),
            Some(stored) => match outbox.revive(&stored.destination, stored.delivery, now, &mut batch.outbox) {
                true => format!("delivery {} is due again for {}", id.0, stored.destination),
                false => format!("{} is no destination any more", stored.destination),
            },
        },
        Command::RetryAll { destination } => {
            let mut revived = 0;
            for stored in store.dead_deliveries(destination.as_deref())? {
                revived += u64::from(outbox.revive(&stored.destination, stored.delivery, now, &mut batch.outbox));
            }
            format!("{revived} deliveries are due again")
        }
        Command::DropDelivery { id } => match outbox.discard(*id, now, &mut batch.outbox) {
            0 => format!("delivery {} does not wait: it is on its way, settled, or there is none", id.0),
            1 => format!("delivery {} was given up", id.0),
            n => format!("delivery {} was given up, with {} others of the same message", id.0, n - 1),
        },
        Command::Deed { deed } => {
            let mut deed = deed.clone();
            bounds::deed(&mut deed);
            let done = state.act(setup, &deed, now, &mut batch.writes);
            super::log::deed(&deed, &done);
            serde_json::to_string(&done).unwrap_or_default()
        }
        Command::DestinationWorks { destination } => {
            let name: Destination = destination.as_str().into();
            match outbox.works_again(&name, now, &mut batch.outbox) {
                true => format!("{name} takes messages again"),
                false => format!("{name} is no destination of this service"),
            }
        }
    };
    Ok(answer)
}
