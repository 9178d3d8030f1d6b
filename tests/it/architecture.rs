//! Rules of the source tree that no compiler checks.

use crate::support::sources;

const CORE: &str = "crates/core/src/";

/// A file's code: without comments and without its tests.
pub fn code(text: &str) -> String {
    let tests = text.match_indices("\n#[cfg(test)]\n").map(|(at, _)| at).find(|at| {
        let mut lines = text[*at..].lines().skip_while(|line| line.is_empty() || line.starts_with("#["));
        lines.next().is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    });
    let code = tests.map_or(text, |at| &text[..at]);
    code.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// That it uses nothing of the rest is the compiler's business; the standard library is there for everybody.
#[test]
fn the_core_does_no_input_or_output() {
    let mut wrong = Vec::new();
    let mut files = 0;
    for (path, text) in sources().into_iter().filter(|(path, _)| path.starts_with(CORE)) {
        files += 1;
        for line in code(&text).lines() {
            let forbidden =
                ["std::fs", "std::net", "std::io", "std::env", "std::thread", "std::process", "println!", "eprintln!"];
            if forbidden.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    assert!(files > 20, "the core is there");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A platform's name, wherever it could stand in code: a word, a part of a word, a text.
const PLATFORMS: [&str; 15] = [
    "slack",
    "wecom",
    "feishu",
    "qcloud",
    "kubernetes",
    "dingtalk",
    "discord",
    "googlechat",
    "mattermost",
    "telegram",
    "pagerduty",
    "alertmanager",
    "email",
    "lark",
    "microsoft",
];
/// What stands in objects of clusters or names a page of the documentation, and is no word about a platform.
const OTHER_WORDS: [&str; 5] =
    ["qcloud-app", "kubernetes.io", "docs/kubernetes.md", "kind: kubernetes", "kubernetes api server"];
/// Platforms whose names are common words, too: outside of components nothing is called by one. `webhook` and `file`
/// are words for more than the platforms; whoever uses their code is found by its path.
const COMMON: [&str; 2] = ["\"console\"", "\"teams\""];

/// A line without what only looks like a platform's name.
fn without_other_words(line: &str) -> String {
    OTHER_WORDS.iter().fold(line.to_lowercase(), |line, word| line.replace(word, ""))
}

/// What `components/mod.rs` lends of a component to others, under names that say what it does.
const LENT: [&str; 5] = ["Terminal", "recordings", "kubectl", "legacy_api", "message_schema"];

fn is_lent(path: &str) -> bool {
    LENT.iter().any(|lent| path.starts_with(lent))
}

#[test]
fn a_platform_is_named_in_its_folder_and_in_the_registry_only() {
    let mut wrong = Vec::new();
    let elsewhere = |path: &String| !path.starts_with("src/components/");
    for (path, text) in sources().into_iter().filter(|(path, _)| elsewhere(path)) {
        for line in code(&text).lines() {
            let lower = without_other_words(line);
            let inside = line.match_indices("components::").any(|(at, found)| {
                let rest = &line[at + found.len()..];
                !(rest.starts_with("registry") || is_lent(rest))
            });
            if inside || PLATFORMS.iter().chain(&COMMON).any(|platform| lower.contains(platform)) {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    for (path, text) in sources() {
        let Some((own, _)) = path.strip_prefix("src/components/").and_then(|rest| rest.split_once('/')) else {
            continue;
        };
        // Other names of a platform.
        let is_own =
            |platform: &str| own == platform || [("feishu", "lark"), ("teams", "microsoft")].contains(&(own, platform));
        for line in code(&text).lines() {
            let lower = without_other_words(line);
            if PLATFORMS.iter().any(|platform| !is_own(platform) && lower.contains(platform)) {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_component_knows_no_other_component_but_what_it_lends() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(own) = path.strip_prefix("src/components/").and_then(|rest| rest.split_once('/')) else { continue };
        for line in code(&text).lines() {
            let others = line.match_indices("components::").any(|(at, found)| {
                let rest = &line[at + found.len()..];
                !(rest.starts_with(own.0) || is_lent(rest))
            });
            if others {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_but_the_clock_s_asks_what_time_it_is() {
    let clocks = ["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "UNIX_EPOCH.elapsed"];
    let asks =
        |(path, text): &(String, String)| path != "src/clock.rs" && clocks.iter().any(|clock| text.contains(clock));
    let wrong: Vec<_> = sources().into_iter().filter(asks).map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_engine_the_stores_rows_and_the_core_are_told_the_time() {
    let told = |path: &str| [CORE, "src/engine/", "crates/store/src/"].iter().any(|part| path.starts_with(part));
    let asks = |(path, text): &(String, String)| told(path) && code(text).contains("clock::now");
    let wrong: Vec<_> = sources().into_iter().filter(asks).map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Whoever uses a store knows rows and kinds of errors; `location.rs` alone chooses the adapter.
#[test]
fn sqlite_is_spoken_in_its_adapter_alone() {
    let adapter = "crates/store/src/sqlite/";
    let words =
        ["rusqlite", "pragma", "PRAGMA", "-wal", "sqlite_", "interrupt_handle", "SqliteError", "Location::Sqlite"];
    let chooses = ["crates/store/src/location.rs", "crates/store/src/postgres/tests/copies.rs"];
    let mut wrong = Vec::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.starts_with(adapter)) {
        for line in code(&text).lines() {
            let speaks = words.iter().any(|word| line.contains(word));
            let calls = line.contains("sqlite::") && !chooses.contains(&path.as_str());
            if speaks || calls {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
