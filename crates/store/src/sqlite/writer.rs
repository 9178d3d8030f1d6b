//! The writer of a SQLite store.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension as _, params};

use super::Store;
use super::load::{id, level};
use crate::inbox;
use crate::rows::sql;
use crate::{
    Batch, Command, Inbox, InboxItem, Lease, ReadingRow, Recovery, StoreError, StoredDelivery, StoredState, Writer,
};
use podbell_core::diff::Reading;
use podbell_core::event::Target;
use podbell_core::notice::Notice;
use podbell_core::outbox::{DeliveryId, SendId};
use podbell_core::series::{EpisodeKey, SeriesId};
use podbell_core::time::Time;

impl Writer for Store {
    fn load(&mut self) -> Result<StoredState, StoreError> {
        Ok(self.read_all()?)
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.write(batch)
    }

    fn reconnect(&mut self) -> Result<(), StoreError> {
        Ok(self.come_back()?)
    }

    fn delete_old(&mut self, now: Time) -> Result<bool, StoreError> {
        Ok(self.delete_old_rows(now)?)
    }

    fn take_recoveries(&mut self) -> Vec<Recovery> {
        std::mem::take(&mut self.recoveries)
    }

    fn lease(&self) -> Option<Lease> {
        None
    }

    fn renew(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn release(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn unknown_commits(&self) -> u64 {
        0
    }

    fn message_id(&self, send: SendId) -> String {
        self.epochs.message_id(send.0)
    }

    fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.read_good_rules()?)
    }

    fn readings(&self, targets: &[Target]) -> Result<Vec<(Target, Vec<ReadingRow>)>, StoreError> {
        let select = "SELECT sid, episode, count, last_seen, level FROM series WHERE target = ?1";
        let mut all = Vec::with_capacity(targets.len());
        for target in targets {
            let rows = match self.targets.get(target) {
                None => Vec::new(),
                Some(target) => self.query(select, [target], |row| {
                    let key = EpisodeKey { series: SeriesId(row.get(0)?), first_seen: Time::from_millis(row.get(1)?) };
                    let reading = Reading { count: id(row, 2)?, last_seen: Time::from_millis(row.get(3)?) };
                    Ok((key, reading, level(row, 4)?))
                })?,
            };
            all.push((target.clone(), rows));
        }
        Ok(all)
    }

    fn inbox(&self) -> Result<Vec<InboxItem>, StoreError> {
        let select = "SELECT id, command FROM inbox WHERE done_at IS NULL AND id > ?1 ORDER BY id LIMIT ?2";
        inbox::decodable(|after| {
            Ok(self.query(select, (after, inbox::PAGE), |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?)
        })
    }

    fn deliveries(&self, ids: &[DeliveryId]) -> Result<Vec<StoredDelivery>, StoreError> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(self.stored_deliveries("d.id = ?1", [sql(id.0)])?.into_iter().map(|(stored, _)| stored));
        }
        Ok(found)
    }

    fn dead_deliveries(&self, destination: Option<&str>) -> Result<Vec<StoredDelivery>, StoreError> {
        let condition = "state = 'dead' AND (?1 IS NULL OR d.destination = ?1) ORDER BY d.id";
        Ok(self.stored_deliveries(condition, [destination])?.into_iter().map(|(stored, _)| stored).collect())
    }

    fn notices(&self, ids: &[u64]) -> Result<HashMap<u64, Notice>, StoreError> {
        let mut notices = HashMap::with_capacity(ids.len());
        for id in ids {
            let what = || format!("notice {id}");
            let facts =
                self.query("SELECT facts FROM notice WHERE id = ?1", [sql(*id)], |row| row.get::<_, String>(0))?;
            let facts = facts.first().ok_or_else(|| self.row_error(what(), "it is not there"))?;
            notices.insert(*id, self.json(what(), facts)?);
        }
        Ok(notices)
    }

    fn bodies(&self, sends: &[SendId]) -> Result<HashMap<SendId, Vec<u8>>, StoreError> {
        let mut bodies = HashMap::with_capacity(sends.len());
        for send in sends {
            let select = "SELECT body FROM send WHERE id = ?1";
            let body = self.query(select, [sql(send.0)], |row| row.get::<_, Vec<u8>>(0))?.pop();
            let body = body.filter(|body| !body.is_empty());
            let body = body.ok_or_else(|| self.row_error(format!("the body of send {}", send.0), "it is not there"))?;
            bodies.insert(*send, body);
        }
        Ok(bodies)
    }
}

impl Inbox for Store {
    fn submit(&self, key: Option<&str>, command: &Command, now: Time) -> Result<i64, StoreError> {
        let json = serde_json::to_string(command).map_err(|error| self.row_error("a command", error))?;
        // Without a change, an update of the row that is there makes it the one that is returned.
        let insert = "INSERT INTO inbox (at, command, key) VALUES (?1, ?2, ?3)
            ON CONFLICT (key) WHERE key IS NOT NULL DO UPDATE SET key = excluded.key RETURNING id";
        // Reading to the end of the statement commits it, so that an error of the commit is not lost.
        let id = self.connection.query_one(insert, params![now.millis(), json, key], |row| row.get(0));
        Ok(id.map_err(|source| self.error(source))?)
    }

    fn submitted(&self, key: &str) -> Result<Option<InboxItem>, StoreError> {
        let select = "SELECT id, command FROM inbox WHERE key = ?1";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?));
        let submitted = self.connection.query_row(select, [key], row).optional();
        let Some((id, json)) = submitted.map_err(|source| self.error(source))? else { return Ok(None) };
        let command = serde_json::from_str(&json).map_err(|error| self.row_error("a command", error))?;
        Ok(Some(InboxItem { id, command }))
    }

    fn answer(&self, id: i64) -> Result<Option<String>, StoreError> {
        let select = "SELECT answer FROM inbox WHERE id = ?1 AND done_at IS NOT NULL";
        let answer = self.connection.query_row(select, [id], |row| row.get(0)).optional();
        Ok(answer.map_err(|source| self.error(source))?)
    }

    fn withdraw(&self, id: i64) -> Result<bool, StoreError> {
        let withdrawn = self.connection.execute("DELETE FROM inbox WHERE id = ?1 AND done_at IS NULL", [id]);
        Ok(withdrawn.map(|rows| rows > 0).map_err(|source| self.error(source))?)
    }
}
