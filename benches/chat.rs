//! Questions of people at size: 500,000 series and 10,000 open incidents stored, while the service polls
//! all of it every minute and delivers.
//!
//! `cargo bench --bench chat` (9 minutes). `-- sqlite postgres postgres+2ms postgres+10ms` measures in turn with the same store in
//! PostgreSQL on this machine, whose answers come so much later, and with the name of a question only that is asked.
//!
//! The real `podbell run` in a process of its own, asked through its API 50 times a second in an open
//! loop: a question has its moment, whether or not those before it were answered, and its time counts
//! from then. First a time without questions, for comparison.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use podbell::clock;
use support::postgres::{Place, Postgres};
use support::server::{EVENTS, World};
use support::service::{FILE, Plan, Service, Services, configure};
use support::store::{TARGETS, make_store};
use support::{namespace_of, service};

/// The rules that the store was made with, but every incident is told again every minute: ten thousand
/// messages that fall due at once, in every row of the table.
const REMINDING: &str = "\
version: 1
defaults: {notify: [hook], group_by: [cluster, namespace, service], remind_every: 1m, min_gap: 0s}
rules:
  - {name: warnings, match: {level: Warning}}
";

const TOKEN: &str = "a-token-of-the-benchmark";
const TEAM: &str = "a-token-of-a-team-that-sees-one-namespace";
/// What is typed, by the number of the question.
type Typed = fn(usize) -> String;

/// Questions a second.
const RATE: u32 = 50;
/// How long each kind of question is asked.
const SPAN: Duration = Duration::from_secs(60);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let incidents = make_store(&folder.path().join("podbell.db"));
    println!("{TARGETS} services, {incidents} incidents, {} series; {RATE} questions a second", TARGETS * EVENTS);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!(
        "question             p50 ms   p99 ms   most ms   polls/s  apart s (p1, p99)  messages/s  after ms (p50, p99)  CPU of a core  the server's"
    );
    for place in Place::named(&arguments) {
        println!("{}", place.name);
        measure(folder.path(), place, &arguments);
    }
}

/// Asks with the store in one place; the file that was made stays as it is.
fn measure(made: &Path, place: Place, arguments: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let postgres = place.start();
    let store = postgres.as_ref().map_or(FILE, |postgres| &postgres.address);
    match &postgres {
        Some(postgres) => postgres.fill(made),
        None => drop(std::fs::copy(made.join("podbell.db"), folder.path().join("podbell.db")).unwrap()),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let world = World::new(TARGETS);
    let api = runtime.block_on(Arc::clone(&world).serve(false));
    let every = Duration::from_secs(60);
    let services = Services::Discovered;
    let listen =
        configure(folder.path(), Plan { api, hook: api, tls: false, services, every, rules: REMINDING, store });
    let yaml = folder.path().join("podbell.yaml");
    let tokens = format!(
        "tokens: [{{name: bench, token: {TOKEN}}}, {{name: team, token: {TEAM}, namespace: {}}}]",
        namespace_of(0)
    );
    let text = std::fs::read_to_string(&yaml).unwrap().replace("server: {", &format!("server: {{{tokens}, "));
    std::fs::write(&yaml, text).unwrap();
    let mut podbell = Service::start(folder.path(), listen);
    assert!(podbell.ready(Duration::from_secs(30)).is_some(), "it does not start");
    // Every service is read twice: what comes then is what comes every minute.
    while podbell.metric("podbell_polls_total") < 2.0 * TARGETS as f64 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let url = format!("http://{listen}/api/v1/commands");
    let measured = Measured { podbell: &podbell, world: &world, postgres: postgres.as_ref() };
    let none = Load::of(measured);
    std::thread::sleep(SPAN);
    none.print("nobody asks", &[], measured);
    let kinds: [(&str, &str, Typed); 6] = [
        ("events SERVICE", TOKEN, |n| format!("events {}", service(n * 7919 % TARGETS))),
        ("events", TOKEN, |_| "events".to_owned()),
        ("events, of a team", TEAM, |_| "events".to_owned()),
        ("incidents --page N", TOKEN, |n| format!("incidents --page {}", 1 + n % 100)),
        ("show ID", TOKEN, |n| format!("show {}", 1 + n * 7919 % TARGETS)),
        ("a name that is none", TOKEN, |n| format!("events svc-{n}x")),
    ];
    let named = |kind: &&(&str, &str, Typed)| arguments.iter().any(|one| one == kind.0);
    let only = kinds.iter().any(|kind| named(&kind));
    for (name, token, question) in kinds.iter().filter(|kind| !only || named(kind)).copied() {
        let load = Load::of(measured);
        let times = runtime.block_on(ask(&url, token, question));
        load.print(name, &times, measured);
    }
}

/// Asks in an open loop. The times in milliseconds, ascending.
///
/// The moments are kept by a thread: a timer of the runtime would be up to a millisecond late, which would count as podbell's.
async fn ask(url: &str, token: &'static str, question: Typed) -> Vec<f64> {
    let client = podbell::http::client(&podbell::http::HttpOptions::default()).unwrap();
    let (moments, mut due) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let begun = clock::monotonic();
        for n in 0..RATE * SPAN.as_secs() as u32 {
            let due = begun + Duration::from_secs(1) * n / RATE;
            std::thread::sleep(due.saturating_duration_since(clock::monotonic()));
            moments.send((n, due)).unwrap();
        }
    });
    let mut asked = tokio::task::JoinSet::new();
    while let Some((n, due)) = due.recv().await {
        let body = format!("{{\"text\": \"{}\"}}", question(n as usize));
        let request = client.post(url).bearer_auth(token).header("content-type", "application/json").body(body);
        asked.spawn(async move {
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
            answer.bytes().await.unwrap();
            due.elapsed().as_secs_f64() * 1000.0
        });
    }
    let mut times = Vec::new();
    while let Some(time) = asked.join_next().await {
        times.push(time.unwrap());
    }
    times.sort_by(f64::total_cmp);
    times
}

