//! A batch as statements: one prepared statement for each kind of row.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, params};

use super::queries::shown;
use super::{SqliteError, Store, history};
use crate::crash_point;
use crate::rows::sql;
use crate::{Batch, DaysRow, IncidentRow, StoreError, incident_codec};
use podbell_core::event::{Level, Target};
use podbell_core::map::FastMap;
use podbell_core::outbox::DeliveryState;
use podbell_core::time::Time;

impl Store {
    pub(super) fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.check_files()?;
        self.loaded = None;
        let number = self.commits + 1;
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|source| SqliteError::of(&self.path, source))?;
        let written = (|| {
            targets(&transaction, &mut self.targets, batch)?;
            series(&transaction, &self.targets, batch)?;
            history::write(&transaction, &self.targets, batch)?;
            history::write_reports(&transaction, &batch.reports)?;
            tallies(&transaction, &self.targets, batch)?;
            incidents(&transaction, &mut self.shown, batch)?;
            history::write_decisions(&transaction, &batch.decisions)?;
            people(&transaction, batch)?;
            own(&transaction, batch)?;
            outbox(&transaction, batch)?;
            meta(&transaction, batch)?;
            set(&transaction, "commit", sql(number))
        })();
        crash_point!("commit.before");
        let committed = written.and_then(|()| transaction.commit());
        crash_point!("commit.after");
        committed.map_err(|source| {
            // Forget the row numbers of targets that were rolled back.
            self.targets.clear();
            self.shown.clear();
            SqliteError::of(&self.path, source)
        })?;
        self.commits = number;
        self.stamps.write(&self.uuid, number, batch.now);
        Ok(())
    }
}

/// Runs a statement once for each row.
fn each<T>(
    connection: &Connection,
    sql: &str,
    rows: impl IntoIterator<Item = T>,
    mut run: impl FnMut(&mut CachedStatement<'_>, T) -> rusqlite::Result<usize>,
) -> rusqlite::Result<()> {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(sql)?;
    rows.try_for_each(|row| run(&mut statement, row).map(drop))
}

fn set(connection: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

fn targets(connection: &Connection, ids: &mut FastMap<Target, i64>, batch: &Batch) -> rusqlite::Result<()> {
    let gone: Vec<i64> = batch.targets_gone.iter().filter_map(|target| ids.remove(target)).collect();
    // Delete all rows of the service: SQLite may reuse its row number.
    for delete in [
        "DELETE FROM series WHERE target = ?1",
        "DELETE FROM target WHERE id = ?1",
        "DELETE FROM tally WHERE target = ?1",
    ] {
        each(connection, delete, &gone, |statement, id| statement.execute([id]))?;
    }
    let upsert = "INSERT INTO target (source, cluster, namespace, service, last_good, failing_since, failing_trouble, discovered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (source, cluster, namespace, service) DO UPDATE SET last_good = excluded.last_good,
         failing_since = excluded.failing_since, failing_trouble = excluded.failing_trouble, discovered = excluded.discovered
         RETURNING id";
    each(connection, upsert, &batch.targets, |statement, (target, state)| {
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
        ids.insert(target.clone(), statement.query_row(row, |row| row.get(0))?);
        Ok(1)
    })
}

fn series(connection: &Connection, ids: &FastMap<Target, i64>, batch: &Batch) -> rusqlite::Result<()> {
    // Update in place: replacing a row removes it from every index and inserts it again.
    let upsert =
        "INSERT INTO series (target, sid, episode, count, last_seen, level, obj_type, obj_name, reason, message,
             observed_at, silent, node, signal, metadata)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (target, sid, episode) DO UPDATE SET count = excluded.count, last_seen = excluded.last_seen,
             level = excluded.level, obj_type = excluded.obj_type, obj_name = excluded.obj_name,
             reason = excluded.reason, message = excluded.message, observed_at = excluded.observed_at,
             silent = excluded.silent, node = excluded.node, signal = excluded.signal, metadata = excluded.metadata";
    let known = batch.series.iter().filter_map(|row| Some((row, ids.get(&row.target)?)));
    each(connection, upsert, known, |statement, (row, target)| {
        let event = &row.event;
        statement.execute(params![
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
            event.node,
            event.signal,
            event.metadata.as_deref().and_then(|metadata| serde_json::to_string(metadata).ok()),
        ])
    })?;
    let forgotten = batch.forgotten.iter().filter_map(|(target, key)| Some((ids.get(target)?, key)));
    let delete = "DELETE FROM series WHERE target = ?1 AND sid = ?2 AND episode = ?3";
    each(connection, delete, forgotten, |statement, (target, key)| {
        statement.execute(params![target, key.series.0, key.first_seen.millis()])
    })
}

fn tallies(connection: &Connection, ids: &FastMap<Target, i64>, batch: &Batch) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO tally VALUES (?1, ?2, ?3, ?4) ON CONFLICT (target, quarter) DO UPDATE SET
         warnings = min(warnings + excluded.warnings, 1000000000), others = min(others + excluded.others, 1000000000)";
    let known = batch.tallies().into_iter().filter_map(|row| Some((ids.get(row.target)?, row)));
    each(connection, upsert, known, |statement, (target, row)| {
        statement.execute(params![target, row.quarter, sql(row.warnings), sql(row.others)])
    })
}

