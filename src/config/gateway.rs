//! `gateway:` of podbell.yaml: who may ask through the legacy API, and what each sees.

use std::path::Path;

use super::secret::SecretRef;
use super::{GatewayKeyConfig, chats};
use podbell_core::yaml::{Node, Reader};

/// Reads `gateway:`.
pub fn read(node: &Node, folder: &Path, reader: &mut Reader) -> Vec<GatewayKeyConfig<SecretRef>> {
    let Some(mut map) = reader.map(node, "a map such as {keys: [{secret_id: …, secret_key: …}]}") else {
        return Vec::new();
    };
    let keys = map.need("keys", reader).map(|node| (node, reader.list(node, "a list of keys")));
    map.finish(reader);
    let Some((node, items)) = keys else { return Vec::new() };
    if items.is_empty() {
        let help = "give a key, or leave `gateway` out: without a key nobody may ask";
        reader.error_help(&node.span, "a gateway without keys", help);
    }
    items.iter().enumerate().filter_map(|(place, item)| key(item, place + 1, folder, reader)).collect()
}

fn key(node: &Node, place: usize, folder: &Path, reader: &mut Reader) -> Option<GatewayKeyConfig<SecretRef>> {
    let wanted = "a key such as {secret_id: \"${GATEWAY_ID}\", secret_key: \"${GATEWAY_KEY}\", namespace: shop}";
    let mut map = reader.map(node, wanted)?;
    let at = |key: &str| format!("gateway: key {place}: {key}");
    let id = map.need("secret_id", reader);
    let secret_id = id.and_then(|node| SecretRef::read(node, at("secret_id"), folder, reader));
    let key = map.need("secret_key", reader);
    let secret_key = key.and_then(|node| SecretRef::read_token(node, at("secret_key"), folder, reader));
    let scope = chats::scope(&mut map, reader);
    map.finish_with(reader, |key| match key {
        "token" => Some("the gateway's keys have no token"),
        _ => None,
    });
    Some(GatewayKeyConfig { secret_id: secret_id?, secret_key: secret_key?, scope })
}
