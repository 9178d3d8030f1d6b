//! Days of an invented cluster: trouble is injected, its labels are fixed by what was injected, and
//! the event lists follow from how Kubernetes writes events. No rule has a say in any of it.
//!
//! Shared by `tests/it/noise.rs` and `benches/noise.rs`. The same seed makes the same day.
#![allow(dead_code, unused_imports, reason = "each of the two uses a part")]

mod causes;
mod day;
mod dice;
mod fleet;
mod judge;
mod measure;
mod situations;
mod state_causes;
mod states;
mod writer;

pub use day::{Cause, Day, Kind, Size};
pub use judge::SOON;
pub use measure::{Measured, Played, percentile, play};

use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use podbell::components::file::play_maker::{PlayOptions, make};
use podbell::components::file::recording::parse_single;
use podbell_core::diagnostic::Source;
use podbell_core::event::Target;
use podbell_core::rule::Destination;
use podbell_core::rules::settings::Partial;
use podbell_core::rules::{Names, RuleFile, Rules, builtin, compile};

/// The chat of the sets below.
pub const CHAT: &str = "team-chat";

/// Makes a set of rules.
pub type Set = fn() -> Rules;

/// The sets that are measured.
pub fn sets() -> [(&'static str, Set); 2] {
    [("built-in", built_in), ("shipped", shipped)]
}

/// The built-in set.
pub fn built_in() -> Rules {
    builtin::rules(&[Destination::from(CHAT)])
}

/// `rules/kubernetes.yaml`.
pub fn shipped() -> Rules {
    let file = RuleFile {
        source: Source::new("rules/kubernetes.yaml", include_str!("../../rules/kubernetes.yaml")),
        entry: 0,
        scope: None,
        names: Names::default(),
        defaults: Partial::notifying(vec![CHAT.into()]),
    };
    let compiled = compile(&file);
    assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
    Rules::new(compiled.rules.into_iter().map(|located| located.rule).collect())
}

/// The real recordings, each played for itself.
pub fn real_recordings(rules: impl Fn() -> Rules) -> Measured {
    let mut sum = Measured::default();
    for (name, text) in lists() {
        let events = parse_single(&text, &TimeZone::UTC).expect("a list").events;
        let target = Target::new(&source(), "cls-1", "default", "web");
        let polls = make(events, &PlayOptions::default()).expect("a play of reasonable length");
        let polls = polls.map(|poll| (poll.at, 0, poll.outcome.list().map(<[_]>::to_vec)));
        sum.add(Played::polls(rules(), &[target], polls).counted(&name));
    }
    sum
}

/// The lists of `tests/fixtures/data`, with their names.
fn lists() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/lists");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the lists").map(|entry| entry.expect("a list").path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read(path).expect("a list"))).collect()
}

/// Each situation under a set of rules: what it made, and what of it nobody was told.
pub fn situations(rules: impl Fn() -> Rules) -> Vec<(&'static str, Measured)> {
    let target = Target::new(&source(), "cls-1", "shop", "web");
    let play = |situation: situations::Situation| {
        let polls = situation.polls.into_iter().map(|(at, list)| (at, 0, list));
        let played = Played::polls(rules(), std::slice::from_ref(&target), polls);
        let mut measured = played.counted(situation.name);
        let titles = played.titles();
        let untold = situation.told.iter().filter(|part| !titles.iter().any(|title| title.contains(**part)));
        measured.untold.extend(untold.map(|part| format!("{}: {part}", situation.name)));
        (situation.name, measured)
    };
    situations::all().into_iter().map(play).collect()
}

/// The name of the only source.
pub fn source() -> Arc<str> {
    Arc::from("corpus")
}
