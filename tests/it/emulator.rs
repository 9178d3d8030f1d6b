//! The emulator: what it refuses, what it accepts from clients that are not podbell, and the
//! command.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use podbell::clock;
use podbell::components::qcloud::emulator::Emulator;
use podbell::components::qcloud::signature::HttpMethod;
use podbell_core::event::Target;

use crate::support::emulated::{ONE_EVENT, SECRET_ID, SECRET_KEY, client, config, emulator};
use crate::support::fixture;
use crate::support::signed::{Request, send};

/// A request to it.
fn to(emulator: &Emulator, nonce: u64) -> Request {
    Request::to(&emulator.addr().to_string(), nonce)
}

#[tokio::test]
async fn the_vendors_encoding_with_plus_for_blanks_is_accepted_as_is_percent_twenty() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    for (nonce, percent) in [(1, false), (2, true)] {
        let request = to(&emulator, nonce).with("serviceName", Some("订单服务 a+b&c=d"));
        let mut form = request.form();
        assert!(form.contains("+a%2Bb%26c%3Dd"));
        if percent {
            form = form.replace('+', "%20");
        }
        let answer = send(&emulator.addr().to_string(), HttpMethod::Get, form).await;
        assert_eq!(answer["code"], 0, "{answer}");
        assert_eq!(answer["data"]["eventList"][0]["count"], 3);
    }
}

#[tokio::test]
async fn the_real_apis_host_may_be_signed_and_no_other() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    for (nonce, host, code) in [(1, "ccs.api.qcloud.com", 0), (2, "evil.example.com", 4100), (3, "", 4100)] {
        let request = Request { host: host.to_owned(), ..to(&emulator, nonce) };
        assert_eq!(request.code().await, code, "{host}");
    }
}

#[tokio::test]
async fn on_post_values_that_begin_with_at_are_not_signed_but_on_get_they_are() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let mut request = to(&emulator, 1).with("note", Some("@file"));
    request.method = HttpMethod::Post;
    let form = request.form();
    // Not signed, so that it can be changed.
    let changed = form.replace("note=%40file", "note=%40other");
    assert_ne!(form, changed);
    assert_eq!(send(&emulator.addr().to_string(), HttpMethod::Post, changed).await["code"], 0);
    request.method = HttpMethod::Get;
    let request = request.with("Nonce", Some("2"));
    let changed = request.form().replace("note=%40file", "note=%40other");
    assert_eq!(send(&emulator.addr().to_string(), HttpMethod::Get, changed).await["code"], 4100);
    assert_eq!(request.code().await, 0);
}

#[tokio::test]
async fn each_refusal_has_the_real_apis_code() {
    let play = r#"{"at": "2026-01-01 00:00:00", "cluster": "cls-1", "service": "web", "eventList": []}
        {"at": "2026-01-01 00:00:00", "cluster": "cls-1", "service": "bad", "error": "4300: arrears"}
        {"at": "2026-01-01 00:00:00", "cluster": "cls-1", "service": "slow", "error": "timeout"}"#;
    let emulator = emulator(play, 1, None).await;
    let now = clock::now().seconds();
    let (old, ahead) = ((now - 320).to_string(), (now + 320).to_string());
    let late = (now - 280).to_string();
    for (nonce, (name, value, code)) in [
        ("Region", None, 0),
        ("Timestamp", Some(&*late), 0),
        ("SignatureMethod", Some("HmacMD5"), 0),
        ("Action", None, 4000),
        ("Action", Some("RunInstances"), 4000),
        ("Timestamp", None, 4000),
        ("Timestamp", Some("soon"), 4000),
        ("Nonce", Some("-1"), 4000),
        ("Nonce", None, 4000),
        ("SecretId", None, 4000),
        ("clusterId", None, 4000),
        ("serviceName", Some(""), 4000),
        ("SecretId", Some("AKIDother"), 4104),
        ("Timestamp", Some(&*old), 4200),
        ("Timestamp", Some(&*ahead), 4200),
        ("clusterId", Some("cls-2"), -16009),
        ("serviceName", Some("db"), -16013),
        ("serviceName", Some("bad"), 4300),
        ("serviceName", Some("slow"), 6000),
    ]
    .into_iter()
    .enumerate()
    {
        let request = to(&emulator, 100 + nonce as u64).with(name, value);
        let answer = request.send().await;
        assert_eq!(answer["code"], code, "{name}={value:?}: {answer}");
        assert_eq!(answer["codeDesc"] == "Success", code == 0);
    }
    let wrong = Request { key: "wrong", ..to(&emulator, 1) };
    assert_eq!(wrong.code().await, 4100);
    let unsigned = send(
        &emulator.addr().to_string(),
        HttpMethod::Get,
        "Action=DescribeCluster&Timestamp=1&Nonce=1&SecretId=x".into(),
    )
    .await;
    assert_eq!(unsigned["code"], 4000);
}

