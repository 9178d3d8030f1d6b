//! An incident: the open problem that one rule groups changes into.
//!
//! Owns the facts (how often, how many objects, since when) and the life (gathering, open, resolved). What is sent of
//! it, to whom and when is decided in [`notification_state`]; how it is sent is not known here.

mod affected;
mod affected_pods;
mod clock;
mod details;
mod held_notices;
pub mod hold;
mod joining;
mod muted;
pub mod notification_state;
mod object_trouble;
pub(crate) mod packed;
mod quote;
pub mod rhythm;
pub mod standing;
pub mod story;
pub mod unacknowledged;
pub mod window;

use std::time::Duration;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::enrichment::PodState;
use super::event::{Event, Target};
use super::health::Status;
use super::mute::Acknowledged;
use super::rollout::Rollout;
use super::time::Time;
use crate::notice::EndedBy;
use crate::rule::{Destination, Field, RuleKey, RuleSettings};

pub(crate) use affected::CauseState;
pub use affected::JoinedRule;
pub(crate) use details::object_key;
pub use details::{Details, ObjectState, Topic};
use details::{MAX_CLASS_CHARS, MAX_NAME_CHARS, clipped, newest};
pub(crate) use joining::Joining;
use notification_state::NotificationState;
use packed::Packed;
use rhythm::Rhythm;
use standing::{EndEvidence, VisibleEnds};
use unacknowledged::Unacknowledged;
use window::{ObjectOccurrences, ObjectStreak, Occurrences, OpenCheck};

/// How long a trouble that has lasted long enough waits for the good read that confirms it.
const READ_WITHIN: Duration = Duration::from_secs(3600);
/// The longest silence that reopening can demand before the next end.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(4 * 3600);
/// Most targets and blind times kept per incident: an incident is rewritten whole with every change.
const MAX_TARGETS: usize = 500;
const MAX_BLIND: usize = 5;
/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Too few occurrences yet for `open_when`; nobody is notified.
    Gathering,
    /// A present problem.
    Open,
    /// Quiet since then; may reopen.
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
    /// Its phase. Not flattened: reading an incident back would take twice as long.
    pub phase: Phase,
    /// The occurrences that count towards `open_when`.
    pub recent: Vec<Time>,
    /// The targets that show it, sorted.
    pub targets: Vec<Target>,
    /// The workload of its first change.
    pub workload: String,
    /// Occurrences so far; kept over reopening.
    pub occurrences: u64,
    /// Occurrences that the cluster had counted before podbell saw them; not part of `occurrences`.
    pub older: u64,
    /// When podbell observed the first occurrence.
    pub first_at: Time,
    /// When podbell observed the newest occurrence.
    pub last_at: Time,
    /// The newest sign of life: an occurrence, a sustaining event, or the end of a blind time.
    pub last_sign: Time,
    /// The cluster's date of the first occurrence.
    pub first_seen: Time,
    /// How often it reopened.
    pub reopened: u32,
    /// Times in which podbell could not see.
    pub blind: Vec<(Time, Time)>,
    /// The notification state of each destination.
    pub notifications: LiteMap<Destination, NotificationState>,
    /// What only its story needs.
    pub details: Packed<Details>,
    /// The acknowledgement; cleared when it resolves or reopens.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
    /// What decides when it is quiet.
    #[serde(default)]
    pub signs: EndEvidence,
    /// The longest silence that its slowest reporter may keep, in seconds.
    #[serde(default)]
    pub slowest: u32,
    /// The event that ended the last standing trouble.
    #[serde(default)]
    pub ended_by: Option<EndedBy>,
    /// The common shape of its workloads' names, once workloads with other generated names have joined it.
    #[serde(default)]
    pub shape: Option<String>,
    /// The occurrences that count towards `open_when`, object by object.
    #[serde(default)]
    pub streaks: Vec<ObjectStreak>,
    /// The health of its workloads, where it matters: they recovered, or it would be quiet if they were ready.
    #[serde(default)]
    pub status: Option<Status>,
    /// How many workloads its cause affects.
    #[serde(default)]
    pub affected: u32,
    /// How far the steps of its rule's `unacknowledged` have come; `None` once they are over.
    #[serde(default)]
    pub unacknowledged: Option<Unacknowledged>,
    /// The rollout of its workload that it opened soon after, and how soon.
    #[serde(default)]
    pub follows: Option<(Duration, Rollout)>,
    /// How long its trouble has paused so far.
    #[serde(default)]
    pub rhythm: Rhythm,
    /// The rules that inhibit others and whose changes joined this incident of another rule: it inhibits for them, too.
    #[serde(default)]
    pub joined: Vec<JoinedRule>,
}

