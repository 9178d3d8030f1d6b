//! The manifests and the chart of `deploy` against a real kube-apiserver, what they say against each other, and podbell's
//! rights: with them everything works, without any one of them something does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::apiserver::{ADMIN, Admin, ApiServer, kubectl};
use crate::support::kube::ago;
use crate::support::kube_objects::{event, pod};
use crate::support::process::{PATIENCE, eventually, output, podbell, printed};
use crate::support::receiver::Receiver;
use crate::support::site::{QUICK_RULES, Running, Site, WEBHOOK_SECRET};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The objects of a text of YAML.
fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    all.into_iter().filter(|one| !one.is_null()).collect()
}

/// The objects of a file of `deploy/kubernetes`.
fn file(name: &str) -> Vec<Value> {
    documents(&std::fs::read_to_string(root().join("deploy/kubernetes").join(name)).unwrap())
}

fn names(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(root().join("deploy/kubernetes").join(folder)).unwrap();
    let files = files.map(|file| format!("{folder}{}", file.unwrap().file_name().into_string().unwrap()));
    let mut names: Vec<String> = files.filter(|name| name.ends_with(".yaml")).collect();
    names.sort();
    names.retain(|name| name != "kustomization.yaml");
    assert!(!names.is_empty(), "{folder}");
    names
}

/// What the chart makes of values, or what is wrong with them.
fn rendered(values: &str) -> Result<Vec<Value>, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, values).unwrap();
    let mut command = Command::new(root().join("scripts/render-chart"));
    let output = command.arg("-f").arg(&file).stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        return Err(printed(&output));
    }
    Ok(documents(&String::from_utf8(output.stdout).unwrap()))
}

fn id(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

/// Where the server keeps it. What names no namespace is applied to `podbell`.
fn path(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap();
    let version = object["apiVersion"].as_str().unwrap();
    let group = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let plural = match kind {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        "PriorityClass" => "priorityclasses".to_owned(),
        _ => format!("{}s", kind.to_lowercase()),
    };
    let name = object["metadata"]["name"].as_str().unwrap();
    if ["Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"].contains(&kind) {
        return format!("{group}/{plural}/{name}");
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or("podbell");
    format!("{group}/namespaces/{namespace}/{plural}/{name}")
}

/// What was said and is not in the answer: this server drops what it does not know.
fn dropped(said: &Value, answer: &Value, at: &str, all: &mut Vec<String>) {
    match (said, answer) {
        (Value::Object(said), Value::Object(answer)) => {
            for (key, value) in said {
                match answer.get(key) {
                    Some(got) => dropped(value, got, &format!("{at}.{key}"), all),
                    None => all.push(format!("{at}.{key}")),
                }
            }
        }
        (Value::Array(said), Value::Array(answer)) if said.len() == answer.len() => {
            for (number, (value, got)) in said.iter().zip(answer).enumerate() {
                dropped(value, got, &format!("{at}[{number}]"), all);
            }
        }
        _ if said == answer => {}
        _ => all.push(format!("{at}: {said} became {answer}")),
    }
}

/// Fails unless the server would take all of it, word for word.
async fn accepted(admin: &Admin, object: &Value) {
    let (status, answer) = admin.apply_dry(&path(object), object).await;
    assert!(status.is_success(), "{}: {answer}", id(object));
    let mut said = object.clone();
    if let Some(words) = said.as_object_mut().unwrap().remove("stringData") {
        // The server keeps it as bytes.
        let bytes = |value: &Value| json!(base64::prelude::BASE64_STANDARD.encode(value.as_str().unwrap()));
        said["data"] = words.as_object().unwrap().iter().map(|(key, value)| (key.clone(), bytes(value))).collect();
    }
    let mut all = Vec::new();
    dropped(&said, &answer, "", &mut all);
    assert!(all.is_empty(), "{}: {all:?}", id(object));
}

/// The server with the namespace `podbell`.
async fn server() -> &'static ApiServer {
    let server = ApiServer::shared().await;
    let namespace = json!({"metadata": {"name": "podbell"}});
    server.admin().ask(Method::POST, "/api/v1/namespaces", Some(&namespace)).await;
    server
}

/// A ServiceMonitor is a custom resource, and this build of the server dies of those: it must fit what it selects.
fn monitors(monitor: &Value, service: &Value) {
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(monitor["metadata"]["namespace"], service["metadata"]["namespace"]);
    for (key, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&service["metadata"]["labels"][key], value, "{key}");
    }
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    assert_eq!(monitor["spec"]["endpoints"][0]["path"], "/metrics");
}

/// A PrometheusRule is one, too: it must hold what promtool accepts.
fn alerts(object: &Value) {
    assert_eq!(object["apiVersion"], "monitoring.coreos.com/v1");
    assert_eq!(object["metadata"]["namespace"], "podbell");
    let rules = std::fs::read_to_string(root().join("deploy/prometheus/podbell-rules.yaml")).unwrap();
    assert_eq!(object["spec"], documents(&rules)[0]);
}

/// Every file of YAML in a folder and below. Those of a chart's templates are none yet.
fn files_of_yaml(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() && !entry.ends_with("templates") {
            files_of_yaml(&entry, all);
        } else if entry.extension().is_some_and(|kind| kind == "yaml" || kind == "yml") {
            all.push(entry);
        }
    }
}

