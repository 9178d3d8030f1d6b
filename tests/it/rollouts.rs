//! Rollouts: seen in lists and reported by sources, told with what follows, and shown to whoever asks.

use podbell::components::file::recording::{RecordedOutcome, RecordedPoll, RecordedTemplate, Scope};
use podbell::sources::SourceEvent;
use podbell_core::event::{Event, Level};
use podbell_core::health::WorkloadKind;
use podbell_core::message::{Style, compose};
use podbell_core::rollout::{PodTemplate, TemplateReport};
use podbell_core::time::Time;
use podbell_core::translations::Language;

use crate::commands::queries::Asker;
use crate::support::events::{at, warning};
use crate::support::status_page::{Visitor, WRITE, served};
use crate::support::world::{World, web};

const POD: &str = "web-6d4cf56db6-x2x7v";
const RULES: &str = "version: 1\nrules:\n  - {name: all, match: {level: Warning}, notify: [team]}\n";

fn scaled(message: &str, at: i64) -> Event<'static> {
    Event {
        level: Level::Normal,
        obj_type: "Deployment".into(),
        ..warning("web", "ScalingReplicaSet", message, 1, at, at)
    }
}

fn failed(first: i64, last: i64) -> Event<'static> {
    warning(POD, "FailedMount", "MountVolume.SetUp failed", 1, first, last)
}

fn world() -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world
}

fn reports(at: Time, revision: &str, images: &[&str]) -> SourceEvent {
    let images = images.iter().map(|image| (*image).to_owned());
    let template = PodTemplate::new(revision, images);
    let report = TemplateReport { target: web(), kind: WorkloadKind::Deployment, name: "web".into(), template };
    SourceEvent::Templates { at, reports: vec![report] }
}

fn runs(world: &mut World, revision: &str, images: &[&str]) {
    world.say(reports(world.now, revision, images));
}

