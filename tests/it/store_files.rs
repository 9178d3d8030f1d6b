//! What becomes of the store's files while nobody looks, or under a running podbell: who owns them, backups that are
//! put back, files that are deleted, replaced, or may not be written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use podbell_core::notice::{Info, NoticeBody, StoreFate};
use podbell_core::outbox::Outcome;
use podbell_store::ErrorKind;
use podbell_store::sqlite::{self, Ownership, SqliteError, Store};

use crate::support::events::warning;
use crate::support::process::{PATIENCE, Process, eventually, podbell, printed, within};
use crate::support::receiver::Receiver;
use crate::support::site::Site;
use crate::support::world::{World, WorldSpec, web};

/// Everything goes to `team`; podbell's own trouble to `ops`.
pub fn spec() -> WorldSpec {
    WorldSpec { destinations: vec![("team", None), ("ops", None)], operator: vec!["ops"], ..WorldSpec::default() }
}

/// What `ops` was told of the store, in the order of telling.
pub fn fates(world: &World) -> Vec<StoreFate> {
    let told = world.log.iter().filter(|request| request.outcome == Outcome::Delivered && request.to == "ops");
    let bodies = told.flat_map(|request| &request.notices).map(|notice| &notice.body);
    let fate = |body: &NoticeBody| match body {
        NoticeBody::Info(Info::Store { fate, .. }) => Some(fate.clone()),
        _ => None,
    };
    bodies.filter_map(fate).collect()
}

/// Every so many seconds another pod of `web` fails, and is told.
pub fn trouble(world: &mut World, pods: std::ops::Range<i64>) {
    for pod in pods {
        let at = 60 + pod * 60;
        world.run_until(at);
        world.poll(&web(), &[warning(&format!("job{pod}-x2x7v"), "FailedMount", "m", 1, at - 5, at - 5)]);
        world.run_until(at + 30);
    }
}

pub fn beside(store: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", store.display()))
}

fn backup(store: &Path) -> PathBuf {
    let copy = beside(store, "-backup-of-a-test");
    rusqlite::Connection::open(store).unwrap().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    copy
}

/// As docs/operations.md says.
pub fn put_back(copy: &Path, store: &Path) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(beside(store, suffix));
    }
    fs::copy(copy, store).unwrap();
}

#[test]
fn after_a_backup_was_put_back_no_message_carries_an_id_that_another_one_had() {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    trouble(&mut world, 0..3);
    let copy = backup(&world.store_path());
    trouble(&mut world, 3..6);
    let before = world.log.len();
    world.kill();
    put_back(&copy, &world.store_path());
    world.start();
    trouble(&mut world, 6..9);
    assert!(world.log.len() > before + 2, "{:?}", world.told());
    let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
    for request in &world.log {
        let known = bodies.entry(&request.id).or_insert(&request.body);
        assert_eq!(*known, &request.body[..], "{} stands for two messages", request.id);
    }
    let fates = fates(&world);
    assert!(matches!(fates[..], [StoreFate::WentBack { commits: 1.., from: Some(_), .. }]), "{fates:?}");
}

#[test]
fn a_restart_without_a_loss_says_nothing_and_repeats_what_was_in_flight_with_its_id() {
    let mut world = World::new(spec());
    world.receiver("team", |_, attempt| match attempt {
        // Killed before its answer comes.
        1 => (Outcome::Delivered, std::time::Duration::from_secs(3600)),
        _ => (Outcome::Delivered, std::time::Duration::ZERO),
    });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    trouble(&mut world, 0..1);
    world.kill();
    world.start();
    trouble(&mut world, 1..3);
    let ids: Vec<&str> = world.log.iter().filter(|request| request.to == "team").map(|request| &*request.id).collect();
    assert_eq!(ids[0], ids[1], "the same message again");
    assert_ne!(ids[1].rsplit_once('_').unwrap().0, ids[2].rsplit_once('_').unwrap().0, "a start has its own ids");
    assert!(fates(&world).is_empty(), "{:?}", fates(&world));
}

