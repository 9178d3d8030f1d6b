//! What an incident is about: objects, reasons, topics, and the event that messages quote. All of it is bounded.

use std::sync::Arc;
use std::time::Duration;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::affected_pods::Affected;
use super::object_trouble::ObjectTrouble;
use super::{Joining, insert_sorted, quote};
use crate::enrichment::PodState;
use crate::event::Event;
use crate::metadata::Metadata;
use crate::notice::{Newest, ReasonCount};
use crate::series::EpisodeKey;
use crate::time::Time;

/// How long after its last occurrence an object counts as affected.
pub(super) const OBJECT_MEMORY: Duration = Duration::from_secs(3600);
/// Most objects, episodes, reasons and topics kept per incident: an incident is rewritten whole with every change.
const MAX_OBJECTS: usize = 1000;
const MAX_EPISODES: usize = 200;
const MAX_REASONS: usize = 20;
const MAX_TOPICS: usize = 50;
const MAX_MESSAGE_CHARS: usize = 4000;
/// Names in Kubernetes have at most 253 characters; a longer one is garbage from the source.
pub(super) const MAX_NAME_CHARS: usize = 300;
/// How many characters of a class of troubles are kept.
pub(super) const MAX_CLASS_CHARS: usize = 60;

/// What an incident is about, in detail. All of it is bounded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Objects by `objType/objName`.
    pub objects: LiteMap<Box<str>, ObjectState>,
    /// Occurrences by reason, in order of joining.
    pub reasons: Vec<ReasonCount>,
    /// Its topics in order of joining, each with words for people.
    pub topics: Vec<Topic>,
    /// The event that messages quote: the newest, or the newest that names the cause. It may be one that a related rule gathered.
    pub newest: Newest,
    /// The cluster's date of `newest`.
    pub newest_seen: Time,
    /// Episodes whose earlier occurrences were counted as older, folded to 64 bits, sorted.
    pub episodes: Vec<u64>,
    /// The reasons that occurred since it last opened.
    #[serde(default)]
    pub current: Vec<String>,
    /// The reasons that gather while it is not open and may reopen it.
    #[serde(default)]
    pub gathered: Vec<String>,
    /// The newest occurrence of an object that found no place among `objects`.
    #[serde(default)]
    pub unlisted: Option<Time>,
    /// The nodes of its objects, and when one of them last had an occurrence; an empty name where it is not known.
    #[serde(default)]
    pub nodes: LiteMap<Box<str>, Time>,
    /// The workloads that its cause affects.
    #[serde(default)]
    pub affected: Affected,
    /// How its newest failed pod was when it opened.
    #[serde(default)]
    pub pod: Option<PodState>,
    /// The labels and annotations of the newest event's object that were known.
    #[serde(default)]
    pub metadata: Option<Arc<Metadata>>,
}

/// When podbell last heard of an object, and of which troubles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectState {
    /// When it last had an occurrence.
    pub occurred: Time,
    /// When it last had an occurrence or a sustaining event.
    pub heard: Time,
    /// Its troubles that end by an event, ended ones included.
    #[serde(default)]
    pub standing: Vec<ObjectTrouble>,
    /// The newest sign of a trouble that ends by silence.
    #[serde(default)]
    pub silent: Option<Time>,
    /// When it was deleted with its workload: older signs of a trouble that ends by silence say nothing any more.
    #[serde(default)]
    pub gone: Option<Time>,
}

/// A topic of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its identity, see [`crate::topic`].
    pub key: String,
    /// Its words when it is news: the reason, and the message's beginning.
    pub words: String,
    /// The class of troubles that it belongs to, see [`crate::reports::trouble_class`].
    #[serde(default)]
    pub trouble_class: String,
}

impl Details {
    /// The incident opens: only the reasons that gathered for this are current.
    pub(super) fn begin_anew(&mut self) {
        let again = std::mem::take(&mut self.gathered);
        self.current = again;
        self.pod = None;
    }

    /// The objects that had an occurrence within the last hour, by key. Beside pods, what controls them is no object of
    /// its own.
    pub(super) fn objects_lately(&self, now: Time) -> impl Iterator<Item = &str> {
        let names_pods = self.names_pods();
        let objects = self.objects.iter().map(|(key, seen)| (&**key, seen));
        let lately = objects.filter(move |(_, seen)| now.since(seen.occurred) < OBJECT_MEMORY);
        lately.map(|(key, _)| key).filter(move |key| !(names_pods && controls_pods(key)))
    }

    /// Whether pods are among its objects.
    pub(super) fn names_pods(&self) -> bool {
        self.objects.keys().any(|key| key.starts_with("Pod/"))
    }

