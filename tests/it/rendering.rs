//! What each platform is sent: within its limits whatever the cluster says, never its markup.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::events::at;
use crate::support::notices::{incident, one_of_each, own, story};
use crate::support::receiver::client;
use crate::support::schema;
use crate::support::slack_rules::{block_faults, faults, scalars};
use podbell::components::registry::NOTIFIERS;
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::mute::Author;
use podbell_core::notice::{
    CloseReason, FollowedRollout, Info, Newest, Notice, NoticeBody, NoticeKind, ReasonCount, StoreFate, Story,
    TroubleSubject,
};
use podbell_core::outbox::{Content, SendContent};
use podbell_core::rollout::Rollout;
use podbell_core::translations::Language;

const CONTENTS: [Content; 3] = [Content::Full, Content::Short, Content::Minimal];

/// One destination of each platform and language, such as `slack-zh`.
fn notifiers() -> &'static Notifiers {
    static ALL: LazyLock<Notifiers> = LazyLock::new(build);
    &ALL
}

fn build() -> Notifiers {
    let each = NOTIFIERS.iter().flat_map(|kind| Language::ALL.map(|language| (kind, language)));
    let configs = each.map(|(kind, language)| NamedNotifier {
        name: format!("{}-{}", kind.name, language.as_str()).into(),
        platform: (kind.preview)("https://example.com/hook".parse().unwrap()),
        language,
        time_zone: TimeZone::UTC,
        digest_after: Some(3),
        template: Default::default(),
        logs: false,
    });
    let oncall = BTreeMap::from([("slack", "S0123ABC".to_owned()), ("wecom", "zhangsan".to_owned())]);
    Notifiers::new(configs.collect(), BTreeMap::from([("@oncall".to_owned(), oncall)]), client())
}

fn render(notifiers: &Notifiers, destination: &str, notice: &Notice, content: Content) -> String {
    let body = notifiers.render(
        destination,
        &SendContent { content, ..SendContent::full(std::slice::from_ref(notice)) },
        "msg_1",
        at(2_401),
    );
    String::from_utf8(body).expect("every body is valid UTF-8")
}

fn json(notifiers: &Notifiers, destination: &str, notice: &Notice, content: Content) -> Value {
    serde_json::from_str(&render(notifiers, destination, notice, content)).expect("valid JSON")
}

fn wecom_content(body: &Value) -> String {
    let content = body["markdown"]["content"].as_str().or(body["text"]["content"].as_str());
    content.expect("a content").to_owned()
}

/// Every string of a Slack message that Slack reads as text.
fn slack_texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(slack_texts).collect(),
        Value::Object(fields) => {
            let text = fields.get("text").and_then(Value::as_str).map(str::to_owned);
            text.into_iter().chain(fields.values().flat_map(slack_texts)).collect()
        }
        _ => Vec::new(),
    }
}

/// A Slack message as a person can review it: one line per text.
fn slack_view(body: &Value) -> String {
    let mut lines = vec![format!("text     {}", body["text"].as_str().unwrap().replace('\n', "\n         "))];
    for block in body["blocks"].as_array().into_iter().flatten() {
        let kind = block["type"].as_str().unwrap();
        for text in slack_texts(block) {
            lines.push(format!("{kind:<8} {}", text.replace('\n', "\n         ")));
        }
    }
    lines.join("\n")
}

