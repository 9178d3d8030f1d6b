//! Secrets stay secret: a podbell whose every secret is unmistakable, whose receivers and API fail in
//! every way and repeat what they were told; then a search of everything it wrote.

use std::path::Path;

use base64::Engine as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use podbell::app::assemble;
use podbell::config::Config;
use podbell::settings::ProcessEnvironment;

use crate::support::process::{PATIENCE, Process, eventually, podbell};
use crate::support::receiver::{Answer, Received, Receiver, nobody};
use crate::support::scripted::{Reply, Scripted};
use crate::support::site::{Running, Site};

const SECRET_ID: &str = "AKIDmarkerOfTheSecretId";
const SECRET_KEY: &str = "markerOfThe/Secret+Key=";
const TOKEN: &str = "marker-of-the-token&more";
const PATH: &str = "MarkerOfTheHookPath";
const QUERY_KEY: &str = "marker-of-the-robot-key";
const PASSWORD: &str = "marker-of-the-password";
const SIGNING: &str = "marker of the signing key 0123456";
const HEARTBEAT: &str = "MarkerOfTheHeartbeat";
const CHAT_SIGNING: &str = "marker-of-the-chats-signing-secret";
const APP_TOKEN: &str = "xapp-marker-of-the-app-token";
const BOT_TOKEN: &str = "xoxb-marker-of-the-bot-token";
const POSTING_TOKEN: &str = "xoxb-marker-of-the-posting-token";
const API_TOKEN: &str = "marker-of-the-api-token";
const GATEWAY_KEY: &str = "marker-of-the-gateways-key";
const OTLP_TOKEN: &str = "marker-of-the-collectors-token";

fn markers() -> Vec<(String, Vec<u8>)> {
    let mut markers = Vec::new();
    let chats = [CHAT_SIGNING, APP_TOKEN, BOT_TOKEN, POSTING_TOKEN, API_TOKEN, GATEWAY_KEY, OTLP_TOKEN];
    let others = [SECRET_ID, SECRET_KEY, TOKEN, PATH, QUERY_KEY, PASSWORD, SIGNING, HEARTBEAT];
    for secret in chats.into_iter().chain(others) {
        markers.push((secret.to_owned(), secret.as_bytes().to_vec()));
        let encoded = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        markers.push((format!("{secret}, percent-encoded"), encoded.into_bytes()));
        let form = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
        markers.push((format!("{secret}, in a form"), form.into_bytes()));
        let base64 = base64::engine::general_purpose::STANDARD.encode(secret);
        markers.push((format!("{secret}, base64"), base64.trim_end_matches('=').as_bytes().to_vec()));
    }
    markers
}

/// Which markers are in there, with what is around them.
fn found_in(bytes: &[u8]) -> Vec<String> {
    let place = |marker: &[u8]| bytes.windows(marker.len()).position(|window| window == marker);
    let found = markers().into_iter().filter_map(|(name, marker)| Some((name, place(&marker)?)));
    found
        .map(|(name, at)| {
            let around = &bytes[at.saturating_sub(150)..bytes.len().min(at + 150)];
            format!("{name}: ...{}...", String::from_utf8_lossy(around).replace(|c: char| c.is_control(), " "))
        })
        .collect()
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let found = found_in(bytes);
    assert!(found.is_empty(), "{what} shows secrets: {found:#?}");
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(found_in(b"nothing of note").is_empty());
    assert!(found_in(format!("x{PATH}y").as_bytes())[0].contains(PATH));
    assert!(!found_in(b"Signature=markerOfThe%2FSecret%2BKey%3D").is_empty());
    let key = base64::engine::general_purpose::STANDARD.encode(SIGNING);
    assert!(!found_in(key.as_bytes()).is_empty());
}

/// Says back everything that it was asked, as some servers do, with this status.
fn echo(request: &Received) -> Answer {
    let status = request.uri.path().split('/').nth(1).and_then(|status| status.parse().ok()).unwrap_or(200);
    let headers: Vec<String> =
        request.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?"))).collect();
    let body = format!("{} {} {}", request.uri, headers.join(" "), String::from_utf8_lossy(&request.body));
    let answer = Answer::new(status, &body);
    if (300..400).contains(&status) { answer.with("location", &format!("/again{}", request.uri)) } else { answer }
}

