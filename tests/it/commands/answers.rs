//! Answers in both languages, from the store of a world in virtual time.

use podbell::health::{count, snapshot};
use podbell::sources::SourceEvent;
use podbell_core::ask::{Entry, Prompt};
use podbell_core::translations::Language;

use super::queries::{Asker, lived};
use crate::support::events::{at, warning};
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
    let mut world = World::with_rules(super::queries::RULES);
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

#[test]
fn entries_that_cannot_be_understood_are_in_status_and_untold_and_counted_and_nobody_says_all_is_well() {
    let mut world = lived();
    let asker = Asker::of(&world);
    assert!(asker.podbell("status").starts_with("💚"), "{}", asker.podbell("status"));
    let unusable = |world: &World, entries| SourceEvent::Unusable { target: web(), at: world.now, entries };
    let said = unusable(&world, 3);
    world.say(said);
    let asker = Asker::of(&world);
    let status = asker.podbell("status");
    assert!(status.starts_with("⚠️") && status.contains("Lists of 1 service have entries"), "{status}");
    assert!(asker.podbell("untold").contains("Lists of 1 service"), "{}", asker.podbell("untold"));
    // Where nothing else is untold it is not all that there was.
    let all_told = asker.podbell("untold --since 1s");
    assert!(all_told.contains("that podbell could read"), "{all_told}");
    let of = |world: &mut World| -> u64 {
        let counted = count(world.engine());
        snapshot(world.engine(), counted).sources.iter().map(|source| source.unusable).sum()
    };
    assert_eq!(of(&mut world), 3);
    // Another team's lists are none of its business.
    let bank = Asker::of(&world).team("bank");
    assert!(!bank.podbell("status").contains("entries"), "{}", bank.podbell("status"));
    let zh = Asker::of(&world).language(Language::Zh).podbell("status");
    assert!(zh.contains("无法解析"), "{zh}");
    let said = unusable(&world, 0);
    world.say(said);
    assert!(Asker::of(&world).podbell("status").starts_with("💚"));
    assert_eq!(of(&mut world), 0);
}

#[test]
fn a_cluster_is_called_by_its_alias_wherever_people_read_or_type_it() {
    let world = lived();
    let asker = Asker::of(&world);
    let muted = asker.podbell("mute web 2h");
    assert!(muted.contains("unmute web -n shop -c prod-gz"), "{muted}");
    for text in ["mute web 2h", "unmute web", "mutes", "events web", "why 1", "show 1", "status", "untold", "incidents"]
    {
        let said = asker.podbell(text);
        assert!(!said.contains("cls-1"), "{text}: {said}");
    }
}

#[test]
fn what_may_not_be_done_and_what_takes_no_name_is_said_in_fitting_words() {
    let world = lived();
    let refused = Asker::of(&world).may_only_read().podbell("mute web 2h");
    assert!(refused.contains("Not allowed here") && !refused.contains("No answer"), "{refused}");
    let named = Asker::of(&world).podbell("incidents shop");
    assert!(
        named.contains("events shop") && named.contains("incidents -n shop") && !named.contains("quotes"),
        "{named}"
    );
}

#[test]
fn in_chinese_answers_have_one_word_for_each_thing_and_just_now_is_a_word() {
    let said = everything(Language::Zh, Prompt::Chat);
    for other in ["静音", "问题", "警告", "存储"] {
        assert_eq!(said.lines().find(|line| line.contains(other)), None, "{other}");
    }
    let asker = Asker::of(&lived()).language(Language::Zh);
    assert!(asker.podbell("events nothing-like-it").contains("未找到名为 nothing-like-it 的服务"));
    let now = asker.at(at(63)).podbell("events web");
    assert!(now.contains("刚刚"), "{now}");
    assert!(now.contains("最近一次变化："), "{now}");
}
