//! Readers beside the writer. Every query uses an index, and a test asks SQLite for the plan of each.

mod deliveries;
mod events;
mod incidents;
mod services;
pub(super) mod shown;

use std::ops::Deref;
use std::path::Path;

use super::load;
use super::{SqliteError, Store};
use crate::StoreError;
use podbell_core::event;

/// A connection that only reads. In WAL mode it never waits for the writer.
#[derive(Debug)]
pub struct Reader(Store);

impl Reader {
    /// Opens a store beside its owner.
    ///
    /// # Errors
    /// See [`SqliteError`].
    pub fn open(path: &Path) -> Result<Self, SqliteError> {
        let store = Store::beside(path)?;
        store.connection.pragma_update(None, "query_only", true).map_err(|source| store.error(source))?;
        Ok(Self(store))
    }

    /// A consistent view: everything that is read from one snapshot is of one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreError> {
        self.0.connection.execute_batch("BEGIN").map_err(|source| self.0.error(source))?;
        Ok(Snapshot { reader: self })
    }
}

impl crate::Reader for Reader {
    fn snapshot(&mut self) -> Result<Box<dyn crate::Snapshot + '_>, StoreError> {
        Ok(Box::new(Reader::snapshot(self)?))
    }

    fn is_current(&self) -> bool {
        self.0.is_in_place()
    }

    fn canceller(&self) -> crate::Cancel {
        let handle = self.0.connection.get_interrupt_handle();
        Box::new(move || handle.interrupt())
    }
}

/// The store at one moment; ends when it is dropped.
#[derive(Debug)]
pub struct Snapshot<'a> {
    reader: &'a mut Reader,
}

impl crate::Snapshot for Snapshot<'_> {}

impl Snapshot<'_> {
    /// SQLite's plan of each query of this module, for the test that none scans a whole table.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn plans(&self) -> Result<Vec<(&'static str, String)>, StoreError> {
        let all = [services::QUERIES, incidents::QUERIES, events::QUERIES, deliveries::QUERIES];
        let mut plans = Vec::new();
        for query in all.into_iter().flatten() {
            // Parameters that are not bound are NULL: the plan is the same.
            let steps = self.explain(query).map_err(|source| self.error(source))?;
            plans.push((*query, steps.join("; ")));
        }
        Ok(plans)
    }

    fn query<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        Ok(self.reader.0.query(sql, parameters, read)?)
    }

    fn count(&self, query: &str, parameters: impl rusqlite::Params) -> Result<u64, StoreError> {
        let count = self.connection.query_row(query, parameters, |row| load::id(row, 0));
        count.map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        self.reader.0.error(source).into()
    }

    fn row_error(
        &self,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> StoreError {
        self.reader.0.row_error(what, source).into()
    }

    fn explain(&self, query: &str) -> rusqlite::Result<Vec<String>> {
        let mut explain = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
        let mut rows = explain.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next()? {
            steps.push(row.get(3)?);
        }
        Ok(steps)
    }
}

impl Deref for Snapshot<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.reader.0
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Nothing was written. A reader whose rollback fails is dropped after its next query fails.
        let _ = self.reader.0.connection.execute_batch("ROLLBACK");
    }
}

/// The names in the first four columns.
fn names<'a>(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<event::Names<'a>> {
    let text = |at| Ok::<_, rusqlite::Error>(row.get_ref(at)?.as_str()?);
    Ok(event::Names { source: text(0)?, cluster: text(1)?, namespace: text(2)?, service: text(3)? })
}

/// A target from the first four columns.
fn target(row: &rusqlite::Row<'_>) -> rusqlite::Result<event::Target> {
    let text = |at| load::text(row, at);
    Ok(event::Target { source: text(0)?, cluster: text(1)?, namespace: text(2)?, service: text(3)? })
}