impl Incident {
    /// Creates an incident that nothing has joined yet.
    pub(crate) fn new(id: u64, rule: RuleKey, group: Vec<(Field, String)>, joining: &Joining<'_>, now: Time) -> Self {
        Self {
            id,
            rule,
            group,
            phase: Phase::Gathering,
            recent: Vec::new(),
            targets: Vec::new(),
            workload: clipped(joining.workload, MAX_NAME_CHARS),
            occurrences: 0,
            older: 0,
            first_at: if joining.late { joining.times.last } else { now },
            last_at: if joining.late { joining.times.last } else { now },
            last_sign: now,
            first_seen: joining.event.first_seen,
            reopened: 0,
            blind: Vec::new(),
            notifications: LiteMap::new(),
            details: Details {
                newest: newest(joining.event),
                newest_seen: joining.event.last_seen,
                metadata: joining.event.metadata.clone(),
                ..Details::default()
            }
            .into(),
            acknowledged: None,
            signs: EndEvidence::default(),
            slowest: 0,
            ended_by: None,
            shape: None,
            streaks: Vec::new(),
            status: None,
            affected: 0,
            unacknowledged: None,
            follows: None,
            rhythm: Rhythm::default(),
            joined: Vec::new(),
        }
    }

    /// Takes in a change at `now`: opens or reopens the incident, or notes that it got worse. Returns from when on the
    /// change counts, if its object is too young.
    pub(crate) fn join(&mut self, rule: &RuleSettings, joining: &Joining<'_>, now: Time) -> Option<Time> {
        if self.targets.len() < MAX_TARGETS {
            insert_sorted(&mut self.targets, joining.target.clone());
        }
        for destination in joining.destinations {
            if !self.notifications.contains_key(destination) {
                self.notifications.insert(destination.clone(), NotificationState::default());
            }
        }
        if joining.new == 0 {
            return None;
        }
        if self.shape.is_none() && self.workload != joining.workload {
            let named = self.group.iter().any(|(field, value)| *field == Field::Workload && value != joining.workload);
            self.shape = super::workload::shape(joining.workload).filter(|_| named).map(|shape| shape.text);
        }
        if self.phase == Phase::Gathering && self.signs.is_over() && !joining.over {
            self.gather_anew(joining, now);
        }
        let topics = self.details.topics.len();
        self.record(joining, now);
        if self.details.topics.len() > topics {
            self.skip_shown_topic(joining.event);
        }
        match self.phase {
            Phase::Open => self.note_worse(rule, now),
            _ if joining.over => {}
            Phase::Gathering | Phase::Resolved { .. } => {
                let object = fold_name(&object_key(joining.event));
                let mut open_when = rule.open_when;
                if joining.end_is_shown
                    && super::reports::of(joining.event).is_some_and(|report| report.end_is_reported)
                {
                    open_when.lasts = None;
                }
                let happened = ObjectOccurrences { object, occurrences: joining.times, settles_at: joining.settles_at };
                match window::gather(&mut self.recent, &mut self.streaks, happened, open_when) {
                    OpenCheck::Opens => self.open(rule, now),
                    OpenCheck::Waits => {}
                    OpenCheck::TooYoung(until) => return Some(until),
                }
            }
        }
        None
    }

    /// When it will be known whether an object fails that is too young to count.
    pub(crate) fn settles_at(&self) -> Option<Time> {
        window::settles_at(&self.streaks)
    }

    /// Objects have reached the age of `settled`: what they did before counts if they still fail, and is forgotten
    /// otherwise. Opens the incident if that is enough.
    pub(crate) fn count_matured(&mut self, rule: &RuleSettings, still_fail: bool, now: Time) {
        if window::count_matured(&mut self.recent, &mut self.streaks, still_fail, rule.open_when, now) {
            self.open(rule, now);
        }
    }

    /// All that gathered has ended: starts to gather anew.
    fn gather_anew(&mut self, joining: &Joining<'_>, now: Time) {
        let at = if joining.late { joining.times.last } else { now };
        (self.occurrences, self.older, self.first_seen) = (0, 0, joining.event.first_seen);
        (self.first_at, self.last_at) = (at, at);
        self.rhythm = Rhythm::default();
        self.recent.clear();
        self.streaks.clear();
        self.details.change(|details| {
            details.reasons.clear();
            details.topics.clear();
            details.gathered.clear();
            details.episodes.clear();
            details.objects.retain(|_, seen| !seen.standing.is_empty());
            for (_, seen) in &mut details.objects {
                seen.occurred = Time::default();
            }
        });
    }

