//! Reading back what a replica needs to go on where the last one ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::call::Call;
use super::column::{get, id, optional_id, optional_time, text, time, word};
use super::error::PostgresError;
use super::session::Session;
use super::writer::{Store, Targets};
use super::{CALL_LIMIT, LOAD_LIMIT};
use crate::rows::{ATTEMPT_MEMORY_MS, SharedNames};
use crate::{StoredDelivery, StoredState, incident_codec};
use podbell_core::event::Target;
use podbell_core::incident::Incident;
use podbell_core::outbox::{
    Content, Delivery, DeliveryId, DestinationHealth, Parent, RestoredOutbox, SendId, StoredThread, Thread,
};
use podbell_core::rollout::Rollouts;
use podbell_core::rule::Severity;
use podbell_core::step::{Days, Failing, HeldKey, Restored, TargetState, TroubleState, WindowBacklog, WorkloadKey};
use podbell_core::time::Time;

/// How many incidents are read at once.
const PAGE: u32 = 5000;

/// What the store records of itself.
struct Meta(BTreeMap<String, String>);

impl Meta {
    fn number(&self, session: &Session, key: &str) -> Result<Option<i64>, PostgresError> {
        let parse = |text: &String| text.parse().map_err(|error| session.damaged(format!("`{key}`"), error));
        self.0.get(key).map(parse).transpose()
    }

    /// The next number of a table. A counter may be ahead of the rows, which may be gone.
    fn next(&self, session: &Session, kind: &str, newest: u64) -> Result<u64, PostgresError> {
        // Without a counter, nothing was deleted yet.
        let reserved = self.number(session, &format!("next_{kind}"))?.unwrap_or(1);
        Ok(u64::try_from(reserved).unwrap_or(1).max(newest + 1))
    }
}

impl Store {
    /// See [`crate::Writer::load`]. The lease is kept meanwhile, and until the first commit.
    pub(super) fn read_all(&mut self) -> Result<StoredState, PostgresError> {
        self.keep_lease();
        if let Some(session) = &mut self.session {
            session.limit_calls(LOAD_LIMIT);
        }
        let loaded = self.read_state();
        if let Some(session) = &mut self.session {
            session.limit_calls(CALL_LIMIT);
        }
        loaded
    }

    fn read_state(&mut self) -> Result<StoredState, PostgresError> {
        let targets = self.read_targets()?;
        let incidents = self.read_incidents()?;
        let session = self.session()?;
        let meta = session.meta()?;
        let [incident, trouble, mute, notice, delivery, send] =
            session.newest(["incident", "trouble", "mute", "notice", "delivery", "send"])?;
        let days = meta.0.get("days").map(|days| session.json("the counts of the day", days)).transpose()?;
        let state = Restored {
            seed: self.seed,
            heartbeat: meta.number(session, "heartbeat")?.map(Time::from_millis),
            targets,
            incidents,
            troubles: session.troubles()?,
            sources: session.named("source", "SELECT name, state FROM podbell.source")?,
            rollouts: session.rollouts()?,
            held: session.held()?,
            mutes: session.numbered("mute", "SELECT id, body FROM podbell.mute WHERE ended_at IS NULL ORDER BY id")?,
            days: days.unwrap_or_else(Days::default),
            next_incident: meta.next(session, "incident", incident.max(trouble))?,
            next_mute: meta.next(session, "mute", mute)?,
            next_notice: meta.next(session, "notice", notice)?,
        };
        let outbox = RestoredOutbox {
            next_delivery: meta.next(session, "delivery", delivery)?,
            next_send: meta.next(session, "send", send)?,
            ..session.outbox()?
        };
        let rules_generation = meta.number(session, "rules")?.map(i64::cast_unsigned);
        Ok(StoredState { state, outbox, rules_generation })
    }

    /// All targets. Remembers their row numbers.
    pub(super) fn read_targets(&mut self) -> Result<Vec<(Target, TargetState)>, PostgresError> {
        let mut names = SharedNames::default();
        let select =
            "SELECT source, cluster, namespace, service, last_good, failing_since, failing_trouble, discovered, id
            FROM podbell.target ORDER BY id";
        let rows = self.session()?.read(Call::new(select), "a target", |row| {
            let target = names.target([get(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?]);
            let failing = match optional_time(row, 5)? {
                Some(since) => Some(Failing::restored(since, optional_id(row, 6)?)),
                None => None,
            };
            let state = TargetState::restored(optional_time(row, 4)?, failing, get(row, 7)?);
            Ok((get::<i64>(row, 8)?, target, state))
        })?;
        let mut known = Targets { highest: rows.last().map_or(0, |(id, ..)| *id), ..Targets::default() };
        known.ids = rows.iter().map(|(id, target, _)| (target.clone(), *id)).collect();
        self.targets = Some(known);
        Ok(rows.into_iter().map(|(_, target, state)| (target, state)).collect())
    }

    /// All incidents that have not ended for good, ascending.
    fn read_incidents(&mut self) -> Result<Vec<Box<Incident>>, PostgresError> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let select = "SELECT id, state, state_version FROM podbell.incident
                WHERE id > $1 AND ended_at IS NULL ORDER BY id LIMIT $2";
            let call = Call::new(select).number(after).number(i64::from(PAGE));
            let session = self.session()?;
            let rows = session.query(call)?;
            all.extend(session.incidents(&rows)?);
            let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) else { return Ok(all) };
            after = session.column(last, 0)?;
        }
    }
}

