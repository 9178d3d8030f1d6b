//! The real binary over real HTTP: `run` against `emulate`, to a receiver that checks signatures.

use std::time::Duration;

use serde_json::Value;

use crate::support::emulated::{ONE_EVENT, SECRET_ID, SECRET_KEY, emulator};
use crate::support::fixture;
use crate::support::process::{PATIENCE, Process, eventually, output, podbell, printed};
use crate::support::receiver::{Answer, Received, Receiver};
use crate::support::site::{Running, Site, WEBHOOK_SECRET};

/// `podbell emulate --play` of a play that `make-play` made of lists, as a process.
async fn emulate(site: &Site, plays: &[(&str, &str)], every: &str, speed: &str) -> (Process, String) {
    let mut lines = Vec::new();
    for (list, service) in plays {
        let args = ["emulate", "make-play", list, "--cluster", "c", "--namespace", "shop", "--service", service];
        let play = output(podbell(site.folder(), &[&args[..], &["--every", every, "--last", "2h"]].concat())).await;
        assert!(play.status.success(), "{}", printed(&play));
        lines.extend(String::from_utf8(play.stdout).unwrap().lines().map(str::to_owned));
    }
    // Times stand at the beginning of each line.
    lines.sort();
    site.write("play.jsonl", &(lines.join("\n") + "\n"));
    let keys = ["--secret-id", SECRET_ID, "--secret-key", SECRET_KEY];
    let args = ["emulate", "--listen", "127.0.0.1:0", "--play", "play.jsonl", "--speed", speed];
    let process = Process::start(podbell(site.folder(), &[&args[..], &keys].concat()));
    let endpoint = process.word_after("emulating at ").await;
    (process, endpoint)
}

/// What was taken, one line a message, after a look at every signature.
fn told(receiver: &Receiver) -> Vec<String> {
    let taken = receiver.received().into_iter().filter(|request| request.status == 200);
    taken
        .map(|request| {
            assert!(request.is_signed_with(WEBHOOK_SECRET));
            let body = request.json();
            assert_eq!(body["id"], request.header("webhook-id").unwrap());
            assert!(body["timestamp"].as_str().unwrap().ends_with('Z'), "{body}");
            let incident = &body["data"]["incident"];
            format!("{} {}", body["type"].as_str().unwrap(), incident["workload"].as_str().unwrap_or_default())
        })
        .collect()
}

async fn until(what: &str, mut look: impl FnMut() -> bool) {
    eventually(PATIENCE, what, || look().then_some(())).await;
}

/// Its whole log. While it runs the log may be short of what it has just done.
async fn ends_well(mut running: Running) -> String {
    let status = running.process.stop().await;
    let log = running.process.stderr();
    assert!(status.success(), "{status}\n{log}");
    log
}

#[tokio::test]
async fn one_new_warning_and_then_the_same_list_for_an_hour_is_one_opened_and_one_resolved() {
    let receiver = Receiver::start().await;
    let site = Site::quick("http://127.0.0.1:1/", &receiver.url("/hook"));
    site.write("rules.yaml", &crate::support::site::QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 2s"));
    // An hour in six seconds: a good poll for three, the list with its one Warning for six.
    let list = fixture("data/lists/troubleshoot-support-bundle-default.json");
    let (_emulator, endpoint) = emulate(&site, &[(list.to_str().unwrap(), "web")], "30m", "600").await;
    site.edit("http://127.0.0.1:1/", &endpoint);
    let running = site.run().await;
    until("opened and resolved", || told(&receiver).len() >= 2).await;
    // The entry leaves the list, as it does after an hour; nothing more is told.
    let series = || site.rows("SELECT 1 FROM series WHERE level = 1").len();
    assert_eq!(series(), 1);
    let polls = running.metric("podbell_polls_total").await.unwrap();
    running.reaches("podbell_polls_total", |now| now >= polls + 5).await;
    assert_eq!(told(&receiver), ["incident.opened static-hi", "incident.resolved static-hi"]);
    let resolved = receiver.received()[1].json();
    assert_eq!(resolved["data"]["incident"]["occurrences"], 1);
    assert_eq!(resolved["data"]["incident"]["newest"]["message"], "Back-off restarting failed container");
    ends_well(running).await;
}

#[tokio::test]
async fn recorded_troubles_of_two_services_are_each_opened_once_and_resolved_over_http() {
    let receiver = Receiver::start().await;
    let site = Site::quick("http://127.0.0.1:1/", &receiver.url("/hook"));
    // Twenty minutes a second; quiet for two seconds are forty minutes.
    site.write("rules.yaml", &crate::support::site::QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 2s"));
    let list = |name: &str| fixture("data/lists").join(name).display().to_string();
    let (image, init) =
        (list("troubleshoot-image-pull-fail.json"), list("troubleshoot-pod-init-crashloop-backoff.json"));
    let (_emulator, endpoint) = emulate(&site, &[(&image, "image"), (&init, "init")], "10m", "1200").await;
    site.edit("http://127.0.0.1:1/", &endpoint);
    let running = site.run().await;
    let workloads = [
        "init-demo",
        "init-demo2",
        "no-image-deployment",
        "oom-kill-job3",
        "pending-pod-resources",
        "troubleshoot-copyfromhost-4m79m",
    ];
    let over = || workloads.iter().all(|name| told(&receiver).contains(&format!("incident.resolved {name}")));
    until("everything is over", over).await;
    let mut told = told(&receiver);
    told.retain(|line| line.starts_with("incident.opened") || line.starts_with("incident.resolved"));
    told.sort();
    let expected = ["opened", "resolved"].map(|kind| workloads.map(|name| format!("incident.{kind} {name}")));
    assert_eq!(told, expected.concat());
    ends_well(running).await;
}

#[tokio::test]
async fn sigterm_ends_it_with_exit_code_0_after_what_is_in_flight() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Answer::new(200, "ok").late(Duration::from_secs(2)));
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    let mut running = site.run().await;
    until("a request is in flight", || !receiver.received().is_empty()).await;
    let before = podbell::clock::monotonic();
    let status = running.process.stop().await;
    assert_eq!(status.code(), Some(0), "{}", running.process.stderr());
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(site.rows("SELECT settled, attempts FROM send"), ["delivered 1"]);
    // It is told once, also after the next start.
    let running = site.run().await;
    until("resolved", || told(&receiver).len() >= 2).await;
    assert_eq!(told(&receiver), ["incident.opened web", "incident.resolved web"]);
    ends_well(running).await;
}

