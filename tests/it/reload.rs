//! Rules that change while podbell runs: nobody is silenced, nothing is told twice.

use std::os::unix::fs::symlink;

use podbell_core::event::Target;
use podbell_core::notice::{CloseReason, NoticeBody};
use rustix::process::Signal;

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::events::warning;
use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::{self, Receiver};
use crate::support::site::{QUICK_RULES, Site};
use crate::support::world::{World, WorldSpec, web};

const POD: &str = "web-6d4cf56db6-x2x7v";
const SHOP: &str = "version: 1
rules:
  - {name: mounts, match: {reason: FailedMount}, notify: [team], group_wait: 0s, min_gap: 0s}
";
const OTHER: &str = "version: 1
rules:
  - {name: pulls, match: {reason: Failed}, notify: [team], group_wait: 0s, min_gap: 0s}
";
const BROKEN: &str = "version: 1\nrules:\n  - {name: mounts, match: {raeson: FailedMount}, notify: [team]}\n";

fn world(rules: &[&str]) -> World {
    let mut world = World::new(WorldSpec {
        rules: rules.iter().map(|text| (*text).to_owned()).collect(),
        operator: vec!["team"],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.log.clear();
    world
}

fn happens(world: &mut World, second: i64, reason: &str, count: u64) {
    world.run_until(second);
    let event = warning(POD, reason, &format!("a message of {reason}"), count, 30, second - 1);
    world.poll(&web(), &[event]);
}

/// What was told of rule files.
fn told_of_files(world: &World) -> Vec<String> {
    let notices = world.log.iter().flat_map(|request| &request.notices);
    let trouble = notices.filter_map(|notice| match &notice.body {
        NoticeBody::Trouble(trouble) => Some(format!("{} {}", notice.kind.as_str(), trouble.text)),
        _ => None,
    });
    trouble.collect()
}

#[test]
fn a37_a_broken_file_keeps_its_last_good_version_and_is_told_once_and_resolved_once() {
    let mut world = world(&[SHOP, OTHER]);
    // The other file has a new rule for Evicted, this one a typo.
    let more = format!("{OTHER}  - {{name: evicted, match: {{reason: Evicted}}, notify: [team], group_wait: 0s}}\n");
    world.run_until(50);
    world.reload(&[BROKEN, &more]);
    world.reload(&[BROKEN, &more]);
    happens(&mut world, 60, "FailedMount", 1);
    happens(&mut world, 120, "Evicted", 1);
    let told = world.told();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(
        told_of_files(&world),
        ["opened rules-0.yaml:3:28: error: unknown key `raeson` (did you mean `reason`?)"]
    );
    // The last good version holds over a restart, too, and the file is not told again.
    world.kill();
    world.start();
    world.run_until(150);
    world.poll(&Target::new("prod", "cls-1", "shop", "api"), &[]);
    world.run_until(180);
    let event = warning("api-6d4cf56db6-x2x7v", "FailedMount", "m", 1, 179, 179);
    world.poll(&Target::new("prod", "cls-1", "shop", "api"), &[event]);
    assert_eq!(world.told().len(), 4, "{:?}", world.told());
    world.reload(&[SHOP, &more]);
    world.reload(&[SHOP, &more]);
    assert_eq!(told_of_files(&world).len(), 2);
    assert!(told_of_files(&world)[1].starts_with("resolved"), "{:?}", told_of_files(&world));
}

#[test]
fn a_file_that_never_was_good_is_covered_by_the_built_in_rules_and_told() {
    let mut world = world(&[BROKEN]);
    happens(&mut world, 60, "FailedMount", 1);
    world.run_until(100);
    assert!(world.told().contains(&"75s team opened #2".to_owned()), "{:?}", world.told());
    let mut again =
        World::new(WorldSpec { rules: vec![BROKEN.into()], operator: vec!["team"], ..WorldSpec::default() });
    again.run_until(1);
    let told = told_of_files(&again);
    assert_eq!(told.len(), 1);
    let NoticeBody::Trouble(trouble) = &again.log[0].notices[0].body else { panic!() };
    assert!(trouble.advice.contains("the built-in rules apply instead"), "{}", trouble.advice);
}

#[test]
fn the_built_in_rules_stand_in_for_a_broken_file_within_its_scope_and_for_its_own_channel() {
    let broken = "version: 1
scope: {namespace: shop}
defaults: {notify: [other]}
rules:
  - {name: mounts, match: {raeson: FailedMount}}
";
    let mut world = World::new(WorldSpec {
        rules: vec![broken.to_owned()],
        destinations: vec![("team", None), ("other", None)],
        ..WorldSpec::default()
    });
    let elsewhere = Target::new("prod", "cls-1", "payments", "api");
    for target in [web(), elsewhere.clone()] {
        world.poll(&target, &[]);
        world.run_until(30);
        world.poll(&target, &[warning(POD, "FailedMount", "m", 1, 29, 29)]);
    }
    world.run_until(100);
    assert_eq!(world.told(), ["45s other opened #2"], "the trouble with the file is #1");
}

#[test]
fn a38_an_incident_of_a_renamed_rule_goes_on_and_is_not_told_again() {
    let mut world = world(&[SHOP]);
    happens(&mut world, 60, "FailedMount", 1);
    world.reload(&[&SHOP.replace("name: mounts", "name: volumes")]);
    happens(&mut world, 120, "FailedMount", 2);
    world.poll_until(&web(), &[], 2000);
    assert_eq!(world.told(), ["60s team opened #1", "1020s team resolved #1"]);
    assert_eq!(&*world.engine().state().unwrap().incident(1).unwrap().rule.name, "volumes");
}

#[test]
fn a38_an_incident_that_no_rule_takes_over_closes_as_rule_removed() {
    for other in [OTHER.to_owned(), SHOP.replace("group_wait", "group_by: [cluster, service], group_wait")] {
        let mut world = world(&[SHOP]);
        happens(&mut world, 60, "FailedMount", 1);
        world.reload(&[&other]);
        world.run_until(61);
        assert_eq!(world.told(), ["60s team opened #1", "60s team closed #1"]);
        let NoticeBody::Incident(story) = &world.last_notice().body else { panic!() };
        assert_eq!(story.closed_because, Some(CloseReason::RuleRemoved));
    }
}

#[test]
fn steps_that_were_passed_before_a_reload_are_not_told_after_it() {
    let mut world = world(&[SHOP]);
    happens(&mut world, 60, "FailedMount", 30);
    world.reload(&[&SHOP.replace("group_wait", "escalate: {counts: [10, 20, 40]}, group_wait")]);
    happens(&mut world, 120, "FailedMount", 35);
    happens(&mut world, 180, "FailedMount", 41);
    assert_eq!(world.told(), ["60s team opened #1", "180s team escalated #1"]);
}

#[test]
fn new_rules_see_only_changes_after_loading() {
    let mut world = world(&[OTHER]);
    happens(&mut world, 60, "FailedMount", 500);
    world.reload(&[OTHER, SHOP]);
    world.run_until(200);
    assert_eq!(world.told(), [""; 0]);
    happens(&mut world, 240, "FailedMount", 501);
    assert_eq!(world.told(), ["240s team opened #1"]);
}

#[test]
fn a_hundred_reloads_under_load_lose_and_repeat_nothing() {
    let lived = |reloads: bool| {
        let mut world = world(&[SHOP, OTHER]);
        for n in 1..=100 {
            let reason = if n % 3 == 0 { "Failed" } else { "FailedMount" };
            happens(&mut world, n * 60, reason, u64::try_from(n).unwrap());
            if reloads {
                let label = |text: &str| text.replace("group_wait", &format!("labels: {{n: '{n}'}}, group_wait"));
                let first = if n % 4 == 0 { BROKEN.to_owned() } else { label(SHOP) };
                world.reload(&[&first, &label(OTHER)]);
            }
            if reloads && n % 10 == 0 {
                world.kill();
                world.start();
            }
        }
        world.run_until(12_000);
        let incidents = world.log.iter().flat_map(|request| &request.notices).filter_map(|notice| {
            let NoticeBody::Incident(story) = &notice.body else { return None };
            Some((notice.kind, notice.caused_at, story.workload.clone(), story.occurrences))
        });
        incidents.collect::<Vec<_>>()
    };
    assert_eq!(lived(true), lived(false));
}

/// Waits for a line of the log that comes after what it holds already.
async fn logged(running: &crate::support::site::Running, what: &str, times: usize) {
    let look = || (running.process.stderr().matches(what).count() >= times).then_some(());
    eventually(PATIENCE, what, look).await;
}

#[tokio::test]
async fn a39_files_that_change_are_reloaded_once_however_they_are_written() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    // As a ConfigMap has it: rules.yaml -> ..data/rules.yaml, ..data -> a folder with a date.
    for (folder, text) in
        [("first", QUICK_RULES.to_owned()), ("second", QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 3s"))]
    {
        std::fs::create_dir(site.path(folder)).unwrap();
        std::fs::write(site.path(folder).join("rules.yaml"), text).unwrap();
    }
    std::fs::remove_file(site.path("rules.yaml")).unwrap();
    symlink("first", site.path("..data")).unwrap();
    symlink("..data/rules.yaml", site.path("rules.yaml")).unwrap();
    let running = site.run().await;
    symlink("second", site.path("..new")).unwrap();
    std::fs::rename(site.path("..new"), site.path("..data")).unwrap();
    logged(&running, "other rules apply from now on", 1).await;
    // An editor that writes in two steps: an empty file for a moment.
    std::fs::write(site.path("second/rules.yaml"), "").unwrap();
    std::fs::write(site.path("second/rules.yaml"), QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 4s"))
        .unwrap();
    logged(&running, "other rules apply from now on", 2).await;
    assert!(!running.process.stderr().contains("a rule file is refused"), "{}", running.process.stderr());
}

#[tokio::test]
async fn rules_are_reloaded_on_sighup_and_when_asked_over_http() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    let mut running = site.run().await;
    logged(&running, "podbell runs", 1).await;
    let url = format!("http://{}/-/reload", running.listen);
    let ask = || async { receiver::client().post(&url).timeout(PATIENCE).send().await.unwrap() };
    // The server is bound before it answers; a connection waits for it.
    let answer = ask().await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "1 rule file, 1 rule\n"));
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 2s"));
    running.process.signal(Signal::HUP);
    logged(&running, "other rules apply from now on", 1).await;
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after", "resolve_afer"));
    let answer = ask().await;
    assert_eq!(answer.status().as_u16(), 422);
    assert!(answer.text().await.unwrap().contains("did you mean `resolve_after`?"));
    logged(&running, "a rule file is refused", 1).await;
    assert_eq!(receiver::client().get(&url).send().await.unwrap().status().as_u16(), 405);
    // podbell.yaml itself with a mistake: everything stays as it is.
    let good = std::fs::read_to_string(site.path("podbell.yaml")).unwrap();
    site.write("podbell.yaml", &format!("{good}nonsense: 1\n"));
    assert_eq!(ask().await.status().as_u16(), 422);
    logged(&running, "the rules stay as they were", 1).await;
    assert!(running.process.stop().await.success());
}

#[tokio::test]
async fn podbell_starts_with_the_last_good_version_of_a_file_that_was_broken_meanwhile() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    let mut running = site.run().await;
    let stored = || site.path("podbell.db").exists() && !site.rows("SELECT name FROM rule_file").is_empty();
    eventually(PATIENCE, "the text is stored", || stored().then_some(())).await;
    assert!(running.process.stop().await.success());
    site.write("rules.yaml", "version: 1\nrules:\n  - {name: broken\n");
    let mut running = site.run().await;
    logged(&running, "its last good version holds", 1).await;
    assert!(running.process.stop().await.success());
}

