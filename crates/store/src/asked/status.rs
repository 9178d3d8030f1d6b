//! How much waits, and how destinations are.

use super::Snapshot;
use crate::{StoreError, load};

pub(super) const QUERIES: &[&str] = &[OPEN];

/// In the very words of its index: SQLite takes it for nothing else.
const OPEN: &str = "SELECT state, count(*) FROM delivery WHERE state IN ('due', 'claimed', 'dead') GROUP BY state";

impl Snapshot<'_> {
    /// How many deliveries wait, and how many were given up.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deliveries(&self) -> Result<(u64, u64), StoreError> {
        let states = self.query(OPEN, [], |row| Ok((row.get::<_, String>(0)?, load::id(row, 1)?)))?;
        let of = |dead: bool| states.iter().filter(|(state, _)| (state == "dead") == dead).map(|(_, n)| n).sum();
        Ok((of(false), of(true)))
    }

    /// Destinations that take no messages at the moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn troubled_destinations(&self) -> Result<Vec<String>, StoreError> {
        let troubled = |health: &podbell_core::outbox::Health| health.paused.is_some() || health.failures > 0;
        let all = self.list_destinations()?.into_iter();
        Ok(all.filter(|(_, health)| troubled(health)).map(|(name, _)| name.to_string()).collect())
    }
}
