//! The Kubernetes source at size: memory with 50,000 live events on 5,000 pods of 1,000 workloads on 100 nodes, 5,000 changes
//! of events and 1,000 of pods' states a second, the delay from a write at the API server to the request of its notice, and
//! what a quiet cluster is asked in an hour.
//!
//! `cargo bench --bench kubernetes` (8 minutes), or one of `-- memory`, `-- pace`, `-- states`, `-- delay`, `-- quiet`.
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
const PODS: usize = EVENTS / PER_POD;
const PODS_A_WORKLOAD: usize = 5;
const NODES: usize = 100;
/// Changes of events a second.
const PACE: usize = 5000;
/// Changes of pods' states a second.
const STATES: usize = 1000;
/// For how long changes are made.
const SECONDS: usize = 30;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    if wanted("memory") || wanted("pace") || wanted("states") {
        at_size(&runtime, wanted("pace"), wanted("states"));
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

    /// When the first request came that contains this name.
    fn heard_at(&self, name: &str) -> Option<Instant> {
        let heard = self.heard.lock().unwrap();
        heard.iter().find(|(_, body)| body.contains(&format!("\"{name}\""))).map(|(at, _)| *at)
    }

    /// Writes a hundred times, waits for the request that tells of it, and prints how long that took.
    fn delays(&self, what: &str, write: impl Fn(usize) -> String) {
        let one = |number: usize| {
            let written = clock::monotonic();
            let name = write(number);
            wait("it is told", Duration::from_secs(10), || self.heard_at(&name).is_some());
            self.heard_at(&name).unwrap().duration_since(written).as_secs_f64() * 1000.0
        };
        let mut delays: Vec<f64> = (0..100).map(one).collect();
        delays.sort_by(f64::total_cmp);
        println!(
            "delay   write of {what} to request: median {:.0} ms, 99th percentile {:.0} ms, longest {:.0} ms",
            delays[50], delays[98], delays[99]
        );
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

/// What a server keeps of who wrote which fields: a good part of every object.
fn managed(manager: &str, last: &str, fields: &[&str]) -> Value {
    let fields: serde_json::Map<String, Value> = fields.iter().map(|name| (format!("f:{name}"), json!({}))).collect();
    json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": last, "fieldsType": "FieldsV1", "fieldsV1": fields})
}

fn conditions(names: &[&str], since: &str) -> Vec<Value> {
    let one = |name: &&str| {
        let ready = !name.ends_with("Pressure");
        json!({"type": name, "status": if ready { "True" } else { "False" }, "lastTransitionTime": since, "lastProbeTime": null})
    };
    names.iter().map(one).collect()
}

/// A running pod of one container, as the server shows it: some 4 kB.
fn pod(number: usize, restarts: usize, since: &str, last_state: Value) -> Value {
    let (name, namespace, workload) = (pod_name(number), format!("team-{:02}", number / 100), number / PODS_A_WORKLOAD);
    let image = format!("registry.example.com/shop/svc-{workload:04}:1.14.{}", workload % 10);
    let env: Vec<Value> = (0..12)
        .map(|at| json!({"name": format!("SETTING_{at}"), "value": format!("some-value-of-a-setting-{at}")}))
        .collect();
    let spec_fields =
        ["containers", "dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext"];
    let status_fields = ["conditions", "containerStatuses", "hostIP", "phase", "podIP", "podIPs", "startTime"];
    json!({
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{number:032x}"), "creationTimestamp": since,
            "labels": {"app": format!("svc-{workload:04}"), "pod-template-hash": "6d4cf56db6", "team": "shop", "tier": "web"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9090"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("svc-{workload:04}-6d4cf56db6"),
                "uid": "0", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [managed("kube-controller-manager", since, &spec_fields), managed("kubelet", since, &status_fields)]},
        "spec": {"nodeName": format!("node-{:03}", number % NODES), "serviceAccountName": "default", "restartPolicy": "Always",
            "volumes": [{"name": "token", "secret": {"secretName": "default-token-x2x7v", "defaultMode": 420}}],
            "containers": [{"name": "app", "image": image, "env": env, "imagePullPolicy": "IfNotPresent",
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
                "livenessProbe": {"httpGet": {"path": "/live", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
                "volumeMounts": [{"name": "token", "readOnly": true, "mountPath": "/var/run/secrets/token"}]}],
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]},
        "status": {"phase": "Running", "hostIP": "10.0.0.1", "podIP": "10.1.0.1", "startTime": since, "qosClass": "Burstable",
            "conditions": conditions(&["Initialized", "Ready", "ContainersReady", "PodScheduled"], since),
            "containerStatuses": [{"name": "app", "image": image, "imageID": format!("registry.example.com/shop/svc@sha256:{number:064x}"),
                "containerID": format!("containerd://{number:064x}"), "ready": true, "started": true, "restartCount": restarts,
                "state": {"running": {"startedAt": since}}, "lastState": last_state}]},
    })
}

fn deployment(number: usize, since: &str) -> Value {
    let pods = PODS_A_WORKLOAD;
    json!({
        "metadata": {"name": format!("svc-{number:04}"), "namespace": format!("team-{:02}", number * pods / 100), "generation": 3,
            "annotations": {"deployment.kubernetes.io/revision": "3"}, "labels": {"app": format!("svc-{number:04}"), "team": "shop"},
            "managedFields": [managed("kubectl", since, &["replicas", "selector", "strategy", "template"])]},
        "spec": {"replicas": pods, "selector": {"matchLabels": {"app": format!("svc-{number:04}")}},
            "template": pod(number * pods, 0, since, json!({}))},
        "status": {"observedGeneration": 3, "replicas": pods, "readyReplicas": pods, "updatedReplicas": pods,
            "availableReplicas": pods, "conditions": conditions(&["Available", "Progressing"], since)},
    })
}

/// A node, with the images that it lists.
fn node(number: usize, since: &str) -> Value {
    let images: Vec<Value> = (0..50)
        .map(|at| json!({"names": [format!("registry.example.com/shop/svc-{at:04}:1.14.2")], "sizeBytes": 81_000_000 + at}))
        .collect();
    let kinds = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"];
    json!({"metadata": {"name": format!("node-{number:03}"), "labels": {"kubernetes.io/os": "linux"}},
        "status": {"conditions": conditions(&kinds, since), "images": images}})
}

fn wait(what: &str, patience: Duration, mut look: impl FnMut() -> bool) -> Duration {
    let begun = clock::monotonic();
    while !look() {
        assert!(begun.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    begun.elapsed()
}

fn at_size(runtime: &tokio::runtime::Runtime, pace: bool, states: bool) {
    // A kill is told at once, so that its request shows how far the states were read.
    let killed_rule = "rules:\n  - {name: killed, match: {reason: OOMKilled}, group_wait: 0s}\n";
    let bench = Bench::new(runtime, &support::service::RULES.replace("rules:\n", killed_rule));
    let first = stamp();
    bench.fake.pods((0..PODS).map(|number| pod(number, 0, &first, json!({}))).collect());
    (0..PODS / PODS_A_WORKLOAD).for_each(|number| bench.fake.write("deployments", deployment(number, &first)));
    (0..NODES).for_each(|number| bench.fake.write("nodes", node(number, &first)));
    (0..EVENTS).for_each(|number| bench.fake.put(event(number, 1, &first, &first)));
    let service = bench.start();
    let all = wait("everything is listed", Duration::from_secs(120), || {
        service.metric("podbell_known_episodes") >= EVENTS as f64
    });
    std::thread::sleep(Duration::from_secs(5));
    let (resident, most) = service.memory();
    println!(
        "memory  {EVENTS} live events, {PODS} pods, {} workloads, {NODES} nodes, listed in {:.1} s: {resident:.0} MiB resident ({most:.0} at most)",
        PODS / PODS_A_WORKLOAD,
        all.as_secs_f64()
    );
    // Everything once more.
    bench.fake.compact();
    let lists = bench.fake.lists();
    wait("everything is listed again", Duration::from_secs(120), || bench.fake.lists() > lists);
    std::thread::sleep(Duration::from_secs(5));
    let (resident, most) = service.memory();
    println!("memory  after a relist: {resident:.0} MiB resident ({most:.0} at most)");
    if pace {
        let changes = service.metric("podbell_changes_total");
        let put = |at: usize| bench.fake.put(event(at % EVENTS, 2 + at / EVENTS, &first, &stamp()));
        keep_up(&service, "pace    ", PACE, put, || {
            service.metric("podbell_changes_total") - changes >= (SECONDS * PACE) as f64
        });
    }
    if states {
        // The last pod is killed last: its notice shows that all states before it were read.
        let last = SECONDS * STATES - 1;
        let put = |at: usize| {
            let kill = if at == last { killed(&stamp()) } else { json!({}) };
            bench.fake.write("pods", pod(at % PODS, 1 + at / PODS, &stamp(), kill));
        };
        keep_up(&service, "states  ", STATES, put, || bench.heard_at("OOMKilled").is_some());
    }
}

/// Writes so many changes a second, and says what they cost.
fn keep_up(service: &Service, name: &str, pace: usize, put: impl Fn(usize), all_seen: impl Fn() -> bool) {
    let before = service.cpu();
    let begun = clock::monotonic();
    let mut done = 0;
    while done < SECONDS * pace {
        let due = (begun.elapsed().as_secs_f64() * pace as f64) as usize;
        while done < due.min(SECONDS * pace) {
            put(done);
            done += 1;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = begun.elapsed().as_secs_f64();
    let lag = wait("it keeps up", Duration::from_secs(60), all_seen);
    let after = service.cpu();
    let cpu = (after.0 + after.1 - before.0 - before.1).as_secs_f64();
    let (resident, most) = service.memory();
    println!(
        "{name}{:.0} changes/s for {took:.0} s: {:.0}% of a core, {:.1} s behind at the end, {resident:.0} MiB ({most:.0} at most)",
        done as f64 / took,
        cpu / (took + lag.as_secs_f64()) * 100.0,
        lag.as_secs_f64()
    );
}

/// The state of a container that was killed for its memory.
fn killed(at: &str) -> Value {
    json!({"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": at, "finishedAt": at}})
}

fn delay(runtime: &tokio::runtime::Runtime) {
    let rules =
        "version: 1\ndefaults: {notify: [hook], group_wait: 0s}\nrules: [{name: warnings, match: {level: Warning}}]\n";
    let bench = Bench::new(runtime, rules);
    let first = stamp();
    bench.fake.pods((0..PODS).map(|number| pod(number, 0, &first, json!({}))).collect());
    let service = bench.start();
    wait("it watches", Duration::from_secs(30), || !bench.fake.watches().is_empty());
    let of_event = |number: usize| {
        let (now, name) = (stamp(), format!("delayed{number}"));
        let mut wanted = event(number * PER_POD * 5, 1, &now, &now);
        (wanted["metadata"]["name"], wanted["involvedObject"]["name"]) = (json!(format!("{name}.1")), json!(name));
        bench.fake.put(wanted);
        name
    };
    bench.delays("an event", of_event);
    // A pod of a workload that no event was about.
    let of_state = |number: usize| {
        let killed_pod = PODS / 2 + number * PODS_A_WORKLOAD;
        bench.fake.write("pods", pod(killed_pod, 1, &first, killed(&stamp())));
        pod_name(killed_pod)
    };
    bench.delays("a pod's state", of_state);
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