#[tokio::test]
async fn a_rule_file_that_cannot_be_read_keeps_its_last_good_version_and_no_other_file_waits_for_it() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("rules: [rules.yaml]", "rules: [rules.yaml, team.yaml]");
    let team = "version: 1\nrules:\n  - {name: of-the-team, match: {reason: Other}, notify: [audit]}\n";
    site.write("team.yaml", team);
    let mut running = site.run().await;
    let stored = || site.path("podbell.db").exists() && site.rows("SELECT name FROM rule_file").len() == 2;
    eventually(PATIENCE, "the texts are stored", || stored().then_some(())).await;
    // As an editor with another encoding saves it.
    std::fs::write(site.path("team.yaml"), b"version: 1 # \xd6\xd0\xce\xc4\n").unwrap();
    logged(&running, "the file is not UTF-8 from here on", 1).await;
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 3s"));
    logged(&running, "other rules apply from now on", 1).await;
    assert!(running.process.stop().await.success());
    let mut running = site.run().await;
    logged(&running, "its last good version holds", 1).await;
    let (code, said) = site.command(&["check"]).await;
    assert!(code == 1 && said.contains("the file is not UTF-8 from here on"), "{said}");
    let (code, said) = site.command(&["outbox", "list"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(running.process.stop().await.success());
}

#[tokio::test]
async fn rule_files_that_vanish_for_a_while_change_nothing_and_are_told_of() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("rules: [rules.yaml]", "rules: [\"*.rules.yaml\"]");
    std::fs::rename(site.path("rules.yaml"), site.path("a.rules.yaml")).unwrap();
    let mut running = site.run().await;
    logged(&running, "podbell runs", 1).await;
    std::fs::rename(site.path("a.rules.yaml"), site.path("hidden")).unwrap();
    logged(&running, "matches no file any more", 1).await;
    std::fs::rename(site.path("hidden"), site.path("a.rules.yaml")).unwrap();
    logged(&running, "a rule file is good again", 1).await;
    assert!(!running.process.stderr().contains("other rules apply"), "{}", running.process.stderr());
    // Somebody who asks for it gets the built-in rules, and hears why.
    std::fs::remove_file(site.path("a.rules.yaml")).unwrap();
    running.process.signal(Signal::HUP);
    logged(&running, "other rules apply from now on", 1).await;
    logged(&running, "the built-in rules apply in its place", 1).await;
    assert!(running.process.stop().await.success());
}

