//! podbell as people install it in a real cluster (`scripts/cluster`): its image, its manifests, and every kind of trouble
//! made and mended. `scripts/test --cluster` runs it inside of the cluster's network, and writes what was told, and when, to
//! `target/cluster`.

mod install;
mod report;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use podbell::clock;
use podbell_core::time::Time;
use serde_json::Value;

use crate::support::process::{Process, output, podbell, printed};
use crate::support::receiver::Receiver;
use report::{Played, Row};

/// Where the cluster's network reaches this test.
const ADDRESS: &str = "10.99.0.1:9000";
/// The troubles of workloads, each with the workload that it hits, in the order in which they are made.
const TROUBLES: [(&str, &str); 16] = [
    ("liveness", "shop/checkout"),
    ("readiness", "shop/search"),
    ("image", "shop/cart"),
    ("crash", "pay/api"),
    ("oom", "data/reporter"),
    ("configmap", "pay/ledger"),
    ("secret", "pay/vault"),
    ("claim", "data/db"),
    ("unschedulable", "data/train"),
    ("quota", "team-a/worker"),
    ("cronjob", "batch/report"),
    ("command", "pay/invoice"),
    ("autoscaler", "shop/web"),
    ("rollout", "shop/web"),
    ("evicted", "data/scratch"),
    ("hollow-node", "/node-2"),
];
/// What ends by the readiness of pods, within minutes of its repair. Of the others, a controller tries again only much
/// later, or nothing tells that they were deleted.
const END_BY_HEALTH: [&str; 9] =
    ["liveness", "readiness", "image", "crash", "oom", "configmap", "unschedulable", "command", "rollout"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A command of `scripts/cluster`; what it prints.
async fn cluster(args: &[&str]) -> String {
    let mut command = Command::new(root().join("scripts/cluster"));
    command.args(args);
    let done = output(command).await;
    assert!(done.status.success(), "{args:?}: {}", printed(&done));
    String::from_utf8(done.stdout).unwrap()
}

/// `podbell record` of the whole cluster, as its administrator.
fn recorder(folder: &Path) -> Process {
    let kubeconfig = std::env::var("KUBECONFIG").unwrap();
    let config = format!(
        "sources: [{{name: recorded, kind: kubernetes, cluster: prod, kubeconfig: \"{kubeconfig}\"}}]\n\
         notifiers: [{{name: none, kind: console}}]\nstore: 'sqlite:unused.db'\n"
    );
    std::fs::write(folder.join("podbell.yaml"), config).unwrap();
    Process::start(podbell(folder, &["record", "--out", "recording.jsonl"]))
}

/// Whether it comes true in time. Looks once a second: all messages are read for it, and the cluster needs the processor.
async fn in_time(seconds: u64, mut is_true: impl FnMut() -> bool) -> bool {
    let begun = clock::monotonic();
    let mut turns = tokio::time::interval(Duration::from_secs(1));
    while begun.elapsed() < Duration::from_secs(seconds) {
        turns.tick().await;
        if is_true() {
            return true;
        }
    }
    false
}

/// The two installations, and what they told.
struct Watchers {
    receiver: Receiver,
}

impl Watchers {
    /// What the installation of this path told so far.
    fn told(&self, path: &str) -> Vec<(Time, Value)> {
        let of_path = self.receiver.received().into_iter().filter(|one| one.uri.path() == path);
        of_path.map(|one| (one.at, one.json())).collect()
    }

    fn rows(&self, path: &str, played: &Played) -> Vec<Row> {
        report::rows(&self.told(path), played)
    }
}

/// Whether the end of what ends by health was told. Without rules, the rollout is one incident with the autoscaler of its
/// workload, which nothing ends but silence.
fn is_over(path: &str, row: &Row) -> bool {
    let mixed = path == "/builtin" && row.trouble == "rollout";
    mixed || row.ended_after.is_some() || !END_BY_HEALTH.contains(&row.trouble.as_str())
}

const PATHS: [&str; 2] = ["/shipped", "/builtin"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_trouble_of_a_real_cluster_is_told_by_a_pod_and_so_is_its_end() {
    let folder = root().join("target/cluster");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let watchers = Watchers { receiver: Receiver::at(ADDRESS).await };
    for (namespace, path) in [("podbell", "/shipped"), ("podbell-builtin", "/builtin")] {
        install::install(namespace, &format!("http://{ADDRESS}{path}")).await;
    }
    let recorder = recorder(&folder);
    // As in a cluster that has run for a while: what fresh pods do is noise for some minutes.
    let mut played = Played::default();
    for (name, place) in TROUBLES {
        played.make(name, place, clock::now());
        cluster(&["trouble", name]).await;
    }
    let all_told = || PATHS.iter().all(|path| watchers.rows(path, &played).iter().all(|row| row.told_after.is_some()));
    let told = in_time(480, all_told).await;

    // What was told once is not told again by a podbell that was killed, or whose API server was away.
    install::kill_all().await;
    cluster(&["trouble", "apiserver"]).await;
    cluster(&["mend", "apiserver"]).await;

    for (name, _) in TROUBLES {
        played.mend(name, clock::now());
        cluster(&["mend", name]).await;
    }
    let ended =
        in_time(540, || PATHS.iter().all(|path| watchers.rows(path, &played).iter().all(|row| is_over(path, row))))
            .await;

    // The node, with everything on it, podbell included: it tells of it when it is back.
    played.make("node", "/node-1", clock::now());
    cluster(&["trouble", "node"]).await;
    let node_told = in_time(300, || PATHS.iter().all(|path| report::told_of_node(&watchers.told(path)))).await;
    played.mend("node", clock::now());
    cluster(&["mend", "node"]).await;
    let over = |row: &Row| row.trouble != "node" || row.ended_after.is_some();
    // Nodes are one incident: what comes back must be quiet for twice as long.
    let node_over = in_time(720, || PATHS.iter().all(|path| watchers.rows(path, &played).iter().all(over))).await;

    drop(recorder);
    let rows: Vec<(&str, Vec<Row>)> = PATHS.iter().map(|path| (*path, watchers.rows(path, &played))).collect();
    let table = report::table(&rows);
    std::fs::write(folder.join("table.md"), &table).unwrap();
    std::fs::write(folder.join("trouble.tsv"), played.as_tsv()).unwrap();
    for path in PATHS {
        let lines: Vec<String> =
            watchers.told(path).iter().map(|(at, body)| format!("{} {body}", at.timestamp())).collect();
        std::fs::write(folder.join(format!("told{}.jsonl", path.replace('/', "-"))), lines.join("\n")).unwrap();
    }
    println!("{table}");
    assert!(told, "not everything was told:\n{table}");
    assert!(ended, "not every end was told:\n{table}");
    assert!(node_told && node_over, "the node:\n{table}");
    for (path, rows) in &rows {
        for row in rows {
            assert!(!row.ended_too_early, "{path} told the end of {} before its repair:\n{table}", row.trouble);
            assert!(!row.told_twice, "{path} told {} twice:\n{table}", row.trouble);
        }
        let oom = rows.iter().find(|row| row.trouble == "oom").unwrap();
        assert!(oom.words.contains("memory limit of 32Mi (exit code 137)"), "{path}: {oom:?}");
        let node = rows.iter().find(|row| row.trouble == "hollow-node").unwrap();
        assert!(node.messages_in_5_min <= 2, "{path}: {node:?}");
    }
    install::uninstall().await;
    // The recording says the same without a cluster.
    let replayed = report::backtest(&folder).await;
    for row in &rows[0].1 {
        let told = replayed["notices"].as_array().unwrap().iter().any(|notice| report::is_about(notice, row));
        assert!(told, "the recording does not tell {}: see {}", row.trouble, folder.display());
    }
}
