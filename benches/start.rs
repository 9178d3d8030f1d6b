//! How long a start takes with 10,000 services and 10,000 incidents in the store: from starting the
//! process until `/readyz` answers 200.
//!
//! `cargo bench --bench start`
//!
//! The store is made by the real engine: every service is read twice, a minute apart, with 50 events
//! each, of which ten are Warnings, so that an incident opens and is told. Then the real
//! `podbell run` is started on a copy of it ten times, once with services that are discovered and
//! once with podbell.yaml naming all of them. `/readyz` is asked every half millisecond. The bare loop reads the same rows
//! with the same store, in a process of its own, and builds no state of them. What SQLite alone needs on one processor to step
//! through those rows, without making anything of them, is measured, too. The ratios are comparable between machines,
//! the times are not.
//!
//! `-- sqlite postgres postgres+2ms postgres+10ms` starts in turn with the same store in PostgreSQL on this machine,
//! whose answers come so much later; a start ends in order there, because the next one would wait for the lease.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use podbell_store::Writer;
use podbell_store::sqlite::Store;
use support::median;
use support::postgres::{Place, Postgres};
use support::server::{EVENTS, World};
use support::service::{FILE, Plan, Service, Services, configure};
use support::store::{RULES, TARGETS, make_store};
use tempfile::TempDir;

const STARTS: usize = 10;
/// The argument with which this program is the bare loop.
const BARE: &str = "--bare";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, store] = arguments.as_slice()
        && bare == BARE
    {
        bare_loop(Path::new(store));
    }
    let made = tempfile::tempdir().unwrap();
    let begun = clock::monotonic();
    let incidents = make_store(&made.path().join("podbell.db"));
    let size = std::fs::metadata(made.path().join("podbell.db")).unwrap().len() as f64 / 1e6;
    println!(
        "a store with {TARGETS} services, {incidents} incidents, {} series, {size:.0} MB; made in {:.0} s",
        TARGETS * EVENTS,
        begun.elapsed().as_secs_f64()
    );
    let median_of = |measure: fn(&Path) -> Duration| {
        let mut times: Vec<f64> = (0..STARTS).map(|_| measure(made.path()).as_secs_f64() * 1000.0).collect();
        median(&mut times)
    };
    let (bare, stepping) = (median_of(read_rows), median_of(step_through_rows));
    println!(
        "reading the rows without building state takes {bare:.1} ms; SQLite alone steps through them in {stepping:.1} ms"
    );
    println!("store          services     to ready (median of {STARTS})   least    most   times reading, stepping");
    for place in Place::named(&arguments) {
        let postgres = place.start();
        if let Some(postgres) = &postgres {
            postgres.fill(made.path());
        }
        for (name, services) in [("discovered", Services::Discovered), ("named", Services::Named(TARGETS))] {
            let one = |_| start(made.path(), services, postgres.as_ref()).as_secs_f64() * 1000.0;
            let mut times: Vec<f64> = (0..STARTS).map(one).collect();
            let middle = median(&mut times);
            let (least, most) = (times[0], times[times.len() - 1]);
            print!("{:14} {name:10} {middle:16.1} ms {least:17.1} {most:7.1} ms", place.name);
            match postgres {
                None => println!("   {:13.2} {:9.2}", middle / bare, middle / stepping),
                Some(_) => println!(),
            }
        }
    }
}

/// From starting the bare loop's process until it has read a copy of the store.
fn read_rows(made: &Path) -> Duration {
    let (_folder, store) = copied(made);
    let begun = clock::monotonic();
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program).arg(BARE).arg(store).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let took = begun.elapsed();
    assert!(child.wait().unwrap().success());
    assert_eq!(said.trim(), TARGETS.to_string());
    took
}

/// The bare loop's process: reads the rows, says how many services there are, and ends without closing the store.
fn bare_loop(store: &Path) -> ! {
    let mut store = Store::open(store).unwrap();
    let loaded = store.load().unwrap();
    println!("{}", loaded.state.targets.len());
    std::process::exit(0)
}

fn copied(made: &Path) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("podbell.db");
    std::fs::copy(made.join("podbell.db"), &store).unwrap();
    (folder, store)
}

/// Opens a copy of the store and steps through the rows that a start reads, without making anything of them.
fn step_through_rows(made: &Path) -> Duration {
    let (_folder, store) = copied(made);
    let begun = clock::monotonic();
    let connection = rusqlite::Connection::open(&store).unwrap();
    let mut bytes = 0;
    for table in ["incident WHERE ended_at IS NULL", "target", "destination", "trouble", "mute", "delivery", "meta"] {
        let mut query = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            bytes += (0..columns)
                .filter_map(|column| row.get_ref(column).unwrap().as_bytes_or_null().ok()?)
                .map(<[u8]>::len)
                .sum::<usize>();
        }
    }
    assert!(bytes > 0, "the store is not empty");
    begun.elapsed()
}

/// One start, on a copy of the store or on the one in the database.
fn start(made: &Path, services: Services, postgres: Option<&Postgres>) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    if postgres.is_none() {
        std::fs::copy(made.join("podbell.db"), folder.path().join("podbell.db")).unwrap();
    }
    let store = postgres.map_or(FILE, |postgres| &postgres.address);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(TARGETS);
    let api = runtime.block_on(Arc::clone(&world).serve(false));
    let listen = configure(
        folder.path(),
        Plan { api, hook: api, tls: false, services, every: Duration::from_secs(60), rules: RULES, store },
    );
    let begun = clock::monotonic();
    let mut service = Service::start(folder.path(), listen);
    assert!(service.ready(Duration::from_secs(20)).is_some(), "it does not start");
    let took = begun.elapsed();
    service.end();
    took
}
