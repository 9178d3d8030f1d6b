//! Backups of a store beside its owner: a copy of one moment, which gets its name only once it is verified.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};

use super::migrate::{self, VERSION};
use super::{BUSY_WAIT, SqliteError, Store, disk, place};
use crate::{Backup, Existing};
use podbell_core::time::Time;

/// How many pages are copied at once, and the pause after them: at most 25 MB a second, so that a running podbell
/// still gets the disk.
const PAGES: i32 = 64;
const PAUSE: Duration = Duration::from_millis(10);

/// Writes a backup to a file.
///
/// # Errors
/// See [`SqliteError`]; no file is left and none is changed when it fails.
pub fn back_up(store: &Path, to: &Path, existing: Existing, now: Time) -> Result<Backup, SqliteError> {
    let source = Store::beside(store)?;
    check_target(&source.path, to, existing)?;
    let unfinished = Unfinished::begin(&source.path, to)?;
    let backup = unfinished.fill(source, now)?;
    unfinished.put_in_place(existing)?;
    Ok(backup)
}

/// Writes a backup to a stream. Until it is verified it lies beside the store.
///
/// # Errors
/// See [`SqliteError`]; what was written to the stream then is no backup.
pub fn back_up_to(store: &Path, out: &mut dyn Write, now: Time) -> Result<Backup, SqliteError> {
    let source = Store::beside(store)?;
    let unfinished = Unfinished::begin(&source.path, &source.path)?;
    let backup = unfinished.fill(source, now)?;
    let mut file = File::open(&unfinished.path).map_err(|source| unfinished.failed(source))?;
    let written = std::io::copy(&mut file, out).and_then(|_| out.flush());
    written.map_err(|source| SqliteError::Backup { path: "-".into(), what: source.to_string() })?;
    Ok(backup)
}