impl Session {
    /// Decodes incidents. With many, this is most of a start, so every processor takes part.
    fn incidents(&self, rows: &[Row]) -> Result<Vec<Box<Incident>>, PostgresError> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let share = rows.len().div_ceil(processors).max(100);
        std::thread::scope(|scope| {
            let shares: Vec<_> = rows
                .chunks(share)
                .map(|rows| {
                    scope.spawn(|| {
                        let mut names = SharedNames::default();
                        rows.iter().map(|row| self.incident(row, &mut names)).collect::<Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(rows.len());
            for share in shares {
                all.extend(share.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(all)
        })
    }

    fn incident(&self, row: &Row, names: &mut SharedNames) -> Result<Box<Incident>, PostgresError> {
        let id: i64 = self.column(row, 0)?;
        let found: i64 = self.column(row, 2)?;
        if found > incident_codec::VERSION {
            let known = incident_codec::VERSION;
            return Err(PostgresError::Newer { server: self.server().to_string(), found, known });
        }
        let incident = incident_codec::read(self.column(row, 1)?);
        let mut incident = incident.map_err(|error| self.damaged(format!("incident {id}"), error))?;
        names.share(&mut incident);
        Ok(Box::new(incident))
    }

    fn meta(&self) -> Result<Meta, PostgresError> {
        let select = Call::new("SELECT key, value FROM podbell.meta");
        let rows = self.read(select, "what the store records of itself", |row| Ok((get(row, 0)?, get(row, 1)?)))?;
        Ok(Meta(rows.into_iter().collect()))
    }

    /// The highest numbers of some tables; 0 of an empty one.
    fn newest<const N: usize>(&self, tables: [&str; N]) -> Result<[u64; N], PostgresError> {
        let calls = tables.map(|table| Call::new(format!("SELECT max(id) FROM podbell.{table}")));
        let rows = self.pipeline(&calls, LOAD_LIMIT).map_err(|failed| failed.error)?;
        let mut newest = [0; N];
        for (newest, rows) in newest.iter_mut().zip(&rows) {
            *newest = self.decode(rows, "a number", |row| optional_id(row, 0))?.pop().flatten().unwrap_or(0);
        }
        Ok(newest)
    }

    pub(super) fn heartbeat(&self) -> Result<Option<Time>, PostgresError> {
        Ok(self.meta()?.number(self, "heartbeat")?.map(Time::from_millis))
    }

    pub(super) fn troubles(&self) -> Result<Vec<TroubleState>, PostgresError> {
        self.numbered("trouble", "SELECT id, state FROM podbell.trouble WHERE NOT over ORDER BY id")
    }

    pub(super) fn good_rules(&self) -> Result<BTreeMap<String, String>, PostgresError> {
        let select = Call::new("SELECT name, text FROM podbell.rule_file");
        let rows = self.read(select, "a rule file", |row| Ok((get(row, 0)?, get(row, 1)?)))?;
        Ok(rows.into_iter().collect())
    }

    fn rollouts(&self) -> Result<Vec<(WorkloadKey, Rollouts)>, PostgresError> {
        let mut names = SharedNames::default();
        let select = "SELECT source, cluster, namespace, service, workload, body FROM podbell.rollout";
        let rows = self.read(Call::new(select), "rollouts", |row| {
            let target = names.target([get(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?]);
            Ok(((target, text(row, 4)?), get::<String>(row, 5)?))
        })?;
        rows.into_iter().map(|(key, body)| Ok((key, self.json("rollouts", &body)?))).collect()
    }

    fn held(&self) -> Result<Vec<(HeldKey, WindowBacklog)>, PostgresError> {
        let what = "what windows hold";
        let select = Call::new(r#"SELECT destination, "window", state FROM podbell.held"#);
        let rows =
            self.read(select, what, |row| Ok((text(row, 0)?, get::<String>(row, 1)?, get::<String>(row, 2)?)))?;
        let read = |(to, window, state): (Arc<str>, String, String)| {
            Ok(((to, self.json(what, &window)?), self.json(what, &state)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// The rows of a number and JSON.
    fn numbered<T: DeserializeOwned>(&self, kind: &str, sql: &'static str) -> Result<Vec<T>, PostgresError> {
        let rows = self.read(Call::new(sql), kind, |row| Ok((get::<i64>(row, 0)?, get::<String>(row, 1)?)))?;
        rows.into_iter().map(|(id, json)| self.json(format!("{kind} {id}"), &json)).collect()
    }

    /// The rows of a name and JSON.
    pub(super) fn named<T: DeserializeOwned>(
        &self,
        kind: &str,
        sql: &'static str,
    ) -> Result<Vec<(Arc<str>, T)>, PostgresError> {
        let rows = self.read(Call::new(sql), kind, |row| Ok((text(row, 0)?, get::<String>(row, 1)?)))?;
        let read = |(name, json): (Arc<str>, String)| {
            let value = self.json(format!("{kind} {name}"), &json)?;
            Ok((name, value))
        };
        rows.into_iter().map(read).collect()
    }

    /// Open deliveries and sends, and the health of the destinations; without the next numbers.
    fn outbox(&self) -> Result<RestoredOutbox, PostgresError> {
        let select = "SELECT name, fingerprint, health FROM podbell.destination ORDER BY name";
        let rows = self.read(Call::new(select), "a destination", |row| {
            Ok((text(row, 0)?, text(row, 1)?, get::<String>(row, 2)?))
        })?;
        let mut destinations = Vec::with_capacity(rows.len());
        for (name, fingerprint, health) in rows {
            let health: DestinationHealth = self.json(format!("destination {name}"), &health)?;
            destinations.push((name, fingerprint, health));
        }
        let deliveries = self.stored_deliveries("d.state IN ('due', 'claimed') ORDER BY d.id", Call::new)?;
        let sends = "SELECT id, destination, attempts FROM podbell.send WHERE settled IS NULL ORDER BY id";
        let sends = self.read(Call::new(sends), "a send", |row| {
            Ok((SendId(id(row, 0)?), text(row, 1)?, u32::try_from(get::<i64>(row, 2)?).unwrap_or(u32::MAX)))
        })?;
        let attempts = "SELECT endpoint, at FROM podbell.attempt
            WHERE at > (SELECT max(at) FROM podbell.attempt) - $1 ORDER BY at";
        let attempts = Call::new(attempts).number(ATTEMPT_MEMORY_MS);
        let attempts = self.read(attempts, "an attempt", |row| Ok((text(row, 0)?, time(row, 1)?)))?;
        Ok(RestoredOutbox {
            destinations,
            threads: self.threads()?,
            deliveries: deliveries
                .into_iter()
                .map(|(stored, send)| (stored.destination, stored.delivery, send))
                .collect(),
            sends,
            attempts,
            next_delivery: 0,
            next_send: 0,
        })
    }

    /// The messages that stand for incidents.
    fn threads(&self) -> Result<Vec<StoredThread>, PostgresError> {
        let select =
            "SELECT destination, place, incident, channel, message, since, shown, shown_at FROM podbell.thread";
        let rows = self.read(Call::new(select), "a message of an incident", |row| {
            let parent = Parent { channel: text(row, 3)?, message: text(row, 4)? };
            // What it shows is parsed below, because an error there names the row.
            let thread = Thread::restored(parent, time(row, 5)?, None);
            let stored =
                StoredThread { destination: text(row, 0)?, place: text(row, 1)?, incident: id(row, 2)?, thread };
            Ok((stored, get::<Option<String>>(row, 6)?.zip(optional_time(row, 7)?)))
        })?;
        let mut threads = Vec::with_capacity(rows.len());
        for (mut stored, shown) in rows {
            if let Some((state, at)) = shown {
                let state = self.json(format!("the message of incident {}", stored.incident), &state)?;
                stored.thread.shown = Some((state, at));
            }
            threads.push(stored);
        }
        Ok(threads)
    }

    /// The deliveries that match a condition; `call` adds its parameters.
    pub(super) fn stored_deliveries<'a>(
        &self,
        condition: &str,
        call: impl FnOnce(String) -> Call<'a>,
    ) -> Result<Vec<(StoredDelivery, Option<SendId>)>, PostgresError> {
        let sql = format!(
            "SELECT d.id, d.notice, n.incident, n.kind, n.severity, n.made_at, d.born, d.content, d.destination, d.state, d.send
             FROM podbell.delivery d JOIN podbell.notice n ON n.id = d.notice WHERE {condition}"
        );
        self.read(call(sql), "a delivery", |row| {
            let delivery = Delivery {
                id: DeliveryId(id(row, 0)?),
                notice: id(row, 1)?,
                incident: optional_id(row, 2)?,
                kind: word(row, 3)?,
                severity: word::<Severity>(row, 4)?,
                made_at: time(row, 5)?,
                born: Duration::from_millis(id(row, 6)?),
                content: word::<Content>(row, 7)?,
            };
            let stored = StoredDelivery { destination: text(row, 8)?, delivery, state: word(row, 9)? };
            Ok((stored, optional_id(row, 10)?.map(SendId)))
        })
    }
}
