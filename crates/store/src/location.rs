//! Where a store is. This decides which adapter serves it.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Inbox, Reader, StoreError, Writer, sqlite};
use podbell_core::time::Time;

/// Where a store is: one variant for each adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Sqlite(path)
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
        }
    }
}

impl Location {
    /// Becomes the owner of the store, and creates it if it does not exist. Waits up to `patience` for another owner to
    /// end.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InUse`] when another process keeps it, others when it cannot be opened.
    pub fn writer(&self, patience: Duration, now: Time) -> Result<Box<dyn Writer>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(sqlite::Store::take_up(sqlite::Ownership::wait(path, patience)?, now)?)),
        }
    }

    /// Opens the store beside its owner, for reading.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read.
    pub fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(sqlite::Reader::open(path)?)),
        }
    }

    /// Opens the store beside its owner, to hand it commands.
    ///
    /// # Errors
    /// When there is no store, or it cannot be opened.
    pub fn inbox(&self) -> Result<Box<dyn Inbox>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(sqlite::Store::beside(path)?)),
        }
    }

    /// Whether the store exists.
    pub fn exists(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
        }
    }

    /// Whether a running service owns the store. Call this before this process opens the store: the check closes a
    /// descriptor of the file, which drops SQLite's locks.
    pub fn is_owned(&self) -> bool {
        match self {
            Self::Sqlite(path) => sqlite::is_owned(path),
        }
    }
}
