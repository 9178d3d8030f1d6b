//! `podbell backup`: a copy of one moment while podbell runs, and a podbell that goes on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use podbell_core::event::Target;
use podbell_core::incident::Phase;
use podbell_core::mute::Muted;
use podbell_core::notice::StoreFate;
use podbell_core::scope::Scope;
use podbell_core::user_action::{Act, ActionResult};
use podbell_store::sqlite::{Store, check_all_pages, mark_damaged};
use podbell_store::{Existing, Location};
use rusqlite::Connection;

use crate::store_files::{beside, fates, put_back, spec, trouble};
use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::events::warning;
use crate::support::process::{PATIENCE, eventually, output, podbell, printed};
use crate::support::receiver::Receiver;
use crate::support::site::{QUICK_RULES, Site};
use crate::support::world::{World, web};

/// What lies in a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn back_up(world: &World, to: &Path) {
    let store = Location::Sqlite(world.store_path());
    store.back_up(to, Existing::Keep, world.now).unwrap();
}

/// The numbers of the incidents that are open.
fn open(world: &mut World) -> Vec<u64> {
    let state = world.engine().state().unwrap();
    state.incidents().filter(|incident| incident.phase == Phase::Open).map(|incident| incident.id).collect()
}

#[test]
fn a_restored_backup_keeps_incidents_and_mutes_tells_what_came_since_and_uses_no_id_or_number_again() {
    for stamp_is_kept in [true, false] {
        let mut world = World::new(spec());
        let api = Target::new("prod", "cls-1", "shop", "api");
        world.watch(&[web(), api.clone()]);
        world.poll(&web(), &[]);
        world.poll(&api, &[]);
        trouble(&mut world, 0..3);
        let what = Muted::Service { cluster: None, namespace: Some("shop".into()), service: "api".into() };
        let mute = Act::Mute { what, lasts: Duration::from_secs(86_400), why: None };
        let muted = world.act("zhang", &Scope::default(), mute);
        assert!(matches!(muted, ActionResult::Muted { .. }), "{muted:?}");
        let before = open(&mut world);
        let (made, copy) = (world.now, beside(&world.store_path(), "-backup"));
        back_up(&world, &copy);
        trouble(&mut world, 3..6);
        let since: Vec<u64> = open(&mut world).into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(since.len(), 3);
        world.kill();
        put_back(&copy, &world.store_path());
        if !stamp_is_kept {
            fs::remove_file(beside(&world.store_path(), ".stamp")).unwrap();
        }
        world.start();
        let told = world.log.len();
        // What came since the backup is still listed, and something new is.
        let listed = [3, 4, 5, 6].map(|pod: i64| {
            let at = 60 + pod * 60;
            warning(&format!("job{pod}-x2x7v"), "FailedMount", "m", 1, at - 5, at - 5)
        });
        world.run_until(480);
        world.poll(&web(), &listed);
        world.run_until(600);

        let fates = fates(&world);
        match (&fates[..], stamp_is_kept) {
            ([StoreFate::WentBack { commits: 1.., .. }], true) => {}
            ([StoreFate::Restored { from }], false) => assert_eq!(*from, made),
            other => panic!("{other:?}"),
        }
        let now = open(&mut world);
        assert!(before.iter().all(|id| now.contains(id)), "{before:?} {now:?}");
        let new: Vec<u64> = now.into_iter().filter(|id| !before.contains(id)).collect();
        assert_eq!(new, [2000, 2001, 2002, 2003]);
        let mutes = world.reader().snapshot().unwrap().mutes(world.now).unwrap();
        assert_eq!(mutes.len(), 1, "{mutes:?}");
        let team: Vec<_> = world.log[told..].iter().filter(|request| request.to == "team").collect();
        assert!(!team.is_empty());
        let mut bodies: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for request in &world.log {
            let known = bodies.entry(&request.id).or_insert(&request.body);
            assert_eq!(*known, &request.body[..], "{} stands for two messages", request.id);
        }
        // The next start is one like any other.
        world.kill();
        world.start();
        trouble(&mut world, 10..11);
        assert_eq!(fates.len(), crate::store_files::fates(&world).len());
        assert!(open(&mut world).iter().all(|id| *id < 2010), "numbers are left out once");
    }
}

#[test]
fn a_newer_backup_in_the_place_of_an_older_one_that_ran_is_recognised() {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    let [older, newer] = ["-older", "-newer"].map(|name| beside(&world.store_path(), name));
    back_up(&world, &older);
    trouble(&mut world, 0..9);
    let made = world.now;
    back_up(&world, &newer);
    world.kill();
    put_back(&older, &world.store_path());
    world.start();
    trouble(&mut world, 9..10);
    world.kill();
    put_back(&newer, &world.store_path());
    world.start();
    trouble(&mut world, 10..11);
    let fates = fates(&world);
    let [StoreFate::WentBack { .. }, StoreFate::Restored { from }] = &fates[..] else { panic!("{fates:?}") };
    assert_eq!(*from, made);
    assert!(open(&mut world).iter().any(|id| *id >= 1000), "numbers are left out");
}

