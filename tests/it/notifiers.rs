//! Deliveries over real sockets: what is sent, and what replies mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;

use crate::support::events::at;
use crate::support::notices::{incident, story};
use crate::support::platform::platform;
use crate::support::receiver::{Answer, Receiver, client, nobody, one_that_hangs_up};
use crate::support::world::TWENTY_A_MINUTE;
use podbell::notifiers::{NamedNotifier, Notifier, Notifiers};
use podbell_core::notice::{NoticeKind, Story};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Parent, SendContent};
use podbell_core::time::Time;
use podbell_core::translations::Language;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PATH: &str = "/services/T000/B000/very-secret-path?key=very-secret-key";

fn config(name: &str, platform: Arc<dyn Notifier>) -> NamedNotifier {
    let (name, language, template) = (name.into(), Language::En, Default::default());
    NamedNotifier { name, platform, language, time_zone: TimeZone::UTC, digest_after: None, template, logs: false }
}

fn notifiers(configs: Vec<NamedNotifier>) -> Notifiers {
    Notifiers::new(configs, BTreeMap::new(), client())
}

fn slack(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: slack, url: \"{url}\""))
}

fn wecom(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: wecom, url: \"{url}\""))
}

fn feishu(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: feishu, url: \"{url}\""))
}

fn dingtalk(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: dingtalk, url: \"{url}\""))
}

fn teams(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: teams, url: \"{url}\""))
}

fn discord(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: discord, url: \"{url}\""))
}

fn mattermost(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: mattermost, url: \"{url}\""))
}

fn pagerduty(url: &str) -> Arc<dyn Notifier> {
    platform(&format!("kind: pagerduty, routing_key: RRRRRRRR, api: \"{url}\""))
}

fn webhook(url: &str, secrets: &[&str]) -> Arc<dyn Notifier> {
    platform(&format!("kind: webhook, url: \"{url}\", secret: {secrets:?}"))
}

fn unsigned(url: &str) -> Arc<dyn Notifier> {
    webhook(url, &[])
}

fn vectors(text: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(text).unwrap();
    vectors["cases"].as_array().unwrap().clone()
}

/// What a notifier of this kind makes of an answer.
async fn outcome(kind: fn(&str) -> Arc<dyn Notifier>, answer: Answer) -> Outcome {
    let receiver = Receiver::start().await;
    receiver.otherwise(answer);
    let notifiers = notifiers(vec![config("there", kind(&receiver.url(PATH)))]);
    let notice = [incident(1, NoticeKind::Opened, story())];
    let body = notifiers.render("there", &SendContent::full(&notice), "msg_1", at(0));
    notifiers.deliver("there", "msg_1", body, at(0)).await
}

#[tokio::test]
async fn a_400_that_is_not_the_platforms_loses_no_message() {
    for kind in [slack as fn(&str) -> _, teams, discord, mattermost, pagerduty] {
        let page = outcome(kind, Answer::new(400, "<html><h1>400 Bad Request</h1></html>")).await;
        assert!(matches!(page, Outcome::Refused { .. } | Outcome::Unclear { .. }), "{page:?}");
        let tls = outcome(kind, Answer::new(400, "Client sent an HTTP request to an HTTPS server.\n")).await;
        assert!(!matches!(tls, Outcome::ContentRejected { .. }), "{tls:?}");
    }
    let tls = outcome(unsigned, Answer::new(400, "Client sent an HTTP request to an HTTPS server.\n")).await;
    let Outcome::InvalidDestination { advice, .. } = tls else { panic!("{tls:?}") };
    assert!(advice.contains("https://"), "{advice}");
}

#[test]
fn an_alert_that_flaps_is_triggered_again_at_pagerduty_when_it_comes_back_without_a_notice() {
    let notifiers = notifiers(vec![config("there", pagerduty("https://events.example.com"))]);
    let action = |kind: NoticeKind, reopened: u32, refresh: bool| {
        let notice = [incident(1, kind, Story { reopened, ..story() })];
        let parent = Parent { channel: "".into(), message: "1".into() };
        let content = SendContent { refresh, parent: Some(&parent), ..SendContent::full(&notice) };
        let body: Value = serde_json::from_slice(&notifiers.render("there", &content, "msg_1", at(0))).unwrap();
        body["event_action"].as_str().unwrap().to_owned()
    };
    assert_eq!(action(NoticeKind::Reopened, 1, true), "nothing", "its notice triggers it");
    assert_eq!(action(NoticeKind::Resolved, 3, true), "resolve");
    assert_eq!(action(NoticeKind::Reopened, 3, true), "trigger");
    assert_eq!(action(NoticeKind::Resolved, 3, false), "resolve");
}

