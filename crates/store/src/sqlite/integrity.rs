//! SQLite's own check of a store.

use std::path::Path;

use rusqlite::Connection;

use super::SqliteError;

/// How many of SQLite's findings are reported.
const MAX_FINDINGS: u32 = 5;

/// Runs SQLite's own check.
pub(super) fn check_integrity(connection: &Connection, path: &Path, pragma: &str) -> Result<(), SqliteError> {
    let of = |source| SqliteError::of(path, source);
    let mut check = connection.prepare(&format!("PRAGMA {pragma}({MAX_FINDINGS})")).map_err(of)?;
    let found = check.query_map([], |row| row.get::<_, String>(0)).map_err(of)?;
    let found: Vec<String> = found.collect::<rusqlite::Result<_>>().map_err(of)?;
    if found == ["ok"] {
        return Ok(());
    }
    let why = found.join("; ").replace("*** in database main ***\n", "").replace('\n', "; ");
    Err(SqliteError::Corrupt { path: path.to_owned(), why })
}
