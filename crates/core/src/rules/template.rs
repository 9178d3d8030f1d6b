//! `template:` of YAML, and everything wrong with it. Each half is tried on a sample notice of every kind, so that
//! `podbell check` finds a mistake before a notice does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, meant_or};
use crate::message::{Style, facts, sample};
use crate::notice::Story;
use crate::rule::Severity;
use crate::template::{Failure, Part, Template, TemplateValues, asks_for, render};
use crate::translations::Language;
use crate::yaml::key::{Key, SchemaOnly, map_schema};
use crate::yaml::{Node, Reader};

/// The longest template of each half, in bytes.
const MAX: [usize; 2] = [1_000, 8_000];

const TITLE: Key<SchemaOnly> =
    Key::optional("title", SchemaOnly(|| half_schema(Part::Title)), "The title, such as \"{{ place }}: {{ what }}\".");
const TEXT: Key<SchemaOnly> =
    Key::optional("text", SchemaOnly(|| half_schema(Part::Text)), "All below it; several lines with `text: |`.");

fn half_schema(part: Part) -> Json {
    json!({"type": "string", "maxLength": most(part)})
}

fn most(part: Part) -> usize {
    MAX[usize::from(part == Part::Text)]
}

/// The JSON Schema of `template:`.
pub fn schema() -> Json {
    let mut schema = map_schema("", &[&TITLE, &TEXT]);
    schema["minProperties"] = json!(1);
    schema
}

/// Reads `template:`. `labels` are those that its notices are known to have.
pub fn read(node: &Node, labels: &BTreeMap<String, String>, reader: &mut Reader) -> Option<Template> {
    let mut map = reader.map(node, "a map such as {title: \"{{ place }}: {{ what }}\"}")?;
    let (title, text) = (TITLE.node(&mut map, reader), TEXT.node(&mut map, reader));
    if title.is_none() && text.is_none() && map.is_empty() {
        reader.error_help(&node.span, "an empty `template`", "say `title`, `text` or both");
    }
    map.finish(reader);
    let mut half = |part, node: Option<&Node>| node.and_then(|node| half(part, node, labels, reader));
    Some(Template { title: half(Part::Title, title), text: half(Part::Text, text) })
}

fn half(part: Part, node: &Node, labels: &BTreeMap<String, String>, reader: &mut Reader) -> Option<Arc<str>> {
    let source = reader.text(node, "a template such as \"{{ place }}: {{ what }}\"")?;
    let most = most(part);
    if source.len() > most {
        let message = format!("the template has {} bytes; at most {most} are allowed", source.len());
        reader.error(&node.span, message);
        return None;
    }
    match faults(part, source, labels) {
        faults if faults.is_empty() => Some(source.into()),
        faults => {
            for fault in faults {
                let at = fault.at.and_then(|at| place(node, reader, source, at));
                let span = at.unwrap_or_else(|| node.span.clone());
                let mut diagnostic = Diagnostic::error(&reader.source, span, format!("template: {}", fault.why));
                diagnostic.help = fault.help;
                reader.note(diagnostic);
            }
            None
        }
    }
}

/// What is wrong with a template: names that no notice has, else the first failure on a sample.
fn faults(part: Part, source: &str, labels: &BTreeMap<String, String>) -> Vec<Failure> {
    let full = Story { labels: labels.clone(), rollout: Some(sample::rollout()), ..sample::story() };
    let unknown = unknown_names(part, source, &of(&full, sample::Kind::Escalated, Language::En));
    if !unknown.is_empty() {
        return unknown;
    }
    first_failure(part, source, &full).into_iter().collect()
}

fn of(story: &Story, kind: sample::Kind, language: Language) -> TemplateValues {
    let style = Style { language, time_zone: jiff::tz::TimeZone::UTC, now: sample::NOW };
    facts(&sample::notice(kind, story, Severity::Critical, Vec::new()), &style)
}

fn first_failure(part: Part, source: &str, full: &Story) -> Option<Failure> {
    let bare = sample::bare(full);
    for kind in sample::Kind::ALL {
        for (story, language) in [(full, Language::En), (full, Language::Zh), (&bare, Language::En)] {
            let failed = match render(part, source, &of(story, kind, language)) {
                Ok(title) if part == Part::Title && title.trim().is_empty() => Failure {
                    part,
                    why: "it gives an empty title".to_owned(),
                    help: Some("a title must say something in every kind of notice".to_owned()),
                    at: None,
                },
                Ok(_) => continue,
                Err(failure) => failure,
            };
            return Some(explained(failed, source, kind));
        }
    }
    None
}

