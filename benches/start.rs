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
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use support::median;
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
    println!("services     to ready (median of {STARTS})   least    most");
    for (name, services) in [("discovered", Services::Discovered), ("named", Services::Named(TARGETS))] {
        let mut times: Vec<f64> = (0..STARTS).map(|_| start(made.path(), services).as_secs_f64() * 1000.0).collect();
        let middle = median(&mut times);
        let ratio = middle / bare;
        println!("{name:10} {middle:16.1} ms {:17.1} {:7.1} ms {ratio:6.2} x", times[0], times[times.len() - 1]);
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

/// One start on a copy of the store.
fn start(made: &Path, services: Services) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(made.join("podbell.db"), folder.path().join("podbell.db")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(TARGETS);
    let api = runtime.block_on(Arc::clone(&world).serve(false));
    let listen = configure(
        folder.path(),
        Plan { api, hook: api, tls: false, services, every: Duration::from_secs(60), rules: RULES, store: FILE },
    );
    let begun = clock::monotonic();
    let mut service = Service::start(folder.path(), listen);
    assert!(service.ready(Duration::from_secs(10)).is_some(), "it does not start");
    begun.elapsed()
}