/// Newer kustomizations refuse a key that is there twice; older ones take one of the two.
#[test]
fn no_file_says_a_key_twice() {
    let mut all = Vec::new();
    files_of_yaml(&root().join("deploy"), &mut all);
    assert!(all.len() > 20, "{all:?}");
    for file in all {
        let text = std::fs::read_to_string(&file).unwrap();
        let read = serde_saphyr::from_multiple::<Value>(&text);
        assert!(read.is_ok(), "{}: {}", file.display(), read.unwrap_err());
    }
}

#[tokio::test]
async fn every_manifest_is_taken_by_the_server_word_for_word() {
    let admin = server().await.admin();
    let mut kinds = Vec::new();
    for name in names("").into_iter().chain(names("optional/")) {
        for object in file(&name) {
            match object["kind"].as_str() {
                Some("ServiceMonitor") => monitors(&object, &file("service.yaml")[0]),
                Some("PrometheusRule") => alerts(&object),
                _ => {
                    accepted(&admin, &object).await;
                    kinds.push(object["kind"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "ClusterRole",
            "ClusterRoleBinding",
            "ConfigMap",
            "Namespace",
            "NetworkPolicy",
            "PriorityClass",
            "Role",
            "RoleBinding",
            "Secret",
            "Service",
            "ServiceAccount",
            "StatefulSet"
        ]
    );
}

#[tokio::test]
async fn a_misspelt_field_would_be_noticed() {
    let admin = server().await.admin();
    let set = file("statefulset.yaml").remove(0);
    for (place, key) in [("/spec/template/spec", "automountToken"), ("/spec/template/spec/containers/0", "readyProbe")]
    {
        let mut set = set.clone();
        set.pointer_mut(place).unwrap()[key] = json!(true);
        let (status, answer) = admin.apply_dry(&path(&set), &set).await;
        let mut all = Vec::new();
        dropped(&set, &answer, "", &mut all);
        assert!(!status.is_success() || all.iter().any(|one| one.ends_with(key)), "{key}: {answer}");
    }
}

#[tokio::test]
async fn kubectl_takes_the_folder_as_it_is() {
    let server = server().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kubeconfig"), server.kubeconfig(ADMIN)).unwrap();
    let said = async |args: &[&str]| {
        let mut command = Command::new(kubectl());
        command
            .current_dir(root())
            .env("HOME", folder.path())
            .arg("--kubeconfig")
            .arg(folder.path().join("kubeconfig"));
        let output = output({
            command.args(args);
            command
        })
        .await;
        assert!(output.status.success(), "{args:?}: {}", printed(&output));
        printed(&output)
    };
    let applied = said(&["apply", "--server-side", "--dry-run=server", "-k", "deploy/kubernetes"]).await;
    let all: usize = names("").iter().map(|name| file(name).len()).sum();
    assert_eq!(applied.matches("serverside-applied (server dry run)").count(), all, "{applied}");
    // The older way, too: it asks the server's schema.
    let applied = said(&["apply", "--dry-run=server", "-k", "deploy/kubernetes"]).await;
    assert_eq!(applied.matches("(server dry run)").count(), all, "{applied}");
    let role = "deploy/kubernetes/optional/role.yaml";
    let applied = said(&["-n", &server.namespace().await, "apply", "--dry-run=server", "-f", role]).await;
    assert_eq!(applied.matches("created (server dry run)").count(), 2, "{applied}");
}

/// With everything that has a value.
const EVERYTHING: &str = "
image: {repository: registry.example.com/podbell, tag: v1, pullPolicy: Always}
imagePullSecrets: [{name: registry}]
config:
  sources:
    - {name: here, kind: kubernetes, cluster: prod}
    - {name: there, kind: kubernetes, cluster: far, kubeconfig: /etc/kubeconfigs/far}
  server: {public_url: 'https://podbell.example.com'}
rules: {10-own.yaml: null, 20-shop.yaml: \"version: 1\\nrules:\\n  - {name: a, match: {reason: x}, action: ignore}\\n\"}
secret: {name: mine, create: true, values: {slack-url: 'https://hooks.example.com/\"x\"'}}
serviceAccount: {name: teller, annotations: {a: b}}
persistence: {storageClass: cbs, size: 10Gi}
service: {type: NodePort, port: 8080, annotations: {a: b}}
networkPolicy:
  fromNamespaces: []
  egressPorts: [443, 60002]
  extraIngress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}]
  extraEgress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]
serviceMonitor: {enabled: true, labels: {release: prometheus}}
prometheusRule: {enabled: true, labels: {release: prometheus}}
env: [{name: TEAM, value: shop}]
extraVolumes: [{name: kubeconfigs, secret: {secretName: kubeconfigs}}]
extraVolumeMounts: [{name: kubeconfigs, mountPath: /etc/kubeconfigs, readOnly: true}]
podAnnotations: {a: b}
podLabels: {team: ops}
priorityClass: {create: true, value: 5}
priorityClassName: \"\"
nodeSelector: {disk: ssd}
tolerations: [{key: dedicated, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: Exists}]}]}}}
fullnameOverride: teller
";