#[test]
fn a_backup_in_the_place_of_a_store_that_was_found_damaged_is_a_backup() {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    trouble(&mut world, 0..2);
    let copy = backup(&world.store_path());
    trouble(&mut world, 2..4);
    world.kill();
    sqlite::mark_damaged(&world.store_path(), "page 7 is no page");
    put_back(&copy, &world.store_path());
    world.start();
    trouble(&mut world, 4..5);
    assert!(matches!(fates(&world)[..], [StoreFate::WentBack { .. }]), "{:?}", fates(&world));
    // And what was found is forgotten with it.
    world.kill();
    world.start();
    trouble(&mut world, 5..6);
    assert_eq!(fates(&world).len(), 1, "{:?}", fates(&world));
    // The damaged one itself is not gone on with.
    world.kill();
    sqlite::mark_damaged(&world.store_path(), "page 7 is no page");
    world.start();
    trouble(&mut world, 6..7);
    assert!(matches!(&fates(&world)[1..], [StoreFate::Mended { why, .. }] if why == "page 7 is no page"));
}

#[test]
fn another_store_in_the_place_of_the_one_that_was_there_is_told() {
    let mut other = World::new(spec());
    other.watch(&[web()]);
    let copy = backup(&other.store_path());
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.kill();
    put_back(&copy, &world.store_path());
    world.start();
    world.run_until(60);
    assert!(matches!(fates(&world)[..], [StoreFate::Replaced { .. }]), "{:?}", fates(&world));
}

#[test]
fn a_store_has_one_owner_whatever_name_leads_to_it_and_whatever_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("podbell.db");
    let owner = Ownership::take(&store).unwrap();
    let (link, other) = (folder.path().join("link.db"), folder.path().join("other.db"));
    std::os::unix::fs::symlink(&store, &link).unwrap();
    fs::hard_link(&store, &other).unwrap();
    fs::remove_file(beside(&store, ".lock")).unwrap();
    for name in [&store, &link, &other] {
        let error = Ownership::take(name).unwrap_err();
        assert!(matches!(error, SqliteError::Locked { .. }), "{}: {error}", name.display());
        assert!(sqlite::is_owned(name), "{}", name.display());
    }
    drop(owner);
    let owner = Ownership::wait(&other, std::time::Duration::from_secs(20)).unwrap();
    assert!(sqlite::is_owned(&link), "by the other name");
    drop(owner);
    let owner = Ownership::take(&store).unwrap();
    fs::remove_file(&store).unwrap();
    let error = Ownership::take(&store).unwrap_err();
    assert!(matches!(error, SqliteError::Locked { .. }) && !store.exists(), "its owner writes it again: {error}");
    drop(owner);
}

#[test]
fn a_store_that_is_deleted_under_podbell_is_written_again_and_nothing_is_lost() {
    for gone in [&["", "-wal", "-shm"][..], &[""], &["-wal"], &["-shm"], &["-wal", "-shm"]] {
        let mut world = World::new(spec());
        world.watch(&[web()]);
        world.poll(&web(), &[]);
        trouble(&mut world, 0..2);
        for suffix in gone {
            fs::remove_file(beside(&world.store_path(), suffix)).unwrap();
        }
        // Not written for the moment: not ready.
        world.now = crate::support::events::at(220);
        if world.try_turn(Vec::new()).is_err() {
            world.try_turn(Vec::new()).unwrap();
        }
        trouble(&mut world, 4..6);
        assert_eq!(fates(&world), [StoreFate::Rewritten], "{gone:?}");
        // What another start finds is what this one wrote.
        world.kill();
        world.start();
        trouble(&mut world, 6..7);
        assert_eq!(fates(&world), [StoreFate::Rewritten], "{gone:?}");
        let opened = world.told_to("team").iter().filter(|line| line.contains("opened")).count();
        assert_eq!(opened, 5, "{gone:?}: {:?}", world.told_to("team"));
        assert!(Ownership::take(&world.store_path()).is_err(), "it is still owned");
    }
}

