//! Incidents as alerts of Alertmanager's: one alert for each, repeated while it is open, ended with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::chat_servers::{Call, Place, Platform, Reply, Server, TOKEN};
use crate::support::events::{at, warning};
use crate::support::notices::{incident, one_of_each, story, trouble};
use crate::support::platform::platform;
use crate::support::process::{output, podbell, printed};
use crate::support::receiver::{Answer, Receiver, client, nobody};
use crate::support::world::{World, WorldSpec, web};
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::event::{Event, Target};
use podbell_core::notice::{Newest, NoticeBody, NoticeKind, Story, Trouble};
use podbell_core::outbox::{Content, Outcome, Parent, SendContent};
use podbell_core::scope::Scope;
use podbell_core::translations::Language;
use podbell_core::user_action::Act;

const RULES: &str = "version: 1
rules:
  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 0s, min_gap: 10s, escalate: {counts: [10]}, resolve_after: 4h,
     severity: critical, labels: {team: shop, 'on-call/tier': '1', severity: ignored}}
";
const ALERTMANAGER: Platform = Platform {
    name: "alertmanager",
    keys: |base, token| format!("kind: alertmanager, url: \"{base}\", token: \"{token}\""),
    serve,
};

/// Takes what the real one takes, and notes of each alert when it was sent and until when it stands.
fn serve(place: &mut Place, call: &Call) -> Reply {
    if call.bearer != TOKEN {
        return (401, "Unauthorized".to_owned(), None);
    }
    if call.path != "/api/v2/alerts" {
        return (404, "404 page not found".to_owned(), None);
    }
    for alert in call.body.as_array().unwrap() {
        let time = |key: &str| alert[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
        let (starts, ends) = (time("startsAt"), time("endsAt"));
        let labels = alert["labels"].as_object().unwrap();
        let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if starts > ends || labels.is_empty() || !labels.keys().all(is_name) {
            place.refused += 1;
            return (400, "\"invalid label set\"".to_owned(), None);
        }
        let sent = json!({"at": call.at.seconds(), "ends": ends, "annotations": alert["annotations"]}).to_string();
        place.alerts.entry(alert["labels"].to_string()).or_default().push(sent);
    }
    (200, String::new(), None)
}

/// What was sent of the alert that is about `workload`: when, until when it stands, its annotations.
fn sent(server: &Server, workload: &str) -> Vec<(i64, i64, Value)> {
    let is_about = |labels: &String| labels.contains(&format!("\"workload\":\"{workload}\""));
    let alerts: Vec<Vec<String>> = server.place(|place| {
        place.alerts.iter().filter(|(labels, _)| is_about(labels)).map(|(_, sent)| sent.clone()).collect()
    });
    assert!(alerts.len() <= 1, "one alert: {alerts:?}");
    let read = |sent: &String| {
        let sent: Value = serde_json::from_str(sent).unwrap();
        let since = |key: &str| sent[key].as_i64().unwrap() - at(0).seconds();
        (since("at"), since("ends"), sent["annotations"].clone())
    };
    alerts.iter().flatten().map(read).collect()
}

/// Since when the alert stood, and when it ended: the first moment at which nothing said that it goes on.
fn stood(server: &Server, workload: &str) -> (i64, i64) {
    let sent = sent(server, workload);
    let mut end = sent[0].1;
    for (at, ends, _) in &sent {
        assert!(*at <= end, "it ended by itself at {end}, and was sent again at {at}");
        end = *ends;
    }
    (sent[0].0, end)
}

fn world(server: &Server, token: &str) -> World {
    let mut world =
        World::new(WorldSpec { rules: vec![RULES.into()], through: Some(server.wire(token)), ..WorldSpec::default() });
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(120);
    world
}

fn crash(name: &str, count: u64, last: i64) -> Event<'static> {
    warning(&format!("{name}-6d4cf56db6-x2x7v"), "FailedMount", "no such volume", count, 130, last)
}

