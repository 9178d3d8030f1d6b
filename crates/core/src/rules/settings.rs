//! The settings that a rule and `defaults` share, a row each: how one is called, what it takes and means, its default, and
//! what reads it. Defaults that depend on the severity, or that no YAML says, are in [`Partial::complete`].
//!
//! From the rows follow the reader, the JSON Schema, the tables of the documentation, and how a rule falls back on
//! `defaults`. A new setting is a row here and a field of [`RuleSettings`]; [`Partial::complete`] does not compile
//! without it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::context::{Context, Names};
use super::escalate::{self, PartialEscalate};
use super::keys::{
    SECOND, SEVERITIES, conditions_schema, group_by_schema, mention_schema, notify_schema, unacknowledged_schema,
};
use super::notify::{self, Notify};
use super::schema::text_schema;
use super::{active, conditions, open_when, template};
use crate::rule::quiet::Active;
use crate::rule::{
    Conditions, CountSteps, Destination, EndsBy, Escalate, Field, OpenWhen, RuleKey, RuleSettings, Severity,
    UnacknowledgedStep,
};
use crate::template::Template;
use crate::yaml::key::{AtLeast, Bool, Custom, Key, OneOf, OrOff, Row, SchemaOnly, TextMap, ValueType};
use crate::yaml::{MapReader, Node, Reader};

/// What is written of a setting, if anything.
trait Written: Clone + Default {
    /// This, with `other` in place of what is not written.
    fn or(self, other: &Self) -> Self;
}

impl<T: Clone> Written for Option<T> {
    fn or(self, other: &Self) -> Self {
        self.or_else(|| other.clone())
    }
}

impl Written for BTreeMap<String, String> {
    fn or(self, other: &Self) -> Self {
        let mut all = other.clone();
        all.extend(self);
        all
    }
}

impl Written for Template {
    fn or(self, other: &Self) -> Self {
        Template::or(&self, other)
    }
}

impl Written for PartialEscalate {
    fn or(self, other: &Self) -> Self {
        Self {
            counts: Written::or(self.counts, &other.counts),
            objects: Written::or(self.objects, &other.objects),
            news: Written::or(self.news, &other.news),
        }
    }
}

/// What a key holds, if it is written.
fn written<S: ValueType>(key: &Key<S>, map: &mut MapReader<'_>, context: &mut Context<'_>) -> Option<S::Value> {
    key.take_written(map, context.reader)
}

/// Reads a key's value with this function; without the key, the default of the value's type.
fn read_with<T: Default>(
    read: impl Fn(&Node, &mut Context<'_>) -> T,
) -> impl Fn(&Key<SchemaOnly>, &mut MapReader<'_>, &mut Context<'_>) -> T {
    move |key, map, context| key.node(map, context.reader).map(|node| read(node, context)).unwrap_or_default()
}

fn labels(key: &Key<TextMap>, map: &mut MapReader<'_>, context: &mut Context<'_>) -> BTreeMap<String, String> {
    let labels = written(key, map, context).unwrap_or_default();
    context.labels.extend(labels.clone());
    labels
}

/// The default of `min_gap`, but for critical rules, which wait for nothing.
const MIN_GAP_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// The default of `remind_every` for critical rules; others remind of nothing.
const REMIND_CRITICAL: Duration = Duration::from_secs(4 * 3600);

/// Reads the name of a family, whose rules are all of this file.
fn family(node: &Node, reader: &mut Reader) -> Option<Arc<str>> {
    let name = reader.text(node, "a name such as pods")?.trim();
    if name.is_empty() {
        reader.error_help(&node.span, "a family needs a name", "rules of this file with the same one share incidents");
        return None;
    }
    Some(name.into())
}

fn runbook(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a web address")?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        let help = "write the whole address, https://…: anything else is not shown";
        reader.warning_help(&node.span, "a runbook is a web address", help);
    }
    Some(text.to_owned())
}

