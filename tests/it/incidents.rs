//! Incidents from the first occurrence to the end, in virtual time: what is told, when, and that
//! nothing else is.

use jiff::tz::TimeZone;
use podbell::engine::EngineEvent;
use podbell::sources::SourceEvent;
use podbell_core::event::{Event, Level, Target};
use podbell_core::message::{Style, compose};
use podbell_core::notice::{CloseReason, Info, NoticeBody, NoticeKind, Story};
use podbell_core::translations::Language;

use crate::support::events::warning;
use crate::support::world::{World, WorldSpec, web};

const POD: &str = "web-6d4cf56db6-x2x7v";

/// A world that watches shop/web and has read it once, empty, at 0 s.
fn started(rules: &str) -> World {
    let mut world = if rules.is_empty() { World::builtin() } else { World::with_rules(rules) };
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world
}

fn normal(mut event: Event<'static>) -> Event<'static> {
    event.level = Level::Normal;
    event
}

fn story(world: &World) -> Story {
    match &world.last_notice().body {
        NoticeBody::Incident(story) => (**story).clone(),
        other => panic!("not about an incident: {other:?}"),
    }
}

#[test]
fn one_warning_and_then_silence_is_one_opened_and_one_resolved() {
    let mut world = started("");
    let events = [warning(POD, "FailedMount", "no such volume", 1, 30, 30)];
    world.run_until(60);
    world.poll(&web(), &events);
    world.poll_until(&web(), &events, 7200);
    assert_eq!(world.told(), ["75s team opened #1", "960s team resolved #1"]);
    assert_eq!(story(&world).quiet_seconds, 900);
}

#[test]
fn a2_a_fresh_problem_at_first_contact_is_told_with_its_whole_count() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[warning(POD, "FailedMount", "MountVolume.SetUp failed", 40, -3000, -120)]);
    world.run_until(60);
    assert_eq!(world.told(), ["15s team opened #1"]);
    assert_eq!((story(&world).occurrences, story(&world).in_all), (1, 40));
}

#[test]
fn a1_what_was_already_there_is_counted_in_the_first_contact_and_not_alerted() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[warning(POD, "BackOff", "b", 6530, -90_000, -1800)]);
    world.run_until(3600);
    assert_eq!(world.told(), ["0s team info"]);
    let NoticeBody::Info(Info::FirstContact { services, already_there, clock_hint, .. }) = &world.last_notice().body
    else {
        panic!("not the first contact")
    };
    assert_eq!((*services, *already_there, clock_hint.clone()), (1, 1, None));
}

#[test]
fn a_wrong_time_zone_is_noticed_at_first_contact() {
    for (off, hours, zone) in [(-8 * 3600, -8, Some("UTC")), (8 * 3600, 8, None), (-9 * 3600, -9, None)] {
        let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
        world.watch(&[web()]);
        let events = [warning("a", "x", "y", 1, off - 100, off - 60), warning("b", "x", "y", 1, off - 100, off - 1800)];
        world.poll(&web(), &events);
        world.run_until(200);
        let first = world.log.iter().flat_map(|r| &r.notices).find_map(|notice| match &notice.body {
            NoticeBody::Info(Info::FirstContact { clock_hint, .. }) => clock_hint.clone(),
            _ => None,
        });
        let hint = first.expect("a hint");
        assert_eq!((hint.hours, hint.zone.as_deref()), (hours, zone), "{off}");
    }
}

#[test]
fn a3_failed_polls_are_no_silence_and_no_change() {
    let mut world = started("");
    let events = [warning(POD, "FailedMount", "m", 1, 30, 30)];
    world.run_until(60);
    world.poll(&web(), &events);
    for minute in 2..22 {
        world.run_until(minute * 60);
        world.fail(&web(), "5000");
    }
    assert_eq!(world.told(), ["75s team opened #1"], "blind time does not resolve");
    world.run_until(22 * 60);
    world.poll(&web(), &events);
    assert_eq!(world.told(), ["75s team opened #1", "1320s team resolved #1"]);
    assert_eq!(world.last_notice().caused_at, crate::support::events::at(960));
}

