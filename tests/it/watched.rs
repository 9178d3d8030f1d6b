//! What a source that watches leads to, in virtual time: parts in which absence means nothing, whole lists, and the silence
//! between them.

use std::time::Duration;

use podbell::sources::{Receipt, SourceEvent};
use podbell_core::event::{Event, Target};
use podbell_core::notice::{Info, NoticeBody, Story};
use podbell_core::source::{Extent, PartialObservation, Problem, WatchCoverage};

use crate::support::events::{at, warning};
use crate::support::world::{World, WorldSpec, web};

const POD: &str = "web-6d4cf56db6-x2x7v";

fn everything() -> WatchCoverage {
    WatchCoverage { source: "prod".into(), namespace: None }
}

fn seen(world: &World, whole: bool, lists: &[(Target, Vec<Event<'static>>)]) -> SourceEvent {
    let lists = lists.iter().map(|(target, events)| PartialObservation {
        target: target.clone(),
        events: events.clone(),
        gone: Vec::new(),
    });
    SourceEvent::PartialObservation { at: world.now, whole, lists: lists.collect(), receipt: Receipt::free() }
}

/// A list of everything there is.
fn list(world: &mut World, lists: &[(Target, Vec<Event<'static>>)]) {
    let shown = lists.iter().map(|(target, _)| target.clone()).collect();
    let whole = seen(world, true, lists);
    world.say(whole);
    world.say(SourceEvent::ListCompleted { covers: everything(), at: world.now, shown, receipt: Receipt::free() });
}

/// What changed of shop/web.
fn part(world: &mut World, events: &[Event<'static>]) {
    let part = seen(world, false, &[(web(), events.to_vec())]);
    world.say(part);
}

fn gone(world: &mut World, event: &Event<'static>) {
    let lists = vec![PartialObservation { target: web(), events: Vec::new(), gone: vec![event.clone()] }];
    world.say(SourceEvent::PartialObservation { at: world.now, whole: false, lists, receipt: Receipt::free() });
}

fn watched(world: &mut World, covers: &WatchCoverage) {
    world.say(SourceEvent::WatchProgress { covers: covers.clone(), at: world.now, receipt: Receipt::free() });
}

fn cut(world: &mut World, covers: &WatchCoverage, code: &str) {
    let error = Problem { code: code.into(), text: "it failed".into(), advice: "mend it".into(), gone: false };
    world.say(SourceEvent::WatchFailed { covers: covers.clone(), at: world.now, error });
}

/// Nothing happens until `seconds`, and the watch says so each minute.
fn quiet_until(world: &mut World, seconds: i64) {
    while world.now.plus(Duration::from_secs(60)) <= at(seconds) {
        let next = world.now.plus(Duration::from_secs(60));
        world.run_to(next);
        watched(world, &everything());
    }
}

fn crash(count: u64, last: i64) -> Event<'static> {
    warning(POD, "FailedMount", "no such volume", count, 30, last)
}

fn story(world: &World) -> &Story {
    let NoticeBody::Incident(story) = &world.last_notice().body else { panic!("not about an incident") };
    story
}

fn operated_spec() -> WorldSpec {
    WorldSpec { operator: vec!["team"], ..WorldSpec::default() }
}

fn operated() -> World {
    World::new(operated_spec())
}

#[test]
fn a_problem_of_a_service_that_was_never_seen_is_told_in_full_and_ends_after_watched_silence() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 7200);
    assert_eq!(world.told(), ["75s team opened #1", "960s team resolved #1"]);
    assert_eq!((story(&world).occurrences, story(&world).in_all), (4, 4), "nothing of it was there before");
}

#[test]
fn absence_in_a_part_means_nothing_and_a_count_that_goes_on_is_an_increase() {
    let mut world = World::builtin();
    list(&mut world, &[(web(), vec![])]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59), warning(POD, "BackOff", "b", 1, 50, 59)]);
    world.run_until(100);
    part(&mut world, &[warning(POD, "BackOff", "b", 2, 50, 99)]);
    world.run_until(120);
    part(&mut world, &[crash(6, 119)]);
    quiet_until(&mut world, 3600);
    assert_eq!(world.told().len(), 2, "{:?}", world.told());
    assert_eq!(story(&world).occurrences, 8);
}

