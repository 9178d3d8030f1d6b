//! `settled`: what an object does when it is new is told only if it goes on, and then without fail.

use podbell::sources::{Receipt, SourceEvent};
use podbell_core::event::{Event, Level};
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::notice::{Notice, NoticeBody, Story};
use podbell_core::source::{PartialObservation, WatchCoverage};

use crate::support::events::warning;
use crate::support::world::{World, web};

const POD: &str = "web-6d4cf56db6-x2x7v";
const OTHER: &str = "web-6d4cf56db6-9rkxq";
const RULES: &str = "version: 1\nrules:\n  - {name: all, match: {level: Warning}, notify: [team], open_when: {count: 3, within: 10m, settled: 5m}}\n";

fn normal(kind: &str, name: &str, reason: &str, message: &str, at: i64) -> Event<'static> {
    Event { level: Level::Normal, obj_type: kind.to_owned().into(), ..warning(name, reason, message, 1, at, at) }
}

fn scheduled(pod: &str, at: i64) -> Event<'static> {
    normal("Pod", pod, "Scheduled", "Successfully assigned shop/web to node-1", at)
}

fn probe(pod: &str, count: u64, first: i64, last: i64) -> Event<'static> {
    warning(pod, "Unhealthy", "Readiness probe failed: connection refused", count, first, last)
}

/// A world whose target was read, empty.
fn world(rules: &str) -> World {
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world
}

/// One in which the events of pods' lives were seen.
fn world_with_lives() -> World {
    let mut world = world(RULES);
    world.run_until(30);
    world.poll(&web(), &[scheduled("db-0", 20)]);
    world
}

/// Polls every minute what the list shows at each second.
fn play(world: &mut World, from: i64, until: i64, list: impl Fn(i64) -> Vec<Event<'static>>) {
    for second in (from..=until).step_by(60) {
        world.run_until(second);
        world.poll(&web(), &list(second));
    }
}

/// Seconds of all messages.
fn told(world: &World) -> Vec<i64> {
    #[allow(clippy::cast_possible_truncation, reason = "seconds of a test")]
    world.log.iter().map(|request| request.at as i64).collect()
}

/// A probe that fails every ten seconds, from `first` to `until`.
fn failing(pod: &str, first: i64, until: i64, now: i64) -> Vec<Event<'static>> {
    let last = now.min(until);
    if last < first {
        return Vec::new();
    }
    vec![probe(pod, u64::try_from((last - first) / 10 + 1).unwrap(), first, last - (last - first) % 10)]
}

#[test]
fn what_a_new_pod_does_in_its_first_minutes_is_not_told_and_what_goes_on_is() {
    let starts = [
        scheduled(POD, 90),
        normal("Pod", POD, "Started", "Started container web", 90),
        normal("Pod", POD, "Pulled", "Successfully pulled image", 90),
        normal("ReplicaSet", "web-6d4cf56db6", "SuccessfulCreate", "Created pod: web-6d4cf56db6-x2x7v", 90),
    ];
    for start in starts {
        let list = |until| {
            let start = start.clone();
            move |now| [vec![start.clone()], failing(POD, 100, until, now)].concat()
        };
        let mut works = world(RULES);
        play(&mut works, 120, 900, list(380));
        assert_eq!(told(&works), [0; 0], "{start:?}: {:?}", works.told());
        let mut broken = world(RULES);
        play(&mut broken, 120, 900, list(900));
        assert_eq!(told(&broken), [435], "{start:?}: five minutes, the next poll and group_wait");
    }
}

#[test]
fn a_pod_that_has_run_for_five_minutes_is_told_at_once() {
    for start in [Some(scheduled(POD, 90)), None] {
        let mut world = world_with_lives();
        let list = |now| [start.iter().cloned().collect(), failing(POD, 610, 640, now)].concat();
        play(&mut world, 120, 1200, list);
        assert_eq!(told(&world), [675], "{start:?}: its start was shown, or was none of the last hour");
    }
}

