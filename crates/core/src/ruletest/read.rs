//! Test files: YAML to checked cases. Every mistake is noted with its place.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Case, Expected, HealthRow, Row, TestFile, keys};
use crate::diagnostic::{Diagnostic, Source, meant_or};
use crate::event::Target;
use crate::metadata::Metadata;
use crate::rule::{Pattern, RuleKey};
use crate::rules::Rules;
use crate::time::Time;
use crate::yaml::key::{Key, Row as _, Text};
use crate::yaml::{self, MapReader, Node, Reader, valid_or_absent};

/// The start of tests that have none: 2026-01-01 00:00:00 UTC, a Thursday.
const START: Time = Time::from_seconds(1_767_225_600);

/// Reads a test file. With errors among the findings it must not be run.
pub fn read(source: &Arc<Source>) -> (TestFile, Vec<Diagnostic>) {
    let mut reader = Reader::new(source.clone());
    let mut file = TestFile { source: source.clone(), rule_files: Vec::new(), cases: Vec::new() };
    if let Some(root) = yaml::parse(source, &mut reader.found) {
        whole(&root, &mut file, &mut reader);
    }
    reader.found.sort_by_key(|finding| finding.span.start);
    (file, reader.found)
}

fn whole(root: &Node, file: &mut TestFile, reader: &mut Reader) {
    let Some(mut map) = reader.map(root, "a test file: a map with `rule_files:` and `tests:`") else { return };
    if let Some(place) = rules_of_a_rule_file(&map) {
        let help = "write the tests into a file beside it, with `rule_files: [this file]` and `tests:`";
        return reader.error_help(&place, "this is a rule file, not a test of one", help);
    }
    if !yaml::version(&mut map, yaml::VersionKey::Optional, reader) {
        return;
    }
    if let Some(node) = keys::RULE_FILES.node(&mut map, reader) {
        for item in reader.one_or_many(node) {
            let path = reader.text(item, "the path of a rule file");
            file.rule_files.extend(path.map(|path| (path.to_owned(), item.span.clone())));
        }
    }
    let tests = keys::TESTS.node(&mut map, reader).map_or(&[][..], |node| reader.list(node, "a list of tests"));
    map.finish_with(reader, |key| match key {
        "rules" => Some("rules stand in a file of their own; name it in `rule_files:`"),
        "target" | "every" | "events" | "expect" => Some("this key belongs into an item of `tests:`"),
        _ => None,
    });
    let mut names: HashMap<String, usize> = HashMap::new();
    for node in tests {
        let Some(case) = one_case(node, reader) else { continue };
        let (line, _) = reader.source.position(case.at.start);
        if let Some(first) = names.insert(case.name.clone(), line) {
            let message = format!("the test `{}` is there twice, first in line {first}", case.name);
            reader.error_help(&case.at, message, "give each test of a file its own name");
        }
        file.cases.push(case);
    }
}

/// Where `rules` is, if a rule file was given in place of its tests.
fn rules_of_a_rule_file(map: &MapReader<'_>) -> Option<Range<usize>> {
    let place = |key: &str| map.pairs().iter().find(|(name, _)| name.text() == Some(key)).map(|(name, _)| &name.span);
    let rules = place("rules")?;
    (place("tests").is_none() && place("rule_files").is_none()).then(|| rules.clone())
}

