//! Labels and annotations of objects: what they match, group and choose, wherever they come from.

use std::path::Path;
use std::sync::Arc;

use podbell_core::event::Event;
use podbell_core::metadata::Metadata;
use podbell_core::notice::NoticeBody;

use crate::support::events::warning;
use crate::support::process::{podbell, printed};
use crate::support::world::{World, WorldSpec, compiled, web};

const RULES: &str = r#"version: 1
rules:
  - name: mounts
    match: {reason: FailedMount}
    group_by: [namespace, "label:team"]
    notify: {by: "label:team", map: {payments: [pay], search: find}, default: [ops]}
    group_wait: 0s
    min_gap: 0s
    escalate: {counts: [2]}
"#;

fn world(rules: &str) -> World {
    let destinations = vec![("ops", None), ("pay", None), ("find", None)];
    let mut world = World::new(WorldSpec { rules: vec![rules.to_owned()], destinations, ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.log.clear();
    world
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// An event about a pod with these labels.
fn of(pod: &str, reason: &str, count: u64, labels: &[(&str, &str)]) -> Event<'static> {
    let metadata = Metadata::of(pairs(labels), []).map(Arc::new);
    Event { metadata, ..warning(pod, reason, "m", count, 59, 59) }
}

/// What was told, sorted: the numbers of incidents that open at once are a matter of chance.
fn told_without_numbers(world: &World) -> Vec<String> {
    let told = world.told();
    let mut told: Vec<String> =
        told.iter().filter_map(|line| line.rsplit_once(' ')).map(|(line, _)| line.into()).collect();
    told.sort();
    told
}

#[test]
fn a_label_groups_and_chooses_the_destinations_and_without_it_the_default_is_told() {
    let mut world = world(RULES);
    world.run_until(60);
    let list = [
        of("a-1", "FailedMount", 1, &[("team", "payments")]),
        of("b-1", "FailedMount", 1, &[("team", "search")]),
        of("c-1", "FailedMount", 1, &[("team", "unknown")]),
        of("d-1", "FailedMount", 1, &[]),
        of("e-1", "FailedMount", 1, &[("team", "payments")]),
    ];
    world.poll(&web(), &list);
    world.run_until(61);
    // Pods of one team are one incident; without the label the value is empty.
    assert_eq!(told_without_numbers(&world), ["60s find opened", "60s ops opened", "60s ops opened", "60s pay opened"]);
    let NoticeBody::Incident(story) = &world.last_notice().body else { panic!("an incident") };
    assert_eq!(story.group.len(), 2, "{story:?}");
}

#[test]
fn another_label_changes_later_incidents_and_takes_no_destination_away() {
    let rules = RULES.replace("[namespace, \"label:team\"]", "[namespace, workload]");
    let mut world = world(&rules);
    let team = |world: &mut World, second: i64, count: u64, team: &str| {
        world.run_until(second);
        let event = of("web-6d4cf56db6-x2x7v", "FailedMount", count, &[("team", team)]);
        world
            .poll(&web(), &[Event { last_seen: event.last_seen.plus(std::time::Duration::from_secs(count)), ..event }]);
    };
    team(&mut world, 60, 1, "payments");
    team(&mut world, 120, 2, "search");
    world.run_until(130);
    let mut told = world.told();
    told.sort();
    // The new team gets the whole story of the open incident; the old one hears that it gets worse.
    assert_eq!(told, ["120s find opened #1", "120s pay escalated #1", "60s pay opened #1"]);
    world.kill();
    world.start();
    let incident = world.reader().snapshot().unwrap().incident(1).unwrap().unwrap();
    assert_eq!(incident.details.metadata.as_ref().unwrap().labels["team"], "search");
}

#[test]
fn an_incident_grouped_by_a_label_survives_a_restart_and_a_reload() {
    let mut world = world(RULES);
    world.run_until(60);
    world.poll(&web(), &[of("a-1", "FailedMount", 1, &[("team", "payments")])]);
    world.run_until(61);
    world.kill();
    world.start();
    // Under a new name, the rule still takes the incident over: its labels are known.
    world.reload(&[&RULES.replace("name: mounts", "name: volumes")]);
    world.run_until(120);
    world.poll(
        &web(),
        &[Event {
            last_seen: podbell_core::time::Time::UNKNOWN,
            ..of("a-1", "FailedMount", 2, &[("team", "payments")])
        }],
    );
    world.run_until(130);
    assert_eq!(world.told(), ["60s pay opened #1", "120s pay escalated #1"]);
    let NoticeBody::Incident(story) = &world.last_notice().body else { panic!("an incident") };
    assert_eq!(story.rule.name.as_ref(), "volumes");
}

#[test]
fn a_condition_on_a_label_that_is_not_there_does_not_match_whatever_its_pattern() {
    let rules = r#"version: 1
rules:
  - {name: any, match: {"label:team": "*"}, notify: [pay], group_wait: 0s}
  - {name: none, match: {"annotation:example.com/owner": "/^/"}, notify: [find], group_wait: 0s}
  - {name: rest, match: {reason: FailedMount}, except: {"label:quiet": "true"}, notify: [ops], group_wait: 0s}
"#;
    let mut world = world(rules);
    world.run_until(60);
    let list = [
        of("a-1", "FailedMount", 1, &[("team", "x")]),
        of("b-1", "FailedMount", 1, &[]),
        of("c-1", "FailedMount", 1, &[("quiet", "true")]),
    ];
    world.poll(&web(), &list);
    world.run_until(61);
    assert_eq!(told_without_numbers(&world), ["60s ops opened", "60s ops opened", "60s pay opened"]);
}

#[test]
fn the_keys_that_rules_use_are_known_to_sources_and_no_others() {
    let rules = r#"version: 1
rules:
  - name: a
    match: {reason: x, "label:tier": front}
    except: {"annotation:quiet": "true"}
    group_by: ["label:team"]
    notify: {by: "annotation:owner", map: {ann: [pay]}, default: [ops]}
  - {name: b, match: {reason: y}, notify: [ops], labels: {team: shop}}
"#;
    let keys = compiled(&[rules.to_owned()]).metadata_keys();
    let words: Vec<(bool, &str)> = keys.iter().map(|key| (key.is_label(), key.key())).collect();
    assert_eq!(words, [(false, "owner"), (false, "quiet"), (true, "team"), (true, "tier")]);
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Exit code and output of podbell in a folder with these files.
fn run(files: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    let output = podbell(folder.path(), args).output().unwrap();
    (output.status.code(), printed(&output))
}

#[test]
fn a_rule_that_asks_whether_a_label_is_there_hides_no_rule_without_it() {
    let rules = r#"version: 1
defaults: {notify: [ops]}
rules:
  - {name: unless, match: {reason: BackOff}, except: {"label:podbell/ignore": "*"}}
  - {name: owned, match: {"label:team": "*"}}
  - {name: rest, match: {level: Warning}}
  - {name: never, match: {"label:team": "a"}}
"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let said = printed(&podbell(folder.path(), &["check", "rules.yaml"]).output().unwrap());
    assert_eq!(said.matches("can never fire").count(), 1, "{said}");
    assert!(said.contains("`never` can never fire"), "{said}");
}

#[test]
fn a_rule_test_gives_labels_and_annotations_of_its_events() {
    let tests = r#"rule_files: [rules.yaml]
tests:
  - name: by team
    events:
      - {reason: FailedMount, objName: a-1, labels: {team: payments}, annotations: {x: y}, counts: "1"}
      - {reason: FailedMount, objName: b-1, counts: "1"}
    expect: [{notice: opened, to: [pay]}, {notice: opened, to: [ops]}]
"#;
    let (code, said) = run(&[("rules.yaml", RULES), ("a.test.yaml", tests)], &["test", "a.test.yaml"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_recording_keeps_labels_and_a_backtest_follows_them() {
    let entry = |name: &str, labels: &str| {
        format!(
            r#"{{"firstSeen":"2026-01-01 19:18:00","lastSeen":"2026-01-01 19:18:00","count":1,"level":"Warning","objType":"Pod","objName":"{name}","reason":"FailedMount","message":"m"{labels}}}"#
        )
    };
    let line = |at: &str, list: &str| {
        format!(
            r#"{{"at":"2026-01-01 19:{at}:00","cluster":"c","namespace":"shop","service":"web","eventList":[{list}]}}"#
        )
    };
    let labelled = entry("a-1", r#","labels":{"team":"payments","n":7,"deep":{}},"annotations":"none""#);
    let recording =
        [line("17", ""), line("18", &format!("{labelled},{}", entry("b-1", ""))), line("19", "")].join("\n");
    let files = [("rules.yaml", RULES), ("r.jsonl", recording.as_str())];
    let (_, said) = run(&files, &["backtest", "--rules", "rules.yaml", "--output", "json", "r.jsonl"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let notices = report["notices"].as_array().unwrap().iter();
    let mut told: Vec<(String, bool)> =
        notices.map(|notice| (text(&notice["to"][0]), text(&notice["text"]).contains("a-1"))).collect();
    told.sort();
    assert_eq!(told, [("ops".to_owned(), false), ("pay".to_owned(), true)], "{said}");
}

#[test]
fn explain_takes_labels_and_says_which_destinations_they_choose() {
    let args = ["explain", "--rules", "rules.yaml", "--name", "a-1", "--reason", "FailedMount"];
    let (_, without) = run(&[("rules.yaml", RULES)], &args);
    assert!(without.contains("matches: wins ops"), "{without}");
    let with: Vec<&str> = args.iter().copied().chain(["--label", "team=payments"]).collect();
    let (_, said) = run(&[("rules.yaml", RULES)], &with);
    assert!(said.contains("matches: wins pay"), "{said}");
}

#[test]
fn mistakes_in_labels_are_explained() {
    let rules = r#"version: 1
rules:
  - {name: a, match: {"labels:team": x}, notify: [ops]}
  - {name: b, match: {"label:": x}, notify: [ops]}
  - {name: c, match: {reason: x}, group_by: ["label:a b"], notify: [ops]}
  - {name: d, match: {reason: y}, notify: {by: "label:team", map: {}, default: [ops]}}
  - {name: e, match: {reason: z}, notify: {by: team, map: {a: [ops]}}}
  - {name: f, match: {reason: w}, notify: {by: "label:team", map: {a: [opps]}, default: [pay]}}
"#;
    let config = "sources: [{name: s, kind: file, path: x.jsonl}]
notifiers: [{name: ops, kind: webhook, url: \"${URL}\"}, {name: pay, kind: webhook, url: \"${URL}\"}]
rules: [{files: rules.yaml, may_notify: [ops]}]
";
    let (code, said) = run(&[("rules.yaml", rules), ("podbell.yaml", config)], &["check"]);
    assert_eq!(code, Some(1), "{said}");
    for found in [
        "unknown key `labels:team`",
        "unknown key `label:`",
        "a label is written \"label:KEY\"",
        "`label:a b` is not a key to group by",
        "`map` lists nothing",
        "the key `default` is missing",
        "unknown destination `opps`",
        "this file may not notify `pay`",
    ] {
        assert!(said.contains(found), "{found}: {said}");
    }
}

#[test]
fn a_preview_of_a_rule_about_labels_shows_an_event_that_has_them() {
    let rules = "version: 1
rules: [{name: a, match: {\"label:team\": \"pay*\", \"annotation:owner\": ann}, notify: [ops], template: {title: \"{{ object_labels.team | default('-') }} {{ object_annotations.owner | default('-') }}\"}}]
";
    let (code, said) = run(&[("rules.yaml", rules)], &["preview", "--rules", "rules.yaml", "--notice", "opened"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("found no event"), "{said}");
    assert!(said.contains("pay") && said.contains(" ann"), "{said}");
}
