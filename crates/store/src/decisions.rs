//! The paper trail: what became of Warning changes, the newest [`KEPT`] of them.

use rusqlite::{Connection, params};

use super::load::sql;
use super::{Store, StoreError};
use podbell_core::step::decision::Decision;

/// So many decisions are kept: about 20 MB.
pub const KEPT: i64 = 50_000;

/// Which decisions are asked for. What is `None` is not asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// That joined this incident.
    pub incident: Option<u64>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this workload or service.
    pub workload: Option<String>,
    /// With this reason.
    pub reason: Option<String>,
}

impl Asked {
    fn wants(&self, decision: &Decision) -> bool {
        let is = |asked: &Option<String>, fact: &str| asked.as_ref().is_none_or(|asked| asked == fact);
        is(&self.namespace, &decision.target.namespace)
            && (is(&self.workload, &decision.workload) || is(&self.workload, &decision.target.service))
            && is(&self.reason, &decision.reason)
    }
}

/// Adds decisions; the oldest make room.
pub(super) fn write(connection: &Connection, decisions: &[Decision]) -> rusqlite::Result<()> {
    if decisions.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached("INSERT INTO decision (incident, body) VALUES (?1, ?2)")?;
    for decision in decisions {
        let body = rmp_serde::to_vec_named(decision)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        // One that joined several incidents stands under each.
        let mut incidents: Vec<Option<i64>> = decision.incidents().map(|id| Some(sql(id))).collect();
        if incidents.is_empty() {
            incidents.push(None);
        }
        for incident in incidents {
            insert.execute(params![incident, body])?;
        }
    }
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM decision WHERE id <= ?1")?.execute([last - KEPT])?;
    Ok(())
}

impl Store {
    /// The newest decisions that are asked for, at most so many, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn decisions(&self, asked: &Asked, most: usize) -> Result<Vec<Decision>, StoreError> {
        let of = |source| self.error(source);
        let (which, of_incident) = match asked.incident {
            Some(id) => ("WHERE incident = ?1", Some(sql(id))),
            None => ("", None),
        };
        let mut query =
            self.connection.prepare(&format!("SELECT body FROM decision {which} ORDER BY id DESC")).map_err(of)?;
        let mut rows = query.query(rusqlite::params_from_iter(of_incident)).map_err(of)?;
        let mut found: Vec<Decision> = Vec::new();
        while let Some(row) = rows.next().map_err(of)? {
            let body = row.get_ref(0).and_then(|body| Ok(body.as_blob()?)).map_err(of)?;
            let decision: Decision =
                rmp_serde::from_slice(body).map_err(|error| self.row_error("a decision", error))?;
            // One that joined several incidents stands there several times.
            if asked.wants(&decision) && found.last() != Some(&decision) {
                found.push(decision);
                if found.len() == most {
                    break;
                }
            }
        }
        found.reverse();
        Ok(found)
    }

    /// An incident that is known, also one that is over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn incident(&self, id: u64) -> Result<Option<podbell_core::incident::Incident>, StoreError> {
        let rows = self.query("SELECT state FROM incident WHERE id = ?1", [sql(id)], |row| row.get::<_, Vec<u8>>(0))?;
        let read =
            |bytes: &Vec<u8>| super::form::read(bytes).map_err(|error| self.row_error(format!("incident {id}"), error));
        rows.first().map(read).transpose()
    }

    /// Every delivery of an incident's notices, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deliveries_of(&self, incident: u64) -> Result<Vec<super::ListedDelivery>, StoreError> {
        self.listed("n.incident = ?1 ORDER BY d.id", [sql(incident)])
    }
}
