//! How often each service showed something new, by quarter of an hour: so that a timeline is read from a
//! few rows, however much happened.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, params};

use super::load::sql;
use podbell_core::event::{Level, Target};
use podbell_core::step::Writes;
use podbell_core::timeline;

/// A cluster may count anything; sums must fit.
const MOST: u64 = 1_000_000_000;

/// Adds what this commit observed.
pub(super) fn write(connection: &Connection, ids: &HashMap<Target, i64>, writes: &Writes) -> rusqlite::Result<()> {
    let mut added: BTreeMap<(i64, i64), (u64, u64)> = BTreeMap::new();
    for row in &writes.series {
        let (Some((_, new)), Some(target)) = (row.change, ids.get(&row.target)) else { continue };
        let (warnings, others) = added.entry((*target, timeline::quarter(row.observed_at))).or_default();
        let sum = if row.event.level == Level::Warning { warnings } else { others };
        *sum = sum.saturating_add(new).min(MOST);
    }
    if added.is_empty() {
        return Ok(());
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO tally VALUES (?1, ?2, ?3, ?4) ON CONFLICT (target, quarter) DO UPDATE SET
         warnings = min(warnings + excluded.warnings, 1000000000), others = min(others + excluded.others, 1000000000)",
    )?;
    for ((target, quarter), (warnings, others)) in added {
        upsert.execute(params![target, quarter, sql(warnings), sql(others)])?;
    }
    Ok(())
}

/// A service that is gone: its number may be another's one day.
pub(super) fn forget(connection: &Connection, target: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM tally WHERE target = ?1")?.execute([target])?;
    Ok(())
}