#[tokio::test]
async fn what_the_chart_renders_without_a_network_is_taken_by_the_server_word_for_word() {
    let server = server().await;
    let admin = server.admin();
    let (one, other) = (server.namespace().await, server.namespace().await);
    let some = format!("namespaces: [{one}, {other}]");
    let nothing = "serviceAccount: {create: false}\nrbac: {create: false}\nnetworkPolicy: {enabled: false}\nrules: {10-own.yaml: null}\nresources: {limits: null, requests: null}";
    for (values, objects) in [("{}", 9), (&*some, 11), (nothing, 5), (EVERYTHING, 12), ("secret: {name: mine}", 9)] {
        let all = rendered(values).unwrap();
        let ids: Vec<String> = all.iter().map(id).collect();
        assert_eq!(all.len(), objects, "{values}: {ids:?}");
        for object in &all {
            match object["kind"].as_str() {
                Some("ServiceMonitor") => {
                    monitors(object, all.iter().find(|other| other["kind"] == "Service").unwrap());
                }
                Some("PrometheusRule") => alerts(object),
                _ => accepted(&admin, object).await,
            }
        }
    }
    // Namespaces reach the source that watches this cluster, and roles are bound in each, to the account that the pod has.
    let all = rendered(&some).unwrap();
    let of_kind = |kind: &str| all.iter().filter(|object| object["kind"] == kind).cloned().collect::<Vec<_>>();
    let places: Vec<Value> = of_kind("RoleBinding").iter().map(|role| role["metadata"]["namespace"].clone()).collect();
    assert_eq!(places, [json!(one), json!(other)]);
    assert!(of_kind("ClusterRole").is_empty() && of_kind("ClusterRoleBinding").is_empty());
    let config = of_kind("ConfigMap").into_iter().find_map(|map| map["data"]["podbell.yaml"].as_str().map(documents));
    assert_eq!(config.unwrap()[0]["sources"][0]["namespaces"], json!([one, other]));
    let all = rendered(&format!("{EVERYTHING}\nnamespaces: [{one}]")).unwrap();
    let config = all.iter().find_map(|map| map["data"]["podbell.yaml"].as_str().map(documents)).unwrap();
    assert_eq!(config[0]["sources"][0]["namespaces"], json!([one]));
    // Another cluster's namespaces are its own.
    assert_eq!(config[0]["sources"][1]["namespaces"], Value::Null);
    let account =
        |kind: &str, place: &str| all.iter().find(|object| object["kind"] == kind).unwrap().pointer(place).cloned();
    let name = json!("teller");
    assert_eq!(account("RoleBinding", "/subjects/0/name"), Some(name.clone()));
    assert_eq!(account("StatefulSet", "/spec/template/spec/serviceAccountName"), Some(name));
}

/// A store that several replicas use.
const SHARED: &str = "config: {store: 'postgres://podbell@db.example.com/podbell'}";

/// The server of the tests is older than policy/v1.
fn of_its_time(object: &Value) -> Value {
    let mut object = object.clone();
    if object["kind"] == "PodDisruptionBudget" {
        object["apiVersion"] = json!("policy/v1beta1");
    }
    object
}

#[tokio::test]
async fn with_postgresql_there_are_two_replicas_without_a_volume_and_a_budget_for_draining_nodes() {
    let admin = server().await.admin();
    let all = rendered(SHARED).unwrap();
    let ids: Vec<String> = all.iter().map(id).collect();
    assert_eq!(all.len(), 10, "{ids:?}");
    assert!(!ids.iter().any(|id| id.starts_with("StatefulSet")), "{ids:?}");
    for object in &all {
        accepted(&admin, &of_its_time(object)).await;
    }
    let of_kind = |kind: &str| all.iter().find(|object| object["kind"] == kind).unwrap();
    let deployment = of_kind("Deployment");
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"], json!({"maxSurge": 1, "maxUnavailable": 0}));
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["topologySpreadConstraints"][0]["topologyKey"], "kubernetes.io/hostname");
    let mounted = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    assert!(mounted.iter().all(|mount| mount["mountPath"] != "/var/lib/podbell"), "{mounted:?}");
    assert_eq!(of_kind("PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
    assert!(of_kind("NetworkPolicy")["spec"]["egress"].to_string().contains("5432"));
    let secret = rendered("config: {store: {file: /run/secrets/podbell/uri}}").unwrap();
    assert_eq!(secret.iter().map(id).collect::<Vec<_>>(), ids);
    // One replica could only block the draining of its node.
    let one = rendered(&format!("{SHARED}\nreplicas: 1")).unwrap();
    assert!(one.iter().all(|object| object["kind"] != "PodDisruptionBudget"));
}

#[tokio::test]
async fn the_folder_for_several_replicas_says_what_the_chart_says() {
    let server = server().await;
    let output = Command::new(kubectl()).current_dir(root()).args(["kustomize", "deploy/kubernetes-replicas"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", printed(&output));
    let mut folder = documents(&String::from_utf8(output.stdout).unwrap());
    // This kubectl leaves an empty object where one was deleted; those that know policy/v1 do not.
    folder.retain(|object| *object != json!({}));
    for object in folder.iter().filter(|object| object["kind"] != "Namespace") {
        accepted(&server.admin(), &of_its_time(object)).await;
    }
    let by_id = |all: &[Value]| -> BTreeMap<String, Value> {
        all.iter().filter(|one| one["kind"] != "Namespace").map(|one| (id(one), plain(one))).collect()
    };
    let folder = by_id(&folder);
    let address = folder["ConfigMap podbell"]["data"]["podbell.yaml"][0]["store"].as_str().unwrap().to_owned();
    let mut chart = by_id(&rendered(&format!("config: {{store: '{address}'}}")).unwrap());
    let annotations = chart.get_mut("Deployment podbell").unwrap().pointer_mut("/spec/template/metadata").unwrap();
    annotations.as_object_mut().unwrap().remove("annotations");
    assert_eq!(chart.keys().collect::<Vec<_>>(), folder.keys().collect::<Vec<_>>());
    for (id, object) in &chart {
        assert_eq!(object, &folder[id], "{id}");
    }
}

#[test]
fn values_that_the_chart_does_not_know_are_refused() {
    for (values, word) in [
        ("replica: 2", "replica"),
        ("replicas: 0", "replicas"),
        ("image: {repo: x}", "repo"),
        ("persistence: {size: 10}", "size"),
        ("service: {port: 0}", "port"),
        ("config: {sources: []}", "sources"),
        ("namespaces: [Shop]", "namespaces"),
    ] {
        let wrong = rendered(values).expect_err(values);
        assert!(wrong.contains(word), "{values}: {wrong}");
    }
}

/// Without what only a chart writes, and with podbell.yaml read.
fn plain(object: &Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(fields) => {
                for key in ["app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"] {
                    fields.remove(key);
                }
                fields.remove("helm.sh/chart");
                fields.remove("checksum/config");
                fields.values_mut().for_each(walk);
                fields.retain(|key, value| key != "annotations" || *value != json!({}));
            }
            _ => {}
        }
    }
    let mut object = object.clone();
    walk(&mut object);
    if let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) {
        for text in data.values_mut() {
            *text = json!(documents(text.as_str().unwrap()));
        }
    }
    object
}

