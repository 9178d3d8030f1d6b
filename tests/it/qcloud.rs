//! The client of the legacy API: against the vendor's vectors, the emulator, and broken servers.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use podbell::clock;
use podbell::components::qcloud::discovery::discover;
use podbell::components::qcloud::signature::{sign, string_to_sign};
use podbell::components::qcloud::{HttpMethod, ServiceSelection, SignatureMethod};
use podbell::sources::Problem;
use podbell_core::event::Target;
use secrecy::SecretString;
use serde::Deserialize;

use crate::support::emulated::{ONE_EVENT, SECRET_ID, SECRET_KEY, client, config, emulator};
use crate::support::fixture;
use crate::support::scripted::{Reply, Scripted};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    method: String,
    host: String,
    path: String,
    params: BTreeMap<String, String>,
    secret_key: String,
    string_to_sign: String,
    signature: String,
    encoded_query: String,
}

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

fn web() -> Target {
    Target::new("prod", "cls-1", "default", "web")
}

const EMPTY: &str = r#"{"code": 0, "data": {"eventList": []}}"#;

#[test]
fn every_vector_of_the_vendors_sdk_is_signed_alike() {
    let text = std::fs::read_to_string(fixture("vectors/qcloud-signature.json")).unwrap();
    let vectors: Vectors = serde_json::from_str(&text).unwrap();
    assert!(vectors.vectors.len() >= 10);
    for vector in vectors.vectors {
        let method = if vector.method == "POST" { HttpMethod::Post } else { HttpMethod::Get };
        let sha = SignatureMethod::of(vector.params.get("SignatureMethod").map(String::as_str));
        let signed = |params: &BTreeMap<String, String>| {
            let params = params.iter().map(|(name, value)| (&**name, &**value));
            string_to_sign(method, &vector.host, &vector.path, params)
        };
        assert_eq!(signed(&vector.params), vector.string_to_sign, "{}", vector.name);
        let signature = sign(&vector.string_to_sign, &SecretString::from(vector.secret_key.clone()), sha);
        assert_eq!(signature, vector.signature, "{}", vector.name);
        // What the emulator decodes of the vendor's encoding is signed the same.
        let decoded: BTreeMap<_, _> =
            url::form_urlencoded::parse(vector.encoded_query.as_bytes()).into_owned().collect();
        assert_eq!(signed(&decoded), vector.string_to_sign, "{}", vector.name);
        assert_eq!(decoded["Signature"], vector.signature, "{}", vector.name);
    }
}

#[tokio::test]
async fn every_way_to_sign_and_to_send_reads_the_list() {
    for token in [None, Some("sts/token+1==")] {
        let emulator = emulator(ONE_EVENT, 1, token).await;
        for method in [HttpMethod::Get, HttpMethod::Post] {
            for signature_method in [SignatureMethod::HmacSha1, SignatureMethod::HmacSha256] {
                let mut config = config(&emulator.endpoint());
                config.method = method;
                config.signature_method = signature_method;
                config.token = token.map(SecretString::from);
                let client = client(config);
                for service in ["web", "订单服务 a+b&c=d", "under_score", "%41~"] {
                    let before = clock::now();
                    let events = client.events(&Target::new("prod", "cls-1", "default", service)).await.unwrap().events;
                    assert_eq!((events.len(), events[0].count), (1, 3));
                    assert_eq!(events[0].message, "Back-off 重试");
                    let age = before.since(events[0].first_seen).as_secs();
                    assert!((59..65).contains(&age), "written in Asia/Shanghai, read in Asia/Shanghai: {age}");
                }
            }
        }
        emulator.stop().await;
    }
}

async fn poll_with_faults(codes: &[i64]) -> (Result<usize, Problem>, u64) {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    emulator.fail_next(codes.iter().copied());
    let result = client(config(&emulator.endpoint())).events(&web()).await;
    (result.map(|list| list.events.len()), emulator.requests())
}

#[tokio::test]
async fn an_unwell_api_is_asked_again_at_most_twice() {
    for code in [5100, 6000, 6200, 4400] {
        assert_eq!(poll_with_faults(&[code]).await, (Ok(1), 2), "{code}");
        assert_eq!(poll_with_faults(&[code, code]).await, (Ok(1), 3), "{code}");
        let (result, requests) = poll_with_faults(&[code, code, code]).await;
        assert_eq!((result.unwrap_err().code, requests), (code.to_string(), 3));
    }
}

