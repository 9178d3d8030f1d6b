//! The shape of a rule file: YAML to settings that may still be absent.
//!
//! Owns the keys, their types and their bounds. Defaults and everything that looks at more than one
//! key belong to [`super::compile()`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Conditions;
use super::doubt::doubt;
use super::pattern::{Pattern, PatternError};
use super::quiet::Active;
use super::rule::{
    CountScope, CountSteps, Destination, EndsBy, Field, LONGEST_SETTLED, OpenWhen, Routing, Severity,
    UnacknowledgedStep,
};
use super::{keys, notify};
use crate::diagnostic::Diagnostic;
use crate::template::{self, Template};
use crate::yaml::key::ValueType as _;
use crate::yaml::{MapReader, Node, Reader, valid_or_absent};

/// The settings of a rule or of `defaults`; `None` where nothing is given.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// `severity`.
    pub severity: Option<Severity>,
    /// `open_when`.
    pub open_when: Option<OpenWhen>,
    /// `escalate.counts`.
    pub counts: Option<CountSteps>,
    /// `escalate.objects`.
    pub objects: Option<Vec<u64>>,
    /// `escalate.news`.
    pub news: Option<bool>,
    /// `sustain`; the inner `None` is `off`.
    pub sustain: Option<Option<Conditions>>,
    /// `group_by`.
    pub group_by: Option<Vec<Field>>,
    /// `group_wait`.
    pub group_wait: Option<Duration>,
    /// `min_gap`.
    pub min_gap: Option<Duration>,
    /// `resolve_after`.
    pub resolve_after: Option<Duration>,
    /// `recovered_after`.
    pub recovered_after: Option<Duration>,
    /// `until`.
    pub until: Option<EndsBy>,
    /// `family`.
    pub family: Option<Arc<str>>,
    /// `reopen_within`.
    pub reopen_within: Option<Duration>,
    /// `remind_every`; the inner `None` is `off`.
    pub remind_every: Option<Option<Duration>>,
    /// `send_resolved`.
    pub send_resolved: Option<bool>,
    /// `active`; the inner `None` is `off`.
    pub active: Option<Option<Active>>,
    /// `notify`: every destination that it names.
    pub notify: Option<Vec<Destination>>,
    /// How `notify` chooses among them, if it does.
    pub routing: Option<Routing>,
    /// `unacknowledged`; empty for `off`.
    pub unacknowledged: Option<Vec<UnacknowledgedStep>>,
    /// `mention`.
    pub mention: Option<BTreeMap<Severity, Vec<String>>>,
    /// `runbook`.
    pub runbook: Option<String>,
    /// `labels`.
    pub labels: BTreeMap<String, String>,
    /// `template`.
    pub template: Template,
}

impl Partial {
    /// This, with `other` in place of what is not given.
    #[must_use]
    pub(crate) fn or(self, other: &Self) -> Self {
        let mut labels = other.labels.clone();
        labels.extend(self.labels);
        let other = other.clone();
        Self {
            severity: self.severity.or(other.severity),
            open_when: self.open_when.or(other.open_when),
            counts: self.counts.or(other.counts),
            objects: self.objects.or(other.objects),
            news: self.news.or(other.news),
            sustain: self.sustain.or(other.sustain),
            group_by: self.group_by.or(other.group_by),
            group_wait: self.group_wait.or(other.group_wait),
            min_gap: self.min_gap.or(other.min_gap),
            resolve_after: self.resolve_after.or(other.resolve_after),
            recovered_after: self.recovered_after.or(other.recovered_after),
            until: self.until.or(other.until),
            family: self.family.or(other.family),
            reopen_within: self.reopen_within.or(other.reopen_within),
            remind_every: self.remind_every.or(other.remind_every),
            send_resolved: self.send_resolved.or(other.send_resolved),
            active: self.active.or(other.active),
            routing: if self.notify.is_some() { self.routing } else { other.routing },
            notify: self.notify.or(other.notify),
            unacknowledged: self.unacknowledged.or(other.unacknowledged),
            mention: self.mention.or(other.mention),
            runbook: self.runbook.or(other.runbook),
            labels,
            template: self.template.or(&other.template),
        }
    }
}

/// The names that podbell.yaml defines; `None` where there is no podbell.yaml.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Notifiers.
    pub destinations: Option<Vec<Destination>>,
    /// Keys of `mentions:`.
    pub mentions: Option<Vec<String>>,
    /// The destinations that the operator lets this file notify.
    pub may_notify: Option<Vec<Destination>>,
}