#[test]
fn an_event_that_the_cluster_deletes_ends_nothing_and_its_return_is_an_increase() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 600);
    gone(&mut world, &crash(4, 59));
    quiet_until(&mut world, 900);
    assert_eq!(world.told(), ["75s team opened #1"], "not over before its time");
    part(&mut world, &[crash(5, 899)]);
    quiet_until(&mut world, 3600);
    // It paused for 14 minutes: twice as long a silence ends it.
    assert_eq!(world.told().last().unwrap(), "2580s team resolved #1");
    assert_eq!(story(&world).occurrences, 5);
}

#[test]
fn a_relist_tells_nothing_twice_and_what_happened_in_a_gap_once() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    world.run_until(100);
    list(&mut world, &[(web(), vec![crash(4, 59)])]);
    world.run_until(200);
    // Cut, and meanwhile it went on and a service nobody knew had trouble.
    let api = Target::new("prod", "cls-1", "shop", "api");
    list(
        &mut world,
        &[(web(), vec![crash(9, 190)]), (api.clone(), vec![warning("api-0", "FailedMount", "m", 3, 150, 180)])],
    );
    list(&mut world, &[(web(), vec![crash(9, 190)]), (api, vec![warning("api-0", "FailedMount", "m", 3, 150, 180)])]);
    quiet_until(&mut world, 600);
    assert_eq!(world.told(), ["75s team opened #1", "215s team opened #2"]);
    assert_eq!(story(&world).occurrences, 3, "it began in the gap: all of it is new");
    quiet_until(&mut world, 7200);
    assert_eq!(world.told().len(), 4);
    let mut ends: Vec<u64> = world
        .log
        .iter()
        .flat_map(|request| &request.notices)
        .filter_map(|notice| match &notice.body {
            NoticeBody::Incident(story) if notice.kind.as_str() == "resolved" => Some(story.occurrences),
            _ => None,
        })
        .collect();
    ends.sort();
    assert_eq!(ends, [3, 9]);
}

#[test]
fn a_clock_that_is_hours_off_loses_no_event_and_tells_none_twice() {
    for off in [-8 * 3600, 8 * 3600] {
        let mut world = World::builtin();
        list(&mut world, &[]);
        world.run_until(60);
        let reads = |count, last| warning(POD, "FailedMount", "m", count, off + 30, off + last);
        part(&mut world, &[reads(1, 59)]);
        world.run_until(120);
        part(&mut world, &[reads(3, 119)]);
        list(&mut world, &[(web(), vec![reads(3, 119)])]);
        quiet_until(&mut world, 3600);
        assert_eq!(world.told(), ["75s team opened #1", "1020s team resolved #1"], "{off}");
        assert_eq!(story(&world).occurrences, 3, "{off}");
    }
}

#[test]
fn silence_that_nobody_watched_ends_nothing() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 300);
    cut(&mut world, &everything(), "connect");
    world.run_until(3000);
    assert_eq!(world.told(), ["75s team opened #1"]);
    // Taken up where it was cut: nothing was missed, and nothing happened.
    watched(&mut world, &everything());
    world.run_until(3001);
    assert_eq!(world.told(), ["75s team opened #1", "3000s team resolved #1"]);
}

