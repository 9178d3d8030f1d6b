//! Deliveries and their destinations, and the state of the service.

use std::collections::BTreeMap;

use rusqlite::params;

use super::Snapshot;
use crate::rows::sql;
use crate::sqlite::load;
use crate::{DeliveryQueries, ListedDelivery, Listing, Queue, ServiceState, StoreError};
use podbell_core::outbox::{DeliveryPhase, DestinationHealth};
use podbell_core::rule::Destination;
use podbell_core::step::TroubleState;
use podbell_core::time::Time;

pub(super) const QUERIES: &[&str] = &[QUEUES];

/// It repeats the condition of its partial index word for word: SQLite uses it only then.
const QUEUES: &str =
    "SELECT destination, count(*) FILTER (WHERE state <> 'dead'), count(*) FILTER (WHERE state = 'dead')
    FROM delivery WHERE state IN ('due', 'claimed', 'dead') GROUP BY destination";

impl DeliveryQueries for Snapshot<'_> {
    fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Queue { destination: row.get(0)?, waiting: load::id(row, 1)?, dead: load::id(row, 2)? })
        };
        self.query(QUEUES, [], read)
    }

    fn list_deliveries(&self, listing: &Listing) -> Result<Vec<ListedDelivery>, StoreError> {
        let mut listed = self.listed(
            "(?1 IS NULL OR d.destination = ?1) AND (?2 OR d.state IN ('due', 'claimed', 'dead'))
             ORDER BY d.id DESC LIMIT ?3",
            params![listing.destination, listing.all, listing.limit],
        )?;
        listed.reverse();
        Ok(listed)
    }

    fn deliveries_below(
        &self,
        below: u64,
        most: u32,
        destination: Option<&str>,
        state: Option<DeliveryPhase>,
    ) -> Result<Vec<ListedDelivery>, StoreError> {
        self.listed(
            "d.id < ?1 AND (?2 IS NULL OR d.destination = ?2) AND (?3 IS NULL OR d.state = ?3) ORDER BY d.id DESC LIMIT ?4",
            params![sql(below), destination, state.map(DeliveryPhase::as_str), most],
        )
    }

    fn deliveries_of(&self, incident: u64) -> Result<Vec<ListedDelivery>, StoreError> {
        self.listed("n.incident = ?1 ORDER BY d.id", [sql(incident)])
    }

    fn destinations(&self) -> Result<Vec<(Destination, DestinationHealth)>, StoreError> {
        Ok(self.named("destination", "SELECT name, health FROM destination ORDER BY name")?)
    }
}

impl ServiceState for Snapshot<'_> {
    fn heartbeat(&self) -> Result<Option<Time>, StoreError> {
        Ok(self.reader.0.heartbeat()?)
    }

    fn own_troubles(&self) -> Result<Vec<TroubleState>, StoreError> {
        Ok(self.reader.0.troubles()?)
    }

    fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.reader.0.read_good_rules()?)
    }
}

impl Snapshot<'_> {
    /// The deliveries that match a condition.
    fn listed(&self, which: &str, params: impl rusqlite::Params) -> Result<Vec<ListedDelivery>, StoreError> {
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
                    load::word(row, 2)?,
                    row.get::<_, Option<i64>>(3)?,
                    load::optional_id(row, 4)?,
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
                folded_into,
                why,
                together,
                attempts,
                notice: self.json(format!("delivery {id}"), &facts)?,
            });
        }
        Ok(listed)
    }
}
