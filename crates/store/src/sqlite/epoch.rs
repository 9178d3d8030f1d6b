//! Reads and begins the epochs of message ids.

use rusqlite::Connection;

use super::load::id;
use crate::message_epochs::MessageEpochs;

/// The epochs of a store, without a new one.
pub(super) fn read(connection: &Connection, uuid: &str) -> rusqlite::Result<MessageEpochs> {
    let text = super::meta_text(connection, "epochs")?;
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error));
    MessageEpochs::read(text.as_deref(), uuid).map_err(damaged)
}

/// Begins an epoch for all new sends.
pub(super) fn begin(connection: &Connection, uuid: &str) -> rusqlite::Result<MessageEpochs> {
    let mut epochs = read(connection, uuid)?;
    let next = connection.query_row(
        "SELECT max(coalesce((SELECT value FROM meta WHERE key = 'next_send'), 1),
                    coalesce((SELECT max(id) FROM send), 0) + 1)",
        [],
        |row| id(row, 0),
    )?;
    let mut open = connection.prepare("SELECT id FROM send WHERE settled IS NULL")?;
    let open: Vec<u64> = open.query_map([], |row| id(row, 0))?.collect::<rusqlite::Result<_>>()?;
    epochs.begin(next, &open);
    let text = epochs.write().map_err(|source| rusqlite::Error::ToSqlConversionFailure(Box::new(source)))?;
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('epochs', ?1)", [text])?;
    Ok(epochs)
}
