//! One replica goes, another goes on.

use std::time::Duration;

use podbell::clock;
use rustix::process::Signal;

use super::fleet::{Fleet, WRITE, command, first_after, readiness, starved};
use crate::support::process::PATIENCE;
use crate::support::reckoning::Ledger;
use crate::support::reckoning::{all_counted, all_read, reckon};
use crate::support::turmoil::Turmoil;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_is_active_and_after_its_kill_the_other_goes_on_within_fifteen_seconds() {
    let turmoil = Turmoil::start(1, Duration::from_secs(40)).await;
    let mut fleet = Fleet::new(&turmoil.site, 2).await;
    fleet.start(&turmoil.site, 0, 0).await;
    assert_eq!(fleet.active().await, 0);
    fleet.start(&turmoil.site, 1, 0).await;
    let standby = async {
        let mut turns = tokio::time::interval(Duration::from_millis(50));
        while !readiness(fleet.running(1))
            .await
            .is_some_and(|(status, body)| status == 200 && body.contains("standby; "))
        {
            turns.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, standby).await.expect("a standby is ready");
    assert_eq!(fleet.running(0).metric("podbell_engine_active ").await, Some(1));
    assert_eq!(fleet.running(1).metric("podbell_engine_active ").await, Some(0));
    // What the alert on takeovers counts.
    let epoch = fleet.running(0).metric("podbell_lease_epoch ").await;
    assert!(epoch > Some(0), "{epoch:?}");
    assert_eq!(fleet.running(1).metric("podbell_lease_epoch ").await, Some(0));
    first_after(&turmoil.receiver, clock::now(), PATIENCE).await.expect("the active one tells");

    let (killed, before) = (clock::now(), starved());
    fleet.kill(0).await;
    let took = first_after(&turmoil.receiver, clock::now(), PATIENCE).await.expect("the other one tells");
    println!("the next message came {took:?} after the kill at {killed:?}");
    assert!(took < Duration::from_secs(15) + (starved() - before), "{took:?}\n{}", fleet.logs());
    assert_eq!(fleet.active().await, 1);
    assert!(fleet.running(1).metric("podbell_lease_epoch ").await > epoch);
    settle(&turmoil, &mut fleet).await;
    fleet.check_epochs();
    let epochs = fleet.epochs_of_sends();
    reckon(&turmoil, &fleet.database, |send| epochs.get(&send).copied().unwrap_or(1));
    all_counted(&turmoil, &fleet.database);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_told_to_end_hands_over_within_two_seconds_and_repeats_nothing() {
    let turmoil = Turmoil::start(2, Duration::from_secs(25)).await;
    let mut fleet = Fleet::new(&turmoil.site, 2).await;
    fleet.start(&turmoil.site, 0, 0).await;
    assert_eq!(fleet.active().await, 0);
    fleet.start(&turmoil.site, 1, 0).await;
    first_after(&turmoil.receiver, clock::now(), PATIENCE).await.expect("the active one tells");

    let (epoch, told, before) = (fleet.epoch(), clock::now(), starved());
    let mut first = fleet.replicas[0].running.take().unwrap();
    first.process.signal(Signal::TERM);
    assert!(first.process.end(PATIENCE).await.success(), "{}", first.process.stderr());
    assert_eq!(fleet.active().await, 1);
    let began = fleet.began(epoch + 1).expect("the next epoch");
    let next = first_after(&turmoil.receiver, began, PATIENCE).await.expect("the other one tells");
    let took = began.since(told) + next;
    println!(
        "the other replica took over {:?} after SIGTERM, and its first message left {took:?} after",
        began.since(told)
    );
    assert!(
        took < Duration::from_secs(2) + (starved() - before),
        "{took:?}\n{}\n{}",
        first.process.stderr(),
        fleet.logs()
    );
    settle(&turmoil, &mut fleet).await;
    fleet.check_epochs();
    reckon(&turmoil, &fleet.database, |_| 1);
    all_counted(&turmoil, &fleet.database);

    // The log would have shown a write by somebody who does not own the store.
    fleet.database.run("UPDATE podbell.meta SET value = value");
    assert_eq!(fleet.written_without_the_lease(), ["meta UPDATE 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_update_of_three_under_load_loses_and_repeats_nothing() {
    let turmoil = Turmoil::start(3, Duration::from_secs(40)).await;
    let mut fleet = Fleet::new(&turmoil.site, 3).await;
    fleet.start_all(&turmoil.site).await;
    fleet.active().await;
    for replica in 0..3 {
        let mut old = fleet.replicas[replica].running.take().unwrap();
        old.process.signal(Signal::TERM);
        assert!(old.process.end(PATIENCE).await.success(), "{}", old.process.stderr());
        fleet.start(&turmoil.site, replica, 0).await;
        // As a rollout does: the next one goes when this one is ready.
        let new = fleet.running(replica);
        let ready = async {
            let mut turns = tokio::time::interval(Duration::from_millis(50));
            while readiness(new).await.is_none_or(|(status, _)| status != 200) {
                turns.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("it becomes ready");
        let active = fleet.active().await;
        let mute = command(fleet.running(fleet.other(active)), WRITE, &format!("mute calm 1h update {replica}")).await;
        assert!(mute.is_some_and(|(said, _)| said["good"] == true));
    }
    settle(&turmoil, &mut fleet).await;
    fleet.check_epochs();
    reckon(&turmoil, &fleet.database, |_| 1);
    all_counted(&turmoil, &fleet.database);
}

/// Runs on until the cluster is calm, everything was read and nothing waits, and ends all replicas.
pub async fn settle(turmoil: &Turmoil, fleet: &mut Fleet) {
    settle_when(turmoil, fleet, |fleet| all_read(turmoil, &fleet.database)).await;
}

/// The same, with other words for everything.
pub async fn settle_when(turmoil: &Turmoil, fleet: &mut Fleet, is_read: impl Fn(&Fleet) -> bool) {
    let calm = turmoil.calm_at.plus(Duration::from_millis(2500));
    for _ in 0..5 {
        let quiet = async {
            let mut turns = tokio::time::interval(Duration::from_millis(250));
            loop {
                turns.tick().await;
                if clock::now() > calm && is_read(fleet) && !waiting(fleet) {
                    return;
                }
            }
        };
        if tokio::time::timeout(Duration::from_secs(180), quiet).await.is_err() {
            let rows = |sql| fleet.database.rows(sql);
            let open = rows("SELECT id, destination, state FROM delivery WHERE state IN ('due', 'claimed')");
            let sends = rows("SELECT id, destination, attempts FROM send WHERE settled IS NULL");
            let read = rows("SELECT obj_name, count FROM series ORDER BY 1");
            let there: Vec<String> = turmoil.counts.iter().map(|(pod, count)| format!("{pod} {count}")).collect();
            let missing: Vec<_> = there.iter().filter(|row| !read.contains(row)).collect();
            let more: Vec<_> = read.iter().filter(|row| !there.contains(row)).collect();
            panic!("open: {open:?} {sends:?}; not read: {missing:?}, but {more:?}\n{}", fleet.logs());
        }
        fleet.stop_all().await;
        if !waiting(fleet) {
            return;
        }
        fleet.start_all(&turmoil.site).await;
    }
    panic!("it never ends");
}

fn waiting(fleet: &Fleet) -> bool {
    let open = "SELECT (SELECT count(*) FROM delivery WHERE state IN ('due', 'claimed'))
        + (SELECT count(*) FROM send WHERE settled IS NULL)";
    fleet.database.rows(open) != ["0"]
}
