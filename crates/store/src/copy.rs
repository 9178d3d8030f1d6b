//! Copies a store into another one, whatever their adapters: row by row and table by table, so that everything that was
//! told stays told.

use crate::{ErrorKind, StoreError};

/// How many rows are copied at once.
pub(crate) const PAGE: usize = 2000;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    Bytes,
    Flag,
}

/// A table that is copied.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    pub columns: &'static [(&'static str, Kind)],
}

impl Table {
    /// The columns for a statement, quoted because one is named like a key word.
    pub(crate) fn column_list(&self) -> String {
        let quoted: Vec<String> = self.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        quoted.join(", ")
    }
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nothing,
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
    Flag(bool),
}

/// A row, in the order of its table's columns.
pub(crate) type Row = Vec<Value>;

macro_rules! tables {
    ($($table:ident: $($kind:ident $column:ident),+;)+) => {
        &[$(Table { name: stringify!($table), columns: &[$((stringify!($column), Kind::$kind)),+] }),+]
    };
}

/// All tables but `meta`, whose values have no type in one of the stores.
pub(crate) const TABLES: &[Table] = tables! {
    source: Text name, Text state;
    target: Number id, Text source, Text cluster, Text namespace, Text service, Number last_good, Number failing_since,
        Number failing_trouble, Flag discovered;
    series: Number target, Bytes sid, Number episode, Number count, Number last_seen, Number level, Text obj_type,
        Text obj_name, Text reason, Text message, Number observed_at, Flag silent, Text node, Flag signal, Text metadata;
    incident: Number id, Text rule_file, Text rule_name, Text group_key, Text cluster, Text namespace, Text workload,
        Text phase, Number last_at, Number ended_at, Number state_version, Bytes state;
    trouble: Number id, Flag over, Text state;
    notice: Number id, Text kind, Text severity, Number incident, Number made_at, Text facts;
    delivery: Number id, Number notice, Text destination, Text state, Text content, Number born, Number send,
        Number done_at, Number folded_into, Text why;
    send: Number id, Text destination, Number claimed_at, Number attempts, Text settled, Bytes body;
    attempt: Number at, Text endpoint;
    destination: Text name, Text fingerprint, Text health;
    inbox: Number id, Number at, Text command, Number done_at, Text answer, Text key;
    rule_file: Text name, Text text, Number good_at;
    decision: Number id, Number incident, Bytes body;
    observation: Number id, Number at, Number target, Bytes sid, Number episode, Number kind, Number new, Number count,
        Number last_seen;
    held: Text destination, Text window, Text state;
    shown: Number incident, Text source, Text cluster, Text namespace, Text service;
    mute: Number id, Number until, Number ended_at, Text body;
    acknowledged: Number incident, Text body;
    action: Number id, Number at, Number incident, Text body;
    thread: Text destination, Number incident, Text place, Text channel, Text message, Number since, Text shown,
        Number shown_at;
    tally: Number target, Number quarter, Number warnings, Number others;
    rollout: Text source, Text cluster, Text namespace, Text service, Text workload, Text body;
    report: Number id, Number at, Text about, Flag last, Text body;
};

/// The `meta` values that a copy takes over, and their types. The others describe a store's own files.
pub(crate) const META: &[(&str, Kind)] = &[
    ("seed", Kind::Text),
    ("uuid", Kind::Text),
    ("epochs", Kind::Text),
    ("days", Kind::Text),
    ("heartbeat", Kind::Number),
    ("rules", Kind::Number),
    ("next_incident", Kind::Number),
    ("next_mute", Kind::Number),
    ("next_notice", Kind::Number),
    ("next_delivery", Kind::Number),
    ("next_send", Kind::Number),
];

/// A store that is copied. Nobody else writes it meanwhile.
pub(crate) trait CopyReader {
    /// What it records of itself, see [`META`].
    fn meta(&mut self) -> Result<Vec<(&'static str, Value)>, StoreError>;

    /// Passes all rows of a table on, at most [`PAGE`] at once.
    fn read(&mut self, table: &Table, take: &mut Take<'_>) -> Result<(), StoreError>;
}

/// Takes some rows of a table.
pub(crate) type Take<'a> = dyn FnMut(&[Row]) -> Result<(), StoreError> + 'a;

/// A store that is written. Nothing of it stays unless [`CopyWriter::finish`] returns without an error.
pub(crate) trait CopyWriter {
    /// Writes what the source records of itself, in place of what is there.
    fn write_meta(&mut self, rows: &[(&'static str, Value)]) -> Result<(), StoreError>;

    /// Adds rows to a table.
    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError>;

    /// How many rows a table has.
    fn count(&mut self, table: &Table) -> Result<u64, StoreError>;

    /// Keeps what was written.
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Why a store was not copied.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(
        "{0} is not empty: a copy needs a file that is not there, or a database without the schema podbell (DROP SCHEMA podbell CASCADE deletes it)"
    )]
    NotEmpty(String),
    #[error("the copy of {table} has {copied} rows and should have {read}; nothing was kept")]
    Incomplete { table: &'static str, copied: u64, read: u64 },
    #[error("podbell runs on {0}: stop it first, and start it with the copy afterwards")]
    Running(String),
    #[error("{0} holds no store")]
    Missing(String),
    #[error("{0} belongs to the store that was there, and SQLite would take it for the copy's: move it away")]
    Log(String),
}

impl From<CopyError> for StoreError {
    fn from(error: CopyError) -> Self {
        Self::new(ErrorKind::Unavailable, error.to_string(), error)
    }
}

/// Why a target cannot take a copy.
pub(crate) fn not_empty(target: &impl ToString) -> StoreError {
    CopyError::NotEmpty(target.to_string()).into()
}

/// A log of another store lies where the copy's would be.
pub(crate) fn log_is_there(log: &impl ToString) -> StoreError {
    CopyError::Log(log.to_string()).into()
}

/// An error of opening the store at this place; a podbell that runs on it must be stopped.
pub(crate) fn in_use(place: &impl ToString, error: StoreError) -> StoreError {
    match error.kind() {
        ErrorKind::InUse => CopyError::Running(place.to_string()).into(),
        _ => error,
    }
}

/// No store lies where one should be copied from.
pub(crate) fn missing(place: &impl ToString) -> StoreError {
    CopyError::Missing(place.to_string()).into()
}

/// Copies all rows into a target at this place, and checks that they arrived. Returns how many rows each table has.
pub(crate) fn copy_rows(
    mut source: Box<dyn CopyReader>,
    mut target: Box<dyn CopyWriter>,
    place: &impl ToString,
) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut counts = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        if target.count(table)? > 0 {
            return Err(not_empty(place));
        }
        let mut read = 0;
        source.read(table, &mut |rows| {
            read += rows.len() as u64;
            target.write(table, rows)
        })?;
        let copied = target.count(table)?;
        if copied != read {
            return Err(CopyError::Incomplete { table: table.name, copied, read }.into());
        }
        counts.push((table.name, copied));
    }
    target.write_meta(&source.meta()?)?;
    target.finish()?;
    Ok(counts)
}
