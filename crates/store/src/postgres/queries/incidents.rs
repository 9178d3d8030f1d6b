//! Incidents, user actions on them, decisions, and what was sent.

use tokio_postgres::Row;

use super::Snapshot;
use crate::postgres::call::Call;
use crate::postgres::column::{BadColumn, Column, get, id, names, time, word};
use crate::rows::{self, NewestDecisions, sql};
use crate::{DecisionFilter, IncidentQueries, Incidents, Paging, StoreError, Wanted, incident_codec};
use podbell_core::ask::show::NotificationRecord;
use podbell_core::ask::{Logged, StoredIncident};
use podbell_core::event::Target;
use podbell_core::incident::Incident;
use podbell_core::mute::Mute;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;

#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) const QUERIES: &[&str] = &[
    OPEN,
    OPEN_SCOPED,
    OPEN_BELOW,
    ALL,
    ALL_SCOPED,
    ALL_BELOW,
    COUNT_OPEN,
    COUNT_OVER,
    OF_SERVICE,
    OF_WORKLOAD,
    ESCALATED,
    STORED,
    MUTES,
    ACTIONS,
    TOLD,
    DECISIONS,
    DECISIONS_OF,
    WITHOUT_INCIDENT,
];

const OPEN: &str = "SELECT id FROM podbell.incident WHERE ended_at IS NULL AND phase = 'open'
    ORDER BY last_at DESC, id DESC LIMIT $1 OFFSET $2";
/// Limited: only the newest incidents are searched for those of one team; older ones are left out.
const OPEN_SCOPED: &str = "SELECT s.source, s.cluster, s.namespace, s.service, i.id FROM
    (SELECT id, last_at FROM podbell.incident WHERE ended_at IS NULL AND phase = 'open'
     ORDER BY last_at DESC, id DESC LIMIT 20000) i
    JOIN podbell.shown s ON s.incident = i.id ORDER BY i.last_at DESC, i.id DESC";
const ALL: &str = "SELECT id FROM podbell.incident WHERE phase <> 'gathering' ORDER BY id DESC LIMIT $1 OFFSET $2";
const ALL_SCOPED: &str = "SELECT s.source, s.cluster, s.namespace, s.service, i.id FROM
    (SELECT id FROM podbell.incident WHERE phase <> 'gathering' ORDER BY id DESC LIMIT 5000) i
    JOIN podbell.shown s ON s.incident = i.id ORDER BY i.id DESC";
const COUNT_OPEN: &str = "SELECT count(*) FROM podbell.incident WHERE ended_at IS NULL AND phase = $1";
const COUNT_OVER: &str = "SELECT count(*) FROM podbell.incident WHERE ended_at IS NOT NULL";
pub(super) const OF_SERVICE: &str = "SELECT i.id FROM podbell.incident i WHERE i.id IN
    (SELECT incident FROM podbell.shown WHERE service = $1 AND namespace = $2 AND cluster = $3)
    AND i.ended_at IS NULL AND i.phase = 'open' ORDER BY i.last_at DESC, i.id DESC LIMIT 50";
pub(super) const OF_WORKLOAD: &str =
    "SELECT id FROM podbell.incident i WHERE workload = $1 AND ended_at IS NULL AND phase = 'open'
    AND EXISTS (SELECT FROM podbell.shown WHERE shown.incident = i.id AND shown.namespace = $2 AND shown.cluster = $3)
    ORDER BY last_at DESC, id DESC LIMIT 50";
/// In the order of the numbers, which are one parameter, so that a long list is planned once.
const STORED: &str = "SELECT i.id, i.state, i.ended_at, a.body FROM unnest($1::int8[]) WITH ORDINALITY AS u (id, at)
    JOIN podbell.incident i ON i.id = u.id AND i.phase <> 'gathering'
    LEFT JOIN podbell.acknowledged a ON a.incident = i.id ORDER BY u.at";
/// How many incidents one statement reads, so that its answer stays small.
const STORED_TOGETHER: usize = 100;
const MUTES: &str = "SELECT body FROM podbell.mute WHERE ended_at IS NULL AND until > $1 ORDER BY until, id LIMIT 1000";
const ACTIONS: &str = "SELECT body FROM podbell.action WHERE incident = $1 ORDER BY id DESC LIMIT 100";
const TOLD: &str = "SELECT n.kind, n.made_at, d.destination, d.state FROM podbell.notice n
    JOIN podbell.delivery d ON d.notice = n.id WHERE n.incident = $1 ORDER BY d.id DESC LIMIT 200";
const WITHOUT_INCIDENT: &str = "SELECT body FROM podbell.decision WHERE incident IS NULL ORDER BY id DESC LIMIT 3000";
const DECISIONS: &str = "SELECT id, body FROM podbell.decision WHERE id < $1 ORDER BY id DESC LIMIT 2000";
const DECISIONS_OF: &str =
    "SELECT id, body FROM podbell.decision WHERE incident = $2 AND id < $1 ORDER BY id DESC LIMIT 2000";
