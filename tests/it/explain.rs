//! `podbell explain`: the paper trail of what happened, and what rules say of an event.

use std::path::Path;

use podbell_core::event::{Event, Level, Subject, Target};
use podbell_core::rules::explain::RuleVerdict;
use podbell_core::step::decision::{Effect, Verdict};
use podbell_core::time::Time;
use podbell_store::DecisionFilter;
use proptest::prelude::*;

use crate::support::events::warning;
use crate::support::process::{podbell, printed};
use crate::support::world::{World, compiled, web};

const RULES: &str = "version: 1
defaults: {notify: [team]}
rules:
  - {name: noise, match: {reason: Unhealthy}, action: ignore}
  - {name: pulls, match: {reason: [Failed, BackOff], message: /image/}, open_when: {count: 3, within: 10m}}
  - {name: mounts, match: {reason: FailedMount}, except: [{objName: 'canary-*'}]}
";

const POD: &str = "web-6d4cf56db6-x2x7v";

/// A world in which one Warning of each kind happened.
fn lived() -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let first = [
        warning(POD, "Failed", "no such image", 1, 59, 59),
        warning(POD, "Unhealthy", "Readiness probe failed", 9, 59, 59),
        warning(POD, "Evicted", "low on memory", 1, 59, 59),
    ];
    world.poll(&web(), &first);
    world.run_until(120);
    world.poll(&web(), &[warning(POD, "Failed", "no such image", 4, 59, 119), first[1].clone(), first[2].clone()]);
    world.run_until(180);
    world.poll(&web(), &[warning(POD, "Failed", "no such image", 5, 59, 179), first[1].clone(), first[2].clone()]);
    world.run_until(200);
    world
}

fn explain(world: &World, args: &[&str]) -> String {
    explain_under(RULES, world, args)
}

fn explain_under(rules: &str, world: &World, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "sources: [{{name: prod, kind: file, path: play.jsonl}}]\nnotifiers: [{{name: team, kind: console}}]\n\
         rules: [rules-0.yaml]\nstore: 'sqlite:{}'\n",
        world.store_path().display()
    );
    std::fs::write(folder.path().join("podbell.yaml"), config).unwrap();
    std::fs::write(folder.path().join("rules-0.yaml"), rules).unwrap();
    let args: Vec<&str> = ["explain"].iter().chain(args).copied().collect();
    printed(&podbell(folder.path(), &args).output().unwrap())
}

/// Without the generations of rules: they change with every new key of rules.
fn stable(said: &str) -> String {
    let line = |line: &&str| !line.trim_start().starts_with("rules ");
    said.lines().filter(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_incident_is_explained_from_its_first_change_to_its_deliveries() {
    let said = explain(&lived(), &["#1"]);
    let generations: std::collections::BTreeSet<&str> =
        said.lines().filter(|line| line.contains("    rules ")).collect();
    assert_eq!(generations.len(), 1, "all polls were judged by the same rules: {said}");
    insta::assert_snapshot!(stable(&said));
}

#[test]
fn every_warning_change_has_a_deciding_step() {
    let mut world = lived();
    let decisions = world.reader().snapshot().unwrap().decisions(&DecisionFilter::default(), 100).unwrap();
    // Changes of one poll come in the order of a hash that each store seeds anew.
    let mut verdicts: Vec<String> = decisions
        .iter()
        .map(|decision| match &decision.verdict {
            Verdict::NoRule => format!("{}: no rule", decision.reason),
            Verdict::Ignored(rules) => format!("{}: ignored by {}", decision.reason, rules[0].name),
            Verdict::Claimed(claimed) => format!("{}: {:?}", decision.reason, claimed[0].effect),
        })
        .collect();
    verdicts.sort();
    insta::assert_debug_snapshot!(verdicts, @r#"
    [
        "Evicted: no rule",
        "Failed: Counted",
        "Failed: Gathers { have: 1, need: 3 }",
        "Failed: Opened",
        "Unhealthy: ignored by noise",
    ]
    "#);
    assert_eq!(world.engine().totals().steps.warning_changes, 5);
}

#[test]
fn what_does_not_count_yet_because_its_object_is_new_is_explained() {
    let rules = "version: 1\nrules:\n  - {name: probes, match: {reason: Unhealthy}, notify: [team], open_when: {count: 3, within: 10m, settled: 5m}}\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "Unhealthy", "Readiness probe failed", 9, 30, 59)]);
    world.run_until(360);
    world.poll(&web(), &[warning(POD, "Unhealthy", "Readiness probe failed", 12, 30, 335)]);
    world.run_until(400);
    let said = explain_under(rules, &world, &["#1"]);
    assert!(
        said.contains("its object is new; the event counts if the trouble goes on after 2026-01-02 03:09:30Z"),
        "{said}"
    );
    assert!(said.contains("incident #1 opened"), "{said}");
}

#[test]
fn what_an_incident_came_back_from_is_said_too() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.poll_until(&web(), &[warning(POD, "FailedMount", "m", 1, 30, 30)], 1200);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 2, 30, 1190)]);
    let decisions = world
        .reader()
        .snapshot()
        .unwrap()
        .decisions(&DecisionFilter { incident: Some(1), ..DecisionFilter::default() }, 10)
        .unwrap();
    let Some(Verdict::Claimed(claimed)) = decisions.last().map(|decision| &decision.verdict) else { panic!() };
    assert_eq!(claimed[0].effect, Effect::Reopened);
}

