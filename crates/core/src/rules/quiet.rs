//! The shapes of `inhibit` and `maintenance` in YAML.

use std::ops::Range;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, AmbiguousZoned, TimeZone};

use super::active::ZONE;
use super::conditions::{self, field};
use super::keys;
use crate::rule::condition::Conditions;
use crate::rule::pattern::Pattern;
use crate::rule::quiet::{Inhibit, Maintenance};
use crate::rule::{Field, Rule};
use crate::time::Time;
use crate::yaml::{MapReader, Node, Reader};

/// Reads `maintenance` of a rule file, whose rules it then holds, or of podbell.yaml.
pub fn maintenance(node: &Node, reader: &mut Reader, scopes: &[Conditions], file: Option<&Arc<str>>) -> Vec<Planned> {
    const WHAT: &str = "maintenance such as {name: db-upgrade, until: \"2026-12-01 22:00\", zone: Asia/Shanghai}";
    let mut all: Vec<Planned> = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(mut map) = reader.map(item, WHAT) else { continue };
        let head = map.head();
        let name_node = keys::PLANNED_NAME.node(&mut map, reader);
        let name = name_node.and_then(|node| keys::PLANNED_NAME.read(node, reader)).unwrap_or_default();
        let zone_node = ZONE.node(&mut map, reader);
        let zone = zone_node.and_then(|node| ZONE.read(node, reader)).unwrap_or(TimeZone::UTC);
        let from_node = keys::FROM.node(&mut map, reader);
        let from = from_node.and_then(|node| moment(node, &zone, reader));
        let until_node = keys::PLANNED_UNTIL.node(&mut map, reader);
        let until = until_node.and_then(|node| moment(node, &zone, reader));
        let on_a_clock = [from, until].into_iter().flatten().any(|(_, on_a_clock)| on_a_clock);
        let (from, until) = (from.map(|(at, _)| at), until.map(|(at, _)| at));
        let matching = keys::PLANNED_MATCH
            .node(&mut map, reader)
            .and_then(|node| conditions::read_of(&Maintenance::FIELDS, node, reader, "`match`"))
            .unwrap_or_default();
        map.finish(reader);
        if let (Some(from), Some(until), Some(node)) = (from, until, until_node)
            && until <= from
        {
            reader.error_help(&node.span, "this maintenance ends before it begins", "swap `from` and `until`");
        }
        if all.iter().any(|other| *other.maintenance.name == *name) {
            let span = name_node.map_or_else(|| head.clone(), |node| node.span.clone());
            reader.error_help(&span, format!("the maintenance `{name}` is there twice"), "give each its own name");
        }
        if let Some(until) = until {
            let maintenance =
                Maintenance { name: name.into(), from, until, matching, scopes: scopes.to_vec(), file: file.cloned() };
            let at = name_node.map_or(head, |node| node.span.clone());
            all.push(Planned { maintenance, at, zoned: zone_node.is_some() || !on_a_clock });
        }
    }
    all
}

/// `2026-12-01 22:00` on the wall clock of the zone, or a time with an offset. The flag says that it is on a wall
/// clock.
fn moment(node: &Node, zone: &TimeZone, reader: &mut Reader) -> Option<(Time, bool)> {
    let text = reader.text(node, "a time such as \"2026-12-01 22:00\"")?;
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some((Time::from_millis(at.as_millisecond()), false));
    }
    let ambiguous = text.parse::<DateTime>().ok().map(|at| zone.to_ambiguous_zoned(at));
    let how = match ambiguous.as_ref().map(AmbiguousZoned::offset) {
        Some(AmbiguousOffset::Gap { .. }) => Some("is skipped there: the clock goes forward over it"),
        Some(AmbiguousOffset::Fold { .. }) => Some("is there twice: the clock goes back over it"),
        Some(AmbiguousOffset::Unambiguous { .. }) | None => None,
    };
    let at = ambiguous.and_then(|at| at.compatible().ok());
    if let (Some(how), Some(at)) = (how, &at) {
        let meant = at.strftime("%Y-%m-%dT%H:%M:%S%:z");
        let help = format!("it is taken as {meant}; write it with its offset to be sure");
        reader.warning_help(&node.span, format!("`{text}` {how}"), help);
    }
    if at.is_none() {
        let help = "write \"2026-12-01 22:00\" on the clock of `zone`, or 2026-12-01T22:00:00+08:00";
        reader.error_help(&node.span, format!("`{text}` is not a time"), help);
    }
    Some((Time::from_millis(at?.timestamp().as_millisecond()), true))
}

/// A `maintenance` that was read, and where it is written.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What it is.
    pub maintenance: Maintenance,
    /// Where its name is.
    pub at: Range<usize>,
    /// Whether a zone was given, or no time needs one.
    pub zoned: bool,
}