#[test]
fn an_incident_is_one_alert_that_stands_until_it_ends_however_long_nothing_happens() {
    let server = Server::start(ALERTMANAGER);
    let mut world = world(&server, TOKEN);
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(180);
    assert_eq!(sent(&server, "web").len(), 1, "{:?}", sent(&server, "web"));
    world.poll(&web(), &[crash("web", 12, 190)]);
    world.run_until(300);
    let id = world.engine().state().unwrap().incidents().next().unwrap().id;
    world.act("alice", &Scope::default(), Act::Acknowledge { id });
    world.run_until(310);
    let newest = sent(&server, "web").pop().unwrap();
    assert_eq!(newest.2["acknowledged_by"], "alice", "{newest:?}");
    world.poll_until(&web(), &[crash("web", 12, 190)], 5 * 3600);
    let (since, until) = stood(&server, "web");
    assert!((120..=135).contains(&since), "{since}");
    // Four hours after the last occurrence, and no more words since.
    assert!((4 * 3600..4 * 3600 + 600).contains(&until), "{until}");
    let all = sent(&server, "web");
    assert!(all.last().unwrap().0 < 4 * 3600 + 600, "nothing is repeated after the end: {all:?}");
    assert!(all.len() < 5 * 12 + 10, "repeated each five minutes, not more often: {}", all.len());
    assert_eq!(server.place(|place| place.refused), 0);
}

#[test]
fn an_open_alert_stands_over_restarts_of_podbell_and_over_a_while_in_which_alertmanager_is_away() {
    let server = Server::start(ALERTMANAGER);
    let mut world = world(&server, TOKEN);
    world.poll(&web(), &[crash("web", 3, 130)]);
    for hour in 0..8 {
        world.poll_until(&web(), &[crash("web", 3, 130)], 600 + hour * 900);
        world.kill();
        // It is down for five minutes.
        world.now = world.now.plus(Duration::from_secs(300));
        world.start();
        world.watch(&[web()]);
        server.place(|place| place.lose = 2);
    }
    world.poll_until(&web(), &[crash("web", 3, 130)], 3 * 3600);
    let (_, until) = stood(&server, "web");
    assert!(until > 3 * 3600, "{until}");
}

#[test]
fn repetitions_of_many_alerts_keep_to_the_pace_and_none_ends_by_itself() {
    let server = Server::start(ALERTMANAGER);
    let mut world = world(&server, TOKEN);
    let targets: Vec<Target> = (0..400).map(|n| Target::new("prod", "cls-1", "shop", &format!("web{n}"))).collect();
    world.watch(&targets);
    for target in &targets {
        world.poll(target, &[]);
    }
    world.run_until(1000);
    for target in &targets {
        world.poll(target, &[crash(&target.service, 3, 1005)]);
    }
    world.run_until(3600);
    let mut seconds: BTreeMap<i64, usize> = BTreeMap::new();
    for target in &targets {
        let (_, until) = stood(&server, &target.service);
        assert!(until > 3600, "{target}: {until}");
        sent(&server, &target.service).iter().for_each(|(at, ..)| *seconds.entry(at / 60).or_default() += 1);
    }
    // Minutes of the clock lie across minutes of the pace.
    assert!(seconds.values().all(|count| *count <= 600), "{seconds:?}");
}

#[test]
fn after_a_wrong_credential_is_corrected_every_open_alert_is_there() {
    let server = Server::start(ALERTMANAGER);
    let mut world = world(&server, "another-token");
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(600);
    assert!(server.place(|place| place.calls) <= 3, "a pause, not a hail");
    world.kill();
    let wire = server.wire(TOKEN);
    world.respec(|spec| spec.through = Some(wire));
    world.start();
    world.run_until(700);
    assert_eq!(sent(&server, "web").len(), 1);
}

#[test]
fn another_address_gets_the_alerts_that_are_open() {
    let (first, second) = (Server::start(ALERTMANAGER), Server::start(ALERTMANAGER));
    let mut world = world(&first, TOKEN);
    world.poll(&web(), &[crash("web", 3, 130)]);
    world.run_until(200);
    world.kill();
    let wire = second.wire(TOKEN);
    world.respec(|spec| spec.through = Some(wire));
    world.start();
    world.run_until(600);
    let labels = |server: &Server| server.place(|place| place.alerts.keys().cloned().collect::<BTreeSet<_>>());
    let about_web = |labels: BTreeSet<String>| labels.into_iter().find(|labels| labels.contains("web")).unwrap();
    assert_eq!(about_web(labels(&first)), about_web(labels(&second)));
}

