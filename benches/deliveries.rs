//! Durable deliveries a second: notices come in as polls, go through the engine and the store to
//! webhooks that answer at once, and count when their answer is committed.
//!
//! `cargo bench --bench deliveries`
//!
//! The real engine, the real store on the disk of the temporary folder (set `TMPDIR` to choose
//! another), `synchronous=FULL`. With "+5 ms" every commit takes 5 ms longer, as on a slow disk: the
//! thread that turns the engine sleeps so long after each turn that committed, before it hands out
//! what may leave. `-- sqlite postgres postgres+2ms postgres+10ms` measures in turn with the store in PostgreSQL on this
//! machine, whose answers come so much later.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use support::postgres::Place;
use support::{Whole, median};

use podbell::clock;
use podbell::engine::{Engine, EngineEvent, EngineParts};
use podbell::sources::SourceEvent;
use podbell_core::event::{Event, Level, Target};
use podbell_core::outbox::{Outcome, Policy};
use podbell_core::rule::{Destination, Field, Pattern, Rule, RuleKey, RuleSettings, Severity};
use podbell_core::rules::Rules;
use podbell_core::source::{Extent, SourceInfo, TargetEntry};
use podbell_core::step::Setup;
use podbell_store::Writer;
use podbell_store::sqlite::Store;

/// What the service takes into one turn at most.
const BATCH: usize = 256;
/// How many polls with one new problem each.
const POLLS: usize = 4_000;
const RUNS: usize = 3;

fn main() {
    println!(
        "store          commits  webhooks   deliveries/s   polls/s  commits/s  deliveries a commit   (median of {RUNS})"
    );
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = ["as is", "+5 ms"].into_iter().zip([Duration::ZERO, Duration::from_millis(5)]);
    for (place, (commits, delay)) in
        Place::named(&arguments).into_iter().flat_map(|place| file.clone().map(move |delay| (place, delay)))
    {
        // A server has its own distance.
        if place.is_server() && !delay.is_zero() {
            continue;
        }
        for webhooks in [1, 4] {
            let mut runs: Vec<Run> = (0..RUNS).map(|_| run(webhooks, delay, place)).collect();
            let mut of =
                |figure: fn(&Run) -> f64| median(&mut runs.iter_mut().map(|run| figure(run)).collect::<Vec<_>>());
            println!(
                "{:14} {commits:7} {webhooks:9} {:14.0} {:9.0} {:10.0} {:20.1}",
                place.name,
                of(|run| run.deliveries / run.seconds),
                of(|run| POLLS as f64 / run.seconds),
                of(|run| run.commits / run.seconds),
                of(|run| run.deliveries / run.commits),
            );
        }
    }
}

struct Run {
    seconds: f64,
    deliveries: f64,
    commits: f64,
}

/// From the first poll until the last answer is committed.
fn run(webhooks: usize, delay: Duration, place: Place) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let postgres = place.start();
    let store: Box<dyn Writer> = match &postgres {
        Some(postgres) => postgres.writer(),
        None => Box::new(Store::open(&folder.path().join("podbell.db")).unwrap()),
    };
    let mut engine = engine(store, webhooks);
    let targets: Vec<Target> =
        (0..POLLS).map(|i| Target::new("prod", "cls-1", &format!("team-{}", i / 20), &format!("web-{i}"))).collect();
    let entries = targets.iter().map(|target| TargetEntry { target: target.clone(), discovered: false }).collect();
    let target_list = SourceEvent::TargetList { source: "prod".into(), targets: entries, complete: true };
    engine.turn(vec![EngineEvent::Source(target_list)], clock::now()).unwrap();

    let mut waiting: VecDeque<EngineEvent> = targets.into_iter().map(poll).map(EngineEvent::Source).collect();
    let (begun, before) = (clock::monotonic(), engine.totals());
    while engine.totals().delivered < (POLLS * webhooks) as u64 {
        let happened: Vec<EngineEvent> = waiting.drain(..waiting.len().min(BATCH)).collect();
        let commits = engine.totals().commits;
        let jobs = engine.turn(happened, clock::now()).unwrap();
        if engine.totals().commits > commits {
            std::thread::sleep(delay);
        }
        // The receivers answer at once; answers and polls share the service's queue.
        for job in jobs {
            waiting.push_front(EngineEvent::Answered(job.send, Outcome::Delivered));
        }
    }
    let totals = engine.totals();
    Run {
        seconds: begun.elapsed().as_secs_f64(),
        deliveries: (totals.delivered - before.delivered) as f64,
        commits: (totals.commits - before.commits) as f64,
    }
}

/// The first contact with a service that has a fresh problem.
fn poll(target: Target) -> SourceEvent {
    let now = clock::now();
    let event = Event {
        first_seen: now.minus(Duration::from_secs(30)),
        last_seen: now,
        count: 3,
        level: Level::Warning,
        obj_type: "Pod".into(),
        obj_name: format!("{}-6d4cf56db6-x2x7v", target.service).into(),
        reason: "BackOff".into(),
        message: "Back-off pulling image \"registry.example.com/shop/web:v5\"".into(),
        ..Event::default()
    };
    SourceEvent::Polled { target, at: now, events: vec![event] }
}

fn engine(store: Box<dyn Writer>, webhooks: usize) -> Engine {
    let names: Vec<Destination> = (0..webhooks).map(|i| format!("hook-{i}").as_str().into()).collect();
    let key = RuleKey { file: "rules.yaml".into(), name: "warnings".into() };
    let mut rule = Rule::new(RuleSettings {
        group_wait: Duration::ZERO,
        ..RuleSettings::new(key, Severity::Critical, names.clone())
    });
    rule.matching = rule.matching.with(Field::Level, vec![Pattern::exactly("Warning")]);
    let info = SourceInfo {
        poll_every: Duration::from_secs(60),
        memory: Duration::from_secs(3600),
        first_poll_window: Duration::from_secs(600),
        utc_offset_seconds: 28_800,
        aliases: BTreeMap::new(),
        extent: Extent::Found,
    };
    let setup = Setup {
        rules: Rules::new(vec![rule]),
        sources: BTreeMap::from([(Arc::from("prod"), info)]),
        operator: Vec::new(),
        destinations: names.iter().cloned().collect(),
        daily: BTreeMap::new(),
    };
    // As a webhook's, see `notifiers`.
    let policy = |name: &Destination| Policy {
        endpoint: name.clone(),
        fingerprint: name.clone(),
        pace: None,
        concurrency: 8,
        threads: None,
        digest_after: None,
    };
    let policies = names.iter().map(|name| (name.clone(), policy(name))).collect();
    let parts = EngineParts { store, setup, policies, renderer: Box::new(Whole), chance: Box::new(|| 0.5) };
    Engine::new(parts, clock::now()).unwrap()
}
