//! One commit: all that happened since the last one, or nothing.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::form;
use super::load::{group_key, kind_word, sql};
use super::{InboxItem, Store, StoreError};
use crate::crash_point;
use podbell_core::event::{Level, Target};
use podbell_core::incident::{Incident, Phase};
use podbell_core::outbox::{Claimed, Delivery, DeliveryState, Outbox, OutboxWrites, SendId};
use podbell_core::rules::rule::Destination;
use podbell_core::step::{State, Writes};
use podbell_core::time::Time;

/// What is to be committed together.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The core's mirror, which [`Writes`] names parts of.
    pub state: &'a State,
    /// What the core wants written.
    pub writes: &'a Writes,
    /// The outbox's mirror.
    pub outbox: &'a Outbox,
    /// What the outbox wants written.
    pub outbox_writes: &'a OutboxWrites,
    /// The frozen bodies of the sends that are claimed.
    pub bodies: &'a HashMap<SendId, Vec<u8>>,
    /// Commands of the inbox that were carried out, with their answers.
    pub answered: &'a [(InboxItem, String)],
    /// The generation of the rules that incidents were brought in line with, when it changed.
    pub generation: Option<u64>,
    /// Rule files whose text was found good, by name.
    pub good_rules: &'a [(String, String)],
    /// Since when podbell did not run before this start; with the first commit only.
    pub down: Option<(Time, Time)>,
    /// The heartbeat, when it is time for one.
    pub heartbeat: Option<Time>,
    /// Now.
    pub now: Time,
}

impl Store {
    /// Writes everything or nothing.
    ///
    /// # Errors
    /// When the store cannot take it. The caller's mirrors are then ahead of the truth and must be
    /// rebuilt, see [`Store::restore`].
    pub fn commit(&mut self, commit: &Commit<'_>) -> Result<(), StoreError> {
        self.check_files()?;
        let number = self.commits + 1;
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|source| StoreError::of(&self.path, source))?;
        let written = (|| {
            write_targets(&transaction, &mut self.targets, commit)?;
            write_series(&transaction, &self.targets, commit)?;
            super::history::write(&transaction, &self.targets, commit.writes, commit.down)?;
            super::tally::write(&transaction, &self.targets, commit.writes)?;
            write_incidents(&transaction, &mut self.shown, commit)?;
            super::decisions::write(&transaction, &commit.writes.decisions)?;
            super::deeds::write(&transaction, commit)?;
            write_troubles_and_sources(&transaction, commit)?;
            write_notices(&transaction, commit.writes)?;
            write_outbox(&transaction, commit)?;
            for (item, answer) in commit.answered {
                let mut done =
                    transaction.prepare_cached("UPDATE inbox SET done_at = ?2, answer = ?3 WHERE id = ?1")?;
                done.execute(params![item.id, commit.now.millis(), answer])?;
            }
            if let Some(generation) = commit.generation {
                let mut meta = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('rules', ?1)")?;
                meta.execute([generation.cast_signed()])?;
            }
            for (name, text) in commit.good_rules {
                let mut good = transaction.prepare_cached("INSERT OR REPLACE INTO rule_file VALUES (?1, ?2, ?3)")?;
                good.execute(params![name, text, commit.now.millis()])?;
            }
            if commit.heartbeat.is_some() || commit.writes.daily {
                write_days(&transaction, commit)?;
            }
            if let Some(beat) = commit.heartbeat {
                let mut meta = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('heartbeat', ?1)")?;
                meta.execute([beat.millis()])?;
            }
            let mut meta = transaction.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('commit', ?1)")?;
            meta.execute([sql(number)])?;
            Ok(())
        })();
        crash_point!("commit.before");
        let committed = written.and_then(|()| transaction.commit());
        crash_point!("commit.after");
        committed.map_err(|source| {
            // Ids of targets that were rolled back must not survive.
            self.targets.clear();
            self.shown.clear();
            StoreError::of(&self.path, source)
        })?;
        self.commits = number;
        self.stamps.write(&self.uuid, number, commit.now);
        Ok(())
    }
}

