//! `notifiers:` and `mentions:` of podbell.yaml.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value as Json, json};

use super::{NotifierConfig, Unresolved};
use crate::components::registry::{NOTIFIERS, OTHER_NAMES};
use crate::notifiers::{ConfiguredChats, Mentions, NotifierKind, People};
use crate::settings::keys::{LANGUAGE, TIME_ZONE, named};
use podbell_core::rules::active::minute;
use podbell_core::rules::template;
use podbell_core::template::Template;
use podbell_core::yaml::key::{Bool, Custom, Key, Number, TableEntry};
use podbell_core::yaml::{MapReader, Node, Reader, Value};

/// The notifier's own template.
pub(super) const TEMPLATE: Key<Custom<Template>> = Key::optional(
    "template",
    Custom { read: |node, reader| template::read(node, &BTreeMap::new(), reader), schema: template::schema },
    "Messages in your own words where the rule has none. See docs/templates.md.",
);
/// Whether logs may leave for it.
pub(super) const LOGS: Key<Bool> = Key::with_default(
    "logs",
    Bool,
    "false",
    "Whether its messages quote the last lines of a container's log, of sources with `enrich: logs`.",
);
/// Only for notifiers that people read.
pub(super) const DIGEST: Key<Bool> = Key::with_default("digest", Bool, "true", "Whether a storm becomes a digest.");
/// The default: as many messages within a minute as people can read.
pub(super) const DIGEST_AFTER: Key<Number> =
    Key::with_default("digest_after", Number(1, 100), "3", "How many notices within a minute are not yet a storm.");
/// Only for notifiers that people read.
pub(super) const DAILY: Key<Custom<u16>> = Key::optional(
    "daily",
    Custom { read: daily, schema: || json!({"type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$"}) },
    "The time of day of a line about the last day, such as 09:00.",
);

const KIND: Key<TableEntry<NotifierKind>> = Key::required(
    "kind",
    TableEntry { what: "a kind of notifier", rows: &NOTIFIERS, name: |kind| kind.name, other_names: &OTHER_NAMES },
    "",
);

/// Reads `notifiers:`.
pub(super) fn read(node: &Node, chats: &ConfiguredChats, reader: &mut Reader) -> Vec<NotifierConfig<Unresolved>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of notifiers");
    items.iter().filter_map(|item| notifier(item, chats, &mut names, reader)).collect()
}

/// The names alone, including those of notifiers with other mistakes: a mistake in one notifier must not flag every
/// rule that notifies it.
pub(super) fn names(node: &Node) -> Vec<String> {
    let Value::List(items) = &node.value else { return Vec::new() };
    let name = |item: &Node| {
        match &item.value {
            Value::Map(pairs) => {
                pairs.iter().find(|(key, _)| key.text() == Some("name")).and_then(|(_, value)| value.text())
            }
            _ => None,
        }
        .map(|name| name.trim().to_owned())
    };
    items.iter().filter_map(name).collect()
}

fn notifier(
    node: &Node,
    chats: &ConfiguredChats,
    names: &mut HashSet<String>,
    reader: &mut Reader,
) -> Option<NotifierConfig<Unresolved>> {
    let mut map = reader.map(node, "a notifier: a map with `name:` and `kind:`")?;
    let name = named(&mut map, names, reader);
    let kind = KIND.take(&mut map, reader);
    let language = LANGUAGE.take(&mut map, reader);
    let time_zone = TIME_ZONE.take(&mut map, reader);
    let template = TEMPLATE.take(&mut map, reader);
    let logs = LOGS.take(&mut map, reader);
    let kind = kind?;
    let people = kind.audience.is_people();
    let digest_after = if people { digest_after(&mut map, reader) } else { None };
    let daily = if people { DAILY.take(&mut map, reader) } else { None };
    let platform = reader.within(&name, |reader| (kind.read)(&mut map, chats, reader));
    map.finish_with(reader, |key| (kind.elsewhere)(key).or_else(|| elsewhere(key)));
    Some(NotifierConfig {
        name: name.into(),
        language: language.unwrap_or_default(),
        time_zone: time_zone?,
        digest_after,
        daily,
        template: template.unwrap_or_default(),
        logs: logs?,
        kind: *kind,
        platform: platform?,
    })
}

/// Which kinds of notifier have a key.
fn elsewhere(key: &str) -> Option<&'static str> {
    let has = |kind: &NotifierKind| kind.forms.iter().flat_map(|form| form.keys).any(|row| row.name() == key);
    NOTIFIERS.iter().any(has).then_some("that key belongs to another kind of notifier")
}

/// A time of day on the destination's clock, as a minute.
fn daily(node: &Node, reader: &mut Reader) -> Option<u16> {
    let text = reader.text(node, "a time of day such as \"09:00\"")?;
    let minute = minute(text).filter(|minute| *minute < 24 * 60);
    if minute.is_none() {
        reader.error_help(&node.span, format!("`{text}` is not a time of day"), "write \"09:00\", in quotes");
    }
    minute
}

/// After how many notices within a minute the rest becomes a digest; `None`: never.
fn digest_after(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<usize> {
    let (wanted, after) = (DIGEST.take(map, reader)?, DIGEST_AFTER.take(map, reader)?);
    wanted.then(|| usize::try_from(after).ok()).flatten()
}

/// How people are mentioned, by kind of notifier.
fn people() -> impl Iterator<Item = (&'static str, People)> {
    NOTIFIERS.iter().filter_map(|kind| Some((kind.name, kind.people?)))
}

/// Reads `mentions:`.
pub(super) fn mentions(node: &Node, reader: &mut Reader) -> Mentions {
    let Some(map) = reader.map(node, "a map from names such as \"@oncall\" to ids") else { return Mentions::new() };
    let mut mentions = Mentions::new();
    for (key, value) in map.pairs() {
        let Some(name) = key.text() else { continue };
        let mut ids = BTreeMap::new();
        if let Some(mut map) = reader.map(value, "a map from a kind of notifier to an id there") {
            for (kind, people) in people() {
                let id = map.take(kind).and_then(|node| mentioned(node, people, reader));
                ids.extend(id.map(|id| (kind, id)));
            }
            map.finish(reader);
        }
        // Keep it even if it is wrong: rules may use its name.
        mentions.insert(name.to_owned(), ids);
    }
    mentions
}

/// Reads a platform's id into the form that messages need.
fn mentioned(node: &Node, people: People, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "an id")?;
    let id = (people.read)(text);
    if id.is_none() {
        reader.error_help(&node.span, format!("`{text}` is not an id of {}", people.platform), people.help);
    }
    id
}

/// The JSON Schema of `mentions:`.
pub(super) fn mentions_schema() -> Json {
    let ids: serde_json::Map<String, Json> = people()
        .map(|(kind, people)| {
            let about = format!("An id of {}: {}.", people.platform, people.help);
            (kind.to_owned(), json!({"type": ["string", "number", "boolean"], "description": about}))
        })
        .collect();
    let person = json!({"type": "object", "additionalProperties": false, "properties": ids});
    json!({"type": "object", "additionalProperties": person})
}
