//! Opens a store at a start: finds out what happened to its files since podbell wrote them, keeps damaged files aside,
//! and continues with what can be used. Nothing is destroyed: damaged files are moved or copied into a folder beside
//! them.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::integrity::check_integrity;
use super::stamp::{self, DamageRecord, Stamp};
use super::{BUSY_WAIT, Ownership, SqliteError, Store, VERSION, backup, disk, migrate, place, undecodable};
use crate::Recovery;
use podbell_core::notice::StoreFate;
use podbell_core::time::Time;

/// How many folders with damaged files may lie beside a store. More would fill the disk, and a store that is damaged
/// this often lies on a damaged disk.
const MAX_KEPT: usize = 10;

/// After a restore, incidents get numbers from a multiple of this, with at least as many left out.
const SKIPPED_INCIDENTS: u64 = 1000;

/// What a store records about itself.
struct Peek {
    uuid: String,
    commit: u64,
    heartbeat: Option<Time>,
    /// When it was made, if it is a backup.
    backup: Option<Time>,
}

impl Store {
    /// Opens a store for its owner, see [`Store::open`]. Repairs as far as possible what was damaged, lost or replaced
    /// since its last owner wrote it, and reports that by [`crate::Writer::take_recoveries`].
    ///
    /// # Errors
    /// See [`SqliteError`]; nothing is destroyed when it fails.
    pub fn open_recovered(mut ownership: Ownership, now: Time) -> Result<Self, SqliteError> {
        let path = ownership.store().to_owned();
        let stamp = Stamp::read(&path);
        let mut recovery = examine(&mut ownership, &path, stamp.as_ref(), now)?;
        let mut store = match Self::open_to_read(&path) {
            // podbell has written here before, so an unreadable file is damage, not somebody else's file.
            Err(error) if error.is_damage() && (stamp::path(&path).exists() || error.is_in_a_row()) => {
                recovery = Some(rebuild(&mut ownership, &path, &error.why(), now)?);
                Self::open_to_read(&path)?
            }
            other => other?,
        };
        store.begin_epoch()?;
        if recovery.as_ref().is_some_and(|recovery| went_back(&recovery.fate)) {
            store.skip_incident_numbers()?;
        }
        if let Some(recovery) = &recovery {
            let kept = recovery.kept.as_ref().map(|kept| kept.display().to_string());
            tracing::error!(fate = ?recovery.fate, kept, "the store is not as podbell left it");
        }
        store.recoveries.extend(recovery);
        store.ownership = Some(ownership);
        Ok(store)
    }

    /// Leaves out the numbers of incidents that podbell may have given after the backup: people and buttons of old
    /// messages still name them.
    fn skip_incident_numbers(&mut self) -> Result<(), SqliteError> {
        let mut loaded = self.read_all()?;
        let next = &mut loaded.state.next_incident;
        *next = next.saturating_add(SKIPPED_INCIDENTS).next_multiple_of(SKIPPED_INCIDENTS);
        let reserve = "INSERT OR REPLACE INTO meta VALUES ('next_incident', ?1)";
        let reserved = self.connection.execute(reserve, [crate::rows::sql(*next)]);
        reserved.map_err(|source| self.error(source))?;
        self.loaded = Some(loaded);
        Ok(())
    }

    /// Opens the store and reads all that its owner will need before anything is written, so that unreadable files are
    /// kept aside unchanged.
    fn open_to_read(path: &Path) -> Result<Self, SqliteError> {
        let mut store = Self::open_quietly(path)?;
        let loaded = store.read_all()?;
        store.read_good_rules()?;
        store.loaded = Some(loaded);
        Ok(store)
    }
}

/// Whether podbell has done, or may have done, more since the newest commit of this store.
fn went_back(fate: &StoreFate) -> bool {
    matches!(fate, StoreFate::WentBack { .. } | StoreFate::Restored { .. })
}

