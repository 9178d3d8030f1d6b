//! What `podbell outbox list` shows.

use serde::Serialize;

use super::{Store, StoreError, load};
use podbell_core::notice::Notice;
use podbell_core::outbox::Health;
use podbell_core::rules::rule::Destination;
use podbell_core::time::Time;

/// Which deliveries are listed.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Of one destination only.
    pub destination: Option<String>,
    /// Sent and folded ones, too.
    pub all: bool,
    /// At most so many, the newest.
    pub limit: u32,
}

/// A delivery with its notice.
#[derive(Clone, Debug, Serialize)]
pub struct ListedDelivery {
    /// Its number.
    pub id: u64,
    /// To whom.
    pub destination: String,
    /// due, claimed, sent, folded or dead.
    pub state: String,
    /// When it was sent, folded or given up.
    pub done_at: Option<Time>,
    /// The delivery that told it, if it was folded.
    pub folded_into: Option<u64>,
    /// Why it was given up.
    pub why: Option<String>,
    /// How many incidents the request told that carries or carried it; more than one: a digest.
    pub together: u64,
    /// How often its open request was tried.
    pub attempts: Option<u32>,
    /// What it says.
    pub notice: Notice,
}

impl Store {
    /// How the destinations are: what their deliveries wait for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_destinations(&self) -> Result<Vec<(Destination, Health)>, StoreError> {
        let rows = self.query("SELECT name, health FROM destination ORDER BY name", [], |row| {
            Ok((load::text(row, 0)?, row.get::<_, String>(1)?))
        })?;
        let read = |(name, health): (Destination, String)| {
            let health = serde_json::from_str(&health).map_err(|e| self.row_error(format!("destination {name}"), e))?;
            Ok((name, health))
        };
        rows.into_iter().map(read).collect()
    }

    /// Deliveries, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list_deliveries(&self, listing: &Listing) -> Result<Vec<ListedDelivery>, StoreError> {
        let mut listed = self.listed(
            "(?1 IS NULL OR d.destination = ?1) AND (?2 OR d.state IN ('due', 'claimed', 'dead'))
             ORDER BY d.id DESC LIMIT ?3",
            rusqlite::params![listing.destination, listing.all, listing.limit],
        )?;
        listed.reverse();
        Ok(listed)
    }

    /// The deliveries that a condition names.
    pub(super) fn listed(&self, which: &str, params: impl rusqlite::Params) -> Result<Vec<ListedDelivery>, StoreError> {
        let rows = self.query(
            &format!(
                "SELECT d.id, d.destination, d.state, d.done_at, d.folded_into, d.why, s.attempts, n.facts,
                 (SELECT count(DISTINCT other.incident) FROM delivery same JOIN notice other ON other.id = same.notice
                  WHERE same.send = d.send)
                 FROM delivery d JOIN notice n ON n.id = d.notice
                 LEFT JOIN send s ON s.id = d.send AND s.settled IS NULL WHERE {which}"
            ),
            params,
            |row| {
                let facts: String = row.get(7)?;
                let id = load::id(row, 0)?;
                Ok((
                    id,
                    row.get(1)?,
                    row.get(2)?,
                    row.get::<_, Option<i64>>(3)?,
                    row.get::<_, Option<i64>>(4)?,
                    row.get(5)?,
                    row.get(6)?,
                    facts,
                    load::id(row, 8)?,
                ))
            },
        )?;
        let mut listed = Vec::with_capacity(rows.len());
        for (id, destination, state, done_at, folded_into, why, attempts, facts, together) in rows {
            listed.push(ListedDelivery {
                id,
                destination,
                state,
                done_at: done_at.map(Time::from_millis),
                folded_into: folded_into.and_then(|id| u64::try_from(id).ok()),
                why,
                together,
                attempts,
                notice: serde_json::from_str(&facts).map_err(|e| self.row_error(format!("delivery {id}"), e))?,
            });
        }
        Ok(listed)
    }
}