#[test]
fn a_backup_of_the_very_commit_at_which_a_store_was_found_damaged_is_a_backup() {
    let mut world = World::new(spec());
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    trouble(&mut world, 0..2);
    let copy = beside(&world.store_path(), "-backup");
    back_up(&world, &copy);
    let before = open(&mut world);
    world.kill();
    mark_damaged(&world.store_path(), "page 7 is no page");
    put_back(&copy, &world.store_path());
    world.start();
    // No commit is missing, so that there is nothing to tell.
    trouble(&mut world, 2..3);
    assert_eq!(fates(&world), Vec::<StoreFate>::new());
    assert!(before.len() == 2 && before.iter().all(|id| open(&mut world).contains(id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_running_service_is_private_and_another_service_goes_on_with_it() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("store:", "operator: {notify: [audit]}\nstore:");
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let mut running = site.run().await;
    running.reaches("podbell_sends_delivered_total", |sent| sent >= 1).await;
    eventually(PATIENCE, "settled", || (site.rows("SELECT DISTINCT settled FROM send") == ["delivered"]).then_some(()))
        .await;
    let (code, said) = site.command(&["backup", "copy.db"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(
        said.starts_with("wrote copy.db: ") && said.contains(" KiB, commit ") && said.ends_with(" s old\n"),
        "{said}"
    );
    assert_eq!(fs::metadata(site.path("copy.db")).unwrap().mode() & 0o777, 0o600);
    let copies: Vec<_> = files(site.folder()).into_iter().filter(|name| name.starts_with("copy")).collect();
    assert_eq!(copies, ["copy.db"]);
    check_all_pages(&site.path("copy.db")).unwrap();
    // On standard output, and what is said of it beside it.
    let streamed = output(podbell(site.folder(), &["backup", "-"])).await;
    assert!(streamed.status.success() && streamed.stdout.starts_with(b"SQLite format 3\0"));
    let said = String::from_utf8(streamed.stderr).unwrap();
    assert!(said.starts_with("wrote ") && said.contains(", commit "), "{said}");
    fs::write(site.path("streamed.db"), &streamed.stdout).unwrap();
    check_all_pages(&site.path("streamed.db")).unwrap();
    assert!(!files(site.folder()).iter().any(|name| name.contains("unfinished")), "{:?}", files(site.folder()));
    assert_eq!(running.page("/readyz").await.0, 200);
    assert_eq!(running.metric("podbell_failed_commits_total").await, Some(0));
    assert!(running.process.stop().await.success());

    site.edit("sqlite:podbell.db", "sqlite:copy.db");
    let mut running = site.run().await;
    let told = || receiver.received().iter().map(|one| one.json()).find(|one| one["type"] == "info.store");
    let told = eventually(PATIENCE, "the operator is told", told).await;
    assert_eq!(told["data"]["info"]["fate"], "restored", "{told}");
    assert!(told["data"]["text"].as_str().unwrap().contains("is a backup that was made at"), "{told}");
    running.reaches("podbell_open_incidents", |open| open == 1).await;
    assert!(running.process.stop().await.success());
    let opened = receiver.received().iter().filter(|one| one.json()["type"] == "incident.opened").count();
    assert_eq!(opened, 1);
}

#[test]
fn a_writer_goes_on_while_a_large_store_is_backed_up_and_the_copy_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("podbell.db");
    drop(Store::open(&path).unwrap());
    let writer = Connection::open(&path).unwrap();
    writer.execute_batch("CREATE TABLE filler (content BLOB); CREATE TABLE one (n); CREATE TABLE two (n)").unwrap();
    writer
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
             INSERT INTO filler SELECT zeroblob(1000000) FROM n",
        )
        .unwrap();
    let copy = folder.path().join("copy.db");
    let location = Location::Sqlite(path);
    let (to, now) = (copy.clone(), crate::support::events::START);
    let backup = std::thread::spawn(move || location.back_up(&to, Existing::Keep, now));
    let (mut commits, mut longest) = (0, Duration::ZERO);
    while !backup.is_finished() {
        let begun: Instant = podbell::clock::monotonic();
        writer
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO one VALUES (1); INSERT INTO two VALUES (1); COMMIT")
            .unwrap();
        longest = longest.max(begun.elapsed());
        commits += 1;
    }
    let written = backup.join().unwrap().unwrap();
    println!("{commits} commits beside the backup, the longest in {longest:?}");
    assert!(written.bytes > 20_000_000 && commits > 20, "{written:?}, {commits} commits");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    let copy = Connection::open(&copy).unwrap();
    let count = |table: &str| copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    assert_eq!(count("one").unwrap(), count("two").unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_a_backup_from_being_made_is_named_with_what_to_do_and_nothing_is_changed() {
    let site = Site::quick("http://127.0.0.1:9", "http://127.0.0.1:9/");
    let (code, said) = site.command(&["backup", "copy.db"]).await;
    assert!(code == 1 && said.contains("there is no store yet; `podbell run` makes it"), "{said}");
    drop(Store::open(&site.path("podbell.db")).unwrap());
    site.write("there.db", "something else");
    site.write("used.db", "another store");
    site.write("used.db-wal", "its log");
    fs::create_dir(site.path("folder")).unwrap();
    fs::hard_link(site.path("podbell.db"), site.path("link.db")).unwrap();
    let owner = podbell_store::sqlite::Ownership::take(&site.path("owned.db")).unwrap();
    let under_way = fs::File::create(site.path("busy.db.podbell-unfinished")).unwrap();
    under_way.lock().unwrap();
    let before = files(site.folder());
    for (args, what) in [
        (&["no/copy.db"][..], "there is no folder no: make it"),
        (&["there.db"], "that file exists: choose another name, or replace it with --force"),
        (&["--force", "folder"], "name a file in a folder that exists"),
        (&["--force", "there.db/copy.db"], "name a file in a folder"),
        (&["--force", "podbell.db"], "that is the store itself"),
        (&["--force", "./link.db"], "that is the store itself"),
        (&["--force", "podbell.db-wal"], "that is the store itself, or belongs to it"),
        (&["--force", "podbell.db.stamp"], "that is the store itself, or belongs to it"),
        (&["--force", "used.db"], "used.db-wal belongs to the file that is or was there: move it away"),
        (&["--force", "owned.db"], "a podbell runs on that file as its store"),
        (&["--force", "/dev/null"], "that is no file"),
        (&["busy.db"], "another backup to that file is under way: wait for its end"),
    ] {
        let (code, said) = site.command(&[&["backup"], args].concat()).await;
        assert!(code == 1 && said.starts_with("error: no backup was written to "), "{args:?}: {said}");
        assert!(said.contains(what), "{args:?}: {said}");
    }
    drop((owner, under_way));
    assert_eq!(files(site.folder()), before);
    assert_eq!(fs::read_to_string(site.path("there.db")).unwrap(), "something else");
    // What an interrupted backup left is taken over.
    let (code, said) = site.command(&["backup", "busy.db"]).await;
    assert!(code == 0 && said.contains("no podbell has run on it yet"), "{said}");
    assert!(!site.path("busy.db.podbell-unfinished").exists());
    let (code, said) = site.command(&["backup", "--force", "there.db"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(fs::metadata(site.path("there.db")).unwrap().mode() & 0o777, 0o600);
    check_all_pages(&site.path("there.db")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_makes_no_backup_and_the_last_good_one_stays() {
    let site = Site::quick("http://127.0.0.1:9", "http://127.0.0.1:9/");
    drop(Store::open(&site.path("podbell.db")).unwrap());
    let (code, said) = site.command(&["backup", "copy.db"]).await;
    assert_eq!(code, 0, "{said}");
    let good = fs::read(site.path("copy.db")).unwrap();
    let page: usize = site.rows("SELECT rootpage FROM sqlite_schema WHERE name = 'notice_made'")[0].parse().unwrap();
    let mut bytes = fs::read(site.path("podbell.db")).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0);
    fs::write(site.path("podbell.db"), &bytes).unwrap();
    let (code, said) = site.command(&["backup", "--force", "copy.db"]).await;
    assert!(code == 1 && said.contains("the store is damaged: ") && said.contains("Restart podbell"), "{said}");
    assert_eq!(fs::read(site.path("copy.db")).unwrap(), good);
    assert!(!files(site.folder()).iter().any(|name| name.contains("unfinished")));
    // A backup that was cut off on its way is noticed at the start.
    fs::write(site.path("cut.db"), &good[..good.len() / 2]).unwrap();
    site.edit("sqlite:podbell.db", "sqlite:cut.db");
    let (code, said) = site.command(&["run"]).await;
    assert!(code == 1 && said.contains("and should have"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_without_room_or_that_may_not_be_written_and_a_reader_that_ends_are_named_as_that() {
    let site = Site::quick("http://127.0.0.1:9", "http://127.0.0.1:9/");
    drop(Store::open(&site.path("podbell.db")).unwrap());
    fs::create_dir(site.path("full")).unwrap();
    let namespace = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let podbell = env!("CARGO_BIN_EXE_podbell");
    for (options, then, said) in [
        ("size=64k", "exec $1 backup full/copy.db", "and the disk has 64 KiB free: make room there"),
        ("ro", "exec $1 backup full/copy.db", "full cannot be written by this user"),
        ("size=64k", "set -o pipefail; $1 backup - | true", "no backup was written to -: "),
    ] {
        let script = format!("mount -t tmpfs -o {options} tmpfs full && {then}");
        let mut command = std::process::Command::new("unshare");
        command.args([namespace, "bash", "-c", &script, "bash", podbell]).current_dir(site.folder());
        let refused = output(command).await;
        let printed = printed(&refused);
        assert!(refused.status.code() == Some(1) && printed.contains(said), "{options}: {printed}");
    }
    assert!(!files(site.folder()).iter().any(|name| name.contains("unfinished")));
}