#[test]
fn podbells_own_trouble_is_an_alert_that_stands_while_it_lasts() {
    let server = Server::start(ALERTMANAGER);
    let spec = WorldSpec {
        rules: vec![RULES.into()],
        operator: vec!["team"],
        through: Some(server.wire(TOKEN)),
        ..WorldSpec::default()
    };
    let mut world = World::new(spec);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    while world.now < at(2 * 3600) {
        world.fail(&web(), "timeout");
        let next = world.now.plus(Duration::from_secs(60));
        world.run_to(next);
    }
    let alerts = || {
        let of_trouble = |(labels, sent): (&String, &Vec<String>)| {
            labels.contains("podbell trouble").then(|| (labels.clone(), sent.clone()))
        };
        server.place(|place| place.alerts.iter().filter_map(of_trouble).collect::<Vec<_>>())
    };
    let ends = |sent: &str| serde_json::from_str::<Value>(sent).unwrap()["ends"].as_i64().unwrap() - at(0).seconds();
    let before = alerts();
    assert_eq!(before.len(), 1, "{before:?}");
    assert!(ends(before[0].1.last().unwrap()) > 2 * 3600, "{before:?}");
    world.poll(&web(), &[]);
    world.run_until(2 * 3600 + 600);
    let after = alerts();
    assert_eq!(after.len(), 1, "{after:?}");
    assert!(ends(after[0].1.last().unwrap()) <= 2 * 3600, "{after:?}");
}

fn notifiers(keys: &str) -> Notifiers {
    let config = NamedNotifier {
        name: "team".into(),
        platform: platform(keys),
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
        digest_after: None,
        template: Default::default(),
        logs: false,
    };
    Notifiers::new(vec![config], Default::default(), client())
        .linking(Some(&url::Url::parse("https://podbell.example.com").unwrap()))
}

fn somewhere() -> Notifiers {
    notifiers("kind: alertmanager, url: \"http://alertmanager:9093/prefix/\"")
}

fn alert(content: &SendContent<'_>) -> Value {
    let body = somewhere().render("team", content, "msg_1", at(2_401));
    serde_json::from_slice::<Value>(&body).unwrap()["arguments"].clone()
}

/// A request without an answer is given up after ten seconds.
#[tokio::test]
async fn a_member_that_does_not_answer_does_not_hold_up_what_the_others_are_told() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let healthy = crate::support::receiver::Receiver::start().await;
    healthy.otherwise(crate::support::receiver::Answer::new(200, ""));
    let urls = format!("[\"http://{}\", \"{}\"]", silent.local_addr().unwrap(), healthy.url(""));
    let made = notifiers(&format!("kind: alertmanager, url: {urls}"));
    let all = async {
        for id in 1..=3 {
            let notice = [incident(id, NoticeKind::Opened, story())];
            let body = made.render("team", &SendContent::full(&notice), "msg_1", at(0));
            let outcome = made.deliver("team", "msg_1", body, at(0)).await;
            assert!(matches!(outcome, Outcome::Posted(_)), "{outcome:?}");
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(8), all).await.expect("three alerts within one time-out");
    assert_eq!(healthy.received().len(), 3);
}

#[test]
fn every_kind_of_notice_as_an_alert() {
    let all = one_of_each().into_iter().map(|(kind, notice)| {
        let notices = [notice];
        format!("--- {kind}\n{}\n", serde_json::to_string_pretty(&alert(&SendContent::full(&notices))).unwrap())
    });
    insta::assert_snapshot!(all.collect::<String>());
}

#[test]
fn an_alert_keeps_its_labels_whatever_becomes_of_its_rule() {
    let first = [incident(1, NoticeKind::Opened, story())];
    let labels = alert(&SendContent::full(&first))["labels"].clone();
    let parent = Parent { channel: "".into(), message: labels.to_string().into() };
    let labels_now = BTreeMap::from([("team".to_owned(), "payments".to_owned())]);
    let mut notice = incident(2, NoticeKind::Escalated, Story { labels: labels_now, occurrences: 9_999, ..story() });
    notice.severity = podbell_core::rule::Severity::Info;
    let later = [notice];
    let sent = alert(&SendContent { parent: Some(&parent), ..SendContent::full(&later) });
    assert_eq!(sent["labels"], labels);
    assert!(sent["annotations"].to_string().contains("9,999"), "{sent}");
    // Nothing that changes is a label.
    assert!(!labels.to_string().contains("134"), "{labels}");
}

