//! JSON Schemas that several keys share.

use serde_json::{Value as Json, json};

use crate::yaml::key::one_or_many_schema;

pub(super) fn text_schema() -> Json {
    json!({"type": ["string", "number", "boolean"]})
}

pub(super) fn string_schema() -> Json {
    json!({"type": "string"})
}

pub(super) fn texts_schema() -> Json {
    one_or_many_schema(&text_schema(), 1)
}

pub(super) fn strings_schema() -> Json {
    one_or_many_schema(&string_schema(), 1)
}
