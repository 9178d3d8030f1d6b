//! The HTTP API of the real binary: asked, misused, attacked, and killed while people mute.

use std::sync::Arc;
use std::time::Duration;

use podbell::clock;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::process::{PATIENCE, Process, eventually, output, podbell, printed};
use crate::support::receiver::{self, Receiver};
use crate::support::schema::faults_of;
use crate::support::site::{Running, Site};
use crate::support::turmoil::Dice;

const WRITE: &str = "token-that-may-write-0123456789";
const READ: &str = "token-that-may-read-0123456789";
const OTHER: &str = "token-of-another-team-0123456789";

const SERVER: &str = "server: {listen: \"127.0.0.1:0\", tokens: [
  {name: bot, token: token-that-may-write-0123456789, rights: write},
  {name: dashboard, token: token-that-may-read-0123456789},
  {name: bank, token: token-of-another-team-0123456789, rights: write, namespace: bank}]}";

/// A service with one open incident, and what it needs.
struct World {
    site: Site,
    running: Running,
    _emulator: podbell::components::qcloud::emulator::Emulator,
    _receiver: Receiver,
}

async fn world() -> World {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.edit("server: {listen: \"127.0.0.1:0\"}", SERVER);
    let rules = crate::support::site::QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h");
    site.write("rules.yaml", &rules);
    let running = site.run().await;
    running.reaches("podbell_open_incidents ", |open| open == 1).await;
    World { site, running, _emulator: emulator, _receiver: receiver }
}