#[test]
fn a9_after_a_stop_of_half_an_hour_what_happened_meanwhile_is_told_once() {
    let mut world = started("");
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 50, 30, 59)]);
    world.run_until(120);
    world.kill();
    world.now = crate::support::events::at(1920);
    world.start();
    let after = [warning(POD, "FailedMount", "m", 350, 30, 1900)];
    world.watch(&[web()]);
    world.poll(&web(), &after);
    world.run_until(1980);
    world.poll(&web(), &after);
    assert_eq!(world.told(), ["75s team opened #1", "1920s team escalated #1"]);
    assert_eq!(story(&world).occurrences, 350);
}

#[test]
fn a10_after_a_stop_of_three_hours_podbell_says_that_it_was_blind_and_resolves_nothing_at_once() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 5, 30, 59)]);
    world.run_until(120);
    world.kill();
    world.now = crate::support::events::at(3 * 3600);
    world.start();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(3 * 3600 + 70);
    let told = world.told();
    assert_eq!(told, ["0s team info", "75s team opened #1", "10860s team info"]);
    let NoticeBody::Info(Info::Blind { from, until, .. }) = &world.last_notice().body else { panic!("not blind") };
    assert_eq!(
        (from.millis() / 1000, until.millis() / 1000),
        (crate::support::events::at(60).seconds(), crate::support::events::at(10_800).seconds())
    );
    // Fifteen minutes of observed silence later it is over.
    world.poll_until(&web(), &[], 3 * 3600 + 1200);
    assert_eq!(world.told().last().unwrap(), "11710s team resolved #1");
}

#[test]
fn a13_three_reasons_of_one_failed_image_pull_on_three_pods_are_one_opened() {
    let mut world = started("");
    let pods = ["web-6d4cf56db6-x2x7v", "web-6d4cf56db6-bbbbb", "web-6d4cf56db6-ccccc"];
    world.run_until(60);
    let mut events = vec![warning(pods[0], "Failed", "Failed to pull image \"x\": not found", 1, 50, 50)];
    world.poll(&web(), &events);
    world.run_until(70);
    events.push(warning(pods[1], "Failed", "Error: ErrImagePull", 1, 62, 62));
    events.push(warning(pods[2], "BackOff", "Back-off pulling image \"x\"", 1, 65, 65));
    world.poll(&web(), &events);
    world.run_until(200);
    events.push(warning(pods[1], "Failed", "Error: ImagePullBackOff", 1, 190, 190));
    world.poll(&web(), &events);
    world.run_until(600);
    assert_eq!(world.told(), ["75s team opened #1"]);
    assert_eq!(story(&world).objects, 3);
}

#[test]
fn a14_an_unrelated_reason_that_joins_is_one_escalated_that_names_it() {
    let mut world = started("");
    world.run_until(60);
    let mut events = vec![warning(POD, "FailedMount", "m", 1, 50, 50)];
    world.poll(&web(), &events);
    world.run_until(120);
    events.push(warning(POD, "OOMKilling", "Memory cgroup out of memory", 1, 110, 110));
    world.poll(&web(), &events);
    world.run_until(600);
    // Another kind of trouble does not wait for min_gap.
    assert_eq!(world.told(), ["75s team opened #1", "135s team escalated #1"]);
    assert_eq!(story(&world).reasons[0].reason, "OOMKilling", "what is new comes first");
    assert_eq!(story(&world).news, ["OOMKilling: Memory cgroup out of memory"]);
    assert_eq!(world.last_notice().caused_at, crate::support::events::at(120));
}

#[test]
fn a15_a_jump_over_several_steps_is_one_escalated_for_the_highest() {
    let mut world = started("");
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 9, 50, 59)]);
    world.run_until(600);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 1200, 50, 599)]);
    world.run_until(1200);
    assert_eq!(world.told(), ["75s team opened #1", "600s team escalated #1"]);
}

#[test]
fn a16_an_image_pull_whose_warnings_starve_is_kept_open_by_its_normal_rows() {
    let mut world = started("");
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "Failed", "Error: ErrImagePull", 3, 30, 59)]);
    let back_off = |count, last| normal(warning(POD, "BackOff", "Back-off pulling image \"x\"", count, 40, last));
    // Two hours, one Normal row each five minutes, no Warning at all.
    for n in 1..=24 {
        world.run_until(60 + n * 300);
        world.poll(&web(), &[back_off(2 + n as u64, 60 + n * 300 - 5)]);
    }
    assert_eq!(world.told(), ["75s team opened #1"]);
    // Then it is over.
    world.poll_until(&web(), &[], 10_000);
    assert_eq!(world.told().last().unwrap(), "8160s team resolved #1");
}

