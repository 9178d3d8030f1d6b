//! Incidents, user actions on them, decisions, and what was sent.

use rusqlite::{OptionalExtension as _, params};

use super::Snapshot;
use crate::rows::{self, NewestDecisions, sql};
use crate::sqlite::load;
use crate::{DecisionFilter, IncidentQueries, Incidents, Paging, StoreError, Wanted, incident_codec};
use podbell_core::ask::show::NotificationRecord;
use podbell_core::ask::{Logged, StoredIncident};
use podbell_core::event::Target;
use podbell_core::incident::Incident;
use podbell_core::mute::Mute;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;

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
    KEPT,
    MUTES,
    ACTIONS,
    TOLD,
    WITHOUT_INCIDENT,
];

const OPEN: &str = "SELECT id FROM incident WHERE ended_at IS NULL AND phase = 'open'
    ORDER BY last_at DESC, id DESC LIMIT ?1 OFFSET ?2";
/// Limited: only the newest incidents are searched for those of one team; older ones are left out.
const OPEN_SCOPED: &str = "SELECT s.source, s.cluster, s.namespace, s.service, i.id FROM
    (SELECT id, last_at FROM incident WHERE ended_at IS NULL AND phase = 'open'
     ORDER BY last_at DESC, id DESC LIMIT 20000) i
    CROSS JOIN shown s ON s.incident = i.id";
const ALL: &str = "SELECT id FROM incident WHERE phase != 'gathering' ORDER BY id DESC LIMIT ?1 OFFSET ?2";
const ALL_SCOPED: &str = "SELECT s.source, s.cluster, s.namespace, s.service, i.id FROM
    (SELECT id FROM incident WHERE phase != 'gathering' ORDER BY id DESC LIMIT 5000) i
    CROSS JOIN shown s ON s.incident = i.id";
const COUNT_OPEN: &str = "SELECT count(*) FROM incident WHERE ended_at IS NULL AND phase = ?1";
const COUNT_OVER: &str = "SELECT count(*) FROM incident WHERE ended_at IS NOT NULL";
/// Joined from `shown`: scanning all open incidents costs 2 ms for ten thousand of them.
const OF_SERVICE: &str = "SELECT DISTINCT i.id FROM shown s CROSS JOIN incident i ON i.id = s.incident
    WHERE s.service = ?1 AND s.namespace = ?2 AND s.cluster = ?3 AND i.ended_at IS NULL AND i.phase = 'open'
    ORDER BY i.last_at DESC, i.id DESC LIMIT 50";
const OF_WORKLOAD: &str =
    "SELECT id FROM incident INDEXED BY incident_workload WHERE workload = ?1 AND ended_at IS NULL AND phase = 'open'
    AND EXISTS (SELECT 1 FROM shown WHERE shown.incident = incident.id AND shown.namespace = ?2 AND shown.cluster = ?3)
    ORDER BY last_at DESC, id DESC LIMIT 50";
const KEPT: &str = "SELECT i.state, i.ended_at, a.body FROM incident i LEFT JOIN acknowledged a ON a.incident = i.id
    WHERE i.id = ?1 AND i.phase != 'gathering'";
const MUTES: &str = "SELECT body FROM mute WHERE ended_at IS NULL AND until > ?1 ORDER BY until LIMIT 1000";
const ACTIONS: &str = "SELECT body FROM action WHERE incident = ?1 ORDER BY id DESC LIMIT 100";
const TOLD: &str = "SELECT n.kind, n.made_at, d.destination, d.state FROM notice n JOIN delivery d ON d.notice = n.id
    WHERE n.incident = ?1 ORDER BY d.id DESC LIMIT 200";
const WITHOUT_INCIDENT: &str = "SELECT body FROM decision WHERE incident IS NULL ORDER BY id DESC LIMIT 3000";

const OPEN_BELOW: &str =
    "SELECT id FROM incident WHERE id < ?1 AND ended_at IS NULL AND phase = 'open' ORDER BY id DESC LIMIT ?2";
const ALL_BELOW: &str = "SELECT id FROM incident WHERE id < ?1 AND phase != 'gathering' ORDER BY id DESC LIMIT ?2";
/// All escalation notices since then; incidents that have ended are filtered out later.
const ESCALATED: &str = "SELECT DISTINCT incident FROM notice INDEXED BY notice_made
    WHERE made_at > ?1 AND kind = 'escalated' AND incident IS NOT NULL ORDER BY incident DESC LIMIT 2000";

