//! How much is told, how soon, and whether it is true: labelled days of an invented cluster, and the
//! real recordings, under the built-in rules and the shipped ones.
//!
//! `cargo bench --bench noise`, or `cargo bench --profile dev --bench noise -- 2` for two seeds in a hurry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/corpus/mod.rs"]
mod corpus;

use corpus::{Day, Kind, Measured, SOON, Size, percentile, play};
use podbell_core::rules::Rules;

/// So many days of each kind.
const SEEDS: u64 = 20;
const SIZE: Size = Size { services: 40, hours: 24 };

fn main() {
    let seeds = std::env::args().filter_map(|word| word.parse().ok()).next().unwrap_or(SEEDS);
    for (name, rules) in corpus::sets() {
        println!("\n{name} rules, {seeds} days of each kind, {} services, {} h", SIZE.services, SIZE.hours);
        println!(
            "  day                                polls  changes  messages  fewer   told of   about nothing  a minute"
        );
        let (mut all, mut calmer, mut gentle) = (Measured::default(), Measured::default(), Measured::default());
        for kind in Kind::ALL {
            let measured = days(kind, seeds, rules);
            line(&format!("{kind:?}"), &measured);
            if kind != Kind::Avalanche {
                calmer.add(measured.clone());
            }
            if !kind.is_a_flood() {
                gentle.add(measured.clone());
            }
            all.add(measured);
        }
        for (name, measured) in corpus::situations(rules) {
            line(name, &measured);
        }
        let real = corpus::real_recordings(rules);
        line("recordings", &real);
        line("but aval.", &calmer);
        line("without floods", &gentle);
        line("all", &all);
        details(&all);
    }
}

fn days(kind: Kind, seeds: u64, rules: fn() -> Rules) -> Measured {
    let seeds: Vec<u64> = (0..seeds).collect();
    let half = |seeds: Vec<u64>| {
        seeds.into_iter().fold(Measured::default(), |mut sum, seed| {
            sum.add(play(&Day::new(kind, seed, SIZE), rules()));
            sum
        })
    };
    let (even, odd) = seeds.into_iter().partition(|seed| seed % 2 == 0);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| half(odd));
        let mut sum = half(even);
        sum.add(other.join().unwrap());
        sum
    })
}

fn line(name: &str, measured: &Measured) {
    let Measured { polls, changes, messages, labelled, untold, about_nothing, worst_minute, .. } = measured;
    let told = labelled - untold.len() as u64;
    let (fewer, about_nothing) = (measured.quieter(), about_nothing.len());
    println!(
        "  {name:32} {polls:7}  {changes:7}  {messages:8}  {fewer:4.1}%  {told:4}/{labelled:<4}  {about_nothing:13}  {worst_minute:8}"
    );
}

fn details(all: &Measured) {
    let seconds = |delays: &[f64]| {
        let [half, most, max] = [50, 99, 100].map(|percent| percentile(delays, percent));
        if delays.is_empty() {
            return "none".to_owned();
        }
        format!("{} told: p50 {half:.0} s, p99 {most:.0} s, at most {max:.0} s", delays.len())
    };
    println!("  delay, on their own     {}", seconds(&all.delays));
    let (late, after_failures) = all.late;
    println!("    later than {SOON} s: {late}, {after_failures} of them because a poll failed");
    println!("  delay, in storms        {}", seconds(&all.delays_in_storms));
    println!("  delay, rules that wait  {}", seconds(&all.delays_of_slow_rules));
    println!("  delay, known incidents  {}", seconds(&all.delays_as_news));
    println!("  merged {:?}, louder than a quarter {:?}, untold {:?}", all.merged, all.louder, all.untold);
    println!("  about nothing {:?}", all.about_nothing);
    println!(
        "  image pulls of 2 h and more: {}, told as over too early {:?}",
        all.long_pulls, all.long_pulls_ended_early
    );
    println!("  told as over and not yet so: {:?}", all.ended_early);
    println!("  delay, signals alone    {}", seconds(&all.delays_of_signals));
    println!(
        "  nodes that were down: {}, at most {} messages in five minutes, workloads not named {:?}",
        all.messages_of_nodes.len(),
        all.messages_of_nodes.iter().max().unwrap_or(&0),
        all.unnamed
    );
    println!("  from the end to its message, median and 90th percentile, minutes:");
    for (cause, ends) in &all.ends {
        let [half, most] = [50, 90].map(|percent| percentile(ends, percent) / 60.0);
        println!("    {cause:?}: {half:.0} {most:.0} ({} told)", ends.len());
    }
    println!("  decisions: {} of {} changes, {} without a step", all.decisions, all.changes, all.undecided);
}