#[test]
fn the_chart_and_the_manifests_say_the_same() {
    let by_id = |all: Vec<Value>| -> BTreeMap<String, Value> {
        all.iter().filter(|one| one["kind"] != "Namespace").map(|one| (id(one), plain(one))).collect()
    };
    let with = "serviceMonitor: {enabled: true}\nprometheusRule: {enabled: true}\nsecret: {create: true, values: {slack-url: 'https://hooks.slack.com/services/REPLACE/THIS/URL'}}";
    let mut chart = by_id(rendered(with).unwrap());
    let annotations = chart.get_mut("StatefulSet podbell").unwrap().pointer_mut("/spec/template/metadata").unwrap();
    annotations.as_object_mut().unwrap().remove("annotations");
    let manifests = by_id(
        names("")
            .iter()
            .map(String::as_str)
            .chain(["optional/secret.yaml", "optional/servicemonitor.yaml", "optional/prometheusrule.yaml"])
            .flat_map(file)
            .collect(),
    );
    assert_eq!(chart.keys().collect::<Vec<_>>(), manifests.keys().collect::<Vec<_>>());
    for (id, object) in &chart {
        assert_eq!(object, &manifests[id], "{id}");
    }
    // The roles for a few namespaces allow what the one for all of them does,
    // but for nodes and namespaces, which are in no namespace.
    let all = file("clusterrole.yaml")[0]["rules"].as_array().unwrap().clone();
    let of_the_cluster = [json!(["nodes"]), json!(["namespaces"])];
    let in_namespaces: Vec<Value> =
        all.into_iter().filter(|rule| !of_the_cluster.contains(&rule["resources"])).collect();
    assert_eq!(file("optional/role.yaml")[0]["rules"], json!(in_namespaces));
    let some = rendered("namespaces: [shop]").unwrap();
    let role = some.iter().find(|object| object["kind"] == "Role").unwrap();
    assert_eq!(role["rules"], json!(in_namespaces));
}

#[test]
fn the_pod_is_as_safe_as_the_strictest_profile_asks() {
    let set = file("statefulset.yaml").remove(0);
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
    for key in ["startupProbe", "readinessProbe", "livenessProbe", "resources"] {
        assert!(container[key].is_object(), "{key}");
    }
    // A node that is short of disk or memory throws out first what asked for nothing and matters least.
    assert!(container["resources"]["requests"]["ephemeral-storage"].is_string());
    assert!(container["resources"]["limits"]["ephemeral-storage"].is_null(), "no limit of its own to run into");
    let class = file("priorityclass.yaml").remove(0);
    assert_eq!(pod["priorityClassName"], class["metadata"]["name"]);
    assert!(class["value"].as_i64().unwrap() > 0 && class["preemptionPolicy"] == "Never");
    // Rules that come by subPath would never change in a running pod.
    assert!(container["volumeMounts"].as_array().unwrap().iter().all(|mount| mount.get("subPath").is_none()));
    // What podbell writes to is a volume; all other mounts are not written to.
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"] == true, mount["name"] != "store", "{mount}");
    }
    assert_eq!(pod["volumes"][2]["secret"]["defaultMode"], 0o440);
    let image = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    assert!(image.contains("USER 10001:10001"), "the user is the image's");
    assert!(image.contains("COPY rules /usr/share/podbell/rules"), "the rules are where podbell.yaml looks");
}

#[tokio::test]
async fn what_the_config_maps_hold_is_good_for_podbell() {
    let folder = tempfile::tempdir().unwrap();
    let rules = root().join("rules").display().to_string();
    for (which, all) in [
        ("manifests", [file("config.yaml"), file("rules.yaml")].concat()),
        ("chart", rendered("{}").unwrap()),
        ("chart, a few namespaces", rendered("namespaces: [shop, pay]").unwrap()),
    ] {
        let here = folder.path().join(which);
        std::fs::create_dir_all(here.join("podbell.d")).unwrap();
        for (name, text) in all.iter().filter_map(|map| map["data"].as_object()).flatten() {
            let text = text.as_str().unwrap().replace("/usr/share/podbell/rules", &rules);
            let text = text.replace("/etc/podbell.d", &here.join("podbell.d").display().to_string());
            let place = if name == "podbell.yaml" { here.join(name) } else { here.join("podbell.d").join(name) };
            std::fs::write(place, text).unwrap();
        }
        let checked = output(podbell(&here, &["check"])).await;
        let said = printed(&checked);
        assert!(checked.status.success() && said.contains("all good"), "{which}: {said}");
    }
}

