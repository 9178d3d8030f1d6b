//! The adapter for SQLite: one file. One process owns and writes it; others read beside it.
//!
//! WAL, `synchronous=FULL` (survives loss of power), `BEGIN IMMEDIATE`. What concerns the file itself (its lock, its
//! damage, its inspection by the doctor) is in functions of this module.

mod backup;
mod commit;
mod copy;
mod delete_old;
mod disk;
mod epoch;
mod error;
mod history;
mod in_place;
mod inspect;
mod integrity;
mod load;
mod load_incidents;
mod migrate;
mod place;
mod queries;
mod recover;
mod stamp;
mod undecodable;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use serde::de::DeserializeOwned;

pub use backup::{back_up, back_up_to};
pub(crate) use copy::{CopySource, CopyTarget};
#[cfg(test)]
#[cfg(feature = "outside")]
pub(crate) use copy::{dump, fill_every_table};
pub use error::SqliteError;
pub(crate) use inspect::inspect;
pub use place::{Ownership, is_owned};
pub use queries::{Reader, Snapshot};
pub use recover::{check_all_pages, mark_damaged};

use self::in_place::Files;
use self::migrate::{MIGRATIONS, VERSION};
use self::stamp::Stamps;
use crate::message_epochs::MessageEpochs;
use crate::{Recovery, StoredState};
use podbell_core::event::Target;
use podbell_core::map::FastMap;

/// How long a writer waits for another one's transaction.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Marks a file as podbell's ("pdbl").
const APPLICATION_ID: i64 = 0x7064_626C;

/// An open store. Writing takes `&mut self`: there is one writer.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// The row number of each target.
    targets: FastMap<Target, i64>,
    /// How many services of each incident are in the table `shown`, as far as this process knows.
    shown: HashMap<u64, usize>,
    seed: u64,
    uuid: String,
    epochs: MessageEpochs,
    /// The number of the newest commit.
    commits: u64,
    stamps: Stamps,
    /// The files that it has open, to notice when another file takes their path.
    files: Files,
    /// What opening read to check that the store is readable. The first load uses it, the first write drops it.
    loaded: Option<StoredState>,
    recoveries: Vec<Recovery>,
    /// Dropped last: it must outlive the connection.
    ownership: Option<Ownership>,
}

impl Store {
    /// Opens a store for writing, makes it if there is none, and brings it to this version's
    /// format. The caller owns it, see [`Ownership`].
    ///
    /// # Errors
    /// See [`SqliteError`]; nothing is changed when it fails.
    pub fn open(path: &Path) -> Result<Self, SqliteError> {
        let mut store = Self::open_quietly(path)?;
        store.begin_epoch()?;
        Ok(store)
    }

    /// Begins an epoch: new sends get ids that no earlier start used.
    fn begin_epoch(&mut self) -> Result<(), SqliteError> {
        self.keep_log_on_close(false)?;
        self.epochs = epoch::begin(&self.connection, &self.uuid).map_err(|source| self.error(source))?;
        backup::take_into_use(&self.connection).map_err(|source| self.error(source))?;
        Ok(())
    }

