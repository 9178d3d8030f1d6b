//! The shapes of some settings in YAML.
use super::conditions::field;
use crate::rule::Field;
use crate::yaml::key::{Number, ValueType};
use crate::yaml::{Node, Reader};
use serde_json::{Value as Json, json};
use std::sync::Arc;

const MAX_STEP: u64 = 1_000_000_000_000;
pub(super) const STEP: Number = Number(1, MAX_STEP);

/// Reads the name of a family, whose rules are all of this file.
pub(super) fn family(node: &Node, reader: &mut Reader) -> Option<Arc<str>> {
    let name = reader.text(node, "a name such as pods")?.trim();
    if name.is_empty() {
        reader.error_help(&node.span, "a family needs a name", "rules of this file with the same one share incidents");
        return None;
    }
    Some(name.into())
}

/// Reads ascending numbers; an empty list means none.
pub(super) fn steps(node: &Node, reader: &mut Reader) -> Vec<u64> {
    let items = reader.one_or_many(node);
    let numbers: Vec<u64> = items.iter().filter_map(|item| STEP.read(item, reader)).collect();
    if let Some(at) = numbers.windows(2).position(|pair| pair[0] >= pair[1]).filter(|_| numbers.len() == items.len()) {
        let (less, more) = (numbers[at + 1], numbers[at]);
        reader.error_help(
            &items[at + 1].span,
            format!("{less} after {more}: steps must grow"),
            "sort them, none twice",
        );
    }
    numbers
}

pub(super) fn group_by(node: &Node, reader: &mut Reader) -> Option<Vec<Field>> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        let help = "leave the key out, or name at least one, such as [cluster, namespace, workload]";
        reader.error_help(&node.span, "`group_by` lists nothing", help);
        return None;
    }
    let mut fields = Vec::new();
    for item in items {
        if let Some(field) = field(item, "a key to group by", reader) {
            if fields.contains(&field) {
                reader.error(&item.span, format!("`{field}` is there twice"));
            } else {
                fields.push(field);
            }
        }
    }
    (!fields.is_empty()).then_some(fields)
}

pub(super) fn runbook(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a web address")?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        let help = "write the whole address, https://…: anything else is not shown";
        reader.warning_help(&node.span, "a runbook is a web address", help);
    }
    Some(text.to_owned())
}

pub(super) fn step_schema() -> Json {
    json!({"type": "integer", "minimum": 1, "maximum": MAX_STEP})
}
