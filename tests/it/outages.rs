//! One outage is one failure, and a receiver that takes some is not down, in virtual time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use podbell_core::event::Target;
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, backoff};

use crate::support::events::{at, warning};
use crate::support::world::{Request, World, WorldSpec, web};

const RULES: &str = "version: 1
rules:
  - {name: all, match: {reason: '*'}, notify: [team, other], group_wait: 0s}
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

/// So many problems, each of a workload of its own, in one poll.
fn problems(world: &mut World, count: usize) {
    let seconds = (world.now.millis() - at(0).millis()) / 1000;
    let events: Vec<_> =
        (0..count).map(|n| warning(&format!("w{n}x"), "FailedMount", "m", 1, seconds, seconds)).collect();
    world.poll(&Target::new("prod", "cls-1", "shop", "many"), &events);
}

fn unavailable() -> Outcome {
    Outcome::Unclear { retry_after: None, why: "status 503".into() }
}

fn too_many() -> Outcome {
    Outcome::Refused { retry_after: None, why: "status 429".into() }
}

fn to_team(world: &World) -> impl Iterator<Item = &Request> {
    world.log.iter().filter(|request| request.to == "team")
}

/// When each incident was told, ascending.
fn told_at(world: &World) -> Vec<f64> {
    to_team(world).filter(|request| request.outcome == Outcome::Delivered).map(|request| request.at).collect()
}

#[test]
fn everything_that_fell_due_in_an_outage_of_seconds_is_told_within_seconds_of_its_end() {
    for failure in [unavailable(), too_many()] {
        for (count, lasts, begins_well) in [(8, 5, true), (50, 5, true), (50, 5, false), (200, 3, true), (50, 60, true)]
        {
            let mut world = world(None);
            let (failure, back) = (failure.clone(), at(100 + lasts));
            world.receiver("team", move |now, _| {
                let down = now < back && (now >= at(100) || !begins_well);
                (if down { failure.clone() } else { Outcome::Delivered }, Duration::from_millis(5))
            });
            world.run_until(100);
            problems(&mut world, count);
            world.run_until(100 + lasts);
            let tries = to_team(&world).count();
            world.run_until(400);
            let told = told_at(&world);
            assert_eq!(told.len(), count);
            let after = told.last().unwrap() - 100.0 - lasts as f64;
            assert!(after < 12.0, "{count} due, down for {lasts} s: the last {after} s after its return");
            assert!(tries < 30, "{count} due, down for {lasts} s: {tries} requests meanwhile");
        }
    }
}

#[test]
fn each_of_two_hundred_is_told_soon_by_a_receiver_that_refuses_half_of_the_requests() {
    for failure in [unavailable(), too_many()] {
        let mut world = world(None);
        world.receiver("team", move |now, attempt| {
            let mut hash = DefaultHasher::new();
            (now.millis(), attempt).hash(&mut hash);
            let taken = hash.finish().is_multiple_of(2);
            (if taken { Outcome::Delivered } else { failure.clone() }, Duration::from_millis(5))
        });
        world.run_until(100);
        problems(&mut world, 200);
        world.run_until(400);
        let told = told_at(&world);
        assert_eq!(told.len(), 200);
        let (median, last) = (told[100] - 100.0, told[199] - 100.0);
        assert!(median < 1.0 && last < 20.0, "median {median} s, last {last} s");
    }
}

#[test]
fn a_thousand_that_waited_through_an_outage_of_minutes_are_told_when_it_ends() {
    let mut world = world(None);
    world.receiver("team", |now, _| {
        (if now < at(540) { unavailable() } else { Outcome::Delivered }, Duration::from_millis(50))
    });
    world.run_until(100);
    problems(&mut world, 1000);
    world.run_until(540);
    let tries = to_team(&world).count();
    assert!((10..60).contains(&tries), "{tries} requests in 440 s");
    world.run_until(700);
    let told = told_at(&world);
    assert_eq!(told.len(), 1000);
    assert!(told[0] < 600.0 && told[999] < 640.0, "{} to {}", told[0], told[999]);
}