const OPEN_BELOW: &str = "SELECT id FROM podbell.incident WHERE id < $1 AND ended_at IS NULL AND phase = 'open'
    ORDER BY id DESC LIMIT $2";
const ALL_BELOW: &str =
    "SELECT id FROM podbell.incident WHERE id < $1 AND phase <> 'gathering' ORDER BY id DESC LIMIT $2";
/// All escalation notices since then; incidents that have ended are filtered out later.
const ESCALATED: &str = "SELECT DISTINCT incident FROM podbell.notice
    WHERE made_at > $1 AND kind = 'escalated' AND incident IS NOT NULL ORDER BY incident DESC LIMIT 2000";

const WHAT: &str = "an incident";

impl IncidentQueries for Snapshot<'_> {
    fn incidents(
        &self,
        which: Incidents,
        page: Paging,
        wanted: Option<Wanted<'_>>,
    ) -> Result<(Vec<u64>, u64), StoreError> {
        let all_of_them = which == Incidents::All;
        let Some(wanted) = wanted else {
            let call = Call::new(if all_of_them { ALL } else { OPEN });
            let ids = self.ids(call.number(i64::from(page.limit)).number(i64::from(page.skip)))?;
            let mut all = self.count(Call::new(COUNT_OPEN).text("open"))?;
            if all_of_them {
                all += self.count(Call::new(COUNT_OPEN).text("resolved"))? + self.count(Call::new(COUNT_OVER))?;
            }
            return Ok((ids, all));
        };
        let mut found: Vec<u64> = Vec::new();
        // The rows of one incident are consecutive.
        self.query(Call::new(if all_of_them { ALL_SCOPED } else { OPEN_SCOPED }), WHAT, |row| {
            let id = id(row, 4)?;
            if found.last() != Some(&id) && wanted(names(row)?) {
                found.push(id);
            }
            Ok(())
        })?;
        let all = found.len() as u64;
        Ok((found.into_iter().skip(page.skip as usize).take(page.limit as usize).collect(), all))
    }

    fn incidents_below(&self, below: u64, most: u32, which: Incidents) -> Result<Vec<u64>, StoreError> {
        let query = if which == Incidents::All { ALL_BELOW } else { OPEN_BELOW };
        self.ids(Call::new(query).number(sql(below)).number(i64::from(most)))
    }

    fn open_of_service(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<u64>, StoreError> {
        self.ids(of_service(cluster, namespace, service))
    }

    fn open_of_workload(&self, cluster: &str, namespace: &str, workload: &str) -> Result<Vec<u64>, StoreError> {
        self.ids(of_workload(cluster, namespace, workload))
    }

    fn escalated_since(&self, since: Time) -> Result<Vec<u64>, StoreError> {
        self.ids(Call::new(ESCALATED).number(since.millis()))
    }

    fn open_of_services(&self, services: &[&Target]) -> Result<Vec<Vec<u64>>, StoreError> {
        let calls = services.iter().map(|of| of_service(&of.cluster, &of.namespace, &of.service));
        self.query_each(calls, WHAT, |row| id(row, 0))
    }

    fn stored_incidents(&self, ids: &[u64]) -> Result<Vec<StoredIncident>, StoreError> {
        let calls = ids.chunks(STORED_TOGETHER).map(|some| Call::new(STORED).numbers(some.iter().copied().map(sql)));
        self.query_each(calls, WHAT, stored_incident_row)?
            .into_iter()
            .flatten()
            .map(|row| self.stored_incident(row))
            .collect()
    }

    fn incident(&self, id: u64) -> Result<Option<Incident>, StoreError> {
        let select = Call::new("SELECT state FROM podbell.incident WHERE id = $1").number(sql(id));
        let states = self.query(select, WHAT, |row| get::<Vec<u8>>(row, 0))?;
        states.first().map(|state| self.decoded(id, state)).transpose()
    }

    fn mutes(&self, now: Time) -> Result<Vec<Mute>, StoreError> {
        let rows = self.session.query(mutes(now))?;
        self.mutes_of(&rows)
    }

    fn actions(&self, incident: u64) -> Result<Vec<Logged>, StoreError> {
        let call = Call::new(ACTIONS).number(sql(incident));
        let rows = self.query(call, "an action", |row| get::<String>(row, 0))?;
        rows.iter().rev().map(|body| Ok(self.session.json("an action", body)?)).collect()
    }

    fn told(&self, incident: u64) -> Result<Vec<NotificationRecord>, StoreError> {
        let mut told = self.query(Call::new(TOLD).number(sql(incident)), "what was sent", |row| {
            Ok(NotificationRecord { kind: word(row, 0)?, at: time(row, 1)?, to: get(row, 2)?, state: word(row, 3)? })
        })?;
        told.reverse();
        Ok(told)
    }

    fn decisions(&self, filter: &DecisionFilter, most: usize) -> Result<Vec<Decision>, StoreError> {
        let mut found = NewestDecisions::new(filter, most);
        let mut below = i64::MAX;
        loop {
            let call = match filter.incident {
                Some(incident) => Call::new(DECISIONS_OF).number(below).number(sql(incident)),
                None => Call::new(DECISIONS).number(below),
            };
            let page = self.query(call, DECISION, |row| Ok((get::<i64>(row, 0)?, decision(row, 1)?)))?;
            let Some((last, _)) = page.last() else { return Ok(found.oldest_first()) };
            below = *last;
            page.into_iter().for_each(|(_, decision)| found.add(decision));
            if found.is_full() {
                return Ok(found.oldest_first());
            }
        }
    }

    fn without_incident(&self, since: Time) -> Result<Vec<Decision>, StoreError> {
        let mut decisions = self.query(Call::new(WITHOUT_INCIDENT), DECISION, |row| decision(row, 0))?;
        let recent = decisions.iter().take_while(|decision| decision.at >= since).count();
        decisions.truncate(recent);
        Ok(decisions)
    }
}