/// What the answers of two members mean.
async fn outcome_of_two(first: Answer, second: Answer) -> (Outcome, usize) {
    let (one, two) = (Receiver::start().await, Receiver::start().await);
    one.otherwise(first);
    two.otherwise(second);
    let address = |receiver: &Receiver| receiver.url("").trim_end_matches('/').to_owned();
    let keys = format!("kind: alertmanager, url: [\"{}\", \"{}\"]", address(&one), address(&two));
    let made = notifiers(&keys);
    let notice = [incident(1, NoticeKind::Opened, story())];
    let body = made.render("team", &SendContent::full(&notice), "m", at(0));
    let outcome = made.deliver("team", "m", body, at(0)).await;
    (outcome, one.received().len() + two.received().len())
}

#[tokio::test]
async fn each_member_of_a_cluster_gets_every_alert_and_one_that_takes_it_is_enough() {
    let ok = || Answer::new(200, "");
    for (other, enough) in [(ok(), true), (Answer::new(503, "no"), true), (Answer::new(401, "no"), true)] {
        let (outcome, requests) = outcome_of_two(ok(), other).await;
        assert_eq!((outcome.arrived(), requests), (enough, 2), "{outcome:?}");
    }
    let (outcome, _) = outcome_of_two(Answer::new(503, "no"), Answer::new(401, "no")).await;
    assert!(matches!(outcome, Outcome::Unclear { .. }), "{outcome:?}");
}

