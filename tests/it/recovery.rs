//! When an incident ends because its workloads are ready, and that it does not end before, where their health is known.

use podbell_core::event::{Event, Level};
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::incident::Phase;
use podbell_core::message::{Style, compose};
use podbell_core::translations::Language;

use crate::support::events::warning;
use crate::support::world::{World, web};
use podbell::sources::{ObjectName, SourceEvent};

const POD: &str = "web-6d4cf56db6-x2x7v";
const RULES: &str = "version: 1\nrules:\n  - {name: all, match: {reason: '*'}, notify: [team]}\n";

fn crash(count: u64, last: i64) -> Vec<Event<'static>> {
    vec![warning(POD, "BackOff", "Back-off restarting failed container", count, 60, last)]
}

fn health(wanted: u32, ready: u32, rolling_out: bool) -> Option<Health> {
    Some(Health { wanted, ready, rolling_out })
}

fn report(world: &mut World, name: &str, health: Option<Health>) {
    let reports =
        vec![HealthReport { target: web(), kind: WorkloadKind::Deployment, name: name.into(), health, deleted: false }];
    world.say(SourceEvent::Health { at: world.now, reports });
}

/// A world in which `web` crashes at 60 s, and is told.
fn crashed(rules: &str) -> World {
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    report(&mut world, "web", health(3, 3, false));
    world.run_until(60);
    world.poll(&web(), &crash(4, 60));
    report(&mut world, "web", health(3, 2, false));
    world.poll_until(&web(), &crash(4, 60), 120);
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

/// The second of the last message.
fn told_at(world: &World) -> f64 {
    world.log.last().unwrap().at
}

#[test]
fn an_incident_is_over_five_minutes_after_its_pods_are_ready_and_says_so() {
    let mut world = crashed(RULES);
    world.poll_until(&web(), &crash(4, 60), 300);
    report(&mut world, "web", health(3, 3, false));
    world.poll_until(&web(), &crash(4, 60), 1800);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!((600.0..=660.0).contains(&told_at(&world)), "{:?}", world.told());
    let words = last_words(&world, Language::En);
    assert!(words.contains("Recovered, 3 of 3 ready since"), "{words}");
    assert!(!words.contains("health was not checked"), "{words}");
    let words = last_words(&world, Language::Zh);
    assert!(words.contains("已恢复，自") && words.contains("3 个 Pod 中 3 个就绪"), "{words}");
}

#[test]
fn while_its_pods_are_not_ready_it_never_ends_however_quiet_it_is() {
    let mut world = crashed(RULES);
    world.poll_until(&web(), &[], 6 * 3600);
    assert_eq!(kinds(&world), ["opened"]);
    let now = world.now;
    let spec = world.engine().state().unwrap().incidents().next().unwrap().clone();
    assert_eq!(spec.phase, Phase::Open);
    assert_eq!(spec.status.map(|status| (status.health().ready, status.health().wanted)), Some((2, 3)));
    report(&mut world, "web", health(3, 3, false));
    let recovered = (now.millis() - crate::support::events::at(0).millis()) / 1000;
    world.poll_until(&web(), &[], recovered + 600);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!(told_at(&world) - recovered as f64 <= 360.0, "{:?}", world.told());
}

#[test]
fn a_rollout_that_is_under_way_is_no_recovery_and_a_new_warning_begins_the_five_minutes_anew() {
    let mut world = crashed(RULES);
    report(&mut world, "web", health(3, 3, true));
    world.poll_until(&web(), &crash(4, 60), 1800);
    assert_eq!(kinds(&world), ["opened"], "the rollout goes on");
    report(&mut world, "web", health(3, 3, false));
    world.poll_until(&web(), &crash(4, 60), 1980);
    world.poll_until(&web(), &crash(5, 2030), 2280);
    assert_eq!(kinds(&world), ["opened"], "the newest Warning is four minutes old");
    world.poll_until(&web(), &crash(5, 2030), 2460);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
}

#[test]
fn what_is_not_known_is_not_claimed() {
    // Nothing is reported of it; its report was taken back; another workload is meant; a rule wants silence alone.
    let silent = RULES.replace("name: all,", "name: all, until: silence,");
    for (why, rules, reports) in [
        ("taken back", RULES, vec![("web", None)]),
        ("of another workload", RULES, vec![("web", None), ("web-admin", health(2, 0, false))]),
        ("silence alone", &*silent, Vec::new()),
    ] {
        let mut world = crashed(rules);
        reports.into_iter().for_each(|(name, health)| report(&mut world, name, health));
        world.poll_until(&web(), &crash(4, 60), 1080);
        assert_eq!(kinds(&world), ["opened", "resolved"], "{why}");
        let words = last_words(&world, Language::En);
        assert!(words.contains("pod health was not checked"), "{why}: {words}");
    }
}

#[test]
fn an_autoscaler_is_not_well_because_pods_are_ready() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    report(&mut world, "web", health(3, 3, false));
    let said = Event {
        obj_type: "HorizontalPodAutoscaler".into(),
        ..warning("web", "FailedGetResourceMetric", "no metrics", 4, 30, 60)
    };
    world.run_until(60);
    world.poll(&web(), std::slice::from_ref(&said));
    world.poll_until(&web(), std::slice::from_ref(&said), 900);
    assert_eq!(kinds(&world), ["opened"], "ready pods say nothing of it");
    world.poll_until(&web(), std::slice::from_ref(&said), 1140);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
}

