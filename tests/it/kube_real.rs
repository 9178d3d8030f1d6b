//! The Kubernetes source against a real kube-apiserver, and the whole podbell behind it.

use std::time::Duration;

use podbell::sources::SourceEvent;
use podbell_core::health::Health;
use serde_json::{Value, json};

use crate::support::apiserver::{ADMIN, ApiServer, NOBODY};
use crate::support::fixture;
use crate::support::kube::{Watching, ago};
use crate::support::kube_fake::{Fake, Mood};
use crate::support::kube_objects::{event, kubeconfig, pod};
use crate::support::process::{PATIENCE, eventually, within};
use crate::support::receiver::Receiver;
use crate::support::site::{QUICK_RULES, Running, Site, WEBHOOK_SECRET};

fn only(namespace: &str) -> Vec<String> {
    vec![namespace.to_owned()]
}

#[tokio::test]
async fn an_event_belongs_to_the_service_that_labels_owners_and_selectors_say() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let pods = format!("/api/v1/namespaces/{ns}/pods");
    let owned = |name: &str, labels: Value, owner| pod(&ns, name, labels, owner);
    admin.post(&pods, &owned("web-6d4cf56db6-x2x7v", json!({"app": "web", "qcloud-app": "web-service"}), None)).await;
    admin.post(&pods, &owned("api-6d4cf56db6-x2x7v", json!({}), Some(("ReplicaSet", "api-6d4cf56db6")))).await;
    admin.post(&pods, &owned("report-28391040-x2x7v", json!({"x": "y"}), Some(("Job", "report-28391040")))).await;
    admin.post(&pods, &owned("bare", json!({"tier": "front"}), None)).await;
    let template = |labels: Value, policy: &str| json!({"metadata": {"labels": labels}, "spec": {"restartPolicy": policy, "containers": [{"name": "a", "image": "none"}]}});
    let owner = |kind: &str, group: &str, name: &str| json!([{"apiVersion": group, "kind": kind, "name": name, "uid": "u", "controller": true}]);
    let set = json!({
        "metadata": {"name": "api-6d4cf56db6", "namespace": ns, "ownerReferences": owner("Deployment", "apps/v1", "api")},
        "spec": {"selector": {"matchLabels": {"x": "y"}}, "template": template(json!({"x": "y"}), "Always")},
    });
    admin.post(&format!("/apis/apps/v1/namespaces/{ns}/replicasets"), &set).await;
    let job = json!({
        "metadata": {"name": "report-28391040", "namespace": ns, "ownerReferences": owner("CronJob", "batch/v1beta1", "report")},
        "spec": {"template": template(json!({}), "Never")},
    });
    admin.post(&format!("/apis/batch/v1/namespaces/{ns}/jobs"), &job).await;
    let service = json!({"metadata": {"name": "front", "namespace": ns}, "spec": {"selector": {"tier": "front"}, "ports": [{"port": 80}]}});
    admin.post(&format!("/api/v1/namespaces/{ns}/services"), &service).await;
    for name in ["web-6d4cf56db6-x2x7v", "api-6d4cf56db6-x2x7v", "report-28391040-x2x7v", "bare"] {
        admin.event(&event(&ns, name, "BackOff", 2, &ago(60), &ago(1))).await;
    }
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |config| config.namespaces = only(&ns));
    watching.swept().await;
    for (service, pod) in [
        ("web-service", "web-6d4cf56db6-x2x7v"),
        ("api", "api-6d4cf56db6-x2x7v"),
        ("report", "report-28391040-x2x7v"),
        ("front", "bare"),
    ] {
        watching.reads(&format!("{ns}/{service}"), &format!("{pod} BackOff"), 2).await;
    }
    // A deleted pod's later events are still its service's; a new pod's first events are, too.
    admin.delete(&format!("{pods}/web-6d4cf56db6-x2x7v")).await;
    admin.event(&event(&ns, "web-6d4cf56db6-x2x7v", "Killing", 1, &ago(0), &ago(0))).await;
    admin.post(&pods, &owned("web-6d4cf56db6-9rkxq", json!({"qcloud-app": "web-service"}), None)).await;
    admin.event(&event(&ns, "web-6d4cf56db6-9rkxq", "Failed", 1, &ago(0), &ago(0))).await;
    watching.reads(&format!("{ns}/web-service"), "web-6d4cf56db6-x2x7v Killing", 1).await;
    watching.reads(&format!("{ns}/web-service"), "web-6d4cf56db6-9rkxq Failed", 1).await;
    watching.stop().await;
}