#[tokio::test]
async fn podbell_starts_without_the_files_of_a_glob_tells_the_operator_and_every_warning() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("rules: [rules.yaml]", "rules: [\"rules/*.yaml\"]\noperator: {notify: [audit]}");
    let rules = std::fs::read_to_string(site.path("rules.yaml")).unwrap();
    let mut running = site.run().await;
    let told = |part: &'static str| {
        let receiver = &receiver;
        move || receiver.received().iter().any(|one| one.json().to_string().contains(part)).then_some(())
    };
    eventually(PATIENCE, "the operator is told", told("matches no file")).await;
    eventually(PATIENCE, "the built-in rules tell the Warning", told("built-in")).await;
    // Files that come later end it.
    std::fs::create_dir(site.path("rules")).unwrap();
    site.write("rules/team.yaml", &rules);
    logged(&running, "a rule file is good again", 1).await;
    assert!(running.process.stop().await.success());
}

#[test]
fn a_refusal_that_comes_with_good_rules_does_not_take_them_back() {
    let mut world = world(&[OTHER]);
    let refused = podbell_core::source::Problem {
        code: "rules".into(),
        text: "half a file".into(),
        advice: "mend it".into(),
        gone: false,
    };
    world.reload_then_refuse(&[OTHER, SHOP], refused);
    happens(&mut world, 60, "FailedMount", 1);
    world.run_until(70);
    assert_eq!(told_of_files(&world), ["opened half a file"]);
    assert!(world.told().contains(&"60s team opened #2".to_owned()), "{:?}", world.told());
}

#[test]
fn a_destination_that_a_rule_no_longer_notifies_hears_only_of_the_end() {
    let both = SHOP.replace("notify: [team]", "notify: [team, other]");
    let mut world = World::new(WorldSpec {
        rules: vec![both],
        destinations: vec![("team", None), ("other", None)],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    happens(&mut world, 60, "FailedMount", 1);
    world.reload(&[SHOP]);
    happens(&mut world, 120, "FailedMount", 200);
    world.poll_until(&web(), &[], 2000);
    assert_eq!(world.told_to("team"), ["60s team opened #1", "120s team escalated #1", "1020s team resolved #1"]);
    assert_eq!(world.told_to("other"), ["60s other opened #1", "1020s other resolved #1"]);
}