    /// Whether closing this connection keeps the log, instead of moving it into the file and deleting it.
    fn keep_log_on_close(&self, keep: bool) -> Result<(), SqliteError> {
        let set = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep);
        set.map(drop).map_err(|source| self.error(source))
    }

    fn open_quietly(path: &Path) -> Result<Self, SqliteError> {
        place::check_place(path)?;
        place::check_file_system(path)?;
        let path = &place::real(path);
        migrate::check_whole(path)?;
        if !path.exists() {
            // SQLite would derive the new file's mode from the umask.
            place::private(path).map_err(|source| SqliteError::io(path, path, source))?;
        }
        let connection = connect(path)?;
        let of = |source| SqliteError::of(path, source);
        let uuid = identity(&connection).map_err(of)?.1;
        let epochs = epoch::read(&connection, &uuid).map_err(of)?;
        Self::made(path, connection, epochs).map_err(of)
    }

    fn made(path: &Path, connection: Connection, epochs: MessageEpochs) -> rusqlite::Result<Self> {
        let (seed, uuid) = identity(&connection)?;
        let commits = commit_number(&connection)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            targets: FastMap::default(),
            shown: HashMap::new(),
            seed,
            uuid,
            epochs,
            commits,
            stamps: Stamps::of(path),
            files: Files::of(path),
            loaded: None,
            recoveries: Vec::new(),
            ownership: None,
        })
    }

    /// Opens a store beside its owner, for reading and for its inbox.
    ///
    /// # Errors
    /// See [`SqliteError`].
    pub fn beside(path: &Path) -> Result<Self, SqliteError> {
        place::check_place(path)?;
        if !path.exists() {
            let source =
                std::io::Error::new(std::io::ErrorKind::NotFound, "there is no store yet; `podbell run` makes it");
            return Err(SqliteError::Io { path: path.to_owned(), source });
        }
        let path = &place::real(path);
        let of = |source| SqliteError::of(path, source);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(of)?;
        connection.busy_timeout(BUSY_WAIT).map_err(of)?;
        parse_statements_once(&connection).map_err(of)?;
        migrate::check_version(&connection, path, VERSION, migrate::OlderFormat::IsRefused)?;
        let uuid = identity(&connection).map_err(of)?.1;
        let epochs = epoch::read(&connection, &uuid).map_err(of)?;
        Self::made(path, connection, epochs).map_err(of)
    }

    /// A setting of the connection, for tests of durability.
    ///
    /// # Errors
    /// When SQLite does not know it.
    pub fn pragma(&self, name: &str) -> Result<String, SqliteError> {
        let value = self.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
        value
            .map(|value| match value {
                rusqlite::types::Value::Integer(n) => n.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            })
            .map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> SqliteError {
        SqliteError::of(&self.path, source)
    }

    fn row_error(
        &self,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> SqliteError {
        SqliteError::Row { path: self.path.clone(), what: what.into(), source: source.into() }
    }

    /// What a row says as JSON.
    fn json<T: DeserializeOwned>(&self, what: impl Into<String>, json: &str) -> Result<T, SqliteError> {
        serde_json::from_str(json).map_err(|error| self.row_error(what, error))
    }

    /// All rows of a query.
    fn query<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, SqliteError> {
        let all = || self.connection.prepare_cached(sql)?.query_map(parameters, read)?.collect::<rusqlite::Result<_>>();
        all().map_err(|source| self.error(source))
    }
}

/// A connection that writes, with this version's settings and format.
fn connect(path: &Path) -> Result<Connection, SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let connection = Connection::open(path).map_err(of)?;
    // Leave the files unchanged until the store is known to be sound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(of)?;
    // SQLite opens a file that it may not write without an error, and even lets a transaction begin.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(of)? {
        return Err(SqliteError::ReadOnly { path: path.to_owned(), why: "this user may only read it".to_owned() });
    }
    connection.busy_timeout(BUSY_WAIT).map_err(of)?;
    parse_statements_once(&connection).map_err(of)?;
    migrate::prepare(&connection, path, MIGRATIONS)?;
    Ok(connection)
}

/// Keeps the statements of a connection as they were parsed.
///
/// SQLite otherwise parses a statement again whenever a parameter that its plan depends on is bound, and that is each
/// `LIMIT ?`: two fifths of what a question of a chat took.
fn parse_statements_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A commit uses some forty statements; those that do not fit would be parsed again.
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// The number of the newest commit; 0 before the first one, and for a store whose commits were not counted.
fn commit_number(connection: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT value FROM meta WHERE key = 'commit'";
    Ok(connection.query_row(sql, [], |row| load::id(row, 0)).optional()?.unwrap_or(0))
}

/// Seed and name of this store. Both are created with it. Identities of series and ids of messages depend on them, so a
/// store without one of them is damaged.
fn identity(connection: &Connection) -> rusqlite::Result<(u64, String)> {
    let damaged = |what| {
        let what = std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(what))
    };
    let seed = meta_text(connection, "seed")?.and_then(|seed| u64::from_str_radix(&seed, 16).ok());
    let seed = seed.ok_or_else(|| damaged("the seed of identities is missing"))?;
    let uuid = meta_text(connection, "uuid")?.filter(|uuid| !uuid.is_empty());
    Ok((seed, uuid.ok_or_else(|| damaged("the name of the store is missing"))?))
}

fn meta_text(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}
