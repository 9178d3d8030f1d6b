//! The keys of a rule file.

use serde_json::{Value as Json, json};

use super::conditions;
use super::keys::{OF_A_RULE, conditions_schema, maintenance_schema};
use super::settings::SETTINGS;
use crate::rule::Conditions;
use crate::yaml::key::{Custom, Key, Row, SchemaOnly, map_schema};

pub(super) const SCOPE: Key<Custom<Conditions>> = Key::optional(
    "scope",
    Custom { read: |node, reader| conditions::read(node, reader, "`scope`"), schema: conditions_schema },
    "The rules of this file see nothing else.",
);
pub(super) const DEFAULTS: Key<SchemaOnly> =
    Key::optional("defaults", SchemaOnly(|| map_schema("", SETTINGS)), "What holds where a rule says nothing.");
pub(super) const MAINTENANCE: Key<SchemaOnly> = Key::optional(
    "maintenance",
    SchemaOnly(maintenance_schema),
    "Planned work: nothing is told of it before its end; what is over by then is summed up.",
);
pub(super) const RULES: Key<SchemaOnly> = Key::optional(
    "rules",
    SchemaOnly(rules_schema),
    "The rules, in reading order: the first that matches claims a destination.",
);

fn rules_schema() -> Json {
    let rows: Vec<&dyn Row> = OF_A_RULE.iter().chain(SETTINGS).copied().collect();
    json!({"type": "array", "items": map_schema("One rule.", &rows)})
}

/// The JSON Schema of a rule file.
pub fn schema() -> Json {
    let about = "What matters, when, where it goes and how it reads. See docs/rules.md.";
    crate::yaml::key::file_schema(
        "podbell rule file",
        about,
        &[&crate::yaml::VERSION, &SCOPE, &DEFAULTS, &MAINTENANCE, &RULES],
    )
}