#[tokio::test]
async fn a_request_taken_for_old_or_a_replay_is_signed_afresh_once() {
    for code in [4200, 4500] {
        assert_eq!(poll_with_faults(&[code]).await, (Ok(1), 2), "{code}");
        let (result, requests) = poll_with_faults(&[code, code]).await;
        assert_eq!((result.unwrap_err().code, requests), (code.to_string(), 2));
        assert_eq!(poll_with_faults(&[code, 6000, 6000]).await, (Ok(1), 4), "{code}");
    }
}

#[tokio::test]
async fn what_the_operator_must_mend_is_told_at_once_with_advice() {
    let codes = [4000, 4100, 4101, 4102, 4103, 4104, 4105, 4106, 4110, 4300, 4600, 5000, 6100, -16009, -16013, 4711];
    for code in codes {
        let (result, requests) = poll_with_faults(&[code]).await;
        let error = result.unwrap_err();
        assert_eq!((&*error.code, requests), (&*code.to_string(), 1));
        assert_eq!(error.gone, code == -16013);
        assert!(!error.text.is_empty() && !error.advice.is_empty());
    }
}

#[tokio::test]
async fn a11_a_wrong_key_is_refused_without_trying_again() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let mut config = config(&emulator.endpoint());
    config.secret_key = SecretString::from("another");
    let error = client(config).events(&web()).await.unwrap_err();
    assert_eq!((&*error.code, emulator.requests()), ("4100", 1));
    assert!(error.advice.contains("secret_key"));
}

#[tokio::test]
async fn no_pause_goes_past_the_polls_own_time() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    emulator.fail_next([6000]);
    let mut config = config(&emulator.endpoint());
    config.retry_delay = Duration::from_secs(600);
    assert_eq!(client(config).events(&web()).await.unwrap_err().code, "6000");
    assert_eq!(emulator.requests(), 1);
}

async fn poll_of(script: Vec<Reply>) -> (Result<usize, Problem>, usize) {
    let server = Scripted::start(script).await;
    let mut config = config(&server.endpoint);
    config.timeout = Duration::from_millis(300);
    config.max_answer = 10_000;
    let result = client(config).events(&web()).await;
    (result.map(|list| list.events.len()), server.requests().len())
}

