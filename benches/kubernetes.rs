//! The Kubernetes source at size: memory with 50,000 live events, 5,000 changes a second, the delay from a write at the API
//! server to the request of its notice, and what a quiet cluster is asked in an hour.
//!
//! `cargo bench --bench kubernetes` (7 minutes), or one of `-- memory`, `-- pace`, `-- delay`, `-- quiet`.
//!
//! The real `podbell run` in a process of its own; the API server (the fake of the tests) and a webhook are this process.
#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_precision_loss)]

#[path = "../tests/it/support/kube_fake.rs"]
#[allow(dead_code, missing_docs)]
mod kube_fake;
mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use kube_fake::Fake;
use podbell::clock;
use serde_json::{Value, json};
use support::service::Service;

/// Live events of the cluster, on a tenth as many pods.
const EVENTS: usize = 50_000;
const PER_POD: usize = 10;
/// Changes a second.
const PACE: usize = 5000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if wanted("memory") || wanted("pace") {
        memory_and_pace(&runtime, wanted("pace"));
    }
    if wanted("delay") {
        delay(&runtime);
    }
    if wanted("quiet") {
        quiet(&runtime);
    }
}

struct Bench {
    fake: Fake,
    heard: Arc<Mutex<Vec<(Instant, String)>>>,
    folder: tempfile::TempDir,
    listen: SocketAddr,
}

impl Bench {
    fn new(runtime: &tokio::runtime::Runtime, rules: &str) -> Self {
        let heard: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
        let hears = heard.clone();
        let (fake, hook) = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let hook = listener.local_addr().unwrap();
            let hear = move |body: Bytes| {
                hears.lock().unwrap().push((clock::monotonic(), String::from_utf8_lossy(&body).into_owned()));
                std::future::ready("ok")
            };
            let app = axum::Router::new().fallback(hear);
            tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
            (Fake::start().await, hook)
        });
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago; nothing else on the machine asks for ports in the meantime.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let bench = Self { fake, heard, folder, listen };
        bench.write("rules.yaml", rules);
        bench.write(
            "podbell.yaml",
            &format!(
                "sources: [{{name: prod, kind: kubernetes, kubeconfig: kubeconfig}}]\n\
                 notifiers: [{{name: hook, kind: webhook, url: \"http://{hook}/\"}}]\n\
                 operator: {{notify: [hook]}}\nrules: [rules.yaml]\nstore: sqlite:podbell.db\n\
                 server: {{listen: \"{listen}\"}}\n"
            ),
        );
        let server = &bench.fake.address;
        bench.write(
            "kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n\
                 clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\nusers: [{{name: c, user: {{token: good}}}}]\n"
            ),
        );
        bench
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn start(&self) -> Service {
        let mut service = Service::start(self.folder.path(), self.listen);
        assert!(service.ready(Duration::from_secs(10)).is_some(), "it does not start: {}", log(self.folder.path()));
        service
    }
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn stamp() -> String {
    jiff::Timestamp::from_millisecond(clock::now().millis() / 1000 * 1000).unwrap().to_string()
}

fn pod_name(pod: usize) -> String {
    format!("svc-{:04}-6d4cf56db6-x{}x7v", pod / 5, ["2", "4", "5", "6", "7"][pod % 5])
}

/// An event as the kubelet writes it, with all that the server adds.
fn event(number: usize, count: usize, first: &str, last: &str) -> Value {
    let (pod, namespace) = (pod_name(number / PER_POD), format!("team-{:02}", number / PER_POD / 100));
    let fields = json!({"f:count": {}, "f:firstTimestamp": {}, "f:involvedObject": {}, "f:lastTimestamp": {}, "f:message": {},
        "f:reason": {}, "f:source": {"f:component": {}, "f:host": {}}, "f:type": {}});
    json!({
        "kind": "Event", "apiVersion": "v1",
        "metadata": {"name": format!("{pod}.{number:016x}"), "namespace": namespace, "creationTimestamp": first,
            "managedFields": [{"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": last,
                "fieldsType": "FieldsV1", "fieldsV1": fields}]},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": pod, "uid": format!("{:032x}", number / PER_POD),
            "apiVersion": "v1", "resourceVersion": "986730", "fieldPath": "spec.containers{app}"},
        "reason": if number.is_multiple_of(5) { "Unhealthy" } else { "Pulled" },
        "message": format!("Readiness probe {} failed: HTTP probe failed with statuscode: 503", number % PER_POD),
        "type": if number.is_multiple_of(5) { "Warning" } else { "Normal" }, "count": count,
        "firstTimestamp": first, "lastTimestamp": last, "source": {"component": "kubelet", "host": "node-1"},
    })
}

fn pods() -> Vec<Value> {
    let pod = |number: usize| {
        let (name, namespace) = (pod_name(number), format!("team-{:02}", number / 100));
        json!({"metadata": {"name": name, "namespace": namespace, "uid": format!("{number:032x}"),
            "labels": {"app": format!("svc-{:04}", number / 5), "pod-template-hash": "6d4cf56db6", "team": "shop", "tier": "web"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("svc-{:04}-6d4cf56db6", number / 5),
                "uid": "0", "controller": true, "blockOwnerDeletion": true}]}})
    };
    (0..EVENTS / PER_POD).map(pod).collect()
}

