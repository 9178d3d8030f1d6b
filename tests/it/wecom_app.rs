//! An app of WeCom: its callback on real sockets, with every vector, and everything that somebody who
//! is not WeCom may try.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use podbell::chat::Entry;
use podbell::components::wecom::chat::{App, AppConfig};
use podbell::health::HealthStatus;
use podbell_core::time::Time;
use proptest::prelude::*;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::client;
use crate::support::slack::FakeQueries;
use crate::support::wecom::{CORP, app_config, around, bound, crypto};

const NOW: i64 = 1_700_000_000;

struct Podbell {
    address: SocketAddr,
    queries: Arc<FakeQueries>,
}

async fn podbell(now: i64, change: impl FnOnce(&mut AppConfig)) -> Podbell {
    let queries = FakeQueries::new();
    let mut config = app_config();
    change(&mut config);
    let app = App::new(config, around(queries.clone(), Some(Time::from_seconds(now))));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(podbell::server::serve(
        listener,
        Arc::new(HealthStatus::default()),
        None,
        app.routes(),
        CancellationToken::new(),
    ));
    Podbell { address, queries }
}

impl Podbell {
    fn url(&self, query: &[(&str, &str)]) -> url::Url {
        url::Url::parse_with_params(&format!("http://{}/wecom/wx", self.address), query).unwrap()
    }

    async fn post(&self, query: &[(&str, &str)], body: impl Into<reqwest::Body>) -> (u16, String) {
        let response = client().post(self.url(query)).body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn get(&self, query: &[(&str, &str)]) -> (u16, Vec<u8>) {
        let response = client().get(self.url(query)).send().await.unwrap();
        (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
    }

    /// A message as WeCom encrypts it. The answer's text, decrypted.
    async fn send(&self, plain: &str) -> (u16, String) {
        let (status, body) = self.send_at(NOW, plain).await;
        (status, if status == 200 && !body.is_empty() { content(&body) } else { body })
    }

    async fn send_at(&self, at: i64, plain: &str) -> (u16, String) {
        let (at, encrypted) = (at.to_string(), crypto().encrypt(plain, b"0123456789abcdef").unwrap());
        let signature = crypto().sign(&at, "n1", &encrypted);
        let query = [("msg_signature", signature.as_str()), ("timestamp", &at), ("nonce", "n1")];
        self.post(&query, envelope(&encrypted)).await
    }

    /// WeCom's caller: it waits, hangs up, and tries again three times.
    async fn insist(&self, plain: &str, patience: Duration) -> Vec<Option<(u16, String)>> {
        let mut answers = Vec::new();
        for _ in 0..4 {
            let answer = tokio::time::timeout(patience, self.send(plain)).await.ok();
            let over = answer.is_some();
            answers.push(answer);
            if over {
                break;
            }
        }
        answers
    }
}

fn envelope(encrypted: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><AgentID><![CDATA[1000002]]></AgentID><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    )
}

fn message(id: &str, user: &str, text: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{user}]]></FromUserName>\
         <CreateTime>{NOW}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>\
         <MsgId>{id}</MsgId><AgentID>1000002</AgentID></xml>"
    )
}

/// What is in an element of CDATA or text.
fn element<'x>(xml: &'x str, name: &str) -> &'x str {
    let inside = xml.split_once(&format!("<{name}>")).unwrap().1.split_once(&format!("</{name}>")).unwrap().0;
    inside.strip_prefix("<![CDATA[").and_then(|inside| inside.strip_suffix("]]>")).unwrap_or(inside)
}

/// The text of an encrypted reply, whose signature must be right.
fn content(body: &str) -> String {
    let encrypted = element(body, "Encrypt");
    let (at, nonce) = (element(body, "TimeStamp"), element(body, "Nonce"));
    crypto().verify(element(body, "MsgSignature"), at, nonce, encrypted).unwrap();
    let plain = String::from_utf8(crypto().decrypt(encrypted).unwrap()).unwrap();
    assert_eq!((element(&plain, "MsgType"), element(&plain, "FromUserName")), ("text", CORP));
    let content = element(&plain, "Content").replace("]]]]><![CDATA[>", "]]>");
    assert!(content.len() <= 2048, "{}", content.len());
    content
}

