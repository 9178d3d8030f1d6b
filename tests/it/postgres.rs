//! The whole podbell on PostgreSQL: moving its store there and back, and what the doctor says of it.

use std::path::Path;
use std::process::Command;

use podbell_core::event::Event;
use podbell_core::time::Time;
use podbell_store::Location;

use crate::support::events::warning;
use crate::support::postgres;
use crate::support::world::{World, web};

const RULES: &str = "version: 1
rules:
  - {name: all, match: {reason: '*'}, notify: [team], escalate: {counts: [10]}}
";

fn crash(count: u64, last: i64) -> Vec<Event<'static>> {
    vec![warning("web-6d4cf56db6-x2x7v", "BackOff", "Back-off restarting failed container", count, 60, last)]
}

fn command(from: &str, to: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podbell"));
    command.args(["store", "copy", from, to]);
    command
}

/// By the command that people type.
fn copy(from: &str, to: &str) -> String {
    let output = command(from, to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn podbell_goes_on_with_a_copy_of_its_store_and_tells_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = |path: &Path| format!("sqlite:{}", path.display());
    let [first, last] = ["first.db", "last.db"].map(|name| folder.path().join(name));
    let database = postgres::database();
    let mut world = World::asleep(crate::support::world::WorldSpec {
        rules: vec![RULES.to_owned()],
        ..crate::support::world::WorldSpec::default()
    });
    world.move_to(Location::from(first.clone()));
    world.start();
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &crash(4, 60));
    world.poll_until(&web(), &crash(4, 60), 240);
    let kinds = |world: &World| -> Vec<String> {
        world.told().iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    };
    assert_eq!(kinds(&world), ["team opened #1"]);
    world.kill();
    let said = copy(&sqlite(&first), &database);
    assert!(said.contains("1 services, 1 incidents, 1 deliveries"), "{said}");

    world.move_to(Location::parse(&database, Path::new("/")).unwrap());
    world.start();
    world.poll_until(&web(), &crash(4, 60), 420);
    assert_eq!(kinds(&world), ["team opened #1"], "nothing is told twice");
    world.poll_until(&web(), &crash(40, 430), 600);
    assert_eq!(kinds(&world), ["team opened #1", "team escalated #1"]);
    world.kill();
    copy(&database, &sqlite(&last));

    world.move_to(Location::from(last));
    world.start();
    world.poll_until(&web(), &crash(40, 430), 3 * 3600);
    assert_eq!(kinds(&world), ["team opened #1", "team escalated #1", "team resolved #1"]);
    world.poll_until(&web(), &crash(60, 3 * 3600 + 60), 3 * 3600 + 300);
    let told = kinds(&world);
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn the_doctor_says_how_it_is_with_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = |store: &str| {
        let config = format!(
            "version: 1\nsources: [{{name: file, kind: file, path: x.json}}]\nnotifiers: [{{name: team, kind: console}}]\nstore: {store}\n"
        );
        std::fs::write(folder.path().join("podbell.yaml"), config).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_podbell"))
            .args(["doctor", "--config"])
            .arg(folder.path().join("podbell.yaml"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    };
    let database = postgres::database();
    let said = doctor(&database);
    for part in
        ["is PostgreSQL 1", "the schema podbell can be made", "no standby server", "nothing there yet", "clock agrees"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    let location = Location::parse(&database, Path::new("/")).unwrap();
    let writer = location.writer(std::time::Duration::ZERO, podbell::clock::now()).unwrap();
    let said = doctor(&database);
    assert!(said.contains("is active (epoch 1)") && said.contains("the schema podbell can be written"), "{said}");
    drop(writer);
    let said = doctor(&database.replace("podbell@", "nobody:s3cret@"));
    assert!(said.contains("cannot connect to postgres://nobody@") && !said.contains("s3cret"), "{said}");
}

/// As in a container image that has none, for whoever does not check the server.
#[test]
fn an_unchecked_database_is_reached_without_any_authorities() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("podbell.db");
    drop(Location::from(file.clone()).writer(std::time::Duration::ZERO, Time::from_seconds(1_800_000_000)).unwrap());
    for (mode, is_reached) in [("prefer", true), ("require", true), ("verify-full", false)] {
        let to = format!("{}?sslmode={mode}", postgres::database());
        let output = command(&format!("sqlite:{}", file.display()), &to)
            .env("SSL_CERT_FILE", folder.path().join("none.pem"))
            .env("SSL_CERT_DIR", folder.path().join("none"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_reached, "{mode}: {said}");
        assert!(is_reached || said.contains("TLS cannot be set up"), "{said}");
    }
}
