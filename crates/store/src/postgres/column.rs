//! Columns of rows as the types of the core.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::call::Call;
use super::error::PostgresError;
use super::session::Session;
use crate::rows;
use podbell_core::event::{Level, Names, Target};
use podbell_core::time::Time;

/// What is wrong with a column.
#[derive(Debug)]
pub(super) struct BadColumn(pub String);

/// A column, or what is wrong with it.
pub(super) type Column<T> = Result<T, BadColumn>;

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Column<T> {
    row.try_get(at).map_err(|error| BadColumn(format!("column {at}: {error}")))
}

/// A number that podbell wrote: a negative one is damage.
pub(super) fn id(row: &Row, at: usize) -> Column<u64> {
    let number: i64 = get(row, at)?;
    u64::try_from(number).map_err(|_| BadColumn(format!("column {at}: {number} is negative")))
}

pub(super) fn optional_id(row: &Row, at: usize) -> Column<Option<u64>> {
    match get::<Option<i64>>(row, at)? {
        Some(_) => id(row, at).map(Some),
        None => Ok(None),
    }
}

pub(super) fn time(row: &Row, at: usize) -> Column<Time> {
    get(row, at).map(Time::from_millis)
}

pub(super) fn optional_time(row: &Row, at: usize) -> Column<Option<Time>> {
    Ok(get::<Option<i64>>(row, at)?.map(Time::from_millis))
}

pub(super) fn text(row: &Row, at: usize) -> Column<Arc<str>> {
    get::<&str>(row, at).map(Into::into)
}

pub(super) fn level(row: &Row, at: usize) -> Column<Level> {
    let number = get(row, at)?;
    rows::level(number).ok_or_else(|| BadColumn(format!("column {at}: {number} is not a level")))
}

/// An enum value from its word.
pub(super) fn word<T: DeserializeOwned>(row: &Row, at: usize) -> Column<T> {
    let word: String = get(row, at)?;
    serde_json::from_value(serde_json::Value::String(word)).map_err(|error| BadColumn(format!("column {at}: {error}")))
}

/// The names in the first four columns.
pub(super) fn names(row: &Row) -> Column<Names<'_>> {
    Ok(Names { source: get(row, 0)?, cluster: get(row, 1)?, namespace: get(row, 2)?, service: get(row, 3)? })
}

/// A target from the first four columns.
pub(super) fn target(row: &Row) -> Column<Target> {
    target_from(row, 0)
}

/// A target from four columns.
pub(super) fn target_from(row: &Row, at: usize) -> Column<Target> {
    Ok(Target {
        source: text(row, at)?,
        cluster: text(row, at + 1)?,
        namespace: text(row, at + 2)?,
        service: text(row, at + 3)?,
    })
}

/// How many queries are sent together at most.
const TOGETHER: usize = 200;

impl Session {
    /// All rows of a query. `what` names a row in an error.
    pub(super) fn read<T>(
        &self,
        call: Call<'_>,
        what: &str,
        read: impl FnMut(&Row) -> Column<T>,
    ) -> Result<Vec<T>, PostgresError> {
        self.decode(&self.query(call)?, what, read)
    }

    /// All rows of each query. Queries are sent together, so that a server that is far away is waited for once.
    pub(super) fn read_each<'a, T>(
        &self,
        calls: impl IntoIterator<Item = Call<'a>>,
        what: &str,
        mut read: impl FnMut(&Row) -> Column<T>,
    ) -> Result<Vec<Vec<T>>, PostgresError> {
        let calls: Vec<Call<'a>> = calls.into_iter().collect();
        let mut all = Vec::with_capacity(calls.len());
        // So that what is on its way stays small.
        for some in calls.chunks(TOGETHER) {
            for rows in self.pipeline(some, super::CALL_LIMIT).map_err(|failed| failed.error)? {
                all.push(self.decode(&rows, what, &mut read)?);
            }
        }
        Ok(all)
    }

    /// Rows that were read already.
    pub(super) fn decode<'r, T>(
        &self,
        rows: impl IntoIterator<Item = &'r Row>,
        what: &str,
        read: impl FnMut(&'r Row) -> Column<T>,
    ) -> Result<Vec<T>, PostgresError> {
        rows.into_iter().map(read).collect::<Result<_, _>>().map_err(|BadColumn(why)| self.damaged(what, why))
    }

    /// One column.
    pub(super) fn column<'r, T: FromSql<'r>>(&self, row: &'r Row, at: usize) -> Result<T, PostgresError> {
        get(row, at).map_err(|BadColumn(why)| self.damaged("a row", why))
    }

    /// What a row says as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, what: impl Into<String>, json: &str) -> Result<T, PostgresError> {
        serde_json::from_str(json).map_err(|error| self.damaged(what, error))
    }

    pub(super) fn damaged(&self, what: impl Into<String>, why: impl ToString) -> PostgresError {
        PostgresError::Row { server: self.server().to_string(), what: what.into(), why: why.to_string() }
    }
}