fn one_case(node: &Node, reader: &mut Reader) -> Option<Case> {
    let mut map = reader.map(node, "a test: a map with `name:`, `events:` and `expect:`")?;
    let named = keys::NAME.node(&mut map, reader);
    let at = named.map_or_else(|| map.head(), |node| node.span.clone());
    let name = named.and_then(|node| keys::NAME.read(node, reader));
    let start = keys::START.node(&mut map, reader).map_or(Some(START), |node| keys::START.read(node, reader));
    let every = keys::EVERY.take(&mut map, reader);
    let nowhere = Target::new("test", "test", "default", "test");
    let target = keys::TARGET.node(&mut map, reader).map_or(Some(nowhere.clone()), |node| {
        let mut map = reader.map(node, "a target such as {cluster: cls-1, namespace: shop, service: web}")?;
        let target = target(&mut map, &nowhere, reader);
        map.finish(reader);
        Some(target)
    });
    let events = keys::EVENTS.node(&mut map, reader).map_or(&[][..], |node| reader.list(node, "a list of events"));
    let base = target.unwrap_or(nowhere);
    let rows: Vec<Row> = events.iter().filter_map(|node| one_row(node, &base, reader)).collect();
    let health = keys::HEALTH.node(&mut map, reader).map_or(&[][..], |node| reader.list(node, "a list of workloads"));
    let health: Vec<HealthRow> = health.iter().filter_map(|node| one_workload(node, &base, reader)).collect();
    let expected = match map.take(keys::EXPECT.name()) {
        Some(node) => reader.list(node, "a list of notices").iter().filter_map(|node| expected(node, reader)).collect(),
        None => {
            let help = "list the notices that must come; `expect: []` means silence";
            reader.error_help(&at, "the key `expect` is missing", help);
            Vec::new()
        }
    };
    map.finish(reader);
    Some(Case { name: name?, at, start: start?, every: every?, rows, health, expected })
}

/// The target of these keys; those that are missing are as in `base`.
fn target(map: &mut MapReader<'_>, base: &Target, reader: &mut Reader) -> Target {
    let mut name =
        |key: &Key<Text>, open: &Arc<str>| key.take_written(map, reader).map_or_else(|| open.clone(), Arc::from);
    Target {
        source: name(&keys::SOURCE, &base.source),
        cluster: name(&keys::CLUSTER, &base.cluster),
        namespace: name(&keys::NAMESPACE, &base.namespace),
        service: name(&keys::SERVICE, &base.service),
    }
}

fn one_row(node: &Node, base: &Target, reader: &mut Reader) -> Option<Row> {
    let mut map =
        reader.map(node, "an event such as {objType: Pod, objName: web-1, reason: Failed, counts: \"1 3\"}")?;
    let target = target(&mut map, base, reader);
    let level = keys::LEVEL.take(&mut map, reader);
    let texts = [keys::OBJ_TYPE, keys::OBJ_NAME, keys::REASON, keys::MESSAGE].map(|key| key.take(&mut map, reader));
    let node = keys::NODE.take(&mut map, reader).unwrap_or_default();
    let signal = keys::SIGNAL.take(&mut map, reader);
    let labels = keys::OBJECT_LABELS.take_written(&mut map, reader).unwrap_or_default();
    let annotations = keys::OBJECT_ANNOTATIONS.take_written(&mut map, reader).unwrap_or_default();
    let metadata = Metadata::of(labels, annotations).map(Arc::new);
    let counts = keys::COUNTS.take(&mut map, reader);
    map.finish_with(reader, |key| match key {
        "count" => Some("a row has `counts`, one for each poll"),
        "firstSeen" | "lastSeen" => Some("times follow from `counts`: the poll at which the count changed"),
        _ => None,
    });
    let [obj_type, obj_name, reason, message] = texts.map(Option::unwrap_or_default);
    let obj_type = if obj_type.is_empty() { "Pod".to_owned() } else { obj_type };
    Some(Row {
        target,
        level: level?,
        obj_type,
        obj_name,
        reason,
        message,
        node,
        signal: signal?,
        metadata,
        cells: counts?,
    })
}

