//! One cause, one message: what happens to the pods of a node that is down is listed in the node's message, and told by
//! itself only if it outlives the node.

use podbell::sources::SourceEvent;
use podbell_core::event::{Event, Level, Target};
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::message::{Style, compose};
use podbell_core::notice::NoticeBody;
use podbell_core::translations::Language;

use crate::support::events::{at, warning};
use crate::support::world::{World, web};

const POD: &str = "web-6d4cf56db6-x2x7v";
const RULES: &str = "version: 1
rules:
  - name: node-down
    match: {level: [Warning, Normal], reason: NodeNotReady}
    group_by: [cluster]
    open_when: {lasts: 2m}
    severity: critical
    notify: [team]
    inhibit: {rules: '*', equal: [cluster, node], into: cause}
  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 5s}
";

fn nodes() -> Target {
    Target::new("prod", "cls-1", "", "node/n1")
}

fn of_node(reason: &'static str, second: i64) -> Event<'static> {
    let message = format!("Node n1 status is now: {reason}");
    let event = warning("n1", reason, &message, 1, second, second);
    Event { level: Level::Normal, obj_type: "Node".into(), ..event }
}

fn on(node: &'static str, event: Event<'static>) -> Event<'static> {
    Event { node: Some(node.into()), ..event }
}