/// Every notifier of the tests, with the way in which its receiver fails.
fn notifiers(receiver: &Receiver, nobody: &str) -> Vec<(String, String)> {
    let mut notifiers = Vec::new();
    for status in [200, 302, 400, 404, 429, 500] {
        let at = receiver.url(&format!("/{status}"));
        let at = at.replacen("http://", &format!("http://user:{PASSWORD}@"), 1);
        let secret = base64::engine::general_purpose::STANDARD.encode(SIGNING);
        let line = |kind: &str, url: String, more: &str| {
            let name = format!("{kind}-{status}");
            (name.clone(), format!("  - {{name: {name}, kind: {kind}, url: \"{url}\"{more}}}"))
        };
        notifiers.push(line("slack", format!("{at}/services/T000/{PATH}"), ""));
        notifiers.push(line("wecom", format!("{at}/cgi-bin/webhook/send?key={QUERY_KEY}"), ""));
        let app = format!("app-{status}");
        let api = receiver.url(&format!("/{status}/api"));
        let line_of_app =
            format!("  - {{name: {app}, kind: slack, token: {POSTING_TOKEN}, channel: C{status}, api: \"{api}\"}}");
        notifiers.push((app, line_of_app));
        notifiers.push(line(
            "webhook",
            format!("{at}/{PATH}?token={QUERY_KEY}"),
            &format!(", secret: \"whsec_{secret}\""),
        ));
    }
    let nobody = nobody.split("/hook").next().unwrap();
    notifiers.push(("refused".into(), format!("  - {{name: refused, kind: slack, url: \"{nobody}/{PATH}\"}}")));
    notifiers.push((
        "unknown".into(),
        format!("  - {{name: unknown, kind: webhook, url: \"http://{QUERY_KEY}.invalid/{PATH}\"}}"),
    ));
    notifiers
}

fn yaml(notifiers: &[(String, String)], good: &str, bad: &str, heartbeat: &str) -> String {
    let source = |name: &str, endpoint: &str| {
        format!(
            "  - {{name: {name}, kind: qcloud, endpoint: \"{endpoint}\", region: any, secret_id: \"{SECRET_ID}\", \
             secret_key: \"{SECRET_KEY}\", token: \"{TOKEN}\", poll_every: 1s, \
             services: [{{cluster: c, namespace: n, names: [web]}}, {{cluster: d, discover: true}}]}}\n"
        )
    };
    let lines: Vec<&str> = notifiers.iter().map(|(_, line)| line.as_str()).collect();
    let names: Vec<&str> = notifiers.iter().map(|(name, _)| name.as_str()).collect();
    format!(
        "sources:\n{}{}notifiers:\n{}\nrules: [rules.yaml]\n\
         operator: {{notify: [{}], heartbeat: {{url: \"{heartbeat}/500/{HEARTBEAT}\", every: 1s}}}}\n\
         chats: [{{name: ops, kind: slack, signing_secret: {CHAT_SIGNING}, app_token: {APP_TOKEN}, \
         bot_token: {BOT_TOKEN}, api: \"{heartbeat}/500/slack\"}}]\n\
         server: {{listen: \"127.0.0.1:0\", tokens: [{{name: bot, token: {API_TOKEN}}}]}}\n\
         gateway: {{keys: [{{secret_id: AKIDgateway, secret_key: {GATEWAY_KEY}}}]}}\n\
         export: {{otlp: {{endpoint: \"{heartbeat}/500/otlp\", headers: {{authorization: Bearer {OTLP_TOKEN}}}}}}}\n",
        source("good", good),
        source("bad", bad),
        lines.join("\n"),
        names.join(", "),
    )
}