fn write_targets(connection: &Connection, ids: &mut HashMap<Target, i64>, commit: &Commit<'_>) -> rusqlite::Result<()> {
    for target in &commit.writes.gone {
        if let Some(id) = ids.remove(target) {
            connection.prepare_cached("DELETE FROM series WHERE target = ?1")?.execute([id])?;
            connection.prepare_cached("DELETE FROM target WHERE id = ?1")?.execute([id])?;
            super::tally::forget(connection, id)?;
        }
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO target (source, cluster, namespace, service, last_good, failing_since, failing_trouble, discovered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (source, cluster, namespace, service) DO UPDATE SET last_good = excluded.last_good,
         failing_since = excluded.failing_since, failing_trouble = excluded.failing_trouble, discovered = excluded.discovered
         RETURNING id",
    )?;
    for target in &commit.writes.targets {
        let Some(state) = commit.state.target(target) else { continue };
        let failing = state.failing.as_ref();
        let row = params![
            target.source,
            target.cluster,
            target.namespace,
            target.service,
            state.last_good.map(Time::millis),
            failing.map(|failing| failing.since.millis()),
            failing.and_then(|failing| failing.trouble).map(sql),
            state.discovered,
        ];
        let id: i64 = upsert.query_row(row, |row| row.get(0))?;
        ids.insert(target.clone(), id);
    }
    Ok(())
}

fn write_series(connection: &Connection, ids: &HashMap<Target, i64>, commit: &Commit<'_>) -> rusqlite::Result<()> {
    // In place: to replace a row is to take it out of every index and put it back.
    let mut upsert = connection.prepare_cached(
        "INSERT INTO series (target, sid, episode, count, last_seen, level, obj_type, obj_name, reason, message,
             observed_at, silent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (target, sid, episode) DO UPDATE SET count = excluded.count, last_seen = excluded.last_seen,
             level = excluded.level, obj_type = excluded.obj_type, obj_name = excluded.obj_name,
             reason = excluded.reason, message = excluded.message, observed_at = excluded.observed_at,
             silent = excluded.silent",
    )?;
    for row in &commit.writes.series {
        let Some(target) = ids.get(&row.target) else { continue };
        let event = &row.event;
        upsert.execute(params![
            target,
            row.key.series.0,
            row.key.first_seen.millis(),
            sql(event.count),
            event.last_seen.millis(),
            event.level as i64,
            event.obj_type,
            event.obj_name,
            event.reason,
            event.message,
            row.observed_at.millis(),
            row.change.is_none() && event.level == Level::Warning,
        ])?;
    }
    let mut delete = connection.prepare_cached("DELETE FROM series WHERE target = ?1 AND sid = ?2 AND episode = ?3")?;
    for (target, key) in &commit.writes.forgotten {
        if let Some(target) = ids.get(target) {
            delete.execute(params![target, key.series.0, key.first_seen.millis()])?;
        }
    }
    Ok(())
}

fn write_incidents(
    connection: &Connection,
    shown: &mut HashMap<u64, usize>,
    commit: &Commit<'_>,
) -> rusqlite::Result<()> {
    let mut forget = connection.prepare_cached("DELETE FROM incident WHERE id = ?1")?;
    for ended in &commit.writes.ended {
        if ended.known {
            write_incident(connection, &ended.incident, Some(ended.at))?;
            super::asked::shown::write(connection, shown, &ended.incident)?;
        } else {
            forget.execute([sql(ended.incident.id)])?;
            super::asked::shown::forget(connection, ended.incident.id)?;
        }
        shown.remove(&ended.incident.id);
    }
    for id in &commit.writes.incidents {
        if let Some(incident) = commit.state.incident(*id) {
            write_incident(connection, incident, None)?;
            super::asked::shown::write(connection, shown, incident)?;
        }
    }
    Ok(())
}

fn write_incident(connection: &Connection, incident: &Incident, ended_at: Option<Time>) -> rusqlite::Result<()> {
    let target = incident.targets.first();
    let phase = match incident.phase {
        Phase::Gathering => "gathering",
        Phase::Open => "open",
        Phase::Resolved { .. } => "resolved",
    };
    let (cluster, namespace) = target.map_or(("", ""), |target| (&*target.cluster, &*target.namespace));
    let state = form::write(incident).map_err(rusqlite::Error::ToSqlConversionFailure)?;
    if ended_at.is_none() {
        // Nearly always it is there and only goes on: one index of four has to know.
        let mut goes_on = connection.prepare_cached(
            "UPDATE incident SET cluster = ?4, namespace = ?5, phase = ?6, last_at = ?7, state_version = ?8, state = ?9
             WHERE id = ?1 AND rule_file = ?2 AND rule_name = ?3 AND ended_at IS NULL",
        )?;
        let last_at = incident.last_at.millis();
        let (file, name) = (&incident.rule.file, &incident.rule.name);
        let row = params![sql(incident.id), file, name, cluster, namespace, phase, last_at, form::VERSION, state];
        if goes_on.execute(row)? > 0 {
            return Ok(());
        }
    }
    let mut upsert = connection
        .prepare_cached("INSERT OR REPLACE INTO incident VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
    upsert.execute(params![
        sql(incident.id),
        incident.rule.file,
        incident.rule.name,
        group_key(incident),
        cluster,
        namespace,
        incident.workload,
        phase,
        incident.last_at.millis(),
        ended_at.map(Time::millis),
        form::VERSION,
        state,
    ])?;
    Ok(())
}

fn write_troubles_and_sources(connection: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    for id in &commit.writes.troubles {
        if let Some(trouble) = commit.state.trouble(*id) {
            let mut upsert = connection.prepare_cached("INSERT OR REPLACE INTO trouble VALUES (?1, 0, ?2)")?;
            upsert.execute(params![sql(*id), json(trouble)?])?;
        }
    }
    for id in &commit.writes.troubles_over {
        connection.prepare_cached("UPDATE trouble SET over = 1 WHERE id = ?1")?.execute([sql(*id)])?;
    }
    for key in &commit.writes.held {
        let (destination, window) = (&key.0, json(&key.1)?);
        match commit.state.held(key) {
            Some(held) => {
                let mut upsert = connection.prepare_cached("INSERT OR REPLACE INTO held VALUES (?1, ?2, ?3)")?;
                upsert.execute(params![destination, window, json(held)?])?;
            }
            None => {
                let mut delete =
                    connection.prepare_cached("DELETE FROM held WHERE destination = ?1 AND window = ?2")?;
                delete.execute(params![destination, window])?;
            }
        }
    }
    for name in &commit.writes.sources {
        if let Some(source) = commit.state.source(name) {
            let mut upsert = connection.prepare_cached("INSERT OR REPLACE INTO source VALUES (?1, ?2)")?;
            upsert.execute(params![name, json(source)?])?;
        }
    }
    Ok(())
}

/// What is counted for the daily lines; none where nobody wants one.
fn write_days(connection: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    let days = commit.state.days();
    if days.is_empty() {
        // Nobody wants a line now: what was counted once must not come back.
        connection.prepare_cached("DELETE FROM meta WHERE key = 'days'")?.execute([])?;
        return Ok(());
    }
    let mut meta = connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('days', ?1)")?;
    meta.execute([json(days)?])?;
    Ok(())
}

fn write_notices(connection: &Connection, writes: &Writes) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO notice VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    for notice in &writes.notices {
        insert.execute(params![
            sql(notice.id),
            kind_word(notice.kind),
            notice.severity.as_str(),
            notice.body.incident().map(sql),
            notice.made_at.millis(),
            json(notice)?,
        ])?;
    }
    Ok(())
}

fn write_outbox(connection: &Connection, commit: &Commit<'_>) -> rusqlite::Result<()> {
    let writes = commit.outbox_writes;
    for (from, to) in &writes.renamed {
        for table in ["delivery", "send", "thread"] {
            let sql = format!("UPDATE {table} SET destination = ?2 WHERE destination = ?1");
            connection.execute(&sql, params![from, to])?;
        }
        connection.execute("DELETE FROM destination WHERE name = ?1", [from])?;
    }
    for name in &writes.removed {
        connection.execute("DELETE FROM destination WHERE name = ?1", [name])?;
        connection.execute("DELETE FROM thread WHERE destination = ?1", [name])?;
    }
    for (to, delivery) in &writes.added {
        insert_delivery(connection, to, delivery)?;
    }
    for (id, state) in &writes.changed {
        update_delivery(connection, sql(id.0), state)?;
    }
    for claimed in &writes.claimed {
        insert_send(connection, claimed, commit.bodies.get(&claimed.send))?;
    }
    for (send, attempts) in &writes.repeated {
        connection
            .prepare_cached("UPDATE send SET attempts = ?2 WHERE id = ?1")?
            .execute(params![sql(send.0), attempts])?;
    }
    for (send, result) in &writes.settled {
        connection
            .prepare_cached("UPDATE send SET settled = ?2 WHERE id = ?1")?
            .execute(params![sql(send.0), result])?;
    }
    for (endpoint, at) in &writes.attempts {
        connection.prepare_cached("INSERT INTO attempt VALUES (?1, ?2)")?.execute(params![at.millis(), endpoint])?;
    }
    super::threads::write(connection, commit)?;
    for name in &writes.destinations {
        write_destination(connection, commit, name)?;
    }
    Ok(())
}

fn write_destination(connection: &Connection, commit: &Commit<'_>, name: &Destination) -> rusqlite::Result<()> {
    let Some((state, policy)) = commit.outbox.destination(name) else { return Ok(()) };
    let mut upsert = connection.prepare_cached("INSERT OR REPLACE INTO destination VALUES (?1, ?2, ?3)")?;
    upsert.execute(params![name, policy.fingerprint, json(&state.health)?])?;
    Ok(())
}

fn insert_delivery(connection: &Connection, to: &Destination, delivery: &Delivery) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO delivery (id, notice, destination, state, content, born) VALUES (?1, ?2, ?3, 'due', 'full', ?4)",
    )?;
    let born = i64::try_from(delivery.born.as_millis()).unwrap_or(i64::MAX);
    insert.execute(params![sql(delivery.id.0), sql(delivery.notice), to, born])?;
    Ok(())
}

