//! How old the objects of a target are.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use crate::diff::{ChangeKind, Diff};
use crate::event::{Event, Level};
use crate::rule::LONGEST_SETTLED;
use crate::time::Time;

/// Most objects of a target whose age is kept; that of others is unknown.
const MAX_OBJECTS: usize = 2000;
/// Fewer objects than this are not worth a walk that forgets old ones.
const FEW: usize = 32;

/// When objects were first heard of, by the cluster's dates.
#[derive(Clone, Debug, Default)]
pub(in crate::step) struct Ages {
    objects: HashMap<u64, FirstSeen>,
    /// How many objects there may be before old ones are forgotten.
    room: usize,
}

/// When an object was first heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::step) struct FirstSeen {
    pub(in crate::step) at: Time,
    /// Whether that was its start.
    pub(in crate::step) starts: bool,
    /// The newest sign that a node has taken it; unknown if there is none.
    pub(in crate::step) placed: Time,
}

/// What an event says of the age of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AgeEvidence {
    /// The object was created: an earlier object of the same name was another one.
    Created,
    /// A volume, image or container of it started: that is its start, if no older event of it is known.
    Started,
    /// The object exists.
    Exists,
}

impl Ages {
    /// The ages that a first list shows.
    pub(in crate::step) fn of(events: &[Event<'_>], now: Time) -> Self {
        let mut ages = Self::default();
        events.iter().for_each(|event| ages.note(event, says(event), now));
        ages
    }

    /// Takes in what is new.
    pub(in crate::step) fn note_changes(&mut self, diff: &Diff<'_>, now: Time) {
        let changes = diff.changes.iter().map(|change| (&change.event, change.kind));
        let known = diff.baseline.iter().map(|(_, event)| (event, ChangeKind::Appeared));
        for (event, kind) in changes.chain(known) {
            let says = match says(event) {
                // A part of it that had started before starts again: the object is older than this.
                AgeEvidence::Started if kind != ChangeKind::Appeared => AgeEvidence::Exists,
                says => says,
            };
            self.note(event, says, now);
        }
    }

    fn note(&mut self, event: &Event<'_>, says: AgeEvidence, now: Time) {
        let at = if says == AgeEvidence::Created { event.last_seen } else { event.first_seen };
        if at.is_unknown() || now.since(at) >= LONGEST_SETTLED {
            return;
        }
        let object = made(event).unwrap_or_else(|| key(&event.obj_type, &event.obj_name));
        let placed = if is_placed(event) { event.last_seen } else { Time::default() };
        let sight = FirstSeen { at, starts: says != AgeEvidence::Exists, placed };
        if let Some(known) = self.objects.get_mut(&object) {
            let sight = FirstSeen { placed: placed.max(known.placed), ..sight };
            known.placed = sight.placed;
            if (says == AgeEvidence::Created && at > known.at) || at < known.at {
                *known = sight;
            } else if at == known.at {
                known.starts |= sight.starts;
            }
        } else if self.has_room(now) {
            self.objects.insert(object, sight);
        }
    }

    fn has_room(&mut self, now: Time) -> bool {
        if self.objects.len() >= self.room.max(FEW) {
            self.objects.retain(|_, sight| now.since(sight.at) < LONGEST_SETTLED);
            self.room = (self.objects.len() * 2).min(MAX_OBJECTS);
        }
        self.objects.len() < MAX_OBJECTS
    }

    pub(in crate::step) fn sight(&self, event: &Event<'_>) -> Option<FirstSeen> {
        self.objects.get(&key(&event.obj_type, &event.obj_name)).copied()
    }
}

fn says(event: &Event<'_>) -> AgeEvidence {
    if event.level != Level::Normal {
        return AgeEvidence::Exists;
    }
    match event.reason.trim() {
        "Scheduled" => AgeEvidence::Created,
        "SuccessfulCreate" if made(event).is_some() => AgeEvidence::Created,
        "SuccessfulMountVolume" | "SuccessfulAttachVolume" | "Pulling" | "Pulled" | "Created" | "Started" => {
            AgeEvidence::Started
        }
        _ => AgeEvidence::Exists,
    }
}

/// Whether an event shows that a node has taken its pod.
fn is_placed(event: &Event<'_>) -> bool {
    let reasons = ["Scheduled", "Pulling", "Pulled", "Created", "Started"];
    event.level == Level::Normal && event.obj_type.trim() == "Pod" && reasons.contains(&event.reason.trim())
}

/// The object that a controller says it made.
fn made(event: &Event<'_>) -> Option<u64> {
    if event.reason.trim() != "SuccessfulCreate" {
        return None;
    }
    let named = |kind, words: &str| Some(key(kind, event.message.split_once(words)?.1.split_whitespace().next()?));
    named("Pod", "Created pod:").or_else(|| named("Pod", "create Pod ")).or_else(|| named("Job", "Created job "))
}

fn key(kind: &str, name: &str) -> u64 {
    let mut hash = Xxh3::new();
    [kind.trim(), "/", name.trim()].iter().for_each(|part| hash.update(part.as_bytes()));
    hash.digest()
}