fn incidents(connection: &Connection, shown: &mut HashMap<u64, usize>, batch: &Batch) -> rusqlite::Result<()> {
    each(connection, "DELETE FROM incident WHERE id = ?1", &batch.incidents_gone, |statement, id| {
        shown.remove(id);
        statement.execute([sql(*id)])
    })?;
    shown::forget(connection, &batch.incidents_gone)?;
    for incident in &batch.incidents {
        write_incident(connection, incident)?;
        shown::write(connection, shown, incident.id, &incident.targets)?;
        if incident.ended_at.is_some() {
            shown.remove(&incident.id);
        }
    }
    Ok(())
}

fn write_incident(connection: &Connection, row: &IncidentRow) -> rusqlite::Result<()> {
    let target = row.targets.first();
    let (cluster, namespace) = target.map_or(("", ""), |target| (&*target.cluster, &*target.namespace));
    let (id, last_at, version) = (sql(row.id), row.last_at.millis(), incident_codec::VERSION);
    if row.ended_at.is_none() {
        // Nearly always the row exists and the incident continues: only one of four indexes changes.
        let mut goes_on = connection.prepare_cached(
            "UPDATE incident SET cluster = ?4, namespace = ?5, phase = ?6, last_at = ?7, state_version = ?8, state = ?9
             WHERE id = ?1 AND rule_file = ?2 AND rule_name = ?3 AND ended_at IS NULL",
        )?;
        let (file, name) = (&row.rule_file, &row.rule_name);
        if goes_on.execute(params![id, file, name, cluster, namespace, row.phase, last_at, version, row.state])? > 0 {
            return Ok(());
        }
    }
    let mut upsert = connection
        .prepare_cached("INSERT OR REPLACE INTO incident VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?;
    upsert.execute(params![
        id,
        row.rule_file,
        row.rule_name,
        row.group_key,
        cluster,
        namespace,
        row.workload,
        row.phase,
        last_at,
        row.ended_at.map(Time::millis),
        version,
        row.state,
    ])?;
    Ok(())
}

/// Mutes, acknowledgements and user actions.
fn people(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let insert = "INSERT OR REPLACE INTO mute VALUES (?1, ?2, NULL, ?3)";
    each(connection, insert, &batch.mutes, |statement, (id, until, body)| {
        statement.execute(params![sql(*id), until.millis(), body])
    })?;
    let end = "UPDATE mute SET ended_at = ?2 WHERE id = ?1";
    each(connection, end, &batch.mutes_over, |statement, id| statement.execute(params![sql(*id), batch.now.millis()]))?;
    for (id, body) in &batch.acknowledged {
        match body {
            Some(body) => connection
                .prepare_cached("INSERT OR REPLACE INTO acknowledged VALUES (?1, ?2)")?
                .execute(params![sql(*id), body])?,
            None => connection.prepare_cached("DELETE FROM acknowledged WHERE incident = ?1")?.execute([sql(*id)])?,
        };
    }
    let insert = "INSERT INTO action (at, incident, body) VALUES (?1, ?2, ?3)";
    each(connection, insert, &batch.actions, |statement, (at, incident, body)| {
        statement.execute(params![at.millis(), incident.map(sql), body])
    })
}

/// Podbell's own troubles, its sources, what windows hold.
fn own(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let upsert = "INSERT OR REPLACE INTO trouble VALUES (?1, 0, ?2)";
    each(connection, upsert, &batch.troubles, |statement, (id, state)| statement.execute(params![sql(*id), state]))?;
    let over = "UPDATE trouble SET over = 1 WHERE id = ?1";
    each(connection, over, &batch.troubles_over, |statement, id| statement.execute([sql(*id)]))?;
    for (destination, window, state) in &batch.held {
        match state {
            Some(state) => connection
                .prepare_cached("INSERT OR REPLACE INTO held VALUES (?1, ?2, ?3)")?
                .execute(params![destination, window, state])?,
            None => connection
                .prepare_cached("DELETE FROM held WHERE destination = ?1 AND window = ?2")?
                .execute(params![destination, window])?,
        };
    }
    let put = "INSERT OR REPLACE INTO rollout VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let drop = "DELETE FROM rollout WHERE (source, cluster, namespace, service, workload) = (?1, ?2, ?3, ?4, ?5)";
    for ((target, workload), body) in &batch.rollouts {
        let Target { source, cluster, namespace, service } = target;
        match body {
            Some(body) => {
                connection.prepare_cached(put)?.execute(params![source, cluster, namespace, service, workload, body])?
            }
            None => connection.prepare_cached(drop)?.execute(params![source, cluster, namespace, service, workload])?,
        };
    }
    let upsert = "INSERT OR REPLACE INTO source VALUES (?1, ?2)";
    each(connection, upsert, &batch.sources, |statement, (name, state)| statement.execute(params![name, state]))
}

fn outbox(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let insert = "INSERT INTO notice VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    each(connection, insert, &batch.notices, |statement, row| {
        let (id, incident, made_at) = (sql(row.id), row.incident.map(sql), row.made_at.millis());
        statement.execute(params![id, row.kind, row.severity, incident, made_at, row.facts])
    })?;
    for (from, to) in &batch.destinations_renamed {
        for table in ["delivery", "send", "thread"] {
            let sql = format!("UPDATE {table} SET destination = ?2 WHERE destination = ?1");
            connection.execute(&sql, params![from, to])?;
        }
        connection.execute("DELETE FROM destination WHERE name = ?1", [from])?;
    }
    for name in &batch.destinations_gone {
        connection.execute("DELETE FROM destination WHERE name = ?1", [name])?;
        connection.execute("DELETE FROM thread WHERE destination = ?1", [name])?;
    }
    let insert =
        "INSERT INTO delivery (id, notice, destination, state, content, born) VALUES (?1, ?2, ?3, 'due', 'full', ?4)";
    each(connection, insert, &batch.deliveries, |statement, (to, delivery)| {
        let born = i64::try_from(delivery.born.as_millis()).unwrap_or(i64::MAX);
        statement.execute(params![sql(delivery.id.0), sql(delivery.notice), to, born])
    })?;
    for (id, state) in &batch.delivery_states {
        update_delivery(connection, sql(id.0), state)?;
    }
    let insert = "INSERT INTO send VALUES (?1, ?2, ?3, 1, NULL, ?4)";
    each(connection, insert, &batch.sends, |statement, row| {
        statement.execute(params![sql(row.id.0), row.destination, row.claimed_at.millis(), row.body])
    })?;
    let update = "UPDATE send SET attempts = ?2 WHERE id = ?1";
    each(connection, update, &batch.repeated, |statement, (send, attempts)| {
        statement.execute(params![sql(send.0), attempts])
    })?;
    let update = "UPDATE send SET settled = ?2 WHERE id = ?1";
    each(connection, update, &batch.settled, |statement, (send, result)| {
        statement.execute(params![sql(send.0), result.as_str()])
    })?;
    let insert = "INSERT INTO attempt VALUES (?1, ?2)";
    each(connection, insert, &batch.attempts, |statement, (endpoint, at)| {
        statement.execute(params![at.millis(), endpoint])
    })?;
    threads(connection, batch)?;
    let upsert = "INSERT OR REPLACE INTO destination VALUES (?1, ?2, ?3)";
    each(connection, upsert, &batch.destinations, |statement, (name, fingerprint, health)| {
        statement.execute(params![name, fingerprint, health])
    })
}

