//! What rules cost: an event with 10 rules and with 10,000 of several kinds, and loading them.
//!
//! `cargo bench --bench rules`
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::cell::Cell;

use divan::Bencher;
use podbell_core::event::{Event, Level, Subject, Target};
use podbell_core::rule::{Field, Pattern, Rule, RuleKey, RuleSettings, Severity};
use podbell_core::rules::Rules;
use podbell_core::time::Time;

/// Says which kind's memory a child of this process measures: what one kind gave back to the
/// allocator the next one would take again.
const MEMORY_OF: &str = "PODBELL_BENCH_MEMORY_OF";

fn main() {
    if let Ok(kind) = std::env::var(MEMORY_OF) {
        print_memory(KINDS[kind.parse::<usize>().unwrap()]);
        return;
    }
    println!("memory of 10,000 rules, after a hundred events");
    for kind in 0..KINDS.len() {
        let itself = std::env::current_exe().unwrap();
        std::process::Command::new(itself).env(MEMORY_OF, kind.to_string()).status().unwrap();
    }
    divan::main();
}

fn print_memory(kind: Kind) {
    let before = resident();
    let (rules, events) = (Rules::new(rules(kind, SIZES[1])), events());
    claims(&rules, &events);
    println!("{:12} {:6.1} MiB", format!("{kind:?}"), resident() - before);
}

/// Resident memory of this process in MiB.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4.0 / 1024.0
}

/// How many rules: the cost of an event must hardly depend on it.
const SIZES: [usize; 2] = [10, 10_000];

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A reason many share, a message with a literal.
    Literal,
    /// The same, ignoring case.
    IgnoreCase,
    /// Only a message; the literal that tells rules apart is not the longest.
    LiteralOnly,
    /// One expression without any literal; a namespace and a workload for each rule.
    NoLiteral,
    /// A hundred namespaces times a hundred reasons: no key alone tells rules apart.
    Product,
    /// Globs only.
    Glob,
    /// Nothing but an expression without any literal, each different: the worst there is.
    Bare,
}

const KINDS: [Kind; 7] =
    [Kind::Literal, Kind::IgnoreCase, Kind::LiteralOnly, Kind::NoLiteral, Kind::Product, Kind::Glob, Kind::Bare];

fn keys(kind: Kind, i: usize) -> Vec<(Field, String)> {
    use Field::{Message, Namespace, ObjName, ObjType, Reason, Workload};
    match kind {
        Kind::Literal => vec![
            (ObjType, "Pod".into()),
            (Reason, format!("Reason{}", i % 40)),
            (Message, format!("/pull(ing)? image registry/team-{i}:/")),
        ],
        Kind::IgnoreCase => {
            vec![(Reason, format!("Reason{}", i % 40)), (Message, format!("/PULL(ING)? Image Registry/Team-{i}:/i"))]
        }
        Kind::LiteralOnly => vec![(Message, format!("/team-{i}: .*Error syncing pod, skipping: failed/"))],
        Kind::NoLiteral => vec![
            (Namespace, format!("team-{i}")),
            (Workload, format!("web-{i}")),
            (Message, r"/\d+ of \d+ [a-z]+|^\W*$|\d{3}/".into()),
        ],
        Kind::Product => vec![(Namespace, format!("team-{}", i % 100)), (Reason, format!("Reason{}", i / 100))],
        Kind::Glob => vec![(Namespace, format!("team-{i}-*")), (ObjName, format!("*-{i}-*"))],
        Kind::Bare => vec![(Message, format!("/[0-9]{{3}}[{}-z]+[^{}]/", char::from(b'a' + (i % 20) as u8), i % 1000))],
    }
}

fn rules(kind: Kind, count: usize) -> Vec<Rule> {
    let make = |i: usize| {
        let key = RuleKey { file: "rules.yaml".into(), name: format!("rule-{i}").into() };
        let mut rule = Rule::new(RuleSettings::new(key, Severity::Warning, vec!["slack".into()]));
        for (field, text) in keys(kind, i) {
            rule.matching = rule.matching.with(field, Pattern::parse(&text).into_iter().collect());
        }
        rule
    };
    (0..count).map(make).collect()
}

/// Events of which few match any rule, as in life.
fn events() -> Vec<(Target, Event<'static>, String)> {
    events_saying("after 12 tries")
}

/// The same with other words at their end.
fn events_saying(end: &str) -> Vec<(Target, Event<'static>, String)> {
    let make = |i: usize| {
        let target = Target::new("prod", "cls-1", &format!("team-{}", i * 7), "web");
        let name = format!("web-{i}-6d4cf56db6-x2x7v");
        let event = Event {
            first_seen: Time::default(),
            last_seen: Time::default(),
            count: 1,
            level: if i.is_multiple_of(3) { Level::Normal } else { Level::Warning },
            obj_type: "Pod".into(),
            obj_name: name.into(),
            reason: format!("Reason{}", i % 50).into(),
            message: format!(
                "Error syncing pod, skipping: failed to \"StartContainer\" for \"php-redis\" with \
                 ImagePullBackOff: \"Back-off pulling image registry/team-{}:v5\" {end}",
                i * 13
            )
            .into(),
            ..Event::default()
        };
        (target, event, format!("web-{i}"))
    };
    (0..100).map(make).collect()
}

fn claims(rules: &Rules, events: &[(Target, Event<'static>, String)]) -> usize {
    let subjects = events.iter().map(|(target, event, workload)| Subject { target, event, workload });
    subjects.map(|subject| rules.claims(&subject).len()).sum()
}

/// A hundred events that were seen before, as nearly all that change: their count grew.
fn match_events(bencher: Bencher<'_, '_>, kind: Kind, size: usize) {
    let (rules, events) = (Rules::new(rules(kind, size)), events());
    // Expressions are built when they are first needed.
    claims(&rules, &events);
    bencher.bench_local(|| claims(&rules, &events));
}

/// A hundred events whose texts nobody has said before.
fn match_new_texts(bencher: Bencher<'_, '_>, kind: Kind, size: usize) {
    let rules = Rules::new(rules(kind, size));
    claims(&rules, &events());
    let round = Cell::new(0);
    let fresh = || {
        round.set(round.get() + 1);
        events_saying(&format!("after {} tries", round.get()))
    };
    bencher.with_inputs(fresh).bench_local_refs(|events| claims(&rules, events));
}

#[divan::bench(args = KINDS)]
fn hundred_new_texts_10_rules(bencher: Bencher<'_, '_>, kind: Kind) {
    match_new_texts(bencher, kind, SIZES[0]);
}

#[divan::bench(args = KINDS, sample_count = 20)]
fn hundred_new_texts_10k_rules(bencher: Bencher<'_, '_>, kind: Kind) {
    match_new_texts(bencher, kind, SIZES[1]);
}

#[divan::bench(args = KINDS)]
fn hundred_events_10_rules(bencher: Bencher<'_, '_>, kind: Kind) {
    match_events(bencher, kind, SIZES[0]);
}

#[divan::bench(args = KINDS)]
fn hundred_events_10k_rules(bencher: Bencher<'_, '_>, kind: Kind) {
    match_events(bencher, kind, SIZES[1]);
}

#[divan::bench(args = KINDS, sample_count = 5)]
fn compile_10k_rules(kind: Kind) -> Rules {
    Rules::new(rules(kind, SIZES[1]))
}