#[test]
fn an_object_of_which_only_warnings_are_shown_counts_from_its_first() {
    let mut works = world(RULES);
    play(&mut works, 120, 1200, |now| failing(POD, 100, 380, now));
    assert_eq!(told(&works), [0; 0]);
    let mut broken = world(RULES);
    play(&mut broken, 120, 900, |now| failing(POD, 100, 900, now));
    assert_eq!(told(&broken), [435]);
    // It fails again within the day: it is not new any more.
    play(&mut works, 7200, 7320, |now| failing(POD, 7150, 7320, now));
    assert_eq!(told(&works).len(), 1, "{:?}", works.told());
}

#[test]
fn where_the_target_was_not_watched_before_nothing_is_new() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.run_until(60);
    world.poll(&web(), &failing(POD, 30, 60, 60));
    play(&mut world, 120, 240, |now| failing(POD, 30, 240, now));
    assert_eq!(told(&world), [135], "one of the past, and three");
}

#[test]
fn a_container_that_starts_again_makes_its_pod_no_younger() {
    let mut world = world_with_lives();
    let list = |now: i64| {
        let again = normal("Pod", POD, "Started", "Started container web", 640);
        let again = (now >= 640).then_some(again);
        [failing(POD, 610, 630, now), again.into_iter().collect(), failing(OTHER, 2000, 2000, now)].concat()
    };
    play(&mut world, 120, 600, list);
    play(&mut world, 660, 900, list);
    assert_eq!(told(&world), [675], "{:?}", world.told());
}

#[test]
fn a_pod_of_the_same_name_that_is_made_again_is_new() {
    let mut world = world_with_lives();
    let list = |now: i64| {
        let again = (now >= 1200).then(|| scheduled("db-0", 1190));
        [vec![scheduled("db-0", 20)], again.into_iter().collect(), failing("db-0", 1195, 1300, now)].concat()
    };
    play(&mut world, 60, 2400, list);
    assert_eq!(told(&world), [0; 0], "{:?}", world.told());
}

#[test]
fn what_a_new_pod_did_is_remembered_over_a_restart_and_so_is_its_age() {
    for at in [150, 210, 330] {
        let mut world = world(RULES);
        let list = |now| [vec![scheduled(POD, 90)], failing(POD, 100, 380, now)].concat();
        play(&mut world, 120, at - 30, list);
        world.kill();
        world.now = crate::support::events::at(at);
        world.start();
        play(&mut world, at + 30, 1200, list);
        assert_eq!(told(&world), [0; 0], "killed at {at}: {:?}", world.told());
        let mut broken = self::world(RULES);
        // Three before it is five minutes old, one after: what was written before counts.
        let list = |now: i64| {
            let (count, last) = if now < 420 { (3, 120) } else { (4, 410) };
            vec![scheduled(POD, 90), probe(POD, count, 100, last)]
        };
        play(&mut broken, 120, at - 30, list);
        broken.kill();
        broken.now = crate::support::events::at(at);
        broken.start();
        play(&mut broken, at + 30, 1200, list);
        assert_eq!(told(&broken).len(), 1, "killed at {at}: {:?}", broken.told());
    }
}

#[test]
fn a_rule_that_also_says_lasts_tells_what_lasts_whatever_the_age() {
    let rules = RULES.replace("settled: 5m", "settled: 5m, lasts: 2m");
    let mut world = world(&rules);
    play(&mut world, 120, 600, |now| [vec![scheduled(POD, 90)], failing(POD, 100, 600, now)].concat());
    assert_eq!(told(&world), [255], "{:?}", world.told());
}

#[test]
fn crash_loops_and_image_pulls_of_new_pods_are_told_as_soon_as_those_of_old_ones() {
    let says = [("BackOff", "Back-off restarting failed container web"), ("Failed", "Error: ErrImagePull")];
    for (reason, message) in says {
        let run = |start: Option<Event<'static>>| -> Vec<Vec<i64>> {
            let play_in = |mut world: World| {
                play(&mut world, 60, 900, |now| {
                    let count = u64::try_from((now - 40) / 20).unwrap();
                    let fails = warning(POD, reason, message, count, 50, now - 5);
                    [start.iter().cloned().collect(), vec![fails]].concat()
                });
                told(&world)
            };
            World::of_both_sets().into_iter().map(play_in).collect()
        };
        let (new, old) = (run(Some(scheduled(POD, 45))), run(None));
        assert_eq!(new, old, "{reason}");
        assert!(new.iter().all(|told| told.first().is_some_and(|at| *at <= 255)), "{reason}: {new:?}");
    }
}