#[tokio::test]
async fn a_request_works_once_and_a_refused_one_uses_its_nonce_not_up() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let wrong = Request { key: "wrong", ..to(&emulator, 7) };
    assert_eq!(wrong.code().await, 4100);
    let form = to(&emulator, 7).form();
    assert_eq!(send(&emulator.addr().to_string(), HttpMethod::Get, form.clone()).await["code"], 0);
    assert_eq!(send(&emulator.addr().to_string(), HttpMethod::Get, form).await["code"], 4500);
}

#[tokio::test]
async fn a_token_that_is_asked_for_must_come() {
    let emulator = emulator(ONE_EVENT, 1, Some("t/1==")).await;
    for (nonce, (token, code)) in [(None, 4105), (Some("t/2=="), 4105), (Some("t/1=="), 0)].into_iter().enumerate() {
        let request = to(&emulator, nonce as u64).with("Token", token);
        assert_eq!(request.code().await, code);
    }
}

#[tokio::test]
async fn discovery_answers_are_paged() {
    let line =
        |n: usize| format!("{{\"at\": \"2026-01-01 00:00:00\", \"cluster\": \"cls-{n:02}\", \"eventList\": []}}\n");
    let emulator = emulator(&(0..25).map(line).collect::<String>(), 1, None).await;
    let list = |nonce, offset: Option<&str>, limit: Option<&str>| {
        to(&emulator, nonce).with("Action", Some("DescribeCluster")).with("offset", offset).with("limit", limit)
    };
    for (nonce, (offset, limit, length)) in
        [(None, None, 20), (Some("20"), None, 5), (Some("24"), Some("10"), 1), (Some("99"), Some("10"), 0)]
            .into_iter()
            .enumerate()
    {
        let answer = list(nonce as u64, offset, limit).send().await;
        assert_eq!(answer["data"]["totalCount"], 25);
        assert_eq!(answer["data"]["clusters"].as_array().unwrap().len(), length);
    }
    assert_eq!(list(50, Some("x"), None).code().await, 4000);
}

#[tokio::test]
async fn long_forms_and_other_paths_are_refused() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let http = podbell::http::client(&podbell::http::HttpOptions::default()).unwrap();
    let long = http.post(emulator.endpoint()).body("x".repeat(100_000)).send().await.unwrap();
    assert_eq!(long.status(), 413);
    let other = http.get(format!("http://{}/", emulator.addr())).send().await.unwrap();
    assert_eq!(other.status(), 404);
    assert_eq!(http.delete(emulator.endpoint()).send().await.unwrap().status(), 405);
}

/// Kills the child when a test fails half-way.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_command_makes_a_play_serves_it_and_ends_on_sigterm() {
    let list = fixture("data/lists/troubleshoot-image-pull-fail.json");
    let made = Command::new(env!("CARGO_BIN_EXE_podbell"))
        .args(["emulate", "make-play", "--cluster", "cls-1", "--service", "web", "--every", "30s"])
        .arg(list)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let dir = tempfile::tempdir().unwrap();
    let play = dir.path().join("play.jsonl");
    std::fs::write(&play, made.stdout).unwrap();

    let mut child = Child(
        Command::new(env!("CARGO_BIN_EXE_podbell"))
            .args(["emulate", "--listen", "127.0.0.1:0", "--secret-id", SECRET_ID, "--secret-key", SECRET_KEY])
            .args(["--speed", "1000000", "--play"])
            .arg(&play)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let endpoint = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
    let client = client(config(endpoint));
    client.events(&Target::new("prod", "cls-1", "any namespace", "web")).await.unwrap();
    let gone = client.events(&Target::new("prod", "cls-1", "default", "db")).await.unwrap_err();
    assert!(gone.gone);

    let pid = child.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn wrong_usage_and_missing_files_end_with_their_codes() {
    for (args, code) in [
        (&["emulate"][..], 2),
        (&["emulate", "--listen", "nowhere"], 2),
        (&["emulate", "make-play"], 2),
        (&["emulate", "make-play", "/missing.json"], 1),
        (&["emulate", "make-play", "--every", "soon", "x"], 2),
        (&["emulate", "--listen", "127.0.0.1:0", "--secret-id", "a", "--secret-key", "b", "--play", "/missing"], 1),
        (&["emulate", "--listen", "127.0.0.1:0", "--secret-id", "a", "--secret-key", "b", "--play", "/dev/null"], 1),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_podbell")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
