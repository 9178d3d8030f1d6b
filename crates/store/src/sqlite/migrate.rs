//! The format of the file: creates it, checks it, and migrates it to this version, with a copy kept.

use std::io::Read;
use std::path::Path;

use rusqlite::Connection;

use super::{APPLICATION_ID, SqliteError, place};

/// The version that the first of [`MIGRATIONS`] creates. Earlier versions were never released.
const FIRST: i64 = 5;
/// The steps from nothing to this version's format. Never edit one that was released; add one.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
    include_str!("schema/7.sql"),
    include_str!("schema/8.sql"),
];
/// The version of the format that this program writes.
pub(super) const VERSION: i64 = newest(MIGRATIONS);

/// The version that these migrations lead to.
#[allow(clippy::cast_possible_wrap)]
const fn newest(migrations: &[&str]) -> i64 {
    FIRST - 1 + migrations.len() as i64
}

/// The page cache, in KiB.
const CACHE_KIB: i64 = 8 * 1024;
/// How many pages the write-ahead log usually holds before a checkpoint: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4_000;

/// Whether the file is as long as its header says. SQLite would notice only when it reads a missing page. With a WAL
/// beside it, the file may rightly be shorter.
pub(super) fn check_whole(path: &Path) -> Result<(), SqliteError> {
    let Ok(mut file) = std::fs::File::open(path) else { return Ok(()) };
    let length = file.metadata().map(|meta| meta.len()).unwrap_or(0);
    let has_wal = std::fs::metadata(format!("{}-wal", path.display())).is_ok_and(|meta| meta.len() > 0);
    let mut header = [0u8; 32];
    if length == 0 || has_wal || file.read_exact(&mut header).is_err() {
        return Ok(());
    }
    let u16_at = |at: usize| u64::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let page_size = match u16_at(16) {
        1 => 65_536,
        size => size,
    };
    let pages = (u16_at(28) << 16) | u16_at(30);
    if header.starts_with(b"SQLite format 3\0") && length < pages * page_size {
        let why = format!("it has {length} bytes and should have {}", pages * page_size);
        return Err(SqliteError::Corrupt { path: path.to_owned(), why });
    }
    Ok(())
}

/// Applies the settings, checks the version, and migrates.
pub(super) fn prepare(connection: &Connection, path: &Path, migrations: &[&str]) -> Result<(), SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let known = newest(migrations);
    let found = check_version(connection, path, known, OlderFormat::IsTaken)?;
    if found == 0 {
        // Only takes effect before the first table is created.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").map_err(of)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL").map_err(of)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(of)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024).map_err(of)?;
    // Enough for the inner pages of every index of a large store; with 2 MB they would be read again and again.
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(of)?;
    // A page that changes often is copied into the file once in this many pages, 4 KiB each.
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(of)?;
    // A store that cannot be written must say so now, not at the first notice.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").map_err(of)?;
    if found < known {
        migrate(connection, path, migrations, found)?;
    }
    Ok(())
}

/// What becomes of a file in an older format, or of an empty one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OlderFormat {
    IsRefused,
    /// The caller migrates it, or only wants to know.
    IsTaken,
}