fn health(world: &mut World, ready: u32, rolling_out: bool) {
    let health = Some(Health { wanted: 3, ready, rolling_out });
    let kind = WorkloadKind::Deployment;
    let reports = vec![HealthReport { target: web(), kind, name: "web".into(), health, deleted: false }];
    world.say(SourceEvent::Health { at: world.now, reports });
}

#[test]
fn where_health_is_known_it_decides_when_a_new_pod_is_five_minutes_old() {
    // Ready pods, by the end of its first five minutes; a rollout under way; messages.
    let cases = [(3, false, vec![]), (2, false, vec![405]), (2, true, vec![])];
    for (ready, rolling_out, expected) in cases {
        let mut world = world(RULES);
        health(&mut world, 2, true);
        // Nothing is written after the first minute: the kubelet saves its words.
        play(&mut world, 120, 240, |_| vec![scheduled(POD, 90), probe(POD, 5, 100, 110)]);
        health(&mut world, ready, rolling_out);
        play(&mut world, 300, 1200, |_| vec![scheduled(POD, 90), probe(POD, 5, 100, 110)]);
        assert_eq!(told(&world), expected, "{ready} {rolling_out}: {:?}", world.told());
    }
}

#[test]
fn a_watch_tells_ages_by_parts_as_lists_do() {
    let part = |world: &mut World, whole: bool, events: Vec<Event<'static>>| {
        let lists = vec![PartialObservation { target: web(), events, gone: Vec::new() }];
        world.say(SourceEvent::PartialObservation { at: world.now, whole, lists, receipt: Receipt::free() });
    };
    for restart in [false, true] {
        let mut world = World::with_rules(RULES);
        part(&mut world, true, vec![scheduled("db-0", -60)]);
        let covers = WatchCoverage { source: "prod".into(), namespace: None };
        let listed = |world: &mut World| {
            let (covers, at) = (covers.clone(), world.now);
            world.say(SourceEvent::ListCompleted { covers, at, shown: vec![web()], receipt: Receipt::free() });
        };
        listed(&mut world);
        world.run_until(100);
        part(&mut world, false, vec![scheduled(POD, 100)]);
        world.run_until(110);
        if restart {
            world.kill();
            world.start();
            part(&mut world, true, vec![scheduled("db-0", -60), scheduled(POD, 100)]);
            listed(&mut world);
        }
        world.run_until(200);
        part(&mut world, false, vec![probe(POD, 9, 115, 195)]);
        world.run_until(300);
        assert_eq!(told(&world), [0; 0], "{restart}");
        world.run_until(410);
        part(&mut world, false, vec![probe(POD, 10, 115, 405)]);
        world.run_until(500);
        assert_eq!(told(&world).len(), 1, "{restart}: {:?}", world.told());
    }
}

#[test]
fn what_a_new_pod_does_is_no_news_of_an_open_incident_either_unless_it_goes_on() {
    let rules = "version: 1\ndefaults: {notify: [team], family: pods}\nrules:\n  - {name: crash, match: {reason: BackOff}}\n  \
                 - {name: probe, match: {reason: Unhealthy}, open_when: {count: 3, within: 10m, settled: 5m}}\n";
    for (until, kinds) in [(500, &["opened"][..]), (900, &["opened", "escalated"])] {
        let mut world = world(rules);
        let crash = warning(OTHER, "BackOff", "Back-off restarting failed container", 1, 100, 100);
        play(&mut world, 120, 900, |now| {
            let start = (now >= 420).then(|| scheduled(POD, 420));
            [vec![crash.clone()], start.into_iter().collect(), failing(POD, 430, until, now)].concat()
        });
        let told: Vec<String> = world.told().iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect();
        assert_eq!(told, kinds, "its probe fails until {until}");
    }
}

fn story(notice: &Notice) -> &Story {
    let NoticeBody::Incident(story) = &notice.body else { panic!("not about an incident") };
    story
}

