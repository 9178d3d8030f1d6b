//! Events that Feishu posts to podbell: what they are answered with, and what somebody who is not Feishu may try.

use std::sync::Arc;

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podbell::chat::Entry;
use podbell::components::feishu::chat::{Feishu, FeishuConfig, Subscription, Timing};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::chat_endpoints::{Attack, Headers, NOW, around, settings, vectors, withstand};
use crate::support::QUICK_ANSWERS;
use crate::support::endpoint::Endpoint;
use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::{Answer, Receiver};
use crate::support::slack::FakeQueries;

const KEY: &str = "test key";
const TOKEN: &str = "xxxxxx";
const PATH: &str = "/feishu/ask";

/// The API: whatever it is asked, it gives a token, names the bot, and takes what is posted.
async fn api() -> Receiver {
    let receiver = Receiver::start().await;
    let all = json!({
        "code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200,
        "bot": {"open_id": "ou_bot"}, "data": {"message_id": "om_a"},
    });
    receiver.otherwise(Answer::new(200, &all.to_string()));
    receiver
}

fn app(queries: &Arc<FakeQueries>, api: &Receiver) -> Arc<Feishu> {
    let config = FeishuConfig {
        settings: settings("t"),
        app_id: "cli_a".into(),
        app_secret: "marker-of-the-secret".into(),
        api: api.url("").parse().unwrap(),
        subscription: Some(Subscription { encrypt_key: KEY.into(), verification_token: TOKEN.into() }),
        timing: Timing { answers: QUICK_ANSWERS, ..Timing::default() },
    };
    Feishu::new(config, around(queries))
}

fn encrypted(plain: &str) -> String {
    let key = Sha256::digest(KEY);
    let iv = [7_u8; 16];
    let mut bytes = plain.as_bytes().to_vec();
    let length = bytes.len();
    bytes.resize(length + 16, 0);
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&key, &iv).unwrap();
    let text = cipher.encrypt_padded::<Pkcs7>(&mut bytes, length).unwrap();
    json!({"encrypt": STANDARD.encode([&iv, text].concat())}).to_string()
}

fn signed(time: i64, body: &str) -> Headers {
    let hash = Sha256::digest(format!("{time}n-1{KEY}{body}"));
    vec![
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("x-lark-request-timestamp", time.to_string()),
        ("x-lark-request-nonce", "n-1".to_owned()),
        ("x-lark-signature", hash.iter().map(|byte| format!("{byte:02x}")).collect()),
    ]
}

fn event(kind: &str, id: &str, event: &Value) -> Value {
    let header = json!({
        "event_id": id, "event_type": kind, "token": TOKEN, "create_time": format!("{NOW}000"),
        "tenant_key": "t", "app_id": "cli_a",
    });
    json!({"schema": "2.0", "header": header, "event": event})
}

fn message(id: &str, text: &str) -> Value {
    let mention = json!({"key": "@_user_1", "id": {"open_id": "ou_bot"}, "name": "podbell"});
    let message = json!({
        "message_id": format!("om_{id}"), "chat_id": "oc_1", "chat_type": "group", "message_type": "text",
        "content": json!({"text": format!("@_user_1 {text}")}).to_string(), "mentions": [mention],
    });
    let sender = json!({"sender_id": {"open_id": "ou_1"}, "sender_type": "user", "tenant_key": "t"});
    event("im.message.receive_v1", id, &json!({"sender": sender, "message": message}))
}

fn press(id: &str, command: &str) -> Value {
    let pressed = json!({
        "operator": {"open_id": "ou_1", "tenant_key": "t"}, "token": "c-1",
        "action": {"tag": "button", "value": {"command": command}},
        "context": {"open_message_id": "om_card", "open_chat_id": "oc_1"},
    });
    event("card.action.trigger", id, &pressed)
}

async fn post(endpoint: &Endpoint, time: i64, plain: &Value) -> (u16, Value) {
    let body = encrypted(&plain.to_string());
    endpoint.post(PATH, &signed(time, &body), &body).await
}

/// The messages that were answered.
async fn answered(api: &Receiver, count: usize) -> Vec<String> {
    let replies = || -> Vec<String> {
        api.received().into_iter().map(|one| one.uri.to_string()).filter(|path| path.ends_with("/reply")).collect()
    };
    eventually(PATIENCE, "answers", || Some(replies()).filter(|all| all.len() >= count)).await
}

#[tokio::test]
async fn feishu_s_events_are_answered_as_the_vectors_say() {
    let (queries, api) = (FakeQueries::new(), api().await);
    let endpoint = Endpoint::serve(app(&queries, &api).routes()).await;
    let mut checked = 0;
    for case in vectors(include_str!("../fixtures/vectors/feishu.json")) {
        if case["kind"] != "event_v2" {
            continue;
        }
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let headers: Headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-lark-request-timestamp", text("timestamp")),
            ("x-lark-request-nonce", text("nonce")),
            ("x-lark-signature", text("x_lark_signature")),
        ];
        let (status, body) = endpoint.post(PATH, &headers, &text("body")).await;
        assert_eq!(status, 200, "{}", case["name"]);
        if !case["expected_reply"].is_null() {
            assert_eq!(body, case["expected_reply"]);
            // So is the one that is not signed.
            let (status, body) = endpoint.post(PATH, &headers[..1], &text("body")).await;
            assert_eq!((status, &body), (200, &case["expected_reply"]));
        }
        checked += 1;
    }
    assert_eq!((checked, queries.texts()), (2, vec!["web-service".to_owned()]));
    assert_eq!(queries.asked()[0].entry, Entry::Events);
    assert!(answered(&api, 1).await[0].ends_with("/om_1/reply"));
}

