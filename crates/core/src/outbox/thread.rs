//! One message an incident, for chats that have threads: which message stands for it, and whether
//! that message still shows what is true.
//!
//! Notices travel as deliveries and lose nothing. What changes without a notice (a count, who has it)
//! is no delivery: it follows from the difference between what the message shows and what is true, so
//! that there is never more than one such change on its way, and none to be remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Content;
use super::pace::Pace;
use crate::incident::{Incident, Phase};
use crate::notice::{Notice, NoticeBody, NoticeKind};
use crate::time::{Jump, Time};

/// A message that changes only in its counts is not changed again sooner.
const COUNTS_EVERY: Duration = Duration::from_secs(60);
/// The older a message, the less often its counts follow: after a tenth of its age,
const COUNTS_BY_AGE: u32 = 10;
/// but within so long.
const COUNTS_WITHIN: Duration = Duration::from_secs(3600);

/// A chat that has threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPolicy {
    /// What messages belong to: a hash of the channel. In another channel there are other messages.
    pub place: Arc<str>,
    /// What shares the pace of changing messages: a hash of the token.
    pub endpoint: Arc<str>,
    /// How fast messages may be changed, beside the pace of the channel.
    pub pace: Pace,
}

/// A message, by the platform's names for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parent {
    /// The channel's id.
    pub channel: Arc<str>,
    /// The message's id within the channel.
    pub message: Arc<str>,
}

/// What a message shows of its incident, as far as a change of it is worth changing the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageState {
    /// Whether it is open.
    pub open: bool,
    /// Whether somebody has it.
    pub acknowledged: bool,
    /// How often it occurred.
    pub occurrences: u64,
}

impl MessageState {
    /// Of an incident as it is.
    pub fn of(incident: &Incident) -> Self {
        Self {
            open: incident.phase == Phase::Open,
            acknowledged: incident.acknowledged.is_some(),
            occurrences: incident.occurrences,
        }
    }

    /// Of an incident as a notice tells it; none of podbell's own words.
    pub fn told_by(notice: &Notice) -> Option<Self> {
        let NoticeBody::Incident(story) = &notice.body else { return None };
        Some(Self {
            open: !is_end(notice.kind),
            acknowledged: story.acknowledged.is_some(),
            occurrences: story.occurrences,
        })
    }
}

/// Whether a notice says that it is over: then the message that stands for the incident is changed, and
/// nobody is disturbed.
pub fn is_end(kind: NoticeKind) -> bool {
    matches!(kind, NoticeKind::Resolved | NoticeKind::Closed)
}

/// The message that stands for an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Which it is.
    pub parent: Parent,
    /// When it was posted.
    pub since: Time,
    /// What it shows, and since when; `None` if that is not known.
    pub shown: Option<(MessageState, Time)>,
    /// What is true, if that was said.
    wanted: Option<MessageState>,
    /// How much of it is shown: less after the platform refused a change.
    pub(super) content: Content,
    /// The incident is over for good.
    over: bool,
}

impl Thread {
    /// As the store has it.
    pub fn restored(parent: Parent, since: Time, shown: Option<(MessageState, Time)>) -> Self {
        Self { parent, since, shown, wanted: None, content: Content::Full, over: false }
    }

    /// When it is to be changed, if it does not show what is true.
    fn stale_at(&self, now: Time) -> Option<Time> {
        let wanted = self.wanted.filter(|_| !self.over)?;
        let Some((shown, at)) = self.shown else { return Some(now) };
        // A clock that was set back must not keep it as it is.
        let at = at.min(now);
        if shown == wanted {
            return None;
        }
        if (shown.open, shown.acknowledged) != (wanted.open, wanted.acknowledged) {
            return Some(now);
        }
        let by_age = at.since(self.since) / COUNTS_BY_AGE;
        Some(at.plus(by_age.clamp(COUNTS_EVERY, COUNTS_WITHIN)))
    }
}

/// The messages of one destination that stand for incidents.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    by_incident: BTreeMap<u64, Thread>,
    /// Those that do not show what is true, by the moment at which they are to be changed.
    stale: BTreeSet<(Time, u64)>,
    stale_at: BTreeMap<u64, Time>,
    /// Incidents that are over for good, and not told to their end.
    over: BTreeSet<u64>,
}

impl Threads {
    /// The one of an incident.
    pub fn get(&self, incident: u64) -> Option<&Thread> {
        self.by_incident.get(&incident)
    }

    /// The incidents.
    pub(super) fn incidents(&self) -> Vec<u64> {
        self.by_incident.keys().copied().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_incident.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_incident.is_empty()
    }

    /// From now on this message stands for the incident.
    pub(super) fn put(&mut self, incident: u64, mut thread: Thread, now: Time) {
        thread.wanted = thread.wanted.or(self.get(incident).and_then(|before| before.wanted));
        self.by_incident.insert(incident, thread);
        self.note(incident, now);
    }

    /// No message stands for the incident any more.
    pub(super) fn remove(&mut self, incident: u64) -> Option<Thread> {
        let removed = self.by_incident.remove(&incident);
        self.over.remove(&incident);
        if let Some(at) = self.stale_at.remove(&incident) {
            self.stale.remove(&(at, incident));
        }
        removed
    }

    /// What is true of an incident.
    pub(super) fn want(&mut self, incident: u64, face: MessageState, now: Time) {
        if let Some(thread) = self.by_incident.get_mut(&incident) {
            if thread.wanted != Some(face) {
                thread.content = Content::Full;
            }
            thread.wanted = Some(face);
            self.note(incident, now);
        }
    }

    /// What the message shows from now on; `None`: nobody knows.
    pub(super) fn show(&mut self, incident: u64, face: Option<MessageState>, now: Time) {
        if let Some(thread) = self.by_incident.get_mut(&incident) {
            thread.shown = face.map(|face| (face, now));
            self.note(incident, now);
        }
    }

    /// The platform does not take a change: shorter, then one line, then it is left.
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

    /// A change is on its way, or cannot be made: it is not tried again before something else changes.
    pub(super) fn leave(&mut self, incident: u64, now: Time) {
        let wanted = self.get(incident).and_then(|thread| thread.wanted);
        self.show(incident, wanted, now);
    }

    /// The incident is over for good: nothing of it will change.
    pub(super) fn end(&mut self, incident: u64, now: Time) {
        if let Some(thread) = self.by_incident.get_mut(&incident) {
            thread.over = true;
            self.over.insert(incident);
            self.note(incident, now);
        }
    }

    /// The clock was set, and it is `now`.
    pub(super) fn clock_set(&mut self, by: Jump, now: Time) {
        for thread in self.by_incident.values_mut() {
            thread.since.carry(by);
            if let Some((_, at)) = &mut thread.shown {
                at.carry(by);
            }
        }
        self.incidents().into_iter().for_each(|incident| self.note(incident, now));
    }

    /// Incidents that are over for good, and not told to their end.
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
        if let Some(at) = self.get(incident).and_then(|thread| thread.stale_at(now)) {
            self.stale_at.insert(incident, at);
            self.stale.insert((at, incident));
        }
    }
}
