//! Events: those of a service, the silent baseline, and what changed from poll to poll.

use tokio_postgres::Row;

use super::Snapshot;
use crate::postgres::call::Call;
use crate::postgres::column::{BadColumn, Column, get, id, level, target, time};
use crate::rows::{self, EpisodeRow, MAX_SERVICES, ObservationRow};
use crate::{EventQueries, History, StoreError};
use podbell_core::ask::events::Seen;
use podbell_core::event::{Event, Target};
use podbell_core::metadata::Metadata;
use podbell_core::rollout::{RolloutOf, Rollouts};
use podbell_core::time::Time;

#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) const QUERIES: &[&str] = &[OF_TARGET, SILENT, SILENT_OF, ROLLOUTS];

const ROLLOUT: &str = "rollouts";

/// What is read of an event; `t` is its target.
pub(super) const COLUMNS: &str =
    "t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent";
/// Limited, because nobody reads more episodes of one service. In the order of their keys.
const OF_TARGET: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent FROM podbell.target t JOIN podbell.series s ON s.target = t.id
    WHERE t.source = $1 AND t.cluster = $2 AND t.namespace = $3 AND t.service = $4 ORDER BY s.sid, s.episode LIMIT 5000";
const ROLLOUTS: &str = "SELECT workload, body FROM podbell.rollout
    WHERE source = $1 AND cluster = $2 AND namespace = $3 AND service = $4 ORDER BY workload COLLATE \"C\" LIMIT 500";
const SILENT: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent
    FROM (SELECT * FROM podbell.series WHERE silent ORDER BY last_seen DESC LIMIT $1) s
    JOIN podbell.target t ON t.id = s.target ORDER BY s.last_seen DESC";
const SILENT_OF: &str = "SELECT t.source, t.cluster, t.namespace, t.service, s.episode, s.last_seen, s.count, s.level,
    s.obj_type, s.obj_name, s.reason, s.message, s.silent
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (source, cluster, namespace, service)
    JOIN podbell.target t USING (source, cluster, namespace, service)
    CROSS JOIN LATERAL (SELECT * FROM podbell.series WHERE target = t.id AND silent ORDER BY last_seen DESC LIMIT $5) s";

const WHAT: &str = "an event";

impl EventQueries for Snapshot<'_> {
    fn seen(&self, targets: &[&Target]) -> Result<Vec<Seen>, StoreError> {
        Ok(self.query_each(targets.iter().map(|target| of_target(target)), WHAT, seen)?.into_iter().flatten().collect())
    }

    fn rollouts(&self, targets: &[&Target], now: Time) -> Result<Vec<RolloutOf>, StoreError> {
        let mut all = Vec::new();
        for rows in self.query_each(targets.iter().map(|target| rollouts_of(target)), ROLLOUT, rollout)? {
            all.extend(self.recent(rows, now)?);
        }
        Ok(all)
    }

    fn baseline(&self, of: Option<&[Target]>, most: u32) -> Result<Vec<Seen>, StoreError> {
        let Some(targets) = of else { return self.query(Call::new(SILENT).number(i64::from(most)), WHAT, seen) };
        let targets = targets.get(..MAX_SERVICES).unwrap_or(targets);
        let call = Call::new(SILENT_OF)
            .texts(targets.iter().map(|target| &*target.source))
            .texts(targets.iter().map(|target| &*target.cluster))
            .texts(targets.iter().map(|target| &*target.namespace))
            .texts(targets.iter().map(|target| &*target.service))
            .number(i64::from(most));
        Ok(rows::newest_baseline(self.query(call, WHAT, seen)?, most))
    }

    fn history(&self, since: Time) -> Result<History, StoreError> {
        let since = since.millis();
        let mut history = History::default();
        let select = format!(
            "SELECT o.at, o.kind, o.new, o.count, o.last_seen, o.episode, t.source, t.cluster, t.namespace, t.service,
                s.level, s.obj_type, s.obj_name, s.reason, s.message, s.node, s.signal, s.metadata
             FROM podbell.observation o LEFT JOIN podbell.target t ON t.id = o.target
             LEFT JOIN podbell.series s ON s.target = o.target AND s.sid = o.sid AND s.episode = o.episode
             WHERE o.at >= {since} ORDER BY o.at, o.id"
        );
        let damaged = |BadColumn(why)| self.session.damaged("an entry of the history", why);
        self.each(&select, |row| {
            let row = observation(row).map_err(damaged)?;
            history.from = history.from.min(Some(row.at)).or(Some(row.at));
            match row.observation().map_err(|kind| damaged(BadColumn(format!("{kind} is not a kind"))))? {
                Some(observation) => history.observations.push(observation),
                None => history.lost += 1,
            }
            Ok(())
        })?;
        // The newest report of each object before the moment is dated a millisecond before it.
        let select = format!(
            "SELECT greatest(r.at, {since} - 1), r.body FROM podbell.report r WHERE r.at >= {since} OR (NOT r.last AND NOT EXISTS
             (SELECT FROM podbell.report n WHERE md5(n.about) = md5(r.about) AND n.id > r.id AND n.at < {since}))
             ORDER BY greatest(r.at, {since} - 1), r.id"
        );
        let what = "what a source said of an object";
        self.each(&select, |row| {
            let read = || Ok((time(row, 0)?, get::<String>(row, 1)?));
            let (at, body) = read().map_err(|BadColumn(why)| self.session.damaged(what, why))?;
            history.reports.push((at, self.session.json(what, &body)?));
            Ok(())
        })?;
        Ok(history)
    }
}

