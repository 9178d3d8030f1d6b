//! What several replicas need of the adapter, on a real server: who may write, and what a cut connection leaves.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::call::Call;
use super::moment::Moment;
use super::session::Session;
use super::{LEASE, Server, queries};
use crate::test_server::{self, Postgres};
use crate::{Batch, Claim, ErrorKind, Holder, Listing, Location, Writer};
use podbell_core::event::Target;
use podbell_core::step::TargetState;
use podbell_core::time::Time;

const NOW: Time = Time::from_millis(1_800_000_000_000);

fn server(address: &str) -> Arc<Server> {
    Arc::new(Server::parse(address.strip_prefix("postgres://").unwrap(), Path::new("/")).unwrap())
}

fn location(address: &str) -> Location {
    Location::Postgres(server(address))
}

fn active(location: &Location, replica: &str) -> Box<dyn Writer> {
    match location.claim(replica, NOW).unwrap() {
        Claim::Active(writer) => writer,
        Claim::Standby(holder) => panic!("{holder:?} is active"),
    }
}

fn standby(location: &Location) -> Holder {
    match location.claim("another", NOW).unwrap() {
        Claim::Active(_) => panic!("it became active"),
        Claim::Standby(holder) => holder,
    }
}

fn one_target(name: &str) -> Batch {
    let target = Target::new("prod", "cls-1", "shop", name);
    Batch { now: NOW, targets: vec![(target, TargetState::default())], ..Batch::default() }
}

fn targets(location: &Location) -> u64 {
    location.reader().unwrap().snapshot().unwrap().service_count().unwrap()
}

fn run(address: &str, sql: &'static str) {
    Session::open(&server(address)).unwrap().query(Call::new(sql)).unwrap();
}

/// As if the lease's time had passed.
fn expire(address: &str) {
    run(address, "UPDATE podbell.lease SET expires_at = clock_timestamp() - interval '1 millisecond'");
}

#[test]
fn one_replica_is_active_and_the_others_learn_which() {
    let location = location(&test_server::database());
    let writer = active(&location, "first");
    let holder = standby(&location);
    assert_eq!((&*holder.replica, holder.epoch), ("first", 1));
    assert!(holder.expires_in > Duration::from_secs(5) && holder.expires_in <= LEASE, "{holder:?}");
    let lease = writer.lease().unwrap();
    assert!(lease.epoch == 1 && lease.left > Duration::from_secs(5) && lease.left <= LEASE, "{lease:?}");
    assert!(location.is_owned() && location.exists() && location.is_shared());
}

#[test]
fn a_lease_that_is_given_up_is_taken_at_once_with_the_next_epoch() {
    let location = location(&test_server::database());
    let mut first = active(&location, "first");
    first.release().unwrap();
    assert_eq!(first.lease().unwrap().left, Duration::ZERO);
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
    assert_eq!((targets(&location), old.lease().unwrap().left), (3, Duration::ZERO));
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

/// A replica that hangs in the middle of a commit holds the lease's row until the server ends its transaction.
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
    assert!(writer.lease().unwrap().left > Duration::from_secs(5), "{:?}", writer.lease());
    writer.commit(&one_target("cart")).unwrap();
    assert_eq!((targets(&location), writer.lease().unwrap().epoch), (2, 1));
    writer.release().unwrap();
    assert_eq!(active(&location, "b").lease().unwrap().epoch, 2);
}

