//! The difference between two readings of a target: how many occurrences are new.
//!
//! Entries are compared per episode (series and `firstSeen`): merging equal series of one list miscounts as soon as one
//! of two episodes expires.

mod entry;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Level};
use crate::reports;
use crate::series::{EpisodeKey, Identities, SeriesId};
use crate::time::{Jump, Time};
use entry::{Entry, merged, newest_of_each_series};

/// How long an episode that left the list is remembered, so that its return is an increase.
pub(crate) const REMEMBER: Duration = Duration::from_secs(24 * 3600);
/// How many episodes that left the list are remembered per target.
pub const REMEMBER_PER_TARGET: usize = 1000;
/// How far the cluster's clock may be behind ours when it dates a new episode.
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);
/// The default of a source's `first_poll_window`.
pub const FIRST_POLL_WINDOW: Duration = Duration::from_secs(600);

/// The readings of one target. Small on purpose: texts are in the store.
#[derive(Clone, Debug, Default)]
pub struct TargetReadings {
    /// When it was last read successfully; never before the first contact.
    pub last_good: Option<Time>,
    /// Since when its source is read. An episode that began later but was not shown until now was held back by its
    /// reporter.
    pub read_since: Option<Time>,
    /// Whether any known episode lacks a readable first date.
    undated: bool,
    /// How far the source's dates are behind podbell's clock.
    pub behind: Duration,
    /// When it was last read in this run of podbell.
    read_at: Option<Time>,
    /// Whether episodes were ever forgotten for lack of room: an unknown one may then be an old one.
    crowded: bool,
    /// Ascending by key.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: EpisodeKey,
    reading: Reading,
    level: Level,
    /// How many rows of a list were added up; 0 if that is unknown (after a restart).
    rows: u8,
    /// Since when it is missing from the list. In memory only, so that a restart prolongs how long it is remembered.
    absent_since: Option<Time>,
}

impl Slot {
    /// Takes in a newer reading. The change says how many occurrences lie between the two.
    fn take_in<'e>(&mut self, entry: &Entry<'e>, read_at: Option<Time>, now: Time) -> Option<Change<'e>> {
        self.absent_since = None;
        // After a restart the number of rows is unknown. Rows with the known count are copies: count one of them.
        let one = self.rows == 0 && entry.event.count == self.reading.count;
        let reading =
            Reading { count: entry.count_of(if one { 1 } else { self.rows }), last_seen: entry.reading.last_seen };
        let (kind, new) = compare(self.reading, reading, read_at)?;
        let before = self.reading.last_seen;
        if one {
            self.rows = 1;
        } else if self.rows != 1 || !entry.copies {
            self.rows = entry.rows;
        }
        let last_seen = if reading.last_seen.is_unknown() { now } else { before.max(reading.last_seen) };
        self.reading = Reading { count: reading.count, last_seen };
        Some(Change { kind, new, key: entry.key, event: entry.event(self.reading, before), after: Some(before) })
    }
}

/// What the cluster reported of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Occurrences so far.
    pub count: u64,
    /// The newest of them, by the cluster's clock.
    pub last_seen: Time,
}

/// How an episode changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// A series that was not known.
    Appeared,
    /// More occurrences of a known episode.
    Increased,
    /// A known series began to count anew.
    Restarted,
}

/// New occurrences of one episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<'e> {
    /// What happened.
    pub kind: ChangeKind,
    /// How many occurrences are new; at least 1.
    pub new: u64,
    /// Which episode.
    pub key: EpisodeKey,
    /// The newest entry of the episode, its counts added up.
    pub event: Event<'e>,
    /// The newest occurrence that was known before, by the cluster's clock; the new ones lie after it. `None` for an
    /// episode that was not known.
    pub after: Option<Time>,
}

/// What one good poll brought.
#[derive(Clone, Debug, Default)]
pub struct Diff<'e> {
    /// What is new, in an order that does not depend on the list's.
    pub changes: Vec<Change<'e>>,
    /// Episodes that were already there at first contact: remembered, but nobody is notified of them.
    pub baseline: Vec<(EpisodeKey, Event<'e>)>,
    /// Episodes that are no longer remembered.
    pub forgotten: Vec<EpisodeKey>,
}