fn killed(at: &str) -> Value {
    let ended = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "startedAt": at, "finishedAt": at, "containerID": "x://1"}});
    json!({"phase": "Running", "containerStatuses": [{"name": "app", "ready": true, "restartCount": 1, "image": "none",
        "imageID": "none", "state": {"running": {"startedAt": at}}, "lastState": ended}]})
}

#[tokio::test]
async fn what_only_states_say_is_reported_beside_the_events_and_what_was_killed_before_is_in_the_first_list() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let (pods, place) = (format!("/api/v1/namespaces/{ns}/pods"), format!("{ns}/web"));
    for name in ["web-6d4cf56db6-x2x7v", "web-6d4cf56db6-9rkxq", "web-6d4cf56db6-zzzzz"] {
        let mut pod = pod(&ns, name, json!({"app": "web"}), None);
        pod["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "32Mi"}});
        admin.post(&pods, &pod).await;
    }
    // One was killed a minute ago, one in another age.
    admin.status(&format!("{pods}/web-6d4cf56db6-x2x7v"), killed(&ago(60))).await;
    admin.status(&format!("{pods}/web-6d4cf56db6-zzzzz"), killed("2026-01-01T00:00:00Z")).await;
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |config| config.namespaces = only(&ns));
    watching.reads(&place, "web-6d4cf56db6-x2x7v OOMKilled", 1).await;
    assert!(watching.whole > 0, "it is part of the first list");
    watching.swept().await;
    admin.status(&format!("{pods}/web-6d4cf56db6-9rkxq"), killed(&ago(0))).await;
    let event = watching
        .until(|_, event| {
            let SourceEvent::PartialObservation { lists, .. } = event else { return None };
            let mut events = lists.iter().flat_map(|seen| &seen.events);
            events.find(|event| event.obj_name == "web-6d4cf56db6-9rkxq").cloned()
        })
        .await;
    assert_eq!(event.message, "Container app was killed at its memory limit of 32Mi (exit code 137)");
    assert!(!watching.known.keys().any(|(_, what)| what.contains("zzzzz")), "{:?}", watching.known);
    // A deployment: its health, and that its rollout stalls.
    let labels = json!({"app": "web"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "none"}]}});
    let deployment = json!({"metadata": {"name": "web", "namespace": ns}, "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}});
    let deployments = format!("/apis/apps/v1/namespaces/{ns}/deployments");
    admin.post(&deployments, &deployment).await;
    let health = |event: &SourceEvent| {
        let SourceEvent::Health { reports, .. } = event else { return None };
        reports.iter().rfind(|report| &*report.name == "web").map(|report| report.health)
    };
    let stalled = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
        "message": "ReplicaSet \"web-6d4cf56db6\" has timed out progressing.", "lastUpdateTime": ago(0), "lastTransitionTime": ago(0)}]);
    let counts = |ready: u32| json!({"observedGeneration": 1, "replicas": 3, "updatedReplicas": 3, "readyReplicas": ready, "conditions": stalled});
    admin.status(&format!("{deployments}/web"), counts(2)).await;
    let two = Some(Health { wanted: 3, ready: 2, rolling_out: false });
    watching.until(|_, event| (health(event)? == two).then_some(())).await;
    watching.reads(&place, "web RolloutStalled", 1).await;
    admin.status(&format!("{deployments}/web"), counts(0)).await;
    watching.reads(&place, "web Unavailable", 1).await;
    // A rollout that was whole once: its pods cannot be created any more, which is no rollout.
    let done = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "m",
        "lastUpdateTime": ago(60), "lastTransitionTime": ago(60)}]);
    admin.status(&format!("{deployments}/web"), counts(3)).await;
    watching.until(|_, event| health(event)?.is_some_and(Health::is_whole).then_some(())).await;
    let refused =
        json!({"observedGeneration": 1, "replicas": 0, "updatedReplicas": 0, "readyReplicas": 0, "conditions": done});
    admin.status(&format!("{deployments}/web"), refused).await;
    let unavailable = |event: &SourceEvent| {
        let SourceEvent::PartialObservation { lists, .. } = event else { return None };
        let mut events = lists.iter().flat_map(|seen| &seen.events);
        events.any(|event| event.reason == "Unavailable").then_some(())
    };
    watching.until(|_, event| unavailable(event)).await;
    admin.status(&format!("{deployments}/web"), counts(3)).await;
    watching.until(|_, event| health(event)?.is_some_and(Health::is_whole).then_some(())).await;
    admin.delete(&format!("{deployments}/web")).await;
    watching.until(|_, event| health(event)?.is_none().then_some(())).await;
    watching.stop().await;
}