/// Compares a store with its stamp, before SQLite may change anything.
fn examine(
    ownership: &mut Ownership,
    path: &Path,
    stamp: Option<&Stamp>,
    now: Time,
) -> Result<Option<Recovery>, SqliteError> {
    roll_back(path);
    let lived = stamp.filter(|stamp| stamp.commit > 0 || stamp.wrong.is_some());
    let log = length(&place::companion(path, "wal"));
    if length(path) == 0 {
        if lived.is_none() && log == 0 {
            return Ok(None);
        }
        // SQLite would delete the log of an empty file.
        let kept = keep(path, now, Keep::Moved)?;
        let until = lived.map(|stamp| stamp.at);
        return Ok(Some(Recovery { fate: StoreFate::Lost { until }, kept: Some(kept) }));
    }
    if let Some(stamp) = lived
        && let Some(wrong) = &stamp.wrong
        && !is_a_backup(path, stamp, wrong)
    {
        return rebuild(ownership, path, &wrong.why, now).map(Some);
    }
    let peek = match migrate::check_whole(path).and_then(|()| peek(path)) {
        Ok(peek) => peek,
        Err(error) if error.is_damage() && stamp::path(path).exists() => {
            return rebuild(ownership, path, &error.why(), now).map(Some);
        }
        Err(error) => return Err(error),
    };
    let restored = |peek: &Peek| {
        let from = peek.backup?;
        Some(Recovery { fate: StoreFate::Restored { from }, kept: None })
    };
    let Some(stamp) = lived else {
        if let Some(restored) = peek.as_ref().and_then(restored) {
            return Ok(Some(restored));
        }
        // A crash between the first commit and its stamp explains a single commit without a stamp.
        let unsure = stamp.is_none() && peek.is_some_and(|peek| peek.commit > 1);
        return Ok(unsure.then_some(Recovery { fate: StoreFate::Unsure, kept: None }));
    };
    let Some(peek) = peek else { return rebuild(ownership, path, "it holds no tables", now).map(Some) };
    if peek.uuid != stamp.uuid {
        let replaced = Recovery { fate: StoreFate::Replaced { until: stamp.at }, kept: None };
        return Ok(Some(restored(&peek).unwrap_or(replaced)));
    }
    if peek.commit >= stamp.commit {
        // A newer backup may follow an older one that ran for a while.
        return Ok(restored(&peek).filter(|_| peek.commit > stamp.commit));
    }
    // The next commit overwrites what the log holds beyond its last valid commit.
    let kept = if log > 0 { Some(keep(path, now, Keep::Copied)?) } else { None };
    let commits = stamp.commit - peek.commit;
    Ok(Some(Recovery { fate: StoreFate::WentBack { commits, from: peek.heartbeat, until: stamp.at }, kept }))
}

/// Undoes what a process left that was killed while it made the store, which is the only time without a write-ahead log.
/// Nobody can read the store before that, not even to inspect it.
fn roll_back(path: &Path) {
    if length(&place::companion(path, "journal")) == 0 {
        return;
    }
    let undone = || Connection::open(path)?.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    if let Err(error) = undone() {
        // Whoever reads the store next says what is wrong with it.
        tracing::warn!(%error, "what was left of making the store cannot be undone");
    }
}

/// Whether somebody put a sound backup in the place of a store that was found damaged. A check of the pages does not
/// find all damage, so the commit number decides, too: a store at the commit at which it was found damaged is still the
/// same one.
fn is_a_backup(path: &Path, stamp: &Stamp, wrong: &DamageRecord) -> bool {
    let older = |peek: Peek| {
        let other = peek.uuid != stamp.uuid || peek.backup.is_some();
        other || (peek.commit < stamp.commit && wrong.commit != Some(peek.commit))
    };
    peek(path).ok().flatten().is_some_and(older) && check_all_pages(path).is_ok()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map(|meta| meta.len()).unwrap_or(0)
}

/// Opens a store to inspect it: neither file nor log is changed, not even on close.
fn only_look(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

fn peek(path: &Path) -> Result<Option<Peek>, SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let connection = only_look(path).map_err(of)?;
    if migrate::check_version(&connection, path, VERSION, migrate::OlderFormat::IsTaken)? == 0 {
        return Ok(None);
    }
    let (_, uuid) = super::identity(&connection).map_err(of)?;
    let commit = super::commit_number(&connection).map_err(of)?;
    let heartbeat = Store::heartbeat_of(&connection).map_err(of)?;
    Ok(Some(Peek { uuid, commit, heartbeat, backup: backup::made_at(&connection).map_err(of)? }))
}