const DECISION: &str = "a decision";

fn decision(row: &tokio_postgres::Row, at: usize) -> Result<Decision, BadColumn> {
    rmp_serde::from_slice(get(row, at)?).map_err(|error| BadColumn(format!("column {at}: {error}")))
}

/// The columns of a stored incident: its number, state, end and acknowledgement.
type StoredIncidentRow = (u64, Vec<u8>, Option<i64>, Option<String>);

fn stored_incident_row(row: &Row) -> Column<StoredIncidentRow> {
    Ok((id(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?))
}

/// What is read of a stored incident, and of which tables beside those that were found.
pub(super) const STORED_COLUMNS: &str = "k.id, k.state, k.ended_at, a.body";
pub(super) const STORED_OF_FOUND: &str = "JOIN podbell.incident k ON k.id = found.id
    LEFT JOIN podbell.acknowledged a ON a.incident = k.id";

/// The incidents that a query finds, as they are stored.
fn stored(found: &str) -> String {
    format!("SELECT {STORED_COLUMNS} FROM ({found}) found {STORED_OF_FOUND}")
}

#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) fn stored_at_places() -> impl Iterator<Item = String> {
    [OF_SERVICE, OF_WORKLOAD].into_iter().map(stored)
}

/// The open incidents of a service.
pub(super) fn stored_of_service<'a>(cluster: &'a str, namespace: &'a str, service: &'a str) -> Call<'a> {
    Call::new(stored(OF_SERVICE)).text(service).text(namespace).text(cluster)
}

/// The open incidents of a workload.
pub(super) fn stored_of_workload<'a>(cluster: &'a str, namespace: &'a str, workload: &'a str) -> Call<'a> {
    Call::new(stored(OF_WORKLOAD)).text(workload).text(namespace).text(cluster)
}

/// The mutes in force.
pub(super) fn mutes(now: Time) -> Call<'static> {
    Call::new(MUTES).number(now.millis())
}

fn of_workload<'a>(cluster: &'a str, namespace: &'a str, workload: &'a str) -> Call<'a> {
    Call::new(OF_WORKLOAD).text(workload).text(namespace).text(cluster)
}

fn of_service<'a>(cluster: &'a str, namespace: &'a str, service: &'a str) -> Call<'a> {
    Call::new(OF_SERVICE).text(service).text(namespace).text(cluster)
}

impl Snapshot<'_> {
    fn stored_incident(&self, (id, state, ended_at, body): StoredIncidentRow) -> Result<StoredIncident, StoreError> {
        let what = format!("the acknowledgement of {id}");
        let acknowledged = body.map(|body| self.session.json(what, &body)).transpose()?;
        Ok(rows::stored_incident(self.decoded(id, &state)?, ended_at, acknowledged))
    }

    pub(super) fn stored_in<'r>(
        &self,
        rows: impl IntoIterator<Item = &'r Row>,
    ) -> Result<Vec<StoredIncident>, StoreError> {
        self.session.decode(rows, WHAT, stored_incident_row)?.into_iter().map(|row| self.stored_incident(row)).collect()
    }

    pub(super) fn mutes_of(&self, rows: &[Row]) -> Result<Vec<Mute>, StoreError> {
        let bodies = self.session.decode(rows, "a mute", |row| get::<String>(row, 0))?;
        bodies.iter().map(|body| Ok(self.session.json("a mute", body)?)).collect()
    }

    fn ids(&self, call: Call<'_>) -> Result<Vec<u64>, StoreError> {
        self.query(call, WHAT, |row| id(row, 0))
    }

    fn decoded(&self, id: u64, state: &[u8]) -> Result<Incident, StoreError> {
        incident_codec::read(state).map_err(|error| self.session.damaged(format!("incident {id}"), error).into())
    }
}