#[test]
fn a_cut_watch_is_told_once_after_five_minutes_whatever_its_words_and_its_end_once() {
    let mut world = operated();
    list(&mut world, &[]);
    world.run_until(100);
    for (turn, code) in ["connect", "http-503", "connect", "http-401", "http-401"].iter().cycle().take(200).enumerate()
    {
        let when = 100 + 5 * i64::try_from(turn).unwrap();
        world.run_until(when);
        cut(&mut world, &everything(), code);
    }
    world.run_until(1200);
    assert_eq!(world.told(), ["0s team info", "400s team opened #1"]);
    let NoticeBody::Trouble(trouble) = &world.last_notice().body else { panic!("not a trouble") };
    assert_eq!((trouble.since, trouble.affected.clone()), (at(100), vec!["every namespace".to_owned()]));
    watched(&mut world, &everything());
    watched(&mut world, &everything());
    world.run_until(1300);
    assert_eq!(world.told()[2..], ["1200s team resolved #1"]);
}

#[test]
fn a_quiet_cluster_that_keeps_events_for_long_is_not_taken_for_a_wrong_time_zone() {
    let mut world = operated();
    list(&mut world, &[(web(), vec![crash(4, -6 * 3600)])]);
    world.run_until(200);
    assert_eq!(world.told(), ["0s team info"]);
    let NoticeBody::Info(Info::FirstContact { services, already_there, clock_hint, .. }) = &world.last_notice().body
    else {
        panic!("not the first contact")
    };
    assert_eq!((*services, *already_there, clock_hint.clone()), (1, 1, None));
}

#[test]
fn a_short_outage_is_no_word_worth() {
    let mut world = operated();
    list(&mut world, &[]);
    world.run_until(100);
    cut(&mut world, &everything(), "connect");
    world.run_until(350);
    list(&mut world, &[]);
    world.run_until(5000);
    assert_eq!(world.told(), ["0s team info"]);
}

#[test]
fn a_forbidden_namespace_is_told_once_and_does_not_keep_the_others_from_ending() {
    let mut world = operated();
    let of = |name: &str| WatchCoverage { source: "prod".into(), namespace: Some(name.into()) };
    let (shop, secret) = (of("shop"), of("secret"));
    world.say(SourceEvent::ListCompleted {
        covers: shop.clone(),
        at: world.now,
        shown: vec![],
        receipt: Receipt::free(),
    });
    world.run_until(30);
    part(&mut world, &[crash(4, 29)]);
    for minute in 1..40 {
        world.run_until(minute * 60);
        cut(&mut world, &secret, "http-403");
        watched(&mut world, &shop);
    }
    let told = world.told();
    assert_eq!(told, ["0s team info", "45s team opened #1", "360s team opened #2", "960s team resolved #1"]);
    let troubles = world.log.iter().flat_map(|request| &request.notices).filter_map(|notice| match &notice.body {
        NoticeBody::Trouble(trouble) => Some(trouble.affected.clone()),
        _ => None,
    });
    assert_eq!(troubles.collect::<Vec<_>>(), [["namespace secret"]]);
}

#[test]
fn the_first_contact_with_a_second_namespace_is_a_first_contact() {
    let mut world = World::builtin();
    let of = |name: &str| WatchCoverage { source: "prod".into(), namespace: Some(name.into()) };
    world.say(SourceEvent::ListCompleted {
        covers: of("other"),
        at: world.now,
        shown: vec![],
        receipt: Receipt::free(),
    });
    let whole = seen(&world, true, &[(web(), vec![warning(POD, "BackOff", "b", 6530, -90_000, -3000)])]);
    world.say(whole);
    world.say(SourceEvent::ListCompleted {
        covers: of("shop"),
        at: world.now,
        shown: vec![web()],
        receipt: Receipt::free(),
    });
    world.run_until(600);
    assert_eq!(world.told(), [""; 0], "what was already there is no news");
}

