//! Quiet by design: inhibition, hours in which a rule does not tell, planned work, and the daily line.
//! What is held back is told or summed up when the hold ends; nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::support::events::{START, at, warning};
use crate::support::world::{World, WorldSpec, compiled, web};
use podbell_core::event::{Event, Target};
use podbell_core::message::{Style, compose};
use podbell_core::notice::{Info, NoticeBody, NoticeKind};
use podbell_core::replay::{Outcomes, Replay};
use podbell_core::rule::Conditions;
use podbell_core::rule::quiet::Maintenance;
use podbell_core::translations::Language;

const POD: &str = "web-6d4cf56db6-x2x7v";

fn of_node(reason: &str, second: i64) -> Event<'static> {
    Event { obj_type: "Node".into(), ..warning("node-1", reason, "the node is gone", 1, second - 1, second - 1) }
}

fn nodes() -> Target {
    Target::new("prod", "cls-1", "kube-system", "nodes")
}

fn world(rules: &str) -> World {
    world_of(WorldSpec { rules: vec![rules.to_owned()], ..WorldSpec::default() })
}

fn world_of(spec: WorldSpec) -> World {
    let mut world = World::new(spec);
    world.watch(&[web(), nodes()]);
    world.poll(&web(), &[]);
    world.poll(&nodes(), &[]);
    world.log.clear();
    world
}

/// Polls every minute: both targets, with what `shows` says of each at that second.
fn live(world: &mut World, from: i64, until: i64, shows: impl Fn(&Target, i64) -> Vec<Event<'static>>) {
    let mut second = from;
    while second <= until {
        world.run_until(second);
        for target in [web(), nodes()] {
            world.poll(&target, &shows(&target, second));
        }
        second += 60;
    }
}

/// The cause's newest occurrence at `cause`, the consequence's at `consequence`, both from the start.
fn shows(cause: i64, consequence: i64) -> impl Fn(&Target, i64) -> Vec<Event<'static>> {
    move |target, second| {
        let last = if *target == nodes() { cause } else { consequence };
        let minutes = (second.min(last) / 60).max(1);
        let count = u64::try_from(minutes).unwrap();
        let seen = minutes * 60 - 1;
        let event = match *target == nodes() {
            true => Event { count, last_seen: at(seen), ..of_node("NodeNotReady", 60) },
            false => warning(POD, "FailedMount", "m", count, 59, seen),
        };
        vec![event]
    }
}

const NODE_RULES: &str = "version: 1
rules:
  - name: node
    match: {objType: Node}
    group_by: [cluster, workload]
    notify: [team]
    group_wait: 0s
    inhibit: {rules: [mounts], equal: [cluster]}
  - {name: mounts, match: {reason: FailedMount}, notify: [team], group_wait: 5s}
";

#[test]
fn what_another_incident_explains_is_told_when_it_outlives_it() {
    let mut world = world(NODE_RULES);
    // The node is quiet from 300 s on and resolved 900 s later; mounts go on failing for an hour.
    live(&mut world, 60, 4000, shows(300, 3600));
    assert_eq!(
        world.told(),
        [
            "60s team opened #2",
            // What is new goes before what is over. The poll that saw the node quiet is that of the second service of
            // this minute.
            "1200s team opened #1",
            "1200s team resolved #2",
        ]
        .map(str::to_owned)
    );
    let NoticeBody::Incident(story) = &world.log[world.log.len() - 2].notices[0].body else { panic!() };
    assert_eq!((story.rule.name.as_ref(), story.occurrences), ("mounts", 20));
}

#[test]
fn what_another_incident_explains_and_does_not_outlive_it_is_never_told_but_explained() {
    let mut world = world(NODE_RULES);
    live(&mut world, 60, 6000, shows(3600, 300));
    assert_eq!(world.told(), ["60s team opened #2", "4500s team resolved #2"]);
    let incident = world.reader().snapshot().unwrap().incident(1).unwrap().unwrap();
    assert!(matches!(incident.phase, podbell_core::incident::Phase::Resolved { .. }));
    let held = incident.notifications.get("team").unwrap().held.clone();
    assert_eq!(held, Some(podbell_core::incident::hold::HoldReason::Inhibition { incident: 2, until: None }));
}

#[test]
fn an_inhibition_survives_a_restart_and_other_values_are_not_held() {
    let mut world = world(NODE_RULES);
    live(&mut world, 60, 300, shows(300, 300));
    world.kill();
    world.start();
    live(&mut world, 360, 480, shows(300, 480));
    assert_eq!(world.told(), ["60s team opened #2"]);
    let other = Target::new("prod", "cls-2", "shop", "web");
    world.poll(&other, &[]);
    world.run_until(540);
    world.poll(&other, &[warning(POD, "FailedMount", "m", 1, 539, 539)]);
    world.run_until(560);
    assert_eq!(world.told(), ["60s team opened #2", "545s team opened #3"]);
}

