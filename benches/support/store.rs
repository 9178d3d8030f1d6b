//! A store as a service has it after a while: made by the real engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use podbell::engine::{Engine, EngineEvent, EngineParts};
use podbell::sources::SourceEvent;
use podbell::sources::event_list::{EventList, parse_events};
use podbell_core::event::Target;
use podbell_core::outbox::{Outcome, Policy};
use podbell_core::rule::{Destination, Rule};
use podbell_core::rules::Rules;
use podbell_core::rules::compile::{RuleFile, compile};
use podbell_core::source::{Extent, SourceInfo, TargetEntry};
use podbell_core::step::Setup;
use podbell_store::sqlite::Store;

use super::lists::Words;
use super::server::EVENTS;

/// How many services it has, and open incidents.
pub const TARGETS: usize = 10_000;

/// One incident a service.
pub const RULES: &str = "\
version: 1
defaults: {notify: [hook], group_by: [cluster, namespace, service]}
rules:
  - {name: warnings, match: {level: Warning}}
";

/// Says how many incidents it holds.
pub fn make_store(path: &Path) -> usize {
    let words = Words::real();
    let zone = jiff::tz::TimeZone::UTC;
    let now = clock::now();
    let text = |ago: u64| {
        let at = jiff::Timestamp::from_second(now.minus(Duration::from_secs(ago)).seconds()).unwrap();
        at.strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    let (first, before, after) = (text(3000), text(300), text(10));
    let mut engine = engine(Store::open(path).unwrap());
    let targets: Vec<Target> =
        (0..TARGETS).map(|i| Target::new("prod", "cls-1", &super::namespace_of(i), &super::service(i))).collect();
    let entries = targets.iter().map(|target| TargetEntry { target: target.clone(), discovered: false }).collect();
    let target_list = SourceEvent::TargetList { source: "prod".into(), targets: entries, complete: true };
    engine.turn(vec![EngineEvent::Source(target_list)], now.minus(Duration::from_secs(120))).unwrap();
    for (at, seen, count) in [(60, &before, 3), (0, &after, 5)] {
        let at = now.minus(Duration::from_secs(at));
        for (chunk, some) in targets.chunks(250).enumerate() {
            let polls = some.iter().enumerate().map(|(i, target)| {
                let body = words.answer(EVENTS, &target.service, chunk * 250 + i, &first, |_| (count, seen.as_str()));
                let events = parse_events(body.as_bytes(), &zone).map(EventList::into_owned).unwrap().events;
                EngineEvent::Source(SourceEvent::Polled { target: target.clone(), at, events })
            });
            engine.turn(polls.collect(), at).unwrap();
        }
        deliver(&mut engine);
    }
    engine.state().unwrap().incidents().count()
}

/// Until nothing waits any more.
fn deliver(engine: &mut Engine) {
    let mut answers = Vec::new();
    loop {
        let jobs = engine.turn(std::mem::take(&mut answers), clock::now()).unwrap();
        if jobs.is_empty() {
            return;
        }
        answers.extend(jobs.into_iter().map(|job| EngineEvent::Answered(job.send, Outcome::Delivered)));
    }
}

/// With the rules of the service that will start.
fn engine(store: Store) -> Engine {
    let source = podbell_core::diagnostic::Source::new("rules.yaml", RULES.to_owned());
    let file = RuleFile { source, entry: 0, scope: None, names: Default::default(), defaults: Default::default() };
    let rules: Vec<Rule> = compile(&file).rules.into_iter().map(|located| located.rule).collect();
    let info = SourceInfo {
        poll_every: Duration::from_secs(60),
        memory: Duration::from_secs(3600),
        first_poll_window: Duration::from_secs(600),
        utc_offset_seconds: 28_800,
        aliases: BTreeMap::new(),
        extent: Extent::Found,
    };
    let setup = Setup {
        rules: Rules::new(rules),
        sources: BTreeMap::from([(Arc::from("prod"), info)]),
        operator: vec!["hook".into()],
        destinations: ["hook".into()].into(),
        daily: BTreeMap::new(),
    };
    let policy = Policy {
        endpoint: "hook".into(),
        fingerprint: "hook".into(),
        pace: None,
        concurrency: 250,
        threads: None,
        digest_after: None,
    };
    let policies = BTreeMap::from([(Destination::from("hook"), policy)]);
    let parts = EngineParts {
        store: Box::new(store),
        setup,
        policies,
        renderer: Box::new(super::Whole),
        chance: Box::new(|| 0.5),
    };
    Engine::new(parts, clock::now().minus(Duration::from_secs(120))).unwrap()
}
