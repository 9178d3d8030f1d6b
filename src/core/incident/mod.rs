//! An incident: the open problem that one rule groups changes into.
//!
//! Owns the facts (how often, how many objects, since when) and the life (gathering, open,
//! resolved). What is told of it, to whom and when is [`telling`]; it never knows how.

mod clock;
pub mod hold;
pub mod packed;
pub mod story;
pub mod telling;
pub mod window;

use std::time::Duration;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::event::{Event, Target};
use super::mute::Acknowledged;
use super::notice::{Newest, ReasonCount};
use super::rules::rule::{Destination, Field, RuleKey, RuleSettings};
use super::series::EpisodeKey;
use super::time::Time;
use packed::Packed;
use telling::Telling;
use window::Occurrences;

/// How long an object counts as affected.
pub const OBJECT_MEMORY: Duration = Duration::from_secs(3600);
/// The longest silence that reopening can demand.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(4 * 3600);
/// So often come back, an incident flaps: that is told once, and then only its end.
pub const FLAPPING: u32 = 3;
/// Most objects, episodes, reasons, topics, targets and blind times kept per incident: an incident
/// is rewritten whole with every change.
const MOST_TARGETS: usize = 500;
const MOST_OBJECTS: usize = 1000;
const MOST_EPISODES: usize = 200;
const MOST_REASONS: usize = 20;
const MOST_TOPICS: usize = 50;
const MOST_BLIND: usize = 5;
const MOST_MESSAGE_CHARS: usize = 4000;
/// Names of Kubernetes have at most 253 characters; anything longer is nonsense of a source.
const MOST_NAME_CHARS: usize = 300;

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Too few occurrences yet for `open_when`; nobody knows of it.
    Gathering,
    /// A problem.
    Open,
    /// Quiet since then; may come back.
    Resolved {
        /// The moment at which the silence was long enough.
        at: Time,
    },
}

/// One problem.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Incident {
    /// The number people know it by.
    pub id: u64,
    /// Its rule.
    pub rule: RuleKey,
    /// The values it is grouped by, in the order of the rule's `group_by`.
    pub group: Vec<(Field, String)>,
    /// Where it is in its life. Not flattened: reading an incident back would take twice as long.
    pub phase: Phase,
    /// What counts towards `open_when`.
    pub recent: Vec<Time>,
    /// The targets that show it, sorted.
    pub targets: Vec<Target>,
    /// The workload of its first change.
    pub workload: String,
    /// Occurrences so far; kept over reopening.
    pub occurrences: u64,
    /// Of those, what the cluster had counted before podbell saw it.
    pub older: u64,
    /// When podbell observed the first and the newest occurrence.
    pub first_at: Time,
    /// See `first_at`.
    pub last_at: Time,
    /// The newest sign of life: an occurrence, a sustaining event, or the end of a blind time.
    pub last_sign: Time,
    /// The cluster's date of the first occurrence.
    pub first_seen: Time,
    /// How often it came back.
    pub reopened: u32,
    /// When podbell could not see.
    pub blind: Vec<(Time, Time)>,
    /// What each destination knows.
    pub telling: LiteMap<Destination, Telling>,
    /// What only its story needs.
    pub details: Packed<Details>,
    /// Who has it; until it is over or comes back.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
}

/// What an incident is about, in detail. All of it is bounded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Objects by `objType/objName`.
    pub objects: LiteMap<Box<str>, Sighting>,
    /// Occurrences by reason, in order of joining.
    pub reasons: Vec<ReasonCount>,
    /// What it talks about, in order of joining, each with words for people.
    pub topics: Vec<Topic>,
    /// The newest event.
    pub newest: Newest,
    /// The cluster's date of `newest`.
    pub newest_seen: Time,
    /// Episodes whose past is counted as older, folded to 64 bits, sorted.
    pub episodes: Vec<u64>,
}

/// When an object was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// By an occurrence.
    pub occurred: Time,
    /// By an occurrence or a sustaining event.
    pub heard: Time,
}

/// Something that an incident talks about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its identity, see [`super::topic`].
    pub key: String,
    /// The words that tell it as news: the reason, and the message's beginning.
    pub words: String,
}

/// A change on its way into an incident.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// Where it was seen.
    pub target: &'a Target,
    /// The event, with the episode's whole count.
    pub event: &'a Event<'a>,
    /// The episode.
    pub episode: EpisodeKey,
    /// The object's workload.
    pub workload: &'a str,
    /// Occurrences that are new to this incident; 0 when another service's list showed them first.
    pub new: u64,
    /// Whether the series was not known before.
    pub appeared: bool,
    /// The previous good poll: the new occurrences lie after it.
    pub since: Time,
    /// The destinations it won.
    pub destinations: &'a [Destination],
}