#[test]
fn warnings_of_a_workload_can_be_asked_for_and_an_incident_that_is_not_there_is_an_error() {
    let world = lived();
    insta::assert_snapshot!(stable(&explain(&world, &["--workload", "web", "--reason", "Unhealthy"])));
    assert!(explain(&world, &["--workload", "other"]).contains("No Warning change of that kind"));
    assert!(explain(&world, &["#77"]).contains("there is no incident #77"));
    assert!(explain(&world, &["seven"]).contains("is not an incident"));
}

#[test]
fn an_incident_becomes_a_test_case_that_passes() {
    let world = lived();
    let case = explain(&world, &["#1", "--as-test"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules-0.yaml"), RULES).unwrap();
    std::fs::write(folder.path().join("a.test.yaml"), &case).unwrap();
    let output = podbell(folder.path(), &["test", "a.test.yaml"]).output().unwrap();
    assert!(output.status.success(), "{case}\n{}", printed(&output));
    assert!(case.contains("notice: opened") && case.contains("notice: resolved"), "{case}");
}

#[test]
fn a_test_case_of_an_incident_names_nodes_and_signals() {
    let rules =
        "version: 1\ndefaults: {notify: [team]}\nrules: [{name: killed, match: {node: n1, reason: OOMKilled}}]\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let killed = warning(POD, "OOMKilled", "Container web was killed", 1, 30, 30);
    let killed = Event { node: Some("n1".into()), signal: true, ..killed };
    world.poll_until(&web(), &[killed], 1200);
    let case = explain_under(rules, &world, &["#1", "--as-test"]);
    assert!(case.contains("node: \"n1\"") && case.contains("signal: true"), "{case}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules-0.yaml"), rules).unwrap();
    std::fs::write(folder.path().join("a.test.yaml"), &case).unwrap();
    let output = podbell(folder.path(), &["test", "a.test.yaml"]).output().unwrap();
    assert!(output.status.success(), "{case}\n{}", printed(&output));
}

#[test]
fn every_rule_is_asked_about_the_node_and_the_signal_of_the_past_change() {
    let rules =
        "version: 1\ndefaults: {notify: [team]}\nrules: [{name: killed, match: {node: n1, reason: OOMKilled}}]\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let killed = warning(POD, "OOMKilled", "Container web was killed", 1, 30, 30);
    world.poll(&web(), &[Event { node: Some("n1".into()), signal: true, ..killed }]);
    let said = explain_under(rules, &world, &["#1"]);
    assert!(said.contains("killed") && !said.contains("no match"), "{said}");
}

fn typed(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let all: Vec<&str> = ["explain", "--rules", "rules.yaml"].iter().chain(args).copied().collect();
    printed(&podbell(folder.path(), &all).output().unwrap())
}

#[test]
fn a_typed_event_is_explained_rule_by_rule() {
    insta::assert_snapshot!(typed(&["--name", "canary-1", "--reason", "FailedMount", "--message", "no such volume"]));
    insta::assert_snapshot!(typed(&["--name", POD, "--reason", "Failed", "--message", "no such image"]));
    assert!(typed(&["--name", "x", "--reason", "Unhealthy"]).contains("nobody would be told"));
}

#[test]
fn what_holds_a_notice_back_is_explained() {
    let rules = "version: 1
maintenance: {name: move, until: \"2026-12-01 22:00\"}
rules:
  - {name: node, match: {objType: Node}, notify: [team], inhibit: {rules: mounts, equal: cluster}}
  - {name: mounts, match: {reason: FailedMount}, notify: [team], active: {days: mon-fri, hours: \"09:00-18:00\"}, unacknowledged: {after: 15m, notify: [on-call, lead]}}
";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let args = ["explain", "--rules", "rules.yaml", "--name", POD, "--reason", "FailedMount"];
    insta::assert_snapshot!(printed(&podbell(folder.path(), &args).output().unwrap()));
}

#[test]
fn a_typed_event_becomes_a_test_case() {
    insta::assert_snapshot!(typed(&["--name", POD, "--reason", "FailedMount", "--message", "a \"b\": c", "--as-test"]));
}

#[test]
fn the_warnings_of_a_list_are_explained() {
    let list =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/lists/troubleshoot-image-pull-fail.json");
    let said = typed(&["--list", list.to_str().unwrap()]);
    assert!(said.contains("matches: wins team"), "{said}");
}

proptest! {
    /// The slow way with reasons and the quick way without say the same.
    #[test]
    fn explaining_and_claiming_agree(
        reason in prop::sample::select(vec!["Failed", "BackOff", "Unhealthy", "FailedMount", "Other"]),
        message in prop::sample::select(vec!["an image", "none", ""]),
        name in prop::sample::select(vec!["canary-1", "web-1"]),
        normal in any::<bool>(),
    ) {
        let rules = compiled(&[RULES.to_owned(), "version: 1\nrules:\n  - {name: audit, match: {}, notify: [team, audit]}\n".to_owned()]);
        let target = Target::new("prod", "cls-1", "shop", "web");
        let event = Event {
            first_seen: Time::default(),
            last_seen: Time::default(),
            count: 1,
            level: if normal { Level::Normal } else { Level::Warning },
            obj_type: "Pod".into(),
            obj_name: name.into(),
            reason: reason.into(),
            message: message.into(), ..Event::default() };
        let subject = Subject { target: &target, event: &event, workload: "web" };
        let claimed: Vec<_> = rules
            .claims(&subject)
            .into_iter()
            .map(|claim| (rules.get(claim.rule).settings.key.clone(), claim.destinations))
            .collect();
        let explained: Vec<_> = rules
            .explain(&subject)
            .into_iter()
            .filter_map(|step| match step.because {
                RuleVerdict::Claims(to) => Some((step.rule, to)),
                _ => None,
            })
            .collect();
        prop_assert_eq!(claimed, explained);
    }
}

/// An incident with 60 changes, nearly all of which only counted, and that got worse once.
fn long() -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    for poll in 1..=60i64 {
        let now = 60 + poll * 15;
        world.poll(&web(), &[warning(POD, "Failed", "no such image", poll as u64 * 2, 59, now - 1)]);
        world.run_until(now + 1);
    }
    world
}

#[test]
fn however_many_changes_there_are_the_first_the_opening_each_step_and_the_newest_are_explained() {
    let world = long();
    assert_eq!(world.told().iter().filter(|told| told.contains("escalated")).count(), 1, "{:?}", world.told());
    let said = explain(&world, &["#1", "--limit", "5"]);
    let changes = |said: &str| said.lines().filter(|line| line.contains(" Failed: ")).count();
    for says in ["gathers: 2 of 3", "incident #1 opened", " 120 in all", "of 60 changes"] {
        assert!(said.contains(says), "{says}: {said}");
    }
    let left_out: u64 = (said.lines().filter_map(|line| line.strip_prefix("... ")?.strip_suffix(" more changes here")))
        .map(|n| n.parse::<u64>().unwrap())
        .sum();
    assert_eq!(changes(&said) as u64 + left_out, 60, "what is left out is counted: {said}");
    // The pages after it have all the others.
    let mut seen = std::collections::BTreeSet::new();
    for page in 1..=12 {
        let said = explain(&world, &["#1", "--limit", "5", "--page", &page.to_string()]);
        let in_all = |line: &str| line.split_once(" new, ").map(|(_, after)| after.to_owned());
        seen.extend(said.lines().filter_map(in_all));
    }
    assert_eq!(seen.len(), 60, "{seen:?}");
    let whole = explain(&world, &["#1", "--limit", "60"]);
    assert!(changes(&whole) == 60 && !whole.contains("more changes here") && !whole.contains("page 1 of"), "{whole}");
}
