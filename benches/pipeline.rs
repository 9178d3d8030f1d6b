//! What the way of a list costs against bare parsing: parse + diff + match, and serde_json alone
//! reading the same bytes into borrowed structs.
//!
//! `cargo bench --bench pipeline`
//!
//! Both are measured in turn, round by round, so that a machine that slows down slows both; the
//! ratio is taken pair by pair, and its median is what counts.
#![allow(clippy::unwrap_used)]

mod support;

use std::borrow::Cow;
use std::hint::black_box;
use std::time::Duration;

use serde::Deserialize;
use support::lists::Words;
use support::median;

use podbell::clock;
use podbell::sources::event_list::parse_events;
use podbell_core::diff::{FIRST_POLL_WINDOW, TargetReadings};
use podbell_core::event::{Subject, Target};
use podbell_core::rule::{Field, Pattern, Rule, RuleKey, RuleSettings, Severity};
use podbell_core::rules::{Rules, builtin};
use podbell_core::series::Identities;
use podbell_core::time::Time;
use podbell_core::workload;

const FIRST_SEEN: &str = "2026-01-02 11:04:00";
const BEFORE: &str = "2026-01-02 11:50:00";
const AFTER: &str = "2026-01-02 11:51:00";
/// 11:52 in Shanghai.
const NOW: Time = Time::from_seconds(1_767_325_920);
/// How many pairs are measured, and how long one side of a pair takes.
const ROUNDS: usize = 60;
const ROUND: Duration = Duration::from_millis(15);

fn main() {
    let words = Words::real();
    let sets = [("built-in", builtin::rules(&["slack".into()])), ("1,000 rules", generated(1_000))];
    println!("events  changed  rules        bytes     bare      podbell   ratio (goal 1.5; 100% is only reported)");
    for size in [50, 1000] {
        for percent in [0, 10, 100] {
            for (name, rules) in &sets {
                measure(&words, size, percent, name, rules);
            }
        }
    }
}

fn measure(words: &Words, size: usize, percent: usize, name: &str, rules: &Rules) {
    let changed = |place: usize| percent > 0 && place.is_multiple_of(100 / percent);
    let before = words.answer(size, "web", 7, FIRST_SEEN, |_| (3, BEFORE));
    let after = words.answer(size, "web", 7, FIRST_SEEN, |place| if changed(place) { (5, AFTER) } else { (3, BEFORE) });
    let pipeline = Pipeline::new(rules, before.as_bytes());
    let found = pipeline.run(after.as_bytes(), &mut pipeline.readings.clone());
    assert_eq!(found.0, (0..size).filter(|place| changed(*place)).count(), "the list changes as it should");
    assert_eq!(bare(after.as_bytes()), size);
    let (mut bares, mut pipelines, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let one = seconds(|| (), |()| bare(black_box(after.as_bytes())));
        // What is known of a target before this poll; making the copy is not measured.
        let other = seconds(
            || pipeline.readings.clone(),
            |mut known| {
                let found = pipeline.run(black_box(after.as_bytes()), &mut known);
                (found, known)
            },
        );
        bares.push(one);
        pipelines.push(other);
        ratios.push(other / one);
    }
    println!(
        "{size:6} {percent:7}%  {name:11} {:7} {:7.1} µs {:7.1} µs   {:.2}",
        after.len(),
        median(&mut bares) * 1e6,
        median(&mut pipelines) * 1e6,
        median(&mut ratios),
    );
}

/// Seconds per run; neither making the input nor dropping the output counts.
fn seconds<I, O>(input: impl Fn() -> I, run: impl Fn(I) -> O) -> f64 {
    let begun = clock::monotonic();
    let (mut runs, mut spent) = (0_u32, Duration::ZERO);
    while begun.elapsed() < ROUND {
        let inputs: Vec<I> = (0..16).map(|_| input()).collect();
        let mut outputs = Vec::with_capacity(inputs.len());
        let start = clock::monotonic();
        for input in inputs {
            outputs.push(black_box(run(input)));
        }
        spent += start.elapsed();
        runs += 16;
    }
    spent.as_secs_f64() / f64::from(runs)
}

struct Pipeline<'r> {
    rules: &'r Rules,
    target: Target,
    zone: jiff::tz::TimeZone,
    readings: TargetReadings,
}

impl<'r> Pipeline<'r> {
    /// A target that was read before, a minute ago.
    fn new(rules: &'r Rules, before: &[u8]) -> Self {
        let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
        let mut readings = TargetReadings::default();
        let list = parse_events(before, &zone).unwrap();
        let a_minute_ago = NOW.minus(Duration::from_secs(60));
        readings.observe(&list.events, &mut Identities::new(1), FIRST_POLL_WINDOW, a_minute_ago);
        Self { rules, target: Target::new("prod", "cls-1", "shop", "web"), zone, readings }
    }

    /// One poll: how many changes there are, and how many claims.
    fn run(&self, body: &[u8], readings: &mut TargetReadings) -> (usize, usize) {
        let list = parse_events(body, &self.zone).unwrap();
        let diff = readings.observe(&list.events, &mut Identities::new(1), FIRST_POLL_WINDOW, NOW);
        let claims = diff.changes.iter().map(|change| {
            let event = &change.event;
            let workload = workload::of(&event.obj_type, &event.obj_name);
            self.rules.claims(&Subject { target: &self.target, event, workload }).len()
        });
        (diff.changes.len(), claims.sum())
    }
}

#[derive(Deserialize)]
struct BareAnswer<'a> {
    #[serde(borrow)]
    data: BareData<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BareData<'a> {
    #[serde(borrow)]
    event_list: Vec<BareEvent<'a>>,
}

/// Texts that hold no escape are borrowed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "parsing them is what is measured")]
struct BareEvent<'a> {
    first_seen: &'a str,
    last_seen: &'a str,
    count: u64,
    level: &'a str,
    obj_type: &'a str,
    obj_name: &'a str,
    reason: &'a str,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

/// Only parsing.
fn bare(body: &[u8]) -> usize {
    let answer: BareAnswer<'_> = serde_json::from_slice(body).unwrap();
    black_box(&answer.data.event_list).len()
}

/// Rules of a hundred teams: a namespace's objects, a reason, an expression with a literal.
fn generated(count: usize) -> Rules {
    let make = |i: usize| {
        let key = RuleKey { file: "rules.yaml".into(), name: format!("rule-{i}").into() };
        let mut rule = Rule::new(RuleSettings::new(key, Severity::Warning, vec!["slack".into()]));
        let reason = ["Failed", "BackOff", "Unhealthy", "FailedMount", "FailedScheduling"][i % 5];
        let expression = format!("/(pull|mount)(ing)? .*team-{i}|exit code {i}$/");
        for (field, text) in [(Field::Reason, reason), (Field::Message, expression.as_str())] {
            rule.matching = rule.matching.with(field, vec![Pattern::parse(text).unwrap()]);
        }
        rule
    };
    Rules::new((0..count).map(make).collect())
}
