//! Messages in a team's own words: what they may say, what they can never do, and what happens when
//! they fail.

use std::collections::BTreeMap;
use std::process::Command;

use assert_cmd::cargo::CommandCargoExt as _;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::support::events::at;
use crate::support::notices::{incident, one_of_each, story};
use crate::support::receiver::client;
use crate::support::slack_rules::faults;
use podbell::components::registry::NOTIFIERS;
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::message::{Block, Style, compose, compose_for, facts, sample};
use podbell_core::notice::{FollowedRollout, Notice, NoticeKind, Story};
use podbell_core::outbox::{Content, SendContent};
use podbell_core::rollout::Rollout;
use podbell_core::rule::Severity;
use podbell_core::template::Template;
use podbell_core::translations::Language;

fn template(title: Option<&str>, text: Option<&str>) -> Template {
    Template { title: title.map(Into::into), text: text.map(Into::into) }
}

fn style(language: Language) -> Style {
    Style { language, time_zone: TimeZone::get("Asia/Shanghai").unwrap(), now: at(2_401) }
}

fn templated(title: Option<&str>, text: Option<&str>) -> Notice {
    incident(1, NoticeKind::Opened, Story { template: template(title, text), ..story() })
}

fn notifiers(template: Template) -> Notifiers {
    let url = || "https://example.com/hook".parse().unwrap();
    let configs = NOTIFIERS.iter().map(|kind| NamedNotifier {
        name: kind.name.into(),
        platform: (kind.preview)(url()),
        language: Language::En,
        time_zone: TimeZone::UTC,
        digest_after: None,
        template: template.clone(),
        logs: false,
    });
    let oncall = BTreeMap::from([("slack", "S0123ABC".to_owned()), ("wecom", "zhangsan".to_owned())]);
    Notifiers::new(configs.collect(), BTreeMap::from([("@oncall".to_owned(), oncall)]), client())
}

fn frozen(notifiers: &Notifiers, to: &str, notice: &Notice, content: Content) -> String {
    let parcel = SendContent { content, ..SendContent::full(std::slice::from_ref(notice)) };
    String::from_utf8(notifiers.render(to, &parcel, "msg_1", at(2_401))).unwrap()
}

#[test]
fn a_rule_tells_its_incidents_in_its_own_words_and_in_the_readers_time() {
    let notice = templated(
        Some("{{ place }} {{ newest.reason|upper }}"),
        Some(
            "since {{ since }}\n{% for r in reasons %}{{ r.reason }}={{ r.occurrences }} {% endfor %}{{ labels.team }}",
        ),
    );
    let message = compose(&notice, &style(Language::En));
    assert_eq!(message.title, "shop/web BACKOFF");
    assert_eq!(message.text(), "since 11:04\nBackOff=120 Failed=14 shop");
    assert_eq!(message.gist(), "since 11:04");
}

#[test]
fn each_half_that_a_rule_leaves_out_is_the_destinations_and_then_built_in() {
    let both = template(Some("destination"), Some("destination"));
    let said = |notice: &Notice, destination: &Template| {
        let message = compose_for(notice, &style(Language::En), destination).message;
        (message.title.clone(), message.text())
    };
    let rule = templated(Some("rule"), None);
    assert_eq!(said(&rule, &both), ("rule".to_owned(), "destination".to_owned()));
    let (title, text) = said(&rule, &Template::default());
    assert!(title == "rule" && text.starts_with("134 times, 6 pods\nWhere:"), "{text}");
    let plain = incident(1, NoticeKind::Opened, story());
    assert_eq!(said(&plain, &both).0, "destination");
}

#[test]
fn podbells_own_words_are_never_templated() {
    let both = template(Some("x"), Some("y"));
    for (name, notice) in one_of_each() {
        let own = !matches!(notice.body, podbell_core::notice::NoticeBody::Incident(_));
        let message = compose_for(&notice, &style(Language::En), &both).message;
        assert_eq!(message.title != "x", own, "{name}");
    }
}

#[test]
fn a_template_that_fails_loses_nothing_and_says_so_in_the_readers_language() {
    for (language, words) in [(Language::En, "podbell's own words"), (Language::Zh, "模板渲染失败")] {
        for broken in ["{{ told.at }}", "{{ nothing }}", "{% for a in range(99999) %}{{ text }}{% endfor %}", "{{"] {
            let notice = templated(Some("fine"), Some(broken));
            let composed = compose_for(&notice, &style(language), &Template::default());
            let built_in = compose(&incident(1, NoticeKind::Opened, story()), &style(language));
            assert!(composed.failed.is_some(), "{broken}");
            assert_eq!(composed.message.title, built_in.title);
            let (said, small) = composed.message.blocks.split_at(built_in.blocks.len());
            assert_eq!(said, built_in.blocks);
            assert!(matches!(small, [Block::Small(_)]) && composed.message.text().contains(words), "{broken}");
        }
    }
}