#[test]
fn a17_one_that_comes_back_for_the_third_time_flaps_and_is_told_again_only_when_it_is_over_for_good() {
    let rules = "version: 1
rules:
  - {name: r, match: {reason: '*'}, notify: [team], group_wait: 0s, resolve_after: 5m, reopen_within: 2h, escalate: {counts: [9]}}
";
    let mut world = World::with_rules(rules);
    world.poll(&web(), &[]);
    let mut count = 0;
    let mut happen = |world: &mut World, minute: i64| {
        world.poll_until(&web(), &[], minute * 60 - 60);
        world.run_until(minute * 60);
        count += 1;
        world.poll(&web(), &[warning(POD, "Odd", "m", count, 30, minute * 60 - 1)]);
    };
    // Twice as long a silence as the last one ends it; each time it is back before two hours are over.
    for minute in [1, 20, 70, 200, 330] {
        happen(&mut world, minute);
    }
    world.poll_until(&web(), &[], 14 * 3600);
    assert_eq!(
        world.told(),
        [
            "60s team opened #1",
            "360s team resolved #1",
            "1200s team reopened #1",
            "3480s team resolved #1",
            "4200s team reopened #1",
            "10200s team resolved #1",
            "12000s team reopened #1",
            // Back once more; then four hours of silence, and two in which it could have come back.
            "41400s team resolved #1",
        ]
    );
    let Some(flapping) = world.log.iter().flat_map(|request| &request.notices).nth(6) else { panic!() };
    let said = compose(flapping, &Style { language: Language::En, time_zone: TimeZone::UTC, now: flapping.made_at });
    assert!(said.title.contains("flapping: came back 3 times"), "{}", said.title);
}

#[test]
fn a_flapping_incident_that_gets_worse_is_told() {
    let rules = "version: 1
rules:
  - {name: r, match: {reason: '*'}, notify: [team], group_wait: 0s, resolve_after: 1m, min_gap: 0s, escalate: {counts: [50]}}
";
    let mut world = World::with_rules(rules);
    world.poll(&web(), &[]);
    for (n, minute) in [(1, 1), (2, 10), (3, 40), (4, 120), (60, 122)] {
        world.poll_until(&web(), &[], minute * 60 - 60);
        world.run_until(minute * 60);
        world.poll(&web(), &[warning(POD, "Odd", "m", n, 30, minute * 60 - 1)]);
    }
    assert_eq!(world.told()[6..], ["7200s team reopened #1", "7320s team escalated #1"]);
}

#[test]
fn who_heard_of_the_flapping_hears_that_it_is_closed_while_it_is_quiet() {
    let rules = "version: 1
rules:
  - {name: r, match: {reason: '*'}, notify: [team], group_wait: 0s, resolve_after: 1m, min_gap: 0s}
";
    let mut world = World::with_rules(rules);
    world.poll(&web(), &[]);
    for (n, minute) in [(1, 1), (2, 10), (3, 40), (4, 120)] {
        world.poll_until(&web(), &[], minute * 60 - 60);
        world.run_until(minute * 60);
        world.poll(&web(), &[warning(POD, "Odd", "m", n, 30, minute * 60 - 1)]);
    }
    // It is quiet, and could still come back.
    world.poll_until(&web(), &[], 20_040);
    assert_eq!(world.told().last().unwrap(), "7200s team reopened #1");
    world.watch(&[]);
    world.run_until(20_100);
    assert_eq!(world.told().last().unwrap(), "20040s team closed #1");
    assert_eq!(story(&world).closed_because, Some(CloseReason::NotWatched));
}

#[test]
fn a17_a_problem_that_comes_back_is_the_same_incident_and_must_be_quiet_for_longer() {
    let mut world = started("");
    world.run_until(60);
    let event = |count, last| [warning(POD, "FailedMount", "m", count, 30, last)];
    world.poll(&web(), &event(1, 59));
    world.poll_until(&web(), &event(1, 59), 1200);
    world.poll(&web(), &event(2, 1199));
    // Twice the 19 minutes after which it was back.
    world.poll_until(&web(), &event(2, 1199), 1200 + 2340);
    assert_eq!(
        world.told(),
        ["75s team opened #1", "960s team resolved #1", "1260s team reopened #1", "3480s team resolved #1"]
    );
    // After two hours it is another one.
    world.poll_until(&web(), &event(2, 1199), 3480 + 7260);
    world.poll(&web(), &event(3, 10_730));
    world.run_until(10_800);
    assert_eq!(world.told().last().unwrap(), "10755s team opened #2");
}

