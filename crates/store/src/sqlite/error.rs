//! What can be wrong with a SQLite store, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::exhausted;
use crate::{ErrorKind, StoreError};

/// Why the store cannot be used. Nothing is ever destroyed on the way to one of these.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// Another process owns it.
    #[error("{} is in use by another podbell (waited {waited_seconds} s); stop that one, or give this one another `store:`", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
        /// How long this one has waited.
        waited_seconds: u64,
    },
    /// Another program holds it, for longer than SQLite waits.
    #[error("{} is kept by another program, for {waited_seconds} s now: end what works on it (a sqlite3 with an open transaction, a backup that hangs)", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
        /// How long this one has waited.
        waited_seconds: u64,
    },
    /// Its path cannot hold a file.
    #[error("the store {} cannot be used: {what}", path.display())]
    Place {
        /// The store.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {why}; podbell needs write access to the file, to what lies beside it (-wal, -shm, .lock, .stamp) and to its folder", path.display())]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// It is not a podbell store, or it is damaged.
    #[error("{} is damaged or not a podbell store: {why}; it was left as it is. Put a backup in its place, or move it away, with all files whose names begin like its own, to start anew", path.display())]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It was deleted, or its log was, while podbell had it open.
    #[error("{} was deleted under podbell, which has it open and writes it again", path.display())]
    Gone {
        /// The file that is gone.
        path: PathBuf,
    },
    /// Another file got its name while podbell had it open.
    #[error("another file was put in the place of {} while podbell ran; podbell ends, and goes on with that file at its next start. Stop podbell before you put a backup in place", path.display())]
    Replaced {
        /// The store.
        path: PathBuf,
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
    #[error("the disk of {} is full ({what}): make room; a podbell that runs goes on by itself, one that was to start must be started again", path.display())]
    Full {
        /// The store.
        path: PathBuf,
        /// What has run out.
        what: &'static str,
    },
    /// Anything else that SQLite says.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A backup of it could not be made.
    #[error("no backup was written to {}: {what}", path.display())]
    Backup {
        /// The file that was to become the backup.
        path: PathBuf,
        /// Why not, and what to do.
        what: String,
    },
    /// A row that this program cannot read.
    #[error("{} is damaged: {what} cannot be read ({source}). At its next start podbell keeps the damaged files aside and goes on with what can be read; or put a backup in its place", path.display())]
    Row {
        /// The store.
        path: PathBuf,
        /// Which row.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system returned an error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        let kind = match &error {
            SqliteError::Corrupt { .. } | SqliteError::Row { .. } => ErrorKind::Damaged,
            SqliteError::Replaced { .. } => ErrorKind::Replaced,
            SqliteError::Newer { .. } => ErrorKind::Newer,
            SqliteError::Locked { .. } => ErrorKind::InUse,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, error.why(), error)
    }
}

impl SqliteError {
    /// Translates SQLite's error for the operator.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, PermissionDenied,
            ReadOnly, SystemIoFailure,
        };
        let what = match &source {
            // podbell writes every column with one type: another type is damage.
            InvalidColumnType(_, column, _) => Some(format!("column {column}")),
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | Utf8Error(..) => Some("a column".to_owned()),
            _ => None,
        };
        let path = path.to_owned();
        if let Some(what) = what {
            let source = Box::new(io::Error::new(io::ErrorKind::InvalidData, "it is not what podbell wrote there"));
            return Self::Row { path, what, source };
        }
        match source.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Corrupt { path, why: source.to_string() },
            Some(DiskFull) => Self::Full { what: exhausted(&path).unwrap_or("no space"), path },
            Some(ReadOnly | PermissionDenied | CannotOpen | SystemIoFailure) if exhausted(&path).is_some() => {
                Self::Full { what: exhausted(&path).unwrap_or("no space"), path }
            }
            Some(ReadOnly | PermissionDenied | CannotOpen) => Self::ReadOnly { path, why: source.to_string() },
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy { path, waited_seconds: super::BUSY_WAIT.as_secs() },
            _ => Self::Sqlite { path, source },
        }
    }

    /// Translates an error about a file beside a store.
    pub(super) fn io(store: &Path, path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path: store.to_owned(), why: format!("{}: {source}", path.display()) }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: store.to_owned(), what: exhausted(store).unwrap_or("no space") }
            }
            _ => Self::Io { path: path.to_owned(), source },
        }
    }

    /// Whether the files themselves are damaged: a retry does not help.
    pub(crate) fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. } | Self::Row { .. })
    }

    /// Whether the file is podbell's, and one of its rows is damaged.
    pub(super) fn is_in_a_row(&self) -> bool {
        matches!(self, Self::Row { .. })
    }

    /// The fault, without a path and without advice.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Corrupt { why, .. } => why.clone(),
            Self::Row { what, source, .. } => format!("{what} cannot be read: {source}"),
            other => other.to_string(),
        }
    }
}