    /// Whether it is about the same class of troubles as an event.
    pub(crate) fn is_about(&self, event: &Event<'_>) -> bool {
        let trouble_class = clipped(super::reports::trouble_class(event), MAX_CLASS_CHARS);
        // Topics that were stored before classes were known may be about anything.
        self.details.topics.iter().any(|topic| topic.trouble_class == trouble_class || topic.trouble_class.is_empty())
    }

    /// The time from its first occurrence to its newest.
    pub(crate) fn lived(&self) -> Duration {
        self.last_at.since(self.first_at)
    }

    /// Whether its rule groups by what names a workload, so that it is about one.
    pub(crate) fn is_of_one_workload(&self) -> bool {
        let of = |wanted: Field| self.group.iter().any(|(field, _)| *field == wanted);
        of(Field::Cluster) && of(Field::Namespace) && of(Field::Workload)
    }

    /// Whether everything that it gathered is too old to count together with new occurrences. It is kept then only to be
    /// quoted.
    pub(crate) fn is_outlived_by(&self, new: &Occurrences, rule: &RuleSettings) -> bool {
        let until = self.counts_until(rule);
        // Without a date of the first new occurrence, `new.first` is the time of the reading before: it happened after that.
        let counts_no_more = until < new.first || (!new.at_first && until == new.first);
        self.phase == Phase::Gathering && rule.open_when.settled.is_some() && counts_no_more
    }

    /// Whether workloads with different names of one shape share it.
    pub(crate) fn is_shared_by_shape(&self) -> bool {
        self.shape.is_some()
    }

    /// Whether a change reports something that was over when it was written.
    pub(crate) fn reports_past(&self, event: &Event<'_>, at: Time, late: bool) -> bool {
        self.is_over(&object_key(event), event, at, late)
    }

    /// How many occurrences count towards `open_when`.
    pub(crate) fn gathered(&self) -> u64 {
        self.recent.len() as u64
    }

    /// When a standing trouble has lasted for as long as the rule asks. If the rule counts occurrences, too, this needs
    /// a source that would show the end of the trouble.
    pub(crate) fn lasts_at(&self, rule: &RuleSettings, shows: VisibleEnds) -> Option<Time> {
        let lasts = rule.open_when.lasts.filter(|_| self.phase != Phase::Open)?;
        if rule.open_when.count.is_some() && !self.end_is_shown(shows) {
            return None;
        }
        self.signs.since.map(|since| since.plus(lasts))
    }

    /// Opens an incident that has lasted long enough.
    pub(crate) fn open_by_lasting(&mut self, rule: &RuleSettings, now: Time) {
        self.open(rule, now);
        // No `group_wait`: changes were collected while it lasted.
        for (_, notifications) in &mut self.notifications {
            if let Some(next) = &mut notifications.next {
                next.at_once = true;
            }
        }
    }

    /// Resolves it; it has been over since `at`.
    pub fn resolve(&mut self, at: Time) {
        self.phase = Phase::Resolved { at };
        self.unacknowledged = None;
        self.end_all();
    }

    /// Notes how its newest failed pod is.
    pub(crate) fn enrich(&mut self, pod: PodState) {
        self.details.change(|details| details.pod = Some(pod));
    }