fn everything(name: &str, view: impl Fn(&str) -> String) -> String {
    let notifiers = notifiers();
    let each = one_of_each();
    let shown = each.iter().map(|(kind, notice)| {
        format!("--- {kind}\n{}\n", view(&render(notifiers, name, notice, Content::Full)).trim_end())
    });
    shown.collect::<Vec<_>>().join("\n")
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn every_kind_of_notice_on_slack() {
    insta::assert_snapshot!("slack_en", everything("slack-en", |body| slack_view(&parsed(body))));
    insta::assert_snapshot!("slack_zh", everything("slack-zh", |body| slack_view(&parsed(body))));
}

#[test]
fn every_kind_of_notice_on_wecom() {
    insta::assert_snapshot!("wecom_en", everything("wecom-en", |body| wecom_content(&parsed(body))));
    insta::assert_snapshot!("wecom_zh", everything("wecom-zh", |body| wecom_content(&parsed(body))));
}

#[test]
fn every_kind_of_notice_on_the_console() {
    let plain = |body: &str| anstream::adapter::strip_str(body).to_string();
    insta::assert_snapshot!("console_en", everything("console-en", plain));
    insta::assert_snapshot!("console_zh", everything("console-zh", plain));
}

#[test]
fn every_kind_of_notice_for_a_webhook() {
    let pretty = |body: &str| serde_json::to_string_pretty(&parsed(body)).unwrap();
    insta::assert_snapshot!("webhook_en", everything("webhook-en", pretty));
}

#[test]
fn the_body_of_a_slack_message_is_what_slack_documents() {
    let notice = &one_of_each()[0].1;
    insta::assert_json_snapshot!("slack_body", json(notifiers(), "slack-en", notice, Content::Full));
}

#[test]
fn what_is_refused_is_told_shorter_and_then_in_one_line() {
    let notifiers = notifiers();
    let mut long = story();
    long.newest.message = "a line of a long text\n".repeat(180);
    let notice = incident(1, NoticeKind::Opened, long);
    for platform in ["slack-en", "wecom-en", "webhook-en", "console-en"] {
        let lengths = CONTENTS.map(|content| render(notifiers, platform, &notice, content).len());
        assert!(lengths[0] > lengths[1] && lengths[1] > lengths[2], "{platform}: {lengths:?}");
        for content in CONTENTS {
            let body = render(notifiers, platform, &notice, content);
            assert!(body.contains("#1042") && body.contains("shop/web"), "{body}");
        }
    }
    let one_line = json(notifiers, "slack-en", &notice, Content::Minimal);
    assert!(one_line.get("blocks").is_none());
}

#[test]
fn what_does_not_fit_is_counted() {
    let notifiers = notifiers();
    let mut long = story();
    long.newest.message = (0..1_000).map(|n| format!("line {n}\n")).collect();
    let notice = incident(1, NoticeKind::Opened, long);
    assert!(render(notifiers, "slack-en", &notice, Content::Full).contains(" more\\n```"));
    assert!(render(notifiers, "wecom-zh", &notice, Content::Full).contains("> 另有 "));
    assert!(render(notifiers, "wecom-en", &notice, Content::Full).contains("describe pod"), "the command is kept");
}

#[test]
fn the_validator_of_slack_messages_is_right() {
    let vectors: Value = parsed(include_str!("../fixtures/vectors/slack_blocks.json"));
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 20);
    for case in cases {
        let faults = block_faults(&case["block"], scalars);
        assert_eq!(faults.is_empty(), case["valid"].as_bool().unwrap(), "{}: {faults:?}", case["name"]);
    }
    let many = serde_json::json!({"text": "x", "blocks": vec![serde_json::json!({"type": "divider"}); 51]});
    assert_eq!(faults(&many), ["more than 50 blocks"]);
}

/// The story with this text wherever a cluster or another server can put any. Only the message
/// may be huge: an API server takes no other text of a megabyte.
fn filled_with(text: &str) -> Story {
    let message = text.to_owned();
    let text = || text.chars().take(2_000).collect::<String>();
    Story {
        source: text(),
        cluster: text(),
        cluster_alias: None,
        namespace: text(),
        workload: text(),
        services: vec![text(), text()],
        reasons: (0..8).map(|n| ReasonCount { reason: text(), occurrences: n }).collect(),
        object_names: vec![text(); 5],
        newest: Newest { obj_type: text(), obj_name: text(), reason: text(), message, ..story().newest },
        news: vec![text(); 9],
        closed_because: Some(CloseReason::SourceRemoved),
        labels: (0..20).map(|n| (format!("{n}{}", text()), text())).collect(),
        ..story()
    }
}

