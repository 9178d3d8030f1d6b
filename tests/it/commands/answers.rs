//! Answers in both languages, from the store of a world in virtual time.

use podbell::core::ask::{Entry, Prompt};
use podbell::core::message::Language;

use super::desk::{Asker, lived};
use crate::support::events::warning;
use crate::support::world::{World, web};

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

#[test]
fn why_has_the_opening_and_each_step_beside_the_newest_changes_and_pages_for_the_others() {
    let mut world = World::with_rules(super::desk::RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    for poll in 1..=60i64 {
        let (now, text) = (60 + poll * 15, "Failed to pull image \"shop/web:v2\"");
        world.poll(&web(), &[warning("web-6d4cf56db6-x2x7v", "Failed", text, poll as u64 * 2, 59, now - 1)]);
        world.run_until(now + 1);
    }
    let asker = Asker::of(&world);
    let first = asker.podbell("why 1");
    assert!(first.contains("opened it") && first.contains("between"), "{first}");
    assert!(first.contains("/podbell why 1 --page 2") && first.contains("Page 1 of 6"), "{first}");
    let last = asker.podbell("why 1 --page 6");
    assert!(last.contains("opened it") && !last.contains("--page 7"), "{last}");
    let changes = |said: &str| said.matches("counted, it was open").count();
    assert!((10..20).contains(&changes(&first)), "{first}");
    assert_eq!(changes(&asker.podbell("why 1 --page 3")), 10);
    let zh = Asker::of(&world).language(Language::Zh).podbell("why 1");
    assert!(zh.contains("次变化"), "{zh}");
}