/// An `inhibit` that was read; its rules are found when the whole file is read.
#[derive(Clone, Debug)]
pub(crate) struct RawInhibit {
    rules: Vec<(Pattern, Range<usize>)>,
    equal: Vec<(Field, Range<usize>)>,
    into_cause: bool,
    at: Range<usize>,
}

/// Takes `inhibit` out of a rule.
pub(crate) fn inhibit(map: &mut MapReader<'_>, reader: &mut Reader) -> Vec<RawInhibit> {
    const WHAT: &str = "a map such as {rules: [pod-restarts], equal: [cluster]}";
    let Some(node) = keys::INHIBIT.node(map, reader) else { return Vec::new() };
    let mut all = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(mut map) = reader.map(item, WHAT) else { continue };
        let mut raw = RawInhibit { rules: Vec::new(), equal: Vec::new(), into_cause: false, at: map.head() };
        for item in keys::HELD_RULES.node(&mut map, reader).map_or(&[][..], |node| reader.one_or_many(node)) {
            let Some(text) = reader.text(item, "the name of a rule of this file, or a glob") else { continue };
            let pattern = reader.accept(&item.span, Pattern::parse(text));
            raw.rules.extend(pattern.map(|pattern| (pattern, item.span.clone())));
        }
        for item in keys::EQUAL.node(&mut map, reader).map_or(&[][..], |node| reader.one_or_many(node)) {
            raw.equal
                .extend(field(item, "a key that both rules group by", reader).map(|field| (field, item.span.clone())));
        }
        raw.into_cause = keys::INTO.take(&mut map, reader).is_some();
        map.finish(reader);
        all.push(raw);
    }
    all
}

/// Finds the rules that each `inhibit` means. Refuses two rules that inhibit each other: they would be silent for ever.
pub(crate) fn resolve(rules: &mut [(&mut Rule, Vec<RawInhibit>)], reader: &mut Reader) {
    let known: Vec<Rule> = rules.iter().map(|(rule, _)| (**rule).clone()).collect();
    for (rule, raws) in rules.iter_mut() {
        for raw in raws.iter() {
            let equal: Vec<Field> = raw.equal.iter().map(|(field, _)| *field).collect();
            group_by_all(rule, raw, reader);
            for (pattern, span) in &raw.rules {
                let meant = known.iter().filter(|other| pattern.matches(&other.settings.key.name));
                let meant: Vec<&Rule> = meant
                    .filter(|other| pattern.exact().is_some() || other.settings.key != rule.settings.key)
                    .collect();
                if meant.is_empty() {
                    let names: Vec<&str> = known.iter().map(|rule| &*rule.settings.key.name).collect();
                    let help = match crate::diagnostic::did_you_mean(pattern.as_str(), names.iter().copied()) {
                        Some(meant) => format!("did you mean `{meant}`? A rule can only hold rules of its own file"),
                        None => format!("rules of this file: {}", names.join(", ")),
                    };
                    reader.error_help(span, format!("no rule of this file is called `{}`", pattern.as_str()), help);
                }
                for other in meant {
                    group_by_all(other, raw, reader);
                    let (rule_key, equal, into_cause) = (other.settings.key.clone(), equal.clone(), raw.into_cause);
                    rule.settings.inhibits.push(Inhibit { rule: rule_key, equal, into_cause });
                }
            }
        }
    }
    refuse_circles(rules, reader);
}

/// Only values that a rule groups by can be compared: each of its incidents has one of them. Nodes are known of every
/// incident.
fn group_by_all(rule: &Rule, raw: &RawInhibit, reader: &mut Reader) {
    for (field, span) in raw.equal.iter().filter(|(field, _)| *field != Field::Node) {
        if !rule.settings.group_by.contains(field) {
            let name = &rule.settings.key.name;
            let help = format!("add `{field}` to its `group_by`, or compare another value");
            reader.error_help(span, format!("the rule `{name}` does not group by `{field}`"), help);
        }
    }
}

fn refuse_circles(rules: &[(&mut Rule, Vec<RawInhibit>)], reader: &mut Reader) {
    let holds = |name: &str| {
        let rule = rules.iter().find(|(rule, _)| *rule.settings.key.name == *name);
        rule.into_iter().flat_map(|(rule, _)| rule.settings.inhibits.iter().map(|inhibit| inhibit.rule.name.clone()))
    };
    for (rule, raws) in rules {
        let name = &rule.settings.key.name;
        let (mut seen, mut next) = (Vec::<Arc<str>>::new(), holds(name).collect::<Vec<_>>());
        while let Some(held) = next.pop() {
            if held == *name {
                let at = raws.first().map_or(0..0, |raw| raw.at.clone());
                let help = "leave one of the two out: both would be open, and neither told";
                reader.error_help(&at, format!("`{name}` holds itself, or what holds it"), help);
                break;
            }
            if !seen.contains(&held) {
                next.extend(holds(&held));
                seen.push(held);
            }
        }
    }
}