#[test]
fn a_gap_that_is_longer_than_the_cluster_keeps_events_is_told_as_blind() {
    let mut world = operated();
    list(&mut world, &[(web(), vec![])]);
    world.run_until(60);
    part(&mut world, &[crash(1, 59)]);
    quiet_until(&mut world, 120);
    world.now = at(3 * 3600);
    list(&mut world, &[]);
    world.run_until(3 * 3600 + 70);
    let blind = world.log.iter().flat_map(|request| &request.notices).find_map(|notice| match &notice.body {
        NoticeBody::Info(Info::Blind { from, until, .. }) => Some((*from, *until)),
        _ => None,
    });
    assert_eq!(blind, Some((at(120), at(3 * 3600))));
}

#[test]
fn after_a_kill_what_happened_meanwhile_is_told_and_nothing_twice_even_under_another_service() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 120);
    world.kill();
    world.now = at(400);
    world.start();
    // The pod is gone: its events are attributed by its name now, not by its label.
    let by_name = Target::new("prod", "cls-1", "shop", "web-by-name");
    list(&mut world, &[(by_name.clone(), vec![crash(4, 59)])]);
    quiet_until(&mut world, 700);
    assert_eq!(world.told(), ["75s team opened #1"]);
    list(&mut world, &[(by_name, vec![crash(6, 690)])]);
    quiet_until(&mut world, 7200);
    assert_eq!(world.told().len(), 2, "{:?}", world.told());
    assert_eq!(story(&world).occurrences, 6);
}

#[test]
fn after_a_kill_a_service_that_was_never_seen_was_not_unwatched_since_the_last_list() {
    let mut world = operated();
    list(&mut world, &[]);
    quiet_until(&mut world, 3 * 3600);
    world.kill();
    world.now = at(3 * 3600 + 60);
    world.start();
    list(&mut world, &[(web(), vec![warning(POD, "FailedMount", "m", 2, 3 * 3600 + 10, 3 * 3600 + 40)])]);
    world.run_until(3 * 3600 + 200);
    let told = world.told();
    assert_eq!(told, ["0s team info", "10875s team opened #1"], "no blind time");
}

#[test]
fn a_kill_while_the_watch_is_cut_does_not_make_the_outage_a_watched_time() {
    let mut world = World::builtin();
    list(&mut world, &[(web(), vec![])]);
    quiet_until(&mut world, 120);
    cut(&mut world, &everything(), "connect");
    world.run_until(3000);
    world.kill();
    world.start();
    // It began while nobody watched.
    list(&mut world, &[(web(), vec![warning(POD, "FailedMount", "m", 7, 1000, 2900)])]);
    world.run_until(3100);
    // The trouble took the first number.
    assert_eq!(world.told(), ["3015s team opened #2"]);
    assert_eq!(story(&world).occurrences, 7, "all of it is new");
}

#[test]
fn a_service_of_which_nothing_is_left_is_forgotten_and_what_is_open_stays() {
    let mut world = World::with_rules(
        "version: 1\ndefaults: {notify: [team], resolve_after: 4d}\nrules: [{name: long, match: {objName: \"keep-*\"}}]\n",
    );
    let keep = Target::new("prod", "cls-1", "shop", "keep");
    list(&mut world, &[]);
    world.run_until(60);
    let open = warning("keep-0", "FailedMount", "m", 1, 30, 59);
    let both = seen(&world, false, &[(web(), vec![crash(1, 59)]), (keep.clone(), vec![open.clone()])]);
    world.say(both);
    gone(&mut world, &crash(1, 59));
    let lists = vec![PartialObservation { target: keep.clone(), events: Vec::new(), gone: vec![open] }];
    world.say(SourceEvent::PartialObservation { at: world.now, whole: false, lists, receipt: Receipt::free() });
    for hour in 1..60 {
        world.run_until(hour * 3600);
        watched(&mut world, &everything());
    }
    let left: Vec<Target> = world.engine().state().unwrap().targets().map(|(target, _)| target.clone()).collect();
    assert_eq!(left, [keep]);
    assert_eq!(world.engine().state().unwrap().episodes(), 0, "memory is bounded by what lives");
    assert_eq!(world.told(), ["75s team opened #1"], "its age is no end");
}

