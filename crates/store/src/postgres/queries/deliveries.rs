//! Deliveries and their destinations, and the state of the service.

use std::collections::BTreeMap;

use super::Snapshot;
use crate::postgres::call::Call;
use crate::postgres::column::{BadColumn, get, id, optional_id, optional_time, word};
use crate::rows::sql;
use crate::{DeliveryQueries, ListedDelivery, Listing, Queue, ServiceState, StoreError};
use podbell_core::notice::Notice;
use podbell_core::outbox::{DeliveryPhase, DestinationHealth};
use podbell_core::rule::Destination;
use podbell_core::step::TroubleState;
use podbell_core::time::Time;

#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) const QUERIES: &[&str] = &[QUEUES];
#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) fn listings() -> impl Iterator<Item = String> {
    [NEWEST, BELOW, OF_INCIDENT].into_iter().map(listing)
}

const QUEUES: &str = "SELECT destination, count(*) FILTER (WHERE state <> 'dead'), count(*) FILTER (WHERE state = 'dead')
    FROM podbell.delivery WHERE state IN ('due', 'claimed', 'dead') GROUP BY destination ORDER BY destination COLLATE \"C\"";

/// Deliveries from the newest on, until there are enough that match.
const NEWEST: &str = "($1::text IS NULL OR d.destination = $1) AND ($2 OR d.state IN ('due', 'claimed', 'dead'))
    ORDER BY d.id DESC LIMIT $3";
const BELOW: &str = "d.id < $1 AND ($2::text IS NULL OR d.destination = $2) AND ($3::text IS NULL OR d.state = $3)
    ORDER BY d.id DESC LIMIT $4";
const OF_INCIDENT: &str = "n.incident = $1 ORDER BY d.id";

/// The deliveries that match a condition.
fn listing(which: &str) -> String {
    format!(
        "SELECT d.id, d.destination, d.state, d.done_at, d.folded_into, d.why, s.attempts, n.facts,
         (SELECT count(DISTINCT other.incident) FROM podbell.delivery same
          JOIN podbell.notice other ON other.id = same.notice WHERE same.send = d.send)
         FROM podbell.delivery d JOIN podbell.notice n ON n.id = d.notice
         LEFT JOIN podbell.send s ON s.id = d.send AND s.settled IS NULL WHERE {which}"
    )
}

const WHAT: &str = "a delivery";

impl DeliveryQueries for Snapshot<'_> {
    fn queues(&self) -> Result<Vec<Queue>, StoreError> {
        let read = |row: &_| Ok(Queue { destination: get(row, 0)?, waiting: id(row, 1)?, dead: id(row, 2)? });
        self.query(Call::new(QUEUES), WHAT, read)
    }

    fn list_deliveries(&self, listing: &Listing) -> Result<Vec<ListedDelivery>, StoreError> {
        let mut listed = self.listed(NEWEST, |sql| {
            Call::new(sql).maybe_text(listing.destination.as_deref()).flag(listing.all).number(i64::from(listing.limit))
        })?;
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
        self.listed(BELOW, |query| {
            Call::new(query)
                .number(sql(below))
                .maybe_text(destination)
                .maybe_text(state.map(DeliveryPhase::as_str))
                .number(i64::from(most))
        })
    }

    fn deliveries_of(&self, incident: u64) -> Result<Vec<ListedDelivery>, StoreError> {
        self.listed(OF_INCIDENT, |query| Call::new(query).number(sql(incident)))
    }

    fn destinations(&self) -> Result<Vec<(Destination, DestinationHealth)>, StoreError> {
        let select = "SELECT name, health FROM podbell.destination ORDER BY name COLLATE \"C\"";
        Ok(self.session.named("destination", select)?)
    }
}

impl ServiceState for Snapshot<'_> {
    fn heartbeat(&self) -> Result<Option<Time>, StoreError> {
        Ok(self.session.heartbeat()?)
    }

    fn own_troubles(&self) -> Result<Vec<TroubleState>, StoreError> {
        Ok(self.session.troubles()?)
    }

    fn good_rules(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Ok(self.session.good_rules()?)
    }
}

impl Snapshot<'_> {
    /// The deliveries that match a condition; `call` adds its parameters.
    fn listed<'a>(
        &self,
        which: &str,
        call: impl FnOnce(String) -> Call<'a>,
    ) -> Result<Vec<ListedDelivery>, StoreError> {
        self.query(call(listing(which)), WHAT, |row| {
            let notice: Notice =
                serde_json::from_str(get(row, 7)?).map_err(|error| BadColumn(format!("its notice: {error}")))?;
            Ok(ListedDelivery {
                id: id(row, 0)?,
                destination: get(row, 1)?,
                state: word(row, 2)?,
                done_at: optional_time(row, 3)?,
                folded_into: optional_id(row, 4)?,
                why: get(row, 5)?,
                attempts: get::<Option<i64>>(row, 6)?.map(|attempts| u32::try_from(attempts).unwrap_or(u32::MAX)),
                notice,
                together: id(row, 8)?,
            })
        })
    }
}