pub(super) fn of_target(target: &Target) -> Call<'_> {
    Call::new(OF_TARGET).target(target)
}

pub(super) fn rollouts_of(target: &Target) -> Call<'_> {
    Call::new(ROLLOUTS).target(target)
}

impl Snapshot<'_> {
    /// The rollouts of one service that are new enough.
    fn recent(&self, rows: Vec<(String, String)>, now: Time) -> Result<Vec<RolloutOf>, StoreError> {
        let read = |(workload, body): (String, String)| {
            let known: Rollouts = self.session.json(ROLLOUT, &body)?;
            Ok((workload, known))
        };
        Ok(rows::recent_rollouts(rows.into_iter().map(read).collect::<Result<_, StoreError>>()?, now))
    }

    pub(super) fn seen_of<'r>(&self, rows: impl IntoIterator<Item = &'r Row>) -> Result<Vec<Seen>, StoreError> {
        Ok(self.session.decode(rows, WHAT, seen)?)
    }

    pub(super) fn rollouts_in<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r Row>,
        now: Time,
    ) -> Result<Vec<RolloutOf>, StoreError> {
        self.recent(self.session.decode(rows, ROLLOUT, rollout)?, now)
    }
}

fn rollout(row: &Row) -> Column<(String, String)> {
    Ok((get(row, 0)?, get(row, 1)?))
}

fn seen(row: &Row) -> Column<Seen> {
    let text = |at| get::<String>(row, at).map(std::borrow::Cow::Owned);
    let event = Event {
        first_seen: time(row, 4)?,
        last_seen: time(row, 5)?,
        count: id(row, 6)?,
        level: level(row, 7)?,
        obj_type: text(8)?,
        obj_name: text(9)?,
        reason: text(10)?,
        message: text(11)?,
        ..Event::default()
    };
    Ok(Seen { target: target(row)?, event, silent: get(row, 12)? })
}

fn observation(row: &Row) -> Column<ObservationRow> {
    let target = match get::<Option<&str>>(row, 6)? {
        Some(source) => Some(Target::new(source, get(row, 7)?, get(row, 8)?, get(row, 9)?)),
        None => None,
    };
    let episode = match get::<Option<i64>>(row, 10)? {
        Some(_) => Some(EpisodeRow {
            first_seen: time(row, 5)?,
            level: level(row, 10)?,
            obj_type: get(row, 11)?,
            obj_name: get(row, 12)?,
            reason: get(row, 13)?,
            message: get(row, 14)?,
            node: get(row, 15)?,
            signal: get(row, 16)?,
            metadata: get::<Option<&str>>(row, 17)?.map(metadata).transpose()?,
        }),
        None => None,
    };
    Ok(ObservationRow {
        at: time(row, 0)?,
        kind: get(row, 1)?,
        new: id(row, 2)?,
        count: id(row, 3)?,
        last_seen: time(row, 4)?,
        target,
        episode,
    })
}

fn metadata(text: &str) -> Column<Metadata> {
    serde_json::from_str(text).map_err(|error| BadColumn(format!("metadata: {error}")))
}
