//! Who may write, and for how long.

use std::time::Duration;

use super::super::call::Call;
use super::super::session::Session;
use super::super::{BEGIN, CALL_LIMIT, LEASE};
use super::*;
use crate::moment::Moment;
use crate::{ClaimOutcome, ErrorKind, Writer, test_server};

#[test]
fn one_replica_is_active_and_the_others_learn_which() {
    let location = location(&test_server::database());
    let writer = active(&location, "first");
    let holder = standby(&location);
    assert_eq!((&*holder.replica, holder.epoch), ("first", 1));
    assert!(holder.expires_in > Duration::from_secs(5) && holder.expires_in <= LEASE, "{holder:?}");
    let lease = writer.lease().unwrap();
    assert!(lease.epoch == 1 && lease.left() > Duration::from_secs(5) && lease.left() <= LEASE, "{lease:?}");
    assert!(location.is_owned() && location.exists() && location.is_shared());
}

#[test]
fn a_lease_that_is_given_up_is_taken_at_once_with_the_next_epoch() {
    let location = location(&test_server::database());
    let mut first = active(&location, "first");
    first.release().unwrap();
    assert_eq!(first.lease().unwrap().left(), Duration::ZERO);
    let second = active(&location, "second");
    assert_eq!(second.lease().unwrap().epoch, 2);
    assert_eq!(first.commit(&one_target("web")).unwrap_err().kind(), ErrorKind::LeaseLost);
    // The end of the first one takes nothing from the second.
    drop(first);
    assert_eq!(standby(&location).replica, "second");
}

#[test]
fn the_commit_of_a_replica_that_was_replaced_changes_nothing() {
    let address = test_server::database();
    let location = location(&address);
    let mut old = active(&location, "old");
    old.commit(&one_target("web")).unwrap();
    expire(&address);
    let mut new = active(&location, "new");
    new.commit(&one_target("api")).unwrap();
    let refused = old.commit(&one_target("late")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LeaseLost, "{refused}");
    assert_eq!(targets(&location), 2);
    for refused in [old.renew().unwrap_err(), old.reconnect().unwrap_err(), old.delete_old(NOW).unwrap_err()] {
        assert_eq!(refused.kind(), ErrorKind::LeaseLost, "{refused}");
    }
    new.commit(&one_target("later")).unwrap();
    assert_eq!((targets(&location), old.lease().unwrap().left()), (3, Duration::ZERO));
}

#[test]
fn a_lease_that_ended_commits_nothing_even_if_nobody_took_it() {
    let address = test_server::database();
    let location = location(&address);
    let mut writer = active(&location, "only");
    expire(&address);
    assert_eq!(writer.commit(&one_target("web")).unwrap_err().kind(), ErrorKind::LeaseLost);
    assert_eq!(targets(&location), 0);
    drop(writer);
    assert_eq!(active(&location, "only").lease().unwrap().epoch, 2);
}

#[test]
fn commits_and_renewals_keep_the_lease() {
    let address = test_server::database();
    let location = location(&address);
    let mut writer = active(&location, "only");
    let commit = |writer: &mut dyn Writer| writer.commit(&one_target("web"));
    for renew in [|writer: &mut dyn Writer| writer.renew(), commit] {
        run(&address, "UPDATE podbell.lease SET expires_at = clock_timestamp() + interval '1 second'");
        renew(&mut *writer).unwrap();
        assert!(standby(&location).expires_in > Duration::from_secs(5));
    }
}

/// After a failover to a server that lacks a takeover, a later one has the same number.
#[test]
fn of_two_replicas_with_one_epoch_only_the_one_of_the_row_writes() {
    let address = test_server::database();
    let location = location(&address);
    let mut lost = active(&location, "a");
    lost.commit(&one_target("web")).unwrap();
    run(&address, "UPDATE podbell.lease SET epoch = 0, expires_at = to_timestamp(0)");
    let mut owner = active(&location, "b");
    assert_eq!(owner.lease().unwrap().epoch, lost.lease().unwrap().epoch);
    assert_eq!(lost.reconnect().unwrap_err().kind(), ErrorKind::LeaseLost);
    assert!(lost.commit(&one_target("cart")).is_err());
    lost.release().unwrap();
    owner.commit(&one_target("api")).unwrap();
    assert_eq!((standby(&location).replica.as_str(), targets(&location)), ("b", 2));
}

#[test]
fn a_lease_of_a_clock_that_was_set_back_is_over() {
    let address = test_server::database();
    let location = location(&address);
    let mut old = active(&location, "a");
    run(&address, "UPDATE podbell.lease SET expires_at = clock_timestamp() + interval '1 hour'");
    assert!(!location.is_owned());
    assert_eq!(active(&location, "b").lease().unwrap().epoch, 2);
    assert_eq!(old.commit(&one_target("web")).unwrap_err().kind(), ErrorKind::LeaseLost);
}

