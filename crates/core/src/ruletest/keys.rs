//! The keys of test files: one row a key, from which the reader and the JSON Schema follow.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{row, values};
use crate::event::Level;
use crate::health::WorkloadKind;
use crate::notice::NoticeKind;
use crate::rule::Severity;
use crate::rules::keys::SEVERITIES;
use crate::time::Time;
use crate::yaml::MAY_SAY_VERSION;
use crate::yaml::key::{
    AtLeast, Bool, Custom, Key, Number, OneOf, Row, SchemaOnly, Text, TextMap, file_schema, map_schema,
    one_or_many_schema,
};

pub(super) const RULE_FILES: Key<SchemaOnly> =
    Key::required("rule_files", SchemaOnly(texts), "Paths and globs, relative to the test file.");
pub(super) const TESTS: Key<SchemaOnly> = Key::required("tests", SchemaOnly(tests_schema), "The tests.");

pub(super) const NAME: Key<Text> = Key::required("name", Text("a name"), "What the test is called.");
pub(super) const START: Key<Custom<Time>> = Key::optional(
    "start",
    Custom { read: values::start, schema: || json!({"type": "string"}) },
    "The moment of the first poll, UTC: 2026-01-05 09:00:00.",
);
pub(super) const EVERY: Key<AtLeast> =
    Key::with_default("every", AtLeast(Duration::from_secs(1)), "1m", "Time between two polls.");
pub(super) const TARGET: Key<SchemaOnly> =
    Key::optional("target", SchemaOnly(|| map_schema("", &PLACE)), "The polled service.");
pub(super) const EVENTS: Key<SchemaOnly> =
    Key::required("events", SchemaOnly(events_schema), "One row for each series.");
pub(super) const EXPECT: Key<SchemaOnly> =
    Key::required("expect", SchemaOnly(expect_schema), "The notices that must come, and no others; [] is silence.");

pub(super) const SOURCE: Key<Text> = Key::optional("source", Text("a name"), "The source.");
pub(super) const CLUSTER: Key<Text> = Key::optional("cluster", Text("a name"), "The cluster.");
pub(super) const NAMESPACE: Key<Text> = Key::optional("namespace", Text("a name"), "The namespace.");
pub(super) const SERVICE: Key<Text> = Key::optional("service", Text("a name"), "The service.");
const PLACE: [&dyn Row; 4] = [&SOURCE, &CLUSTER, &NAMESPACE, &SERVICE];

pub(super) const LEVEL: Key<OneOf<Level>> = Key::with_default(
    "level",
    OneOf("a level", &[("Warning", Level::Warning), ("Normal", Level::Normal)]),
    "Warning",
    "How bad it is.",
);
/// A text of an event; it may be empty.
type EventText = Key<Custom<String>>;
const SAID: Custom<String> =
    Custom { read: values::said_text, schema: || json!({"type": ["string", "number", "boolean"]}) };
pub(super) const OBJ_TYPE: EventText = Key::with_default("objType", SAID, "Pod", "The kind of object.");
pub(super) const OBJ_NAME: EventText = Key::optional("objName", SAID, "The object's name.");
pub(super) const REASON: EventText = Key::optional("reason", SAID, "The event's short machine word.");
pub(super) const MESSAGE: EventText = Key::optional("message", SAID, "The event's text.");
pub(super) const NODE: EventText = Key::optional("node", SAID, "The node that the object is on.");
pub(super) const SIGNAL: Key<Bool> = Key::with_default(
    "signal",
    Bool,
    "false",
    "Whether a source makes it of an object's state, see docs/kubernetes.md; it is matched like any other.",
);
const TEXTS: TextMap = TextMap("a map such as {team: payments}", "a text, quoted if it is a list or a map");
pub(super) const OBJECT_LABELS: Key<TextMap> =
    Key::optional("labels", TEXTS, "The labels of its object, its owner and its namespace, by key.");
pub(super) const OBJECT_ANNOTATIONS: Key<TextMap> =
    Key::optional("annotations", TEXTS, "The annotations of its object, its owner and its namespace, by key.");
pub(super) const COUNTS: Key<Custom<Vec<super::Cell>>> = Key::required(
    "counts",
    Custom { read: row::read, schema: counts_schema },
    "What successive polls show: counts, 12x20 for 20 polls, _ for absent, ! for a failed poll.",
);