/// What podbell is allowed to do, and how it fares.
struct Variant {
    /// The right that it does not have.
    without: Option<(String, String)>,
    site: Site,
    running: Running,
}

impl Variant {
    /// Service, object and reason of what was read.
    fn read(&self, namespace: &str) -> Vec<String> {
        self.site.rows(&format!(
            "SELECT t.service, s.obj_name, s.reason FROM series s JOIN target t ON t.id = s.target WHERE t.namespace = '{namespace}'"
        ))
    }

    fn may(&self, resource: &str, verb: &str) -> bool {
        self.without.as_ref().is_none_or(|(other, denied)| other != resource || denied != verb)
    }

    /// Whether the incident about the pods of an ailing workload is open.
    fn is_open(&self, resource: &str) -> Option<bool> {
        let sql = format!("SELECT phase FROM incident WHERE workload = 'ail-{resource}'");
        self.site.rows(&sql).first().map(|phase| phase == "open")
    }

    /// Whether an event brought a label that only an object of this resource has.
    fn sees_label(&self, when: &str, resource: &str) -> bool {
        let sql = format!("SELECT id FROM incident WHERE rule_name = '{when}-{resource}'");
        !self.site.rows(&sql).is_empty()
    }

    fn says(&self) -> String {
        format!("without {:?}:\n{}", self.without, self.running.process.stderr())
    }
}

/// Every single right of these rules.
fn rights(rules: &Value) -> Vec<(String, String, String)> {
    let words = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut all = Vec::new();
    for rule in rules.as_array().unwrap() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                all.extend(words(&rule["verbs"]).into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    all
}

/// An account with these rights, and nothing else, as soon as the server knows so: its token.
async fn account(admin: &Admin, ns: &str, name: &str, rights: &[(String, String, String)], everywhere: bool) -> String {
    let (kind, prefix) =
        if everywhere { ("ClusterRole", String::new()) } else { ("Role", format!("namespaces/{ns}/")) };
    let accounts = format!("/api/v1/namespaces/{ns}/serviceaccounts");
    admin.post(&accounts, &json!({"metadata": {"name": name}})).await;
    let rules: Vec<Value> = rights
        .iter()
        .map(|(group, resource, verb)| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]}))
        .collect();
    let place = format!("/apis/rbac.authorization.k8s.io/v1/{prefix}{}", kind.to_lowercase());
    let role = format!("{ns}-{name}");
    admin.post(&format!("{place}s"), &json!({"metadata": {"name": role}, "rules": rules})).await;
    let binding = json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": ns}],
    });
    admin.post(&format!("{place}bindings"), &binding).await;
    let asked = json!({"spec": {"expirationSeconds": 3600}});
    let token =
        admin.post(&format!("{accounts}/{name}/token"), &asked).await["status"]["token"].as_str().unwrap().to_owned();
    let known = async {
        let mut turns = tokio::time::interval(std::time::Duration::from_millis(50));
        for (group, resource, verb) in rights {
            let mut wanted = json!({"group": group, "resource": resource, "verb": verb});
            if !everywhere {
                wanted["namespace"] = json!(ns);
            }
            let question = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": wanted}});
            let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
            while admin.ask_as(&token, "application/json", Method::POST, path, Some(&question)).await.1["status"]["allowed"]
                != true
            {
                turns.tick().await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, known).await.expect("the server knows the account's rights");
    token
}

/// Four pods, each of which belongs to a service in another way.
async fn workloads(admin: &Admin, ns: &str, when: &str) {
    let owned = |kind: &str, name: &str| json!([{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true}]);
    let template = |policy: &str| json!({"metadata": {"labels": {"x": when}}, "spec": {"restartPolicy": policy, "containers": [{"name": "a", "image": "none"}]}});
    let set = json!({
        "metadata": {"name": format!("{when}-rs"), "namespace": ns, "ownerReferences": owned("Deployment", &format!("{when}-by-set"))},
        "spec": {"selector": {"matchLabels": {"x": when}}, "template": template("Always")},
    });
    admin.post(&format!("/apis/apps/v1/namespaces/{ns}/replicasets"), &set).await;
    let job = json!({
        "metadata": {"name": format!("{when}-jb"), "namespace": ns, "ownerReferences": owned("CronJob", &format!("{when}-by-job"))},
        "spec": {"template": template("Never")},
    });
    admin.post(&format!("/apis/batch/v1/namespaces/{ns}/jobs"), &job).await;
    let service = json!({"metadata": {"name": format!("{when}-by-selector")}, "spec": {"selector": {"tier": when}, "ports": [{"port": 80}]}});
    admin.post(&format!("/api/v1/namespaces/{ns}/services"), &service).await;
    let pods = format!("/api/v1/namespaces/{ns}/pods");
    let name = |what: &str| format!("{when}-{what}");
    admin.post(&pods, &pod(ns, &name("labelled"), json!({"app": name("by-label")}), None)).await;
    admin.post(&pods, &pod(ns, &name("scaled"), json!({}), Some(("ReplicaSet", &name("rs"))))).await;
    admin.post(&pods, &pod(ns, &name("batched"), json!({}), Some(("Job", &name("jb"))))).await;
    admin.post(&pods, &pod(ns, &name("selected"), json!({"tier": when}), None)).await;
}

/// What each right is for: the pod whose event is attributed by it, and to what.
const ATTRIBUTED: [(&str, &str, &str); 4] = [
    ("pods", "labelled", "by-label"),
    ("replicasets", "scaled", "by-set"),
    ("jobs", "batched", "by-job"),
    ("services", "selected", "by-selector"),
];

/// Workloads that are not ready, since no controller runs: their resource, kind, and a pod that has trouble.
const AILING: [(&str, &str, &str); 3] = [
    ("deployments", "Deployment", "ail-deployments-6d4cf56db6-x2x7v"),
    ("statefulsets", "StatefulSet", "ail-statefulsets-0"),
    ("daemonsets", "DaemonSet", "ail-daemonsets-x2x7v"),
];

async fn ailing(admin: &Admin, ns: &str) {
    for (resource, kind, pod) in AILING {
        let labels = json!({"x": resource});
        let template =
            json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "none"}]}});
        let mut spec = json!({"selector": {"matchLabels": labels}, "template": template});
        if kind == "StatefulSet" {
            spec["serviceName"] = json!("none");
        }
        let workload = json!({"metadata": {"name": format!("ail-{resource}"), "namespace": ns}, "spec": spec});
        admin.post(&format!("/apis/apps/v1/namespaces/{ns}/{resource}"), &workload).await;
        admin.event(&event(ns, pod, "Ailing", 1, &ago(0), &ago(0))).await;
    }
}

