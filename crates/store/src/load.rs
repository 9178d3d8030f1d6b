//! Reading back what a process needs to go on where the last one ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{OptionalExtension, Row};

use super::{Store, StoreError, form, incidents};
use podbell_core::diff::Reading;
use podbell_core::event::{Level, Target};
use podbell_core::incident::Incident;
use podbell_core::mute::Mute;
use podbell_core::notice::{Notice, NoticeKind};
use podbell_core::outbox::{Content, Delivery, DeliveryId, Health, RestoredOutbox, SendId};
use podbell_core::rules::Severity;
use podbell_core::rules::rule::Destination;
use podbell_core::series::{EpisodeKey, SeriesId};
use podbell_core::step::daily::Days;
use podbell_core::step::{Failing, HeldBack, HeldKey, Restored, TargetState, TroubleState};
use podbell_core::time::Time;

/// Attempts older than this say nothing about any pace.
const ATTEMPT_MEMORY: Duration = Duration::from_secs(600);

/// A delivery as the store has it, with its destination.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// To whom.
    pub destination: Destination,
    /// The delivery.
    pub delivery: Delivery,
    /// due, claimed, sent, folded or dead.
    pub state: String,
}

impl Store {
    /// Everything that the core's mirror is rebuilt from, but for the series, which are loaded
    /// with the first poll of their target. Before the first commit, and after one that failed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn restore(&mut self) -> Result<Restored, StoreError> {
        if let Some(restored) = self.restored.take() {
            return Ok(restored);
        }
        let newest = self.number("SELECT coalesce(max(state_version), 0) FROM incident WHERE ended_at IS NULL")?;
        if newest > id_of(form::VERSION) {
            let (found, known) = (sql(newest), form::VERSION);
            return Err(StoreError::Newer { path: self.path.clone(), found, known });
        }
        let (incidents, targets) = incidents::read_all(&self.connection, &self.path, || self.read_targets())?;
        self.targets = targets.iter().map(|(id, target, _)| (target.clone(), *id)).collect();
        let troubles = self.troubles()?;
        let mut sources = Vec::new();
        let rows =
            self.query("SELECT name, state FROM source", [], |row| Ok((text(row, 0)?, row.get::<_, String>(1)?)))?;
        for (name, state) in rows {
            let state = serde_json::from_str(&state).map_err(|e| self.row_error(format!("source {name}"), e))?;
            sources.push((name, state));
        }
        let (held, days) = (self.held()?, self.days()?);
        let incident = self.number(
            "SELECT max((SELECT coalesce(max(id), 0) FROM incident), (SELECT coalesce(max(id), 0) FROM trouble))",
        )?;
        let reserved = self.meta_number("next_incident")?;
        Ok(Restored {
            seed: self.seed(),
            heartbeat: self.heartbeat()?,
            targets: targets.into_iter().map(|(_, target, state)| (target, state)).collect(),
            incidents,
            troubles,
            sources,
            held,
            mutes: self.mutes()?,
            days,
            next_incident: (incident + 1).max(reserved),
            next_mute: self.meta_number("next_mute")?.max(self.number("SELECT coalesce(max(id), 0) FROM mute")? + 1),
            next_notice: self
                .meta_number("next_notice")?
                .max(self.number("SELECT coalesce(max(id), 0) FROM notice")? + 1),
        })
    }

    /// All targets with their rows.
    fn read_targets(&self) -> Result<Vec<(i64, Target, TargetState)>, StoreError> {
        let mut names = Names::default();
        self.query(
            "SELECT source, cluster, namespace, service, last_good, failing_since, failing_trouble, discovered, id
             FROM target",
            [],
            |row| Ok((row.get::<_, i64>(8)?, names.target(row)?, target_state(row)?)),
        )
    }

    fn held(&self) -> Result<Vec<(HeldKey, HeldBack)>, StoreError> {
        let rows = self.query("SELECT destination, window, state FROM held", [], |row| {
            Ok((text(row, 0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })?;
        let wrong = |error| self.row_error("what windows hold", error);
        rows.into_iter()
            .map(|(to, window, state)| {
                Ok(((to, serde_json::from_str(&window).map_err(wrong)?), serde_json::from_str(&state).map_err(wrong)?))
            })
            .collect()
    }

    /// Mutes that are not over, in the order of saying.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        let sql = "SELECT id, body FROM mute WHERE ended_at IS NULL ORDER BY id";
        let rows = self.query(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let read = |(id, json): (i64, String)| {
            serde_json::from_str(&json).map_err(|error| self.row_error(format!("mute {id}"), error))
        };
        rows.into_iter().map(read).collect()
    }

    fn days(&self) -> Result<Days, StoreError> {
        let days = self.query("SELECT value FROM meta WHERE key = 'days'", [], |row| row.get::<_, String>(0))?;
        let days = days.first().map(|days| serde_json::from_str(days));
        Ok(days.transpose().map_err(|error| self.row_error("the counts of the day", error))?.unwrap_or_default())
    }

    /// What is on its way, and how the destinations are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn restore_outbox(&self, now: Time) -> Result<RestoredOutbox, StoreError> {
        let mut destinations = Vec::new();
        let rows = self.query("SELECT name, fingerprint, health FROM destination", [], |row| {
            Ok((text(row, 0)?, text(row, 1)?, row.get::<_, String>(2)?))
        })?;
        for (name, fingerprint, health) in rows {
            let health: Health =
                serde_json::from_str(&health).map_err(|e| self.row_error(format!("destination {name}"), e))?;
            destinations.push((name, fingerprint, health));
        }
        let deliveries = self.deliveries("state IN ('due', 'claimed') ORDER BY d.id", [])?;
        let sends = self.query("SELECT id, destination, attempts FROM send WHERE settled IS NULL", [], |row| {
            Ok((SendId(id(row, 0)?), text(row, 1)?, row.get(2)?))
        })?;
        let attempts = self.query(
            "SELECT endpoint, at FROM attempt WHERE at > ?1 ORDER BY at",
            [now.minus(ATTEMPT_MEMORY).millis()],
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
            next_delivery: self
                .meta_number("next_delivery")?
                .max(self.number("SELECT coalesce(max(id), 0) FROM delivery")? + 1),
            next_send: self.meta_number("next_send")?.max(self.number("SELECT coalesce(max(id), 0) FROM send")? + 1),
        })
    }

    /// The readings of one target.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn readings(&self, target: &Target) -> Result<Vec<(EpisodeKey, Reading, Level)>, StoreError> {
        let Some(target) = self.targets.get(target) else { return Ok(Vec::new()) };
        self.query("SELECT sid, episode, count, last_seen, level FROM series WHERE target = ?1", [target], |row| {
            let key = EpisodeKey { series: SeriesId(row.get(0)?), first_seen: Time::from_millis(row.get(1)?) };
            let reading = Reading { count: id(row, 2)?, last_seen: Time::from_millis(row.get(3)?) };
            let level = if row.get::<_, i64>(4)? == 0 { Level::Normal } else { Level::Warning };
            Ok((key, reading, level))
        })
    }

    /// A notice.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn notice(&self, id: u64) -> Result<Option<Notice>, StoreError> {
        let facts: Option<String> = self
            .connection
            .prepare_cached("SELECT facts FROM notice WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([sql(id)], |row| row.get(0)).optional())
            .map_err(|source| self.error(source))?;
        facts
            .map(|facts| serde_json::from_str(&facts).map_err(|e| self.row_error(format!("notice {id}"), e)))
            .transpose()
    }

    /// The frozen body of a send.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn body(&self, send: SendId) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached("SELECT body FROM send WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([sql(send.0)], |row| row.get(0)).optional())
            .map_err(|source| self.error(source))
    }

    /// One delivery, whatever its state.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
        Ok(self.deliveries("d.id = ?1", [sql(id.0)])?.into_iter().map(|(stored, _)| stored).next())
    }

    /// Deliveries that were given up, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn dead_deliveries(&self, destination: Option<&str>) -> Result<Vec<StoredDelivery>, StoreError> {
        let condition = "state = 'dead' AND (?1 IS NULL OR d.destination = ?1) ORDER BY d.id";
        Ok(self.deliveries(condition, [destination])?.into_iter().map(|(stored, _)| stored).collect())
    }

    fn deliveries(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(StoredDelivery, Option<SendId>)>, StoreError> {
        let sql = format!(
            "SELECT d.id, d.notice, n.incident, n.kind, n.severity, n.made_at, d.born, d.content, d.destination, d.state, d.send
             FROM delivery d JOIN notice n ON n.id = d.notice WHERE {condition}"
        );
        self.query(&sql, parameters, |row| {
            let delivery = Delivery {
                id: DeliveryId(id(row, 0)?),
                notice: id(row, 1)?,
                incident: row.get::<_, Option<i64>>(2)?.and_then(|id| u64::try_from(id).ok()),
                kind: word(row, 3)?,
                severity: word::<Severity>(row, 4)?,
                made_at: Time::from_millis(row.get(5)?),
                born: Duration::from_millis(id(row, 6)?),
                content: word::<Content>(row, 7)?,
            };
            let stored = StoredDelivery { destination: text(row, 8)?, delivery, state: row.get(9)? };
            Ok((stored, row.get::<_, Option<i64>>(10)?.and_then(|id| u64::try_from(id).ok()).map(SendId)))
        })
    }

    /// When the service was last alive.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn heartbeat(&self) -> Result<Option<Time>, StoreError> {
        Self::heartbeat_of(&self.connection).map_err(|source| self.error(source))
    }

    pub(super) fn heartbeat_of(connection: &rusqlite::Connection) -> rusqlite::Result<Option<Time>> {
        let sql = "SELECT value FROM meta WHERE key = 'heartbeat'";
        Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?.map(Time::from_millis))
    }

    pub(super) fn troubles(&self) -> Result<Vec<TroubleState>, StoreError> {
        let sql = "SELECT id, state FROM trouble WHERE over = 0";
        let rows = self.query(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let read = |(id, json): (i64, String)| {
            serde_json::from_str(&json).map_err(|error| self.row_error(format!("trouble {id}"), error))
        };
        rows.into_iter().map(read).collect()
    }

    fn number(&self, sql: &str) -> Result<u64, StoreError> {
        let number = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        number.map(|number| u64::try_from(number).unwrap_or(0)).map_err(|source| self.error(source))
    }

    /// The last good text of each rule file, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let rows = self.query("SELECT name, text FROM rule_file", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.into_iter().collect())
    }

    /// The generation of the rules that incidents were brought in line with.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn rules_generation(&self) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = 'rules'";
        let rows = self.query(sql, [], |row| row.get::<_, i64>(0))?;
        Ok(rows.first().map(|generation| generation.cast_unsigned()))
    }

    /// A counter that outlives the rows it numbered.
    fn meta_number(&self, key: &str) -> Result<u64, StoreError> {
        let number = self
            .connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(|source| self.error(source))?;
        Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(1))
    }
}

