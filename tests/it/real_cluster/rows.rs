//! What was told beside what was done.

use std::collections::{BTreeMap, BTreeSet};

use podbell_core::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Expected, all_expected};

/// What was done, and when.
#[derive(Default)]
pub struct Played(Vec<Trouble>);

struct Trouble {
    expected: &'static Expected,
    made: Time,
    mended: Option<Time>,
}

impl Played {
    pub fn make(&mut self, name: &str, now: Time) {
        let expected = all_expected().find(|one| one.name == name).unwrap();
        self.0.push(Trouble { expected, made: now, mended: None });
    }

    pub fn mend(&mut self, name: &str, now: Time) {
        let trouble = self.0.iter_mut().find(|one| one.expected.name == name).unwrap();
        trouble.mended = Some(now);
    }

    /// A line each: time, trouble, `make` or `mend`.
    #[cfg(feature = "outside")]
    pub fn as_tsv(&self) -> String {
        let made = self.0.iter().map(|one| (one.made, one.expected.name, "make"));
        let mended = self.0.iter().filter_map(|one| Some((one.mended?, one.expected.name, "mend")));
        let mut all: Vec<_> = made.chain(mended).collect();
        all.sort();
        all.iter().map(|(at, name, what)| format!("{}\t{name}\t{what}\n", at.timestamp())).collect()
    }

    pub fn from_tsv(text: &str) -> Self {
        let mut played = Self::default();
        for line in text.lines() {
            let [at, name, what] = *line.split('\t').collect::<Vec<_>>() else { panic!("{line}") };
            match what {
                "make" => played.make(name, parse(at)),
                _ => played.mend(name, parse(at)),
            }
        }
        played
    }
}

fn parse(time: &str) -> Time {
    Time::from_seconds(time.parse::<jiff::Timestamp>().unwrap().as_second())
}

/// A message of an incident.
pub struct Message<'a> {
    at: Time,
    kind: &'a str,
    incident: u64,
    place: String,
    rule: &'a str,
    reasons: Vec<&'a str>,
    text: &'a str,
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn place(value: &Value) -> String {
    format!("{}/{}", word(&value["namespace"]), word(&value["workload"]))
}

impl<'a> Message<'a> {
    /// Of a webhook's body, unless it is about no incident.
    #[cfg(feature = "outside")]
    pub fn of_webhook(at: Time, body: &'a Value) -> Option<Self> {
        let (data, incident) = (&body["data"], body["data"].get("incident")?);
        Some(Self {
            at,
            kind: word(&data["notice"]),
            incident: incident["id"].as_u64()?,
            place: place(incident),
            rule: word(&incident["rule"]["name"]),
            reasons: incident["reasons"].as_array()?.iter().map(|one| word(&one["reason"])).collect(),
            text: word(&data["text"]),
        })
    }

    /// Of a notice of `podbell backtest --output json`.
    pub fn of_backtest(notice: &'a Value) -> Option<Self> {
        Some(Self {
            at: parse(word(&notice["at"])),
            kind: word(&notice["notice"]),
            incident: notice["incident"].as_u64()?,
            place: place(notice),
            rule: word(&notice["rule"]),
            reasons: notice["reasons"].as_array()?.iter().map(word).collect(),
            text: word(&notice["text"]),
        })
    }

    fn command(&self) -> &'a str {
        self.text.lines().find_map(|line| line.strip_prefix("$ ")).unwrap_or_default()
    }

    fn first_line(&self) -> &'a str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The line that says this.
    fn line_with(&self, words: &str) -> Option<&'a str> {
        self.text.lines().find(|line| line.contains(words)).map(str::trim)
    }
}

/// A trouble of some minutes gets worse once or twice.
const MAX_MESSAGES: usize = 3;

/// What was told of a trouble.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub trouble: String,
    /// Seconds from the trouble to its first message.
    pub told_after: Option<u64>,
    /// The rule of the first message, and its command.
    pub rule: String,
    pub command: String,
    /// The line that says what is wrong.
    pub words: String,
    /// How many messages there were of it, but for ends, and of how many incidents.
    pub messages: usize,
    pub incidents: usize,
    /// Seconds from the repair to the last message of an end. Nothing before all its incidents are over.
    pub ended_after: Option<u64>,
    /// The first line of the end of the first incident.
    pub end: String,
    /// What is not as it is expected of the trouble; nothing, if all is well.
    #[serde(skip)]
    pub wrong: Vec<String>,
}

fn seconds(from: Time, to: Time) -> u64 {
    to.since(from).as_secs()
}