#[test]
fn a_request_that_fails_because_of_what_it_says_keeps_nothing_else_back() {
    for pace in [None, Some(Pace::ONE_A_SECOND)] {
        let mut world = world(pace);
        let mut first = None;
        // Down for 20 s; and what was asked first is never taken.
        world.receiver("team", move |now, attempt| {
            let _ = first.get_or_insert(attempt);
            (if now < at(120) { unavailable() } else { Outcome::Delivered }, Duration::from_millis(20))
        });
        world.run_until(100);
        problems(&mut world, 12);
        world.run_until(119);
        let poison = to_team(&world).next().unwrap().id.clone();
        let ids: Vec<String> = to_team(&world).map(|request| request.id.clone()).collect();
        assert!(ids.iter().any(|id| *id != poison), "another one has its turn: {ids:?}");
        world.run_until(160);
        assert_eq!(told_at(&world).len(), 12);
    }
}

#[test]
fn what_was_not_taken_while_others_were_is_tried_again_less_and_less_often() {
    let mut world = world(None);
    world.run_until(100);
    problems(&mut world, 4);
    world.run_until(110);
    world.log.clear();
    // From now on only what is new is taken.
    world.receiver("team", |_, attempt| {
        (if attempt % 10 == 1 { unavailable() } else { Outcome::Delivered }, Duration::from_millis(20))
    });
    for n in 0..9 {
        world.run_until(120 + n);
        let seconds = 120 + n;
        let one = warning(&format!("x{n}x"), "FailedMount", "m", 1, seconds, seconds);
        world.poll(&Target::new("prod", "cls-1", "shop", &format!("s{n}")), &[one]);
    }
    world.run_until(140);
    assert_eq!(told_at(&world).len(), 9);
    // The first was refused once, and came half a second later.
    let first: Vec<f64> = to_team(&world).filter(|request| request.at < 121.0).map(|request| request.at).collect();
    assert_eq!(first.len(), 2);
    assert!(first[1] - first[0] < 1.0, "{first:?}");
}

#[test]
fn a_back_off_starts_with_a_second_and_ends_with_a_minute() {
    let seconds = |failures, outage| backoff(failures, Duration::from_secs(outage), 0.0).as_secs();
    assert_eq!([seconds(1, 0), seconds(2, 1), seconds(3, 3), seconds(4, 7)], [1, 2, 4, 4]);
    assert_eq!([seconds(5, 15), seconds(9, 120), seconds(30, 3600)], [4, 20, 60]);
    assert_eq!(backoff(2, Duration::ZERO, 1.0), Duration::from_secs(1));
}

#[test]
fn others_hear_after_ten_minutes_that_one_takes_nothing_whatever_the_reason() {
    let hour = Duration::from_secs(3600);
    let reasons: [(&str, Outcome); 4] = [
        ("no word of when", too_many()),
        ("an hour's wall", Outcome::Refused { retry_after: Some(hour), why: "status 429".into() }),
        ("an hour's wall of a 503", Outcome::Unclear { retry_after: Some(hour), why: "status 503".into() }),
        ("a time-out", unavailable()),
    ];
    for (what, reason) in reasons {
        let mut world = world(None);
        world.receiver("team", move |now, _| {
            (if now < at(1500) { reason.clone() } else { Outcome::Delivered }, Duration::from_millis(20))
        });
        world.run_until(100);
        problems(&mut world, 1);
        world.run_until(690);
        let troubles = |world: &World| world.told_to("other").len() - 1;
        assert_eq!(troubles(&world), 0, "{what}: {:?}", world.told_to("other"));
        // Ten minutes, and a minute in which more of the kind would join.
        world.run_until(770);
        assert_eq!(troubles(&world), 1, "{what}: {:?}", world.told_to("other"));
        world.run_until(5000);
        assert_eq!(troubles(&world), 2, "{what}: it is over, {:?}", world.told_to("other"));
        assert_eq!(world.told_to("team").iter().filter(|line| line.contains("opened #1")).count(), 1, "{what}");
    }
}

#[test]
fn a_wall_over_a_restart_is_told_elsewhere_too() {
    let mut world = world(None);
    let wall = Outcome::Refused { retry_after: Some(Duration::from_secs(7200)), why: "status 429".into() };
    world.receiver("team", move |_, _| (wall.clone(), Duration::ZERO));
    world.run_until(100);
    problems(&mut world, 1);
    world.run_until(300);
    world.kill();
    world.start();
    world.run_until(770);
    assert_eq!(world.told_to("other").len(), 2, "{:?}", world.told_to("other"));
}