/// Adds in which notice it fails, and how to ask for a fact that may be absent.
fn explained(failure: Failure, source: &str, kind: sample::Kind) -> Failure {
    let asked = failure.at.clone().and_then(|at| source.get(at)).map(str::trim).unwrap_or_default();
    let advice = || match asked.split_once('.') {
        Some(("object_labels" | "object_annotations", _)) => {
            format!("an object may have no such key; write {{{{ {asked} | default(\"-\") }}}}")
        }
        Some(("labels", _)) => {
            format!("a rule may have no such label; write {{{{ {asked} | default(\"-\") }}}}")
        }
        Some((fact, _)) => {
            format!("`{fact}` may be absent; put {{% if {fact} %}} … {{% endif %}} around it")
        }
        _ => "look at docs/templates.md for what there is and when".to_owned(),
    };
    let absent = failure.why.ends_with("is not there");
    let why = if absent { format!("{} in a notice `{}`", failure.why, kind.as_str()) } else { failure.why.clone() };
    let help = failure.help.clone().or_else(|| absent.then(advice));
    Failure { why, help, ..failure }
}

/// Every name that no notice has, with the one that was probably meant.
fn unknown_names(part: Part, source: &str, facts: &TemplateValues) -> Vec<Failure> {
    let unknown = |name: String| {
        let mut here = facts.clone();
        for step in name.split('.') {
            let found = here.get_attr(step).unwrap_or_default();
            if found.is_undefined() {
                // Labels are the team's own, and functions are the engine's.
                let free = ["labels.", "object_labels.", "object_annotations."].iter().any(|map| name.starts_with(map));
                let free = free || step.parse::<usize>().is_ok() || is_function(&name);
                return (!free).then(|| not_a_fact(part, source, &name, step, &here));
            }
            here = found;
        }
        None
    };
    asks_for(source).into_iter().filter_map(unknown).collect()
}

/// The functions that a template may call.
fn is_function(name: &str) -> bool {
    ["range", "dict", "namespace", "debug", "loop"].contains(&name)
}

fn not_a_fact(part: Part, source: &str, name: &str, step: &str, within: &TemplateValues) -> Failure {
    let known: BTreeSet<String> = match within.try_iter() {
        Ok(keys) => keys.filter_map(|key| key.as_str().map(str::to_owned)).collect(),
        Err(_) => BTreeSet::new(),
    };
    let help = meant_or(step, known.iter().map(String::as_str), || match known.is_empty() {
        true => format!("`{}` has no parts", name.trim_end_matches(step).trim_end_matches('.')),
        false => format!("there are: {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
    });
    Failure { part, why: format!("there is no `{name}`"), help: Some(help), at: word(source, name) }
}

/// Where a name occurs as a whole word.
fn word(source: &str, name: &str) -> Option<Range<usize>> {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    let found = source.match_indices(name).find(|(at, _)| {
        let before = source[..*at].chars().next_back();
        let after = source[at + name.len()..].chars().next();
        !before.is_some_and(|c| inner(c) || c == '.') && !after.is_some_and(inner)
    })?;
    Some(found.0..found.0 + name.len())
}

/// Finds these bytes of a template in the file, where it may be indented, quoted or folded; `None` if they cannot be
/// found.
fn place(node: &Node, reader: &Reader, source: &str, at: Range<usize>) -> Option<Range<usize>> {
    let raw = reader.source.text.get(node.span.clone())?;
    if let Some(start) = raw.find(source) {
        let start = node.span.start + start;
        return Some(start + at.start..start + at.end);
    }
    let line = source.get(..at.start)?.matches('\n').count();
    let within = at.start - source.get(..at.start)?.rfind('\n').map_or(0, |newline| newline + 1);
    let mut offset = 0;
    let mut lines = raw.split_inclusive('\n');
    for (number, wanted) in source.lines().enumerate() {
        let found = loop {
            let here = lines.next()?;
            let start = offset;
            offset += here.len();
            if let Some(column) = here.find(wanted).filter(|_| here.trim() == wanted.trim() || number == 0) {
                break start + column;
            }
        };
        if number == line {
            let start = node.span.start + found + within;
            let end = (start + at.len()).min(node.span.start + found + wanted.len());
            return Some(start..end.max(start));
        }
    }
    None
}
