//! `podbell backtest`: what rules would have told of recordings.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::events::{at, warning};
use crate::support::world::World;
use podbell_core::backtest::{Backtest, play, setup};
use podbell_core::event::{Event, Target};
use podbell_core::history::Polls;
use podbell_core::notice::{Notice, NoticeBody};
use podbell_core::rules::builtin;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::process::{podbell, printed};

const RULES: &str = "version: 1
defaults: {notify: [team]}
rules:
  - {name: noise, match: {reason: Unhealthy}, action: ignore}
  - {name: rare, match: {reason: Evicted}, open_when: {count: 5, within: 10m}}
  - {name: pulls, match: {reason: Failed}, notify: [team, ops]}
  - {name: never, match: {reason: OOMKilling}}
";

fn minute(n: u32) -> String {
    format!("2026-01-01 {:02}:{:02}:00", 10 + n / 60, n % 60)
}

fn event(name: &str, reason: &str, count: u32, first: u32, last: u32) -> Value {
    json!({
        "firstSeen": minute(first), "lastSeen": minute(last), "count": count, "level": "Warning",
        "objType": "Pod", "objName": name, "reason": reason, "message": "no such image",
    })
}

/// Half an hour: a failed pull for five minutes, noise, one eviction, a failed poll, something unknown.
fn recording() -> String {
    let mut lines = String::new();
    for n in 0..30 {
        let mut list = Vec::new();
        if n >= 1 {
            list.push(event("web-6d4cf56db6-x2x7v", "Failed", n.min(5) * 10, 1, n.min(5)));
            list.push(event("web-6d4cf56db6-x2x7v", "Unhealthy", n, 1, n));
        }
        if n >= 3 {
            list.push(event("db-0", "Evicted", 1, 3, 3));
            list.push(event("db-0", "Strange", 2, 3, 3));
        }
        let poll = match n {
            7 => json!({"at": minute(n), "service": "web", "error": "timeout"}),
            _ => json!({"at": minute(n), "service": "web", "eventList": list}),
        };
        let _ = writeln!(lines, "{poll}");
    }
    lines
}

fn backtest(files: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("rules.yaml", RULES), ("play.jsonl", &recording())].iter().chain(files) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let args: Vec<&str> = ["backtest"].iter().chain(args).copied().collect();
    let output = podbell(folder.path(), &args).output().unwrap();
    (output.status.code().unwrap(), printed(&output))
}

#[test]
fn a_backtest_tells_every_notice_and_counts_what_was_told_and_what_was_not() {
    let (code, text) = backtest(&[], &["play.jsonl", "--rules", "rules.yaml"]);
    insta::assert_snapshot!(format!("exit {code}\n{text}"));
}

#[test]
fn machines_get_the_same_as_json() {
    let (code, text) = backtest(&[], &["play.jsonl", "--rules", "rules.yaml", "--output", "json"]);
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 0);
    assert_eq!((&said["polls"], &said["failed_polls"]), (&json!(30), &json!(1)));
    assert_eq!((&said["incidents"], &said["open"]), (&json!(1), &json!([])));
    let first = &said["notices"][0];
    assert_eq!(
        (&first["notice"], &first["rule"], &first["to"]),
        (&json!("opened"), &json!("pulls"), &json!(["ops", "team"]))
    );
    assert_eq!(first["at"], "2026-01-01T10:01:15Z");
    assert_eq!(said["messages"], 2 * said["notices"].as_array().unwrap().len());
    assert_eq!(said["untold"].as_array().unwrap().len(), 3);
    assert_eq!(said["never_fired"], json!(["rules.yaml:never", "rules.yaml:rare"]));
}

#[test]
fn a_comparison_lists_what_a_change_would_add_and_take_away() {
    let other =
        RULES.replace("count: 5", "count: 1").replace("reason: Failed}, notify: [team, ops]", "reason: Failed}");
    let (code, text) =
        backtest(&[("other.yaml", &other)], &["play.jsonl", "--rules", "rules.yaml", "--compare", "other.yaml"]);
    insta::assert_snapshot!(format!("exit {code}\n{text}"));
    let (_, same) = backtest(&[], &["play.jsonl", "--rules", "rules.yaml", "--compare", "rules.yaml"]);
    assert!(same.ends_with("0 notices more, 0 fewer\n"), "{same}");
}

