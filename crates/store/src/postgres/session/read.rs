//! Sends queries and reads their rows.

use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::Session;
use crate::postgres::CALL_LIMIT;
use crate::postgres::call::Call;
use crate::postgres::column::{BadColumn, Column, get};
use crate::postgres::error::PostgresError;

/// How many queries are sent together at most.
const TOGETHER: usize = 200;

impl Session {
    /// All rows of a query. `what` names a row in an error.
    pub(in crate::postgres) fn read<T>(
        &self,
        call: Call<'_>,
        what: &str,
        read: impl FnMut(&Row) -> Column<T>,
    ) -> Result<Vec<T>, PostgresError> {
        self.decode(&self.query(call)?, what, read)
    }

    /// All rows of each query. Queries are sent together, so that a server that is far away is waited for once.
    pub(in crate::postgres) fn read_each<'a, T>(
        &self,
        calls: impl IntoIterator<Item = Call<'a>>,
        what: &str,
        mut read: impl FnMut(&Row) -> Column<T>,
    ) -> Result<Vec<Vec<T>>, PostgresError> {
        let calls: Vec<Call<'a>> = calls.into_iter().collect();
        let mut all = Vec::with_capacity(calls.len());
        // So that what is on its way stays small.
        for some in calls.chunks(TOGETHER) {
            for rows in self.pipeline(some, CALL_LIMIT).map_err(|failed| failed.error)? {
                all.push(self.decode(&rows, what, &mut read)?);
            }
        }
        Ok(all)
    }

    /// Rows that were read already.
    pub(in crate::postgres) fn decode<'r, T>(
        &self,
        rows: impl IntoIterator<Item = &'r Row>,
        what: &str,
        read: impl FnMut(&'r Row) -> Column<T>,
    ) -> Result<Vec<T>, PostgresError> {
        rows.into_iter().map(read).collect::<Result<_, _>>().map_err(|BadColumn(why)| self.damaged(what, why))
    }

    /// One column.
    pub(in crate::postgres) fn column<'r, T: FromSql<'r>>(&self, row: &'r Row, at: usize) -> Result<T, PostgresError> {
        get(row, at).map_err(|BadColumn(why)| self.damaged("a row", why))
    }

    /// What a row says as JSON.
    pub(in crate::postgres) fn json<T: DeserializeOwned>(
        &self,
        what: impl Into<String>,
        json: &str,
    ) -> Result<T, PostgresError> {
        serde_json::from_str(json).map_err(|error| self.damaged(what, error))
    }

    pub(in crate::postgres) fn damaged(&self, what: impl Into<String>, why: impl ToString) -> PostgresError {
        PostgresError::Row { server: self.server().to_string(), what: what.into(), why: why.to_string() }
    }
}