#[tokio::test]
async fn a40_every_vector_gets_its_answer_over_a_real_socket() {
    let vectors: Value = serde_json::from_str(include_str!("../fixtures/vectors/wecom_callback.json")).unwrap();
    let mut seen = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let podbell = podbell(text("timestamp").parse().unwrap(), |_| {}).await;
        let query =
            [("msg_signature", text("msg_signature")), ("timestamp", text("timestamp")), ("nonce", text("nonce"))];
        match text("kind") {
            "verify_url" => {
                let echo = if text("echostr").is_empty() { text("msg_encrypt") } else { text("echostr") };
                let (status, body) = podbell.get(&[&query[..], &[("echostr", echo)]].concat()).await;
                let expected = if text("plain").is_empty() { text("expected_plain") } else { text("plain") };
                assert_eq!((status, body.as_slice()), (200, expected.as_bytes()), "{}", text("name"));
            }
            "post" => {
                let (status, body) = podbell.post(&query, text("body_xml").to_owned()).await;
                let asked = podbell.queries.texts();
                match text("name") {
                    "text-events-web-service" => assert_eq!(asked, ["web-service"]),
                    "text-chinese" => assert_eq!(asked, ["支付服务 最近2小时"]),
                    "cdata-split" => assert_eq!(asked, ["a]]>b"]),
                    "enter-agent-event" => assert_eq!((status, body.as_str(), asked.len()), (200, "", 0)),
                    // Plain texts that are no XML, the XXE, and everything that is invalid.
                    name => assert!((400..500).contains(&status) && asked.is_empty(), "{name}: {status}"),
                }
                if !asked.is_empty() {
                    assert_eq!(status, 200);
                    assert!(content(&body).starts_with("You said "));
                }
            }
            kind => assert_eq!(kind, "reply", "its bytes are compared where they are made"),
        }
        seen += 1;
    }
    assert_eq!(seen, 20);
}

#[tokio::test]
async fn a40_forged_stale_and_repeated_parameters_are_refused() {
    let podbell = podbell(NOW, |_| {}).await;
    let (at, encrypted) = (NOW.to_string(), crypto().encrypt(&message("1", "ann", "x"), &[7; 16]).unwrap());
    let signature = crypto().sign(&at, "n1", &encrypted);
    let good = [("msg_signature", signature.as_str()), ("timestamp", &at), ("nonce", "n1")];
    for (query, why) in [
        (vec![], "nothing"),
        (good[..2].to_vec(), "no nonce"),
        (vec![good[0], good[1], ("nonce", "n2")], "another nonce"),
        (vec![good[0], good[1], good[2], ("timestamp", "1700000000")], "two times"),
        (vec![("msg_signature", "é"), good[1], good[2]], "no hex"),
        (vec![("msg_signature", ""), good[1], good[2]], "empty"),
        (vec![good[0], ("timestamp", "-1"), good[2]], "a wrong time"),
        (vec![good[0], ("timestamp", "99999999999999999999"), good[2]], "a huge time"),
    ] {
        assert_eq!(podbell.post(&query, envelope(&encrypted)).await.0, 401, "{why}");
    }
    for at in [NOW - 301, NOW + 301] {
        assert_eq!(podbell.send_at(at, &message("2", "ann", "x")).await.0, 401, "{at}");
    }
    assert!(podbell.queries.asked().is_empty());
    for at in [NOW - 300, NOW + 300] {
        assert_eq!(podbell.send_at(at, &message(&at.to_string(), "ann", "x")).await.0, 200, "{at}");
    }
    assert_eq!(podbell.get(&good).await.0, 400, "nothing to read back");
}

#[tokio::test]
async fn what_comes_again_runs_once_and_has_the_same_answer() {
    let podbell = podbell(NOW, |_| {}).await;
    let first = podbell.send(&message("7", "ann", "mute 1 1h")).await;
    assert_eq!(first.0, 200);
    for _ in 0..5 {
        assert_eq!(podbell.send(&message("7", "ann", "mute 1 1h")).await, first);
    }
    assert_eq!(podbell.queries.texts(), ["mute 1 1h"]);
    // Without a MsgId it is known by who wrote it and when.
    let nameless = message("", "ann", "ack 1");
    let (one, two) = (podbell.send(&nameless).await, podbell.send(&nameless).await);
    assert_eq!(one, two);
    podbell.send(&message("", "bob", "ack 1")).await;
    assert_eq!(podbell.queries.texts(), ["mute 1 1h", "ack 1", "ack 1"]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_and_tries_again_loses_nothing_and_runs_nothing_twice() {
    let podbell = Arc::new(podbell(NOW, |_| {}).await);
    podbell.queries.open(false);
    let calling = podbell.clone();
    let caller =
        tokio::spawn(async move { calling.insist(&message("9", "ann", "ack 3"), Duration::from_millis(300)).await });
    eventually(PATIENCE, "a question arrives", || (!podbell.queries.asked().is_empty()).then_some(())).await;
    podbell.queries.open(true);
    let answers = caller.await.unwrap();
    let (status, text) = answers.last().unwrap().clone().unwrap();
    assert!(status == 200 && text.starts_with("You said ack 3"), "{text}");
    assert_eq!(podbell.queries.texts(), ["ack 3"]);
}

#[tokio::test]
async fn a41_a_slow_answer_is_a_word_in_time_and_its_retry_has_the_answer() {
    let podbell = podbell(NOW, |config| config.timing.reply = Duration::from_millis(20)).await;
    podbell.queries.open(false);
    let (status, text) = podbell.send(&message("5", "ann", "events")).await;
    assert!(status == 200 && text.starts_with("This takes longer"), "{text}");
    podbell.queries.open(true);
    let mut text = String::new();
    for _ in 0..500 {
        text = podbell.send(&message("5", "ann", "events")).await.1;
        if text.starts_with("You said") {
            break;
        }
    }
    assert!(text.starts_with("You said events"), "{text}");
    assert_eq!(podbell.queries.texts().len(), 1);
}

#[tokio::test]
async fn a42_people_and_apps_are_allowed_and_bound_as_configured() {
    let podbell = podbell(NOW, |config| {
        config.settings.access.users = Some(["ann".to_owned()].into());
        config.settings.access.channels = Some([("1000002".to_owned(), bound("shop"))].into());
        config.agent_id = Some("1000002".into());
    })
    .await;
    assert!(podbell.send(&message("1", "bob", "x")).await.1.starts_with("You are not on"));
    let other = message("2", "ann", "x").replace("1000002", "1000003");
    assert_eq!(podbell.send(&other).await.0, 403);
    assert_eq!(podbell.send(&message("3", "ann", "/events web")).await.0, 200);
    let asked = podbell.queries.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].entry, asked[0].text.as_str()), (Entry::Events, "web"));
    assert_eq!((asked[0].speaker.scope.clone(), asked[0].speaker.may_write), (bound("shop").scope, false));
    assert_eq!(asked[0].speaker.author.name, "ann");
}

