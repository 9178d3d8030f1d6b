//! Keys of rules and of what they hold, a row each, from which the reader, its help, the JSON Schema and the table of
//! docs/rules.md follow. Those that `defaults` may have, too, are in [`super::settings`].

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::active::ZONE;
use super::schema::{string_schema, text_schema, texts_schema};
use crate::rule::{Action, Field, Severity};
use crate::yaml::key::{AtLeast, Key, OneOf, Row, SchemaOnly, Text, map_schema, one_or_many_schema};

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// The words of severities, the most urgent first.
pub(crate) const SEVERITIES: OneOf<Severity> =
    OneOf("a severity", &[("critical", Severity::Critical), ("warning", Severity::Warning), ("info", Severity::Info)]);

/// Keys that only a rule has.
pub(super) const NAME: Key<Text> =
    Key::required("name", Text("a name"), "Its identity, together with the file's name.");
pub(super) const MATCH: Key<SchemaOnly> = Key::optional(
    "match",
    SchemaOnly(conditions_schema),
    "What it looks at; `level` is Warning unless it is given [default: every Warning, with a warning of `check`].",
);
pub(super) const EXCEPT: Key<SchemaOnly> = Key::optional(
    "except",
    SchemaOnly(|| one_or_many_schema(&conditions_schema(), 0)),
    "Conditions, or a list of them; what fits one of them is left out [default: none].",
);
pub(super) const ACTION: Key<OneOf<Action>> = Key::with_default(
    "action",
    OneOf("an action", &[("notify", Action::Notify), ("ignore", Action::Ignore)]),
    "notify",
    "`ignore`: ends the reading within its own entry of podbell.yaml's `rules:`.",
);
pub(super) const INHIBIT: Key<SchemaOnly> = Key::optional(
    "inhibit",
    SchemaOnly(inhibit_schema),
    "What is not told while an incident of this rule is open, see below [default: nothing].",
);

/// Keys that a rule has and `defaults` does not.
pub const OF_A_RULE: [&dyn Row; 5] = [&NAME, &MATCH, &EXCEPT, &ACTION, &INHIBIT];

pub(super) const BY: Key<SchemaOnly> =
    Key::required("by", SchemaOnly(field_schema), "What chooses, such as \"label:team\".");
pub(super) const CHOSEN: Key<SchemaOnly> = Key::required(
    "map",
    SchemaOnly(|| json!({"type": "object", "minProperties": 1, "additionalProperties": texts_schema()})),
    "The notifiers of each value, exactly as it is written.",
);
pub(super) const DEFAULT: Key<SchemaOnly> = Key::required(
    "default",
    SchemaOnly(texts_schema),
    "The notifiers of every other value, and where it is not known.",
);
pub(super) const AFTER: Key<AtLeast> =
    Key::required("after", AtLeast(SECOND), "How long nobody acknowledged it since it opened or reopened; grows.");
pub(super) const STEP_NOTIFY: Key<SchemaOnly> =
    Key::required("notify", SchemaOnly(texts_schema), "Names of notifiers in podbell.yaml.");

pub(super) const HELD_RULES: Key<SchemaOnly> = Key::required(
    "rules",
    SchemaOnly(|| one_or_many_schema(&json!({"type": "string"}), 0)),
    "Names or globs of rules of this file.",
);
pub(super) const EQUAL: Key<SchemaOnly> = Key::required(
    "equal",
    SchemaOnly(group_by_schema),
    "What must be equal; both rules group by it. `node` needs no grouping: every node of what is held must be one that the cause is about.",
);
pub(super) const INTO: Key<OneOf<()>> = Key::optional(
    "into",
    OneOf("where it is listed", &[("cause", ())]),
    "`cause`: the cause's message lists the workloads that are held, and they are told only if they outlive the cause by 5 min [default: held until the cause is over].",
);

pub(super) const PLANNED_NAME: Key<Text> = Key::required("name", Text("a name"), "What people call it.");
pub(super) const FROM: Key<SchemaOnly> = Key::optional(
    "from",
    SchemaOnly(string_schema),
    "When it begins, such as 2026-12-01 22:00; without it: it has begun.",
);
pub(super) const PLANNED_UNTIL: Key<SchemaOnly> =
    Key::required("until", SchemaOnly(string_schema), "When it ends, on the clock of `zone`, or with an offset.");
pub(super) const PLANNED_MATCH: Key<SchemaOnly> = Key::optional(
    "match",
    SchemaOnly(|| conditions_schema_of(&crate::rule::quiet::Maintenance::FIELDS)),
    "What it is about; without it everything. All keys that are given must fit.",
);

/// The JSON Schema of patterns.
pub fn patterns_schema() -> Json {
    texts_schema()
}

/// The JSON Schema of conditions on everything that rules see.
pub fn conditions_schema() -> Json {
    conditions_schema_of(&Field::ALL)
}

fn conditions_schema_of(fields: &[Field]) -> Json {
    let property = |field: &Field| {
        let mut schema = patterns_schema();
        schema["description"] = json!(field.about());
        (field.as_str().to_owned(), schema)
    };
    let properties: serde_json::Map<String, Json> = fields.iter().map(property).collect();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if fields.len() == Field::ALL.len() {
        schema["patternProperties"] = json!({(METADATA_PATTERN): patterns_schema()});
    }
    schema
}

pub(super) fn group_by_schema() -> Json {
    one_or_many_schema(&field_schema(), 1)
}

/// The words of labels and annotations.
const METADATA_PATTERN: &str = "^(label|annotation):[-_./A-Za-z0-9]+$";

fn field_schema() -> Json {
    json!({"anyOf": [{"enum": Field::ALL.map(Field::as_str)}, {"type": "string", "pattern": METADATA_PATTERN}]})
}

pub(super) fn notify_schema() -> Json {
    let choice = map_schema("", &[&BY, &CHOSEN, &DEFAULT]);
    json!({"anyOf": [texts_schema(), choice]})
}

pub(super) fn unacknowledged_schema() -> Json {
    let steps = one_or_many_schema(&map_schema("", &[&AFTER, &STEP_NOTIFY]), 0);
    json!({"anyOf": [{"enum": ["off", false, "false"]}, steps]})
}

fn inhibit_schema() -> Json {
    one_or_many_schema(&map_schema("", &[&HELD_RULES, &EQUAL, &INTO]), 0)
}

pub(super) fn mention_schema() -> Json {
    let people = one_or_many_schema(&text_schema(), 0);
    let by_severity: serde_json::Map<String, Json> =
        SEVERITIES.1.iter().map(|(word, _)| ((*word).to_owned(), people.clone())).collect();
    let map = json!({"type": "object", "additionalProperties": false, "properties": by_severity});
    json!({"anyOf": [map, people]})
}

/// The JSON Schema of `maintenance`.
pub fn maintenance_schema() -> Json {
    let one = map_schema("", &[&PLANNED_NAME, &FROM, &PLANNED_UNTIL, &ZONE, &PLANNED_MATCH]);
    one_or_many_schema(&one, 0)
}
