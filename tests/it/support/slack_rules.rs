//! Slack's rules for messages and blocks, as far as a message of podbell could break them. Proved
//! right by `slack_blocks.json`.

use serde_json::Value;

/// How long a text is.
pub type Count = fn(&str) -> usize;

/// What is wrong with a message; empty if nothing is. Counted in UTF-16 units, the strictest of
/// what Slack may mean by a character.
pub fn faults(message: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    match message["text"].as_str() {
        Some(text) if text.trim().is_empty() => faults.push("no_text".to_owned()),
        Some(text) if units(text) > 4000 => faults.push("text > 4000".to_owned()),
        Some(_) => {}
        None => faults.push("no text".to_owned()),
    }
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    if blocks.len() > 50 {
        faults.push("more than 50 blocks".to_owned());
    }
    faults.extend(blocks.iter().flat_map(|block| block_faults(block, units)));
    faults
}

/// What is wrong with one block.
pub fn block_faults(block: &Value, count: Count) -> Vec<String> {
    let mut faults = match block["type"].as_str() {
        Some("section") => section(block, count),
        Some("header") => {
            let mut faults = text(&block["text"], 150, count);
            if block["text"]["type"] != "plain_text" {
                faults.push("header must be plain_text".to_owned());
            }
            faults
        }
        Some("context") => elements(block, 10, |element| text(element, 3000, count)),
        Some("actions") => elements(block, 25, |element| button(element, count)),
        Some("image") => longest("image_url", &block["image_url"], 3000, count),
        Some("divider") => Vec::new(),
        other => vec![format!("unknown block {other:?}")],
    };
    faults.extend(longest("block_id", &block["block_id"], 255, count));
    faults
}

fn section(block: &Value, count: Count) -> Vec<String> {
    let mut faults = Vec::new();
    let fields = block["fields"].as_array();
    if block.get("text").is_none() && fields.is_none_or(|fields| fields.is_empty()) {
        faults.push("text or fields required".to_owned());
    }
    if let Some(object) = block.get("text") {
        faults.extend(text(object, 3000, count));
    }
    let fields = fields.cloned().unwrap_or_default();
    if fields.len() > 10 {
        faults.push("more than 10 fields".to_owned());
    }
    faults.extend(fields.iter().flat_map(|field| text(field, 2000, count)));
    faults
}

fn elements(block: &Value, most: usize, check: impl Fn(&Value) -> Vec<String>) -> Vec<String> {
    let elements = block["elements"].as_array().cloned().unwrap_or_default();
    let mut faults: Vec<String> = elements.iter().flat_map(check).collect();
    if elements.is_empty() || elements.len() > most {
        faults.push(format!("{} elements", elements.len()));
    }
    faults
}

fn button(element: &Value, count: Count) -> Vec<String> {
    let mut faults = text(&element["text"], 75, count);
    faults.extend(longest("value", &element["value"], 2000, count));
    faults
}

fn text(object: &Value, most: usize, count: Count) -> Vec<String> {
    let mut faults = longest("text", &object["text"], most, count);
    if !matches!(object["type"].as_str(), Some("plain_text" | "mrkdwn")) {
        faults.push("text without type".to_owned());
    }
    if object["text"].as_str().is_none_or(str::is_empty) {
        faults.push("empty text".to_owned());
    }
    faults
}

fn longest(what: &str, value: &Value, most: usize, count: Count) -> Vec<String> {
    let long = value.as_str().is_some_and(|text| count(text) > most);
    if long { vec![format!("{what} > {most}")] } else { Vec::new() }
}

/// Scalar values, as the vectors count.
pub fn scalars(text: &str) -> usize {
    text.chars().count()
}

/// UTF-16 units.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}