#[test]
fn an_empty_title_is_a_failure_and_an_empty_text_is_none() {
    let failed = |title, text| compose_for(&templated(title, text), &style(Language::En), &Template::default()).failed;
    assert!(failed(Some("{% if over %}x{% endif %}"), None).is_some());
    assert_eq!(failed(None, Some("{% if over %}x{% endif %}")), None);
}

#[test]
fn what_a_template_makes_is_text_on_every_platform() {
    let nasty = "<!channel> <@U1> <@all> *bold* `code` [x](http://evil.example.com)\n# heading\n> quoted";
    let mut notice = templated(Some("{{ newest.message }}"), Some("{{ newest.message }}\n# {{ newest.message }}"));
    let podbell_core::notice::NoticeBody::Incident(story) = &mut notice.body else { panic!("an incident") };
    story.newest.message = nasty.to_owned();
    let notifiers = notifiers(Template::default());
    for content in [Content::Full, Content::Short] {
        let slack = frozen(&notifiers, "slack", &notice, content);
        let body: Value = serde_json::from_str(&slack).unwrap();
        assert_eq!(faults(&body), Vec::<String>::new());
        assert!(!slack.contains("<!channel>") && !slack.contains("<@U1>"), "{slack}");
        assert_eq!(body["blocks"][1]["text"]["type"], "plain_text", "markup means nothing there");
        assert_eq!(body["blocks"][2]["text"]["text"], "<!subteam^S0123ABC>", "the rule's mention is the only one");
        let wecom: Value = serde_json::from_str(&frozen(&notifiers, "wecom", &notice, content)).unwrap();
        let markdown = wecom["markdown"]["content"].as_str().unwrap();
        let own = markdown.replace("<@zhangsan>", "");
        let lines: Vec<&str> = own.lines().skip(1).collect();
        assert!(lines.iter().all(|line| !line.contains(['<', '[', '*', '`', '@'])), "{markdown}");
        assert!(lines.iter().all(|line| !line.starts_with(['#', '>'])), "{markdown}");
    }
}

#[test]
fn what_a_template_makes_stays_within_every_platforms_limits() {
    for text in ["告警🔥".repeat(2_000), "<&>\n".repeat(2_000), "x".repeat(8_000), "\u{1b}[31m\u{202e}".repeat(99)]
    {
        let mut notice = templated(Some("{{ newest.message }}!"), Some("{{ newest.message }}\n{{ newest.message }}"));
        let podbell_core::notice::NoticeBody::Incident(story) = &mut notice.body else { panic!("an incident") };
        story.newest.message = text;
        let notifiers = notifiers(Template::default());
        for content in [Content::Full, Content::Short, Content::Minimal] {
            let slack: Value = serde_json::from_str(&frozen(&notifiers, "slack", &notice, content)).unwrap();
            assert_eq!(faults(&slack), Vec::<String>::new(), "{slack:#}");
            let wecom: Value = serde_json::from_str(&frozen(&notifiers, "wecom", &notice, content)).unwrap();
            let length = wecom["markdown"]["content"].as_str().or(wecom["text"]["content"].as_str()).unwrap().len();
            assert!((1..=4_096).contains(&length), "{length} bytes");
            let console = frozen(&notifiers, "console", &notice, content);
            let bare = anstream::adapter::strip_str(&console).to_string();
            assert!(!bare.chars().any(|c| c.is_control() && c != '\n'), "{bare:?}");
        }
    }
}

#[test]
fn whoever_is_mentioned_is_called_however_much_or_little_a_template_says() {
    let notifiers = notifiers(Template::default());
    for text in ["{% if over %}x{% endif %}", "{% for a in range(400) %}告警 {{ a }}\n{% endfor %}"] {
        let notice = templated(None, Some(text));
        for content in [Content::Full, Content::Short] {
            assert!(frozen(&notifiers, "slack", &notice, content).contains("<!subteam^S0123ABC>"), "{text}");
            assert!(frozen(&notifiers, "wecom", &notice, content).contains("<@zhangsan>"), "{text}");
        }
    }
}

#[test]
fn the_last_attempt_after_a_refusal_is_in_podbells_own_words() {
    let notifiers = notifiers(template(Some("my own title"), Some("my own text")));
    let notice = incident(1, NoticeKind::Opened, story());
    for to in ["slack", "wecom", "webhook", "console"] {
        let says = |content| frozen(&notifiers, to, &notice, content).contains("my own title");
        assert!(says(Content::Full) && says(Content::Short) && !says(Content::Minimal), "{to}");
    }
    let body: Value = serde_json::from_str(&frozen(&notifiers, "webhook", &notice, Content::Full)).unwrap();
    assert_eq!(body["data"]["incident"]["command"], "kubectl -n shop describe pod web-6d4cf56db6-x2x7v");
}

