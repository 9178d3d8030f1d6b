//! The inbox: how the command line and replicas hand commands to the engine that owns the store.

use serde::{Deserialize, Serialize};

use crate::StoreError;
use podbell_core::outbox::DeliveryId;
use podbell_core::time::Time;
use podbell_core::user_action::UserAction;

/// A command to the running service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Send a dead delivery again.
    RetryDelivery {
        /// Which.
        id: DeliveryId,
    },
    /// Send all dead deliveries again, oldest first.
    RetryAll {
        /// Of one destination only.
        destination: Option<String>,
    },
    /// Give up a due delivery.
    DropDelivery {
        /// Which.
        id: DeliveryId,
    },
    /// A test message arrived: end a pause or back-off.
    DestinationWorks {
        /// Its name.
        destination: String,
    },
    /// A user action. The answer is the JSON of a [`podbell_core::user_action::ActionResult`]; that of every other
    /// command is the JSON of a [`DeliveryResult`].
    UserAction {
        /// The user action.
        action: Box<UserAction>,
    },
}

/// What came of a command about deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum DeliveryResult {
    /// A dead delivery is due again.
    DueAgain {
        /// Which.
        id: DeliveryId,
        /// Where it goes.
        destination: String,
    },
    /// The dead deliveries that were asked for, and whose destinations exist, are due again.
    AllDueAgain {
        /// How many; possibly none.
        deliveries: u64,
    },
    /// A due delivery was given up.
    GivenUp {
        /// Which.
        id: DeliveryId,
        /// How many others of the same message went with it.
        others: u64,
    },
    /// The destination takes messages again.
    Works {
        /// Its name.
        destination: String,
    },
    /// Refused: there is no such delivery.
    Unknown {
        /// The number that was given.
        id: DeliveryId,
    },
    /// Refused: only a dead delivery is sent again.
    NotDead {
        /// Which.
        id: DeliveryId,
        /// Its state, in the word that `podbell outbox list` shows.
        state: String,
    },
    /// Refused: it does not wait. It is on its way, settled, or there is none.
    NotWaiting {
        /// Which.
        id: DeliveryId,
    },
    /// Refused: the service has no such destination.
    NoDestination {
        /// The name that was given, or that of the delivery.
        destination: String,
    },
}

impl DeliveryResult {
    /// Whether it was refused: nothing was changed.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::DueAgain { .. } | Self::AllDueAgain { .. } | Self::GivenUp { .. } | Self::Works { .. } => false,
            Self::Unknown { .. } | Self::NotDead { .. } | Self::NotWaiting { .. } | Self::NoDestination { .. } => true,
        }
    }
}

/// A command that waits in the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxItem {
    /// The number by which its answer is found.
    pub id: i64,
    /// The command.
    pub command: Command,
}

/// How many waiting commands are read at once.
pub(crate) const PAGE: u32 = 100;

const MAX_PAGES: u32 = 20;

/// The first waiting commands that can be decoded. `page` reads the next [`PAGE`] rows after a number: those of a newer version must not
/// hide what stands behind them.
pub(crate) fn decodable<E>(mut page: impl FnMut(i64) -> Result<Vec<(i64, String)>, E>) -> Result<Vec<InboxItem>, E> {
    let (mut items, mut after) = (Vec::new(), i64::MIN);
    // So that a look stays short, whatever stands there.
    for n in 1..=MAX_PAGES {
        let rows = page(after)?;
        let is_last = rows.len() < PAGE as usize || n == MAX_PAGES;
        after = rows.last().map_or(after, |(id, _)| *id);
        let read = |(id, json): (i64, String)| Some(InboxItem { id, command: serde_json::from_str(&json).ok()? });
        items.extend(rows.into_iter().filter_map(read));
        if is_last || !items.is_empty() {
            break;
        }
    }
    Ok(items)
}

/// The sender's side of the inbox. The service's side is [`crate::Writer::inbox`] and the answers of a commit.
pub trait Inbox {
    /// Puts a command in the inbox. Returns the number by which [`Inbox::answer`] finds its answer.
    ///
    /// `key` names a command that several replicas may submit, such as a message that a platform delivers to each of
    /// them. If a command with this key is there already, nothing is added and its number is returned, so that all get
    /// one answer.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn submit(&self, key: Option<&str>, command: &Command, now: Time) -> Result<i64, StoreError>;

    /// The command that was submitted with this key, carried out or not.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn submitted(&self, key: &str) -> Result<Option<InboxItem>, StoreError>;

    /// The answer to a command, once it was carried out.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn answer(&self, id: i64) -> Result<Option<String>, StoreError>;

    /// Withdraws a command that was not carried out yet. Returns whether it still waited.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn withdraw(&self, id: i64) -> Result<bool, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_a_newer_version_hide_none_that_stand_behind_them() {
        let command = Command::RetryAll { destination: None };
        let known = serde_json::to_string(&command).unwrap();
        let text = |id: i64| if id == 251 { known.clone() } else { "{\"FromTheFuture\":1}".to_owned() };
        let page = |last: i64| {
            move |after: i64| -> Result<Vec<(i64, String)>, ()> {
                Ok((after.max(0) + 1..=last).take(PAGE as usize).map(|id| (id, text(id))).collect())
            }
        };
        assert_eq!(decodable(page(300)), Ok(vec![InboxItem { id: 251, command }]));
        assert_eq!(decodable(page(200)), Ok(Vec::new()));
        assert_eq!(decodable(page(0)), Ok(Vec::new()));
    }
}