impl Incident {
    /// An incident that nothing has joined yet.
    pub fn new(id: u64, rule: RuleKey, group: Vec<(Field, String)>, joining: &Joining<'_>, now: Time) -> Self {
        Self {
            id,
            rule,
            group,
            phase: Phase::Gathering,
            recent: Vec::new(),
            targets: Vec::new(),
            workload: clipped(joining.workload, MOST_NAME_CHARS),
            occurrences: 0,
            older: 0,
            first_at: now,
            last_at: now,
            last_sign: now,
            first_seen: joining.event.first_seen,
            reopened: 0,
            blind: Vec::new(),
            telling: LiteMap::new(),
            details: Details {
                newest: newest(joining.event),
                newest_seen: joining.event.last_seen,
                ..Details::default()
            }
            .into(),
            acknowledged: None,
        }
    }

    /// Takes in a change at `now` and opens, reopens or marks as worse.
    pub fn join(&mut self, rule: &RuleSettings, joining: &Joining<'_>, now: Time) {
        if self.targets.len() < MOST_TARGETS {
            insert_sorted(&mut self.targets, joining.target.clone());
        }
        for destination in joining.destinations {
            if !self.telling.contains_key(destination) {
                self.telling.insert(destination.clone(), Telling::default());
            }
        }
        if joining.new == 0 {
            return;
        }
        self.record(joining, now);
        match self.phase {
            Phase::Open => self.note_worse(rule, now),
            Phase::Gathering | Phase::Resolved { .. } => {
                if self.gather(rule, joining, now) {
                    self.open(rule, now);
                }
            }
        }
    }

    /// Takes in an event that keeps it open but is no occurrence. Says whether it was about one of
    /// its objects.
    pub fn sustain(&mut self, event: &Event<'_>, now: Time) -> bool {
        if self.phase != Phase::Open {
            return false;
        }
        let key = object_key(event);
        if !self.details.objects.contains_key(key.as_str()) {
            return false;
        }
        self.details.change(|details| {
            if let Some(sighting) = details.objects.get_mut(key.as_str()) {
                sighting.heard = now;
            }
        });
        self.last_sign = now;
        true
    }

    /// Podbell could not see from `from` to `until`: silence counts anew.
    pub fn was_blind(&mut self, from: Time, until: Time) {
        self.last_sign = self.last_sign.max(until);
        self.blind.push((from, until));
        if self.blind.len() > MOST_BLIND {
            self.blind.remove(0);
        }
    }

    /// Its newest event, with the counts of all of it.
    pub fn newest_event(&self) -> Event<'_> {
        let newest = &self.details.newest;
        Event {
            first_seen: self.first_seen,
            last_seen: self.details.newest_seen,
            count: self.occurrences,
            level: newest.level,
            obj_type: newest.obj_type.as_str().into(),
            obj_name: newest.obj_name.as_str().into(),
            reason: newest.reason.as_str().into(),
            message: newest.message.as_str().into(),
        }
    }

    /// Distinct objects that had an occurrence within the last hour.
    pub fn objects_lately(&self, now: Time) -> u64 {
        self.details.objects.values().filter(|seen| now.since(seen.occurred) < OBJECT_MEMORY).count() as u64
    }

    /// When the silence is long enough, if nothing more happens.
    pub fn quiet_at(&self, rule: &RuleSettings) -> Time {
        self.last_sign.plus(self.silence(rule))
    }

    /// The silence that ends it: doubled by each reopening, up to 4 h.
    pub fn silence(&self, rule: &RuleSettings) -> Duration {
        let doubled = rule.resolve_after.saturating_mul(1u32.checked_shl(self.reopened.min(16)).unwrap_or(u32::MAX));
        doubled.min(LONGEST_SILENCE.max(rule.resolve_after))
    }

    /// When it stops being of interest: a gathering one when its occurrences leave the window, a
    /// resolved one when it can no longer come back.
    pub fn expires_at(&self, rule: &RuleSettings) -> Option<Time> {
        match self.phase {
            Phase::Gathering => Some(self.gathers_until(rule)),
            // What gathers to bring it back may still do so.
            Phase::Resolved { at } if self.recent.is_empty() => Some(at.plus(rule.reopen_within)),
            Phase::Resolved { at } => Some(at.plus(rule.reopen_within).max(self.gathers_until(rule))),
            Phase::Open => None,
        }
    }

    fn gathers_until(&self, rule: &RuleSettings) -> Time {
        self.recent.last().map_or(self.last_at, |last| last.plus(rule.open_when.within))
    }

    fn record(&mut self, joining: &Joining<'_>, now: Time) {
        let event = joining.event;
        self.occurrences = self.occurrences.saturating_add(joining.new);
        if self.details.change(|details| details.record(joining, now)) {
            self.older = self.older.saturating_add(event.count.saturating_sub(joining.new));
        }
        self.last_at = now;
        self.last_sign = self.last_sign.max(now);
        self.first_seen = self.first_seen.min(event.first_seen);
    }

    /// Whether `open_when` is met.
    fn gather(&mut self, rule: &RuleSettings, joining: &Joining<'_>, now: Time) -> bool {
        // A series that podbell meets late may have counted for hours: its past says nothing about
        // the window.
        let late = joining.appeared && joining.event.first_seen < now.minus(rule.open_when.within);
        let new = if late { 1 } else { joining.new };
        let spread = Occurrences { from: joining.since.max(joining.event.first_seen).min(now), until: now, new };
        window::gather(&mut self.recent, spread, rule.open_when)
    }

    fn open(&mut self, rule: &RuleSettings, now: Time) {
        let reopening = matches!(self.phase, Phase::Resolved { .. });
        if reopening {
            // Whoever had it had what was over.
            self.acknowledged = None;
            self.reopened = self.reopened.saturating_add(1);
        }
        self.phase = Phase::Open;
        self.recent.clear();
        self.start_telling(rule, reopening, now);
    }
}

