//! Services and workloads by name.

use super::{Snapshot, Wanted};
use crate::StoreError;
use podbell_core::event::Target;
use podbell_core::time::Time;

pub(super) const QUERIES: &[&str] = &[NAMED, WORKLOAD];

const NAMED: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM target
    WHERE service = ?1 LIMIT 2000";
const WORKLOAD: &str = "SELECT DISTINCT s.source, s.cluster, s.namespace, s.service FROM
    (SELECT id FROM incident WHERE workload = ?1 ORDER BY id DESC LIMIT 500) i JOIN shown s ON s.incident = i.id";
/// Names are looked through only to suggest the nearest; more services than this are no reason to be slow.
const ALL: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM target LIMIT 20000";

/// A service that is watched.
#[derive(Clone, Debug)]
pub struct Service {
    /// Which.
    pub target: Target,
    /// When it was last read, as far as that is stored.
    pub read_at: Option<Time>,
    /// Since when it cannot be read.
    pub failing_since: Option<Time>,
}

impl Snapshot<'_> {
    /// The services of this name, wherever they are.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn services_named(&self, name: &str) -> Result<Vec<Service>, StoreError> {
        self.query(NAMED, [name], service)
    }

    /// The services that show the incidents of a workload of this name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn services_of_workload(&self, name: &str) -> Result<Vec<Target>, StoreError> {
        self.query(WORKLOAD, [name], super::target)
    }

    /// How many services are watched.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn service_count(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM target", [])
    }

    /// The services that somebody wants, of all: a small table.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn services(&self, wanted: Wanted<'_>) -> Result<Vec<Service>, StoreError> {
        let found =
            self.query(ALL, [], |row| if wanted(super::names(row)?) { service(row).map(Some) } else { Ok(None) });
        Ok(found?.into_iter().flatten().collect())
    }
}

pub(super) fn service(row: &rusqlite::Row<'_>) -> rusqlite::Result<Service> {
    let time = |at| row.get::<_, Option<i64>>(at).map(|ms| ms.map(Time::from_millis));
    Ok(Service { target: super::target(row)?, read_at: time(4)?, failing_since: time(5)? })
}
