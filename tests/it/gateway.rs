//! The gateway: what is stored, asked through the legacy API. The real binary on real sockets.

use std::time::Duration;

use podbell::components::qcloud::ServiceSelection;
use podbell::components::qcloud::discovery::discover;
use podbell::components::qcloud::signature::{HttpMethod, SignatureMethod};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::support::emulated::{client, config, emulator};
use crate::support::process::PATIENCE;
use crate::support::signed::{Request, send};
use crate::support::site::{Running, Site};

/// Two services in two namespaces; one of them shows what is older than an hour, too.
const PLAY: &str = r#"{"at": "2026-01-01 02:00:00", "cluster": "c", "namespace": "shop", "service": "web", "eventList": [
{"firstSeen": "2026-01-01 01:00:00", "lastSeen": "2026-01-01 01:59:30", "count": 3, "level": "Warning", "objType": "Pod", "objName": "web-1", "reason": "BackOff", "message": "Back-off 重试 \"x\""},
{"firstSeen": "2026-01-01 00:00:00", "lastSeen": "2026-01-01 00:59:00", "count": 9, "level": "Warning", "objType": "Pod", "objName": "web-0", "reason": "Failed", "message": "long ago"},
{"firstSeen": "2026-01-01 01:58:00", "lastSeen": "2026-01-01 01:58:00", "count": 1, "level": "Normal", "objType": "Pod", "objName": "web-1", "reason": "Pulling", "message": "pulling"}]}
{"at": "2026-01-01 02:00:00", "cluster": "c", "namespace": "bank", "service": "vault", "eventList": []}"#;

pub const ALL: (&str, &str) = ("AKIDemulated", "not-a-real-key-but-long-enough");
const SHOP: (&str, &str) = ("AKIDshop", "the-key-of-the-shop-team");

pub async fn running() -> (Site, Running) {
    let play = PLAY.replace(",\n", ",").replace("[\n", "[");
    let emulator = emulator(&play, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), "http://127.0.0.1:9/");
    site.edit(
        "rules: [rules.yaml]",
        &format!(
            "rules: [rules.yaml]\ngateway:\n  keys:\n    - {{secret_id: {}, secret_key: {}}}\n    - {{secret_id: {}, secret_key: {}, namespace: shop}}",
            ALL.0, ALL.1, SHOP.0, SHOP.1
        ),
    );
    site.edit("    requests_per_second: 1000\n", "    requests_per_second: 1000\n    aliases: {c: prod-gz}\n");
    let running = site.run().await;
    running.reaches("podbell_known_episodes ", |known| known == 3).await;
    // The emulator's task lives as long as this runtime.
    std::mem::forget(emulator);
    (site, running)
}

fn ask(running: &Running, nonce: u64, of: (&'static str, &'static str)) -> Request {
    let mut request = Request::to(&running.listen, nonce).with("SecretId", Some(of.0)).with("clusterId", Some("c"));
    request.key = of.1;
    request.with("namespace", Some("shop"))
}

#[tokio::test]
async fn podbells_own_client_reads_through_the_gateway_what_podbell_read() {
    let (_site, running) = running().await;
    let mut config = config(&format!("http://{}/v2/index.php", running.listen));
    config.secret_key = SecretString::from(ALL.1);
    config.services = vec![ServiceSelection::Discover { cluster: None }];
    let client = client(config);
    let found = discover(&client).await;
    assert!(found.error.is_none(), "{:?}", found.error);
    let names: Vec<String> =
        found.targets.iter().map(|target| format!("{}/{}", target.namespace, target.service)).collect();
    assert_eq!(names, ["bank/vault", "shop/web"]);
    let web = found.targets.iter().find(|target| &*target.service == "web").unwrap();
    let events = client.events(web).await.unwrap().events;
    // The newest first, and nothing that is older than an hour.
    let said: Vec<(&str, u64)> = events.iter().map(|event| (&*event.reason, event.count)).collect();
    assert_eq!(said, [("BackOff", 3), ("Pulling", 1)]);
    assert_eq!(events[0].message, "Back-off 重试 \"x\"");
    assert_eq!(events[0].last_seen.since(events[0].first_seen), Duration::from_secs(59 * 60 + 30));
    let vault = found.targets.iter().find(|target| &*target.service == "vault").unwrap();
    assert_eq!(client.events(vault).await.unwrap().events, []);
}

