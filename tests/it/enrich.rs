//! What a message says of the pod whose incident has opened, and which destination may read its log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::support::events::{at, warning};
use crate::support::kube_objects::kubeconfig;
use crate::support::notices::{incident, story};
use crate::support::platform::platform;
use crate::support::receiver::client;
use crate::support::world::{World, web};
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell::settings::ProcessEnvironment;
use podbell::sources::SourceEvent;
use podbell_core::enrichment::{ContainerEnd, ContainerLog, ContainerState, PodQuestion, PodState};
use podbell_core::event::Event;
use podbell_core::message::{Style, compose};
use podbell_core::notice::{NoticeBody, NoticeKind};
use podbell_core::outbox::SendContent;
use podbell_core::translations::Language;

const POD: &str = "web-6d4cf56db6-x2x7v";
const RULES: &str = "version: 1\nrules:\n  - {name: all, match: {reason: '*'}, notify: [team], group_wait: 15s}\n";

fn pod() -> PodState {
    let ended = Some(ContainerEnd { reason: "Error".into(), exit_code: 1, at: at(50) });
    PodState {
        pod: POD.into(),
        node: "n1".into(),
        phase: "Running".into(),
        containers: vec![ContainerState { name: "web".into(), waiting: "CrashLoopBackOff".into(), restarts: 5, ended }],
        log: Some(ContainerLog {
            container: "web".into(),
            previous: true,
            text: "panic: no route\n<!channel> bye".into(),
        }),
    }
}

fn crash(count: u64, last: i64) -> Vec<Event<'static>> {
    vec![warning(POD, "BackOff", "Back-off restarting failed container", count, 60, last)]
}

fn enriched(world: &mut World) {
    world.say(SourceEvent::Enriched { incident: 1, at: world.now, state: Box::new(pod()) });
}

fn told_pod(world: &World, number: usize) -> Option<PodState> {
    let NoticeBody::Incident(story) = &world.log[number].notices[0].body else { panic!() };
    story.pod.clone()
}

fn crashed() -> World {
    let mut world = World::with_rules(RULES);
    world.watch(&[web()]);
    world.poll(&web(), &[]);
    world.run_until(60);
    world.poll(&web(), &crash(4, 60));
    world
}

#[test]
fn what_a_source_says_within_group_wait_is_in_the_first_message_and_in_no_other() {
    let mut world = crashed();
    enriched(&mut world);
    world.run_until(80);
    assert_eq!(told_pod(&world, 0), Some(pod()));
    world.poll_until(&web(), &crash(400, 400), 460);
    assert_eq!(world.told(), ["75s team opened #1", "375s team escalated #1"]);
    assert_eq!(told_pod(&world, 1), None, "it may be long past");
}

#[test]
fn a_message_never_waits_and_what_comes_too_late_is_lost_without_harm() {
    let mut world = crashed();
    world.run_until(80);
    enriched(&mut world);
    world.say(SourceEvent::Enriched { incident: 77, at: world.now, state: Box::new(pod()) });
    world.run_until(120);
    assert_eq!(world.told(), ["75s team opened #1"]);
    assert_eq!(told_pod(&world, 0), None);
}

#[test]
fn it_survives_a_restart_before_the_message_leaves() {
    let mut world = crashed();
    enriched(&mut world);
    world.kill();
    world.start();
    world.run_until(80);
    assert_eq!(told_pod(&world, 0), Some(pod()));
}

#[test]
fn messages_say_how_the_pod_is_in_both_languages() {
    let notice = incident(1, NoticeKind::Opened, podbell_core::notice::Story { pod: Some(pod()), ..story() });
    for language in Language::ALL {
        let style = Style { language, time_zone: TimeZone::UTC, now: at(2_400) };
        insta::assert_snapshot!(compose(&notice, &style).text());
    }
}

