//! Whether the files that a store has open are still the ones at its paths. Deleting a file only removes its name:
//! podbell would go on writing into a file that nobody can find.

use std::path::Path;

use super::{SqliteError, Store, place};
use crate::Recovery;
use podbell_core::notice::StoreFate;

/// Which files a store has open: itself, its log, the log's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    store: Option<(u64, u64)>,
    log: Option<(u64, u64)>,
    index: Option<(u64, u64)>,
}

impl Files {
    pub(crate) fn of(path: &Path) -> Self {
        Self {
            store: place::inode(path),
            log: place::inode(&place::companion(path, "wal")),
            index: place::inode(&place::companion(path, "shm")),
        }
    }
}

impl Store {
    /// Whether its paths still lead to the files that it has open.
    pub(super) fn is_in_place(&self) -> bool {
        Files::of(&self.path) == self.files
    }

    /// Refuses to write into files that nobody would find.
    pub(super) fn check_files(&mut self) -> Result<(), SqliteError> {
        let now = Files::of(&self.path);
        let (then, path) = (self.files, self.path.clone());
        let other = |then: Option<(u64, u64)>, now| then.is_some() && then != now;
        match () {
            () if now.store.is_none() => Err(SqliteError::Gone { path }),
            () if other(then.store, now.store) => Err(SqliteError::Replaced { path }),
            () if other(then.log, now.log) => Err(SqliteError::Gone { path: place::companion(&path, "wal") }),
            () if other(then.index, now.index) => Err(SqliteError::Gone { path: place::companion(&path, "shm") }),
            () => {
                // SQLite creates log and index when it needs them.
                self.files = now;
                Ok(())
            }
        }
    }

    /// After an error: writes the store again if it was deleted, and reconnects, because a connection that could not
    /// write once may never be able to.
    pub(super) fn come_back(&mut self) -> Result<(), SqliteError> {
        match self.check_files() {
            Err(SqliteError::Gone { .. }) => self.write_again()?,
            other => other?,
        }
        self.connection = super::connect(&self.path)?;
        self.keep_log_on_close(false)?;
        self.files = Files::of(&self.path);
        self.targets.clear();
        self.shown.clear();
        Ok(())
    }

    /// Writes the store again from the open connection, which holds everything that was ever committed.
    fn write_again(&mut self) -> Result<(), SqliteError> {
        let fresh = place::beside(&self.path, "fresh");
        let io = |source| SqliteError::io(&self.path, &fresh, source);
        place::remove(&fresh).map_err(io)?;
        self.connection.execute("VACUUM INTO ?1", [fresh.to_string_lossy()]).map_err(|source| self.error(source))?;
        place::make_private(&fresh).map_err(io)?;
        // On close, the old connection must not delete the file that has its log's name by then.
        self.keep_log_on_close(true)?;
        for companion in ["wal", "shm"] {
            place::remove(&place::companion(&self.path, companion)).map_err(io)?;
        }
        match &mut self.ownership {
            Some(ownership) => ownership.put_in_place(&fresh)?,
            None => std::fs::rename(&fresh, &self.path).map_err(io)?,
        }
        self.files = Files::of(&self.path);
        self.recoveries.push(Recovery { fate: StoreFate::Rewritten, kept: None });
        tracing::error!(store = %self.path.display(), "the store was deleted under podbell; it is written again, and nothing is lost");
        Ok(())
    }
}
