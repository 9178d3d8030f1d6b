//! The shape of `escalate` in YAML.

use serde_json::Value as Json;

use crate::rule::CountSteps;
use crate::yaml::key::{Bool, Custom, Key, Number, ValueType as _, map_schema, one_or_many_schema};
use crate::yaml::{Node, Reader};

const MAX_STEP: u64 = 1_000_000_000_000;
const STEP: Number = Number(1, MAX_STEP);
const COUNTS: Key<Custom<Vec<u64>>> =
    Key::optional("counts", STEPS, "Steps of occurrences, growing [default: 100, 1000, 10000, ...].");
const OBJECTS: Key<Custom<Vec<u64>>> =
    Key::with_default("objects", STEPS, "[5, 20, 100]", "Steps of distinct objects within the last hour, growing.");
const NEWS: Key<Bool> =
    Key::with_default("news", Bool, "true", "Whether a reason or kind of message that was not told yet is told.");
const STEPS: Custom<Vec<u64>> =
    Custom { read: |node, reader| Some(steps(node, reader)), schema: || one_or_many_schema(&STEP.schema(), 0) };

/// What `escalate` says.
#[derive(Clone, Debug, Default)]
pub(super) struct PartialEscalate {
    pub counts: Option<CountSteps>,
    pub objects: Option<Vec<u64>>,
    pub news: Option<bool>,
}

impl PartialEscalate {
    /// The defaults that rows say.
    pub(super) fn default_values() -> Self {
        Self { counts: None, objects: OBJECTS.default_value(), news: NEWS.default_value() }
    }
}

/// Reads `escalate`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> PartialEscalate {
    let Some(mut map) = reader.map(node, "a map such as {counts: [10, 100], objects: [5, 20]}") else {
        return PartialEscalate::default();
    };
    let counts = COUNTS.take_written(&mut map, reader).map(CountSteps::Listed);
    let objects = OBJECTS.take_written(&mut map, reader);
    let news = NEWS.take_written(&mut map, reader);
    map.finish(reader);
    PartialEscalate { counts, objects, news }
}

/// Reads ascending numbers; an empty list means none.
fn steps(node: &Node, reader: &mut Reader) -> Vec<u64> {
    let items = reader.one_or_many(node);
    let numbers: Vec<u64> = items.iter().filter_map(|item| STEP.read(item, reader)).collect();
    if let Some(at) = numbers.windows(2).position(|pair| pair[0] >= pair[1]).filter(|_| numbers.len() == items.len()) {
        let (less, more) = (numbers[at + 1], numbers[at]);
        reader.error_help(
            &items[at + 1].span,
            format!("{less} after {more}: steps must grow"),
            "sort them, none twice",
        );
    }
    numbers
}

pub(super) fn schema() -> Json {
    map_schema("", &[&COUNTS, &OBJECTS, &NEWS])
}
