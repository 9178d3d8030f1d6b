//! Events: those of a service, the silent baseline, and what changed from poll to poll.

use rusqlite::{Row, params};

use super::Snapshot;
use crate::rows::{self, EpisodeRow, MAX_SERVICES, ObservationRow};
use crate::sqlite::load;
use crate::{EventQueries, History, StoreError};
use podbell_core::ask::events::Seen;
use podbell_core::event::{Event, Target};
use podbell_core::history::Observation;
use podbell_core::metadata::Metadata;
use podbell_core::rollout::{RolloutOf, Rollouts};
use podbell_core::time::Time;

pub(super) const QUERIES: &[&str] = &[OF_TARGET, SILENT, SILENT_OF, ROLLOUTS];

/// Limited, because nobody reads more episodes of one service.
const OF_TARGET: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent FROM target t JOIN series s ON s.target = t.id
    WHERE t.source = ?1 AND t.cluster = ?2 AND t.namespace = ?3 AND t.service = ?4 LIMIT 5000";
const ROLLOUTS: &str = "SELECT workload, body FROM rollout
    WHERE source = ?1 AND cluster = ?2 AND namespace = ?3 AND service = ?4 LIMIT 500";
const SILENT: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent
    FROM series s INDEXED BY series_silent CROSS JOIN target t ON t.id = s.target
    WHERE s.silent = 1 ORDER BY s.last_seen DESC LIMIT ?1";
const SILENT_OF: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent
    FROM target t CROSS JOIN series s INDEXED BY series_silent_target ON s.target = t.id
    WHERE t.source = ?1 AND t.cluster = ?2 AND t.namespace = ?3 AND t.service = ?4 AND s.silent = 1
    ORDER BY s.last_seen DESC LIMIT ?5";

/// The newest report of each object before the moment is dated a millisecond before it.
const REPORTS: &str = "SELECT at, body FROM (
    SELECT r.id, max(r.at, ?1 - 1) AS at, r.body FROM report r WHERE r.at >= ?1 OR (r.last = 0 AND NOT EXISTS
        (SELECT 1 FROM report n WHERE n.about = r.about AND n.id > r.id AND n.at < ?1))) ORDER BY at, id";

impl EventQueries for Snapshot<'_> {
    fn seen(&self, targets: &[&Target]) -> Result<Vec<Seen>, StoreError> {
        let mut all = Vec::new();
        for target in targets {
            let which = params![target.source, target.cluster, target.namespace, target.service];
            all.extend(self.query(OF_TARGET, which, seen)?);
        }
        Ok(all)
    }

    fn rollouts(&self, targets: &[&Target], now: Time) -> Result<Vec<RolloutOf>, StoreError> {
        let read = |(workload, body): (String, String)| {
            let known: Rollouts = self.json("rollouts", &body)?;
            Ok((workload, known))
        };
        let mut all = Vec::new();
        for target in targets {
            let which = params![target.source, target.cluster, target.namespace, target.service];
            let rows = self.query(ROLLOUTS, which, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            let known = rows.into_iter().map(read).collect::<Result<_, StoreError>>()?;
            all.extend(rows::recent_rollouts(known, now));
        }
        Ok(all)
    }

    fn baseline(&self, of: Option<&[Target]>, most: u32) -> Result<Vec<Seen>, StoreError> {
        let Some(targets) = of else { return self.query(SILENT, [most], seen) };
        let mut all: Vec<Seen> = Vec::new();
        for target in targets.iter().take(MAX_SERVICES) {
            let which = params![target.source, target.cluster, target.namespace, target.service, most];
            all.extend(self.query(SILENT_OF, which, seen)?);
        }
        Ok(rows::newest_baseline(all, most))
    }

    fn history(&self, since: Time) -> Result<History, StoreError> {
        let rows = self.query(
            "SELECT o.at, o.kind, o.new, o.count, o.last_seen, o.episode,
                    t.source, t.cluster, t.namespace, t.service,
                    s.level, s.obj_type, s.obj_name, s.reason, s.message,
                    s.node, s.signal, s.metadata
             FROM observation o LEFT JOIN target t ON t.id = o.target
             LEFT JOIN series s ON s.target = o.target AND s.sid = o.sid AND s.episode = o.episode
             WHERE o.at >= ?1 ORDER BY o.at, o.id",
            [since.millis()],
            observation,
        )?;
        let from = rows.iter().map(|(at, _)| *at).min();
        let lost = rows.iter().filter(|(_, observation)| observation.is_none()).count() as u64;
        let observations = rows.into_iter().filter_map(|(_, observation)| observation).collect();
        let rows = self
            .query(REPORTS, [since.millis()], |row| Ok((Time::from_millis(row.get(0)?), row.get::<_, String>(1)?)))?;
        let read = |(at, body): (Time, String)| Ok((at, self.json("what a source said of an object", &body)?));
        let reports = rows.into_iter().map(read).collect::<Result<_, StoreError>>()?;
        Ok(History { observations, reports, lost, from })
    }
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    let text = |at| row.get::<_, String>(at).map(std::borrow::Cow::Owned);
    let event = Event {
        first_seen: Time::from_millis(row.get(4)?),
        last_seen: Time::from_millis(row.get(5)?),
        count: load::id(row, 6)?,
        level: load::level(row, 7)?,
        obj_type: text(8)?,
        obj_name: text(9)?,
        reason: text(10)?,
        message: text(11)?,
        ..Event::default()
    };
    Ok(Seen { target: super::target(row)?, event, silent: row.get(12)? })
}

/// When it was observed, and what; `None` if its target or its episode is gone.
fn observation(row: &Row<'_>) -> rusqlite::Result<(Time, Option<Observation>)> {
    let target = match row.get::<_, Option<String>>(6)? {
        Some(source) => {
            let [cluster, namespace, service]: [String; 3] = [row.get(7)?, row.get(8)?, row.get(9)?];
            Some(Target::new(&source, &cluster, &namespace, &service))
        }
        None => None,
    };
    let episode = match row.get::<_, Option<i64>>(10)? {
        Some(_) => Some(EpisodeRow {
            first_seen: Time::from_millis(row.get(5)?),
            level: load::level(row, 10)?,
            obj_type: row.get(11)?,
            obj_name: row.get(12)?,
            reason: row.get(13)?,
            message: row.get(14)?,
            node: row.get(15)?,
            signal: row.get(16)?,
            metadata: metadata(row, 17)?,
        }),
        None => None,
    };
    let row = ObservationRow {
        at: Time::from_millis(row.get(0)?),
        kind: row.get(1)?,
        new: load::id(row, 2)?,
        count: load::id(row, 3)?,
        last_seen: Time::from_millis(row.get(4)?),
        target,
        episode,
    };
    let at = row.at;
    let observation = row.observation().map_err(|kind| rusqlite::Error::IntegralValueOutOfRange(1, kind))?;
    Ok((at, observation))
}

fn metadata(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Metadata>> {
    let Some(text) = row.get::<_, Option<String>>(at)? else { return Ok(None) };
    let damaged = |error| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error));
    serde_json::from_str(&text).map(Some).map_err(damaged)
}
