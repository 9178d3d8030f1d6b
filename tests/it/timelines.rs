//! How much was new in each quarter of an hour: counted with the changes, kept a day, gone with the service.

use podbell_core::event::{Event, Level, Target};
use podbell_core::time::Time;
use podbell_core::timeline::{Bar, Timeline};
use podbell_store::ServiceQueries as _;
use podbell_store::sqlite::Reader;
use rusqlite::Connection;

use crate::support::events::{at, warning};
use crate::support::world::{World, web};

fn timeline(world: &mut World, target: &Target, now: Time) -> Timeline {
    world.engine();
    let mut reader = Reader::open(&world.store_path()).unwrap();
    let snapshot = reader.snapshot().unwrap();
    snapshot.timelines(&[target], now).unwrap().remove(0)
}

/// Two polls an hour apart: 3 Warnings that were there before, 4 new ones and 2 of something else; then 5 more.
fn lived() -> World {
    let mut world = World::builtin();
    let normal = |count, last| Event { level: Level::Normal, ..warning("web-2", "Pulled", "ok", count, 100, last) };
    world.poll(&web(), &[warning("web-0", "Old", "was there", 3, -9_000, -8_000)]);
    world.run_until(120);
    world.poll(&web(), &[warning("web-1", "BackOff", "x", 4, 90, 110), normal(2, 110)]);
    world.run_until(3_720);
    world.poll(&web(), &[warning("web-1", "BackOff", "x", 9, 90, 3_700), normal(2, 110)]);
    world
}

#[test]
fn what_is_new_is_counted_where_it_happened_and_what_was_there_before_is_not() {
    let mut world = lived();
    let line = timeline(&mut world, &web(), at(3_725));
    assert_eq!((line.bars.len(), line.warnings()), (96, 9));
    assert_eq!(
        line.bars[91..],
        [
            Bar { warnings: 4, others: 2 },
            Bar::default(),
            Bar::default(),
            Bar::default(),
            Bar { warnings: 5, others: 0 },
        ]
    );
    let other = Target::new("prod", "cls-1", "shop", "api");
    assert_eq!(timeline(&mut world, &other, at(3_725)).peak(), 0);
    // A day later nothing of it is in the picture, and an hour after that nothing is kept.
    assert_eq!(timeline(&mut world, &web(), at(90_000 + 3_720)).peak(), 0);
    world.run_until(100_000);
    let store = Connection::open(world.store_path()).unwrap();
    assert_eq!(store.query_row("SELECT count(*) FROM tally", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

#[test]
fn a_service_that_is_gone_leaves_no_timeline_to_another_that_gets_its_number() {
    let mut world = lived();
    world.discover(&[web()], true);
    for _ in 0..3 {
        world.discover(&[], true);
    }
    let store = Connection::open(world.store_path()).unwrap();
    let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM target"), 0);
    assert_eq!(count("SELECT count(*) FROM tally"), 0);
}
