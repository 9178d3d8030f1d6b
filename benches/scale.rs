//! The service at size: 10,000 services of 50 events, read every 60 s, a twentieth of each list
//! changed, over kept-alive connections; its processor time and memory, seen from outside.
//!
//! `cargo bench --bench scale` (14 minutes), or `cargo bench --bench scale -- plain` or `-- tls`, with
//! `trouble` (every service has an incident) or `calm` (one in a hundred has). Two numbers choose
//! another count of services and another interval: `-- plain calm 1667 10` has the same polls a
//! second in a minute. `postgres`, `postgres+2ms` and `postgres+10ms` measure in turn with a store in
//! PostgreSQL on this machine, whose answers come so much later; `sqlite`, the file, is measured without such a word, too.
//!
//! The real `podbell run` in a process of its own; the API and a webhook are this process. Two rounds
//! of polls warm up: the first opens an incident or two for every service and tells them. Then
//! `/proc/PID/stat` is read at the begin and the end of a minute. A bare loop then asks the same server at the
//! same pace, from a process of its own: the same poller, client and parser, and nothing behind them. What
//! podbell takes more than that is its own; the ratio is comparable between machines, the figures are not.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod support;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use podbell::clock;
use podbell::components::qcloud::{self, ApiConfig, ServiceSelection};
use secrecy::SecretString;
use support::postgres::Place;
use support::server::{EVENTS, World};
use support::service::{FILE, Plan, RULES, Service, Services, configure};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, endpoint, targets, seconds] = arguments.as_slice()
        && bare == BARE
    {
        return bare_loop(endpoint, targets.parse().unwrap(), Duration::from_secs(seconds.parse().unwrap()));
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse().ok());
    let targets = numbers.next().unwrap_or(10_000);
    let round = Duration::from_secs(numbers.next().unwrap_or(60) as u64);
    let wanted = |of: &[&str], name: &str| {
        !arguments.iter().any(|argument| of.contains(&argument.as_str())) || arguments.iter().any(|one| one == name)
    };
    println!("{targets} services x {EVENTS} events every {} s, 5% changed", round.as_secs());
    println!(
        "       polls/s  changes/s  commits/s  CPU of a core (user + system)   resident (most)  episodes  incidents"
    );
    for (state, rules) in [("trouble", RULES), ("calm", CALM)] {
        for (name, tls) in [("plain", false), ("tls", true)] {
            if !wanted(&["plain", "tls"], name) || !wanted(&["trouble", "calm"], state) {
                continue;
            }
            for store in Place::named(&arguments) {
                measure(&format!("{name}, {state}"), tls, rules, Size { targets, round }, store);
            }
        }
    }
}

/// How many services are read, and how often each.
#[derive(Clone, Copy)]
struct Size {
    targets: usize,
    round: Duration,
}

