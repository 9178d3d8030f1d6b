//! The service at size: 10,000 services of 50 events, read every 60 s, a twentieth of each list
//! changed, over kept-alive connections; its processor time and memory, seen from outside.
//!
//! `cargo bench --bench scale` (14 minutes), or `cargo bench --bench scale -- plain` or `-- tls`, with
//! `trouble` (every service has an incident) or `calm` (one in a hundred has). Two numbers choose
//! another count of services and another interval: `-- plain calm 1667 10` has the same polls a
//! second in a minute.
//!
//! The real `podbell run` in a process of its own; the API and a webhook are this process. Two rounds
//! of polls warm up: the first opens an incident or two for every service and tells them. Then
//! `/proc/PID/stat` is read at the begin and the end of a minute.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use podbell::clock;
use support::server::{EVENTS, World};
use support::service::{RULES, Service, Services, configure};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse().ok());
    let targets = numbers.next().unwrap_or(10_000);
    let round = Duration::from_secs(numbers.next().unwrap_or(60) as u64);
    let wanted = |of: &[&str], name: &str| {
        let named = |argument: &String| of.contains(&argument.as_str());
        !arguments.iter().any(named) || arguments.iter().any(|argument| argument == name)
    };
    println!("{targets} services x {EVENTS} events every {} s, 5% changed", round.as_secs());
    println!(
        "       polls/s  changes/s  commits/s  CPU of a core (user + system)   resident (most)  episodes  incidents"
    );
    for (state, rules) in [("trouble", RULES), ("calm", CALM)] {
        for (name, tls) in [("plain", false), ("tls", true)] {
            if wanted(&["plain", "tls"], name) && wanted(&["trouble", "calm"], state) {
                measure(&format!("{name}, {state}"), tls, rules, targets, round);
            }
        }
    }
}

/// The same lists, but hardly anybody asks about them.
const CALM: &str = "\
version: 1
defaults: {notify: [hook]}
rules:
  - {name: warnings, match: {service: \"svc-*00\"}}
";

fn measure(name: &str, tls: bool, rules: &str, targets: usize, round: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(targets);
    let (api, hook) =
        runtime.block_on(async { (Arc::clone(&world).serve(tls).await, Arc::clone(&world).serve(false).await) });
    let folder = tempfile::tempdir().unwrap();
    let listen = configure(folder.path(), api, hook, tls, Services::Named(targets), round, rules);
    let mut service = Service::start(folder.path(), listen);
    assert!(service.ready(Duration::from_secs(10)).is_some(), "it does not start: {}", log(folder.path()));
    warm_up(&world, &service, targets, round);

    let before = Sample::of(&service, &world);
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
    let connections = world.connections.load(Ordering::Relaxed);
    println!("                {} webhooks, {connections} connections in all", world.hooks.load(Ordering::Relaxed));
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