/// What is looked at from outside.
#[derive(Clone, Copy)]
struct Measured<'a> {
    podbell: &'a Service,
    world: &'a World,
    postgres: Option<&'a Postgres>,
}

/// What the service does beside answering.
struct Load {
    begun: std::time::Instant,
    polls: f64,
    hooks: f64,
    cpu: Duration,
    server: Option<Duration>,
}

impl Load {
    fn of(measured: Measured<'_>) -> Self {
        let Measured { podbell, world, postgres } = measured;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let (user, system) = podbell.cpu();
        let server = postgres.map(Postgres::cpu);
        world.gaps.lock().unwrap().clear();
        world.delays.lock().unwrap().clear();
        Self {
            begun: clock::monotonic(),
            polls: count(&world.lists),
            hooks: count(&world.hooks),
            cpu: user + system,
            server,
        }
    }

    /// A row of the table.
    fn print(&self, name: &str, times: &[f64], measured: Measured<'_>) {
        let world = measured.world;
        let (mut gaps, mut delays) = (world.gaps.lock().unwrap().clone(), world.delays.lock().unwrap().clone());
        gaps.sort_by(f64::total_cmp);
        delays.sort_by(f64::total_cmp);
        let now = Self::of(measured);
        let seconds = (now.begun - self.begun).as_secs_f64();
        let shown = |time: Option<&f64>| time.map_or("-".to_owned(), |time| format!("{time:.1}"));
        let percent = |after: Duration, before: Duration| {
            format!("{:.1}%", after.saturating_sub(before).as_secs_f64() / seconds * 100.0)
        };
        let server = self.server.zip(now.server).map(|(before, after)| percent(after, before));
        println!(
            "{name:19} {:>7} {:>8} {:>9} {:9.1} {:>9} {:>8} {:11.2} {:>10} {:>9} {:>14} {:>13}",
            shown(share(times, 0.5)),
            shown(share(times, 0.99)),
            shown(times.last()),
            (now.polls - self.polls) / seconds,
            shown(share(&gaps, 0.01).map(|gap| gap / 1000.0).as_ref()),
            shown(share(&gaps, 0.99).map(|gap| gap / 1000.0).as_ref()),
            (now.hooks - self.hooks) / seconds,
            shown(share(&delays, 0.5)),
            shown(share(&delays, 0.99)),
            percent(now.cpu, self.cpu),
            server.as_deref().unwrap_or("-"),
        );
    }
}

/// The value below which such a share of them lies; they ascend.
fn share(times: &[f64], share: f64) -> Option<&f64> {
    times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1)))
}
