//! Occurrences stand where their dates say; what cannot be read of a date, what is shown twice, and what fell out of
//! a bounded memory counts as what it is.

use podbell_core::diff::{REMEMBER_PER_TARGET, TargetReadings};
use podbell_core::event::Event;
use podbell_core::message::{Style, compose};
use podbell_core::notice::{NoticeBody, Story};
use podbell_core::series::Identities;
use podbell_core::time::Time;
use podbell_core::translations::Language;

use crate::support::events::{at, warning};
use crate::support::world::{World, WorldSpec, web};

const POD: &str = "web-6d4cf56db6-x2x7v";

fn started(open_when: &str) -> World {
    let rules = format!(
        "version: 1\nrules:\n  - {{name: r, match: {{reason: '*'}}, notify: [team], group_wait: 0s{open_when}}}\n"
    );
    let mut world = World::with_rules(&rules);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world
}

fn story(world: &World, place: usize) -> Story {
    match &world.log[place].notices[0].body {
        NoticeBody::Incident(story) => (**story).clone(),
        other => panic!("not about an incident: {other:?}"),
    }
}

fn text(world: &World) -> String {
    let notice = world.last_notice();
    let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: notice.made_at };
    compose(notice, &style).text()
}

#[test]
fn a_warning_whose_dates_cannot_be_read_is_told_once_and_dated_by_the_poll_that_first_showed_it() {
    for (first, last) in [(true, true), (true, false), (false, true)] {
        let mut world = started("");
        let event = |count, seen| {
            let event = warning(POD, "Odd", "m", count, 50, seen);
            Event {
                first_seen: if first { Time::UNKNOWN } else { event.first_seen },
                last_seen: if last { Time::UNKNOWN } else { event.last_seen },
                ..event
            }
        };
        for minute in 1..5 {
            world.run_until(minute * 60);
            world.poll(&web(), &[event(1, 55)]);
        }
        assert_eq!(world.told(), ["60s team opened #1"], "{first} {last}");
        let told = story(&world, 0);
        assert!((at(50)..=at(60)).contains(&told.first_seen), "{:?}", told.first_seen);
        // A count that grows is still an increase.
        world.run_until(600);
        world.poll(&web(), &[event(7, 590)]);
        world.poll_until(&web(), &[event(7, 590)], 3600);
        assert_eq!(world.told(), ["60s team opened #1", "1500s team resolved #1"], "{first} {last}");
        assert_eq!(story(&world, 1).occurrences, 7, "{first} {last}");
    }
}

#[test]
fn an_undated_warning_of_the_first_contact_counts_as_new() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    let event = warning(POD, "Odd", "m", 4, 0, 0);
    world.poll(&web(), &[Event { first_seen: Time::UNKNOWN, last_seen: Time::UNKNOWN, ..event }]);
    world.run_until(60);
    assert_eq!(world.told(), ["15s team opened #1"]);
}

#[test]
fn what_began_after_podbell_and_was_held_back_by_its_reporter_counts_in_full() {
    let mut world = started(", open_when: {count: 3, within: 20m}");
    // Twelve minutes of good polls without it; then the spam filter lets one write through.
    world.poll_until(&web(), &[], 720);
    world.run_until(760);
    world.poll(&web(), &[warning(POD, "BackOff", "Back-off restarting failed container", 12, 100, 750)]);
    assert_eq!(world.told(), ["760s team opened #1"]);
    assert_eq!((story(&world, 0).occurrences, story(&world, 0).in_all), (12, 12));
}

#[test]
fn what_began_before_podbell_counts_once() {
    let mut world = started("");
    world.poll_until(&web(), &[], 720);
    world.run_until(760);
    world.poll(&web(), &[warning(POD, "BackOff", "Back-off restarting failed container", 12, -5000, 750)]);
    assert_eq!((story(&world, 0).occurrences, story(&world, 0).in_all), (1, 12));
}

#[test]
fn an_old_entry_that_fell_out_of_the_bounded_memory_is_no_news_when_it_is_shown_again() {
    let old: Vec<_> = (0..REMEMBER_PER_TARGET + 100)
        .map(|n| warning(&format!("web-6d4cf56db6-{n:05}"), "Odd", "m", 5, -9000, -4000 + n as i64))
        .collect();
    let fresh = warning(POD, "Odd", "n", 2, 200, 235);
    for whole in [true, false] {
        let mut identities = Identities::new(7);
        let mut readings = TargetReadings::default();
        let window = podbell_core::diff::FIRST_POLL_WINDOW;
        readings.observe(&old, &mut identities, window, at(60));
        readings.read_since = Some(at(60));
        if whole {
            readings.observe(&old[..1], &mut identities, window, at(120));
        } else {
            readings.observe_part(&[], &old[1..], &mut identities, at(120));
        }
        assert!(readings.len() < old.len(), "some were forgotten");
        let mut again = old.clone();
        again.push(fresh.clone());
        let diff = match whole {
            true => readings.observe(&again, &mut identities, window, at(240)),
            false => readings.observe_part(&again, &[], &mut identities, at(240)),
        };
        let changed: Vec<_> = diff.changes.iter().map(|change| &*change.event.obj_name).collect();
        assert_eq!(changed, [POD]);
        assert!(diff.baseline.len() >= 99, "{} are known again", diff.baseline.len());
    }
}

