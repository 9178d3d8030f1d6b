//! Watched services.

use tokio_postgres::Row;

use super::Snapshot;
use crate::postgres::call::Call;
use crate::postgres::column::{Column, get, id, names, optional_time, target};
use crate::rows::sql;
use crate::{Service, ServiceQueries, StoreError, Wanted};
use podbell_core::event::Target;
use podbell_core::time::Time;
use podbell_core::timeline::{Bar, QUARTERS, Timeline, quarter};

#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) const QUERIES: &[&str] = &[NAMED, AT, OF_WORKLOAD, AFTER, TIMELINE];

const NAMED: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM podbell.target
    WHERE service COLLATE \"C\" = $1 ORDER BY id LIMIT 2000";
const AT: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM podbell.target
    WHERE service COLLATE \"C\" = $1 AND namespace = $2 AND cluster = $3 ORDER BY id LIMIT 20";
const OF_WORKLOAD: &str = "SELECT DISTINCT s.source, s.cluster, s.namespace, s.service FROM
    (SELECT id FROM podbell.incident WHERE workload = $1 ORDER BY id DESC LIMIT 500) i JOIN podbell.shown s ON s.incident = i.id";
/// Limited, because names are scanned only to suggest the nearest, and that must not be slow.
const ALL: &str =
    "SELECT source, cluster, namespace, service, last_good, failing_since FROM podbell.target ORDER BY id LIMIT 20000";
const AFTER: &str = "SELECT source, cluster, namespace, service, last_good, failing_since, id FROM podbell.target
    WHERE id > $1 ORDER BY id LIMIT $2";
const TIMELINE: &str =
    "SELECT y.quarter, y.warnings, y.others FROM podbell.target t JOIN podbell.tally y ON y.target = t.id
    WHERE t.source = $1 AND t.cluster = $2 AND t.namespace = $3 AND t.service = $4 AND y.quarter > $5";

const WHAT: &str = "a service";

impl ServiceQueries for Snapshot<'_> {
    fn services_named(&self, name: &str) -> Result<Vec<Service>, StoreError> {
        self.query(named(name), WHAT, service)
    }

    fn service_at(&self, cluster: &str, namespace: &str, name: &str) -> Result<Vec<Service>, StoreError> {
        self.query(Call::new(AT).text(name).text(namespace).text(cluster), WHAT, service)
    }

    fn services_of_workload(&self, name: &str) -> Result<Vec<Target>, StoreError> {
        self.query(Call::new(OF_WORKLOAD).text(name), WHAT, target)
    }

    fn services(&self, wanted: Wanted<'_>) -> Result<Vec<Service>, StoreError> {
        let found =
            self.query(Call::new(ALL), WHAT, |row| if wanted(names(row)?) { service(row).map(Some) } else { Ok(None) });
        Ok(found?.into_iter().flatten().collect())
    }

    fn services_after(&self, after: u64, most: u32) -> Result<Vec<(u64, Service)>, StoreError> {
        let call = Call::new(AFTER).number(sql(after)).number(i64::from(most));
        self.query(call, WHAT, |row| Ok((id(row, 6)?, service(row)?)))
    }

    fn service_count(&self) -> Result<u64, StoreError> {
        self.count(Call::new("SELECT count(*) FROM podbell.target"))
    }

    fn timelines(&self, targets: &[&Target], now: Time) -> Result<Vec<Timeline>, StoreError> {
        let since = quarter(now) - i64::try_from(QUARTERS).unwrap_or(i64::MAX);
        let calls = targets.iter().map(|target| Call::new(TIMELINE).target(target).number(since));
        let bars = self.query_each(calls, "a timeline", |row| {
            Ok((get(row, 0)?, Bar { warnings: id(row, 1)?, others: id(row, 2)? }))
        })?;
        Ok(bars.into_iter().map(|bars| Timeline::new(bars, now)).collect())
    }
}

pub(super) fn named(name: &str) -> Call<'_> {
    Call::new(NAMED).text(name)
}

impl Snapshot<'_> {
    pub(super) fn services_in(&self, rows: &[Row]) -> Result<Vec<Service>, StoreError> {
        Ok(self.session.decode(rows, WHAT, service)?)
    }
}

fn service(row: &Row) -> Column<Service> {
    Ok(Service { target: target(row)?, read_at: optional_time(row, 4)?, failing_since: optional_time(row, 5)? })
}
