//! What people ask of the store: read-only connections beside the writer, so that no question waits for a
//! write or a delivery, and queries that go through an index. It never writes, and knows nothing of what
//! its reader may see: whoever asks says which services.

mod incidents;
mod lists;
mod names;
mod page;
mod pool;
mod series;
pub(super) mod shown;
mod status;

use std::ops::Deref;
use std::path::Path;

pub use names::Service;
pub use page::Queue;
pub use pool::{Readers, ReadersError};

use super::{Store, StoreError, load};
use podbell_core::event;

/// A connection that only reads.
#[derive(Debug)]
pub struct Reader(Store);

impl Reader {
    /// Opens a store beside its owner. In WAL mode neither waits for the other.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Store::beside(path)?;
        store.connection.pragma_update(None, "query_only", true).map_err(|source| store.error(source))?;
        Ok(Self(store))
    }

    /// Whether it still reads what its owner writes.
    pub(super) fn is_in_place(&self) -> bool {
        self.0.is_in_place()
    }

    /// Interrupts what it reads, from another thread.
    pub fn interrupt_handle(&self) -> rusqlite::InterruptHandle {
        self.0.connection.get_interrupt_handle()
    }

    /// All that is read for one answer is of one moment.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreError> {
        self.0.connection.execute_batch("BEGIN").map_err(|source| self.0.error(source))?;
        Ok(Snapshot { reader: self })
    }
}

/// The store at one moment; ends when it is dropped.
#[derive(Debug)]
pub struct Snapshot<'a> {
    reader: &'a mut Reader,
}

impl Snapshot<'_> {
    /// How SQLite would carry out each query of this module: for the test that none reads a whole table.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn plans(&self) -> Result<Vec<(&'static str, String)>, StoreError> {
        let all = [names::QUERIES, incidents::QUERIES, lists::QUERIES, series::QUERIES, status::QUERIES, page::QUERIES];
        let mut plans = Vec::new();
        for query in all.into_iter().flatten() {
            // Parameters that are not bound are NULL: the plan is the same.
            let steps = self.explain(query).map_err(|source| self.error(source))?;
            plans.push((*query, steps.join("; ")));
        }
        Ok(plans)
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
        // Nothing was written; a reader that cannot even end is thrown away at its next question.
        let _ = self.reader.0.connection.execute_batch("ROLLBACK");
    }
}

/// Whether somebody wants to hear of a service.
pub type Wanted<'a> = &'a dyn Fn(event::Names<'_>) -> bool;

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