/// Which of what is read for its labels this server has: its `batch/v1` had no cron jobs before 1.21.
async fn labelled(admin: &Admin, ns: &str, everywhere: bool) -> Vec<&'static str> {
    let (status, _) = admin.ask(Method::GET, &format!("/apis/batch/v1/namespaces/{ns}/cronjobs"), None).await;
    let cron_jobs = status.is_success().then_some("cronjobs");
    cron_jobs.into_iter().chain(everywhere.then_some("namespaces")).collect()
}

/// A rule for each of them, for what is read in a list and for what comes by a watch. Other tests have other labels.
fn rules_by_label(ns: &str, labelled: &[&str]) -> String {
    let rules = labelled.iter().flat_map(|resource| {
        [("early", "Early"), ("late", "Late*")].map(|(when, reason)| {
            format!(
                "  - {{name: {when}-{resource}, match: {{reason: \"{reason}\", \"label:{ns}-{when}-{resource}\": x}}, group_by: [namespace], notify: [labels]}}\n"
            )
        })
    });
    rules.collect()
}

/// Labels the namespace and, where there are any, a cron job, and nothing else.
async fn label(admin: &Admin, ns: &str, labelled: &[&str], when: &str) {
    let path = format!("/api/v1/namespaces/{ns}");
    let (_, mut namespace) = admin.ask(Method::GET, &path, None).await;
    namespace["metadata"]["labels"][format!("{ns}-{when}-namespaces")] = json!("x");
    admin.put(&path, &namespace).await;
    if !labelled.contains(&"cronjobs") {
        return;
    }
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "none"}]});
    let job = json!({
        "metadata": {"name": format!("{when}-by-job"), "namespace": ns, "labels": {format!("{ns}-{when}-cronjobs"): "x"}},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    });
    admin.post(&format!("/apis/batch/v1/namespaces/{ns}/cronjobs"), &job).await;
}

/// A node that is not ready.
async fn node(admin: &Admin, name: &str) {
    admin.post("/api/v1/nodes", &json!({"metadata": {"name": name}})).await;
    let condition = json!({"type": "Ready", "status": "False", "message": "m", "lastHeartbeatTime": ago(0), "lastTransitionTime": ago(0)});
    admin.status(&format!("/api/v1/nodes/{name}"), json!({"conditions": [condition]})).await;
}

/// An autoscaler that works.
async fn autoscaler(admin: &Admin, ns: &str, when: &str) {
    let path = format!("/apis/autoscaling/v1/namespaces/{ns}/horizontalpodautoscalers");
    let of = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"});
    let name = format!("{when}-scaler");
    let object = json!({"metadata": {"name": name}, "spec": {"maxReplicas": 3, "scaleTargetRef": of}});
    admin.post(&path, &object).await;
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": ago(0), "reason": "R", "message": "m"});
    let conditions = json!([condition("AbleToScale"), condition("ScalingActive")]).to_string();
    let (_, mut object) = admin.ask(Method::GET, &format!("{path}/{name}"), None).await;
    object["metadata"]["annotations"] = json!({"autoscaling.alpha.kubernetes.io/conditions": conditions});
    admin.put(&format!("{path}/{name}/status"), &object).await;
}

/// Whoever may see autoscalers hears that they work; whoever may not, hears the rest.
async fn autoscalers_are_heard_by_whoever_may_see_them(variants: &[Variant], ns: &str) {
    for variant in variants.iter().filter(|one| one.may("events", "list") && one.may("events", "watch")) {
        let sees = |when: &str| {
            let works = format!("{when}-scaler {when}-scaler ScalingActive");
            variant.read(ns).contains(&works)
        };
        match &variant.without {
            Some((resource, verb)) if resource == "horizontalpodautoscalers" => {
                assert!(!sees("late") && (verb == "watch" || !sees("early")), "{}", variant.says());
            }
            _ => {
                eventually(PATIENCE, "both autoscalers are heard", || (sees("early") && sees("late")).then_some(()))
                    .await;
            }
        }
    }
}