#[test]
fn a18_what_ends_within_group_wait_is_opened_and_then_resolved() {
    let rules = "version: 1\nrules:\n  - {name: quick, match: {reason: '*'}, notify: [team], group_wait: 30s, resolve_after: 10s}\n";
    let mut world = started(rules);
    world.run_until(60);
    let events = [warning(POD, "Odd", "m", 1, 59, 59)];
    world.poll(&web(), &events);
    world.poll_until(&web(), &events, 300);
    assert_eq!(world.told(), ["90s team opened #1", "120s team resolved #1"]);
}

#[test]
fn the_design_s_own_example_is_told_as_its_test_says() {
    let rules = "version: 1
rules:
  - name: image-pull
    match: {objType: Pod, reason: Failed, message: /ErrImagePull/}
    open_when: {count: 3, within: 10m}
    escalate: {counts: [10, 100, 1000], objects: [5, 20]}
    severity: critical
    notify: [team]
";
    let mut world = started(rules);
    world.run_until(60);
    let event = |count, last| [warning("web-6d4cf56db6-x2x7v", "Failed", "Error: ErrImagePull", count, 60, last)];
    world.poll(&web(), &event(1, 60));
    world.run_until(120);
    world.poll(&web(), &event(3, 120));
    world.run_until(180);
    world.poll(&web(), &event(12, 180));
    world.poll_until(&web(), &event(12, 180), 1500);
    assert_eq!(world.told(), ["135s team opened #1", "180s team escalated #1", "1080s team resolved #1"]);
}

#[test]
fn a19_two_rules_for_one_destination_tell_once_and_an_operator_s_rule_survives_a_team_s_ignore() {
    let team = "version: 1
rules:
  - {name: mounts, match: {reason: FailedMount}, notify: [team]}
  - {name: all, match: {reason: '*'}, notify: [team]}
  - {name: quiet, match: {reason: Unhealthy}, action: ignore}
";
    let audit = "version: 1\nrules:\n  - {name: audit, match: {reason: '*'}, notify: [audit]}\n";
    let mut world = World::new(WorldSpec {
        rules: vec![team.into(), audit.into()],
        destinations: vec![("team", None), ("audit", None)],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(
        &web(),
        &[
            warning(POD, "FailedMount", "m", 1, 59, 59),
            warning("db-0", "Unhealthy", "Readiness probe failed", 1, 59, 59),
        ],
    );
    world.run_until(200);
    assert_eq!(world.told_to("team").len(), 2, "the claim of `all` stands before the later ignore: {:?}", world.told());
    assert_eq!(world.told_to("audit").len(), 2);
}

#[test]
fn an_occurrence_seen_through_two_services_counts_once() {
    let mut world = World::builtin();
    let admin = Target::new("prod", "cls-1", "shop", "admin");
    world.watch(&[web(), admin.clone()]);
    for target in [&web(), &admin] {
        world.poll(target, &[]);
    }
    world.run_until(60);
    let events = [warning(POD, "FailedMount", "m", 4, 30, 59)];
    world.poll(&web(), &events);
    world.poll(&admin, &events);
    world.run_until(120);
    let events = [warning(POD, "FailedMount", "m", 9, 30, 110)];
    world.poll(&admin, &events);
    world.poll(&web(), &events);
    world.run_until(130);
    let incident = world.engine().state().unwrap().incidents().next().unwrap().clone();
    assert_eq!((incident.occurrences, incident.targets.len()), (9, 2));
    assert_eq!(world.told(), ["75s team opened #1"]);
}

#[test]
fn what_is_ignored_or_claimed_in_one_service_still_counts_through_the_other() {
    let ignored = "version: 1
rules:
  - {name: headless, match: {service: headless}, action: ignore}
  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 0s}
";
    let claimed = "version: 1
rules:
  - {name: headless, match: {service: headless}, notify: [team], open_when: {count: 100, within: 1m}}
  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 0s}
";
    let headless = Target::new("prod", "cls-1", "shop", "headless");
    for rules in [ignored, claimed] {
        for order in [[web(), headless.clone()], [headless.clone(), web()]] {
            let mut world = World::with_rules(rules);
            world.watch(&order);
            for target in &order {
                world.poll(target, &[]);
            }
            world.run_until(60);
            for target in &order {
                world.poll(target, &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
            }
            world.run_until(120);
            assert_eq!(world.told().len(), 1, "{rules} {order:?}");
            assert_eq!(story(&world).occurrences, 4);
        }
    }
}

#[test]
fn a_restart_between_two_services_of_one_occurrence_does_not_count_it_twice() {
    let mut world = World::builtin();
    let admin = Target::new("prod", "cls-1", "shop", "admin");
    world.watch(&[web(), admin.clone()]);
    for target in [&web(), &admin] {
        world.poll(target, &[]);
    }
    world.run_until(60);
    let events = [warning(POD, "FailedMount", "m", 4, 30, 59)];
    world.poll(&web(), &events);
    world.kill();
    world.start();
    world.watch(&[web(), admin.clone()]);
    world.poll(&admin, &events);
    let incident = world.engine().state().unwrap().incidents().next().unwrap().clone();
    assert_eq!(incident.occurrences, 4);
}

#[test]
fn a11_many_targets_with_a_wrong_key_are_one_trouble() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    let targets: Vec<Target> = (0..500).map(|n| Target::new("prod", "cls-1", "shop", &format!("s{n}"))).collect();
    world.watch(&targets);
    for minute in 0..12 {
        world.run_until(minute * 60);
        for target in &targets {
            world.fail(target, "4100");
        }
    }
    assert_eq!(world.told(), ["360s team opened #1"]);
    let NoticeBody::Trouble(trouble) = &world.last_notice().body else { panic!("not a trouble") };
    assert_eq!((trouble.code.as_str(), trouble.affected_count, trouble.affected.len()), ("4100", 500, 20));
    for target in &targets {
        world.poll(target, &[]);
    }
    world.run_until(800);
    assert_eq!(world.told()[1..].iter().filter(|line| line.contains("resolved")).count(), 1);
    assert!(world.told().len() <= 3, "{:?}", world.told());
}

