//! Watching podbell itself: what `/metrics` says, and the alerts and the dashboard that are made of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use regex::Regex;
use serde_json::Value;

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::receiver::{Answer, Receiver};
use crate::support::site::{QUICK_RULES, Site};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus").join(name)
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(name)).unwrap()).unwrap()
}

/// The alerts, each with its rule.
fn alerts() -> Vec<(String, Value)> {
    let groups = yaml("podbell-rules.yaml")["groups"].as_array().unwrap().clone();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule.clone())).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file("podbell-dashboard.json")).unwrap()).unwrap()
}

/// The queries of the dashboard's panels.
fn queries() -> Vec<String> {
    let panels = dashboard()["panels"].as_array().unwrap().clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The names of metrics in a query.
fn metrics(query: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(podbell|process)_[a-z_]+").unwrap();
    name.find_iter(query).map(|found| found.as_str().to_owned()).collect()
}

/// Only replicas have it; `replicas::takeover` asks for it.
const OF_REPLICAS: &str = "podbell_lease_epoch";
/// The labels that Prometheus adds to whatever it scrapes.
const ADDED: [&str; 2] = ["instance", "job"];

/// The texts that name labels of what a query finds, each with the query: the legends of panels, the words of alerts.
fn of_labels() -> Vec<(String, String)> {
    let panels = dashboard()["panels"].as_array().unwrap().clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = targets.map(|target| (word(&target["legendFormat"]), word(&target["expr"]))).collect();
    for (_, rule) in alerts() {
        let words = rule["annotations"].as_object().unwrap().values();
        all.extend(words.map(|text| (word(text), word(&rule["expr"]))));
    }
    all
}

/// The labels that a text names: `{{destination}}`, `{{ $labels.source }}`.
fn labels(text: &str) -> Vec<String> {
    let label = Regex::new(r"\{\{ *(?:\$labels\.)?([a-z_]+) *\}\}").unwrap();
    label.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_and_label_of_the_alerts_and_of_the_dashboard_is_in_the_answer_of_a_podbell_that_runs() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Answer::new(500, "not now"));
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let mut running = site.run().await;
    running.reaches("podbell_failures_in_a_row{destination=\"audit\"}", |failures| failures > 0).await;
    let now = u64::try_from(podbell::clock::now().seconds()).unwrap();
    let waits = "podbell_oldest_waiting_timestamp_seconds{destination=\"audit\"}";
    running.reaches(waits, |since| since <= now && now - since < 120).await;
    running.reaches("podbell_turn_duration_seconds_count", |turns| turns > 0).await;
    running.reaches("podbell_last_good_poll_timestamp_seconds{source=\"prod\"}", |at| at > 0).await;
    assert!(running.metric("process_resident_memory_bytes").await.unwrap() > 1 << 20);
    let (_, _, page) = running.page("/metrics").await;
    let is_there =
        |name: &str| page.lines().filter_map(|line| line.strip_prefix(name)).any(|rest| rest.starts_with(['{', ' ']));
    let of_alerts = alerts().into_iter().map(|(_, rule)| rule["expr"].as_str().unwrap().to_owned());
    let list = dashboard()["templating"]["list"][1]["query"]["query"].as_str().unwrap().to_owned();
    let mut named = BTreeSet::new();
    for query in of_alerts.chain(queries()).chain([list]) {
        let metrics = metrics(&query);
        assert!(!metrics.is_empty(), "{query}");
        named.extend(metrics);
    }
    let missing: Vec<_> = named.iter().filter(|name| !is_there(name) && *name != OF_REPLICAS).collect();
    assert!(named.len() > 15 && missing.is_empty(), "{missing:?} is not in\n{page}");
    let mut looked_at = 0;
    for (text, query) in of_labels() {
        for label in labels(&text).into_iter().filter(|label| !ADDED.contains(&label.as_str())) {
            looked_at += 1;
            let has =
                |line: &str| [format!("{{{label}=\""), format!(",{label}=\"")].iter().any(|one| line.contains(one));
            let of_metric =
                |name: &String| page.lines().any(|line| line.starts_with(&format!("{name}{{")) && has(line));
            assert!(metrics(&query).iter().all(of_metric), "{label} of {text}: {query}");
        }
    }
    assert!(looked_at > 5, "{looked_at}");
    #[cfg(feature = "outside")]
    promtool::finds_something_for_every_panel(&page);
    // What waits no longer has no age.
    receiver.otherwise(Answer::new(200, "ok"));
    running.reaches("podbell_sends_delivered_total", |sent| sent > 0).await;
    running.reaches("podbell_due_deliveries{destination=\"audit\"}", |due| due == 0).await;
    assert_eq!(running.metric(waits).await, None);
    assert!(running.process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_rule_file_is_a_number_until_it_is_good_again() {
    let receiver = Receiver::start().await;
    let site = Site::quick("http://127.0.0.1:9", &receiver.url("/hook"));
    let mut running = site.run().await;
    running.reaches("podbell_refused_rule_files", |refused| refused == 0).await;
    site.write("rules.yaml", &format!("{QUICK_RULES}  - {{nam: wrong}}\n"));
    running.reaches("podbell_refused_rule_files", |refused| refused == 1).await;
    site.write("rules.yaml", QUICK_RULES);
    running.reaches("podbell_refused_rule_files", |refused| refused == 0).await;
    assert!(running.process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_never_read_has_a_number_too() {
    let site = Site::quick(&crate::support::receiver::nobody().await, "http://127.0.0.1:9/");
    let mut running = site.run().await;
    running.reaches("podbell_source_read{source=\"prod\"}", |read| read == 0).await;
    assert!(running.process.stop().await.success());
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), "http://127.0.0.1:9/");
    let mut running = site.run().await;
    running.reaches("podbell_source_read{source=\"prod\"}", |read| read == 1).await;
    assert!(running.process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_named_by_the_conventions_of_openmetrics() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), "http://127.0.0.1:9/");
    let mut running = site.run().await;
    running.reaches("podbell_failures_in_a_row{destination=\"audit\"}", |failures| failures > 0).await;
    let (_, _, page) = running.page("/metrics").await;
    let kinds: BTreeMap<&str, &str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(kinds.len() > 20, "{page}");
    for (name, kind) in kinds {
        let help = page.lines().filter(|line| line.starts_with(&format!("# HELP {name} "))).count();
        assert!(help == 1 && (name.starts_with("podbell_") || name == "process_resident_memory_bytes"), "{name}");
        // The suffix belongs to the sample of a counter, not to its name.
        assert!(!name.ends_with("_total") && !name.ends_with("_count"), "{name}");
        let total = page.lines().any(|line| line.starts_with(&format!("{name}_total ")));
        assert_eq!(kind == "counter", total, "{name}");
        // Base units only.
        assert!(
            !["_ms", "_millis", "_minutes", "_kb", "_mb", "_percent"].iter().any(|unit| name.ends_with(unit)),
            "{name}"
        );
        if name.contains("timestamp") || name.contains("duration") {
            assert!(name.ends_with("_seconds"), "{name}");
        }
    }
    assert!(running.process.stop().await.success());
}

#[test]
fn every_alert_says_what_to_do_and_is_tested_as_it_fires_and_as_it_does_not() {
    let tests = yaml("podbell-rules.test.yaml")["tests"].as_array().unwrap().clone();
    let cases: Vec<&Value> = tests.iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap()).collect();
    let operations = std::fs::read_to_string(file("../../docs/operations.md")).unwrap();
    for (name, rule) in alerts() {
        for annotation in ["summary", "action"] {
            assert!(
                rule["annotations"][annotation].as_str().is_some_and(|text| text.len() > 20),
                "{name}: {annotation}"
            );
        }
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        let fires = |case: &&&Value| case["exp_alerts"].as_array().is_some_and(|alerts| !alerts.is_empty());
        let of_it: Vec<&&Value> = cases.iter().filter(|case| case["alertname"] == *name).collect();
        let firing = of_it.iter().filter(|case| fires(case)).count();
        assert!(firing > 0 && firing < of_it.len(), "{name}");
        assert!(operations.contains(&format!("| `{name}` |")), "docs/operations.md has no row for {name}");
    }
}

