//! Slack over HTTP: slash commands, buttons and events on real sockets, and everything that somebody
//! who is not Slack may try.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use podbell::chat::Entry;
use podbell::components::slack::chat::{Access, Channel, Slack, SlackConfig, Timing};
use podbell::guard::{Gate, Limits, guarded};
use podbell::health::HealthStatus;
use podbell_core::time::Time;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::endpoint::{Log, raw, status};
use crate::support::process::{PATIENCE, eventually, within};
use crate::support::receiver::client;
use crate::support::slack::{FakeQueries, FakeSlack, SECRET, chat, config, quick, signature};

const NOW: i64 = 1_531_420_618;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A podbell's server with one chat.
struct Podbell {
    address: SocketAddr,
}

impl Podbell {
    async fn serve(slack: &Arc<Slack>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(podbell::server::serve(
            listener,
            Arc::new(HealthStatus::default()),
            None,
            slack.routes(),
            CancellationToken::new(),
        ));
        Self { address }
    }

    /// A signed request at the chat's clock.
    async fn call(&self, kind: &str, body: &str) -> (u16, String) {
        let time = NOW.to_string();
        self.send(kind, &time, &signature(SECRET, &time, body), body).await
    }

    async fn send(&self, kind: &str, timestamp: &str, signature: &str, body: &str) -> (u16, String) {
        let request = client().post(format!("http://{}/slack/ops", self.address)).header("content-type", kind);
        let request = request.header("x-slack-request-timestamp", timestamp).header("x-slack-signature", signature);
        let response = request.body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn raw(&self, bytes: &[u8]) -> u16 {
        raw(self.address, bytes).await
    }
}

fn at_now() -> Option<Time> {
    Some(Time::from_seconds(NOW))
}

async fn podbell(queries: &Arc<FakeQueries>, change: impl FnOnce(&mut SlackConfig)) -> (FakeSlack, Podbell) {
    let slack = FakeSlack::start(Duration::from_secs(3)).await;
    let mut config = config(&slack);
    change(&mut config);
    let podbell = Podbell::serve(&chat(config, queries.clone(), at_now())).await;
    (slack, podbell)
}

/// A slash command as Slack writes it.
fn command(slack: &FakeSlack, id: &str, text: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let response = slack.response_url(id);
    for (key, value) in [
        ("team_id", "T1"),
        ("channel_id", "C1"),
        ("user_id", "U1"),
        ("user_name", "ann"),
        ("command", "/events"),
        ("text", text),
        ("response_url", &response),
        ("trigger_id", id),
    ] {
        form.append_pair(key, value);
    }
    form.finish()
}

/// A click on one of podbell's buttons.
fn click(slack: &FakeSlack, id: &str, value: &str) -> String {
    click_on(slack, id, &json!({"type": "button", "action_id": "podbell.ack", "value": value}))
}

fn click_on(slack: &FakeSlack, id: &str, button: &Value) -> String {
    let payload = json!({
        "type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1", "username": "ann", "team_id": "T1"},
        "channel": {"id": "C1"}, "response_url": slack.response_url(id), "trigger_id": id,
        "actions": [button],
    });
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

fn mention(id: &str, channel_type: &str, text: &str) -> String {
    let kind = if channel_type == "im" { "message" } else { "app_mention" };
    json!({
        "type": "event_callback", "team_id": "T1", "event_id": id,
        "event": {"type": kind, "channel_type": channel_type, "user": "U1", "channel": "C1", "ts": "1.5", "text": text},
    })
    .to_string()
}

#[tokio::test]
async fn a40_every_signed_vector_gets_its_answer_over_a_real_socket() {
    let vectors: Value = serde_json::from_str(include_str!("../fixtures/vectors/slack_signing.json")).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let (slack, queries) = (FakeSlack::start(Duration::from_secs(3)).await, FakeQueries::new());
        let mut config = config(&slack);
        config.signing_secret = Some(text("secret").into());
        let now = Time::from_seconds(case["now"].as_i64().unwrap());
        let podbell = Podbell::serve(&chat(config, queries.clone(), Some(now))).await;
        let send = || podbell.send(text("content_type"), text("timestamp"), text("signature"), text("body_utf8"));
        let (status, body) = send().await;
        assert_eq!(status == 200, case["valid"].as_bool().unwrap(), "{}: {status}", text("name"));
        match text("name") {
            "ssl-check" | "interactivity-block-actions" => assert_eq!((body.as_str(), queries.asked().len()), ("", 0)),
            "url-verification" => assert_eq!(body, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"),
            "event-callback-app-mention" => {
                eventually(PATIENCE, "the post", || slack.posts().pop()).await;
                assert_eq!(queries.texts(), ["events web-service"]);
            }
            "events-injection" => {
                assert!(queries.texts()[0].contains("<!channel> <@U1> \n second line"), "typed is typed");
                assert!(body.contains("&lt;!channel&gt; &lt;@U1&gt;") && !body.contains("<!"), "{body}");
            }
            _ if status == 200 => assert_eq!(queries.asked().len(), 1, "{}", text("name")),
            _ => assert_eq!((status, body.as_str(), queries.asked().len()), (401, "", 0)),
        }
        if status == 200 {
            let asked = queries.asked().len();
            assert_eq!((send().await.0, queries.asked().len()), (401, asked), "{} again", text("name"));
        }
    }
}

#[tokio::test]
async fn a_quick_answer_is_the_reply_itself_and_carries_the_buttons_of_its_incident() {
    let queries = FakeQueries::like(true, Some(1042));
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    let (status, body) = podbell.call(FORM, &command(&slack, "1", "web --since 2h")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["response_type"]), (200, &json!("in_channel")));
    assert_eq!(body["blocks"][0]["text"]["text"], "You said web --since 2h");
    let buttons = body["blocks"].as_array().unwrap().last().unwrap()["elements"].as_array().unwrap();
    let values: Vec<&str> = buttons.iter().map(|button| button["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["ack 1042", "mute 1042 1h", "show 1042"]);
    assert_eq!(crate::support::slack_rules::faults(&body), Vec::<String>::new());
    let question = queries.asked().remove(0);
    assert_eq!((question.entry, question.text.as_str()), (Entry::Events, "web --since 2h"));
    assert_eq!(question.speaker.author.name, "ann (U1)");
    assert_eq!((question.speaker.author.via.as_str(), question.style.now), ("ops", Time::from_seconds(NOW)));
    assert_eq!(slack.posts(), []);
}

#[tokio::test]
async fn a41_a_slow_answer_is_acknowledged_at_once_and_follows_by_itself() {
    let queries = FakeQueries::new();
    queries.open(false);
    let short = Timing { inline: Duration::from_millis(50), ..quick() };
    let (slack, podbell) = podbell(&queries, |config| config.timing = short).await;
    let (status, body) = podbell.call(FORM, &command(&slack, "1", "web")).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["text"]), (200, &json!("Working on it; the answer follows.")));
    assert_eq!(slack.posts(), []);
    queries.open(true);
    let (to, answer) = eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!((to.as_str(), &answer["blocks"][0]["text"]["text"]), ("response/1", &json!("You said web")));
    assert_eq!((answer["response_type"].as_str(), queries.asked().len()), (Some("ephemeral"), 1));
}

