//! The health of workloads, as their controllers report it: how many pods are wanted, how many are ready.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{Event, Target};
use super::time::Time;

/// A kind of workload whose controller reports how many pods are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WorkloadKind {
    /// Pods without identity.
    Deployment,
    /// Pods with names of their own.
    StatefulSet,
    /// A pod a node.
    DaemonSet,
}

impl WorkloadKind {
    /// The name of the kind in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}

/// How a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Health {
    /// How many pods it should have.
    pub wanted: u32,
    /// How many of its pods are ready.
    pub ready: u32,
    /// Whether a rollout is under way: some pods are not of the newest template.
    pub rolling_out: bool,
}

/// The reason of the signal that no pod of a workload is ready.
pub const UNAVAILABLE: &str = "Unavailable";
/// The message of the signal [`UNAVAILABLE`].
pub const NO_POD_IS_READY: &str = "No pod is ready";
/// The reason of the signal that a rollout makes no progress.
pub const ROLLOUT_STALLED: &str = "RolloutStalled";

impl Health {
    /// Whether it is as it should be.
    pub fn is_whole(self) -> bool {
        self.ready >= self.wanted && !self.rolling_out
    }

    /// Whether a message that shows this health has already said what `event` says: no pod is ready, or a rollout goes on.
    pub(crate) fn says(self, event: &Event<'_>) -> bool {
        match event.reason.trim() {
            UNAVAILABLE => self.ready == 0,
            ROLLOUT_STALLED => self.rolling_out,
            _ => false,
        }
    }
}

/// What a source reports of a workload's health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// The target that the workload's events belong to.
    pub target: Target,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Arc<str>,
    /// How it is; `None`: it was deleted, or cannot be seen any more.
    pub health: Option<Health>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// What is known of the workloads of an incident, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Status {
    /// Some pods are missing, or a rollout is under way.
    NotReady {
        /// How it is.
        health: Health,
    },
    /// It is as it should be.
    Ready {
        /// How it is.
        health: Health,
        /// Since when, by podbell's clock.
        since: Time,
    },
}

impl Status {
    /// Since when it is ready, to be changed when the clock is set.
    pub(crate) fn since_mut(&mut self) -> Option<&mut Time> {
        match self {
            Self::Ready { since, .. } => Some(since),
            Self::NotReady { .. } => None,
        }
    }

    /// How it is.
    pub fn health(self) -> Health {
        match self {
            Self::NotReady { health } | Self::Ready { health, .. } => health,
        }
    }
}
