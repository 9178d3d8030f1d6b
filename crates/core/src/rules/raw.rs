//! The shape of a rule file: YAML to settings that may still be absent.
//!
//! Owns the keys, their types and their bounds. Defaults and everything that looks at more than one
//! key belong to [`super::compile()`].

use std::time::Duration;

use super::partial::{Names, Partial};
use super::{keys, notify, template};
use crate::rule::{CountScope, CountSteps, LONGEST_SETTLED, OpenWhen};
use crate::yaml::{MapReader, Node, Reader, valid_or_absent};

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
        said.template = template::read(node, &labels, reader).unwrap_or_default();
    }
    said
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

fn escalate(node: &Node, reader: &mut Reader, said: &mut Partial) {
    let Some(mut map) = reader.map(node, "a map such as {counts: [10, 100], objects: [5, 20]}") else { return };
    said.counts = keys::COUNTS.take_written(&mut map, reader).map(CountSteps::Listed);
    said.objects = keys::OBJECTS.take_written(&mut map, reader);
    said.news = keys::NEWS.take_written(&mut map, reader);
    map.finish(reader);
}
