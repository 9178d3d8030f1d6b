//! Makes a test case of what happened: rows of counts, and what the rules tell of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use podbell_core::event::{Event, Level, Target};
use podbell_core::metadata::Metadata;
use podbell_core::rules::Rules;
use podbell_core::ruletest::{self, Actual, Case, Cell, Coverage, Row, offset};
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;

/// How many polls follow the last change: enough for most silences to end.
const AFTERWARDS: usize = 30;
/// The most polls of a test case: a day, a minute apart.
const MAX_POLLS: usize = 1_440;

/// What polls showed, a minute apart.
pub(super) struct Rows(Vec<Row>);

/// A case and what comes of it.
pub(super) struct Sketch {
    case: Case,
    told: Vec<Actual>,
    files: BTreeSet<String>,
}

impl Rows {
    /// Rows of the events that one poll shows.
    pub(crate) fn of_events(target: &Target, events: &[Event<'_>]) -> Self {
        let row = |event: &Event<'_>| Row {
            target: target.clone(),
            level: event.level,
            obj_type: event.obj_type.to_string(),
            obj_name: event.obj_name.to_string(),
            reason: event.reason.to_string(),
            message: event.message.to_string(),
            node: event.node.as_deref().unwrap_or_default().to_owned(),
            signal: event.signal,
            metadata: event.metadata.clone(),
            cells: vec![Cell::Count(event.count.max(1)); 1 + AFTERWARDS],
        };
        Self(events.iter().map(row).collect())
    }

    /// Rows of past changes.
    pub(crate) fn of_decisions(decisions: &[Decision]) -> Self {
        let Some(start) = decisions.first().map(|decision| decision.at) else { return Self(Vec::new()) };
        let poll = |at: Time| usize::try_from((at.since(start).as_secs() + 30) / 60).unwrap_or(usize::MAX);
        let mut series: BTreeMap<[&str; 8], (&Decision, BTreeMap<usize, u64>)> = BTreeMap::new();
        for decision in decisions.iter().filter(|decision| poll(decision.at) < MAX_POLLS) {
            let Target { source, cluster, namespace, service } = &decision.target;
            let Decision { obj_type, obj_name, reason, message, .. } = decision;
            let key: [&str; 8] = [source, cluster, namespace, service, obj_type, obj_name, reason, message];
            series.entry(key).or_insert((decision, BTreeMap::new())).1.insert(poll(decision.at), decision.count.max(1));
        }
        let polls = series.values().filter_map(|(_, counts)| counts.keys().last()).max().map_or(1, |last| last + 1);
        let rows = series.into_values().map(|(decision, counts)| {
            let mut shown = Cell::Absent;
            let cell = |poll: usize| {
                shown = counts.get(&poll).map_or(shown, |count| Cell::Count(*count));
                shown
            };
            Row {
                target: decision.target.clone(),
                level: Level::Warning,
                obj_type: decision.obj_type.clone(),
                obj_name: decision.obj_name.clone(),
                reason: decision.reason.clone(),
                message: decision.message.clone(),
                node: decision.node.clone(),
                signal: decision.signal,
                metadata: decision.metadata.clone(),
                cells: (0..polls + AFTERWARDS).map(cell).collect(),
            }
        });
        Self(rows.collect())
    }
}

impl Sketch {
    /// Plays the rows under the rules. `None` without rows.
    pub(super) fn new(name: &str, rows: &Rows, rules: Rules) -> Option<Self> {
        let files = rules.iter().map(|(_, rule)| rule.settings.key.file.to_string()).collect();
        let case = Case {
            name: name.to_owned(),
            at: 0..0,
            start: Time::from_seconds(1_767_225_600),
            every: Duration::from_secs(60),
            rows: (!rows.0.is_empty()).then(|| rows.0.clone())?,
            health: Vec::new(),
            expected: Vec::new(),
        };
        let setup = ruletest::setup(rules, std::slice::from_ref(&case));
        let verdict = ruletest::run(&case, &setup, &mut Coverage::default());
        Some(Self { told: verdict.told.into_iter().map(|(actual, _)| actual).collect(), case, files })
    }
}

/// A text as a quoted scalar of YAML.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(quoted).collect();
    format!("[{}]", names.join(", "))
}

impl fmt::Display for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rule_files: {}", list(self.files.iter().map(String::as_str)))?;
        writeln!(f, "tests:")?;
        writeln!(f, "  - name: {}", quoted(&self.case.name))?;
        writeln!(f, "    every: 1m")?;
        writeln!(f, "    events:")?;
        for row in &self.case.rows {
            let Target { source, cluster, namespace, service } = &row.target;
            let target = [("source", source), ("cluster", cluster), ("namespace", namespace), ("service", service)];
            let target: Vec<String> = target.iter().map(|(key, name)| format!("{key}: {}", quoted(name))).collect();
            let texts = [
                ("objType", &row.obj_type),
                ("objName", &row.obj_name),
                ("reason", &row.reason),
                ("message", &row.message),
            ];
            let node = (!row.node.is_empty()).then_some(("node", &row.node));
            let texts: Vec<String> =
                texts.iter().chain(&node).map(|(key, text)| format!("{key}: {}", quoted(text))).collect();
            let (target, level, texts) = (target.join(", "), row.level.as_str(), texts.join(", "));
            let signal = if row.signal { "signal: true, " } else { "" };
            let metadata = row.metadata.as_deref().map(metadata).unwrap_or_default();
            let counts = quoted(&counts(&row.cells));
            writeln!(f, "      - {{{target}, level: {level}, {texts}, {signal}{metadata}counts: {counts}}}")?;
        }
        match self.told.as_slice() {
            [] => writeln!(f, "    expect: []"),
            told => {
                writeln!(f, "    expect:")?;
                told.iter().try_for_each(|actual| {
                    let (at, notice, rule) = (offset(actual.at), actual.notice.as_str(), quoted(&actual.rule.name));
                    let to = list(actual.to.iter().map(|name| &**name));
                    writeln!(f, "      - {{at: {at}, notice: {notice}, rule: {rule}, to: {to}}}")
                })
            }
        }
    }
}

/// Labels and annotations as tests write them, each with a comma after it.
fn metadata(metadata: &Metadata) -> String {
    let all = [("labels", &metadata.labels), ("annotations", &metadata.annotations)];
    let said = all.into_iter().filter(|(_, pairs)| !pairs.is_empty()).map(|(name, pairs)| {
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{}: {}", quoted(key), quoted(value))).collect();
        format!("{name}: {{{}}}, ", pairs.join(", "))
    });
    said.collect()
}

/// Counts as tests write them: `1 3 12x20`.
fn counts(cells: &[Cell]) -> String {
    let mut words: Vec<String> = Vec::new();
    for run in cells.chunk_by(|a, b| a == b) {
        let word = match run.first() {
            Some(Cell::Count(count)) => count.to_string(),
            Some(Cell::Absent) => "_".to_owned(),
            Some(Cell::Failed) => "!".to_owned(),
            None => continue,
        };
        words.push(if run.len() == 1 { word } else { format!("{word}x{}", run.len()) });
    }
    words.join(" ")
}