fn update_delivery(connection: &Connection, id: i64, state: &DeliveryState) -> rusqlite::Result<usize> {
    let statement = |sql| connection.prepare_cached(sql);
    match state {
        DeliveryState::Due { content, born } => {
            let born = i64::try_from(born.as_millis()).unwrap_or(i64::MAX);
            statement(
                "UPDATE delivery SET state = 'due', send = NULL, done_at = NULL, why = NULL, content = ?2, born = ?3 WHERE id = ?1",
            )?
            .execute(params![id, content.as_str(), born])
        }
        DeliveryState::Claimed { send } => statement("UPDATE delivery SET state = 'claimed', send = ?2 WHERE id = ?1")?
            .execute(params![id, sql(send.0)]),
        DeliveryState::Sent { at } => statement("UPDATE delivery SET state = 'sent', done_at = ?2 WHERE id = ?1")?
            .execute(params![id, at.millis()]),
        DeliveryState::Folded { at, into } => {
            statement("UPDATE delivery SET state = 'folded', done_at = ?2, folded_into = ?3 WHERE id = ?1")?
                .execute(params![id, at.millis(), sql(into.0)])
        }
        DeliveryState::Dead { at, why } => {
            statement("UPDATE delivery SET state = 'dead', send = NULL, done_at = ?2, why = ?3 WHERE id = ?1")?
                .execute(params![id, at.millis(), why])
        }
    }
}