#[tokio::test]
async fn replies_mean_what_the_vectors_say() {
    let elsewhere = ["slack_api", "wecom_app"];
    let (mut checked, mut skipped) = (0, std::collections::BTreeSet::new());
    for case in vectors(include_str!("../fixtures/vectors/reply_classification.json")) {
        let platform = case["platform"].as_str().unwrap();
        let kind = match platform {
            "slack_webhook" => slack,
            "wecom_robot" => wecom,
            "feishu" => feishu,
            "dingtalk" => dingtalk,
            "teams" => teams,
            "discord" => discord,
            "mattermost" => mattermost,
            "pagerduty" => pagerduty,
            "generic" => unsigned,
            other => {
                skipped.insert(other.to_owned());
                continue;
            }
        };
        let mut answer = Answer::new(case["status"].as_u64().unwrap() as u16, case["body"].as_str().unwrap());
        for (name, value) in case["headers"].as_object().unwrap() {
            answer = answer.with(name, value.as_str().unwrap());
        }
        let outcome = outcome(kind, answer).await;
        assert!(means(&outcome, case["class_"].as_str().unwrap(), &case), "{case}\n{outcome:?}");
        checked += 1;
    }
    assert_eq!(checked, 48);
    assert_eq!(skipped, elsewhere.map(str::to_owned).into(), "these are other ways to send");
}

/// The classes of the vectors, as outcomes.
fn means(outcome: &Outcome, class: &str, case: &Value) -> bool {
    let after = || case["headers"]["Retry-After"].as_str().map(|s| Duration::from_secs(s.parse().unwrap()));
    match class {
        "ok" => outcome.arrived(),
        // Shortened once, then one built-in line: what cannot be taken ends there.
        "split" | "permanent-message" => matches!(outcome, Outcome::ContentRejected { .. }),
        "permanent-target" | "permanent-credential" | "disable" | "failure-no-follow" => {
            matches!(outcome, Outcome::InvalidDestination { .. })
        }
        "retry" => {
            matches!(outcome, Outcome::Unclear { retry_after: None, .. } | Outcome::Refused { retry_after: None, .. })
        }
        "retry-600s" => matches!(outcome, Outcome::Refused { retry_after: Some(wait), .. } if wait.as_secs() == 600),
        "retry-60s" => matches!(outcome, Outcome::Refused { retry_after: Some(wait), .. } if wait.as_secs() == 60),
        "retry-after" => match outcome {
            Outcome::Refused { retry_after, .. } | Outcome::Unclear { retry_after, .. } => *retry_after == after(),
            _ => false,
        },
        other => panic!("unknown class {other}"),
    }
}

