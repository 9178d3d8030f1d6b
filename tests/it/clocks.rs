//! A clock that is set: by hours or a day, forward or back, while podbell runs or while it does not. Nothing that was
//! to happen after a time happens earlier or later for it.

use std::time::Duration;

use podbell::clock::Clocks;
use podbell_core::event::Target;
use podbell_core::mute::Muted;
use podbell_core::outbox::Outcome;
use podbell_core::outbox::pace::Pace;
use podbell_core::scope::Scope;
use podbell_core::time::Jump;
use podbell_core::user_action::Act;
use podbell_store::Writer as _;

use crate::support::events::{at, warning};
use crate::support::world::{TWENTY_A_MINUTE, World, WorldSpec, web};

const HOUR: i64 = 3600;
const JUMPS: [i64; 6] = [3 * HOUR, -3 * HOUR, 24 * HOUR, -24 * HOUR, 20, -20];

const RULES: &str = "version: 1
rules:
  - {name: now, match: {reason: FailedMount}, notify: [team, other], group_wait: 0s}
  - {name: gathered, match: {reason: Evicted}, notify: [team, other], group_wait: 3m}
  - {name: counted, match: {reason: Unhealthy}, notify: [team, other], group_wait: 0s, open_when: {count: 3, within: 10m}}
  - {name: worse, match: {reason: BackOff}, notify: [team, other], group_wait: 0s, min_gap: 10m, escalate: {counts: [2, 3, 4]}}
  - {name: long, match: {reason: FailedScheduling}, notify: [team, other], group_wait: 0s, remind_every: 2h, resolve_after: 12h}
";

