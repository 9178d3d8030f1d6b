//! What becomes of an incident that nobody acknowledges: who is told, what ends the steps, and that they survive.

use std::time::Duration;

use podbell_core::event::Event;
use podbell_core::message::{Style, compose};
use podbell_core::mute::Muted;
use podbell_core::scope::Scope;
use podbell_core::translations::Language;
use podbell_core::user_action::Act;

use crate::support::events::warning;
use crate::support::world::{World, WorldSpec, web};

const POD: &str = "web-6d4cf56db6-x2x7v";

const RULES: &str = "version: 1
rules:
  - name: mounts
    match: {reason: FailedMount}
    notify: [team]
    group_wait: 0s
    min_gap: 0s
    escalate: {counts: [100]}
    unacknowledged:
      - {after: 15m, notify: [on-call]}
      - {after: 30m, notify: [lead, team]}
";

fn world(rules: &str) -> World {
    let destinations = vec![("team", None), ("on-call", None), ("lead", None)];
    let mut world = World::new(WorldSpec { rules: vec![rules.to_owned()], destinations, ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.log.clear();
    world
}

fn mounts(count: u64, last: i64) -> Vec<Event<'static>> {
    vec![warning(POD, "FailedMount", "m", count, 59, last)]
}

/// Polls each minute with a count that grows by one a minute, as if it began at the start.
fn failing(world: &mut World, from: i64, until: i64) {
    for second in (from..=until).step_by(60) {
        world.run_until(second);
        world.poll(&web(), &mounts(u64::try_from(second / 60).unwrap(), second - 1));
    }
}

/// Polls each minute without anything new since `last`.
fn quiet(world: &mut World, last: i64, until: i64) {
    world.poll_until(&web(), &mounts(u64::try_from(last / 60).unwrap(), last - 1), until);
}

fn acknowledge(world: &mut World) {
    world.act("ann", &Scope::default(), Act::Acknowledge { id: 1 });
}

fn words(world: &World, language: Language) -> String {
    let style = Style { language, time_zone: jiff::tz::TimeZone::UTC, now: world.now };
    let message = compose(world.last_notice(), &style);
    format!("{}\n{}", message.title, message.text())
}

#[test]
fn each_step_is_told_once_and_whoever_was_told_hears_of_the_end() {
    let mut world = world(RULES);
    failing(&mut world, 60, 3000);
    let steps = [
        "60s team opened #1",
        // 15 and 30 minutes after it opened.
        "960s on-call opened #1",
        "1860s lead opened #1",
        "1860s team escalated #1",
    ];
    assert_eq!(world.told(), steps);
    quiet(&mut world, 3000, 5000);
    let ends = world.told().split_off(steps.len());
    assert_eq!(ends, ["3900s lead resolved #1", "3900s on-call resolved #1", "3900s team resolved #1"]);
}

#[test]
fn a_step_says_why_in_both_languages() {
    let mut world = world(RULES);
    failing(&mut world, 60, 960);
    let english = words(&world, Language::En);
    assert!(english.starts_with("🟠 Warning, not acknowledged #1 · shop/web: FailedMount"), "{english}");
    assert!(english.contains("\nNobody acknowledged this for 15 min. 15 times, 1 pod\n"), "{english}");
    let chinese = words(&world, Language::Zh);
    assert!(chinese.contains("告警无人认领 #1") && chinese.contains("已 15 分钟无人认领。15 次"), "{chinese}");
}

#[test]
fn an_acknowledgement_ends_the_steps_and_whoever_was_told_goes_on_hearing() {
    let mut world = world(RULES);
    failing(&mut world, 60, 960);
    acknowledge(&mut world);
    failing(&mut world, 1020, 6060);
    assert_eq!(
        world.told(),
        // It passes the step of 100 occurrences.
        ["60s team opened #1", "960s on-call opened #1", "6000s on-call escalated #1", "6000s team escalated #1"]
    );
}

#[test]
fn a_mute_that_covers_it_ends_the_steps_for_good_and_one_of_something_else_does_not() {
    let mute = |service: &str| Act::Mute {
        what: Muted::Service { cluster: None, namespace: None, service: service.into() },
        lasts: Duration::from_secs(120),
        why: None,
    };
    let mut muted = world(RULES);
    failing(&mut muted, 60, 600);
    muted.act("ann", &Scope::default(), mute("web"));
    failing(&mut muted, 660, 2400);
    assert_eq!(muted.told(), ["60s team opened #1", "600s team info", "720s team reminded #1"]);
    let mut other = world(RULES);
    failing(&mut other, 60, 600);
    other.act("ann", &Scope::default(), mute("api"));
    failing(&mut other, 660, 1000);
    assert_eq!(other.told().last().unwrap(), "960s on-call opened #1");
}

#[test]
fn the_end_ends_the_steps_and_a_reopening_begins_them_anew() {
    let mut world = world(RULES);
    failing(&mut world, 60, 600);
    quiet(&mut world, 600, 2400);
    let first = ["60s team opened #1", "960s on-call opened #1", "1500s on-call resolved #1", "1500s team resolved #1"];
    assert_eq!(world.told(), first);
    failing(&mut world, 2460, 3600);
    assert_eq!(world.told()[first.len()..], ["2460s team reopened #1", "3360s on-call reopened #1"]);
}

#[test]
fn who_was_called_before_it_reopened_hears_nothing_of_an_episode_that_somebody_takes() {
    let rules = RULES.replace("      - {after: 30m, notify: [lead, team]}\n", "");
    let mut world = world(&rules);
    failing(&mut world, 60, 960);
    quiet(&mut world, 960, 2400);
    let before = world.told().len();
    failing(&mut world, 2460, 2580);
    acknowledge(&mut world);
    failing(&mut world, 2640, 4000);
    quiet(&mut world, 3960, 7000);
    let again = world.told().split_off(before);
    assert_eq!(again, ["2460s team reopened #1", "6840s team resolved #1"]);
}

#[test]
fn steps_survive_a_restart_and_those_that_fell_due_meanwhile_are_told_once() {
    let mut world = world(RULES);
    failing(&mut world, 60, 900);
    world.kill();
    world.start();
    failing(&mut world, 960, 1200);
    world.kill();
    world.now = world.now.plus(Duration::from_secs(1200));
    world.start();
    failing(&mut world, 2460, 2600);
    assert_eq!(
        world.told(),
        ["60s team opened #1", "960s on-call opened #1", "2400s lead opened #1", "2400s team escalated #1"]
    );
}

#[test]
fn new_rules_tell_no_step_that_is_already_past_and_tell_those_to_come() {
    let bare = RULES.split("    unacknowledged:").next().unwrap().to_owned();
    let mut world = world(&bare);
    failing(&mut world, 60, 1200);
    world.reload(&[RULES]);
    failing(&mut world, 1260, 2000);
    assert_eq!(world.told(), ["60s team opened #1", "1860s lead opened #1", "1860s team escalated #1"]);
    // Without the step, only the end.
    world.reload(&[&bare]);
    failing(&mut world, 2040, 6060);
    quiet(&mut world, 6060, 7200);
    let rest = world.told().split_off(3);
    assert_eq!(rest, ["6000s team escalated #1", "6960s lead resolved #1", "6960s team resolved #1"]);
}

#[test]
fn what_is_held_is_not_counted_as_unacknowledged_until_it_is_told() {
    let rules = RULES.replace("    group_wait: 0s\n", "    group_wait: 0s\n    active: {hours: \"04:00-05:00\"}\n");
    let mut world = world(&rules);
    // The start is 03:06; it is told when the hours begin.
    failing(&mut world, 60, 4300);
    let told = world.told();
    let opened: i64 = told[0].split('s').next().unwrap().parse().unwrap();
    assert!(opened > 60 && told[0].ends_with("team opened #1"), "{told:?}");
    assert_eq!(told[1], format!("{}s on-call opened #1", opened + 900));
}

#[test]
fn a_step_that_is_held_is_dropped_by_an_acknowledgement() {
    let hours = |from: &str| {
        RULES.replace("    min_gap: 0s\n", &format!("    min_gap: 0s\n    active: {{hours: \"{from}\"}}\n"))
    };
    let mut held = world(&hours("03:00-03:20"));
    failing(&mut held, 60, 1500);
    assert_eq!(held.told(), ["60s team opened #1"]);
    acknowledge(&mut held);
    held.reload(&[RULES]);
    failing(&mut held, 1560, 4000);
    assert_eq!(held.told(), ["60s team opened #1"]);
}

#[test]
fn whoever_was_called_hears_of_the_end_even_where_the_rule_does_not_tell_it() {
    let rules = RULES.replace("    group_wait: 0s\n", "    group_wait: 0s\n    send_resolved: false\n");
    let mut world = world(&rules);
    failing(&mut world, 60, 960);
    quiet(&mut world, 960, 1800);
    acknowledge(&mut world);
    quiet(&mut world, 960, 3000);
    assert_eq!(world.told(), ["60s team opened #1", "960s on-call opened #1", "1860s on-call resolved #1"]);
}
