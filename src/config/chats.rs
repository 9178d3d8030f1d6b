//! `chats:` of podbell.yaml: where people ask, and who may.

use std::collections::HashSet;

use super::{ChatConfig, Unresolved};
use crate::chat::{ChatHead, ChatKind};
use crate::components::registry::{CHATS, OTHER_NAMES};
use crate::settings::keys::{LANGUAGES, named, zone};
use podbell_core::mute::Author;
use podbell_core::translations::Language;
use podbell_core::yaml::key::{Key, OneOf, TableEntry, Zone};
use podbell_core::yaml::{Node, Reader};

/// The kinds of the chats that could be read, and the chats themselves.
#[derive(Debug, Default)]
pub(super) struct Chats {
    pub(super) kinds: Vec<&'static str>,
    pub(super) chats: Vec<ChatConfig<Unresolved>>,
}

/// The language of answers; the default is the kind's.
pub(super) const LANGUAGE: Key<OneOf<Language>> = Key::optional("language", LANGUAGES, "The language of answers.");
/// The zone of times; the default is the kind's.
pub(super) const TIME_ZONE: Key<Zone> = Key::optional("time_zone", Zone, "The zone of times in answers.");

const KIND: Key<TableEntry<ChatKind>> = Key::required(
    "kind",
    TableEntry { what: "a kind of chat", rows: &CHATS, name: |kind| kind.name, other_names: &OTHER_NAMES },
    "",
);

/// Reads `chats:`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Chats {
    let mut names = HashSet::new();
    let mut all = Chats::default();
    for item in reader.list(node, "a list of chats") {
        if let Some((kind, chat)) = chat(item, &mut names, reader) {
            all.kinds.push(kind);
            all.chats.push(chat);
        }
    }
    all
}

fn chat(
    node: &Node,
    names: &mut HashSet<String>,
    reader: &mut Reader,
) -> Option<(&'static str, ChatConfig<Unresolved>)> {
    let mut map = reader.map(node, "a chat: a map with `name:` and `kind:`")?;
    let name = named(&mut map, names, reader);
    if name == Author::PAGE {
        reader.error_help(
            &node.span,
            "a chat cannot be called `page`",
            "messages use this name for the status page: choose another one",
        );
    }
    let kind = KIND.take(&mut map, reader);
    let language = LANGUAGE.take(&mut map, reader);
    let time_zone = TIME_ZONE.take(&mut map, reader);
    let kind = kind?;
    let head = ChatHead {
        name: name.clone(),
        language: language.unwrap_or(kind.language),
        time_zone: time_zone.unwrap_or_else(|| zone(kind.time_zone)),
    };
    let chat = reader.within(&name, |reader| (kind.read)(&mut map, &head, reader));
    map.finish_with(reader, kind.elsewhere);
    Some((kind.name, ChatConfig { name, chat: chat? }))
}
