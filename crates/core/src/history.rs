//! Turns the history of the running service back into polls, for backtests.
//!
//! The store keeps changes from one poll to the next, not the lists. Lists that lead to the same changes can be made
//! from them: a missing entry is not a change, so that a list needs only what changed. Empty lists between two changes
//! let silence be observed. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::diff::{CLOCK_TOLERANCE, ChangeKind};
use super::event::{Event, Level, Target};
use super::health::HealthReport;
use super::rollout::TemplateReport;
use super::source::ObjectName;
use super::time::Time;

/// An observation of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When it was observed.
    pub at: Time,
    /// Of which target; `None`: of all of them.
    pub target: Option<Target>,
    /// What was observed.
    pub what: Seen,
}

/// What was observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A change, with the episode's reading after it.
    Change {
        /// How the episode changed.
        kind: ChangeKind,
        /// New occurrences.
        new: u64,
        /// The episode's reading, its text the newest that is known.
        event: Event<'static>,
    },
    /// From then on the target could not be read.
    Failing,
    /// The target could be read again.
    Readable,
    /// Podbell did not run from `since` until `at`.
    Down {
        /// When it stopped.
        since: Time,
    },
}

/// What a source said of an object, beside events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectReport {
    /// How a workload is.
    Health(HealthReport),
    /// What a workload runs.
    Template(TemplateReport),
    /// An object was deleted.
    Deleted {
        /// The source.
        source: Arc<str>,
        /// The object.
        object: ObjectName,
    },
}

impl ObjectReport {
    /// The key of what it is about: a newer report with the same key replaces it. Empty: no report ever replaces it.
    pub fn replacement_key(&self) -> String {
        match self {
            Self::Health(HealthReport { target, kind, name, .. }) => {
                format!("health {target} {}/{name}", kind.as_str())
            }
            Self::Template(TemplateReport { target, kind, name, .. }) => {
                format!("template {target} {}/{name}", kind.as_str())
            }
            Self::Deleted { .. } => String::new(),
        }
    }

    /// Whether it leaves no state to know later: a deletion, or a workload of unknown health. The store then deletes the
    /// report when it is old, although no newer one replaces it.
    pub fn leaves_no_state(&self) -> bool {
        match self {
            Self::Health(report) => report.health.is_none(),
            Self::Template(_) => false,
            Self::Deleted { .. } => true,
        }
    }
}

/// One poll, as backtests take it; an empty list says only that nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// When it was made.
    pub at: Time,
    /// The target.
    pub target: Target,
    /// The events that it showed; `None` if it failed.
    pub events: Option<Vec<Event<'static>>>,
}

/// The polls of a history, in the order of time.
pub struct Polls {
    lives: Vec<TargetHistory>,
    next: BinaryHeap<Reverse<(Time, usize)>>,
    until: Time,
}

/// The history of one target, and how far it was replayed.
struct TargetHistory {
    target: Target,
    every: Duration,
    /// Changes of one poll, by its time.
    changes: BTreeMap<Time, Vec<Event<'static>>>,
    /// When polls failed (`failing`), and when podbell did not run and made no polls (`down`).
    failing: Vec<(Time, Time)>,
    down: Vec<(Time, Time)>,
    /// When it was certainly polled.
    polled: BTreeSet<Time>,
    /// Episodes that changed.
    known: HashSet<(Time, Level, u64)>,
    /// The first dates that the replay shows instead of the true ones: it must not count these episodes in full.
    backdated_first_seen: HashMap<(Time, Level, u64), Time>,
}

impl Polls {
    /// The polls between two moments. `every` says how often a source was polled.
    pub fn new(observations: Vec<Observation>, since: Time, until: Time, every: impl Fn(&str) -> Duration) -> Self {
        let mut lives: BTreeMap<Target, TargetHistory> = BTreeMap::new();
        let mut down = Vec::new();
        let mut before: BTreeMap<Target, Vec<Event<'static>>> = BTreeMap::new();
        for observation in observations {
            let at = observation.at;
            let Some(target) = observation.target else {
                if let Seen::Down { since } = observation.what {
                    down.push((since, at));
                }
                continue;
            };
            let life =
                lives.entry(target.clone()).or_insert_with(|| TargetHistory::new(&target, every(&target.source)));
            match observation.what {
                Seen::Change { kind, new, event } => {
                    let event = life.backdated(kind, new, event, since);
                    before.entry(target).or_default().extend(life.reading_before(kind, new, &event));
                    life.changes.entry(at).or_default().push(event);
                    life.polled.insert(at);
                }
                Seen::Failing => {
                    life.polled.insert(at);
                    life.failing.push((at, until.plus(Duration::from_millis(1))));
                }
                Seen::Readable => {
                    life.polled.insert(at);
                    match life.failing.last_mut() {
                        Some(failing) => failing.1 = at,
                        // It failed before the history begins.
                        None => life.failing.push((since, at)),
                    }
                }
                Seen::Down { .. } => {}
            }
        }
        // Poll once before the history begins: these episodes are then known, as baseline.
        let begin = since.minus(Duration::from_millis(1));
        for (target, events) in before {
            let old = events
                .into_iter()
                .map(|event| Event { last_seen: event.last_seen.min(begin.minus(BASELINE_AGE)), ..event });
            if let Some(life) = lives.get_mut(&target) {
                life.changes.entry(begin).or_default().extend(old);
            }
        }
        let mut lives: Vec<TargetHistory> = lives.into_values().collect();
        lives.iter_mut().for_each(|life| life.down.clone_from(&down));
        let next = (0..lives.len()).map(|place| Reverse((begin, place))).collect();
        Self { lives, next, until }
    }
}