#[tokio::test]
async fn nodes_say_that_they_are_down_and_back_and_pods_carry_their_node() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let node = format!("node-{ns}");
    admin.post("/api/v1/nodes", &json!({"metadata": {"name": node}})).await;
    let mut placed = pod(&ns, "web-6d4cf56db6-x2x7v", json!({"app": "web"}), None);
    placed["spec"]["nodeName"] = json!(node);
    admin.post(&format!("/api/v1/namespaces/{ns}/pods"), &placed).await;
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |_| {});
    watching.swept().await;
    let path = format!("/api/v1/nodes/{node}");
    let ready = |status: &str, at: String| json!({"conditions": [{"type": "Ready", "status": status, "reason": "r", "message": "m", "lastHeartbeatTime": at, "lastTransitionTime": at}]});
    admin.status(&path, ready("Unknown", ago(20))).await;
    watching.reads(&format!("/node/{node}"), &format!("{node} NodeNotReady"), 1).await;
    admin.status(&path, ready("True", ago(0))).await;
    watching.reads(&format!("/node/{node}"), &format!("{node} NodeReady"), 1).await;
    admin.event(&event(&ns, "web-6d4cf56db6-x2x7v", "Failed", 1, &ago(0), &ago(0))).await;
    let seen = watching
        .until(|_, event| {
            let SourceEvent::PartialObservation { lists, .. } = event else { return None };
            let mut events = lists.iter().flat_map(|seen| &seen.events);
            events.find(|event| event.obj_name == "web-6d4cf56db6-x2x7v").cloned()
        })
        .await;
    assert_eq!(seen.node(), node);
    admin.delete(&path).await;
    let gone = |event: &SourceEvent| match event {
        SourceEvent::Deleted { objects, .. } => {
            objects.iter().any(|one| one.kind == "Node" && one.name == node).then_some(())
        }
        _ => None,
    };
    watching.until(|_, event| gone(event)).await;
    watching.stop().await;
}

#[tokio::test]
async fn events_of_nodes_and_of_the_cluster_lie_in_no_namespace() {
    let server = ApiServer::shared().await;
    let about = |kind: &str, name: &str| {
        let mut event = event("default", name, "Trouble", 1, &ago(5), &ago(5));
        event["involvedObject"] = json!({"kind": kind, "name": name});
        event
    };
    server.admin().event(&about("Node", "node-7")).await;
    server.admin().event(&about("PersistentVolume", "volume-7")).await;
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |config| config.namespaces = only("default"));
    watching.reads("/node/node-7", "node-7 Trouble", 1).await;
    watching.reads("/cluster", "volume-7 Trouble", 1).await;
    watching.stop().await;
}

