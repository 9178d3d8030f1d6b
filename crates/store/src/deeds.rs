//! What people did, in rows: mutes, who has which incident, and the record of all of it.

use rusqlite::{Connection, params};

use super::Commit;
use super::commit::json;
use super::load::sql;
use podbell_core::ask::Logged;

pub(super) fn write(connection: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    for id in &commit.writes.mutes {
        if let Some(mute) = commit.state.mute_in_force(*id) {
            let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO mute VALUES (?1, ?2, NULL, ?3)")?;
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
        let logged = Logged { by: one.by.clone(), act: one.act.clone(), at: one.at };
        let mut insert = connection.prepare_cached("INSERT INTO action (at, incident, body) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![one.at.millis(), one.incident.map(sql), json(&logged)?])?;
    }
    Ok(())
}
