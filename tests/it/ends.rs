//! When a trouble is over: by the event that ends it, where a source shows one; never because its reporter is silent.

use podbell::sources::SourceEvent;
use podbell_core::event::{Event, Level, Target};
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::message::{Style, compose};
use podbell_core::step::decision::{Effect, Verdict};
use podbell_core::translations::Language;
use podbell_store::DecisionFilter;

use crate::support::events::{at, warning};
use crate::support::world::{World, web};

const POD: &str = "web-6d4cf56db6-x2x7v";

fn normal(kind: &str, name: &str, reason: &str, message: &str, last: i64) -> Event<'static> {
    let event = warning(name, reason, message, 1, last, last);
    Event { level: Level::Normal, obj_type: kind.to_owned().into(), ..event }
}

fn of(kind: &str, event: Event<'static>) -> Event<'static> {
    Event { obj_type: kind.to_owned().into(), ..event }
}

fn words(world: &World) -> String {
    let notice = world.last_notice();
    let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at };
    compose(notice, &style).text()
}

/// Lists of one target by the second from which they are shown; polled each minute until `until`.
fn play(world: &mut World, lists: &[(i64, Vec<Event<'static>>)], until: i64) {
    for second in (60..=until).step_by(60) {
        world.run_until(second);
        let list = lists.iter().rev().find(|(from, _)| *from <= second).map(|(_, list)| list.clone());
        world.poll(&web(), &list.unwrap_or_default());
    }
}

fn kinds(world: &World) -> Vec<String> {
    world.told().iter().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect()
}

#[test]
fn a_pod_that_stays_pending_is_told_within_three_minutes_and_is_not_over_between_two_updates_of_its_series() {
    for mut world in World::of_both_sets() {
        let series = |count, last| vec![warning(POD, "FailedScheduling", "0/3 nodes are available", count, 65, last)];
        // The scheduler writes at its second try, and then every half hour.
        let mut lists = vec![(66, series(1, 65)), (420, series(2, 365))];
        lists.extend((1..=5).map(|n| (420 + n * 1800, series(2 + 6 * n as u64, 365 + n * 1800))));
        play(&mut world, &lists, 3 * 3600);
        assert_eq!(kinds(&world), ["opened"], "{:?}", world.told());
        let opened: f64 = world.log[0].at;
        assert!(opened - 65.0 <= 180.0, "{opened}");
    }
}

#[test]
fn an_event_of_any_reporter_that_keeps_a_series_is_not_over_between_two_updates() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let said = |count, last| {
        vec![Event { series: true, ..of("Gateway", warning("edge", "SyncFailed", "no route", count, 60, last)) }]
    };
    let lists: Vec<_> = (0..4).map(|n| (60 + n * 1800, said(1 + n as u64, 60 + n * 1800))).collect();
    play(&mut world, &lists, 3 * 1800 + 600);
    assert_eq!(kinds(&world), ["opened"]);
}

#[test]
fn a_node_that_is_away_is_told_once_when_it_lasts_and_is_over_when_it_is_ready_again_or_removed() {
    let down = |last| {
        vec![
            normal("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", last),
            warning(POD, "NodeNotReady", "Node is not ready", 1, last, last),
            warning("cart-5f6d4c7b8b-bzz7q", "NodeNotReady", "Node is not ready", 1, last, last),
        ]
    };
    for (end, said) in [("NodeReady", "NodeReady of node-1"), ("RemovingNode", "node-1")] {
        for mut world in World::of_both_sets() {
            let mut over = down(90);
            over.push(normal("Node", "node-1", end, "Node node-1 event", 3 * 3600 - 20));
            // The list shows an hour; that it was written once and is gone again ends nothing.
            play(&mut world, &[(120, down(90)), (4000, Vec::new()), (3 * 3600, over)], 4 * 3600);
            assert_eq!(kinds(&world), ["opened", "resolved"], "{:?}", world.told());
            assert!(world.log[0].at <= 240.0, "{:?}", world.told());
            assert_eq!(world.log[0].notices[0].severity.as_str(), "critical");
            let ended = world.log[1].at;
            assert!((3.0 * 3600.0..3.0 * 3600.0 + 360.0).contains(&ended), "{ended}");
            assert!(words(&world).contains(said), "{}", words(&world));
        }
    }
}

#[test]
fn a_node_that_joins_or_goes_within_two_minutes_is_no_alarm() {
    for mut world in World::of_both_sets() {
        let joins = vec![normal("Node", "spot-1", "NodeNotReady", "Node spot-1 status is now: NodeNotReady", 90)];
        let mut ready = joins.clone();
        ready.push(normal("Node", "spot-1", "NodeReady", "Node spot-1 status is now: NodeReady", 130));
        let mut goes = ready.clone();
        goes.push(normal("Node", "spot-1", "NodeNotReady", "Node spot-1 status is now: NodeNotReady", 1000));
        let mut gone = goes.clone();
        gone.push(normal("Node", "spot-1", "DeletingNode", "Deleting node spot-1", 1060));
        play(&mut world, &[(120, joins), (180, ready), (1020, goes), (1080, gone)], 3600);
        assert_eq!(world.told(), [""; 0]);
    }
}

#[test]
fn troubles_that_end_by_an_event_do_not_end_by_silence_where_such_events_are_seen() {
    let replica_set = "web-6d4cf56db6";
    let cases = [
        ("FailedMount", "Pod", POD, "MountVolume.SetUp failed", normal("Pod", POD, "Started", "Started container", 0)),
        ("FailedScheduling", "Pod", POD, "0/3 nodes", normal("Pod", POD, "Scheduled", "Successfully assigned", 0)),
        ("Failed", "Pod", POD, "Error: ImagePullBackOff", normal("Pod", POD, "Pulled", "Successfully pulled image", 0)),
        ("Failed", "Pod", POD, "Error: ImagePullBackOff", {
            normal("ReplicaSet", replica_set, "SuccessfulDelete", &format!("Deleted pod: {POD}"), 0)
        }),
        ("Failed", "Pod", POD, "Error: configmap \"x\" not found", normal("Pod", POD, "Started", "Started", 0)),
        ("FailedCreatePodSandBox", "Pod", POD, "no network", normal("Pod", POD, "Created", "Created container", 0)),
        ("FailedCreate", "ReplicaSet", replica_set, "exceeded quota", {
            normal("ReplicaSet", "web-5f6d4c7b8b", "SuccessfulCreate", "Created pod: web-5f6d4c7b8b-bzz7q", 0)
        }),
        ("SyncLoadBalancerFailed", "Service", "web", "quota", {
            normal("Service", "web", "EnsuredLoadBalancer", "Ensured load balancer", 0)
        }),
    ];
    for (reason, kind, name, message, end) in cases {
        for mut world in World::of_both_sets() {
            let begin = of(kind, warning(name, reason, message, 9, 61, 110));
            // Somebody else's pod is started: such events are seen.
            let other = normal("Pod", "db-0", "Started", "Started container db", 100);
            let over = Event { first_seen: at(7100), last_seen: at(7100), ..end.clone() };
            let lists = [(120, vec![begin.clone(), other.clone()]), (4000, Vec::new()), (7140, vec![over])];
            play(&mut world, &lists, 9000);
            assert_eq!(kinds(&world), ["opened", "resolved"], "{reason}: {:?}", world.told());
            let ended = world.log[1].at;
            // A controller that could create one may be refused the next: its next try comes within 1,000 s.
            let settled = if reason == "FailedCreate" { 1090.0 } else { 360.0 };
            assert!((7140.0..7140.0 + settled).contains(&ended), "{reason}: {ended}");
            assert!(words(&world).starts_with("Over since"), "{reason}: {}", words(&world));
        }
    }
}

#[test]
fn a_cron_job_that_fails_is_over_when_a_later_run_completes_and_not_between_its_runs() {
    for mut world in World::of_both_sets() {
        let run = |n: i64| format!("report-{}", 29_453_760 + n * 60);
        let fails = |n: i64| {
            of("Job", warning(&run(n), "BackoffLimitExceeded", "backoff limit", 1, 100 + n * 3600, 100 + n * 3600))
        };
        let makes =
            |n: i64| normal("CronJob", "report", "SuccessfulCreate", &format!("Created job {}", run(n)), 61 + n * 3600);
        // The list shows an hour. Of failed runs the newest is kept; that the others are deleted says nothing of the job.
        let deletes = |n: i64| {
            normal("CronJob", "report", "SuccessfulDelete", &format!("Deleted job {}", run(n - 1)), 110 + n * 3600)
        };
        let mut lists: Vec<_> = (0..3).map(|n| (120 + n * 3600, vec![makes(n), fails(n), deletes(n)])).collect();
        lists.push((
            3 * 3600 + 180,
            vec![makes(3), normal("Job", &run(3), "Completed", "Job completed", 3 * 3600 + 150)],
        ));
        play(&mut world, &lists, 6 * 3600);
        assert_eq!(kinds(&world), ["opened", "resolved"], "{:?}", world.told());
        let ended = world.log[1].at - 3.0 * 3600.0;
        assert!((150.0..150.0 + 360.0).contains(&ended), "{ended}");
        assert!(words(&world).contains("Completed of report-29453940"), "{}", words(&world));
    }
}

#[test]
fn a_pod_of_one_run_that_still_waits_is_not_over_because_another_run_completes() {
    for (reason, pod) in
        [("FailedScheduling", "report-29453808-98b2h"), ("FailedCreatePodSandBox", "report-29453808-98b2h")]
    {
        let mut world = World::builtin();
        world.watch(&[web()]);
        let waits = |count, last| warning(pod, reason, "0/3 nodes are available", count, 65, last);
        let mut lists: Vec<_> = (0..10).map(|n| (70 + n * 300, vec![waits(1 + n as u64, 65 + n * 300)])).collect();
        // Another run completes right after the pod was reported.
        let completed = normal("Job", "report-29453868", "Completed", "Job completed", 66 + 2 * 300);
        lists.iter_mut().skip(2).for_each(|(_, list)| list.push(completed.clone()));
        play(&mut world, &lists, 2700);
        assert_eq!(kinds(&world), ["opened"], "{reason}: {:?}", world.told());
    }
}

/// Found in a real cluster, where half an hour of completed runs did not end it.
#[test]
fn what_was_said_once_of_a_pod_of_an_earlier_run_is_past_when_a_later_run_completes() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    let fails = of("Job", warning("report-29453808", "BackoffLimitExceeded", "backoff limit", 1, 100, 100));
    let odd = warning("report-29453808-98b2h", "Odd", "something odd", 1, 110, 110);
    let completed =
        |n: i64| normal("Job", &format!("report-{}", 29_453_808 + n), "Completed", "Job completed", 120 + n * 60);
    let mut lists = vec![(115, vec![fails.clone(), odd.clone()])];
    lists.extend((1..30).map(|n| (125 + n * 60, vec![fails.clone(), odd.clone(), completed(n)])));
    play(&mut world, &lists, 2000);
    assert_eq!(kinds(&world), ["opened", "resolved"], "{:?}", world.told());
    assert!((180.0 + 180.0..180.0 + 240.0).contains(&world.log[1].at), "{}", world.log[1].at);
}

