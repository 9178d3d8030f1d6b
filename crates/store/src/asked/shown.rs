//! The table `shown`: which services show an incident.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use crate::form;
use crate::load::sql;
use podbell_core::incident::Incident;

/// Notes the services of an incident, unless that was done. They only ever become more.
pub(crate) fn write(
    connection: &Connection,
    known: &mut HashMap<u64, usize>,
    incident: &Incident,
) -> rusqlite::Result<()> {
    if known.insert(incident.id, incident.targets.len()) == Some(incident.targets.len()) {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT OR IGNORE INTO shown VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for target in &incident.targets {
        insert.execute(params![sql(incident.id), target.source, target.cluster, target.namespace, target.service])?;
    }
    Ok(())
}

/// An incident that nobody knew of is gone.
pub(crate) fn forget(connection: &Connection, incident: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM shown WHERE incident = ?1")?.execute([sql(incident)])?;
    Ok(())
}

/// Rows of incidents that were deleted: they are older than every one that is kept.
pub(crate) fn tidy(connection: &Connection, round: u32) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM shown WHERE incident IN (SELECT DISTINCT incident FROM shown
         WHERE NOT EXISTS (SELECT 1 FROM incident WHERE id = shown.incident) LIMIT ?1)",
        [round],
    )
}

/// Fills the table of a store that was written before there was one.
pub(crate) fn fill(connection: &Connection) -> rusqlite::Result<()> {
    let mut all = connection.prepare("SELECT state FROM incident")?;
    let mut rows = all.query([])?;
    let mut known = HashMap::new();
    while let Some(row) = rows.next()? {
        // One that cannot be read keeps the service from starting: that says what is wrong.
        if let Ok(incident) = form::read(row.get_ref(0)?.as_blob()?) {
            write(connection, &mut known, &incident)?;
        }
    }
    Ok(())
}
