//! When objects were deleted, to tell what is written late about them from what is new.
//!
//! The newer event recorder counts in memory: it writes the last count of a series up to 36 minutes after the last
//! occurrence, also when the object is long gone. That says nothing of the present. In memory only: after a restart, such
//! a count is told as any other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use crate::event::{Event, Target};
use crate::source::ObjectName;
use crate::time::Time;
use crate::workload;

/// An event within this time after the deletion of its object belongs to the trouble in which the object was deleted.
const DELETION_GRACE: Duration = Duration::from_secs(120);
/// No recorder writes later than this about what happened before.
const REMEMBERED: Duration = Duration::from_secs(2 * 3600);
/// Most deletions that are remembered; of further ones, late counts are told as any others.
const MAX: usize = 100_000;

/// When objects were deleted, by podbell's clock.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    at: HashMap<u64, Time>,
    /// How many there may be before old ones are forgotten.
    room: usize,
}

impl Deletions {
    pub(super) fn note(&mut self, source: &Arc<str>, objects: &[ObjectName], now: Time) {
        for object in objects {
            if self.at.len() >= self.room {
                self.at.retain(|_, at| now.since(*at) < REMEMBERED);
                self.room = (self.at.len() * 2).clamp(64, MAX);
            }
            if self.at.len() < MAX {
                self.at.insert(key([source, &object.namespace, &object.kind, &object.name]), now);
            }
        }
    }

    /// Whether what an event reports, last at `last`, happened before its object was deleted, and that is a while ago. An
    /// object that was made anew under the name has events of its own: they are newer than the deletion.
    pub(super) fn were_before(&self, target: &Target, event: &Event<'_>, last: Time, now: Time) -> bool {
        let object = key([&target.source, &target.namespace, event.obj_type.trim(), event.obj_name.trim()]);
        self.at.get(&object).is_some_and(|at| last <= *at && now.since(*at) >= DELETION_GRACE)
    }

    /// Whether an event is about a pod that was deleted and whose name never returns: its trouble is over, though the
    /// kubelet wrote of it after the deletion, which often happens when a rollout deletes a pod that has just started.
    pub(super) fn has_gone_for_good(&self, target: &Target, event: &Event<'_>) -> bool {
        let (kind, name) = (event.obj_type.trim(), event.obj_name.trim());
        kind == "Pod"
            && workload::template_of(name).is_some()
            && self.at.contains_key(&key([&target.source, &target.namespace, kind, name]))
    }
}

fn key(words: [&str; 4]) -> u64 {
    let mut hash = Xxh3::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update(&[0]);
    }
    hash.digest()
}