#[test]
fn a_job_that_runs_once_is_over_by_silence() {
    let mut world = World::of_both_sets().into_iter().next().unwrap();
    let fails = of("Job", warning("migrate", "BackoffLimitExceeded", "backoff limit", 1, 100, 100));
    play(&mut world, &[(120, vec![fails, normal("Pod", "db-0", "Started", "Started container db", 100)])], 3 * 3600);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!(words(&world).starts_with("Quiet for"), "{}", words(&world));
}

/// One Warning of a pod at each of these seconds, read each minute until `until`.
fn occurs(world: &mut World, seconds: &[i64], until: i64) {
    let list = |n: usize| vec![warning(POD, "Odd", "m", n as u64 + 1, seconds[0], seconds[n])];
    let lists: Vec<_> = seconds.iter().enumerate().map(|(n, second)| (*second, list(n))).collect();
    play(world, &lists, until);
}

const QUICK: &str =
    "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team], min_gap: 0s, resolve_after: 5m";

#[test]
fn what_came_back_after_it_was_told_as_over_must_be_silent_for_twice_as_long_as_it_was() {
    for (extra, ends) in [("}", 2), (", until: silence}", 3)] {
        let mut world = World::with_rules(&format!("{QUICK}{extra}\n"));
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        // Twice a pause of 20 and 35 minutes; the rule alone wants 5, 10 and 20 minutes of silence.
        occurs(&mut world, &[60, 1260, 3360], 4 * 3600);
        assert_eq!(kinds(&world).iter().filter(|kind| *kind == "resolved").count(), ends, "{:?}", world.told());
    }
}

