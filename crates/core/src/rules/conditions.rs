//! The shapes of `match`, `except`, `sustain`, `scope` and `group_by` in YAML.

use super::doubt::doubt;
use crate::diagnostic::Diagnostic;
use crate::rule::{Conditions, Field, Pattern, PatternError};
use crate::yaml::{Node, Reader};

/// Reads a map of conditions; `what` names it in messages.
pub fn read(node: &Node, reader: &mut Reader, what: &str) -> Option<Conditions> {
    read_of(&Field::ALL, node, reader, what)
}

/// Like [`read`], if only some fields are allowed.
pub(super) fn read_of(fields: &[Field], node: &Node, reader: &mut Reader, what: &str) -> Option<Conditions> {
    let mut map = reader.map(node, &format!("{what}: a map such as {{reason: BackOff}}"))?;
    let mut conditions = Conditions::any();
    for field in fields {
        if let Some(node) = map.take(field.as_str()) {
            conditions = conditions.with(*field, patterns(*field, node, reader));
        }
    }
    // Only where every field is allowed is there an event whose labels could be looked at.
    let labels = if fields.len() == Field::ALL.len() { map.pairs() } else { &[] };
    for (name, node) in labels {
        let Some(field @ Field::Metadata(_)) = name.text().and_then(Field::named) else { continue };
        map.take(field.as_str());
        conditions = conditions.with(field, patterns(field, node, reader));
    }
    map.finish_with(reader, |key| setting_elsewhere(key).or_else(|| foreign_field(key)));
    Some(conditions)
}

/// Keys that belong to the rule, one level up.
fn setting_elsewhere(key: &str) -> Option<&'static str> {
    const OUTSIDE: [&str; 5] = ["open_when", "notify", "severity", "except", "action"];
    OUTSIDE.contains(&key).then_some("this key belongs to the rule itself, beside `match`: indent it less")
}

/// Names of the same facts in other tools.
fn foreign_field(key: &str) -> Option<&'static str> {
    match key {
        "kind" => Some("did you mean `objType`?"),
        "name" | "object" | "pod" => Some("did you mean `objName`?"),
        "type" => Some("did you mean `level` or `objType`?"),
        "text" | "msg" | "note" => Some("did you mean `message`?"),
        "deployment" | "app" => Some("did you mean `workload`?"),
        key => not_a_label(key),
    }
}

/// Labels and annotations that are written as in other places, or cannot exist.
fn not_a_label(key: &str) -> Option<&'static str> {
    let kind = key.split(':').next().unwrap_or_default();
    match kind {
        "label" | "labels" | "annotation" | "annotations" => Some(LABEL_HELP),
        _ if key.contains(':') => Some(LABEL_HELP),
        _ => None,
    }
}

/// How labels and annotations are named.
const LABEL_HELP: &str = "a label is written \"label:KEY\", an annotation \"annotation:KEY\", such as \"label:app.kubernetes.io/part-of\"; KEY has letters, digits and -_./";

/// Reads the name of a field; `what` is said if it is none.
pub(super) fn field(node: &Node, what: &str, reader: &mut Reader) -> Option<Field> {
    let words = Field::ALL.map(|field| (field.as_str(), field));
    match node.text() {
        Some(text) if text.contains(':') => {
            let named = Field::named(text);
            if named.is_none() {
                reader.error_help(&node.span, format!("`{text}` is not {what}"), LABEL_HELP);
            }
            named
        }
        _ => reader.word(node, what, &words),
    }
}

/// Reads one pattern or a list of them, which are matched with `field`.
pub fn patterns(field: Field, node: &Node, reader: &mut Reader) -> Vec<Pattern> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        let help = "write at least one pattern, or leave the key out to match everything";
        reader.error_help(&node.span, format!("`{field}` lists nothing, so it can never match"), help);
    }
    items.iter().filter_map(|item| pattern(field, item, items.len() == 1, reader)).collect()
}

fn pattern(field: Field, node: &Node, alone: bool, reader: &mut Reader) -> Option<Pattern> {
    let text = reader.text(node, "a text, a glob or /a regular expression/")?;
    match weighed(text, node, reader)? {
        Ok(pattern) => {
            if let Some(doubt) = doubt(field, &pattern, alone) {
                match doubt.certain {
                    true => reader.error_help(&node.span, doubt.message, doubt.help),
                    false => reader.warning_help(&node.span, doubt.message, doubt.help),
                }
            }
            Some(pattern)
        }
        Err(error) => {
            let mut diagnostic =
                Diagnostic::error(&reader.source, place(node, reader, text, &error), error.to_string());
            diagnostic.help = pattern_help(text, &error);
            reader.note(diagnostic);
            None
        }
    }
}

/// Parses a pattern within the budget of its file: many large expressions together are a bomb, too.
fn weighed(text: &str, node: &Node, reader: &mut Reader) -> Option<Result<Pattern, PatternError>> {
    if reader.expression_budget == 0 && text.starts_with('/') {
        return None;
    }
    let parsed = Pattern::parse(text);
    let weight = match &parsed {
        Ok(pattern) => pattern.weight(),
        Err(PatternError::TooLarge(weight)) => *weight,
        Err(_) => 0,
    };
    reader.expression_budget = reader.expression_budget.saturating_sub(weight);
    if reader.expression_budget == 0 {
        let help = "split the file, or use smaller repetitions and classes";
        reader.error_help(&node.span, "the regular expressions of this file need too much memory in all", help);
    }
    Some(parsed)
}

/// The bytes of the mistake inside of the pattern, if the file has the pattern's text unchanged.
fn place(node: &Node, reader: &Reader, text: &str, error: &PatternError) -> std::ops::Range<usize> {
    let written = reader.source.text.get(node.span.clone()).and_then(|written| written.find(text));
    match (error, written) {
        (PatternError::Syntax { at, .. }, Some(start)) if *at < text.len() && text.is_char_boundary(*at) => {
            let start = node.span.start + start + at;
            start..start + text[*at..].chars().next().map_or(1, char::len_utf8)
        }
        _ => node.span.clone(),
    }
}

fn pattern_help(text: &str, error: &PatternError) -> Option<String> {
    let inner = text.trim_start_matches('/').trim_end_matches(['/', 'i']);
    match error {
        PatternError::Syntax { .. } if inner.starts_with('*') || inner.ends_with('*') => {
            Some(format!("for a glob leave the slashes out: \"{}\"", inner.trim_end_matches('/')))
        }
        PatternError::Syntax { message, .. } if message.contains("look") => {
            Some("look-around is not supported; use `except` to leave things out".into())
        }
        PatternError::Syntax { .. } => {
            Some("put a backslash before characters that are meant literally: \\( \\[ \\* \\+".into())
        }
        PatternError::Flag(_) => Some("write `/…/i` to ignore case".into()),
        PatternError::TooLarge(_) => Some("use smaller repetitions".into()),
        PatternError::TooLong(_) => Some("use several patterns in a list".into()),
        PatternError::Empty => None,
    }
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
