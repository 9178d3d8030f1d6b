//! What several subjects share: building blocks for events, worlds in virtual time, fake receivers
//! and sources.

pub mod emulated;
pub mod events;
pub mod notices;
pub mod receiver;
pub mod schema;
pub mod scripted;
pub mod slack_rules;
pub mod world;

use std::path::PathBuf;

/// A file of `tests/fixtures`.
pub fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// All lists of real events, with their names.
pub fn lists() -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(fixture("data/lists")).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 15, "the lists are there");
    paths.into_iter().map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}
