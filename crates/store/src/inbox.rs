//! The inbox: how the command line talks to a running service.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use podbell_core::deed::Deed;
use podbell_core::outbox::DeliveryId;
use podbell_core::time::Time;

/// What can be asked.
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
    /// Give a due delivery up.
    DropDelivery {
        /// Which.
        id: DeliveryId,
    },
    /// A test message arrived: end a pause or back-off.
    DestinationWorks {
        /// Its name.
        destination: String,
    },
    /// What a person wants done. The answer is the JSON of a [`podbell_core::deed::Done`].
    Deed {
        /// That.
        deed: Box<Deed>,
    },
}

/// A command that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxItem {
    /// Its row.
    pub id: i64,
    /// What is asked.
    pub command: Command,
}

impl Store {
    /// Puts a command in the inbox.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn ask(&self, command: &Command, now: Time) -> Result<i64, StoreError> {
        let json = serde_json::to_string(command).map_err(|e| self.row_error("a command", e))?;
        self.connection
            .execute("INSERT INTO inbox (at, command) VALUES (?1, ?2)", params![now.millis(), json])
            .map_err(|source| self.error(source))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// The answer to a command, once it was carried out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn answer(&self, id: i64) -> Result<Option<String>, StoreError> {
        self.connection
            .query_row("SELECT answer FROM inbox WHERE id = ?1 AND done_at IS NOT NULL", [id], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Takes a command back that was not carried out. Says whether it still waited.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn withdraw(&self, id: i64) -> Result<bool, StoreError> {
        let withdrawn = self.connection.execute("DELETE FROM inbox WHERE id = ?1 AND done_at IS NULL", [id]);
        withdrawn.map(|rows| rows > 0).map_err(|source| self.error(source))
    }

    /// Commands that wait, oldest first. One that cannot be read is left for a newer version.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn inbox(&self) -> Result<Vec<InboxItem>, StoreError> {
        let rows =
            self.query("SELECT id, command FROM inbox WHERE done_at IS NULL ORDER BY id LIMIT 100", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })?;
        let read = |(id, json): (i64, String)| Some(InboxItem { id, command: serde_json::from_str(&json).ok()? });
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
