//! What a source shows: events, the targets they belong to, and the series they are readings of.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::map::FastMap;
use super::metadata::Metadata;
use super::time::Time;

/// How serious the cluster says an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Level {
    /// Routine.
    #[default]
    Normal,
    /// Something a person may have to act on.
    Warning,
}

impl Level {
    /// Reads the level of an event list. Everything that is not `Normal` counts as a warning: a
    /// word this program does not know must not be silenced.
    pub fn of(text: &str) -> Self {
        if text.trim().eq_ignore_ascii_case("normal") { Self::Normal } else { Self::Warning }
    }

    /// The word used in event lists and rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One polled service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// The source's name in podbell.yaml.
    pub source: Arc<str>,
    /// The cluster's id, as the source knows it.
    pub cluster: Arc<str>,
    /// The Kubernetes namespace.
    pub namespace: Arc<str>,
    /// The service's name.
    pub service: Arc<str>,
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most targets share the text of all names but the last.
        let compare = |a: &Arc<str>, b: &Arc<str>| if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) };
        compare(&self.source, &other.source)
            .then_with(|| compare(&self.cluster, &other.cluster))
            .then_with(|| compare(&self.namespace, &other.namespace))
            .then_with(|| self.service.cmp(&other.service))
    }
}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Target {
    /// A target from its four names.
    pub fn new(source: &str, cluster: &str, namespace: &str, service: &str) -> Self {
        Self { source: source.into(), cluster: cluster.into(), namespace: namespace.into(), service: service.into() }
    }

    /// Its names, borrowed.
    pub(crate) fn names(&self) -> Names<'_> {
        let Self { source, cluster, namespace, service } = self;
        Names { source, cluster, namespace, service }
    }
}

/// The names of a target, borrowed from wherever they are stored: searching many targets copies nothing.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The source's name in podbell.yaml.
    pub source: &'a str,
    /// The cluster's id, as the source knows it.
    pub cluster: &'a str,
    /// The Kubernetes namespace.
    pub namespace: &'a str,
    /// The service's name.
    pub service: &'a str,
}

impl Names<'_> {
    /// Whether they are of this namespace and cluster, as far as those are given. A cluster also has an alias.
    pub(crate) fn are_of(&self, namespace: Option<&str>, cluster: Option<&str>, alias: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| namespace == self.namespace)
            && cluster.is_none_or(|name| name == self.cluster || Some(name) == alias)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.source, self.cluster, self.namespace, self.service)
    }
}

/// One entry of an event list: a reading of an episode. Texts are borrowed from the answer where
/// the answer allows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// When the cluster first saw this episode.
    pub first_seen: Time,
    /// When the cluster last saw it.
    pub last_seen: Time,
    /// How often it occurred in all.
    pub count: u64,
    /// Whether its reporter keeps it as a series: written at the second occurrence, then every 30 minutes.
    pub series: bool,
    /// Whether a source derived this event from an object's state, instead of reading it from the cluster.
    pub signal: bool,
    /// The node that its object is on, where that is known.
    pub node: Option<Cow<'a, str>>,
    /// Normal or Warning.
    pub level: Level,
    /// Kind of object, such as `Pod`.
    pub obj_type: Cow<'a, str>,
    /// Name of the object.
    pub obj_name: Cow<'a, str>,
    /// Short machine word, such as `BackOff`.
    pub reason: Cow<'a, str>,
    /// Free text.
    pub message: Cow<'a, str>,
    /// The labels and annotations of its object, where they are known.
    pub metadata: Option<Arc<Metadata>>,
}

impl Event<'_> {
    /// The node that it is about, or that its object is on; empty if that is not known.
    pub fn node(&self) -> &str {
        match &self.node {
            Some(node) => node.trim(),
            None if self.obj_type.trim() == "Node" => self.obj_name.trim(),
            None => "",
        }
    }

    /// The same event, owning its texts.
    pub fn into_owned(self) -> Event<'static> {
        Event {
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            count: self.count,
            series: self.series,
            signal: self.signal,
            node: self.node.map(|node| Cow::Owned(node.into_owned())),
            level: self.level,
            obj_type: Cow::Owned(self.obj_type.into_owned()),
            obj_name: Cow::Owned(self.obj_name.into_owned()),
            reason: Cow::Owned(self.reason.into_owned()),
            message: Cow::Owned(self.message.into_owned()),
            metadata: self.metadata,
        }
    }
}

/// A text without blanks at its ends. Nearly all texts have none there, which their first and last byte tell sooner than
/// reading characters does.
pub(crate) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// Notes the nodes of pods whose scheduling is in the same list: lists do not say otherwise where a pod is.
pub fn note_nodes<'a>(events: &mut [Event<'a>]) {
    let assignments: FastMap<&str, Cow<'a, str>> = events.iter().filter_map(assignment).collect();
    if assignments.is_empty() {
        return;
    }
    let node_of = |event: &Event<'a>| match event.node.is_none() && trimmed(&event.obj_type) == "Pod" {
        true => assignments.get(trimmed(&event.obj_name)).cloned(),
        false => None,
    };
    let nodes: Vec<_> = events.iter().map(node_of).collect();
    for (event, node) in events.iter_mut().zip(nodes).filter(|(_, node)| node.is_some()) {
        event.node = node;
    }
}

/// The pod and the node of an event of the scheduler: "Successfully assigned shop/web-0 to n1". The node borrows from
/// what the event borrows from, so that nothing is copied in a list as it was read.
fn assignment<'e, 'a>(event: &'e Event<'a>) -> Option<(&'e str, Cow<'a, str>)> {
    if event.reason != "Scheduled" || trimmed(&event.obj_type) != "Pod" {
        return None;
    }
    let node = match &event.message {
        Cow::Borrowed(message) => Cow::Borrowed(assigned_node(message)?),
        Cow::Owned(message) => Cow::Owned(assigned_node(message)?.to_owned()),
    };
    Some((trimmed(&event.obj_name), node))
}

fn assigned_node(message: &str) -> Option<&str> {
    let (_, node) = message.strip_prefix("Successfully assigned ")?.split_once(" to ")?;
    let node = node.trim();
    (!node.is_empty() && !node.contains(char::is_whitespace)).then_some(node)
}

/// An event with its target: what rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Where the event was seen.
    pub target: &'a Target,
    /// The event.
    pub event: &'a Event<'a>,
    /// The object's name without generated suffixes, see `workload::of`.
    pub workload: &'a str,
}
