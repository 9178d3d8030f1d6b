//! What the API server and its clients are given: a kubeconfig, events, pods.

use std::path::Path;

use serde_json::{Value, json};

/// A kubeconfig with one context.
pub fn kubeconfig(server: &str, ca: Option<&Path>, token: &str) -> String {
    let trust = ca.map_or(String::new(), |ca| format!(", certificate-authority: {}", ca.display()));
    format!(
        "apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: \"{server}\"{trust}}}}}]
users: [{{name: test, user: {{token: {token}}}}}]
"
    )
}

/// A Warning of a pod, counted `count` times, last at `last` (RFC 3339) and first a minute earlier or then.
pub fn event(namespace: &str, pod: &str, reason: &str, count: u64, first: &str, last: &str) -> Value {
    json!({
        "metadata": {"name": format!("{pod}.{}", reason.to_lowercase()), "namespace": namespace},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": pod, "apiVersion": "v1"},
        "reason": reason, "message": format!("{reason} of {pod}"), "type": "Warning",
        "count": count, "firstTimestamp": first, "lastTimestamp": last, "source": {"component": "kubelet"},
    })
}

/// A pod that never runs.
pub fn pod(namespace: &str, name: &str, labels: Value, owner: Option<(&str, &str)>) -> Value {
    let owners: Vec<Value> = owner
        .iter()
        .map(
            |(kind, name)| json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true}),
        )
        .collect();
    json!({
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owners},
        "spec": {"containers": [{"name": "app", "image": "none"}]},
    })
}