#[tokio::test]
async fn a24_retry_after_is_honoured_as_a_date_and_for_ten_hours_and_ignored_when_it_is_nonsense() {
    let wait =
        async |value: &str| match outcome(slack, Answer::new(429, "rate_limited").with("Retry-After", value)).await {
            Outcome::Refused { retry_after, .. } => retry_after.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
    assert_eq!(wait("36000").await, Some(36_000));
    assert_eq!(wait("Fri, 02 Jan 2026 03:06:00 GMT").await, Some(120));
    assert_eq!((wait("-3").await, wait("soon").await), (None, None));
    assert!(matches!(outcome(slack, Answer::new(429, "")).await, Outcome::Refused { retry_after: None, .. }));
}

#[tokio::test]
async fn a28_wecom_waits_pauses_shortens_or_tries_again_as_the_code_says() {
    let answer = async |body: &str| outcome(wecom, Answer::new(200, body)).await;
    assert!(matches!(answer(r#"{"errcode":45009}"#).await, Outcome::Refused { retry_after: Some(_), .. }));
    match answer(r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#).await {
        Outcome::InvalidDestination { code, advice, .. } => assert!(code == "93000" && advice.contains("podbell.yaml")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(answer(r#"{"errcode":40058}"#).await, Outcome::ContentRejected { .. }));
    assert!(matches!(answer("<html>please log in</html>").await, Outcome::Unclear { .. }));
}

#[tokio::test]
async fn a_refusal_that_is_not_in_the_platforms_own_words_kills_no_url() {
    let page = || Answer::new(403, "<html>blocked by the company's proxy</html>");
    assert!(matches!(outcome(slack, page()).await, Outcome::Unclear { .. }));
    assert!(matches!(outcome(wecom, page()).await, Outcome::Unclear { .. }));
    assert!(matches!(outcome(unsigned, page()).await, Outcome::InvalidDestination { .. }));
}

#[tokio::test]
async fn a34_a_redirect_to_another_host_is_not_followed() {
    let stranger = Receiver::start().await;
    for (kind, status) in [(slack as fn(&str) -> Arc<dyn Notifier>, 302), (wecom, 307), (unsigned, 308)] {
        let answer = Answer::new(status, "").with("Location", &stranger.url("/stolen"));
        match outcome(kind, answer).await {
            Outcome::InvalidDestination { advice, .. } => assert!(advice.contains("redirects are not followed")),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stranger.received().len(), 0);
}

#[tokio::test]
async fn who_was_never_reached_has_taken_nothing_and_a_cut_connection_is_unclear() {
    let deliver = async |url: String| {
        notifiers(vec![config("there", slack(&url))]).deliver("there", "msg_1", b"{}".to_vec(), at(0)).await
    };
    let refused = deliver(nobody().await).await;
    assert!(matches!(&refused, Outcome::Refused { retry_after: None, .. }), "{refused:?}");
    let cut = deliver(one_that_hangs_up().await).await;
    assert!(matches!(&cut, Outcome::Unclear { .. }), "{cut:?}");
    for outcome in [refused, cut] {
        assert!(!format!("{outcome:?}").contains("secret"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_reply_that_echoes_url_and_secrets_is_shown_without_them_and_short() {
    let receiver = Receiver::start().await;
    let url = receiver.url(PATH);
    let echo = format!("cannot POST {url} ({PATH}) with {SECRET}\u{1b}[31m\0 {}", "x".repeat(100_000));
    let kinds = [("slack", slack(&url)), ("wecom", wecom(&url)), ("webhook", webhook(&url, &[SECRET]))];
    for (name, kind) in kinds {
        // A chat has no secret but its URL.
        let echo = if name == "webhook" { echo.clone() } else { echo.replace(SECRET, "") };
        let notifiers = notifiers(vec![config("there", kind)]);
        for status in [200, 302, 400, 404, 413, 429, 500] {
            receiver.then([Answer::new(status, &echo)]);
            let outcome = notifiers.deliver("there", "msg_1", b"{}".to_vec(), at(0)).await;
            let said = format!("{outcome:?}");
            for secret in ["very-secret", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "\\u{1b}", "\\0"] {
                assert!(!said.contains(secret), "{said}");
            }
            assert!(said.len() < 600, "{said}");
        }
    }
}

#[tokio::test]
async fn a_webhook_is_signed_as_the_vectors_say() {
    let receiver = Receiver::start().await;
    let (mut checked, mut skipped) = (0, Vec::new());
    for case in vectors(include_str!("../fixtures/vectors/standard_webhooks.json")) {
        let text = |name: &str| case[name].as_str().map(str::to_owned);
        if text("whsk").is_some() {
            skipped.push(text("name").unwrap());
            continue;
        }
        let secrets = case["secrets"].as_array().cloned().unwrap_or_else(|| vec![case["secret"].clone()]);
        let secrets: Vec<&str> = secrets.iter().map(|secret| secret.as_str().unwrap()).collect();
        let notifiers = notifiers(vec![config("there", webhook(&receiver.url(PATH), &secrets))]);
        let now = Time::from_seconds(case["timestamp"].as_i64().unwrap());
        let id = text("id").unwrap();
        let outcome = notifiers.deliver("there", &id, text("body").unwrap().into_bytes(), now).await;
        assert_eq!(outcome, Outcome::Delivered);
        let received = receiver.received().pop().unwrap();
        assert_eq!(received.header("webhook-id"), Some(id.as_str()));
        assert_eq!(received.header("webhook-timestamp"), Some(now.seconds().to_string().as_str()));
        let expected = text("signature").or_else(|| text("signature_header"));
        assert_eq!(received.header("webhook-signature"), expected.as_deref(), "{}", case["name"]);
        assert!(secrets.iter().all(|secret| received.is_signed_with(secret)));
        checked += 1;
    }
    assert_eq!((checked, skipped), (9, vec!["v1a-ed25519".to_owned()]), "podbell signs with shared secrets only");
}

#[tokio::test]
async fn a_repeated_message_keeps_id_and_body_and_is_signed_for_its_own_time() {
    let receiver = Receiver::start().await;
    receiver.then([Answer::new(503, ""), Answer::new(204, "")]);
    let notifiers = notifiers(vec![config("audit", webhook(&receiver.url(PATH), &[SECRET, OLD_SECRET]))]);
    let notices = [incident(5, NoticeKind::Escalated, story()), incident(3, NoticeKind::Opened, story())];
    let body = notifiers.render("audit", &SendContent::full(&notices), "msg_77", at(2_400));
    for seconds in [2_400, 2_430] {
        notifiers.deliver("audit", "msg_77", body.clone(), at(seconds)).await;
    }
    let [first, second] = receiver.received().try_into().unwrap();
    assert_eq!((&first.body, &second.body), (&body, &body));
    assert_eq!((first.method.as_str(), first.uri.to_string().as_str()), ("POST", PATH));
    assert!(first.at <= second.at);
    assert_eq!((first.header("webhook-id"), second.header("webhook-id")), (Some("msg_77"), Some("msg_77")));
    assert_ne!(first.header("webhook-timestamp"), second.header("webhook-timestamp"));
    assert!(second.is_signed_with(SECRET) && second.is_signed_with(OLD_SECRET) && !second.is_signed_with("AAAA"));
    let json = second.json();
    assert_eq!((&json["id"], &json["type"]), (&"msg_77".into(), &"incident.opened".into()));
    assert_eq!(json["data"]["notices"], serde_json::json!([3, 5]));
}

#[tokio::test]
async fn a_chat_gets_json_and_no_signature_and_an_unsigned_webhook_still_gets_its_id() {
    let receiver = Receiver::start().await;
    let configs = vec![config("chat", slack(&receiver.url(PATH))), config("audit", unsigned(&receiver.url(PATH)))];
    let notifiers = notifiers(configs);
    for destination in ["chat", "audit"] {
        let outcome = notifiers.deliver(destination, "msg_1", b"{}".to_vec(), at(0)).await;
        assert_eq!(outcome, Outcome::Delivered);
    }
    let [chat, audit] = receiver.received().try_into().unwrap();
    assert_eq!(chat.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(chat.header("user-agent").unwrap().starts_with("podbell/"));
    assert_eq!((chat.header("webhook-id"), audit.header("webhook-id")), (None, Some("msg_1")));
    assert_eq!(audit.header("webhook-signature"), None);
}

#[tokio::test]
async fn a_destination_that_is_gone_takes_nothing_and_breaks_nothing() {
    let notifiers = notifiers(Vec::new());
    assert_eq!(
        notifiers.render("gone", &SendContent::full(&[incident(1, NoticeKind::Opened, story())]), "m", at(0)),
        b""
    );
    assert!(matches!(notifiers.deliver("gone", "m", Vec::new(), at(0)).await, Outcome::Unclear { .. }));
}

#[test]
fn policies_share_a_pace_by_url_and_end_a_pause_when_url_or_secret_change() {
    let policies = |secret: &str| {
        notifiers(vec![
            config("a", slack("https://hooks.example.com/services/one")),
            config("b", slack("https://hooks.example.com/services/one")),
            config("c", wecom("https://qyapi.example.com/send?key=two")),
            config("d", webhook("https://example.com/hook", &[secret])),
            config("e", platform("kind: console")),
        ])
        .policies()
    };
    let (before, after) = (policies(SECRET), policies(OLD_SECRET));
    assert_eq!(before["a"].endpoint, before["b"].endpoint);
    assert_ne!(before["a"].endpoint, before["c"].endpoint);
    assert_eq!(before["d"].endpoint, after["d"].endpoint);
    assert_ne!(before["d"].fingerprint, after["d"].fingerprint);
    assert_eq!(before["a"].fingerprint, after["a"].fingerprint);
    let paces = ["a", "c", "d", "e"].map(|name| (before[name].pace, before[name].concurrency));
    assert_eq!(paces, [(Some(Pace::ONE_A_SECOND), 1), (Some(TWENTY_A_MINUTE), 1), (None, 8), (None, 1)]);
}

#[test]
fn debug_shows_no_secret() {
    let url = "https://hooks.example.com/services/very-secret-path";
    let configs = vec![config("a", slack(url)), config("b", webhook(url, &[SECRET]))];
    let shown = format!("{configs:?} {:?}", notifiers(configs.clone()));
    assert!(shown.contains("Slack webhook") && !shown.contains("secret-path") && !shown.contains("MfKQ"), "{shown}");
    assert!(!shown.contains("hooks.example.com"), "{shown}");
}