/// The dates of lists are whole seconds: until this long after a date, more occurrences may have the same date.
const SAME_DATE: Duration = Duration::from_secs(2);

/// Compares two readings of one episode: how many occurrences lie between them. `read_at` is when the first one was
/// last read, if that is known.
///
/// With the same date there are none, whatever the count says: a row that is shown twice has counted nothing. The count
/// alone decides only if the date was current when it was read, or cannot be read. A count that grew under an earlier
/// date means that a clock was set back.
pub fn compare(before: Reading, now: Reading, read_at: Option<Time>) -> Option<(ChangeKind, u64)> {
    let more = now.count > before.count;
    let counts_alone = if now.last_seen.is_unknown() {
        now.count != before.count
    } else {
        let at_that_date = read_at.is_none_or(|read_at| read_at <= before.last_seen.plus(SAME_DATE));
        more && (now.last_seen < before.last_seen || at_that_date)
    };
    if now.last_seen <= before.last_seen && !counts_alone {
        None
    } else if more {
        Some((ChangeKind::Increased, now.count - before.count))
    } else if now.count == before.count {
        Some((ChangeKind::Increased, 1))
    } else {
        Some((ChangeKind::Restarted, now.count.max(1)))
    }
}

impl TargetReadings {
    /// Adapts to a change of podbell's clock; the cluster's dates stay.
    pub(crate) fn clock_set(&mut self, by: Jump) {
        let absent = self.slots.iter_mut().filter_map(|slot| slot.absent_since.as_mut());
        absent.chain(self.last_good.as_mut()).chain(self.read_at.as_mut()).for_each(|at| at.carry(by));
    }

    /// Restores a target from the store.
    pub fn restored(last_good: Option<Time>, rows: impl IntoIterator<Item = (EpisodeKey, Reading, Level)>) -> Self {
        let mut slots: Vec<Slot> = rows
            .into_iter()
            .map(|(key, reading, level)| Slot { key, reading, level, rows: 0, absent_since: None })
            .collect();
        slots.sort_unstable_by_key(|slot| slot.key);
        slots.dedup_by_key(|slot| slot.key);
        // Whether episodes were forgotten is not stored; assume it if there are as many as are kept at most.
        let crowded = slots.len() >= REMEMBER_PER_TARGET;
        let undated = slots.iter().any(|slot| slot.key.first_seen.is_unknown());
        Self { last_good, read_since: None, undated, behind: Duration::ZERO, read_at: None, crowded, slots }
    }

    /// The last reading of an episode.
    pub fn reading(&self, key: EpisodeKey) -> Option<Reading> {
        let at = self.slots.binary_search_by_key(&key, |slot| slot.key).ok()?;
        self.slots.get(at).map(|slot| slot.reading)
    }

    /// The known episodes, ascending.
    pub(crate) fn keys(&self) -> impl Iterator<Item = EpisodeKey> {
        self.slots.iter().map(|slot| slot.key)
    }

    /// How many episodes are known.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many of them left the list and are only remembered.
    pub fn absent(&self) -> usize {
        self.slots.iter().filter(|slot| slot.absent_since.is_some()).count()
    }

