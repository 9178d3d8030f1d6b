//! The recording of a run, played in seconds: what it tells is what was told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

use super::rows::{self, Message, Played, Row};
use super::{Rules, all_expected, root};
use crate::support::process::{podbell, printed};

/// How much sooner or later a replay may tell something, in seconds: the recorder is not the podbell that told.
pub const TOLERANCE: u32 = 45;

pub fn folder() -> PathBuf {
    root().join("tests/fixtures/data/cluster")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(folder().join(file)).unwrap()
}

/// The notices that rules make of the recording.
fn notices(rules: Rules) -> Vec<Value> {
    notices_of(&folder().join("recording.jsonl"), rules)
}

fn notices_of(recording: &Path, rules: Rules) -> Vec<Value> {
    let mut args = vec!["backtest", recording.to_str().unwrap(), "--output", "json"];
    if rules == Rules::Shipped {
        args.extend(["--rules", "rules/kubernetes.yaml"]);
    }
    let output = podbell(Path::new(env!("CARGO_MANIFEST_DIR")), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["notices"].as_array().unwrap().clone()
}

fn replayed(rules: Rules) -> Vec<Row> {
    rows_of(&notices(rules))
}

fn rows_of(notices: &[Value]) -> Vec<Row> {
    let messages: Vec<Message<'_>> = notices.iter().filter_map(Message::of_backtest).collect();
    rows::rows(&messages, &Played::from_tsv(&read("trouble.tsv")))
}

#[test]
fn a_replay_of_a_real_cluster_tells_what_its_podbells_told() {
    let told: Vec<(Rules, Vec<Row>)> = serde_json::from_str(&read("told.json")).unwrap();
    assert_eq!(told.iter().map(|(rules, _)| *rules).collect::<Vec<_>>(), Rules::ALL);
    let mut wrong = Vec::new();
    for (rules, rows) in told {
        let replayed = replayed(rules);
        let names = |rows: &[Row]| rows.iter().map(|row| row.trouble.clone()).collect::<Vec<_>>();
        assert_eq!(names(&rows), all_expected().map(|one| one.name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&replayed), names(&rows));
        for (row, again) in rows.iter().zip(&replayed) {
            let differs = differences(row, again);
            wrong.extend(again.wrong.iter().chain(&differs).map(|what| format!("{rules:?}, {}: {what}", row.trouble)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_kill_for_memory_is_not_told_of_its_node_and_nodes_that_are_away_are_told_with_whom_they_hit() {
    let text = read("trouble.tsv");
    let at = |name: &str, what: &str| {
        let line = text.lines().find(|line| line.ends_with(&format!("\t{name}\t{what}"))).unwrap();
        line.split('\t').next().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    for rules in Rules::ALL {
        let notices = notices(rules);
        let opened = |from: jiff::Timestamp, to: jiff::Timestamp| {
            let new = notices.iter().filter(|notice| notice["notice"] == "opened");
            let in_time = |notice: &&Value| {
                let at: jiff::Timestamp = notice["at"].as_str().unwrap().parse().unwrap();
                from <= at && at < to
            };
            new.filter(in_time).collect::<Vec<_>>()
        };
        let kills = opened(at("oom", "make"), at("oom", "mend"));
        assert!(kills.iter().all(|notice| notice["rule"] != "out-of-memory"), "{rules:?}: {kills:?}");
        let back = at("hollow-node", "mend") + jiff::SignedDuration::from_secs(TOLERANCE.into());
        let away = opened(at("hollow-node", "make"), back);
        let nodes: Vec<&&Value> = away.iter().filter(|notice| notice["rule"] == "node-not-ready").collect();
        let [node] = nodes[..] else { panic!("{rules:?}: {away:?}") };
        let words = node["text"].as_str().unwrap();
        assert!(words.contains("workloads affected: shop/cache (10 pods), shop/web (3 pods)"), "{rules:?}: {words}");
        // Nothing that pods said when their nodes came back is told by itself.
        let after = opened(back, jiff::Timestamp::MAX);
        assert!(after.is_empty(), "{rules:?}: {after:?}");
    }
}

/// Another run of the same cluster, as far as chance makes it another one.
struct Chance {
    /// How many seconds older pods are when the troubles are made; less than 0: younger.
    older: i64,
    /// How many events a kubelet writes of one pod: 25 at once, by its own limit, and what it wrote before counts. Later it
    /// writes one in five minutes, mostly `BackOff`, which is not left out here.
    events_of_pod: usize,
    /// By how many seconds at most changes are read late.
    lag: i64,
}

const CHANCES: [Chance; 8] = [
    Chance { older: 0, events_of_pod: 12, lag: 0 },
    Chance { older: -400, events_of_pod: 18, lag: 20 },
    Chance { older: -280, events_of_pod: 25, lag: 0 },
    Chance { older: -220, events_of_pod: 25, lag: 10 },
    Chance { older: -200, events_of_pod: 25, lag: 0 },
    Chance { older: -200, events_of_pod: 18, lag: 30 },
    Chance { older: -160, events_of_pod: 25, lag: 5 },
    Chance { older: 3000, events_of_pod: 15, lag: 10 },
];

fn time_of(value: &Value) -> jiff::civil::DateTime {
    value.as_str().unwrap().parse().unwrap()
}

fn seconds(number: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(number)
}

impl Chance {
    /// The recording, as it would be by this chance.
    fn of(&self, recording: &str) -> String {
        let mut records: Vec<Value> = recording.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let begun = records.iter().map(|record| time_of(&record["at"])).min().unwrap();
        let mut written: BTreeMap<String, usize> = BTreeMap::new();
        let mut newest: BTreeMap<String, jiff::civil::DateTime> = BTreeMap::new();
        // Any numbers will do, as long as they are the same in each run.
        let mut any = 1_u64;
        for record in &mut records {
            let at = time_of(&record["at"]);
            let is_baseline = at < begun + seconds(3);
            for event in record.get_mut("eventList").and_then(Value::as_array_mut).into_iter().flatten() {
                for name in ["firstSeen", "lastSeen"] {
                    let seen = time_of(&event[name]);
                    // Nothing is dated after it was read.
                    let other = if seen < begun { (seen - seconds(self.older)).min(at) } else { seen };
                    event[name] = other.strftime("%F %T").to_string().into();
                }
            }
            if let Some(events) = record.get_mut("eventList").and_then(Value::as_array_mut).filter(|_| !is_baseline) {
                events.retain(|event| {
                    let limited = event["objType"] == "Pod" && event["signal"] != true && event["reason"] != "BackOff";
                    let count = written.entry(event["objName"].to_string()).or_default();
                    *count += usize::from(limited);
                    !limited || *count <= self.events_of_pod
                });
            }
            any = any.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let late = i64::try_from(any >> 33).unwrap() % (self.lag + 1);
            let service = newest.entry(format!("{}/{}", record["namespace"], record["service"])).or_insert(at);
            *service = (*service).max(if is_baseline { at } else { at + seconds(late) });
            record["at"] = service.strftime("%F %T").to_string().into();
        }
        records.retain(|record| record["eventList"].as_array().is_none_or(|events| !events.is_empty()));
        records.sort_by_key(|record| time_of(&record["at"]));
        records.iter().map(|record| format!("{record}\n")).collect()
    }
}

#[test]
fn whatever_pods_age_and_however_much_a_kubelet_leaves_out_all_is_told_in_words_that_name_the_cause() {
    let (folder, recording) = (tempfile::tempdir().unwrap(), read("recording.jsonl"));
    let mut wrong = Vec::new();
    for (number, chance) in CHANCES.iter().enumerate() {
        let file = folder.path().join(format!("{number}.jsonl"));
        std::fs::write(&file, chance.of(&recording)).unwrap();
        for rules in Rules::ALL {
            let notices = notices_of(&file, rules);
            let first = notices.iter().find(|notice| notice["workload"] == "checkout").unwrap();
            let text = first["text"].as_str().unwrap();
            assert!(text.contains("Liveness probe failed"), "chance {number}, {rules:?}: the first message is {text}");
            let rows = rows_of(&notices);
            let all = rows.iter().flat_map(|row| row.wrong.iter().map(move |what| (&row.trouble, what)));
            wrong.extend(all.map(|(trouble, what)| format!("chance {number}, {rules:?}, {trouble}: {what}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How a replayed row differs from the one that was told. How often something is told once more while it lasts is not compared:
/// that is a matter of rules.
fn differences(row: &Row, again: &Row) -> Vec<String> {
    let mut differences = Vec::new();
    let mut times = |what: &str, told: Option<u64>, replayed: Option<u64>| match (told, replayed) {
        (Some(told), Some(replayed)) if told.abs_diff(replayed) <= TOLERANCE.into() => {}
        _ => differences.push(format!("{what} was told after {told:?} s, and is after {replayed:?} s")),
    };
    times("it", row.told_after, again.told_after);
    times("its end", row.ended_after, again.ended_after);
    let mut texts = |what: &str, told: &str, replayed: &str| {
        if told != replayed {
            differences.push(format!("{what}: {told:?}, and is {replayed:?}"));
        }
    };
    texts("the rule was", &row.rule, &again.rule);
    texts("the words were", &kind(&row.words), &kind(&again.words));
    texts("the command was", &kind(&row.command), &kind(&again.command));
    texts("the end was", &kind(end(&row.end)), &kind(end(&again.end)));
    differences
}

/// How and of what an end is told. Which of the reasons comes first, when and how often is a matter of seconds.
fn end(text: &str) -> &str {
    let place = text.split_once(": ").and_then(|(how, rest)| Some(how.len() + 2 + rest.find(' ')?));
    place.and_then(|length| text.get(..length)).unwrap_or(text)
}

/// A text without numbers and the names of pods: the recorder may have seen another one of them.
fn kind(text: &str) -> String {
    let pod = Regex::new(r"-[a-z0-9]{5}\b").unwrap();
    Regex::new("[0-9]+").unwrap().replace_all(&pod.replace_all(text, "-x"), "#").into_owned()
}
