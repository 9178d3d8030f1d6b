//! Records for a collector of OpenTelemetry: the real binary, a collector on a real socket, and what is in the protobuf.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;

use crate::support::emulated::{ONE_EVENT, emulator};
use crate::support::process::{PATIENCE, eventually};
use crate::support::receiver::{Answer, Received, Receiver, nobody};
use crate::support::site::{QUICK_RULES, Running, Site};

const TOKEN: &str = "marker-of-the-collectors-token";

/// A site that polls `endpoint`, tells `hook`, and exports to `collector`.
fn site(endpoint: &str, hook: &str, collector: &str) -> Site {
    let site = Site::quick(endpoint, hook);
    let export =
        format!("export: {{otlp: {{endpoint: \"{collector}\", headers: {{authorization: \"Bearer {TOKEN}\"}}}}}}\n");
    site.edit("store: ", &(export + "store: "));
    site
}

fn request(received: &Received) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(received.body.as_slice()).unwrap()
}

fn records(received: &[Received]) -> Vec<LogRecord> {
    let requests = received.iter().filter(|one| one.status == 200).map(request);
    let scopes = requests.flat_map(|one| one.resource_logs).flat_map(|one| one.scope_logs);
    scopes.flat_map(|one| one.log_records).collect()
}

fn shown(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::ArrayValue(list) => format!("[{}]", list.values.iter().map(shown).collect::<Vec<_>>().join(",")),
        other => panic!("{other:?}"),
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<&str, String> {
    let pairs: BTreeMap<_, _> = all.iter().map(|one| (&*one.key, shown(one.value.as_ref().unwrap()))).collect();
    assert_eq!(pairs.len(), all.len(), "each key once");
    pairs
}

/// The record of this event, once it came.
async fn record(collector: &Receiver, event: &str) -> LogRecord {
    let look = || records(&collector.received()).into_iter().find(|one| one.event_name == event);
    eventually(PATIENCE, event, look).await
}

async fn ends_well(mut running: Running) -> String {
    let status = running.process.stop().await;
    let log = running.process.stderr();
    assert!(status.success(), "{status}\n{log}");
    log
}

fn opened(hook: &Receiver) -> Option<()> {
    hook.received().iter().any(|one| one.json()["type"] == "incident.opened").then_some(())
}

#[tokio::test]
async fn a_warning_and_its_notices_are_records_with_the_names_of_the_conventions() {
    let (hook, collector) = (Receiver::start().await, Receiver::start().await);
    collector.otherwise(Answer::new(200, ""));
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &collector.url("/"));
    let running = site.run().await;
    let warning = record(&collector, "podbell.warning").await;
    let notice = record(&collector, "podbell.incident.opened").await;
    let over = record(&collector, "podbell.incident.resolved").await;
    running.reaches("podbell_otlp_exported_records_total", |exported| exported >= 3).await;

    let received = collector.received();
    let first = &received[0];
    assert_eq!((first.method.as_str(), first.uri.path()), ("POST", "/v1/logs"));
    assert_eq!(first.header("content-type"), Some("application/x-protobuf"));
    assert_eq!(first.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    let request = request(first);
    let [logs] = request.resource_logs.as_slice() else { panic!("{request:?}") };
    let version = env!("CARGO_PKG_VERSION");
    let resource = attributes(&logs.resource.as_ref().unwrap().attributes);
    assert_eq!(resource, [("service.name", "podbell".into()), ("service.version", version.into())].into());
    let scope = logs.scope_logs[0].scope.as_ref().unwrap();
    assert_eq!((&*scope.name, &*scope.version), ("podbell", version));

    let of = attributes(&warning.attributes);
    let expected = [
        ("k8s.cluster.name", "c"),
        ("k8s.event.count", "3"),
        ("k8s.event.reason", "BackOff"),
        ("k8s.namespace.name", "default"),
        ("k8s.object.kind", "Pod"),
        ("k8s.object.name", "web-1"),
        ("k8s.pod.name", "web-1"),
        ("podbell.change", "appeared"),
        ("podbell.incidents", "[1]"),
        ("podbell.new_occurrences", "1"),
        ("podbell.rules", "[rules.yaml:everything]"),
        ("podbell.service", "web"),
        ("podbell.source", "prod"),
        ("podbell.verdict", "claimed"),
        ("podbell.workload", "web"),
    ];
    assert_eq!(of, expected.map(|(key, value)| (key, value.to_owned())).into());
    assert_eq!((warning.severity_number, &*warning.severity_text), (13, "Warning"));
    assert_eq!(shown(warning.body.as_ref().unwrap()), "Back-off 重试");
    // It happened half a minute before it could be seen.
    let late = warning.observed_time_unix_nano - warning.time_unix_nano;
    assert!((29_000_000_000..60_000_000_000).contains(&late), "{late}");

    let of = attributes(&notice.attributes);
    let expected = [
        ("k8s.cluster.name", "c"),
        ("k8s.namespace.name", "default"),
        ("k8s.pod.name", "web-1"),
        ("k8s.event.reason", "BackOff"),
        ("podbell.incident.id", "1"),
        ("podbell.incident.occurrences", "1"),
        ("podbell.notice.to", "[audit]"),
        ("podbell.rule", "rules.yaml:everything"),
        ("podbell.services", "[web]"),
    ];
    for (key, value) in expected {
        assert_eq!(of.get(key).map(String::as_str), Some(value), "{key} of {of:?}");
    }
    assert_eq!((notice.severity_number, &*notice.severity_text), (13, "warning"));
    let body = shown(notice.body.as_ref().unwrap());
    assert!(body.contains("Back-off 重试") && body.contains("web"), "{body}");
    assert!(notice.observed_time_unix_nano >= notice.time_unix_nano && notice.time_unix_nano > 0);
    // What is over is no warning any more.
    assert_eq!(over.severity_number, 9);

    let log = ends_well(running).await;
    assert!(!log.contains(TOKEN), "{log}");
    let warnings = records(&collector.received()).iter().filter(|one| one.event_name == "podbell.warning").count();
    assert_eq!(warnings, 1, "an unchanged list is no record");
}

#[tokio::test]
async fn without_the_key_nothing_is_exported() {
    let hook = Receiver::start().await;
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = Site::quick(&emulator.endpoint(), &hook.url("/hook"));
    let running = site.run().await;
    eventually(PATIENCE, "told", || opened(&hook)).await;
    assert_eq!(running.metric("podbell_otlp_exported_records_total").await, None);
    ends_well(running).await;
}

#[tokio::test]
async fn a_collector_that_is_down_delays_no_message_and_gets_everything_when_it_is_back() {
    let hook = Receiver::start().await;
    let down = nobody().await;
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &down);
    let running = site.run().await;
    eventually(PATIENCE, "told", || opened(&hook)).await;
    running.reaches("podbell_otlp_failed_requests_total", |failed| failed >= 2).await;
    let address = url::Url::parse(&down).unwrap();
    let collector = Receiver::at(&format!("127.0.0.1:{}", address.port().unwrap())).await;
    collector.otherwise(Answer::new(200, ""));
    record(&collector, "podbell.warning").await;
    record(&collector, "podbell.incident.opened").await;
    assert_eq!(running.metric("podbell_otlp_dropped_records_total").await, Some(0));
    let log = ends_well(running).await;
    assert_eq!(log.matches("the OTLP collector does not take records").count(), 1, "said once: {log}");
    assert!(log.contains("takes records again"), "{log}");
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_neither_messages_nor_the_end() {
    let (hook, collector) = (Receiver::start().await, Receiver::start().await);
    collector.otherwise(Answer::new(200, "").late(Duration::from_secs(3600)));
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &collector.url("/"));
    let running = site.run().await;
    eventually(PATIENCE, "told", || opened(&hook)).await;
    eventually(PATIENCE, "asked", || (!collector.received().is_empty()).then_some(())).await;
    let log = ends_well(running).await;
    assert!(log.contains("did not take the last records in time"), "{log}");
}