#[tokio::test]
async fn health_readiness_and_metrics_say_how_it_is() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.write("rules.yaml", &crate::support::site::QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let running = site.run().await;
    until("told", || !told(&receiver).is_empty()).await;
    until("settled", || site.rows("SELECT settled FROM send") == ["delivered"]).await;
    assert_eq!(running.page("/healthz").await.0, 200);
    assert_eq!(running.page("/readyz").await.0, 200);
    assert_eq!(running.page("/nothing").await.0, 404);
    // The numbers are renewed once a second.
    running.reaches("podbell_sends_delivered_total", |sent| sent == 1).await;
    let (status, kind, page) = running.page("/metrics").await;
    assert_eq!((status, kind.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    for line in [
        "podbell_targets{source=\"prod\"} 1",
        "podbell_failing_targets{source=\"prod\"} 0",
        "podbell_due_deliveries{destination=\"audit\"} 0",
        "podbell_destination_paused{destination=\"audit\"} 0",
        "podbell_failed_polls_total 0",
        "podbell_warning_changes_total 1",
        "podbell_open_incidents 1",
        "# EOF",
    ] {
        assert!(page.lines().any(|one| one == line), "{line} is not in\n{page}");
    }
    ends_well(running).await;
}

#[tokio::test]
async fn the_operator_s_heartbeat_beats_while_polling_works_and_not_before() {
    let (hook, pulse) = (Receiver::start().await, Receiver::start().await);
    let operator = format!("operator: {{heartbeat: {{url: \"{}\", every: 1s}}}}\nnotifiers:", pulse.url("/beat"));
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), &hook.url("/hook"));
    site.edit("notifiers:", &operator);
    let running = site.run().await;
    until("the heartbeat", || !pulse.received().is_empty()).await;
    ends_well(running).await;

    let beats = pulse.received().len();
    let site = Site::quick(&crate::support::receiver::nobody().await, &hook.url("/hook"));
    site.edit("{cluster: c, discover: true}", "{cluster: c, namespace: n, names: [web]}");
    site.edit("notifiers:", &operator);
    let running = site.run_with(&["--log-level", "debug"]).await;
    running.reaches("podbell_failing_targets{source=\"prod\"}", |failing| failing == 1).await;
    until("the word of it", || running.process.stderr().contains("no heartbeat sent")).await;
    ends_well(running).await;
    assert_eq!(pulse.received().len(), beats);
}

#[tokio::test]
async fn a_source_in_trouble_does_not_make_it_unready() {
    let receiver = Receiver::start().await;
    let site = Site::quick(&crate::support::receiver::nobody().await, &receiver.url("/hook"));
    site.edit("{cluster: c, discover: true}", "{cluster: c, namespace: n, names: [web]}");
    let running = site.run().await;
    running.reaches("podbell_failing_targets{source=\"prod\"}", |failing| failing == 1).await;
    assert_eq!((running.page("/healthz").await.0, running.page("/readyz").await.0), (200, 200));
    let log = ends_well(running).await;
    let said: Vec<_> = log.lines().filter(|line| line.contains("a source cannot be read")).collect();
    assert_eq!(said.len(), 1, "{log}");
    assert!(said[0].contains("prod/c/n/web") && said[0].contains("advice=\"check endpoint"), "{log}");
}