#[test]
fn another_file_in_the_place_of_an_open_store_ends_podbell_and_is_not_touched() {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    let copy = backup(&world.store_path());
    fs::rename(&copy, world.store_path()).unwrap();
    let before = fs::read(world.store_path()).unwrap();
    world.now = crate::support::events::at(60);
    let error = world.try_turn(Vec::new()).unwrap_err();
    assert!(error.kind() == ErrorKind::Replaced && error.is_final(), "{error}");
    assert_eq!(fs::read(world.store_path()).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_deleted_under_the_service_is_there_again_and_the_operator_hears_of_it() {
    let receiver = Receiver::start().await;
    let site = Site::quick("http://127.0.0.1:9", &receiver.url("/audit"));
    site.edit("store:", "operator: {notify: [audit]}\nstore:");
    let mut running = site.run().await;
    running.reaches("podbell_commits_total", |commits| commits > 0).await;
    for name in ["podbell.db", "podbell.db-wal", "podbell.db-shm"] {
        fs::remove_file(site.path(name)).unwrap();
    }
    let told = || {
        let all = receiver.received();
        all.iter().find(|request| request.json()["type"] == "info.store").map(|request| request.json())
    };
    let told = eventually(PATIENCE, "the operator is told", told).await;
    assert_eq!(told["data"]["info"]["fate"], "rewritten", "{told}");
    assert!(site.path("podbell.db").exists());
    assert_eq!(running.page("/readyz").await.0, 200);
    assert!(running.process.stop().await.success());
    assert_eq!(site.rows("SELECT count(*) FROM notice"), ["1"]);
}

/// podbell as somebody who is not root, if we are: the binary itself may lie where nobody else can read it.
fn as_nobody(folder: &Path, bin: &Path, args: &[&str]) -> std::process::Command {
    use std::os::unix::process::CommandExt as _;
    if !rustix::process::geteuid().is_root() {
        return podbell(folder, args);
    }
    let mut command = std::process::Command::new(bin.join("podbell"));
    command.current_dir(folder).args(args).env_clear().uid(65_534).gid(65_534);
    command
}

fn binary_for_nobody() -> tempfile::TempDir {
    let bin = tempfile::tempdir().unwrap();
    fs::set_permissions(bin.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_podbell"), bin.path().join("podbell")).unwrap();
    bin
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_may_only_be_read_is_refused_at_the_start_and_works_once_it_may_be_written() {
    let receiver = Receiver::start().await;
    let site = Site::quick("http://127.0.0.1:9", &receiver.url("/audit"));
    fs::set_permissions(site.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    drop(Store::open(&site.path("podbell.db")).unwrap());
    for entry in fs::read_dir(site.folder()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o444)).unwrap();
    }
    let bin = binary_for_nobody();
    let refused = crate::support::process::output(as_nobody(site.folder(), bin.path(), &["run"])).await;
    assert_eq!(refused.status.code(), Some(1), "{}", printed(&refused));
    let said = printed(&refused);
    assert!(said.contains("cannot be written") && said.contains("needs write access"), "{said}");
    fs::set_permissions(site.path("podbell.db"), fs::Permissions::from_mode(0o666)).unwrap();
    let _ = fs::remove_file(site.path("podbell.db.lock"));
    let mut process = Process::start(as_nobody(site.folder(), bin.path(), &["run"]));
    process.word_after("listen=").await;
    assert!(process.stop().await.success(), "{}", process.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_of_the_store_is_private_whatever_the_umask() {
    let receiver = Receiver::start().await;
    for umask in ["0000", "0022", "0077", "0277"] {
        let site = Site::quick("http://127.0.0.1:9", &receiver.url("/audit"));
        let mut command = std::process::Command::new("sh");
        let run = format!("umask {umask}; exec {} run", env!("CARGO_BIN_EXE_podbell"));
        command.args(["-c", &run]).current_dir(site.folder()).env_clear().stdin(std::process::Stdio::null());
        let mut process = Process::start(command);
        process.word_after("listen=").await;
        let files = || {
            let all = fs::read_dir(site.folder()).unwrap().map(Result::unwrap);
            let mine = all.filter(|entry| entry.file_name().to_str().unwrap().starts_with("podbell.db"));
            mine.map(|entry| (entry.file_name(), entry.metadata().unwrap().mode() & 0o777)).collect::<Vec<_>>()
        };
        let five = within(PATIENCE, || (files().len() >= 5).then_some(())).await;
        assert!(five.is_some(), "{umask}: database, log, index, lock and stamp: {:?}", files());
        assert!(files().iter().all(|(_, mode)| *mode == 0o600), "{umask}: {:?}", files());
        assert!(process.stop().await.success());
    }
}

#[test]
fn no_text_from_outside_is_stored_longer_than_it_can_be_told() {
    use podbell::engine::EngineEvent;
    use podbell::sources::SourceEvent;
    use podbell_core::event::{Event, Target};
    use podbell_core::source::Problem;
    use podbell_core::source::TargetEntry;
    let mut world = World::new(spec());
    let long = "n".repeat(1 << 20);
    let targets: Vec<Target> = (0..3).map(|n| Target::new("prod", "cls-1", &format!("{long}{n}"), &long)).collect();
    let target_list = targets.iter().map(|target| TargetEntry { target: target.clone(), discovered: false }).collect();
    world
        .try_turn(vec![EngineEvent::Source(SourceEvent::TargetList {
            source: "prod".into(),
            targets: target_list,
            complete: true,
        })])
        .unwrap();
    world.poll(&targets[0], &[]);
    for round in 0..20_i64 {
        world.run_until(60 * round + 60);
        let at = 60 * round + 55;
        let event = |name: &str, message: &str| Event {
            reason: format!("{long}{name}").into(),
            ..warning(&format!("{long}{name}{round}"), "x", message, 1, at, at)
        };
        let events = [event("a", &long), event("b", "m"), event("c", &long)];
        let polled = SourceEvent::Polled { target: targets[0].clone(), at: world.now, events: events.to_vec() };
        let error = Problem { code: long.clone(), text: long.clone(), advice: long.clone(), gone: false };
        let failed = SourceEvent::Failed { target: targets[1].clone(), at: world.now, error };
        world.try_turn(vec![EngineEvent::Source(polled), EngineEvent::Source(failed)]).unwrap();
    }
    // What begins alike is told apart.
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM series"), 60);
    assert_eq!(count("SELECT count(*) FROM target"), 3);
    let bytes = count("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
    assert!(bytes < 5 << 20, "{bytes} bytes of 200 MB");
    assert!(count("SELECT max(max(length(obj_name), length(reason))) FROM series") <= 512);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_place_for_a_store_is_named() {
    let site = Site::quick("http://127.0.0.1:9", "http://127.0.0.1:9/");
    let fifo = site.path("fifo.db");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(site.path("socket.db")).unwrap();
    for (store, said) in [
        ("fifo.db", "it is a FIFO"),
        ("socket.db", "it is a socket"),
        ("/dev/null", "it is a device"),
        ("rules.yaml/podbell.db", "is a file and no folder"),
    ] {
        let config = fs::read_to_string(site.path("podbell.yaml")).unwrap();
        site.write("podbell.yaml", &config.replace("sqlite:podbell.db", &format!("sqlite:{store}")));
        for command in [&["run"][..], &["doctor"], &["outbox", "list"]] {
            let (code, printed) = site.command(command).await;
            assert_eq!(code, 1, "{printed}");
            assert!(
                printed.contains(said) && printed.contains("name a file") | printed.contains("correct `store:`"),
                "{command:?}: {printed}"
            );
        }
        site.write("podbell.yaml", &config);
    }
}

/// Incidents 1 to 3, the damage, a start that cannot decode incident 2 and so rebuilds the store, and one incident more.
fn rebuilt_after(damage: &str) -> World {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    trouble(&mut world, 0..3);
    world.kill();
    let store = rusqlite::Connection::open(world.store_path()).unwrap();
    store.execute_batch(damage).unwrap();
    store.execute_batch("UPDATE incident SET state = X'01020304' WHERE id = 2").unwrap();
    drop(store);
    world.start();
    trouble(&mut world, 4..5);
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_cannot_be_read_is_named_as_damage_and_what_can_be_read_goes_on() {
    let mut world = rebuilt_after("");
    let fates = fates(&world);
    let [StoreFate::Mended { why, .. }] = &fates[..] else { panic!("{fates:?}") };
    assert!(why.contains("incident 2 cannot be read"), "{why}");
    let ids = world.engine().state().unwrap().incidents().map(|incident| incident.id).collect::<Vec<_>>();
    assert_eq!(ids, [1, 3, 4]);
}

#[test]
fn a_store_is_made_anew_after_a_kill_while_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let (made, left) = (folder.path().join("made.db"), folder.path().join("podbell.db"));
    let making = rusqlite::Connection::open(&made).unwrap();
    let begun = "PRAGMA cache_size = 1; BEGIN; CREATE TABLE meta (key TEXT, value);
        INSERT INTO meta SELECT value, zeroblob(5000) FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8, 9]')";
    making.execute_batch(begun).unwrap();
    // What a kill leaves at this moment.
    fs::copy(&made, &left).unwrap();
    fs::copy(beside(&made, "-journal"), beside(&left, "-journal")).unwrap();
    assert!(fs::metadata(&left).unwrap().len() > 0);
    let owner = Ownership::take(&left).unwrap();
    let mut store = sqlite::Store::open_recovered(owner, podbell::clock::now()).unwrap();
    assert_eq!(podbell_store::Writer::take_recoveries(&mut store), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_that_cannot_be_decoded_costs_no_other_row() {
    for damage in [
        "INSERT INTO rollout VALUES ('qcloud', 'cls-1', 'shop', 'web', 'deployment/web', '{\"at\": 1}')",
        "INSERT INTO source VALUES ('qcloud-2', '[7]')",
        "INSERT INTO trouble VALUES (900, 0, '{}')",
        "INSERT INTO held VALUES ('audit', '{}', '{}')",
        "INSERT INTO mute VALUES (900, 9000000000000, NULL, '{\"id\": \"x\"}')",
        "INSERT INTO destination VALUES ('audit', 'x', '{\"failures\": \"x\"}')",
        "UPDATE delivery SET state = 'due', done_at = NULL, content = 'none' WHERE id = (SELECT max(id) FROM delivery)",
        "UPDATE delivery SET state = 'due', done_at = NULL WHERE id = (SELECT max(id) FROM delivery);
         UPDATE notice SET severity = 'dire' WHERE id = (SELECT max(id) FROM notice)",
        "UPDATE delivery SET state = 'due', done_at = NULL WHERE id = (SELECT max(id) FROM delivery);
         UPDATE notice SET facts = '{}' WHERE id = (SELECT max(id) FROM notice)",
        "UPDATE series SET level = 9 WHERE obj_name = (SELECT max(obj_name) FROM series)",
        "INSERT OR REPLACE INTO meta VALUES ('commit', -1)",
    ] {
        let mut world = rebuilt_after(damage);
        let ids = world.engine().state().unwrap().incidents().map(|incident| incident.id).collect::<Vec<_>>();
        assert_eq!(ids, [1, 3, 4], "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_that_nobody_reads_ends_the_service_and_the_next_start_sets_it_right_and_tells() {
    let receiver = Receiver::start().await;
    let site = Site::quick("http://127.0.0.1:9", &receiver.url("/audit"));
    site.edit("store:", "operator: {notify: [audit]}\nstore:");
    let mut running = site.run().await;
    running.reaches("podbell_commits_total", |commits| commits > 0).await;
    assert!(running.process.stop().await.success());
    let page: usize = site.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'notice_made'")[0].parse().unwrap();
    let mut bytes = fs::read(site.path("podbell.db")).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0);
    fs::write(site.path("podbell.db"), &bytes).unwrap();
    let mut process = Process::start(podbell(site.folder(), &["run"]));
    assert_eq!(process.end(PATIENCE).await.code(), Some(1));
    let said = process.stderr();
    assert!(said.contains("podbell.db is damaged") && said.contains("at its next start it keeps"), "{said}");
    let mut running = site.run().await;
    let told = || receiver.received().iter().map(|one| one.json()).find(|one| one["type"] == "info.store");
    let told = eventually(PATIENCE, "the operator is told", told).await;
    assert_eq!(told["data"]["info"]["fate"], "mended", "{told}");
    let kept = PathBuf::from(told["data"]["info"]["kept"].as_str().unwrap());
    assert!(kept.join("podbell.db").exists() && kept.join("podbell.db.stamp").exists(), "{told}");
    assert!(told["data"]["text"].as_str().unwrap().contains("could be read and podbell goes on"), "{told}");
    assert!(running.process.stop().await.success());
    // Once, and nothing more of it.
    let mut running = site.run().await;
    running.reaches("podbell_commits_total", |commits| commits > 0).await;
    assert!(running.process.stop().await.success());
    let all = receiver.received();
    assert_eq!(all.iter().filter(|one| one.json()["type"] == "info.store").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_space_or_without_inodes_at_the_start_is_named_as_that() {
    let site = Site::quick("http://127.0.0.1:9", "http://127.0.0.1:9/");
    site.edit("sqlite:podbell.db", "sqlite:full/podbell.db");
    fs::create_dir(site.path("full")).unwrap();
    // A file system of its own, in a namespace of its own.
    let namespace = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    for (options, fill, said) in [
        ("size=64k", "dd if=/dev/zero of=full/fill bs=1k count=62", "is full (no space)"),
        ("size=64k", "dd if=/dev/zero of=full/fill bs=1k count=40", "is full (no space)"),
        ("size=8m,nr_inodes=3", "true", "is full (no free inodes"),
        ("size=8m,nr_inodes=4", "true", "is full (no free inodes"),
    ] {
        let script = format!(
            "mount -t tmpfs -o {options} tmpfs full && {fill} 2>/dev/null && exec {} run",
            env!("CARGO_BIN_EXE_podbell")
        );
        let mut command = std::process::Command::new("unshare");
        command.args([namespace, "sh", "-c", &script]).current_dir(site.folder()).stdin(std::process::Stdio::null());
        let refused = crate::support::process::output(command).await;
        let printed = printed(&refused);
        assert!(refused.status.code() == Some(1) && printed.contains(said), "{options}: {printed}");
        assert!(printed.contains("make room"), "{printed}");
    }
}
