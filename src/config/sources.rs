//! `sources:` of podbell.yaml.

use std::collections::HashSet;

use super::{SourceConfig, Unresolved};
use crate::components::registry::{OTHER_NAMES, SOURCES};
use crate::settings::keys::named;
use crate::sources::SourceKind;
use podbell_core::yaml::key::{Key, TableEntry};
use podbell_core::yaml::{Node, Reader};

/// Which kind of source it is.
const KIND: Key<TableEntry<SourceKind>> = Key::required(
    "kind",
    TableEntry { what: "a kind of source", rows: &SOURCES, name: |kind| kind.name, other_names: &OTHER_NAMES },
    "",
);

/// Reads `sources:`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Vec<SourceConfig<Unresolved>> {
    let mut names = HashSet::new();
    let items = reader.list(node, "a list of sources");
    items.iter().filter_map(|item| source(item, &mut names, reader)).collect()
}

fn source(node: &Node, names: &mut HashSet<String>, reader: &mut Reader) -> Option<SourceConfig<Unresolved>> {
    let mut map = reader.map(node, "a source: a map with `name:` and `kind:`")?;
    let name = named(&mut map, names, reader);
    let kind_node = KIND.node(&mut map, reader)?;
    let kind = KIND.read(kind_node, reader)?;
    if !kind.is_built {
        let message = format!("this podbell was built without `{}`", kind.name);
        reader.error_help(&kind_node.span, message, "build podbell with its default features");
        return None;
    }
    let read = reader.within(&name, |reader| (kind.read)(&mut map, &name, reader));
    map.finish(reader);
    let (facts, source) = read?;
    Some(SourceConfig { name, facts, source })
}
