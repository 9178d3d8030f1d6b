//! A PostgreSQL store as the source or the target of a copy.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::LOAD_LIMIT;
use super::call::Call;
use super::column::{BadColumn, Column, get};
use super::error::PostgresError;
use super::lease;
use super::server::Server;
use super::session::Session;
use crate::copy::{CopyReader, CopyWriter, Kind, META, PAGE, Row, TABLES, Table, Take, Value};
use crate::{StoreError, Writer};

/// With less of the lease left than this, reading on renews it.
const RENEW_BELOW: Duration = Duration::from_secs(7);
/// What is read waits for the other store between its rows.
const PATIENT: &str = "SELECT set_config('statement_timeout', '55s', true),
    set_config('idle_in_transaction_session_timeout', '0', true)";

/// A store that is copied; owned, so that nobody writes it.
pub(crate) struct CopySource {
    writer: Box<dyn Writer>,
    session: Session,
}

impl CopySource {
    pub(crate) fn open(server: &Arc<Server>) -> Result<Self, StoreError> {
        let writer = lease::writer(server, Duration::ZERO)?;
        let session = Session::open(server)?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        session.pipeline(&[Call::new(begin), Call::new(PATIENT)], LOAD_LIMIT).map_err(|failed| failed.error)?;
        Ok(Self { writer, session })
    }
}

impl CopyReader for CopySource {
    fn meta(&mut self) -> Result<Vec<(&'static str, Value)>, StoreError> {
        let select = Call::new("SELECT key, value FROM podbell.meta");
        let rows = self.session.read(select, "what the store records of itself", |row| {
            Ok((get::<String>(row, 0)?, get::<String>(row, 1)?))
        })?;
        let mut found = Vec::new();
        for (key, kind) in META {
            let Some((_, value)) = rows.iter().find(|(name, _)| name == key) else { continue };
            found.push((
                *key,
                match kind {
                    Kind::Number => Value::Number(value.parse().map_err(|error| self.session.damaged(*key, error))?),
                    _ => Value::Text(value.clone()),
                },
            ));
        }
        Ok(found)
    }

    fn read(&mut self, table: &Table, take: &mut Take<'_>) -> Result<(), StoreError> {
        let (list, name) = (table.column_list(), table.name);
        let declare = format!("DECLARE copied NO SCROLL CURSOR FOR SELECT {list} FROM podbell.{name}");
        self.session.query(Call::new(declare))?;
        loop {
            let rows = self.session.query(Call::new(format!("FETCH {PAGE} FROM copied")))?;
            let rows = self.session.decode(&rows, name, |row| row_of(row, table))?;
            if rows.is_empty() {
                self.session.query(Call::new("CLOSE copied"))?;
                return Ok(());
            }
            take(&rows)?;
            if self.writer.lease().is_some_and(|lease| lease.left() < RENEW_BELOW) {
                self.writer.renew()?;
            }
        }
    }
}

fn row_of(row: &tokio_postgres::Row, table: &Table) -> Column<Row> {
    let value = |at: usize, kind: Kind| {
        Ok::<_, BadColumn>(match kind {
            Kind::Number => get::<Option<i64>>(row, at)?.map_or(Value::Nothing, Value::Number),
            Kind::Text => get::<Option<String>>(row, at)?.map_or(Value::Nothing, Value::Text),
            Kind::Bytes => get::<Option<Vec<u8>>>(row, at)?.map_or(Value::Nothing, Value::Bytes),
            Kind::Flag => get::<Option<bool>>(row, at)?.map_or(Value::Nothing, Value::Flag),
        })
    };
    table.columns.iter().enumerate().map(|(at, (_, kind))| value(at, *kind)).collect()
}

/// A schema that is filled in one transaction, which holds the lease's row, so that nobody takes over meanwhile.
pub(crate) struct CopyTarget {
    session: Session,
}

impl CopyTarget {
    pub(crate) fn open(server: &Arc<Server>) -> Result<Self, StoreError> {
        // Makes the schema, and leaves the lease to the transaction below.
        drop(lease::writer(server, Duration::ZERO)?);
        let session = Session::open(server)?;
        let lock = "SELECT 1 FROM podbell.lease WHERE expires_at <= clock_timestamp() FOR UPDATE SKIP LOCKED";
        let calls = [super::BEGIN, PATIENT, lock].map(Call::new);
        let rows = session.pipeline(&calls, LOAD_LIMIT).map_err(|failed| failed.error)?;
        if rows.last().is_none_or(Vec::is_empty) {
            let (server, holder) = (server.to_string(), lease::owner(&session)?.1);
            return Err(PostgresError::InUse { server, holder, waited_seconds: 0 }.into());
        }
        Ok(Self { session })
    }
}

impl CopyWriter for CopyTarget {
    fn write_meta(&mut self, rows: &[(&'static str, Value)]) -> Result<(), StoreError> {
        self.session.query(Call::new("DELETE FROM podbell.meta"))?;
        let text = |value: &Value| match value {
            Value::Number(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.clone()),
            Value::Nothing | Value::Bytes(_) | Value::Flag(_) => None,
        };
        let insert = Call::new("INSERT INTO podbell.meta SELECT * FROM unnest($1, $2)");
        let insert = insert.texts(rows.iter().map(|(key, _)| *key));
        self.session.query(insert.made_texts(rows.iter().map(|(_, value)| text(value))))?;
        Ok(())
    }

    fn write(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        let places: Vec<String> = (1..=table.columns.len()).map(|at| format!("${at}")).collect();
        let (name, list, places) = (table.name, table.column_list(), places.join(", "));
        let mut call = Call::new(format!("INSERT INTO podbell.{name} ({list}) SELECT * FROM unnest({places})"));
        for (at, (_, kind)) in table.columns.iter().enumerate() {
            let column = rows.iter().map(|row| row.get(at).unwrap_or(&Value::Nothing));
            call = match kind {
                Kind::Number => call.maybe_numbers(column.map(|value| match value {
                    Value::Number(number) => Some(*number),
                    _ => None,
                })),
                Kind::Text => call.maybe_texts(column.map(|value| match value {
                    Value::Text(text) => Some(&**text),
                    _ => None,
                })),
                Kind::Bytes => call.maybe_bytes(column.map(|value| match value {
                    Value::Bytes(bytes) => Some(&**bytes),
                    _ => None,
                })),
                Kind::Flag => call.flags(column.map(|value| *value == Value::Flag(true))),
            };
        }
        self.session.pipeline(&[call], LOAD_LIMIT).map_err(|failed| failed.error)?;
        Ok(())
    }

    fn count(&mut self, table: &Table) -> Result<u64, StoreError> {
        let count = Call::new(format!("SELECT count(*) FROM podbell.{}", table.name));
        let counted = self.session.read(count, table.name, |row| super::column::id(row, 0))?;
        Ok(counted.first().copied().unwrap_or(0))
    }

    fn finish(self: Box<Self>) -> Result<(), StoreError> {
        let next = "SELECT setval(pg_get_serial_sequence('podbell.inbox', 'id'),
            (SELECT coalesce(max(id), 0) + 1 FROM podbell.inbox), false)";
        self.session.pipeline(&[Call::new(next), Call::new("COMMIT")], LOAD_LIMIT).map_err(|failed| failed.error)?;
        // Without statistics the first plans would be bad ones; the server gathers them later by itself.
        for table in TABLES {
            if let Err(error) = self.session.query(Call::new(Cow::from(format!("ANALYZE podbell.{}", table.name)))) {
                tracing::debug!(%error, "a table could not be analysed");
            }
        }
        Ok(())
    }
}
