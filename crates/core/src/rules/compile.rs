//! Compiles rule files into checked rules: defaults, scopes, and checks of several keys together.
//!
//! Owns what one file means on its own. What rules do to each other is [`super::lint`]'s. Never
//! reads files: texts are arguments.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::context::Names;
use super::settings::{self, Partial};
use super::{conditions, keys, quiet};
use crate::diagnostic::{Diagnostic, Source};
use crate::rule::condition::Conditions;
use crate::rule::pattern::Pattern;
use crate::rule::quiet::Maintenance;
use crate::rule::{Action, Destination, Field, Rule, RuleKey};
use crate::rules::file_keys;
use crate::yaml::{self, MapReader, Node, Reader};

/// A rule file that was read, and the bounds that podbell.yaml puts on it.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Name and text.
    pub source: Arc<Source>,
    /// Which item of `rules:` it belongs to.
    pub entry: u32,
    /// The operator's bounds for what its rules see.
    pub scope: Option<Conditions>,
    /// Names it may use.
    pub names: Names,
    /// Defaults for what the file does not say.
    pub defaults: Partial,
}

/// A checked rule and where it is written.
#[derive(Clone, Debug)]
pub struct Located {
    /// The rule.
    pub rule: Rule,
    /// The file.
    pub source: Arc<Source>,
    /// Where its name is, or else its first key.
    pub at: Range<usize>,
    /// Whether all of it could be read. If not, later checks skip it.
    pub sound: bool,
}

