//! The entries of a list, those of one episode added up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reading, Slot};
use crate::event::Event;
use crate::series::{EpisodeKey, SeriesId};
use crate::time::Time;

/// The entries of one list that belong to one episode, added up.
pub(super) struct Entry<'e> {
    pub key: EpisodeKey,
    pub reading: Reading,
    /// How many entries there are.
    pub rows: u8,
    /// Whether all have the same count and date.
    pub copies: bool,
    /// The newest entry.
    pub event: &'e Event<'e>,
}

impl<'e> Entry<'e> {
    pub(super) fn slot(&self, now: Time) -> Slot {
        let last_seen = if self.reading.last_seen.is_unknown() { now } else { self.reading.last_seen };
        let reading = Reading { count: self.reading.count, last_seen };
        Slot { key: self.key, reading, level: self.event.level, rows: self.rows, absent_since: None }
    }

    /// The count, if `known` rows were shown before. Additional copies of a row are not counted.
    pub(super) fn count_of(&self, known: u8) -> u64 {
        match (self.copies, known) {
            (true, 1..) if self.rows > known => self.event.count.saturating_mul(known.into()),
            _ => self.reading.count,
        }
    }

    /// The event of an entry that is seen for the first time. Dates that cannot be read become `now`.
    pub(super) fn first_event(&self, now: Time) -> Event<'e> {
        let last_seen = if self.reading.last_seen.is_unknown() { now } else { self.reading.last_seen };
        self.event(Reading { count: self.reading.count, last_seen }, last_seen.min(now))
    }

    /// The event with this reading; `first` replaces a first date that cannot be read.
    pub(super) fn event(&self, reading: Reading, first: Time) -> Event<'e> {
        Event {
            first_seen: if self.event.first_seen.is_unknown() { first } else { self.event.first_seen },
            last_seen: reading.last_seen,
            count: reading.count,
            series: self.event.series,
            signal: self.event.signal,
            node: self.event.node.as_deref().map(Into::into),
            level: self.event.level,
            obj_type: self.event.obj_type.as_ref().into(),
            obj_name: self.event.obj_name.as_ref().into(),
            reason: self.event.reason.as_ref().into(),
            message: self.event.message.as_ref().into(),
            metadata: self.event.metadata.clone(),
        }
    }
}

/// The entries sorted by key, those of one episode added up.
pub(super) fn merged<'e>(events: &'e [Event<'e>], mut episode: impl FnMut(&Event<'e>) -> EpisodeKey) -> Vec<Entry<'e>> {
    let mut entries: Vec<Entry<'e>> = events
        .iter()
        .map(|event| Entry {
            key: episode(event),
            reading: Reading { count: event.count, last_seen: event.last_seen },
            rows: 1,
            copies: true,
            event,
        })
        .collect();
    // The message breaks ties, so that the order of the list has no influence.
    entries.sort_unstable_by(|a, b| {
        (a.key, a.reading.last_seen, a.reading.count)
            .cmp(&(b.key, b.reading.last_seen, b.reading.count))
            .then_with(|| a.event.message.cmp(&b.event.message))
    });
    entries.dedup_by(|later, kept| {
        let same = later.key == kept.key;
        if same {
            kept.copies &= (later.event.count, later.event.last_seen) == (kept.event.count, kept.event.last_seen);
            kept.rows = kept.rows.saturating_add(1);
            kept.reading.count = kept.reading.count.saturating_add(later.reading.count);
            kept.reading.last_seen = kept.reading.last_seen.max(later.reading.last_seen);
            kept.event = later.event;
        }
        same
    });
    entries
}

/// Positions of the entries that are the newest of their series.
pub(super) fn newest_of_each_series(entries: &[Entry<'_>]) -> BTreeSet<usize> {
    let mut newest: BTreeMap<SeriesId, usize> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let best = newest.entry(entry.key.series).or_insert(at);
        if entries.get(*best).is_some_and(|b| b.reading.last_seen <= entry.reading.last_seen) {
            *best = at;
        }
    }
    newest.into_values().collect()
}