/// A row for each trouble that was made.
pub fn rows(messages: &[Message<'_>], played: &Played) -> Vec<Row> {
    played.0.iter().map(|trouble| row(messages, trouble)).collect()
}

/// The messages about a trouble. Nodes are one incident, of which not every message names each of them.
fn about<'a>(messages: &'a [Message<'a>], trouble: &Trouble) -> Vec<&'a Message<'a>> {
    let after = messages.iter().filter(|one| one.at >= trouble.made);
    let Some(node) = trouble.expected.place.strip_prefix('/') else {
        return after.filter(|one| one.place == trouble.expected.place).collect();
    };
    let names = |one: &&Message<'_>| one.reasons.contains(&"NodeNotReady") && one.text.contains(node);
    let incidents: BTreeSet<u64> = messages.iter().filter(names).map(|one| one.incident).collect();
    after.filter(|one| incidents.contains(&one.incident)).collect()
}

fn row(messages: &[Message<'_>], trouble: &Trouble) -> Row {
    let mine = about(messages, trouble);
    let (ends, news): (Vec<&Message<'_>>, Vec<&Message<'_>>) = mine.iter().partition(|one| one.kind == "resolved");
    let first = news.first();
    let incidents: BTreeSet<u64> = news.iter().map(|one| one.incident).collect();
    let end_of = |incident: u64| {
        let last = mine.iter().rfind(|one| one.incident == incident)?;
        (last.kind == "resolved").then_some(last)
    };
    let end = first
        .and_then(|first| end_of(first.incident))
        .filter(|end| trouble.mended.is_some_and(|mended| end.at >= mended));
    // Of each of its incidents; none, if one of them is not over.
    let all_ends: Option<Vec<Time>> = incidents.iter().map(|incident| Some(end_of(*incident)?.at)).collect();
    let last_end = end.and(all_ends).and_then(|all| all.into_iter().max());
    let mut row = Row {
        trouble: trouble.expected.name.to_owned(),
        told_after: first.map(|first| seconds(trouble.made, first.at)),
        rule: first.map(|first| first.rule.to_owned()).unwrap_or_default(),
        command: first.map(|first| first.command().to_owned()).unwrap_or_default(),
        words: news.iter().find_map(|one| one.line_with(trouble.expected.words)).unwrap_or_default().to_owned(),
        messages: news.len(),
        incidents: incidents.len(),
        ended_after: last_end.and_then(|end| Some(seconds(trouble.mended?, end))),
        end: end.map(|end| end.first_line().to_owned()).unwrap_or_default(),
        wrong: Vec::new(),
    };
    row.wrong = wrong(&row, trouble, &news, &ends);
    if first.is_some_and(|first| pods_of_nodes(messages, trouble, first.at) > 2) {
        row.wrong.push("the node and its pods were more than two messages in five minutes".to_owned());
    }
    row
}

/// How many messages there were about a node and the pods of the hollow one in the 5 minutes after the first.
fn pods_of_nodes(messages: &[Message<'_>], trouble: &Trouble, first: Time) -> usize {
    if !trouble.expected.place.starts_with('/') {
        return 0;
    }
    let soon = |one: &&Message<'_>| one.at >= first && seconds(first, one.at) < 300 && one.kind != "resolved";
    let mine = about(messages, trouble);
    mine.into_iter().filter(soon).count() + messages.iter().filter(soon).filter(|one| one.place == "shop/cache").count()
}

fn wrong(row: &Row, trouble: &Trouble, news: &[&Message<'_>], ends: &[&Message<'_>]) -> Vec<String> {
    let expected = trouble.expected;
    let mut wrong = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            wrong.push(what);
        }
    };
    let before_its_repair = |at: Time| trouble.mended.is_none_or(|mended| at < mended);
    demand(!news.is_empty(), "it was not told".to_owned());
    let mut opened: BTreeMap<&str, usize> = BTreeMap::new();
    for one in news.iter().filter(|one| one.kind == "opened") {
        *opened.entry(one.rule).or_default() += 1;
    }
    let once = !opened.is_empty() && opened.values().all(|times| *times == 1);
    demand(once, format!("it was not told once: {opened:?}"));
    demand(news.len() <= MAX_MESSAGES, format!("it was told in {} messages", news.len()));
    demand(!row.words.is_empty(), format!("nothing says {:?}", expected.words));
    demand(row.command.starts_with(expected.command), format!("it says to type {:?}", row.command));
    let begun_again = |end: &Message<'_>| news.iter().any(|one| one.incident == end.incident && one.at > end.at);
    let early = ends.iter().find(|end| before_its_repair(end.at) && begun_again(end));
    demand(early.is_none(), "its end was told before its repair, and then it went on".to_owned());
    demand(row.end.contains(expected.end), format!("its end is {:?}", row.end));
    wrong
}

/// The messages about what nobody did, or that are another side of none of it.
#[cfg(feature = "outside")]
pub fn strangers(messages: &[Message<'_>]) -> Vec<String> {
    let expected = |one: &&Message<'_>| {
        all_expected().any(|trouble| trouble.expected_at(&one.place)) || super::BESIDE.contains(&one.place.as_str())
    };
    let strange = messages.iter().filter(|one| !expected(one));
    strange.map(|one| format!("nobody did anything to {}: {}", one.place, one.first_line())).collect()
}

/// Whether everything was told that is told while the troubles last.
#[cfg(feature = "outside")]
pub fn all_told(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.told_after.is_some())
}

/// Whether every end was told.
#[cfg(feature = "outside")]
pub fn all_ended(rows: &[Row]) -> bool {
    rows.iter().all(|row| row.ended_after.is_some())
}