/// The version of the file's format; 0 for an empty one.
pub(super) fn check_version(
    connection: &Connection,
    path: &Path,
    known: i64,
    older: OlderFormat,
) -> Result<i64, SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(of);
    let (found, application) = (pragma("user_version")?, pragma("application_id")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(of)?;
    let foreign = tables > 0 && application != APPLICATION_ID;
    let unreleased = (1..FIRST).contains(&found);
    if foreign || unreleased || (older == OlderFormat::IsRefused && found < known) {
        let why = match () {
            () if foreign => "it holds other tables",
            () if unreleased => "it has a format from before the first release, which this version does not read",
            () => "it has an older format; start `podbell run` once",
        };
        return Err(SqliteError::Corrupt { path: path.to_owned(), why: why.into() });
    }
    if found > known {
        return Err(SqliteError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Migrates the file from version `found` to the newest, in one transaction, and keeps a copy.
fn migrate(connection: &Connection, path: &Path, migrations: &[&str], found: i64) -> Result<(), SqliteError> {
    let of = |source| SqliteError::of(path, source);
    if found > 0 {
        keep_copy(connection, path, found)?;
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(of)?;
    let result = (|| {
        let done = usize::try_from(found - FIRST + 1).unwrap_or(0);
        for migration in migrations.iter().skip(done) {
            connection.execute_batch(migration)?;
        }
        if found == 0 {
            let mut meta = connection.prepare("INSERT INTO meta VALUES (?1, ?2)")?;
            meta.execute(("seed", format!("{:016x}", rand::random::<u64>())))?;
            meta.execute(("uuid", format!("{:016x}", rand::random::<u64>())))?;
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", newest(migrations))?;
        connection.execute_batch("COMMIT")
    })();
    result.map_err(|source| {
        // Report the first error, not that of the rollback.
        let _ = connection.execute_batch("ROLLBACK");
        SqliteError::of(path, source)
    })
}

/// Copies the store to `podbell.db.vN.backup` beside it, where N is its version.
fn keep_copy(connection: &Connection, path: &Path, found: i64) -> Result<(), SqliteError> {
    let copy = place::beside(path, &format!("v{found}.backup"));
    // Write under another name first, so that the final name never holds a partial copy.
    let unfinished = place::beside(path, &format!("v{found}.backup.unfinished"));
    let io = |source| SqliteError::Io { path: copy.clone(), source };
    place::remove(&unfinished).map_err(io)?;
    // SQLite takes an empty file, and would make one with the rights of the umask.
    place::private(&unfinished).map_err(io)?;
    let vacuum = connection.execute("VACUUM INTO ?1", [unfinished.to_string_lossy()]);
    vacuum.map_err(|source| SqliteError::of(&copy, source))?;
    std::fs::rename(&unfinished, &copy).map_err(io)?;
    tracing::info!(copy = %copy.display(), from_version = found, "kept a copy of the store before the migration");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_migration_keeps_a_copy_and_all_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbell.db");
        let connection = Connection::open(&path).unwrap();
        prepare(&connection, &path, MIGRATIONS).unwrap();
        connection.execute("INSERT INTO source VALUES ('prod', '{}')", []).unwrap();
        let newer: Vec<&str> = MIGRATIONS.iter().copied().chain(["ALTER TABLE source ADD COLUMN more TEXT"]).collect();
        prepare(&connection, &path, &newer).unwrap();
        let count = |c: &Connection| c.query_row("SELECT count(*) FROM source", [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(count(&connection), 1);
        let copy = folder.path().join(format!("podbell.db.v{VERSION}.backup"));
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600, "it is as private as the store");
        let copy = Connection::open(copy).unwrap();
        assert_eq!(count(&copy), 1);
        // And an old program refuses the new file.
        assert!(matches!(prepare(&connection, &path, MIGRATIONS), Err(SqliteError::Newer { .. })));
    }

    #[test]
    fn a_format_from_before_the_first_release_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbell.db");
        let connection = Connection::open(&path).unwrap();
        prepare(&connection, &path, MIGRATIONS).unwrap();
        connection.pragma_update(None, "user_version", FIRST - 1).unwrap();
        let error = prepare(&connection, &path, MIGRATIONS).unwrap_err().to_string();
        assert!(error.contains("before the first release"), "{error}");
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbell.db");
        let connection = Connection::open(&path).unwrap();
        prepare(&connection, &path, MIGRATIONS).unwrap();
        let broken: Vec<&str> = MIGRATIONS.iter().copied().chain(["CREATE TABLE x (a); NOT SQL"]).collect();
        assert!(prepare(&connection, &path, &broken).is_err());
        assert_eq!(check_version(&connection, &path, VERSION, OlderFormat::IsRefused).unwrap(), VERSION);
        assert!(connection.prepare("SELECT * FROM x").is_err());
    }
}
