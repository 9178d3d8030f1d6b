//! One statement with its parameters. Rows travel as columns: an array for each, so that any number of rows is one
//! statement.

use std::borrow::Cow;
use std::collections::HashSet;

use tokio_postgres::types::{ToSql, Type};

use podbell_core::event::Target;

/// See the module.
pub(super) struct Call<'a> {
    sql: Cow<'a, str>,
    parameters: Vec<(Box<dyn ToSql + Sync + 'a>, Type)>,
}

impl<'a> Call<'a> {
    pub(super) fn new(sql: impl Into<Cow<'a, str>>) -> Self {
        Self { sql: sql.into(), parameters: Vec::new() }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.parameters.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect()
    }

    fn with(mut self, value: impl ToSql + Sync + 'a, kind: Type) -> Self {
        self.parameters.push((Box::new(value), kind));
        self
    }

    pub(super) fn number(self, value: i64) -> Self {
        self.with(value, Type::INT8)
    }

    pub(super) fn text(self, value: &'a str) -> Self {
        self.with(storable(value), Type::TEXT)
    }

    /// The names of a target, as four parameters.
    pub(super) fn target(self, target: &'a Target) -> Self {
        self.text(&target.source).text(&target.cluster).text(&target.namespace).text(&target.service)
    }

    pub(super) fn maybe_text(self, value: Option<&'a str>) -> Self {
        self.with(value.map(storable), Type::TEXT)
    }

    pub(super) fn flag(self, value: bool) -> Self {
        self.with(value, Type::BOOL)
    }

    pub(super) fn numbers(self, values: impl IntoIterator<Item = i64>) -> Self {
        self.with(values.into_iter().collect::<Vec<_>>(), Type::INT8_ARRAY)
    }

    pub(super) fn maybe_numbers(self, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.with(values.into_iter().collect::<Vec<_>>(), Type::INT8_ARRAY)
    }

    pub(super) fn texts(self, values: impl IntoIterator<Item = &'a str>) -> Self {
        self.with(values.into_iter().map(storable).collect::<Vec<_>>(), Type::TEXT_ARRAY)
    }

    pub(super) fn maybe_texts(self, values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        self.with(values.into_iter().map(|value| value.map(storable)).collect::<Vec<_>>(), Type::TEXT_ARRAY)
    }

    pub(super) fn made_texts(self, values: impl IntoIterator<Item = Option<String>>) -> Self {
        let storable = |value: String| if value.contains('\0') { value.replace('\0', "\u{fffd}") } else { value };
        self.with(values.into_iter().map(|value| value.map(storable)).collect::<Vec<_>>(), Type::TEXT_ARRAY)
    }

    pub(super) fn bytes(self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.with(values.into_iter().collect::<Vec<_>>(), Type::BYTEA_ARRAY)
    }

    pub(super) fn maybe_bytes(self, values: impl IntoIterator<Item = Option<&'a [u8]>>) -> Self {
        self.with(values.into_iter().collect::<Vec<_>>(), Type::BYTEA_ARRAY)
    }

    pub(super) fn flags(self, values: impl IntoIterator<Item = bool>) -> Self {
        self.with(values.into_iter().collect::<Vec<_>>(), Type::BOOL_ARRAY)
    }
}

/// PostgreSQL's texts cannot hold the character NUL, which a cluster's texts may.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The last row of each key, in the order of the rows. A statement may change a row only once.
pub(super) fn last_of_each<T, K: Eq + std::hash::Hash>(rows: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::with_capacity(rows.len());
    let mut kept: Vec<T> = rows.into_iter().rev().filter(|row| seen.insert(key(row))).collect();
    kept.reverse();
    kept
}
