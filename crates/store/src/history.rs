//! The service's own history: what changed from poll to poll, for backtests.
//!
//! A row holds numbers only; the text of an episode is that of its series, the newest one.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::load::{id, sql};
use super::{Store, StoreError};
use podbell_core::diff::ChangeKind;
use podbell_core::event::{Event, Level, Target};
use podbell_core::history::{Observation, Seen};
use podbell_core::step::Writes;
use podbell_core::time::Time;

/// How long it is kept.
pub const HISTORY: Duration = Duration::from_secs(24 * 3600);
/// So many changes are kept at most: some 70 MB.
const MOST: i64 = 1_000_000;
/// A start after so short a pause is no gap: a heartbeat is older than that.
const NO_GAP: Duration = Duration::from_secs(30);

const FAILING: i64 = 3;
const READABLE: i64 = 4;
const DOWN: i64 = 5;

/// What the store knows of its own past.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of time.
    pub observations: Vec<Observation>,
    /// Changes whose episode is no longer known: they are missing.
    pub lost: u64,
    /// When the first of it was observed.
    pub from: Option<Time>,
}

/// Adds what this commit observed.
pub(super) fn write(
    connection: &Connection,
    ids: &HashMap<Target, i64>,
    writes: &Writes,
    down: Option<(Time, Time)>,
) -> rusqlite::Result<()> {
    let changed = writes.series.iter().filter_map(|row| Some((row, row.change?)));
    if down.is_none() && writes.readable.is_empty() && changed.clone().next().is_none() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO observation (at, target, sid, episode, kind, new, count, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let nothing: Option<i64> = None;
    if let Some((since, until)) = down.filter(|(since, until)| until.since(*since) > NO_GAP) {
        insert.execute(params![until.millis(), nothing, nothing, nothing, DOWN, 0, 0, since.millis()])?;
    }
    for (target, at, good) in &writes.readable {
        let kind = if *good { READABLE } else { FAILING };
        insert.execute(params![at.millis(), ids.get(target), nothing, nothing, kind, 0, 0, 0])?;
    }
    for (row, (kind, new)) in changed {
        let Some(target) = ids.get(&row.target) else { continue };
        insert.execute(params![
            row.observed_at.millis(),
            target,
            row.key.series.0,
            row.key.first_seen.millis(),
            number(kind),
            sql(new),
            sql(row.event.count),
            row.event.last_seen.millis(),
        ])?;
    }
    let last = connection.last_insert_rowid();
    connection.prepare_cached("DELETE FROM observation WHERE id <= ?1")?.execute([last - MOST])?;
    Ok(())
}

fn number(kind: ChangeKind) -> i64 {
    match kind {
        ChangeKind::Appeared => 0,
        ChangeKind::Increased => 1,
        ChangeKind::Restarted => 2,
    }
}

impl Store {
    /// What was observed since then.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn history(&self, since: Time) -> Result<History, StoreError> {
        let rows = self.query(
            "SELECT o.at, o.kind, o.new, o.count, o.last_seen, o.episode,
                    t.source, t.cluster, t.namespace, t.service,
                    s.level, s.obj_type, s.obj_name, s.reason, s.message
             FROM observation o LEFT JOIN target t ON t.id = o.target
             LEFT JOIN series s ON s.target = o.target AND s.sid = o.sid AND s.episode = o.episode
             WHERE o.at >= ?1 ORDER BY o.at, o.id",
            [since.millis()],
            observation,
        )?;
        let from = rows.iter().map(|(at, _)| *at).min();
        let lost = rows.iter().filter(|(_, observation)| observation.is_none()).count() as u64;
        let observations = rows.into_iter().filter_map(|(_, observation)| observation).collect();
        Ok(History { observations, lost, from })
    }
}

/// `None` where its target or its episode is gone.
fn observation(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Time, Option<Observation>)> {
    let at = Time::from_millis(row.get(0)?);
    let last_seen = Time::from_millis(row.get(4)?);
    let target = match row.get::<_, Option<String>>(6)? {
        Some(source) => {
            let [cluster, namespace, service]: [String; 3] = [row.get(7)?, row.get(8)?, row.get(9)?];
            Some(Target::new(&source, &cluster, &namespace, &service))
        }
        None => None,
    };
    let what = match row.get::<_, i64>(1)? {
        DOWN => Some(Seen::Down { since: last_seen }),
        FAILING => target.is_some().then_some(Seen::Failing),
        READABLE => target.is_some().then_some(Seen::Readable),
        kind => change(row, kind, last_seen)?.filter(|_| target.is_some()),
    };
    Ok((at, what.map(|what| Observation { at, target, what })))
}

fn change(row: &rusqlite::Row<'_>, kind: i64, last_seen: Time) -> rusqlite::Result<Option<Seen>> {
    let Some(level) = row.get::<_, Option<i64>>(10)? else { return Ok(None) };
    let kind = match kind {
        0 => ChangeKind::Appeared,
        1 => ChangeKind::Increased,
        _ => ChangeKind::Restarted,
    };
    let event = Event {
        series: false,
        first_seen: Time::from_millis(row.get(5)?),
        last_seen,
        count: id(row, 3)?,
        level: if level == 0 { Level::Normal } else { Level::Warning },
        obj_type: row.get::<_, String>(11)?.into(),
        obj_name: row.get::<_, String>(12)?.into(),
        reason: row.get::<_, String>(13)?.into(),
        message: row.get::<_, String>(14)?.into(),
    };
    Ok(Some(Seen::Change { kind, new: id(row, 2)?, event }))
}