#[tokio::test]
async fn what_is_posted_again_runs_once_and_a_press_is_answered_at_once() {
    let (queries, api) = (FakeQueries::like(true, Some(12)), api().await);
    let endpoint = Endpoint::serve(app(&queries, &api).routes()).await;
    // Feishu signs it anew when it posts it again; somebody who has recorded it cannot.
    for time in [NOW, NOW, NOW + 15] {
        assert_eq!(post(&endpoint, time, &message("e1", "ack 1")).await, (200, json!({})));
    }
    for time in [NOW, NOW + 15] {
        let (status, body) = post(&endpoint, time, &press("e2", "ack 12")).await;
        assert_eq!((status, &body["toast"]["type"]), (200, &json!("success")), "{body}");
    }
    // Nothing of podbell's.
    assert_eq!(post(&endpoint, NOW, &event("im.chat.updated_v1", "e3", &json!({}))).await, (200, json!({})));
    assert_eq!(queries.texts(), ["ack 1", "ack 12"]);
    let answers = answered(&api, 2).await;
    assert!(answers.iter().any(|path| path.ends_with("/om_e1/reply")), "{answers:?}");
    assert!(answers.iter().any(|path| path.ends_with("/om_card/reply")), "{answers:?}");
}

#[tokio::test]
async fn an_event_whose_bot_cannot_be_asked_for_comes_again() {
    let (queries, api) = (FakeQueries::new(), api().await);
    api.then([Answer::new(502, "")]);
    let endpoint = Endpoint::serve(app(&queries, &api).routes()).await;
    assert_eq!(post(&endpoint, NOW, &message("e1", "ack 1")).await.0, 503);
    assert_eq!(post(&endpoint, NOW + 15, &message("e1", "ack 1")).await.0, 200);
    assert_eq!(queries.texts(), ["ack 1"]);
}

#[tokio::test]
async fn attacks_on_feishu_s_endpoint_have_no_effect() {
    let (queries, api) = (FakeQueries::new(), api().await);
    let endpoint = Endpoint::serve(app(&queries, &api).routes()).await;
    let event = message("e1", "ack 1");
    let good = encrypted(&event.to_string());
    let with = |part: &str, key: &str, value: Value| {
        let mut event = event.clone();
        event[part][key] = value;
        encrypted(&event.to_string())
    };
    let attack =
        |name, headers, body: &str, status| Attack { name, path: PATH.into(), headers, body: body.to_owned(), status };
    let whole = |name, body: &str, status| attack(name, signed(NOW, body), body, status);
    let unsigned = || signed(NOW, "")[..1].to_vec();
    let mut twice = signed(NOW, &good);
    twice.push(("x-lark-signature", "0".repeat(64)));
    let mut another_nonce = signed(NOW, &good);
    another_nonce[2].1 = "n-2".into();
    let mut xml = signed(NOW, &good);
    xml[0].1 = "text/xml".into();
    let stranger =
        with("event", "sender", json!({"sender_id": {"open_id": "ou_1"}, "sender_type": "user", "tenant_key": "t2"}));
    let challenge =
        |token: &str| encrypted(&json!({"type": "url_verification", "challenge": "c", "token": token}).to_string());
    let attacks = vec![
        attack("another body's signature", signed(NOW, "{}"), &good, 401),
        attack("another nonce", another_nonce, &good, 401),
        attack("nothing signed", unsigned(), &good, 401),
        attack("a plain event, not signed", unsigned(), &event.to_string(), 401),
        attack("a question whether podbell is there, with a wrong token", unsigned(), &challenge("other"), 401),
        attack("a stale time", signed(NOW - 301, &good), &good, 401),
        attack("a time to come", signed(NOW + 301, &good), &good, 401),
        attack("two signatures", twice, &good, 401),
        whole("a wrong verification token", &with("header", "token", json!("other")), 401),
        whole("another application", &with("header", "app_id", json!("cli_b")), 403),
        whole("another company", &with("header", "tenant_key", json!("t2")), 403),
        whole("a person of another company", &stranger, 403),
        whole("not encrypted", &event.to_string(), 400),
        whole("not decryptable", r#"{"encrypt": "AAECAwQFBgcICQoLDA0ODw=="}"#, 400),
        whole("no event", &encrypted("[]"), 400),
        attack("another type", xml, &good, 415),
        Attack { path: "/feishu/other".into(), ..whole("another chat", &good, 404) },
    ];
    let reasons = [
        "no signature",
        "a wrong signature",
        "5 min off",
        "a wrong verification token",
        "another application",
        "not allowed",
        "cannot be read",
    ];
    withstand(&endpoint, &queries, attacks, &reasons, &[KEY, TOKEN, "marker-of", "ack 1"]).await;
    assert_eq!(post(&endpoint, NOW, &event).await.0, 200);
    assert_eq!(queries.texts(), ["ack 1"]);
}
