//! As much of JSON Schema as podbell's own schemas use. A keyword it does not know is an error, so
//! that a schema cannot promise what nobody checks.

use serde_json::Value;

/// What is wrong with a value; empty if nothing is.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, value, "$", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "properties" => {}
            "$ref" => {
                let target = rule.as_str().unwrap().trim_start_matches('#');
                check(root, root.pointer(target).expect("the target of $ref"), value, path, faults);
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|one| is_a(value, one.as_str().unwrap())) {
                    faults.push(format!("{path}: {value} is no {rule}"));
                }
            }
            "enum" => {
                if !rule.as_array().unwrap().contains(value) {
                    faults.push(format!("{path}: {value} is not listed"));
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
            "additionalProperties" => {}
            other => panic!("{path}: the checker does not know {other}"),
        }
    }
    properties(root, schema, value, path, faults);
}

fn properties(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    for (name, field) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match (schema.get("properties").and_then(|known| known.get(name)), schema.get("additionalProperties")) {
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
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the checker does not know the type {other}"),
    }
}
