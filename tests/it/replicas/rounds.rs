//! Rounds of failures, by seed: kills, freezes, cut networks, crashes of the server, clocks that are off. After all of
//! them: every committed notice is delivered, nothing was told that was not committed, only what was on its way when an
//! owner of the store went was repeated, in the same words, no two owners wrote interleaved, and what people did is
//! there, once.
//!
//! `PODBELL_ROUNDS` sets the number of rounds, `PODBELL_ROUNDS_SEED` plays one sequence again; see docs/development.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use podbell_core::time::Time;
use rustix::process::Signal;
use tokio::sync::Semaphore;

use super::fleet::{Fleet, PATIENT, WRITE, command, starved};
use super::takeover::settle_when;
use crate::support::process::{PATIENCE, within};
use crate::support::reckoning::{Ledger, all_counted, all_read, reckon};
use crate::support::turmoil::{Dice, Turmoil};

/// Rounds on one database, one after the other.
const SEQUENCE: u64 = 6;
/// Sequences side by side: they mostly wait for leases to end.
const ABREAST: usize = 5;
/// How long a round takes, about: while rounds go on, there is trouble to tell.
const ROUND: Duration = Duration::from_secs(15);
/// A killed owner's next message leaves within this time.
const AFTER_KILL: Duration = Duration::from_secs(15);

/// What happens to the replica that is active, or to its surroundings.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Kill,
    /// It is told to end.
    Term,
    /// It stands still for so long, longer than its lease, and goes on.
    Hang(Duration),
    /// Its network to the database is cut, in these directions, for so long.
    Cut {
        to_server: bool,
        from_server: bool,
        lasts: Duration,
        keeps_connections: bool,
    },
    /// The database's server crashes and starts again.
    Server,
    /// The others start again with clocks that are off by so many seconds, and it is killed.
    Clock(i64),
}

fn failure(dice: &mut Dice, clocks: bool) -> Failure {
    match dice.below(if clocks { 12 } else { 10 }) {
        0..3 => Failure::Kill,
        3 => Failure::Term,
        4..6 => Failure::Hang(Duration::from_millis(11_000 + dice.below(3_000))),
        6..9 => {
            let (to_server, from_server) = [(true, false), (false, true), (true, true)][index(dice, 3)];
            let lasts = Duration::from_millis([500, 3_000, 6_000, 9_500, 13_000][index(dice, 5)]);
            Failure::Cut { to_server, from_server, lasts, keeps_connections: dice.below(2) == 0 }
        }
        9 => Failure::Server,
        _ => Failure::Clock([-240, -90, 90, 240][index(dice, 4)]),
    }
}

fn index(dice: &mut Dice, below: u64) -> usize {
    usize::try_from(dice.below(below)).unwrap()
}

