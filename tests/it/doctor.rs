//! `podbell doctor` from the outside: the real binary, others on real sockets, one thing wrong at a time.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use podbell::clock;
use podbell::components::qcloud::emulator::Emulator;
use podbell_core::time::Time;
use podbell_store::sqlite::Store;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::emulated::{ONE_EVENT, SECRET_KEY, emulator};
use crate::support::process::{PATIENCE, eventually, output, podbell, printed};
use crate::support::receiver::{Answer, Received, Receiver, nobody};
use crate::support::scripted::{Reply, Scripted};
use crate::support::site::{Site, WEBHOOK_SECRET, config};
use crate::support::{fixture, tls};

const TOKEN: &str = "xoxb-marker-of-the-token";
const HOOK: &str = "MarkerOfTheHookPath";

/// Slack, WeCom and a webhook, all well; each does with an empty message what the real one does.
fn well(request: &Received) -> Answer {
    let empty = request.body == b"{}";
    match request.uri.path() {
        "/api/auth.test" if request.header("authorization") == Some(&format!("Bearer {TOKEN}")) => {
            let who = json!({"ok": true, "team": "Acme", "user": "podbell", "user_id": "U1"});
            Answer::new(200, &who.to_string()).with("x-oauth-scopes", "chat:write,commands")
        }
        "/api/auth.test" => Answer::new(200, r#"{"ok": false, "error": "invalid_auth"}"#),
        "/api/chat.postMessage" => Answer::new(200, r#"{"ok": true, "channel": "C0OPS", "ts": "1.2"}"#),
        "/cgi-bin/webhook/send" if empty => Answer::new(200, r#"{"errcode": 40008, "errmsg": "invalid message type"}"#),
        "/cgi-bin/webhook/send" => Answer::new(200, r#"{"errcode": 0, "errmsg": "ok"}"#),
        path if path.starts_with("/services/") && empty => Answer::new(400, "no_text"),
        _ => Answer::new(200, "ok"),
    }
}

const RULES: &str = "version: 1
defaults: {notify: [team, app, robot, audit, local]}
rules: [{name: everything, match: {reason: BackOff}}]
";

/// Everything podbell knows, and all of it well.
struct World {
    site: Site,
    _api: Emulator,
    receiver: Receiver,
}

impl World {
    async fn new() -> Self {
        let api = emulator(ONE_EVENT, 1, None).await;
        let receiver = Receiver::start().await;
        receiver.behave(well);
        let at = |path: &str| receiver.url(path);
        let notifiers = format!(
            "  - {{name: team, kind: slack, url: \"{}\"}}
  - {{name: app, kind: slack, token: {TOKEN}, channel: \"#ops\", api: \"{}\"}}
  - {{name: robot, kind: wecom, url: \"{}\"}}
  - {{name: audit, kind: webhook, url: \"{}\", secret: \"{WEBHOOK_SECRET}\"}}
  - {{name: local, kind: console}}
chats:
  - {{name: ask, kind: slack, app_token: xapp-marker-of-the-app, signing_secret: marker-of-signing, bot_token: {TOKEN}, api: \"{}\"}}
  - {{name: bot, kind: wecom-bot, bot_id: b1, secret: marker-of-the-bot, endpoint: \"{}\"}}
operator: {{heartbeat: {{url: \"{}\"}}}}",
            at(&format!("/services/T0/B0/{HOOK}")),
            at("/api"),
            at("/cgi-bin/webhook/send?key=marker-of-the-robot"),
            at(&format!("/hook/{HOOK}")),
            at("/api"),
            at("").replacen("http", "ws", 1),
            at("/beat/marker-of-the-heartbeat"),
        );
        let text = config(&api.endpoint(), "{cluster: c, namespace: shop, names: [web]}", &notifiers);
        let text = text
            .replace("127.0.0.1:0", &free_address().await)
            .replace("server: {", "server: {public_url: \"PUBLIC\", ");
        let text = text.replace("PUBLIC", &receiver.url(""));
        let site = Site::new(&[("podbell.yaml", &text), ("rules.yaml", RULES)]);
        Self { site, _api: api, receiver }
    }

    /// What the doctor says, when one thing is changed in podbell.yaml.
    async fn with(from: &str, to: &str) -> Examined {
        let world = Self::new().await;
        world.site.edit(from, to);
        world.examine().await
    }

    async fn examine(&self) -> Examined {
        Examined::of(&self.site, &["doctor", "--output", "json"]).await
    }

    /// What was asked of others, in short.
    fn asked(&self) -> Vec<String> {
        let all = self.receiver.received();
        let asked =
            all.iter().map(|one| format!("{} {} {}", one.method, one.uri.path(), String::from_utf8_lossy(&one.body)));
        let mut asked: Vec<String> = asked.collect();
        asked.sort();
        asked
    }
}

#[tokio::test]
async fn an_app_whose_secret_is_refused_is_told_and_no_connection_is_opened() {
    use crate::support::feishu::{FakeFeishu, SECRET};
    let feishu = FakeFeishu::start().await;
    for (secret, expected, words) in [(SECRET, "ok", "good"), ("marker-of-another", "fail", "refused")] {
        let chat = format!(
            "chats:\n  - {{name: fs, kind: feishu-app, app_id: cli_a1, app_secret: \"{secret}\", api: \"{}\", users: [ou_1]}}",
            feishu.base
        );
        let examined = World::with("chats:", &chat).await;
        let found = examined.findings.iter().find(|one| one["subject"] == "fs").unwrap();
        let said = found["found"].as_str().unwrap();
        assert!(found["verdict"] == expected && said.contains(words) && !said.contains("marker"), "{found}");
    }
    assert_eq!(feishu.connections(), 0);
}

#[tokio::test]
async fn a_bot_whose_updates_go_elsewhere_is_told_and_none_of_them_is_taken() {
    use crate::support::{chat_servers, telegram::FakeTelegram};
    let telegram = FakeTelegram::start().await;
    let bot = format!(
        "chats:\n  - {{name: tg, kind: telegram, token: \"{}\", api: \"{}\", users: [\"5\"]}}",
        chat_servers::TOKEN,
        telegram.base
    );
    let of_the_bot = |examined: &Examined| {
        let found = examined.findings.iter().find(|one| one["subject"] == "tg").unwrap();
        ["verdict", "found"].map(|key| found[key].as_str().unwrap().to_owned())
    };
    let [verdict, found] = of_the_bot(&World::with("chats:", &bot).await);
    assert!(verdict == "ok" && found.contains("@podbell_bot"), "{found}");
    telegram.next("getWebhookInfo", 200, Some(json!({"ok": true, "result": {"url": "https://elsewhere.example.com"}})));
    let [verdict, found] = of_the_bot(&World::with("chats:", &bot).await);
    assert!(verdict == "fail" && found.contains("409") && !found.contains("elsewhere"), "{found}");
    assert_eq!(telegram.polls(), 0);
}

#[tokio::test]
async fn an_application_whose_secret_is_refused_is_found_and_its_stream_is_not_opened() {
    use crate::support::dingtalk::{FakeDingTalk, KEY, SECRET};
    let server = FakeDingTalk::start().await;
    for (secret, expected) in [(SECRET, "ok"), ("marker-of-another-secret", "fail")] {
        let chat = format!(
            "chats:\n  - {{name: dt, kind: dingtalk-app, app_key: {KEY}, app_secret: {secret}, api: \"{}\"}}",
            server.base
        );
        let examined = World::with("chats:", &chat).await;
        let found = examined.findings.iter().find(|one| one["subject"] == "dt").unwrap();
        assert_eq!(found["verdict"], expected, "{found}");
        assert!(expected == "ok" || found["found"].as_str().unwrap().contains("invalidClientIdOrSecret"), "{found}");
        assert!(!found.to_string().contains(secret), "{found}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_application_that_may_not_write_cards_is_found_before_it_has_to() {
    use crate::support::dingtalk::{FakeDingTalk, GROUP, KEY, SECRET};
    let server = FakeDingTalk::start().await;
    let notifier = format!(
        "notifiers:\n  - {{name: dt, kind: dingtalk-app, app_key: {KEY}, app_secret: {SECRET}, api: \"{}\", \
         conversation: \"{GROUP}\", cards: true}}",
        server.base
    );
    for (may, verdict, words) in [(true, "ok", "may write cards"), (false, "fail", "Card.Instance.Write")] {
        server.may_write_cards(may);
        let examined = World::with("notifiers:", &notifier).await;
        let found =
            examined.findings.iter().find(|one| one["subject"] == "dt" && one["group"] == "destinations").unwrap();
        assert!(found["verdict"] == verdict && found.to_string().contains(words), "{found}");
    }
    assert!(server.cards().is_empty(), "nothing was made");
}

async fn free_address() -> String {
    nobody().await.trim_start_matches("http://").split('/').next().unwrap().to_owned()
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Examined {
    code: i32,
    pub(crate) findings: Vec<Value>,
}

impl Examined {
    pub(crate) async fn of(site: &Site, args: &[&str]) -> Self {
        let (code, said) = site.command(args).await;
        let findings = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        Self { code, findings }
    }

    /// What is not as it should be: group, subject, what was found, what to do.
    fn bad(&self, verdict: &str) -> Vec<String> {
        let bad = self.findings.iter().filter(|finding| finding["verdict"] == verdict);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        bad.map(|one| ["group", "subject", "found", "advice"].map(|key| text(&one[key])).join(" | ")).collect()
    }

    /// There is one failure, with these words.
    fn fails_only_with(&self, words: &[&str]) {
        let fails = self.bad("fail");
        assert_eq!((self.code, fails.len()), (1, 1), "{fails:#?}");
        for word in words {
            assert!(fails[0].contains(word), "no {word:?} in {fails:?}");
        }
    }

    fn says(&self, words: &str) -> bool {
        self.findings.iter().any(|finding| finding["found"].as_str().unwrap().contains(words))
    }
}

/// Without what differs from run to run.
fn steady(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, with) in [
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\d+ [KMG]iB", "N GiB"),
        (r"is \d+ s old", "is N s old"),
        (r"within \d+ s of", "within N s of"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_is_well_is_said_in_a_line_each_and_nothing_is_posted() {
    let world = World::new().await;
    let (code, said) = world.site.command(&["doctor"]).await;
    assert_eq!(code, 0, "{said}");
    insta::assert_snapshot!(steady(&said));
    // Not one message; the webhook, the heartbeat and the bot heard nothing at all.
    assert_eq!(
        world.asked(),
        [
            "GET /healthz ",
            "POST /api/auth.test {}",
            "POST /api/auth.test {}",
            "POST /cgi-bin/webhook/send {}",
            &format!("POST /services/T0/B0/{HOOK} {{}}"),
        ]
    );
    assert!(!world.site.path("podbell.db").exists() && !world.site.path("podbell.db.lock").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_read_a_list_of_findings() {
    let world = World::new().await;
    let found = world.examine().await;
    assert_eq!(found.code, 0);
    for finding in &found.findings {
        let keys: Vec<&str> = finding.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["advice", "found", "group", "subject", "verdict"]);
        assert_eq!(finding["verdict"] == "ok", finding["advice"].is_null(), "{finding}");
    }
    let mut groups: Vec<&str> = found.findings.iter().map(|finding| finding["group"].as_str().unwrap()).collect();
    groups.dedup();
    let order = ["configuration", "store", "clock", "sources", "rules", "destinations", "chats", "server"];
    assert_eq!(groups, order);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_send_each_destination_gets_a_test_message() {
    let world = World::new().await;
    let found = Examined::of(&world.site, &["doctor", "--send", "--output", "json"]).await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    let arrived = found.findings.iter().filter(|finding| finding["found"] == "the test message arrived");
    let arrived: Vec<&str> = arrived.map(|finding| finding["subject"].as_str().unwrap()).collect();
    assert_eq!(arrived, ["team", "app", "robot", "audit"]);
    let posted = world.asked().into_iter().filter(|asked| asked.starts_with("POST") && !asked.ends_with(" {}"));
    assert_eq!(posted.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told_with_the_api_s_code_and_what_to_do() {
    let found = World::with(&format!("secret_key: {SECRET_KEY}"), "secret_key: another-key-of-others").await;
    found.fails_only_with(&["sources | prod: c/shop/web", "answers 4100", "signature was refused", "check secret_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_is_named_and_the_others_are_read() {
    let one = ONE_EVENT.replacen('{', r#"{"cluster": "c", "namespace": "shop", "service": "web", "#, 1);
    let api = emulator(&one, 1, None).await;
    let world = World::new().await;
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    let endpoint = Regex::new("endpoint: \"http[^\"]*\"").unwrap();
    let text = endpoint.replace(&text, format!("endpoint: \"{}\"", api.endpoint())).replace("[web]", "[gone, web]");
    world.site.write("podbell.yaml", &text);
    let found = world.examine().await;
    found.fails_only_with(&["sources | prod: c/shop/gone", "-16013", "take it out of podbell.yaml"]);
    assert!(found.says("2 services named, 1 list read"));
}

/// The source answers with an empty list, at a time that is so many seconds from now.
async fn with_a_clock(seconds: i64) -> Examined {
    let world = World::new().await;
    let api = Receiver::start().await;
    api.behave(move |_| {
        let then = Time::from_millis(clock::now().millis() + seconds * 1000);
        let then = jiff::Timestamp::from_millisecond(then.millis()).unwrap();
        let date = then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        Answer::new(200, r#"{"code": 0, "data": {"eventList": []}}"#).with("date", &date)
    });
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    let endpoint = Regex::new("endpoint: \"http[^\"]*\"").unwrap();
    world.site.write("podbell.yaml", &endpoint.replace(&text, format!("endpoint: \"{}\"", api.url("/v2/index.php"))));
    world.examine().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_told_in_seconds_with_whose_it_differs_from() {
    let behind = with_a_clock(400).await;
    behind.fails_only_with(&[
        "clock | this machine",
        "s behind the clock of prod",
        "signatures are refused",
        "run NTP",
    ]);
    let ahead = with_a_clock(-100).await;
    assert_eq!((ahead.code, ahead.bad("warn").len()), (0, 1), "{:?}", ahead.bad("warn"));
    assert!(ahead.bad("warn")[0].contains("ahead of the clock of prod"), "{:?}", ahead.bad("warn"));
    let right = with_a_clock(20).await;
    assert_eq!((right.code, right.bad("warn").len()), (0, 0), "{:?}", right.bad("warn"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_zone_that_is_8_hours_off_is_told_with_the_right_one() {
    let found = World::with("region: any", "region: any\n    time_zone: UTC").await;
    found.fails_only_with(&["sources | prod: time zone", "events look 8 h off", "set `time_zone: Asia/Shanghai`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_addresses_of_chats_are_told_from_living_ones_without_posting() {
    let world = World::new().await;
    world.receiver.behave(|request| match request.uri.path() {
        path if path.starts_with("/services/") => Answer::new(404, "no_service"),
        "/cgi-bin/webhook/send" => Answer::new(200, r#"{"errcode": 93000, "errmsg": "invalid webhook url"}"#),
        _ => well(request),
    });
    let found = world.examine().await;
    let fails = found.bad("fail");
    assert_eq!((found.code, fails.len()), (1, 2), "{fails:#?}");
    assert!(
        fails[0].contains("team | Slack webhook") && fails[0].contains("create a new incoming webhook"),
        "{fails:?}"
    );
    assert!(fails[1].contains("robot | WeCom robot") && fails[1].contains("93000"), "{fails:?}");
    assert!(fails[1].contains("add a group robot in WeCom"), "{fails:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_might_do_something_with_an_empty_message_is_not_asked() {
    let world = World::new().await;
    let hook = world.receiver.url(&format!("/services/T0/B0/{HOOK}"));
    world.site.edit(&hook, &world.receiver.url(&format!("/triggers/T0/1/{HOOK}")));
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    assert!(found.says("Slack webhook: can be reached (nothing was sent)"), "{:?}", found.findings);
    assert!(!world.asked().iter().any(|asked| asked.contains(HOOK)), "{:?}", world.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_revoked_or_lacks_a_scope_is_told() {
    let world = World::new().await;
    world.receiver.behave(|request| match request.uri.path() {
        "/api/auth.test" => Answer::new(200, r#"{"ok": false, "error": "token_revoked"}"#),
        _ => well(request),
    });
    let fails = world.examine().await.bad("fail");
    // A destination and a chat have it.
    assert_eq!(fails.len(), 2, "{fails:?}");
    for fail in &fails {
        assert!(fail.contains("token_revoked") && fail.contains("reinstall the app"), "{fail}");
    }
    world.receiver.behave(|request| match request.uri.path() {
        "/api/auth.test" => {
            Answer::new(200, r#"{"ok": true, "team": "Acme", "user": "podbell"}"#).with("x-oauth-scopes", "commands")
        }
        _ => well(request),
    });
    let fails = world.examine().await.bad("fail");
    assert_eq!(fails.len(), 2, "{fails:?}");
    assert!(fails[0].contains("lacks the scope chat:write") && fails[0].contains("OAuth & Permissions"), "{fails:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_told_with_why() {
    let gone = nobody().await;
    let world = World::new().await;
    let hook = world.receiver.url(&format!("/hook/{HOOK}"));
    world.site.edit(&hook, &gone);
    world.examine().await.fails_only_with(&[
        "destinations | audit",
        "cannot be reached",
        "Connection refused",
        "host and port",
    ]);
    world.site.edit(&gone, "http://podbell.invalid/very-secret-path");
    world.examine().await.fails_only_with(&["destinations | audit", "its name is not known", "DNS"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_its_own_authority_is_believed_where_ca_file_holds_it_and_only_for_its_address() {
    let world = World::new().await;
    let plain = world.receiver.url("").trim_start_matches("http://").to_owned();
    let hook = world.receiver.url(&format!("/hook/{HOOK}"));
    let secure = tls::with_certificate("self-signed", &plain).await;
    world.site.edit(&hook, &format!("https://{secure}/hook/{HOOK}"));
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    let trusting =
        |name: &str| format!("{text}http: {{ca_file: \"{}\"}}\n", fixture(&format!("tls/{name}.pem")).display());
    world.site.write("podbell.yaml", &trusting("self-signed"));
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    let before = world.receiver.received().len();
    let (code, said) = world.site.command(&["send-test", "audit"]).await;
    assert_eq!((code, world.receiver.received().len()), (0, before + 1), "{said}");
    // Another one in the file: the advice is not to do what was done.
    world.site.write("podbell.yaml", &trusting("ca"));
    let found = world.examine().await;
    found.fails_only_with(&[
        "destinations | audit",
        "certificate is not believed",
        "no authority in http.ca_file signed it",
    ]);
    // The very certificate, but for another address.
    let other = tls::with_certificate("self-signed-for-another-address", &plain).await;
    let text = trusting("self-signed-for-another-address").replace(&secure, &other);
    world.site.write("podbell.yaml", &text);
    world.examine().await.fails_only_with(&["destinations | audit", "certificate is not believed", "subjectAltName"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_an_unknown_authority_is_told_and_ca_file_mends_it() {
    let world = World::new().await;
    let secure = tls::in_front_of(world.receiver.url("").trim_start_matches("http://")).await;
    let hook = world.receiver.url(&format!("/hook/{HOOK}"));
    world.site.edit(&hook, &format!("https://{secure}/hook/{HOOK}"));
    let found = world.examine().await;
    found.fails_only_with(&["destinations | audit", "certificate is not believed", "UnknownIssuer", "http.ca_file"]);
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    world.site.write("podbell.yaml", &format!("{text}http: {{ca_file: \"{}\"}}\n", fixture("tls/ca.pem").display()));
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    assert!(found.says("its certificate is good (nothing was sent)"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_hangs_ends_with_the_deadline_and_the_rest_is_still_said() {
    let api = Scripted::start([Reply::Hang]).await;
    let world = World::new().await;
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    let endpoint = Regex::new("endpoint: \"http[^\"]*\"").unwrap();
    world.site.write("podbell.yaml", &endpoint.replace(&text, format!("endpoint: \"{}\"", api.endpoint)));
    let begun = clock::monotonic();
    let found = world.examine().await;
    found.fails_only_with(&["sources | prod", "no answer", "check the network between"]);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    assert!(found.says("is free; no podbell runs there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_there_or_be_written_is_told() {
    let found = World::with("sqlite:podbell.db", "sqlite:missing/podbell.db").await;
    found.fails_only_with(&["store | folder", "there is no folder", "make it"]);
    // As somebody who may not write there.
    let world = World::new().await;
    let folder = world.site.folder();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = podbell(folder, &["doctor", "--output", "json"]);
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root; the binary itself may lie where nobody else can read it.
        let copy = tempfile::tempdir().unwrap();
        std::fs::set_permissions(copy.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let binary = copy.path().join("podbell");
        std::fs::copy(env!("CARGO_BIN_EXE_podbell"), &binary).unwrap();
        command = std::process::Command::new(binary);
        command.current_dir(folder).args(["doctor", "--output", "json"]).env_clear().uid(65_534).gid(65_534);
        let done = output(command).await;
        drop(copy);
        unwritable(&done);
    } else {
        unwritable(&output(command).await);
    }
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn unwritable(done: &std::process::Output) {
    let findings: Vec<Value> = serde_json::from_slice(&done.stdout).unwrap_or_else(|_| panic!("{}", printed(done)));
    let found = Examined { code: done.status.code().unwrap(), findings };
    found.fails_only_with(&["store | folder", "cannot be written by this user", "write access"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_a_newer_version_or_a_damaged_one_is_told_and_left_as_it_is() {
    let world = World::new().await;
    let path = world.site.path("podbell.db");
    drop(Store::open(&path).unwrap());
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    assert!(found.says("none has run on it yet"));
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    world.examine().await.fails_only_with(&["store | file", "newer podbell", "99", "run that podbell"]);
    assert!(before == std::fs::read(&path).unwrap());
    std::fs::write(&path, &before[..before.len() / 2]).unwrap();
    world.examine().await.fails_only_with(&["store | file", "damaged", "put a backup in its place"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_and_missing_commits_are_told_and_nothing_is_touched() {
    use crate::support::world::{World as Lived, web};
    let world = World::new().await;
    let path = world.site.path("podbell.db");
    let mut lived = Lived::builtin();
    lived.watch(&[web()]);
    lived.poll(&web(), &[]);
    let backup = path.with_extension("backup");
    let copy = rusqlite::Connection::open(lived.store_path()).unwrap();
    copy.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(copy);
    lived.run_until(3600);
    lived.kill();
    let stamp = |of: &std::path::Path| std::path::PathBuf::from(format!("{}.stamp", of.display()));
    std::fs::copy(stamp(&lived.store_path()), stamp(&path)).unwrap();
    std::fs::copy(lived.store_path(), &path).unwrap();
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    assert!(!found.says("lacks the last"), "{:?}", found.findings);
    std::fs::copy(&backup, &path).unwrap();
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    assert!(found.says("lacks the last"), "{:?}", found.bad("warn"));
    // Two inner pages change places.
    let mut bytes = std::fs::read(lived.store_path()).unwrap();
    let (one, other) = bytes[4096..].split_at_mut(4096 * 4);
    one[..4096].swap_with_slice(&mut other[..4096]);
    std::fs::write(&path, &bytes).unwrap();
    world.examine().await.fails_only_with(&["store | file", "is damaged", "keeps the damaged files aside"]);
    assert!(bytes == std::fs::read(&path).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_running_podbell_its_heartbeat_is_found_and_it_goes_on_undisturbed() {
    let world = World::new().await;
    // Its chats would keep trying to connect.
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    let (head, rest) = text.split_once("chats:").unwrap();
    let (_, rest) = rest.split_once("operator:").unwrap();
    world.site.write("podbell.yaml", &format!("{head}operator:{rest}"));
    let mut running = world.site.run().await;
    eventually(PATIENCE, "it beats", || {
        (!world.site.rows("SELECT value FROM meta WHERE key = 'heartbeat'").is_empty()).then_some(())
    })
    .await;
    running.reaches("podbell_polls_total", |polls| polls > 0).await;
    let listed = || {
        let all = std::fs::read_dir(world.site.folder()).unwrap();
        let mut all: Vec<_> = all.map(|entry| entry.unwrap().file_name()).collect();
        all.sort();
        all
    };
    let before = listed();
    for _ in 0..3 {
        let found = world.examine().await;
        assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
        assert!(found.says("runs: its heartbeat is"), "{:?}", found.findings);
        assert!(found.says("podbell runs at") && found.says("and is ready"), "{:?}", found.findings);
    }
    assert_eq!(listed(), before, "the doctor leaves nothing behind");
    let (_, said) = world.site.command(&["status"]).await;
    assert!(!said.contains("Not running"), "{said}");
    let polls = running.metric("podbell_polls_total").await.unwrap();
    running.reaches("podbell_polls_total", |now| now > polls).await;
    assert_eq!(running.page("/readyz").await.0, 200);
    assert!(running.process.stop().await.success());
    assert!(!running.process.stderr().contains("ERROR"), "{}", running.process.stderr());
    // Ended, it is missed at once.
    let (_, said) = world.site.command(&["status"]).await;
    assert!(said.contains("Not running"), "{said}");
    let found = world.examine().await;
    assert!(found.bad("warn")[0].contains("does not run: last seen"), "{:?}", found.bad("warn"));
    let store = rusqlite::Connection::open(world.site.path("podbell.db")).unwrap();
    let then = clock::now().millis() - 3 * 3_600_000;
    store.execute("UPDATE meta SET value = ?1 WHERE key = 'heartbeat'", [then]).unwrap();
    drop(store);
    let stopped = listed();
    let found = world.examine().await;
    assert_eq!(listed(), stopped, "the doctor leaves nothing behind");
    assert!(found.bad("warn")[0].contains("does not run: last seen 3 h ago"), "{:?}", found.bad("warn"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_people_read_nothing_the_built_in_rules_tell_a_webhook() {
    let api = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let hook = format!("  - {{name: audit, kind: webhook, url: \"{}\"}}", receiver.url("/hook"));
    let text = config(&api.endpoint(), "{cluster: c, namespace: shop, names: [web]}", &hook);
    let site = Site::new(&[("podbell.yaml", &text.replace("rules: [rules.yaml]\n", ""))]);
    let found = Examined::of(&site, &["doctor", "--output", "json"]).await;
    assert!(found.says("Warnings of any reason are told to audit"), "{:?}", found.findings);
    assert!(!found.says("no rule tells this destination"), "{:?}", found.findings);
    let mut running = site.run().await;
    eventually(PATIENCE, "the first contact is told", || (!receiver.received().is_empty()).then_some(())).await;
    assert!(running.process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_behind_a_link_is_read_with_its_log() {
    let world = World::new().await;
    std::fs::create_dir(world.site.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere/real.db", world.site.path("podbell.db")).unwrap();
    let mut running = world.site.run().await;
    running.reaches("podbell_polls_total", |polls| polls > 0).await;
    let found = world.examine().await;
    assert!(found.says("runs: its heartbeat is"), "{:?}", found.findings);
    assert!(running.process.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn something_else_at_the_address_of_the_server_is_told() {
    let world = World::new().await;
    let taken = world.receiver.url("").trim_start_matches("http://").to_owned();
    let text = std::fs::read_to_string(world.site.path("podbell.yaml")).unwrap();
    let listen = Regex::new("listen: \"[^\"]*\"").unwrap();
    world.site.write("podbell.yaml", &listen.replace(&text, format!("listen: \"{taken}\"")));
    world.examine().await.fails_only_with(&["server | listen", "something else listens", "choose another"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_missing_secret_is_named_and_what_lacks_none_is_looked_at() {
    let world = World::new().await;
    let hook = world.receiver.url(&format!("/hook/{HOOK}"));
    world.site.edit(&hook, "${HOOK_URL}");
    world.site.edit(&format!("secret_key: {SECRET_KEY}"), "secret_key: {file: none.key}");
    let found = world.examine().await;
    let fails = found.bad("fail");
    assert_eq!(fails.len(), 2, "{fails:#?}");
    assert!(fails[0].contains("none.key") && fails[0].contains("sources: prod: secret_key"), "{fails:?}");
    assert!(
        fails[1].contains("HOOK_URL is not set") && fails[1].contains("set HOOK_URL in the environment"),
        "{fails:?}"
    );
    let warnings = found.bad("warn");
    assert!(warnings.iter().all(|warning| warning.contains("not tried: its secret is missing")), "{warnings:?}");
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(found.says("the token is podbell in Acme"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_have_their_place_and_destinations_without_a_rule_their_name() {
    let world = World::new().await;
    world.site.edit("poll_every", "pol_every");
    world.site.write("rules.yaml", "version: 1\nrules:\n  - {name: a, match: {reasons: x}, notify: [team]}\n");
    let found = world.examine().await;
    let fails = found.bad("fail");
    assert_eq!((found.code, fails.len()), (1, 2), "{fails:#?}");
    assert!(fails[0].starts_with("configuration | podbell.yaml:8:5 | unknown key `pol_every`"), "{fails:?}");
    assert!(
        fails[1].starts_with("rules | rules.yaml:3:23 | unknown key `reasons` | did you mean `reason`?"),
        "{fails:?}"
    );
    world.site.edit("pol_every", "poll_every");
    world.site.write(
        "rules.yaml",
        "version: 1\nrules:\n  - {name: a, match: {reason: x}, action: ignore}\n  - {name: b, match: {reason: x}, notify: [team]}\n",
    );
    let found = world.examine().await;
    found.fails_only_with(&["rules | rules.yaml:4", "the rule `b` can never fire", "move it up"]);
    let untold: Vec<String> = found.bad("warn");
    assert_eq!(untold.len(), 4, "{untold:?}");
    assert!(untold[0].starts_with("rules | app | no rule tells this destination"), "{untold:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_podbell_yaml_is_a_failure_and_a_wrong_option_is_usage() {
    let site = Site::new(&[]);
    let (code, said) = site.command(&["doctor"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("fail  podbell.yaml: cannot read the file") && said.contains("podbell.example.yaml"),
        "{said}"
    );
    assert_eq!(site.command(&["doctor", "--sned"]).await.0, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_read_to_its_end() {
    let world = World::new().await;
    world.site.write("play.jsonl", &format!("{ONE_EVENT}\n"));
    world.site.edit("sources:\n", "sources:\n  - {name: replay, kind: file, path: play.jsonl}\n");
    let found = world.examine().await;
    assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
    assert!(found.says("play.jsonl: 1 poll, the last of 2026-01-01 00:01:00 UTC"), "{:?}", found.findings);
    world.site.write("play.jsonl", &format!("{ONE_EVENT}\nno json\n"));
    world.examine().await.fails_only_with(&["sources | replay", "line 2", "podbell record"]);
}

#[cfg(feature = "kubernetes")]
mod kubernetes {
    use super::*;
    use crate::support::kube::ago;
    use crate::support::kube_fake::Fake;
    use crate::support::kube_objects::{event, kubeconfig};

    async fn world(fake: &Fake, token: &str, more: &str) -> World {
        let world = World::new().await;
        world.site.write("kubeconfig", &kubeconfig(&fake.address, None, token));
        let source = format!("sources:\n  - {{name: k8s, kind: kubernetes, kubeconfig: kubeconfig{more}}}\n");
        world.site.edit("sources:\n", &source);
        world
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cluster_that_is_well_is_said_with_its_version_and_what_may_be_read() {
        let fake = Fake::start().await;
        fake.put(event("shop", "web-1", "BackOff", 3, &ago(60), &ago(5)));
        let found = world(&fake, "good", "").await.examine().await;
        assert_eq!(found.code, 0, "{:?}", found.bad("fail"));
        assert!(found.bad("warn").is_empty(), "{:?}", found.bad("warn"));
        for said in
            ["API server is v1.33.1", "may list and watch events, pods", "one was last seen", "clock of k8s, prod"]
        {
            assert!(found.says(said), "{said}: {:?}", found.findings);
        }
        assert!(fake.watches().is_empty(), "nothing is watched");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn missing_rights_are_told_as_the_rule_that_is_missing() {
        let fake = Fake::start().await;
        fake.deny(&[("watch", "events"), ("list", "events")]);
        let world = world(&fake, "good", ", namespaces: [shop]").await;
        world.examine().await.fails_only_with(&[
            "sources | k8s: shop | may not list events, watch events",
            "add to the Role of podbell's account: {apiGroups: [\"\"], resources: [events], verbs: [list, watch]}",
        ]);
        fake.deny(&[("watch", "jobs")]);
        let found = world.examine().await;
        assert_eq!((found.code, found.bad("warn").len()), (0, 1), "{:?}", found.findings);
        assert!(found.bad("warn")[0].contains("may not watch jobs"), "{:?}", found.bad("warn"));
        fake.deny(&[("list", "cronjobs")]);
        let found = world.examine().await;
        assert_eq!((found.code, found.bad("warn").len()), (0, 1), "{:?}", found.findings);
        assert!(found.bad("warn")[0].contains("may not list cronjobs: rules see none of their labels"), "{found:?}");
        fake.deny(&[]);
        fake.forbid(&["shop"]);
        world.examine().await.fails_only_with(&["sources | k8s: shop", "events cannot be read", "http-403"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_right_to_logs_is_looked_at_only_where_logs_are_quoted() {
        let fake = Fake::start().await;
        fake.deny(&[("get", "pods/log")]);
        let found = world(&fake, "good", "").await.examine().await;
        assert!(found.bad("warn").is_empty() && !found.says("pods/log"), "{found:?}");
        let world = world(&fake, "good", ", enrich: logs").await;
        let found = world.examine().await;
        assert_eq!((found.code, found.bad("warn").len()), (0, 1), "{found:?}");
        for said in
            ["k8s: every namespace", "may not get pods/log", "{apiGroups: [\"\"], resources: [pods/log], verbs: [get]}"]
        {
            assert!(found.bad("warn")[0].contains(said), "{said}: {found:?}");
        }
        fake.deny(&[]);
        let found = world.examine().await;
        assert!(found.bad("warn").is_empty() && found.says("may get pods/log"), "{found:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_token_that_is_refused_and_a_server_that_is_not_there_are_told() {
        let fake = Fake::start().await;
        let world = world(&fake, "bad", "").await;
        world.examine().await.fails_only_with(&["sources | k8s", "http-401", "renew the token"]);
        world.site.write("kubeconfig", &kubeconfig(&format!("http://{}", free_address().await), None, "good"));
        world.examine().await.fails_only_with(&["sources | k8s", "cannot be asked", "podbell reaches the API server"]);
        std::fs::remove_file(world.site.path("kubeconfig")).unwrap();
        world.examine().await.fails_only_with(&["sources | k8s", "kubeconfig"]);
    }
}
