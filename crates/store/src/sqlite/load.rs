//! Reading back what a process needs to go on where the last one ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row};
use serde::de::DeserializeOwned;

use super::{SqliteError, Store, load_incidents};
use crate::rows::{self, ATTEMPT_MEMORY_MS, SharedNames};
use crate::{StoredDelivery, StoredState};
use podbell_core::event::{Level, Target};
use podbell_core::map::FastMap;
use podbell_core::mute::Mute;
use podbell_core::outbox::{
    Content, Delivery, DeliveryId, DestinationHealth, Parent, RestoredOutbox, SendId, StoredThread, Thread,
};
use podbell_core::rollout::Rollouts;
use podbell_core::rule::Severity;
use podbell_core::step::{Days, Failing, HeldKey, Restored, TargetState, TroubleState, WindowBacklog, WorkloadKey};
use podbell_core::time::Time;

impl Store {
    /// See [`crate::Writer::load`].
    pub(super) fn read_all(&mut self) -> Result<StoredState, SqliteError> {
        if let Some(loaded) = self.loaded.take() {
            return Ok(loaded);
        }
        Ok(StoredState {
            state: self.read_state()?,
            outbox: self.read_outbox()?,
            rules_generation: self.rules_generation()?,
        })
    }

    fn read_state(&mut self) -> Result<Restored, SqliteError> {
        let targets = || {
            let targets = self.read_targets()?;
            let ids: FastMap<Target, i64> = targets.iter().map(|(id, target, _)| (target.clone(), *id)).collect();
            Ok((targets, ids))
        };
        let (incidents, (targets, ids)) = load_incidents::read_all(&self.connection, &self.path, targets)?;
        self.targets = ids;
        let troubles = self.troubles()?;
        let sources = self.named("source", "SELECT name, state FROM source")?;
        let rollouts = self.rollouts()?;
        let (held, days) = (self.held()?, self.days()?);
        let incident = self.number(
            "SELECT max((SELECT coalesce(max(id), 0) FROM incident), (SELECT coalesce(max(id), 0) FROM trouble))",
        )?;
        let reserved = self.meta_number("next_incident")?;
        Ok(Restored {
            seed: self.seed,
            heartbeat: self.heartbeat()?,
            targets: targets.into_iter().map(|(_, target, state)| (target, state)).collect(),
            incidents,
            troubles,
            sources,
            rollouts,
            held,
            mutes: self.mutes()?,
            days,
            next_incident: (incident + 1).max(reserved),
            next_mute: self.next_number("mute")?,
            next_notice: self.next_number("notice")?,
        })
    }

    /// All targets with their row numbers.
    fn read_targets(&self) -> Result<Vec<(i64, Target, TargetState)>, SqliteError> {
        let mut names = SharedNames::default();
        self.query(
            "SELECT source, cluster, namespace, service, last_good, failing_since, failing_trouble, discovered, id
             FROM target",
            [],
            |row| Ok((row.get::<_, i64>(8)?, target(&mut names, row)?, target_state(row)?)),
        )
    }

    fn rollouts(&self) -> Result<Vec<(WorkloadKey, Rollouts)>, SqliteError> {
        let mut names = SharedNames::default();
        let rows =
            self.query("SELECT source, cluster, namespace, service, workload, body FROM rollout", [], |row| {
                Ok(((target(&mut names, row)?, text(row, 4)?), row.get::<_, String>(5)?))
            })?;
        rows.into_iter().map(|(key, body)| Ok((key, self.json("rollouts", &body)?))).collect()
    }

