//! From notices to words: folding, what is said, and how it reads in each language.

use std::time::Duration;

use jiff::tz::TimeZone;
use podbell_core::message::{Message, Style, compose, fold};
use podbell_core::notice::{Info, LastNotified, Notice, NoticeBody, NoticeKind, Story};
use podbell_core::rule::Severity;
use podbell_core::translations::Language;

use crate::support::events::at;
use crate::support::notices::{incident, one_of_each, story};

fn style(language: Language) -> Style {
    Style { language, time_zone: TimeZone::UTC, now: at(2_401) }
}

fn english(notice: &Notice) -> Message {
    compose(notice, &style(Language::En))
}

fn said(message: &Message) -> String {
    format!("{}\n{}", message.title, message.text())
}

fn everything(language: Language) -> String {
    let each = one_of_each();
    let said = each.iter().map(|(name, notice)| format!("--- {name}\n{}\n", said(&compose(notice, &style(language)))));
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_kind_of_notice_reads_well_in_english() {
    insta::assert_snapshot!(everything(Language::En));
}

#[test]
fn every_kind_of_notice_reads_well_in_chinese() {
    insta::assert_snapshot!(everything(Language::Zh));
}

#[test]
fn a2_the_first_sight_of_an_old_problem_tells_one_new_and_forty_in_all() {
    let notice = incident(1, NoticeKind::Opened, Story { occurrences: 1, in_all: 40, ..story() });
    assert_eq!(english(&notice).gist(), "1 new, 40 in all, 6 pods");
}

#[test]
fn a_resolved_incident_is_told_in_the_honest_words_of_the_design() {
    let story = Story {
        reasons: story().reasons[..1].to_vec(),
        quiet_seconds: 900,
        told: Some(LastNotified { at: at(600), occurrences: 134, objects: 6 }),
        ..story()
    };
    let message = english(&incident(1, NoticeKind::Resolved, story));
    let words = "Quiet for 15 min: shop/web BackOff, 03:04-03:43, 134 times, 6 pods. \
                 Events stopped; pod health was not checked.";
    assert_eq!(message.gist(), words);
    assert!(message.over && message.mentions.is_empty(), "nobody is called for good news");
}

#[test]
fn what_is_over_before_it_could_be_told_says_that_this_is_the_first_message() {
    let told = Some(LastNotified { at: at(600), occurrences: 3, objects: 1 });
    for (told, first) in [(None, true), (told, false)] {
        let text = said(&english(&incident(1, NoticeKind::Resolved, Story { told, ..story() })));
        assert_eq!(text.contains("This is the first message about it"), first, "{text}");
    }
}

#[test]
fn a31_three_escalations_that_waited_and_the_resolution_are_one_message_with_the_whole_story() {
    let told = |seconds, occurrences| Some(LastNotified { at: at(seconds), occurrences, objects: 1 });
    let waited = |id: u64, kind, told, occurrences, news: &[&str]| Notice {
        caused_at: at(id as i64 * 60),
        made_at: at(id as i64 * 60 + 5),
        severity: if id == 2 { Severity::Critical } else { Severity::Warning },
        ..incident(
            id,
            kind,
            Story {
                told,
                occurrences,
                in_all: occurrences,
                news: news.iter().map(|word| (*word).to_owned()).collect(),
                quiet_seconds: 900,
                ..story()
            },
        )
    };
    use NoticeKind::*;
    let notices = [
        waited(4, Resolved, told(185, 1_000), 1_034, &[]),
        waited(1, Escalated, told(30, 34), 100, &["Failed: Error: ErrImagePull"]),
        waited(
            3,
            Escalated,
            told(125, 500),
            1_000,
            &["Unhealthy: Readiness probe failed", "Failed: Error: ErrImagePull"],
        ),
        waited(2, Escalated, told(65, 100), 500, &[]),
    ];
    let folded = fold(&notices).unwrap();
    assert_eq!((folded.id, folded.kind, folded.severity), (4, Resolved, Severity::Critical));
    assert_eq!((folded.caused_at, folded.made_at), (at(60), at(65)));
    let text = said(&english(&folded));
    for part in ["Resolved #1042", "1,034 times", "+1,000 since 03:04", "ErrImagePull", "Readiness", "Late: happened"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn an_opening_that_waited_is_still_the_beginning_of_the_story() {
    use NoticeKind::*;
    let kind = |kinds: &[NoticeKind]| {
        let notices: Vec<_> = kinds.iter().zip(1..).map(|(kind, id)| incident(id, *kind, story())).collect();
        fold(&notices).map(|notice| notice.kind)
    };
    assert_eq!(kind(&[]), None);
    assert_eq!(kind(&[Reminded]), Some(Reminded));
    assert_eq!(kind(&[Opened, Escalated, Reminded]), Some(Opened));
    assert_eq!(kind(&[Reopened, Escalated]), Some(Reopened));
    assert_eq!(kind(&[Escalated, Reminded]), Some(Reminded));
    assert_eq!(kind(&[Opened, Resolved]), Some(Resolved));
    assert_eq!(kind(&[Resolved, Reopened]), Some(Reopened));
    assert_eq!(kind(&[Opened, Escalated, Closed]), Some(Closed));
}

#[test]
fn an_end_of_which_nobody_heard_the_beginning_tells_everything() {
    let notices = [incident(1, NoticeKind::Opened, story()), incident(2, NoticeKind::Resolved, story())];
    let text = said(&english(&fold(&notices).unwrap()));
    for part in ["Back-off pulling image", "kubectl -n shop describe pod web-6d4cf56db6-x2x7v", "wiki.example.com"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
}

#[test]
fn a_message_that_is_sent_more_than_five_minutes_late_says_so() {
    let notice = incident(1, NoticeKind::Opened, story());
    let sent = |seconds: i64| compose(&notice, &Style { now: at(2_400 + seconds), ..style(Language::En) }).text();
    assert!(!sent(300).contains("Late"));
    assert!(sent(301).contains("Late: happened 03:43, sent 03:49."));
    assert!(sent(86_400).contains("Late: happened 2026-01-02 03:43, sent 2026-01-03 03:44."));
}

#[test]
fn times_are_the_readers() {
    let shanghai = Style { time_zone: TimeZone::get("Asia/Shanghai").unwrap(), ..style(Language::En) };
    let message = compose(&incident(1, NoticeKind::Opened, story()), &shanghai);
    assert!(message.text().contains("Since: 11:04"), "{}", message.text());
    let tomorrow = Style { now: at(2_400).plus(Duration::from_secs(86_400)), ..shanghai };
    let message = compose(&incident(1, NoticeKind::Opened, story()), &tomorrow);
    assert!(message.text().contains("Since: 2026-01-02 11:04"), "{}", message.text());
}

#[test]
fn only_web_addresses_are_runbooks_and_only_kubernetes_names_are_typed() {
    let said = |change: fn(&mut Story)| {
        let mut story = story();
        change(&mut story);
        english(&incident(1, NoticeKind::Opened, story)).text()
    };
    assert!(said(|_| ()).contains("Runbook: https://wiki.example.com/image-pull?team=shop&page=1"));
    for runbook in ["javascript:alert(1)", "ftp://x", "https://", "https://a b", "wiki/page"] {
        let mut story = story();
        story.runbook = Some(runbook.to_owned());
        let text = english(&incident(1, NoticeKind::Opened, story)).text();
        assert!(!text.contains("Runbook"), "{text}");
    }
    assert!(!said(|story| story.newest.obj_name = "$(reboot)".into()).contains("kubectl"));
    assert!(said(|story| story.newest.obj_type = "Node".into()).contains("kubectl describe node web-"));
}

#[test]
fn the_title_alone_tells_how_urgent_what_and_where() {
    let title = |kind| english(&incident(1, kind, story())).title;
    assert_eq!(title(NoticeKind::Opened), "🔴 Critical #1042 · shop/web: BackOff, Failed · prod-gz");
    assert_eq!(title(NoticeKind::Escalated), "🔴 Critical, worse #1042 · shop/web: BackOff, Failed · prod-gz");
    assert_eq!(title(NoticeKind::Resolved), "✅ Resolved #1042 · shop/web: BackOff, Failed · prod-gz");
}

#[test]
fn an_incident_without_a_workload_is_told_by_what_it_has() {
    let nowhere = Story {
        namespace: String::new(),
        workload: String::new(),
        services: Vec::new(),
        reasons: Vec::new(),
        object_names: Vec::new(),
        ..story()
    };
    let message = english(&incident(1, NoticeKind::Opened, nowhere));
    assert_eq!(message.title, "🔴 Critical #1042 · prod-gz: BackOff");
}

#[test]
fn a_rule_that_mixes_namespaces_does_not_pretend_to_know_one() {
    let mut mixed = story();
    mixed.group.remove(&podbell_core::rule::Field::Namespace);
    let message = english(&incident(1, NoticeKind::Opened, mixed));
    assert!(message.title.contains("· web: BackOff"), "{}", message.title);
    assert!(!message.text().contains("kubectl -n"), "{}", message.text());
}

#[test]
fn in_chinese_every_thing_has_one_word() {
    let said = everything(Language::Zh);
    for other in ["静音", "问题", "警告", "通知渠道"] {
        let line = said.lines().find(|line| line.contains(other));
        assert_eq!(line, None, "{other}");
    }
    assert!(said.contains("告警"), "{said}");
}

#[test]
fn a_source_without_services_yet_is_watched_all_the_same() {
    let info = Info::FirstContact { source: "prod".into(), services: 0, already_there: 0, clock_hint: None };
    let notice =
        Notice { kind: NoticeKind::Info, body: NoticeBody::Info(info), ..incident(1, NoticeKind::Opened, story()) };
    for language in Language::ALL {
        let title = compose(&notice, &style(language)).title;
        assert!(title.contains("prod") && !title.contains('0'), "{title}");
    }
}