#[tokio::test]
async fn a_batch_is_repeated_when_the_collector_says_so_and_not_before() {
    let (hook, collector) = (Receiver::start().await, Receiver::start().await);
    let busy = Answer::new(429, "slow down").with("Retry-After", "3");
    collector.then([busy, Answer::new(503, "")]);
    collector.otherwise(Answer::new(200, ""));
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &collector.url("/"));
    let running = site.run().await;
    record(&collector, "podbell.warning").await;
    let received = collector.received();
    assert_eq!(received[..3].iter().map(|one| one.status).collect::<Vec<_>>(), [429, 503, 200]);
    assert!(received[..3].iter().all(|one| one.body == received[0].body), "the same bytes");
    let waited = received[1].at.since(received[0].at);
    assert!(waited >= Duration::from_millis(2900), "{waited:?}");
    running.reaches("podbell_otlp_failed_requests_total", |failed| failed == 2).await;
    ends_well(running).await;
}

#[tokio::test]
async fn what_the_collector_refuses_is_counted_and_not_repeated() {
    let (hook, collector) = (Receiver::start().await, Receiver::start().await);
    let some = ExportLogsPartialSuccess { rejected_log_records: 1, error_message: "too old".into() };
    let partial = ExportLogsServiceResponse { partial_success: Some(some) }.encode_to_vec();
    collector.then([Answer::new(400, "not this"), Answer::new(200, std::str::from_utf8(&partial).unwrap())]);
    collector.otherwise(Answer::new(200, ""));
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &collector.url("/base/"));
    // The end comes too late for the batch of the beginning.
    site.write("rules.yaml", &QUICK_RULES.replace("resolve_after: 1s", "resolve_after: 4s"));
    let running = site.run().await;
    eventually(PATIENCE, "a second batch", || (collector.received().len() >= 2).then_some(())).await;
    let received = collector.received();
    assert!(received.iter().all(|one| one.uri.path() == "/base/v1/logs"));
    assert_ne!(received[0].body, received[1].body);
    let refused = request(&received[0]).resource_logs[0].scope_logs[0].log_records.len() as u64 + 1;
    running.reaches("podbell_otlp_refused_records_total", |count| count == refused).await;
    assert_eq!(running.metric("podbell_otlp_failed_requests_total").await, Some(0));
    ends_well(running).await;
}

