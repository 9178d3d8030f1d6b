//! The table `shown`: which services show an incident.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::rows::sql;
use podbell_core::event::Target;

/// Writes the services of an incident, unless they are known. Services are only ever added, so an equal number means
/// that none is new.
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

/// Deletes the rows of incidents that are gone.
pub(in crate::sqlite) fn forget(connection: &Connection, incidents: &[u64]) -> rusqlite::Result<()> {
    for incident in incidents {
        connection.prepare_cached("DELETE FROM shown WHERE incident = ?1")?.execute([sql(*incident)])?;
    }
    Ok(())
}

/// Deletes the rows of deleted incidents, which are older than all that are kept.
pub(in crate::sqlite) fn delete_old(connection: &Connection, round: u32) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM shown WHERE incident IN (SELECT DISTINCT incident FROM shown
         WHERE NOT EXISTS (SELECT 1 FROM incident WHERE id = shown.incident) LIMIT ?1)",
        [round],
    )
}
