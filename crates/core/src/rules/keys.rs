//! The keys of rule files: one row a key, from which the reader, its help, the JSON Schema and the table of
//! docs/rules.md follow. How incidents use them is decided in `core::incident`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::active::{self, ZONE};
use super::conditions::conditions;
use super::schema::{string_schema, text_schema, texts_schema};
use super::template;
use super::values::{self, step_schema};
use crate::rule::condition::Conditions;
use crate::rule::quiet::Active;
use crate::rule::{Action, CountScope, EndsBy, Field, Severity};
use crate::yaml::key::{
    AtLeast, Bool, Custom, Key, Number, OneOf, OrOff, Row, SchemaOnly, Text, TextMap, map_schema, one_or_many_schema,
};

const SECOND: Duration = Duration::from_secs(1);
/// The words of severities, the most urgent first.
pub(crate) const SEVERITIES: OneOf<Severity> =
    OneOf("a severity", &[("critical", Severity::Critical), ("warning", Severity::Warning), ("info", Severity::Info)]);

/// What rules and `defaults` share.
pub(super) const SEVERITY: Key<OneOf<Severity>> =
    Key::with_default("severity", SEVERITIES, "warning", "How urgent it is: `critical`, `warning` or `info`.");
pub(super) const OPEN_WHEN: Key<SchemaOnly> = Key::optional(
    "open_when",
    SchemaOnly(open_when_schema),
    "What opens an incident: `{count: 3, within: 20m}`, `{count: 3, within: 20m, per: object}` (of one object, not of the whole group), `{lasts: 2m}` (a trouble that stands for so long), or both: whichever is first; with `settled: 5m`, `count` leaves out what an object does in its first 5 minutes and no longer; see below [default: the first occurrence].",
);
pub(super) const SUSTAIN: Key<OrOff<Custom<Conditions>>> = Key::optional(
    "sustain",
    OrOff(Custom { read: |node, reader| conditions(node, reader, "`sustain`"), schema: conditions_schema }),
    "Events about an incident's objects that keep it open but never open one; or `off` [default: `{level: Normal, reason: [BackOff, Pulling, 操作重试]}`].",
);
pub(super) const GROUP_BY: Key<Custom<Vec<Field>>> = Key::optional(
    "group_by",
    Custom { read: values::group_by, schema: group_by_schema },
    "What makes one incident [default: `[cluster, namespace, workload]`].",
);
pub(super) const GROUP_WAIT: Key<AtLeast> =
    Key::with_default("group_wait", AtLeast(Duration::ZERO), "15s", "Collects before the first notice.");
pub(super) const MIN_GAP: Key<AtLeast> = Key::optional(
    "min_gap",
    AtLeast(Duration::ZERO),
    "The least time between notices, but for opened and resolved; what falls between is folded into one [default: `5m`; critical `0s`].",
);
pub(super) const RESOLVE_AFTER: Key<AtLeast> = Key::with_default(
    "resolve_after",
    AtLeast(SECOND),
    "15m",
    "Observed silence that ends what no event ends, never shorter than a slow reporter's own interval or twice the longest pause of the incident so far; doubled by each reopening, up to 4 h.",
);
pub(super) const RECOVERED_AFTER: Key<AtLeast> = Key::with_default(
    "recovered_after",
    AtLeast(SECOND),
    "5m",
    "How long all pods must be ready, without a new Warning, before an incident is over whose workloads' health is known (see docs/kubernetes.md); doubled by each reopening, up to 4 h.",
);
pub(super) const UNTIL: Key<OneOf<EndsBy>> = Key::with_default(
    "until",
    OneOf("what ends an incident", &[("event", EndsBy::Event), ("silence", EndsBy::Silence)]),
    "event",
    "What ends it: the event that ends such a trouble, where its source shows one (see docs/reporters.md); `silence`: `resolve_after` alone.",
);
pub(super) const FAMILY: Key<Custom<Arc<str>>> = Key::optional(
    "family",
    Custom { read: values::family, schema: text_schema },
    "A name: rules of this file with the same one share their open incidents, so that one failure that several of them see is one incident [default: none].",
);
pub(super) const REOPEN_WITHIN: Key<AtLeast> = Key::with_default(
    "reopen_within",
    AtLeast(Duration::ZERO),
    "2h",
    "How long after it resolved it can come back as the same incident; later it is another one.",
);
pub(super) const REMIND_EVERY: Key<OrOff<AtLeast>> = Key::optional(
    "remind_every",
    OrOff(AtLeast(Duration::from_secs(60))),
    "Brings an open incident back to mind [default: `4h` for critical, else `off`].",
);
pub(super) const SEND_RESOLVED: Key<Bool> =
    Key::with_default("send_resolved", Bool, "true", "Whether its end is told.");