#[test]
fn a12_a_deleted_service_closes_its_incident_a_renamed_one_opens_another_and_half_a_discovery_does_nothing() {
    let mut world = World::builtin();
    let renamed = Target::new("prod", "cls-1", "shop", "web-2");
    world.discover(&[web()], true);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
    world.run_until(120);
    world.discover(&[], false);
    world.discover(&[], false);
    world.discover(&[], true);
    assert_eq!(world.told(), ["75s team opened #1"], "absent once may be a hiccup");
    world.run_until(180);
    world.discover(std::slice::from_ref(&renamed), true);
    assert_eq!(world.told(), ["75s team opened #1", "180s team closed #1"]);
    assert_eq!(story(&world).closed_because, Some(CloseReason::ServiceDeleted));
    world.poll(&renamed, &[warning(POD, "FailedMount", "m", 6, 30, 170)]);
    world.run_until(240);
    assert_eq!(world.told().last().unwrap(), "195s team opened #2");
}

#[test]
fn a_discovered_service_that_answers_gone_is_gone_and_a_configured_one_is_trouble() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    world.discover(&[web()], true);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
    world.run_until(120);
    world.fail(&web(), "-16013");
    assert_eq!(world.told()[1..], ["75s team opened #1", "120s team closed #1"]);
    let configured = Target::new("prod", "cls-1", "shop", "configured");
    world.watch(std::slice::from_ref(&configured));
    for minute in 3..12 {
        world.run_until(minute * 60);
        world.fail(&configured, "-16013");
    }
    assert!(world.told().last().unwrap().contains("opened #2"), "{:?}", world.told());
}

#[test]
fn an_answer_that_comes_after_its_service_is_gone_is_not_taken_for_a_new_service() {
    let mut world = World::builtin();
    world.discover(&[web()], true);
    world.poll(&web(), &[]);
    world.run_until(60);
    let events = vec![warning(POD, "FailedMount", "m", 4, 30, 59)];
    world.poll(&web(), &events);
    world.run_until(120);
    world.fail(&web(), "-16013");
    let late = SourceEvent::Polled { target: web(), at: world.now, events };
    let now = world.now;
    assert!(world.engine().turn(vec![EngineEvent::Source(late)], now).unwrap().is_empty());
    world.run_until(600);
    assert_eq!(world.told(), ["75s team opened #1", "120s team closed #1"]);
}