/// Makes the table from rows of two parts: the field of [`Partial`] and what reads it; the key.
macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident: $written:ty, read $read:expr; $key:ident: $value:ty = $row:expr;)*) => {
        $(const $key: Key<$value> = $row;)*

        /// The settings that a rule and `defaults` share.
        pub const SETTINGS: &[&dyn Row] = &[$(&$key),*];

        /// What a rule or `defaults` says of the settings; `None` where it says nothing.
        #[derive(Clone, Debug, Default)]
        pub struct Partial {
            $($(#[$doc])* pub(super) $field: $written,)*
        }

        impl Partial {
            /// Reads the settings of a rule or of `defaults`; `base` has those that hold where it says nothing.
            pub(super) fn read(map: &mut MapReader<'_>, reader: &mut Reader, names: &Names, base: &Self) -> Self {
                let mut context = Context { reader, names, labels: base.labels.clone() };
                Self { $($field: ($read)(&$key, map, &mut context),)* }
            }

            /// This, with `other` in place of what is not said.
            #[must_use]
            pub(super) fn or(self, other: &Self) -> Self {
                Self { $($field: Written::or(self.$field, &other.$field),)* }
            }
        }
    };
}

settings! {
    /// `severity`.
    severity: Option<Severity>, read written;
    SEVERITY: OneOf<Severity> = Key::with_default("severity", SEVERITIES, "warning", "How urgent it is: `critical`, `warning` or `info`.");

    /// `open_when`.
    open_when: Option<OpenWhen>, read read_with(|node, context| open_when::read(node, context.reader));
    OPEN_WHEN: SchemaOnly = Key::optional(
        "open_when",
        SchemaOnly(open_when::schema),
        "What opens an incident: `{count: 3, within: 20m}`, `{count: 3, within: 20m, per: object}` (of one object, not of the whole group), `{lasts: 2m}` (a trouble that stands for so long), or both: whichever is first; with `settled: 5m`, `count` leaves out what an object does in its first 5 minutes and no longer; see below [default: the first occurrence].",
    );

    /// `sustain`. The inner `None` is `off`.
    sustain: Option<Option<Conditions>>, read written;
    SUSTAIN: OrOff<Custom<Conditions>> = Key::optional(
        "sustain",
        OrOff(Custom { read: |node, reader| conditions::read(node, reader, "`sustain`"), schema: conditions_schema }),
        "Events about an incident's objects that keep it open but never open one; or `off` [default: `{level: Normal, reason: [BackOff, Pulling, 操作重试]}`].",
    );

    /// `group_by`.
    group_by: Option<Vec<Field>>, read written;
    GROUP_BY: Custom<Vec<Field>> = Key::with_default(
        "group_by",
        Custom { read: conditions::group_by, schema: group_by_schema },
        "[cluster, namespace, workload]",
        "What makes one incident.",
    );

    /// `group_wait`.
    group_wait: Option<Duration>, read written;
    GROUP_WAIT: AtLeast = Key::with_default("group_wait", AtLeast(Duration::ZERO), "15s", "Collects before the first notice.");

    /// `min_gap`.
    min_gap: Option<Duration>, read written;
    MIN_GAP: AtLeast = Key::optional(
        "min_gap",
        AtLeast(Duration::ZERO),
        "The least time between notices, but for opened and resolved; what falls between is folded into one [default: `5m`; critical `0s`].",
    );

    /// `resolve_after`.
    resolve_after: Option<Duration>, read written;
    RESOLVE_AFTER: AtLeast = Key::with_default(
        "resolve_after",
        AtLeast(SECOND),
        "15m",
        "Observed silence that ends what no event ends, never shorter than a slow reporter's own interval or twice the longest pause of the incident so far; doubled by each reopening, up to 4 h.",
    );

    /// `recovered_after`.
    recovered_after: Option<Duration>, read written;
    RECOVERED_AFTER: AtLeast = Key::with_default(
        "recovered_after",
        AtLeast(SECOND),
        "5m",
        "How long all pods must be ready, without a new Warning, before an incident is over whose workloads' health is known (see docs/kubernetes.md); doubled by each reopening, up to 4 h.",
    );

    /// `until`.
    until: Option<EndsBy>, read written;
    UNTIL: OneOf<EndsBy> = Key::with_default(
        "until",
        OneOf("what ends an incident", &[("event", EndsBy::Event), ("silence", EndsBy::Silence)]),
        "event",
        "What ends it: the event that ends such a trouble, where its source shows one (see docs/reporters.md); `silence`: `resolve_after` alone.",
    );

    /// `family`.
    family: Option<Arc<str>>, read written;
    FAMILY: Custom<Arc<str>> = Key::optional(
        "family",
        Custom { read: family, schema: text_schema },
        "A name: rules of this file with the same one share their open incidents, so that one failure that several of them see is one incident [default: none].",
    );

    /// `reopen_within`.
    reopen_within: Option<Duration>, read written;
    REOPEN_WITHIN: AtLeast = Key::with_default(
        "reopen_within",
        AtLeast(Duration::ZERO),
        "2h",
        "How long after it resolved it can come back as the same incident; later it is another one.",
    );

    /// `remind_every`. The inner `None` is `off`.
    remind_every: Option<Option<Duration>>, read written;
    REMIND_EVERY: OrOff<AtLeast> = Key::optional(
        "remind_every",
        OrOff(AtLeast(Duration::from_secs(60))),
        "Brings an open incident back to mind [default: `4h` for critical, else `off`].",
    );

    /// `send_resolved`.
    send_resolved: Option<bool>, read written;
    SEND_RESOLVED: Bool = Key::with_default("send_resolved", Bool, "true", "Whether its end is told.");

    /// `active`. The inner `None` is `off`.
    active: Option<Option<Active>>, read written;
    ACTIVE: OrOff<Custom<Active>> = Key::optional(
        "active",
        OrOff(Custom { read: active::read, schema: active::schema }),
        "The hours in which it tells, see below; what is held is told or summed up afterwards [default: always].",
    );

    /// `notify`.
    notify: Option<Notify>, read read_with(notify::notify);
    NOTIFY: SchemaOnly = Key::optional(
        "notify",
        SchemaOnly(notify_schema),
        "Names of notifiers in podbell.yaml, or a choice by a label: `{by: \"label:team\", map: {payments: [pay-chat]}, default: [ops]}`, see below; needed unless `action` is `ignore` or `defaults` has it.",
    );

    /// `unacknowledged`. Empty for `off`.
    unacknowledged: Option<Vec<UnacknowledgedStep>>, read read_with(notify::unacknowledged);
    UNACKNOWLEDGED: SchemaOnly = Key::optional(
        "unacknowledged",
        SchemaOnly(unacknowledged_schema),
        "Who else is told while nobody acknowledges an open incident: `[{after: 15m, notify: [on-call]}, {after: 30m, notify: [lead]}]`; or `off`; see below [default: nobody].",
    );

    /// `mention`.
    mention: Option<BTreeMap<Severity, Vec<String>>>, read read_with(notify::mention);
    MENTION: SchemaOnly = Key::optional(
        "mention",
        SchemaOnly(mention_schema),
        "Whom to mention: `{critical: [\"@oncall\"]}`, or a list for every severity; names of podbell.yaml's `mentions:` [default: nobody].",
    );

    /// `runbook`.
    runbook: Option<String>, read written;
    RUNBOOK: Custom<String> = Key::optional(
        "runbook",
        Custom { read: runbook, schema: text_schema },
        "A web address where help is written [default: none].",
    );

    /// `labels`.
    labels: BTreeMap<String, String>, read labels;
    LABELS: TextMap = Key::optional(
        "labels",
        TextMap("a map such as {team: shop}", "a text, quoted if it is a list or a map"),
        "The team's own facts, shown and passed on to webhooks [default: none].",
    );

    /// `escalate`.
    escalate: PartialEscalate, read read_with(|node, context| escalate::read(node, context.reader));
    ESCALATE: SchemaOnly = Key::optional(
        "escalate",
        SchemaOnly(escalate::schema),
        "When an open incident is told again: occurrences or distinct objects within the last hour pass a step, or a reason or kind of message joins that was not told; keys left out keep their defaults [default: `{counts: [100, 1000, …], objects: [5, 20, 100], news: true}`].",
    );

    /// `template`. After `labels`, which it may name: rows are read in this order.
    template: Template, read read_with(|node, context| template::read(node, &context.labels, context.reader).unwrap_or_default());
    TEMPLATE: SchemaOnly = Key::optional(
        "template",
        SchemaOnly(template::schema),
        "`{title: …, text: …}`: messages in your own words, see docs/templates.md; what is left out stays built-in [default: built-in words].",
    );
}

/// The defaults that rows say.
static DEFAULTS: LazyLock<Partial> = LazyLock::new(|| Partial {
    severity: SEVERITY.default_value(),
    group_by: GROUP_BY.default_value(),
    group_wait: GROUP_WAIT.default_value(),
    resolve_after: RESOLVE_AFTER.default_value(),
    recovered_after: RECOVERED_AFTER.default_value(),
    until: UNTIL.default_value(),
    reopen_within: REOPEN_WITHIN.default_value(),
    send_resolved: SEND_RESOLVED.default_value(),
    escalate: PartialEscalate::default_values(),
    ..Partial::default()
});

impl Partial {
    /// Settings that name destinations and say nothing else.
    pub fn notifying(destinations: Vec<Destination>) -> Self {
        Self { notify: Some(Notify { destinations, routing: None }), ..Self::default() }
    }

    /// All settings of a rule: what is not said has its default.
    pub(super) fn complete(self, key: RuleKey) -> RuleSettings {
        let Self {
            severity,
            open_when,
            sustain: _,
            group_by,
            group_wait,
            min_gap,
            resolve_after,
            recovered_after,
            until,
            family,
            reopen_within,
            remind_every,
            send_resolved,
            active,
            notify,
            unacknowledged,
            mention,
            runbook,
            labels,
            escalate,
            template,
        } = self.or(&DEFAULTS);
        let severity = severity.unwrap_or_default();
        let critical = severity == Severity::Critical;
        let Notify { destinations: notify, routing } = notify.unwrap_or_default();
        RuleSettings {
            key,
            severity,
            open_when: open_when.unwrap_or(OpenWhen::AT_ONCE),
            group_by: group_by.unwrap_or_default(),
            group_wait: group_wait.unwrap_or_default(),
            min_gap: min_gap.unwrap_or(if critical { Duration::ZERO } else { MIN_GAP_DEFAULT }),
            escalate: Escalate {
                counts: escalate.counts.unwrap_or(CountSteps::Decades),
                objects: escalate.objects.unwrap_or_default(),
                news: escalate.news.unwrap_or_default(),
            },
            resolve_after: resolve_after.unwrap_or_default(),
            recovered_after: recovered_after.unwrap_or_default(),
            until: until.unwrap_or_default(),
            family,
            reopen_within: reopen_within.unwrap_or_default(),
            remind_every: remind_every.unwrap_or(critical.then_some(REMIND_CRITICAL)),
            send_resolved: send_resolved.unwrap_or_default(),
            active: active.flatten(),
            inhibits: Vec::new(),
            notify,
            routing,
            unacknowledged: unacknowledged.unwrap_or_default(),
            mention: mention.unwrap_or_default(),
            runbook,
            labels,
            template,
        }
    }
}

/// Where a rule says whom it tells: its keys `notify` and `unacknowledged`.
pub(super) fn tells(map: &mut MapReader<'_>, reader: &mut Reader) -> [Option<Range<usize>>; 2] {
    [NOTIFY.node(map, reader), UNACKNOWLEDGED.node(map, reader)].map(|node| node.map(|node| node.span.clone()))
}

impl RuleSettings {
    /// The defaults of every setting for a rule of this severity.
    pub fn new(key: RuleKey, severity: Severity, notify: Vec<Destination>) -> Self {
        Partial { severity: Some(severity), ..Partial::notifying(notify) }.complete(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;
    use crate::rule::Rule;
    use crate::rules::{RuleFile, compile};
    use crate::yaml::key::Presence;

    fn rule(severity: &str, line: &str) -> Rule {
        let text =
            format!("version: 1\nrules:\n  - name: n\n    notify: x\n    match: {{reason: R}}\n{severity}{line}");
        let file = RuleFile {
            source: Source::new("f", text),
            entry: 0,
            scope: None,
            names: Names::default(),
            defaults: Partial::default(),
        };
        let mut compiled = compile(&file);
        assert!(compiled.diagnostics.is_empty(), "{line}: {:?}", compiled.diagnostics);
        compiled.rules.remove(0).rule
    }

    /// A rule, with its conditions of `sustain` in one order.
    fn shown(rule: Rule) -> String {
        let mut keys = rule.sustain.as_ref().map(|sustain| sustain.keys().to_vec()).unwrap_or_default();
        keys.sort_by_key(|(field, _)| *field);
        format!("{keys:?} {:?}", Rule { sustain: None, ..rule })
    }

    /// The defaults that a row names: of most rules, and of critical ones.
    fn defaults(row: &dyn Row) -> Option<[String; 2]> {
        if let Presence::Default(text) = row.presence() {
            return Some([text.to_owned(), text.to_owned()]);
        }
        let (_, said) = row.about().rsplit_once("[default: ")?;
        let parts: Vec<&str> = said.split('`').collect();
        match *parts.as_slice() {
            [_, text, _] => Some([text.to_owned(), text.to_owned()]),
            [_, critical, between, usual, _] if between.contains("for critical") => {
                Some([usual.to_owned(), critical.to_owned()])
            }
            [_, usual, between, critical, _] if between.contains("critical") => {
                Some([usual.to_owned(), critical.to_owned()])
            }
            _ => None,
        }
    }

    #[test]
    fn what_a_row_says_of_its_default_is_what_a_rule_without_the_key_has() {
        let mut wordless = Vec::new();
        for row in SETTINGS {
            let Some(defaults) = defaults(*row).filter(|[text, _]| !text.contains('…')) else {
                wordless.push(row.name());
                continue;
            };
            for (text, severity) in defaults.into_iter().zip(["", "    severity: critical\n"]) {
                let severity = if row.name() == "severity" { "" } else { severity };
                let written = rule(severity, &format!("    {}: {text}\n", row.name()));
                assert_eq!(shown(written), shown(rule(severity, "")), "{}: {text}", row.name());
            }
        }
        let written = rule("", "    escalate: {objects: [5, 20, 100], news: true}\n");
        assert_eq!(shown(written), shown(rule("", "")), "what the rows of `escalate` say");
        // Their defaults are nothing, or in words.
        let known = [
            "open_when",
            "family",
            "active",
            "notify",
            "unacknowledged",
            "mention",
            "runbook",
            "labels",
            "escalate",
            "template",
        ];
        assert_eq!(wordless, known);
    }
}