pub(super) const ACTIVE: Key<OrOff<Custom<Active>>> = Key::optional(
    "active",
    OrOff(Custom { read: crate::rules::active::active, schema: active::schema }),
    "The hours in which it tells, see below; what is held is told or summed up afterwards [default: always].",
);
pub(super) const NOTIFY: Key<SchemaOnly> = Key::optional(
    "notify",
    SchemaOnly(notify_schema),
    "Names of notifiers in podbell.yaml, or a choice by a label: `{by: \"label:team\", map: {payments: [pay-chat]}, default: [ops]}`, see below; needed unless `action` is `ignore` or `defaults` has it.",
);
pub(super) const UNACKNOWLEDGED: Key<SchemaOnly> = Key::optional(
    "unacknowledged",
    SchemaOnly(unacknowledged_schema),
    "Who else is told while nobody acknowledges an open incident: `[{after: 15m, notify: [on-call]}, {after: 30m, notify: [lead]}]`; or `off`; see below [default: nobody].",
);
pub(super) const MENTION: Key<SchemaOnly> = Key::optional(
    "mention",
    SchemaOnly(mention_schema),
    "Whom to mention: `{critical: [\"@oncall\"]}`, or a list for every severity; names of podbell.yaml's `mentions:` [default: nobody].",
);
pub(super) const RUNBOOK: Key<Custom<String>> = Key::optional(
    "runbook",
    Custom { read: values::runbook, schema: text_schema },
    "A web address where help is written [default: none].",
);
pub(super) const LABELS: Key<TextMap> = Key::optional(
    "labels",
    TextMap("a map such as {team: shop}", "a text, quoted if it is a list or a map"),
    "The team's own facts, shown and passed on to webhooks [default: none].",
);
pub(super) const ESCALATE: Key<SchemaOnly> = Key::optional(
    "escalate",
    SchemaOnly(escalate_schema),
    "When an open incident is told again: occurrences or distinct objects within the last hour pass a step, or a reason or kind of message joins that was not told; keys left out keep their defaults [default: `{counts: [100, 1000, …], objects: [5, 20, 100], news: true}`].",
);
pub(super) const TEMPLATE: Key<SchemaOnly> = Key::optional(
    "template",
    SchemaOnly(template::schema),
    "`{title: …, text: …}`: messages in your own words, see docs/templates.md; what is left out stays built-in [default: built-in words].",
);

/// The settings that a rule and `defaults` share.
pub const SETTINGS: [&dyn Row; 21] = [
    &SEVERITY,
    &OPEN_WHEN,
    &SUSTAIN,
    &GROUP_BY,
    &GROUP_WAIT,
    &MIN_GAP,
    &RESOLVE_AFTER,
    &RECOVERED_AFTER,
    &UNTIL,
    &FAMILY,
    &REOPEN_WITHIN,
    &REMIND_EVERY,
    &SEND_RESOLVED,
    &ACTIVE,
    &NOTIFY,
    &UNACKNOWLEDGED,
    &MENTION,
    &RUNBOOK,
    &LABELS,
    &ESCALATE,
    &TEMPLATE,
];

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

pub(super) const LASTS: Key<AtLeast> = Key::optional(
    "lasts",
    AtLeast(SECOND),
    "Opens when a trouble was there for so long and the event that ends it was not seen.",
);
pub(super) const COUNT: Key<Number> = Key::optional("count", Number(1, 10_000), "Opens after so many occurrences.");
pub(super) const WITHIN: Key<AtLeast> = Key::optional("within", AtLeast(SECOND), "The window of count.");
pub(super) const PER: Key<OneOf<CountScope>> = Key::with_default(
    "per",
    OneOf("what is counted together", &[("group", CountScope::Group), ("object", CountScope::Object)]),
    "group",
    "What count counts together.",
);

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
pub(super) const SETTLED: Key<AtLeast> = Key::optional(
    "settled",
    AtLeast(SECOND),
    "The age at which an object counts: occurrences of a younger one count only if they go on beyond it, or if its workload is not ready by then.",
);