async fn post(running: &Running, token: &str, body: &Value) -> (u16, Value) {
    let request = receiver::client().post(format!("http://{}/api/v1/commands", running.listen)).bearer_auth(token);
    let request = request.header("content-type", "application/json").body(body.to_string()).timeout(PATIENCE);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

/// The text of an answer, title first.
async fn ask(running: &Running, token: &str, text: &str) -> String {
    let (status, said) = post(running, token, &json!({"text": text, "user": "zhang"})).await;
    assert_eq!(status, 200, "{said}");
    format!("{}\n{}", said["title"].as_str().unwrap(), said["text"].as_str().unwrap())
}

#[tokio::test]
async fn a_mute_and_an_acknowledgement_are_seen_by_the_next_question_and_survive_a_kill() {
    let mut world = world().await;
    let open = ask(&world.running, READ, "events").await;
    assert!(open.contains("#1"), "{open}");
    let (status, said) =
        post(&world.running, WRITE, &json!({"text": "mute #1 2h known, fix at 11", "user": "zhang"})).await;
    assert_eq!((status, said["good"].as_bool(), said["public"].as_bool()), (200, Some(true), Some(true)), "{said}");
    assert!(ask(&world.running, READ, "mutes").await.contains("known, fix at 11"));
    let (_, said) = post(&world.running, WRITE, &json!({"text": "ack 1", "user": "li", "language": "zh"})).await;
    assert_eq!((said["good"].as_bool(), said["incident"].as_u64()), (Some(true), Some(1)), "{said}");
    let shown = ask(&world.running, READ, "show 1").await;
    assert!(shown.contains("li") && shown.contains("zhang"), "{shown}");
    world.running.process.signal(Signal::KILL);
    world.running.process.end(PATIENCE).await;
    world.running = world.site.run().await;
    let shown = ask(&world.running, READ, "show #1").await;
    assert!(shown.contains("li") && shown.contains("zhang"), "{shown}");
    let (_, said) = post(&world.running, WRITE, &json!({"text": "unmute #1"})).await;
    assert_eq!(said["good"], true, "{said}");
    assert!(!ask(&world.running, READ, "mutes").await.contains("known, fix at 11"));
}

#[tokio::test]
async fn a42_what_a_token_may_not_see_is_not_there_and_what_may_only_read_changes_nothing() {
    let world = world().await;
    for text in ["show 1", "why 1", "ack 1", "mute 1 1h", "events default/web", "mute default/web 1h", "events web"] {
        let (status, said) = post(&world.running, OTHER, &json!({"text": text})).await;
        let nowhere = text.replace(" 1", " 9").replace("default", "nothing").replace("web", "wob");
        let (_, nothing) = post(&world.running, OTHER, &json!({"text": nowhere})).await;
        assert_eq!((status, said["good"].as_bool()), (200, Some(false)), "{text}: {said}");
        let words = |said: &Value| said["text"].as_str().unwrap().to_owned();
        let nothing = words(&nothing).replace('9', "1").replace("nothing", "default").replace("wob", "web");
        assert_eq!(words(&said), nothing, "{text}: the same answer as of what is nowhere");
    }
    let events = ask(&world.running, OTHER, "events").await;
    assert!(!events.contains("#1"), "{events}");
    for text in ["ack 1", "mute 1 1h", "unmute 1"] {
        let (status, said) = post(&world.running, READ, &json!({"text": text})).await;
        assert_eq!((status, said["good"].as_bool()), (200, Some(false)), "{text}: {said}");
    }
    assert!(world.site.rows("SELECT 1 FROM mute UNION ALL SELECT 1 FROM action").is_empty());
}

/// Sends bytes as they are; the status of the answer, 0 for none.
async fn raw(running: &Running, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(&running.listen).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; 64];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap_or(0);
    let line = String::from_utf8_lossy(&answer[..read]).into_owned();
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_refused_with_its_status_and_disturbs_nothing() {
    let mut world = world().await;
    let bearer = format!("authorization: Bearer {WRITE}");
    let json = "content-type: application/json";
    let good = r#"{"text": "status"}"#;
    let api = "/api/v1/commands";
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(300_000));
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("good", request("POST", api, &[&bearer, json], good), 200),
        ("no token", request("POST", api, &[json], good), 401),
        ("an empty token", request("POST", api, &["authorization: Bearer ", json], good), 401),
        ("a token with its end cut off", request("POST", api, &[&bearer[..bearer.len() - 1], json], good), 401),
        ("another scheme", request("POST", api, &[&bearer.replace("Bearer", "Basic"), json], good), 401),
        ("two tokens", request("POST", api, &[&bearer, &bearer, json], good), 401),
        ("a token in the query", request("POST", &format!("{api}?token={WRITE}"), &[json], good), 401),
        (
            "a header that is no text",
            [
                b"POST ",
                api.as_bytes(),
                b" HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\xfe\r\ncontent-length: 0\r\n\r\n",
            ]
            .concat(),
            401,
        ),
        ("another method", request("GET", api, &[&bearer, json], ""), 405),
        ("no JSON by its name", request("POST", api, &[&bearer, "content-type: text/plain"], good), 415),
        ("no JSON", request("POST", api, &[&bearer, json], "{text: status}"), 400),
        ("a key that is unknown", request("POST", api, &[&bearer, json], r#"{"text": "status", "scope": "all"}"#), 400),
        ("a body that is no UTF-8", [request("POST", api, &[&bearer, json], "").as_slice(), b"\xff"].concat(), 400),
        (
            "a zone that is none",
            request("POST", api, &[&bearer, json], r#"{"text": "x", "time_zone": "../../etc/passwd"}"#),
            400,
        ),
        (
            "a zone that is longer than any",
            request("POST", api, &[&bearer, json], &json!({"text": "x", "time_zone": "x".repeat(60_000)}).to_string()),
            400,
        ),
        ("a body that is too large", request("POST", api, &[&bearer, json], &large), 413),
        ("a path with dots", request("POST", "/api/v1/../v1/commands", &[&bearer, json], good), 404),
        ("a path with escaped slashes", request("POST", "/api%2fv1%2fcommands", &[&bearer, json], good), 404),
        ("a path with a slash too many", request("POST", "//api/v1/commands", &[&bearer, json], good), 404),
        ("something else of the API", request("GET", "/api/v1/secrets", &[&bearer], ""), 404),
    ];
    for (name, bytes, status) in cases {
        assert_eq!(raw(&world.running, &bytes).await, status, "{name}");
    }
    let (_, said) = post(&world.running, WRITE, &json!({"text": "status", "time_zone": "CST"})).await;
    assert!(said["error"].as_str().unwrap().contains("Asia/Shanghai"), "{said}");
    // Markup and mentions in what is asked come back as text.
    let (_, said) = post(&world.running, WRITE, &json!({"text": "events <!channel> @all `x` [a](http://x)"})).await;
    assert_eq!(said["good"], false);
    assert_eq!(world.running.page("/readyz").await.0, 200);
    assert!(ask(&world.running, WRITE, "status").await.lines().count() > 1);
    world.running.process.stop().await;
    let log = world.running.process.stderr();
    for secret in [WRITE, READ, OTHER] {
        assert!(!log.contains(secret) && !log.contains(&secret[..20]), "{log}");
    }
    assert!(log.contains("without a token that is known"), "{log}");
    assert!(log.lines().filter(|line| line.contains("without a token that is known")).count() <= 2, "{log}");
}

async fn get(running: &Running, token: &str, path: &str) -> (u16, Value) {
    let request = receiver::client().get(format!("http://{}{path}", running.listen)).bearer_auth(token);
    let answer = request.timeout(PATIENCE).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

/// Follows `next` to the end; no page is longer than two.
async fn all(running: &Running, token: &str, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), String::new());
    let join = if path.contains('?') { '&' } else { '?' };
    loop {
        let (status, page) = get(running, token, &format!("{path}{join}limit=2{next}")).await;
        assert_eq!(status, 200, "{path}: {page}");
        let more = page["items"].as_array().unwrap().clone();
        assert!(more.len() <= 2);
        items.extend(more);
        let Some(key) = page["next"].as_str() else { return items };
        next = format!("&after={key}");
    }
}

#[tokio::test]
async fn lists_are_what_their_document_says_page_by_page_and_within_what_a_token_sees() {
    let world = world().await;
    post(&world.running, WRITE, &json!({"text": "mute default/web 1h"})).await;
    post(&world.running, WRITE, &json!({"text": "ack 1"})).await;
    let (status, document) = get(&world.running, READ, "/api/v1/openapi.json").await;
    assert_eq!(status, 200);
    for (path, of) in document["paths"].as_object().unwrap() {
        for method in ["get", "post"] {
            let token = format!("authorization: Bearer {READ}");
            let status = raw(&world.running, &request(&method.to_uppercase(), path, &[&token], "")).await;
            assert_eq!(status == 405, of.get(method).is_none(), "{method} {path}: {status}");
        }
    }
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    for (path, name, at_least) in [
        ("/api/v1/incidents", "Incident", 1),
        ("/api/v1/incidents?over=true&service=web&namespace=default", "Incident", 1),
        ("/api/v1/events?service=web&level=Warning", "Event", 1),
        ("/api/v1/mutes", "Mute", 1),
        ("/api/v1/deliveries?destination=audit", "Delivery", 1),
        ("/api/v1/targets", "Target", 1),
    ] {
        let items = all(&world.running, READ, path).await;
        assert!(items.len() >= at_least, "{path}: {items:?}");
        for item in &items {
            assert_eq!(faults_of(&document, &schema(name), item), Vec::<String>::new(), "{path}");
        }
        // Every page once: nothing comes twice.
        let mut once: Vec<String> = items.iter().map(Value::to_string).collect();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), items.len(), "{path}");
        // Another team's token sees nothing of it.
        let (status, page) = get(&world.running, OTHER, path).await;
        match path.contains("deliveries") {
            true => assert_eq!(status, 403),
            false => assert_eq!(page["items"], json!([]), "{path}"),
        }
    }
    let said = post(&world.running, READ, &json!({"text": "status"})).await.1;
    assert_eq!(faults_of(&document, &schema("CommandResponse"), &said), Vec::<String>::new());
    assert_eq!(all(&world.running, READ, "/api/v1/incidents?namespace=elsewhere").await, [json!(null); 0]);
    for wrong in ["incidents?after=x", "incidents?limit=many", "events", "events?service=web&after=1", "targets?wher=x"]
    {
        let (status, said) = get(&world.running, READ, &format!("/api/v1/{wrong}")).await;
        assert!(status == 400 && said["error"].is_string(), "{wrong}: {status} {said}");
        assert_eq!(get(&world.running, "no-token-of-anybody", &format!("/api/v1/{wrong}")).await.0, 401);
    }
}