#[test]
fn late_news_says_when_the_cluster_saw_it_last() {
    let mut world = started("");
    world.poll_until(&web(), &[warning("db-0", "Other", "m", 1, 30, 30)], 1800);
    world.run_until(1830);
    // Last seen 25 minutes before a list shows it; another event is of now.
    let list = [warning("db-0", "Other", "m", 2, 30, 1825), warning(POD, "Odd", "m", 1, 330, 330)];
    world.poll(&web(), &list);
    let said = text(&world);
    assert!(said.contains("last 03:09"), "{said}");
    assert!(said.contains("Since: 03:09"), "{said}");
}

#[test]
fn a_clock_that_is_minutes_behind_opens_what_happens_now() {
    let mut world = started(", open_when: {count: 3, within: 5m}");
    // All dates are 20 minutes early, as those of a cluster whose clock is.
    for minute in 1..=6 {
        world.run_until(minute * 60);
        world.poll(&web(), &[warning(POD, "Odd", "m", minute as u64, -1200, minute * 60 - 1205)]);
    }
    assert_eq!(world.told().len(), 1, "{:?}", world.told());
    assert_eq!(world.told()[0].split(' ').nth(2), Some("opened"));
}

#[test]
fn single_occurrences_stand_at_their_own_times() {
    // Three in 53 seconds are not three in 20, though two polls show them.
    let mut world = started(", open_when: {count: 3, within: 20s}");
    for (poll, count, last) in [(60, 2, 33), (120, 3, 61)] {
        world.run_until(poll);
        world.poll(&web(), &[warning(POD, "Odd", "m", count, 8, last)]);
    }
    assert_eq!(world.told(), [""; 0]);
    // One each 290 seconds is three in ten minutes, wherever the polls lie.
    for phase in (0..60).step_by(5) {
        let mut world = started(", open_when: {count: 3, within: 10m}");
        let mut opened = None;
        for poll in (60..1200).step_by(60) {
            world.run_until(poll);
            let occurred = (0..).map(|n| 61 + phase + n * 290).take_while(|at| *at <= poll).collect::<Vec<i64>>();
            let list = occurred.last().map(|last| warning(POD, "Odd", "m", occurred.len() as u64, 61 + phase, *last));
            world.poll(&web(), list.as_slice());
            if !world.told().is_empty() {
                opened = opened.or(Some(poll));
            }
        }
        let third = 61 + phase + 580;
        assert!(opened.is_some_and(|opened| opened < third + 60), "{phase}: {opened:?}");
    }
}

#[test]
fn a_row_that_is_shown_twice_has_counted_nothing() {
    let row = |count, last| warning(POD, "BackOff", "Back-off restarting failed container", count, 50, last);
    let mut world = started(", escalate: {counts: [100]}");
    let mut show = |second: i64, rows: &[Event<'static>]| {
        world.run_until(second);
        world.poll(&web(), rows);
    };
    show(60, &[row(60, 55)]);
    show(300, &[row(60, 55), row(60, 55)]);
    show(360, &[row(60, 55)]);
    // Also while it moves.
    show(420, &[row(61, 415), row(61, 415)]);
    show(480, &[row(61, 415)]);
    assert_eq!(world.told(), ["60s team opened #1"]);
    assert_eq!(world.engine().state().unwrap().incident(1).unwrap().occurrences, 61);
    // After a restart nobody knows how many rows there were.
    world.kill();
    world.start();
    world.watch(&[web()]);
    world.run_until(540);
    world.poll(&web(), &[row(61, 415), row(61, 415)]);
    assert_eq!(world.engine().state().unwrap().incident(1).unwrap().occurrences, 61);
}

#[test]
fn two_containers_with_equal_rows_count_together_when_both_move() {
    let row = |count, last| warning(POD, "BackOff", "Back-off restarting failed container", count, 50, last);
    let mut world = started("");
    world.run_until(60);
    world.poll(&web(), &[row(2, 55), row(2, 55)]);
    world.run_until(120);
    world.poll(&web(), &[row(3, 110), row(3, 110)]);
    assert_eq!(world.engine().state().unwrap().incident(1).unwrap().occurrences, 6);
}

#[test]
fn entries_that_say_nothing_are_trouble_of_their_source_told_once() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let unusable =
        |world: &World, entries| podbell::sources::SourceEvent::Unusable { target: web(), at: world.now, entries };
    let said = unusable(&world, 3);
    world.say(said);
    world.poll_until(&web(), &[], 3600);
    let said = unusable(&world, 0);
    world.say(said);
    let lines = world.told();
    let troubles: Vec<_> = lines.iter().filter(|line| !line.contains("info")).collect();
    assert_eq!(troubles, ["60s team opened #1", "3600s team resolved #1"]);
    let NoticeBody::Trouble(trouble) = &world.last_notice().body else { panic!("not a trouble") };
    assert_eq!((trouble.code.as_str(), trouble.affected.len()), ("unusable-entries", 0));
}

#[test]
fn a_first_date_that_can_be_read_in_some_polls_only_makes_no_second_episode() {
    for undated_first in [true, false] {
        let mut world = started(", open_when: {count: 3, within: 20m}");
        for minute in 1..12_i64 {
            world.run_until(minute * 60);
            let event = warning(POD, "Odd", "m", 1, 50, 55);
            let undated = (minute % 2 == 0) == undated_first;
            let first_seen = if undated { Time::UNKNOWN } else { event.first_seen };
            world.poll(&web(), &[Event { first_seen, ..event }]);
        }
        assert_eq!(world.told(), [""; 0], "one occurrence, undated first: {undated_first}");
    }
}
