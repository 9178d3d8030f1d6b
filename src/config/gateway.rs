//! `gateway:` of podbell.yaml: who may ask through the legacy API, and what each sees.

use serde_json::{Value as Json, json};

use super::{GatewayKeyConfig, Unresolved};
use crate::settings::keys::{SCOPE_CLUSTER, SCOPE_NAMESPACE, SCOPE_SERVICE, scope};
use crate::settings::{Secret, SecretKind};
use podbell_core::yaml::key::{Key, Row, SchemaOnly, map_schema};
use podbell_core::yaml::{Node, Reader};

const KEYS: Key<SchemaOnly> = Key::required("keys", SchemaOnly(keys_schema), "Who may ask.");
const SECRET_ID: Key<Secret> = Key::required("secret_id", Secret(SecretKind::Any), "The SecretId of a client.");
const SECRET_KEY: Key<Secret> =
    Key::required("secret_key", Secret(SecretKind::Token), "Its key, at least 16 characters.");
/// The keys of `gateway:`.
pub(super) const GATEWAY_KEYS: [&dyn Row; 1] = [&KEYS];
/// The keys of one of `keys:`.
pub(super) const KEY_KEYS: [&dyn Row; 5] = [&SECRET_ID, &SECRET_KEY, &SCOPE_CLUSTER, &SCOPE_NAMESPACE, &SCOPE_SERVICE];

/// Reads `gateway:`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Vec<GatewayKeyConfig<Unresolved>> {
    let Some(mut map) = reader.map(node, "a map such as {keys: [{secret_id: …, secret_key: …}]}") else {
        return Vec::new();
    };
    let node = KEYS.node(&mut map, reader);
    map.finish(reader);
    let Some(node) = node else { return Vec::new() };
    let items = reader.list(node, "a list of keys");
    if items.is_empty() {
        let help = "give a key, or leave `gateway` out: without a key nobody may ask";
        reader.error_help(&node.span, "a gateway without keys", help);
    }
    let read = |(place, item): (usize, &Node)| reader.within(&format!("key {place}"), |reader| key(item, reader));
    (1..).zip(items).filter_map(read).collect()
}

fn key(node: &Node, reader: &mut Reader) -> Option<GatewayKeyConfig<Unresolved>> {
    let wanted = "a key such as {secret_id: \"${GATEWAY_ID}\", secret_key: \"${GATEWAY_KEY}\", namespace: shop}";
    let mut map = reader.map(node, wanted)?;
    let (secret_id, secret_key) = (SECRET_ID.take(&mut map, reader), SECRET_KEY.take(&mut map, reader));
    let scope = scope(&mut map, reader);
    map.finish_with(reader, |key| (key == "token").then_some("the gateway's keys have no token"));
    Some(GatewayKeyConfig { secret_id: secret_id?, secret_key: secret_key?, scope })
}

fn keys_schema() -> Json {
    json!({"type": "array", "items": map_schema("", &KEY_KEYS), "minItems": 1})
}

/// The JSON Schema of `gateway:`.
pub(super) fn schema() -> Json {
    map_schema("", &GATEWAY_KEYS)
}
