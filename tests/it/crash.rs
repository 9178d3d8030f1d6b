//! Kill -9 at every step, and what must hold all the same: what was committed arrives, what was not
//! committed is never told, only what was in flight is repeated, word for word, and a start tells
//! nothing again.
//!
//! `PODBELL_CRASH_ROUNDS` sets the number of rounds, `PODBELL_CRASH_SEED` plays one sequence again;
//! see docs/development.md.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use rustix::process::Signal;
use tokio::sync::Semaphore;

use crate::support::process::{PATIENCE, Process, eventually, killed, podbell, within};
use crate::support::reckoning::{all_counted, all_read, number, reckon};
use crate::support::site::Site;
use crate::support::turmoil::{Dice, Turmoil};

/// Every `crash_point!` of the program.
const POINTS: [&str; 9] = [
    "poll.received",
    "claim.before",
    "commit.before",
    "commit.after",
    "claim.after",
    "send.before",
    "send.after",
    "record.before",
    "record.after",
];
/// Rounds on one store, one after the other.
const SEQUENCE: u64 = 25;
/// Sequences side by side: they mostly wait.
const ABREAST: usize = 8;

/// How a round ends.
#[derive(Debug)]
enum Death {
    /// By its own hand, at the n-th pass of a point.
    At(&'static str, u64),
    /// After so long.
    After(Duration),
}

fn death(dice: &mut Dice) -> Death {
    match dice.below(10) {
        0..6 => Death::At(POINTS[usize::try_from(dice.below(9)).unwrap()], 1 + dice.below(6)),
        6..9 => Death::After(Duration::from_millis(dice.below(400))),
        // Long enough for something to become quiet.
        _ => Death::After(Duration::from_millis(1200 + dice.below(1200))),
    }
}

/// What is known of a store between two lives of podbell.
#[derive(Default)]
struct Snapshot {
    newest_send: u64,
    open: BTreeSet<u64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(debug_assertions), ignore = "crash points are in debug builds only")]
async fn a26_killed_at_any_moment_everything_committed_is_told_and_nothing_twice_but_what_was_in_flight() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let rounds = number("PODBELL_CRASH_ROUNDS").unwrap_or(200);
    let seeds: Vec<u64> = match number("PODBELL_CRASH_SEED") {
        Some(seed) => vec![seed],
        None => (1..=rounds.div_ceil(SEQUENCE)).collect(),
    };
    let places = Arc::new(Semaphore::new(ABREAST));
    let mut running = tokio::task::JoinSet::new();
    for seed in seeds {
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            // A failure names its seed.
            let sequence = tokio::spawn(sequence(seed));
            sequence.await.map_err(|error| format!("PODBELL_CRASH_SEED={seed}: {error}"))
        });
    }
    let mut reached = BTreeMap::new();
    let mut failures = Vec::new();
    while let Some(ended) = running.join_next().await {
        match ended.unwrap() {
            Ok(points) => points.into_iter().for_each(|(point, times)| *reached.entry(point).or_insert(0) += times),
            Err(failure) => failures.push(failure),
        }
    }
    println!("{rounds} rounds; deaths by point: {reached:?}");
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Lives and deaths on one store, then a life until everything is settled, then the reckoning.
async fn sequence(seed: u64) -> BTreeMap<&'static str, u64> {
    let turmoil = Turmoil::start(seed, Duration::from_millis(300 * SEQUENCE)).await;
    let mut dice = Dice(!seed);
    let mut before = Snapshot::default();
    let mut open_at_deaths: BTreeMap<u64, usize> = BTreeMap::new();
    let mut reached = BTreeMap::new();
    for round in 0..SEQUENCE {
        let death = death(&mut dice);
        let seen = turmoil.receiver.received().len();
        if live(&turmoil.site, &death).await {
            let Death::At(point, _) = death else { unreachable!("nobody else killed it") };
            *reached.entry(point).or_insert(0) += 1;
        }
        let new = &turmoil.receiver.received()[seen..];
        let after = snapshot(&turmoil.site);
        for request in new {
            let send = number(request);
            let in_flight = send > before.newest_send || before.open.contains(&send);
            assert!(in_flight, "round {round} ({death:?}): send {send} was settled and came again");
        }
        for send in &after.open {
            *open_at_deaths.entry(*send).or_default() += 1;
        }
        before = after;
    }
    settle(&turmoil).await;
    let repeats = |send| 1 + open_at_deaths.get(&send).copied().unwrap_or_default();
    reckon(&turmoil, &turmoil.site, repeats);
    all_counted(&turmoil, &turmoil.site);
    reached
}