/// Whoever may see nodes hears what they say of themselves; whoever may not, hears the rest.
async fn nodes_are_heard_by_whoever_may_see_them(variants: &[Variant], early: &str, late: &str) {
    for variant in variants.iter().filter(|one| one.may("events", "list") && one.may("events", "watch")) {
        let sees = |name: &str| variant.read("").contains(&format!("node/{name} {name} NodeNotReady"));
        match &variant.without {
            Some((resource, verb)) if resource == "nodes" => {
                assert!(!sees(late) && (verb == "watch" || !sees(early)), "{}", variant.says());
            }
            _ => eventually(PATIENCE, "both nodes are heard", || (sees(early) && sees(late)).then_some(())).await,
        }
    }
}

/// Whoever may see cron jobs and namespaces knows their labels; whoever may not, hears the same events without.
async fn labels_are_seen_by_whoever_may_see_them(variants: &[Variant], labelled: &[&str]) {
    for resource in labelled {
        for variant in variants {
            let early = variant.sees_label("early", resource);
            match &variant.without {
                None => assert!(early && variant.sees_label("late", resource), "{resource} {}", variant.says()),
                Some((denied, verb)) if denied == resource => {
                    assert!(!variant.sees_label("late", resource), "{resource} {}", variant.says());
                    assert_eq!(early, verb == "watch", "{resource} {}", variant.says());
                }
                Some(_) => {}
            }
        }
    }
}

async fn events(admin: &Admin, ns: &str, when: &str, reason: &str) {
    for (_, pod, _) in ATTRIBUTED {
        admin.event(&event(ns, &format!("{when}-{pod}"), reason, 1, &ago(0), &ago(0))).await;
    }
}