    /// Takes in a good poll at `now` and says what is new.
    pub fn observe<'e>(
        &mut self,
        events: &'e [Event<'e>],
        identities: &mut Identities,
        first_poll_window: Duration,
        now: Time,
    ) -> Diff<'e> {
        let entries = merged(events, |event| self.episode(event, events, identities));
        let mut diff = match self.last_good {
            None => self.first_contact(entries, first_poll_window, now),
            Some(last_good) => self.compare_all(entries, last_good, now),
        };
        self.read_at = Some(now);
        self.forget(&mut diff.forgotten, now);
        self.last_good = Some(self.last_good.map_or(now, |last| last.max(now)));
        in_order(&mut diff.changes);
        diff
    }

    /// Takes in only some of a target's events at `now`, after its first contact. An event that is not among them has
    /// not changed. `gone` are events that the cluster deleted; their problem may go on.
    pub fn observe_part<'e>(
        &mut self,
        events: &'e [Event<'e>],
        gone: &[Event<'_>],
        identities: &mut Identities,
        now: Time,
    ) -> Diff<'e> {
        let mut diff = Diff::default();
        let horizon = self.horizon(self.last_good.unwrap_or(now), now);
        let read_at = self.read_at.replace(now);
        for event in gone {
            let key = identities.episode(event);
            if let Ok(at) = self.slots.binary_search_by_key(&key, |slot| slot.key)
                && let Some(slot) = self.slots.get_mut(at)
            {
                slot.absent_since.get_or_insert(now);
            }
        }
        let mut fresh: Vec<Slot> = Vec::new();
        for entry in merged(events, |event| self.episode(event, events, identities)) {
            match self.slots.binary_search_by_key(&entry.key, |slot| slot.key) {
                Ok(at) => {
                    diff.changes.extend(self.slots.get_mut(at).and_then(|slot| slot.take_in(&entry, read_at, now)))
                }
                Err(_) => {
                    fresh.push(entry.slot(now));
                    self.unknown(&entry, horizon, now, &mut diff);
                }
            }
        }
        if !fresh.is_empty() {
            self.slots.append(&mut fresh);
            self.slots.sort_unstable_by_key(|slot| slot.key);
        }
        self.forget(&mut diff.forgotten, now);
        in_order(&mut diff.changes);
        diff
    }

    /// Recent episodes appear with one occurrence; the rest is the silent baseline.
    fn first_contact<'e>(&mut self, entries: Vec<Entry<'e>>, window: Duration, now: Time) -> Diff<'e> {
        let mut diff = Diff::default();
        let newest = newest_of_each_series(&entries);
        for (at, entry) in entries.iter().enumerate() {
            let event = entry.first_event(now);
            let recent = event.last_seen >= now.minus(window) && newest.contains(&at);
            if recent {
                diff.changes.push(Change { kind: ChangeKind::Appeared, new: 1, key: entry.key, event, after: None });
            } else {
                diff.baseline.push((entry.key, event));
            }
        }
        self.undated = entries.iter().any(|entry| entry.key.first_seen.is_unknown());
        self.slots = entries.iter().map(|entry| entry.slot(now)).collect();
        diff
    }

    /// Both sides are sorted by key, so that one pass compares them.
    fn compare_all<'e>(&mut self, entries: Vec<Entry<'e>>, last_good: Time, now: Time) -> Diff<'e> {
        let mut diff = Diff::default();
        let horizon = self.horizon(last_good, now);
        let read_at = self.read_at;
        let mut fresh: Vec<Slot> = Vec::new();
        let mut at = 0;
        for entry in entries {
            while let Some(slot) = self.slots.get_mut(at).filter(|slot| slot.key < entry.key) {
                slot.absent_since.get_or_insert(now);
                at += 1;
            }
            match self.slots.get_mut(at).filter(|slot| slot.key == entry.key) {
                Some(slot) => {
                    at += 1;
                    diff.changes.extend(slot.take_in(&entry, read_at, now));
                }
                None => {
                    fresh.push(entry.slot(now));
                    self.unknown(&entry, horizon, now, &mut diff);
                }
            }
        }
        for slot in self.slots.iter_mut().skip(at) {
            slot.absent_since.get_or_insert(now);
        }
        if !fresh.is_empty() {
            self.slots.append(&mut fresh);
            self.slots.sort_unstable_by_key(|slot| slot.key);
        }
        diff
    }

    /// Handles an unknown episode. If episodes were forgotten, it may be one of them: then its date says whether it is
    /// new.
    fn unknown<'e>(&mut self, entry: &Entry<'e>, horizon: Horizon, now: Time, diff: &mut Diff<'e>) {
        self.undated |= entry.key.first_seen.is_unknown();
        let event = entry.first_event(now);
        if self.crowded && event.last_seen < horizon.last_good {
            diff.baseline.push((entry.key, event));
            return;
        }
        let kind = if self.knows(entry.key.series) { ChangeKind::Restarted } else { ChangeKind::Appeared };
        let new = if event.first_seen >= horizon.in_full { entry.reading.count.max(1) } else { 1 };
        diff.changes.push(Change { kind, new, key: entry.key, event, after: None });
    }

    /// The dates with which an unknown episode is compared.
    fn horizon(&self, last_good: Time, now: Time) -> Horizon {
        let last_good = last_good.minus(CLOCK_TOLERANCE);
        // An older episode may have been shown and then forgotten.
        let held_back = self.read_since.filter(|_| !self.crowded).map(|since| since.max(now.minus(REMEMBER)));
        let in_full = held_back.map_or(last_good, |since| since.min(last_good));
        Horizon { last_good: last_good.minus(self.behind), in_full: in_full.minus(self.behind) }
    }

    /// Which episode an event is a reading of. A first date may be readable in some polls only: then the event belongs
    /// to the one known episode of its series.
    fn episode(&self, event: &Event<'_>, list: &[Event<'_>], identities: &mut Identities) -> EpisodeKey {
        let key = identities.episode(event);
        let undated = key.first_seen.is_unknown();
        if !undated && !self.undated {
            return key;
        }
        let from = self.slots.partition_point(|slot| slot.key.series < key.series);
        let mut known = self.slots.get(from..).unwrap_or_default().iter().map(|slot| slot.key);
        match (known.next().filter(|one| one.series == key.series), known.next()) {
            // With two known episodes of the series it is unclear which one is meant.
            (Some(_), Some(second)) if second.series == key.series => key,
            (Some(one), _) if undated || one.first_seen.is_unknown() => {
                // Two entries of one list are two episodes, even if one of them has no date.
                let mut undated_of =
                    |other: &Event<'_>| other.first_seen.is_unknown() && identities.episode(other) == one;
                let both = !undated && list.iter().any(&mut undated_of);
                if both { key } else { one }
            }
            _ => key,
        }
    }

    fn knows(&self, series: SeriesId) -> bool {
        let at = self.slots.partition_point(|slot| slot.key.series < series);
        self.slots.get(at).is_some_and(|slot| slot.key.series == series)
    }

    /// Drops episodes that have been missing for too long, and the least important ones beyond the limit.
    fn forget(&mut self, forgotten: &mut Vec<EpisodeKey>, now: Time) {
        self.retain(forgotten, |slot| slot.absent_since.is_none_or(|since| now.since(since) < REMEMBER));
        let absent = self.absent();
        if absent > REMEMBER_PER_TARGET {
            forgotten.extend(self.forget_least(absent - REMEMBER_PER_TARGET));
        }
    }

    /// Forgets the `excess` least important episodes that left the list: Normal before Warning, then the oldest.
    pub(crate) fn forget_least(&mut self, excess: usize) -> Vec<EpisodeKey> {
        let mut absent: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| slot.absent_since.is_some())
            .map(|slot| (slot.level, slot.reading.last_seen, slot.key))
            .collect();
        absent.sort_unstable();
        let mut least: Vec<_> = absent.into_iter().take(excess).map(|(_, _, key)| key).collect();
        least.sort_unstable();
        self.crowded |= !least.is_empty();
        let mut forgotten = Vec::with_capacity(least.len());
        self.retain(&mut forgotten, |slot| least.binary_search(&slot.key).is_err());
        forgotten
    }

    fn retain(&mut self, dropped: &mut Vec<EpisodeKey>, keep: impl Fn(&Slot) -> bool) {
        self.slots.retain(|slot| {
            let keep = keep(slot);
            if !keep {
                dropped.push(slot.key);
            }
            keep
        });
    }
}

/// Sorts by the cluster's dates. Within a second, the event that ends a trouble comes after the trouble.
fn in_order(changes: &mut [Change<'_>]) {
    // Changes are large: with cached keys each of them is moved only once.
    changes.sort_by_cached_key(|change| {
        let event = &change.event;
        (event.last_seen, reports::end_effect(event).is_some(), event.first_seen, change.key)
    });
}

/// The dates that decide whether an unknown episode is new.
#[derive(Clone, Copy)]
struct Horizon {
    /// The last good read, minus what the cluster's clock may be late.
    last_good: Time,
    /// An episode that began at or after this counts in full; the past of an older one is not new.
    in_full: Time,
}