#[test]
fn a_replica_that_hangs_in_its_commit_blocks_nobody_for_longer_than_its_lease() {
    let address = test_server::database();
    let location = location(&address);
    let writer = active(&location, "hangs");
    let epoch = writer.lease().unwrap().epoch;
    let session = Session::open(&server(&address)).unwrap();
    let turn = session.query(Call::new("SELECT turn FROM podbell.lease")).unwrap()[0].get::<_, i64>(0);
    let fence = Call::new("SELECT podbell.fence($1, $2, 10000)").number(epoch.cast_signed()).number(turn + 1);
    session.pipeline(&[Call::new(super::BEGIN), fence], super::CALL_LIMIT).unwrap();
    let start = Moment::now();
    loop {
        let asked = Moment::now();
        let claim = location.claim("waits", NOW).unwrap();
        assert!(asked.elapsed() < Duration::from_secs(3), "asking never waits for the one that hangs");
        match claim {
            Claim::Active(writer) => break assert_eq!(writer.lease().unwrap().epoch, epoch + 1),
            Claim::Standby(_) => assert!(start.elapsed() < LEASE + Duration::from_secs(3), "it waits for too long"),
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
    for error in
        [location.claim("old", NOW).unwrap_err(), location.reader().err().unwrap(), location.inbox().err().unwrap()]
    {
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
    let writers: Vec<Claim> = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..6).map(|_| scope.spawn(|| location.claim("one of six", NOW).unwrap())).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(writers.iter().filter(|claim| matches!(claim, Claim::Active(_))).count(), 1);
}

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

/// Every query by an index. With sequential scans made expensive, one appears only where no index serves.
#[test]
fn no_query_scans_a_whole_table() {
    let address = test_server::database();
    drop(active(&location(&address), "first"));
    let session = Session::open(&server(&address)).unwrap();
    let settings =
        "SELECT set_config('enable_seqscan', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false)";
    session.query(Call::new(settings)).unwrap();
    let mut checked = 0;
    for query in queries::QUERIES.into_iter().flatten() {
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
    assert!(checked > 25);
}

/// What the proxy does with the next data of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Trouble {
    None,
    /// Cuts the connection before the server gets it.
    CutBefore,
    /// Cuts the connection when the server says that it has committed.
    CutAfter,
    /// Holds it back until [`Proxy::let_go`], and the client hears nothing.
    Hold,
}

/// Data that is held back, each with the connection that it is for.
type Held = Mutex<Vec<(TcpStream, Vec<u8>)>>;

/// A connection to the server that can be cut.
struct Proxy {
    port: u16,
    trouble: Arc<AtomicU8>,
    held: Arc<Held>,
}

impl Proxy {
    fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let trouble = Arc::new(AtomicU8::new(Trouble::None as u8));
        let held: Arc<Held> = Arc::default();
        let (doing, holding) = (trouble.clone(), held.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
                let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let (ask, answer, holding) = (doing.clone(), doing.clone(), holding.clone());
                std::thread::spawn(move || asks(client, to_server, &ask, &holding));
                std::thread::spawn(move || answers(server, to_client, &answer));
            }
        });
        Self { port, trouble, held }
    }

    fn next(&self, trouble: Trouble) {
        self.trouble.store(trouble as u8, Ordering::SeqCst);
    }

    fn let_go(&self) {
        for (mut server, data) in self.held.lock().unwrap().drain(..) {
            server.write_all(&data).unwrap();
        }
    }
}

fn is(trouble: &AtomicU8, which: Trouble) -> bool {
    trouble.load(Ordering::SeqCst) == which as u8
}

