//! Vendors' own clients: those of the legacy API ask the gateway, and that of a chat checks its fake.

use std::process::Command;

use serde_json::Value;

use crate::gateway::{ALL, running};
use crate::support::dingtalk::{FakeDingTalk, KEY, SECRET};
use crate::support::fixture;
use crate::support::process::{PATIENCE, Process, eventually, output};

/// Where the vendor's clients are; installed by name if they are not there.
async fn clients() -> String {
    let install = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/vendor-clients"));
    let done = output(install).await;
    assert!(done.status.success(), "the vendor's clients: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// What a client printed: for each way to ask, its four answers.
async fn said(mut client: Command, host: &str) -> Vec<Vec<Value>> {
    client.args([host, ALL.0, ALL.1]);
    let done = output(client).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn check_lists(answers: &[Vec<Value>]) {
    assert_eq!(answers.len(), 4, "two methods, two signatures");
    for asked in answers {
        let codes: Vec<_> = asked.iter().map(|answer| answer["code"].as_i64()).collect();
        assert_eq!(codes, [Some(0); 4], "{asked:?}");
        assert_eq!(asked[0]["data"]["clusters"][0]["clusterName"], "prod-gz");
        assert_eq!(asked[1]["data"]["namespaces"][1]["name"], "shop");
        assert_eq!(asked[2]["data"]["totalCount"], 2);
        let events = asked[3]["data"]["eventList"].as_array().unwrap();
        let reasons: Vec<_> = events.iter().map(|event| event["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["BackOff", "Pulling"]);
        assert_eq!(events[0]["message"], "Back-off 重试 \"x\"");
    }
}

#[tokio::test]
async fn the_vendors_javascript_client_gets_the_right_lists() {
    let (clients, (_site, running)) = tokio::join!(clients(), running());
    let mut node = Command::new("node");
    node.env("NODE_PATH", format!("{clients}/node/node_modules")).args(["--no-deprecation"]);
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/ask.js"));
    check_lists(&said(node, &running.listen).await);
}

#[tokio::test]
async fn the_vendors_python_client_gets_the_right_lists_through_tls() {
    let (clients, (_site, running)) = tokio::join!(clients(), running());
    // It speaks TLS only, as something in front of podbell would.
    let host = crate::support::tls::in_front_of(&running.listen).await;
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", format!("{clients}/python")).env("SSL_CERT_FILE", fixture("tls/ca.pem"));
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/ask.py"));
    check_lists(&said(python, &host).await);
}

/// What podbell is tested against serves the vendor's client, too.
#[tokio::test]
async fn the_fake_of_a_stream_serves_the_vendors_client() {
    let (clients, server) = tokio::join!(clients(), FakeDingTalk::start());
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", format!("{clients}/stream"));
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/dingtalk.py")).args([&*server.base, KEY, SECRET]);
    let _client = Process::start(python);
    let connected = |count: usize| {
        let server = server.clone();
        move || (server.connections() == count && server.is_connected()).then_some(())
    };
    eventually(PATIENCE, "a connection", connected(1)).await;
    server.ping(r#"{"opaque":"0ff4"}"#);
    server.say("m1", " one ");
    eventually(PATIENCE, "an answer", || (server.answers().len() == 1).then_some(())).await;
    server.disconnect();
    server.say("m2", " two ");
    eventually(PATIENCE, "the next connection", connected(2)).await;
    eventually(PATIENCE, "acknowledgements", || server.is_all_acknowledged().then_some(())).await;
    let said: Vec<Value> = server.answers().into_iter().map(|(_, body)| body["text"]["content"].clone()).collect();
    assert_eq!(said, ["one", "two"]);
    let pongs: Vec<Value> = server.pongs().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(pongs, [serde_json::json!({"opaque": "0ff4"})]);
    assert_eq!((server.granted(), server.refused()), (1, Vec::<String>::new()));
}