/// One life. Says whether it was the crash point that ended it.
async fn live(site: &Site, death: &Death) -> bool {
    let mut command = podbell(site.folder(), &["run", "--log-level", "warn"]);
    let patience = match death {
        Death::At(point, nth) => {
            command.env("PODBELL_CRASH", format!("{point}#{nth}"));
            Duration::from_millis(700)
        }
        Death::After(time) => *time,
    };
    let mut process = Process::start(command);
    let ended = within(patience, || process.ended()).await;
    let by_itself = ended.is_some();
    if !by_itself {
        process.signal(Signal::KILL);
    }
    let status = process.end(PATIENCE).await;
    assert!(killed(status), "{death:?}: {status}\n{}", process.stderr());
    by_itself
}

/// Runs undisturbed until the cluster is calm and nothing waits, as often as that takes.
async fn settle(turmoil: &Turmoil) {
    let calm = turmoil.calm_at.plus(Duration::from_millis(2500));
    for _ in 0..5 {
        let mut running = turmoil.site.run().await;
        let quiet =
            || (clock::now() > calm && all_read(turmoil, &turmoil.site) && waiting(&turmoil.site) == 0).then_some(());
        eventually(Duration::from_secs(60), "everything is delivered", quiet).await;
        assert!(running.process.stop().await.success(), "{}", running.process.stderr());
        if waiting(&turmoil.site) == 0 {
            return;
        }
    }
    panic!("it never ends: {:?}", turmoil.site.rows("SELECT * FROM delivery WHERE state != 'sent'"));
}

fn waiting(site: &Site) -> usize {
    site.rows("SELECT 1 FROM delivery WHERE state IN ('due', 'claimed')").len()
        + site.rows("SELECT 1 FROM send WHERE settled IS NULL").len()
}

/// Whether the tables of a store were committed, after a kill.
fn has_tables(site: &Site) -> bool {
    let count = "SELECT count(*) FROM sqlite_schema WHERE name = 'send'";
    match site.store().query_row(count, [], |row| row.get::<_, i64>(0)) {
        Ok(tables) => tables > 0,
        // Killed while they were made: the next start rolls that back, and a reader may not.
        Err(error) => {
            let code = error.sqlite_error().map(|error| error.extended_code);
            assert_eq!(code, Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK), "{error}");
            false
        }
    }
}

/// The sends of a store whose owner is dead; none if it died before there was a table.
fn snapshot(site: &Site) -> Snapshot {
    let exists = site.path("podbell.db").exists() && has_tables(site);
    if !exists {
        return Snapshot::default();
    }
    let numbers = |sql| site.rows(sql).into_iter().map(|row| row.parse().unwrap());
    Snapshot {
        newest_send: numbers("SELECT coalesce(max(id), 0) FROM send").next().unwrap(),
        open: numbers("SELECT id FROM send WHERE settled IS NULL").collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(debug_assertions), ignore = "crash points are in debug builds only")]
async fn every_crash_point_is_really_reached_and_the_process_dies_there() {
    let turmoil = Turmoil::start(0, Duration::from_secs(60)).await;
    for point in POINTS {
        let mut command = podbell(turmoil.site.folder(), &["run"]);
        command.env("PODBELL_CRASH", format!("{point}#1"));
        let mut process = Process::start(command);
        assert!(killed(process.end(PATIENCE).await), "{point}: {}", process.stderr());
    }
}

#[test]
fn every_crash_point_of_the_program_is_in_the_list() {
    let mut found = BTreeSet::new();
    for (_, text) in crate::support::sources() {
        for part in text.split("crash_point!(\"").skip(1) {
            found.insert(part.split('"').next().unwrap().to_owned());
        }
    }
    assert_eq!(found, POINTS.map(str::to_owned).into());
}
