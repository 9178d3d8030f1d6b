//! Readers beside the writer. What a person waits for is found by an index, and a test asks PostgreSQL for the plan of each such
//! query. Whole tables are read in two cases: the watched services, for a search and for a reader who sees some of them, and the history, for a backtest.

mod by_name;
mod deliveries;
mod events;
mod incidents;
mod services;

use std::cell::RefCell;
use std::sync::Arc;

use tokio_postgres::Row;

use self::by_name::ByName;
use super::LOAD_LIMIT;
use super::call::Call;
use super::column::Column;
use super::error::PostgresError;
use super::migrate;
use super::server::Server;
use super::session::Session;
use crate::{AtPlace, PlaceName, Service, StoreError};
use podbell_core::event::Target;
use podbell_core::time::Time;

/// A connection that only reads.
pub(crate) struct Reader {
    session: Session,
}

impl Reader {
    /// Opens a store beside its owner.
    pub(crate) fn open(server: &Arc<Server>) -> Result<Self, StoreError> {
        let session = Session::open(server)?;
        migrate::check_beside(&session)?;
        Ok(Self { session })
    }
}

impl crate::Reader for Reader {
    fn snapshot(&mut self) -> Result<Box<dyn crate::Snapshot + '_>, StoreError> {
        self.session.prepare_repeated()?;
        // The first query takes the snapshot. A snapshot keeps the server from freeing rows, so it has an end.
        // Nobody waits for the response: what makes this fail, such as a broken connection, makes the first query fail, too.
        self.session.send(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '55s';
             SET LOCAL idle_in_transaction_session_timeout = '60s'",
        );
        Ok(Box::new(Snapshot { session: &self.session, by_name: RefCell::default() }))
    }

    fn is_current(&self) -> bool {
        !self.session.is_closed()
    }

    fn canceller(&self) -> crate::Cancel {
        self.session.canceller()
    }
}

/// The store at one moment; ends when it is dropped.
struct Snapshot<'a> {
    session: &'a Session,
    /// The last name that was looked up.
    by_name: RefCell<Option<ByName>>,
}

impl crate::Snapshot for Snapshot<'_> {
    fn services_to_show(&self, name: &str, now: Time) -> Result<Vec<Service>, StoreError> {
        let (services, by_name) = self.by_name(name, now)?;
        self.by_name.replace(Some(by_name));
        Ok(services)
    }

    /// All at once: a server that is far away is waited for once, or not again.
    fn at_place(&self, place: PlaceName<'_>, targets: &[&Target], now: Time) -> Result<AtPlace, StoreError> {
        if let Some(by_name) = &*self.by_name.borrow()
            && let Some(at) = self.of_place(by_name, place, targets, now)?
        {
            return Ok(at);
        }
        let PlaceName { cluster, namespace, name } = place;
        let mut calls = vec![
            incidents::stored_of_service(cluster, namespace, name),
            incidents::stored_of_workload(cluster, namespace, name),
            incidents::mutes(now),
        ];
        calls.extend(targets.iter().map(|target| events::of_target(target)));
        calls.extend(targets.iter().map(|target| events::rollouts_of(target)));
        let rows = self.session.pipeline(&calls, super::CALL_LIMIT).map_err(|failed| failed.error)?;
        let mut rows = rows.iter();
        let mut next = || rows.next().map_or(&[] as &[Row], |rows| rows);
        let (of_service, of_workload) = (self.stored_in(next())?, self.stored_in(next())?);
        let mut at = AtPlace { of_service, of_workload, mutes: self.mutes_of(next())?, ..AtPlace::default() };
        for _ in targets {
            at.seen.extend(self.seen_of(next())?);
        }
        for _ in targets {
            at.rollouts.extend(self.rollouts_in(next(), now)?);
        }
        Ok(at)
    }
}

impl Snapshot<'_> {
    fn query<T>(&self, call: Call<'_>, what: &str, read: impl FnMut(&Row) -> Column<T>) -> Result<Vec<T>, StoreError> {
        Ok(self.session.read(call, what, read)?)
    }

    fn query_each<'a, T>(
        &self,
        calls: impl IntoIterator<Item = Call<'a>>,
        what: &str,
        read: impl FnMut(&Row) -> Column<T>,
    ) -> Result<Vec<Vec<T>>, StoreError> {
        Ok(self.session.read_each(calls, what, read)?)
    }

    fn count(&self, call: Call<'_>) -> Result<u64, StoreError> {
        let counted = self.query(call, "a number", |row| super::column::id(row, 0))?;
        Ok(counted.first().copied().unwrap_or(0))
    }

    /// Reads many rows, a page at a time, so that they are never all in memory.
    fn each(&self, select: &str, mut read: impl FnMut(&Row) -> Result<(), PostgresError>) -> Result<(), StoreError> {
        let declare = format!("DECLARE many NO SCROLL CURSOR FOR {select}");
        let fetch = || Call::new("FETCH 5000 FROM many");
        let run = |calls: &[Call<'_>]| self.session.pipeline(calls, LOAD_LIMIT).map_err(|failed| failed.error);
        let mut rows = run(&[Call::new(declare), fetch()])?.pop().unwrap_or_default();
        while !rows.is_empty() {
            rows.iter().try_for_each(&mut read)?;
            rows = run(&[fetch()])?.pop().unwrap_or_default();
        }
        run(&[Call::new("CLOSE many")])?;
        Ok(())
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written, so nobody waits for the answer.
        self.session.send("ROLLBACK");
    }
}

#[cfg(test)]
#[cfg(feature = "outside")]
pub(super) fn all() -> impl Iterator<Item = String> {
    let queries = [services::QUERIES, incidents::QUERIES, events::QUERIES, deliveries::QUERIES];
    queries
        .into_iter()
        .flatten()
        .map(|query| (*query).to_owned())
        .chain(deliveries::listings())
        .chain(incidents::stored_at_places())
        .chain(by_name::queries())
}
