//! podbell in a real cluster (`scripts/cluster`), with every kind of trouble made and mended. `live.rs` does that, as
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
        "Completed of report-",
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

/// What podbell itself lives through. Neither is anything to tell, but what happens meanwhile is.
const RESTARTS: [Expected; 2] = [
    expected("podbell", "pay/refund", "refund:v2: not found", "kubectl -n pay describe pod refund-", RECOVERED),
    expected("apiserver", "pay/payout", "payout:v2: not found", "kubectl -n pay describe pod payout-", RECOVERED),
];

/// Both nodes stop at once, with everything on them, and are one incident.
const NODES: [Expected; 2] = [
    expected("hollow-node", "/node-2", "NodeNotReady", "kubectl ", "NodeReady of node-"),
    expected("node", "/node-1", "NodeNotReady", "kubectl ", "NodeReady of node-"),
];

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