fn one_workload(node: &Node, base: &Target, reader: &mut Reader) -> Option<HealthRow> {
    let mut map =
        reader.map(node, "a workload such as {kind: Deployment, name: web, wanted: 3, ready: \"3 1x20 3\"}")?;
    let target = target(&mut map, base, reader);
    let kind = keys::KIND.take(&mut map, reader);
    let name = keys::WORKLOAD.take(&mut map, reader);
    let wanted = keys::WANTED.take(&mut map, reader).and_then(|wanted| u32::try_from(wanted).ok());
    let ready = keys::READY.take(&mut map, reader);
    map.finish(reader);
    Some(HealthRow { target, kind: kind?, name: name?.into(), wanted: wanted?, ready: ready? })
}

fn expected(node: &Node, reader: &mut Reader) -> Option<Expected> {
    let mut map = reader.map(node, "a notice such as {at: 1m, notice: opened, rule: image-pull}")?;
    let at = keys::AT.node(&mut map, reader).map(|node| keys::AT.read(node, reader));
    let notice = keys::NOTICE.node(&mut map, reader).map(|node| keys::NOTICE.read(node, reader));
    let rule = keys::RULE.node(&mut map, reader);
    let rule = rule.map(|node| Some((keys::RULE.read(node, reader)?, node.span.clone())));
    let to = keys::TO.node(&mut map, reader).map(|node| {
        let names = reader.one_or_many(node).iter();
        names.filter_map(|node| Some((reader.text(node, "a destination")?.into(), node.span.clone()))).collect()
    });
    let severity = keys::SEVERITY.node(&mut map, reader).map(|node| keys::SEVERITY.read(node, reader));
    let title = keys::TITLE.node(&mut map, reader).map(|node| pattern(node, reader));
    let text = keys::TEXT.node(&mut map, reader).map(|node| pattern(node, reader));
    map.finish(reader);
    // A value that was given but could not be read makes the whole notice unreadable.
    Some(Expected {
        span: node.span.clone(),
        at: valid_or_absent(at)?,
        notice: valid_or_absent(notice)?,
        rule: valid_or_absent(rule)?,
        to,
        severity: valid_or_absent(severity)?,
        title: valid_or_absent(title)?,
        text: valid_or_absent(text)?,
    })
}

fn pattern(node: &Node, reader: &mut Reader) -> Option<Pattern> {
    let text = reader.text(node, "a pattern")?;
    reader.accept(&node.span, Pattern::parse(text))
}

/// See [`TestFile::check_names`].
pub(super) fn check_names(file: &TestFile, rules: &Rules) -> Vec<Diagnostic> {
    let keys: Vec<&RuleKey> = rules.iter().map(|(_, rule)| &rule.settings.key).collect();
    let destinations: Vec<&str> =
        rules.iter().flat_map(|(_, rule)| rule.settings.destinations().map(|name| &**name)).collect();
    let mut found = Vec::new();
    let mut unknown = |span: &Range<usize>, message: String, word: &str, all: &[&str]| {
        let help = meant_or(word, all.iter().copied(), || format!("known here: {}", first_few(all)));
        found.push(Diagnostic::error(&file.source, span.clone(), message).help(help));
    };
    for expected in file.cases.iter().flat_map(|case| &case.expected) {
        if let Some((rule, span)) = &expected.rule
            && !keys.iter().any(|key| is_called(key, rule))
        {
            let names: Vec<&str> = keys.iter().map(|key| &*key.name).collect();
            unknown(span, format!("no rule is called `{rule}`"), rule, &names);
        }
        for (name, span) in expected.to.iter().flatten() {
            if !destinations.contains(&&**name) {
                unknown(span, format!("no rule notifies `{name}`"), name, &destinations);
            }
        }
    }
    found
}

fn first_few(names: &[&str]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names {
        if !distinct.contains(name) {
            distinct.push(name);
        }
    }
    let shown = distinct.iter().take(8).copied().collect::<Vec<_>>().join(", ");
    if distinct.len() > 8 { format!("{shown}, …") } else { shown }
}

/// Whether a test that says `name` means this rule.
pub(super) fn is_called(key: &RuleKey, name: &str) -> bool {
    *key.name == *name || key.to_string() == name
}