/// The messages that stand for incidents.
fn threads(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    for (destination, incident, thread) in &batch.threads {
        let Some(thread) = thread else {
            connection
                .prepare_cached("DELETE FROM thread WHERE destination = ?1 AND incident = ?2")?
                .execute(params![destination, sql(*incident)])?;
            continue;
        };
        let (shown, shown_at) = thread.shown.as_ref().map(|(shown, at)| (shown, at.millis())).unzip();
        let mut upsert =
            connection.prepare_cached("INSERT OR REPLACE INTO thread VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        upsert.execute(params![
            destination,
            sql(*incident),
            thread.place,
            thread.parent.channel,
            thread.parent.message,
            thread.since.millis(),
            shown,
            shown_at,
        ])?;
    }
    Ok(())
}

/// The service itself: answers, rules, heartbeat.
fn meta(connection: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let done = "UPDATE inbox SET done_at = ?2, answer = ?3 WHERE id = ?1";
    each(connection, done, &batch.answered, |statement, (item, answer)| {
        statement.execute(params![item.id, batch.now.millis(), answer])
    })?;
    let good = "INSERT OR REPLACE INTO rule_file VALUES (?1, ?2, ?3)";
    each(connection, good, &batch.good_rules, |statement, (name, text)| {
        statement.execute(params![name, text, batch.now.millis()])
    })?;
    if let Some(generation) = batch.rules_generation {
        set(connection, "rules", generation.cast_signed())?;
    }
    match &batch.days {
        None => {}
        Some(DaysRow::Counted(days)) => set(connection, "days", days)?,
        Some(DaysRow::Unwanted) => {
            connection.prepare_cached("DELETE FROM meta WHERE key = 'days'")?.execute([])?;
        }
    }
    batch.heartbeat.map_or(Ok(()), |beat| set(connection, "heartbeat", beat.millis()))
}
