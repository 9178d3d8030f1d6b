//! Where a store is. This decides which adapter serves it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::{
    Backup, ClaimOutcome, Existing, FileInspection, Inbox, Reader, StoreError, Writer, copy, postgres, sqlite,
};
use podbell_core::time::Time;

/// What to do instead of a backup by podbell.
const BACKUP: &str = "podbell makes no backup of a PostgreSQL store: run pg_dump --schema podbell on its database, or use the server's own backups";

/// Where a store is: one variant for each adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(Arc<postgres::Server>),
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
            Self::Postgres(server) => server.fmt(f),
        }
    }
}

/// Why a text is no location of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// It begins with no kind of store.
    #[error("this is not a store")]
    Unknown,
    /// The address of a database is wrong.
    #[error("this is not the address of a database: {0}")]
    Address(#[from] postgres::AddressError),
}

impl Location {
    /// Reads a location as `store:` of podbell.yaml has it: `sqlite:` and a path, or `postgres://` and an address.
    /// Paths are relative to `folder`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, LocationError> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(folder.join(path))),
            Some(("postgres" | "postgresql", address)) => {
                let address = address.strip_prefix("//").ok_or(LocationError::Unknown)?;
                Ok(Self::Postgres(Arc::new(postgres::Server::parse(address, folder)?)))
            }
            _ => Err(LocationError::Unknown),
        }
    }

    /// Whether several replicas may use this store at once: one is active, the others stand by. See
    /// [`Candidate::claim`].
    pub fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }

    /// A replica of this name that wants to own the store.
    pub fn candidate(&self, replica: &str) -> Candidate {
        Candidate(match self {
            Self::Sqlite(_) => CandidateKind::File(self.clone()),
            Self::Postgres(server) => CandidateKind::Server(Box::new(postgres::Candidate::new(server, replica))),
        })
    }

    /// Becomes the owner of the store, and creates it if it does not exist. Waits up to `patience` for another owner to
    /// end.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InUse`] when another process keeps it, others when it cannot be opened.
    pub fn writer(&self, patience: Duration, now: Time) -> Result<Box<dyn Writer>, StoreError> {
        match self {
            Self::Sqlite(path) => {
                Ok(Box::new(sqlite::Store::open_recovered(sqlite::Ownership::wait(path, patience)?, now)?))
            }
            Self::Postgres(server) => postgres::writer(server, patience),
        }
    }

    /// Opens the store beside its owner, for reading.
    ///
    /// # Errors
    /// When there is no store, or it cannot be read.
    pub fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(sqlite::Reader::open(path)?)),
            Self::Postgres(server) => Ok(Box::new(postgres::Reader::open(server)?)),
        }
    }

    /// Opens the store beside its owner, to hand it commands.
    ///
    /// # Errors
    /// When there is no store, or it cannot be opened.
    pub fn inbox(&self) -> Result<Box<dyn Inbox>, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(Box::new(sqlite::Store::beside(path)?)),
            Self::Postgres(server) => postgres::inbox(server),
        }
    }

    /// Writes a verified copy of the store as it is at one moment to a file, whether or not a service owns it. A start
    /// on that file knows that it is a backup, made `now`.
    ///
    /// # Errors
    /// When there is no store, it is damaged, or the file cannot be written; then no file is left or changed.
    pub fn back_up(&self, to: &Path, existing: Existing, now: Time) -> Result<Backup, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(sqlite::back_up(path, to, existing, now)?),
            Self::Postgres(_) => Err(postgres::PostgresError::Unsupported(BACKUP).into()),
        }
    }

    /// Like [`Location::back_up`], but writes to a stream, once the copy is verified. The copy lies beside the store
    /// until then.
    ///
    /// # Errors
    /// The same; what the stream took is no backup then.
    pub fn back_up_to(&self, out: &mut dyn Write, now: Time) -> Result<Backup, StoreError> {
        match self {
            Self::Sqlite(path) => Ok(sqlite::back_up_to(path, out, now)?),
            Self::Postgres(_) => Err(postgres::PostgresError::Unsupported(BACKUP).into()),
        }
    }

    /// The password that the location itself holds, so that it can be kept out of any output.
    pub fn password(&self) -> Option<&SecretString> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server) => server.written_password(),
        }
    }

    /// Checks all that is stored for damage, as far as that is podbell's to do: a database server checks its own pages.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Damaged`] when something is damaged, others when it cannot be read.
    pub fn check_all(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(path) => Ok(sqlite::check_all_pages(path)?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Remembers, as far as that can be done, that the store is damaged, so that the next start knows it. Returns what
    /// that start does, or what must be done before it, in words.
    pub fn mark_damaged(&self, why: &str) -> &'static str {
        match self {
            Self::Sqlite(path) => {
                sqlite::mark_damaged(path, why);
                "at its next start it keeps the damaged files aside, goes on with what can be read, and tells operator.notify"
            }
            Self::Postgres(_) => "restore a backup of its database, then start podbell",
        }
    }

    /// Looks at a store in a file and at its place: without its lock, without a write, whether or not a podbell runs on
    /// it. `None`: it is on a server. May take some seconds.
    pub fn inspect_file(&self) -> Option<FileInspection> {
        match self {
            Self::Sqlite(path) => Some(sqlite::inspect(path)),
            Self::Postgres(_) => None,
        }
    }

    /// Whether the store exists. If that cannot be found out, returns true, so that opening the store says why.
    pub fn exists(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
            Self::Postgres(server) => postgres::exists(server).unwrap_or(true),
        }
    }

    /// Copies this store into another one that is empty or not there, and checks that all rows arrived. Returns how
    /// many rows each table has. No podbell may run on either.
    ///
    /// # Errors
    /// When podbell runs on one, the target holds something, or one cannot be read or written; then the target is as it
    /// was.
    pub fn copy_to(&self, to: &Self) -> Result<Vec<(&'static str, u64)>, StoreError> {
        if !self.exists() {
            return Err(copy::missing(self));
        }
        let source: Box<dyn copy::CopyReader> = match self {
            Self::Sqlite(path) => {
                Box::new(sqlite::CopySource::open(path).map_err(|error| copy::in_use(self, error.into()))?)
            }
            Self::Postgres(server) => {
                Box::new(postgres::CopySource::open(server).map_err(|error| copy::in_use(self, error))?)
            }
        };
        let target: Box<dyn copy::CopyWriter> = match to {
            Self::Sqlite(path) => Box::new(sqlite::CopyTarget::open(path)?),
            Self::Postgres(server) => {
                Box::new(postgres::CopyTarget::open(server).map_err(|error| copy::in_use(to, error))?)
            }
        };
        copy::copy_rows(source, target, to)
    }

    /// Whether a running service owns the store. Call this before this process opens the store: the check closes a
    /// descriptor of the file, which drops SQLite's locks.
    pub fn is_owned(&self) -> bool {
        match self {
            Self::Sqlite(path) => sqlite::is_owned(path),
            Self::Postgres(server) => postgres::holder(server).is_ok_and(|holder| holder.is_some()),
        }
    }
}

/// A replica that asks for the store until it owns it.
pub struct Candidate(CandidateKind);

enum CandidateKind {
    File(Location),
    /// With the connection that it keeps between questions.
    Server(Box<postgres::Candidate>),
}

impl Candidate {
    /// Asks once to own the store, and never waits for another owner. Creates and migrates the store if it has to.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Newer`] when a newer version wrote the store, [`crate::ErrorKind::InUse`] when a store that
    /// is not shared has another owner, others when it cannot be reached or opened.
    pub fn claim(&mut self, now: Time) -> Result<ClaimOutcome, StoreError> {
        match &mut self.0 {
            CandidateKind::File(location) => location.writer(Duration::ZERO, now).map(ClaimOutcome::Active),
            CandidateKind::Server(candidate) => candidate.claim(),
        }
    }
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Candidate")
    }
}