#[tokio::test]
async fn every_shape_of_event_that_the_server_takes_is_read_and_watched() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |config| config.namespaces = only(&ns));
    watching.swept().await;
    let mut bare = event(&ns, "bare", "A", 0, &ago(60), &ago(1));
    for key in ["count", "firstTimestamp", "lastTimestamp"] {
        bare.as_object_mut().unwrap().remove(key);
    }
    admin.event(&bare).await;
    watching.reads(&format!("{ns}/bare"), "bare A", 1).await;
    // As newer reporters write: a time with microseconds, and a series that grows.
    let mut series = json!({
        "metadata": {"name": "series", "namespace": ns},
        "regarding": {"kind": "Pod", "namespace": ns, "name": "series"},
        "reason": "B", "note": "text", "type": "Warning", "action": "Binding", "eventTime": "2026-01-02T03:04:05.123456Z",
        "reportingController": "scheduler", "reportingInstance": "scheduler-1",
        "series": {"count": 3, "lastObservedTime": "2026-01-02T03:05:05.654321Z"},
    });
    let path = format!("/apis/events.k8s.io/v1/namespaces/{ns}/events");
    admin.post(&path, &series).await;
    watching.reads(&format!("{ns}/series"), "series B", 3).await;
    series["series"]["count"] = json!(9);
    admin.put(&format!("{path}/series"), &series).await;
    watching.reads(&format!("{ns}/series"), "series B", 9).await;
    watching.stop().await;
}