/// A command in a terminal elsewhere.
async fn terminal(site: &Site, token: Option<&str>, args: &[&str]) -> (i32, String) {
    let mut command = podbell(site.folder(), args);
    command.env("USER", "wang");
    if let Some(token) = token {
        command.env("PODBELL_TOKEN", token);
    }
    let output = output(command).await;
    (output.status.code().unwrap_or(-1), printed(&output))
}

#[tokio::test]
async fn a_terminal_elsewhere_asks_through_the_api() {
    let world = world().await;
    let url = format!("--url=http://{}", world.running.listen);
    let elsewhere = Site::new(&[]);
    let (code, said) = terminal(&elsewhere, Some(WRITE), &["mute", "1", "1h", "known", &url]).await;
    assert!(code == 0 && said.contains("wang"), "{code} {said}");
    let (code, said) = terminal(&elsewhere, Some(READ), &["show", "#1", &url, "--output", "json"]).await;
    let facts: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, facts["brief"]["muted"][0]["by"]["name"].as_str()), (0, Some("wang")), "{said}");
    let (code, said) = terminal(&elsewhere, Some(READ), &["events", &url]).await;
    assert!(code == 0 && said.contains("podbell show"), "what to type there: {said}");
    let (code, said) = terminal(&elsewhere, Some(READ), &["ack", "1", &url]).await;
    assert_eq!(code, 1, "{said}");
    let (code, said) = terminal(&elsewhere, Some("wrong-token-0123456789"), &["mutes", &url]).await;
    assert!(code != 0 && said.contains("401") && said.contains("Bearer TOKEN"), "{said}");
    let (code, said) = terminal(&elsewhere, None, &["mutes", &url]).await;
    assert!(code != 0 && said.contains("PODBELL_TOKEN"), "{said}");
    let (code, said) = terminal(&elsewhere, Some(READ), &["mutes", "--url", "127.0.0.1"]).await;
    assert!(code != 0 && said.contains("such as http://127.0.0.1:8080"), "{said}");
}