/// With all rights everything works; without any one of them, something does not.
async fn each_right_is_needed(rules: &Value, everywhere: bool) {
    let server = ApiServer::shared().await;
    let (admin, ns) = (server.admin(), server.namespace().await);
    let labelled = labelled(&admin, &ns, everywhere).await;
    label(&admin, &ns, &labelled, "early").await;
    workloads(&admin, &ns, "early").await;
    events(&admin, &ns, "early", "Early").await;
    ailing(&admin, &ns).await;
    let (early, late) = (format!("early-{ns}"), format!("late-{ns}"));
    node(&admin, &early).await;
    autoscaler(&admin, &ns, "early").await;
    let receiver = Receiver::start().await;
    let mut all = rights(rules);
    // What the server does not have, nobody needs a right for.
    all.retain(|(_, resource, _)| resource != "cronjobs" || labelled.contains(&"cronjobs"));
    let mut variants = Vec::new();
    // Events end nothing sooner than health does.
    let rules_text = QUICK_RULES.replace(", until: silence", ", recovered_after: 1s") + &rules_by_label(&ns, &labelled);
    for number in 0..=all.len() {
        let mut left = all.clone();
        // The last one keeps all of them.
        let without = (number < all.len()).then(|| left.remove(number)).map(|(_, resource, verb)| (resource, verb));
        let token = account(&admin, &ns, &format!("v{number}"), &left, everywhere).await;
        let namespaces = if everywhere { String::new() } else { format!(", namespaces: [{ns}]") };
        let config = format!(
            "sources: [{{name: prod, kind: kubernetes, kubeconfig: kubeconfig, cluster: c, watch_for: 5s{namespaces}}}]
notifiers: [{{name: labels, kind: console}}, {{name: audit, kind: webhook, url: \"{}\", secret: \"{WEBHOOK_SECRET}\"}}]
rules: [rules.yaml]
store: sqlite:podbell.db
server: {{listen: \"127.0.0.1:0\"}}
",
            receiver.url(&format!("/{number}"))
        );
        let kubeconfig = server.kubeconfig(&token);
        let files = [("podbell.yaml", &*config), ("rules.yaml", &*rules_text), ("kubeconfig", &*kubeconfig)];
        let site = Site::new(&files);
        let running = site.run().await;
        variants.push(Variant { without, site, running });
    }
    let count = |variant: &Variant, reason: &str| {
        variant.read(&ns).iter().filter(|row| row.ends_with(&format!(" {reason}"))).count()
    };
    let whoever_may = |verbs: &[&str], reason: &str| {
        let mut those = variants.iter().filter(|one| verbs.iter().all(|verb| one.may("events", verb)));
        those.all(|variant| count(variant, reason) == ATTRIBUTED.len()).then_some(())
    };
    eventually(PATIENCE, "early events are read", || whoever_may(&["list"], "Early")).await;
    label(&admin, &ns, &labelled, "late").await;
    workloads(&admin, &ns, "late").await;
    node(&admin, &late).await;
    autoscaler(&admin, &ns, "late").await;
    let complete = variants.last().unwrap();
    let row = |when: &str, pod: &str, service: &str, reason: &str| format!("{when}-{service} {when}-{pod} {reason}");
    let has = |variant: &Variant, wanted: &str| variant.read(&ns).iter().any(|row| row == wanted);
    // An event may overtake its pod's own watch, and keeps the service that it was given first: so there are several.
    let mut rounds = Vec::new();
    loop {
        rounds.push(format!("Late{}", rounds.len()));
        let reason = rounds.last().unwrap();
        events(&admin, &ns, "late", reason).await;
        eventually(PATIENCE, "late events are read", || whoever_may(&["list", "watch"], reason)).await;
        if ATTRIBUTED.iter().all(|(_, pod, service)| has(complete, &row("late", pod, service, reason)))
            && labelled.iter().all(|resource| complete.sees_label("late", resource))
        {
            break;
        }
        assert!(rounds.len() < 20, "{:?}\n{}", complete.read(&ns), complete.says());
    }
    let newest = rounds.last().unwrap();
    for variant in &variants {
        for (resource, pod, service) in ATTRIBUTED {
            let early = has(variant, &row("early", pod, service, "Early"));
            let late = rounds.iter().any(|reason| has(variant, &row("late", pod, service, reason)));
            match &variant.without {
                None => assert!(early && late, "{:?}\n{}", variant.read(&ns), variant.says()),
                Some((denied, verb)) if denied == resource && verb == "list" => assert!(!early, "{}", variant.says()),
                Some((denied, verb)) if denied == resource && verb == "watch" => assert!(!late, "{}", variant.says()),
                // Whatever hangs on pods or events goes with them; the rest works on.
                Some((denied, _)) if denied == "pods" || denied == "events" => {}
                Some(_) => assert!(early, "{pod}: {:?}\n{}", variant.read(&ns), variant.says()),
            }
        }
        match variant.without.as_ref().map(|(resource, verb)| (resource.as_str(), verb.as_str())) {
            Some(("events", "list")) => assert!(variant.read(&ns).is_empty(), "{}", variant.says()),
            Some(("events", "watch")) => assert_eq!(count(variant, newest), 0, "{}", variant.says()),
            // A right that this table does not know would be one that nothing needs.
            Some((resource, "list" | "watch")) => {
                let others = labelled.iter().copied().chain(["nodes", "horizontalpodautoscalers"]);
                let known = ATTRIBUTED.iter().chain(&AILING).map(|(known, ..)| *known).chain(others);
                assert!(known.into_iter().any(|known| known == resource), "{resource}")
            }
            Some(other) => panic!("nothing needs {other:?}"),
            None => {}
        }
        // Whoever lacks something says what.
        if let Some((resource, _)) = &variant.without {
            eventually(PATIENCE, "it is said", || {
                let log = variant.running.process.stderr();
                log.lines().any(|line| line.contains("http-403") && line.contains(resource)).then_some(())
            })
            .await;
        }
    }
    labels_are_seen_by_whoever_may_see_them(&variants, &labelled).await;
    autoscalers_are_heard_by_whoever_may_see_them(&variants, &ns).await;
    if everywhere {
        nodes_are_heard_by_whoever_may_see_them(&variants, &early, &late).await;
    }
    // What is not seen to be ill ends when its events stop; what is seen does not.
    for (variant, denied) in variants.iter().filter_map(|one| Some((one, one.without.as_ref()?.0.as_str()))) {
        if AILING.iter().any(|(resource, ..)| *resource == denied) {
            eventually(PATIENCE, "it ends by silence", || (variant.is_open(denied) == Some(false)).then_some(())).await;
        }
    }
    for variant in variants.iter().filter(|one| one.may("events", "list") && one.may("events", "watch")) {
        for (resource, ..) in AILING.iter().filter(|(one, ..)| variant.may(one, "list") && variant.may(one, "watch")) {
            assert_eq!(variant.is_open(resource), Some(true), "{resource} {}", variant.says());
        }
    }
    // Told, with the service that labels say; and after a restart, what was written meanwhile.
    let number = all.len();
    let told = |service: &str| {
        let mine =
            receiver.received().into_iter().filter(|request| request.uri.to_string().ends_with(&format!("/{number}")));
        mine.into_iter().any(|request| request.json()["data"].to_string().contains(service)).then_some(())
    };
    eventually(PATIENCE, "told", || told("late-by-label")).await;
    let Variant { site, mut running, .. } = variants.pop().unwrap();
    drop(variants);
    assert!(running.process.stop().await.success(), "{}", running.process.stderr());
    events(&admin, &ns, "late", "Meanwhile").await;
    let again = Variant { without: None, running: site.run().await, site };
    let wanted = row("late", "scaled", "by-set", "Meanwhile");
    eventually(PATIENCE, "what happened meanwhile", || has(&again, &wanted).then_some(())).await;
}

#[tokio::test]
async fn in_all_namespaces_podbell_needs_every_right_of_the_cluster_role_and_no_other() {
    each_right_is_needed(&file("clusterrole.yaml")[0]["rules"], true).await;
}

#[tokio::test]
async fn in_some_namespaces_podbell_needs_every_right_of_the_role_and_no_other() {
    each_right_is_needed(&file("optional/role.yaml")[0]["rules"], false).await;
}

#[test]
fn the_unit_of_systemd_is_understood_and_confined() {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(root().join("deploy/systemd/podbell.service")).unwrap();
    // The program that it starts is not installed here.
    let unit = unit.replace("/usr/local/bin/podbell", env!("CARGO_BIN_EXE_podbell"));
    std::fs::write(folder.path().join("podbell.service"), unit).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(args)
            .arg(Path::new("./podbell.service"))
            .current_dir(folder.path())
            .output();
        let output = output.expect("systemd-analyze is there, see scripts/test");
        (output.status.success(), printed(&output))
    };
    let (good, said) = analyze(&["verify", "--man=no"]);
    assert!(good && !said.contains("podbell.service"), "{said}");
    // Its own measure: 0 is safe, 10 is not. Of network and files, podbell needs some.
    let (good, said) = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
    assert!(good, "{said}");
}