#[test]
fn a_log_leaves_only_for_destinations_that_may_read_it() {
    let config = |name: &str, keys: &str, logs: bool| NamedNotifier {
        name: name.into(),
        platform: platform(keys),
        language: Language::En,
        time_zone: TimeZone::UTC,
        digest_after: None,
        template: podbell_core::template::Template::default(),
        logs,
    };
    let kinds = [
        "kind: slack, url: \"https://hooks.slack.com/services/T0/B0/x\"",
        "kind: webhook, url: \"https://example.com/x\"",
        "kind: wecom, url: \"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x\"",
        "kind: feishu, url: \"https://open.feishu.cn/open-apis/bot/v2/hook/x\"",
    ];
    let notice = incident(1, NoticeKind::Opened, podbell_core::notice::Story { pod: Some(pod()), ..story() });
    for keys in kinds {
        let both = vec![config("may", keys, true), config("may-not", keys, false)];
        let notifiers = Notifiers::new(both, BTreeMap::new(), client());
        let body = |to: &str| {
            let content = SendContent::full(std::slice::from_ref(&notice));
            String::from_utf8(notifiers.render(to, &content, "m", at(2_400))).unwrap()
        };
        assert!(body("may").contains("no route"), "{keys}: {}", body("may"));
        assert!(!body("may-not").contains("no route"), "{keys}: {}", body("may-not"));
        assert!(body("may-not").contains("CrashLoopBackOff"), "{keys}: its state is said");
    }
}

type Asked = Arc<Mutex<Vec<String>>>;

async fn answer(State(asked): State<Asked>, uri: Uri) -> axum::response::Response {
    asked.lock().unwrap().push(uri.to_string());
    if uri.path().ends_with("/log") {
        return "starting\nDB_PASSWORD=hunter2\npanic: no route\n".into_response();
    }
    if !uri.query().unwrap_or_default().contains("web-0") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let ended = json!({"terminated": {"reason": "Error", "exitCode": 1, "finishedAt": "2026-01-01T10:02:00Z"}});
    let pod = json!({
        "metadata": {"name": "web-0"}, "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "containerStatuses": [{"name": "web", "ready": false, "restartCount": 5,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}]},
    });
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [pod]}).to_string().into_response()
}

#[cfg(feature = "kubernetes")]
#[tokio::test]
async fn the_api_server_is_asked_once_for_the_state_and_for_logs_only_where_that_is_wanted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let app = axum::Router::new().fallback(answer).with_state(asked.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kubeconfig"), kubeconfig(&address, None, "good")).unwrap();
    let question =
        |pod: &str| PodQuestion { incident: 1, source: "k".into(), namespace: "shop".into(), pod: pod.into() };
    for (how, requests, log) in
        [("state", 1, None), ("logs", 2, Some("starting\nDB_PASSWORD=***\npanic: no route")), ("off", 0, None)]
    {
        let path = folder.path().join("podbell.yaml");
        let text = format!(
            "sources: [{{name: k, kind: kubernetes, kubeconfig: kubeconfig, enrich: {how}}}]\nnotifiers: [{{name: n, kind: console}}]\n"
        );
        std::fs::write(&path, text).unwrap();
        let loaded = podbell::config::load(&path);
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let config = loaded.config.unwrap().resolve(&ProcessEnvironment).unwrap();
        let source = config.sources[0].source.clone();
        assert_eq!(source.enriches(), how != "off");
        let state = source.enrich(&question("web-0")).await;
        assert_eq!(asked.lock().unwrap().drain(..).count(), requests, "{how}");
        let said = state.as_ref().and_then(|state| state.log.as_ref()).map(|log| log.text.as_str());
        assert_eq!(said, log, "{how}");
        if let Some(state) = state {
            assert_eq!((state.node.as_str(), state.containers[0].restarts), ("n1", 5));
        }
        assert_eq!(source.enrich(&question("gone")).await, None);
        assert_eq!(source.enrich(&question("../../secrets")).await, None);
        asked.lock().unwrap().clear();
    }
    server.abort();
}