/// So old that it is baseline at first contact.
const BASELINE_AGE: Duration = Duration::from_secs(24 * 3600);

/// What identifies an episode of one target.
fn identity(event: &Event<'_>) -> (Time, Level, u64) {
    let parts = [&event.obj_type, &event.obj_name, &event.reason, &event.message].map(|part| &**part).join("\0");
    (event.first_seen, event.level, xxh3_64(parts.as_bytes()))
}

impl TargetHistory {
    fn new(target: &Target, every: Duration) -> Self {
        Self {
            target: target.clone(),
            every: every.max(Duration::from_secs(1)),
            changes: BTreeMap::new(),
            failing: Vec::new(),
            down: Vec::new(),
            polled: BTreeSet::new(),
            known: HashSet::new(),
            backdated_first_seen: HashMap::new(),
        }
    }

    /// The event with a first date that makes the replay count the same. An episode that appeared but was not new in
    /// full began before podbell read its source; the replay reads it from `since`.
    fn backdated(&mut self, kind: ChangeKind, new: u64, event: Event<'static>, since: Time) -> Event<'static> {
        let key = identity(&event);
        if kind == ChangeKind::Appeared && new < event.count {
            // Each is a little older than the one before, so that no two merge.
            let apart = Duration::from_millis(1 + self.backdated_first_seen.len() as u64);
            let begun = event.first_seen.min(since.minus(CLOCK_TOLERANCE * 2).minus(apart));
            self.backdated_first_seen.entry(key).or_insert(begun);
        }
        let first_seen = self.backdated_first_seen.get(&key).copied().unwrap_or(event.first_seen);
        Event { first_seen, ..event }
    }

    /// The earlier reading from which the diff makes this change, if it is the first change of the episode.
    fn reading_before(&mut self, kind: ChangeKind, new: u64, event: &Event<'static>) -> Option<Event<'static>> {
        if !self.known.insert(identity(event)) {
            return None;
        }
        match kind {
            ChangeKind::Appeared => None,
            ChangeKind::Increased => Some(Event { count: event.count.saturating_sub(new), ..event.clone() }),
            // A restart needs an older episode of the same series.
            ChangeKind::Restarted => {
                Some(Event { count: 1, first_seen: event.first_seen.minus(BASELINE_AGE), ..event.clone() })
            }
        }
    }

    fn is_in(spans: &[(Time, Time)], at: Time) -> bool {
        spans.iter().any(|(from, until)| *from <= at && at < *until)
    }

    /// The poll at this time; `None` if there was none.
    fn poll(&mut self, at: Time) -> Option<Poll> {
        let events = self.changes.remove(&at);
        // A change proves that the poll succeeded.
        let events = match events {
            Some(events) => Some(events),
            None if Self::is_in(&self.down, at) => return None,
            None if Self::is_in(&self.failing, at) => None,
            None => Some(Vec::new()),
        };
        Some(Poll { at, target: self.target.clone(), events })
    }

    /// The time of the next poll: the next one that is known to have happened, if it lies within one and a half
    /// intervals; else one interval later.
    fn next_poll_at(&self, at: Time) -> Time {
        let certain = self.polled.range((Bound::Excluded(at), Bound::Unbounded)).next();
        let near = |certain: &&Time| **certain <= at.plus(self.every).plus(self.every / 2);
        certain.filter(near).copied().unwrap_or_else(|| at.plus(self.every))
    }
}

impl Iterator for Polls {
    type Item = Poll;

    fn next(&mut self) -> Option<Poll> {
        while let Some(Reverse((at, place))) = self.next.pop() {
            let life = self.lives.get_mut(place)?;
            let poll = life.poll(at);
            let after = life.next_poll_at(at);
            if after <= self.until {
                self.next.push(Reverse((after, place)));
            }
            if poll.is_some() {
                return poll;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(second: i64, kind: ChangeKind, new: u64, count: u64) -> Observation {
        let event = Event {
            first_seen: Time::from_seconds(100),
            last_seen: Time::from_seconds(second),
            count,
            level: Level::Warning,
            obj_type: "Pod".into(),
            obj_name: "web-1".into(),
            reason: "Failed".into(),
            message: "m".into(),
            ..Event::default()
        };
        let target = Some(Target::new("prod", "c", "shop", "web"));
        Observation { at: Time::from_seconds(second), target, what: Seen::Change { kind, new, event } }
    }

    #[test]
    fn changes_become_polls_with_silence_between_them() {
        let target = Some(Target::new("prod", "c", "shop", "web"));
        let failing = |second, what| Observation { at: Time::from_seconds(second), target: target.clone(), what };
        let observations = vec![
            change(1030, ChangeKind::Increased, 2, 9),
            failing(1100, Seen::Failing),
            failing(1200, Seen::Readable),
            Observation {
                at: Time::from_seconds(1400),
                target: None,
                what: Seen::Down { since: Time::from_seconds(1250) },
            },
            change(1400, ChangeKind::Increased, 1, 10),
        ];
        let (since, until) = (Time::from_seconds(1000), Time::from_seconds(1500));
        let polls = Polls::new(observations, since, until, |_| Duration::from_secs(60));
        let shown: Vec<(i64, Option<Vec<u64>>)> = polls
            .map(|poll| {
                let counts = poll.events.map(|events| events.iter().map(|event| event.count).collect());
                (poll.at.seconds(), counts)
            })
            .collect();
        assert_eq!(
            shown,
            [
                (999, Some(vec![7])),
                (1030, Some(vec![9])),
                // A poll certainly happened when it became unreadable, and when it became readable again.
                (1100, None),
                (1160, None),
                (1200, Some(vec![])),
                (1400, Some(vec![10])),
                (1460, Some(vec![])),
            ]
        );
    }
}