/// Moves the files of a damaged store aside and puts a store with its readable rows, or an empty one, in its place.
fn rebuild(ownership: &mut Ownership, path: &Path, why: &str, now: Time) -> Result<Recovery, SqliteError> {
    let fresh = place::beside(path, "fresh");
    let io = |source| SqliteError::io(path, &fresh, source);
    remove(&fresh).map_err(io)?;
    let (salvaged, rows) = match salvage(path, &fresh) {
        Ok(rows) => (true, rows),
        Err(error @ (SqliteError::Full { .. } | SqliteError::Io { .. } | SqliteError::ReadOnly { .. })) => {
            remove(&fresh).map_err(io)?;
            return Err(error);
        }
        Err(error) => {
            // Whatever the cause, the damaged files are still there.
            tracing::warn!(%error, "nothing can be read of the damaged store");
            remove(&fresh).map_err(io)?;
            drop(place::private(&fresh).map_err(io)?);
            (false, 0)
        }
    };
    let until = Stamp::read(path).filter(|stamp| stamp.commit > 0).map(|stamp| stamp.at);
    let kept = keep(path, now, Keep::Moved)?;
    ownership.put_in_place(&fresh)?;
    let why = why.to_owned();
    let fate = match salvaged {
        true => StoreFate::Mended { why, rows },
        false => StoreFate::Damaged { why, until },
    };
    Ok(Recovery { fate, kept: Some(kept) })
}

fn remove(path: &Path) -> std::io::Result<()> {
    for path in [path.to_owned(), place::companion(path, "wal"), place::companion(path, "shm")] {
        place::remove(&path)?;
    }
    Ok(())
}

/// Copies what can be read of a store into another file. Returns the number of rows.
fn salvage(path: &Path, fresh: &Path) -> Result<u64, SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let damaged = only_look(path).map_err(of)?;
    migrate::check_version(&damaged, path, VERSION, migrate::OlderFormat::IsRefused)?;
    let mut store = Store::open(fresh)?;
    let own = ["seed", "uuid", "epochs"].map(|key| (key, super::meta_text(&store.connection, key)));
    let copied = copy_tables(&damaged, &mut store.connection).map_err(of)?;
    for (key, own) in own {
        keep_identity(&damaged, &store.connection, key, own.map_err(of)?.as_deref()).map_err(of)?;
    }
    if copied == 0 {
        return Err(SqliteError::Corrupt { path: path.to_owned(), why: "no row can be read".to_owned() });
    }
    let dropped = undecodable::delete(&store.connection).map_err(of)?;
    check_integrity(&store.connection, path, "integrity_check")?;
    drop(store);
    // Check that the next owner can read it.
    let mut store = Store::open(fresh)?;
    store.read_all()?;
    Ok(copied.saturating_sub(dropped))
}

/// Keeps the copied value that identities are made of if it is readable. Otherwise the fresh store keeps its own value
/// and, without the old seed, drops the readings, whose identities nobody can compute again.
fn keep_identity(damaged: &Connection, fresh: &Connection, key: &str, own: Option<&str>) -> rusqlite::Result<()> {
    let text = super::meta_text(damaged, key).ok().flatten();
    let readable = text.is_some_and(|text| match key {
        "seed" => u64::from_str_radix(&text, 16).is_ok(),
        "uuid" => !text.is_empty(),
        _ => serde_json::from_str::<Vec<(u64, String)>>(&text).is_ok(),
    });
    if readable {
        return Ok(());
    }
    fresh.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", (key, own.unwrap_or_default()))?;
    if key == "seed" {
        fresh.execute_batch("DELETE FROM series; DELETE FROM target; DELETE FROM tally; DELETE FROM observation")?;
    }
    Ok(())
}

/// Copies the rows of every table, without its indexes: ascending and, where a page cannot be read, also descending.
/// Returns their number.
fn copy_tables(from: &Connection, to: &mut Connection) -> rusqlite::Result<u64> {
    let mut copied = 0;
    let transaction = to.transaction()?;
    let mut tables = transaction.prepare(
        "SELECT name, (SELECT group_concat(quote(name)) FROM pragma_table_info(t.name)),
                coalesce((SELECT group_concat(name || ' @') FROM
                    (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk)), 'rowid @')
         FROM sqlite_schema t WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )?;
    let described: Vec<(String, String, String)> = tables
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?.replace('\'', "\""), row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    drop(tables);
    for (table, columns, key) in described {
        let marks = vec!["?"; columns.split(',').count()].join(", ");
        let mut insert =
            transaction.prepare(&format!("INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})"))?;
        for direction in ["ASC", "DESC"] {
            let order = key.replace('@', direction);
            let sql = format!("SELECT {columns} FROM {table} NOT INDEXED ORDER BY {order}");
            if copy_rows(from, &sql, &mut insert, &mut copied)? {
                break;
            }
        }
    }
    transaction.commit()?;
    Ok(copied)
}

