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
    end: End,
}

/// How the end of a trouble is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its pods are ready again, which is told within minutes of the repair.
    Recovered,
    /// Its node is ready again.
    NodeReady,
    /// Not within minutes: a controller or the kubelet tries again only later, a cron job runs again, or its object was deleted.
    Later,
}

const fn expected(
    name: &'static str,
    place: &'static str,
    words: &'static str,
    command: &'static str,
    end: End,
) -> Expected {
    Expected { name, place, words, command, end }
}

/// The troubles of workloads, in the order in which they are made.
const WORKLOADS: [Expected; 15] = [
    expected("liveness", "shop/checkout", "Liveness probe failed", "kubectl -n shop logs checkout-", End::Recovered),
    expected("readiness", "shop/search", "Readiness probe failed", "kubectl -n shop logs search-", End::Recovered),
    expected("image", "shop/cart", "cart:v5: not found", "kubectl -n shop describe pod cart-", End::Recovered),
    expected("crash", "pay/api", "Container api ended with exit code 1", "kubectl -n pay logs api-", End::Recovered),
    expected(
        "oom",
        "data/reporter",
        "memory limit of 32Mi (exit code 137)",
        "kubectl -n data describe pod reporter-",
        End::Recovered,
    ),
    expected(
        "configmap",
        "pay/ledger",
        "configmap \"ledger\" not found",
        "kubectl -n pay describe pod ledger-",
        End::Recovered,
    ),
    // The kubelet mounts it up to two minutes after the repair.
    expected("secret", "pay/vault", "secret \"vault-key\" not found", "kubectl -n pay describe pod vault-", End::Later),
    expected("claim", "data/db", "unbound immediate PersistentVolumeClaims", "kubectl -n data get pvc", End::Later),
    expected("unschedulable", "data/train", "Insufficient cpu", "kubectl describe nodes", End::Recovered),
    expected(
        "quota",
        "team-a/worker",
        "exceeded quota: few",
        "kubectl -n team-a describe resourcequota",
        End::Recovered,
    ),
    // Its next run that completes.
    expected(
        "cronjob",
        "batch/report",
        "Job has reached the specified backoff limit",
        "kubectl -n batch logs job/report-",
        End::Later,
    ),
    expected("command", "pay/invoice", "/usr/bin/invoiced", "kubectl -n pay ", End::Recovered),
    // Deleted.
    expected("autoscaler", "shop/web", "unable to get metrics for resource cpu", "kubectl ", End::Later),
    expected("rollout", "shop/web", "RolloutStalled", "kubectl -n shop ", End::Recovered),
    // Deleted.
    expected("evicted", "data/scratch", "ephemeral local storage", "kubectl -n data describe pod scratch-", End::Later),
];

/// Both nodes stop at once, with everything on them, and are one incident.
const NODES: [Expected; 2] = [
    expected("hollow-node", "/node-2", "NodeNotReady", "kubectl ", End::NodeReady),
    expected("node", "/node-1", "NodeNotReady", "kubectl ", End::NodeReady),
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

    /// Without rules, an autoscaler's trouble and its workload's rollout are one incident, which ends when the later of them does.
    fn is_mixed(self, trouble: &str) -> bool {
        self == Self::Builtin && matches!(trouble, "rollout" | "autoscaler")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn all_expected() -> impl Iterator<Item = &'static Expected> {
    WORKLOADS.iter().chain(&NODES)
}