fn mount(node: &'static str, count: u64, last: i64) -> Event<'static> {
    on(node, warning(POD, "FailedMount", "Unable to attach or mount volumes", count, 240, last))
}

/// What the lists of the node and of `web` show at a second.
type Lists<'a> = &'a dyn Fn(i64) -> (Vec<Event<'static>>, Vec<Event<'static>>);

fn live(world: &mut World, from: i64, until: i64, lists: Lists<'_>) {
    for second in (from..=until).step_by(60) {
        world.run_until(second);
        let (node, pods) = lists(second);
        world.poll(&nodes(), &node);
        world.poll(&web(), &pods);
    }
}

/// The node is down from 60 s until `back`; the pod fails to mount from 240 s until `mounts_until`.
fn outage(
    back: i64,
    mounts_until: i64,
    node: &'static str,
) -> impl Fn(i64) -> (Vec<Event<'static>>, Vec<Event<'static>>) {
    move |second| {
        let mut shown = vec![of_node("NodeNotReady", 60)];
        if second >= back {
            shown.push(of_node("NodeReady", back));
        }
        let mut pods = vec![on("n1", warning(POD, "NodeNotReady", "Node is not ready", 1, 60, 60))];
        if second >= 240 {
            let last = second.min(mounts_until);
            pods.push(mount(node, u64::try_from((last - 240) / 60 + 1).unwrap(), last));
        }
        (shown, pods)
    }
}

fn world(rules: &str) -> World {
    let mut world = World::with_rules(rules);
    world.watch(&[web(), nodes()]);
    world.poll(&web(), &[]);
    world.poll(&nodes(), &[]);
    world
}

fn report(world: &mut World, ready: u32) {
    let health = Some(Health { wanted: 3, ready, rolling_out: false });
    let report =
        HealthReport { target: web(), kind: WorkloadKind::Deployment, name: "web".into(), health, deleted: false };
    world.say(SourceEvent::Health { at: world.now, reports: vec![report] });
}

#[test]
fn what_a_node_does_to_its_pods_is_listed_in_its_message_in_both_languages() {
    let mut world = world(RULES);
    live(&mut world, 60, 300, &outage(10_000, 10_000, "n1"));
    assert_eq!(world.told(), ["180s team opened #1"]);
    let words = |language| {
        let notice = world.last_notice();
        let message = compose(notice, &Style { language, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at });
        format!("{}\n{}", message.title, message.text())
    };
    insta::assert_snapshot!(words(Language::En));
    insta::assert_snapshot!(words(Language::Zh));
}

#[test]
fn what_ends_with_the_node_is_never_told_and_what_outlives_it_by_five_minutes_is() {
    let mut over = world(RULES);
    live(&mut over, 60, 3600, &outage(600, 660, "n1"));
    assert_eq!(over.told(), ["180s team opened #1", "900s team resolved #1"]);
    let mut on = world(RULES);
    live(&mut on, 60, 1200, &outage(600, 10_000, "n1"));
    let told = on.told();
    assert_eq!(told[0], "180s team opened #1");
    assert!(told.contains(&"900s team opened #2".to_owned()), "{told:?}");
    let reason = |body: &NoticeBody| match body {
        NoticeBody::Incident(story) => story.reasons[0].reason.clone(),
        other => panic!("{other:?}"),
    };
    let last: Vec<String> = on.log.iter().flat_map(|told| &told.notices).map(|notice| reason(&notice.body)).collect();
    assert!(last.contains(&"FailedMount".to_owned()), "{last:?}");
}

#[test]
fn what_begins_after_the_node_is_back_is_told_at_once_by_a_podbell_that_was_not_there_before() {
    let mut world = World::with_rules(RULES);
    world.watch(&[web(), nodes()]);
    let node = [of_node("NodeNotReady", 60), of_node("NodeReady", 240)];
    let others: Vec<String> = (0..3).map(|n| format!("web-6d4cf56db6-x2x7{n}")).collect();
    let away =
        others.iter().map(|pod| on("n1", warning(pod.clone().leak(), "NodeNotReady", "Node is not ready", 1, 60, 60)));
    let mut pods: Vec<Event<'static>> = away.collect();
    world.run_until(600);
    world.poll(&web(), &pods);
    world.poll(&nodes(), &node);
    pods.push(on("n1", warning(POD, "FailedMount", "Unable to attach or mount volumes", 1, 620, 620)));
    for second in (660..=1200).step_by(60) {
        world.run_until(second);
        world.poll(&nodes(), &node);
        world.poll(&web(), &pods);
    }
    let told = world.told();
    assert!(told.iter().any(|one| one.starts_with("665s team opened")), "{told:?}");
}

#[test]
fn a_pod_of_another_node_or_of_an_unknown_one_is_told_at_once() {
    for node in ["n2", ""] {
        let mut world = world(RULES);
        live(&mut world, 60, 300, &outage(10_000, 10_000, node));
        assert_eq!(world.told(), ["180s team opened #1", "245s team opened #2"], "node {node:?}");
    }
}

#[test]
fn what_is_ready_again_when_the_node_is_back_stays_untold() {
    let mut world = world(RULES);
    report(&mut world, 2);
    live(&mut world, 60, 840, &outage(600, 780, "n1"));
    report(&mut world, 3);
    live(&mut world, 900, 3600, &outage(600, 780, "n1"));
    assert_eq!(world.told(), ["180s team opened #1", "900s team resolved #1"]);
    let mut world = self::world(RULES);
    report(&mut world, 2);
    live(&mut world, 60, 1200, &outage(600, 660, "n1"));
    let told = world.told();
    assert!(told.contains(&"900s team opened #2".to_owned()), "its pods are still missing: {told:?}");
}

#[test]
fn what_goes_wrong_long_after_the_node_is_back_is_told_though_its_pods_are_ready() {
    let mut world = world(RULES);
    report(&mut world, 3);
    let lists = |second: i64| {
        let mut shown = vec![of_node("NodeNotReady", 60)];
        if second >= 300 {
            shown.push(of_node("NodeReady", 300));
        }
        let killed = on("n1", warning(POD, "OOMKilling", "Memory cgroup out of memory", 1, 2400, 2400));
        (shown, if second >= 2400 { vec![killed] } else { Vec::new() })
    };
    live(&mut world, 60, 2700, &lists);
    let told = world.told();
    assert!(told.contains(&"2405s team opened #2".to_owned()), "{told:?}");
}

#[test]
fn what_is_reported_once_and_goes_on_is_explained_as_long_as_its_cause_stands() {
    let lists = |second: i64| {
        let unavailable = on("n1", warning(POD, "Unavailable", "0 of 3 ready", 1, 240, 240));
        (vec![of_node("NodeNotReady", 60)], if second >= 240 { vec![unavailable] } else { Vec::new() })
    };
    let mut world = world(RULES);
    report(&mut world, 2);
    live(&mut world, 60, 3 * 3600, &lists);
    let told = world.told();
    assert!(told.iter().all(|one| one.ends_with("#1")), "{told:?}");
}

#[test]
fn another_node_that_goes_away_is_news() {
    let mut world = world(RULES);
    let other = Target::new("prod", "cls-1", "", "node/n2");
    for second in (60..=1200).step_by(60) {
        world.run_until(second);
        world.poll(&nodes(), &[of_node("NodeNotReady", 60)]);
        let away = Event { obj_name: "n2".into(), message: "Node n2 is gone".into(), ..of_node("NodeNotReady", 900) };
        world.poll(&other, if second >= 900 { std::slice::from_ref(&away) } else { &[] });
    }
    let told = world.told();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].ends_with("team escalated #1"), "{told:?}");
    let NoticeBody::Incident(story) = &world.last_notice().body else { panic!() };
    assert!(story.news.iter().any(|news| news.contains("n2")), "{:?}", story.news);
}