/// Reads the settings that rules and `defaults` share. `base` has the defaults; its labels are known to templates.
pub(crate) fn partial(map: &mut MapReader<'_>, reader: &mut Reader, names: &Names, base: &Partial) -> Partial {
    let mut said = Partial {
        severity: keys::SEVERITY.take_written(map, reader),
        open_when: keys::OPEN_WHEN.node(map, reader).and_then(|node| open_when(node, reader)),
        sustain: keys::SUSTAIN.take_written(map, reader),
        group_by: keys::GROUP_BY.take_written(map, reader),
        group_wait: keys::GROUP_WAIT.take_written(map, reader),
        min_gap: keys::MIN_GAP.take_written(map, reader),
        resolve_after: keys::RESOLVE_AFTER.take_written(map, reader),
        recovered_after: keys::RECOVERED_AFTER.take_written(map, reader),
        until: keys::UNTIL.take_written(map, reader),
        family: keys::FAMILY.take_written(map, reader),
        reopen_within: keys::REOPEN_WITHIN.take_written(map, reader),
        remind_every: keys::REMIND_EVERY.take_written(map, reader),
        send_resolved: keys::SEND_RESOLVED.take_written(map, reader),
        active: keys::ACTIVE.take_written(map, reader),
        unacknowledged: keys::UNACKNOWLEDGED
            .node(map, reader)
            .and_then(|node| notify::unacknowledged(node, reader, names)),
        mention: keys::MENTION.node(map, reader).and_then(|node| notify::mention(node, reader, names)),
        runbook: keys::RUNBOOK.take_written(map, reader),
        labels: keys::LABELS.take_written(map, reader).unwrap_or_default(),
        ..Partial::default()
    };
    if let Some(node) = keys::NOTIFY.node(map, reader) {
        notify::notify(node, reader, names, &mut said);
    }
    if let Some(node) = keys::ESCALATE.node(map, reader) {
        escalate(node, reader, &mut said);
    }
    if let Some(node) = keys::TEMPLATE.node(map, reader) {
        let mut labels = base.labels.clone();
        labels.extend(said.labels.clone());
        said.template = template::read::read(node, &labels, reader).unwrap_or_default();
    }
    said
}

/// Reads a map of conditions; `what` names it in messages.
pub fn conditions(node: &Node, reader: &mut Reader, what: &str) -> Option<Conditions> {
    conditions_of(&Field::ALL, node, reader, what)
}

/// Like [`conditions`], if only some fields are allowed.
pub(crate) fn conditions_of(fields: &[Field], node: &Node, reader: &mut Reader, what: &str) -> Option<Conditions> {
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

fn open_when(node: &Node, reader: &mut Reader) -> Option<OpenWhen> {
    let mut map = reader.map(node, "a map such as {count: 3, within: 10m} or {lasts: 5m}")?;
    let lasts = keys::LASTS.node(&mut map, reader);
    let count = keys::COUNT.node(&mut map, reader);
    let (within, per) = (keys::WITHIN.node(&mut map, reader), keys::PER.node(&mut map, reader));
    let settled = keys::SETTLED.node(&mut map, reader);
    let span = map.head();
    map.finish(reader);
    if count.is_none() && lasts.is_none() {
        reader.error(&span, "the key `count` is missing");
        return None;
    }
    let number = count.map(|node| keys::COUNT.read(node, reader).and_then(|count| u32::try_from(count).ok()));
    let duration = within.and_then(|node| keys::WITHIN.read(node, reader));
    let per = per.map(|node| (node, keys::PER.read(node, reader)));
    let lasts = lasts.map(|node| keys::LASTS.read(node, reader));
    // Mistakes in what was given are noted already.
    let (count, lasts) = (valid_or_absent(number)?, valid_or_absent(lasts)?);
    let needs_count = [("per", per.as_ref().map(|(node, _)| *node), "object"), ("settled", settled, "5m")];
    let alone = needs_count.iter().find_map(|(key, node, example)| Some((key, (*node)?, example)));
    if let (Some((key, node, example)), None) = (alone, count) {
        let help = format!("such as {{count: 3, within: 10m, {key}: {example}}}");
        reader.error_help(&node.span, format!("`{key}` says nothing without `count`"), help);
        return None;
    }
    let settled = valid_or_absent(settled.map(|node| settled_age(node, reader)))?;
    let per = per.map_or(Some(CountScope::Group), |(_, per)| per)?;
    match count {
        Some(count @ 2..) if within.is_none() => {
            reader.error_help(&span, "the key `within` is missing", format!("such as {{count: {count}, within: 10m}}"));
            None
        }
        Some(2..) => Some(OpenWhen { count, within: duration?, per, lasts, settled }),
        _ => Some(OpenWhen { count, within: Duration::ZERO, per, lasts, settled }),
    }
}

/// Reads the age at which an object counts.
fn settled_age(node: &Node, reader: &mut Reader) -> Option<Duration> {
    let age = keys::SETTLED.read(node, reader)?;
    if age > LONGEST_SETTLED {
        let help = "the events that tell the age of an object are shown for about an hour";
        reader.error_help(&node.span, "`settled` is at most 1h", help);
        return None;
    }
    Some(age)
}

/// Reads the name of a family, whose rules are all of this file.
pub(super) fn family(node: &Node, reader: &mut Reader) -> Option<Arc<str>> {
    let name = reader.text(node, "a name such as pods")?.trim();
    if name.is_empty() {
        reader.error_help(&node.span, "a family needs a name", "rules of this file with the same one share incidents");
        return None;
    }
    Some(name.into())
}

fn escalate(node: &Node, reader: &mut Reader, said: &mut Partial) {
    let Some(mut map) = reader.map(node, "a map such as {counts: [10, 100], objects: [5, 20]}") else { return };
    said.counts = keys::COUNTS.take_written(&mut map, reader).map(CountSteps::Listed);
    said.objects = keys::OBJECTS.take_written(&mut map, reader);
    said.news = keys::NEWS.take_written(&mut map, reader);
    map.finish(reader);
}

/// Reads ascending numbers; an empty list means none.
pub(super) fn steps(node: &Node, reader: &mut Reader) -> Vec<u64> {
    let items = reader.one_or_many(node);
    let numbers: Vec<u64> = items.iter().filter_map(|item| keys::STEP.read(item, reader)).collect();
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
