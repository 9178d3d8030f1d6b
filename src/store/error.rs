//! What can be wrong with a store, in words that say what to do.

use std::path::PathBuf;

/// Why the store cannot be used. Nothing is ever destroyed on the way to one of these.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process owns it.
    #[error("{} is in use by another podbell (waited {waited_seconds} s); stop that one, or give this one another `store:`", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// How long this one has waited.
        waited_seconds: u64,
    },
    /// No file can be there.
    #[error("the store {} cannot be used: {what}", path.display())]
    Place {
        /// The store.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {why}; podbell needs write access to the file and to its folder", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is no store of podbell's, or a damaged one.
    #[error("{} is damaged or not a podbell store: {why}; it was left as it is. Put a backup in its place, or move it away to start anew", path.display())]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It was written by a newer podbell.
    #[error("{} was written by a newer podbell (version {found} of the format, this one knows {known}); run that one, or put back the copy that was kept before the migration", path.display())]
    Newer {
        /// The store.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// It lies on a network file system, where SQLite's locks do not hold.
    #[error("{} lies on a network file system ({kind}), where two podbells could damage it; choose a path on a local disk", path.display())]
    Network {
        /// The store.
        path: PathBuf,
        /// Which one.
        kind: &'static str,
    },
    /// The disk is full.
    #[error("the disk of {} is full; podbell goes on when there is space", path.display())]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A row that this program cannot read.
    #[error("{}: {what} cannot be read: {source}", path.display())]
    Row {
        /// The store.
        path: PathBuf,
        /// Which row.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// What SQLite's error means for the operator.
    pub(super) fn of(path: &std::path::Path, source: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, PermissionDenied,
            ReadOnly,
        };
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt { path, why: source.to_string() },
            Some(ReadOnly | PermissionDenied | CannotOpen) => Self::ReadOnly { path, why: source.to_string() },
            Some(DiskFull) => Self::Full { path },
            Some(DatabaseBusy | DatabaseLocked) => Self::Locked { path, waited_seconds: super::BUSY_WAIT.as_secs() },
            _ => Self::Sqlite { path, source },
        }
    }
}
