//! Deliveries against receivers that fail in every way, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use podbell::engine::EngineEvent;
use podbell_core::event::Target;
use podbell_core::notice::{Info, NoticeBody};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Content, DeliveryId, Outcome};
use podbell_core::time::Time;
use podbell_store::{Command, DeliveryResult, Inbox as _, Listing, Writer as _};

use crate::support::events::{at, warning};
use crate::support::world::{TWENTY_A_MINUTE, World, WorldSpec, web};

const RULES: &str = "version: 1
rules:
  - {name: critical, match: {reason: OOMKilling}, severity: critical, notify: [team, other], group_wait: 0s}
  - {name: all, match: {reason: '*'}, notify: [team, other], group_wait: 0s, min_gap: 0s, escalate: {counts: [10, 20, 30, 40]}}
";

fn world(pace: Option<Pace>) -> World {
    let mut world = World::new(WorldSpec {
        rules: vec![RULES.into()],
        destinations: vec![("team", pace), ("other", None)],
        operator: vec!["team", "other"],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.log.clear();
    world
}

/// One new problem of its own workload.
fn problem(world: &mut World, n: usize) {
    let seconds = (world.now.millis() - at(0).millis()) / 1000;
    let target = Target::new("prod", "cls-1", &format!("ns{n}"), "web");
    world.poll(&target, &[warning(&format!("job{n}"), "FailedMount", "m", 1, seconds, seconds)]);
}

fn delivered(world: &World, to: &str) -> usize {
    world.log.iter().filter(|r| r.to == to && r.outcome == Outcome::Delivered).count()
}

fn unclear() -> Outcome {
    Outcome::Unclear { retry_after: None, why: "timeout".into() }
}

fn refused(seconds: u64) -> Outcome {
    Outcome::Refused { retry_after: Some(Duration::from_secs(seconds)), why: "429".into() }
}

#[test]
fn a22_a_receiver_that_fails_delays_nobody_else() {
    let mut world = world(None);
    world.receiver("team", |now, _| {
        let outcome = if now < at(14) { unclear() } else { Outcome::Delivered };
        (outcome, Duration::from_secs(3))
    });
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(60);
    assert_eq!(world.told_to("other"), ["10s other opened #1"]);
    assert_eq!(world.told_to("team").len(), 1);
    assert_eq!(world.log.iter().filter(|r| r.to == "other").count(), 1, "exactly its message");
}

#[test]
fn a23_after_429_with_retry_after_nobody_asks_for_that_long_and_then_everything_arrives() {
    let mut world = world(None);
    world.receiver("team", |now, _| (if now < at(11) { refused(30) } else { Outcome::Delivered }, Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(12);
    problem(&mut world, 2);
    world.run_until(39);
    assert_eq!(world.log.iter().filter(|r| r.to == "team").count(), 1);
    world.run_until(60);
    assert_eq!(world.told_to("team"), ["40s team opened #1", "40s team opened #2"]);
}

#[test]
fn a24_without_retry_after_429_backs_off_and_ten_hours_are_honoured() {
    let mut world = world(None);
    world.receiver("team", |_, attempt| {
        let outcome = match attempt {
            1..=3 => Outcome::Refused { retry_after: None, why: "429".into() },
            4 => refused(36_000),
            _ => Outcome::Delivered,
        };
        (outcome, Duration::ZERO)
    });
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(40_000);
    let times: Vec<f64> = world.log.iter().filter(|r| r.to == "team").map(|r| r.at).collect();
    assert_eq!(times.len(), 5, "{times:?}");
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] < gaps[1] && gaps[1] < gaps[2] && gaps[3] >= 36_000.0, "{gaps:?}");
}

#[test]
fn a25_after_a_time_out_the_same_id_and_body_are_sent_again() {
    let mut world = world(None);
    world.receiver("team", |_, attempt| {
        (if attempt == 1 { unclear() } else { Outcome::Delivered }, Duration::from_secs(1))
    });
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(11);
    // Something newer of the same incident must wait for it.
    let target = Target::new("prod", "cls-1", "ns1", "web");
    world.poll(&target, &[warning("job1", "FailedMount", "m", 15, 10, 11)]);
    world.run_until(100);
    let team: Vec<_> = world.log.iter().filter(|r| r.to == "team").collect();
    assert_eq!(team.len(), 3);
    assert_eq!((&team[0].id, &team[0].body), (&team[1].id, &team[1].body));
    assert_ne!(team[1].id, team[2].id);
    assert_eq!(world.told_to("team").len(), 2);
}

#[test]
fn a25_a_refusal_after_a_time_out_does_not_change_id_and_body() {
    let mut world = world(None);
    world.receiver("team", |_, attempt| {
        let outcome = match attempt {
            1 => unclear(),
            2 => refused(5),
            _ => Outcome::Delivered,
        };
        (outcome, Duration::ZERO)
    });
    problem(&mut world, 1);
    world.run_until(60);
    let team: Vec<_> = world.log.iter().filter(|request| request.to == "team").collect();
    assert_eq!(team.len(), 3);
    assert!(team.iter().all(|request| (&request.id, &request.body) == (&team[0].id, &team[0].body)));
    assert_eq!(delivered(&world, "team"), 1);
}

#[test]
fn a26_a_send_that_was_in_flight_at_a_kill_is_repeated_with_the_same_id() {
    let mut world = world(None);
    world.receiver("team", |_, _| (Outcome::Delivered, Duration::from_secs(5)));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(12);
    world.kill();
    world.start();
    world.run_until(100);
    let team: Vec<_> = world.log.iter().filter(|r| r.to == "team").collect();
    assert_eq!(team.len(), 2);
    assert_eq!((&team[0].id, &team[0].body), (&team[1].id, &team[1].body));
    world.kill();
    world.start();
    world.run_until(200);
    assert_eq!(world.log.len(), 3, "a restart tells nothing again");
}

#[test]
fn a27_back_off_wall_and_rate_window_hold_over_a_restart() {
    let mut world = world(Some(TWENTY_A_MINUTE));
    world.run_until(10);
    for n in 0..30 {
        problem(&mut world, n);
    }
    world.run_until(12);
    world.kill();
    world.start();
    world.run_until(400);
    within_pace(&world, "team", 20, 60.0);
    assert_eq!(delivered(&world, "team"), 30);

    let mut world = self::world(None);
    world.receiver("team", |now, _| (if now < at(20) { refused(300) } else { Outcome::Delivered }, Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(15);
    world.kill();
    world.start();
    world.run_until(309);
    assert_eq!(delivered(&world, "team"), 0);
    world.run_until(311);
    assert_eq!(delivered(&world, "team"), 1);
}

/// No stretch of `seconds` holds more than `most` requests.
fn within_pace(world: &World, to: &str, most: usize, seconds: f64) {
    let times: Vec<f64> = world.log.iter().filter(|r| r.to == to).map(|r| r.at).collect();
    for window in times.windows(most + 1) {
        assert!(window[most] - window[0] > seconds, "{} requests within {} s", most + 1, window[most] - window[0]);
    }
}

#[test]
fn a21_critical_goes_first_and_has_its_own_share_of_the_window() {
    let mut world = world(Some(TWENTY_A_MINUTE));
    world.run_until(10);
    for n in 0..50 {
        problem(&mut world, n);
    }
    world.run_until(20);
    let target = Target::new("prod", "cls-1", "bad", "web");
    world.poll(&target, &[warning("db-0", "OOMKilling", "out of memory", 1, 20, 20)]);
    world.run_until(21);
    let last = world.log.iter().rfind(|r| r.to == "team").unwrap();
    assert_eq!(last.notices[0].severity, podbell_core::rule::Severity::Critical);
    // The first contact took one of the fifteen.
    assert_eq!(delivered(&world, "team"), 15, "14 warnings, then the critical one from its reserve");
    world.run_until(400);
    within_pace(&world, "team", 20, 60.0);
    assert_eq!(delivered(&world, "team"), 51);
}

#[test]
fn slack_gets_at_most_one_message_a_second() {
    let mut world = world(Some(Pace::ONE_A_SECOND));
    world.run_until(10);
    for n in 0..20 {
        problem(&mut world, n);
    }
    world.run_until(60);
    within_pace(&world, "team", 1, 1.0);
    assert_eq!(delivered(&world, "team"), 20);
}

#[test]
fn a28_refused_content_is_shortened_then_reduced_to_one_line_then_given_up_and_told_elsewhere() {
    let mut world = world(None);
    world.receiver("team", |_, _| (Outcome::ContentRejected { why: "too long".into() }, Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(20);
    let team: Vec<_> = world.log.iter().filter(|r| r.to == "team").collect();
    let contents: Vec<Content> = team
        .iter()
        .map(|r| {
            serde_json::from_value(serde_json::from_slice::<serde_json::Value>(&r.body).unwrap()["content"].clone())
                .unwrap()
        })
        .collect();
    assert_eq!(contents, [Content::Full, Content::Short, Content::Minimal]);
    assert_eq!(world.told_to("other"), ["10s other opened #1", "10s other info"]);
    let NoticeBody::Info(Info::Dead { destination, deliveries, .. }) = &world.last_notice().body else { panic!() };
    assert_eq!((destination.as_str(), *deliveries), ("team", 1));
}

fn dead_url() -> Outcome {
    Outcome::InvalidDestination {
        code: "93000".into(),
        text: "invalid webhook url".into(),
        advice: "make a new robot".into(),
    }
}

#[test]
fn a28_a_dead_url_pauses_the_destination_keeps_its_deliveries_and_is_told_elsewhere() {
    let mut world = world(None);
    world.receiver("team", |_, _| (dead_url(), Duration::ZERO));
    world.run_until(10);
    for n in 0..5 {
        problem(&mut world, n);
    }
    world.run_until(48 * 3600);
    let asked = world.log.iter().filter(|r| r.to == "team").count();
    assert!(asked <= 4, "what was in flight, and nothing after: {asked}");
    assert!(world.told_to("other").contains(&"10s other opened #2".to_owned()), "{:?}", world.told());
    let opened = |w: &World| w.told_to("team").iter().filter(|line| line.contains("opened")).count();
    assert_eq!(opened(&world), 0, "48 h of a pause are no trying: nothing is given up");

    // A new URL ends the pause.
    world.kill();
    world.receiver("team", |_, _| (Outcome::Delivered, Duration::ZERO));
    world.fingerprints.insert("team".into(), "another-url".into());
    world.start();
    world.run_until(48 * 3600 + 10);
    assert_eq!(opened(&world), 5);
    assert!(world.told_to("other").last().unwrap().contains("resolved #2"), "{:?}", world.told_to("other"));
}

#[test]
fn one_replica_that_answers_dead_beside_a_success_silences_nobody() {
    let mut world = world(None);
    world.receiver("team", |_, attempt| match attempt {
        1 => (dead_url(), Duration::from_secs(1)),
        2 => (Outcome::Delivered, Duration::from_secs(2)),
        _ => (Outcome::Delivered, Duration::ZERO),
    });
    world.run_until(10);
    problem(&mut world, 1);
    problem(&mut world, 2);
    world.run_until(600);
    let opened = world.told_to("team").iter().filter(|line| line.contains("opened")).count();
    assert_eq!(opened, 2, "{:?}", world.told());
}

#[test]
fn what_needs_no_request_does_not_end_the_pause_of_its_destination() {
    let mut world = world(None);
    world.receiver("team", |_, attempt| match attempt {
        1 => (dead_url(), Duration::from_secs(1)),
        2 => (Outcome::NotNeeded, Duration::from_secs(2)),
        _ => (Outcome::Delivered, Duration::ZERO),
    });
    world.run_until(10);
    problem(&mut world, 1);
    problem(&mut world, 2);
    world.run_until(600);
    assert_eq!(world.log.iter().filter(|request| request.to == "team").count(), 2, "{:?}", world.told());
}

#[test]
fn the_trouble_of_a_destination_ends_with_it_and_follows_its_name() {
    for name in ["group", "nobody"] {
        let mut world = world(None);
        world.receiver("team", |_, _| (dead_url(), Duration::ZERO));
        world.run_until(10);
        problem(&mut world, 1);
        world.run_until(20);
        world.kill();
        if name == "group" {
            world.fingerprints.insert("group".into(), "url-of-team".into());
            world.respec(|spec| spec.destinations = vec![("group", None), ("other", None)]);
        } else {
            world.respec(|spec| spec.destinations = vec![("other", None)]);
        }
        world.respec(|spec| spec.operator = vec!["other"]);
        world.start();
        world.run_until(30);
        if name == "group" {
            let now = world.now;
            world.store().submit(None, &Command::DestinationWorks { destination: "group".into() }, now).unwrap();
            tick(&mut world, 35);
        }
        world.run_until(48 * 3600);
        let over = world.told_to("other").iter().filter(|line| line.contains("resolved #2")).count();
        assert_eq!(over, 1, "{name}: {:?}", world.told_to("other"));
        assert!(!world.told().iter().any(|line| line.contains("reminded #2")), "{:?}", world.told());
    }
}

#[test]
fn a_test_message_that_arrives_ends_a_pause() {
    let mut world = world(None);
    world.receiver("team", |now, _| (if now < at(100) { dead_url() } else { Outcome::Delivered }, Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(200);
    assert_eq!(delivered(&world, "team"), 0);
    let now = world.now;
    world.store().submit(None, &Command::DestinationWorks { destination: "team".into() }, now).unwrap();
    tick(&mut world, 205);
    assert!(delivered(&world, "team") > 0);
}

/// Lets time pass in steps of a second, so that the inbox is read.
fn tick(world: &mut World, until: i64) {
    while world.now < at(until) {
        let next = world.now.plus(Duration::from_secs(1));
        world.run_to(next);
    }
}

#[test]
fn a29_a_removed_destination_s_deliveries_are_dead_and_told_a_renamed_one_keeps_them() {
    let mut world = world(None);
    world.receiver("team", |_, _| (refused(3600), Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(20);
    world.kill();
    world.fingerprints.insert("group".into(), "url-of-team".into());
    world.respec(|spec| spec.destinations = vec![("group", None), ("other", None)]);
    world.start();
    world.run_until(4000);
    assert_eq!(world.told_to("group"), ["3610s group opened #1"]);

    let mut world = self::world(None);
    world.receiver("team", |_, _| (refused(3600), Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(20);
    world.kill();
    world.respec(|spec| {
        spec.destinations = vec![("other", None)];
        spec.operator = vec!["other"];
    });
    world.start();
    world.run_until(4000);
    assert!(world.told_to("other").contains(&"20s other info".to_owned()), "{:?}", world.told());
    let dead = world.store().dead_deliveries(None).unwrap();
    assert_eq!(dead.len(), 1);
}

#[test]
fn a29_what_still_waits_for_a_renamed_destination_is_told_under_its_new_name() {
    let rules = |to: &str| {
        format!("version: 1\nrules:\n  - {{name: all, match: {{reason: '*'}}, notify: [{to}], group_wait: 10m}}\n")
    };
    let mut world = World::with_rules(&rules("team"));
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let event = [warning("web-6d4cf56db6-x2x7v", "Failed", "m", 1, 50, 50)];
    world.poll(&web(), &event);
    world.kill();
    world.fingerprints.insert("group".into(), "url-of-team".into());
    world.respec(|spec| {
        spec.rules = vec![rules("group")];
        spec.destinations = vec![("group", None)];
    });
    world.start();
    world.poll_until(&web(), &event, 1200);
    assert_eq!(world.told_to("group")[0], "660s group opened #1");
}

#[test]
fn an_address_that_asks_for_a_pause_is_left_alone_by_every_destination_that_has_it() {
    let rules = "version: 1\nrules:\n  - {name: all, match: {reason: '*'}, notify: [en, zh], group_wait: 0s}\n";
    let mut world = World::new(WorldSpec {
        rules: vec![rules.into()],
        destinations: vec![("en", Some(Pace::ONE_A_SECOND)), ("zh", Some(Pace::ONE_A_SECOND))],
        ..WorldSpec::default()
    });
    world.kill();
    for name in ["en", "zh"] {
        world.fingerprints.insert(name.into(), "url-of-both".into());
    }
    world.start();
    let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for name in ["en", "zh"] {
        let asked = asked.clone();
        world.receiver(name, move |now, _| {
            let mut asked = asked.lock().unwrap();
            asked.push(now);
            (if asked.len() == 1 { refused(600) } else { Outcome::Delivered }, Duration::ZERO)
        });
    }
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning("web-6d4cf56db6-x2x7v", "Failed", "m", 1, 50, 50)]);
    world.run_until(1000);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[1] >= at(660), "{asked:?}");
}

#[test]
fn a30_after_24_hours_of_trying_deliveries_are_dead_listed_told_and_sent_again_on_request_in_order() {
    let mut world = world(None);
    world.receiver("team", |now, _| {
        (if now < at(25 * 3600) { unclear() } else { Outcome::Delivered }, Duration::from_secs(1))
    });
    world.run_until(10);
    for n in 0..3 {
        problem(&mut world, n);
    }
    world.run_until(25 * 3600);
    let dead = world.store().dead_deliveries(Some("team")).unwrap();
    assert_eq!(dead.len(), 3, "{:?}", world.told());
    let elsewhere = world.told_to("other");
    assert!(elsewhere.iter().any(|line| line.ends_with("info")), "{elsewhere:?}");
    let now = world.now;
    for destination in ["other", "team"] {
        world.store().submit(None, &Command::RetryAll { destination: Some(destination.to_owned()) }, now).unwrap();
    }
    let before = world.log.len();
    tick(&mut world, 25 * 3600 + 700);
    let resent: Vec<u64> = world.log[before..]
        .iter()
        .filter(|r| r.to == "team")
        .filter_map(|r| r.notices.first().and_then(|notice| notice.body.incident()))
        .filter(|incident| *incident <= 3)
        .collect();
    assert_eq!(resent, [1, 2, 3]);
    assert!(world.store().dead_deliveries(Some("team")).unwrap().is_empty());
}

#[test]
fn a31_what_waited_behind_a_back_off_is_one_message_that_tells_the_whole_story() {
    let mut world = world(None);
    world.receiver("team", |now, _| (if now < at(3000) { refused(30) } else { Outcome::Delivered }, Duration::ZERO));
    let event = |count, last| [warning("job1", "FailedMount", "m", count, 5, last)];
    world.run_until(60);
    world.poll(&web(), &event(1, 59));
    for (n, count) in [(2, 10), (3, 20), (4, 30)] {
        world.run_until(n * 60);
        world.poll(&web(), &event(count, n * 60 - 1));
    }
    world.poll_until(&web(), &event(30, 239), 1300);
    world.run_until(3600);
    let told = world.told_to("team");
    assert_eq!(told.iter().filter(|line| line.contains("#1")).collect::<Vec<_>>().len(), 1, "{told:?}");
    assert!(told[0].contains("opened+escalated+escalated+escalated+resolved #1"), "{told:?}");
    assert_eq!(world.told_to("other").iter().filter(|line| line.contains("#1")).count(), 5);
    let listing = Listing { destination: Some("team".into()), all: true, limit: 100 };
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in world.reader().snapshot().unwrap().list_deliveries(&listing).unwrap() {
        if delivery.notice.body.incident() == Some(1) {
            *states.entry(delivery.state.as_str().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(states, BTreeMap::from([("folded".into(), 4), ("sent".into(), 1)]));
}

#[test]
fn a_receiver_that_is_down_for_an_hour_gets_everything_afterwards() {
    let mut world = world(None);
    world.receiver("team", |now, _| {
        (if now < at(3600) { unclear() } else { Outcome::Delivered }, Duration::from_secs(10))
    });
    for n in 0..60 {
        world.run_until(10 + n * 50);
        problem(&mut world, n as usize);
    }
    world.run_until(3600);
    let tries = world.log.iter().filter(|r| r.to == "team").count();
    assert!((40..100).contains(&tries), "backing off to a minute, one probe at a time: {tries}");
    world.run_until(6000);
    let opened = world.told_to("team").iter().filter(|line| line.contains("opened")).count();
    assert_eq!(opened, 60, "{:?}", world.told_to("team"));
    assert!(world.told_to("other").iter().any(|line| line.contains("opened #")), "told elsewhere");
}

#[test]
fn after_a_day_of_failure_what_is_given_up_is_told_once_an_hour_at_most() {
    let mut world = world(None);
    world.receiver("team", |_, _| (unclear(), Duration::from_secs(1)));
    world.run_until(10);
    for n in 0..90 {
        problem(&mut world, n);
        world.run_until(10 + (n as i64 + 1) * 120);
    }
    world.run_until(30 * 3600);
    let infos = world.told_to("other").iter().filter(|line| line.ends_with("info")).count();
    assert!((1..=6).contains(&infos), "{infos}");
    let given_up: u64 = world
        .log
        .iter()
        .flat_map(|request| &request.notices)
        .filter_map(|notice| match &notice.body {
            NoticeBody::Info(Info::Dead { deliveries, .. }) => Some(*deliveries),
            _ => None,
        })
        .sum();
    assert_eq!(given_up, world.store().dead_deliveries(None).unwrap().len() as u64);
}

#[test]
fn a_clock_that_is_set_back_silences_nobody_for_long() {
    let mut world = world(Some(Pace::ONE_A_SECOND));
    world.run_until(7200);
    problem(&mut world, 1);
    world.run_until(7201);
    world.now = at(3600);
    problem(&mut world, 2);
    let before = delivered(&world, "team");
    world.run_until(3603);
    assert_eq!(delivered(&world, "team"), before + 1, "{:?}", world.told_to("team"));
    let now = world.now;
    world.store().submit(None, &Command::RetryAll { destination: None }, now).unwrap();
    let row = 1;
    tick(&mut world, 3606);
    assert!(world.store().answer(row).unwrap().is_some());
}

#[test]
fn outbox_drop_gives_a_due_delivery_up() {
    let mut world = world(None);
    world.receiver("team", |_, _| (refused(3600), Duration::ZERO));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(20);
    let listing = Listing { destination: Some("team".into()), all: false, limit: 10 };
    let listed = world.reader().snapshot().unwrap().list_deliveries(&listing).unwrap();
    let id = DeliveryId(listed.iter().find(|d| d.notice.body.incident() == Some(1)).unwrap().id);
    let now = world.now;
    let row = world.store().submit(None, &Command::DropDelivery { id }, now).unwrap();
    tick(&mut world, 23);
    let answer = world.store().answer(row).unwrap().unwrap();
    let result: DeliveryResult = serde_json::from_str(&answer).unwrap();
    assert_eq!(result, DeliveryResult::GivenUp { id, others: 0 });
    world.run_until(4000);
    assert!(!world.told_to("team").iter().any(|line| line.contains("opened #1")));
}

#[test]
fn outbox_drop_gives_up_a_request_that_would_be_repeated() {
    let mut world = world(None);
    world.receiver("team", |_, _| (unclear(), Duration::from_secs(1)));
    world.run_until(10);
    problem(&mut world, 1);
    world.run_until(300);
    let listing = Listing { destination: Some("team".into()), all: false, limit: 10 };
    let listed = world.reader().snapshot().unwrap().list_deliveries(&listing).unwrap();
    assert_eq!(listed[0].state.as_str(), "claimed");
    let command = Command::DropDelivery { id: DeliveryId(listed[0].id) };
    let now = world.now;
    let row = world.store().submit(None, &command, now).unwrap();
    tick(&mut world, 305);
    assert!(world.store().answer(row).unwrap().unwrap().contains("given_up"));
    let before = world.log.len();
    world.run_until(650);
    assert_eq!(world.log[before..].iter().filter(|r| r.to == "team").count(), 0);
}

#[test]
fn an_answer_for_an_unknown_send_changes_nothing() {
    let mut world = world(None);
    let now: Time = world.now;
    let jobs =
        world.engine().turn(vec![EngineEvent::Answered(podbell_core::outbox::SendId(99), unclear())], now).unwrap();
    assert!(jobs.is_empty());
}

#[test]
fn more_messages_than_memory_holds_wait_and_each_leaves_once_with_its_own_words() {
    const MANY: usize = 1_800;
    let mut world = world(None);
    let opens_at = at(3 * 3600);
    for name in ["team", "other"] {
        world.receiver(name, move |now, _| {
            let outcome = if now < opens_at { unclear() } else { Outcome::Delivered };
            (outcome, Duration::from_millis(20))
        });
    }
    (0..MANY).for_each(|n| problem(&mut world, n));
    world.kill();
    world.start();
    world.run_until(6 * 3600);
    for name in ["team", "other"] {
        let arrived = world.log.iter().filter(|request| request.to == name && request.outcome == Outcome::Delivered);
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for request in arrived {
            let body = String::from_utf8_lossy(&request.body);
            // The name of the problem's namespace. Podbell's own notices have none.
            let Some((_, rest)) = body.split_once("\"ns") else { continue };
            *told.entry(rest.split('"').next().unwrap().to_owned()).or_default() += 1;
        }
        assert_eq!(told.len(), MANY, "{name}");
        assert!(told.values().all(|times| *times == 1), "{name}");
    }
}