#[tokio::test]
async fn without_a_token_in_podbell_yaml_there_is_no_api() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), "http://127.0.0.1:1/");
    let running = site.run().await;
    assert_eq!(post(&running, WRITE, &json!({"text": "status"})).await.0, 404);
    // And none that could be guessed.
    site.edit("server: {listen: \"127.0.0.1:0\"}", "server: {tokens: [{name: bot, token: short}]}");
    let (code, said) = site.command(&["check"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("fewer than 16 characters") && said.contains("openssl rand"), "{said}");
}

/// Rounds of one store, one after the other, and how many stores side by side.
const SEQUENCE: u64 = 25;
const ABREAST: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(debug_assertions), ignore = "crash points are in debug builds only")]
async fn a43_killed_while_people_mute_what_was_answered_holds_and_nothing_is_done_twice() {
    let rounds = std::env::var("PODBELL_CRASH_ROUNDS").map_or(200, |rounds| rounds.parse::<u64>().expect("a number"));
    let places = Arc::new(Semaphore::new(ABREAST));
    let mut running = tokio::task::JoinSet::new();
    for seed in 1..=rounds.div_ceil(SEQUENCE) {
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire().await.unwrap();
            tokio::spawn(sequence(seed)).await.map_err(|error| format!("seed {seed}: {error}"))
        });
    }
    let mut answered = 0;
    while let Some(ended) = running.join_next().await {
        answered += ended.unwrap().unwrap();
    }
    println!("{rounds} rounds, {answered} mutes answered");
    assert!(answered > rounds / 4, "the rounds show something: {answered} of {rounds} were answered");
}

