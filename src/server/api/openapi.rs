//! The document that describes the API (OpenAPI 3.1), generated from what answers it: the rows of the lists, the types
//! of answers, and the rows of the commands. A test compares it with real answers.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::generate::{Contract, SchemaSettings};
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::lists::{LISTS, List};
use super::{Api, Command, CommandResponse, ErrorBody, unknown};
use crate::chat::lists::Filter;
use podbell_core::ask::COMMANDS;

/// Where this document is.
const PATH: &str = "/api/v1/openapi.json";

/// The document as it is served and printed.
pub(crate) static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let mut text = format!("{:#}", document());
    text.push('\n');
    text
});

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.contract = Contract::Serialize;
        settings.meta_schema = None;
        settings.definitions_path = "/components/schemas".into();
        settings.transforms.push(Box::new(RecursiveTransform(close)));
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    paths.insert("/api/v1/commands".to_owned(), json!({"post": commands(&mut generator)}));
    for list in &LISTS {
        paths.insert(list.path.to_owned(), json!({"get": listed(list, &mut generator)}));
    }
    let of_itself = json!({"summary": "This document.", "responses": responses(json!({"description": "The OpenAPI document."}), &[401])});
    paths.insert(PATH.to_owned(), json!({"get": of_itself}));
    generator.subschema_for::<ErrorBody>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "podbell",
            "version": "1",
            "description": "What podbell knows, and its commands. Times are milliseconds since 1970, UTC. A token sees what podbell.yaml says; whatever lies outside is answered as if it were not there.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": generator.take_definitions(true),
        },
    })
}

/// Answers have the fields that are described, and no others.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}

fn commands(generator: &mut SchemaGenerator) -> Value {
    let writes = |writes: bool| if writes { " (changes something)" } else { "" };
    let known = COMMANDS.map(|spec| format!("`{}`{}: {}", spec.usage, writes(spec.writes()), spec.about.en));
    let said = content(generator.subschema_for::<CommandResponse>().to_value());
    json!({
        "summary": "A command, as a person would type it.",
        "description": known.join("\n"),
        "requestBody": {"required": true, "content": {"application/json": {"schema": read::<Command>()}}},
        "responses": responses(
            json!({"description": "The answer, also to a command with a mistake.", "content": said}),
            &[400, 401, 415, 429],
        ),
    })
}

fn listed(list: &List, generator: &mut SchemaGenerator) -> Value {
    let filter = read::<Filter>();
    let parameters: Vec<Value> = list.filters.iter().map(|name| parameter(list, name, &filter)).collect();
    let mut page = (list.page)(generator);
    close(&mut page);
    let page = json!({"description": "A page.", "content": content(page.to_value())});
    json!({"summary": list.about, "parameters": parameters, "responses": responses(page, list.refusals)})
}

/// A parameter of a list, with the type and the words of the field that reads it.
fn parameter(list: &List, name: &str, filter: &Value) -> Value {
    let mut schema = filter["properties"][name].clone();
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    // A query parameter is given or left out, never null.
    if let Some(one) = schema["type"].as_array().and_then(|types| types.first()).cloned() {
        schema["type"] = one;
    }
    if let Some(one) = schema["anyOf"].get(0).cloned() {
        schema = one;
    }
    for keyword in ["default", "format"] {
        schema.as_object_mut().map(|schema| schema.remove(keyword));
    }
    let required = list.required == Some(name);
    json!({"name": name, "in": "query", "description": description, "required": required, "schema": schema})
}

/// The schema of a type that is read, with everything that it needs inline.
fn read<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

fn content(schema: Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn responses(good: Value, refusals: &[u16]) -> Value {
    let mut all = Map::from_iter([("200".to_owned(), good)]);
    for status in refusals {
        let why = match status {
            400 => "A parameter or body that cannot be read.",
            401 => "No token that podbell.yaml names.",
            403 => "The token does not see everything.",
            415 => "The content type is not application/json.",
            429 => "Too many wrong tokens from this address.",
            _ => "The store cannot be read at the moment.",
        };
        let wrong = content(json!({"$ref": "#/components/schemas/ErrorBody"}));
        all.insert(status.to_string(), json!({"description": why, "content": wrong}));
    }
    Value::Object(all)
}

/// The route of this document.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new().route(PATH, get(openapi))
}

async fn openapi(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    match api.tokens.find(&headers) {
        Some(_) => ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response(),
        None => unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_names_filters_that_are_read_and_each_filter_has_a_list() {
        let filter = read::<Filter>();
        let fields: Vec<&String> = filter["properties"].as_object().unwrap().keys().collect();
        for list in &LISTS {
            for name in list.filters {
                assert!(fields.iter().any(|field| field == name), "{}: nobody reads {name}", list.path);
            }
        }
        for field in fields {
            assert!(LISTS.iter().any(|list| list.filters.contains(&field.as_str())), "{field} filters nothing");
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let mut open = vec![&document];
        let mut references = 0;
        while let Some(value) = open.pop() {
            if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').expect("a reference within the document");
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                references += 1;
            }
            match value {
                Value::Object(map) => open.extend(map.values()),
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
        assert!(references > 10, "{references}");
    }
}