    fn held(&self) -> Result<Vec<(HeldKey, WindowBacklog)>, SqliteError> {
        let rows = self.query("SELECT destination, window, state FROM held", [], |row| {
            Ok((text(row, 0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        let what = "what windows hold";
        let read = |(to, window, state): (Arc<str>, String, String)| {
            Ok(((to, self.json(what, &window)?), self.json(what, &state)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// Mutes that have not ended, in the order in which they were made.
    fn mutes(&self) -> Result<Vec<Mute>, SqliteError> {
        self.numbered("mute", "SELECT id, body FROM mute WHERE ended_at IS NULL ORDER BY id")
    }

    /// The rows of a number and JSON.
    fn numbered<T: DeserializeOwned>(&self, kind: &str, sql: &str) -> Result<Vec<T>, SqliteError> {
        let rows = self.query(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        rows.into_iter().map(|(id, json)| self.json(format!("{kind} {id}"), &json)).collect()
    }

    /// The rows of a name and JSON.
    pub(super) fn named<T: DeserializeOwned>(&self, kind: &str, sql: &str) -> Result<Vec<(Arc<str>, T)>, SqliteError> {
        let rows = self.query(sql, [], |row| Ok((text(row, 0)?, row.get::<_, String>(1)?)))?;
        let read = |(name, json): (Arc<str>, String)| {
            let value = self.json(format!("{kind} {name}"), &json)?;
            Ok((name, value))
        };
        rows.into_iter().map(read).collect()
    }

    fn days(&self) -> Result<Days, SqliteError> {
        let days = self.query("SELECT value FROM meta WHERE key = 'days'", [], |row| row.get::<_, String>(0))?;
        days.first().map_or_else(|| Ok(Days::default()), |days| self.json("the counts of the day", days))
    }

    /// Open deliveries and sends, and the health of the destinations.
    fn read_outbox(&self) -> Result<RestoredOutbox, SqliteError> {
        let mut destinations = Vec::new();
        let rows = self.query("SELECT name, fingerprint, health FROM destination", [], |row| {
            Ok((text(row, 0)?, text(row, 1)?, row.get::<_, String>(2)?))
        })?;
        for (name, fingerprint, health) in rows {
            let health: DestinationHealth = self.json(format!("destination {name}"), &health)?;
            destinations.push((name, fingerprint, health));
        }
        let deliveries = self.stored_deliveries("state IN ('due', 'claimed') ORDER BY d.id", [])?;
        let sends = self.query("SELECT id, destination, attempts FROM send WHERE settled IS NULL", [], |row| {
            Ok((SendId(id(row, 0)?), text(row, 1)?, row.get(2)?))
        })?;
        let attempts = self.query(
            "SELECT endpoint, at FROM attempt WHERE at > (SELECT max(at) FROM attempt) - ?1 ORDER BY at",
            [ATTEMPT_MEMORY_MS],
            |row| Ok((text(row, 0)?, Time::from_millis(row.get(1)?))),
        )?;
        Ok(RestoredOutbox {
            destinations,
            threads: self.threads()?,
            deliveries: deliveries
                .into_iter()
                .map(|(stored, send)| (stored.destination, stored.delivery, send))
                .collect(),
            sends,
            attempts,
            next_delivery: self.next_number("delivery")?,
            next_send: self.next_number("send")?,
        })
    }

    /// The messages that stand for incidents.
    fn threads(&self) -> Result<Vec<StoredThread>, SqliteError> {
        let columns = "destination, place, incident, channel, message, since, shown, shown_at";
        let rows = self.query(&format!("SELECT {columns} FROM thread"), [], |row| {
            let parent = Parent { channel: text(row, 3)?, message: text(row, 4)? };
            // What it shows is parsed below, because an error there names the row.
            let thread = Thread::restored(parent, Time::from_millis(row.get(5)?), None);
            let stored =
                StoredThread { destination: text(row, 0)?, place: text(row, 1)?, incident: id(row, 2)?, thread };
            Ok((stored, row.get::<_, Option<String>>(6)?.zip(row.get::<_, Option<i64>>(7)?)))
        })?;
        let mut threads = Vec::with_capacity(rows.len());
        for (mut stored, shown) in rows {
            if let Some((state, at)) = shown {
                let state = self.json(format!("the message of incident {}", stored.incident), &state)?;
                stored.thread.shown = Some((state, Time::from_millis(at)));
            }
            threads.push(stored);
        }
        Ok(threads)
    }

    pub(super) fn stored_deliveries(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(StoredDelivery, Option<SendId>)>, SqliteError> {
        let sql = format!(
            "SELECT d.id, d.notice, n.incident, n.kind, n.severity, n.made_at, d.born, d.content, d.destination, d.state, d.send
             FROM delivery d JOIN notice n ON n.id = d.notice WHERE {condition}"
        );
        self.query(&sql, parameters, |row| {
            let delivery = Delivery {
                id: DeliveryId(id(row, 0)?),
                notice: id(row, 1)?,
                incident: optional_id(row, 2)?,
                kind: word(row, 3)?,
                severity: word::<Severity>(row, 4)?,
                made_at: Time::from_millis(row.get(5)?),
                born: Duration::from_millis(id(row, 6)?),
                content: word::<Content>(row, 7)?,
            };
            let stored = StoredDelivery { destination: text(row, 8)?, delivery, state: word(row, 9)? };
            Ok((stored, optional_id(row, 10)?.map(SendId)))
        })
    }

    pub(super) fn heartbeat(&self) -> Result<Option<Time>, SqliteError> {
        Self::heartbeat_of(&self.connection).map_err(|source| self.error(source))
    }

    pub(super) fn heartbeat_of(connection: &rusqlite::Connection) -> rusqlite::Result<Option<Time>> {
        let sql = "SELECT value FROM meta WHERE key = 'heartbeat'";
        Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?.map(Time::from_millis))
    }

    pub(super) fn troubles(&self) -> Result<Vec<TroubleState>, SqliteError> {
        self.numbered("trouble", "SELECT id, state FROM trouble WHERE over = 0")
    }

    /// The next number of a table. A counter may be ahead of the rows, which may be gone.
    fn next_number(&self, table: &str) -> Result<u64, SqliteError> {
        let newest = self.number(&format!("SELECT coalesce(max(id), 0) FROM {table}"))?;
        Ok(self.meta_number(&format!("next_{table}"))?.max(newest + 1))
    }

    fn number(&self, sql: &str) -> Result<u64, SqliteError> {
        let number = self.connection.query_row(sql, [], |row| id(row, 0));
        number.map_err(|source| self.error(source))
    }

    pub(super) fn read_good_rules(&self) -> Result<BTreeMap<String, String>, SqliteError> {
        let rows = self.query("SELECT name, text FROM rule_file", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    fn rules_generation(&self) -> Result<Option<u64>, SqliteError> {
        let sql = "SELECT value FROM meta WHERE key = 'rules'";
        let rows = self.query(sql, [], |row| row.get::<_, i64>(0))?;
        Ok(rows.first().map(|generation| generation.cast_unsigned()))
    }

    /// A counter that outlives the rows it numbered.
    fn meta_number(&self, key: &str) -> Result<u64, SqliteError> {
        let number = self
            .connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| id(row, 0))
            .optional()
            .map_err(|source| self.error(source))?;
        // Without a counter, nothing was deleted yet.
        Ok(number.unwrap_or(1))
    }
}

fn target(names: &mut SharedNames, row: &Row<'_>) -> rusqlite::Result<Target> {
    let text = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
    Ok(names.target([text(0)?, text(1)?, text(2)?, text(3)?]))
}

fn target_state(row: &Row<'_>) -> rusqlite::Result<TargetState> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|ms| ms.map(Time::from_millis));
    let failing = match time(5)? {
        Some(since) => Some(Failing::restored(since, optional_id(row, 6)?)),
        None => None,
    };
    Ok(TargetState::restored(time(4)?, failing, row.get(7)?))
}

pub(super) fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Arc<str>> {
    Ok(row.get_ref(at)?.as_str()?.into())
}

/// A number that podbell wrote: a negative one is damage.
pub(super) fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

pub(super) fn optional_id(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    match row.get::<_, Option<i64>>(at)? {
        Some(_) => id(row, at).map(Some),
        None => Ok(None),
    }
}

pub(super) fn level(row: &Row<'_>, at: usize) -> rusqlite::Result<Level> {
    let number = row.get(at)?;
    rows::level(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(at, number))
}

/// An enum value from its word.
pub(super) fn word<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let word = row.get_ref(at)?.as_str()?;
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|source| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(source)))
}
