//! A robot of Feishu: what it is sent, how that is signed, and what stays text.

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::events::at;
use crate::support::notices::{incident, one_of_each, story};
use crate::support::platform::platform;
use crate::support::receiver::{Answer, Receiver, client};
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::notice::{Newest, Notice, NoticeKind, Story};
use podbell_core::outbox::{Content, Outcome, SendContent};
use podbell_core::translations::Language;

fn robot(keys: &str, language: Language) -> Notifiers {
    let config = NamedNotifier {
        name: "robot".into(),
        platform: platform(&format!("kind: feishu, {keys}")),
        language,
        time_zone: TimeZone::UTC,
        digest_after: None,
        template: Default::default(),
        logs: false,
    };
    let oncall = [("feishu", "ou_18eac85d35a26f98".to_owned())].into();
    Notifiers::new(vec![config], [("@oncall".to_owned(), oncall)].into(), client())
}

fn rendered(notifiers: &Notifiers, notice: &Notice, content: Content) -> Value {
    let parcel = SendContent { content, ..SendContent::full(std::slice::from_ref(notice)) };
    serde_json::from_slice(&notifiers.render("robot", &parcel, "msg_1", at(2_401))).unwrap()
}

/// A card as people see it, a line an element.
fn seen(body: &Value) -> String {
    let card = &body["card"];
    let mut lines = vec![format!("[{}] {}", card["header"]["template"], card["header"]["title"]["content"])];
    for element in card["elements"].as_array().unwrap() {
        let text = element["text"]["content"].as_str().or(element["content"].as_str());
        let text = text.or(element["elements"][0]["content"].as_str()).unwrap();
        lines.push(format!("{:<8} {}", element["tag"].as_str().unwrap(), text.replace('\n', "\n         ")));
    }
    lines.join("\n")
}

const URL: &str = "url: \"https://open.feishu.cn/open-apis/bot/v2/hook/1\"";

#[test]
fn every_kind_of_notice_is_a_card() {
    for (name, language) in [("feishu_en", Language::En), ("feishu_zh", Language::Zh)] {
        let robot = robot(URL, language);
        let card = |(kind, notice): &(&str, Notice)| {
            format!("--- {kind}\n{}\n", seen(&rendered(&robot, notice, Content::Full)))
        };
        insta::assert_snapshot!(name, one_of_each().iter().map(card).collect::<String>());
    }
}

#[test]
fn the_last_attempt_is_two_lines_of_text_with_its_mention() {
    let notice = incident(1, NoticeKind::Opened, Story { mentions: vec!["@oncall".into()], ..story() });
    let body = rendered(&robot(URL, Language::En), &notice, Content::Minimal);
    assert_eq!(body["msg_type"], "text");
    let text = body["content"]["text"].as_str().unwrap();
    assert!(text.lines().count() == 2 && text.ends_with("<at user_id=\"ou_18eac85d35a26f98\"></at>"), "{text}");
}

/// The texts of a body that the platform reads as markup.
fn markup(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    if let Value::Object(fields) = value {
        if matches!(fields.get("tag").and_then(Value::as_str), Some("lark_md" | "markdown")) {
            all.push(fields["content"].as_str().unwrap().to_owned());
        }
        all.extend(fields.values().flat_map(markup));
    }
    all.extend(value.as_array().into_iter().flatten().flat_map(markup));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_cluster_says_fits_and_is_no_markup(text in "(?s)(.|<at id=all></at>|\\[x\\]\\(https://evil\\)|\n){0,900}") {
        let newest = Newest { reason: text.clone(), obj_name: text.clone(), message: text.repeat(20), ..story().newest };
        let story = Story { newest, workload: text.clone(), object_names: vec![text.clone(); 9], ..story() };
        let notice = incident(1, NoticeKind::Opened, story);
        let robot = robot(URL, Language::Zh);
        for content in [Content::Full, Content::Short, Content::Minimal] {
            let body = rendered(&robot, &notice, content);
            prop_assert!(body.to_string().len() <= 20_000, "{}", body.to_string().len());
            let evil = markup(&body).into_iter().find(|text| text.contains("evil") || text.contains("id=all"));
            prop_assert!(evil.is_none(), "{evil:?}");
            let text = body["content"]["text"].as_str().unwrap_or_default();
            prop_assert!(!text.contains("<at id=all"), "{text}");
        }
    }
}

#[tokio::test]
async fn each_attempt_carries_a_signature_of_its_own_beside_the_stored_body() {
    let receiver = Receiver::start().await;
    receiver.then([Answer::new(200, r#"{"code":0,"msg":"success"}"#), Answer::new(200, r#"{"code":0}"#)]);
    let robot = robot(&format!("url: \"{}\", secret: demo", receiver.url("/open-apis/bot/v2/hook/1")), Language::En);
    let notice = incident(1, NoticeKind::Opened, story());
    let stored = robot.render("robot", &SendContent::full(std::slice::from_ref(&notice)), "msg_1", at(0));
    let body: Value = serde_json::from_slice(&stored).unwrap();
    assert!(body.get("sign").is_none() && body.get("timestamp").is_none(), "a stored body is valid for ever");
    for (seconds, sign) in [(1_599_360_473, "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="), (1_599_360_474, "")] {
        let now = podbell_core::time::Time::from_seconds(seconds);
        assert_eq!(robot.deliver("robot", "msg_1", stored.clone(), now).await, Outcome::Delivered);
        let request = receiver.received().pop().unwrap();
        let mut sent: Value = serde_json::from_slice(&request.body).unwrap();
        let fields = sent.as_object_mut().unwrap();
        assert_eq!(fields.remove("timestamp").unwrap(), seconds.to_string());
        let signed = fields.remove("sign").unwrap();
        assert!(if sign.is_empty() {
            signed != "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
        } else {
            signed == sign
        });
        assert_eq!(sent, body);
    }
}
