//! What a call may cost, and how it ends.

use std::time::Duration;

use super::super::call::Call;
use super::super::session::Session;
use super::super::{delete_old, queries};
use super::*;
use crate::moment::Moment;
use crate::{Batch, test_server};
use podbell_core::event::Target;
use podbell_core::step::TargetState;

#[test]
fn a_query_that_is_cancelled_ends_at_once_and_its_connection_with_it() {
    let session = Session::open(&server(&test_server::database())).unwrap();
    let cancel = session.canceller();
    let start = Moment::now();
    std::thread::scope(|scope| {
        let query = scope.spawn(|| session.pipeline(&[Call::new("SELECT pg_sleep(60)")], Duration::from_secs(50)));
        std::thread::park_timeout(Duration::from_millis(200));
        cancel();
        assert!(query.join().unwrap().is_err());
    });
    assert!(start.elapsed() < Duration::from_secs(10) && session.is_closed());
}

#[test]
fn a_call_that_is_never_answered_ends_at_its_limit() {
    let session = Session::open(&server(&test_server::database())).unwrap();
    let failed = session.pipeline(&[Call::new("SELECT pg_sleep(60)")], Duration::from_millis(200)).unwrap_err();
    assert!(failed.refused.is_none() && failed.error.to_string().contains("did not answer"), "{}", failed.error);
    assert!(session.query(Call::new("SELECT 1")).is_err(), "its answers would be those of the earlier call");
}

/// Every query by an index, and what is deleted, too. With sequential scans made expensive, one appears only where no index serves.
#[test]
fn no_query_and_no_deletion_scans_a_whole_table() {
    let address = test_server::database();
    drop(active(&location(&address), "first"));
    let session = Session::open(&server(&address)).unwrap();
    let settings =
        "SELECT set_config('enable_seqscan', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false)";
    session.query(Call::new(settings)).unwrap();
    let mut checked = 0;
    for query in queries::all().chain(delete_old::deletions().map(|(sql, _)| sql)) {
        let parameters = (1..20).take_while(|n| query.contains(&format!("${n}"))).count();
        let nulls = vec!["NULL"; parameters].join(", ");
        session.query(Call::new(format!("PREPARE plan AS {query}"))).unwrap();
        let values = if parameters == 0 { String::new() } else { format!("({nulls})") };
        let plan = session.query(Call::new(format!("EXPLAIN EXECUTE plan{values}"))).unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{query}\n{}", plan.join("\n"));
        session.query(Call::new("DEALLOCATE plan")).unwrap();
        checked += 1;
    }
    assert!(checked > 38);
}

#[test]
fn a_commit_needs_a_number_of_statements_that_does_not_grow_with_its_rows() {
    let location = location(&test_server::database());
    let mut writer = active(&location, "only");
    let many = (0..20_000).map(|n| (Target::new("prod", "cls-1", "shop", &n.to_string()), TargetState::default()));
    let start = Moment::now();
    writer.commit(&Batch { now: NOW, targets: many.collect(), ..Batch::default() }).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(targets(&location), 20_000);
}

#[test]
fn a_table_whose_old_rows_cannot_be_deleted_keeps_no_other_from_it_and_the_lease_stands() {
    let address = test_server::database();
    let location = location(&address);
    let mut writer = active(&location, "only");
    let session = Session::open(&server(&address)).unwrap();
    session.query(Call::new("INSERT INTO podbell.inbox (at, command, done_at) VALUES (0, '{}', 0)")).unwrap();
    let done = || session.query(Call::new("SELECT count(*) FROM podbell.inbox")).unwrap()[0].get::<_, i64>(0);
    let other = Session::open(&server(&address)).unwrap();
    let lock = [Call::new("BEGIN"), Call::new("LOCK TABLE podbell.attempt IN ACCESS EXCLUSIVE MODE")];
    other.pipeline(&lock, Duration::from_secs(5)).unwrap();
    let mut calls = 1;
    while writer.delete_old(NOW).unwrap() {
        calls += 1;
        assert!(calls < 30, "it ends");
    }
    assert!(calls > 1, "the table that is locked ends one");
    assert_eq!(done(), 0);
    writer.commit(&Batch { now: NOW, ..Batch::default() }).unwrap();
}
