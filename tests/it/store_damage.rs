//! Damage of every kind to a store that podbell left behind without a goodbye: each round ends in correct work, or the
//! operator is told what became of the store, or podbell ends with a clear error; and whatever was there is there still.
//!
//! `PODBELL_DAMAGE_ROUNDS` sets the number of rounds, `PODBELL_DAMAGE_SEED` plays one again; see docs/development.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use podbell::engine::EngineEvent;
use podbell::sources::SourceEvent;
use podbell_core::event::Event;
use podbell_core::notice::StoreFate;
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;
use podbell_store::sqlite::{check_all_pages, mark_damaged};
use podbell_store::{ErrorKind, StoreError};

use crate::store_files::{beside, fates, spec};
use crate::support::events::warning;
use crate::support::turmoil::Dice;
use crate::support::world::{World, web};

/// What a store consists of.
const FILES: [&str; 3] = ["", "-wal", ".stamp"];
const PAGE: usize = 4096;
/// A page of the log has a header of its own.
const FRAME: usize = PAGE + 24;

/// A store as `kill -9` leaves it: half of it in the file, half in its log; some told, some waiting.
struct Left {
    files: BTreeMap<&'static str, Vec<u8>>,
    now: Time,
    /// What `team` has not heard yet.
    waiting: BTreeSet<String>,
    events: Vec<Event<'static>>,
}

fn failing(pod: i64, at: i64) -> Event<'static> {
    warning(&format!("job{pod}-x2x7v"), "FailedMount", &format!("volume {pod}: timed out"), 1, at - 5, at - 5)
}

fn left() -> Left {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let mut events = Vec::new();
    for pod in 0..60 {
        let at = 60 + pod * 20;
        world.run_until(at);
        events.push(failing(pod, at));
        if pod == 30 {
            let store = rusqlite::Connection::open(world.store_path()).unwrap();
            store.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            // From here on nothing arrives.
            let refused = Outcome::Refused { retry_after: None, why: "busy".to_owned() };
            world.receiver("team", move |_, _| (refused.clone(), Duration::ZERO));
        }
        world.poll(&web(), &events);
    }
    world.run_until(60 + 60 * 20);
    let files = FILES.map(|suffix| (suffix, fs::read(beside(&world.store_path(), suffix)).unwrap())).into();
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    let sql = "SELECT facts FROM notice JOIN delivery d ON d.notice = notice.id
               WHERE d.destination = 'team' AND d.state IN ('due', 'claimed')";
    let mut waiting = store.prepare(sql).unwrap();
    let waiting = waiting.query_map([], |row| row.get::<_, String>(0)).unwrap().map(|facts| plain(&facts.unwrap()));
    Left { now: world.now, waiting: waiting.collect(), files, events }
}

/// The facts of a notice, whatever the order of their keys.
fn plain(facts: &str) -> String {
    serde_json::from_str::<serde_json::Value>(facts).unwrap().to_string()
}

/// What is done to a store.
fn damage(dice: &mut Dice, files: &mut BTreeMap<&'static str, Vec<u8>>) -> String {
    let suffix = match dice.below(10) {
        0..5 => "",
        5..9 => "-wal",
        _ => ".stamp",
    };
    let length = files[suffix].len();
    let at = |dice: &mut Dice, most: usize| usize::try_from(dice.below(most.max(1) as u64)).unwrap();
    let bytes = files.get_mut(suffix).unwrap();
    match dice.below(12) {
        0..4 => {
            let place = at(dice, length);
            bytes[place] ^= 1 << dice.below(8);
            format!("flip {place} of podbell.db{suffix}")
        }
        4..6 => {
            let place = at(dice, length);
            bytes.truncate(place);
            format!("truncate podbell.db{suffix} to {place}")
        }
        6..8 => {
            let (place, long) = (at(dice, length), [16, 512, PAGE][at(dice, 3)]);
            let end = (place + long).min(length);
            bytes[place..end].fill(0);
            format!("zero {place}..{end} of podbell.db{suffix}")
        }
        8..11 => {
            let (head, size) = if suffix == "-wal" { (32, FRAME) } else { (0, PAGE) };
            let pages = (length.saturating_sub(head) / size).max(1);
            let (one, other) = (at(dice, pages), at(dice, pages));
            let (one, other) = (one.min(other), one.max(other));
            if one < other {
                let (first, second) = bytes.split_at_mut(head + other * size);
                first[head + one * size..head + (one + 1) * size].swap_with_slice(&mut second[..size]);
            }
            format!("swap pages {one} and {other} of podbell.db{suffix}")
        }
        _ => {
            files.remove(suffix);
            format!("delete podbell.db{suffix}")
        }
    }
}