#[test]
fn a_schema_that_somebody_else_made_is_all_that_a_role_needs() {
    let address = test_server::database();
    run(&address, "CREATE ROLE tenant LOGIN");
    run(&address, "CREATE SCHEMA podbell AUTHORIZATION tenant");
    let address = address.replace("podbell@", "tenant@");
    assert!(super::super::inspect(&server(&address), || NOW).unwrap().may_write);
    active(&location(&address), "a").commit(&one_target("web")).unwrap();
}

#[test]
fn a_store_that_takes_longer_to_read_than_a_lease_lasts_stays_its_owners() {
    let address = test_server::database();
    let location = location(&address);
    let mut writer = active(&location, "a");
    writer.commit(&one_target("web")).unwrap();
    let held = Session::open(&server(&address)).unwrap();
    held.query(Call::new("BEGIN")).unwrap();
    held.query(Call::new("LOCK TABLE podbell.mute IN ACCESS EXCLUSIVE MODE")).unwrap();
    let begun = Moment::now();
    let loaded = std::thread::scope(|scope| {
        let loading = scope.spawn(|| writer.load());
        while begun.elapsed() < LEASE + Duration::from_secs(1) {
            assert_eq!(standby(&location).replica, "a");
            std::thread::sleep(Duration::from_millis(200));
        }
        held.query(Call::new("COMMIT")).unwrap();
        loading.join().unwrap()
    });
    assert_eq!(loaded.unwrap().state.targets.len(), 1);
    assert!(writer.lease().unwrap().left() > Duration::from_secs(5), "{:?}", writer.lease());
    writer.commit(&one_target("cart")).unwrap();
    assert_eq!((targets(&location), writer.lease().unwrap().epoch), (2, 1));
    writer.release().unwrap();
    assert_eq!(active(&location, "b").lease().unwrap().epoch, 2);
}

/// A replica that hangs in the middle of a commit holds the lease's row until the server ends its transaction.
#[test]
fn a_replica_that_hangs_in_its_commit_blocks_nobody_for_longer_than_its_lease() {
    let address = test_server::database();
    let location = location(&address);
    let writer = active(&location, "hangs");
    let epoch = writer.lease().unwrap().epoch;
    let session = Session::open(&server(&address)).unwrap();
    let turn = session.query(Call::new("SELECT turn FROM podbell.lease")).unwrap()[0].get::<_, i64>(0);
    let fence = Call::new("SELECT podbell.fence($1, 'hangs', $2, 10000)").number(epoch.cast_signed()).number(turn + 1);
    session.pipeline(&[Call::new(BEGIN), fence], CALL_LIMIT).unwrap();
    let start = Moment::now();
    loop {
        let asked = Moment::now();
        let claim = location.candidate("waits").claim(NOW).unwrap();
        assert!(asked.elapsed() < Duration::from_secs(3), "asking never waits for the one that hangs");
        match claim {
            ClaimOutcome::Active(writer) => break assert_eq!(writer.lease().unwrap().epoch, epoch + 1),
            ClaimOutcome::Standby(_) => {
                assert!(start.elapsed() < LEASE + Duration::from_secs(3), "it waits for too long")
            }
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

#[test]
fn a_store_of_a_newer_version_is_neither_taken_over_nor_read() {
    let address = test_server::database();
    let location = location(&address);
    drop(active(&location, "old"));
    run(&address, "UPDATE podbell.lease SET format = 99");
    for error in [
        location.candidate("old").claim(NOW).unwrap_err(),
        location.reader().err().unwrap(),
        location.inbox().err().unwrap(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Newer);
        assert!(error.to_string().contains("neither reads it nor takes over"), "{error}");
    }
}

#[test]
fn a_database_without_a_store_is_said_to_be_one() {
    let location = location(&test_server::database());
    assert!(!location.exists() && !location.is_owned());
    assert!(location.reader().err().unwrap().to_string().contains("holds no store yet"));
    drop(active(&location, "first"));
    assert!(location.exists() && !location.is_owned());
}

#[test]
fn replicas_that_start_at_one_moment_make_one_store() {
    let location = location(&test_server::database());
    let writers: Vec<ClaimOutcome> = std::thread::scope(|scope| {
        let claims: Vec<_> =
            (0..6).map(|_| scope.spawn(|| location.candidate("one of six").claim(NOW).unwrap())).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(writers.iter().filter(|claim| matches!(claim, ClaimOutcome::Active(_))).count(), 1);
}
