//! Messages say how many pods of a workload are ready, and what they have said is no news later.

use podbell_core::event::Event;
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::message::{Style, compose};
use podbell_core::translations::Language;

use crate::support::events::warning;
use crate::support::world::{World, web};
use podbell::sources::SourceEvent;

const POD: &str = "web-6d4cf56db6-x2x7v";
const RULES: &str = "version: 1\nrules:\n  - {name: all, match: {reason: '*'}, notify: [team]}\n";

fn report(world: &mut World, wanted: u32, ready: u32, rolling_out: bool) {
    let health = Some(Health { wanted, ready, rolling_out });
    let (target, kind) = (web(), WorkloadKind::Deployment);
    let reports = vec![HealthReport { target, kind, name: "web".into(), health, deleted: false }];
    world.say(SourceEvent::Health { at: world.now, reports });
}

fn crash() -> Event<'static> {
    warning(POD, "BackOff", "Back-off restarting failed container", 4, 60, 60)
}

/// What podbell itself says of the deployment.
fn of_the_workload(reason: &'static str, message: &'static str) -> Event<'static> {
    Event { obj_type: "Deployment".into(), ..warning("web", reason, message, 1, 400, 400) }
}

/// A world in which a pod of `web` crashes at 60 s, while so many are ready.
fn crashed(wanted: u32, ready: u32, rolling_out: bool) -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    report(&mut world, wanted, ready, rolling_out);
    world.poll(&web(), &[crash()]);
    world.poll_until(&web(), &[crash()], 120);
    assert_eq!(kinds(&world), ["opened"], "{:?}", world.told());
    world
}

fn kinds(world: &World) -> Vec<String> {
    world.told().iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect()
}

fn last_words(world: &World, language: Language) -> String {
    let notice = world.last_notice();
    compose(notice, &Style { language, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at }).text()
}

#[test]
fn a_message_says_how_many_pods_are_ready_where_not_all_are() {
    for (wanted, ready, rolling_out, says) in [
        (3, 1, false, Some("4 times, 1 pod, 1 of 3 ready\n")),
        (1, 0, false, Some("4 times, 1 pod, 0 of 1 ready\n")),
        (3, 3, true, Some("4 times, 1 pod, 3 of 3 ready, a rollout is under way\n")),
        (3, 3, false, None),
    ] {
        let words = last_words(&crashed(wanted, ready, rolling_out), Language::En);
        match says {
            Some(says) => assert!(words.contains(says), "{words}"),
            None => assert!(words.contains("4 times, 1 pod\n"), "{words}"),
        }
    }
    let words = last_words(&crashed(3, 1, false), Language::Zh);
    assert!(words.contains("3 个 Pod 中 1 个就绪"), "{words}");
}

#[test]
fn that_a_workload_is_down_is_news_only_where_the_message_did_not_show_it() {
    let down = of_the_workload("Unavailable", "No pod is ready");
    for (ready, then) in [(0, &["opened"][..]), (1, &["opened", "escalated"])] {
        let mut world = crashed(2, ready, false);
        report(&mut world, 2, 0, false);
        world.poll_until(&web(), &[crash(), down.clone()], 1800);
        assert_eq!(kinds(&world), then, "{ready} of 2 were ready when it was told");
    }
}

#[test]
fn that_a_rollout_stalls_is_news_only_where_the_message_did_not_show_it() {
    let stalled = of_the_workload("RolloutStalled", "ReplicaSet \"web-6d4cf56db6\" has timed out progressing.");
    for (rolling_out, then) in [(true, &["opened"][..]), (false, &["opened", "escalated"])] {
        let mut world = crashed(2, 1, rolling_out);
        report(&mut world, 2, 1, true);
        world.poll_until(&web(), &[crash(), stalled.clone()], 1800);
        assert_eq!(kinds(&world), then, "a rollout was under way when it was told: {rolling_out}");
    }
}

#[test]
fn what_is_news_beside_it_is_told_and_a_deployment_is_counted_as_no_pod() {
    let mut world = crashed(2, 0, false);
    let down = of_the_workload("Unavailable", "No pod is ready");
    let pull = warning(POD, "Failed", "Failed to pull image \"web:2\": not found", 1, 500, 500);
    world.poll_until(&web(), &[crash(), down, pull], 1800);
    assert_eq!(kinds(&world), ["opened", "escalated"]);
    let words = last_words(&world, Language::En);
    assert!(words.contains(", 1 pod, 0 of 2 ready\n"), "{words}");
    assert!(words.contains("New: Failed: Failed to pull image"), "{words}");
}

#[test]
fn failed_runs_of_one_cron_job_are_no_wider_trouble_but_pods_are() {
    let run = |number: u64, kind: &'static str| {
        let name = match kind {
            "Job" => format!("web-{}", 1_795_853_820 + 60 * number),
            _ => format!("web-6d4cf56db6-x{}x7v", ["2", "4", "5", "6", "7", "8"][usize::try_from(number).unwrap()]),
        };
        let seen = 60 + 60 * i64::try_from(number).unwrap();
        let event = warning("", "BackoffLimitExceeded", "Job has reached the specified backoff limit", 1, seen, seen);
        Event { obj_type: kind.into(), obj_name: name.into(), ..event }
    };
    for (kind, then) in [("Job", &["opened"][..]), ("Pod", &["opened", "escalated"])] {
        let mut world = World::with_rules(RULES);
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        for number in 0..6 {
            world.run_until(60 + 60 * number);
            let all: Vec<_> = (0..=u64::try_from(number).unwrap()).map(|number| run(number, kind)).collect();
            world.poll(&web(), &all);
        }
        world.run_until(900);
        assert_eq!(kinds(&world), then, "six of kind {kind}");
    }
}