#[test]
fn a_destination_that_is_gone_is_told_nothing_more_and_the_others_go_on() {
    let rules = "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team, other], group_wait: 0s}\n";
    let without = rules.replace("team, other", "other");
    let mut world = World::new(WorldSpec {
        rules: vec![rules.into()],
        destinations: vec![("team", None), ("other", None)],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
    world.kill();
    world.respec(|spec| {
        spec.rules = vec![without];
        spec.destinations = vec![("other", None)];
    });
    world.start();
    world.watch(&[web()]);
    world.poll_until(&web(), &[], 1200);
    assert_eq!(world.told(), ["60s other opened #1", "60s team opened #1", "960s other resolved #1"]);
    assert_eq!(world.last_notice().to.len(), 1);
}

#[test]
fn a_service_that_is_deleted_before_its_problem_was_told_is_told_as_closed() {
    let rules = "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team], group_wait: 5m}\n";
    let mut world = World::with_rules(rules);
    world.discover(&[web()], true);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
    world.run_until(120);
    world.fail(&web(), "-16013");
    world.run_until(600);
    assert_eq!(world.told(), ["120s team closed #1"]);
}

#[test]
fn where_the_end_is_not_told_a_return_that_waited_still_is() {
    let rules = "version: 1
rules:
  - {name: r, match: {reason: '*'}, notify: [team], group_wait: 0s, min_gap: 2h, send_resolved: false, resolve_after: 5m}
";
    let mut world = started(rules);
    let event = |count, last| [warning(POD, "FailedMount", "m", count, 30, last)];
    world.run_until(60);
    world.poll(&web(), &event(1, 59));
    world.poll_until(&web(), &event(1, 59), 600);
    world.poll(&web(), &event(2, 599));
    world.poll_until(&web(), &event(2, 599), 3000);
    assert_eq!(world.told(), ["60s team opened #1", "1680s team reopened #1"]);
}

#[test]
fn what_gathers_when_it_can_no_longer_come_back_is_not_lost() {
    let rules = "version: 1
rules:
  - {name: r, match: {reason: '*'}, notify: [team], group_wait: 0s, open_when: {count: 3, within: 10m}, reopen_within: 30m}
";
    let mut world = started(rules);
    let event = |count, last| [warning(POD, "FailedMount", "m", count, 30, last)];
    world.run_until(60);
    world.poll(&web(), &event(3, 59));
    // Resolved at 960 s; can come back until 2,760 s.
    world.poll_until(&web(), &event(3, 59), 2640);
    world.poll(&web(), &event(5, 2639));
    world.poll_until(&web(), &event(5, 2639), 2820);
    world.poll(&web(), &event(6, 2819));
    world.run_until(3000);
    assert_eq!(world.told(), ["60s team opened #1", "960s team resolved #1", "2820s team reopened #1"]);
}

#[test]
fn a_restart_between_two_slow_polls_keeps_new_occurrences_new() {
    // The service was alive until 265 s, but had last read the target at 0 s.
    let mut world = started("");
    world.run_until(265);
    let now = world.now;
    world.engine().turn(Vec::new(), now).unwrap();
    world.kill();
    world.start();
    world.watch(&[web()]);
    world.run_until(300);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 38, 150, 299)]);
    let incident = world.engine().state().unwrap().incidents().next().unwrap().clone();
    assert_eq!(incident.occurrences, 38);
}

#[test]
fn a_source_that_fails_in_another_way_is_another_trouble_once_that_lasts() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    world.watch(&[web()]);
    for minute in 0..10 {
        world.run_until(minute * 60);
        world.fail(&web(), "timeout");
    }
    // A hiccup of another kind is none.
    world.run_until(600);
    world.fail(&web(), "connect");
    for minute in 11..20 {
        world.run_until(minute * 60);
        world.fail(&web(), "4100");
    }
    assert_eq!(world.told(), ["360s team opened #1", "960s team resolved #1", "1020s team opened #2"]);
    // And a restart knows who is affected.
    world.kill();
    world.start();
    world.watch(&[web()]);
    world.run_until(1260);
    world.poll(&web(), &[]);
    assert!(world.told().contains(&"1260s team resolved #2".to_owned()), "{:?}", world.told());
}