/// An API that refuses everything and repeats what it was asked, with its signature.
async fn refusing_api() -> Scripted {
    let body = format!(
        "{{\"code\": 4100, \"codeDesc\": \"SignatureFailure\", \"message\": \"(100004) secretId {SECRET_ID} key {SECRET_KEY} \
         Token={} signature of GETccs.api.qcloud.com/v2/index.php?SecretId={SECRET_ID}&Token={TOKEN} is wrong\"}}",
        utf8_percent_encode(TOKEN, NON_ALPHANUMERIC),
    );
    Scripted::start([Reply::Http(200, body)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_errors_metrics_and_the_store_hold_no_secret_whatever_fails() {
    let api = crate::support::emulated::emulator(crate::support::emulated::ONE_EVENT, 1, None).await;
    // One source can be read, so that there is something to tell; its keys are others'.
    let bad = refusing_api().await;
    let receiver = Receiver::start().await;
    receiver.behave(echo);
    let notifiers = notifiers(&receiver, &nobody().await);
    let config = yaml(&notifiers, &api.endpoint(), &bad.endpoint, &receiver.url(""));
    let config = config.replacen(SECRET_ID, crate::support::emulated::SECRET_ID, 1);
    let config = config.replacen(SECRET_KEY, crate::support::emulated::SECRET_KEY, 1);
    let config = config.replacen(&format!("token: \"{TOKEN}\", "), "", 1);
    let names: Vec<&str> = notifiers.iter().map(|(name, _)| name.as_str()).collect();
    let rules = format!(
        "version: 1\ndefaults: {{notify: [{}], group_wait: 0s, min_gap: 0s, resolve_after: 1s}}\n\
         rules: [{{name: all, match: {{reason: \"*\"}}}}]\n",
        names.join(", ")
    );
    let site = Site::new(&[("podbell.yaml", &config), ("rules.yaml", &rules)]);
    // podbell's own words in full, and what its libraries say at debug level.
    for level in ["debug", "trace"] {
        let process = Process::start(podbell(site.folder(), &["run", "--log-level", level]));
        let listen = process.word_after("listen=").await;
        let mut running = Running { process, listen };
        let tried = || site.rows("SELECT DISTINCT destination FROM send").len();
        let all = || (tried() == names.len()).then_some(());
        eventually(PATIENCE, "every notifier was tried", all).await;
        eventually(PATIENCE, "content was given up", || {
            (site.rows("SELECT 1 FROM delivery WHERE state = 'dead'").len() >= 3).then_some(())
        })
        .await;
        running.reaches("podbell_failing_targets{source=\"bad\"}", |failing| failing >= 1).await;
        eventually(PATIENCE, "the heartbeat fails", || {
            let called = |request: &Received| request.uri.path().contains(HEARTBEAT);
            receiver.received().iter().any(called).then_some(())
        })
        .await;
        eventually(PATIENCE, "the chat's connection fails", || {
            let called = |request: &Received| request.uri.path().contains("apps.connections.open");
            receiver.received().iter().any(called).then_some(())
        })
        .await;
        for (path, token) in [("/api/v1/commands", API_TOKEN), ("/api/v1/commands", "wrong"), ("/slack/ops", API_TOKEN)]
        {
            let url = format!("http://{}{path}", running.listen);
            let request = crate::support::receiver::client().post(url).bearer_auth(token);
            let answer = request.body(format!("token={CHAT_SIGNING}")).timeout(PATIENCE).send().await.unwrap();
            assert!(answer.status().is_client_error());
            assert_clean(path, answer.text().await.unwrap().as_bytes());
        }
        for path in ["/metrics", "/healthz", "/readyz", "/nothing"] {
            assert_clean(path, running.page(path).await.2.as_bytes());
        }
        everything_in(site.folder());
        assert!(running.process.stop().await.success());
        assert_clean("standard output", running.process.stdout().as_bytes());
        assert!(running.process.stderr().contains("4100"), "the refusal is logged");
        assert_clean(&format!("the log at {level}"), running.process.stderr().as_bytes());
    }
    everything_in(site.folder());
    commands(&site, &names).await;
}

/// Database, write-ahead log, lock.
fn everything_in(folder: &Path) {
    let mut stores = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("podbell.db") {
            stores += 1;
            // The write-ahead log may just have gone.
            assert_clean(&name, &std::fs::read(&path).unwrap_or_default());
        }
    }
    assert!(stores > 0);
}

async fn commands(site: &Site, names: &[&str]) {
    for args in [
        &["outbox", "list", "--all"][..],
        &["outbox", "list", "--all", "--output", "json"],
        &["outbox", "retry", "--all"],
        &["check"],
        &["check", "--output", "json"],
        &["doctor"],
        &["doctor", "--output", "json"],
        &["doctor", "--send"],
        &["run", "--store-wait", "0", "--config", "missing.yaml"],
    ] {
        let (_, said) = site.command(args).await;
        assert_clean(&args.join(" "), said.as_bytes());
    }
    for name in names {
        let (code, said) = site.command(&["send-test", name]).await;
        assert_eq!((code, said.lines().count()), (i32::from(!name.ends_with("webhook-200")), 1), "{name}: {said}");
        assert_clean(&format!("send-test {name}"), said.as_bytes());
    }
    // Secrets in the wrong place, secrets that are none.
    for (from, to) in [
        ("kind: slack, url: \"http", "kind: slack, url: \"htp"),
        ("secret: \"whsec_", "secret: \"%%%"),
        ("poll_every", "poll_evry"),
        ("secret_key", "secert_key"),
        ("sources:", "sources: ["),
    ] {
        let config = std::fs::read_to_string(site.path("podbell.yaml")).unwrap();
        site.write("wrong.yaml", &config.replacen(from, to, 1));
        for args in [
            &["run"][..],
            &["send-test", "webhook-200"],
            &["outbox", "list"],
            &["check"],
            &["check", "--output", "json"],
            &["doctor"],
        ] {
            // A finding shows its line, but not the secret in it.
            let (code, said) = site.command(&[args, &["--config", "wrong.yaml"]].concat()).await;
            assert!(code == 1 || args[0] != "run", "{from}: {said}");
            assert_clean(&format!("{} with {to}", args.join(" ")), said.as_bytes());
        }
    }
}

#[tokio::test]
async fn debug_of_configuration_notifiers_and_sources_shows_no_secret() {
    let receiver = Receiver::start().await;
    let notifiers = notifiers(&receiver, "http://127.0.0.1:1/hook");
    let text = yaml(&notifiers, "http://127.0.0.1:1/", "http://127.0.0.1:1/", &receiver.url(""));
    let text = format!("{text}http: {{proxy: \"http://user:{PASSWORD}@127.0.0.1:3128\"}}\n");
    let site = Site::new(&[("podbell.yaml", &text), ("rules.yaml", crate::support::site::QUICK_RULES)]);
    let mut loaded = podbell::config::load(&site.path("podbell.yaml"));
    let unresolved = loaded.config.take().expect("a configuration");
    assert_clean("Debug of the references", format!("{unresolved:?} {unresolved:#?}").as_bytes());
    let config: Config = unresolved.resolve(&ProcessEnvironment).unwrap();
    assert_clean("Debug of the configuration", format!("{config:?} {config:#?}").as_bytes());
    crate::support::receiver::client();
    let built = assemble::notifiers(&config, assemble::client(&config.http).unwrap());
    assert_clean("Debug of the notifiers", format!("{built:?} {built:#?}").as_bytes());
    assert_clean("Debug of the policies", format!("{:?}", built.policies()).as_bytes());
    let http = assemble::http_options(&config.http).unwrap();
    assert_clean("Debug of the http options", format!("{http:?}").as_bytes());
    let mut source = crate::support::emulated::config("http://127.0.0.1:1/");
    source.secret_id = SECRET_ID.into();
    source.secret_key = SECRET_KEY.into();
    source.token = Some(TOKEN.into());
    assert_clean("Debug of a source", format!("{source:?} {source:#?}").as_bytes());
}
