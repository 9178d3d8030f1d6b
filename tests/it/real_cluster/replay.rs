//! The recording of a run, played in seconds: what it tells is what was told.

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
    let recording = folder().join("recording.jsonl");
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
    let notices = notices(rules);
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
