//! The store: durable settings, one owner, clear errors that destroy nothing, and a mirror that
//! equals it after every failure.

use std::fs;
use std::path::Path;
use std::time::Duration;

use podbell::engine::{EngineEvent, SendJob};
use podbell::sources::receipt::Counter;
use podbell::sources::{Receipt, SourceEvent};
use podbell_core::outbox::Outcome;
use podbell_core::source::{PartialObservation, TargetEntry, WatchCoverage};
use podbell_core::time::Time;
use podbell_store::sqlite::{Ownership, SqliteError, Store};
use podbell_store::{StoreError, Writer as _};

use crate::support::events::{at, warning};
use crate::support::world::{World, WorldSpec, web};

#[test]
fn every_commit_survives_loss_of_power_wal_and_synchronous_full() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("podbell.db")).unwrap();
    assert_eq!(store.pragma("journal_mode").unwrap(), "wal");
    assert_eq!(store.pragma("synchronous").unwrap(), "2", "2 is FULL");
    assert_eq!(store.pragma("auto_vacuum").unwrap(), "2", "2 is INCREMENTAL");
}

#[test]
fn a_store_has_one_owner_and_a_second_one_waits_then_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("podbell.db");
    let owner = Ownership::take(&path).unwrap();
    let error = Ownership::wait(&path, Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, SqliteError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another podbell"), "{error}");
    drop(owner);
    Ownership::wait(&path, Duration::from_secs(20)).unwrap();
}

/// What opening says, and that the file is what it was.
fn refused(path: &Path) -> SqliteError {
    let before = fs::read(path).ok();
    let error = Store::open(path).unwrap_err();
    assert_eq!(fs::read(path).ok(), before, "nothing is destroyed");
    error
}

fn sqlite(path: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn a35_what_cannot_be_a_store_is_refused_with_a_clear_error_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    fs::write(
        path("text.db"),
        "this is no database, it is a text that somebody left here, and it is long enough\n".repeat(20),
    )
    .unwrap();
    assert!(matches!(refused(&path("text.db")), SqliteError::Corrupt { .. }));

    sqlite(&path("foreign.db"), "CREATE TABLE somebody_elses (x)");
    let error = refused(&path("foreign.db"));
    assert!(error.to_string().contains("other tables"), "{error}");

    drop(Store::open(&path("newer.db")).unwrap());
    sqlite(&path("newer.db"), "PRAGMA user_version = 99");
    let error = refused(&path("newer.db"));
    assert!(matches!(error, SqliteError::Newer { found: 99, .. }), "{error}");

    drop(Store::open(&path("half.db")).unwrap());
    let whole = fs::read(path("half.db")).unwrap();
    fs::write(path("half.db"), &whole[..whole.len() / 2]).unwrap();
    let error = refused(&path("half.db"));
    assert!(error.to_string().contains("bytes and should have"), "{error}");

    fs::create_dir(path("folder.db")).unwrap();
    for refused in [Store::open(&path("folder.db")).map(drop), Ownership::take(&path("folder.db")).map(drop)] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("it is a directory: name a file in it"), "{error}");
    }
    let nowhere = path("no/such/folder/podbell.db");
    for refused in [Store::open(&nowhere).map(drop), Ownership::take(&nowhere).map(drop)] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("no/such/folder: make it, or correct `store:`"), "{error}");
    }
}

#[test]
fn a35_a_missing_wal_loses_what_was_in_it_and_nothing_else() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.kill();
    let wal = format!("{}-wal", world.store_path().display());
    assert!(!Path::new(&wal).exists() || fs::remove_file(&wal).is_ok());
    world.start();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
}

#[test]
fn after_a_commit_that_failed_memory_equals_the_store_and_nothing_was_told() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let events = vec![warning("web-0", "FailedMount", "m", 120, 30, 59)];
    let polled =
        |now: Time| vec![EngineEvent::Source(SourceEvent::Polled { target: web(), at: now, events: events.clone() })];

    // The store fails wherever a row of this table is written.
    for (n, table) in ["incident", "series", "target"].into_iter().enumerate() {
        let trigger =
            format!("CREATE TRIGGER full_{n} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END");
        sqlite(&world.store_path(), &trigger);
        let now = world.now;
        assert!(world.engine().turn(polled(now), now).is_err());
        assert_eq!(world.engine().state().unwrap().incidents().count(), 0, "{table}");
        assert_eq!(world.engine().state().unwrap().episodes(), 0, "{table}");
        sqlite(&world.store_path(), &format!("DROP TRIGGER full_{n}"));
    }
    world.poll(&web(), &events);
    world.run_until(75);
    // An answer whose record fails is kept and recorded later: told once all the same.
    assert_eq!(world.told(), ["75s team opened #1"]);
}