pub(super) const HEALTH: Key<SchemaOnly> = Key::optional(
    "health",
    SchemaOnly(health_schema),
    "How many pods of a workload are ready, poll by poll; without it nothing is known of that.",
);
pub(super) const KIND: Key<OneOf<WorkloadKind>> = Key::with_default(
    "kind",
    OneOf(
        "a kind of workload",
        &[
            ("Deployment", WorkloadKind::Deployment),
            ("StatefulSet", WorkloadKind::StatefulSet),
            ("DaemonSet", WorkloadKind::DaemonSet),
        ],
    ),
    "Deployment",
    "The kind of workload.",
);
pub(super) const WORKLOAD: Key<Text> = Key::required("name", Text("a name"), "The workload's name.");
pub(super) const WANTED: Key<Number> = Key::required("wanted", Number(0, 100_000), "How many pods it should have.");
pub(super) const READY: Key<Custom<Vec<super::Cell>>> = Key::required(
    "ready",
    Custom { read: row::read_ready, schema: ready_schema },
    "How many are ready: numbers, 3x20 for 20 polls, _ where it is not known.",
);

pub(super) const AT: Key<AtLeast> =
    Key::optional("at", AtLeast(Duration::ZERO), "The poll that caused it, or its timer.");
pub(super) const NOTICE: Key<OneOf<NoticeKind>> = Key::optional(
    "notice",
    OneOf(
        "a notice",
        &[
            ("opened", NoticeKind::Opened),
            ("escalated", NoticeKind::Escalated),
            ("reminded", NoticeKind::Reminded),
            ("resolved", NoticeKind::Resolved),
            ("reopened", NoticeKind::Reopened),
            ("closed", NoticeKind::Closed),
        ],
    ),
    "What is told.",
);
pub(super) const RULE: Key<Text> = Key::optional("rule", Text("a rule's name"), "By which rule.");
pub(super) const TO: Key<SchemaOnly> = Key::optional("to", SchemaOnly(texts), "Compared as a whole, in any order.");
pub(super) const SEVERITY: Key<OneOf<Severity>> = Key::optional("severity", SEVERITIES, "How urgent it is.");
pub(super) const TITLE: Key<Text> = Key::optional("title", Text("a pattern"), "A pattern.");
pub(super) const TEXT: Key<Text> = Key::optional("text", Text("a pattern"), "A pattern.");

/// The JSON Schema of a test file.
pub fn schema() -> Json {
    let about = "What successive polls show, and what must be told. See docs/testing-rules.md.";
    file_schema("podbell rule tests", about, &[&MAY_SAY_VERSION, &RULE_FILES, &TESTS])
}

fn tests_schema() -> Json {
    let one = map_schema("One test.", &[&NAME, &START, &EVERY, &TARGET, &EVENTS, &HEALTH, &EXPECT]);
    json!({"type": "array", "items": one})
}

fn events_schema() -> Json {
    let own: [&dyn Row; 10] =
        [&LEVEL, &OBJ_TYPE, &OBJ_NAME, &REASON, &MESSAGE, &NODE, &SIGNAL, &OBJECT_LABELS, &OBJECT_ANNOTATIONS, &COUNTS];
    let rows: Vec<&dyn Row> = PLACE.into_iter().chain(own).collect();
    json!({"type": "array", "items": map_schema("One series in successive polls.", &rows)})
}

fn health_schema() -> Json {
    let own: [&dyn Row; 4] = [&KIND, &WORKLOAD, &WANTED, &READY];
    let rows: Vec<&dyn Row> = PLACE.into_iter().chain(own).collect();
    json!({"type": "array", "items": map_schema("A workload in successive polls.", &rows)})
}

fn expect_schema() -> Json {
    let about = "A notice that must come; what is left out is not compared.";
    let one = map_schema(about, &[&AT, &NOTICE, &RULE, &TO, &SEVERITY, &TITLE, &TEXT]);
    json!({"type": "array", "items": one})
}

fn counts_schema() -> Json {
    cells_schema(1, "^\\s*(([1-9][0-9]*|_|!)(x[1-9][0-9]*)?\\s*)+$")
}

fn ready_schema() -> Json {
    cells_schema(0, "^\\s*(([0-9]+|_)(x[1-9][0-9]*)?\\s*)+$")
}

fn cells_schema(least: u64, words: &str) -> Json {
    let cells = json!({"anyOf": [{"type": "integer", "minimum": least}, {"type": "string", "pattern": words}]});
    json!({"anyOf": [cells, {"type": "array", "items": cells, "minItems": 1}]})
}

fn texts() -> Json {
    one_or_many_schema(&json!({"type": ["string", "number", "boolean"]}), 0)
}
