//! What was told beside what was done.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use podbell_core::time::Time;
use serde_json::Value;

use super::root;
use crate::support::process::{output, podbell, printed};

/// What was done, and when.
#[derive(Default)]
pub struct Played(Vec<Trouble>);

struct Trouble {
    name: String,
    place: String,
    made: Time,
    mended: Option<Time>,
}

impl Played {
    pub fn make(&mut self, name: &str, place: &str, now: Time) {
        self.0.push(Trouble { name: name.to_owned(), place: place.to_owned(), made: now, mended: None });
    }

    pub fn mend(&mut self, name: &str, now: Time) {
        let trouble = self.0.iter_mut().find(|one| one.name == name).unwrap();
        trouble.mended = Some(now);
    }

    /// Time, trouble, `make` or `mend`.
    pub fn as_tsv(&self) -> String {
        let made = self.0.iter().map(|one| (one.made, &one.name, "make"));
        let mended = self.0.iter().filter_map(|one| Some((one.mended?, &one.name, "mend")));
        let mut all: Vec<_> = made.chain(mended).collect();
        all.sort();
        all.iter().map(|(at, name, what)| format!("{}\t{name}\t{what}\n", at.timestamp())).collect()
    }
}

/// What was told of a trouble.
#[derive(Clone, Debug)]
pub struct Row {
    pub trouble: String,
    pub place: String,
    /// Seconds from the trouble to its first message.
    pub told_after: Option<u64>,
    pub words: String,
    pub command: String,
    /// How many messages there were of it, but for its end.
    pub messages: usize,
    /// Of a node: messages of it and its pods in the 5 minutes after the first.
    pub messages_in_5_min: usize,
    pub told_twice: bool,
    /// Seconds from the repair to the message of the end.
    pub ended_after: Option<u64>,
    pub end: String,
    pub ended_too_early: bool,
}

/// A message, as both webhooks and backtests have it.
struct Message<'a> {
    at: Time,
    kind: &'a str,
    incident: u64,
    place: String,
    rule: &'a str,
    reasons: Vec<&'a str>,
    nodes: Vec<&'a str>,
    text: &'a str,
    command: &'a str,
}

impl<'a> Message<'a> {
    fn read(at: Time, body: &'a Value) -> Option<Self> {
        let (data, incident) = (&body["data"], body["data"].get("incident")?);
        let word = |value: &'a Value| value.as_str().unwrap_or_default();
        Some(Self {
            at,
            kind: word(&data["notice"]),
            incident: incident["id"].as_u64()?,
            place: format!("{}/{}", word(&incident["namespace"]), word(&incident["workload"])),
            rule: word(&incident["rule"]["name"]),
            reasons: incident["reasons"].as_array()?.iter().map(|one| word(&one["reason"])).collect(),
            nodes: incident["object_names"].as_array()?.iter().filter_map(Value::as_str).collect(),
            text: word(&data["text"]),
            command: word(&incident["command"]),
        })
    }

    /// The autoscaler and the rollout hit one workload; all nodes are one incident.
    fn is_of(&self, trouble: &Trouble) -> bool {
        let of_metrics = |reason: &&&str| reason.contains("Metric");
        let here = match (trouble.name.as_str(), trouble.place.strip_prefix('/')) {
            (_, Some(node)) => self.reasons.contains(&"NodeNotReady") && self.nodes.contains(&node),
            ("autoscaler", _) => self.place == trouble.place && self.reasons.iter().any(|one| of_metrics(&one)),
            ("rollout", _) => self.place == trouble.place && self.reasons.iter().any(|one| !of_metrics(&one)),
            _ => self.place == trouble.place,
        };
        here && self.at >= trouble.made
    }
}

fn seconds(from: Time, to: Time) -> u64 {
    to.since(from).as_secs()
}

/// A row for each trouble that was made.
pub fn rows(told: &[(Time, Value)], played: &Played) -> Vec<Row> {
    let messages: Vec<Message<'_>> = told.iter().filter_map(|(at, body)| Message::read(*at, body)).collect();
    played.0.iter().map(|trouble| row(&messages, trouble)).collect()
}