/// Every message of every platform, language and length is within what its platform takes.
fn assert_all_within_limits(notifiers: &Notifiers, text: &str) {
    for kind in [NoticeKind::Opened, NoticeKind::Escalated, NoticeKind::Resolved, NoticeKind::Closed] {
        let notice = incident(1, kind, filled_with(text));
        for content in CONTENTS {
            for language in ["en", "zh"] {
                let slack = json(notifiers, &format!("slack-{language}"), &notice, content);
                assert_eq!(faults(&slack), Vec::<String>::new(), "{slack:#}");
                let wecom = json(notifiers, &format!("wecom-{language}"), &notice, content);
                let limit = if content == Content::Minimal { 2048 } else { 4096 };
                let length = wecom_content(&wecom).len();
                assert!((1..=limit).contains(&length), "{length} bytes");
                json(notifiers, &format!("webhook-{language}"), &notice, content);
                let console = render(notifiers, &format!("console-{language}"), &notice, content);
                let bare = anstream::adapter::strip_str(&console).to_string();
                assert!(!bare.chars().any(|c| c.is_control() && c != '\n'), "{bare:?}");
            }
        }
    }
}

#[test]
fn a32_huge_and_strange_texts_stay_within_every_limit() {
    let notifiers = notifiers();
    let texts = [
        "x".repeat(1_000_000),
        "告".repeat(4_096),
        "🔥".repeat(4_096),
        "e\u{301}".repeat(4_096),
        "👩\u{200d}👩\u{200d}👧".repeat(1_000),
        "\0".repeat(4_096),
        "&<>".repeat(4_096),
        "\n".repeat(4_096),
        "a\n".repeat(4_096),
        "`*_~[](http://x)<@all>\n".repeat(1_000),
        "\u{202e}\u{1b}[31m\r\u{feff}".repeat(1_000),
        String::new(),
        " ".to_owned(),
    ];
    for text in texts {
        assert_all_within_limits(notifiers, &text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a32_whatever_a_cluster_says_is_within_every_limit(
        text in prop_oneof![
            "(?s).{0,300}",
            proptest::collection::vec(prop_oneof!["[&<>`*\\[\\]@|\n]{1,4}", "\\PC{1,9}", Just("告警🔥".to_owned())], 0..900)
                .prop_map(|parts| parts.concat()),
        ]
    ) {
        assert_all_within_limits(notifiers(), &text);
    }
}

const NASTY: [&str; 14] = [
    "<!channel> fire",
    "<!here>",
    "<@U012AB3CD>",
    "<!subteam^S0123>",
    "<@all>",
    "@all",
    "[click](http://evil.example.com)",
    "<http://evil.example.com|shop>",
    "`code` ```block```",
    "*bold* _it_ ~gone~",
    "<font color=\"warning\">x</font>",
    "</font><b>html</b>",
    "```\n<!channel>\n```",
    "> quoted\n# heading\n**bold**",
];

#[test]
fn a33_what_a_cluster_says_is_never_markup_on_slack() {
    let notifiers = notifiers();
    for nasty in NASTY {
        for content in CONTENTS {
            let notice = incident(1, NoticeKind::Opened, filled_with(nasty));
            let body = json(notifiers, "slack-en", &notice, content);
            for text in slack_texts(&body) {
                // What is left between angle brackets is podbell's own.
                let own = text
                    .replace("<!subteam^S0123ABC>", "")
                    .replace("<https://wiki.example.com/image-pull?team=shop&amp;page=1>", "");
                assert!(!own.contains('<') && !own.contains('>'), "{text}");
                assert!(
                    outside_of_code(&own).iter().all(|part| !part.contains("evil") && !part.contains("bold"))
                        || !is_mrkdwn(&body, &text),
                    "{text}"
                );
            }
            assert!(body.to_string().contains(escaped_beginning(nasty).as_str()), "shown as text: {body:#}");
        }
    }
}

/// Whether Slack reads this text of the message as markup.
fn is_mrkdwn(body: &Value, text: &str) -> bool {
    if body["text"] == text {
        return body["mrkdwn"] != Value::Bool(false);
    }
    body["blocks"][0]["text"]["text"] != text
}

/// The parts of Slack's markup that are in no code span and no code block.
fn outside_of_code(text: &str) -> Vec<String> {
    let without_blocks = text.split("```").step_by(2).collect::<Vec<_>>().join(" ");
    without_blocks.split('`').step_by(2).map(str::to_owned).collect()
}

/// The first word of the text, as Slack must be sent it.
fn escaped_beginning(text: &str) -> String {
    let word = text.split_whitespace().next().unwrap();
    let word = word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "\\\"");
    word.split('`').find(|part| !part.is_empty()).unwrap_or("\u{2cb}").to_owned()
}

#[test]
fn a33_what_a_cluster_says_is_never_markup_on_wecom() {
    let notifiers = notifiers();
    for nasty in NASTY {
        for content in CONTENTS {
            let notice = incident(1, NoticeKind::Opened, filled_with(nasty));
            let body = json(notifiers, "wecom-zh", &notice, content);
            let mut own = wecom_content(&body);
            let runbook = "https://wiki.example.com/image-pull?team=shop&page=1";
            for ours in [
                "<font color=\"warning\">",
                "<font color=\"comment\">",
                "</font>",
                "<@zhangsan>",
                &format!("[wiki.example.com/image-pull]({runbook})"),
            ] {
                own = own.replace(ours, "");
            }
            let own: String = own.lines().map(|line| line.trim_start_matches("> ").trim_matches('*')).collect();
            let markup = own.chars().find(|c| "<>[]@*`".contains(*c));
            assert_eq!(markup, None, "{own}");
            if content == Content::Minimal {
                assert_eq!(body["text"]["mentioned_list"], serde_json::json!(["zhangsan"]));
            }
        }
    }
}

#[test]
fn a33_a_webhook_gets_the_text_as_it_is_and_a_terminal_shows_it() {
    let notifiers = notifiers();
    for nasty in NASTY {
        let notice = incident(1, NoticeKind::Opened, filled_with(nasty));
        let body = json(notifiers, "webhook-en", &notice, Content::Full);
        assert_eq!(body["data"]["incident"]["newest"]["message"], nasty);
        assert_eq!(body["data"]["incident"]["command"], Value::Null, "no command of such a name");
        let console = render(notifiers, "console-en", &notice, Content::Full);
        assert!(console.contains(nasty.lines().next().unwrap()), "{console}");
    }
}

#[test]
fn a_mention_reaches_who_is_configured_and_is_left_out_otherwise() {
    let notifiers = notifiers();
    let mut story = story();
    story.mentions = vec!["@oncall".into(), "<!channel>".into(), "@all".into(), "@oncall".into()];
    let notice = incident(1, NoticeKind::Opened, story.clone());
    let slack = render(notifiers, "slack-en", &notice, Content::Full);
    assert_eq!(slack.matches("<!subteam^S0123ABC>").count(), 1, "{slack}");
    assert!(!slack.contains("<!channel>"));
    let wecom = render(notifiers, "wecom-en", &notice, Content::Full);
    assert_eq!(wecom.matches("<@").count(), 1, "{wecom}");
    let over = incident(1, NoticeKind::Resolved, story);
    assert!(!render(notifiers, "slack-en", &over, Content::Full).contains("subteam"));
}

#[test]
fn the_same_notices_freeze_into_the_same_bytes() {
    for (_, notice) in one_of_each() {
        for platform in ["slack-en", "wecom-zh", "webhook-en", "console-en"] {
            let once = render(&build(), platform, &notice, Content::Full);
            assert_eq!(once, render(notifiers(), platform, &notice, Content::Full));
        }
    }
}

#[test]
fn a_webhook_gets_what_its_schema_says() {
    let schema = parsed(include_str!("../../docs/webhook.schema.json"));
    let mut notices: Vec<Notice> = one_of_each().into_iter().map(|(_, notice)| notice).collect();
    notices.extend(NASTY.map(|nasty| incident(1, NoticeKind::Opened, filled_with(nasty))));
    let rollout = Rollout { at: at(-60), before: vec!["web:v4".into()], after: vec!["web:v5".into()] };
    let rollout = Some(FollowedRollout { after_seconds: 60, rollout });
    let followed = incident(1, NoticeKind::Opened, Story { rollout, ..story() });
    let said = json(notifiers(), "webhook-en", &followed, Content::Full);
    let said = &said["data"]["incident"]["rollout"];
    assert_eq!(
        (&said["after_seconds"], &said["before"], &said["after"]),
        (&60.into(), &serde_json::json!(["web:v4"]), &serde_json::json!(["web:v5"]))
    );
    notices.push(followed);
    let (until, from, why) = (at(-60), at(-120), "a page is damaged".to_owned());
    let by = Author { name: "Ann".into(), via: "team-slack".into() };
    let muted = Info::Muted { what: "web".into(), by, why: None, until, holds: 2 };
    let fates = [
        StoreFate::WentBack { commits: 3, from: Some(from), until },
        StoreFate::Replaced { until },
        StoreFate::Lost { until: None },
        StoreFate::Damaged { why: why.clone(), until: Some(until) },
        StoreFate::Mended { why, rows: 2 },
        StoreFate::Restored { from },
        StoreFate::Rewritten,
        StoreFate::Unsure,
    ];
    let infos = fates.map(|fate| Info::Store { fate, kept: Some("podbell.db.damaged".into()) }).into_iter();
    notices.extend(infos.chain([muted]).map(|info| own(1, NoticeKind::Info, NoticeBody::Info(info))));
    for notice in &notices {
        for content in CONTENTS {
            let body = json(notifiers(), "webhook-en", notice, content);
            assert_eq!(schema::faults(&schema, &body), Vec::<String>::new(), "{body:#}");
        }
    }
    assert_ne!(schema::faults(&schema, &serde_json::json!({"id": 1})), Vec::<String>::new(), "the checker checks");
}

#[test]
fn the_documentation_shows_a_body_as_it_is() {
    let body = json(notifiers(), "webhook-en", &one_of_each()[0].1, Content::Full);
    let example = format!("```json\n{}\n```", serde_json::to_string_pretty(&body).unwrap());
    let documentation = include_str!("../../docs/webhook.md");
    assert!(documentation.contains(&example), "put this between the example marks of docs/webhook.md:\n{example}");
}

#[test]
fn messages_lead_to_the_page_on_every_platform_in_each_platforms_way() {
    let linking = build().linking(Some(&"https://podbell.example.com/a&b/".parse().unwrap()));
    for (kind, notice) in one_of_each() {
        let path = match &notice.body {
            NoticeBody::Incident(story) => Some(format!("/incidents/{}", story.incident)),
            NoticeBody::Trouble(trouble) => match trouble.subject {
                TroubleSubject::Source(_) => Some("/sources".to_owned()),
                TroubleSubject::Destination(_) => Some("/destinations".to_owned()),
                TroubleSubject::Rules(_) => None,
            },
            NoticeBody::Info(_) => None,
        };
        let url = path.map(|path| format!("https://podbell.example.com/a&b{path}"));
        let webhook = json(&linking, "webhook-en", &notice, Content::Full);
        assert_eq!(webhook["data"]["url"].as_str(), url.as_deref(), "{kind}");
        for (name, written) in [
            ("slack-en", url.as_ref().map(|url| format!("<{}>", url.replace('&', "&amp;")))),
            ("wecom-zh", url.as_ref().map(|url| format!("]({url})"))),
            ("console-en", url.clone()),
        ] {
            let (body, plain) =
                (render(&linking, name, &notice, Content::Full), render(notifiers(), name, &notice, Content::Full));
            assert_eq!(body == plain, written.is_none(), "{name} {kind}");
            assert!(written.is_none_or(|written| body.contains(&written)), "{name} {kind}: {body}");
        }
    }
}