#[tokio::test]
async fn what_each_answer_means() {
    let of =
        async |status: u16, body: &str| outcome_of_two(Answer::new(status, body), Answer::new(status, body)).await.0;
    assert!(of(200, "").await.arrived());
    assert!(of(200, "{}").await.arrived());
    let login = of(200, "<html>please log in</html>").await;
    assert!(matches!(login, Outcome::Unclear { .. }), "{login:?}");
    assert!(matches!(of(400, "\"start time must be before end time\"").await, Outcome::ContentRejected { .. }));
    for status in [401, 403, 404, 405, 302] {
        let outcome = of(status, "no").await;
        assert!(matches!(outcome, Outcome::InvalidDestination { .. }), "{status}: {outcome:?}");
    }
    for status in [404, 405] {
        let ingress = of(status, "<html><title>404 Not Found</title></html>").await;
        assert!(matches!(ingress, Outcome::Refused { .. }), "{status}: {ingress:?}");
    }
    assert!(matches!(of(429, "slowly").await, Outcome::Refused { .. }));
    assert!(matches!(of(500, "oh").await, Outcome::Unclear { .. }));
    let made = notifiers(&format!("kind: alertmanager, url: \"{}\"", nobody().await));
    let notice = [incident(1, NoticeKind::Opened, story())];
    let body = made.render("team", &SendContent::full(&notice), "m", at(0));
    let outcome = made.deliver("team", "m", body, at(0)).await;
    assert!(matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_user_and_a_token_are_sent_as_http_has_them_and_never_shown() {
    for (keys, sent) in [
        ("user: podbell, password: marker-of-a-password", "Basic cG9kYmVsbDptYXJrZXItb2YtYS1wYXNzd29yZA=="),
        ("token: marker-of-a-token", "Bearer marker-of-a-token"),
    ] {
        let receiver = Receiver::start().await;
        receiver.otherwise(Answer::new(401, "marker-of-a-password and marker-of-a-token"));
        let made = notifiers(&format!("kind: alertmanager, url: \"{}\", {keys}", receiver.url("")));
        let notice = [incident(1, NoticeKind::Opened, story())];
        let body = made.render("team", &SendContent::full(&notice), "m", at(0));
        let outcome = made.deliver("team", "m", body, at(0)).await;
        let received = receiver.received();
        assert_eq!(received[0].header("authorization"), Some(sent));
        assert_eq!(received[0].uri.path(), "/api/v2/alerts");
        let mine = keys.rsplit(' ').next().unwrap();
        assert!(!format!("{outcome:?}").contains(mine), "{outcome:?}");
    }
}

#[test]
fn a_megabyte_of_text_and_whatever_a_cluster_says_are_taken_within_bounds() {
    let server = Server::start(ALERTMANAGER);
    let wire = server.wire(TOKEN);
    let text = "\u{1F}\"\\x y{\n".repeat(260_000);
    let newest = Newest { message: text.clone(), ..story().newest };
    let notices = [incident(1, NoticeKind::Opened, Story { newest, workload: text, ..story() })];
    for content in [Content::Full, Content::Short, Content::Minimal] {
        let body = wire.notifiers.render("team", &SendContent { content, ..SendContent::full(&notices) }, "m", at(0));
        assert!(body.len() < 100_000, "{}", body.len());
        let job = podbell::engine::SendJob {
            send: podbell_core::outbox::SendId(1),
            destination: "team".into(),
            message_id: "m".into(),
            body,
        };
        let outcome = (wire.deliver)(&job, at(0));
        assert!(outcome.arrived(), "{content:?}: {outcome:?}");
    }
}

#[cfg(feature = "outside")]
mod real {
    use std::path::PathBuf;
    use std::process::Command;

    use podbell::clock::now;
    use podbell_core::mute::{Acknowledged, Author};

    use super::*;
    use crate::support::process::{PATIENCE, Process, eventually};

    const CONFIG: &str = "
route: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: 'HOOK', send_resolved: true}]}]
";

    /// The alerts that are not over, as the API shows them.
    async fn firing(base: &str) -> Option<Vec<Value>> {
        let answer = client().get(format!("{base}/api/v2/alerts")).send().await.ok()?;
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    #[tokio::test]
    async fn a_real_alertmanager_shows_one_alert_from_its_opening_to_its_end_and_notifies_of_both() {
        let folder = tempfile::tempdir().unwrap();
        let hook = Receiver::start().await;
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG.replace("HOOK", &hook.url("/hook"))).unwrap();
        let port = url::Url::parse(&nobody().await).unwrap().port().unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/alertmanager");
        let found = output(Command::new(script)).await;
        assert!(found.status.success(), "{found:?}");
        let binary = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
        let mut command = Command::new(&binary);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.arg("--cluster.listen-address=");
        let server = Process::start(command);
        server.word_after("Listening ").await;
        tokio::time::timeout(PATIENCE, async {
            while firing(&base).await.is_none() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();

        let made = notifiers(&format!("kind: alertmanager, url: \"{base}\""));
        let began = now();
        let story = Story { first_at: began, last_at: began, ..story() };
        let said = async |kind: NoticeKind, story: Story, parent: Option<&Parent>| {
            let mut notice = incident(1, kind, story);
            (notice.caused_at, notice.made_at) = (began, now());
            let refresh = notice_is_refresh(&notice.body);
            let notices = [notice];
            let content = SendContent { parent, refresh, ..SendContent::full(&notices) };
            let body = made.render("team", &content, "msg_1", now());
            made.deliver("team", "msg_1", body, now()).await
        };
        let Outcome::Posted(parent) = said(NoticeKind::Opened, story.clone(), None).await else { panic!("posted") };
        let alerts = firing(&base).await.unwrap();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(alerts[0]["labels"]["workload"], "web");
        assert_eq!(alerts[0]["status"]["state"], "active");
        assert_eq!(alerts[0]["generatorURL"], "https://podbell.example.com/incidents/1042");
        let again = said(NoticeKind::Opened, story.clone(), None).await;
        assert_eq!(again, Outcome::Posted(parent.clone()), "taken twice, it is the same alert");

        let worse = Story { occurrences: 9_999, ..story.clone() };
        assert_eq!(said(NoticeKind::Escalated, worse.clone(), Some(&parent)).await, Outcome::Delivered);
        let by = Author { name: "alice".to_owned(), via: "chat".to_owned() };
        let acknowledged = Story { acknowledged: Some(Acknowledged { by, at: began }), ..worse.clone() };
        assert_eq!(said(NoticeKind::Opened, acknowledged.clone(), Some(&parent)).await, Outcome::Delivered);
        let alerts = firing(&base).await.unwrap();
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        assert_eq!(alerts[0]["annotations"]["acknowledged_by"], "alice");
        assert!(alerts[0]["annotations"]["description"].as_str().unwrap().contains("9,999"), "{alerts:?}");

        let statuses = || hook.received().iter().map(|one| one.json()["status"].clone()).collect::<Vec<_>>();
        eventually(PATIENCE, "the notification", || statuses().contains(&json!("firing")).then_some(())).await;
        let mut amtool = Command::new(binary.with_file_name("amtool"));
        amtool.args(["alert", "query", "-o", "extended", &format!("--alertmanager.url={base}")]);
        let amtool = String::from_utf8(output(amtool).await.stdout).unwrap();
        assert!(amtool.contains("image-pull") && amtool.contains("active"), "{amtool}");

        assert_eq!(said(NoticeKind::Resolved, acknowledged, Some(&parent)).await, Outcome::Delivered);
        assert_eq!(firing(&base).await.unwrap(), Vec::<Value>::new());
        eventually(PATIENCE, "its end", || statuses().contains(&json!("resolved")).then_some(())).await;
    }

    /// An acknowledgement is no notice: it comes with the next change of what is shown.
    fn notice_is_refresh(body: &NoticeBody) -> bool {
        matches!(body, NoticeBody::Incident(story) if story.acknowledged.is_some())
    }
}

#[test]
fn the_keys_of_alertmanager_say_what_is_wrong_with_them() {
    let said = |keys: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("podbell.yaml");
        let text = format!(
            "sources: [{{name: f, kind: file, path: \"-\"}}]\nnotifiers: [{{name: n, kind: alertmanager, {keys}}}]\n"
        );
        std::fs::write(&path, text).unwrap();
        podbell::config::load(&path).diagnostics.iter().map(|one| format!("{one:?}")).collect::<String>()
    };
    for (keys, word) in [
        ("url: alertmanager:9093", "http"),
        ("url: 'http://a:b@am:9093'", "a login in an address"),
        ("url: 'http://am', user: me", "belong together"),
        ("url: 'http://am', user: me, password: x, token: y", "one of both"),
        ("url: 'http://am', digest_after: 3", "Alertmanager groups alerts itself"),
        ("user: me, password: x", "url"),
    ] {
        assert!(said(keys).contains(word), "{keys}: {}", said(keys));
    }
    assert_eq!(said("url: ['http://am-0:9093', 'https://am-1/prefix'], token: x"), "");
}