impl IncidentQueries for Snapshot<'_> {
    fn incidents(
        &self,
        which: Incidents,
        page: Paging,
        wanted: Option<Wanted<'_>>,
    ) -> Result<(Vec<u64>, u64), StoreError> {
        let Some(wanted) = wanted else {
            let ids =
                self.query(if which == Incidents::All { ALL } else { OPEN }, params![page.limit, page.skip], |row| {
                    load::id(row, 0)
                })?;
            let mut all = self.count(COUNT_OPEN, ["open"])?;
            if which == Incidents::All {
                all += self.count(COUNT_OPEN, ["resolved"])? + self.count(COUNT_OVER, [])?;
            }
            return Ok((ids, all));
        };
        let mut found: Vec<u64> = Vec::new();
        let mut last = None;
        // The rows of one incident are consecutive.
        self.query(if which == Incidents::All { ALL_SCOPED } else { OPEN_SCOPED }, [], |row| {
            let id = load::id(row, 4)?;
            if last != Some(id) && wanted(super::names(row)?) {
                last = Some(id);
                found.push(id);
            }
            Ok(())
        })?;
        let all = found.len() as u64;
        Ok((found.into_iter().skip(page.skip as usize).take(page.limit as usize).collect(), all))
    }

    fn open_of_service(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<u64>, StoreError> {
        self.query(OF_SERVICE, [service, namespace, cluster], |row| load::id(row, 0))
    }

    fn open_of_workload(&self, cluster: &str, namespace: &str, workload: &str) -> Result<Vec<u64>, StoreError> {
        self.query(OF_WORKLOAD, [workload, namespace, cluster], |row| load::id(row, 0))
    }

    fn open_of_services(&self, services: &[&Target]) -> Result<Vec<Vec<u64>>, StoreError> {
        services.iter().map(|of| self.open_of_service(&of.cluster, &of.namespace, &of.service)).collect()
    }

    fn stored_incidents(&self, ids: &[u64]) -> Result<Vec<StoredIncident>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Option<String>>(2)?))
        };
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let row =
                self.connection.prepare_cached(KEPT).and_then(|mut one| one.query_row([sql(*id)], read).optional());
            let Some((state, ended_at, body)) = row.map_err(|source| self.error(source))? else { continue };
            let incident =
                incident_codec::read(&state).map_err(|error| self.row_error(format!("incident {id}"), error))?;
            let acknowledged = body.map(|body| self.json(format!("the acknowledgement of {id}"), &body)).transpose()?;
            all.push(rows::stored_incident(incident, ended_at, acknowledged));
        }
        Ok(all)
    }

    fn mutes(&self, now: Time) -> Result<Vec<Mute>, StoreError> {
        let rows = self.query(MUTES, [now.millis()], |row| row.get::<_, String>(0))?;
        rows.iter().map(|body| Ok(self.json("a mute", body)?)).collect()
    }

    fn actions(&self, incident: u64) -> Result<Vec<Logged>, StoreError> {
        let rows = self.query(ACTIONS, [sql(incident)], |row| row.get::<_, String>(0))?;
        rows.iter().rev().map(|body| Ok(self.json("an action", body)?)).collect()
    }

    fn told(&self, incident: u64) -> Result<Vec<NotificationRecord>, StoreError> {
        let mut told = self.query(TOLD, [sql(incident)], |row| {
            let at = Time::from_millis(row.get(1)?);
            Ok(NotificationRecord { kind: load::word(row, 0)?, at, to: row.get(2)?, state: load::word(row, 3)? })
        })?;
        told.reverse();
        Ok(told)
    }

    fn without_incident(&self, since: Time) -> Result<Vec<Decision>, StoreError> {
        let rows = self.query(WITHOUT_INCIDENT, [], |row| row.get::<_, Vec<u8>>(0))?;
        let mut decisions: Vec<Decision> = Vec::new();
        for body in rows {
            let decision: Decision =
                rmp_serde::from_slice(&body).map_err(|error| self.row_error("a decision", error))?;
            if decision.at < since {
                break;
            }
            decisions.push(decision);
        }
        Ok(decisions)
    }

    fn incidents_below(&self, below: u64, most: u32, which: Incidents) -> Result<Vec<u64>, StoreError> {
        let query = if which == Incidents::All { ALL_BELOW } else { OPEN_BELOW };
        self.query(query, params![sql(below), most], |row| load::id(row, 0))
    }

    fn escalated_since(&self, since: Time) -> Result<Vec<u64>, StoreError> {
        self.query(ESCALATED, [since.millis()], |row| load::id(row, 0))
    }

    fn decisions(&self, filter: &DecisionFilter, most: usize) -> Result<Vec<Decision>, StoreError> {
        let of = |source| self.error(source);
        let (which, of_incident) = match filter.incident {
            Some(id) => ("WHERE incident = ?1", Some(sql(id))),
            None => ("", None),
        };
        let mut query =
            self.connection.prepare(&format!("SELECT body FROM decision {which} ORDER BY id DESC")).map_err(of)?;
        let mut rows = query.query(rusqlite::params_from_iter(of_incident)).map_err(of)?;
        let mut found = NewestDecisions::new(filter, most);
        while let Some(row) = rows.next().map_err(of)? {
            let body = row.get_ref(0).and_then(|body| Ok(body.as_blob()?)).map_err(of)?;
            let decision: Decision =
                rmp_serde::from_slice(body).map_err(|error| self.row_error("a decision", error))?;
            found.add(decision);
            if found.is_full() {
                break;
            }
        }
        Ok(found.oldest_first())
    }

    fn incident(&self, id: u64) -> Result<Option<Incident>, StoreError> {
        let rows = self.query("SELECT state FROM incident WHERE id = ?1", [sql(id)], |row| row.get::<_, Vec<u8>>(0))?;
        let read = |bytes: &Vec<u8>| {
            incident_codec::read(bytes).map_err(|error| self.row_error(format!("incident {id}"), error))
        };
        rows.first().map(read).transpose()
    }
}