#[tokio::test]
async fn doctor_asks_the_collector_without_a_record_and_check_knows_the_key() {
    let (hook, collector) = (Receiver::start().await, Receiver::start().await);
    collector.otherwise(Answer::new(200, ""));
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &collector.url("/"));
    let (code, said) = site.command(&["check"]).await;
    assert_eq!(code, 0, "{said}");
    let (_, said) = site.command(&["doctor"]).await;
    assert!(said.contains("the collector takes logs"), "{said}");
    assert_eq!(records(&collector.received()), []);
    collector.otherwise(Answer::new(401, ""));
    let (code, said) = site.command(&["doctor"]).await;
    assert!(code == 1 && said.contains("the collector refuses logs: status 401"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");

    site.edit("endpoint: \"", "endpiont: \"");
    let (code, said) = site.command(&["check"]).await;
    assert_eq!(code, 1);
    assert!(said.contains("did you mean `endpoint`?") && !said.contains(TOKEN), "{said}");
}

#[cfg(feature = "outside")]
#[tokio::test]
async fn a_real_collector_understands_every_record() {
    use std::process::Command;

    use crate::support::process::{Process, output};

    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/otlp-collector");
    let found = output(Command::new(script)).await;
    assert!(found.status.success(), "{found:?}");
    let (http, grpc) = (nobody().await, nobody().await);
    let address = |url: &str| format!("127.0.0.1:{}", url::Url::parse(url).unwrap().port().unwrap());
    let mut command = Command::new(String::from_utf8(found.stdout).unwrap().trim());
    command.args(["start", "--otlp-http-endpoint", &address(&http), "--otlp-grpc-endpoint", &address(&grpc)]);
    command.args(["--exporter", "blackhole", "--debug-log", "logs", "--debug-log-verbosity", "detailed"]);
    let collector = Process::start(command);

    let hook = Receiver::start().await;
    let emulator = emulator(ONE_EVENT, 1, None).await;
    let site = site(&emulator.endpoint(), &hook.url("/hook"), &format!("http://{}", address(&http)));
    let running = site.run().await;
    let printed = || collector.stdout() + &collector.stderr();
    let lines = [
        "service.name: Str(podbell)",
        "EventName: podbell.warning",
        "SEVERITY_NUMBER_WARN",
        "Body: Str(Back-off 重试)",
        "k8s.pod.name: Str(web-1)",
        "k8s.event.count: Int(3)",
        "podbell.incidents: Slice(Int(1))",
        "EventName: podbell.incident.resolved",
    ];
    eventually(PATIENCE, "the end", || printed().contains("podbell.incident.resolved").then_some(())).await;
    for line in lines {
        assert!(printed().contains(line), "no {line} in {}", printed());
    }
    ends_well(running).await;
}