#[tokio::test]
async fn what_a_watch_brought_and_the_store_did_not_take_is_asked_for_again() {
    let mut world = World::builtin();
    let covers = WatchCoverage { source: "prod".into(), namespace: None };
    world.say(SourceEvent::ListCompleted { covers, at: world.now, shown: vec![], receipt: Receipt::free() });
    let counter = Counter::default();
    let seen = PartialObservation {
        target: web(),
        events: vec![warning("web-0", "Failed", "m", 1, 30, 59)],
        gone: Vec::new(),
    };
    let at = world.now;
    let part = |receipt| SourceEvent::PartialObservation { at, whole: false, lists: vec![seen.clone()], receipt };
    let (first, behind) = (counter.receipt(1).await.unwrap(), counter.receipt(1).await.unwrap());
    let full = "CREATE TRIGGER full BEFORE INSERT ON series BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    sqlite(&world.store_path(), full);
    let now = world.now;
    assert!(world.engine().turn(vec![EngineEvent::Source(part(first))], now).is_err());
    // Ready at once, and only once.
    counter.lost().await;
    sqlite(&world.store_path(), "DROP TRIGGER full");
    world.say(part(behind));
    assert_eq!(world.engine().state().unwrap().episodes(), 0, "what was said behind the gap comes with the list");
    world.say(part(counter.receipt(1).await.unwrap()));
    assert_eq!(world.engine().state().unwrap().episodes(), 1);
    let again = tokio::time::timeout(std::time::Duration::from_millis(50), counter.lost()).await;
    assert!(again.is_err(), "what is stored is not asked for");
}

#[test]
fn a_roster_that_could_not_be_written_is_not_lost() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    sqlite(
        &world.store_path(),
        "CREATE TRIGGER full BEFORE INSERT ON target BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    let target_list = SourceEvent::TargetList {
        source: "prod".into(),
        targets: vec![TargetEntry { target: web(), discovered: false }],
        complete: true,
    };
    let now = world.now;
    assert!(world.engine().turn(vec![EngineEvent::Source(target_list)], now).is_err());
    sqlite(&world.store_path(), "DROP TRIGGER full");
    world.run_until(1);
    for minute in 1..10 {
        world.run_until(minute * 60);
        world.fail(&web(), "4100");
    }
    assert_eq!(world.told(), ["420s team opened #1"]);
}

#[test]
fn an_answer_that_could_not_be_recorded_is_recorded_later_and_nothing_is_sent_twice() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning("web-0", "FailedMount", "m", 1, 30, 59)]);
    world.run_until(74);
    // Claim by hand, so that the answer can be held back.
    let now = at(75);
    world.now = now;
    let jobs = world.engine().turn(Vec::new(), now).unwrap();
    assert_eq!(jobs.len(), 1);
    sqlite(
        &world.store_path(),
        "CREATE TRIGGER full BEFORE UPDATE ON delivery BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    let answer = EngineEvent::Answered(jobs[0].send, podbell_core::outbox::Outcome::Delivered);
    assert!(world.engine().turn(vec![answer], now).is_err());
    assert!(world.engine().turn(Vec::new(), at(76)).is_err());
    sqlite(&world.store_path(), "DROP TRIGGER full");
    assert!(world.engine().turn(Vec::new(), at(77)).unwrap().is_empty());
    world.now = at(77);
    world.run_until(600);
    assert!(world.told().is_empty(), "the only message left by hand: {:?}", world.told());
    let settled: String = rusqlite::Connection::open(world.store_path())
        .unwrap()
        .query_row("SELECT state FROM delivery", [], |row| row.get(0))
        .unwrap();
    assert_eq!(settled, "sent");
}

