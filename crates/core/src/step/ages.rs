//! How old the objects are that a target showed lately, for `settled` of `open_when`.
//!
//! What starts fails a probe or two. Kubernetes writes when a pod is placed and when its containers start; the list of an
//! hour has that beside what the pod does first. Everything else about an object only says that it was there by then.

use std::collections::HashMap;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use super::State;
use crate::diff::{Change, ChangeKind, Diff};
use crate::event::{Event, Level, Target};
use crate::reports::{self, ObjectFailure};
use crate::rules::rule::LONGEST_SETTLED;
use crate::time::Time;

/// Most objects of a target whose age is kept; that of others is unknown.
const MAX_OBJECTS: usize = 2000;
/// Fewer objects than this are not worth a walk that forgets old ones.
const FEW: usize = 32;

/// When objects were first heard of, by the cluster's dates.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    objects: HashMap<u64, Sight>,
    /// How many objects there may be before old ones are forgotten.
    room: usize,
}

/// When an object was first heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    at: Time,
    /// Whether that was its start.
    starts: bool,
    /// The newest sign that a node has taken it; unknown if there is none.
    placed: Time,
}

/// What an event says of the age of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// The object was made: whatever was there before under this name was another one.
    Made,
    /// A part of it started: its start, if nothing is known from before.
    Started,
    /// It is there.
    There,
}

impl Ages {
    /// What a list says, of which nothing was known.
    pub(super) fn of(events: &[Event<'_>], now: Time) -> Self {
        let mut ages = Self::default();
        events.iter().for_each(|event| ages.note(event, says(event), now));
        ages
    }

    /// Takes in what is new.
    pub(super) fn note_changes(&mut self, diff: &Diff<'_>, now: Time) {
        let changes = diff.changes.iter().map(|change| (&change.event, change.kind));
        let known = diff.baseline.iter().map(|(_, event)| (event, ChangeKind::Appeared));
        for (event, kind) in changes.chain(known) {
            let says = match says(event) {
                // A part that started before starts again: its object is older.
                Says::Started if kind != ChangeKind::Appeared => Says::There,
                says => says,
            };
            self.note(event, says, now);
        }
    }

    fn note(&mut self, event: &Event<'_>, says: Says, now: Time) {
        let at = if says == Says::Made { event.last_seen } else { event.first_seen };
        if at.is_unknown() || now.since(at) >= LONGEST_SETTLED {
            return;
        }
        let object = made(event).unwrap_or_else(|| key(&event.obj_type, &event.obj_name));
        let placed = if is_placed(event) { event.last_seen } else { Time::default() };
        let sight = Sight { at, starts: says != Says::There, placed };
        if let Some(known) = self.objects.get_mut(&object) {
            let sight = Sight { placed: placed.max(known.placed), ..sight };
            known.placed = sight.placed;
            if (says == Says::Made && at > known.at) || at < known.at {
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

    fn sight(&self, event: &Event<'_>) -> Option<Sight> {
        self.objects.get(&key(&event.obj_type, &event.obj_name)).copied()
    }
}

impl State {
    /// Whether an event says that no node takes a pod, of a time before one took it. The scheduler writes the last count of
    /// such a series minutes later.
    pub(super) fn was_placed_since(&self, target: &Target, event: &Event<'_>) -> bool {
        let sight = || self.targets.get(target)?.ages.as_ref()?.sight(event);
        reports::of(event).is_some_and(|report| report.trouble == ObjectFailure::Unscheduled)
            && !event.last_seen.is_unknown()
            && sight().is_some_and(|sight| event.last_seen < sight.placed)
    }

    /// When the object of a change came to be, by podbell's clock; `None` if that is long ago or unknown: what is unknown
    /// is told as before.
    pub(super) fn born(&self, target: &Target, change: &Change<'_>, previous: Option<Time>, now: Time) -> Option<Time> {
        let event = &change.event;
        if event.level != Level::Warning {
            return None;
        }
        let source = self.sources.get(&target.source);
        let behind = source.map_or(Duration::ZERO, |source| source.lag.behind());
        let sight = self.targets.get(target).and_then(|state| state.ages.as_ref()?.sight(event));
        let first = match sight {
            Some(Sight { at, starts: true, .. }) => at,
            // Where starts are shown, what has none started before that.
            _ if event.obj_type.trim() == "Pod" && source.is_some_and(|source| source.shows_ends) => return None,
            _ if change.kind == ChangeKind::Restarted || previous.is_none() => return None,
            // Before the source was read for the first time, nobody looked: then the first sight says nothing.
            _ => {
                let first = sight.map_or(event.first_seen, |sight| sight.at.min(event.first_seen));
                let watched = source.and_then(|source| source.first_good)?;
                Some(first).filter(|first| first.plus(behind) >= watched)?
            }
        };
        (!first.is_unknown()).then(|| first.plus(behind).min(now))
    }
}

fn says(event: &Event<'_>) -> Says {
    if event.level != Level::Normal {
        return Says::There;
    }
    match event.reason.trim() {
        "Scheduled" => Says::Made,
        "SuccessfulCreate" if made(event).is_some() => Says::Made,
        "SuccessfulMountVolume" | "SuccessfulAttachVolume" | "Pulling" | "Pulled" | "Created" | "Started" => {
            Says::Started
        }
        _ => Says::There,
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