#[tokio::test]
async fn whoever_may_not_read_a_namespace_hears_so_and_reads_it_once_allowed() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    admin.event(&event(&ns, "web-0", "Failed", 3, &ago(60), &ago(1))).await;
    let mut watching = Watching::start(&server.kubeconfig(NOBODY), |config| config.namespaces = only(&ns));
    watching.until(|watching, _| watching.errors.iter().any(|error| error.code == "http-403").then_some(())).await;
    let group = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}");
    let rule = json!([{"apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"]}]);
    admin.post(&format!("{group}/roles"), &json!({"metadata": {"name": "podbell"}, "rules": rule})).await;
    let binding = json!({
        "metadata": {"name": "podbell"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "podbell"},
        "subjects": [{"kind": "User", "name": "nobody", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    admin.post(&format!("{group}/rolebindings"), &binding).await;
    // Pods and their owners stay forbidden: names are enough.
    watching.reads(&format!("{ns}/web"), "web-0 Failed", 3).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_point_costs_no_event() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let (wire, kubeconfig) = server.through_wire(ADMIN).await;
    let mut watching = Watching::start(&kubeconfig, |config| config.namespaces = only(&ns));
    watching.swept().await;
    let first = ago(60);
    for count in 1..=60 {
        // While it connects, lists, watches: whatever it does now.
        wire.cut();
        for pod in ["web-0", "api-0"] {
            admin.event(&event(&ns, pod, "BackOff", count, &first, &ago(0))).await;
        }
        if count % 7 == 0 {
            watching.reads(&format!("{ns}/web"), "web-0 BackOff", count).await;
        }
    }
    watching.reads(&format!("{ns}/web"), "web-0 BackOff", 60).await;
    watching.reads(&format!("{ns}/api"), "api-0 BackOff", 60).await;
    watching.stop().await;
}

/// A podbell.yaml that watches, and tells a signed webhook under [`QUICK_RULES`].
fn site(kubeconfig: &str, namespaces: &str, receiver: &Receiver, resolve_after: &str) -> Site {
    let config = format!(
        "sources:
  - {{name: prod, kind: kubernetes, kubeconfig: kubeconfig, cluster: c, namespaces: {namespaces}, watch_for: 5s}}
notifiers:
  - {{name: audit, kind: webhook, url: \"{}\", secret: \"{WEBHOOK_SECRET}\"}}
rules: [rules.yaml]
store: sqlite:podbell.db
server: {{listen: \"127.0.0.1:0\"}}
",
        receiver.url("/hook")
    );
    let rules = QUICK_RULES.replace("resolve_after: 1s", &format!("resolve_after: {resolve_after}"));
    Site::new(&[("podbell.yaml", &config), ("rules.yaml", &rules), ("kubeconfig", kubeconfig)])
}

/// Kinds of notices and workloads, in order, with how often it occurred by then.
fn told(receiver: &Receiver) -> Vec<(String, String, u64)> {
    let mut told = Vec::new();
    for request in receiver.received() {
        let body = request.json();
        let incident = &body["data"]["incident"];
        let workload = incident["workload"].as_str().unwrap_or_default().to_owned();
        let kind = body["type"].as_str().unwrap().trim_start_matches("incident.").to_owned();
        told.push((kind, workload, incident["occurrences"].as_u64().unwrap_or_default()));
    }
    told
}

async fn occurrences(site: &Site, wanted: u64) {
    let sum = || site.rows("SELECT coalesce(sum(count), 0) FROM series WHERE level = 1");
    if within(PATIENCE, || (sum() == [wanted.to_string()]).then_some(())).await.is_none() {
        panic!("{wanted} occurrences are stored, not {:?}", sum());
    }
}

async fn ends(mut running: Running) {
    assert!(running.process.stop().await.success(), "{}", running.process.stderr());
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_costs_no_event_and_no_second_word() {
    let mut server = ApiServer::start().await;
    let ns = server.namespace().await;
    let receiver = Receiver::start().await;
    let site = site(&server.kubeconfig(ADMIN), &format!("[{ns}]"), &receiver, "1h");
    let running = site.run().await;
    let first = ago(30);
    let crash = |count| event(&ns, "web-6d4cf56db6-x2x7v", "BackOff", count, &first, &ago(0));
    eventually(PATIENCE, "it watches", || (!site.rows("SELECT 1 FROM source").is_empty()).then_some(())).await;
    server.admin().event(&crash(1)).await;
    eventually(PATIENCE, "told", || (told(&receiver).len() == 1).then_some(())).await;
    let mut count = 1;
    for _ in 0..2 {
        server.kill();
        server.revive();
        server.ready().await;
        count += 3;
        server.admin().event(&crash(count)).await;
        occurrences(&site, count).await;
    }
    // Podbell dies, too, and the count goes on.
    ends(running).await;
    count += 5;
    server.admin().event(&crash(count)).await;
    let running = site.run().await;
    occurrences(&site, count).await;
    server.admin().event(&event(&ns, "api-0", "Failed", 2, &ago(1), &ago(0))).await;
    eventually(PATIENCE, "told", || told(&receiver).iter().any(|(_, workload, _)| workload == "api").then_some(()))
        .await;
    let told = told(&receiver);
    let opened: Vec<&str> =
        told.iter().filter(|(kind, ..)| kind == "opened").map(|(_, workload, _)| workload.as_str()).collect();
    assert_eq!(opened, ["web", "api"], "{told:?}");
    // The tenth occurrence of nine is told as worse, nothing else.
    assert!(told.iter().all(|(kind, ..)| kind == "opened" || kind == "escalated"), "{told:?}");
    ends(running).await;
}

#[tokio::test]
async fn a_cluster_that_is_restored_from_a_copy_is_not_waited_for_until_it_is_as_old_again() {
    let mut server = ApiServer::start().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |config| config.namespaces = only(&ns));
    watching.swept().await;
    let first = ago(60);
    let crash = |count| event(&ns, "web-0", "BackOff", count, &first, &ago(0));
    admin.event(&crash(1)).await;
    watching.reads(&format!("{ns}/web"), "web-0 BackOff", 1).await;
    server.back_up();
    // Versions that will be lost: so many that it is not as old again for a while.
    for count in 2..=200 {
        admin.event(&crash(count)).await;
    }
    watching.reads(&format!("{ns}/web"), "web-0 BackOff", 200).await;
    server.restore();
    server.ready().await;
    server.admin().event(&event(&ns, "api-0", "Failed", 1, &ago(1), &ago(0))).await;
    watching.reads(&format!("{ns}/api"), "api-0 Failed", 1).await;
    server.admin().event(&event(&ns, "api-0", "Failed", 2, &ago(1), &ago(0))).await;
    watching.reads(&format!("{ns}/api"), "api-0 Failed", 2).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_warning_is_told_within_a_second_of_its_write() {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let receiver = Receiver::start().await;
    let site = site(&server.kubeconfig(ADMIN), &format!("[{ns}]"), &receiver, "1h");
    let running = site.run().await;
    eventually(PATIENCE, "it watches", || (!site.rows("SELECT 1 FROM source").is_empty()).then_some(())).await;
    let mut delays = Vec::new();
    for name in ["one", "two", "three", "four", "five", "six"] {
        admin.event(&event(&ns, name, "Failed", 1, &ago(0), &ago(0))).await;
        let written = podbell::clock::monotonic();
        let is_told = || told(&receiver).iter().any(|(_, workload, _)| workload == name).then_some(());
        eventually(PATIENCE, name, is_told).await;
        delays.push(written.elapsed());
    }
    // The machine may be busy, but not each time.
    assert!(delays.iter().min().unwrap() < &Duration::from_secs(1), "{delays:?}");
    ends(running).await;
}

/// Moves all times so that the newest is a few seconds ago. Takes both spellings.
fn moved(text: &str, newest: &str) -> String {
    let stamp = |text: &str| -> Option<jiff::Timestamp> {
        let text = if text.len() == 19 { format!("{}Z", text.replace(' ', "T")) } else { text.to_owned() };
        text.parse().ok()
    };
    let now = jiff::Timestamp::from_millisecond(podbell::clock::now().millis()).unwrap().as_second() - 5;
    let shift = jiff::SignedDuration::from_secs(now - stamp(newest).unwrap().as_second());
    fn walk(value: &mut Value, shift: &mut impl FnMut(&str) -> Option<String>) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, shift)),
            Value::Object(fields) => {
                for (key, field) in fields.iter_mut() {
                    let time =
                        ["firstTimestamp", "lastTimestamp", "eventTime", "lastObservedTime", "firstSeen", "lastSeen"];
                    match field.as_str().filter(|_| time.contains(&key.as_str())).and_then(&mut *shift) {
                        Some(moved) => *field = json!(moved),
                        None => walk(field, shift),
                    }
                }
            }
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap();
    walk(&mut value, &mut |text| {
        let moved = stamp(text)?.checked_add(shift).unwrap();
        Some(match (text.len(), text.contains('.')) {
            (19, _) => moved.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            (_, true) => moved.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            (_, false) => moved.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        })
    });
    value.to_string()
}

/// What is the same whatever way events came: everything but numbers of incidents, the service, and the moment.
fn essence(receiver: &Receiver, namespace: &str) -> Vec<String> {
    let mut all: Vec<String> = receiver
        .received()
        .iter()
        .map(|request| {
            let body = request.json();
            let incident = &body["data"]["incident"];
            let facts = [
                "workload",
                "occurrences",
                "in_all",
                "objects",
                "object_names",
                "reasons",
                "newest",
                "first_seen",
                "command",
                "group",
            ];
            format!("{} {}", body["type"], facts.map(|fact| incident[fact].to_string()).join(" "))
                .replace(namespace, "any")
        })
        .collect();
    all.sort();
    all
}

fn pretty(watched: &[String], filed: &[String], log: String) -> ! {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|one| !those.contains(one)).cloned().collect()
    };
    panic!("only watched: {:#?}\nonly filed: {:#?}\n{log}", only(watched, filed), only(filed, watched));
}

#[tokio::test]
async fn real_event_lists_give_the_same_notices_as_their_converted_lists_through_the_file_source() {
    let server = ApiServer::shared().await;
    for (name, newest) in [
        ("container-creating-failed-mount", "2023-07-11"),
        ("image-pull-fail", "2023-07-11"),
        ("pod-init-crashloop-backoff", "2023-07-11"),
    ] {
        let list = std::fs::read_to_string(fixture(&format!("data/lists/troubleshoot-{name}.json"))).unwrap();
        let raw = std::fs::read_to_string(fixture(&format!("data/raw/message-{name}.json"))).unwrap();
        let parsed: Value = serde_json::from_str(&list).unwrap();
        let events = parsed["data"]["eventList"].as_array().unwrap();
        let last = events.iter().map(|event| event["lastSeen"].as_str().unwrap()).max().unwrap();
        assert!(last.starts_with(newest) || last.starts_with("2023"), "{last}");
        let (list, raw) = (moved(&list, last), moved(&raw, last));
        let (admin, ns) = (server.admin(), server.namespace().await);
        let raw: Value = serde_json::from_str(&raw).unwrap();
        for event in raw["items"].as_array().unwrap() {
            let mut event = event.clone();
            event["metadata"] = json!({"name": event["metadata"]["name"], "namespace": ns});
            event["involvedObject"]["namespace"] = json!(ns);
            admin.post(&format!("/api/v1/namespaces/{ns}/events"), &event).await;
        }
        let (watched, filed) = (Receiver::start().await, Receiver::start().await);
        let by_watch = site(&server.kubeconfig(ADMIN), &format!("[{ns}]"), &watched, "1h");
        let by_file = site("", "[x]", &filed, "1h");
        by_file.write("list.json", &list);
        // A file that is one answer leaves open where it comes from.
        by_watch.edit("cluster: c", "cluster: any");
        let kube = "kind: kubernetes, kubeconfig: kubeconfig, cluster: c, namespaces: [x], watch_for: 5s";
        by_file.edit(kube, "kind: file, path: list.json, poll_every: 1s");
        let (one, other) = (by_watch.run().await, by_file.run().await);
        let same = || {
            let (one, other) = (essence(&watched, &ns), essence(&filed, "any"));
            (!one.is_empty() && one == other).then_some(())
        };
        if within(PATIENCE, same).await.is_none() {
            pretty(&essence(&watched, &ns), &essence(&filed, "any"), one.process.stderr());
        }
        ends(one).await;
        ends(other).await;
        assert_eq!(essence(&watched, &ns), essence(&filed, "any"), "{name}");
    }
}

#[tokio::test]
async fn a_relist_of_50_000_events_tells_what_is_new_and_nothing_twice() {
    let fake = Fake::start().await;
    let (old, recent) = (ago(7200), ago(30));
    for number in 0..50_000 {
        fake.put(event(&format!("ns-{}", number % 50), &format!("app{number}"), "Unhealthy", 5, &old, &old));
    }
    let receiver = Receiver::start().await;
    let site = site(&kubeconfig(&fake.address, None, "good"), "[]", &receiver, "1h");
    site.edit(", namespaces: []", "");
    let running = site.run().await;
    occurrences(&site, 250_000).await;
    fake.put(event("ns-7", "app7", "Unhealthy", 6, &old, &ago(0)));
    eventually(PATIENCE, "told", || (told(&receiver).len() == 1).then_some(())).await;
    // Everything is listed again, and two things happened meanwhile.
    fake.moods(&[Mood::CutAfter(0)]);
    fake.compact();
    fake.put(event("ns-8", "app8", "Unhealthy", 8, &old, &ago(0)));
    fake.put(event("ns-9", "new-0", "Failed", 2, &recent, &ago(0)));
    eventually(PATIENCE, "told", || (told(&receiver).len() == 3).then_some(())).await;
    assert!(fake.lists() >= 2);
    occurrences(&site, 250_000 + 1 + 3 + 2).await;
    let mut told = told(&receiver);
    told.sort();
    let opened = |workload: &str, count| ("opened".to_owned(), workload.to_owned(), count);
    assert_eq!(told, [opened("app7", 1), opened("app8", 3), opened("new", 2)]);
    ends(running).await;
}

#[tokio::test]
async fn a_watch_says_so_while_it_is_quiet() {
    let server = ApiServer::shared().await;
    let ns = server.namespace().await;
    let mut watching = Watching::start(&server.kubeconfig(ADMIN), |config| {
        config.namespaces = only(&ns);
        config.timing.watch_for = Duration::from_secs(2);
    });
    watching.swept().await;
    for _ in 0..3 {
        watching.until(|_, event| matches!(event, SourceEvent::WatchProgress { .. }).then_some(())).await;
    }
    assert!(watching.errors.is_empty(), "{:?}", watching.errors);
    watching.stop().await;
}
