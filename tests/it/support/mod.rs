//! What several subjects share: building blocks for events, worlds in virtual time, fake receivers
//! and sources.

#[cfg(feature = "outside")]
pub mod apiserver;
#[cfg(feature = "outside")]
pub mod browser;
pub mod chat_servers;
#[cfg(feature = "outside")]
pub mod database;
pub mod dingtalk;
#[cfg(feature = "outside")]
pub mod drawn;
pub mod emulated;
pub mod endpoint;
pub mod events;
pub mod feishu;
#[cfg(feature = "kubernetes")]
pub mod kube;
#[cfg(feature = "kubernetes")]
pub mod kube_fake;
#[cfg(feature = "kubernetes")]
pub mod kube_objects;
pub mod mattermost;
pub mod notices;
pub mod one_address;
#[cfg(feature = "outside")]
pub mod page;
pub mod platform;
#[cfg(feature = "outside")]
pub mod postgres;
pub mod process;
#[cfg(feature = "outside")]
pub mod proxy;
pub mod receiver;
pub mod reckoning;
pub mod schema;
pub mod scripted;
pub mod signed;
pub mod site;
pub mod slack;
pub mod slack_channel;
pub mod slack_rules;
pub mod smtp;
pub mod status_page;
pub mod telegram;
pub mod tls;
pub mod turmoil;
pub mod wecom;
pub mod world;

use std::path::PathBuf;
use std::time::Duration;

use podbell::chat::answer_delivery::AnswerTiming;
use podbell::chat::reconnect::{ConnectionTiming, Pauses};
use podbell_core::outbox::pace::Pace;

/// Faster than any test asks.
pub const FAST: Pace = Pace { limit: 10_000, per: Duration::from_secs(1), kept_for_critical: 0 };
/// Answers are posted again at once.
pub const QUICK_ANSWERS: AnswerTiming = AnswerTiming { again: Duration::from_millis(5), pace: FAST };
/// A connection that is opened again at once.
pub const QUICK_CONNECTION: ConnectionTiming = ConnectionTiming {
    open: Duration::from_secs(5),
    ping: Duration::from_millis(50),
    silence: Duration::from_secs(1),
    pauses: Pauses {
        first: Duration::from_millis(5),
        longest: Duration::from_millis(50),
        refused: Duration::from_millis(50),
        displaced: Duration::from_millis(50),
    },
};

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

/// All of the program's own files, by their path in the repository.
pub fn sources() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut sources) = (vec![root.join("src"), root.join("crates")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                sources.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 50, "the sources are there");
    sources.sort();
    sources
}
