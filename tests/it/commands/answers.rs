//! Answers in both languages, from the store of a world in virtual time.

use podbell::core::ask::{Entry, Prompt};
use podbell::core::message::Language;

use super::desk::{Asker, lived};

/// Everything that can be asked of the lived-in world.
const ASKED: [&str; 13] = [
    "events",
    "events web",
    "events web --all",
    "events web --reason nothing",
    "incidents",
    "incidents --all",
    "show 1",
    "why 1",
    "mutes",
    "untold",
    "status",
    "help",
    "help mute",
];

fn everything(language: Language, prompt: Prompt) -> String {
    let world = lived();
    let asker = Asker::of(&world).language(language).prompt(prompt);
    let said = ASKED.iter().map(|text| format!("=== {text}\n{}", asker.ask(Entry::Podbell, text)));
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_answer_reads_well_in_english() {
    insta::assert_snapshot!(everything(Language::En, Prompt::Chat));
}

#[test]
fn every_answer_reads_well_in_chinese() {
    insta::assert_snapshot!(everything(Language::Zh, Prompt::Chat));
}

#[test]
fn in_a_terminal_the_next_thing_to_type_is_the_terminal_s() {
    let asker = Asker::of(&lived()).prompt(Prompt::Terminal);
    let said = asker.ask(Entry::Events, "web");
    assert!(said.contains("podbell ack 1") && !said.contains("/podbell"), "{said}");
}
