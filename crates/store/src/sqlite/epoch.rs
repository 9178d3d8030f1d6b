//! The first part of message ids. Each start uses a new word for the sends that it makes: numbers repeat when a store
//! is restored from a backup, and a receiver drops a message whose id it has seen. A send that is repeated keeps its
//! id.

use rusqlite::Connection;

use super::load::id;

/// The first send of each epoch, with the epoch's word; ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs(Vec<(u64, String)>);

impl Epochs {
    /// The epochs of a store, without a new one.
    pub(super) fn read(connection: &Connection, uuid: &str) -> rusqlite::Result<Self> {
        let text = super::meta_text(connection, "epochs")?;
        // Before the first epoch, every id begins with the store's own name.
        let Some(text) = text else { return Ok(Self(vec![(0, uuid.to_owned())])) };
        let damaged =
            |error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error));
        Ok(Self(serde_json::from_str(&text).map_err(damaged)?))
    }

    /// Begins an epoch for all new sends, and forgets the epochs without an open send.
    pub(crate) fn begin(connection: &Connection, uuid: &str) -> rusqlite::Result<Self> {
        let mut epochs = Self::read(connection, uuid)?;
        let next = connection.query_row(
            "SELECT max(coalesce((SELECT value FROM meta WHERE key = 'next_send'), 1),
                        coalesce((SELECT max(id) FROM send), 0) + 1)",
            [],
            |row| id(row, 0),
        )?;
        let mut open = connection.prepare("SELECT id FROM send WHERE settled IS NULL")?;
        let open: Vec<u64> = open.query_map([], |row| id(row, 0))?.collect::<rusqlite::Result<_>>()?;
        let needed: Vec<String> = open.into_iter().map(|send| epochs.of(send).to_owned()).collect();
        epochs.0.retain(|(_, word)| needed.contains(word));
        epochs.0.push((next, format!("{:016x}", rand::random::<u64>())));
        let text = serde_json::to_string(&epochs.0)
            .map_err(|source| rusqlite::Error::ToSqlConversionFailure(Box::new(source)))?;
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('epochs', ?1)", [text])?;
        Ok(epochs)
    }

    /// The word of a send's epoch.
    pub(crate) fn of(&self, send: u64) -> &str {
        let mine = self.0.iter().rev().find(|(first, _)| *first <= send);
        mine.or(self.0.first()).map_or("", |(_, word)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_send_keeps_the_word_of_the_start_that_made_it_for_as_long_as_it_is_open() {
        let connection = Connection::open_in_memory().unwrap();
        let tables = "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY); CREATE TABLE send (id INTEGER PRIMARY KEY, settled TEXT)";
        connection.execute_batch(tables).unwrap();
        let first = Epochs::begin(&connection, "store").unwrap();
        connection.execute_batch("INSERT INTO send VALUES (1, NULL), (2, 'delivered')").unwrap();
        let second = Epochs::begin(&connection, "store").unwrap();
        assert_eq!(second.of(1), first.of(1));
        assert_ne!(second.of(3), first.of(3));
        connection.execute_batch("UPDATE send SET settled = 'delivered'").unwrap();
        let third = Epochs::begin(&connection, "store").unwrap();
        assert_eq!(third.0.len(), 1, "{third:?}");
        assert_ne!(third.of(3), second.of(3));
        assert_eq!(Epochs::read(&connection, "store").unwrap(), third);
    }
}
