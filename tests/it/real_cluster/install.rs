//! Two installations by the shipped manifests: one with the image's rules, one with none. Only what the manifests tell people to
//! change is changed: the configuration, the Secret, and where the disks are.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::live::cluster;
use super::{Rules, root};
use crate::support::process::output;

/// The namespace of an installation.
fn namespace(rules: Rules) -> &'static str {
    match rules {
        Rules::Shipped => "podbell",
        Rules::Builtin => "podbell-builtin",
    }
}

/// Takes away what earlier runs installed.
pub async fn clear() {
    let namespaces = Rules::ALL.map(namespace);
    for kind in ["namespace", "persistentvolume"] {
        cluster(&["kubectl", "delete", kind, namespaces[0], namespaces[1], "--ignore-not-found", "--timeout=300s"])
            .await;
    }
}

/// Installs both, each with a destination of its own, and waits until they run.
pub async fn install_all(destination: impl Fn(Rules) -> String) {
    clear().await;
    for rules in Rules::ALL {
        install(rules, &destination(rules));
    }
    for namespace in Rules::ALL.map(namespace) {
        cluster(&["kubectl", "-n", namespace, "rollout", "status", "statefulset/podbell", "--timeout=300s"]).await;
    }
}

/// How long podbell of this installation needed from the moment at which a container was made for it to its word that it runs.
pub async fn started_within(rules: Rules) -> Duration {
    let id = "jsonpath={.status.containerStatuses[0].containerID}";
    let id = cluster(&["kubectl", "-n", namespace(rules), "get", "pod", "podbell-0", "-o", id]).await;
    let mut command = Command::new("ctr");
    command.args([
        "--address",
        &format!("{}/run/containerd.sock", top()),
        "--namespace",
        "k8s.io",
        "containers",
        "info",
    ]);
    command.arg(id.strip_prefix("containerd://").unwrap());
    let container: Value = serde_json::from_slice(&output(command).await.stdout).unwrap();
    let log = cluster(&["kubectl", "-n", namespace(rules), "logs", "podbell-0", "--timestamps"]).await;
    let runs = log.lines().find(|line| line.contains("podbell runs")).unwrap_or_else(|| panic!("{log}"));
    let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let made = time(container["CreatedAt"].as_str().unwrap());
    time(runs.split(' ').next().unwrap()).duration_since(made).unsigned_abs()
}

/// Where the cluster keeps what it writes.
fn top() -> String {
    std::env::var("PODBELL_CLUSTER").unwrap_or_else(|_| "/tmp/podbell-cluster".into())
}

fn install(rules: Rules, destination: &str) {
    let namespace = namespace(rules);
    let files = match rules {
        Rules::Shipped => "rules: [/usr/share/podbell/rules/kubernetes.yaml]\n",
        Rules::Builtin => "",
    };
    // The notifier's name is the one that the image's rules use.
    let config = format!(
        "sources: [{{name: kubernetes, kind: kubernetes, cluster: prod}}]\n\
         notifiers: [{{name: team-slack, kind: webhook, url: \"{destination}\"}}]\n\
         {files}store: sqlite:/var/lib/podbell/podbell.db\nserver: {{listen: \"0.0.0.0:8080\"}}\n"
    );
    make_disk(namespace);
    for mut object in manifests() {
        move_to(&mut object, namespace);
        if object["kind"] == "ConfigMap" && object["metadata"]["name"] == "podbell" {
            object["data"]["podbell.yaml"] = json!(config);
        }
        apply(&object);
        if object["kind"] == "Namespace" {
            apply(
                &json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "podbell", "namespace": namespace}}),
            );
        }
    }
}

/// How often podbell was started again in each installation.
pub async fn restarts() -> Vec<u32> {
    let mut all = Vec::new();
    for rules in Rules::ALL {
        let count = "jsonpath={.status.containerStatuses[0].restartCount}";
        let count = cluster(&["kubectl", "-n", namespace(rules), "get", "pod", "podbell-0", "-o", count]).await;
        all.push(count.parse().unwrap());
    }
    all
}

/// Waits until both were started again since then and are ready.
pub async fn were_restarted(before: &[u32]) {
    for (rules, before) in Rules::ALL.into_iter().zip(before) {
        let mut turns = tokio::time::interval(Duration::from_secs(1));
        let state = "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}";
        let again = async {
            let get = ["kubectl", "-n", namespace(rules), "get", "pod", "podbell-0", "-o", state];
            let is_back = |said: &str| {
                let (count, ready) = said.split_once(' ')?;
                (count.parse::<u32>().ok()? > *before && ready == "true").then_some(())
            };
            while is_back(&cluster(&get).await).is_none() {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(300), again).await.is_err() {
            let pod = cluster(&["kubectl", "-n", namespace(rules), "describe", "pod", "podbell-0"]).await;
            let log = cluster(&["kubectl", "-n", namespace(rules), "logs", "podbell-0", "--tail=20"]).await;
            panic!("podbell is not started again\n{pod}\n{log}");
        }
    }
}

/// The objects of the kustomization, in its order.
fn manifests() -> Vec<Value> {
    let folder = root().join("deploy/kubernetes");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let parse = |text: &str| serde_saphyr::from_multiple::<Value>(text).unwrap();
    let kustomization = parse(&read("kustomization.yaml")).remove(0);
    let names = kustomization["resources"].as_array().unwrap().iter();
    names.flat_map(|name| parse(&read(name.as_str().unwrap()))).filter(|object| !object.is_null()).collect()
}

/// Of the second installation, all names that must differ.
fn move_to(object: &mut Value, namespace: &str) {
    let kind = object["kind"].as_str().unwrap().to_owned();
    if kind == "Namespace" || kind == "ClusterRoleBinding" {
        object["metadata"]["name"] = json!(namespace);
    }
    if object["metadata"].get("namespace").is_some() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        subject["namespace"] = json!(namespace);
    }
}

/// A fresh disk of the node for the store, as an administrator without a provisioner prepares it.
pub fn make_disk(namespace: &str) {
    let folder = format!("{}/disk/{namespace}", top());
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(10_001), Some(10_001)).unwrap();
    apply(&json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": folder},
        "claimRef": {"namespace": namespace, "name": "store-podbell-0"}}}));
}

fn apply(object: &Value) {
    let mut command = Command::new(root().join("scripts/cluster"));
    command.args(["kubectl", "apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{object}");
}