fn cut_off() -> Reply {
    Reply::Raw(format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{EMPTY}"))
}

#[tokio::test]
async fn broken_answers_are_errors_and_never_empty_lists() {
    let chunk = format!("400\r\n{}\r\n", " ".repeat(0x400));
    let endless = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(20));
    for (reply, code, requests) in [
        (Reply::Http(500, "{}".into()), "http-500", 3),
        (Reply::Http(502, "<html>".into()), "http-502", 3),
        (Reply::Http(429, String::new()), "http-429", 3),
        (Reply::Http(404, EMPTY.into()), "http-404", 1),
        (Reply::Http(302, EMPTY.into()), "http-302", 1),
        (Reply::Http(200, "<html>log in</html>".into()), "not-json", 1),
        (Reply::Http(200, String::new()), "cut-off", 3),
        (Reply::Http(200, EMPTY[..20].into()), "cut-off", 3),
        (Reply::Http(200, r#"{"code": 0}"#.into()), "malformed", 1),
        (Reply::Http(200, " ".repeat(10_001)), "too-large", 1),
        (Reply::Raw(endless), "too-large", 1),
        (Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".into()), "too-large", 1),
        (cut_off(), "cut-off", 3),
        (Reply::Raw(String::new()), "cut-off", 3),
        (Reply::Hang, "timeout", 3),
        (Reply::Http(200, r#"{"code": "4100", "message": "no"}"#.into()), "4100", 1),
        (Reply::Http(200, r#"{"code": "Weird", "message": "no"}"#.into()), "Weird", 1),
    ] {
        let (result, asked) = poll_of(vec![reply]).await;
        let error = result.expect_err(code);
        assert_eq!((&*error.code, asked), (code, requests), "{error:?}");
        assert!(!error.advice.is_empty());
        let told = format!("{error:?}");
        for secret in [SECRET_ID, SECRET_KEY, "Signature", "Nonce", "127.0.0.1"] {
            assert!(!told.contains(secret), "{told} holds {secret}");
        }
    }
    let whole = Reply::Http(200, EMPTY.into());
    assert_eq!(poll_of(vec![cut_off(), Reply::Http(503, String::new()), whole]).await, (Ok(0), 3));
}

#[tokio::test]
async fn an_answer_that_repeats_our_secrets_is_told_without_them() {
    let echo =
        format!("SignSource: GET...&SecretId={SECRET_ID}&Token=sts/token+1==&x={SECRET_KEY}{}", "y".repeat(5000));
    let body = serde_json::json!({"code": 4100, "message": echo}).to_string();
    let server = Scripted::start([Reply::Http(200, body)]).await;
    let mut config = config(&server.endpoint);
    config.token = Some(SecretString::from("sts/token+1=="));
    let error = client(config).events(&web()).await.unwrap_err();
    assert!(error.text.contains("SecretId=***&Token=***&x=***y"), "{}", error.text);
    assert_eq!(error.text.chars().count(), 300);
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_a_connect_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = client(config(&endpoint)).events(&web()).await.unwrap_err();
    assert_eq!(error.code, "connect");
    assert!(!error.text.contains("Signature"));
}

#[tokio::test]
async fn connections_are_kept_alive() {
    let server = Scripted::start([Reply::Http(200, EMPTY.into())]).await;
    let client = client(config(&server.endpoint));
    for _ in 0..20 {
        client.events(&web()).await.unwrap();
    }
    assert_eq!((server.requests().len(), server.connections()), (20, 1));
}

#[tokio::test]
async fn every_request_has_its_own_nonce() {
    let server = Scripted::start([Reply::Http(500, String::new())]).await;
    client(config(&server.endpoint)).events(&web()).await.unwrap_err();
    let nonce = |line: &String| line.split("Nonce=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mut nonces: Vec<_> = server.requests().iter().map(nonce).collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 3);
}

#[tokio::test]
async fn the_pace_holds_for_every_attempt() {
    let server = Scripted::start([Reply::Http(500, String::new())]).await;
    let mut config = config(&server.endpoint);
    config.requests_per_second = NonZeroU32::new(20).unwrap();
    let client = client(config);
    let begun = clock::monotonic();
    let (service, other) = (web(), web());
    let _ = tokio::join!(client.events(&service), client.events(&other));
    assert_eq!(server.requests().len(), 6);
    // The first two leave together.
    assert!(begun.elapsed() >= Duration::from_millis(195), "six attempts at 20/s: {:?}", begun.elapsed());
}

/// 250 services in two clusters, each with one line.
fn many_services() -> String {
    let line = |n: usize| {
        format!(
            "{{\"at\": \"2026-01-01 00:00:00\", \"cluster\": \"cls-{}\", \"namespace\": \"ns-{}\", \"service\": \"s{n:03}\", \"eventList\": []}}\n",
            n / 240,
            n % 3
        )
    };
    (0..250).map(line).collect()
}

#[tokio::test]
async fn discovery_reads_all_pages_of_all_clusters() {
    let emulator = emulator(&many_services(), 1, None).await;
    let mut config = config(&emulator.endpoint());
    config.services = vec![ServiceSelection::Discover { cluster: None }];
    let client = client(config);
    let found = discover(&client).await;
    assert_eq!((found.targets.len(), found.error), (250, None));
    assert!(found.targets.contains(&Target::new("prod", "cls-1", "ns-1", "s241")));
    assert_eq!(emulator.requests(), 1 + 3 + 1, "clusters, three pages of one and one of the other");
}

#[tokio::test]
async fn a12_a_discovery_that_is_cut_off_half_way_says_so() {
    let emulator = emulator(&many_services(), 1, None).await;
    let mut config = config(&emulator.endpoint());
    config.services = vec![ServiceSelection::Discover { cluster: None }];
    let client = client(config);
    emulator.fail_next([0, 0, 4300]);
    let found = discover(&client).await;
    assert_eq!(found.targets.len(), 110, "a page of the first cluster, and the second cluster");
    let error = found.error.unwrap();
    assert_eq!(error.code, "4300");
    assert!(error.text.contains("cls-0"), "{}", error.text);

    emulator.fail_next([4101]);
    let found = discover(&client).await;
    assert_eq!((found.targets.len(), found.error.unwrap().code), (0, "4101".to_owned()));
}

#[tokio::test]
async fn a_listing_that_is_not_paged_is_read_once_and_one_that_repeats_itself_is_not_complete() {
    let page = |total: &str| {
        let body = format!(
            r#"{{"code": "0", "data": {{{total} "services": [{{"serviceName": "a", "namespace": "n"}}, {{"serviceName": "b"}}]}}}}"#
        );
        Reply::Http(200, body)
    };
    for (total, error, requests) in
        [("", None, 1), (r#""totalCount": "2","#, None, 1), (r#""totalCount": 3,"#, Some("incomplete"), 2)]
    {
        let server = Scripted::start([page(total)]).await;
        let mut config = config(&server.endpoint);
        config.services = vec![ServiceSelection::Discover { cluster: Some("cls-1".into()) }];
        let found = discover(&client(config)).await;
        assert_eq!(found.targets.len(), 2);
        assert_eq!(found.error.map(|error| error.code).as_deref(), error);
        assert_eq!(server.requests().len(), requests);
    }
}
