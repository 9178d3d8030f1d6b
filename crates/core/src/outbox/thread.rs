//! One message per incident, for chats that have threads: which message stands for it, and whether that message is up
//! to date.
//!
//! Notices travel as deliveries and none is lost. A change without a notice (a count, an acknowledgement) is no
//! delivery: it follows from the difference between what the message shows and what is true. So there is never more
//! than one such change on its way, and none to remember.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Content;
use super::pace::Pace;
use crate::health::{Health, Status};
use crate::incident::{Incident, Phase};
use crate::notice::{Notice, NoticeBody, NoticeKind};
use crate::time::{Jump, Time};

/// The shortest time between changes of a message that differ only in counts.
const COUNTS_EVERY: Duration = Duration::from_secs(60);
/// The older a message, the less often its counts follow: after its age divided by this.
const COUNTS_BY_AGE: u32 = 10;
/// The longest time after which counts follow.
const COUNTS_WITHIN: Duration = Duration::from_secs(3600);

/// A chat that has threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPolicy {
    /// Identifies the channel that messages belong to, by a hash: another channel has other messages.
    pub place: Arc<str>,
    /// Identifies what shares the pace of changing messages: a hash of the token.
    pub endpoint: Arc<str>,
    /// How fast messages may be changed, in addition to the pace of the channel.
    pub pace: Pace,
    /// When messages are sent again.
    pub upkeep: Upkeep,
}

/// When the message of an incident is sent again without a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upkeep {
    /// When it differs from what is true; counts follow less often the older it is.
    #[default]
    Changes,
    /// As [`Self::Changes`], and after so long while the incident is open, because the platform ends by itself what it hears
    /// nothing more of.
    ChangesAndEvery(Duration),
    /// When the incident ends, opens again, or is acknowledged or not any more: the platform shows nothing else, and would take
    /// another message for another acknowledgement.
    Acknowledgements,
}

impl Upkeep {
    fn follows_counts(self) -> bool {
        self != Self::Acknowledgements
    }

    fn repeat_every(self) -> Option<Duration> {
        match self {
            Self::ChangesAndEvery(every) => Some(every),
            Self::Changes | Self::Acknowledgements => None,
        }
    }
}

/// A message, by the platform's names for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parent {
    /// The channel's id.
    pub channel: Arc<str>,
    /// The message's id within the channel.
    pub message: Arc<str>,
}

/// What a message shows of its incident, as far as a difference is worth changing the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageState {
    /// Whether it is open.
    pub open: bool,
    /// Whether it is acknowledged.
    pub acknowledged: bool,
    /// How often it occurred.
    pub occurrences: u64,
    /// Its workloads, if it is quiet but they are not ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<Health>,
    /// How many workloads its cause affects.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub affected: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl MessageState {
    /// The state of an incident as it is.
    pub fn of(incident: &Incident) -> Self {
        Self {
            open: incident.phase == Phase::Open,
            acknowledged: incident.acknowledged.is_some(),
            occurrences: incident.occurrences,
            not_ready: not_ready(incident.status),
            affected: incident.affected.into(),
        }
    }

    /// The state of an incident as a notice tells it; `None` for infos, which have no state.
    pub fn from_notice(notice: &Notice) -> Option<Self> {
        let open = !is_end(notice.kind);
        match &notice.body {
            NoticeBody::Incident(story) => Some(Self {
                open,
                acknowledged: story.acknowledged.is_some(),
                occurrences: story.occurrences,
                not_ready: not_ready(story.status),
                affected: story.affected_count,
            }),
            NoticeBody::Trouble(_) => Some(Self { open, ..Self::TROUBLE }),
            NoticeBody::Info(_) => None,
        }
    }

    /// The state of any of podbell's own troubles that is not over.
    pub(crate) const TROUBLE: Self =
        Self { open: true, acknowledged: false, occurrences: 0, not_ready: None, affected: 0 };
}

fn not_ready(status: Option<Status>) -> Option<Health> {
    match status? {
        Status::NotReady { health } => Some(health),
        Status::Ready { .. } => None,
    }
}

/// Whether a notice tells the end: then the message that stands for the incident is changed, and nobody is disturbed.
pub fn is_end(kind: NoticeKind) -> bool {
    matches!(kind, NoticeKind::Resolved | NoticeKind::Closed)
}

/// The message that stands for an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The message.
    pub parent: Parent,
    /// When it was posted.
    pub since: Time,
    /// What it shows, and since when; `None` if that is not known.
    pub shown: Option<(MessageState, Time)>,
    /// What is true of the incident, if known.
    wanted: Option<MessageState>,
    /// How much of it is shown: less after the platform refused a change.
    pub(super) content: Content,
    /// Whether the incident is over for good.
    over: bool,
}

impl Thread {
    /// Restores a thread from the store.
    pub fn restored(parent: Parent, since: Time, shown: Option<(MessageState, Time)>) -> Self {
        Self { parent, since, shown, wanted: None, content: Content::Full, over: false }
    }

