//! Pages by key, for programs: each begins after the last key of the one before, so that nothing is
//! missed or comes twice when something is added meanwhile.

use rusqlite::params;

use super::{Service, Snapshot, names};
use crate::load::{self, sql};
use crate::{ListedDelivery, StoreError};

pub(super) const QUERIES: &[&str] = &[INCIDENTS_OPEN, INCIDENTS, TARGETS];

const INCIDENTS_OPEN: &str =
    "SELECT id FROM incident WHERE id < ?1 AND ended_at IS NULL AND phase = 'open' ORDER BY id DESC LIMIT ?2";
const INCIDENTS: &str = "SELECT id FROM incident WHERE id < ?1 AND phase != 'gathering' ORDER BY id DESC LIMIT ?2";
const TARGETS: &str = "SELECT source, cluster, namespace, service, last_good, failing_since, id FROM target
    WHERE id > ?1 ORDER BY id LIMIT ?2";

impl Snapshot<'_> {
    /// The numbers of incidents below one, descending: those that are open, or with `over` all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn incidents_below(&self, below: u64, most: u32, over: bool) -> Result<Vec<u64>, StoreError> {
        let query = if over { INCIDENTS } else { INCIDENTS_OPEN };
        self.query(query, params![sql(below), most], |row| load::id(row, 0))
    }

    /// Services whose rows follow one, with the numbers of the rows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn services_after(&self, after: u64, most: u32) -> Result<Vec<(u64, Service)>, StoreError> {
        self.query(TARGETS, params![sql(after), most], |row| Ok((load::id(row, 6)?, names::service(row)?)))
    }

    /// Deliveries below one, descending, of a destination and in a state if these are given.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deliveries_below(
        &self,
        below: u64,
        most: u32,
        destination: Option<&str>,
        state: Option<&str>,
    ) -> Result<Vec<ListedDelivery>, StoreError> {
        self.listed(
            "d.id < ?1 AND (?2 IS NULL OR d.destination = ?2) AND (?3 IS NULL OR d.state = ?3) ORDER BY d.id DESC LIMIT ?4",
            params![sql(below), destination, state, most],
        )
    }
}