#[test]
fn targets_that_come_back_one_after_another_are_one_blind_time() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    let targets: Vec<Target> = (0..10).map(|n| Target::new("prod", "cls-1", &format!("ns{n}"), "web")).collect();
    world.watch(&targets);
    for target in &targets {
        world.poll(target, &[]);
    }
    world.run_until(60);
    world.kill();
    world.now = crate::support::events::at(3 * 3600);
    world.start();
    world.watch(&targets);
    for (n, target) in (0..).zip(&targets) {
        world.run_until(3 * 3600 + n * 40);
        world.poll(target, &[]);
    }
    world.run_until(4 * 3600);
    assert_eq!(world.told().len(), 2, "{:?}", world.told());
    let NoticeBody::Info(Info::Blind { services, .. }) = &world.last_notice().body else { panic!("not blind") };
    assert_eq!(*services, 10);
}

#[test]
fn a27_a_restart_in_the_middle_of_group_wait_still_tells_on_time() {
    let mut world = started("");
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
    world.run_until(65);
    world.kill();
    world.start();
    world.run_until(200);
    assert_eq!(world.told(), ["75s team opened #1"]);
}

#[test]
fn a_critical_incident_is_brought_back_to_mind_and_a_warning_is_not() {
    for (severity, reminders) in [("critical", 2), ("warning", 0)] {
        let rules = format!(
            "version: 1\nrules:\n  - {{name: r, match: {{reason: '*'}}, notify: [team], severity: {severity}, escalate: {{counts: [1000000], news: false}}}}\n"
        );
        let mut world = started(&rules);
        for minute in 1..=500i64 {
            world.run_until(minute * 60);
            world.poll(&web(), &[warning(POD, "FailedMount", "m", minute as u64, 30, minute * 60 - 1)]);
        }
        let reminded = world.told().iter().filter(|line| line.contains("reminded")).count();
        assert_eq!(reminded, reminders, "{severity}: {:?}", world.told());
    }
}

#[test]
fn objects_escalate_by_distinct_names_within_the_last_hour() {
    let rules = "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team], escalate: {objects: [3], counts: [1000]}}\n";
    let mut world = started(rules);
    let pod = |n: i64, at: i64| warning(&format!("web-6d4cf56db6-xxxx{n}"), "FailedMount", "m", 1, at, at);
    // Two pods, then another two, 70 minutes later: never three within an hour.
    for (n, minute) in [(2, 1), (4, 20), (5, 75), (6, 76)] {
        world.poll_until(&web(), &[], minute * 60 - 60);
        world.run_until(minute * 60);
        world.poll(&web(), &[pod(n, minute * 60 - 5)]);
    }
    assert!(!world.told().iter().any(|line| line.contains("escalated")), "{:?}", world.told());
    world.run_until(77 * 60);
    world.poll(&web(), &[pod(7, 77 * 60 - 5)]);
    world.run_until(100 * 60);
    assert_eq!(world.told().iter().filter(|line| line.contains("escalated")).count(), 1, "{:?}", world.told());
}

#[test]
fn unhealthy_opens_at_five_within_fifteen_minutes_under_the_built_in_rules() {
    let mut world = started("");
    let probe = |count, last| [warning(POD, "Unhealthy", "Readiness probe failed: timeout", count, 30, last)];
    world.run_until(60);
    world.poll(&web(), &probe(1, 59));
    world.run_until(1500);
    world.poll(&web(), &probe(2, 1499));
    assert_eq!(world.told(), [""; 0]);
    world.run_until(1560);
    world.poll(&web(), &probe(6, 1559));
    world.run_until(1600);
    assert_eq!(world.told(), ["1575s team opened #2"]);
}

#[test]
fn a_mount_that_works_at_the_second_try_is_not_told_by_the_built_in_rules_and_one_that_never_does_is_at_once() {
    let mount = |count, last| {
        let words = "MountVolume.SetUp failed for volume \"rules\" : failed to sync configmap cache: timed out waiting for the condition";
        [warning(POD, "FailedMount", words, count, 60, last)]
    };
    let mut world = started("");
    world.run_until(61);
    world.poll(&web(), &mount(1, 60));
    world.run_until(62);
    let mut mended = mount(1, 60).to_vec();
    mended.push(normal(warning(POD, "Started", "Started container", 1, 62, 62)));
    world.poll(&web(), &mended);
    world.run_until(1000);
    assert_eq!(world.told(), [""; 0]);
    let mut world = started("");
    world.run_until(65);
    world.poll(&web(), &mount(4, 64));
    world.run_until(100);
    assert_eq!(world.told(), ["80s team opened #1"]);
}