/// The same lists, but hardly anybody asks about them.
const CALM: &str = "\
version: 1
defaults: {notify: [hook]}
rules:
  - {name: warnings, match: {service: \"svc-*00\"}}
";

fn measure(name: &str, tls: bool, rules: &str, size: Size, store: Place) {
    let Size { targets, round } = size;
    let postgres = store.start();
    let address = postgres.as_ref().map_or(FILE, |postgres| &postgres.address);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(targets);
    let (api, hook) =
        runtime.block_on(async { (Arc::clone(&world).serve(tls).await, Arc::clone(&world).serve(false).await) });
    let folder = tempfile::tempdir().unwrap();
    let services = Services::Named(targets);
    let listen = configure(folder.path(), Plan { api, hook, tls, services, every: round, rules, store: address });
    let mut service = Service::start(folder.path(), listen);
    assert!(service.ready(Duration::from_secs(10)).is_some(), "it does not start: {}", log(folder.path()));
    warm_up(&world, &service, targets, round);

    let before = Sample::of(&service, &world);
    let server = || postgres.as_ref().map(|postgres| postgres.cpu().as_secs_f64());
    let server_before = server();
    let begun = clock::monotonic();
    std::thread::sleep(round.max(Duration::from_secs(20)));
    let seconds = begun.elapsed().as_secs_f64();
    let after = Sample::of(&service, &world);
    let rate = |figure: fn(&Sample) -> f64| (figure(&after) - figure(&before)) / seconds;
    let (user, system) = (rate(|sample| sample.user) * 100.0, rate(|sample| sample.system) * 100.0);
    let (resident, most) = service.memory();
    println!(
        "{name:14} {:8.1} {:10.1} {:10.1}  {:5.2}% ({user:.2} + {system:.2}) {:18.0} MiB ({most:.0}) {:9.0} {:9.0}",
        rate(|sample| sample.lists),
        rate(|sample| sample.changes),
        rate(|sample| sample.commits),
        user + system,
        resident,
        service.metric("podbell_known_episodes"),
        service.metric("podbell_open_incidents"),
    );
    if let (Some(before), Some(after)) = (server_before, server()) {
        println!(
            "                {}: the server takes {:.2}% of a core",
            store.name,
            (after - before) / seconds * 100.0
        );
    }
    let connections = world.connections.load(Ordering::Relaxed);
    println!("                {} webhooks, {connections} connections in all", world.hooks.load(Ordering::Relaxed));
    drop(service);
    if !tls && postgres.is_none() {
        let bare = bare(api, targets, round, &world);
        println!(
            "                the bare loop takes {bare:.2}%: podbell takes {:.2} x as much",
            (user + system) / bare
        );
    }
}

/// How this program is asked to be the bare loop.
const BARE: &str = "--bare-loop";

/// The processor time of the bare loop, in percent of a core.
fn bare(api: SocketAddr, targets: usize, round: Duration, world: &World) -> f64 {
    let endpoint = format!("http://{api}/v2/index.php");
    let arguments = [BARE.to_owned(), endpoint, targets.to_string(), round.as_secs().to_string()];
    let service = Service::bare(&arguments);
    let begun = world.lists.load(Ordering::Relaxed);
    while world.lists.load(Ordering::Relaxed) < begun + targets as u64 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (before, started) = (service.cpu(), clock::monotonic());
    std::thread::sleep(round.max(Duration::from_secs(20)));
    let (after, seconds) = (service.cpu(), started.elapsed().as_secs_f64());
    ((after.0 + after.1) - (before.0 + before.1)).as_secs_f64() / seconds * 100.0
}

/// Polls and drops what it reads, until it is killed.
fn bare_loop(endpoint: &str, targets: usize, round: Duration) {
    let secret = || SecretString::from("AKIDbench".to_owned());
    let mut config = ApiConfig::new("prod", endpoint.parse().unwrap(), secret(), secret());
    config.poll_every = round;
    config.requests_per_second = NonZeroU32::new(400).unwrap();
    config.services = (0..targets)
        .map(|i| ServiceSelection::Named {
            cluster: "cls-1".to_owned(),
            namespace: support::namespace_of(i),
            names: vec![support::service(i)],
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let http = podbell::http::client(&podbell::http::HttpOptions::default()).unwrap();
        let (events, mut seen) = tokio::sync::mpsc::channel(1024);
        let stopped = tokio_util::sync::CancellationToken::new();
        tokio::spawn(qcloud::task(config, http)(events, stopped));
        while seen.recv().await.is_some() {}
    });
}

fn log(folder: &std::path::Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Two rounds of polls, and until most of what they open was told.
fn warm_up(world: &World, service: &Service, targets: usize, round: Duration) {
    let begun = clock::monotonic();
    let due = || service.metric("podbell_due_deliveries") > 0.0;
    while world.lists.load(Ordering::Relaxed) < 2 * targets as u64 || begun.elapsed() < 2 * round || due() {
        assert!(begun.elapsed() < 5 * round + Duration::from_secs(60), "it does not keep up");
        std::thread::sleep(Duration::from_secs(1));
    }
}

struct Sample {
    user: f64,
    system: f64,
    lists: f64,
    changes: f64,
    commits: f64,
}

impl Sample {
    fn of(service: &Service, world: &World) -> Self {
        let (user, system) = service.cpu();
        Self {
            user: user.as_secs_f64(),
            system: system.as_secs_f64(),
            lists: world.lists.load(Ordering::Relaxed) as f64,
            changes: service.metric("podbell_changes_total"),
            commits: service.metric("podbell_commits_total"),
        }
    }
}
