//! Inspects a store and its place for `podbell doctor`: without its lock, without a write, whether or not a podbell
//! runs. The doctor judges the facts; faults are put into words here.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::migrate::{self, VERSION};
use super::{BUSY_WAIT, SqliteError, Store, disk, place};
use crate::file_inspection::{Fault, FileInfo, FileInspection};

/// How long checking all pages may take: the doctor has 10 s for everything.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Inspects a store.
pub(crate) fn inspect(path: &Path) -> FileInspection {
    // Ask before the file is opened, see [`place::is_owned`]. The log lies beside the file that a link leads to.
    let owned = place::is_owned(path);
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = real.as_path();
    let folder = disk::folder_of(path).to_owned();
    let place = place::check_place(path).and_then(|()| place::check_file_system(path)).map_err(|error| fault(&error));
    let sound = place.is_ok();
    FileInspection {
        writable: if sound { writable(path, &folder).map_err(|error| fault(&error)) } else { Ok(()) },
        free: rustix::fs::statvfs(&folder).ok().map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize)),
        file: (sound && path.exists()).then(|| seen(path).map_err(|error| fault(&error))),
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

fn seen(path: &Path) -> Result<FileInfo, SqliteError> {
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
    Ok(FileInfo { version, known: VERSION, bytes, heartbeat, behind, all_looked_at })
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

/// An error as a finding of the doctor.
fn fault(error: &SqliteError) -> Fault {
    let (found, advice) = match error {
        SqliteError::Place { what, .. } => match what.split_once(": ") {
            Some((what, advice)) => (what.to_owned(), advice.to_owned()),
            None => (what.clone(), "correct `store:`".to_owned()),
        },
        SqliteError::ReadOnly { why, .. } => (
            format!("cannot be written by this user: {why}"),
            "give podbell's user write access to the file and to its folder, and run `podbell doctor` as that user"
                .to_owned(),
        ),
        SqliteError::Newer { found, known, .. } => (
            format!("was written by a newer podbell (version {found} of the format, this one knows {known})"),
            "run that podbell, or put back the copy that was kept before the migration".to_owned(),
        ),
        SqliteError::Corrupt { why, .. } => (
            format!("is damaged or not a podbell store: {why}"),
            "if podbell wrote it, start podbell: it keeps the damaged files aside and goes on with what can be read; or put a backup in its place".to_owned(),
        ),
        SqliteError::Row { what, source, .. } => (
            format!("is damaged: {what} cannot be read: {source}"),
            "start podbell: it keeps the damaged files aside and goes on with what can be read; or put a backup in its place".to_owned(),
        ),
        SqliteError::Network { kind, .. } => (
            format!("lies on a network file system ({kind}), where two podbells could damage it"),
            "choose a path on a local disk".to_owned(),
        ),
        other => (other.to_string(), "correct `store:`, or what keeps podbell from it".to_owned()),
    };
    Fault { found, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_file_system_is_a_fault_with_advice() {
        let fault = fault(&SqliteError::Network { path: "/mnt/podbell.db".into(), kind: "NFS" });
        assert!(fault.found.contains("NFS") && fault.advice.contains("local disk"), "{fault:?}");
    }
}
