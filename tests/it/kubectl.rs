//! What kubectl prints is read wherever a list is taken, or named.

use std::process::Command;

use assert_cmd::cargo::CommandCargoExt as _;
use jiff::tz::TimeZone;
use podbell::components::file::recording::Recording;
use serde_json::{Value, json};

fn podbell(text: &str, args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let rules = "version: 1\nrules:\n  - {name: all, match: {reason: \"*\"}, notify: [chat]}\n";
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    std::fs::write(folder.path().join("list"), text).unwrap();
    let mut command = Command::cargo_bin("podbell").unwrap();
    let output = command.current_dir(folder.path()).args(args).env_clear().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

fn explain(text: &str) -> (i32, String) {
    podbell(text, &["explain", "--list", "list", "--rules", "rules.yaml"])
}

/// Events of a backtest.
fn backtested(text: &str) -> Option<u64> {
    let (_, said) = podbell(text, &["backtest", "list", "--rules", "rules.yaml", "--output", "json"]);
    serde_json::from_str::<Value>(&said).ok()?["events"].as_u64()
}

fn core(name: &str, count: u64) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event", "count": count, "eventTime": null,
        "firstTimestamp": "2026-01-02T18:55:00Z", "lastTimestamp": "2026-01-02T19:05:00Z",
        "involvedObject": {"kind": "Pod", "name": "cart-7d4b9c6f5d-k2x9p", "namespace": "shop"},
        "message": "Back-off restarting failed container", "reason": "BackOff", "type": "Warning",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": "2026-01-02T18:55:00Z"},
    })
}

fn newer(name: &str, count: u64) -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "deprecatedCount": count, "eventTime": null,
        "deprecatedFirstTimestamp": "2026-01-02T18:55:00Z", "deprecatedLastTimestamp": "2026-01-02T19:05:00Z",
        "regarding": {"kind": "Pod", "name": "cart-7d4b9c6f5d-k2x9p", "namespace": "shop"},
        "note": "Back-off restarting failed container", "reason": "BackOff", "type": "Warning",
        "metadata": {"name": name, "namespace": "shop", "uid": name, "creationTimestamp": "2026-01-02T18:55:00Z"},
    })
}

const YAML: &str = "apiVersion: v1
items:
- apiVersion: v1
  count: 7
  eventTime: null
  firstTimestamp: '2026-01-02T18:55:00Z'
  involvedObject:
    kind: Pod
    name: cart-7d4b9c6f5d-k2x9p
    namespace: shop
  kind: Event
  lastTimestamp: '2026-01-02T19:05:00Z'
  message: Back-off restarting failed container
  metadata:
    creationTimestamp: '2026-01-02T18:55:00Z'
    name: cart.1
    namespace: shop
  reason: BackOff
  type: Warning
kind: List
";

/// Every shape in which one event with count 7 is printed.
fn shapes() -> Vec<(&'static str, String)> {
    let list =
        |kind: &str, items: Vec<Value>| json!({"apiVersion": "v1", "kind": kind, "items": items, "metadata": {}});
    let one = core("a", 7);
    let watched = |kind: &str, event: Value| json!({"type": kind, "object": event}).to_string();
    vec![
        ("a List", list("List", vec![one.clone()]).to_string()),
        ("a List, indented", serde_json::to_string_pretty(&list("List", vec![one.clone()])).unwrap()),
        ("an EventList", list("EventList", vec![one.clone()]).to_string()),
        ("events.k8s.io", serde_json::to_string_pretty(&list("List", vec![newer("a", 7)])).unwrap()),
        ("bare items", json!([one]).to_string()),
        ("bare items of events.k8s.io", json!([newer("a", 7)]).to_string()),
        ("one event", one.to_string()),
        ("one event, indented", serde_json::to_string_pretty(&one).unwrap()),
        ("an API's list around items", json!({"eventList": [one]}).to_string()),
        ("an answer around items", json!({"code": 0, "data": {"eventList": [one]}}).to_string()),
        ("a watch, a line each", format!("{}\n{}\n", core("a", 5), one)),
        (
            "a watch, indented",
            format!(
                "{}\n{}\n",
                serde_json::to_string_pretty(&core("a", 5)).unwrap(),
                serde_json::to_string_pretty(&one).unwrap()
            ),
        ),
        (
            "a watch with its events",
            format!("{}\n{}\n", watched("ADDED", core("a", 5)), watched("MODIFIED", one.clone())),
        ),
        ("YAML", YAML.to_owned()),
        ("YAML with a byte order mark", format!("\u{feff}{YAML}")),
        ("a watch in YAML", {
            let item = YAML.split("items:\n- ").nth(1).unwrap().replace("\n  ", "\n").replace("kind: List\n", "");
            format!("{}---\n{item}", item.replace("count: 7", "count: 5"))
        }),
        ("a recording of items", json!({"at": "2026-01-02 19:06:00", "eventList": [one]}).to_string()),
    ]
}