    /// Takes in a change. Returns whether its episode is new to the incident.
    pub(super) fn record(&mut self, joining: &Joining<'_>, now: Time) -> bool {
        let event = joining.event;
        // No reason yet: nothing of the present trouble was quoted before.
        let begins = if joining.open { self.current.is_empty() } else { self.gathered.is_empty() };
        if begins {
            // The affected workloads belong to the previous failure.
            self.affected = Affected::default();
        }
        self.record_object(event, joining, now);
        self.record_place(event, joining, now);
        let reason = clipped(event.reason.trim(), 200);
        let reasons = if joining.open { &mut self.current } else { &mut self.gathered };
        if reasons.len() < MAX_REASONS && !reasons.contains(&reason) && !joining.over {
            reasons.push(reason.clone());
        }
        self.record_reason(reason, joining.new);
        // What is too young to open an incident is no news for an open one.
        let too_young = joining.open && joining.settles_at.is_some_and(|at| now < at);
        if !too_young {
            self.record_topic(event, joining.workload);
        }
        if quote::replaces(event, &self.newest, self.newest_seen, begins) {
            self.newest = newest(event);
            self.newest_seen = event.last_seen;
            // Keep the known labels if this event has none.
            self.metadata = event.metadata.clone().or_else(|| self.metadata.take());
        }
        self.episodes.len() < MAX_EPISODES && insert_sorted(&mut self.episodes, fold(joining.episode))
    }

    pub(super) fn record_topic(&mut self, event: &Event<'_>, workload: &str) {
        let key = clipped(&crate::topic::of(event, workload), MAX_NAME_CHARS);
        if self.topics.len() < MAX_TOPICS && !self.topics.iter().any(|known| known.key == key) {
            let trouble_class = clipped(crate::reports::trouble_class(event), MAX_CLASS_CHARS);
            self.topics.push(Topic { key, words: topic_words(event), trouble_class });
        }
    }

    fn record_reason(&mut self, reason: String, new: u64) {
        if let Some(known) = self.reasons.iter_mut().find(|known| known.reason == reason) {
            known.occurrences = known.occurrences.saturating_add(new);
        } else if self.reasons.len() < MAX_REASONS {
            self.reasons.push(ReasonCount { reason, occurrences: new });
        }
    }

    fn record_object(&mut self, event: &Event<'_>, joining: &Joining<'_>, now: Time) {
        let key = object_key(event);
        if self.objects.len() >= MAX_OBJECTS && !self.objects.contains_key(key.as_str()) {
            let stands = |seen: &ObjectState| seen.standing.iter().any(|one| one.ended.is_none());
            self.objects.retain(|_, seen| now.since(seen.heard) < OBJECT_MEMORY || stands(seen));
            if self.objects.len() >= MAX_OBJECTS {
                self.unlisted = Some(now);
                return;
            }
        }
        let key = key.into_boxed_str();
        if !self.objects.contains_key(&key) {
            let new = ObjectState { occurred: now, heard: now, standing: Vec::new(), silent: None, gone: None };
            self.objects.insert(key.clone(), new);
        }
        if let Some(seen) = self.objects.get_mut(&key) {
            (seen.occurred, seen.heard) = (now, now);
            if !joining.over {
                seen.occur(event, joining.times.last, now);
            }
        }
    }
}

/// Whether an object is a controller of pods.
pub(super) fn controls_pods(object_key: &str) -> bool {
    const CONTROLLERS: [&str; 4] = ["Deployment/", "ReplicaSet/", "StatefulSet/", "DaemonSet/"];
    CONTROLLERS.iter().any(|kind| object_key.starts_with(kind))
}

/// The identity of an object inside an incident.
pub(crate) fn object_key(event: &Event<'_>) -> String {
    format!("{}/{}", clipped(event.obj_type.trim(), MAX_NAME_CHARS), clipped(event.obj_name.trim(), MAX_NAME_CHARS))
}

pub(super) fn newest(event: &Event<'_>) -> Newest {
    Newest {
        level: event.level,
        obj_type: clipped(event.obj_type.trim(), 100),
        obj_name: clipped(event.obj_name.trim(), 300),
        reason: clipped(event.reason.trim(), 200),
        message: clipped(event.message.trim(), MAX_MESSAGE_CHARS),
    }
}

fn topic_words(event: &Event<'_>) -> String {
    let message = event.message.trim();
    let line = message.lines().next().unwrap_or_default();
    format!("{}: {}", clipped(event.reason.trim(), 60), clipped(line, 120))
}

/// Cuts a text to at most so many characters.
pub(super) fn clipped(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// 64 of the hash's bits are plenty to tell 200 episodes apart.
fn fold(key: EpisodeKey) -> u64 {
    let mut half = [0u8; 8];
    half.copy_from_slice(&key.series.0[..8]);
    u64::from_be_bytes(half) ^ key.first_seen.millis().unsigned_abs().rotate_left(32)
}