#[test]
fn a_part_of_what_a_cut_watch_missed_ends_nothing_that_the_next_part_keeps_open() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 600);
    // Cut for half an hour; then all of it comes, in two parts.
    world.run_until(2400);
    part(&mut world, &[warning("web-6d4cf56db6-other", "BackOff", "b", 1, 700, 700)]);
    assert_eq!(world.told().len(), 1, "{:?}", world.told());
    part(&mut world, &[crash(900, 2390)]);
    watched(&mut world, &everything());
    world.run_until(2500);
    assert!(world.told().iter().all(|told| !told.contains("resolved")), "{:?}", world.told());
}

#[test]
fn what_was_said_before_a_loss_is_no_word_that_nothing_was_missed() {
    let counter = podbell::sources::receipt::Counter::default();
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 600);
    let (lost, after) = (counter.mark(), counter.mark());
    lost.lost();
    world.run_until(2400);
    world.say(SourceEvent::WatchProgress { covers: everything(), at: world.now, receipt: after });
    assert_eq!(world.told().len(), 1, "{:?}", world.told());
    world.say(SourceEvent::WatchProgress { covers: everything(), at: world.now, receipt: counter.mark() });
    assert_eq!(world.told().len(), 2, "{:?}", world.told());
}

#[test]
fn a_time_in_which_nobody_looked_is_no_silence_though_the_first_list_shows_nothing_of_a_service() {
    let mut world = World::builtin();
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    quiet_until(&mut world, 120);
    world.kill();
    world.now = at(3 * 3600);
    world.start();
    list(&mut world, &[]);
    world.run_until(3 * 3600 + 30);
    let told = |world: &World| world.told().into_iter().filter(|one| one.ends_with("#1")).collect::<Vec<_>>();
    assert_eq!(told(&world), ["75s team opened #1"], "nobody knows whether it is over");
    quiet_until(&mut world, 5 * 3600);
    assert_eq!(told(&world).len(), 2, "{:?}", world.told());
    let resolved = told(&world)[1].clone();
    assert!(resolved.ends_with("s team resolved #1"), "{resolved}");
}

#[test]
fn what_podbell_yaml_no_longer_watches_is_closed_at_the_next_start_with_the_trouble_of_its_watch() {
    let of = |namespace: &str| WatchCoverage { source: "prod".into(), namespace: Some(namespace.into()) };
    let spec = WorldSpec { extent: Extent::Covered(vec![of("shop"), of("bank")]), ..operated_spec() };
    let mut world = World::new(spec);
    list(&mut world, &[]);
    world.run_until(60);
    part(&mut world, &[crash(4, 59)]);
    cut(&mut world, &of("bank"), "http-403");
    world.run_until(1200);
    let told = world.told();
    assert!(told.contains(&"75s team opened #1".to_owned()), "{told:?}");
    assert!(told.contains(&"360s team opened #2".to_owned()), "{told:?}");
    world.kill();
    world.respec(|spec| spec.extent = Extent::Covered(vec![of("other")]));
    world.start();
    world.run_until(1260);
    let new: Vec<String> = world.told().split_off(told.len());
    assert_eq!(new.len(), 2, "{new:?}");
    assert!(new.iter().any(|one| one.ends_with("team closed #1")), "{new:?}");
    assert!(new.iter().any(|one| one.ends_with("team resolved #2")), "{new:?}");
}

#[test]
fn services_that_were_found_are_closed_at_once_where_only_named_ones_are_left() {
    let mut world = World::builtin();
    world.discover(&[web()], true);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[crash(4, 59)]);
    world.run_until(120);
    world.kill();
    world.respec(|spec| spec.extent = Extent::Named);
    world.start();
    world.watch(&[Target::new("prod", "cls-1", "shop", "cart")]);
    world.run_until(180);
    assert_eq!(world.told(), ["75s team opened #1", "120s team closed #1"]);
}
