//! `podbell backtest --last`: what a service saw is remembered well enough to be told again.

use std::collections::BTreeMap;
use std::time::Duration;

use podbell::sources::{ObjectName, SourceEvent};
use podbell_core::backtest::{Backtest, Report, play, setup};
use podbell_core::event::{Event, Level, Target};
use podbell_core::health::{Health, HealthReport, WorkloadKind};
use podbell_core::history::Polls;
use podbell_core::metadata::Metadata;
use podbell_core::notice::{Notice, NoticeBody};
use podbell_core::rollout::{PodTemplate, TemplateReport};
use podbell_core::time::Time;
use proptest::prelude::*;
use rusqlite::Connection;

use crate::support::events::{at, warning};
use crate::support::world::{World, compiled, web};

const RULES: &str = "version: 1
defaults: {notify: [team]}
rules:
  - {name: noise, match: {reason: Unhealthy}, action: ignore}
  - {name: pulls, match: {reason: [Failed, BackOff]}, open_when: {count: 3, within: 10m}, escalate: {counts: [10, 50]}}
  - {name: rest, match: {level: Warning}}
";

const POD: &str = "web-6d4cf56db6-x2x7v";

fn shop() -> Target {
    Target::new("prod", "cls-1", "shop", "api")
}

fn seconds(world: &World) -> i64 {
    (world.now.millis() - at(0).millis()) / 1000
}

/// Both services are read once more, a minute later.
fn minute(world: &mut World, web_list: &[Event<'static>], shop_list: &[Event<'static>]) {
    let next = seconds(world) + 60;
    world.run_until(next);
    world.poll(&web(), web_list);
    world.poll(&shop(), shop_list);
}

/// Minutes in which nothing changes.
fn quiet(world: &mut World, minutes: usize, web_list: &[Event<'static>], shop_list: &[Event<'static>]) {
    (0..minutes).for_each(|_| minute(world, web_list, shop_list));
}

fn begun() -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web(), shop()]);
    world.poll(&web(), &[]);
    world.poll(&shop(), &[warning("old-7d4cf56db6-x2x7v", "FailedMount", "was there before", 40, -9_000, -5_000)]);
    world
}

/// Pulls fail, get worse, are over, come back; another service fails to be read in between.
fn lived() -> World {
    let mut world = begun();
    let pull = |count, last| warning(POD, "Failed", "Error: ErrImagePull", count, 50, last);
    let mount = |count, last| warning("api-7d4cf56db6-x2x7v", "FailedMount", "no such volume", count, 110, last);
    minute(&mut world, &[pull(1, 59)], &[]);
    minute(&mut world, &[pull(4, 119)], &[mount(1, 110)]);
    minute(&mut world, &[pull(12, 170)], &[mount(1, 110)]);
    minute(&mut world, &[pull(60, 239), warning(POD, "Unhealthy", "Readiness", 9, 200, 239)], &[mount(2, 230)]);
    for _ in 0..6 {
        let next = seconds(&world) + 60;
        world.run_until(next);
        world.poll(&web(), &[pull(60, 239)]);
        world.fail(&shop(), "6000");
    }
    quiet(&mut world, 20, &[pull(60, 239)], &[mount(2, 230)]);
    minute(&mut world, &[pull(70, 1_900)], &[]);
    quiet(&mut world, 5, &[pull(70, 1_900)], &[]);
    world
}