/// How long something took, by what it is.
type Times = BTreeMap<&'static str, Vec<Duration>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_everything_committed_is_told_and_only_what_was_on_its_way_is_repeated() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let rounds = number("PODBELL_ROUNDS").unwrap_or(60);
    let seeds: Vec<u64> = match number("PODBELL_ROUNDS_SEED") {
        Some(seed) => vec![seed],
        None => (1..=rounds.div_ceil(SEQUENCE)).collect(),
    };
    let rounds = u64::try_from(seeds.len()).unwrap() * SEQUENCE;
    let places = Arc::new(Semaphore::new(ABREAST));
    let mut running = tokio::task::JoinSet::new();
    for seed in seeds {
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            // A failure names its seed.
            tokio::spawn(sequence(seed)).await.map_err(|error| format!("PODBELL_ROUNDS_SEED={seed}: {error}"))
        });
    }
    let (mut times, mut failures) = (Times::new(), Vec::new());
    while let Some(ended) = running.join_next().await {
        match ended.unwrap() {
            Ok(of_one) => of_one.into_iter().for_each(|(what, took)| times.entry(what).or_default().extend(took)),
            Err(failure) => failures.push(failure),
        }
    }
    println!("{rounds} rounds");
    for (what, took) in &mut times {
        took.sort_unstable();
        println!("{what}: {} times, median {:?}, worst {:?}", took.len(), took[took.len() / 2], took.last().unwrap());
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

async fn sequence(seed: u64) -> Times {
    let turmoil = Turmoil::start(seed, ROUND * u32::try_from(SEQUENCE).unwrap()).await;
    let mut dice = Dice(!seed);
    // Whether an event is new, and whether it may happen again under the same date, is judged by podbell's clock. Sequences
    // in which that is minutes off count messages, but not occurrences.
    let clocks = seed.is_multiple_of(3);
    let pooled = seed.is_multiple_of(4);
    let size = 2 + index(&mut dice, 2);
    let mut fleet = match pooled {
        true => Fleet::pooled(&turmoil.site, size).await,
        false => Fleet::new(&turmoil.site, size).await,
    };
    fleet.start_all(&turmoil.site).await;
    fleet.active().await;
    let (mut times, mut muted, mut off) = (Times::new(), Vec::new(), false);
    // How often each incident was to be acknowledged, and how often that was confirmed: one that opens again is as before.
    let mut acknowledged: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for round in 0..SEQUENCE {
        let failure = failure(&mut dice, clocks);
        let active = fleet.active().await;
        let why = format!("round-{round}");
        let on = if dice.below(2) == 0 { active } else { fleet.other(active) };
        let mute = format!("mute calm 1h {why}");
        let (answered, ()) = tokio::join!(command(fleet.running(on), WRITE, &mute), tokio::task::yield_now());
        if answered.is_some_and(|(said, _)| said["good"] == true) {
            muted.push((round, why));
        }
        let unseen =
            "SELECT max(id) FROM incident WHERE phase = 'open' AND id NOT IN (SELECT incident FROM acknowledged)";
        if let Some(id) = fleet.database.rows(unseen).pop().filter(|id| !id.is_empty()) {
            let answered = command(fleet.running(fleet.other(on)), WRITE, &format!("ack {id}")).await;
            let (asked, confirmed) = acknowledged.entry(id).or_default();
            *asked += 1;
            *confirmed += usize::from(answered.is_some_and(|(said, _)| said["good"] == true));
        }
        let (size, through) = (fleet.replicas.len(), if pooled { ", through PgBouncer" } else { "" });
        println!("sequence {seed}, round {round}: {failure:?} of {size}{through}");
        off |= matches!(failure, Failure::Clock(_));
        fail(&turmoil, &mut fleet, failure, &mut times).await;
        let told = first_after(&turmoil, clock::now()).await;
        assert!(
            told.is_some() || clock::now() > turmoil.calm_at,
            "round {round} ({failure:?}): nothing more was told\n{}",
            fleet.logs()
        );
        fleet.start_all(&turmoil.site).await;
    }
    settle_when(&turmoil, &mut fleet, |fleet| off || all_read(&turmoil, &fleet.database)).await;
    fleet.check_epochs();
    let epochs = fleet.epochs_of_sends();
    reckon(&turmoil, &fleet.database, |send| epochs.get(&send).copied().unwrap_or(1));
    if !off {
        all_counted(&turmoil, &fleet.database);
    }
    for (id, (asked, confirmed)) in &acknowledged {
        let done = format!("SELECT body FROM action WHERE incident = {id} AND body LIKE '%cknowledge%'");
        let done = fleet.database.rows(&done);
        assert!((*confirmed..=*asked).contains(&done.len()), "ack {id}: {confirmed} of {asked} confirmed: {done:?}");
    }
    // The last mute that was confirmed is in force, or a later one that was not heard of.
    if let Some((last, _)) = muted.last() {
        let in_force = fleet.database.rows("SELECT body FROM mute WHERE ended_at IS NULL");
        let later = |body: &String| (*last..SEQUENCE).any(|round| body.contains(&format!("round-{round}")));
        assert!(in_force.iter().any(later), "round {last} was confirmed: {in_force:?}");
    }
    for (_, why) in &muted {
        let done = format!("SELECT count(*) FROM action WHERE body LIKE '%{why}%'");
        assert_eq!(
            fleet.database.rows(&done),
            ["1"],
            "{why} was confirmed: {:?}",
            fleet.database.rows("SELECT body FROM action")
        );
    }
    times
}

/// How long after a moment the first request came; `None` if none did while there was trouble to tell.
async fn first_after(turmoil: &Turmoil, moment: Time) -> Option<Duration> {
    let look = || {
        let received = turmoil.receiver.received();
        match received.iter().map(|request| request.at).filter(|at| *at > moment).min() {
            Some(at) => Some(Some(at.since(moment))),
            None => (clock::now() > turmoil.calm_at).then_some(None),
        }
    };
    within(PATIENT, look).await.flatten()
}

/// Lets something fail, and measures how long it takes until another replica goes on, where it must.
async fn fail(turmoil: &Turmoil, fleet: &mut Fleet, failure: Failure, times: &mut Times) {
    let active = fleet.active().await;
    match failure {
        Failure::Kill => {
            fleet.kill(active).await;
            let before = starved();
            let took = first_after(turmoil, clock::now()).await;
            if let Some(took) = took {
                let starved = starved().saturating_sub(before);
                assert!(took < AFTER_KILL + starved, "{took:?} after a kill, starved {starved:?}\n{}", fleet.logs());
                times.entry("next message after a kill").or_default().push(took);
                times
                    .entry("the same, less what processes waited for a processor")
                    .or_default()
                    .push(took.saturating_sub(starved));
            }
        }
        Failure::Term => {
            let (epoch, owner, told) = (fleet.epoch(), fleet.owner(), clock::now());
            let mut old = fleet.replicas[active].running.take().unwrap();
            old.process.signal(Signal::TERM);
            assert!(old.process.end(PATIENCE).await.success(), "{}", old.process.stderr());
            fleet.active().await;
            match fleet.began(epoch + 1) {
                Some(began) => {
                    times.entry("next owner after a SIGTERM").or_default().push(began.since(told));
                    if let Some(next) = first_after(turmoil, began).await {
                        times.entry("its first message, after the SIGTERM").or_default().push(began.since(told) + next);
                    }
                }
                // One that was frozen says for a moment that it is active: another owned the store already, and still does.
                None => assert!(owner.is_some() && fleet.owner() == owner, "no next epoch\n{}", fleet.logs()),
            }
        }
        Failure::Hang(lasts) => {
            fleet.running(active).process.signal(Signal::STOP);
            // How long it is frozen is the failure itself: nothing is waited for.
            tokio::time::sleep(lasts).await;
            fleet.running(active).process.signal(Signal::CONT);
        }
        Failure::Cut { to_server, from_server, lasts, keeps_connections } => {
            let proxy = &fleet.replicas[active].proxy;
            proxy.cut(to_server, from_server);
            // So is how long the network is cut.
            tokio::time::sleep(lasts).await;
            proxy.mend(keeps_connections);
        }
        Failure::Server => fleet.database.crash().await,
        Failure::Clock(seconds) => {
            for other in (0..fleet.replicas.len()).filter(|other| *other != active) {
                if fleet.replicas[other].running.is_some() {
                    fleet.kill(other).await;
                }
                fleet.start(&turmoil.site, other, seconds).await;
            }
            fleet.kill(active).await;
            fleet.active().await;
        }
    }
}