#[test]
fn an_autoscaler_is_over_five_minutes_after_it_works_again_or_is_deleted() {
    for deleted in [false, true] {
        for mut world in World::of_both_sets() {
            world.watch(&[web()]);
            world.poll(&web(), &[]);
            let said = |count: u64, last: i64| Event {
                obj_type: "HorizontalPodAutoscaler".into(),
                ..warning("web", "FailedGetResourceMetric", "no metrics", count, 30, last)
            };
            world.run_until(60);
            world.poll(&web(), &[said(8, 60)]);
            world.poll_until(&web(), &[said(8, 60)], 240);
            assert_eq!(kinds(&world), ["opened"]);
            let works = Event { level: Level::Normal, ..Event { reason: "ScalingActive".into(), ..said(1, 230) } };
            let mut list = vec![said(8, 60)];
            if deleted {
                let of = |name: &str| ObjectName {
                    namespace: web().namespace.to_string(),
                    kind: "HorizontalPodAutoscaler".into(),
                    name: name.into(),
                };
                let objects = vec![of("web"), of("other")];
                world.say(SourceEvent::Deleted { source: web().source, at: world.now, objects });
            } else {
                list.push(works);
            }
            world.poll_until(&web(), &list, 900);
            assert_eq!(kinds(&world), ["opened", "resolved"], "deleted: {deleted}");
            assert!((530.0..=600.0).contains(&told_at(&world)), "{:?}", world.told());
        }
    }
}

#[test]
fn what_is_known_of_workloads_outlives_a_commit_that_failed() {
    let mut world = crashed(RULES);
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    store
        .execute_batch("CREATE TRIGGER full BEFORE UPDATE ON incident BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let polled = podbell::engine::EngineEvent::Source(SourceEvent::Polled {
        target: web(),
        at: world.now,
        events: crash(40, 120),
    });
    assert!(world.try_turn(vec![polled]).is_err());
    store.execute_batch("DROP TRIGGER full").unwrap();
    world.poll_until(&web(), &crash(4, 60), 3600);
    assert_eq!(kinds(&world), ["opened"], "it is still known that a pod is missing");
}

