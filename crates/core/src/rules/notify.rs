//! Whom a rule tells: its destinations, those that a label chooses, those for what nobody acknowledges, and people.

use std::collections::BTreeMap;

use super::conditions::field;
use super::context::Names;
use super::keys;
use crate::diagnostic::meant_or;
use crate::rule::{Destination, Routing, Severity, UnacknowledgedStep};
use crate::rules::context::Context;
use crate::yaml::{Node, Reader, Value};

/// What `notify` says.
#[derive(Clone, Debug, Default)]
pub(super) struct Notify {
    /// Every destination that it names.
    pub destinations: Vec<Destination>,
    /// How it chooses among them, if it does.
    pub routing: Option<Routing>,
}

/// Reads `notify`: the destinations, or those that a label chooses.
pub(super) fn notify(node: &Node, context: &mut Context<'_>) -> Option<Notify> {
    const HELP: &str = "name a notifier, or write `action: ignore`";
    let (reader, names) = (&mut *context.reader, context.names);
    if !matches!(node.value, Value::Map(_)) {
        return Some(Notify { destinations: destinations(node, reader, names, HELP), routing: None });
    }
    let mut map = reader.map(node, "a map such as {by: \"label:team\", map: {…}, default: [ops]}")?;
    let by = keys::BY.node(&mut map, reader).map(|node| field(node, "a key to choose by", reader));
    let chosen = keys::CHOSEN.node(&mut map, reader);
    let default = keys::DEFAULT.node(&mut map, reader);
    map.finish(reader);
    let chosen = chosen.and_then(|node| choices(node, reader, names));
    let default = default.map(|node| destinations(node, reader, names, HELP));
    let routing = Routing { by: by??, map: chosen?, default: default? };
    Some(Notify { destinations: routing.destinations(), routing: Some(routing) })
}

/// Reads which destinations each value chooses.
fn choices(node: &Node, reader: &mut Reader, names: &Names) -> Option<BTreeMap<String, Vec<Destination>>> {
    let map = reader.map(node, "a map from values to notifiers, such as {payments: [pay-chat]}")?;
    let mut choices = BTreeMap::new();
    for (value, node) in map.pairs() {
        let Some(text) = reader.text(value, "a value") else { continue };
        let chosen = destinations(node, reader, names, "name a notifier, or leave the value out");
        choices.insert(text.trim().to_owned(), chosen);
    }
    if choices.is_empty() {
        reader.error_help(&node.span, "`map` lists nothing", "without values to choose by, write a list of notifiers");
    }
    Some(choices)
}

/// Reads the names of destinations; `help` is for a list of none.
fn destinations(node: &Node, reader: &mut Reader, names: &Names, help: &str) -> Vec<Destination> {
    let items = reader.one_or_many(node);
    if items.is_empty() {
        reader.error_help(&node.span, "`notify` lists nothing", help);
    }
    let mut chosen: Vec<Destination> = Vec::new();
    for item in items {
        let Some(name) = reader.text(item, "the name of a notifier") else { continue };
        if chosen.iter().any(|other| **other == *name) {
            reader.error(&item.span, format!("`{name}` is there twice"));
            continue;
        }
        check_destination(name, item, reader, names);
        chosen.push(name.into());
    }
    chosen
}

/// Reads the steps for an incident that nobody acknowledges; `off` means none.
pub(super) fn unacknowledged(node: &Node, context: &mut Context<'_>) -> Option<Vec<UnacknowledgedStep>> {
    let (reader, names) = (&mut *context.reader, context.names);
    if matches!(node.text(), Some("off" | "false")) {
        return Some(Vec::new());
    }
    let mut steps: Vec<UnacknowledgedStep> = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(mut map) = reader.map(item, "a step such as {after: 15m, notify: [on-call]}") else { continue };
        let after = keys::AFTER.node(&mut map, reader);
        let called = keys::STEP_NOTIFY.node(&mut map, reader);
        map.finish(reader);
        let notify = called.map(|node| destinations(node, reader, names, "name a notifier, or leave the step out"));
        let Some(place) = after else { continue };
        let Some((after, notify)) = keys::AFTER.read(place, reader).zip(notify.filter(|names| !names.is_empty()))
        else {
            continue;
        };
        if steps.last().is_some_and(|before| before.after >= after) {
            let help = "sort them by `after`, none twice";
            reader.error_help(&place.span, "steps must grow: the one before comes as late or later", help);
        }
        steps.push(UnacknowledgedStep { after, notify });
    }
    Some(steps)
}

/// Notes a destination that does not exist or is out of bounds.
pub fn check_destination(name: &str, node: &Node, reader: &mut Reader, names: &Names) {
    let unknown = |known: &Vec<Destination>| !known.iter().any(|other| **other == *name);
    let list = |known: &[Destination]| known.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    if let Some(known) = names.destinations.as_ref().filter(|known| unknown(known)) {
        let all = || format!("notifiers of podbell.yaml: {}", list(known));
        let help = meant_or(name, known.iter().map(|known| &**known), all);
        reader.error_help(&node.span, format!("unknown destination `{name}`"), help);
    } else if let Some(allowed) = names.may_notify.as_ref().filter(|allowed| unknown(allowed)) {
        let help = format!("`may_notify` in podbell.yaml allows: {}", list(allowed));
        reader.error_help(&node.span, format!("this file may not notify `{name}`"), help);
    }
}

pub(super) fn mention(node: &Node, context: &mut Context<'_>) -> Option<BTreeMap<Severity, Vec<String>>> {
    let (reader, names) = (&mut *context.reader, context.names);
    let mut mention = BTreeMap::new();
    if matches!(node.value, Value::Map(_)) {
        let mut map = reader.map(node, "a map")?;
        for (word, severity) in keys::SEVERITIES.1.iter().copied() {
            if let Some(node) = map.take(word) {
                mention.insert(severity, people(node, reader, names));
            }
        }
        map.finish(reader);
    } else {
        let everyone = people(node, reader, names);
        mention.extend(keys::SEVERITIES.1.iter().map(|(_, severity)| (*severity, everyone.clone())));
    }
    Some(mention)
}

fn people(node: &Node, reader: &mut Reader, names: &Names) -> Vec<String> {
    let mut people = Vec::new();
    for item in reader.one_or_many(node) {
        let Some(name) = reader.text(item, "a name of `mentions:` in podbell.yaml") else { continue };
        if let Some(known) = names.mentions.as_ref().filter(|known| !known.iter().any(|other| other == name)) {
            let help = meant_or(name, known.iter().map(String::as_str), || match known.is_empty() {
                true => "add it to `mentions:` in podbell.yaml, which names nobody yet".to_owned(),
                false => format!("add it to `mentions:` in podbell.yaml; known: {}", known.join(", ")),
            });
            reader.error_help(&item.span, format!("nobody is called `{name}`"), help);
        }
        people.push(name.to_owned());
    }
    people
}
