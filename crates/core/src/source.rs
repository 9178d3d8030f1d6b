//! What is known of a source, and what it can report besides event lists.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, Target};

/// How troubles name a watch of all namespaces.
const EVERYWHERE: &str = "every namespace";
/// How troubles name a watch of one, before its name.
const NAMESPACE: &str = "namespace ";

/// What the core must know of a source to judge its times and silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// How often each target is read.
    pub poll_every: Duration,
    /// How far back its lists reach; longer blindness loses events.
    pub memory: Duration,
    /// At first contact, events within this time are notified of.
    pub first_poll_window: Duration,
    /// The offset of its `time_zone` now, in seconds east of UTC.
    pub utc_offset_seconds: i32,
    /// What people call its clusters.
    pub aliases: BTreeMap<String, String>,
    /// Which targets it is set up to show.
    pub extent: Extent,
}

/// Which targets a source is set up to show, as podbell.yaml says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Those that are named, and those that it finds.
    Found,
    /// Those that are named, and no others.
    Named,
    /// Those that these watches cover.
    Covered(Vec<WatchCoverage>),
}

/// A target and how it came to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEntry {
    /// The target.
    pub target: Target,
    /// Found by discovery, so that it may disappear. The absence of a configured one is a trouble.
    pub discovered: bool,
}

/// What went wrong with a source, a destination or a rule file, in words for the operator and without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The API's code such as `4100`, or a short word of ours: `timeout`, `connect`, `cut-off`,
    /// `not-json`, `too-large`, `http-502`.
    pub code: String,
    /// What happened.
    pub text: String,
    /// What the operator can do about it.
    pub advice: String,
    /// Whether the API says that the service does not exist (any more).
    pub gone: bool,
}

/// What a watch covers: one namespace, or all of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchCoverage {
    /// The source's name.
    pub source: Arc<str>,
    /// The namespace; `None`: all of them, and objects without one.
    pub namespace: Option<Arc<str>>,
}

impl WatchCoverage {
    /// Whether the watch would show a target's events. Events about objects without a namespace are kept in `default`.
    pub(crate) fn includes(&self, target: &Target) -> bool {
        let namespace = self.namespace.as_deref();
        target.source == self.source
            && namespace
                .is_none_or(|name| name == &*target.namespace || (name == "default" && target.namespace.is_empty()))
    }

    /// All watches that could include a target.
    pub fn of(target: &Target) -> impl Iterator<Item = Self> {
        let kept_in_default = target.namespace.is_empty().then(|| "default".into());
        let namespaces = [None, Some(target.namespace.clone()), kept_in_default];
        namespaces
            .into_iter()
            .enumerate()
            .filter(|(at, namespace)| *at == 0 || namespace.is_some())
            .map(|(_, namespace)| Self { source: target.source.clone(), namespace })
    }

    /// Whether a member of a trouble is a watch.
    pub(crate) fn is_a_name(member: &str) -> bool {
        member == EVERYWHERE || member.starts_with(NAMESPACE)
    }

    /// How troubles name it.
    pub fn name(&self) -> String {
        match &self.namespace {
            None => EVERYWHERE.to_owned(),
            Some(name) => format!("{NAMESPACE}{name}"),
        }
    }
}

/// An object of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectName {
    /// Its namespace; empty if it has none.
    pub namespace: String,
    /// Its kind, such as `Pod`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What a watching source saw of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialObservation {
    /// The target.
    pub target: Target,
    /// Its events: all of them, or those that changed.
    pub events: Vec<Event<'static>>,
    /// Events that the cluster deleted, most of them because of their age.
    pub gone: Vec<Event<'static>>,
}
