//! podbell in a real cluster (`scripts/cluster`), with every trouble but a full disk made and mended. `live.rs` does that, as
//! `scripts/test --cluster` and CI run it; `replay.rs` plays the recording of such a run in seconds. Both hold what was told
//! against the same table. `walk.rs` walks through the pages about deployments there.

#[cfg(feature = "outside")]
mod document;
#[cfg(feature = "outside")]
mod install;
#[cfg(feature = "outside")]
mod live;
mod replay;
mod rows;
#[cfg(feature = "outside")]
mod walk;

use std::path::PathBuf;

/// A trouble of `scripts/cluster.d/troubles`, and what must be told of it.
struct Expected {
    name: &'static str,
    /// The workload, or node, that it hits.
    place: &'static str,
    /// What one of its messages must say.
    words: &'static str,
    /// How the command of its first message must begin.
    command: &'static str,
    /// What the message of its end must say.
    end: &'static str,
}

#[cfg(feature = "outside")]
impl Expected {
    /// Whether a message about this place may be about it. Nodes are told in one message.
    fn expected_at(&self, place: &str) -> bool {
        let nodes = self.place.starts_with('/') && place.starts_with('/');
        place == self.place || (nodes && place.split(", ").all(|one| one.trim_start_matches('/').starts_with("node-")))
    }
}

/// Its pods are ready again.
const RECOVERED: &str = "Recovered, ";

const fn expected(
    name: &'static str,
    place: &'static str,
    words: &'static str,
    command: &'static str,
    end: &'static str,
) -> Expected {
    Expected { name, place, words, command, end }
}

/// The troubles of workloads, in the order in which they are made.
const WORKLOADS: [Expected; 15] = [
    expected("liveness", "shop/checkout", "Liveness probe failed", "kubectl -n shop logs checkout-", RECOVERED),
    expected("readiness", "shop/search", "Readiness probe failed", "kubectl -n shop logs search-", RECOVERED),
    expected("image", "shop/cart", "cart:v5: not found", "kubectl -n shop describe pod cart-", RECOVERED),
    expected("crash", "pay/api", "Container api ended with exit code 1", "kubectl -n pay logs api-", RECOVERED),
    expected(
        "oom",
        "data/reporter",
        "memory limit of 32Mi (exit code 137)",
        "kubectl -n data describe pod reporter-",
        RECOVERED,
    ),
    expected(
        "configmap",
        "pay/ledger",
        "configmap \"ledger\" not found",
        "kubectl -n pay describe pod ledger-",
        RECOVERED,
    ),
    expected("secret", "pay/vault", "secret \"vault-key\" not found", "kubectl -n pay describe pod vault-", RECOVERED),
    expected("claim", "data/db", "unbound immediate PersistentVolumeClaims", "kubectl -n data get pvc", RECOVERED),
    expected("unschedulable", "data/train", "Insufficient cpu", "kubectl describe nodes", RECOVERED),
    expected("quota", "team-a/worker", "exceeded quota: few", "kubectl -n team-a describe resourcequota", RECOVERED),
    expected(
        "cronjob",
        "batch/report",
        "Job has reached the specified backoff limit",
        "kubectl -n batch logs job/report-",
        // `Completed` of a run, or `SawCompletedJob` of the cron job, whichever comes first.
        "Completed",
    ),
    expected("command", "pay/invoice", "/usr/bin/invoiced", "kubectl -n pay ", RECOVERED),
    expected("autoscaler", "shop/offers", "unable to get metrics for resource cpu", "kubectl ", "offers was deleted"),
    expected("rollout", "shop/web", "RolloutStalled", "kubectl -n shop ", RECOVERED),
    expected(
        "evicted",
        "data/scratch",
        "ephemeral local storage",
        "kubectl -n data describe pod scratch-",
        " was deleted",
    ),
];

/// What podbell itself lives through. It tells nothing of its restart, but must tell what happens during it.
const RESTARTS: [Expected; 2] = [
    expected("podbell", "pay/refund", "refund:v2: not found", "kubectl -n pay describe pod refund-", RECOVERED),
    expected("apiserver", "pay/payout", "payout:v2: not found", "kubectl -n pay describe pod payout-", RECOVERED),
];

/// Both nodes stop at once, with everything on them, and are one incident.
const NODES: [Expected; 2] = [
    expected("hollow-node", "/node-2", "shop/cache (10 pods)", "kubectl describe node node-", "NodeReady of node-"),
    expected("node", "/node-1", "shop/web (3 pods)", "kubectl describe node node-", "NodeReady of node-"),
];

/// What is told beside them, by its place: what the provisioner says of `claim`. What the kubelet says of its node about `oom` is
/// accepted with whatever else is about nodes.
#[cfg(feature = "outside")]
const BESIDE: [&str; 1] = ["data/disk-db"];
/// The troubles that are not among those above: `disk` ends pods of all others.
#[cfg(feature = "outside")]
const LEFT_OUT: [&str; 1] = ["disk"];

/// The rules of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rules {
    /// Those that the image has.
    Shipped,
    /// No rule file: podbell's built-in ones.
    Builtin,
}

impl Rules {
    const ALL: [Self; 2] = [Self::Shipped, Self::Builtin];
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn all_expected() -> impl Iterator<Item = &'static Expected> {
    WORKLOADS.iter().chain(&RESTARTS).chain(&NODES)
}

#[cfg(feature = "outside")]
#[test]
fn every_trouble_that_can_be_made_is_expected_or_named_as_left_out() {
    let files = std::fs::read_dir(root().join("scripts/cluster.d/troubles")).unwrap();
    let made: std::collections::BTreeSet<String> =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let known = all_expected().map(|one| one.name).chain(LEFT_OUT).map(str::to_owned).collect();
    assert_eq!(made, known);
}