#[test]
fn a_pod_that_ends_at_the_second_try_is_not_told_by_the_built_in_rules_and_one_that_stays_is() {
    let kill = |count, last| {
        let words =
            "error killing pod: failed to \"KillPodSandbox\" with KillPodSandboxError: \"context deadline exceeded\"";
        [warning(POD, "FailedKillPod", words, count, 60, last)]
    };
    let mut world = started("");
    world.run_until(61);
    world.poll(&web(), &kill(1, 60));
    world.run_until(4000);
    assert_eq!(world.told(), [""; 0]);
    world.poll(&web(), &kill(2, 3990));
    world.run_until(4600);
    world.poll(&web(), &kill(3, 4590));
    world.run_until(5200);
    world.poll(&web(), &kill(4, 5190));
    world.run_until(5300);
    assert_eq!(world.told(), ["5215s team opened #2"], "with a grace period of ten minutes, tries are as far apart");
    let mut world = started("");
    world.run_until(65);
    let hook = "error killing pod: failed to \"KillContainer\" with PreStopHookError: \"command exited with 1\"";
    world.poll(&web(), &[warning(POD, "FailedKillPod", hook, 1, 60, 60)]);
    world.run_until(100);
    assert_eq!(world.told(), ["80s team opened #1"]);
}

#[test]
fn what_gathers_survives_a_restart() {
    let mut world = started("");
    let probe = |count, last| [warning(POD, "Unhealthy", "Readiness probe failed: timeout", count, 30, last)];
    world.run_until(360);
    world.poll(&web(), &probe(4, 359));
    world.kill();
    world.start();
    world.run_until(420);
    world.poll(&web(), &probe(5, 419));
    world.run_until(500);
    assert_eq!(world.told(), ["435s team opened #1"]);
}

#[test]
fn beyond_the_bound_of_all_targets_the_least_worthy_absent_episodes_are_forgotten() {
    let mut world = World::builtin();
    let targets: Vec<Target> = (0..20).map(|n| Target::new("prod", "cls-1", &format!("ns{n}"), "web")).collect();
    world.watch(&targets);
    let list: Vec<Event<'static>> = (0..10).map(|n| normal(warning(&format!("p{n}"), "x", "y", 1, n, n))).collect();
    for target in &targets {
        world.poll(target, &list);
    }
    // Bounded by the service in all; the test's state is bounded lower.
    let episodes = |world: &mut World| world.engine().state().unwrap().episodes();
    assert_eq!(episodes(&mut world), 200);
    world.engine().limit_episodes(100);
    world.run_until(60);
    world.poll(&targets[0], &list);
    assert_eq!(episodes(&mut world), 200, "what is in its list is never forgotten");
    world.run_until(120);
    for target in &targets {
        world.poll(target, &[]);
    }
    assert!(episodes(&mut world) <= 100, "{}", episodes(&mut world));
    let stored: i64 = rusqlite::Connection::open(world.store_path())
        .unwrap()
        .query_row("SELECT count(*) FROM series", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, i64::try_from(episodes(&mut world)).unwrap());
}

#[test]
fn an_incident_whose_rule_is_gone_after_a_restart_is_closed_once() {
    let rules = |name: &str, reason: &str| {
        format!("version: 1\nrules:\n  - {{name: {name}, match: {{reason: '{reason}'}}, notify: [team]}}\n")
    };
    let mut world = started(&rules("old", "*"));
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "FailedMount", "m", 4, 30, 59)]);
    world.run_until(100);
    world.kill();
    world.respec(|spec| spec.rules = vec![rules("new", "Evicted")]);
    world.start();
    world.run_until(200);
    world.kill();
    world.start();
    world.run_until(300);
    assert_eq!(world.told(), ["75s team opened #1", "100s team closed #1"]);
    assert_eq!(world.last_notice().kind, NoticeKind::Closed);
}

/// With ten thousand incidents, reading the details of each took as long as the rest of the start.
#[test]
fn a_start_reads_no_details_of_incidents() {
    let mut world = started("");
    world.poll(&web(), &[warning(POD, "FailedMount", "no such volume", 1, 30, 30)]);
    world.run_until(120);
    let details = |world: &mut World| {
        let state = world.engine().state().unwrap();
        format!("{:?}", state.incidents().next().unwrap().details)
    };
    assert!(details(&mut world).contains("FailedMount"));
    world.kill();
    world.start();
    let unread = details(&mut world);
    assert!(unread.ends_with(" bytes"), "{unread}");
}