    /// Takes in an event that keeps it open but is no occurrence. Returns whether the event is about one of its
    /// objects.
    pub(crate) fn sustain(&mut self, event: &Event<'_>, now: Time) -> bool {
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
                // The event says that the trouble which still stands goes on; if none does, the silence begins anew.
                match sighting.standing.iter_mut().filter(|one| one.ended.is_none()).max_by_key(|one| one.heard) {
                    Some(one) => one.heard = now,
                    None => sighting.silent = Some(now),
                }
            }
        });
        self.signs = self.details.signs();
        self.last_sign = now;
        true
    }

    /// Notes that podbell could not see from `from` to `until`: silence counts anew from there.
    pub(crate) fn was_blind(&mut self, from: Time, until: Time) {
        self.last_sign = self.last_sign.max(until);
        self.blind.push((from, until));
        if self.blind.len() > MAX_BLIND {
            self.blind.remove(0);
        }
    }

    /// Its newest event, with the total count of the incident.
    pub fn newest_event(&self) -> Event<'_> {
        let newest = &self.details.newest;
        Event {
            metadata: self.details.metadata.clone(),
            first_seen: self.first_seen,
            last_seen: self.details.newest_seen,
            count: self.occurrences,
            level: newest.level,
            obj_type: newest.obj_type.as_str().into(),
            obj_name: newest.obj_name.as_str().into(),
            reason: newest.reason.as_str().into(),
            message: newest.message.as_str().into(),
            ..Event::default()
        }
    }

    /// Distinct objects that had an occurrence within the last hour.
    pub(crate) fn objects_lately(&self, now: Time) -> u64 {
        self.details.objects_lately(now).count() as u64
    }

    /// How wide it is: its objects within the last hour, where the runs of one cron job count once, because they follow
    /// each other.
    fn width(&self, now: Time) -> u64 {
        let (runs, others): (Vec<&str>, Vec<&str>) = self.details.objects_lately(now).partition(|key| is_of_a_run(key));
        (others.len() + usize::from(!runs.is_empty())) as u64
    }

    /// When it can be dropped: a gathering incident when its occurrences leave the window, a resolved one when it can
    /// no longer reopen.
    pub(crate) fn expires_at(&self, rule: &RuleSettings) -> Option<Time> {
        match self.phase {
            Phase::Gathering => {
                // What no longer counts of young objects may still be why an incident of a related rule opens.
                let quotable = rule.open_when.settled.map(|_| self.last_at.plus(quote::HOLDS));
                Some(self.counts_until(rule).max(quotable.unwrap_or_default()))
            }
            // Without occurrences that may still reopen it, only `reopen_within` counts.
            Phase::Resolved { at } if self.recent.is_empty() && self.streaks.is_empty() && self.signs.standing == 0 => {
                Some(at.plus(rule.reopen_within))
            }
            Phase::Resolved { at } => Some(at.plus(rule.reopen_within).max(self.counts_until(rule))),
            Phase::Open => None,
        }
    }

    /// Until when what gathered may open it.
    fn counts_until(&self, rule: &RuleSettings) -> Time {
        let counted = window::gathers_until(&self.recent, &self.streaks, rule.open_when);
        // A standing trouble is taken to last: it waits until it has lasted long enough, and then for a good read.
        let stands = self.lasts_at(rule, VisibleEnds::ALL).map(|at| at.max(self.last_at).plus(READ_WITHIN));
        // Kept until events from before its end that are written late have arrived, so that they do not open another one.
        let ended = self.signs.ended().map(|at| at.plus(READ_WITHIN));
        [counted, stands, ended].into_iter().flatten().max().unwrap_or(self.last_at)
    }

    fn record(&mut self, joining: &Joining<'_>, now: Time) {
        let event = joining.event;
        self.note_rhythm(joining);
        self.occurrences = self.occurrences.saturating_add(joining.new);
        if self.details.change(|details| details.record(joining, now)) {
            self.older = self.older.saturating_add(event.count.saturating_sub(joining.new));
        }
        self.last_at = self.last_at.max(joining.times.last);
        let silence = u32::try_from(super::reports::longest_silence(event).as_secs()).unwrap_or(u32::MAX);
        self.slowest = self.slowest.max(silence);
        self.signs = self.details.signs();
        self.note_affected();
        if !joining.over {
            self.last_sign = self.last_sign.max(now);
        }
        self.first_seen = self.first_seen.min(event.first_seen);
    }

    fn open(&mut self, rule: &RuleSettings, now: Time) {
        let reopening = matches!(self.phase, Phase::Resolved { .. });
        self.details.change(Details::begin_anew);
        if reopening {
            // Reopening clears the acknowledgement.
            self.acknowledged = None;
            self.reopened = self.reopened.saturating_add(1);
        }
        self.phase = Phase::Open;
        self.status = None;
        self.recent.clear();
        self.streaks.clear();
        self.start_steps(now);
        self.schedule_opening(rule, reopening, now);
    }
}

/// Inserts a value into a sorted list, unless it is there. Most incidents have one or two of each: a sorted list takes
/// a tenth of the smallest tree.
pub(crate) fn insert_sorted<T: Ord>(list: &mut Vec<T>, value: T) -> bool {
    match list.binary_search(&value) {
        Ok(_) => false,
        Err(at) => {
            list.reserve_exact(usize::from(list.len() < 4));
            list.insert(at, value);
            true
        }
    }
}

/// Whether an object is a run of a cron job, or a pod of one.
fn is_of_a_run(object_key: &str) -> bool {
    let (kind, name) = object_key.split_once('/').unwrap_or_default();
    match kind {
        "Job" => super::workload::is_a_scheduled_run(name),
        kind => super::workload::is_of_a_job(kind, name),
    }
}

/// 32 bits are plenty to tell the objects of one incident apart.
fn fold_name(name: &str) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or_default()
}