#[test]
fn the_pauses_of_an_open_incident_set_the_silence_that_ends_it_and_times_without_a_read_are_none() {
    let rules = QUICK.replace("5m", "15m}\n");
    let world = || {
        let mut world = World::with_rules(&rules);
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        world
    };
    let mut slow = world();
    occurs(&mut slow, &[60, 900], 3600);
    let ended = slow.log.last().unwrap().at;
    assert!((2500.0..=2640.0).contains(&ended), "twice a pause of 14 min: {:?}", slow.told());
    let mut away = world();
    play(&mut away, &[(60, vec![warning(POD, "Odd", "m", 1, 60, 60)])], 120);
    away.run_until(840);
    let again = vec![warning(POD, "Odd", "m", 9, 60, 890)];
    (15..=60).for_each(|minute| {
        away.run_until(minute * 60);
        away.poll(&web(), &again);
    });
    assert_eq!(away.log.last().unwrap().at, 1800.0, "{:?}", away.told());
}

#[test]
fn what_recovered_and_failed_again_counts_as_recovered_later_the_next_time() {
    let mut world = World::with_rules(&format!("{QUICK}}}\n"));
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let health = Some(Health { wanted: 3, ready: 3, rolling_out: false });
    let (kind, name) = (WorkloadKind::Deployment, "web".into());
    let reports = vec![HealthReport { target: web(), kind, name, health, deleted: false }];
    world.say(SourceEvent::Health { at: world.now, reports });
    occurs(&mut world, &[60, 960, 1860, 2760], 2 * 3600);
    let told = world.told();
    let ends: Vec<&String> = told.iter().filter(|line| line.contains("resolved")).collect();
    assert_eq!(ends.len(), 2, "{told:?}");
    assert!(told.last().unwrap().contains("resolved") && told.len() == 4, "{told:?}");
}

