//! Deletes old data, so that the file does not grow without end.

use std::time::Duration;

use super::{SqliteError, Store};
use crate::HISTORY;
use crate::rows::retention;
use podbell_core::time::Time;

/// The counters of numbers, and where the numbers are.
const COUNTERS: [(&str, &str); 5] = [
    ("next_incident", "SELECT id FROM incident UNION ALL SELECT id FROM trouble"),
    ("next_mute", "SELECT id FROM mute"),
    ("next_notice", "SELECT id FROM notice"),
    ("next_delivery", "SELECT id FROM delivery"),
    ("next_send", "SELECT id FROM send"),
];

/// What is deleted, and how old it must be.
const OLD: [(&str, Duration); 12] = [
    (
        "delivery WHERE id IN (SELECT id FROM delivery WHERE done_at < ?1 AND state != 'dead' LIMIT ?2)",
        retention::DELIVERIES,
    ),
    ("delivery WHERE id IN (SELECT id FROM delivery WHERE done_at < ?1 AND state = 'dead' LIMIT ?2)", retention::DEAD),
    (
        "notice WHERE id IN (SELECT id FROM notice WHERE made_at < ?1
         AND NOT EXISTS (SELECT 1 FROM delivery WHERE notice = notice.id) LIMIT ?2)",
        retention::DELIVERIES,
    ),
    ("send WHERE id IN (SELECT id FROM send WHERE claimed_at < ?1 AND settled IS NOT NULL LIMIT ?2)", retention::SENDS),
    ("attempt WHERE rowid IN (SELECT rowid FROM attempt WHERE at < ?1 LIMIT ?2)", retention::SENDS),
    (
        "observation WHERE id IN (SELECT id FROM (SELECT id, at FROM observation ORDER BY id LIMIT ?2) WHERE at < ?1)",
        HISTORY,
    ),
    (
        // Of each object, the newest report from before the limit stays. Oldest first, so that a final report
        // goes after those that it ends.
        "report WHERE id IN (SELECT id FROM report r WHERE at < ?1 AND (last = 1 OR EXISTS
         (SELECT 1 FROM report n WHERE n.about = r.about AND n.id > r.id AND n.at < ?1)) ORDER BY id LIMIT ?2)",
        HISTORY,
    ),
    (
        "tally WHERE (target, quarter) IN (SELECT target, quarter FROM tally WHERE quarter < ?1 / 900000 LIMIT ?2)",
        retention::TALLIES,
    ),
    ("incident WHERE id IN (SELECT id FROM incident WHERE ended_at < ?1 LIMIT ?2)", retention::INCIDENTS),
    ("mute WHERE id IN (SELECT id FROM mute WHERE ended_at < ?1 LIMIT ?2)", retention::INCIDENTS),
    ("action WHERE id IN (SELECT id FROM action WHERE at < ?1 LIMIT ?2)", retention::ACTIONS),
    ("inbox WHERE id IN (SELECT id FROM inbox WHERE done_at < ?1 LIMIT ?2)", retention::DELIVERIES),
];

impl Store {
    /// Deletes rows that are no longer needed and frees their pages. Returns whether there are more.
    pub(super) fn delete_old_rows(&mut self, now: Time) -> Result<bool, SqliteError> {
        self.loaded = None;
        let ago = |span: Duration| now.minus(span).millis();
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|source| SqliteError::of(&self.path, source))?;
        let result = (|| {
            // Store the next numbers, so that none is used twice after its row was deleted.
            for (key, tables) in COUNTERS {
                transaction.execute(
                    &format!(
                        "INSERT INTO meta SELECT ?1, coalesce(max(id), 0) + 1 FROM ({tables}) WHERE true
                         ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)"
                    ),
                    [key],
                )?;
            }
            let mut deleted = 0;
            for (sql, before) in OLD {
                deleted += transaction
                    .execute(&format!("DELETE FROM {sql}"), rusqlite::params![ago(before), retention::ROUND])?;
            }
            deleted += transaction.execute("DELETE FROM trouble WHERE over = 1", [])?;
            deleted += super::queries::shown::delete_old(&transaction, retention::ROUND)?;
            transaction.commit()?;
            Ok(deleted)
        })();
        let deleted: usize = result.map_err(|source| SqliteError::of(&self.path, source))?;
        self.connection
            .execute_batch("PRAGMA incremental_vacuum(2000)")
            .map_err(|source| SqliteError::of(&self.path, source))?;
        Ok(deleted >= retention::ROUND as usize)
    }
}