/// How a round ended.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Correct,
    Reported(&'static str),
    Refused(&'static str),
}

/// Starts podbell as a supervisor does, until it runs for half an hour or ends for good.
fn live(world: &mut World, left: &Left, opened: &mut bool) -> Result<(), StoreError> {
    for _ in 0..3 {
        world.try_start()?;
        // What was damaged beyond use is kept aside by now; what is read from here on is also written.
        *opened |= kept(&world.store_path()).is_empty();
        match go_on(world, left) {
            Err(error) if error.is_final() => {
                world.kill();
                mark_damaged(&world.store_path(), error.why());
            }
            other => return other,
        }
    }
    panic!("it is damaged at every start");
}

fn go_on(world: &mut World, left: &Left) -> Result<(), StoreError> {
    world.try_turn(Vec::new())?;
    check_all_pages(&world.store_path())?;
    let mut events = left.events.clone();
    for minute in 0..30 {
        if minute == 5 {
            events.push(failing(99, world.now.millis() / 1000 - crate::support::events::START.millis() / 1000));
        }
        let polled = SourceEvent::Polled { target: web(), at: world.now, events: events.clone() };
        let target_list = SourceEvent::TargetList {
            source: "prod".into(),
            targets: vec![podbell_core::source::TargetEntry { target: web(), discovered: false }],
            complete: true,
        };
        world.try_turn(vec![EngineEvent::Source(target_list), EngineEvent::Source(polled)])?;
        for _ in 0..12 {
            world.now = world.now.plus(Duration::from_secs(5));
            world.try_turn(Vec::new())?;
        }
    }
    Ok(())
}

/// Every byte that was there before is there after, in its place or kept aside.
fn nothing_destroyed(store: &Path, before: &BTreeMap<&'static str, Vec<u8>>, opened: bool, done: &str) {
    for (suffix, bytes) in before {
        let now = |store: &Path| fs::read(beside(store, suffix)).unwrap_or_default();
        let kept: Vec<_> = kept(store).iter().map(|folder| now(&folder.join("podbell.db"))).collect();
        let there = now(store) == *bytes || kept.contains(bytes);
        // What podbell went on writing before it found the damage.
        let written = opened && (kept.is_empty() || kept.iter().any(|now| !now.is_empty()) || !suffix.is_empty());
        assert!(there || written || bytes.is_empty(), "{done}: podbell.db{suffix} is gone");
    }
}

fn kept(store: &Path) -> Vec<std::path::PathBuf> {
    let all = fs::read_dir(store.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.display().to_string().contains("podbell.db.kept-")).collect()
}

fn round(left: &Left, seed: u64) -> (End, String) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut files = left.files.clone();
    let mut done = damage(&mut dice, &mut files);
    if dice.below(4) == 0 {
        done = format!(
            "{done}, {}",
            if files.len() == FILES.len() { damage(&mut dice, &mut files) } else { String::new() }
        );
    }
    let mut world = World::asleep(spec());
    world.now = left.now.plus(Duration::from_secs(30));
    for (suffix, bytes) in &files {
        fs::write(beside(&world.store_path(), suffix), bytes).unwrap();
    }
    let mut opened = false;
    let end = live(&mut world, left, &mut opened);
    nothing_destroyed(&world.store_path(), &files, opened, &done);
    if let Err(error) = &end {
        let said = error.to_string();
        assert!(said.contains("podbell.db") && said.len() > 60, "{done}: {said}");
        let kind = match error.kind() {
            ErrorKind::Damaged => "corrupt",
            ErrorKind::Newer => "newer",
            _ => panic!("{done}: {error}"),
        };
        return (End::Refused(kind), done);
    }
    let fates = fates(&world);
    let team = world.log.iter().filter(|request| request.to == "team" && request.outcome == Outcome::Delivered);
    let told: BTreeSet<String> = team
        .flat_map(|request| &request.notices)
        .map(|notice| serde_json::to_value(notice).unwrap().to_string())
        .collect();
    assert!(told.iter().any(|facts| facts.contains("job99-x2x7v")), "{done}: it does not work: {:?}", world.told());
    if let Some(fate) = fates.first() {
        return (End::Reported(fate.word()), done);
    }
    let silent: Vec<_> = left.waiting.difference(&told).collect();
    assert!(silent.is_empty(), "{done}: never told, and no word of it: {silent:#?}");
    (End::Correct, done)
}

#[test]
fn a_damaged_store_works_or_is_told_or_is_refused_and_is_never_destroyed_or_silent() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let left = left();
    assert!(left.waiting.len() > 20, "{}", left.waiting.len());
    let seeds = match number("PODBELL_DAMAGE_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("PODBELL_DAMAGE_ROUNDS").unwrap_or(40),
    };
    let mut ends: BTreeMap<End, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    for seed in seeds {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(&left, seed))) {
            Ok((end, done)) => {
                println!("{seed}: {done}: {end:?}");
                *ends.entry(end).or_default() += 1;
            }
            Err(panic) => {
                let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                failures.push(format!("PODBELL_DAMAGE_SEED={seed}: {said}"));
            }
        }
    }
    println!("{ends:?}");
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn a_store_that_was_left_undamaged_goes_on_without_a_word() {
    let left = left();
    let mut world = World::asleep(spec());
    world.now = left.now.plus(Duration::from_secs(30));
    for (suffix, bytes) in &left.files {
        fs::write(beside(&world.store_path(), suffix), bytes).unwrap();
    }
    live(&mut world, &left, &mut false).unwrap();
    assert_eq!(fates(&world), Vec::<StoreFate>::new());
}