/// Rules of one family: the probes of new pods do not count.
fn family(reversed: bool) -> String {
    let mut rules = [
        "{name: probe, match: {reason: Unhealthy}, open_when: {count: 3, within: 15m, settled: 5m}}",
        "{name: crash, match: {reason: ContainerCrashed}, open_when: {count: 3, within: 1h}}",
        "{name: loop, match: {reason: BackOff}}",
        "{name: down, match: {reason: Unavailable}}",
        "{name: image, match: {reason: Failed}, open_when: {count: 3, within: 20m}}",
    ];
    if reversed {
        rules.reverse();
    }
    format!("version: 1\ndefaults: {{notify: [team], family: pods}}\nrules:\n  - {}\n", rules.join("\n  - "))
}

#[test]
fn what_a_new_pod_did_and_was_not_told_is_quoted_by_what_follows_from_it_unless_that_is_over_or_long_ago() {
    let liveness = |last: i64| warning(POD, "Unhealthy", "Liveness probe failed: timeout", 5, 100, last);
    let killed = warning(POD, "ContainerCrashed", "Container web ended with exit code 137", 1, 150, 150);
    let crashed = warning(POD, "ContainerCrashed", "Container web ended with exit code 1", 1, 150, 150);
    let loops = |at: i64| warning(OTHER, "BackOff", "Back-off restarting failed container", 1, at, at);
    let mut down = warning("web", "Unavailable", "No pod is ready", 1, 500, 500);
    down.obj_type = "Deployment".into();
    let not_found = warning(POD, "Failed", "Failed to pull image \"web:v2\": not found", 1, 140, 140);
    let pulled = normal("Pod", POD, "Pulled", "Successfully pulled image \"web:v2\"", 200);
    // What was seen, and what the first message says.
    let cases = [
        (vec![liveness(140), killed.clone(), loops(500)], "Liveness probe failed: timeout"),
        (vec![liveness(160), killed.clone(), loops(500)], "Liveness probe failed: timeout"),
        (vec![liveness(140), killed, down.clone()], "Liveness probe failed: timeout"),
        (vec![liveness(140), crashed, loops(500)], "Container web ended with exit code 1"),
        (vec![liveness(140), loops(2000)], "Back-off restarting failed container"),
        (vec![not_found.clone(), down.clone()], "Failed to pull image \"web:v2\": not found"),
        (vec![not_found, pulled, down], "No pod is ready"),
    ];
    for reversed in [false, true] {
        for (events, expected) in &cases {
            let mut world = world(&family(reversed));
            health(&mut world, 3, false);
            play(&mut world, 120, 2100, |now| {
                let seen = events.iter().filter(|event| event.last_seen <= crate::support::events::at(now));
                seen.cloned().chain([scheduled(POD, 90)]).collect()
            });
            let told: Vec<&str> = world.log.iter().map(|one| &*story(&one.notices[0]).newest.message).collect();
            assert_eq!(told[0], *expected, "{reversed}: {:?}", world.told());
        }
    }
}

#[test]
fn what_new_pods_of_an_earlier_rollout_did_is_not_counted_with_that_of_the_next() {
    const NEXT: &str = "web-7f9c4d5b88-k2zvp";
    let mut world = world(RULES);
    health(&mut world, 3, false);
    play(&mut world, 120, 1500, |now| {
        let first = [vec![scheduled(POD, 90)], failing(POD, 100, 180, now)].concat();
        let next = [vec![scheduled(NEXT, 780)], failing(NEXT, 790, 1500, now)].concat();
        [first, if now >= 780 { next } else { Vec::new() }].concat()
    });
    let story = story(&world.log[0].notices[0]);
    let first = crate::support::events::at(790);
    assert!(story.first_at >= first && story.object_names == [NEXT], "{story:?}");
}

#[test]
fn what_was_read_late_counts_together_however_old_it_is() {
    let pods = [POD, OTHER, "web-6d4cf56db6-k2zvp"];
    let rules = RULES.replace("within: 10m", "within: 5m");
    let mut world = world(&rules);
    world.run_until(60);
    world.poll(&web(), &pods.map(|pod| scheduled(pod, -3000)));
    // Nothing was read for a while.
    world.run_until(1200);
    let failed = |(number, pod): (usize, &str)| {
        let at = 660 + 30 * i64::try_from(number).unwrap();
        probe(pod, 1, at, at)
    };
    world.poll(&web(), &pods.into_iter().enumerate().map(failed).collect::<Vec<_>>());
    world.run_until(1300);
    assert_eq!(told(&world).len(), 1, "{:?}", world.told());
}