/// Each round somebody mutes and the process dies. Says how many were answered.
async fn sequence(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), "http://127.0.0.1:1/");
    site.edit("server: {listen: \"127.0.0.1:0\"}", SERVER);
    let mut good: Vec<u64> = Vec::new();
    for round in 0..SEQUENCE {
        let point = ["commit.before", "commit.after"][usize::try_from(dice.below(2)).unwrap()];
        let mut command = podbell(site.folder(), &["run", "--log-level", "info"]);
        // The first commits are of the start; some rounds die by a signal at any time.
        let by_itself = dice.below(3) > 0;
        if by_itself {
            command.env("PODBELL_CRASH", format!("{point}#{}", 1 + dice.below(5)));
        }
        let process = Process::start(command);
        let listen = tokio::select! {
            listen = process.word_after("listen=") => listen,
            () = clock_runs(Duration::from_secs(5)) => String::new(),
        };
        let mut running = Running { process, listen };
        let asking = async {
            // A service that is not there yet, or no more, answers nothing.
            let text = format!("mute #1 {}m round {round}", 60 + round);
            let client = receiver::client();
            let begun = clock::monotonic();
            while begun.elapsed() < Duration::from_millis(600) {
                let request = client.post(format!("http://{}/api/v1/commands", running.listen)).bearer_auth(WRITE);
                let request =
                    request.header("content-type", "application/json").body(json!({"text": text}).to_string());
                let Ok(answer) = request.timeout(Duration::from_secs(5)).send().await else { break };
                let said: Value = serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or_default();
                if said["good"] == true {
                    return true;
                }
                tokio::task::yield_now().await;
            }
            false
        };
        let wait = Duration::from_millis(dice.below(300));
        let answered = match by_itself {
            true => asking.await,
            false => tokio::select! { answered = asking => answered, () = clock_runs(wait) => false },
        };
        running.process.signal(Signal::KILL);
        running.process.end(PATIENCE).await;
        if answered {
            good.push(round);
        }
        if site.path("podbell.db").exists() && !site.rows("SELECT 1 FROM sqlite_schema WHERE name = 'mute'").is_empty()
        {
            reckon(&site, &good, answered.then_some(round));
        }
    }
    // The last word holds after a start, too.
    let running = site.run().await;
    let mutes = ask(&running, READ, "mutes").await;
    let held = site.rows("SELECT body ->> '$.why' FROM mute WHERE ended_at IS NULL");
    assert!(held.iter().all(|why| mutes.contains(why.as_str())), "{held:?}: {mutes}");
    good.len() as u64
}

/// Every mute that was answered is in the record, each once, and the newest of all holds.
fn reckon(site: &Site, good: &[u64], newest: Option<u64>) {
    let recorded = site.rows("SELECT body ->> '$.act.why' FROM action ORDER BY id");
    for round in good {
        let times = recorded.iter().filter(|why| **why == format!("round {round}")).count();
        assert_eq!(times, 1, "round {round}: {recorded:?}");
    }
    let mut once = recorded.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), recorded.len(), "done twice: {recorded:?}");
    let held = site.rows("SELECT body ->> '$.why' FROM mute WHERE ended_at IS NULL");
    assert!(held.len() <= 1, "{held:?}");
    assert_eq!(held.last(), recorded.last(), "what was recorded last is what holds");
    if let Some(round) = newest {
        assert_eq!(held, [format!("round {round}")]);
    }
}

async fn clock_runs(time: Duration) {
    let begun = clock::monotonic();
    eventually(PATIENCE, "time passes", || (begun.elapsed() >= time).then_some(())).await;
}
