//! What each channel of a chat sees and may do: `channels:` of a chat in podbell.yaml.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use url::Url;

use crate::examine::{Finding, Group};
use crate::settings::keys::{SCOPE_CLUSTER, SCOPE_NAMESPACE, SCOPE_SERVICE, scope};
use podbell_core::scope::Scope;
use podbell_core::yaml::key::{Key, Row as _, Shape, Truth, map_schema};
use podbell_core::yaml::{Node, Reader, Value};

/// What a channel may see and do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// What it sees.
    pub scope: Scope,
    /// Whether its members may only ask, and change nothing.
    pub read_only: bool,
}

/// Reads channels: each item is an id or a map with `id:`. `S` reads an id.
#[derive(Clone, Copy, Debug)]
pub struct Channels<S: 'static>(pub Key<S>);

const READ_ONLY: Key<Truth> = Key::with_default("read_only", Truth, "false", "Its people can only ask.");

impl<S: Shape<Value = String> + Copy> Shape for Channels<S> {
    type Value = BTreeMap<String, Channel>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<BTreeMap<String, Channel>> {
        let items = reader.one_or_many(node);
        if items.is_empty() {
            // An empty list would shut everybody out, which nobody means.
            reader.error_help(&node.span, "this list allows no channel", ALLOW_ANY);
        }
        let mut channels = BTreeMap::new();
        for item in items {
            let Some((id, channel)) = self.channel(item, reader) else { continue };
            if channels.insert(id.clone(), channel).is_some() {
                let help = "one item says all that it sees: its keys take lists";
                reader.error_help(&item.span, format!("the channel {id} is there twice"), help);
            }
        }
        Some(channels)
    }

    fn schema(&self) -> Json {
        let whole = map_schema("", &[&self.0, &SCOPE_CLUSTER, &SCOPE_NAMESPACE, &SCOPE_SERVICE, &READ_ONLY]);
        one_or_more(json!({"anyOf": [self.0.schema(), whole]}))
    }
}

const ALLOW_ANY: &str = "list ids, or leave the key out to allow any";

/// A list of ids, each read by `S`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllowList<S>(pub S);

impl<S: Shape<Value = String>> Shape for AllowList<S> {
    type Value = BTreeSet<String>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<BTreeSet<String>> {
        let items = reader.one_or_many(node);
        if items.is_empty() {
            // An empty list would shut everybody out, which nobody means.
            reader.error_help(&node.span, "this list allows nobody", ALLOW_ANY);
        }
        Some(items.iter().filter_map(|item| self.0.read(item, reader)).collect())
    }

    fn schema(&self) -> Json {
        one_or_more(self.0.schema())
    }
}

fn one_or_more(one: Json) -> Json {
    json!({"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 1000}]})
}

impl<S: Shape<Value = String>> Channels<S> {
    fn channel(&self, node: &Node, reader: &mut Reader) -> Option<(String, Channel)> {
        if !matches!(node.value, Value::Map(_)) {
            return Some((self.0.read(node, reader)?, Channel::default()));
        }
        let mut map = reader.map(node, "a channel: its id, or a map with `id:`")?;
        let id = self.0.take(&mut map, reader);
        let scope = scope(&mut map, reader);
        let read_only = READ_ONLY.take(&mut map, reader).unwrap_or_default();
        map.finish(reader);
        Some((id?, Channel { scope, read_only }))
    }
}

/// A finding for a chat that its platform calls: the platform must reach podbell at `/path/name`.
pub(crate) fn called(name: &str, platform: &str, path: &str, public_url: Option<&Url>) -> Finding {
    match public_url {
        Some(url) => {
            let url = url.as_str().trim_end_matches('/');
            Finding::ok(Group::Chats, name, format!("{platform} must reach {url}/{path}/{name}"))
        }
        None => Finding::warn(
            Group::Chats,
            name,
            format!("{platform} calls /{path}/{name}, and `server.public_url` does not say where that is"),
            format!("put the address at which {platform} reaches podbell into `server.public_url`"),
        ),
    }
}
