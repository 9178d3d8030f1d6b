//! What people did, in rows: mutes, who has which incident, and the record of all of it.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::commit::json;
use super::load::sql;
use super::{Commit, Store, StoreError};
use crate::core::deed::Act;
use crate::core::mute::{Acknowledged, Author};
use crate::core::time::Time;

/// Something that a person did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// When.
    pub at: Time,
    /// Who.
    pub by: Author,
    /// What.
    pub act: Act,
}

pub(super) fn write(connection: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    for id in &commit.writes.mutes {
        if let Some(mute) = commit.state.mute_in_force(*id) {
            let mut insert = connection.prepare_cached("INSERT INTO mute VALUES (?1, ?2, NULL, ?3)")?;
            insert.execute(params![sql(*id), mute.until.millis(), json(mute)?])?;
        }
    }
    for id in &commit.writes.mutes_over {
        let mut end = connection.prepare_cached("UPDATE mute SET ended_at = ?2 WHERE id = ?1")?;
        end.execute(params![sql(*id), commit.now.millis()])?;
    }
    for id in &commit.writes.acknowledged {
        match commit.state.incident(*id).and_then(|incident| incident.acknowledged.as_ref()) {
            Some(acknowledged) => {
                let mut upsert = connection.prepare_cached("INSERT OR REPLACE INTO acknowledged VALUES (?1, ?2)")?;
                upsert.execute(params![sql(*id), json(acknowledged)?])?;
            }
            None => {
                connection.prepare_cached("DELETE FROM acknowledged WHERE incident = ?1")?.execute([sql(*id)])?;
            }
        }
    }
    for one in &commit.writes.recorded {
        let action = Action { at: one.at, by: one.by.clone(), act: one.act.clone() };
        let mut insert = connection.prepare_cached("INSERT INTO action (at, incident, body) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![one.at.millis(), one.incident.map(sql), json(&action)?])?;
    }
    Ok(())
}

impl Store {
    /// What people did to an incident, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn actions_of(&self, incident: u64) -> Result<Vec<Action>, StoreError> {
        let rows = self.query("SELECT body FROM action WHERE incident = ?1 ORDER BY id", [sql(incident)], |row| {
            row.get::<_, String>(0)
        })?;
        let read = |json: String| serde_json::from_str(&json).map_err(|error| self.row_error("an action", error));
        rows.into_iter().map(read).collect()
    }

    /// Who has an incident.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn acknowledged(&self, incident: u64) -> Result<Option<Acknowledged>, StoreError> {
        let rows = self.query("SELECT body FROM acknowledged WHERE incident = ?1", [sql(incident)], |row| {
            row.get::<_, String>(0)
        })?;
        let read = |json: &String| serde_json::from_str(json).map_err(|error| self.row_error("who has it", error));
        rows.first().map(read).transpose()
    }
}
