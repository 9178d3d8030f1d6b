//! The shape of `open_when` in YAML.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::keys::SECOND;
use crate::rule::{CountScope, LONGEST_SETTLED, OpenWhen};
use crate::yaml::key::{AtLeast, Key, Number, OneOf, map_schema};
use crate::yaml::{Node, Reader, valid_or_absent};

const LASTS: Key<AtLeast> = Key::optional(
    "lasts",
    AtLeast(SECOND),
    "Opens when a trouble was there for so long and the event that ends it was not seen.",
);
const COUNT: Key<Number> = Key::optional("count", Number(1, 10_000), "Opens after so many occurrences.");
const WITHIN: Key<AtLeast> = Key::optional("within", AtLeast(SECOND), "The window of count.");
const PER: Key<OneOf<CountScope>> = Key::with_default(
    "per",
    OneOf("what is counted together", &[("group", CountScope::Group), ("object", CountScope::Object)]),
    "group",
    "What count counts together.",
);
const SETTLED: Key<AtLeast> = Key::optional(
    "settled",
    AtLeast(SECOND),
    "The age at which an object counts: occurrences of a younger one count only if they go on beyond it, or if its workload is not ready by then.",
);

/// Reads `open_when`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<OpenWhen> {
    let mut map = reader.map(node, "a map such as {count: 3, within: 10m} or {lasts: 5m}")?;
    let lasts = LASTS.node(&mut map, reader);
    let count = COUNT.node(&mut map, reader);
    let (within, per) = (WITHIN.node(&mut map, reader), PER.node(&mut map, reader));
    let settled = SETTLED.node(&mut map, reader);
    let span = map.head();
    map.finish(reader);
    if count.is_none() && lasts.is_none() {
        reader.error(&span, "the key `count` is missing");
        return None;
    }
    let number = count.map(|node| COUNT.read(node, reader).and_then(|count| u32::try_from(count).ok()));
    let duration = within.and_then(|node| WITHIN.read(node, reader));
    let per = per.map(|node| (node, PER.read(node, reader)));
    let lasts = lasts.map(|node| LASTS.read(node, reader));
    // Mistakes in what was given are noted already.
    let (count, lasts) = (valid_or_absent(number)?, valid_or_absent(lasts)?);
    let needs_count = [("per", per.as_ref().map(|(node, _)| *node), "object"), ("settled", settled, "5m")];
    let alone = needs_count.iter().find_map(|(key, node, example)| Some((key, (*node)?, example)));
    if let (Some((key, node, example)), None) = (alone, count) {
        let help = format!("such as {{count: 3, within: 10m, {key}: {example}}}");
        reader.error_help(&node.span, format!("`{key}` says nothing without `count`"), help);
        return None;
    }
    let settled = valid_or_absent(settled.map(|node| settled_age(node, reader)))?;
    let per = per.map_or_else(|| PER.default_value(), |(_, per)| per)?;
    match count {
        Some(count @ 2..) if within.is_none() => {
            reader.error_help(&span, "the key `within` is missing", format!("such as {{count: {count}, within: 10m}}"));
            None
        }
        Some(2..) => Some(OpenWhen { count, within: duration?, per, lasts, settled }),
        _ => Some(OpenWhen { count, within: Duration::ZERO, per, lasts, settled }),
    }
}

/// Reads the age at which an object counts.
fn settled_age(node: &Node, reader: &mut Reader) -> Option<Duration> {
    let age = SETTLED.read(node, reader)?;
    if age > LONGEST_SETTLED {
        let help = "the events that tell the age of an object are shown for about an hour";
        reader.error_help(&node.span, "`settled` is at most 1h", help);
        return None;
    }
    Some(age)
}

pub(super) fn schema() -> Json {
    let mut schema = map_schema("", &[&COUNT, &WITHIN, &PER, &LASTS, &SETTLED]);
    schema["anyOf"] = json!([{"required": ["count"]}, {"required": ["lasts"]}]);
    schema
}