fn row(messages: &[Message<'_>], trouble: &Trouble) -> Row {
    let mine: Vec<&Message<'_>> = messages.iter().filter(|one| one.is_of(trouble)).collect();
    let (ends, news): (Vec<&&Message<'_>>, Vec<_>) = mine.iter().partition(|one| one.kind == "resolved");
    let first = news.first();
    let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
    for one in news.iter().filter(|one| one.kind == "opened" && !trouble.place.starts_with('/')) {
        *opened.entry(one.rule).or_default() += 1;
    }
    let node_messages = messages.iter().filter(|one| {
        let near = first.is_some_and(|first| one.at >= first.at && seconds(first.at, one.at) < 300);
        near && (one.is_of(trouble) || one.place == "shop/cache")
    });
    let last_end = ends.last().filter(|end| trouble.mended.is_some_and(|mended| end.at >= mended));
    let begun_again = |end: &Message<'_>| news.iter().any(|one| one.incident == end.incident && one.at > end.at);
    Row {
        trouble: trouble.name.clone(),
        place: trouble.place.clone(),
        told_after: first.map(|first| seconds(trouble.made, first.at)),
        words: first.map(|first| first.text.to_owned()).unwrap_or_default(),
        command: first.map(|first| first.command.to_owned()).unwrap_or_default(),
        messages: news.len(),
        messages_in_5_min: node_messages.count(),
        told_twice: opened.values().any(|times| *times > 1),
        ended_after: last_end.and_then(|end| Some(seconds(trouble.mended?, end.at))),
        end: last_end.map(|end| end.text.lines().next().unwrap_or_default().to_owned()).unwrap_or_default(),
        ended_too_early: ends.iter().any(|end| trouble.mended.is_none_or(|mended| end.at < mended) && begun_again(end)),
    }
}

/// Whether the node's own incident was told.
pub fn told_of_node(told: &[(Time, Value)]) -> bool {
    let messages = told.iter().filter_map(|(at, body)| Message::read(*at, body));
    messages.into_iter().any(|one| one.nodes.contains(&"node-1") && one.reasons.contains(&"NodeNotReady"))
}

/// The table of the documentation.
pub fn table(all: &[(&str, Vec<Row>)]) -> String {
    let mut text = String::new();
    for (path, rows) in all {
        let rules = if *path == "/shipped" { "the shipped rules" } else { "no rules" };
        let _ = writeln!(text, "With {rules}:\n");
        let _ = writeln!(
            text,
            "| trouble | told after | messages | first words | command | its end, after the repair | its words |"
        );
        let _ = writeln!(text, "|---|---:|---:|---|---|---:|---|");
        for row in rows {
            let seconds = |time: Option<u64>| time.map_or("-".to_owned(), |time| format!("{time} s"));
            let words = row.words.lines().next().unwrap_or_default().replace('|', "/");
            let (told, ended, end) = (seconds(row.told_after), seconds(row.ended_after), row.end.replace('|', "/"));
            let (trouble, messages, command) = (&row.trouble, row.messages, &row.command);
            let _ = writeln!(text, "| {trouble} | {told} | {messages} | {words} | `{command}` | {ended} | {end} |");
        }
        let _ = writeln!(text);
    }
    text
}

/// What the shipped rules tell of the recording.
pub async fn backtest(folder: &Path) -> Value {
    let rules = root().join("rules/kubernetes.yaml").display().to_string();
    let played = output(podbell(folder, &["backtest", "recording.jsonl", "--rules", &rules, "--output", "json"])).await;
    assert!(played.status.success(), "{}", printed(&played));
    serde_json::from_slice(&played.stdout).unwrap()
}

/// Whether a notice of a backtest opens an incident of the workload, or node, that a row is about.
pub fn is_about(notice: &Value, row: &Row) -> bool {
    let word = |key: &str| notice[key].as_str().unwrap_or_default();
    matches!(word("notice"), "opened" | "reopened")
        && format!("{}/{}", word("namespace"), word("workload")) == row.place
}