#[tokio::test]
async fn answers_have_the_documented_shape() {
    let (_site, running) = running().await;
    let list = |action: &'static str, nonce: u64| {
        let request = ask(&running, nonce, ALL).with("Action", Some(action)).with("namespace", None);
        async move { request.send().await }
    };
    assert_eq!(
        list("DescribeCluster", 1).await,
        json!({"code": 0, "message": "", "codeDesc": "Success", "data": {"totalCount": 1, "clusters": [
            {"clusterId": "c", "clusterName": "prod-gz", "description": "", "status": "Running"},
        ]}})
    );
    assert_eq!(
        list("DescribeClusterNameSpaces", 2).await["data"],
        json!({"totalCount": 2, "namespaces": [
            {"name": "bank", "description": "", "status": "Active", "createdAt": ""},
            {"name": "shop", "description": "", "status": "Active", "createdAt": ""},
        ]})
    );
    // Without a namespace it is `default`, as the real API has it.
    assert_eq!(list("DescribeClusterService", 3).await["data"], json!({"totalCount": 0, "services": []}));
    let all = ask(&running, 4, ALL).with("Action", Some("DescribeClusterService")).with("allnamespace", Some("1"));
    assert_eq!(
        all.with("offset", Some("1")).send().await["data"],
        json!({"totalCount": 2, "services": [{"serviceName": "web", "namespace": "shop", "status": "Normal"}]})
    );
    let none = ask(&running, 5, ALL).with("Action", Some("DescribeCluster")).with("clusterIds.0", Some("d"));
    assert_eq!(none.send().await["data"]["totalCount"], 0);
    let event = &ask(&running, 6, ALL).send().await["data"]["eventList"][0];
    let keys: Vec<&String> = event.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["count", "firstSeen", "lastSeen", "level", "message", "objName", "objType", "reason"]);
    let time = event["lastSeen"].as_str().unwrap();
    assert!(time.len() == 19 && time.parse::<jiff::civil::DateTime>().is_ok(), "{time}");
}

#[tokio::test]
async fn both_signatures_both_methods_and_the_real_host_are_taken_and_each_refusal_has_its_code() {
    let (_site, mut running) = running().await;
    for (nonce, method, sha) in [
        (1, HttpMethod::Get, SignatureMethod::HmacSha1),
        (2, HttpMethod::Post, SignatureMethod::HmacSha1),
        (3, HttpMethod::Get, SignatureMethod::HmacSha256),
        (4, HttpMethod::Post, SignatureMethod::HmacSha256),
    ] {
        let mut request = ask(&running, nonce, ALL).with("SignatureMethod", Some(sha.as_str()));
        (request.method, request.sha) = (method, sha);
        assert_eq!(request.code().await, 0, "{nonce}");
    }
    // A repeated request is one with the same nonce and the same time.
    let then = podbell::clock::now().seconds().to_string();
    let mut real = ask(&running, 5, ALL).with("Timestamp", Some(&then));
    real.host = "ccs.api.qcloud.com".into();
    assert_eq!(real.code().await, 0);
    let mut forged = ask(&running, 6, ALL);
    forged.key = SHOP.1;
    let old = (podbell::clock::now().seconds() - 400).to_string();
    for (request, code) in [
        (forged, 4100),
        (ask(&running, 5, ALL).with("Timestamp", Some(&then)), 4500),
        (ask(&running, 7, ALL).with("SecretId", Some("AKIDnobody")), 4104),
        (ask(&running, 8, ALL).with("Timestamp", Some(&old)), 4200),
        (ask(&running, 9, ALL).with("Action", Some("DeleteCluster")), 4000),
        (ask(&running, 10, ALL).with("serviceName", None), 4000),
        (ask(&running, 11, ALL).with("serviceName", Some("none")), -16013),
        (ask(&running, 12, ALL).with("clusterId", Some("d")), -16009),
    ] {
        let answer = request.send().await;
        assert_eq!(answer["code"], code, "{answer}");
        assert!(answer.get("data").is_none());
    }
    let big = send(&running.listen, HttpMethod::Post, "x=".to_owned() + &"y".repeat(60_000)).await;
    assert_eq!(big["code"], 4000);
    // Forgeries are told once, without what was sent.
    running.process.stop().await;
    let log = running.process.stderr() + &running.process.stdout();
    assert_eq!(log.matches("a gateway request with a wrong signature").count(), 1, "{log}");
    assert!(!log.contains("AKIDnobody") && !log.contains(ALL.1), "{log}");
}

#[tokio::test]
async fn a_key_sees_its_own_and_the_rest_is_as_if_it_did_not_exist() {
    let (_site, running) = running().await;
    let shop = |nonce: u64| ask(&running, nonce, SHOP);
    assert_eq!(shop(1).code().await, 0);
    let bank = shop(2).with("namespace", Some("bank")).with("serviceName", Some("vault")).send().await;
    let none = shop(3).with("namespace", Some("bank")).with("serviceName", Some("none")).send().await;
    let as_none = |answer: &Value| answer.to_string().replace("vault", "NAME").replace("none", "NAME");
    assert_eq!(as_none(&bank), as_none(&none));
    let spaces = shop(4).with("Action", Some("DescribeClusterNameSpaces")).send().await;
    assert_eq!(spaces["data"]["totalCount"], 1);
    let services = shop(5).with("Action", Some("DescribeClusterService")).with("allnamespace", Some("1")).send().await;
    assert!(services["data"]["totalCount"] == 1 && !services.to_string().contains("vault"), "{services}");
}

#[tokio::test]
async fn without_a_key_there_is_no_gateway() {
    let site = Site::quick("http://127.0.0.1:9/", "http://127.0.0.1:9/");
    let running = site.run().await;
    let client = crate::support::receiver::client();
    let answer = client.get(format!("http://{}/v2/index.php", running.listen)).timeout(PATIENCE).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}