#[tokio::test]
async fn what_a_receiver_refuses_is_listed_and_sent_again_on_request() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Answer::new(400, "no thanks"));
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.write("rules.yaml", &crate::support::site::QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let running = site.run().await;
    until("given up", || site.rows("SELECT state FROM delivery") == ["dead"]).await;
    assert_eq!(receiver.received().len(), 3, "whole, shortened, one line");
    running.reaches("podbell_deliveries_given_up_total", |given_up| given_up == 1).await;
    let (code, listed) = site.command(&["outbox", "list"]).await;
    assert_eq!(code, 0);
    assert!(listed.contains(" dead     audit            opened #1 default/web BackOff"), "{listed}");
    assert!(listed.contains("status 400: no thanks"), "{listed}");
    let (_, json) = site.command(&["outbox", "list", "--output", "json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["id"], &json[0]["state"]), (&Value::from(1), &Value::from("dead")));

    receiver.otherwise(Answer::new(200, "ok"));
    assert_eq!(site.command(&["outbox", "retry", "7"]).await, (1, "there is no delivery 7\n".into()));
    let retried = site.command(&["outbox", "retry", "1"]).await;
    assert_eq!(retried, (0, "delivery 1 is due again for audit\n".into()));
    until("delivered", || told(&receiver) == ["incident.opened web"]).await;
    until("recorded", || site.rows("SELECT state FROM delivery") == ["sent"]).await;
    let again = site.command(&["outbox", "retry", "1"]).await;
    assert_eq!(again, (1, "delivery 1 is sent, not dead\n".into()));
    let empty = site.command(&["outbox", "list"]).await;
    assert_eq!(empty, (0, "Nothing waits, nothing was given up.\n".into()));
    let (_, all) = site.command(&["outbox", "list", "--all", "--config", "podbell.yaml"]).await;
    assert!(all.contains(" sent     audit "), "{all}");
    ends_well(running).await;
}

#[tokio::test]
async fn what_waits_for_a_dead_url_can_be_dropped_and_a_stopped_podbell_hears_of_it_at_its_start() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Answer::new(404, "gone"));
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    site.write("rules.yaml", &crate::support::site::QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 1h"));
    let running = site.run().await;
    until("paused", || site.rows("SELECT health FROM destination").iter().any(|health| health.contains("404"))).await;
    let states = || site.rows("SELECT state FROM delivery");
    assert_eq!(states(), ["due"]);
    let (_, listed) = site.command(&["outbox", "list"]).await;
    assert!(listed.contains("audit is paused since") && listed.contains("404"), "{listed}");
    assert_eq!(site.command(&["outbox", "drop", "1"]).await, (0, "delivery 1 was given up\n".into()));
    assert_eq!(states(), ["dead"]);
    ends_well(running).await;

    // Nobody runs: it is done at the next start, together with the end of the pause.
    let (code, said) = site.command(&["outbox", "retry", "--all"]).await;
    assert_eq!((code, said.as_str()), (0, "podbell is not running: it will carry this out at its next start\n"));
    assert_eq!(states(), ["dead"]);
    receiver.otherwise(Answer::new(200, "ok"));
    assert_eq!(site.command(&["send-test", "audit"]).await, (0, "audit: arrived\n".into()));
    let running = site.run().await;
    until("delivered", || states() == ["sent"]).await;
    assert_eq!(told(&receiver), ["info.test ", "incident.opened web"]);
    ends_well(running).await;
}

#[tokio::test]
async fn send_test_says_in_one_line_what_came_of_it() {
    let receiver = Receiver::start().await;
    receiver.behave(|request: &Received| match request.uri.path() {
        "/redirect" => Answer::new(302, "").with("location", "https://elsewhere.example.com/"),
        "/busy" => Answer::new(429, "slow down"),
        path => Answer::new(path.trim_start_matches('/').parse().unwrap_or(200), "said so"),
    });
    let site = Site::quick("http://127.0.0.1:1/", &receiver.url("/ok"));
    let mut at = receiver.url("/ok");
    let nobody = crate::support::receiver::nobody().await;
    let hangs_up = crate::support::receiver::one_that_hangs_up().await;
    for (url, words) in [
        (receiver.url("/ok"), "arrived"),
        (receiver.url("/404"), "not delivered: status 404: said so. What to do: nobody receives at this URL"),
        (receiver.url("/403"), "not delivered: status 403: said so. What to do: the receiver refuses podbell"),
        (receiver.url("/redirect"), "not delivered: status 302. What to do: redirects are not followed"),
        (receiver.url("/500"), "perhaps not delivered: status 500: said so. It is in trouble itself"),
        (receiver.url("/busy"), "not delivered: status 429: slow down. "),
        (receiver.url("/413"), "not delivered: it does not take the message: status 413: said so"),
        (nobody, "not delivered: "),
        (hangs_up, "perhaps not delivered: "),
    ] {
        site.edit(&at, &url);
        at = url;
        let (code, said) = site.command(&["send-test", "audit"]).await;
        assert_eq!(code, i32::from(words != "arrived"), "{said}");
        assert!(said.starts_with(&format!("audit: {words}")), "{words}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let (code, said) = site.command(&["send-test", "nobody"]).await;
    assert_eq!((code, said.as_str()), (1, "error: there is no notifier nobody; there are: audit\n"));
}

#[tokio::test]
async fn a_second_run_on_one_store_waits_and_then_refuses_while_the_first_goes_on() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    let running = site.run().await;
    let before = podbell::clock::monotonic();
    let (code, said) = site.command(&["run", "--store-wait", "1"]).await;
    assert!(before.elapsed() >= Duration::from_secs(1));
    assert_eq!(code, 1);
    assert!(said.contains("another podbell owns the store; waiting for it to end"), "{said}");
    assert!(said.contains("podbell.db is in use by another podbell (waited 1 s); stop that one"), "{said}");
    until("the first goes on", || told(&receiver).len() >= 2).await;
    ends_well(running).await;
    // Its place is free at once.
    ends_well(site.run_with(&["--store-wait", "0"]).await).await;
}

#[tokio::test]
async fn a_second_run_takes_over_when_the_first_ends() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    let first = site.run().await;
    let second = Process::start(podbell(site.folder(), &["run"]));
    second.word_after("another podbell owns").await;
    ends_well(first).await;
    let listen = second.word_after("listen=").await;
    ends_well(Running { process: second, listen }).await;
}

#[tokio::test]
async fn a_wrong_configuration_is_explained_and_ends_it_with_1() {
    let site = Site::quick("http://127.0.0.1:1/", "http://127.0.0.1:1/hook");
    site.edit("poll_every: 1s", "poll_evry: 1s");
    let (code, said) = site.command(&["run"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("poll_every") && said.contains("podbell.yaml:8"), "{said}");
    site.edit("poll_evry: 1s", "poll_every: 1s");
    site.edit(SECRET_KEY, "\"${NOT_SET_ANYWHERE}\"");
    let (code, said) = site.command(&["run"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("the environment variable NOT_SET_ANYWHERE is not set"), "{said}");
    assert!(!site.path("podbell.db").exists(), "nothing is made before all is well");
}

#[tokio::test]
async fn a_log_level_that_is_none_is_refused_and_rules_without_a_rule_are_warned_of() {
    let site = Site::quick("http://127.0.0.1:1/", "http://127.0.0.1:1/hook");
    for level in ["silly", "podbell=debgu"] {
        let (code, said) = site.command(&["run", "--log-level", level]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("write error, warn, info, debug, or a filter"), "{said}");
    }
    site.write("rules.yaml", "version: 1\nrules: []\n");
    let running = site.run_with(&["--log-level", "podbell=info,hyper=warn"]).await;
    let log = ends_well(running).await;
    assert!(log.contains("names no rule: nothing will be told"), "{log}");
}

#[tokio::test]
async fn a_port_that_is_in_use_is_an_error_that_says_what_to_do() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let site = Site::quick("http://127.0.0.1:1/", "http://127.0.0.1:1/hook");
    site.edit("127.0.0.1:0", &address);
    let (code, said) = site.command(&["run"]).await;
    assert_eq!(code, 1);
    assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
    assert!(said.contains("choose another server.listen"), "{said}");
}

#[tokio::test]
async fn logs_as_json_parse_line_by_line() {
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let receiver = Receiver::start().await;
    receiver.then([Answer::new(500, "line one\nline two \"quoted\"")]);
    let site = Site::quick(&emulator.endpoint(), &receiver.url("/hook"));
    let mut process = Process::start(podbell(site.folder(), &["run", "--log-format", "json", "--log-level", "debug"]));
    until("told", || receiver.received().len() >= 2).await;
    assert!(process.stop().await.success());
    let log = process.stderr();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["message"] == "podbell runs"), "{log}");
    assert!(lines.iter().any(|line| line["message"] == "telling" && line["kind"] == "opened"), "{log}");
    let failed = |line: &Value| line["message"] == "a request failed and is tried again; nothing is lost";
    let failed: Vec<_> = lines.iter().filter(|line| failed(line)).collect();
    assert_eq!(failed.len(), 1, "{log}");
    assert!(failed[0]["destination"] == "audit" && failed[0]["why"].to_string().contains("status 500"), "{log}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{log}");
    assert_eq!(process.stdout(), "");
}