/// Polls a list at a second.
fn poll(world: &mut World, second: i64, list: &[Event<'static>]) {
    world.run_until(second);
    world.poll(&web(), list);
}

/// The words of the last message.
fn words(world: &World, language: Language) -> String {
    let notice = world.last_notice();
    compose(notice, &Style { language, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at }).text()
}

#[test]
fn what_opens_soon_after_a_rollout_in_a_list_says_so_in_both_languages() {
    let mut world = world();
    let old = scaled("Scaled up replica set web-5f6d4c7b8b to 1", -5000);
    let new = scaled("Scaled up replica set web-6d4cf56db6 to 1", 50);
    let down = scaled("Scaled down replica set web-5f6d4c7b8b to 0", 51);
    poll(&mut world, 60, &[old.clone(), new.clone(), down.clone()]);
    poll(&mut world, 180, &[old, new, down, failed(175, 175)]);
    world.run_until(240);
    // The world begins at 03:04.
    let said = words(&world, Language::En);
    assert!(said.contains("Rollout: 2 min after a rollout (03:04)"), "{said}");
    let said = words(&world, Language::Zh);
    assert!(said.contains("发布（03:04）后"), "{said}");
    assert_eq!(world.told().len(), 1);
}

#[test]
fn what_runs_before_and_after_is_named_where_it_is_known_and_one_rollout_is_one() {
    let mut world = world();
    runs(&mut world, "7", &["r.example.com/shop/web:v4", "envoy:1"]);
    world.run_until(3600);
    runs(&mut world, "7", &["r.example.com/shop/web:v5", "envoy:1"]);
    runs(&mut world, "8", &["r.example.com/shop/web:v5", "envoy:1"]);
    let new = scaled("Scaled up replica set web-6d4cf56db6 to 1", 3601);
    poll(&mut world, 3660, std::slice::from_ref(&new));
    poll(&mut world, 3720, &[new.clone(), failed(3715, 3715)]);
    world.run_until(3800);
    let said = words(&world, Language::En);
    assert!(said.contains("2 min after a rollout (web:v4 → web:v5, 04:04)"), "{said}");
    let said = words(&world, Language::Zh);
    assert!(said.contains("发布（web:v4 → web:v5，04:04）后"), "{said}");
    let asker = Asker::of(&world).at(at(3900));
    let events = asker.podbell("events web");
    assert_eq!(events.matches("rollout of web: web:v4 → web:v5").count(), 1, "{events}");
    for asked in ["show 1", "why 1"] {
        let said = asker.podbell(asked);
        assert!(said.contains("web:v4 → web:v5"), "{asked}: {said}");
    }
    let zh = Asker::of(&world).at(at(3900)).language(Language::Zh).podbell("events web");
    assert!(zh.contains("发布 web：web:v4 → web:v5"), "{zh}");
    let day_later = Asker::of(&world).at(at(3900 + 86_400)).podbell("events web");
    assert!(!day_later.contains("rollout of"), "{day_later}");
}

#[test]
fn what_is_no_rollout_or_long_ago_or_later_is_not_named() {
    let scaling = |world: &mut World| {
        poll(world, 60, &[scaled("Scaled up replica set web-6d4cf56db6 to 5", 50)]);
        poll(world, 120, &[scaled("Scaled up replica set web-6d4cf56db6 to 8", 110), failed(110, 110)]);
    };
    let long_ago = |world: &mut World| {
        poll(world, 60, &[scaled("Scaled up replica set web-6d4cf56db6 to 1", 50)]);
        poll(world, 1920, &[failed(1910, 1910)]);
    };
    let later = |world: &mut World| {
        poll(world, 60, &[failed(50, 50)]);
        runs(world, "1", &["web:v4"]);
        world.run_until(65);
        runs(world, "2", &["web:v5"]);
    };
    let same = |world: &mut World| {
        runs(world, "1", &["web:v4"]);
        runs(world, "1", &["web:v4"]);
        poll(world, 60, &[failed(50, 50)]);
    };
    type Happens<'a> = &'a dyn Fn(&mut World);
    let cases: [(&str, Happens<'_>); 4] =
        [("scaling", &scaling), ("long ago", &long_ago), ("later", &later), ("the same", &same)];
    for (what, happens) in cases {
        let mut world = world();
        happens(&mut world);
        let until = world.now.plus(std::time::Duration::from_secs(60));
        world.run_until(until.since(at(0)).as_secs().try_into().unwrap());
        let said = words(&world, Language::En);
        assert!(!said.contains("rollout"), "{what}: {said}");
    }
}

#[test]
fn a_rollout_is_remembered_over_a_restart_and_nothing_is_one_twice() {
    let mut world = world();
    runs(&mut world, "1", &["web:v4"]);
    world.run_until(60);
    runs(&mut world, "2", &["web:v5"]);
    world.kill();
    world.now = at(200);
    world.start();
    // A watching source reports everything again.
    runs(&mut world, "2", &["web:v5"]);
    poll(&mut world, 300, &[failed(290, 290)]);
    world.run_until(400);
    let said = words(&world, Language::En);
    assert!(said.contains("4 min after a rollout (web:v4 → web:v5, 03:05)"), "{said}");
    // What an incident follows is part of it, also after the next start.
    world.kill();
    world.start();
    let shown = Asker::of(&world).at(at(500)).podbell("show 1");
    assert!(shown.contains("web:v4 → web:v5"), "{shown}");
    assert_eq!(Asker::of(&world).at(at(500)).podbell("events web").matches("rollout of web").count(), 1);
}

#[test]
fn what_a_commit_did_not_take_is_a_rollout_all_the_same() {
    let mut world = world();
    runs(&mut world, "1", &["web:v4"]);
    world.run_until(60);
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    store.execute_batch("CREATE TRIGGER full BEFORE INSERT ON rollout BEGIN SELECT RAISE(ABORT, 'full'); END").unwrap();
    let changed = podbell::engine::EngineEvent::Source(reports(world.now, "2", &["web:v5"]));
    assert!(world.try_turn(vec![changed]).is_err());
    store.execute_batch("DROP TRIGGER full").unwrap();
    poll(&mut world, 180, &[failed(170, 170)]);
    world.run_until(300);
    let said = words(&world, Language::En);
    assert!(said.contains("(web:v4 → web:v5, 03:05)"), "{said}");
}

#[test]
fn a_service_that_is_gone_takes_its_rollouts_with_it() {
    let mut world = world();
    runs(&mut world, "1", &["web:v4"]);
    runs(&mut world, "2", &["web:v5"]);
    world.discover(&[web()], true);
    let known = |world: &mut World| {
        let key = (web(), "web".into());
        world.engine().state().unwrap().rollouts(&key).is_some()
    };
    assert!(known(&mut world));
    world.discover(&[], true);
    world.discover(&[], true);
    assert!(!known(&mut world));
    world.kill();
    world.start();
    assert!(!known(&mut world));
}

#[test]
fn a_service_without_events_for_days_keeps_the_template_that_its_next_rollout_is_compared_with() {
    let mut world = world();
    runs(&mut world, "1", &["web:v4"]);
    let covers = podbell_core::source::WatchCoverage { source: "prod".into(), namespace: None };
    for hour in 1..60 {
        world.run_until(hour * 3600);
        let receipt = podbell::sources::Receipt::free();
        world.say(podbell::sources::SourceEvent::WatchProgress { covers: covers.clone(), at: world.now, receipt });
    }
    let key = (web(), "web".into());
    assert!(world.engine().state().unwrap().rollouts(&key).is_some());
}

#[test]
fn a_recorded_template_is_read_back_as_the_source_reports_it() {
    let template = RecordedTemplate {
        kind: WorkloadKind::StatefulSet,
        name: "db".into(),
        revision: "db-7".into(),
        images: vec!["db:1".into()],
    };
    let source = podbell::components::file::FileConfig::new("prod", "play.jsonl");
    let poll = RecordedPoll { at: at(5), scope: Scope::default(), outcome: RecordedOutcome::Templates(vec![template]) };
    let SourceEvent::Templates { at: said, reports } = source.event(poll) else { panic!("not a template") };
    assert_eq!((said, reports.len()), (at(5), 1));
    assert_eq!(reports[0].template, PodTemplate::new("db-7", ["db:1".to_owned()]));
    assert_eq!((&*reports[0].name, reports[0].kind), ("db", WorkloadKind::StatefulSet));
}

#[tokio::test]
async fn the_page_shows_rollouts_below_the_day_of_a_service_and_of_an_incident() {
    let mut world = world();
    runs(&mut world, "1", &["web:v4"]);
    world.run_until(60);
    runs(&mut world, "2", &["web:<b>v5"]);
    poll(&mut world, 120, &[failed(110, 110)]);
    world.run_until(200);
    let base = served(&mut world, at(300)).await;
    let visitor = Visitor::at(&base).signed_in(WRITE).await;
    // The page's zone is Shanghai's.
    for path in ["/incidents/1", "/service?cluster=cls-1&namespace=shop&name=web"] {
        let page = visitor.get(path).await.text;
        let rollouts = page.split_once("class=\"plain rollouts\"").map(|(_, rest)| rest.split("</ul>").next().unwrap());
        let rollouts = rollouts.unwrap_or_else(|| panic!("{path}: {page}"));
        assert!(rollouts.contains("Rollout at 11:05") && rollouts.contains("web:&lt;b&gt;v5"), "{path}: {rollouts}");
    }
}