#[tokio::test]
async fn a41_what_slack_hung_up_on_is_carried_out_once_and_answered_later() {
    let queries = FakeQueries::new();
    queries.open(false);
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    let (time, body) = (NOW.to_string(), command(&slack, "1", "web"));
    let mut stream = TcpStream::connect(podbell.address).await.unwrap();
    let head = format!(
        "POST /slack/ops HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {}\r\n\
         x-slack-request-timestamp: {time}\r\nx-slack-signature: {}\r\n\r\n",
        body.len(),
        signature(SECRET, &time, &body)
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    eventually(PATIENCE, "the question", || queries.asked().pop()).await;
    drop(stream);
    // Until the server has noticed, an answer would be written into the void.
    within(Duration::from_millis(100), || None::<()>).await;
    queries.open(true);
    let (to, _) = eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!((to.as_str(), queries.asked().len()), ("response/1", 1));
}

#[tokio::test]
async fn a_button_is_acknowledged_empty_and_answered_beside_the_message() {
    let queries = FakeQueries::like(true, None);
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    assert_eq!(podbell.call(FORM, &click(&slack, "1", "mute 1042 1h")).await, (200, String::new()));
    let (to, body) = eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!((to.as_str(), &body["replace_original"]), ("response/1", &json!(false)));
    assert_eq!(body["response_type"], "in_channel");
    let question = queries.asked().remove(0);
    assert_eq!((question.entry, question.text.as_str()), (Entry::Podbell, "mute 1042 1h"));
}

#[tokio::test]
async fn an_acknowledgement_takes_the_button_from_the_answer_that_was_pressed() {
    let queries = FakeQueries::with_incident(12);
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    let buttons = |body: &Value| -> Vec<Value> {
        let row = body["blocks"].as_array().unwrap().iter().find(|block| block["type"] == "actions").unwrap();
        row["elements"].as_array().unwrap().clone()
    };
    assert_eq!(podbell.call(JSON, &mention("Ev1", "channel", "<@U0BOT> show 12")).await.0, 200);
    let (_, answer) = eventually(PATIENCE, "an answer", || slack.posts().pop()).await;
    let actions: Vec<Value> = buttons(&answer).into_iter().map(|button| button["action_id"].clone()).collect();
    assert_eq!(actions, ["podbell.ack.answer", "podbell.mute", "podbell.show"]);
    let sent = async |id: &str, button: &Value, count: usize| {
        let to = format!("response/{id}");
        podbell.call(FORM, &click_on(&slack, id, button)).await;
        let all = || slack.posts().into_iter().filter(|(other, _)| *other == to).map(|(_, body)| body).collect();
        eventually(PATIENCE, "posts", || Some(all()).filter(|posts: &Vec<Value>| posts.len() == count)).await
    };
    let posts = sent("2", &buttons(&answer)[0], 2).await;
    assert_eq!((&posts[0]["replace_original"], &posts[0]["response_type"]), (&json!(false), &json!("in_channel")));
    let change = &posts[1];
    assert_eq!((&change["replace_original"], change.get("response_type")), (&json!(true), None));
    assert!(change["text"].as_str().unwrap().starts_with("You said show 12"), "{change}");
    assert_eq!(buttons(change), buttons(&answer)[1..]);
    // In the message of an incident, which changes by itself, nothing is replaced.
    let mut of_message = buttons(&answer)[0].clone();
    of_message["action_id"] = json!("podbell.ack");
    sent("3", &of_message, 1).await;
    assert_eq!(queries.texts(), ["show 12", "ack 12", "show 12", "ack 12"]);
}

#[tokio::test]
async fn a_mention_is_answered_in_its_thread_and_only_a_bot_s_token_can() {
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    assert_eq!(podbell.call(JSON, &mention("Ev1", "channel", "<@U0BOT> events web")).await, (200, String::new()));
    let (method, body) = eventually(PATIENCE, "the answer", || slack.posts().pop()).await;
    assert_eq!(
        (method.as_str(), &body["thread_ts"], &body["user"]),
        ("chat.postEphemeral", &json!("1.5"), &json!("U1"))
    );
    assert_eq!(body.get("response_type"), None);
    assert_eq!(podbell.call(JSON, &mention("Ev2", "im", "events web")).await.0, 200);
    let direct = eventually(PATIENCE, "the other", || slack.posts().get(1).cloned()).await;
    assert_eq!((direct.0.as_str(), direct.1.get("thread_ts"), direct.1.get("user")), ("chat.postMessage", None, None));
    assert_eq!(podbell.call(JSON, &mention("Ev1", "channel", "<@U0BOT> events web ")).await.0, 200);
    assert_eq!(queries.texts(), ["events web", "events web"], "an event that comes again is not run again");

    let (slack, podbell) = self::podbell(&queries, |config| config.bot_token = None).await;
    assert_eq!(podbell.call(JSON, &mention("Ev9", "channel", "<@U0BOT> events web")).await.0, 200);
    assert_eq!((slack.posts(), queries.asked().len()), (Vec::new(), 2));
}

#[tokio::test]
async fn an_answer_is_posted_until_it_is_taken_and_never_more_than_five_times() {
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    slack.reply([(500, ""), (503, ""), (200, "ok")]);
    podbell.call(FORM, &click(&slack, "1", "show 1")).await;
    eventually(PATIENCE, "three tries", || (slack.posts().len() == 3).then_some(())).await;
    slack.reply([(500, ""); 9]);
    podbell.call(FORM, &click(&slack, "2", "show 2")).await;
    eventually(PATIENCE, "five tries", || (slack.posts().len() == 8).then_some(())).await;
    // Nothing of it is left for the next one, which would be the ninth post.
    slack.reply([(404, "used_url")]);
    within(Duration::from_millis(300), || (slack.posts().len() > 8).then_some(())).await;
    assert_eq!((slack.posts().len(), slack.refused()), (8, Vec::new()));
}

#[tokio::test]
async fn an_answer_that_slack_cannot_show_is_posted_in_its_plainest_form_and_redirects_are_not_followed() {
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    slack.reply([(400, "invalid_blocks"), (200, "ok")]);
    podbell.call(FORM, &click(&slack, "1", "show 1")).await;
    let plain = eventually(PATIENCE, "the plain one", || slack.posts().get(1).cloned()).await.1;
    assert_eq!((plain.get("blocks"), plain["response_type"].as_str()), (None, Some("ephemeral")));
    slack.reply([(302, "")]);
    podbell.call(FORM, &click(&slack, "2", "show 2")).await;
    eventually(PATIENCE, "the post", || slack.posts().get(2).cloned()).await;
    slack.reply([(404, "expired_url")]);
    podbell.call(FORM, &click(&slack, "3", "show 3")).await;
    eventually(PATIENCE, "the last", || slack.posts().get(3).cloned()).await;
    assert_eq!(within(Duration::from_millis(200), || slack.posts().get(4).cloned()).await, None);
}

#[tokio::test]
async fn a34_only_slack_s_own_addresses_are_called() {
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    let stranger = crate::support::receiver::Receiver::start().await;
    // The last one is Slack's name, and the resolver of this test says it is this machine.
    for (n, url) in
        [stranger.url("/x"), "http://localhost:1/".into(), "https://hooks.slack.com/x".into()].iter().enumerate()
    {
        let payload = json!({
            "type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1"}, "channel": {"id": "C1"},
            "response_url": url, "trigger_id": n.to_string(), "actions": [{"action_id": "podbell.show", "value": "show 1"}],
        });
        let body = format!(
            "payload={}",
            url::form_urlencoded::byte_serialize(payload.to_string().as_bytes()).collect::<String>()
        );
        assert_eq!(podbell.call(FORM, &body).await.0, 200);
    }
    podbell.call(FORM, &click(&slack, "good", "show 1")).await;
    eventually(PATIENCE, "the good one", || slack.posts().pop()).await;
    assert_eq!((stranger.received().len(), queries.asked().len()), (0, 4));
}