fn wait(what: &str, patience: Duration, mut look: impl FnMut() -> bool) -> Duration {
    let begun = clock::monotonic();
    while !look() {
        assert!(begun.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

fn memory_and_pace(runtime: &tokio::runtime::Runtime, pace: bool) {
    let bench = Bench::new(runtime, support::service::RULES);
    let first = stamp();
    bench.fake.pods(pods());
    (0..EVENTS).for_each(|number| bench.fake.put(event(number, 1, &first, &first)));
    let service = bench.start();
    let all = wait("everything is listed", Duration::from_secs(120), || {
        service.metric("podbell_known_episodes") >= EVENTS as f64
    });
    std::thread::sleep(Duration::from_secs(5));
    let (resident, most) = service.memory();
    println!(
        "memory  {EVENTS} live events listed in {:.1} s: {resident:.0} MiB resident ({most:.0} at most)",
        all.as_secs_f64()
    );
    // Everything once more.
    bench.fake.compact();
    let lists = bench.fake.lists();
    wait("everything is listed again", Duration::from_secs(120), || bench.fake.lists() > lists);
    std::thread::sleep(Duration::from_secs(5));
    let (resident, most) = service.memory();
    println!("memory  after a relist: {resident:.0} MiB resident ({most:.0} at most)");
    if !pace {
        return;
    }
    let (before, changes) = (service.cpu(), service.metric("podbell_changes_total"));
    let begun = clock::monotonic();
    let mut put = 0;
    let seconds = 30;
    while put < seconds * PACE {
        let due = (begun.elapsed().as_secs_f64() * PACE as f64) as usize;
        let last = stamp();
        while put < due.min(seconds * PACE) {
            bench.fake.put(event(put % EVENTS, 2 + put / EVENTS, &first, &last));
            put += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed().as_secs_f64();
    let seen = || service.metric("podbell_changes_total") - changes;
    let lag = wait("it keeps up", Duration::from_secs(60), || seen() >= put as f64);
    let after = service.cpu();
    let cpu = (after.0 + after.1 - before.0 - before.1).as_secs_f64();
    let (resident, most) = service.memory();
    println!(
        "pace    {:.0} changes/s for {took:.0} s: {:.0}% of a core, {:.1} s behind at the end, {resident:.0} MiB ({most:.0} at most)",
        put as f64 / took,
        cpu / (took + lag.as_secs_f64()) * 100.0,
        lag.as_secs_f64()
    );
}

fn delay(runtime: &tokio::runtime::Runtime) {
    let rules =
        "version: 1\ndefaults: {notify: [hook], group_wait: 0s}\nrules: [{name: warnings, match: {level: Warning}}]\n";
    let bench = Bench::new(runtime, rules);
    let service = bench.start();
    wait("it watches", Duration::from_secs(30), || !bench.fake.watches().is_empty());
    let mut delays = Vec::new();
    for number in 0..100 {
        let (now, mut wanted) = (stamp(), event(number * PER_POD * 5, 1, &stamp(), &stamp()));
        let name = format!("delayed{number}");
        (wanted["metadata"]["name"], wanted["involvedObject"]["name"]) = (json!(format!("{name}.1")), json!(name));
        wanted["firstTimestamp"] = json!(now);
        let written = clock::monotonic();
        bench.fake.put(wanted);
        let heard = || {
            bench
                .heard
                .lock()
                .unwrap()
                .iter()
                .find(|(_, body)| body.contains(&format!("\"{name}\"")))
                .map(|(at, _)| *at)
        };
        wait("it is told", Duration::from_secs(10), || heard().is_some());
        delays.push(heard().unwrap().duration_since(written).as_secs_f64() * 1000.0);
    }
    delays.sort_by(f64::total_cmp);
    println!(
        "delay   write to request: median {:.0} ms, 99th percentile {:.0} ms, longest {:.0} ms",
        delays[50], delays[98], delays[99]
    );
    drop(service);
}

fn quiet(runtime: &tokio::runtime::Runtime) {
    let bench = Bench::new(runtime, support::service::RULES);
    bench.fake.put(event(0, 1, &stamp(), &stamp()));
    let service = bench.start();
    wait("it watches", Duration::from_secs(30), || !bench.fake.watches().is_empty());
    std::thread::sleep(Duration::from_secs(5));
    let (before, cpu) = (bench.fake.requests(), service.cpu());
    let begun = clock::monotonic();
    std::thread::sleep(Duration::from_secs(300));
    let hours = begun.elapsed().as_secs_f64() / 3600.0;
    let after = service.cpu();
    let used = (after.0 + after.1 - cpu.0 - cpu.1).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    println!("quiet   {:.0} requests/h, {used:.2}% of a core", (bench.fake.requests() - before) as f64 / hours);
}