fn asks(mut client: TcpStream, mut server: TcpStream, trouble: &AtomicU8, held: &Held) {
    let mut data = [0; 65536];
    while let Ok(length @ 1..) = client.read(&mut data) {
        if is(trouble, Trouble::CutBefore) {
            trouble.store(Trouble::None as u8, Ordering::SeqCst);
            break;
        }
        if is(trouble, Trouble::Hold) {
            trouble.store(Trouble::None as u8, Ordering::SeqCst);
            held.lock().unwrap().push((server, data[..length].to_vec()));
            return;
        }
        if server.write_all(&data[..length]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

fn answers(mut server: TcpStream, mut client: TcpStream, trouble: &AtomicU8) {
    let mut data = [0; 65536];
    let mut heard = Vec::new();
    while let Ok(length @ 1..) = server.read(&mut data) {
        if is(trouble, Trouble::CutAfter) {
            heard.extend_from_slice(&data[..length]);
            if heard.windows(7).any(|bytes| bytes == b"COMMIT\0") {
                trouble.store(Trouble::None as u8, Ordering::SeqCst);
                break;
            }
            continue;
        }
        if client.write_all(&data[..length]).is_err() {
            break;
        }
    }
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}

fn proxied() -> (Proxy, Location, String) {
    let address = test_server::database();
    let direct = test_server::shared_address();
    let proxy = Proxy::start(direct.clone());
    let through = address.replace(&direct, &format!("127.0.0.1:{}", proxy.port));
    // The proxy reads what the server says.
    (proxy, location(&format!("{through}?sslmode=disable")), address)
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_to_be_written() {
    let (proxy, location, _) = proxied();
    let mut writer = active(&location, "only");
    writer.commit(&one_target("web")).unwrap();
    proxy.next(Trouble::CutAfter);
    writer.commit(&one_target("api")).unwrap();
    assert_eq!((targets(&location), writer.unknown_commits()), (2, 1));
    writer.commit(&one_target("next")).unwrap();
    assert_eq!(writer.load().unwrap().state.targets.len(), 3);
}

#[test]
fn a_commit_that_never_arrived_is_found_not_to_be_written() {
    let (proxy, location, _) = proxied();
    let mut writer = active(&location, "only");
    writer.load().unwrap();
    proxy.next(Trouble::CutBefore);
    let error = writer.commit(&one_target("web")).unwrap_err();
    assert_eq!((error.kind(), writer.unknown_commits(), targets(&location)), (ErrorKind::Unavailable, 1, 0), "{error}");
    writer.reconnect().unwrap();
    assert!(writer.load().unwrap().state.targets.is_empty());
    writer.commit(&one_target("web")).unwrap();
    assert_eq!((targets(&location), writer.lease().unwrap().epoch), (1, 1));
}

#[test]
fn a_commit_that_arrives_after_it_was_found_not_to_be_written_changes_nothing() {
    let (proxy, location, _) = proxied();
    let mut writer = active(&location, "only");
    writer.load().unwrap();
    proxy.next(Trouble::Hold);
    let error = writer.commit(&one_target("late")).unwrap_err();
    assert_eq!((error.kind(), writer.unknown_commits(), targets(&location)), (ErrorKind::Unavailable, 1, 0), "{error}");
    writer.reconnect().unwrap();
    proxy.let_go();
    writer.commit(&one_target("web")).unwrap();
    writer.commit(&one_target("api")).unwrap();
    let names: Vec<_> = writer.load().unwrap().state.targets.into_iter().map(|(target, _)| target.service).collect();
    assert_eq!(names, ["web".into(), "api".into()] as [Arc<str>; 2]);
}

#[test]
fn a_server_that_crashes_loses_no_commit_and_no_lease() {
    let mut server = Postgres::start();
    let location = location(&server.database());
    let mut writer = active(&location, "only");
    writer.commit(&one_target("web")).unwrap();
    server.crash();
    let tried = writer.commit(&one_target("api"));
    assert_eq!(tried.unwrap_err().kind(), ErrorKind::Unavailable);
    writer.reconnect().unwrap();
    assert_eq!(writer.load().unwrap().state.targets.len(), 1);
    writer.commit(&one_target("api")).unwrap();
    server.stop();
    assert_eq!(location.claim("other", NOW).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(writer.renew().unwrap_err().kind(), ErrorKind::Unavailable);
    server.go_on();
    writer.reconnect().unwrap();
    assert_eq!((targets(&location), writer.lease().unwrap().epoch), (2, 1));
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

/// What a store holds, as far as a writer and a reader show it; without what each start makes anew.
fn contents(location: &Location) -> String {
    let mut writer = location.writer(Duration::ZERO, NOW).unwrap();
    let loaded = writer.load().unwrap();
    let targets: Vec<Target> = loaded.state.targets.iter().map(|(target, _)| target.clone()).collect();
    let readings = writer.readings(&targets).unwrap();
    let mut reader = location.reader().unwrap();
    let snapshot = reader.snapshot().unwrap();
    let listed = snapshot.list_deliveries(&Listing { all: true, limit: 100, ..Listing::default() }).unwrap();
    let history = snapshot.history(Time::from_millis(0)).unwrap();
    let ids: Vec<String> = loaded.outbox.sends.iter().map(|(send, ..)| writer.message_id(*send)).collect();
    let rest = (snapshot.actions(9).unwrap(), snapshot.seen(&targets[0]).unwrap(), writer.good_rules().unwrap(), ids);
    format!("{loaded:#?} {readings:?} {listed:?} {history:?} {rest:?}")
}

#[test]
fn a_store_is_copied_to_postgresql_and_back_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::from(folder.path().join("podbell.db"));
    let database = location(&test_server::database());
    let back = Location::from(folder.path().join("back.db"));
    let mut writer = file.writer(Duration::ZERO, NOW).unwrap();
    crate::contract::fill(&mut *writer);
    drop(writer);
    let before = contents(&file);
    let counts = file.copy_to(&database).unwrap();
    assert_eq!(contents(&database), before);
    assert_eq!(database.copy_to(&back).unwrap(), counts);
    assert_eq!(contents(&back), before);
    assert!(back.writer(Duration::ZERO, NOW).unwrap().take_mishaps().is_empty(), "it is a store like any other");
    assert_eq!(
        std::fs::read_dir(folder.path())
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().file_name().to_string_lossy().contains("copying") })
            .count(),
        0
    );
}

#[test]
fn every_field_of_every_table_is_copied_to_postgresql_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let [from, back] = ["podbell.db", "back.db"].map(|name| folder.path().join(name));
    let [file, copied] = [&from, &back].map(|path| Location::from(path.clone()));
    let database = location(&test_server::database());
    drop(file.writer(Duration::ZERO, NOW).unwrap());
    crate::sqlite::fill_every_table(&from);
    let counts = file.copy_to(&database).unwrap();
    assert!(counts.iter().all(|(_, rows)| *rows == 2), "{counts:?}");
    assert_eq!(database.copy_to(&copied).unwrap(), counts);
    let (before, after) = (crate::sqlite::dump(&from), crate::sqlite::dump(&back));
    assert!(before.len() > 40);
    assert_eq!(after, before);
    // New commands get numbers that no copied one has.
    let id = database.inbox().unwrap().ask(&crate::Command::RetryAll { destination: None }, NOW).unwrap();
    assert!(id > 100, "{id}");
}

#[test]
fn nothing_is_copied_over_a_store_or_while_podbell_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::from(folder.path().join("podbell.db"));
    let database = location(&test_server::database());
    let missing = file.copy_to(&database).unwrap_err().to_string();
    assert!(missing.contains("holds no store"), "{missing}");
    let mut writer = file.writer(Duration::ZERO, NOW).unwrap();
    writer.commit(&one_target("web")).unwrap();
    let running = file.copy_to(&database).unwrap_err().to_string();
    assert!(running.contains("stop it first"), "{running}");
    drop(writer);
    let active = database.writer(Duration::ZERO, NOW).unwrap();
    let running = file.copy_to(&database).unwrap_err().to_string();
    assert!(running.contains("stop it first") && running.contains("postgres://"), "{running}");
    drop(active);
    file.copy_to(&database).unwrap();
    for (from, to) in [(&file, &database), (&database, &file)] {
        let error = from.copy_to(to).unwrap_err().to_string();
        assert!(error.contains("is not empty"), "{error}");
    }
    assert_eq!((targets(&database), targets(&file)), (1, 1));
}

fn connect(address: &str) -> Result<Session, String> {
    Session::open(&server(address)).map_err(|error| error.to_string())
}

#[test]
fn sslmode_means_what_it_means_for_libpq() {
    let plain = test_server::database();
    let named = plain.replace("127.0.0.1", "localhost");
    let fixture = |name: &str| format!("{}/../../tests/fixtures/tls/{name}", env!("CARGO_MANIFEST_DIR"));
    let (ours, other) = (fixture("ca.pem"), fixture("self-signed.pem"));
    for (address, mode, root, is_taken) in [
        (&plain, "disable", None, true),
        (&plain, "prefer", None, true),
        (&plain, "require", None, true),
        (&plain, "require", Some(&ours), true),
        (&plain, "require", Some(&other), false),
        (&plain, "verify-ca", Some(&ours), true),
        (&named, "verify-ca", Some(&ours), true),
        (&named, "verify-ca", Some(&other), false),
        (&plain, "verify-full", Some(&ours), true),
        (&named, "verify-full", Some(&ours), false),
        (&plain, "verify-full", None, false),
    ] {
        let root = root.map(|root| format!("&sslrootcert={root}")).unwrap_or_default();
        let connected = connect(&format!("{address}?sslmode={mode}{root}"));
        assert_eq!(connected.is_ok(), is_taken, "{address} {mode} {root}: {connected:?}");
        let Ok(session) = connected else { continue };
        let rows = session.query(Call::new("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).unwrap();
        assert_eq!(rows[0].get::<_, bool>(0), mode != "disable", "{mode}");
    }
}

#[test]
fn a_password_comes_from_the_address_or_from_a_passfile_and_is_shown_nowhere() {
    use std::os::unix::fs::PermissionsExt as _;
    let address = test_server::database();
    run(&address, "CREATE ROLE needs_password LOGIN PASSWORD 's3:cret'");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, "*:*:*:needs_password:s3\\:cret\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with = |user: &str, keys: String| connect(&(address.replace("podbell@", user) + &keys));
    with("needs_password:s3%3Acret@", String::new()).unwrap();
    with("needs_password@", format!("?passfile={}", file.display())).unwrap();
    for (user, keys, part) in [
        ("needs_password:wr0ng@", String::new(), "look at the password"),
        ("needs_password@", String::new(), "password missing"),
        ("someone@", format!("?passfile={}", file.display()), "has no line for"),
        ("needs_password@", "?passfile=/nowhere".to_owned(), "cannot be read"),
    ] {
        let error = with(user, keys).err().unwrap();
        assert!(error.contains(part) && !error.contains("wr0ng") && !error.contains("cret"), "{error}");
    }
}

#[test]
fn of_several_hosts_one_that_answers_serves() {
    let address = test_server::database();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = test_server::shared_address();
    connect(&address.replace(&host, &format!("{silent},{host}"))).unwrap();
    assert!(connect(&address.replace(&host, &silent.to_string())).unwrap_err().contains("cannot connect"));
}
