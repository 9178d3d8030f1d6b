//! Columns of rows as the types of the core.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

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