#[test]
fn every_shape_in_which_kubectl_prints_events_is_read_as_one_list() {
    for (what, text) in shapes() {
        let polls: Vec<_> = Recording::new(text.as_bytes(), TimeZone::UTC).collect();
        assert_eq!(polls.len(), 1, "{what}");
        let events =
            polls[0].as_ref().unwrap_or_else(|error| panic!("{what}: {error}")).outcome.list().unwrap().to_vec();
        assert_eq!(events.len(), 1, "{what}");
        let event = &events[0];
        assert_eq!((&*event.obj_type, &*event.obj_name), ("Pod", "cart-7d4b9c6f5d-k2x9p"), "{what}");
        assert_eq!((&*event.reason, &*event.message), ("BackOff", "Back-off restarting failed container"), "{what}");
        assert_eq!((event.count, event.level.as_str()), (7, "Warning"), "{what}");
        assert_eq!(event.last_seen.since(event.first_seen).as_secs(), 600, "{what}");
        assert_eq!(backtested(&text), Some(1), "{what}");
        if !text.contains("\"at\"") {
            let (code, said) = explain(&text);
            assert!(code == 0 && said.contains("BackOff") && said.contains("it would be told"), "{what}: {said}");
        }
    }
}

#[test]
fn what_is_no_list_of_events_is_named_with_what_to_do() {
    let pods = json!({"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]});
    for (text, said) in [
        (
            "LAST SEEN   TYPE      REASON    OBJECT   MESSAGE\n2m   Warning   BackOff   pod/a   b\n",
            "get events -o json",
        ),
        ("NAMESPACE   LAST SEEN   TYPE      REASON\nshop   2m   Warning   BackOff\n", "get events -o json"),
        ("No resources found in default namespace.\n", "--all-namespaces"),
        ("Name:         cart-1\nNamespace:    shop\n", "get events -o json"),
        (r#"{"Response": {"EventSet": [], "RequestId": "x"}}"#, "API 3.0"),
        (&pods.to_string(), "none of them is an event"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "none of them is an event"),
        ("apiVersion: v1\nitems: [\n", "YAML cannot be read"),
    ] {
        for (code, answer) in [explain(text), podbell(text, &["backtest", "list", "--rules", "rules.yaml"])] {
            assert!(code == 1 && answer.contains(said), "{text}: {answer}");
        }
    }
}

#[test]
fn explain_says_what_it_left_out_and_why_there_is_nothing_to_explain() {
    let mut normal = core("b", 1);
    normal["type"] = json!("Normal");
    let good = core("a", 7);
    for (text, args, code, said) in [
        (json!([{"x": 1}]).to_string(), &[][..], 1, "none of its 1 entries can be understood"),
        (json!([]).to_string(), &[], 0, "it holds no event"),
        (json!({"kind": "List", "items": []}).to_string(), &[], 0, "it holds no event"),
        (json!([normal]).to_string(), &[], 0, "none of its 1 events is a Warning"),
        (
            json!([good]).to_string(),
            &["--reason", "Failed"],
            0,
            "none of its 1 Warnings is one that the other options name",
        ),
        (json!([good, {"x": 1}]).to_string(), &[], 0, "1 entries could not be understood"),
    ] {
        let all = [&["explain", "--list", "list", "--rules", "rules.yaml"], args].concat();
        let (got, answer) = podbell(&text, &all);
        assert!(got == code && answer.contains(said), "{text}: {got} {answer}");
    }
}
