//! Messages that stand for incidents.

use rusqlite::{Connection, params};

use super::commit::{Commit, json};
use super::load::{id, sql, text};
use super::{Store, StoreError};
use podbell_core::outbox::{Face, Parent, StoredThread, Thread};
use podbell_core::time::Time;

/// Writes what the outbox says changed.
pub(super) fn write(connection: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    for (name, incident) in &commit.outbox_writes.threads {
        let known = commit.outbox.destination(name);
        let stands = known.and_then(|(state, policy)| Some((state.threads.get(*incident)?, policy.threads.as_ref()?)));
        let Some((thread, policy)) = stands else {
            let mut delete =
                connection.prepare_cached("DELETE FROM thread WHERE destination = ?1 AND incident = ?2")?;
            delete.execute(params![name, sql(*incident)])?;
            continue;
        };
        let (shown, shown_at) = thread.shown.unzip();
        let mut upsert =
            connection.prepare_cached("INSERT OR REPLACE INTO thread VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        upsert.execute(params![
            name,
            sql(*incident),
            policy.place,
            thread.parent.channel,
            thread.parent.message,
            thread.since.millis(),
            shown.map(|face: Face| json(&face)).transpose()?,
            shown_at.map(Time::millis),
        ])?;
    }
    Ok(())
}

impl Store {
    /// The messages that stand for incidents.
    pub(super) fn threads(&self) -> Result<Vec<StoredThread>, StoreError> {
        let columns = "destination, place, incident, channel, message, since, shown, shown_at";
        let rows = self.query(&format!("SELECT {columns} FROM thread"), [], |row| {
            let parent = Parent { channel: text(row, 3)?, message: text(row, 4)? };
            // What it shows is read below: an error there is of another kind.
            let thread = Thread::restored(parent, Time::from_millis(row.get(5)?), None);
            let stored =
                StoredThread { destination: text(row, 0)?, place: text(row, 1)?, incident: id(row, 2)?, thread };
            Ok((stored, row.get::<_, Option<String>>(6)?.zip(row.get::<_, Option<i64>>(7)?)))
        })?;
        let mut threads = Vec::with_capacity(rows.len());
        for (mut stored, shown) in rows {
            if let Some((face, at)) = shown {
                let wrong = |error| self.row_error(format!("the message of incident {}", stored.incident), error);
                stored.thread.shown = Some((serde_json::from_str(&face).map_err(wrong)?, Time::from_millis(at)));
            }
            threads.push(stored);
        }
        Ok(threads)
    }
}
