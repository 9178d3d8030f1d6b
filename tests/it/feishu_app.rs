//! An app of Feishu's: its token, and what the replies to its messages mean.

use std::time::Duration;

use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::notice::NoticeKind;
use podbell_core::outbox::{Outcome, Parent, SendContent};
use podbell_core::time::Time;
use podbell_core::translations::Language;

use crate::support::events::at;
use crate::support::notices::{incident, story};
use crate::support::platform::platform;
use crate::support::receiver::{Answer, Receiver, client};

fn app(receiver: &Receiver) -> Notifiers {
    let base = receiver.url("");
    let keys =
        format!("kind: feishu-app, api: \"{base}\", app_id: cli_a1, app_secret: marker-of-the-secret, chat: oc_1");
    let config = NamedNotifier {
        name: "app".into(),
        platform: platform(&keys),
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
        digest_after: None,
        template: Default::default(),
        logs: false,
    };
    Notifiers::new(vec![config], Default::default(), client())
}

fn token(text: &str) -> Answer {
    Answer::new(200, &format!(r#"{{"code":0,"msg":"ok","tenant_access_token":"{text}","expire":7200}}"#))
}

fn taken() -> Answer {
    Answer::new(200, r#"{"code":0,"msg":"success","data":{"message_id":"om_1"}}"#)
}

async fn send(app: &Notifiers, kind: NoticeKind, parent: Option<&Parent>, now: Time) -> Outcome {
    let notice = [incident(1, kind, story())];
    let body = app.render("app", &SendContent { parent, ..SendContent::full(&notice) }, "msg_1", now);
    app.deliver("app", "msg_1", body, now).await
}

/// The tokens that requests carried; the request for a token carries none.
fn carried(receiver: &Receiver) -> Vec<String> {
    let bearer = |header: Option<&str>| header.unwrap_or("none").trim_start_matches("Bearer ").to_owned();
    receiver.received().iter().map(|request| bearer(request.header("authorization"))).collect()
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_its_end_and_fetched_again_when_it_is_refused() {
    let receiver = Receiver::start().await;
    let app = app(&receiver);
    receiver.then([token("t-1"), taken(), taken(), token("t-2"), taken()]);
    for seconds in [0, 6_899, 6_900] {
        assert!(send(&app, NoticeKind::Opened, None, at(seconds)).await.arrived());
    }
    assert_eq!(carried(&receiver), ["none", "t-1", "t-1", "none", "t-2"]);
    let refused = Answer::new(400, r#"{"code":99991663,"msg":"Invalid access token for authorization."}"#);
    receiver.then([refused.clone(), token("t-3"), taken()]);
    assert!(send(&app, NoticeKind::Opened, None, at(6_901)).await.arrived());
    assert_eq!(carried(&receiver)[5..], ["t-2", "none", "t-3"]);
    // Once: whoever refuses a new token, too, would do so for ever.
    receiver.then([refused.clone(), token("t-4"), refused]);
    let outcome = send(&app, NoticeKind::Opened, None, at(6_902)).await;
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_pause_that_the_gateway_asks_for_is_kept_whatever_its_status() {
    let receiver = Receiver::start().await;
    let app = app(&receiver);
    receiver.then([token("t-1")]);
    for status in [429, 400] {
        let limited = Answer::new(status, r#"{"code":99991400,"msg":"request trigger frequency limit"}"#);
        receiver.then([limited.with("x-ogw-ratelimit-reset", "27")]);
        match send(&app, NoticeKind::Opened, None, at(0)).await {
            Outcome::Refused { retry_after, .. } => assert_eq!(retry_after, Some(Duration::from_secs(27))),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn replies_mean_what_their_code_says() {
    let parent = Parent { channel: "".into(), message: "om_1".into() };
    let (new, end) = ((NoticeKind::Opened, None), (NoticeKind::Resolved, Some(&parent)));
    for (status, code, (kind, parent), expected) in [
        (400, 230_002, new, "InvalidDestination"),
        (400, 230_006, new, "InvalidDestination"),
        (400, 230_027, new, "InvalidDestination"),
        (400, 99_991_672, new, "InvalidDestination"),
        (400, 230_020, new, "Refused"),
        (200, 11_232, new, "Refused"),
        (400, 230_025, new, "ContentRejected"),
        (400, 230_028, new, "ContentRejected"),
        (400, 230_099, new, "ContentRejected"),
        (500, 230_049, new, "Unclear"),
        (200, 1, new, "Unclear"),
        (400, 230_011, new, "Unclear"),
        (400, 230_011, end, "Orphaned"),
        (400, 230_110, end, "Orphaned"),
        (400, 230_031, end, "Orphaned"),
    ] {
        let receiver = Receiver::start().await;
        let body = format!(r#"{{"code":{code},"msg":"x marker-of-the-secret t-marker-of-the-token"}}"#);
        receiver.then([token("t-marker-of-the-token"), Answer::new(status, &body)]);
        let outcome = format!("{:?}", send(&app(&receiver), kind, parent, at(0)).await);
        assert!(outcome.starts_with(expected), "{status} {code}: {outcome}");
        assert!(!outcome.contains("marker"), "{outcome}");
    }
}

#[tokio::test]
async fn a_chat_without_threads_is_answered_without_one() {
    let receiver = Receiver::start().await;
    let parent = Parent { channel: "".into(), message: "om_1".into() };
    let none = Answer::new(400, r#"{"code":230071,"msg":"The group does not support reply in thread."}"#);
    receiver.then([token("t-1"), none, taken()]);
    assert_eq!(send(&app(&receiver), NoticeKind::Escalated, Some(&parent), at(0)).await, Outcome::Delivered);
    let received = receiver.received();
    let threads: Vec<bool> = received[1..].iter().map(|one| one.json()["reply_in_thread"].as_bool().unwrap()).collect();
    assert_eq!(threads, [true, false]);
    assert!(received.iter().skip(1).all(|one| one.uri.path() == "/open-apis/im/v1/messages/om_1/reply"));
}
