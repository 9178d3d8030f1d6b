//! From typed text to commands.

use proptest::prelude::*;

use crate::support::events::at;
use podbell_core::ask::{Answer, Entry, Prompt, parse};
use podbell_core::message::Style;
use podbell_core::translations::Language;

/// What people type after `/events`.
const EVENTS: [&str; 16] = [
    "",
    "web",
    "web -n shop -c prod-gz --since 2h --all --reason BackOff --page 3",
    "shop/web",
    "prod-gz/shop/web",
    "web —since=2h",
    "Web　－n　ｓｈｏｐ",
    "web --since 2小时",
    "web --sinse 2h",
    "web --since soon",
    "web --page 0",
    "web -n",
    "web db",
    "a/b/c/d",
    "--since 2h",
    "help",
];

/// What people type after `/podbell`.
const PODBELL: [&str; 37] = [
    "",
    "help",
    "help mute",
    "/events web",
    "/podbell status",
    "Events web",
    "evnts web",
    "frobnicate",
    "incidents -n shop --all --page 2",
    "show #1042",
    "show ＃1042",
    "show",
    "show web",
    "show 1042 1043",
    "ack 1042",
    "ack 99999999999999999999",
    "mute web 2h",
    "mute web -n shop 2h deploying the new version, -n is no option here",
    "mute web 2h -n shop deploying",
    "mute web 2h --rollback of yesterday",
    "mute web 2h --namspace shop",
    "mute web 2h “deploying it”",
    "mute shop/web 30分钟 发布新版本，请稍候",
    "mute 1042 1d",
    "mute 1042 -n shop 1d",
    "mute rule:image-pull 2h",
    "mute rule:rules/shop.yaml:image-pull 2h",
    "mute “rule:image pull” 2h",
    "mute web",
    "mute",
    "mute web later",
    "mute web 8d",
    "mute web 0s",
    "unmute web",
    "why 7",
    "untold --since 2h -n shop",
    "mutes please",
];

fn table(entry: Entry, texts: &[&str]) -> String {
    let line = |text: &&str| match parse(entry, text) {
        Ok(command) => format!("{text:?}\n    {command:?}"),
        Err(mistake) => format!("{text:?}\n    no: {mistake:?}"),
    };
    texts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_follows_events_is_understood_as_people_type_it() {
    insta::assert_snapshot!(table(Entry::Events, &EVENTS));
}

#[test]
fn what_follows_podbell_is_understood_as_people_type_it() {
    insta::assert_snapshot!(table(Entry::Podbell, &PODBELL));
}

fn style(language: Language) -> Style {
    Style { language, time_zone: jiff::tz::TimeZone::UTC, now: at(0) }
}

/// Every mistake in words.
fn mistakes(language: Language) -> String {
    let typed =
        EVENTS.iter().map(|text| (Entry::Events, text)).chain(PODBELL.iter().map(|text| (Entry::Podbell, text)));
    let long = ["a ".repeat(51), "a".repeat(2_001)];
    let long = long.iter().map(|text| parse(Entry::Events, text).unwrap_err());
    let wrong = typed.filter_map(|(entry, text)| parse(entry, text).err()).chain(long);
    let said = wrong.map(|mistake| {
        let message = Answer::Mistake(mistake).compose(&style(language), Prompt::Chat);
        format!("--- {}\n{}", message.title, message.text())
    });
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_mistake_says_what_to_type_instead_in_english() {
    insta::assert_snapshot!(mistakes(Language::En));
}

#[test]
fn every_mistake_says_what_to_type_instead_in_chinese() {
    insta::assert_snapshot!(mistakes(Language::Zh));
}

/// Text that comes near to commands more often than noise does.
fn typed() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("mute".to_owned()),
        Just("events".to_owned()),
        Just("web".to_owned()),
        Just("#1042".to_owned()),
        Just("2h".to_owned()),
        Just("-n".to_owned()),
        Just("—since=".to_owned()),
        Just("“".to_owned()),
        Just("rule:".to_owned()),
        Just("＝－　".to_owned()),
        "\\PC{0,6}",
        any::<String>(),
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn any_text_has_an_answer_and_none_breaks_the_parser(text in typed(), events in any::<bool>(), zh in any::<bool>()) {
        let entry = if events { Entry::Events } else { Entry::Podbell };
        let style = style(if zh { Language::Zh } else { Language::En });
        if let Err(mistake) = parse(entry, &text) {
            let message = Answer::Mistake(mistake).compose(&style, Prompt::Chat);
            prop_assert!(!message.title.is_empty() && !message.text().is_empty());
        }
    }
}