#[test]
fn where_nobody_hears_of_the_cause_its_consequences_are_told() {
    let rules = NODE_RULES.replace(
        "name: mounts, match: {reason: FailedMount}, notify: [team]",
        "name: mounts, match: {reason: FailedMount}, notify: [team, other]",
    );
    let mut world = world_of(WorldSpec {
        rules: vec![rules],
        destinations: vec![("team", None), ("other", None)],
        ..WorldSpec::default()
    });
    live(&mut world, 60, 240, shows(240, 240));
    assert_eq!(world.told_to("team"), ["60s team opened #2"]);
    assert_eq!(world.told_to("other"), ["65s other opened #1"]);
}

/// The world's first second as wall clock of UTC.
fn clock(second: i64) -> String {
    jiff::Timestamp::from_millisecond(at(second).millis()).unwrap().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[test]
fn planned_work_holds_everything_and_sums_up_what_is_over() {
    let (from, until) = (clock(0), clock(3000));
    let rules = format!(
        "version: 1
maintenance:
  - {{name: db-upgrade, from: \"{from}\", until: \"{until}\", match: {{namespace: shop}}}}
rules:
  - {{name: all, match: {{level: Warning}}, notify: [team], group_wait: 0s}}
"
    );
    let mut world = world(&rules);
    // Both go wrong at once; mounts are over at 300 s + 15 min, the node of another namespace is not held.
    live(&mut world, 60, 1800, shows(300, 300));
    world.kill();
    world.start();
    live(&mut world, 1860, 4000, shows(300, 300));
    assert_eq!(world.told(), ["60s team opened #2", "1200s team resolved #2", "3000s team info"]);
    let NoticeBody::Info(info) = &world.last_notice().body else { panic!() };
    let Info::Held { over, over_count, still_open, .. } = info else { panic!("{info:?}") };
    assert_eq!((over.as_slice(), *over_count, *still_open), (&["shop/web: FailedMount".to_owned()][..], 1, 0));
    let style = Style { language: Language::En, time_zone: TimeZone::UTC, now: world.last_notice().made_at };
    let message = compose(world.last_notice(), &style);
    insta::assert_snapshot!(format!("{}\n{}", message.title, message.text()));
    let style = Style { language: Language::Zh, ..style };
    let message = compose(world.last_notice(), &style);
    insta::assert_snapshot!(format!("{}\n{}", message.title, message.text()));
}

#[test]
fn what_is_still_open_when_planned_work_ends_is_told_by_itself() {
    let rules = format!(
        "version: 1
maintenance: {{name: db-upgrade, until: \"{}\"}}
rules:
  - {{name: all, match: {{level: Warning}}, notify: [team], group_wait: 0s}}
",
        clock(600)
    );
    let mut world = world(&rules);
    live(&mut world, 60, 900, shows(0, 900));
    assert_eq!(world.told(), ["600s team opened #1", "600s team opened #2"]);
    assert_eq!(world.log[0].notices[0].caused_at, at(60));
}

#[test]
fn the_operators_maintenance_holds_the_rules_of_every_file_and_ends_when_it_is_taken_out() {
    let all = "version: 1\nrules: [{name: all, match: {level: Warning}, notify: [team], group_wait: 0s}]\n";
    let planned = Maintenance {
        name: "move".into(),
        from: None,
        until: at(100_000),
        matching: Conditions::any(),
        scopes: Vec::new(),
        file: None,
    };
    let mut world = world_of(WorldSpec { rules: vec![all.into()], maintenance: vec![planned], ..WorldSpec::default() });
    live(&mut world, 60, 2400, shows(300, 2400));
    assert_eq!(world.told(), [""; 0]);
    world.respec(|spec| spec.maintenance.clear());
    world.reload(&[all]);
    world.run_until(2410);
    assert_eq!(world.told(), ["2400s team opened #1", "2400s team info"]);
}

#[test]
fn a_service_that_is_deleted_during_planned_work_leaves_no_message_that_says_it_is_open() {
    let rules = format!(
        "version: 1
maintenance: {{name: db-upgrade, from: \"{}\", until: \"{}\"}}
rules:
  - {{name: all, match: {{level: Warning}}, notify: [team], group_wait: 0s}}
",
        clock(300),
        clock(9000)
    );
    let mut world = world(&rules);
    world.run_until(60);
    world.poll(&web(), &[warning(POD, "Failed", "m", 1, 59, 59)]);
    world.run_until(600);
    world.watch(&[nodes()]);
    world.run_until(660);
    assert_eq!(world.told(), ["60s team opened #1"], "nobody is disturbed");
    let state = world.engine().state().unwrap().message_state(1);
    assert!(state.is_some_and(|state| !state.open), "messages that stand for it show that it is over: {state:?}");
    world.run_until(8000);
    assert!(world.engine().state().unwrap().incident(1).is_none(), "and it ends");
}

#[test]
fn outside_of_its_hours_a_rule_tells_nothing_and_then_what_is_open() {
    let start = jiff::Timestamp::from_millisecond(START.millis()).unwrap().to_zoned(TimeZone::UTC);
    let opens = start.checked_add(jiff::Span::new().minutes(30)).unwrap();
    let closes = start.checked_add(jiff::Span::new().minutes(90)).unwrap();
    let hours = format!("{}-{}", opens.strftime("%H:%M"), closes.strftime("%H:%M"));
    let begins = opens.timestamp().as_second() / 60 * 60 - START.seconds();
    let rules = format!(
        "version: 1
rules:
  - {{name: all, match: {{level: Warning}}, notify: [team], group_wait: 0s, active: {{hours: \"{hours}\"}}}}
"
    );
    let mut world = world(&rules);
    live(&mut world, 60, begins + 60, shows(120, begins));
    assert_eq!(world.told(), [format!("{begins}s team opened #1"), format!("{begins}s team info")]);
    // What was told before the hours end, and is over after them, waits for the next day.
    live(&mut world, begins + 120, begins + 24 * 3600 + 60, shows(120, begins + 3500));
    assert_eq!(world.told().len(), 3, "{:?}", world.told());
    assert_eq!(world.told()[2], format!("{}s team info", begins + 24 * 3600));
}

#[test]
fn a_chat_that_wants_it_gets_a_line_a_day_that_survives_restarts() {
    let rules = "version: 1
rules:
  - {name: noise, match: {objType: Node}, action: ignore}
  - {name: all, match: {level: Warning}, notify: [team], group_wait: 0s}
";
    let minute = |second: i64| u16::try_from(at(second).seconds().rem_euclid(86_400) / 60).unwrap();
    let begins = (at(7200).seconds() / 60 * 60) - START.seconds();
    let mut world =
        world_of(WorldSpec { rules: vec![rules.into()], daily: vec![("team", minute(7200))], ..WorldSpec::default() });
    live(&mut world, 60, 3600, shows(300, 300));
    world.kill();
    world.start();
    live(&mut world, 3660, 7260, shows(300, 300));
    let told = world.told();
    assert_eq!(told, ["60s team opened #1".into(), "1200s team resolved #1".into(), format!("{begins}s team info")]);
    let style = Style { language: Language::En, time_zone: TimeZone::UTC, now: world.now };
    let title = compose(world.last_notice(), &style).title;
    // 119 polls of two lists of one entry; the kill cost those since the last heartbeat.
    assert_eq!(title, "📊 2 h: 236 events, 2 messages, 1 incident; unmatched: 1 kind");
    let zh = Style { language: Language::Zh, ..style };
    assert_eq!(compose(world.last_notice(), &zh).title, "📊 近 2 小时：236 个事件，2 条消息，1 个告警；未通知：1 类");
    assert_eq!(world.last_notice().kind, NoticeKind::Info);
    live(&mut world, 7320, begins + 86_460, |_, _| Vec::new());
    assert_eq!(world.told().len(), 4, "one a day: {:?}", world.told());
}

#[test]
fn a_cause_that_is_held_itself_holds_nothing() {
    // The node's rule tells only at another time of day; its consequence has no hours.
    let start = jiff::Timestamp::from_millisecond(START.millis()).unwrap().to_zoned(TimeZone::UTC);
    let opens = start.checked_add(jiff::Span::new().hours(5)).unwrap().strftime("%H:%M").to_string();
    let closes = start.checked_add(jiff::Span::new().hours(6)).unwrap().strftime("%H:%M").to_string();
    let rules = NODE_RULES.replacen("group_wait: 0s\n", "group_wait: 0s\n    active: {hours: \"HOURS\"}\n", 1);
    let mut world = world(&rules.replace("HOURS", &format!("{opens}-{closes}")));
    live(&mut world, 60, 240, shows(240, 240));
    assert_eq!(world.told(), ["65s team opened #1"]);
}

#[test]
fn planned_work_that_is_made_longer_is_summed_up_once_also_after_a_crash() {
    let rules = |until: i64| {
        format!(
            "version: 1\nmaintenance: {{name: move, until: \"{}\"}}\nrules: [{{name: all, match: {{level: Warning}}, notify: [team], group_wait: 0s}}]\n",
            clock(until)
        )
    };
    let mut world = world(&rules(3000));
    live(&mut world, 60, 1800, shows(300, 300));
    world.reload(&[&rules(5400)]);
    world.kill();
    world.start();
    live(&mut world, 1860, 5500, shows(300, 300));
    assert_eq!(world.told(), ["5400s team info"]);
}

/// One workload's trouble: from which to which minute it fails.
type Trouble = (i64, i64);

/// Plays troubles of workloads and of the node under planned work; says which incidents were told,
/// summed up, or never told because the node's explained them, and how many there were.
fn played(troubles: &[Trouble], node: Trouble, windows: &[Trouble]) -> (BTreeSet<String>, BTreeSet<String>, usize) {
    let planned: String = windows
        .iter()
        .enumerate()
        .map(|(n, (from, length))| {
            let (from, until) = (clock(from * 60 + 30), clock((from + length) * 60 + 30));
            format!("  - {{name: w{n}, from: \"{from}\", until: \"{until}\", match: {{namespace: shop}}}}\n")
        })
        .collect();
    let planned = if planned.is_empty() { String::new() } else { format!("maintenance:\n{planned}") };
    let rules = compiled(&[NODE_RULES.replacen("version: 1\n", &format!("version: 1\n{planned}"), 1)]);
    let setup = podbell_core::backtest::setup(rules, ["prod".into()]);
    let mut replay = Replay::new(setup, BTreeMap::new(), at(0));
    let targets: Vec<Target> =
        (0..troubles.len()).map(|n| Target::new("prod", "cls-1", "shop", &format!("s{n}"))).collect();
    let mut all = Outcomes::default();
    all.add(replay.watch(&"prod".into(), targets.iter().cloned().chain([nodes()]).collect()));
    let fails = |(from, length): Trouble, minute: i64| (minute.min(from + length) - from).max(-1) + 1;
    for minute in 0..400 {
        let seen = |trouble: Trouble| minute.min(trouble.0 + trouble.1) * 60 - 1;
        for (n, target) in targets.iter().enumerate() {
            let count = u64::try_from(fails(troubles[n], minute)).unwrap();
            let name = format!("w{n}-6d4cf56db6-x2x7v");
            let event = warning(&name, "FailedMount", "m", count, troubles[n].0 * 60 - 1, seen(troubles[n]));
            let shown: Vec<_> = if count > 0 { vec![event] } else { Vec::new() };
            all.add(replay.observe(target, &shown, at(minute * 60)));
        }
        let count = u64::try_from(fails(node, minute)).unwrap();
        let event = Event { count, last_seen: at(seen(node)), ..of_node("NodeNotReady", node.0 * 60) };
        let shown: Vec<_> = if count > 0 { vec![event] } else { Vec::new() };
        all.add(replay.observe(&nodes(), &shown, at(minute * 60)));
    }
    all.add(replay.pass(at(200_000)));
    let (mut told, mut summed) = (BTreeSet::new(), BTreeSet::new());
    for notice in &all.notices {
        match &notice.body {
            NoticeBody::Incident(story) => drop(told.insert(story.workload.clone())),
            NoticeBody::Info(Info::Held { over, .. }) => {
                summed.extend(over.iter().map(|words| words["shop/".len()..words.find(':').unwrap()].to_owned()));
            }
            _ => {}
        }
    }
    let ids: BTreeSet<u64> = all.decisions.iter().flat_map(podbell_core::step::decision::Decision::incidents).collect();
    (told, summed, ids.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever windows and inhibition do: each problem is told, summed up, or was over before the
    /// incident that explains it.
    #[test]
    fn nothing_that_is_held_back_is_lost(
        troubles in prop::collection::vec((2..200i64, 0..60i64), 1..6),
        node in (2..200i64, 0..60i64),
        windows in prop::collection::vec((0..220i64, 1..90i64), 0..4),
    ) {
        let (told, summed, incidents) = played(&troubles, node, &windows);
        prop_assert_eq!(incidents, troubles.len() + 1);
        for (n, (from, length)) in troubles.iter().enumerate() {
            let workload = format!("w{n}");
            // It may be told 5 s after its first occurrence, or when the last window around that ends; the
            // node's incident may be open then, and outlive it.
            let mut tellable = from * 60 + 5;
            while let Some((begin, span)) = windows
                .iter()
                .find(|(begin, span)| (begin * 60 + 30..(begin + span) * 60 + 30).contains(&tellable))
            {
                tellable = (begin + span) * 60 + 30;
            }
            let explained = node.0 * 60 <= tellable && from + length <= node.0 + node.1;
            let known = told.contains(&workload) || summed.contains(&workload);
            prop_assert!(known || explained, "{} of {:?}: told {:?}, summed up {:?}", workload, troubles, told, summed);
        }
    }
}