impl Details {
    /// Takes in a change. Says whether its episode is new to the incident.
    fn record(&mut self, joining: &Joining<'_>, now: Time) -> bool {
        let event = joining.event;
        self.record_object(event, now);
        self.record_reason(clipped(event.reason.trim(), 200), joining.new);
        let key = clipped(&super::topic::of(event, joining.workload), MOST_NAME_CHARS);
        if self.topics.len() < MOST_TOPICS && !self.topics.iter().any(|known| known.key == key) {
            self.topics.push(Topic { key, words: topic_words(event) });
        }
        if event.last_seen >= self.newest_seen {
            self.newest = newest(event);
            self.newest_seen = event.last_seen;
        }
        self.episodes.len() < MOST_EPISODES && insert_sorted(&mut self.episodes, fold(joining.episode))
    }

    fn record_reason(&mut self, reason: String, new: u64) {
        if let Some(known) = self.reasons.iter_mut().find(|known| known.reason == reason) {
            known.occurrences = known.occurrences.saturating_add(new);
        } else if self.reasons.len() < MOST_REASONS {
            self.reasons.push(ReasonCount { reason, occurrences: new });
        }
    }

    fn record_object(&mut self, event: &Event<'_>, now: Time) {
        let key = object_key(event);
        if self.objects.len() >= MOST_OBJECTS && !self.objects.contains_key(key.as_str()) {
            self.objects.retain(|_, seen| now.since(seen.heard) < OBJECT_MEMORY);
            if self.objects.len() >= MOST_OBJECTS {
                return;
            }
        }
        self.objects.insert(key.into_boxed_str(), Sighting { occurred: now, heard: now });
    }
}

/// The identity of an object inside an incident.
pub fn object_key(event: &Event<'_>) -> String {
    format!("{}/{}", clipped(event.obj_type.trim(), MOST_NAME_CHARS), clipped(event.obj_name.trim(), MOST_NAME_CHARS))
}

fn newest(event: &Event<'_>) -> Newest {
    Newest {
        level: event.level,
        obj_type: clipped(event.obj_type.trim(), 100),
        obj_name: clipped(event.obj_name.trim(), 300),
        reason: clipped(event.reason.trim(), 200),
        message: clipped(event.message.trim(), MOST_MESSAGE_CHARS),
    }
}

fn topic_words(event: &Event<'_>) -> String {
    let message = event.message.trim();
    let line = message.lines().next().unwrap_or_default();
    format!("{}: {}", clipped(event.reason.trim(), 60), clipped(line, 120))
}

/// Adds a value where it belongs, unless it is there. Most incidents have one or two of each: a
/// sorted list is a tenth of the smallest tree.
fn insert_sorted<T: Ord>(list: &mut Vec<T>, value: T) -> bool {
    match list.binary_search(&value) {
        Ok(_) => false,
        Err(at) => {
            list.reserve_exact(usize::from(list.len() < 4));
            list.insert(at, value);
            true
        }
    }
}

/// At most so many characters, cut between characters.
fn clipped(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// 64 of the hash's bits are plenty to tell 200 episodes apart.
fn fold(key: EpisodeKey) -> u64 {
    let mut half = [0u8; 8];
    half.copy_from_slice(&key.series.0[..8]);
    u64::from_be_bytes(half) ^ key.first_seen.millis().unsigned_abs().rotate_left(32)
}
