//! Watched services.

use rusqlite::{Row, params};

use super::Snapshot;
use crate::rows::sql;
use crate::sqlite::load;
use crate::{Service, ServiceQueries, StoreError, Wanted};
use podbell_core::event::Target;
use podbell_core::time::Time;
use podbell_core::timeline::{Bar, QUARTERS, Timeline, quarter};

pub(super) const QUERIES: &[&str] = &[NAMED, AT, OF_WORKLOAD, AFTER, TIMELINE];

const NAMED: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM target
    WHERE service = ?1 LIMIT 2000";
const AT: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM target
    WHERE service = ?1 AND namespace = ?2 AND cluster = ?3 LIMIT 20";
const OF_WORKLOAD: &str = "SELECT DISTINCT s.source, s.cluster, s.namespace, s.service FROM
    (SELECT id FROM incident WHERE workload = ?1 ORDER BY id DESC LIMIT 500) i JOIN shown s ON s.incident = i.id";
/// Limited, because names are scanned only to suggest the nearest, and that must not be slow.
const ALL: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM target LIMIT 20000";
const AFTER: &str = "SELECT source, cluster, namespace, service, last_good, failing_since, id FROM target
    WHERE id > ?1 ORDER BY id LIMIT ?2";
const TIMELINE: &str = "SELECT y.quarter, y.warnings, y.others FROM target t CROSS JOIN tally y ON y.target = t.id
    WHERE t.source = ?1 AND t.cluster = ?2 AND t.namespace = ?3 AND t.service = ?4 AND y.quarter > ?5";

impl ServiceQueries for Snapshot<'_> {
    fn services_named(&self, name: &str) -> Result<Vec<Service>, StoreError> {
        self.query(NAMED, [name], service)
    }

    fn service_at(&self, cluster: &str, namespace: &str, name: &str) -> Result<Vec<Service>, StoreError> {
        self.query(AT, [name, namespace, cluster], service)
    }

    fn services_of_workload(&self, name: &str) -> Result<Vec<Target>, StoreError> {
        self.query(OF_WORKLOAD, [name], super::target)
    }

    fn services(&self, wanted: Wanted<'_>) -> Result<Vec<Service>, StoreError> {
        let found =
            self.query(ALL, [], |row| if wanted(super::names(row)?) { service(row).map(Some) } else { Ok(None) });
        Ok(found?.into_iter().flatten().collect())
    }

    fn services_after(&self, after: u64, most: u32) -> Result<Vec<(u64, Service)>, StoreError> {
        self.query(AFTER, params![sql(after), most], |row| Ok((load::id(row, 6)?, service(row)?)))
    }

    fn service_count(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM target", [])
    }

    fn timelines(&self, targets: &[&Target], now: Time) -> Result<Vec<Timeline>, StoreError> {
        let since = quarter(now) - QUARTERS as i64;
        let one = |target: &&Target| {
            let which = params![target.source, target.cluster, target.namespace, target.service, since];
            let bars = self.query(TIMELINE, which, |row| {
                Ok((row.get(0)?, Bar { warnings: load::id(row, 1)?, others: load::id(row, 2)? }))
            })?;
            Ok(Timeline::new(bars, now))
        };
        targets.iter().map(one).collect()
    }
}

fn service(row: &Row<'_>) -> rusqlite::Result<Service> {
    let time = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(Time::from_millis));
    Ok(Service { target: super::target(row)?, read_at: time(4)?, failing_since: time(5)? })
}