#[test]
fn a_template_is_stored_with_its_notice_and_notices_without_one_are_read_too() {
    let notice = templated(Some("{{ place }}"), None);
    let stored = serde_json::to_string(&notice).unwrap();
    assert_eq!(serde_json::from_str::<Notice>(&stored).unwrap(), notice);
    let plain = serde_json::to_string(&incident(1, NoticeKind::Opened, story())).unwrap();
    assert!(!plain.contains("template"), "as before there were any");
    assert!(serde_json::from_str::<Notice>(&plain).is_ok());
}

#[test]
fn a_template_says_which_rollout_an_incident_followed_and_nothing_without_one() {
    let words = "{% if rollout %}{{ rollout.after }} after {{ rollout.at }}: {% if rollout.images %}{{ rollout.images }}{% else %}?{% endif %}{% else %}no rollout{% endif %}";
    let text = |rollout: Option<FollowedRollout>| {
        let story = Story { template: template(None, Some(words)), rollout, ..sample::story() };
        compose(&incident(1, NoticeKind::Opened, story), &style(Language::En)).text()
    };
    let image = |tag: &str| vec![format!("registry.example.com/shop/web:{tag}")];
    let followed = |before: Vec<String>, after: Vec<String>| {
        Some(FollowedRollout { after_seconds: 120, rollout: Rollout { at: sample::NOW, before, after } })
    };
    assert!(text(followed(image("v4"), image("v5"))).contains("2 min after 11:04: web:v4 → web:v5"));
    assert!(text(followed(Vec::new(), Vec::new())).contains("2 min after 11:04: ?"));
    assert!(text(None).contains("no rollout"));
}

#[test]
fn every_fact_of_a_template_is_documented() {
    let docs = include_str!("../../docs/templates.md");
    let full = sample::notice(sample::Kind::Escalated, &sample::story(), Severity::Critical, Vec::new());
    let facts = serde_json::to_value(facts(&full, &style(Language::En))).unwrap();
    let names: Vec<&String> = facts.as_object().unwrap().keys().collect();
    assert!(names.len() > 35, "{names:?}");
    for name in &names {
        assert!(docs.contains(&format!("\n| `{name}` |")), "{name} is not in docs/templates.md");
    }
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    for row in rows {
        assert!(names.iter().any(|name| *name == row), "{row} of docs/templates.md is no fact");
    }
}

fn check(files: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::cargo_bin("podbell").unwrap();
    let output = command.current_dir(folder.path()).arg("check").args(args).env_clear().output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_finds_what_is_wrong_in_a_template_and_where() {
    let rules = r#"version: 1
defaults: {notify: [slack], labels: {team: shop}}
rules:
  - name: a mistyped name
    match: {reason: A}
    template: {title: "{{ palce }}: {{ newest.reson }}", text: "{{ labels.team }}"}
  - name: what may be absent
    match: {reason: B}
    template:
      text: |
        {{ gist }}
          told at {{ told.at }}
  - name: a label that no rule has
    match: {reason: C}
    template: {text: "{{ labels.owner }}"}
  - name: a filter and a syntax
    match: {reason: D}
    template: {title: "{{ place|uper }}", text: "{% if over %}never closed"}
  - name: no words at all
    match: {reason: E}
    template: {title: "{% if over %}x{% endif %}"}
  - name: a key that is none
    match: {reason: F}
    template: {body: x}
  - name: too much
    match: {reason: G}
    template: {text: "{% for a in range(99999) %}{{ text }}{% endfor %}"}
  - name: good
    match: {reason: H}
    template: {title: "{{ place }}", text: "{% if told %}{{ told.at }}{% endif %}{{ labels.owner | default('-') }}"}
"#;
    let (code, text) = check(&[("rules.yaml", rules)], &["rules.yaml"]);
    assert_eq!(code, 1);
    insta::assert_snapshot!(text);
}

#[test]
fn the_example_of_the_documentation_is_good() {
    let docs = include_str!("../../docs/templates.md");
    let example = docs.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let rules = format!("version: 1\ndefaults: {{notify: [slack]}}\n{example}");
    let (code, text) = check(&[("rules.yaml", &rules)], &["rules.yaml"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_notifier_has_a_template_too_and_check_looks_at_it() {
    let config = |text: &str| {
        format!(
            "sources:\n  - {{name: prod, kind: file, path: x}}\nnotifiers:\n  - {{name: c, kind: console, template: {{text: \"{text}\"}}}}\n"
        )
    };
    let (code, text) = check(&[("podbell.yaml", &config("{{ plase }}"))], &[]);
    assert_eq!(code, 1);
    assert!(text.contains("there is no `plase`") && text.contains("did you mean `place`"), "{text}");
    assert!(text.contains("podbell.yaml:4:"), "{text}");
    let (code, text) = check(&[("podbell.yaml", &config("{{ place }}"))], &[]);
    assert_eq!(code, 0, "{text}");
}
