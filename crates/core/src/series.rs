//! Identities: of what an event is about, and of the incident that a rule sees in it.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::event::{Event, trimmed};
use super::time::Time;
use crate::rule::{Field, RuleKey};

/// Only this beginning of a combined message counts: its rest varies while the count grows.
const COMBINED: &str = "(combined from similar events)";

/// The identity of a series inside its target: a hash of level, objType, objName, reason and
/// message. 128 bits, seeded per store, so that nobody can prepare two series that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub [u8; 16]);

/// The identity of an episode: one life of a series, from its first occurrence on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpisodeKey {
    /// The series.
    pub series: SeriesId,
    /// The cluster's time of its first occurrence.
    pub first_seen: Time,
}

/// The identity of an incident: its rule, and the values that the rule groups by. Seeded, and as wide as a series'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IncidentKey(u128);

/// Makes identities; keeps its buffer between events.
#[derive(Clone, Debug)]
pub struct Identities {
    seed: u64,
    buffer: Vec<u8>,
}

impl Identities {
    /// Identities under the store's seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, buffer: Vec::with_capacity(512) }
    }

    /// The episode that an event is a reading of.
    pub fn episode(&mut self, event: &Event<'_>) -> EpisodeKey {
        self.buffer.clear();
        self.buffer.push(event.level as u8);
        for text in [&event.obj_type, &event.obj_name, &event.reason] {
            self.field(trimmed(text));
        }
        self.field(message_identity(&event.message));
        let hash = xxh3_128_with_seed(&self.buffer, self.seed);
        EpisodeKey { series: SeriesId(hash.to_be_bytes()), first_seen: event.first_seen }
    }

    /// The identity of the incident of a rule where these are the values of its group.
    pub(crate) fn problem(&mut self, rule: &RuleKey, group: &[(Field, String)]) -> IncidentKey {
        self.buffer.clear();
        for text in [&rule.file, &rule.name] {
            self.field(text);
        }
        for (field, value) in group {
            match field.place() {
                Ok(place) => self.buffer.push(u8::try_from(place).unwrap_or(u8::MAX)),
                Err(key) => {
                    self.buffer.push(u8::MAX);
                    self.field(key.word());
                }
            }
            self.field(value);
        }
        IncidentKey(xxh3_128_with_seed(&self.buffer, self.seed))
    }

    /// Lengths go first, so that no two lists of fields give the same bytes.
    fn field(&mut self, text: &str) {
        self.buffer.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(text.as_bytes());
    }
}

/// The part of a message that identifies a series.
fn message_identity(message: &str) -> &str {
    let message = trimmed(message);
    if message.starts_with(COMBINED) { COMBINED } else { message }
}