/// Of a notice, what both tell.
type NoticeFacts = (Time, Time, &'static str, String, u64, Vec<String>);

fn told(notice: &Notice) -> Option<NoticeFacts> {
    let NoticeBody::Incident(story) = &notice.body else { return None };
    let to = notice.to.iter().map(|name| name.to_string()).collect();
    let about = format!("{} {}", story.rule.name, story.workload);
    Some((notice.made_at, notice.caused_at, notice.kind.as_str(), about, story.occurrences, to))
}

/// What really was told, since `from`.
fn really(world: &World, from: Time) -> Vec<NoticeFacts> {
    let mut all: BTreeMap<u64, NoticeFacts> = BTreeMap::new();
    for notice in world.log.iter().flat_map(|request| &request.notices).filter(|notice| notice.made_at >= from) {
        all.extend(told(notice).map(|told| (notice.id, told)));
    }
    sorted(all.into_values().collect())
}

/// What is told in one moment has no order of its own: it follows from the store's seed.
fn sorted(mut told: Vec<NoticeFacts>) -> Vec<NoticeFacts> {
    told.sort();
    told
}

fn replayed(rules: &str, world: &World, last: Duration) -> Report {
    let since = world.now.minus(last).max(at(0));
    let history = world.reader().snapshot().unwrap().history(since).unwrap();
    assert_eq!(history.lost, 0);
    let mut backtests = [Backtest::new(setup(compiled(&[rules.to_owned()]), ["prod".into()]))];
    let polls = Polls::new(history.observations, since, world.now, |_| Duration::from_secs(60));
    play(&mut backtests, polls, history.reports);
    let [report] = backtests.map(Backtest::finish);
    report
}

const DAY: Duration = Duration::from_secs(86_400);

fn replay_told(world: &World, last: Duration) -> Vec<NoticeFacts> {
    replay_told_by(RULES, world, last)
}

fn replay_told_by(rules: &str, world: &World, last: Duration) -> Vec<NoticeFacts> {
    sorted(replayed(rules, world, last).notices.iter().filter_map(told).collect())
}

#[test]
fn what_a_service_lived_through_is_told_again_as_it_was_told() {
    let world = lived();
    let really = really(&world, at(0));
    let kinds: Vec<&str> = really.iter().map(|told| told.2).collect();
    for kind in ["opened", "escalated", "resolved", "reopened"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    assert_eq!(replay_told(&world, DAY), really);
}

const BY_NODE: &str = "version: 1
defaults: {notify: [team]}
rules:
  - {name: killed, match: {reason: OOMKilled, node: n1, \"label:team\": shop}, severity: critical}
  - {name: rest, match: {level: Warning}}
";

/// `web` of this health, from now on.
fn web_is(world: &mut World, ready: u32) {
    let health = Some(Health { wanted: 3, ready, rolling_out: false });
    let report =
        HealthReport { target: web(), kind: WorkloadKind::Deployment, name: "web".into(), health, deleted: false };
    world.say(SourceEvent::Health { at: world.now, reports: vec![report] });
}

fn web_runs(world: &mut World, revision: &str) {
    let template = PodTemplate { revision: revision.into(), images: vec![format!("shop/web:v{revision}")] };
    let report = TemplateReport { target: web(), kind: WorkloadKind::Deployment, name: "web".into(), template };
    world.say(SourceEvent::Templates { at: world.now, reports: vec![report] });
}

#[test]
fn health_rollouts_nodes_labels_and_deletions_are_remembered_for_longer_than_a_day_where_nothing_is_newer() {
    let mut world = World::with_rules(BY_NODE);
    world.watch(&[web(), shop()]);
    world.poll(&web(), &[]);
    world.poll(&shop(), &[]);
    web_is(&mut world, 3);
    web_runs(&mut world, "4");
    // What is older than a day is deleted, but the newest of each workload is not.
    world.run_until(30 * 3600);
    let killed = |second: i64| {
        let labels = Metadata { labels: [("team".into(), "shop".into())].into(), ..Metadata::default() };
        let event = warning(POD, "OOMKilled", "Container web was killed", 1, second, second);
        vec![Event { node: Some("n1".into()), signal: true, metadata: Some(labels.into()), ..event }]
    };
    minute(&mut world, &[], &[]);
    web_runs(&mut world, "5");
    minute(&mut world, &[], &[]);
    let first = seconds(&world);
    minute(&mut world, &killed(first), &[]);
    quiet(&mut world, 10, &killed(first), &[]);
    // This time it is not well again before it is.
    let second = seconds(&world);
    minute(&mut world, &killed(second), &[]);
    web_is(&mut world, 2);
    quiet(&mut world, 30, &killed(second), &[]);
    web_is(&mut world, 3);
    quiet(&mut world, 10, &killed(second), &[]);
    let evicted = || {
        vec![warning("api-7d4cf56db6-x2x7v", "Evicted", "usage exceeds the limit", 1, second + 2_400, second + 2_400)]
    };
    minute(&mut world, &[], &evicted());
    let pod = ObjectName { namespace: "shop".into(), kind: "Pod".into(), name: "api-7d4cf56db6-x2x7v".into() };
    world.say(SourceEvent::Deleted { source: "prod".into(), at: world.now, objects: vec![pod] });
    quiet(&mut world, 20, &[], &evicted());
    let really = really(&world, at(0));
    let kinds: Vec<&str> = really.iter().map(|told| told.2).collect();
    assert_eq!(kinds, ["opened", "resolved", "reopened", "resolved", "opened", "resolved"], "{really:#?}");
    assert_eq!(replay_told_by(BY_NODE, &world, Duration::from_secs(7_200)), really);
    let report = replayed(BY_NODE, &world, Duration::from_secs(7_200));
    let follows = report.notices.iter().find_map(|notice| match &notice.body {
        NoticeBody::Incident(story) => story.rollout.clone(),
        _ => None,
    });
    assert!(follows.is_some(), "the rollout before it is known, too");
}

#[test]
fn downtime_is_no_silence() {
    let mut world = begun();
    let pull = |count, last| warning(POD, "Failed", "Error: ErrImagePull", count, 50, last);
    minute(&mut world, &[pull(5, 59)], &[]);
    quiet(&mut world, 3, &[pull(5, 59)], &[]);
    world.kill();
    world.now = world.now.plus(Duration::from_secs(1_800));
    world.start();
    world.watch(&[web(), shop()]);
    world.poll(&web(), &[pull(9, 1_700)]);
    world.poll(&shop(), &[]);
    quiet(&mut world, 20, &[pull(9, 1_700)], &[]);
    let really = really(&world, at(0));
    assert_eq!(really.iter().map(|told| told.2).collect::<Vec<_>>(), ["opened", "resolved"]);
    assert_eq!(replay_told(&world, DAY), really);
}

#[test]
fn what_began_before_the_time_that_is_asked_for_is_known_and_counted_on() {
    let mut world = begun();
    let pull = |count, last| warning(POD, "BackOff", "Back-off pulling image", count, 50, last);
    minute(&mut world, &[pull(2, 59)], &[]);
    quiet(&mut world, 120, &[], &[]);
    // 2 were known: 6 are 4 more, and three of them within ten minutes open it.
    let now = seconds(&world);
    minute(&mut world, &[pull(6, now)], &[]);
    quiet(&mut world, 20, &[pull(6, now)], &[]);
    let told = replay_told(&world, Duration::from_secs(3_600));
    assert_eq!(told.iter().map(|told| (told.2, told.4)).collect::<Vec<_>>(), [("opened", 4), ("resolved", 4)]);
    assert_eq!(replayed(RULES, &world, Duration::from_secs(60)).notices.len(), 0);
}

#[test]
fn only_changes_are_kept_and_only_for_a_day() {
    let mut world = begun();
    let rows = |world: &World| {
        let connection = Connection::open(world.store_path()).unwrap();
        connection.query_row("SELECT count(*) FROM observation", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let mount = |count, last| warning(POD, "FailedMount", "no such volume", count, 50, last);
    minute(&mut world, &[mount(1, 59)], &[]);
    quiet(&mut world, 30, &[mount(1, 59)], &[]);
    assert_eq!(rows(&world), 1);
    quiet(&mut world, 26 * 60, &[], &[]);
    assert_eq!(rows(&world), 0);
    assert_eq!(replay_told(&world, DAY), []);
    let now = seconds(&world);
    minute(&mut world, &[mount(3, now)], &[]);
    quiet(&mut world, 1, &[mount(3, now)], &[]);
    assert_eq!(replay_told(&world, DAY), really(&world, at(now)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Counts of three series in two services, minute by minute; 0 is absent, a poll may fail.
    #[test]
    fn whatever_a_service_lives_through_is_told_again(
        minutes in proptest::collection::vec((proptest::array::uniform3(0u64..4), 0u8..8), 1..40)
    ) {
        let mut world = begun();
        let mut counts = [0u64; 3];
        let mut last = [0i64; 3];
        for (grown, failing) in minutes {
            let now = seconds(&world) + 60;
            for (place, grown) in grown.into_iter().enumerate().filter(|(_, grown)| *grown > 0) {
                counts[place] += grown;
                last[place] = now - 1;
            }
            let event = |place: usize, reason: &str| {
                let mut event = warning(POD, reason, "it failed", counts[place], 10, last[place]);
                if place == 2 {
                    event.level = Level::Normal;
                }
                (counts[place] > 0).then_some(event)
            };
            let list: Vec<_> = [event(0, "Failed"), event(2, "BackOff")].into_iter().flatten().collect();
            let other: Vec<_> = event(1, "FailedMount").into_iter().collect();
            world.run_until(now);
            match failing {
                0 => world.fail(&web(), "6000"),
                _ => world.poll(&web(), &list),
            }
            world.poll(&shop(), &other);
        }
        prop_assert_eq!(replay_told(&world, DAY), really(&world, at(0)));
    }
}