/// Refuses names that a backup cannot have.
fn check_target(store: &Path, to: &Path, existing: Existing) -> Result<(), SqliteError> {
    let refuse = |what: String| Err(SqliteError::Backup { path: to.to_owned(), what });
    let folder = disk::folder_of(to);
    let Ok(real_folder) = folder.canonicalize() else {
        return refuse(format!("there is no folder {}: make it, or choose another place", folder.display()));
    };
    let Some(name) = to.file_name().filter(|_| real_folder.is_dir() && !to.is_dir()) else {
        return refuse("that names a folder, or lies in none: name a file in a folder that exists".to_owned());
    };
    let real = real_folder.join(name);
    let companions = ["wal", "shm", "journal"].map(|suffix| place::companion(store, suffix));
    let beside = ["lock", "stamp", "fresh"].map(|suffix| place::beside(store, suffix));
    let is_store = place::inode(to).is_some_and(|inode| place::inode(store) == Some(inode));
    if is_store || companions.contains(&real) || beside.contains(&real) {
        return refuse("that is the store itself, or belongs to it: choose another name".to_owned());
    }
    for log in ["wal", "journal"].map(|suffix| place::companion(to, suffix)) {
        // It would be taken for the log of the backup.
        if log.exists() {
            return refuse(format!(
                "{} belongs to the file that is or was there: move it away, or choose another name",
                log.display()
            ));
        }
    }
    match std::fs::symlink_metadata(to) {
        Err(_) => Ok(()),
        Ok(_) if existing == Existing::Keep => refuse(EXISTS.to_owned()),
        Ok(meta) if !meta.is_file() => refuse("that is no file: choose another name".to_owned()),
        Ok(_) if place::is_owned(to) => {
            refuse("a podbell runs on that file as its store: choose another name".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

const EXISTS: &str = "that file exists: choose another name, or replace it with --force";

/// A backup that is not verified yet. Its file is removed when it is dropped.
struct Unfinished {
    path: PathBuf,
    /// The file that it becomes.
    to: PathBuf,
    /// Locked, so that two backups never write the same file. Kept open for longer than any connection to it: closing
    /// a descriptor would drop SQLite's locks.
    file: File,
}

impl Unfinished {
    /// Begins an empty file beside the one that it becomes. Takes over what an interrupted backup left there.
    fn begin(store: &Path, to: &Path) -> Result<Self, SqliteError> {
        let path = place::beside(to, "podbell-unfinished");
        let failed = |source: std::io::Error| failed(to, &path, source);
        if place::inode(&path).is_some_and(|inode| place::inode(store) == Some(inode)) {
            let what = format!("{} is the store itself: choose another name", path.display());
            return Err(SqliteError::Backup { path: to.to_owned(), what });
        }
        loop {
            let file = place::private(&path).map_err(failed)?;
            // Not every file system has locks.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                let what = "another backup to that file is under way: wait for its end".to_owned();
                return Err(SqliteError::Backup { path: to.to_owned(), what });
            }
            // The backup before may just have got its name, and this would be its file.
            if place::inode(&path) == file.metadata().ok().as_ref().map(place::inode_of) {
                file.set_len(0).and_then(|()| place::make_private(&path)).map_err(failed)?;
                for suffix in ["journal", "wal", "shm"] {
                    place::remove(&place::companion(&path, suffix)).map_err(failed)?;
                }
                return Ok(Self { path, to: to.to_owned(), file });
            }
        }
    }

    fn failed(&self, source: std::io::Error) -> SqliteError {
        failed(&self.to, &self.path, source)
    }

    /// Copies the store into the file and verifies the copy.
    fn fill(&self, source: Store, now: Time) -> Result<Backup, SqliteError> {
        self.check_space(&source)?;
        // One read transaction: commits in between would make SQLite begin the copy anew each time.
        source.connection.execute_batch("BEGIN").map_err(|error| source.error(error))?;
        let read = || Ok((super::commit_number(&source.connection)?, Store::heartbeat_of(&source.connection)?));
        let (commit, last_alive) = read().map_err(|error| source.error(error))?;
        self.copy(&source)?;
        let (seed, uuid) = (source.seed, source.uuid.clone());
        let store = source.path.clone();
        // From here on the owner's log may be emptied again.
        drop(source);
        self.mark(now).map_err(|source| self.of(&store, source))?;
        self.file.sync_all().map_err(|source| self.failed(source))?;
        let copied = self.verify().map_err(|error| self.unsound(error))?;
        if copied != (seed, uuid, commit) {
            let what = "the copy is not what the store was: look at the disk, and try again".to_owned();
            return Err(SqliteError::Backup { path: self.to.clone(), what });
        }
        let bytes = self.file.metadata().map_err(|source| self.failed(source))?.len();
        Ok(Backup { bytes, commit, last_alive })
    }

    fn check_space(&self, source: &Store) -> Result<(), SqliteError> {
        let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let needed = source.connection.query_row(sql, [], |row| super::load::id(row, 0));
        let needed = needed.map_err(|error| source.error(error))?;
        let free = rustix::fs::statvfs(disk::folder_of(&self.path)).ok();
        match free.map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)) {
            Some(free) if free < needed => {
                let what = format!(
                    "it needs {} KiB and the disk has {} KiB free: make room there, or choose another place",
                    needed.div_ceil(1024),
                    free / 1024
                );
                Err(SqliteError::Backup { path: self.to.clone(), what })
            }
            _ => Ok(()),
        }
    }

    fn copy(&self, source: &Store) -> Result<(), SqliteError> {
        let of = |error| self.of(&source.path, error);
        let mut copy = self.open().map_err(of)?;
        let backup = rusqlite::backup::Backup::new(&source.connection, &mut copy).map_err(of)?;
        let mut waited = Duration::ZERO;
        loop {
            match backup.step(PAGES).map_err(of)? {
                StepResult::Done => return Ok(()),
                StepResult::More => waited = Duration::ZERO,
                _ if waited < BUSY_WAIT => waited += PAUSE,
                _ => {
                    let waited_seconds = BUSY_WAIT.as_secs();
                    return Err(SqliteError::Busy { path: source.path.clone(), waited_seconds });
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// A connection that writes the copy. Nobody else opens it, so it needs neither shared memory nor, before the end,
    /// to reach the disk.
    fn open(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(connection)
    }

    /// Makes the copy one file without a log, and notes in it that it is a backup, so that the start that goes on with
    /// it knows that it is older than what podbell did since.
    fn mark(&self, now: Time) -> rusqlite::Result<()> {
        let copy = self.open()?;
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", (MARK, now.millis()))?;
        copy.close().map_err(|(_, error)| error)
    }

    /// Reads all that a start reads, and checks every page. Returns seed, name and commit of the copy.
    fn verify(&self) -> Result<(u64, String, u64), SqliteError> {
        let of = |source| SqliteError::of(&self.path, source);
        migrate::check_whole(&self.path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let copy = Connection::open_with_flags(&self.path, flags).map_err(of)?;
        migrate::check_version(&copy, &self.path, VERSION, migrate::OlderFormat::IsRefused)?;
        super::integrity::check_integrity(&copy, &self.path, "integrity_check")?;
        let uuid = super::identity(&copy).map_err(of)?.1;
        let epochs = super::epoch::read(&copy, &uuid).map_err(of)?;
        let mut copy = Store::made(&self.path, copy, epochs).map_err(of)?;
        copy.read_all()?;
        copy.read_good_rules()?;
        Ok((copy.seed, copy.uuid.clone(), copy.commits))
    }

    /// Gives the backup its name.
    fn put_in_place(&self, existing: Existing) -> Result<(), SqliteError> {
        let placed = match existing {
            Existing::Replace => std::fs::rename(&self.path, &self.to),
            // Unlike a rename, a link replaces nothing. Not every file system has links.
            Existing::Keep => match std::fs::hard_link(&self.path, &self.to) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists && !self.to.exists() => {
                    std::fs::rename(&self.path, &self.to)
                }
                other => other,
            },
        };
        placed.map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => SqliteError::Backup { path: self.to.clone(), what: EXISTS.to_owned() },
            _ => self.failed(source),
        })?;
        place::sync_folder(&self.to);
        Ok(())
    }

    /// An error of SQLite while it copies: of the store if that is damaged or busy, else of the copy.
    fn of(&self, store: &Path, source: rusqlite::Error) -> SqliteError {
        match SqliteError::of(&self.path, source) {
            SqliteError::Corrupt { why, .. } => self.unsound(SqliteError::Corrupt { path: store.to_owned(), why }),
            SqliteError::Busy { waited_seconds, .. } => SqliteError::Busy { path: store.to_owned(), waited_seconds },
            SqliteError::Full { .. } => self.failed(ErrorKind::StorageFull.into()),
            SqliteError::Sqlite { source, .. } => {
                SqliteError::Backup { path: self.to.clone(), what: source.to_string() }
            }
            other => SqliteError::Backup { path: self.to.clone(), what: other.why() },
        }
    }

    /// Damage in the copy is damage in the store.
    fn unsound(&self, error: SqliteError) -> SqliteError {
        if !error.is_damage() {
            return SqliteError::Backup { path: self.to.clone(), what: error.why() };
        }
        let what = format!(
            "the store is damaged: {}. Restart podbell: it keeps the damaged files aside and goes on with what can be read",
            error.why()
        );
        SqliteError::Backup { path: self.to.clone(), what }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Whatever is left is taken over by the next backup.
        let _ = place::remove(&self.path);
        let _ = place::remove(&place::companion(&self.path, "journal"));
    }
}

fn failed(to: &Path, at: &Path, source: std::io::Error) -> SqliteError {
    let what = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "its disk is full: make room there, or choose another place".to_owned()
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            let folder = disk::folder_of(at).display();
            format!("{folder} cannot be written by this user ({source}): choose a folder that can")
        }
        _ => format!("{}: {source}", at.display()),
    };
    SqliteError::Backup { path: to.to_owned(), what }
}

/// The setting that says of a store that it is a backup, and when it was made.
const MARK: &str = "backup";

/// When the backup was made that a store is; `None` once a podbell went on with it.
pub(super) fn made_at(connection: &Connection) -> rusqlite::Result<Option<Time>> {
    use rusqlite::OptionalExtension as _;
    let sql = "SELECT value FROM meta WHERE key = ?1";
    Ok(connection.query_row(sql, [MARK], |row| row.get(0)).optional()?.map(Time::from_millis))
}

/// Notes that a podbell goes on with this store: it is a backup no more.
pub(super) fn take_into_use(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM meta WHERE key = ?1", [MARK]).map(drop)
}