fn insert_send(connection: &Connection, claimed: &Claimed, body: Option<&Vec<u8>>) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO send VALUES (?1, ?2, ?3, 1, NULL, ?4)")?;
    let body: &[u8] = body.map_or(&[], Vec::as_slice);
    insert.execute(params![sql(claimed.send.0), claimed.destination, claimed.at.millis(), body])?;
    Ok(())
}

fn update_delivery(connection: &Connection, id: i64, state: &DeliveryState) -> rusqlite::Result<()> {
    match state {
        DeliveryState::Due { content, born } => {
            let mut due = connection.prepare_cached(
                "UPDATE delivery SET state = 'due', send = NULL, done_at = NULL, why = NULL, content = ?2, born = ?3 WHERE id = ?1",
            )?;
            let born = i64::try_from(born.as_millis()).unwrap_or(i64::MAX);
            due.execute(params![id, word(content)?, born])?;
        }
        DeliveryState::Claimed { send } => {
            let mut claimed =
                connection.prepare_cached("UPDATE delivery SET state = 'claimed', send = ?2 WHERE id = ?1")?;
            claimed.execute(params![id, sql(send.0)])?;
        }
        DeliveryState::Sent { at } => {
            let mut sent =
                connection.prepare_cached("UPDATE delivery SET state = 'sent', done_at = ?2 WHERE id = ?1")?;
            sent.execute(params![id, at.millis()])?;
        }
        DeliveryState::Folded { at, into } => {
            let mut folded = connection
                .prepare_cached("UPDATE delivery SET state = 'folded', done_at = ?2, folded_into = ?3 WHERE id = ?1")?;
            folded.execute(params![id, at.millis(), sql(into.0)])?;
        }
        DeliveryState::Dead { at, why } => {
            let mut dead = connection.prepare_cached(
                "UPDATE delivery SET state = 'dead', send = NULL, done_at = ?2, why = ?3 WHERE id = ?1",
            )?;
            dead.execute(params![id, at.millis(), why])?;
        }
    }
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|source| rusqlite::Error::ToSqlConversionFailure(Box::new(source)))
}

/// An enum's word, without quotes.
fn word(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    Ok(json(value)?.trim_matches('"').to_owned())
}
