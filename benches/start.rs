//! How long a start takes with 10,000 services and 10,000 incidents in the store: from starting the
//! process until `/readyz` answers 200.
//!
//! `cargo bench --bench start`
//!
//! The store is made by the real engine: every service is read twice, a minute apart, with 50 events
//! each, of which ten are Warnings, so that an incident opens and is told. Then the real
//! `podbell run` is started on a copy of it ten times, once with services that are discovered and
//! once with podbell.yaml naming all of them. `/readyz` is asked every half millisecond. The bare loop is what
//! SQLite alone needs on one processor to open that store and step through the rows that a start reads; the
//! ratio is comparable between machines, the times are not.
//!
//! `-- sqlite postgres postgres+2ms postgres+10ms` starts in turn with the same store in PostgreSQL on this machine,
//! whose answers come so much later; a start ends in order there, because the next one would wait for the lease.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use support::median;
use support::postgres::{Place, Postgres};
use support::server::{EVENTS, World};
use support::service::{FILE, Plan, Service, Services, configure};
use support::store::{RULES, TARGETS, make_store};

const STARTS: usize = 10;

fn main() {
    let made = tempfile::tempdir().unwrap();
    let begun = clock::monotonic();
    let incidents = make_store(&made.path().join("podbell.db"));
    let size = std::fs::metadata(made.path().join("podbell.db")).unwrap().len() as f64 / 1e6;
    println!(
        "a store with {TARGETS} services, {incidents} incidents, {} series, {size:.0} MB; made in {:.0} s",
        TARGETS * EVENTS,
        begun.elapsed().as_secs_f64()
    );
    let mut bare: Vec<f64> = (0..STARTS).map(|_| bare(made.path()).as_secs_f64() * 1000.0).collect();
    let bare = median(&mut bare);
    println!("reading the rows alone takes {bare:.1} ms");
    println!("store          services     to ready (median of {STARTS})   least    most");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
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
                None => println!(" {:6.2} x", middle / bare),
                Some(_) => println!(),
            }
        }
    }
}

/// Opens a copy of the store and steps through the rows that a start reads, without making anything of them.
fn bare(made: &Path) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("podbell.db");
    std::fs::copy(made.join("podbell.db"), &store).unwrap();
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
