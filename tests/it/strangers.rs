//! What strangers may do to podbell's server: connections that say nothing, answers that nobody reads, secrets that are
//! guessed, forms and reloads from elsewhere. Whatever they do, health is answered and notices leave.

use std::process::{Command, Stdio};
use std::time::Duration;

use podbell::clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::process::{PATIENCE, Process, eventually};
use crate::support::receiver::{self, Receiver};
use crate::support::site::{QUICK_RULES, Running, Site};
use crate::support::status_page::{PROOF, READ, SERVER, WRITE, World, something_happens};

/// A connection from an address of this machine.
async fn from(address: &str, to: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(to.parse().unwrap()).await.unwrap()
}

async fn asked(address: &str, to: &str, path: &str) -> String {
    let asking = async {
        let mut stream = from(address, to).await;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    tokio::time::timeout(Duration::from_secs(10), asking).await.unwrap_or_else(|_| "no answer within 10 s".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_and_notices_leave_while_strangers_take_every_connection_they_can_get() {
    let receiver = Receiver::start().await;
    let config = format!(
        "sources:\n  - {{name: live, kind: file, path: live.json, poll_every: 1s}}
notifiers:\n  - {{name: audit, kind: webhook, url: \"{}\"}}
rules: [rules.yaml]\nstore: sqlite:podbell.db\nserver: {{listen: \"0.0.0.0:0\"}}\n",
        receiver.url("/hook")
    );
    let site = Site::new(&[("podbell.yaml", &config), ("rules.yaml", QUICK_RULES), ("live.json", "[]")]);
    // As few files as a careless unit gives.
    let mut command = Command::new("sh");
    let run = format!("ulimit -n 128; exec {} run", env!("CARGO_BIN_EXE_podbell"));
    command.args(["-c", &run]).current_dir(site.folder()).env_clear().stdin(Stdio::null());
    let mut process = Process::start(command);
    let listen = process.word_after("listen=").await.replace("0.0.0.0", "127.0.0.1");
    let mut strangers = Vec::new();
    for address in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        for n in 0..200 {
            let mut stranger = from(address, &listen).await;
            let says: &[u8] = if n % 2 == 0 { b"GET / HT" } else { b"" };
            let _ = stranger.write_all(says).await;
            strangers.push(stranger);
        }
    }
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.5"] {
        for path in ["/healthz", "/readyz", "/metrics"] {
            let answer = asked(address, &listen, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{address} {path}: {answer}");
        }
    }
    // Polls, store and deliveries find a file, too.
    something_happens(&site, "web-5d9f8b7c6-x2x7v");
    let told = || (!receiver.received().is_empty()).then_some(());
    eventually(Duration::from_secs(20), "a notice leaves", told).await;
    assert!(process.stop().await.success());
    assert!(!process.stderr().contains("cannot be accepted"), "{}", process.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_never_reads_an_answer_does_not_keep_its_place() {
    let world = World::new().await;
    let begun = clock::monotonic();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    let mut stream = socket.connect(world.running.listen.parse().unwrap()).await.unwrap();
    // Far more answers than any buffer takes.
    let asks = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let cut = async { while stream.write_all(asks.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, cut).await.expect("it is cut off");
    assert!(begun.elapsed() > Duration::from_secs(5), "not at once: {:?}", begun.elapsed());
    assert_eq!(world.running.page("/healthz").await.0, 200);
}

fn reload(listen: &str) -> reqwest::RequestBuilder {
    receiver::client().post(format!("http://{listen}/-/reload")).timeout(PATIENCE)
}

async fn status(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn rules_are_reloaded_by_a_token_that_may_write_or_on_this_machine_and_by_nobody_else() {
    let world = World::new().await;
    let listen = &world.running.listen;
    world.site.write("rules.yaml", "version: 1\nrules:\n  - {name: secret-of-the-team, match: {reason: x}}\n");
    let (code, said) = status(reload(listen)).await;
    assert!(code == 422 && said.contains("secret-of-the-team"), "{code} {said}");
    assert_eq!(status(reload(listen).bearer_auth(WRITE)).await.0, 422);
    for (refused, code) in [
        (reload(listen).header("origin", "https://evil.example"), 403),
        (reload(listen).header("origin", format!("http://{listen}")), 403),
        (reload(listen).header("x-forwarded-for", "192.0.2.1"), 403),
        (reload(listen).header("host", "podbell.example.com"), 403),
        (reload(listen).bearer_auth(READ), 403),
        (reload(listen).bearer_auth("token-of-another-team-0123456789"), 403),
        (reload(listen).bearer_auth("token-that-nobody-has-0123456789"), 401),
    ] {
        let (status, said) = status(refused).await;
        assert_eq!(status, code, "{said}");
        assert!(said.contains("may write") && !said.contains("secret-of-the-team"), "{said}");
    }
}

#[tokio::test]
async fn with_a_public_address_a_reload_needs_a_token_because_a_proxy_may_pass_on_a_stranger_s() {
    let site = SERVER.replace("tokens:", "public_url: \"https://podbell.example.com\", tokens:");
    let world = World::with(&site).await;
    let listen = &world.running.listen;
    assert_eq!(status(reload(listen)).await.0, 403);
    assert_eq!(status(reload(listen).bearer_auth(WRITE)).await.0, 200);
}

async fn command(running: &Running, token: &str) -> u16 {
    let request = receiver::client().post(format!("http://{}/api/v1/commands", running.listen)).bearer_auth(token);
    let request = request.header("content-type", "application/json").body(json!({"text": "status"}).to_string());
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn wrong_tokens_are_bounded_once_for_api_page_and_reload() {
    let world = World::new().await;
    for n in 0..20 {
        let wrong = format!("wrong-token-number-{n}-0123456789");
        let code = match n % 3 {
            0 => command(&world.running, &wrong).await,
            1 => status(reload(&world.running.listen).bearer_auth(&wrong)).await.0,
            _ => world.stranger().post("/sign-in", &[("api_token", &wrong)]).await.status,
        };
        assert_eq!(code, 401, "{n}");
    }
    // Nothing that it tries is looked at now, not even what is right.
    assert_eq!(command(&world.running, READ).await, 429);
    assert_eq!(status(reload(&world.running.listen).bearer_auth(WRITE)).await.0, 429);
    let page = world.stranger().post("/sign-in", &[("api_token", READ)]).await;
    assert!(page.status == 429 && page.text.contains("Too many"), "{}", page.text);
    // Somebody else is not concerned, nor what needs no token.
    assert_eq!(world.running.page("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_proxys_secret_cannot_be_guessed_faster_and_a_proxy_that_proved_itself_is_not_shut_out() {
    let guess = |world: &World, secret: &str| {
        let visitor = world.stranger().with("x-podbell-proxy", secret);
        async move { visitor.with("x-forwarded-user", "ann").get("/").await.status }
    };
    let world = World::new().await;
    for n in 0..20 {
        assert_eq!(guess(&world, &format!("guess-{n}")).await, 303);
    }
    assert_eq!(guess(&world, PROOF).await, 429);
    let world = World::new().await;
    assert_eq!(guess(&world, PROOF).await, 200);
    for n in 0..30 {
        // Whoever is behind it types wrong tokens.
        world.stranger().post("/sign-in", &[("api_token", &format!("wrong-{n}"))]).await;
    }
    assert_eq!(guess(&world, PROOF).await, 200);
}

#[tokio::test]
async fn people_sign_in_behind_a_proxy_that_drops_the_port_and_what_is_refused_says_why() {
    let world =
        World::with(&SERVER.replace("tokens:", "public_url: \"http://status.example.com:8443\", tokens:")).await;
    let sign_in = |host: &str, origin: &str| {
        let visitor = world.stranger().with("host", host).with("origin", origin);
        async move { visitor.post("/sign-in", &[("api_token", READ)]).await }
    };
    for (host, origin) in [
        // nginx with `Host $host`.
        ("podbell.example.com", "http://podbell.example.com:8081"),
        // One that passes on nothing: public_url counts.
        ("127.0.0.1:8080", "http://status.example.com:8443"),
    ] {
        let page = sign_in(host, origin).await;
        assert_eq!(page.status, 303, "{host} {origin}: {}", page.text);
    }
    for (host, origin) in
        [("podbell.example.com", "http://evil.example:8081"), ("127.0.0.1:8080", "http://status.example.com")]
    {
        let page = sign_in(host, origin).await;
        assert_eq!(page.status, 403, "{host} {origin}");
        assert!(page.text.contains("$http_host") && page.text.contains("server.public_url"), "{}", page.text);
    }
    let unreadable = world.stranger().post("/sign-in", &[("other", "x")]).await;
    assert!(unreadable.status == 400 && unreadable.text.contains("cannot be read"), "{}", unreadable.text);
}

#[tokio::test]
async fn a_stream_asks_not_to_be_buffered_and_speaks_at_once() {
    let world = World::new().await;
    let visitor = world.sign_in(READ).await;
    let request = receiver::client().get(format!("http://{}/live", world.running.listen));
    let mut answer = request.header("cookie", visitor.cookie.unwrap()).send().await.unwrap();
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let first = tokio::time::timeout(PATIENCE, answer.chunk()).await.unwrap().unwrap().unwrap();
    let first = String::from_utf8_lossy(&first).into_owned();
    assert!(first.contains("event: alive"), "{first}");
}
