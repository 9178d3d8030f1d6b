//! `podbell preview` from the outside, and the events that it makes up.

use serde_json::Value;

use crate::support::process::{podbell, printed};
use crate::support::schema;
use crate::support::slack_rules::faults;
use podbell_core::diagnostic::Source;
use podbell_core::message::sample;
use podbell_core::rules::settings::Partial;
use podbell_core::rules::{Names, RuleFile, Rules, builtin, compile, example};

fn rules(text: &str) -> Rules {
    let source = Source::new("rules.yaml", text);
    let (scope, names, defaults) = (None, Names::default(), Partial::default());
    let compiled = compile(&RuleFile { source, entry: 0, scope, names, defaults });
    assert!(!compiled.has_errors(), "{:?}", compiled.diagnostics);
    Rules::new(compiled.rules.into_iter().map(|located| located.rule).collect())
}

#[test]
fn an_event_is_made_up_that_the_rule_matches() {
    let mixed = rules(
        r#"version: 1
scope: {namespace: "team-*"}
defaults: {notify: [x]}
rules:
  - {name: a, match: {reason: [Sunk, Burnt], message: "/the (ship|boat) (went|is) [a-z]{3}/i"}}
  - {name: b, match: {workload: "cart-*", message: "*pulling image*"}, except: [{objName: "canary-*"}]}
  - {name: c, match: {objType: Node, reason: "*NotReady"}}
  - {name: d, match: {level: Normal, reason: Killing}}
  - {name: e, match: {objName: "/^db-[0-9]+$/", source: staging, cluster: "cls-*", service: database}}
  - {name: f, match: {reason: "pod启动失败"}, except: [{message: /StartContainer/}]}
"#,
    );
    for rules in [&mixed, &rules(include_str!("../../rules.example.yaml")), &builtin::rules(&["chat".into()])] {
        for (id, rule) in rules.iter().filter(|(_, rule)| *rule.settings.key.name != *"f") {
            let example = example::of(rules, id, sample::NOW);
            assert!(example.fits && rules.matches(id, &example.subject()), "{}: {example:?}", rule.settings.key);
        }
    }
}

#[test]
fn a_rule_file_is_shown_without_any_configuration() {
    let root = env!("CARGO_MANIFEST_DIR");
    let folder = tempfile::tempdir().unwrap();
    let file = format!("{root}/rules.example.yaml");
    let args = ["preview", "--rules", &file, "--rule", "image-pull", "--notice", "opened,resolved", "--language", "zh"];
    let output = podbell(folder.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    insta::assert_snapshot!(printed(&output).replace(root, "."));
}

#[test]
fn bodies_are_those_that_would_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let output = podbell(folder.path(), &["preview", "--platform", "slack,wecom,webhook"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let bodies = |platform: &str| -> Vec<Value> {
        let head = format!("{platform}:\n");
        text.split(&head).skip(1).map(|rest| serde_json::from_str(rest.lines().next().unwrap()).unwrap()).collect()
    };
    let schema: Value = serde_json::from_str(include_str!("../../docs/webhook.schema.json")).unwrap();
    let (slack, wecom, webhook) = (bodies("slack"), bodies("wecom"), bodies("webhook"));
    // Seventeen built-in rules tell, six kinds of notice each.
    assert_eq!([slack.len(), wecom.len(), webhook.len()], [102; 3]);
    assert!(slack.iter().all(|body| faults(body).is_empty()));
    assert!(wecom.iter().all(|body| body["markdown"]["content"].as_str().unwrap().contains("#1042")));
    assert!(webhook.iter().all(|body| schema::faults(&schema, body).is_empty()));
}

#[test]
fn the_request_that_is_shown_is_what_is_sent_and_not_what_is_kept_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    for (platform, key) in [
        ("discord", "embeds"),
        ("telegram", "text"),
        ("mattermost", "text"),
        ("feishu-app", "content"),
        ("pagerduty", "payload"),
        ("alertmanager", "labels"),
    ] {
        let args = ["preview", "--rule", "image-pull", "--notice", "opened", "--platform", platform];
        let output = podbell(folder.path(), &args).output().unwrap();
        assert!(output.status.success(), "{}", printed(&output));
        let said = String::from_utf8(output.stdout).unwrap();
        let body = said.lines().find(|line| line.starts_with('{')).unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert!(body.get(key).is_some() && body.get("act").is_none(), "{platform}: {body}");
    }
    let args = ["preview", "--rule", "image-pull", "--notice", "opened", "--platform", "email"];
    let said = printed(&podbell(folder.path(), &args).output().unwrap());
    assert!(said.contains("email:\nFrom: ") && said.contains("Subject: "), "{said}");
}

#[test]
fn destinations_are_shown_in_their_language_zone_and_words_and_mentions_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"
sources:
  - {name: prod, kind: file, path: x, aliases: {cls-xxxxx: prod-gz}}
notifiers:
  - {name: team, kind: slack, url: "${NOT_NEEDED}"}
  - {name: ops, kind: wecom, url: "${NOT_NEEDED}", language: zh, time_zone: Asia/Shanghai, template: {title: "{{ place }}！"}}
mentions: {"@oncall": {slack: S0123ABC}}
rules: [r.yaml]
"#;
    let rules = "version: 1\nrules:\n  - {name: a, match: {reason: A}, notify: [team, ops], mention: [\"@oncall\"], severity: critical}\n";
    std::fs::write(folder.path().join("podbell.yaml"), config).unwrap();
    std::fs::write(folder.path().join("r.yaml"), rules).unwrap();
    let output = podbell(folder.path(), &["preview", "--notice", "opened", "--platform", "slack"]).output().unwrap();
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in
        ["--- to team (en)", "--- to ops (zh)", "03:04 🔴", "11:04 shop/web！", "prod-gz", "<!subteam^S0123ABC>"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[test]
fn what_cannot_be_shown_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let ended = |args: &[&str]| {
        let output = podbell(folder.path(), &[&["preview"], args].concat()).output().unwrap();
        (output.status.code().unwrap(), printed(&output))
    };
    let (code, text) = ended(&["--rule", "unhealty"]);
    assert!(code == 1 && text.contains("did you mean unhealthy?"), "{text}");
    let (code, text) = ended(&["--rules", "nowhere.yaml"]);
    assert!(code == 1 && text.contains("nowhere.yaml"), "{text}");
    let (code, text) = ended(&["--notice", "exploded"]);
    assert!(code == 2 && text.contains("flapping"), "{text}");
    std::fs::write(folder.path().join("r.yaml"), "version: 1\nrules:\n  - {name: a, match: {reasn: A}, notify: x}\n")
        .unwrap();
    let (code, text) = ended(&["--rules", "r.yaml"]);
    assert!(code == 1 && text.contains("did you mean `reason`?"), "{text}");
}