pub(super) const COUNTS: Key<Custom<Vec<u64>>> =
    Key::optional("counts", STEPS, "Steps of occurrences, growing [default: 100, 1000, 10000, ...].");
pub(super) const OBJECTS: Key<Custom<Vec<u64>>> =
    Key::optional("objects", STEPS, "Steps of distinct objects within the last hour, growing [default: 5, 20, 100].");
pub(super) const NEWS: Key<Bool> =
    Key::with_default("news", Bool, "true", "Whether a reason or kind of message that was not told yet is told.");
const STEPS: Custom<Vec<u64>> =
    Custom { read: |node, reader| Some(values::steps(node, reader)), schema: || one_or_many_schema(&step_schema(), 0) };

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

pub(super) const SCOPE: Key<Custom<Conditions>> = Key::optional(
    "scope",
    Custom { read: |node, reader| conditions(node, reader, "`scope`"), schema: conditions_schema },
    "The rules of this file see nothing else.",
);
pub(super) const DEFAULTS: Key<SchemaOnly> =
    Key::optional("defaults", SchemaOnly(|| map_schema("", &SETTINGS)), "What holds where a rule says nothing.");
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
    let rows: Vec<&dyn Row> = OF_A_RULE.into_iter().chain(SETTINGS).collect();
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

fn group_by_schema() -> Json {
    one_or_many_schema(&field_schema(), 1)
}

/// The words of labels and annotations.
const METADATA_PATTERN: &str = "^(label|annotation):[-_./A-Za-z0-9]+$";

fn field_schema() -> Json {
    json!({"anyOf": [{"enum": Field::ALL.map(Field::as_str)}, {"type": "string", "pattern": METADATA_PATTERN}]})
}

fn notify_schema() -> Json {
    let choice = map_schema("", &[&BY, &CHOSEN, &DEFAULT]);
    json!({"anyOf": [texts_schema(), choice]})
}

fn open_when_schema() -> Json {
    let mut schema = map_schema("", &[&COUNT, &WITHIN, &PER, &LASTS, &SETTLED]);
    schema["anyOf"] = json!([{"required": ["count"]}, {"required": ["lasts"]}]);
    schema
}

fn escalate_schema() -> Json {
    map_schema("", &[&COUNTS, &OBJECTS, &NEWS])
}

fn unacknowledged_schema() -> Json {
    let steps = one_or_many_schema(&map_schema("", &[&AFTER, &STEP_NOTIFY]), 0);
    json!({"anyOf": [{"enum": ["off", false, "false"]}, steps]})
}

fn inhibit_schema() -> Json {
    one_or_many_schema(&map_schema("", &[&HELD_RULES, &EQUAL, &INTO]), 0)
}

fn mention_schema() -> Json {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{RuleKey, RuleSettings};
    use crate::yaml::key::{Presence, ValueType};
    use crate::yaml::{Node, Reader, Value};

    /// Reads the default of a row.
    fn default<S: ValueType>(key: &Key<S>) -> S::Value {
        let Presence::Default(text) = key.presence() else { panic!("{key:?} has no default") };
        let mut reader = Reader::new(crate::diagnostic::Source::new("rules.yaml", text));
        key.read(&Node { value: Value::Scalar(text.to_owned()), span: 0..0 }, &mut reader).unwrap()
    }

    #[test]
    fn the_defaults_of_the_table_are_those_of_a_rule_that_says_nothing() {
        let key = RuleKey { file: "f".into(), name: "n".into() };
        let rule = RuleSettings::new(key, default(&SEVERITY), vec!["x".into()]);
        assert_eq!(rule.severity, Severity::default());
        assert_eq!(rule.group_wait, default(&GROUP_WAIT));
        assert_eq!(rule.resolve_after, default(&RESOLVE_AFTER));
        assert_eq!(rule.recovered_after, default(&RECOVERED_AFTER));
        assert_eq!(rule.reopen_within, default(&REOPEN_WITHIN));
        assert_eq!(rule.until, default(&UNTIL));
        assert_eq!(rule.send_resolved, default(&SEND_RESOLVED));
        assert_eq!(rule.escalate.news, default(&NEWS));
        assert_eq!(rule.open_when.per, default(&PER));
    }
}