#[test]
fn the_dashboard_asks_the_chosen_prometheus_for_the_chosen_podbell() {
    let dashboard = dashboard();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
    for query in queries() {
        for name in metrics(&query).iter().filter(|_| !query.contains(" and on ")) {
            assert!(query.contains(&format!("{name}{{instance=~\"$instance\"}}")), "{query}");
        }
    }
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(variables, ["datasource", "instance"]);
}

/// Prometheus' own tool.
#[cfg(feature = "outside")]
mod promtool {
    use std::path::Path;
    use std::process::Command;

    use serde_json::json;

    use super::*;
    use crate::support::process::printed;

    /// Whether promtool accepts it, and what it said.
    fn promtool(args: &[&str], folder: &Path) -> (bool, String) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/promtool");
        let found = Command::new(script).output().unwrap();
        assert!(found.status.success(), "{}", printed(&found));
        let tool = String::from_utf8(found.stdout).unwrap();
        let output = Command::new(tool.trim()).args(args).current_dir(folder).output().unwrap();
        (output.status.success(), printed(&output))
    }

    #[test]
    fn promtool_accepts_the_alerts_and_their_tests_and_no_alert_could_be_missing() {
        let (good, said) = promtool(&["check", "rules", "podbell-rules.yaml"], &file(""));
        assert!(good && said.contains(&format!("{} rules found", alerts().len())), "{said}");
        let (good, said) = promtool(&["test", "rules", "podbell-rules.test.yaml"], &file(""));
        assert!(good, "{said}");
        for (number, (name, _)) in alerts().iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let mut rules = yaml("podbell-rules.yaml");
            rules["groups"][0]["rules"][number]["expr"] = json!("vector(0) > 1");
            std::fs::write(folder.path().join("podbell-rules.yaml"), rules.to_string()).unwrap();
            let tests = folder.path().join("podbell-rules.test.yaml");
            std::fs::copy(file("podbell-rules.test.yaml"), tests).unwrap();
            let (good, said) = promtool(&["test", "rules", "podbell-rules.test.yaml"], folder.path());
            assert!(!good && said.contains(name), "{name}: {said}");
        }
    }

    /// Asks every query of the dashboard of a page of metrics that was scraped again and again.
    pub(super) fn finds_something_for_every_panel(page: &str) {
        let series = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = match name.strip_suffix('}') {
                Some(name) => format!("{name},instance=\"a\"}}"),
                None => format!("{name}{{instance=\"a\"}}"),
            };
            json!({"series": name, "values": format!("{value}x60")})
        };
        let samples: Vec<Value> = page.lines().filter(|line| !line.starts_with('#')).map(series).collect();
        let asked = |query: &String| {
            let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
            json!({
                "expr": format!("count({query}) > bool 0"),
                "eval_time": "20m",
                "exp_samples": [{"labels": "{}", "value": 1}],
            })
        };
        let asked: Vec<Value> = queries().iter().map(asked).collect();
        let test = json!({"rule_files": [], "tests": [{"interval": "30s", "input_series": samples, "promql_expr_test": asked}]});
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.yaml"), test.to_string()).unwrap();
        let (good, said) = promtool(&["test", "rules", "test.yaml"], folder.path());
        assert!(good, "{said}");
    }
}
