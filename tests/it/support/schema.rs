//! As much of JSON Schema as podbell's own schemas use. A keyword it does not know is an error, so
//! that a schema cannot promise what nobody checks.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use regex::Regex;
use serde_json::Value;

/// What is wrong with a value; empty if nothing is.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    faults_of(schema, schema, value)
}

/// The same for a part of a schema; `root` has what it refers to.
pub fn faults_of(root: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(root, schema, value, "$", &mut faults);
    faults
}

/// What `$ref` refers to.
pub fn target<'s>(root: &'s Value, reference: &Value) -> &'s Value {
    root.pointer(reference.as_str().unwrap().trim_start_matches('#')).expect("the target of $ref")
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$schema"
            | "$defs"
            | "title"
            | "description"
            | "default"
            | "format"
            | "properties"
            | "patternProperties"
            | "additionalProperties" => {}
            "$ref" => check(root, target(root, rule), value, path, faults),
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|one| is_a(value, one.as_str().unwrap())) {
                    faults.push(format!("{path}: {value} is no {rule}"));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => {
                faults.push(format!("{path}: {value} is not listed"))
            }
            "const" if rule != value => faults.push(format!("{path}: {value} is not {rule}")),
            "enum" | "const" => {}
            "anyOf" | "oneOf" => {
                let fits = |one: &Value| faults_of(root, one, value).is_empty();
                if !rule.as_array().unwrap().iter().any(fits) {
                    faults.push(format!("{path}: {value} is nothing of what it may be"));
                }
            }
            "required" => {
                let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                let missing = names.filter(|name| value.is_object() && value.get(name).is_none());
                faults.extend(missing.map(|name| format!("{path}: {name} is missing")));
            }
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{path}[{at}]"), faults);
                }
            }
            "pattern" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "minimum" | "maximum" => {
                if !within(keyword, rule, value) {
                    faults.push(format!("{path}: {value} is against {keyword} {rule}"));
                }
            }
            other => panic!("{path}: the checker does not know {other}"),
        }
    }
    properties(root, schema, value, path, faults);
}

/// Built once: a schema is checked against many values.
fn expression(pattern: &str) -> Regex {
    static BUILT: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap();
    built.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap()).clone()
}

/// Whether a value is within a bound; a bound for another type says nothing.
fn within(keyword: &str, bound: &Value, value: &Value) -> bool {
    let most = || usize::try_from(bound.as_u64().unwrap()).unwrap();
    match (keyword, value) {
        ("pattern", Value::String(text)) => expression(bound.as_str().unwrap()).is_match(text),
        ("maxLength", Value::String(text)) => text.chars().count() <= most(),
        ("minItems", Value::Array(items)) => items.len() >= most(),
        ("maxItems", Value::Array(items)) => items.len() <= most(),
        ("minProperties", Value::Object(fields)) => fields.len() >= most(),
        ("minimum", Value::Number(number)) => number.as_f64() >= bound.as_f64(),
        ("maximum", Value::Number(number)) => number.as_f64() <= bound.as_f64(),
        _ => true,
    }
}

fn properties(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    for (name, field) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let mut patterns = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
        let fitting = patterns.find(|(pattern, _)| expression(pattern).is_match(name)).map(|(_, known)| known);
        let known = schema.get("properties").and_then(|known| known.get(name)).or(fitting);
        match (known, schema.get("additionalProperties")) {
            (Some(known), _) => check(root, known, field, &path, faults),
            (None, Some(Value::Bool(false))) => faults.push(format!("{path} is not in the schema")),
            (None, Some(others @ Value::Object(_))) => check(root, others, field, &path, faults),
            (None, _) => {}
        }
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the checker does not know the type {other}"),
    }
}
