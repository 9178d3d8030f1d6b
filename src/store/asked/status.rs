//! How much waits, and how destinations are.

use super::Snapshot;
use crate::store::StoreError;

pub(super) const QUERIES: &[&str] = &[WAITING, DEAD];

const WAITING: &str = "SELECT count(*) FROM delivery WHERE state IN ('due', 'claimed')";
const DEAD: &str = "SELECT count(*) FROM delivery WHERE state = 'dead'";

impl Snapshot<'_> {
    /// How many deliveries wait, and how many were given up.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deliveries(&self) -> Result<(u64, u64), StoreError> {
        Ok((self.count(WAITING, [])?, self.count(DEAD, [])?))
    }

    /// Destinations that take no messages at the moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn troubled_destinations(&self) -> Result<Vec<String>, StoreError> {
        let troubled = |health: &crate::core::outbox::Health| health.paused.is_some() || health.failures > 0;
        let all = self.list_destinations()?.into_iter();
        Ok(all.filter(|(_, health)| troubled(health)).map(|(name, _)| name.to_string()).collect())
    }
}