/// The result of compiling a file.
#[derive(Debug, Default)]
pub struct Compiled {
    /// The rules in order. With errors, those that could be read.
    pub rules: Vec<Located>,
    /// Planned maintenance, during which its rules do not notify.
    pub maintenance: Vec<Maintenance>,
    /// The same, with their places in the file.
    pub planned: Vec<quiet::Planned>,
    /// The file's own scope, as far as it could be read.
    pub scope: Option<Conditions>,
    /// Whom its `defaults` notify, as far as that could be read.
    pub notify: Option<Vec<Destination>>,
    /// Everything wrong, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

impl Compiled {
    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads and checks one file.
pub fn compile(file: &RuleFile) -> Compiled {
    let mut reader = Reader::new(file.source.clone());
    let Some(root) = yaml::parse(&file.source, &mut reader.found) else {
        return Compiled { diagnostics: reader.found, ..Compiled::default() };
    };
    let mut compiled = whole_file(&root, file, &mut reader).unwrap_or_default();
    reader.found.sort_by_key(|diagnostic| diagnostic.span.start);
    compiled.diagnostics = reader.found;
    compiled
}

fn whole_file(root: &Node, file: &RuleFile, reader: &mut Reader) -> Option<Compiled> {
    let mut map = reader.map(root, "a rule file: a map with `version: 1` and `rules:`")?;
    if !yaml::version(&mut map, yaml::VersionKey::Required, reader) {
        return None;
    }
    let mut scopes: Vec<Conditions> = file.scope.iter().cloned().collect();
    let scope = file_keys::SCOPE.take_written(&mut map, reader);
    scopes.extend(scope.clone());
    let defaults =
        file_keys::DEFAULTS.node(&mut map, reader).map(|node| defaults(node, file, reader)).unwrap_or_default();
    let notify = defaults.notify.as_ref().map(|notify| notify.destinations.clone()).filter(|names| !names.is_empty());
    let defaults = defaults.or(&file.defaults);
    let maintenance = file_keys::MAINTENANCE.node(&mut map, reader);
    let maintenance_of_file =
        maintenance.map(|node| quiet::maintenance(node, reader, &scopes, Some(&file.source.name))).unwrap_or_default();
    // A file may hold nothing but maintenance.
    let rules = file_keys::RULES.node(&mut map, reader);
    if rules.is_none() && maintenance.is_none() {
        reader.error(&map.head(), "the key `rules` is missing");
    }
    let list = rules.map_or(&[][..], |node| reader.list(node, "a list of rules"));
    map.finish_with(reader, elsewhere);
    let mut names = HashMap::new();
    let (mut rules, mut inhibits) = (Vec::new(), Vec::new());
    for node in list {
        let Some((rule, inhibit)) = one_rule(node, file, &scopes, &defaults, reader) else { continue };
        refuse_second(&rule, &mut names, reader);
        rules.push(rule);
        inhibits.push(inhibit);
    }
    if inhibits.iter().any(|inhibit| !inhibit.is_empty()) {
        let mut both: Vec<_> = rules.iter_mut().map(|located| &mut located.rule).zip(inhibits).collect();
        quiet::resolve(&mut both, reader);
    }
    let planned = maintenance_of_file;
    let maintenance = planned.iter().map(|planned| planned.maintenance.clone()).collect();
    Some(Compiled { rules, maintenance, planned, scope, notify, diagnostics: Vec::new() })
}

/// Recognizes files of another kind that are taken for rule files.
fn elsewhere(key: &str) -> Option<&'static str> {
    match key {
        "tests" | "rule_files" => Some("this looks like a rule test: run it with `podbell test`"),
        "sources" | "notifiers" => Some("this looks like podbell.yaml: check it with `--config`"),
        "groups" => Some("this looks like a rule file of Prometheus; rules go under `rules:`"),
        _ => None,
    }
}

fn defaults(node: &Node, file: &RuleFile, reader: &mut Reader) -> Partial {
    let Some(mut map) = reader.map(node, "a map of settings such as {notify: [team-chat]}") else {
        return Partial::default();
    };
    let said = Partial::read(&mut map, reader, &file.names, &file.defaults);
    map.finish_with(reader, |key| {
        let own = keys::OF_A_RULE.iter().any(|row| row.name() == key);
        own.then_some("every rule says this itself; it has no default")
    });
    said
}

fn one_rule(
    node: &Node,
    file: &RuleFile,
    scopes: &[Conditions],
    defaults: &Partial,
    reader: &mut Reader,
) -> Option<(Located, Vec<quiet::RawInhibit>)> {
    let errors = reader.errors();
    let mut map = reader.map(node, "a rule: a map with `name:` and `match:`")?;
    let name_node = keys::NAME.node(&mut map, reader);
    let at = name_node.map_or_else(|| map.head(), |node| node.span.clone());
    let name = name_node.and_then(|node| keys::NAME.read(node, reader)).unwrap_or_default();
    let matching = matching(&mut map, &at, reader);
    let except = keys::EXCEPT.node(&mut map, reader).map(|node| excepts(node, reader)).unwrap_or_default();
    let action = keys::ACTION.take_written(&mut map, reader).unwrap_or_default();
    let [notify_at, steps_at] = settings::tells(&mut map, reader);
    let inhibit = quiet::inhibit(&mut map, reader);
    let own = Partial::read(&mut map, reader, &file.names, defaults);
    map.finish_with(reader, |key| {
        let fact = Field::ALL.iter().any(|field| field.as_str() == key);
        fact.then_some("this key belongs into `match:`")
    });
    if let (Action::Ignore, Some(span)) = (action, notify_at) {
        let help = "remove `notify`, or `action: ignore`";
        reader.warning_help(&span, "a rule with `action: ignore` tells nobody", help);
    }
    if let (Action::Ignore, Some(span)) = (action, steps_at) {
        let help = "remove `unacknowledged`, or `action: ignore`";
        reader.warning_help(&span, "a rule with `action: ignore` tells nobody", help);
    }
    let said = own.or(defaults);
    if said.notify.is_none() && action == Action::Notify {
        let help = "name a notifier here or in `defaults:`, or write `action: ignore`";
        reader.error_help(&at, format!("the rule `{name}` does not say whom to `notify`"), help);
    }
    let key = RuleKey { file: file.source.name.clone(), name: name.into() };
    let sustain = said.sustain.clone().unwrap_or_else(|| Some(Rule::default_sustain()));
    let settings = said.complete(key);
    let rule = Rule { action, settings, matching, except, sustain, scopes: scopes.to_vec(), entry: file.entry };
    Some((Located { rule, source: file.source.clone(), at, sound: reader.errors() == errors }, inhibit))
}

fn matching(map: &mut MapReader<'_>, at: &Range<usize>, reader: &mut Reader) -> Conditions {
    let node = keys::MATCH.node(map, reader);
    let errors = reader.errors();
    let conditions = node.and_then(|node| conditions::read(node, reader, "`match`"));
    let empty = node.is_none() || conditions.as_ref().is_some_and(|conditions| conditions.keys().is_empty());
    // If the only key of `match` is mistyped, that mistake says enough.
    if empty && reader.errors() == errors {
        let span = node.map_or_else(|| at.clone(), |node| node.span.clone());
        let help = "if that is meant, write `match: {level: Warning}`";
        reader.warning_help(&span, "an empty `match` fits every Warning", help);
    }
    let conditions = conditions.unwrap_or_default();
    match conditions.key(Field::Level) {
        Some(_) => conditions,
        None => conditions.with(Field::Level, vec![Pattern::exactly("Warning")]),
    }
}

fn excepts(node: &Node, reader: &mut Reader) -> Vec<Conditions> {
    let mut all = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(conditions) = conditions::read(item, reader, "`except`") else { continue };
        if conditions.keys().is_empty() {
            reader.error_help(&item.span, "an empty `except` leaves everything out", "name what to leave out");
        }
        all.push(conditions);
    }
    all
}

/// Refuses a second rule of the same name: the two would share incidents.
fn refuse_second(rule: &Located, names: &mut HashMap<Arc<str>, usize>, reader: &mut Reader) {
    let name = rule.rule.settings.key.name.clone();
    if name.is_empty() {
        return;
    }
    let (line, _) = reader.source.position(rule.at.start);
    if let Some(first) = names.get(&name) {
        let message = format!("the rule name `{name}` is there twice, first in line {first}");
        reader.error_help(&rule.at, message, "give each rule of a file its own name");
    } else {
        names.insert(name, line);
    }
}