#[tokio::test]
async fn the_doctor_asks_every_member_for_its_version_and_makes_no_alert() {
    let (good, bad) = (Receiver::start().await, Receiver::start().await);
    good.otherwise(Answer::new(200, r#"{"cluster": {"status": "ready"}, "versionInfo": {"version": "0.25.0"}}"#));
    bad.otherwise(Answer::new(200, "<html>please log in</html>"));
    let folder = tempfile::tempdir().unwrap();
    let urls = [good.url(""), bad.url("")];
    let text = format!(
        "sources: [{{name: f, kind: file, path: events.json}}]\nnotifiers: [{{name: team, kind: alertmanager, url: {urls:?}}}]\n"
    );
    std::fs::write(folder.path().join("podbell.yaml"), text).unwrap();
    std::fs::write(folder.path().join("events.json"), "").unwrap();
    let output = output(podbell(folder.path(), &["doctor"])).await;
    let said = printed(&output);
    assert!(output.status.code() == Some(1), "{said}");
    assert!(said.contains("version 0.25.0 answers") && said.contains("not Alertmanager's"), "{said}");
    let asked = [&good, &bad].map(|one| one.received().iter().map(|one| one.uri.path().to_owned()).collect::<Vec<_>>());
    assert_eq!(asked, [["/api/v2/status"], ["/api/v2/status"]]);
}

#[test]
fn what_a_trouble_is_about_is_a_label() {
    let mut notice = incident(1, NoticeKind::Opened, story());
    notice.body = NoticeBody::Trouble(Box::new(Trouble { affected_count: 7, ..trouble() }));
    let notices = [notice];
    let alert = alert(&SendContent::full(&notices));
    let labels =
        json!({"alertname": "podbell trouble", "podbell_incident": "7", "severity": "critical", "source": "prod"});
    assert_eq!(alert["labels"], labels);
}