#[test]
fn who_was_not_ready_when_last_seen_is_not_over_because_nobody_sees_it_any_more() {
    let mut world = crashed(RULES);
    world.poll_until(&web(), &[], 3600);
    report(&mut world, "web", None);
    // As after a restart: another workload of the service is known first.
    report(&mut world, "web-worker", health(1, 1, false));
    world.poll_until(&web(), &[], 2 * 3600);
    assert_eq!(kinds(&world), ["opened"], "a source that is away is no recovery");
    world.poll_until(&web(), &[], 5 * 3600);
    assert_eq!(kinds(&world), ["opened", "resolved"], "but not for ever");

    let mut world = crashed(RULES);
    world.poll_until(&web(), &[], 3600);
    let gone =
        HealthReport { target: web(), kind: WorkloadKind::Deployment, name: "web".into(), health: None, deleted: true };
    world.say(SourceEvent::Health { at: world.now, reports: vec![gone] });
    world.poll_until(&web(), &[], 4000);
    assert_eq!(kinds(&world), ["opened", "resolved"], "a workload that was deleted needs no pods");
}

#[test]
fn a_claim_is_over_when_the_pods_of_its_service_are_ready() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let failing = |count: u64, last: i64| {
        let event = warning("disk-web-0", "ProvisioningFailed", "storageclass \"fast\" not found", count, 60, last);
        vec![Event { obj_type: "PersistentVolumeClaim".into(), ..event }]
    };
    let set = |world: &mut World, ready: u32| {
        let (target, kind, health) = (web(), WorkloadKind::StatefulSet, health(1, ready, false));
        let report = HealthReport { target, kind, name: "web".into(), health, deleted: false };
        world.say(SourceEvent::Health { at: world.now, reports: vec![report] });
    };
    world.run_until(60);
    set(&mut world, 0);
    world.poll_until(&web(), &failing(4, 60), 120);
    set(&mut world, 1);
    world.poll_until(&web(), &failing(4, 60), 1200);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!((420.0..=480.0).contains(&told_at(&world)), "{:?}", world.told());
}

#[test]
fn what_was_evicted_is_over_when_it_is_deleted_with_its_workload() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let evicted = vec![warning(POD, "Evicted", "Pod ephemeral local storage usage exceeds the limit", 1, 60, 60)];
    world.poll_until(&web(), &evicted, 180);
    let objects = vec![ObjectName { namespace: "shop".into(), kind: "Pod".into(), name: POD.into() }];
    world.say(SourceEvent::Deleted { source: web().source, at: world.now, objects });
    world.poll_until(&web(), &evicted, 1200);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!((480.0..=540.0).contains(&told_at(&world)), "{:?}", world.told());
}

#[test]
fn what_its_pods_said_is_over_when_a_workload_is_deleted_with_them_but_not_when_only_a_pod_is() {
    let delete = |world: &mut World, pod: &str| {
        let objects = vec![ObjectName { namespace: "shop".into(), kind: "Pod".into(), name: pod.into() }];
        world.say(SourceEvent::Deleted { source: web().source, at: world.now, objects });
    };
    for (pod, workload_too, over_at) in [(POD, true, 540.0), (POD, false, 960.0), ("web-28391234-x2x7v", true, 960.0)] {
        let mut world = World::with_rules(RULES);
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        world.run_until(60);
        let crash = |count: u64, last: i64| {
            vec![warning(pod, "BackOff", "Back-off restarting failed container", count, 60, last)]
        };
        world.poll_until(&web(), &crash(4, 60), 240);
        if workload_too {
            let (target, kind) = (web(), WorkloadKind::Deployment);
            let gone = HealthReport { target, kind, name: "web".into(), health: None, deleted: true };
            world.say(SourceEvent::Health { at: world.now, reports: vec![gone] });
        }
        // As it ends, the pod says its last, and is deleted then.
        world.run_until(270);
        world.poll(&web(), &crash(5, 265));
        delete(&mut world, pod);
        world.poll_until(&web(), &crash(5, 265), 3000);
        assert_eq!(kinds(&world), ["opened", "resolved"], "{pod}, {workload_too}");
        assert!((over_at..=over_at + 240.0).contains(&told_at(&world)), "{pod}, {workload_too}: {:?}", world.told());
        let words = last_words(&world, Language::En);
        assert_eq!(words.contains("was deleted"), over_at < 900.0, "{words}");
    }
}