#[test]
fn where_ends_are_not_shown_silence_ends_and_until_silence_is_the_old_way() {
    let mount = || vec![warning(POD, "FailedMount", "m", 9, 61, 110)];
    let mut world = World::of_both_sets().into_iter().next().unwrap();
    play(&mut world, &[(120, mount())], 3600);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!(words(&world).starts_with("Quiet for 15 min"), "{}", words(&world));

    let rules = "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team], until: silence}\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let mut list = mount();
    list.push(normal("Pod", "db-0", "Started", "Started container db", 100));
    play(&mut world, &[(120, list)], 3600);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
}

#[test]
fn what_ends_in_a_blind_time_may_have_been_missed_so_silence_ends_it() {
    let mut world = World::of_both_sets().into_iter().next().unwrap();
    let list = vec![
        warning(POD, "FailedMount", "m", 9, 61, 110),
        normal("Pod", "db-0", "Started", "Started container db", 100),
    ];
    play(&mut world, &[(120, list)], 600);
    world.run_until(3 * 3600);
    world.poll(&web(), &[]);
    world.poll_until(&web(), &[], 5 * 3600);
    assert_eq!(kinds(&world), ["opened", "resolved"]);
    assert!(words(&world).contains("blind from"), "{}", words(&world));
}

#[test]
fn what_is_written_after_the_repair_about_before_it_opens_and_reopens_nothing() {
    for mut world in World::of_both_sets() {
        let series = |count, last| warning(POD, "FailedScheduling", "0/3 nodes are available", count, 65, last);
        let scheduled = normal("Pod", POD, "Scheduled", "Successfully assigned shop/web to node-1", 900);
        // The server shows the last tries eleven minutes later, after the pod was placed and all was told as over.
        let lists = [
            (66, vec![series(1, 65)]),
            (900, vec![series(1, 65), scheduled.clone()]),
            (1560, vec![series(23, 890), scheduled]),
        ];
        play(&mut world, &lists, 3 * 3600);
        assert_eq!(kinds(&world), ["opened", "resolved"], "{:?}", world.told());
    }
}

