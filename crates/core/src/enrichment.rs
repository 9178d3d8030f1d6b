//! What a person would look up next: the state of the pod that an incident is about, and the last lines of its log. A source
//! is asked once when an incident opens; the answer may come too late or never, and no notice waits for it.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time::Time;

/// Asks a source about a pod whose incident has just opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodQuestion {
    /// The incident's number.
    pub incident: u64,
    /// The source's name.
    pub source: Arc<str>,
    /// The pod's namespace.
    pub namespace: Arc<str>,
    /// The pod's name.
    pub pod: String,
}

/// How a pod is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodState {
    /// Its name.
    pub pod: String,
    /// Its node; empty if it has none.
    pub node: String,
    /// Its phase, such as `Running`.
    pub phase: String,
    /// Its containers and init containers that are neither ready nor completed, or have restarted; a few at most.
    pub containers: Vec<ContainerState>,
    /// The last lines of a container's log, secrets masked.
    #[serde(default)]
    pub log: Option<ContainerLog>,
}

/// How a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerState {
    /// Its name.
    pub name: String,
    /// What it waits for, such as `CrashLoopBackOff`; empty if it does not wait.
    pub waiting: String,
    /// How often it was started again.
    pub restarts: u64,
    /// Its last end.
    pub ended: Option<ContainerEnd>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerEnd {
    /// Such as `OOMKilled` or `Error`.
    pub reason: String,
    /// Its exit code.
    pub exit_code: i64,
    /// When.
    pub at: Time,
}

/// The last lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerLog {
    /// The container's name.
    pub container: String,
    /// Whether the lines are of the container's previous run, as with `kubectl logs --previous`.
    pub previous: bool,
    /// The lines.
    pub text: String,
}