#[test]
fn an_autoscaler_that_was_deleted_leaves_the_word_to_its_workload() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    report(&mut world, "web", health(3, 2, false));
    let scaler = Event {
        obj_type: "HorizontalPodAutoscaler".into(),
        ..warning("web", "FailedGetResourceMetric", "no metrics", 4, 30, 60)
    };
    let both = [crash(4, 60), vec![scaler]].concat();
    world.run_until(60);
    world.poll_until(&web(), &both, 300);
    let of_scaler = ObjectName { namespace: "shop".into(), kind: "HorizontalPodAutoscaler".into(), name: "web".into() };
    world.say(SourceEvent::Deleted { source: web().source, at: world.now, objects: vec![of_scaler] });
    world.poll_until(&web(), &both, 1800);
    assert_eq!(kinds(&world), ["opened"], "a pod is still missing");
    report(&mut world, "web", health(3, 3, false));
    world.poll_until(&web(), &both, 3000);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!((2100.0..=2160.0).contains(&told_at(&world)), "{:?}", world.told());
    let words = last_words(&world, Language::En);
    assert!(words.contains("Recovered, 3 of 3 ready since"), "{words}");
}

#[test]
fn a_workload_that_is_scaled_to_nothing_has_not_recovered() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    report(&mut world, "web", health(3, 2, false));
    world.run_until(60);
    world.poll_until(&web(), &crash(4, 60), 600);
    report(&mut world, "web", health(0, 0, false));
    world.poll_until(&web(), &crash(4, 60), 1800);
    assert_eq!(kinds(&world), ["opened", "resolved"], "its events stopped");
    assert!(told_at(&world) >= 900.0, "not at once: {:?}", world.told());
    let words = last_words(&world, Language::En);
    assert!(words.contains("pod health was not checked") && !words.contains("Recovered"), "{words}");
}

#[test]
fn an_autoscaler_that_was_deleted_ends_nothing_of_the_pods_of_an_unknown_workload() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll_until(&web(), &crash(4, 60), 300);
    let of_scaler = ObjectName { namespace: "shop".into(), kind: "HorizontalPodAutoscaler".into(), name: "web".into() };
    world.say(SourceEvent::Deleted { source: web().source, at: world.now, objects: vec![of_scaler] });
    world.poll_until(&web(), &crash(4, 60), 900);
    assert_eq!(kinds(&world), ["opened"]);
}

#[test]
fn a_workload_that_is_known_not_to_be_ready_is_not_over_though_another_object_is_unknown() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    report(&mut world, "web", health(3, 2, false));
    let budget = Event {
        obj_type: "PodDisruptionBudget".into(),
        ..warning("web", "NoPods", "No matching pods found", 4, 30, 60)
    };
    let both = vec![warning(POD, "Odd", "it is odd", 4, 30, 60), budget];
    world.run_until(60);
    world.poll_until(&web(), &both, 2 * 3600);
    assert!(!kinds(&world).contains(&"resolved".into()), "{:?}", kinds(&world));
    // Once the workload is ready, nothing is known that would keep it open.
    report(&mut world, "web", health(3, 3, false));
    world.poll_until(&web(), &both, 3 * 3600);
    assert_eq!(kinds(&world).last().unwrap(), "resolved");
    assert!(told_at(&world) >= 7500.0, "five minutes after it was ready: {:?}", world.told());
}

#[test]
fn pods_of_a_job_that_is_called_like_a_deployment_are_not_those_of_the_deployment() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    report(&mut world, "web", health(3, 3, false));
    world.run_until(60);
    let crash =
        |last: i64| vec![warning("web-28391234-x2x7v", "BackOff", "Back-off restarting failed container", 4, 60, last)];
    world.poll_until(&web(), &crash(60), 1200);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    let words = last_words(&world, Language::En);
    assert!(words.contains("pod health was not checked"), "{words}");
}
