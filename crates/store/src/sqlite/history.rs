//! The service's own history: what changed from poll to poll, for backtests, and the decision about each change.
//!
//! An observation holds numbers only. The text of an episode is the newest one, in `series`.

use rusqlite::{Connection, params};

use crate::rows::{DOWN, FAILING, MAX_OBSERVATIONS, MAX_REPORTS, READABLE, change_number, sql};
use crate::{AvailabilityChange, Batch, KEPT_DECISIONS};
use podbell_core::event::Target;
use podbell_core::history::ObjectReport;
use podbell_core::map::FastMap;
use podbell_core::time::Time;

/// Adds what this commit observed.
pub(super) fn write(connection: &Connection, ids: &FastMap<Target, i64>, batch: &Batch) -> rusqlite::Result<()> {
    let changed = batch.series.iter().filter_map(|row| Some((row, row.change?)));
    if batch.gaps.is_empty() && changed.clone().next().is_none() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO observation (at, target, sid, episode, kind, new, count, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let nothing: Option<i64> = None;
    for gap in &batch.gaps {
        let (at, target, kind, since) = match gap {
            AvailabilityChange::Down { since, at } => (at, None, DOWN, since.millis()),
            AvailabilityChange::Failing { target, at } => (at, ids.get(target), FAILING, 0),
            AvailabilityChange::Readable { target, at } => (at, ids.get(target), READABLE, 0),
        };
        insert.execute(params![at.millis(), target, nothing, nothing, kind, 0, 0, since])?;
    }
    for (row, (kind, new)) in changed {
        let Some(target) = ids.get(&row.target) else { continue };
        insert.execute(params![
            row.observed_at.millis(),
            target,
            row.key.series.0,
            row.key.first_seen.millis(),
            change_number(kind),
            sql(new),
            sql(row.event.count),
            row.event.last_seen.millis(),
        ])?;
    }
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM observation WHERE id <= ?1")?.execute([last - MAX_OBSERVATIONS])?;
    Ok(())
}

/// Adds what sources said of objects, and deletes the oldest beyond the limit.
pub(super) fn write_reports(connection: &Connection, rows: &[(Time, ObjectReport)]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT INTO report (at, about, last, body) VALUES (?1, ?2, ?3, ?4)")?;
    for (at, report) in rows {
        let body =
            serde_json::to_string(report).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        insert.execute(params![at.millis(), report.replacement_key(), report.leaves_no_state(), body])?;
    }
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM report WHERE id <= ?1")?.execute([last - MAX_REPORTS])?;
    Ok(())
}

/// Adds decisions, and deletes the oldest beyond the limit.
pub(super) fn write_decisions(connection: &Connection, rows: &[(Option<u64>, Vec<u8>)]) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT INTO decision (incident, body) VALUES (?1, ?2)")?;
    for (incident, body) in rows {
        insert.execute(params![incident.map(sql), body])?;
    }
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM decision WHERE id <= ?1")?.execute([last - sql(KEPT_DECISIONS)])?;
    Ok(())
}