    /// When the message is to be sent again: because it is not up to date, or must be repeated while the incident is open.
    fn stale_at(&self, upkeep: Upkeep, now: Time) -> Option<Time> {
        let wanted = self.wanted.filter(|_| !self.over)?;
        let Some((shown, at)) = self.shown else { return Some(now) };
        // A clock that was set back must not delay it.
        let at = at.min(now);
        let repeat = upkeep.repeat_every().filter(|_| wanted.open).map(|every| at.plus(every));
        let by_age = || at.plus((at.since(self.since) / COUNTS_BY_AGE).clamp(COUNTS_EVERY, COUNTS_WITHIN));
        let outdated = match (shown.open, shown.acknowledged) != (wanted.open, wanted.acknowledged) {
            true => Some(now),
            false => (shown != wanted && upkeep.follows_counts()).then(by_age),
        };
        [outdated, repeat].into_iter().flatten().min()
    }
}

/// The messages of one destination that stand for incidents.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    by_incident: BTreeMap<u64, Thread>,
    /// Messages that are not up to date or must be repeated, by the time at which they are to be sent again.
    stale: BTreeSet<(Time, u64)>,
    stale_at: BTreeMap<u64, Time>,
    /// Incidents that are over for good, but have notices left to send.
    over: BTreeSet<u64>,
    upkeep: Upkeep,
}

impl Threads {
    /// The message of an incident.
    pub fn get(&self, incident: u64) -> Option<&Thread> {
        self.by_incident.get(&incident)
    }

    pub(super) fn incidents(&self) -> Vec<u64> {
        self.by_incident.keys().copied().collect()
    }

    /// How many messages there are.
    pub fn count(&self) -> usize {
        self.by_incident.len()
    }

    /// Sets when messages are sent again.
    pub(super) fn keep_up(&mut self, upkeep: Upkeep, now: Time) {
        self.upkeep = upkeep;
        self.incidents().into_iter().for_each(|incident| self.note(incident, now));
    }

    /// Sets the message that stands for the incident.
    pub(super) fn put(&mut self, incident: u64, mut thread: Thread, now: Time) {
        thread.wanted = thread.wanted.or(self.get(incident).and_then(|before| before.wanted));
        self.by_incident.insert(incident, thread);
        self.note(incident, now);
    }

    /// Removes the message that stands for the incident.
    pub(super) fn remove(&mut self, incident: u64) -> Option<Thread> {
        let removed = self.by_incident.remove(&incident);
        self.over.remove(&incident);
        if let Some(at) = self.stale_at.remove(&incident) {
            self.stale.remove(&(at, incident));
        }
        removed
    }

    /// Sets what is true of an incident.
    pub(super) fn want(&mut self, incident: u64, message_state: MessageState, now: Time) {
        if let Some(thread) = self.by_incident.get_mut(&incident) {
            if thread.wanted != Some(message_state) {
                thread.content = Content::Full;
            }
            thread.wanted = Some(message_state);
            self.note(incident, now);
        }
    }

    /// Sets what the message shows from now on; `None`: unknown.
    pub(super) fn show(&mut self, incident: u64, message_state: Option<MessageState>, now: Time) {
        if let Some(thread) = self.by_incident.get_mut(&incident) {
            thread.shown = message_state.map(|message_state| (message_state, now));
            self.note(incident, now);
        }
    }

    /// The platform refused a change: try shorter, then one line, then leave the message.
    pub(super) fn reduce(&mut self, incident: u64, now: Time) {
        let Some(thread) = self.by_incident.get_mut(&incident) else { return };
        match thread.content.less() {
            Some(less) => {
                thread.content = less;
                self.show(incident, None, now);
            }
            None => self.leave(incident, now),
        }
    }

    /// A change is on its way, or impossible: do not try again before something else changes.
    pub(super) fn leave(&mut self, incident: u64, now: Time) {
        let wanted = self.get(incident).and_then(|thread| thread.wanted);
        self.show(incident, wanted, now);
    }

    /// Notes that the incident is over for good: nothing of it will change.
    pub(super) fn end(&mut self, incident: u64, now: Time) {
        if let Some(thread) = self.by_incident.get_mut(&incident) {
            thread.over = true;
            self.over.insert(incident);
            self.note(incident, now);
        }
    }

    /// Shifts the times of podbell's own clock by `by`; `now` is the time after the clock was set.
    pub(super) fn clock_set(&mut self, by: Jump, now: Time) {
        for thread in self.by_incident.values_mut() {
            thread.since.carry(by);
            if let Some((_, at)) = &mut thread.shown {
                at.carry(by);
            }
        }
        self.incidents().into_iter().for_each(|incident| self.note(incident, now));
    }

    /// Incidents that are over for good, but have notices left to send.
    pub(super) fn over(&self) -> Vec<u64> {
        self.over.iter().copied().collect()
    }

    /// Whether the incident is over for good.
    pub(super) fn is_over(&self, incident: u64) -> bool {
        self.get(incident).is_some_and(|thread| thread.over)
    }

    /// The message that is to be changed next, and when.
    pub fn first_change(&self) -> Option<(Time, u64)> {
        self.stale.first().copied()
    }

    fn note(&mut self, incident: u64, now: Time) {
        if let Some(before) = self.stale_at.remove(&incident) {
            self.stale.remove(&(before, incident));
        }
        if let Some(at) = self.get(incident).and_then(|thread| thread.stale_at(self.upkeep, now)) {
            self.stale_at.insert(incident, at);
            self.stale.insert((at, incident));
        }
    }
}