/// A problem of `web` told to both, claimed at 75 s; with the jobs for `team` and for `group`.
fn told_to_both() -> (World, SendJob, SendJob) {
    let mut world = World::new(WorldSpec {
        rules: vec![
            "version: 1\ndefaults: {notify: [team, group]}\nrules:\n  - {name: all, match: {level: Warning}}\n".into(),
        ],
        destinations: vec![("team", None), ("group", None)],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning("web-0", "FailedMount", "m", 1, 30, 59)]);
    world.run_until(74);
    let mut jobs = world.engine().turn(Vec::new(), at(75)).unwrap();
    jobs.sort_by(|a, b| b.destination.cmp(&a.destination));
    let [team, group] = <[SendJob; 2]>::try_from(jobs).unwrap();
    (world, team, group)
}

fn unclear() -> Outcome {
    Outcome::Unclear { retry_after: None, why: "cut off".into() }
}

#[test]
fn a_body_that_is_missing_is_damage_and_the_answers_of_that_turn_are_recorded_once() {
    let (mut world, team, group) = told_to_both();
    world.engine().turn(vec![EngineEvent::Answered(group.send, unclear())], at(76)).unwrap();
    sqlite(&world.store_path(), &format!("UPDATE send SET body = x'' WHERE id = {}", group.send.0));
    // The repetition is due in the turn in which the other one's answer comes.
    let error = world.engine().turn(vec![EngineEvent::Answered(team.send, Outcome::Delivered)], at(80)).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains(&format!("the body of send {}", group.send.0)), "{error}");
    let count = |sql: &str| -> i64 {
        rusqlite::Connection::open(world.store_path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count("SELECT count(*) FROM send WHERE settled IS NOT NULL"), 0, "nothing of that turn was committed");
    let body: String = group.body.iter().map(|byte| format!("{byte:02x}")).collect();
    sqlite(&world.store_path(), &format!("UPDATE send SET body = x'{body}' WHERE id = {}", group.send.0));
    let again = world.engine().turn(Vec::new(), at(81)).unwrap();
    assert_eq!(again, [group], "the same id and bytes");
    assert_eq!(world.engine().totals().delivered, 1);
}

#[test]
fn a_notice_that_is_missing_is_damage_and_no_empty_request() {
    let (mut world, _, group) = told_to_both();
    let refused = Outcome::Refused { retry_after: Some(Duration::from_secs(60)), why: "later".into() };
    world.engine().turn(vec![EngineEvent::Answered(group.send, refused)], at(76)).unwrap();
    // After a start notices are in the store only.
    world.kill();
    world.now = at(77);
    world.start();
    sqlite(&world.store_path(), "DELETE FROM notice");
    let error = world.engine().turn(Vec::new(), at(200)).unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("notice 1"), "{error}");
}