#[test]
fn a_cause_and_what_it_explains_survive_a_restart() {
    let mut world = world(RULES);
    live(&mut world, 60, 300, &outage(10_000, 10_000, "n1"));
    world.kill();
    world.start();
    live(&mut world, 360, 660, &outage(600, 10_000, "n1"));
    assert_eq!(world.told(), ["180s team opened #1"]);
    let incident = world.reader().snapshot().unwrap().incident(1).unwrap().unwrap();
    assert_eq!(incident.affected, 1);
    live(&mut world, 720, 1200, &outage(600, 10_000, "n1"));
    assert!(world.told().contains(&"900s team opened #2".to_owned()), "{:?}", world.told());
    assert!(world.now > at(1000));
}

#[test]
fn who_does_not_hear_of_the_node_hears_of_its_pods() {
    let rules = RULES
        .replace("{name: all, match: {reason: '*'}, notify: [team]", "{name: all, match: {reason: '*'}, notify: [ops]");
    let mut world = World::new(crate::support::world::WorldSpec {
        rules: vec![rules],
        destinations: vec![("team", None), ("ops", None)],
        ..Default::default()
    });
    world.watch(&[web(), nodes()]);
    world.poll(&web(), &[]);
    world.poll(&nodes(), &[]);
    live(&mut world, 60, 300, &outage(10_000, 10_000, "n1"));
    assert_eq!(world.told_to("ops"), ["65s ops opened #2", "245s ops escalated #2"]);
}

#[test]
fn lists_tell_the_node_of_a_pod_by_its_scheduling() {
    let list = r#"{"code": 0, "data": {"eventList": [
        {"firstSeen": "2026-01-02 03:00:00", "lastSeen": "2026-01-02 03:00:00", "count": 1, "level": "Normal", "objType": "Pod",
         "objName": "web-0", "reason": "Scheduled", "message": "Successfully assigned shop/web-0 to n1"},
        {"firstSeen": "2026-01-02 03:01:00", "lastSeen": "2026-01-02 03:01:00", "count": 1, "level": "Warning", "objType": "Pod",
         "objName": "web-0", "reason": "Failed", "message": "m"},
        {"firstSeen": "2026-01-02 03:01:00", "lastSeen": "2026-01-02 03:01:00", "count": 1, "level": "Warning", "objType": "Pod",
         "objName": "web-1", "reason": "Failed", "message": "m", "node": "n2"},
        {"firstSeen": "2026-01-02 03:01:00", "lastSeen": "2026-01-02 03:01:00", "count": 1, "level": "Warning", "objType": "Node",
         "objName": "n3", "reason": "Rebooted", "message": "m"}
    ]}}"#;
    let list = podbell::sources::event_list::parse_events(list.as_bytes(), &jiff::tz::TimeZone::UTC).unwrap();
    let nodes: Vec<&str> = list.events.iter().map(Event::node).collect();
    assert_eq!(nodes, ["n1", "n1", "n2", "n3"]);
}

