//! Storms: more notices than people can read become digests, and nothing is lost in them.

use std::collections::BTreeSet;
use std::time::Duration;

use podbell_core::event::Target;
use podbell_core::mute::Muted;
use podbell_core::notice::NoticeKind;
use podbell_core::outbox::Outcome;
use podbell_core::outbox::pace::Pace;
use podbell_core::user_action::Act;
use proptest::prelude::*;

use crate::support::events::{at, warning};
use crate::support::world::{World, WorldSpec, web};

const RULES: &str = "version: 1
rules:
  - {name: critical, match: {reason: OOMKilling}, severity: critical, notify: [team, hook]}
  - {name: all, match: {reason: '*'}, notify: [team, hook]}
";

/// A chat that gets digests, and a webhook that gets everything.
fn world() -> World {
    let mut world = World::new(WorldSpec {
        rules: vec![RULES.into()],
        destinations: vec![("team", Some(Pace::ONE_A_SECOND)), ("hook", None)],
        digests: vec!["team"],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.log.clear();
    world
}

fn seconds(world: &World) -> i64 {
    (world.now.millis() - at(0).millis()) / 1000
}

/// Pods of these workloads cannot be scheduled, from now on.
fn fail(world: &mut World, service: &str, workloads: std::ops::Range<usize>, reason: &str) {
    let now = seconds(world);
    let list: Vec<_> =
        workloads.map(|n| warning(&format!("w{n}x"), reason, "0/3 nodes are available", 1, now, now)).collect();
    world.poll(&Target::new("prod", "cls-1", "shop", service), &list);
}

/// Incidents that a message to the chat told, alone or in a digest.
fn told(world: &World, kind: NoticeKind) -> BTreeSet<u64> {
    let to_team = world.log.iter().filter(|request| request.to == "team" && request.outcome == Outcome::Delivered);
    let notices = to_team.flat_map(|request| &request.notices).filter(|notice| notice.kind == kind);
    notices.filter_map(|notice| notice.body.incident()).collect()
}

/// The most messages to the chat in any minute.
fn most_a_minute(world: &World) -> usize {
    let times: Vec<f64> = world.log.iter().filter(|request| request.to == "team").map(|request| request.at).collect();
    times.iter().map(|from| times.iter().filter(|to| **to >= *from && **to < from + 60.0).count()).max().unwrap_or(0)
}

/// The same, of those that tell something critical, and of the others.
fn most_a_minute_by_severity(world: &World) -> [usize; 2] {
    [true, false].map(|critical| {
        let of = |request: &&crate::support::world::Request| {
            request.to == "team"
                && request.notices.iter().any(|notice| notice.severity.as_str() == "critical") == critical
        };
        let times: Vec<f64> = world.log.iter().filter(of).map(|request| request.at).collect();
        let within = |from: &f64| times.iter().filter(|to| *to >= from && **to < from + 60.0).count();
        times.iter().map(within).max().unwrap_or(0)
    })
}

/// Messages to the chat: seconds and what they tell; digests with the notices they hold.
fn chat(world: &World) -> Vec<String> {
    let line = |request: &crate::support::world::Request| match request.storm {
        Some(all) => format!("{}s digest of {}, {all} in all", request.at, request.notices.len()),
        None => format!("{}s {}", request.at, request.notices.last().unwrap().kind.as_str()),
    };
    world.log.iter().filter(|request| request.to == "team").map(line).collect()
}

#[test]
fn a20_four_hundred_workloads_that_fail_at_once_are_three_messages_and_the_webhook_gets_them_all() {
    let mut world = world();
    world.run_until(60);
    fail(&mut world, "web", 0..400, "FailedScheduling");
    world.run_until(120);
    assert_eq!(chat(&world), ["75s opened", "76.1s opened", "77.2s digest of 398, 400 in all"]);
    assert_eq!(told(&world, NoticeKind::Opened).len(), 400);
    let hook = world.log.iter().filter(|request| request.to == "hook");
    assert_eq!(hook.filter(|request| request.notices.len() == 1).count(), 400);
}

#[test]
fn a20_workloads_that_fail_one_after_another_are_never_more_than_three_messages_a_minute() {
    let mut world = world();
    for n in 0..400 {
        let service = format!("s{n}");
        world.poll(&Target::new("prod", "cls-1", "shop", &service), &[]);
    }
    for n in 0..400 {
        world.run_until(60 + i64::try_from(n).unwrap() * 60 / 400);
        fail(&mut world, &format!("s{n}"), n..n + 1, "FailedScheduling");
    }
    world.run_until(600);
    assert_eq!(told(&world, NoticeKind::Opened).len(), 400);
    assert!(most_a_minute(&world) <= 3, "{:?}", chat(&world));
    assert!(chat(&world).len() <= 5, "{:?}", chat(&world));
}

#[test]
fn a21_what_is_critical_goes_first_and_alone_also_in_the_middle_of_a_storm() {
    let mut world = world();
    world.run_until(60);
    fail(&mut world, "web", 0..50, "FailedScheduling");
    fail(&mut world, "api", 50..51, "OOMKilling");
    world.run_until(90);
    assert_eq!(world.log.iter().find(|r| r.to == "team").unwrap().notices[0].severity.as_str(), "critical");
    world.run_until(180);
    fail(&mut world, "web", 60..90, "FailedScheduling");
    fail(&mut world, "api", 51..52, "OOMKilling");
    world.run_until(200);
    // 15 s of group_wait; nothing else may delay it.
    let critical = world.log.iter().filter(|r| r.to == "team" && r.notices[0].severity.as_str() == "critical");
    assert_eq!(critical.map(|r| r.at).next_back(), Some(195.0));
    world.run_until(900);
    assert_eq!(told(&world, NoticeKind::Opened).len(), 82);
    assert!(most_a_minute(&world) <= 3, "{:?}", chat(&world));
}

#[test]
fn a_long_storm_is_told_each_minute_and_later_every_five() {
    let mut world = world();
    for minute in 0..30 {
        world.run_until(60 + minute * 60);
        let first = usize::try_from(minute).unwrap() * 10;
        fail(&mut world, "web", first..first + 10, "FailedScheduling");
    }
    world.run_until(3600);
    assert_eq!(told(&world, NoticeKind::Opened).len(), 300);
    let digests: Vec<f64> = world.log.iter().filter(|r| r.storm.is_some() && r.at < 1900.0).map(|r| r.at).collect();
    let gaps: Vec<f64> = digests.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().take(4).all(|gap| (59.9..70.0).contains(gap)), "{digests:?}");
    assert!(gaps.iter().skip(4).all(|gap| *gap > 299.0), "{digests:?}");
}

#[test]
fn three_notices_a_minute_are_no_storm_and_after_the_calm_each_is_told_alone_again() {
    let mut world = world();
    world.run_until(60);
    fail(&mut world, "web", 0..3, "FailedScheduling");
    world.run_until(120);
    assert_eq!(chat(&world), ["75s opened", "76.1s opened", "77.2s opened"]);
    world.run_until(180);
    fail(&mut world, "web", 10..30, "FailedScheduling");
    world.run_until(700);
    let before = chat(&world).len();
    fail(&mut world, "web", 40..41, "FailedScheduling");
    world.run_until(760);
    assert_eq!(chat(&world)[before..], ["715s opened"]);
}

#[test]
fn a_restart_in_the_middle_of_a_storm_changes_nothing() {
    let stormy = |kill: bool| {
        let mut world = world();
        world.run_until(60);
        fail(&mut world, "web", 0..100, "FailedScheduling");
        world.run_until(78);
        if kill {
            world.kill();
            world.start();
        }
        fail(&mut world, "api", 100..200, "FailedScheduling");
        world.run_until(100);
        if kill {
            world.kill();
            world.start();
        }
        world.run_until(900);
        chat(&world)
    };
    assert_eq!(stormy(true), stormy(false));
}

#[test]
fn a_digest_that_was_not_taken_is_due_again_and_one_that_is_unclear_is_repeated_as_it_is() {
    let mut world = world();
    let refuse = Outcome::Refused { retry_after: Some(Duration::from_secs(90)), why: "429".into() };
    let unclear = Outcome::Unclear { retry_after: None, why: "timeout".into() };
    world.receiver("team", move |_, attempt| {
        let outcome = match attempt {
            3 => refuse.clone(),
            4 => unclear.clone(),
            _ => Outcome::Delivered,
        };
        (outcome, Duration::ZERO)
    });
    world.run_until(60);
    fail(&mut world, "web", 0..100, "FailedScheduling");
    world.run_until(80);
    fail(&mut world, "api", 100..110, "FailedScheduling");
    world.run_until(600);
    let digests: Vec<_> = world.log.iter().filter(|request| request.storm.is_some()).collect();
    assert_eq!(digests[0].notices.len(), 98);
    assert_eq!(digests[1].notices.len(), 108, "refused: it folds anew");
    assert_eq!((&digests[1].id, &digests[1].body), (&digests[2].id, &digests[2].body), "unclear: it repeats");
    assert_eq!(told(&world, NoticeKind::Opened).len(), 110);
}

#[test]
fn what_ends_after_a_storm_is_told_as_over_in_digests_too() {
    let mut world = world();
    world.run_until(60);
    fail(&mut world, "web", 0..50, "FailedScheduling");
    for minute in 2..60 {
        world.run_until(minute * 60);
        world.poll(&Target::new("prod", "cls-1", "shop", "web"), &[]);
    }
    assert_eq!(told(&world, NoticeKind::Opened).len(), 50);
    assert_eq!(told(&world, NoticeKind::Resolved).len(), 50);
    assert!(chat(&world).len() <= 6, "{:?}", chat(&world));
}

#[test]
fn attempts_that_were_refused_take_no_place_from_what_is_critical() {
    let mut world = world();
    let failure = Outcome::Unclear { retry_after: None, why: "connection refused".into() };
    world.receiver("team", move |now, _| {
        (if (at(60)..at(80)).contains(&now) { failure.clone() } else { Outcome::Delivered }, Duration::ZERO)
    });
    world.run_until(60);
    fail(&mut world, "web", 0..3, "FailedScheduling");
    world.run_until(75);
    fail(&mut world, "api", 3..4, "OOMKilling");
    world.run_until(100);
    assert!(chat(&world).iter().all(|line| !line.contains("digest of 1,")), "{:?}", chat(&world));
    assert_eq!(told_in_time(&world, 90.0, 92.0), 1, "{:?}", chat(&world));
    assert_eq!(told(&world, NoticeKind::Opened).len(), 4);
}

/// Messages to the chat with something critical between these moments.
fn told_in_time(world: &World, from: f64, until: f64) -> usize {
    let to_team = world.log.iter().filter(|r| r.to == "team" && r.outcome == Outcome::Delivered);
    let critical = to_team.filter(|r| r.notices.iter().any(|notice| notice.severity.as_str() == "critical"));
    critical.filter(|r| (from..until).contains(&r.at)).count()
}

#[test]
fn podbell_s_own_words_take_no_place_from_an_incident() {
    let mut world = world();
    world.run_until(60);
    for n in 0..3 {
        let scope = podbell_core::scope::Scope::default();
        world.poll(&Target::new("prod", "cls-1", "shop", &format!("quiet{n}")), &[]);
        let what = Muted::Service { cluster: None, namespace: None, service: format!("quiet{n}") };
        world.act("ann", &scope, Act::Mute { what, lasts: Duration::from_secs(3600), why: None });
    }
    fail(&mut world, "web", 0..3, "FailedScheduling");
    world.run_until(90);
    assert_eq!(told(&world, NoticeKind::Opened).len(), 3, "{:?}", chat(&world));
    assert!(chat(&world).iter().all(|line| !line.contains("digest")), "{:?}", chat(&world));
}

#[test]
fn what_is_critical_never_waits_in_a_storm_that_used_up_its_places() {
    for critical in [1, 3] {
        let mut world = world();
        world.run_until(60);
        fail(&mut world, "web", 0..50, "FailedScheduling");
        world.run_until(80);
        assert_eq!(chat(&world).len(), 3, "{:?}", chat(&world));
        fail(&mut world, "api", 50..50 + critical, "OOMKilling");
        world.run_until(99);
        assert_eq!(told(&world, NoticeKind::Opened).len(), 50 + critical, "{:?}", chat(&world));
        // Four hundred of them are no four hundred messages.
        world.run_until(200);
        fail(&mut world, "api", 60..460, "OOMKilling");
        world.run_until(300);
        assert_eq!(told(&world, NoticeKind::Opened).len(), 450 + critical);
        assert!(most_a_minute_by_severity(&world)[0] <= 3, "{:?}", chat(&world));
    }
}

#[test]
fn a_digest_holds_more_than_one_problem() {
    let mut world = world();
    for n in 0..40 {
        world.run_until(60 + n * 20);
        let first = usize::try_from(n).unwrap() * 5;
        fail(&mut world, &format!("s{n}"), first..first + if n % 3 == 0 { 5 } else { 1 }, "FailedScheduling");
    }
    world.run_until(2000);
    for request in world.log.iter().filter(|request| request.storm.is_some()) {
        let incidents: BTreeSet<u64> = request.notices.iter().filter_map(|notice| notice.body.incident()).collect();
        assert!(incidents.len() > 1, "{}s: {incidents:?}", request.at);
    }
}

#[test]
fn ends_make_no_storm_and_what_is_new_meanwhile_is_told_at_once() {
    let mut world = world();
    world.run_until(60);
    fail(&mut world, "web", 0..60, "Odd");
    // They end one after another: each is seen once more at another time.
    let mut told_new = Vec::new();
    for minute in 2..45 {
        world.run_until(minute * 60);
        let now = seconds(&world);
        let again = usize::try_from(minute).unwrap();
        let list: Vec<_> = (0..60)
            .map(|n| {
                let count = if n > again { again as u64 } else { n as u64 + 1 };
                let last = if n > again { now } else { 60 + n as i64 * 60 };
                warning(&format!("w{n}x"), "Odd", "0/3 nodes are available", count, 60, last)
            })
            .collect();
        world.poll(&Target::new("prod", "cls-1", "shop", "web"), &list);
        if minute % 10 == 5 {
            world.run_until(minute * 60 + 5);
            fail(&mut world, &format!("new{minute}"), 1000 + again..1001 + again, "Evicted");
            told_new.push((minute * 60 + 5) as f64);
        }
    }
    world.run_until(5400);
    for at in &told_new[1..] {
        let new = world.log.iter().find(|request| {
            request.to == "team"
                && request.at >= *at
                && request.notices.iter().any(|notice| notice.kind == NoticeKind::Opened)
        });
        assert!(new.is_some_and(|request| request.at <= at + 17.0), "due at {at}: {:?}", chat(&world));
    }
    assert!(most_a_minute(&world) <= 3, "{:?}", chat(&world));
}

#[test]
fn ends_that_come_at_once_are_one_message_and_one_is_told_alone() {
    let mut world = world();
    for (count, expected) in [(1, "resolved"), (3, "digest of 3"), (40, "digest of 40")] {
        let begun = seconds(&world) + 60;
        world.run_until(begun);
        let service = format!("many{count}");
        fail(&mut world, &service, count * 100..count * 101, "Odd");
        let before = chat(&world).len();
        for minute in 1..30 {
            world.run_until(begun + minute * 60);
            world.poll(&Target::new("prod", "cls-1", "shop", &service), &[]);
        }
        let ends: Vec<String> = chat(&world)[before..]
            .iter()
            .filter(|line| {
                !line.contains("opened")
                    && line.split('s').next().unwrap().parse::<f64>().unwrap() > (begun + 600) as f64
            })
            .cloned()
            .collect();
        assert!(ends.iter().all(|line| line.contains(expected)), "{count}: {ends:?}");
        assert_eq!(ends.len(), 1, "{ends:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever comes when, and however often podbell is killed: everything is told, and never more
    /// than three messages in any minute of a storm, nor more than three that are critical.
    #[test]
    fn every_notice_is_told_alone_or_in_a_digest(
        waves in proptest::collection::vec((1i64..200, 1usize..12, any::<bool>(), proptest::bool::weighted(0.2)), 1..25),
    ) {
        let mut world = world();
        let (mut time, mut workloads) = (60, 0);
        for (gap, count, critical, kill) in waves {
            time += gap;
            world.run_until(time);
            if kill {
                world.kill();
                world.start();
            }
            let reason = if critical { "OOMKilling" } else { "FailedScheduling" };
            fail(&mut world, &format!("s{time}"), workloads..workloads + count, reason);
            workloads += count;
        }
        world.run_until(time + 1200);
        let hook = world.log.iter().filter(|request| request.to == "hook").flat_map(|request| &request.notices);
        let opened: BTreeSet<u64> =
            hook.filter(|notice| notice.kind == NoticeKind::Opened).filter_map(|notice| notice.body.incident()).collect();
        prop_assert_eq!(told(&world, NoticeKind::Opened), opened);
        prop_assert!(most_a_minute_by_severity(&world).iter().all(|most| *most <= 3), "{:?}", chat(&world));
    }
}
