//! Clients that vendors, or others, publish: those of the legacy API ask the gateway, those of chats check the fakes that podbell
//! is tested against, and the library that shows cards reads podbell's. No client is published for Teams' outgoing webhooks.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use podbell_core::outbox::{Content, SendContent};

use crate::chat_endpoints::{NOW, discord_of, interaction};
use crate::destinations::rendered;
use crate::gateway::{ALL, running};
use crate::support::chat_servers::{self, Server, platform_named};
use crate::support::dingtalk::{FakeDingTalk, KEY, SECRET};
use crate::support::endpoint::Endpoint;
use crate::support::feishu::{self, FakeFeishu};
use crate::support::fixture;
use crate::support::mattermost::{self, FakeMattermost};
use crate::support::notices::one_of_each;
use crate::support::process::{PATIENCE, Process, eventually, output, within};
use crate::support::slack::FakeQueries;
use crate::support::telegram::FakeTelegram;

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
    let (node, (_site, running)) = tokio::join!(node("ask.js"), running());
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

/// A client in JavaScript.
async fn node(script: &str) -> Command {
    let mut node = Command::new("node");
    node.env("NODE_PATH", format!("{}/node/node_modules", clients().await)).arg("--no-deprecation");
    node.arg(format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR")));
    node
}

/// A client of a chat, in Python.
async fn python(script: &str) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", format!("{}/chats", clients().await));
    python.arg(format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR")));
    python
}

/// What podbell is tested against serves the vendor's client, too.
#[tokio::test]
async fn the_fake_of_dingtalk_serves_the_vendors_client() {
    let (mut python, server) = tokio::join!(python("dingtalk.py"), FakeDingTalk::start());
    python.args([&*server.base, KEY, SECRET]);
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
    // A card, as the client makes it, its button, and its change.
    server.say("m3", "card of mine");
    let card = eventually(PATIENCE, "a card", || server.cards().into_iter().find(|(_, card)| card.shown == 1)).await;
    server.press(&server.pressed(&card.0, &serde_json::json!({"command": "show 1"})));
    let changed = || server.cards().remove(&card.0).filter(|card| card.versions.len() == 2);
    let versions = eventually(PATIENCE, "a change", changed).await.versions;
    assert_eq!([&versions[0]["markdown"], &versions[1]["markdown"]], ["card of mine", "pressed: show 1"]);
    eventually(PATIENCE, "acknowledgements", || server.is_all_acknowledged().then_some(())).await;
    let said: Vec<Value> = server.answers().into_iter().map(|(_, body)| body["text"]["content"].clone()).collect();
    assert_eq!(said, ["one", "two"]);
    let pongs: Vec<Value> = server.pongs().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(pongs, [serde_json::json!({"opaque": "0ff4"})]);
    assert_eq!((server.granted(), server.refused()), (1, Vec::<String>::new()));
}

#[tokio::test]
async fn the_fake_of_telegram_serves_a_public_client() {
    let (mut python, telegram) = tokio::join!(python("telegram_bot.py"), FakeTelegram::start());
    python.args([&*telegram.base, chat_servers::TOKEN]);
    let client = Process::start(python);
    telegram.say(7, "events web");
    telegram.press("press-1", 7, "ack 7");
    let answered = within(PATIENCE, || (telegram.posts().len() == 1).then_some(())).await;
    assert!(answered.is_some(), "{}", client.stderr());
    eventually(PATIENCE, "a confirmation", || (telegram.confirmed() == ["press-1"]).then_some(())).await;
    eventually(PATIENCE, "that it goes on", || (telegram.unconfirmed() == 0).then_some(())).await;
    assert_eq!(telegram.posts()[0]["text"], "events web");
    assert_eq!(telegram.refused(), Vec::<String>::new(), "{}", client.stderr());
}

#[tokio::test]
async fn the_fake_of_mattermost_serves_a_public_client() {
    let (mut python, server) = tokio::join!(python("mattermost.py"), FakeMattermost::start());
    python.args([&*server.base, mattermost::TOKEN]);
    let client = Process::start(python);
    eventually(PATIENCE, "a connection", || server.is_connected().then_some(())).await;
    server.say("p1", "events web", false);
    let answered = || server.posts().first().cloned();
    let post = eventually(PATIENCE, "an answer", answered).await;
    assert_eq!(post, json!({"channel_id": "c1", "root_id": "p1", "message": "events web"}));
    assert_eq!(server.refused(), Vec::<String>::new(), "{}", client.stderr());
}

#[tokio::test]
async fn the_fake_of_feishu_serves_the_vendors_client() {
    let (mut python, server) = tokio::join!(python("feishu.py"), FakeFeishu::start());
    python.args([&*server.base, "cli_a1", feishu::SECRET]);
    let client = Process::start(python);
    eventually(PATIENCE, "a connection", || server.is_connected().then_some(())).await;
    server.say("m1", "events web");
    server.press("c1", &json!({"podbell": "ack 7"}));
    eventually(PATIENCE, "an answer", || (server.posts().len() == 1).then_some(())).await;
    eventually(PATIENCE, "acknowledgements", || (server.unanswered() == 0).then_some(())).await;
    let (message, post) = server.posts().remove(0);
    assert_eq!((&*message, &post["content"]), ("om_m1", &json!(json!({"text": "events web"}).to_string())));
    let toast = server.answers().into_iter().find(|(id, _)| id == "c1").unwrap().1["data"]["toast"]["content"].clone();
    assert_eq!(toast, r#"{"podbell": "ack 7"}"#);
    assert_eq!(server.refused(), Vec::<String>::new(), "{}", client.stderr());
}

#[tokio::test]
async fn what_a_public_library_signs_for_discord_is_let_in_and_nothing_else() {
    let body = interaction("1", 1, Value::Null).to_string();
    let mut python = python("discord.py").await;
    python.args([&NOW.to_string(), &body]);
    let done = output(python).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let [key, signature]: [String; 2] = serde_json::from_slice(&done.stdout).unwrap();
    let byte = |at: usize| u8::from_str_radix(&key[2 * at..2 * at + 2], 16).unwrap();
    let queries = FakeQueries::new();
    let chat = discord_of(std::array::from_fn(byte), &queries, "http://127.0.0.1:9", Duration::from_secs(2));
    let endpoint = Endpoint::serve(chat.routes()).await;
    let signed = |time: i64| {
        let headers = [("x-signature-timestamp", time.to_string()), ("x-signature-ed25519", signature.clone())];
        [&[("content-type", "application/json".to_owned())][..], &headers].concat()
    };
    assert_eq!(endpoint.post("/discord/ask", &signed(NOW + 1), &body).await.0, 401);
    assert_eq!(endpoint.post("/discord/ask", &signed(NOW), &body).await, (200, json!({"type": 1})));
}

#[test]
fn the_fake_of_pagerduty_serves_a_public_client() {
    let server = Server::start(platform_named("pagerduty"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let mut python = python("pagerduty.py").await;
        python.args([&*server.base, chat_servers::TOKEN]);
        output(python).await
    });
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(serde_json::from_slice::<[String; 3]>(&done.stdout).unwrap(), ["incident-7"; 3]);
    let alerts = server.place(|place| place.alerts.clone());
    assert_eq!(alerts["incident-7"], ["trigger", "acknowledge", "resolve"]);
}

#[test]
fn the_fake_of_teams_serves_a_public_client() {
    let server = Server::start(platform_named("teams"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let done = runtime.block_on(async {
        let mut python = python("teams.py").await;
        python.arg(format!("{}/workflows/{}/triggers/manual/paths/invoke", server.base, chat_servers::TOKEN));
        output(python).await
    });
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "202");
    assert!(server.shown()[0].0.contains("web crashes"), "{:?}", server.shown());
}

/// What is said by an element of a card and by all that it holds.
fn texts(element: &Value) -> Vec<&str> {
    let inside = ["body", "items", "inlines"].iter().filter_map(|key| element[*key].as_array()).flatten();
    element["text"].as_str().into_iter().chain(inside.flat_map(texts)).collect()
}

/// Parts of a card that a client does not know are not shown, without a word to whoever sent it.
#[tokio::test]
async fn every_text_of_a_card_of_teams_is_read_by_the_library_that_shows_it() {
    let teams = platform_named("teams");
    let each = one_of_each().into_iter().flat_map(|(_, notice)| {
        let notices = [notice];
        let body = |content| rendered(&teams, &SendContent { content, ..SendContent::full(&notices) });
        [Content::Full, Content::Short, Content::Minimal].map(body)
    });
    let mut bodies: Vec<Value> = each.collect();
    let mut unknown = bodies[0].clone();
    unknown["attachments"][0]["content"]["body"][1]["type"] = json!("RichText");
    bodies.push(unknown);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!(bodies).to_string()).unwrap();
    let mut node = node("teams.js").await;
    node.arg(file.path());
    let done = output(node).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut read: Vec<Value> = serde_json::from_slice(&done.stdout).unwrap();
    let unknown = read.pop().unwrap();
    assert!(unknown["complaints"][0].as_str().unwrap().contains("RichText"), "{unknown}");
    assert_eq!(read.len() + 1, bodies.len());
    for (read, body) in read.iter().zip(&bodies) {
        let card = &body["attachments"][0]["content"];
        assert_eq!(*read, json!({"complaints": [], "texts": texts(card)}), "{body}");
    }
}