#[test]
fn several_recordings_are_played_in_the_order_of_time() {
    let other = recording().replace("\"web\"", "\"api\"").replace("web-6d4", "api-6d4");
    let (code, text) = backtest(&[("other.jsonl", &other)], &["play.jsonl", "other.jsonl", "--rules", "rules.yaml"]);
    assert_eq!(code, 0);
    assert!(text.contains("60 polls (2 failed)") && text.contains(": 2 incidents :"), "{text}");
    let times: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(|line| &line[..19]).collect();
    assert!(times.is_sorted(), "{text}");
}

#[test]
fn standard_input_and_the_built_in_rules_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = podbell(folder.path(), &["backtest", "-", "--summary"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(recording().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(printed(&output).starts_with("30 polls (1 failed)"), "{}", printed(&output));
}

#[test]
fn broken_recordings_end_with_the_place_of_the_mistake() {
    let good = recording();
    let cut = &good[..good.len() - 200];
    let lines: Vec<&str> = good.lines().collect();
    let swapped = format!("{}\n{}\n", lines[5], lines[4]);
    let latin = [lines[0].as_bytes(), b"\n{\"at\": \"2026-01-01 10:01:00\", \"error\": \"caf\xe9\"}\n"].concat();
    for (text, expected) in [
        (cut.as_bytes(), "line 30"),
        (swapped.as_bytes(), "line 2: earlier than the line before"),
        (b"{\"at\": \"today\", \"eventList\": []}\n", "line 1: at \"today\" is not YYYY-MM-DD HH:MM:SS"),
        (&latin, "line 2"),
        (b"nonsense", "neither JSON lines"),
        (b"", "there is no poll in it"),
        (b"\xff\xfe{\0", "UTF-16"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("play.jsonl"), text).unwrap();
        let output = podbell(folder.path(), &["backtest", "play.jsonl"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = printed(&output);
        assert!(said.contains("play.jsonl") && said.contains(expected), "{expected}: {said}");
    }
    let (code, text) = backtest(&[], &["."]);
    assert!(code == 1 && text.contains("cannot read: Is a directory"), "{text}");
    let (code, text) = backtest(&[], &["none.jsonl"]);
    assert!(code == 1 && text.contains("cannot read none.jsonl"), "{text}");
}

#[test]
fn marks_and_line_ends_of_other_systems_are_read_and_what_is_no_event_is_counted() {
    let windows = format!("\u{feff}{}", recording().replace('\n', "\r\n"));
    let (_, plain) = backtest(&[], &["play.jsonl"]);
    assert_eq!(backtest(&[("windows.jsonl", &windows)], &["windows.jsonl"]), (0, plain));
    let odd = recording().replacen("\"eventList\":[{", "\"eventList\":[7,{", 1);
    let (code, text) = backtest(&[("odd.jsonl", &odd)], &["odd.jsonl"]);
    assert_eq!(code, 0);
    assert!(text.contains("odd.jsonl: left out 1 entry that cannot be understood, first in line 2"), "{text}");
    let (_, text) = backtest(&[("odd.jsonl", &odd)], &["odd.jsonl", "--output", "json"]);
    assert!(text.contains("\"skipped_entries\": 1"), "{text}");
}

#[test]
fn what_rules_look_at_and_the_recording_leaves_open_is_asked_for() {
    let scoped = RULES.replace("defaults:", "scope: {namespace: shop}\ndefaults:");
    let note = "note: rules look at the namespace, which some recorded polls do not name: give it with --namespace";
    let files = [("scoped.yaml", scoped.as_str())];
    let (_, text) = backtest(&files, &["play.jsonl", "--rules", "scoped.yaml"]);
    assert!(text.contains(note) && text.contains("0 incidents"), "{text}");
    let (_, text) = backtest(&files, &["play.jsonl", "--rules", "scoped.yaml", "--namespace", "shop"]);
    assert!(!text.contains("note:") && text.contains("1 incidents"), "{text}");
}

#[test]
fn a_poll_that_is_recorded_twice_changes_nothing() {
    let doubled: String = recording().lines().flat_map(|line| [line, "\n", line, "\n"]).collect();
    let notices = |text: &str| text.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (_, once) = backtest(&[], &["play.jsonl", "--rules", "rules.yaml"]);
    let (_, twice) = backtest(&[("twice.jsonl", &doubled)], &["twice.jsonl", "--rules", "rules.yaml"]);
    assert_eq!(notices(&once), notices(&twice));
}

#[test]
fn rules_with_mistakes_are_explained_and_test_nothing() {
    let (code, text) = backtest(
        &[("bad.yaml", "version: 1\nrules:\n  - {name: a, match: {raeson: x}}\n")],
        &["play.jsonl", "--rules", "bad.yaml"],
    );
    assert_eq!(code, 1);
    assert!(text.contains("did you mean `reason`?"), "{text}");
}

#[test]
fn real_recordings_are_twenty_times_quieter_than_their_warnings() {
    let lists = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/lists");
    let folder = tempfile::tempdir().unwrap();
    let (mut changes, mut messages) = (0, 0);
    for entry in std::fs::read_dir(lists).unwrap() {
        let list = entry.unwrap().path();
        if list.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let play = podbell(folder.path(), &["emulate", "make-play", list.to_str().unwrap()]).output().unwrap();
        std::fs::write(folder.path().join("play.jsonl"), &play.stdout).unwrap();
        let output = podbell(folder.path(), &["backtest", "play.jsonl", "--output", "json"]).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let (of, told) = (said["warning_changes"].as_u64().unwrap(), said["messages"].as_u64().unwrap());
        assert!(of < 10 || told <= of, "{}: {told} messages for {of} changes", list.display());
        (changes, messages) = (changes + of, messages + told);
    }
    assert!(changes > 1000 && messages * 20 <= changes, "{messages} messages for {changes} changes");
}

/// What was told, by cause: kind, when it was caused, of what, how often.
fn causes<'n>(notices: impl Iterator<Item = &'n Notice>) -> BTreeSet<(i64, &'static str, String, u64)> {
    let cause = |notice: &Notice| match &notice.body {
        NoticeBody::Incident(story) => {
            Some((notice.caused_at.seconds(), notice.kind.as_str(), story.workload.clone(), story.occurrences))
        }
        _ => None,
    };
    notices.filter_map(cause).collect()
}

#[test]
fn the_services_own_history_tells_again_what_was_told() {
    let mut world = World::builtin();
    let targets: Vec<Target> = (0..4).map(|n| Target::new("prod", "cls-1", "shop", &format!("s{n}"))).collect();
    world.watch(&targets);
    // A small random walk: counts that grow now and then, outages, a restart after a long pause.
    let mut seed = 7_u64;
    let mut chance = |of: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % of
    };
    let mut counts = [0_u64; 4];
    let mut seen = [0_i64; 4];
    let mut second = 0;
    for minute in 0..240 {
        second += 60;
        if minute == 120 {
            world.kill();
            second += 1500;
            world.now = at(second);
            world.start();
        }
        world.run_until(second);
        for (n, target) in targets.iter().enumerate() {
            if chance(12) == 0 {
                world.fail(target, "timeout");
                continue;
            }
            let busy = (minute / 40) % 2 == n % 2;
            if busy && chance(4) == 0 {
                counts[n] += 1 + chance(30);
                seen[n] = second - 1;
            }
            let name = format!("w{n}-6d4cf56db6-x2x7v");
            let shown: Vec<Event<'static>> = if counts[n] == 0 {
                Vec::new()
            } else {
                vec![warning(&name, "FailedMount", "no such volume", counts[n], 30, seen[n])]
            };
            world.poll(target, &shown);
        }
    }
    world.run_until(second + 1);
    let told = causes(world.log.iter().flat_map(|request| &request.notices));
    assert!(told.len() > 10, "{told:?}");
    let history = world.reader().snapshot().unwrap().history(at(0)).unwrap();
    assert_eq!(history.lost, 0);
    let setup = setup(builtin::rules(&["team".into()]), ["prod".into()]);
    let mut backtests = [Backtest::new(setup)];
    let polls = Polls::new(history.observations, at(0), at(second + 1), |_| Duration::from_secs(60));
    play(&mut backtests, polls, history.reports);
    let [report] = backtests.map(Backtest::finish);
    assert!((600..1000).contains(&report.polls), "{}", report.polls);
    assert_eq!(causes(report.notices.iter()), told);
}

#[test]
fn recorded_health_ends_incidents_as_the_service_would() {
    let failed = || vec![event("web-6d4cf56db6-x2x7v", "Failed", 10, 1, 1)];
    let play = |ready_at: Option<u32>| {
        let mut lines = String::new();
        for n in 0..60 {
            let list = if n >= 1 { failed() } else { Vec::new() };
            let _ = writeln!(lines, "{}", json!({"at": minute(n), "service": "web", "eventList": list}));
            let ready = match n {
                0 => Some(3),
                1 => Some(2),
                n => ready_at.filter(|at| *at == n).map(|_| 3),
            };
            if let Some(ready) = ready {
                let health = json!([{"kind": "Deployment", "name": "web", "wanted": 3, "ready": ready}]);
                let _ = writeln!(lines, "{}", json!({"at": minute(n), "service": "web", "health": health}));
            }
        }
        let (code, text) = backtest(&[("web.jsonl", &lines)], &["web.jsonl", "--rules", "rules.yaml"]);
        assert_eq!(code, 0, "{text}");
        text
    };
    insta::assert_snapshot!(format!("ready at minute 10:\n{}\nnever:\n{}", play(Some(10)), play(None)));
}

#[test]
fn a_recorded_watch_ends_what_stays_quiet_and_what_was_deleted() {
    let play = |watched: bool, deleted: bool| {
        let evicted = json!({
            "firstSeen": minute(1), "lastSeen": minute(1), "count": 1, "level": "Warning", "objType": "Pod",
            "objName": "web-6d4cf56db6-x2x7v", "reason": "Evicted", "message": "usage exceeds the limit", "node": "n1",
        });
        let line = |n, list: Value| {
            json!({"at": minute(n), "namespace": "shop", "service": "web", "eventList": list}).to_string() + "\n"
        };
        let mut lines = line(0, json!([])) + &line(1, json!([evicted]));
        for n in 2..40 {
            if deleted && n == 3 {
                let pod = json!([{"kind": "Pod", "name": "web-6d4cf56db6-x2x7v"}]);
                let _ = writeln!(lines, "{}", json!({"at": minute(n), "namespace": "shop", "deleted": pod}));
            }
            if watched {
                let _ = writeln!(lines, "{}", json!({"at": minute(n), "watched": true}));
            }
        }
        let other = json!({"at": minute(40), "namespace": "shop", "service": "other", "eventList": []});
        let _ = writeln!(lines, "{other}");
        let (code, text) = backtest(&[("web.jsonl", &lines)], &["web.jsonl", "--output", "json"]);
        assert_eq!(code, 0, "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let told = report["notices"].as_array().unwrap().iter();
        told.map(|notice| format!("{} {}", &notice["at"].as_str().unwrap()[11..16], notice["notice"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(play(false, false), ["10:01 opened"], "nobody looked again");
    assert_eq!(play(true, false), ["10:01 opened", "10:16 resolved"]);
    assert_eq!(play(true, true), ["10:01 opened", "10:08 resolved"]);
}

#[test]
fn a_recorded_rollout_is_named_as_the_service_would() {
    let play = |template: bool| {
        let mut lines = String::new();
        for n in 0..20 {
            if template && (n == 0 || n == 5) {
                let (revision, image) = if n == 0 { ("1", "web:v4") } else { ("2", "web:v5") };
                let runs = json!([{"kind": "Deployment", "name": "web", "revision": revision, "images": [image]}]);
                let _ = writeln!(lines, "{}", json!({"at": minute(n), "service": "web", "templates": runs}));
            }
            let list = if n >= 7 { vec![event("web-6d4cf56db6-x2x7v", "Failed", 10, 7, 7)] } else { Vec::new() };
            let _ = writeln!(lines, "{}", json!({"at": minute(n), "service": "web", "eventList": list}));
        }
        let (code, text) =
            backtest(&[("web.jsonl", &lines)], &["web.jsonl", "--rules", "rules.yaml", "--output", "json"]);
        assert_eq!(code, 0, "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        report["notices"][0]["text"].as_str().unwrap().to_owned()
    };
    let (with, without) = (play(true), play(false));
    assert!(with.contains("2 min after a rollout (web:v4 → web:v5, 10:05)"), "{with}");
    assert!(!without.contains("rollout"), "{without}");
}
