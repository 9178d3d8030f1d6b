//! A recording of a real cluster in which fifteen kinds of trouble, and a node that went away, were made and mended
//! (`tests/fixtures/data/cluster`): what podbell tells of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::support::process::{podbell, printed};

/// The service that each trouble hits.
const HITS: [(&str, &str); 16] = [
    ("image", "shop/cart"),
    ("crash", "pay/api"),
    ("oom", "data/reporter"),
    ("readiness", "shop/search"),
    ("liveness", "shop/checkout"),
    ("configmap", "pay/ledger"),
    ("secret", "pay/vault"),
    ("pvc", "data/db"),
    ("cpu", "data/train"),
    ("quota", "team-a/worker"),
    ("cronjob", "batch/report"),
    ("command", "pay/invoice"),
    ("hpa", "shop/web"),
    ("rollout", "shop/web"),
    ("evict-pod", "data/scratch"),
    ("node", "/node-1"),
];
/// What ends by its pods, and at once: of the others a controller tries again only minutes after the repair, nothing says
/// how they are (an autoscaler, a job), or they were deleted.
const END_BY_HEALTH: [&str; 9] =
    ["image", "crash", "oom", "readiness", "liveness", "configmap", "command", "rollout", "cpu"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/cluster")
}

fn seconds(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_second()
}

/// When each trouble was made and mended.
fn troubles() -> BTreeMap<String, (i64, i64)> {
    let text = std::fs::read_to_string(folder().join("trouble.tsv")).unwrap();
    let mut all: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in text.lines() {
        let [at, name, what] = *line.split('\t').collect::<Vec<_>>() else { panic!("{line}") };
        let entry = all.entry(name.to_owned()).or_default();
        match what {
            "make" => entry.0 = seconds(at),
            "mend" => entry.1 = seconds(at),
            _ => {}
        }
    }
    all
}

/// The notices that a set of rules makes of the recording.
fn told(rules: &[&str]) -> Vec<Value> {
    let root = env!("CARGO_MANIFEST_DIR");
    let recording = folder().join("2026-11-28.jsonl");
    let mut args = vec!["backtest", recording.to_str().unwrap(), "--output", "json"];
    args.extend(rules);
    let output = podbell(Path::new(root), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["notices"].as_array().unwrap().clone()
}

fn at(notice: &Value) -> i64 {
    seconds(notice["at"].as_str().unwrap())
}

fn is(notice: &Value, kind: &str) -> bool {
    notice["notice"] == kind
}

fn hits(notice: &Value, place: &str) -> bool {
    let (namespace, workload) = (notice["namespace"].as_str().unwrap(), notice["workload"].as_str().unwrap());
    format!("{namespace}/{workload}") == place
}

#[test]
fn every_trouble_of_a_real_cluster_is_told_and_its_end_is_told_after_the_repair() {
    let troubles = troubles();
    for rules in [&["--rules", "rules/kubernetes.yaml"][..], &[]] {
        let notices = told(rules);
        for (name, place) in HITS {
            let (made, mended) = troubles[name];
            // Under the built-in rules, an autoscaler and its deployment are one workload; else they are told apart.
            let mixed = rules.is_empty() && matches!(name, "hpa" | "rollout");
            let fits = |notice: &&Value| mixed || (name == "hpa") == notice["reasons"].to_string().contains("Metric");
            let new = |notice: &&Value| is(notice, "opened") && hits(notice, place) && (mixed || at(notice) >= made);
            let opened = notices.iter().filter(new).find(fits);
            let Some(opened) = opened.filter(|notice| at(notice) < mended) else {
                panic!("{name} was not told: {rules:?}")
            };
            let incident = &opened["incident"];
            let end = notices.iter().find(|notice| is(notice, "resolved") && notice["incident"] == *incident);
            assert!(end.is_none_or(|end| at(end) > mended), "{name} ended before its repair");
            if END_BY_HEALTH.contains(&name) && !mixed {
                let end = end.unwrap_or_else(|| panic!("the end of {name} was not told: {rules:?}"));
                assert!(at(end) - mended <= 360, "{name}: {} s after its repair", at(end) - mended);
                assert!(end["text"].as_str().unwrap().starts_with("Recovered, "), "{name}: {end}");
            }
        }
    }
}

#[test]
fn every_trouble_of_a_real_cluster_is_told_once_and_its_end_once() {
    let notices = told(&["--rules", "rules/kubernetes.yaml"]);
    let again: Vec<&Value> = notices.iter().filter(|notice| !is(notice, "opened") && !is(notice, "resolved")).collect();
    assert!(again.is_empty(), "{again:?}");
    let mut ends: Vec<&Value> =
        notices.iter().filter(|notice| is(notice, "resolved")).map(|one| &one["incident"]).collect();
    ends.sort_by_key(|id| id.as_u64());
    ends.dedup();
    assert_eq!(ends.len() * 2, notices.len(), "{notices:?}");
}

#[test]
fn a_kill_for_memory_names_its_limit_and_a_node_that_is_away_whom_it_hits() {
    let troubles = troubles();
    let notices = told(&["--rules", "rules/kubernetes.yaml"]);
    let kill = notices.iter().find(|notice| is(notice, "opened") && hits(notice, "data/reporter")).unwrap();
    assert!(
        kill["text"].as_str().unwrap().contains("was killed at its memory limit of 32Mi (exit code 137)"),
        "{kill}"
    );
    assert!(!notices.iter().any(|notice| notice["rule"] == "out-of-memory"), "the kill was told of its pod");
    let (made, mended) = troubles["node"];
    let away: Vec<&Value> =
        notices.iter().filter(|notice| is(notice, "opened") && (made..mended).contains(&at(notice))).collect();
    assert!((1..=2).contains(&away.len()), "{away:?}");
    let node = away.iter().find(|notice| notice["rule"] == "node-not-ready").unwrap();
    let words = node["text"].as_str().unwrap();
    assert!(words.contains(" workloads affected: ") && words.contains("shop/web (3 pods)"), "{words}");
    let end = notices.iter().find(|notice| is(notice, "resolved") && notice["incident"] == node["incident"]).unwrap();
    assert!((mended..=mended + 360).contains(&at(end)), "{end}");
    // Nothing of what its pods said when it came back is told by itself.
    let after: Vec<&Value> = notices.iter().filter(|notice| is(notice, "opened") && at(notice) > mended).collect();
    assert!(after.is_empty(), "{after:?}");
}