/// A node under 200 pods of 40 services goes away for ten minutes. Their deployments say that none of their pods is ready,
/// and the controllers make new pods, of which some find no place at first.
#[test]
fn a_node_under_two_hundred_pods_is_two_messages_at_most_in_its_first_minutes_and_names_whom_it_hits() {
    const SERVICES: usize = 40;
    for mut world in World::of_both_sets() {
        let targets: Vec<Target> =
            (0..SERVICES).map(|n| Target::new("prod", "cls-1", "shop", &format!("service-{n}"))).collect();
        let mut all = targets.clone();
        all.push(nodes());
        world.watch(&all);
        let health = |ready: u32| {
            let report = |target: &Target| HealthReport {
                target: target.clone(),
                kind: WorkloadKind::Deployment,
                name: target.service.clone(),
                health: Some(Health { wanted: 5, ready, rolling_out: false }),
                deleted: false,
            };
            targets.iter().map(report).collect::<Vec<_>>()
        };
        all.iter().for_each(|target| world.poll(target, &[]));
        world.say(SourceEvent::Health { at: world.now, reports: health(5) });
        for second in (60..=3000).step_by(30) {
            world.run_until(second);
            let mut node = vec![of_node("NodeNotReady", 60)];
            if second >= 660 {
                node.push(of_node("NodeReady", 660));
            }
            world.poll(&nodes(), &node);
            for (n, target) in targets.iter().enumerate() {
                let pod = |i: usize| format!("service-{n}-6d4cf56db6-x2x{}v", i + 5);
                let mut list: Vec<Event<'static>> = (0..5)
                    .map(|i| on("n1", warning(&pod(i), "NodeNotReady", "Node is not ready", 1, 60, 60)))
                    .collect();
                if second >= 420 {
                    let unavailable = warning(&target.service, "Unavailable", "No pod is ready", 1, 120, 120);
                    let signal = Event { obj_type: "Deployment".into(), signal: true, ..unavailable };
                    list.push(on("n1", signal));
                }
                if second >= 720 && n % 4 == 0 {
                    let last = second.min(780);
                    list.push(on(
                        "n1",
                        warning(&pod(0), "FailedCreatePodSandBox", "network is not ready", 2, 720, last),
                    ));
                }
                world.poll(target, &list);
            }
            match second {
                60 => world.say(SourceEvent::Health { at: world.now, reports: health(0) }),
                840 => world.say(SourceEvent::Health { at: world.now, reports: health(5) }),
                _ => {}
            }
        }
        let told = world.told();
        let early = world.log.iter().filter(|message| message.at < 360.0).count();
        assert!((1..=2).contains(&early), "{told:?}");
        let NoticeBody::Incident(story) = &world.log[0].notices[0].body else { panic!() };
        assert_eq!((story.affected_count, story.affected[0].pods), (40, 5), "{told:?}");
        let last = world.log.last().unwrap();
        assert!(world.log.len() <= 4 && last.at <= 1320.0, "{told:?}");
        assert!(told.last().unwrap().ends_with("resolved #1"), "{told:?}");
    }
}

#[test]
fn another_node_that_is_down_later_is_named_alone_with_what_it_affects() {
    let mut world = world(RULES);
    let pod =
        |node, name: &str, second| on(node, warning(name, "NodeNotReady", "Node is not ready", 1, second, second));
    let node = |name: &'static str, reason, second| Event { obj_name: name.into(), ..of_node(reason, second) };
    let first = [node("n2", "NodeNotReady", 60), node("n2", "NodeReady", 600)];
    let second = node("n1", "NodeNotReady", 1_260);
    live(&mut world, 60, 1_560, &|now| {
        let mut shown: Vec<_> = first.iter().filter(|event| event.last_seen <= at(now)).cloned().collect();
        let mut pods = vec![pod("n2", "cache-6d4cf56db6-b8k2n", 60)];
        if now >= 1_260 {
            shown.push(second.clone());
            pods.push(pod("n1", POD, 1_260));
        }
        (shown, pods)
    });
    assert_eq!(world.told(), ["180s team opened #1", "900s team resolved #1", "1395s team reopened #1"]);
    let notice = world.last_notice();
    let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at };
    let message = compose(notice, &style);
    let words = format!("{}\n{}", message.title, message.text());
    assert!(words.contains("n1") && !words.contains("n2"), "{words}");
    assert!(words.contains("shop/web") && !words.contains("cache"), "{words}");
}