/// Copies rows until one cannot be read. Returns whether all could.
fn copy_rows(
    from: &Connection,
    sql: &str,
    insert: &mut rusqlite::Statement<'_>,
    copied: &mut u64,
) -> rusqlite::Result<bool> {
    let Ok(mut select) = from.prepare(sql) else { return Ok(false) };
    let columns = select.column_count();
    let Ok(mut rows) = select.query([]) else { return Ok(false) };
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        };
        let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
        let Ok(values) = values.collect::<rusqlite::Result<Vec<_>>>() else { continue };
        match insert.execute(rusqlite::params_from_iter(values)) {
            Ok(rows) => *copied += rows as u64,
            // A row that violates a constraint is damaged: skip it.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
            Err(error) => return Err(error),
        }
    }
}

/// How files get into a folder beside a store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// The store stays in use.
    Copied,
    /// Another file takes its place.
    Moved,
}

/// Puts the files of a store into a folder of their own beside it. The store's path keeps its file until another one
/// replaces it, so that nobody finds the path empty.
fn keep(path: &Path, now: Time, how: Keep) -> Result<PathBuf, SqliteError> {
    let folder = new_folder(path, now)?;
    let io = |source| SqliteError::io(path, &folder, source);
    let into = folder.join(path.file_name().unwrap_or_default());
    let copy = |from: &Path, to: &Path| std::fs::copy(from, to).map(drop);
    if length(path) > 0 {
        // A hard link costs nothing, but not every file system supports it.
        let linked = if how == Keep::Moved { std::fs::hard_link(path, &into) } else { copy(path, &into) };
        linked.or_else(|_| copy(path, &into)).map_err(io)?;
    }
    let log = (place::companion(path, "wal"), place::companion(&into, "wal"));
    for (from, to) in [log, (stamp::path(path), stamp::path(&into))] {
        if from.exists() {
            let put = if how == Keep::Moved { std::fs::rename(&from, &to) } else { copy(&from, &to) };
            put.map_err(io)?;
        }
    }
    if how == Keep::Moved {
        // SQLite rebuilds the log's index from the log.
        place::remove(&place::companion(path, "shm")).map_err(io)?;
    }
    place::sync_folder(&into);
    Ok(folder)
}

/// Creates a folder with a name like `podbell.db.kept-20261127T203843Z`.
fn new_folder(path: &Path, now: Time) -> Result<PathBuf, SqliteError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mark = place::beside(path, "kept-");
    let io = |source| SqliteError::io(path, &mark, source);
    let prefix = mark.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let there = std::fs::read_dir(disk::folder_of(path)).map_err(io)?;
    let kept = there.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count();
    if kept >= MAX_KEPT {
        let why =
            format!("it was damaged {kept} times ({}*): look at the disk, and move those folders away", mark.display());
        return Err(SqliteError::Corrupt { path: path.to_owned(), why });
    }
    let at = now.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = std::iter::once(at.clone()).chain((2..=MAX_KEPT + 1).map(|n| format!("{at}-{n}")));
    for name in names {
        let folder = place::beside(path, &format!("kept-{name}"));
        match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
    }
    Err(io(std::io::ErrorKind::AlreadyExists.into()))
}

/// Checks every page of a store, beside its owner. This takes a while for a large store.
///
/// # Errors
/// [`SqliteError::Corrupt`] when something is wrong, others when it cannot be read.
pub fn check_all_pages(path: &Path) -> Result<(), SqliteError> {
    let connection = only_look(path).map_err(|source| SqliteError::of(path, source))?;
    check_integrity(&connection, path, "integrity_check")
}

/// How many commits a store is behind its stamp.
pub(super) fn behind(connection: &Connection, path: &Path) -> rusqlite::Result<u64> {
    // Read the stamp first: a running podbell commits before it stamps.
    let Some(stamp) = Stamp::read(path) else { return Ok(0) };
    let (_, uuid) = super::identity(connection)?;
    if uuid != stamp.uuid {
        return Ok(0);
    }
    Ok(stamp.commit.saturating_sub(super::commit_number(connection)?))
}

/// Records that a store is damaged, so that the next start keeps it aside.
pub fn mark_damaged(path: &Path, why: &str) {
    let path = place::real(path);
    let commit = peek(&path).ok().flatten().map(|peek| peek.commit);
    if let Err(error) = stamp::mark(&path, why, commit) {
        tracing::warn!(%error, "it could not be noted that the store is damaged");
    }
}
