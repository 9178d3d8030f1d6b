//! The JSON Schemas of sources, notifiers and chats, from the same rows that their readers use.

use serde_json::{Value as Json, json};

use super::{chats, notifiers};
use crate::chat::ChatKind;
use crate::components::registry::{CHATS, NOTIFIERS, SOURCES};
use crate::notifiers::{NotifierForm, NotifierKind};
use crate::settings::keys::{LANGUAGE, NAME, TIME_ZONE};
use crate::sources::SourceKind;
use podbell_core::yaml::key::{Key, Row, SchemaOnly, map_schema};

const KIND: Key<SchemaOnly> = Key::required("kind", SchemaOnly(|| json!({})), "");

/// A map of this kind.
fn of_kind(name: &str, about: &str, rows: &[&dyn Row]) -> Json {
    let mut schema = map_schema(about, rows);
    schema["properties"]["kind"] = json!({"const": name});
    schema
}

pub(super) fn sources() -> Json {
    list(SOURCES.iter().map(source))
}

fn source(kind: &SourceKind) -> Json {
    let rows: Vec<&dyn Row> = [&NAME as &dyn Row, &KIND].into_iter().chain(kind.keys.iter().copied()).collect();
    of_kind(kind.name, kind.about, &rows)
}

pub(super) fn notifiers() -> Json {
    list(NOTIFIERS.iter().flat_map(|kind| kind.forms.iter().map(|form| notifier(kind, form))))
}

fn notifier(kind: &NotifierKind, form: &NotifierForm) -> Json {
    let of_all: [&dyn Row; 6] = [&NAME, &KIND, &LANGUAGE, &TIME_ZONE, &notifiers::TEMPLATE, &notifiers::LOGS];
    let of_people: [&dyn Row; 3] = [&notifiers::DIGEST, &notifiers::DIGEST_AFTER, &notifiers::DAILY];
    let of_people = if kind.audience.is_people() { &of_people[..] } else { &[] };
    let rows: Vec<&dyn Row> = of_all.iter().chain(of_people).chain(form.keys).copied().collect();
    of_kind(kind.name, form.about, &rows)
}

pub(super) fn chats() -> Json {
    list(CHATS.iter().map(chat))
}

fn chat(kind: &ChatKind) -> Json {
    let of_all: [&dyn Row; 4] = [&NAME, &KIND, &chats::LANGUAGE, &chats::TIME_ZONE];
    let rows: Vec<&dyn Row> = of_all.iter().chain(kind.keys).copied().collect();
    let about =
        format!("{} [default of language: {}, of time_zone: {}]", kind.about, kind.language.as_str(), kind.time_zone);
    of_kind(kind.name, &about, &rows)
}

fn list(items: impl Iterator<Item = Json>) -> Json {
    json!({"type": "array", "items": {"anyOf": items.collect::<Vec<_>>()}})
}