#[test]
fn late_occurrences_older_than_the_window_open_nothing() {
    let rules =
        "version: 1\nrules:\n  - {name: r, match: {reason: '*'}, notify: [team], open_when: {count: 3, within: 10m}}\n";
    let mut world = World::with_rules(rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    // Others are on time: the cluster's clock is right.
    let on_time = |last| normal("Pod", "db-0", "Pulled", "Container image already present", last);
    let late = warning(POD, "Odd", "m", 23, 600, 840);
    let lists: Vec<_> = (1..40)
        .map(|minute| {
            let mut list = vec![on_time(minute * 60 - 5)];
            list.extend((minute >= 30).then(|| late.clone()));
            (minute * 60, list)
        })
        .collect();
    play(&mut world, &lists, 2400);
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn a_target_of_another_cluster_is_not_ended_by_its_node() {
    let mut world = World::builtin();
    let other = Target::new("prod", "cls-2", "shop", "web");
    world.watch(&[web(), other.clone()]);
    world.poll(&web(), &[]);
    world.poll(&other, &[]);
    let down = normal("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", 90);
    let ready = normal("Node", "node-1", "NodeReady", "Node node-1 status is now: NodeReady", 600);
    for minute in 2..60 {
        world.run_until(minute * 60);
        world.poll(&web(), std::slice::from_ref(&down));
        world.poll(&other, if minute > 10 { std::slice::from_ref(&ready) } else { &[] });
    }
    assert_eq!(kinds(&world), ["opened"]);
}

#[test]
fn what_the_kubelet_writes_of_a_pod_that_was_just_deleted_opens_no_rule_that_waits() {
    let rules = "version: 1\nrules:\n  - {name: volumes, match: {reason: FailedMount}, notify: [team], open_when: {lasts: 5m}}\n";
    for deleted_at in [100, 101] {
        let mut world = World::with_rules(rules);
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        world.run_until(deleted_at);
        let name = "web-6d4cf56db6-x2x7v";
        let deleted = |world: &mut World| {
            let gone = podbell::sources::ObjectName { namespace: "shop".into(), kind: "Pod".into(), name: name.into() };
            let (source, at) = ("prod".into(), world.now);
            world.say(podbell::sources::SourceEvent::Deleted { source, at, objects: vec![gone] });
        };
        let late = [warning(name, "FailedMount", "object \"shop\"/\"kube-root-ca.crt\" not registered", 1, 101, 101)];
        if deleted_at == 100 {
            deleted(&mut world);
            world.run_until(102);
            world.poll(&web(), &late);
        } else {
            world.poll(&web(), &late);
            world.run_until(102);
            deleted(&mut world);
        }
        world.poll_until(&web(), &late, 3600);
        assert_eq!(world.told(), [""; 0], "deleted at {deleted_at}");
    }
}

#[test]
fn a_pod_that_is_deleted_while_it_waits_is_over_and_one_of_its_name_that_fails_then_is_not() {
    for mut world in World::of_both_sets() {
        let waits = |first: i64| warning("db-0", "FailedScheduling", "0/3 nodes are available", 1, first, first);
        let other = normal("Pod", "web-0", "Started", "Started container web", 30);
        play(&mut world, &[(120, vec![waits(100), other.clone()])], 600);
        let gone = |name: &str| podbell::sources::ObjectName {
            namespace: "shop".into(),
            kind: "Pod".into(),
            name: name.into(),
        };
        let deleted = |world: &mut World, name: &str| {
            let (source, at) = ("prod".into(), world.now);
            world.say(podbell::sources::SourceEvent::Deleted { source, at, objects: vec![gone("other"), gone(name)] });
        };
        world.run_until(620);
        deleted(&mut world, "db-0");
        world.poll_until(&web(), std::slice::from_ref(&other), 1200);
        assert_eq!(kinds(&world), ["opened", "resolved"], "{:?}", world.told());
        assert!(words(&world).contains("db-0 was deleted"), "{}", words(&world));
        // The next of that name fails before the word of the deletion is there.
        world.run_until(1260);
        world.poll(&web(), &[waits(1260), other.clone()]);
        world.run_until(1261);
        deleted(&mut world, "db-0");
        world.poll_until(&web(), &[waits(1260), other], 9000);
        assert_eq!(kinds(&world), ["opened", "resolved", "reopened"], "{:?}", world.told());
    }
}

const AT_ONCE: &str = "version: 1\nrules: [{name: all, match: {level: Warning}, notify: [team], open_when: {count: 1, within: 2h}, group_wait: 0s}]\n";

fn delete(world: &mut World, pod: &str) {
    let object = podbell::sources::ObjectName { namespace: "shop".into(), kind: "Pod".into(), name: pod.to_owned() };
    let (source, at) = ("prod".into(), world.now);
    world.say(podbell::sources::SourceEvent::Deleted { source, at, objects: vec![object] });
}

#[test]
fn the_last_count_of_a_series_whose_pod_is_long_gone_opens_nothing_and_the_decision_says_why() {
    let mut worlds = Vec::from(World::of_both_sets());
    worlds.push(World::with_rules(AT_ONCE));
    for mut world in worlds {
        world.watch(&[web()]);
        let other = normal("Pod", "web-0", "Started", "Started container web", 30);
        let series = |count, last| Event {
            series: true,
            ..warning("train-0", "FailedScheduling", "0/1 nodes are available", count, 65, last)
        };
        world.poll(&web(), std::slice::from_ref(&other));
        world.run_until(200);
        delete(&mut world, "train-0");
        world.poll_until(&web(), std::slice::from_ref(&other), 600);
        // The scheduler writes it then; its tries ended with the pod.
        world.run_until(620);
        world.poll_until(&web(), &[series(26, 190), other], 3600);
        assert_eq!(world.told(), [""; 0]);
        let decisions = world.reader().snapshot().unwrap().decisions(&DecisionFilter::default(), 10).unwrap();
        let Verdict::Claimed(claimed) = &decisions.last().unwrap().verdict else { panic!("{decisions:?}") };
        assert_eq!(claimed[0].effect, Effect::Gone, "{decisions:?}");
    }
}

#[test]
fn what_happens_after_a_deletion_or_came_with_it_counts() {
    // The second when it is written, and when it happened; the pod was deleted at 200.
    for (why, written, last) in [
        ("it is about a new pod of that name, or what is left of the old one", 620, 610),
        ("the pod may have been deleted because of it", 240, 190),
    ] {
        let mut world = World::with_rules(AT_ONCE);
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        world.run_until(200);
        delete(&mut world, "db-0");
        world.run_until(written);
        world.poll(&web(), &[warning("db-0", "FailedKillPod", "m", 1, last, last)]);
        world.run_until(written + 1);
        assert_eq!(kinds(&world), ["opened"], "{why}: {:?}", world.told());
    }
}

/// Pods of `web` in one target, their node in another, read one after the other.
fn node_apart(polls: &[(i64, Vec<Event<'static>>, Vec<Event<'static>>)], until: i64) -> Vec<World> {
    let node = Target::new("prod", "cls-1", "", "node/node-1");
    let mut worlds: Vec<World> = World::of_both_sets().into();
    for world in &mut worlds {
        world.watch(&[web(), node.clone()]);
        world.poll(&node, &[]);
        for second in (60..=until).step_by(60) {
            world.run_until(second);
            let now = polls.iter().rev().find(|(from, ..)| *from <= second);
            let (of_node, of_pods) = now.map(|(_, node, pods)| (node.clone(), pods.clone())).unwrap_or_default();
            world.poll(&node, &of_node);
            world.poll(&web(), &of_pods);
        }
    }
    worlds
}

#[test]
fn an_end_that_is_read_before_its_trouble_is_no_less_an_end() {
    let node = [
        normal("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", 70),
        normal("Node", "node-1", "NodeReady", "Node node-1 status is now: NodeReady", 101),
    ];
    let pods = vec![warning(POD, "NodeNotReady", "Node is not ready", 1, 71, 71)];
    for world in node_apart(&[(120, node.to_vec(), pods)], 7200) {
        assert_eq!(world.told(), [""; 0]);
    }
}

#[test]
fn a_node_that_is_back_in_the_round_of_polls_in_which_it_would_be_told_is_not_told() {
    let away = normal("Node", "node-1", "NodeNotReady", "Node node-1 status is now: NodeNotReady", 100);
    let back = normal("Node", "node-1", "NodeReady", "Node node-1 status is now: NodeReady", 200);
    let pods = || vec![warning(POD, "NodeNotReady", "Node is not ready", 1, 101, 101)];
    let polls = [(120, vec![away.clone()], pods()), (240, vec![away, back], pods())];
    for world in node_apart(&polls, 3600) {
        assert_eq!(world.told(), [""; 0]);
    }
}

#[test]
fn what_ended_in_the_list_that_shows_it_first_is_not_told() {
    for mut world in World::of_both_sets() {
        let list = vec![
            warning(POD, "FailedMount", "object \"shop\"/\"kube-root-ca.crt\" not registered", 4, 61, 68),
            normal("Pod", POD, "Started", "Started container app", 80),
        ];
        play(&mut world, &[(120, list)], 3600);
        assert_eq!(world.told(), [""; 0]);
    }
}

#[test]
fn the_order_of_what_happened_within_a_second_is_no_matter_of_chance() {
    for name in ["cart", "web", "api", "search", "ledger", "queue"] {
        for mut world in World::of_both_sets() {
            let pod = format!("{name}-6d4cf56db6-x2x7v");
            let list = vec![
                warning(&pod, "FailedScheduling", "0/3 nodes are available", 1, 100, 100),
                normal("Pod", &pod, "Scheduled", "Successfully assigned", 100),
            ];
            play(&mut world, &[(120, list)], 3600);
            assert_eq!(world.told(), [""; 0], "{name}");
        }
    }
}

#[test]
fn a_replica_set_that_is_scaled_to_nothing_ends_what_stood_of_its_pods() {
    for mut world in World::of_both_sets() {
        let pull = |pod: &str| warning(pod, "Failed", "Error: ImagePullBackOff", 9, 61, 110);
        let mut list = vec![pull("web-6d4cf56db6-x2x7v"), pull("web-6d4cf56db6-9rkxq")];
        list.push(normal("Pod", "db-0", "Started", "Started container db", 100));
        let mut over = list.clone();
        let message = "Scaled down replica set web-6d4cf56db6 to 0 from 2";
        over.push(normal("Deployment", "web", "ScalingReplicaSet", message, 1000));
        play(&mut world, &[(120, list), (1020, over)], 3000);
        assert_eq!(kinds(&world), ["opened", "resolved"], "{:?}", world.told());
        assert!(words(&world).contains("web-6d4cf56db6 was deleted"), "{}", words(&world));
    }
}

#[test]
fn what_the_scheduler_writes_late_about_a_pod_that_a_node_has_taken_opens_nothing() {
    let said =
        |last: i64| Event { series: true, ..warning(POD, "FailedScheduling", "0/1 nodes are available", 7, 65, last) };
    let placed = Event { level: Level::Normal, ..warning(POD, "Scheduled", "Successfully assigned", 1, 110, 110) };
    for (last, told) in [(100, 0), (170, 1)] {
        for mut world in World::of_both_sets() {
            world.run_until(120);
            world.poll(&web(), std::slice::from_ref(&placed));
            world.poll_until(&web(), std::slice::from_ref(&placed), 600);
            let list = [placed.clone(), said(last)];
            world.poll_until(&web(), &list, 1500);
            let opened = world.told().iter().filter(|line| line.contains("opened")).count();
            assert_eq!(opened, told, "last at {last}: {:?}", world.told());
        }
    }
}