fn world(pace: Option<Pace>, digests: Vec<&'static str>) -> World {
    let mut world = World::new(WorldSpec {
        rules: vec![RULES.into()],
        destinations: vec![("team", pace), ("other", None)],
        operator: vec!["team", "other"],
        digests,
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.log.clear();
    world
}

/// A list that shows these, at this second.
fn poll(world: &mut World, second: i64, service: &str, reason: &str, workloads: std::ops::Range<usize>, count: u64) {
    world.run_until(second);
    // Dated by the clock of the cluster, which is podbell's: what it says of the past is no part of this.
    let seen = (world.now.millis() - at(0).millis()) / 1000;
    let events: Vec<_> = workloads.map(|n| warning(&format!("w{n}x"), reason, "m", count, seen, seen)).collect();
    world.poll(&Target::new("prod", "cls-1", "shop", service), &events);
}

fn empty(world: &mut World, from: i64, until: i64, every: i64, service: &str) {
    let mut second = from;
    while second <= until {
        world.run_until(second);
        world.poll(&Target::new("prod", "cls-1", "shop", service), &[]);
        second += every;
    }
}

fn fails(world: &mut World, times: u32, outcome: &Outcome) {
    let outcome = outcome.clone();
    let answer = move |attempt| if attempt <= times { outcome.clone() } else { Outcome::Delivered };
    world.receiver("team", move |_, attempt| (answer(attempt), Duration::from_millis(10)));
}

fn unavailable() -> Outcome {
    Outcome::Unclear { retry_after: None, why: "status 503".into() }
}

fn wall(seconds: u64) -> Outcome {
    Outcome::Refused { retry_after: Some(Duration::from_secs(seconds)), why: "status 429".into() }
}

/// What happens in each scene, and the seconds at which the clock is set.
type Scene = (&'static str, [i64; 2], fn(&mut World));

const SCENES: &[Scene] = &[
    ("a back-off", [103, 110], |world| {
        fails(world, 5, &unavailable());
        poll(world, 100, "web", "FailedMount", 0..5, 1);
        world.run_until(400);
    }),
    ("a wall of seconds", [101, 104], |world| {
        fails(world, 1, &wall(5));
        poll(world, 100, "web", "FailedMount", 0..5, 1);
        world.run_until(400);
    }),
    ("a wall of an hour, told elsewhere after ten minutes", [300, 2000], |world| {
        fails(world, 1, &wall(3600));
        poll(world, 100, "web", "FailedMount", 0..5, 1);
        empty(world, 160, 5000, 300, "web");
    }),
    ("a request that rests while others are taken", [131, 133], |world| {
        poll(world, 100, "web", "FailedMount", 0..5, 1);
        world.run_until(125);
        let refuse = |attempt| attempt % 3 == 0;
        world.receiver("team", move |_, attempt| {
            (if refuse(attempt) { unavailable() } else { Outcome::Delivered }, Duration::from_millis(10))
        });
        poll(world, 130, "api", "FailedMount", 10..30, 1);
        world.run_until(400);
    }),
    ("group_wait", [130, 200], |world| {
        poll(world, 100, "web", "Evicted", 0..1, 1);
        world.run_until(400);
    }),
    ("open_when", [260, 380], |world| {
        for (n, second) in [100, 280, 400].into_iter().enumerate() {
            poll(world, second, "web", "Unhealthy", 0..1, n as u64 + 1);
        }
        world.run_until(1000);
    }),
    ("min_gap", [200, 500], |world| {
        for (n, second) in [100, 160, 220, 280].into_iter().enumerate() {
            poll(world, second, "web", "BackOff", 0..1, n as u64 + 1);
        }
        world.run_until(1000);
    }),
    ("the end of what is quiet, and its return", [400, 1900], |world| {
        poll(world, 100, "web", "FailedMount", 0..1, 1);
        empty(world, 160, 1500, 60, "web");
        poll(world, 2000, "web", "FailedMount", 0..1, 1);
        empty(world, 2060, 5000, 60, "web");
    }),
    ("a reminder", [3700, 9000], |world| {
        poll(world, 100, "web", "FailedScheduling", 0..1, 1);
        empty(world, 160, 5 * HOUR, 600, "web");
    }),
    ("a mute", [1000, 3000], |world| {
        world.run_until(90);
        let what = Muted::Service { cluster: None, namespace: Some("shop".into()), service: "web".into() };
        world.act("ann", &Scope::default(), Act::Mute { what, lasts: Duration::from_secs(3600), why: None });
        poll(world, 100, "web", "FailedScheduling", 0..1, 1);
        empty(world, 160, 5000, 300, "web");
    }),
    ("trouble with a source", [250, 450], |world| {
        for second in (100..900).step_by(60) {
            world.run_until(second);
            world.fail(&web(), "4100");
        }
        empty(world, 900, 1200, 60, "web");
    }),
];

fn lines(world: &World) -> Vec<String> {
    let told = world.log.iter().filter(|request| request.outcome == Outcome::Delivered);
    told.map(|request| {
        let kinds: Vec<&str> = request.notices.iter().map(|notice| notice.kind.as_str()).collect();
        let incident = request.notices.last().and_then(|notice| notice.body.incident());
        // A tick may come a moment later for it.
        format!("{:.0}s {} {} {incident:?}", request.at, request.to, kinds.join("+"))
    })
    .collect()
}

fn played(scene: fn(&mut World), jumps: &[(i64, i64)]) -> Vec<String> {
    let mut world = world(None, Vec::new());
    world.jumps = jumps.iter().copied().collect();
    scene(&mut world);
    lines(&world)
}

#[test]
fn every_timer_takes_as_long_as_it_should_however_the_clock_is_set() {
    for (what, seconds, scene) in SCENES {
        let straight = played(*scene, &[]);
        assert!(straight.iter().any(|line| line.contains("other")), "{what}: {straight:?}");
        for second in seconds {
            for by in JUMPS {
                assert_eq!(played(*scene, &[(*second, by)]), straight, "{what}: {by} s at second {second}");
            }
        }
        // And set right again.
        let there_and_back = [(seconds[0], 5 * HOUR), (seconds[1], -5 * HOUR)];
        assert_eq!(played(*scene, &there_and_back), straight, "{what}: there and back");
    }
}

#[test]
fn nothing_is_given_up_a_day_early_or_late() {
    for by in [0, 24 * HOUR, -24 * HOUR] {
        let mut world = world(None, Vec::new());
        fails(&mut world, u32::MAX, &unavailable());
        poll(&mut world, 100, "web", "FailedMount", 0..1, 1);
        world.run_until(500);
        world.set_clock(by);
        let dead = |world: &mut World| world.store().dead_deliveries(Some("team")).unwrap().len();
        world.run_until(24 * HOUR);
        assert_eq!(dead(&mut world), 0, "{by} s");
        world.run_until(24 * HOUR + 200);
        assert_eq!(dead(&mut world), 1, "{by} s");
    }
}

#[test]
fn pace_and_storms_hold_however_the_clock_is_set() {
    for pace in [TWENTY_A_MINUTE, Pace::ONE_A_SECOND] {
        for digests in [Vec::new(), vec!["team"]] {
            let play = |jumps: &[(i64, i64)]| {
                let mut world = world(Some(pace), digests.clone());
                world.jumps = jumps.iter().copied().collect();
                poll(&mut world, 100, "web", "FailedMount", 0..25, 1);
                poll(&mut world, 130, "api", "FailedMount", 30..50, 1);
                world.run_until(600);
                lines(&world)
            };
            let straight = play(&[]);
            for by in JUMPS {
                assert_eq!(play(&[(103, by)]), straight, "{by} s");
                assert_eq!(play(&[(140, by)]), straight, "{by} s");
            }
        }
    }
}

#[test]
fn what_was_carried_along_is_stored() {
    for by in JUMPS {
        let mut world = world(None, Vec::new());
        fails(&mut world, 1, &wall(3600));
        poll(&mut world, 100, "web", "FailedScheduling", 0..1, 1);
        world.run_until(200);
        world.set_clock(by);
        world.run_until(201);
        world.kill();
        world.start();
        empty(&mut world, 220, 4 * HOUR, 60, "web");
        assert_eq!(
            world.told_to("team").first().map(String::as_str).map(|line| line.starts_with("3700")),
            Some(true),
            "{by} s: {:?}",
            world.told_to("team")
        );
        let reminded = world.told_to("other").iter().any(|line| line.starts_with("7300") && line.contains("reminded"));
        assert!(reminded, "{by} s: {:?}", world.told_to("other"));
    }
}

#[test]
fn a_clock_that_was_set_back_while_podbell_was_down_keeps_nothing_waiting() {
    for by in [-3 * HOUR, -24 * HOUR] {
        let mut world = world(None, Vec::new());
        fails(&mut world, 1, &wall(550));
        poll(&mut world, 100, "web", "FailedMount", 0..1, 1);
        empty(&mut world, 160, 400, 60, "web");
        world.kill();
        world.set_clock(by);
        world.start();
        empty(&mut world, 420, 2000, 60, "web");
        let seconds = |line: &String| line.split('s').next().unwrap().parse::<f64>().unwrap();
        // What of the wall was left is still kept, and no more; the time without podbell counts as none.
        let told = world.told_to("team");
        assert!((650.0..680.0).contains(&seconds(&told[0])), "{by} s: {told:?}");
        let over: Vec<f64> =
            world.told_to("other").iter().filter(|line| line.contains("resolved")).map(seconds).collect();
        assert!(over.len() == 1 && (990.0..1100.0).contains(&over[0]), "{by} s: {over:?}");
    }
}

#[test]
fn an_engine_that_is_told_an_earlier_moment_notices_it_by_itself() {
    let mut world = world(None, Vec::new());
    fails(&mut world, 1, &wall(30));
    poll(&mut world, 100, "web", "FailedMount", 0..1, 1);
    world.run_until(110);
    // Nobody says that the clock was set.
    world.now = at(110 - 3 * HOUR);
    world.run_to(at(110 - 3 * HOUR));
    world.run_to(at(121 - 3 * HOUR));
    assert!(world.told_to("team").is_empty(), "{:?}", world.told_to("team"));
    world.run_to(at(131 - 3 * HOUR));
    assert_eq!(world.told_to("team").len(), 1);
}

#[test]
fn two_clocks_that_differ_say_by_how_much_one_was_set() {
    let begun = podbell::clock::monotonic();
    let later = |seconds| begun + Duration::from_secs(seconds);
    let jump = |from, to| Jump::between(at(from), at(to));
    let mut clocks = Clocks::in_step(at(0), begun);
    assert_eq!(clocks.compare(at(60), later(60)), Jump::NONE);
    assert_eq!(clocks.compare(at(3 * HOUR + 120), later(120)), jump(0, 3 * HOUR));
    assert_eq!(clocks.compare(at(3 * HOUR + 180), later(180)), Jump::NONE, "it is said once");
    assert_eq!(clocks.compare(at(240 - 24 * HOUR), later(240)), jump(0, -27 * HOUR));
    // What is less than a second adds up.
    let behind = Duration::from_millis(600);
    assert_eq!(clocks.compare(at(300 - 24 * HOUR).minus(behind), later(300)), Jump::NONE);
    assert_eq!(clocks.compare(at(360 - 24 * HOUR).minus(behind * 2), later(360)).length(), behind * 2);
}