#[tokio::test]
async fn each_channel_sees_its_own_and_whoever_is_on_no_list_learns_nothing() {
    let queries = FakeQueries::new();
    let shop = Channel { scope: serde_json::from_str(r#"{"namespace": ["shop"]}"#).unwrap(), read_only: true };
    let (slack, podbell) = podbell(&queries, |config| {
        config.settings.access = Access {
            teams: Some(["T1".to_owned()].into()),
            users: Some(["U1".to_owned()].into()),
            channels: Some([("C1".to_owned(), shop.clone())].into()),
        };
    })
    .await;
    assert_eq!(podbell.call(FORM, &command(&slack, "1", "web")).await.0, 200);
    let speaker = queries.asked().remove(0).speaker;
    assert_eq!((speaker.scope, speaker.may_write), (shop.scope, false));
    let call =
        async |from: &str, to: &str, id: &str| podbell.call(FORM, &command(&slack, id, "web").replace(from, to)).await;
    assert_eq!(call("team_id=T1", "team_id=T2", "2").await, (403, String::new()));
    for (from, to, words) in [("user_id=U1", "user_id=U2", "not on podbell's list"), ("=C1", "=C2", "not answer here")]
    {
        let (status, body) = call(from, to, to).await;
        assert!(
            status == 200 && body.contains(words) && body.contains("ephemeral") && !body.contains("shop"),
            "{body}"
        );
    }
    let long = command(&slack, "9", &"x".repeat(4001));
    assert!(podbell.call(FORM, &long).await.1.contains("too long"));
    assert_eq!(queries.asked().len(), 1);
}

#[tokio::test]
async fn the_same_command_under_a_new_signature_runs_once() {
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    let body = command(&slack, "1", "web");
    let later = (NOW + 3).to_string();
    assert_eq!(podbell.call(FORM, &body).await.0, 200);
    let again = podbell.send(FORM, &later, &signature(SECRET, &later, &body), &body).await;
    assert_eq!((again, queries.asked().len()), ((200, String::new()), 1));
}

#[tokio::test]
async fn without_a_secret_there_is_no_endpoint() {
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |config| config.signing_secret = None).await;
    let body = command(&slack, "1", "web");
    assert_eq!(podbell.call(FORM, &body).await.0, 404);
    let time = NOW.to_string();
    assert_eq!(podbell.send(FORM, &time, &signature("", &time, &body), &body).await.0, 404);
    assert_eq!(queries.asked().len(), 0);
}

fn head(method: &str, path: &str, length: usize, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {FORM}\r\ncontent-length: {length}\r\n{more}\r\n")
}

/// One row of the table: a name, the bytes, the status.
type Attack = (&'static str, Vec<u8>, u16);

fn attacks(slack: &FakeSlack) -> Vec<Attack> {
    let (good, time) = (command(slack, "1", "web"), NOW.to_string());
    let signed = |time: &str, of: &str| {
        format!("x-slack-request-timestamp: {time}\r\nx-slack-signature: {}\r\n", signature(SECRET, time, of))
    };
    let whole = |path: &str, more: &str, body: &str| (head("POST", path, body.len(), more) + body).into_bytes();
    let ops = |more: &str, body: &str| whole("/slack/ops", more, body);
    let typed = |kind: &str| {
        let head = head("POST", "/slack/ops", good.len(), &signed(&time, &good)).replace(FORM, kind);
        (head + &good).into_bytes()
    };
    let (old, new) = ((NOW - 301).to_string(), (NOW + 301).to_string());
    let twice = format!("{}x-slack-signature: v0={}\r\n", signed(&time, &good), "0".repeat(64));
    let other_team = good.replace("team_id=T1", "team_id=T2");
    vec![
        ("nothing signed", ops("", &good), 401),
        ("a forged signature", ops(&signed(&time, "another body"), &good), 401),
        ("a body that was changed", ops(&signed(&time, &good), &good.replace("web", "wez")), 401),
        ("a stale time", ops(&signed(&old, &good), &good), 401),
        ("a time to come", ops(&signed(&new, &good), &good), 401),
        ("a time that is no number", ops(&signed("NaN", &good), &good), 401),
        ("a time with a sign", ops(&signed(&format!("+{time}"), &good), &good), 401),
        ("two signatures", ops(&twice, &good), 401),
        ("another version", ops(&signed(&time, &good).replace("v0=", "v1="), &good), 401),
        ("another team", ops(&signed(&time, &other_team), &other_team), 403),
        ("no command", ops(&signed(&time, "a=b"), "a=b"), 400),
        ("a broken click", ops(&signed(&time, "payload={"), "payload={"), 400),
        ("another method", head("GET", "/slack/ops", 0, "").into_bytes(), 405),
        ("a deletion", head("DELETE", "/slack/ops", 0, "").into_bytes(), 405),
        ("another type", typed("text/xml"), 415),
        ("no type", typed(""), 415),
        ("a type that only looks like one", typed("application/x-www-form-urlencoded2"), 415),
        ("another chat", whole("/slack/other", &signed(&time, &good), &good), 404),
        ("a path that goes up", whole("/slack/ops/../ops", &signed(&time, &good), &good), 404),
        ("a path in disguise", whole("/slack%2fops", &signed(&time, &good), &good), 404),
        ("a path with an end", whole("/slack/ops/", &signed(&time, &good), &good), 404),
        ("two slashes", whole("//slack/ops", &signed(&time, &good), &good), 404),
        ("a name in capitals", whole("/slack/OPS", &signed(&time, &good), &good), 404),
        ("a NUL", whole("/slack/ops%00", &signed(&time, &good), &good), 404),
        ("a length that is too large", head("POST", "/slack/ops", 300_000, &signed(&time, &good)).into_bytes(), 413),
        ("two lengths", ops(&format!("content-length: 1\r\n{}", signed(&time, &good)), &good), 400),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
    ]
}

#[tokio::test]
async fn every_attack_is_refused_with_its_status_and_logged_once_without_a_secret() {
    let (log, _guard) = Log::listen();
    let queries = FakeQueries::new();
    let (slack, podbell) =
        podbell(&queries, |config| config.settings.access.teams = Some(["T1".to_owned()].into())).await;
    for (name, bytes, status) in attacks(&slack) {
        for _ in 0..2 {
            let got = podbell.raw(&bytes).await;
            // What was signed well is remembered, whatever was in it.
            assert!(got == status || matches!(status, 400 | 403) && got == 401, "{name}: {got}, not {status}");
        }
    }
    assert_eq!(queries.asked().len(), 0);
    // A question in the query is a question to another address of the same: its body decides.
    let good = command(&slack, "2", "web");
    let time = NOW.to_string();
    let more =
        format!("x-slack-request-timestamp: {time}\r\nx-slack-signature: {}\r\n", signature(SECRET, &time, &good));
    let query = head("POST", "/slack/ops?user_id=U2&text=mute", good.len(), &more) + &good;
    assert_eq!((podbell.raw(query.as_bytes()).await, queries.texts()), (200, vec!["web".to_owned()]));
    let lines = log.lines("requests are refused");
    for why in [
        "no signature",
        "a wrong signature",
        "5 min off",
        "a team that is not allowed",
        "not Slack's",
        "a wrong method",
        "another type",
        "nothing is there",
        "too large",
        "the same request again",
    ] {
        assert_eq!(lines.iter().filter(|line| line.contains(why)).count(), 1, "{why}: {lines:#?}");
    }
    let all = log.lines("").join("\n");
    for secret in [SECRET, &signature(SECRET, &time, &good), "hooks.slack.com", "web", "ann"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[tokio::test]
async fn a44_ten_thousand_bad_requests_disturb_nobody_else() {
    let (log, _guard) = Log::listen();
    let queries = FakeQueries::new();
    let (slack, podbell) = podbell(&queries, |_| {}).await;
    let address = podbell.address;
    let flood = |count: usize| async move {
        let client = client();
        let mut statuses = std::collections::BTreeMap::new();
        for n in 0..count {
            let body = format!("command=/events&text={n}");
            let request = client.post(format!("http://{address}/slack/ops")).header("content-type", FORM).body(body);
            let request = request.header("x-slack-request-timestamp", NOW).header("x-slack-signature", "v0=00");
            *statuses.entry(request.send().await.unwrap().status().as_u16()).or_insert(0) += 1;
        }
        statuses
    };
    let floods = tokio::spawn(futures_util::future::join_all((0..8).map(move |_| flood(1250))));
    // Slack calls from elsewhere.
    let elsewhere = reqwest::Client::builder().local_address(Some([127, 0, 0, 2].into())).no_proxy().build().unwrap();
    for n in 0..20 {
        let body = command(&slack, &n.to_string(), "web");
        let time = NOW.to_string();
        let request = elsewhere.post(format!("http://{address}/slack/ops")).header("content-type", FORM);
        let request = request.header("x-slack-request-timestamp", &time);
        let request = request.header("x-slack-signature", signature(SECRET, &time, &body)).body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
        // Nor are the flood's own neighbours kept from asking how podbell is.
        let metrics = client().get(format!("http://{address}/metrics")).send().await.unwrap();
        assert_eq!(metrics.status(), 200);
    }
    let mut all = std::collections::BTreeMap::new();
    for (status, count) in floods.await.unwrap().into_iter().flatten() {
        *all.entry(status).or_insert(0) += count;
    }
    assert_eq!(all.values().sum::<i32>(), 10_000);
    assert!(all.keys().all(|status| matches!(status, 401 | 429 | 503)) && all[&429] > 1000, "{all:?}");
    assert_eq!(queries.asked().len(), 20);
    let lines = log.lines("requests are refused");
    assert!((2..=8).contains(&lines.len()), "{lines:#?}");
}

#[tokio::test]
async fn slow_and_endless_bodies_are_cut_off() {
    let slack = FakeSlack::start(Duration::from_secs(3)).await;
    let queries = FakeQueries::new();
    let limits = Limits { body: 1000, body_time: Duration::from_millis(100), ..Limits::default() };
    let routes = guarded(chat(config(&slack), queries.clone(), at_now()).routes(), Gate::new(limits));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let connect = async || TcpStream::connect(address).await.unwrap();

    let mut slow = connect().await;
    slow.write_all((head("POST", "/slack/ops", 500, "") + "command=").as_bytes()).await.unwrap();
    assert_eq!(status(&mut slow).await, 408);

    let mut endless = connect().await;
    let chunked = "POST /slack/ops HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    endless.write_all(chunked.as_bytes()).await.unwrap();
    for _ in 0..3 {
        let _ = endless.write_all(format!("200\r\n{}\r\n", "x".repeat(512)).as_bytes()).await;
    }
    assert_eq!(status(&mut endless).await, 413);

    let mut cut = connect().await;
    cut.write_all((head("POST", "/slack/ops", 500, "") + "command=").as_bytes()).await.unwrap();
    drop(cut);
    assert_eq!(queries.asked().len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_signed_body_gets_an_answer(body in r#"(command|user_id|channel_id|response_url|payload|=|&|/events|U1|%7B|%|\{|"|x| |服){0,20}"#, json in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let status = runtime.block_on(async {
            let (_slack, podbell) = podbell(&FakeQueries::new(), |_| {}).await;
            podbell.call(if json { JSON } else { FORM }, &body).await.0
        });
        prop_assert!(matches!(status, 200 | 400), "{status}");
    }
}