#[test]
fn a_kill_for_memory_explains_its_node_also_where_the_pod_had_another_trouble_first() {
    let mut world = World::builtin();
    world.watch(&[web(), nodes()]);
    world.poll(&web(), &[]);
    world.poll(&nodes(), &[]);
    let killed = |count, last| on("n1", warning(POD, "OOMKilled", "Container web was killed", count, 70, last));
    let of_the_node = |count, last| {
        let event = warning("n1", "SystemOOM", "System OOM encountered, victim process: web", count, 70, last);
        Event { obj_type: "Node".into(), ..event }
    };
    world.run_until(60);
    world.poll(&web(), &[mount("n1", 1, 60)]);
    world.run_until(70);
    world.poll(&web(), &[mount("n1", 1, 60), killed(1, 70)]);
    world.poll(&nodes(), &[of_the_node(1, 70)]);
    world.run_until(120);
    world.kill();
    world.start();
    for second in (130..=600).step_by(60) {
        let count = u64::try_from(second / 60).unwrap();
        world.run_until(second);
        world.poll(&web(), &[mount("n1", 1, 60), killed(count, second)]);
        world.poll(&nodes(), &[of_the_node(count, second)]);
    }
    let opened = |world: &World| world.told_to("team").iter().filter(|line| line.contains("opened")).count();
    assert_eq!(opened(&world), 1, "{:?}", world.told());
    // What the kubelet of another node says is not explained by it.
    let other = Target::new("prod", "cls-1", "", "node/n2");
    world.watch(&[web(), nodes(), other.clone()]);
    world.poll(&other, &[]);
    let event = warning("n2", "SystemOOM", "System OOM encountered, victim process: db", 1, 600, 600);
    world.poll(&other, &[Event { obj_type: "Node".into(), ..event }]);
    world.poll(&web(), &[on("n2", warning("web-6d4cf56db6-q9z7c", "FailedMount", "no volume", 1, 600, 600))]);
    world.run_until(700);
    assert_eq!(opened(&world), 2, "{:?}", world.told());
}

#[test]
fn two_incidents_never_explain_each_other() {
    let mut world = World::with_rules(
        "version: 1
defaults: {notify: [team], group_by: [cluster, namespace, workload], group_wait: 5s, family: all}
rules:
  - {name: killed, match: {reason: OOMKilled}, inhibit: {rules: crash-loop, equal: [cluster, node]}}
  - {name: crash-loop, match: {reason: BackOff}, escalate: {counts: [10]}}
",
    );
    let api = Target::new("prod", "cls-1", "shop", "api");
    world.watch(&[web(), api.clone()]);
    let of = |target: &Target, reason, count, last| {
        let pod: &'static str = if target.service.as_ref() == "api" { "api-5f6d4c7b8b-q9z7c" } else { POD };
        on("n1", warning(pod, reason, "again and again", count, 60, last))
    };
    for target in [web(), api.clone()] {
        world.poll(&target, &[]);
    }
    world.run_until(60);
    for target in [web(), api.clone()] {
        world.poll(&target, &[of(&target, "BackOff", 1, 60)]);
    }
    world.run_until(90);
    for target in [web(), api.clone()] {
        world.poll(&target, &[of(&target, "BackOff", 1, 60), of(&target, "OOMKilled", 1, 90)]);
    }
    world.run_until(120);
    for target in [web(), api.clone()] {
        world.poll(&target, &[of(&target, "BackOff", 40, 120), of(&target, "OOMKilled", 1, 90)]);
    }
    world.run_until(3600);
    let told = world.told().join("\n");
    for line in ["opened #1", "opened #2", "escalated #1", "escalated #2"] {
        assert!(told.contains(line), "{line}: {told}");
    }
}
