//! A SQLite store as the source or the target of a copy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{Value as Field, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::{Ownership, SqliteError, Store, place, stamp};
use crate::StoreError;
use crate::copy::{self, CopyReader, CopyWriter, Kind, META, PAGE, Row, Table, Take, Value};

/// A store that is copied; owned, so that nobody writes it.
pub(crate) struct CopySource {
    store: Store,
    _ownership: Ownership,
}

impl CopySource {
    pub(crate) fn open(path: &Path) -> Result<Self, SqliteError> {
        let ownership = Ownership::wait(path, Duration::ZERO)?;
        let store = Store::beside(path)?;
        super::recover::check_all_pages(path)?;
        Ok(Self { store, _ownership: ownership })
    }
}

impl CopyReader for CopySource {
    fn meta(&mut self) -> Result<Vec<(&'static str, Value)>, StoreError> {
        let mut found = Vec::new();
        for (key, kind) in META {
            let select = "SELECT value FROM meta WHERE key = ?1";
            let value =
                self.store.connection.query_row(select, [key], |row| value(row.get_ref(0)?, *kind, 0)).optional();
            found.extend(value.map_err(|source| self.store.error(source))?.map(|value| (*key, value)));
        }
        Ok(found)
    }

    fn read(&mut self, table: &Table, take: &mut Take<'_>) -> Result<(), StoreError> {
        let of = |source| self.store.error(source);
        let select = format!("SELECT {} FROM {}", table.column_list(), table.name);
        let mut statement = self.store.connection.prepare(&select).map_err(of)?;
        let mut rows = statement.query([]).map_err(of)?;
        let mut page: Vec<Row> = Vec::new();
        while let Some(row) = rows.next().map_err(of)? {
            let fields = table.columns.iter().enumerate().map(|(at, (_, kind))| value(row.get_ref(at)?, *kind, at));
            page.push(fields.collect::<rusqlite::Result<_>>().map_err(of)?);
            if page.len() == PAGE {
                take(&page)?;
                page.clear();
            }
        }
        if page.is_empty() { Ok(()) } else { take(&page) }
    }
}

fn value(field: ValueRef<'_>, kind: Kind, at: usize) -> rusqlite::Result<Value> {
    Ok(match (field, kind) {
        (ValueRef::Null, _) => Value::Nothing,
        (ValueRef::Integer(number), Kind::Number) => Value::Number(number),
        (ValueRef::Integer(number), Kind::Flag) => Value::Flag(number != 0),
        (field @ ValueRef::Text(_), Kind::Text) => Value::Text(field.as_str()?.to_owned()),
        (ValueRef::Blob(bytes), Kind::Bytes) => Value::Bytes(bytes.to_owned()),
        (field, _) => {
            return Err(rusqlite::Error::InvalidColumnType(at, "a copied column".to_owned(), field.data_type()));
        }
    })
}

/// A file that becomes a store when the copy is complete.
pub(crate) struct CopyTarget {
    path: PathBuf,
    /// Where it is written.
    fresh: PathBuf,
    /// `None` once the copy is complete.
    connection: Option<Connection>,
}

impl CopyTarget {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        place::check_place(path)?;
        place::check_file_system(path)?;
        let path = place::real(path);
        if path.exists() {
            return Err(copy::not_empty(&path.display()));
        }
        if let Some(log) = ["wal", "journal"].map(|log| place::companion(&path, log)).iter().find(|log| log.exists()) {
            return Err(copy::log_is_there(&log.display()));
        }
        let fresh = place::beside(&path, "copying");
        let io = |source| SqliteError::io(&path, &fresh, source);
        remove(&fresh).map_err(io)?;
        place::private(&fresh).map_err(io)?;
        let connection = super::connect(&fresh)?;
        let of = |source| SqliteError::of(&fresh, source);
        // The log goes into the file when the connection is closed.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(of)?;
        connection.execute_batch("BEGIN IMMEDIATE; DELETE FROM meta").map_err(of)?;
        Ok(Self { path, fresh, connection: Some(connection) })
    }

    fn with<T>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = self.connection.as_ref().ok_or(rusqlite::Error::InvalidQuery);
        Ok(connection.and_then(run).map_err(|source| SqliteError::of(&self.fresh, source))?)
    }

    fn put(&self, insert: &str, mut rows: impl Iterator<Item = Vec<Field>>) -> Result<(), StoreError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(insert)?;
            rows.try_for_each(|row| statement.execute(params_from_iter(row)).map(drop))
        })
    }
}

impl Drop for CopyTarget {
    fn drop(&mut self) {
        drop(self.connection.take());
        // What cannot be deleted now is deleted by the next copy.
        let _ = remove(&self.fresh);
    }
}

impl CopyWriter for CopyTarget {
    fn write_meta(&mut self, rows: &[(&'static str, Value)]) -> Result<(), StoreError> {
        let rows = rows.iter().map(|(key, value)| vec![Field::Text((*key).to_owned()), field(value)]);
        self.put("INSERT INTO meta VALUES (?1, ?2)", rows)
    }

    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        let places = vec!["?"; table.columns.len()].join(", ");
        let insert = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, table.column_list());
        self.put(&insert, rows.iter().map(|row| row.iter().map(field).collect()))
    }

    fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        let count = format!("SELECT count(*) FROM {}", table.name);
        self.with(|connection| connection.query_row(&count, [], |row| super::load::id(row, 0)))
    }

    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.with(|connection| connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)"))?;
        let closed = self.connection.take().map_or(Ok(()), Connection::close);
        closed.map_err(|(_, source)| SqliteError::of(&self.fresh, source))?;
        let io = |source| SqliteError::io(&self.path, &self.fresh, source);
        std::fs::File::open(&self.fresh).and_then(|file| file.sync_all()).map_err(io)?;
        // A link does not replace a file that came there meanwhile; the name under which it was written goes.
        std::fs::hard_link(&self.fresh, &self.path).map_err(io)?;
        // That of a store which was here before says nothing of this one.
        Ok(place::remove(&stamp::path(&self.path)).map_err(io)?)
    }
}

/// Deletes what a copy that was not finished left.
fn remove(fresh: &Path) -> std::io::Result<()> {
    for companion in ["wal", "shm"] {
        place::remove(&place::companion(fresh, companion))?;
    }
    place::remove(fresh)
}

fn field(value: &Value) -> Field {
    match value {
        Value::Nothing => Field::Null,
        Value::Number(number) => Field::Integer(*number),
        Value::Flag(flag) => Field::Integer(i64::from(*flag)),
        Value::Text(text) => Field::Text(text.clone()),
        Value::Bytes(bytes) => Field::Blob(bytes.clone()),
    }
}

/// The tables of a new store with their columns, for the test that all are copied.
#[cfg(test)]
pub(crate) fn columns(path: &Path) -> Vec<(String, Vec<String>)> {
    let connection = super::connect(path).unwrap();
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
        .unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let columns = |table: &str| {
        let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY name").unwrap();
        columns.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    names.iter().map(|name| (name.clone(), columns(name))).collect()
}

/// Puts two rows into every table, the second with nothing wherever that is allowed; for tests of copies.
#[cfg(test)]
#[cfg(feature = "outside")]
pub(crate) fn fill_every_table(path: &Path) {
    let connection = Connection::open(path).unwrap();
    for table in crate::copy::TABLES {
        for row in 1..=2_i64 {
            let field = |at: usize, (name, kind): &(&str, Kind)| {
                let is_needed = "SELECT \"notnull\" OR pk FROM pragma_table_info(?1) WHERE name = ?2";
                let is_needed =
                    connection.query_row(is_needed, [table.name, name], |row| row.get::<_, bool>(0)).unwrap();
                let number = 100 * row + i64::try_from(at).unwrap();
                match kind {
                    _ if row == 2 && !is_needed => Field::Null,
                    Kind::Number => Field::Integer(number),
                    Kind::Text => Field::Text(format!("{name} 語 '{number}")),
                    Kind::Bytes => Field::Blob(vec![u8::try_from(row).unwrap(), 0, 255]),
                    Kind::Flag => Field::Integer(row % 2),
                }
            };
            let places = vec!["?"; table.columns.len()].join(", ");
            let insert = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, table.column_list());
            let fields = table.columns.iter().enumerate().map(|(at, column)| field(at, column));
            connection.execute(&insert, params_from_iter(fields)).unwrap();
        }
    }
}

/// Every row of every table; for tests of copies.
#[cfg(test)]
#[cfg(feature = "outside")]
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut rows = Vec::new();
    for table in crate::copy::TABLES {
        let select = format!("SELECT {} FROM {}", table.column_list(), table.name);
        let mut statement = connection.prepare(&select).unwrap();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let fields: Vec<Field> = (0..table.columns.len()).map(|at| row.get(at).unwrap()).collect();
            rows.push(format!("{}: {fields:?}", table.name));
        }
    }
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::TABLES;

    #[test]
    fn what_lies_beside_the_place_of_a_store_that_is_gone_is_not_taken_for_the_copys() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from.db", "to.db"].map(|name| folder.path().join(name));
        let [source, target] = [&from, &to].map(|path| crate::Location::from(path.clone()));
        drop(source.writer(std::time::Duration::ZERO, podbell_core::time::Time::default()).unwrap());
        std::fs::write(place::companion(&to, "wal"), "of the store that was there").unwrap();
        let error = source.copy_to(&target).unwrap_err().to_string();
        assert!(error.contains("to.db-wal belongs to the store that was there"), "{error}");
        std::fs::remove_file(place::companion(&to, "wal")).unwrap();
        std::fs::write(stamp::path(&to), "of the store that was there").unwrap();
        source.copy_to(&target).unwrap();
        assert!(to.exists() && !stamp::path(&to).exists());
    }

    #[test]
    fn every_column_of_every_table_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let mut copied: Vec<(String, Vec<String>)> = TABLES
            .iter()
            .map(|table| {
                let mut columns: Vec<String> = table.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
                columns.sort_unstable();
                (table.name.to_owned(), columns)
            })
            .collect();
        copied.push(("meta".to_owned(), vec!["key".to_owned(), "value".to_owned()]));
        copied.sort_unstable();
        assert_eq!(columns(&folder.path().join("podbell.db")), copied);
    }
}
