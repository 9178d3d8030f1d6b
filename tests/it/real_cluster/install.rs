//! Two installations by the shipped manifests: one with the image's rules, one with none. Only what the manifests tell people to
//! change is changed: the configuration, the Secret, and where the disks are.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{cluster, root};

/// The namespaces of the two.
const NAMESPACES: [&str; 2] = ["podbell", "podbell-builtin"];

/// Installs podbell into a namespace, with one destination, and waits until it runs.
pub async fn install(namespace: &str, destination: &str) {
    let rules = if namespace == "podbell" { "rules: [/usr/share/podbell/rules/kubernetes.yaml]\n" } else { "" };
    // The name that the image's rules use.
    let config = format!(
        "sources: [{{name: kubernetes, kind: kubernetes, cluster: prod}}]\n\
         notifiers: [{{name: team-slack, kind: webhook, url: \"{destination}\"}}]\n\
         {rules}store: sqlite:/var/lib/podbell/podbell.db\nserver: {{listen: \"0.0.0.0:8080\"}}\n"
    );
    apply(&disk(namespace));
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
    runs(namespace).await;
}

/// Waits until the pod is ready.
async fn runs(namespace: &str) {
    cluster(&["kubectl", "-n", namespace, "rollout", "status", "statefulset/podbell", "--timeout=120s"]).await;
}

/// Kills both as the kernel would, and waits until they run again.
pub async fn kill_all() {
    let killed = Command::new("pkill").args(["-KILL", "-f", "^podbell run --config /etc/podbell/"]).status().unwrap();
    assert!(killed.success(), "there was none");
    for namespace in NAMESPACES {
        runs(namespace).await;
    }
}

/// Takes both away.
pub async fn uninstall() {
    cluster(&["kubectl", "delete", "namespace", NAMESPACES[0], NAMESPACES[1], "--timeout=60s"]).await;
    cluster(&["kubectl", "delete", "persistentvolume", NAMESPACES[0], NAMESPACES[1], "--timeout=60s"]).await;
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

/// A disk of the node for the store, as an administrator without a provisioner prepares it.
fn disk(namespace: &str) -> Value {
    let top = std::env::var("PODBELL_CLUSTER").unwrap_or_else(|_| "/tmp/podbell-cluster".into());
    let folder = format!("{top}/disk/{namespace}");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::chown(&folder, Some(10_001), Some(10_001)).unwrap();
    json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": namespace}, "spec": {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": folder},
        "claimRef": {"namespace": namespace, "name": "store-podbell-0"}}})
}

fn apply(object: &Value) {
    let mut command = Command::new(root().join("scripts/cluster"));
    command.args(["kubectl", "apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{object}");
}