#[tokio::test]
async fn answers_fit_into_a_text_and_nothing_from_outside_is_markup() {
    let podbell = podbell(NOW, |_| {}).await;
    let long = podbell.send(&message("1", "ann", &"支付".repeat(300))).await.1;
    assert!(long.len() <= 2048 && long.contains("支付"));
    let tag = podbell.send(&message("2", "ann", "<a href=\"https://evil.example\">x</a>")).await.1;
    assert!(!tag.contains('<') && tag.contains("＜a href"), "{tag}");
    let end = podbell.send(&message("3", "ann", "]]]]><![CDATA[>")).await.1;
    assert!(end.contains("]]＞"), "{end}");
    assert!(podbell.send(&message("4", "ann", &"x".repeat(2049))).await.1.starts_with("That is too long"));
}

#[tokio::test]
async fn bodies_that_are_cut_off_oversized_or_hostile_are_refused() {
    let podbell = podbell(NOW, |_| {}).await;
    for plain in [
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><MsgType>text</MsgType><Content>&e;</Content></xml>",
        "<xml><MsgType>text</MsgType><FromUserName>a</FromUserName><Content>&e;</Content></xml>",
        "<xml><MsgType>text</MsgType>",
        "<xml><MsgType>text</MsgType><MsgType>event</MsgType></xml>",
        "<xml><MsgType>text</MsgType><Content>nobody</Content></xml>",
        "",
    ] {
        assert_eq!(podbell.send(plain).await.0, 400, "{plain}");
    }
    let at = NOW.to_string();
    let query = [("msg_signature", "00"), ("timestamp", at.as_str()), ("nonce", "n")];
    for body in ["", "x", "<xml>", "<!DOCTYPE x><xml/>", "<xml><Encrypt>&e;</Encrypt></xml>"] {
        assert_eq!(podbell.post(&query, body.to_owned()).await.0, 400, "{body}");
    }
    assert_eq!(podbell.post(&query, vec![b'x'; 100 * 1024]).await.0, 400);
    assert_eq!(podbell.post(&query, vec![b'x'; 300 * 1024]).await.0, 413);
    // A body that ends before its announced length is nobody's message.
    let mut stream = TcpStream::connect(podbell.address).await.unwrap();
    stream.write_all(b"POST /wecom/wx?nonce=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n<xml>").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert!(podbell.queries.asked().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_is_posted_breaks_it(body in proptest::collection::vec(any::<u8>(), 0..300), plain in "\\PC{0,80}", query in "[ -~]{0,40}") {
        static RUNTIME: OnceLock<(tokio::runtime::Runtime, Podbell)> = OnceLock::new();
        let (runtime, podbell) = RUNTIME.get_or_init(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let podbell = runtime.block_on(podbell(NOW, |_| {}));
            (runtime, podbell)
        });
        runtime.block_on(async {
            let at = NOW.to_string();
            let signed = [("msg_signature", query.as_str()), ("timestamp", &at), ("nonce", &query)];
            let forged = podbell.post(&signed, body).await.0;
            let proved = podbell.send_at(NOW, &plain).await.0;
            assert!((400..500).contains(&forged) && (400..500).contains(&proved), "{forged} {proved}");
        });
    }
}
