//! What the status page asks beside what chats do.

use rusqlite::params;

use super::{Service, Snapshot, names};
use crate::StoreError;
use crate::load;
use podbell_core::event::Target;
use podbell_core::step::TroubleState;
use podbell_core::time::Time;
use podbell_core::timeline::{Bar, QUARTERS, Timeline, quarter};

pub(super) const QUERIES: &[&str] = &[TIMELINE, WORSENING, QUEUES, PREFIX, SERVICE];

const TIMELINE: &str = "SELECT y.quarter, y.warnings, y.others FROM target t CROSS JOIN tally y ON y.target = t.id
    WHERE t.source = ?1 AND t.cluster = ?2 AND t.namespace = ?3 AND t.service = ?4 AND y.quarter > ?5";
/// Of whatever was told lately; an incident that is over by now is sorted out afterwards.
const WORSENING: &str = "SELECT DISTINCT incident FROM notice INDEXED BY notice_made
    WHERE made_at > ?1 AND kind = 'escalated' AND incident IS NOT NULL ORDER BY incident DESC LIMIT 2000";
/// In the very words of its index: SQLite takes it for nothing else.
const QUEUES: &str = "SELECT destination, state, count(*) FROM delivery WHERE state IN ('due', 'claimed', 'dead') GROUP BY destination, state";
const PREFIX: &str = "SELECT source, cluster, namespace, service, last_good, failing_since, id FROM target
    INDEXED BY target_service WHERE service >= ?1 AND service < ?1 || char(1114111) ORDER BY service LIMIT 1000";
const SERVICE: &str = "SELECT source, cluster, namespace, service, last_good, failing_since FROM target
    WHERE service = ?1 AND namespace = ?2 AND cluster = ?3 LIMIT 20";

/// How many deliveries of a destination are in which state.
pub type Queue = (String, String, u64);

impl Snapshot<'_> {
    /// A service's last day.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn timeline(&self, target: &Target, now: Time) -> Result<Timeline, StoreError> {
        let since = quarter(now) - QUARTERS as i64;
        let which = params![target.source, target.cluster, target.namespace, target.service, since];
        let bars = self.query(TIMELINE, which, |row| {
            Ok((row.get(0)?, Bar { warnings: load::id(row, 1)?, others: load::id(row, 2)? }))
        })?;
        Ok(Timeline::new(bars, now))
    }

    /// The numbers of incidents of which it was told since then that they got worse, the newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn escalated_since(&self, since: Time) -> Result<Vec<u64>, StoreError> {
        self.query(WORSENING, [since.millis()], |row| load::id(row, 0))
    }

    /// How many deliveries wait, leave and were given up, by destination.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        self.query(QUEUES, [], |row| Ok((row.get(0)?, row.get(1)?, load::id(row, 2)?)))
    }

    /// Services whose names begin like this, in the order of their names.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn services_like(&self, beginning: &str) -> Result<Vec<Service>, StoreError> {
        self.query(PREFIX, [beginning], names::service)
    }

    /// One service, once for each source that shows it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn service_at(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<Service>, StoreError> {
        self.query(SERVICE, [service, namespace, cluster], names::service)
    }

    /// Podbell's own troubles: a handful.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn own_troubles(&self) -> Result<Vec<TroubleState>, StoreError> {
        self.troubles()
    }
}
