//! The table `shown`: which services show an incident.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::sqlite::commit::sql;
use podbell_core::event::Target;

/// Writes the services of an incident, unless that was done. They only ever become more.
pub(in crate::sqlite) fn write(
    connection: &Connection,
    known: &mut HashMap<u64, usize>,
    incident: u64,
    targets: &[Target],
) -> rusqlite::Result<()> {
    if known.insert(incident, targets.len()) == Some(targets.len()) {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO shown VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for target in targets {
        insert.execute(params![sql(incident), target.source, target.cluster, target.namespace, target.service])?;
    }
    Ok(())
}

/// Incidents that nobody knew of are gone.
pub(in crate::sqlite) fn forget(connection: &Connection, incidents: &[u64]) -> rusqlite::Result<()> {
    for incident in incidents {
        connection.prepare_cached("DELETE FROM shown WHERE incident = ?1")?.execute([sql(*incident)])?;
    }
    Ok(())
}

/// Deletes rows of incidents that were deleted: they are older than every one that is kept.
pub(in crate::sqlite) fn delete_old(connection: &Connection, round: u32) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM shown WHERE incident IN (SELECT DISTINCT incident FROM shown
         WHERE NOT EXISTS (SELECT 1 FROM incident WHERE id = shown.incident) LIMIT ?1)",
        [round],
    )
}