#[test]
fn what_would_be_an_empty_request_is_not_sent_but_given_up_and_told_elsewhere() {
    let mut world = World::new(WorldSpec {
        rules: vec![
            "version: 1\ndefaults: {notify: [team, void]}\nrules:\n  - {name: all, match: {level: Warning}}\n".into(),
        ],
        destinations: vec![("team", None), ("void", None)],
        operator: vec!["team"],
        ..WorldSpec::default()
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &[warning("web-0", "FailedMount", "m", 1, 30, 59)]);
    world.run_until(300);
    assert!(world.log.iter().all(|request| request.to == "team"), "{:?}", world.told());
    let told = world.told();
    assert!(told.iter().any(|line| line.ends_with("team opened #1")), "{told:?}");
    let dead = world.store().dead_deliveries(Some("void")).unwrap();
    assert!(!dead.is_empty(), "it is given up");
    let sends = rusqlite::Connection::open(world.store_path()).unwrap().query_row(
        "SELECT count(*) FROM send WHERE destination = 'void'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(sends.unwrap(), 0);
    let about_dead = |notice: &podbell_core::notice::Notice| matches!(&notice.body, podbell_core::notice::NoticeBody::Info(podbell_core::notice::Info::Dead { destination, .. }) if destination == "void");
    assert!(world.log.iter().flat_map(|request| &request.notices).any(about_dead), "and told elsewhere: {told:?}");
}

#[test]
fn a_store_without_its_seed_or_its_name_is_damaged_and_never_read_by_another_one() {
    for (key, change) in [
        ("seed", "UPDATE meta SET value = 'no number' WHERE key = 'seed'"),
        ("seed", "DELETE FROM meta WHERE key = 'seed'"),
        ("name", "DELETE FROM meta WHERE key = 'uuid'"),
        ("epochs", "UPDATE meta SET value = 'no list' WHERE key = 'epochs'"),
        ("number", "UPDATE delivery SET send = -1"),
        ("number", "INSERT OR REPLACE INTO meta VALUES ('next_notice', -5)"),
    ] {
        let (mut world, ..) = told_to_both();
        world.kill();
        sqlite(&world.store_path(), change);
        let opened = Store::open(&world.store_path()).map_err(StoreError::from);
        let read = opened.and_then(|mut store| store.load().map(drop));
        assert!(read.is_err_and(|error| error.is_damage()), "{key}: {change}");
    }
}

#[test]
fn after_the_seed_was_lost_what_was_known_is_not_told_as_new() {
    let mut world = World::new(WorldSpec { operator: vec!["team"], ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    let events = [warning("web-0", "FailedMount", "m", 1, 30, 59)];
    world.poll(&web(), &events);
    world.run_until(90);
    let before = world.told().len();
    assert!(world.told()[before - 1].ends_with("team opened #1"), "{:?}", world.told());
    world.kill();
    sqlite(&world.store_path(), "UPDATE meta SET value = 'no number' WHERE key = 'seed'");
    world.start();
    world.watch(&[web()]);
    world.poll_until(&web(), &events, 300);
    let told = world.told().split_off(before);
    assert!(!told.is_empty() && told.iter().all(|line| line.ends_with("info")), "only of the store itself: {told:?}");
}

#[test]
fn old_data_goes_the_file_stays_small_and_numbers_are_never_used_twice() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    // Forty days; each day another job fails. What left the list is remembered for a day.
    for day in 0..40i64 {
        let start = day * 86_400;
        world.run_until(start + 60);
        world.poll(
            &web(),
            &[warning(&format!("job{day}-x2x7v"), "FailedMount", &"m".repeat(2000), 1, start + 30, start + 59)],
        );
        for hour in 1..24 {
            world.run_until(start + hour * 3600);
            world.poll(&web(), &[]);
        }
    }
    let connection = rusqlite::Connection::open(world.store_path()).unwrap();
    let count = |table: &str| {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert!(count("series") <= 3, "{}", count("series"));
    assert!(count("notice") <= 20 && count("delivery") <= 20, "{} {}", count("notice"), count("delivery"));
    assert!(count("incident") <= 31 && count("send") <= 6, "{} {}", count("incident"), count("send"));
    assert!(fs::metadata(world.store_path()).unwrap().len() < 1 << 20);
    let told = world.told();
    assert_eq!(told.len(), 80);
    assert!(told.last().unwrap().ends_with("resolved #40"), "{told:?}");
    // And after everything was deleted a restart goes on counting.
    world.run_until(100 * 86_400);
    world.poll(&web(), &[]);
    world.kill();
    world.start();
    world.poll(&web(), &[warning("late-x2x7v", "FailedMount", "m", 1, 100 * 86_400 - 10, 100 * 86_400)]);
    world.run_until(100 * 86_400 + 20);
    assert!(world.told().last().unwrap().ends_with("opened #41"), "{:?}", world.told().last());
}

#[test]
fn an_unchanged_poll_writes_nothing() {
    let mut world = World::builtin();
    world.watch(&[web()]);
    let events = [warning("web-0", "FailedMount", "m", 1, 30, 59)];
    world.run_until(60);
    world.poll(&web(), &events);
    world.run_until(2000);
    world.poll(&web(), &events);
    world.run_until(2001);
    let before = world.engine().totals().commits;
    let now = world.now;
    for _ in 0..100 {
        let polled = SourceEvent::Polled { target: web(), at: now, events: events.to_vec() };
        world.engine().turn(vec![EngineEvent::Source(polled)], now).unwrap();
    }
    assert_eq!(world.engine().totals().commits, before);
}
