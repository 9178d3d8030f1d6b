//! Chats that a platform calls over signed HTTP (Mattermost, Discord, Teams): what they answer, and what somebody who is
//! not the platform may try.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use secrecy::SecretBox;
use serde_json::{Value, json};

use crate::support::endpoint::{Endpoint, Log};
use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::client;
use crate::support::slack::FakeQueries;
use podbell::chat::access::Access;
use podbell::chat::{ChatDeps, ChatSettings, Entry};
use podbell::components::discord::chat::{Discord, DiscordConfig, Timing};
use podbell::components::mattermost::chat::{Mattermost, MattermostConfig};
use podbell::components::teams::chat::{Teams, TeamsConfig};
use podbell_core::time::Time;
use podbell_core::translations::Language;

/// The time of the chats.
pub const NOW: i64 = 1_700_000_000;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

pub type Headers = Vec<(&'static str, String)>;
/// Requests as they came: method and path, and the body.
type Seen = Arc<std::sync::Mutex<Vec<(String, Value)>>>;

pub fn settings(team: &str) -> ChatSettings {
    let access = Access { teams: Some([team.to_owned()].into()), ..Access::default() };
    ChatSettings { name: "ask".into(), access, language: Language::En, time_zone: jiff::tz::TimeZone::UTC }
}

pub fn around(queries: &Arc<FakeQueries>) -> ChatDeps {
    ChatDeps {
        queries: queries.clone(),
        client: client(),
        now: Arc::new(|| Time::from_seconds(NOW)),
        chance: Arc::new(|| 0.0),
    }
}

/// Something that is sent, and the status that it gets.
pub struct Attack {
    pub name: &'static str,
    pub path: String,
    pub headers: Headers,
    pub body: String,
    pub status: u16,
}

/// Sends everything twice, then a body that is cut off and one that is too large: each is refused with its status, the
/// log has one line for each reason, and nothing was asked.
pub async fn withstand(
    endpoint: &Endpoint,
    queries: &FakeQueries,
    attacks: Vec<Attack>,
    reasons: &[&str],
    secrets: &[&str],
) {
    let (log, _guard) = Log::listen();
    for Attack { name, path, headers, body, status } in &attacks {
        let (got, _) = endpoint.post(path, headers, body).await;
        assert_eq!(got, *status, "{name}");
        // What was signed well is remembered, whatever was in it.
        let (got, _) = endpoint.post(path, headers, body).await;
        assert!(got == *status || matches!(*status, 400 | 403) && got == 401, "{name} again: {got}, not {status}");
    }
    let first = &attacks[0];
    endpoint.cut_off(&first.path, &first.headers, &first.body).await;
    let (got, _) = endpoint.post(&first.path, &first.headers, &"x".repeat(300_000)).await;
    assert_eq!(got, 413);
    assert_eq!(queries.asked().len(), 0);
    let lines = log.lines("requests are refused");
    for why in reasons.iter().chain(&["another type", "too large", "cut off"]) {
        assert_eq!(lines.iter().filter(|line| line.contains(why)).count(), 1, "{why}: {lines:#?}");
    }
    let all = log.lines("").join("\n");
    for secret in secrets {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

const SLASH: &str = "okwexkjpe7ygb8eq1ww58t483w";
const BOT: &str = "marker-of-the-bot-token";
const TEAM: &str = "carya1qs77bemjup96ff538snh";

fn mattermost(queries: &Arc<FakeQueries>) -> Arc<Mattermost> {
    let config = MattermostConfig {
        settings: settings(TEAM),
        tokens: vec![SLASH.into(), "another".into()],
        bot_token: Some(BOT.into()),
        server: None,
        actions_url: Some("https://podbell.example.com/mattermost/ask".parse().unwrap()),
        timing: Default::default(),
    };
    Mattermost::new(config, around(queries))
}

pub fn vectors(text: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(text).unwrap()["cases"].as_array().unwrap().clone()
}

fn slash(text: &str, trigger: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (key, value) in [
        ("channel_id", "c1"),
        ("command", "/podbell"),
        ("team_id", TEAM),
        ("text", text),
        ("token", SLASH),
        ("trigger_id", trigger),
        ("user_id", "u1"),
        ("user_name", "ann"),
    ] {
        form.append_pair(key, value);
    }
    form.finish()
}

fn typed(kind: &str, token: Option<&str>) -> Headers {
    let token = token.map(|token| ("authorization", format!("Token {token}")));
    [("content-type", kind.to_owned())].into_iter().chain(token).collect()
}

#[tokio::test]
async fn mattermost_s_commands_are_answered_as_the_vectors_say() {
    for case in vectors(include_str!("../fixtures/vectors/mattermost_slash.json")) {
        let queries = FakeQueries::new();
        let endpoint = Endpoint::serve(mattermost(&queries).routes()).await;
        let headers: Headers = ["Authorization", "Content-Type"]
            .into_iter()
            .filter_map(|name| Some((name, case["headers"][name].as_str()?.to_owned())))
            .collect();
        let (status, body) = endpoint.post("/mattermost/ask", &headers, case["body"].as_str().unwrap()).await;
        let valid = case["valid"].as_bool().unwrap();
        assert_eq!(status, if valid { 200 } else { 401 }, "{}", case["name"]);
        assert_eq!(queries.texts(), if valid { vec!["web-service"] } else { vec![] });
        if valid {
            assert_eq!((queries.asked()[0].entry, &body["response_type"]), (Entry::Events, &json!("ephemeral")));
            assert!(body["attachments"][0]["text"].as_str().unwrap().contains("web-service"), "{body}");
        }
    }
}

#[tokio::test]
async fn a_button_of_mattermost_does_what_it_says_once_a_press_and_nothing_else() {
    let queries = FakeQueries::with_incident(12);
    let endpoint = Endpoint::serve(mattermost(&queries).routes()).await;
    let (_, answer) = endpoint.post("/mattermost/ask", &typed(FORM, Some(SLASH)), &slash("show 12", "t1")).await;
    assert_eq!(answer["response_type"], "ephemeral");
    let actions = answer["attachments"][0]["actions"].as_array().unwrap();
    let names: Vec<&str> = actions.iter().map(|action| action["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Acknowledge", "Mute 1 h", "Show"]);
    assert_eq!(actions[0]["integration"]["url"], "https://podbell.example.com/mattermost/ask");
    let press = |context: &Value, trigger: &str| {
        json!({"user_id": "u2", "user_name": "bob", "channel_id": "c1", "team_id": TEAM, "post_id": "p1",
            "trigger_id": trigger, "type": "button", "context": context})
        .to_string()
    };
    let context = &actions[0]["integration"]["context"];
    for _ in 0..2 {
        let (status, body) = endpoint.post("/mattermost/ask", &typed(JSON, None), &press(context, "t2")).await;
        assert_eq!(status, 200);
        assert!(body["ephemeral_text"].as_str().unwrap().contains("ack 12"), "{body}");
        // Mattermost changes no post that only its reader sees, and would refuse the answer with it.
        assert_eq!(body.get("update"), None, "{body}");
    }
    assert_eq!(queries.texts(), ["show 12", "ack 12"]);
    let mut forged = context.clone();
    forged["command"] = "ack 13".into();
    assert_eq!(endpoint.post("/mattermost/ask", &typed(JSON, None), &press(&forged, "t3")).await.0, 401);
    assert_eq!(queries.texts().len(), 2);
}

#[tokio::test]
async fn attacks_on_mattermost_s_endpoint_have_no_effect() {
    let queries = FakeQueries::new();
    let endpoint = Endpoint::serve(mattermost(&queries).routes()).await;
    let attack = |name, headers, body: &str, status| Attack {
        name,
        path: "/mattermost/ask".into(),
        headers,
        body: body.to_owned(),
        status,
    };
    let good = slash("ack 1", "t1");
    let mut two = typed(FORM, Some(SLASH));
    two.push(("authorization", "Token other".into()));
    let press = json!({"user_id": "u", "channel_id": "c", "team_id": TEAM, "context": {"command": "ack 1", "code": "0".repeat(64)}});
    let attacks = vec![
        attack("a wrong token", typed(FORM, Some("nope")), &good, 401),
        attack("no token", typed(FORM, None), &good.replace("token=okw", "x=okw"), 401),
        attack("an empty token", typed(FORM, Some("")), &good, 401),
        attack("the beginning of the token", typed(FORM, Some(&SLASH[..25])), &good, 401),
        attack("two tokens", two, &good, 401),
        attack("another team", typed(FORM, Some(SLASH)), &good.replace(TEAM, "other"), 403),
        attack("no team", typed(FORM, Some(SLASH)), &good.replace(TEAM, ""), 403),
        attack("two users", typed(FORM, Some(SLASH)), &format!("{good}&user_id=u9"), 400),
        attack("no user", typed(FORM, Some(SLASH)), &good.replace("user_id=u1", "user_id="), 400),
        attack("no command", typed(FORM, Some(SLASH)), &good.replace("%2Fpodbell", "podbell"), 400),
        attack("a press that podbell did not make", typed(JSON, None), &press.to_string(), 401),
        attack("a press that is no JSON", typed(JSON, None), "{", 401),
        attack("another type", typed("text/xml", Some(SLASH)), &good, 415),
        attack("no type", typed("", Some(SLASH)), &good, 415),
        Attack { path: "/mattermost/other".into(), ..attack("another chat", typed(FORM, Some(SLASH)), &good, 404) },
    ];
    let reasons = ["a wrong token", "no token", "a team that is not allowed", "cannot be read", "not podbell's"];
    withstand(&endpoint, &queries, attacks, &reasons, &[SLASH, BOT, "ack 1"]).await;
    // What comes again runs once.
    for _ in 0..2 {
        assert_eq!(endpoint.post("/mattermost/ask", &typed(FORM, Some(SLASH)), &good).await.0, 200);
    }
    assert_eq!(queries.texts(), ["ack 1"]);
}

fn pair() -> Ed25519KeyPair {
    let seed: Vec<u8> = (0..32).collect();
    Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
}

fn discord(queries: &Arc<FakeQueries>, api: &str, reply: Duration) -> Arc<Discord> {
    discord_of(pair().public_key().as_ref().try_into().unwrap(), queries, api, reply)
}

/// An application with this public key.
pub fn discord_of(public_key: [u8; 32], queries: &Arc<FakeQueries>, api: &str, reply: Duration) -> Arc<Discord> {
    let config = DiscordConfig {
        settings: settings("3"),
        application: "2".into(),
        public_key,
        api: api.parse().unwrap(),
        timing: Timing { reply, again: Duration::from_millis(5) },
    };
    Discord::new(config, around(queries))
}

fn signed(time: i64, body: &str) -> Headers {
    let signature = pair().sign(format!("{time}{body}").as_bytes());
    let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    vec![("content-type", JSON.to_owned()), ("x-signature-timestamp", time.to_string()), ("x-signature-ed25519", hex)]
}

/// Something that somebody does in a channel.
pub fn interaction(id: &str, kind: u8, data: Value) -> Value {
    json!({"id": id, "application_id": "2", "type": kind, "token": "tok", "guild_id": "3", "channel_id": "4",
        "member": {"user": {"id": "5", "username": "steve"}}, "data": data})
}

#[tokio::test]
async fn discord_s_interactions_are_answered_as_the_vectors_say() {
    let queries = FakeQueries::new();
    let endpoint = Endpoint::serve(discord(&queries, "http://127.0.0.1:9", Duration::from_secs(2)).routes()).await;
    for case in vectors(include_str!("../fixtures/vectors/discord_interactions.json")) {
        let text = |key: &str| case[key].as_str().unwrap().to_owned();
        let headers: Headers = vec![
            ("content-type", JSON.to_owned()),
            ("x-signature-timestamp", text("timestamp")),
            ("x-signature-ed25519", text("signature_hex")),
        ];
        let (status, body) = endpoint.post("/discord/ask", &headers, &text("body")).await;
        match text("name").as_str() {
            "ping" => assert_eq!((status, body), (200, json!({"type": 1}))),
            "ping-bad-sig" => assert_eq!(status, 401),
            // It is ready in time, so the reply has it already.
            _ => {
                assert_eq!((status, &body["type"], &body["data"]["flags"]), (200, &json!(4), &json!(64)));
                assert!(body["data"]["embeds"][0]["description"].as_str().unwrap().contains("web"), "{body}");
            }
        }
    }
    assert_eq!(queries.texts(), ["web-service"]);
}

/// Discord's webhooks: whatever comes is taken but the first, which gets this status.
async fn discord_s_webhooks(first: u16) -> (String, Seen) {
    use axum::extract::State;
    let seen = Seen::default();
    let answer = move |State(seen): State<Seen>, request: axum::http::Request<axum::body::Body>| async move {
        let path = format!("{} {}", request.method(), request.uri().path());
        let body = axum::body::to_bytes(request.into_body(), 100_000).await.unwrap();
        let mut seen = seen.lock().unwrap();
        seen.push((path, serde_json::from_slice(&body).unwrap()));
        match seen.len() {
            1 if first != 200 => (axum::http::StatusCode::from_u16(first).unwrap(), "{}".to_owned()),
            _ => (axum::http::StatusCode::OK, json!({"id": "9", "channel_id": "4"}).to_string()),
        }
    };
    let app = axum::Router::new().fallback(answer).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = format!("http://{}/api/v10", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (api, seen)
}

#[tokio::test]
async fn an_acknowledgement_takes_the_button_from_the_answer_of_discord_s_that_was_pressed() {
    let queries = FakeQueries::with_incident(12);
    // Discord did not read the reply yet.
    let (api, posts) = discord_s_webhooks(404).await;
    let endpoint = Endpoint::serve(discord(&queries, &api, Duration::from_secs(5)).routes()).await;
    let press = |id: &str, message: Value| {
        let mut press = interaction(id, 3, json!({"custom_id": "podbell:ack 12", "component_type": 2}));
        press["message"] = message;
        press.to_string()
    };
    let answer = press("i1", json!({"id": "8", "interaction_metadata": {"id": "7", "type": 2}}));
    let (status, body) = endpoint.post("/discord/ask", &signed(NOW, &answer), &answer).await;
    assert_eq!((status, &body["type"]), (200, &json!(7)), "{body}");
    let left: Vec<_> = body["data"]["components"][0]["components"].as_array().unwrap().iter().collect();
    let left: Vec<_> = left.iter().map(|button| button["custom_id"].as_str().unwrap()).collect();
    assert_eq!(left, ["podbell:mute 12 1h", "podbell:show 12"]);
    assert_eq!(body["data"].as_object().unwrap().len(), 1, "the rest of it stays: {body}");
    let two = || Some(posts.lock().unwrap().clone()).filter(|posts| posts.len() == 2);
    let posts = eventually(PATIENCE, "the answer", two).await;
    assert!(
        posts.iter().all(|(path, body)| path == "POST /api/v10/webhooks/2/tok" && *body == posts[0].1),
        "{posts:?}"
    );
    assert!(posts[0].1["embeds"].is_array() && posts[0].1["flags"].is_null(), "everybody sees it: {posts:?}");
    // The same if the answer takes longer than Discord waits.
    let (api, sent) = discord_s_webhooks(200).await;
    let slow = Endpoint::serve(discord(&queries, &api, Duration::from_millis(20)).routes()).await;
    queries.open(false);
    let answer = press("i3", json!({"id": "8", "interaction_metadata": {"id": "7", "type": 2}}));
    assert_eq!(slow.post("/discord/ask", &signed(NOW, &answer), &answer).await, (200, json!({"type": 6})));
    queries.open(true);
    let two = || Some(sent.lock().unwrap().clone()).filter(|sent| sent.len() == 2);
    let sent = eventually(PATIENCE, "the answer and a change", two).await;
    assert_eq!(sent[0], posts[0]);
    assert_eq!(sent[1], ("PATCH /api/v10/webhooks/2/tok/messages/@original".to_owned(), body["data"].clone()));
    // The message of an incident follows it by itself.
    let notice = press("i2", json!({"id": "8"}));
    let (_, body) = endpoint.post("/discord/ask", &signed(NOW, &notice), &notice).await;
    assert_eq!(body["type"], 4, "{body}");
}

#[tokio::test]
async fn a_slow_answer_of_discord_s_follows_and_a_button_is_a_command() {
    let queries = FakeQueries::like(true, Some(12));
    // The first time Discord is in trouble.
    let (api, changes) = discord_s_webhooks(502).await;
    let endpoint = Endpoint::serve(discord(&queries, &api, Duration::from_millis(20)).routes()).await;
    queries.open(false);
    let press = interaction("i1", 3, json!({"custom_id": "podbell:ack 12", "component_type": 2})).to_string();
    let (status, body) = endpoint.post("/discord/ask", &signed(NOW, &press), &press).await;
    assert_eq!((status, body), (200, json!({"type": 5, "data": {}})), "everybody sees what was changed");
    queries.open(true);
    let two = || Some(changes.lock().unwrap().clone()).filter(|changes| changes.len() == 2);
    let changes = eventually(PATIENCE, "the answer", two).await;
    assert_eq!(changes[1].0, "PATCH /api/v10/webhooks/2/tok/messages/@original");
    let buttons = changes[1].1["components"][0]["components"].as_array().unwrap();
    let ids: Vec<&str> = buttons.iter().map(|button| button["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["podbell:mute 12 1h", "podbell:show 12"]);
    queries.open(false);
    let press = interaction("i2", 3, json!({"custom_id": "podbell:show 12", "component_type": 2})).to_string();
    let (_, body) = endpoint.post("/discord/ask", &signed(NOW, &press), &press).await;
    assert_eq!(body, json!({"type": 5, "data": {"flags": 64}}), "who asks sees the answer");
    queries.open(true);
    eventually(PATIENCE, "the second answer", || (queries.texts().len() == 2).then_some(())).await;
    assert_eq!(queries.texts(), ["ack 12", "show 12"]);
}

#[tokio::test]
async fn attacks_on_discord_s_endpoint_have_no_effect() {
    let queries = FakeQueries::new();
    let endpoint = Endpoint::serve(discord(&queries, "http://127.0.0.1:9", Duration::from_secs(2)).routes()).await;
    let asked =
        interaction("1", 2, json!({"name": "podbell", "options": [{"name": "command", "type": 3, "value": "ack 1"}]}));
    let good = asked.to_string();
    let with = |key: &str, value: Value| {
        let mut asked = asked.clone();
        asked[key] = value;
        asked.to_string()
    };
    let attack = |name, headers, body: &str, status| Attack {
        name,
        path: "/discord/ask".into(),
        headers,
        body: body.to_owned(),
        status,
    };
    let whole = |name, body: &str, status| attack(name, signed(NOW, body), body, status);
    let mut twice = signed(NOW, &good);
    twice.push(("x-signature-ed25519", "0".repeat(128)));
    let mut capitals = signed(NOW, &good);
    capitals[2].1 = capitals[2].1.to_uppercase();
    let mut xml = signed(NOW, &good);
    xml[0].1 = "text/xml".into();
    let attacks = vec![
        attack("another body's signature", signed(NOW, "{}"), &good, 401),
        attack("nothing signed", vec![("content-type", JSON.to_owned())], &good, 401),
        attack("a stale time", signed(NOW - 301, &good), &good, 401),
        attack("a time to come", signed(NOW + 301, &good), &good, 401),
        attack("two signatures", twice, &good, 401),
        attack("a signature in another form", capitals, &good, 401),
        whole("another server", &with("guild_id", json!("33")), 403),
        whole("no server", &with("guild_id", Value::Null), 403),
        whole("another application", &with("application_id", json!("22")), 403),
        whole("no user", &with("member", Value::Null), 400),
        whole("a kind that is not offered", &with("type", json!(5)), 400),
        whole("no interaction", "[]", 400),
        attack("another type", xml, &good, 415),
        Attack { path: "/discord/other".into(), ..whole("another chat", &good, 404) },
    ];
    let reasons = [
        "no signature",
        "a wrong signature",
        "5 min off",
        "not allowed",
        "another application",
        "cannot be read",
        "does not offer",
        "the same request again",
    ];
    withstand(&endpoint, &queries, attacks, &reasons, &["ack 1", "steve", "tok\""]).await;
    assert_eq!(endpoint.post("/discord/ask", &signed(NOW, &good), &good).await.0, 200);
    assert_eq!(endpoint.post("/discord/ask", &signed(NOW, &good), &good).await.0, 401, "replayed");
    // Signed anew, it is still the same interaction.
    assert_eq!(endpoint.post("/discord/ask", &signed(NOW + 1, &good), &good).await.0, 200);
    assert_eq!(queries.texts(), ["ack 1"]);
}

const KEY: &str = "vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA=";

fn teams(queries: &Arc<FakeQueries>, reply: Duration) -> Arc<Teams> {
    let config = TeamsConfig {
        settings: settings("tenant-1"),
        token: Arc::new(SecretBox::new(Box::new(STANDARD.decode(KEY).unwrap()))),
        reply,
    };
    Teams::new(config, around(queries))
}

fn coded(body: &str) -> Headers {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&STANDARD.decode(KEY).unwrap()).unwrap();
    mac.update(body.as_bytes());
    let code = STANDARD.encode(mac.finalize().into_bytes());
    vec![("content-type", "application/json; charset=utf-8".to_owned()), ("authorization", format!("HMAC {code}"))]
}

fn activity(id: &str, text: &str) -> Value {
    json!({"type": "message", "id": id, "timestamp": "2023-11-14T22:13:20.000Z", "channelId": "msteams",
        "from": {"id": "29:1", "name": "Steve", "aadObjectId": "steve-1"},
        "conversation": {"id": "19:abc@thread.tacv2;messageid=1"},
        "channelData": {"tenant": {"id": "tenant-1"}}, "text": format!("<at>podbell</at> {text}\n")})
}

#[tokio::test]
async fn teams_is_answered_in_the_reply_with_a_card_or_told_that_it_takes_longer() {
    let queries = FakeQueries::new();
    let endpoint = Endpoint::serve(teams(&queries, Duration::from_millis(200)).routes()).await;
    let good = activity("1", "events web-service").to_string();
    let (status, body) = endpoint.post("/teams/ask", &coded(&good), &good).await;
    assert_eq!((status, &body["type"]), (200, &json!("message")));
    assert!(body["attachments"][0]["content"].to_string().contains("You said events web-service"), "{body}");
    assert_eq!(queries.asked()[0].speaker.author.name, "Steve (steve-1)");
    queries.open(false);
    let slow = activity("2", "status").to_string();
    let (status, body) = endpoint.post("/teams/ask", &coded(&slow), &slow).await;
    assert_eq!(status, 200);
    assert!(body["text"].as_str().unwrap().starts_with("This takes longer"), "{body}");
}

#[tokio::test]
async fn attacks_on_teams_endpoint_have_no_effect() {
    let queries = FakeQueries::new();
    let endpoint = Endpoint::serve(teams(&queries, Duration::from_secs(4)).routes()).await;
    let asked = activity("1", "ack 1");
    let good = asked.to_string();
    let with = |key: &str, value: Value| {
        let mut asked = asked.clone();
        asked[key] = value;
        asked.to_string()
    };
    let attack = |name, headers, body: &str, status| Attack {
        name,
        path: "/teams/ask".into(),
        headers,
        body: body.to_owned(),
        status,
    };
    let whole = |name, body: &str, status| attack(name, coded(body), body, status);
    let mut twice = coded(&good);
    twice.push(("authorization", "HMAC AAAA".into()));
    let mut xml = coded(&good);
    xml[0].1 = "text/xml".into();
    let mut bearer = coded(&good);
    bearer[1].1 = bearer[1].1.replace("HMAC", "Bearer");
    let attacks = vec![
        attack("another body's code", coded("{}"), &good, 401),
        attack("no code", vec![("content-type", JSON.to_owned())], &good, 401),
        attack("two codes", twice, &good, 401),
        attack("another scheme", bearer, &good, 401),
        whole("a stale time", &with("timestamp", json!("2023-11-14T22:08:19Z")), 401),
        whole("a time to come", &with("timestamp", json!("2023-11-14T22:18:21Z")), 401),
        whole("no time", &with("timestamp", Value::Null), 400),
        whole("another tenant", &with("channelData", json!({"tenant": {"id": "tenant-2"}})), 403),
        whole("no tenant", &with("channelData", json!({})), 403),
        whole("nobody", &with("from", Value::Null), 400),
        whole("no activity", "[]", 400),
        attack("another type", xml, &good, 415),
        Attack { path: "/teams/other".into(), ..whole("another chat", &good, 404) },
    ];
    let reasons =
        ["no signature", "a wrong signature", "5 min off", "not allowed", "cannot be read", "the same request again"];
    withstand(&endpoint, &queries, attacks, &reasons, &["ack 1", "Steve", KEY]).await;
    assert_eq!(endpoint.post("/teams/ask", &coded(&good), &good).await.0, 200);
    assert_eq!(endpoint.post("/teams/ask", &coded(&good), &good).await.0, 401, "replayed");
    assert_eq!(queries.texts(), ["ack 1"]);
    let other = with("type", json!("conversationUpdate"));
    assert_eq!(endpoint.post("/teams/ask", &coded(&other), &other).await, (200, json!({})));
}