/// The names of the row before: neighbours have them in common.
#[derive(Default)]
struct Names([Option<Arc<str>>; 3]);

impl Names {
    fn target(&mut self, row: &Row<'_>) -> rusqlite::Result<Target> {
        Ok(Target {
            source: self.shared(row, 0)?,
            cluster: self.shared(row, 1)?,
            namespace: self.shared(row, 2)?,
            service: text(row, 3)?,
        })
    }

    fn shared(&mut self, row: &Row<'_>, at: usize) -> rusqlite::Result<Arc<str>> {
        let text = row.get_ref(at)?.as_str()?;
        match &self.0[at] {
            Some(same) if **same == *text => Ok(same.clone()),
            _ => Ok(self.0[at].insert(text.into()).clone()),
        }
    }
}

fn target_state(row: &Row<'_>) -> rusqlite::Result<TargetState> {
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|ms| ms.map(Time::from_millis));
    let failing = match time(5)? {
        Some(since) => {
            let trouble = row.get::<_, Option<i64>>(6)?.and_then(|id| u64::try_from(id).ok());
            Some(Failing::restored(since, trouble))
        }
        None => None,
    };
    Ok(TargetState::restored(time(4)?, failing, row.get(7)?))
}

pub(super) fn text(row: &Row<'_>, at: usize) -> rusqlite::Result<Arc<str>> {
    Ok(row.get_ref(at)?.as_str()?.into())
}

pub(super) fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

/// One of an enum's words.
pub(super) fn word<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let word = row.get_ref(at)?.as_str()?;
    serde_json::from_value(serde_json::Value::String(word.to_owned()))
        .map_err(|source| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(source)))
}

/// Numbers that count up from 1 always fit.
pub(super) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn id_of(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Kept so that the words of [`NoticeKind`] and of the store stay the same.
pub(super) fn kind_word(kind: NoticeKind) -> &'static str {
    kind.as_str()
}

/// What an incident is looked up by.
pub(super) fn group_key(incident: &Incident) -> String {
    serde_json::to_string(&incident.group).unwrap_or_default()
}
