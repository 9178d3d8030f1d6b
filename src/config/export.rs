//! `export:` of podbell.yaml: where records of what podbell sees and says go, beside what people are told.

use axum::http::HeaderName;
use serde_json::{Value as Json, json};

use super::{OtlpConfig, Unresolved};
use crate::settings::{Secret, SecretKind, SecretRef};
use podbell_core::yaml::key::{Custom, Key, Row, SchemaOnly, ValueType as _, map_schema};
use podbell_core::yaml::{Node, Reader};

const OTLP: Key<SchemaOnly> =
    Key::optional("otlp", SchemaOnly(|| map_schema("", &OTLP_KEYS)), "A collector of OpenTelemetry, over HTTP.");
const ENDPOINT: Key<Secret> = Key::required(
    "endpoint",
    Secret(SecretKind::Url),
    "Its address, such as http://collector:4318; `/v1/logs` is added.",
);
const HEADERS: Key<Custom<Vec<(HeaderName, SecretRef)>>> = Key::optional(
    "headers",
    Custom { read: headers, schema: headers_schema },
    "Headers of each request, such as {authorization: \"Bearer ${TOKEN}\"} [default: none].",
);

/// The keys of `export:`.
pub(super) const EXPORT_KEYS: [&dyn Row; 1] = [&OTLP];
/// The keys of `export.otlp:`.
pub(super) const OTLP_KEYS: [&dyn Row; 2] = [&ENDPOINT, &HEADERS];

/// Reads `export:`.
pub(super) fn read(node: &Node, reader: &mut Reader) -> Option<OtlpConfig<Unresolved>> {
    let mut map = reader.map(node, "a map such as {otlp: {endpoint: \"http://collector:4318\"}}")?;
    let node = OTLP.node(&mut map, reader);
    map.finish(reader);
    let node = node?;
    reader.within("otlp", |reader| {
        let mut map = reader.map(node, "a map such as {endpoint: \"http://collector:4318\"}")?;
        let (endpoint, headers) = (ENDPOINT.take(&mut map, reader), HEADERS.take(&mut map, reader));
        map.finish(reader);
        Some(OtlpConfig { endpoint: endpoint?, headers: headers.unwrap_or_default() })
    })
}

fn headers(node: &Node, reader: &mut Reader) -> Option<Vec<(HeaderName, SecretRef)>> {
    let map = reader.map(node, "a map such as {authorization: \"Bearer ${TOKEN}\"}")?;
    let mut headers = Vec::new();
    for (key, value) in map.pairs() {
        let name = key.text().unwrap_or_default();
        let Ok(header) = HeaderName::try_from(name) else {
            reader.error(&key.span, format!("`{name}` cannot be the name of a header"));
            continue;
        };
        let value = reader.within(name, |reader| Secret(SecretKind::Any).read(value, reader));
        headers.extend(value.map(|value| (header, value)));
    }
    Some(headers)
}

fn headers_schema() -> Json {
    json!({"type": "object", "additionalProperties": Secret(SecretKind::Any).schema()})
}

/// The JSON Schema of `export:`.
pub(super) fn schema() -> Json {
    map_schema("", &EXPORT_KEYS)
}
