//! Inspects a store and its place for `podbell doctor`: without its lock, without a write, whether or not a podbell
//! runs. The doctor interprets the result.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::migrate::{self, VERSION};
use super::{BUSY_WAIT, SqliteError, Store, disk, place};
use podbell_core::time::Time;

/// How long checking all pages may take: the doctor has 10 s for everything.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What an inspection found.
#[derive(Debug)]
pub struct Inspection {
    /// The folder in which it lies.
    pub folder: PathBuf,
    /// Whether a store can be in this place: the folder is there and local.
    pub place: Result<(), SqliteError>,
    /// Whether this user may write the folder and, if it is there, the file.
    pub writable: Result<(), SqliteError>,
    /// Free space for this user, in bytes, if the system says.
    pub free: Option<u64>,
    /// Whether a podbell owns it at the moment.
    pub owned: bool,
    /// The file itself; `None`: it is not there yet.
    pub file: Option<Result<StoreInfo, SqliteError>>,
}

/// What is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// The version of its format.
    pub version: i64,
    /// The version that this program writes.
    pub known: i64,
    /// Its length in bytes, with that of its write-ahead log.
    pub bytes: u64,
    /// When a podbell that runs on it was last alive.
    pub heartbeat: Option<Time>,
    /// How many commits it has lost.
    pub behind: u64,
    /// Whether every page was checked; false if time ran out.
    pub all_looked_at: bool,
}

/// Inspects a store.
pub fn inspect(path: &Path) -> Inspection {
    // Ask before the file is opened, see [`place::is_owned`]. The log lies beside the file that a link leads to.
    let owned = place::is_owned(path);
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = real.as_path();
    let folder = disk::folder_of(path).to_owned();
    let place = place::check_place(path).and_then(|()| place::check_file_system(path));
    let sound = place.is_ok();
    Inspection {
        writable: if sound { writable(path, &folder) } else { Ok(()) },
        free: rustix::fs::statvfs(&folder).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)),
        file: (sound && path.exists()).then(|| seen(path)),
        folder,
        place,
        owned,
    }
}

fn writable(path: &Path, folder: &Path) -> Result<(), SqliteError> {
    use rustix::fs::{Access, access};
    let check = |at: &Path, what: &str, rights| {
        access(at, rights)
            .map_err(|error| SqliteError::ReadOnly { path: path.to_owned(), why: format!("{what}: {error}") })
    };
    check(folder, "its folder", Access::WRITE_OK | Access::EXEC_OK)?;
    if path.exists() { check(path, "the file", Access::READ_OK | Access::WRITE_OK) } else { Ok(()) }
}

fn seen(path: &Path) -> Result<StoreInfo, SqliteError> {
    migrate::check_whole(path)?;
    let of = |source| SqliteError::of(path, source);
    let connection = open(path).map_err(of)?;
    connection.busy_timeout(BUSY_WAIT).map_err(of)?;
    let version = migrate::check_version(&connection, path, VERSION, migrate::OlderFormat::IsTaken)?;
    let length = |path: &Path| std::fs::metadata(path).map(|file| file.len()).unwrap_or_default();
    let bytes = length(path) + length(Path::new(&format!("{}-wal", path.display())));
    let (heartbeat, behind) = match version {
        0 => (None, 0),
        _ => {
            let behind = super::recover::behind(&connection, path).map_err(of)?;
            (Store::heartbeat_of(&connection).map_err(of)?, behind)
        }
    };
    let all_looked_at = look_at_pages(&connection, path)?;
    Ok(StoreInfo { version, known: VERSION, bytes, heartbeat, behind, all_looked_at })
}

/// Checks the pages as far as time allows. Returns whether all were checked.
fn look_at_pages(connection: &Connection, path: &Path) -> Result<bool, SqliteError> {
    let (done, waits) = std::sync::mpsc::channel::<()>();
    let interrupt = connection.get_interrupt_handle();
    let timer = std::thread::spawn(move || {
        if waits.recv_timeout(TIMEOUT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let checked = super::integrity::check_integrity(connection, path, "quick_check");
    drop(done);
    // The timer thread has no result.
    let _ = timer.join();
    match checked {
        Err(SqliteError::Sqlite { source, .. })
            if source.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

/// Opens the file for reading. Without a write-ahead log nobody has it open, and SQLite would create that log for a
/// reader and leave it behind, so the file is opened as immutable.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let name = path.display().to_string();
    if Path::new(&format!("{name}-wal")).exists() || path.to_str().is_none() {
        return Connection::open_with_flags(path, flags);
    }
    let name = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)
}
