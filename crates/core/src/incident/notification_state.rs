//! What each destination was notified of about an incident, and which notice it gets next.
//!
//! Each destination has its own state, because a destination that joins late must first get the whole story.
//! Destinations with the same state share a notice.

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::hold::{HoldReason, Holds};
use super::{Incident, Phase, Topic};
use crate::event::Event;
use crate::health::Health;
use crate::mute::Author;
use crate::notice::{FLAPPING, LastNotified, NoticeKind};
use crate::rule::{CountSteps, Destination, RuleSettings};
use crate::time::Time;

/// What one destination knows of an incident. It is stored by position: a new field goes to the end, with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationState {
    /// The last notice; `None` before the first.
    pub told: Option<LastNotified>,
    /// The highest step of occurrences that was sent or passed over.
    pub count_step: u64,
    /// The highest step of objects that was sent or passed over.
    pub object_step: u64,
    /// How many of the incident's topics the destination knows.
    pub topics: usize,
    /// The next notice.
    pub next: Option<PendingNotice>,
    /// Whether it was notified that the incident flaps: then it gets no more notices of reopening, and a notice of the
    /// end only once that is final.
    #[serde(default)]
    pub flapping: bool,
    /// What held back the last notice that was due, until one is sent.
    #[serde(default)]
    pub held: Option<HoldReason>,
    /// The author of a mute that ended, until the destination is notified that the incident is still open.
    #[serde(default)]
    pub after_mute: Option<Author>,
    /// Whether a step of `unacknowledged` notified this destination.
    #[serde(default)]
    pub by_step: NotifiedByStep,
    /// The health of the workloads in the last notice; `None`: they were ready, or their health was unknown.
    #[serde(default)]
    pub ready: Option<Health>,
}

/// Whether a step notified a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotifiedByStep {
    /// No step did.
    #[default]
    Never,
    /// A step did since the incident opened or reopened: further notices follow while the rule has such a step.
    #[serde(rename = "Now")]
    SinceOpening,
    /// A step did before the incident reopened: the destination was notified of that earlier end.
    #[serde(rename = "Before")]
    BeforeReopening,
}

/// A notice that waits for its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingNotice {
    /// Its kind.
    pub kind: NoticeKind,
    /// The poll that caused it; of several, the first.
    pub caused_at: Time,
    /// Whether it skips its usual wait: `group_wait` if it opens by lasting, `min_gap` if it is about another class of
    /// troubles than those sent.
    #[serde(default)]
    pub at_once: bool,
    /// For how many seconds nobody had acknowledged the incident, if that is why it is sent: then it waits for nothing.
    #[serde(default)]
    pub unacknowledged: Option<u64>,
}

impl PendingNotice {
    /// A notice that waits as long as its kind does.
    pub(crate) fn new(kind: NoticeKind, caused_at: Time) -> Self {
        Self { kind, caused_at, at_once: false, unacknowledged: None }
    }
}

/// A notice whose moment has come, for destinations with the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its kind.
    pub kind: NoticeKind,
    /// The poll or timer that caused it.
    pub caused_at: Time,
    /// The last notice that they got.
    pub told: Option<LastNotified>,
    /// How many topics they know.
    pub topics: usize,
    /// The author of a mute that ended before it.
    pub after_mute: Option<Author>,
    /// For how many seconds nobody had acknowledged the incident, if that is why it is sent.
    pub unacknowledged: Option<u64>,
    /// The destinations.
    pub to: Vec<Destination>,
}

impl Incident {
    /// It opened or reopened: every destination gets a notice.
    pub(super) fn schedule_opening(&mut self, rule: &RuleSettings, reopening: bool, now: Time) {
        for (to, notifications) in &mut self.notifications {
            if !notifications.is_notified_by(rule, to) {
                continue;
            }
            let kind =
                if reopening && notifications.told.is_some() { NoticeKind::Reopened } else { NoticeKind::Opened };
            notifications.next = (!notifications.flapping).then_some(PendingNotice::new(kind, now));
        }
    }

    /// Counts the newest topic, `event`'s, as known to each destination whose last notice already showed the state that
    /// `event` reports, and that knows all other topics.
    pub(super) fn skip_shown_topic(&mut self, event: &Event<'_>) {
        let topics = self.details.topics.len();
        for (_, one) in &mut self.notifications {
            let knows_the_others = one.told.is_some() && one.topics + 1 == topics;
            if knows_the_others && one.ready.is_some_and(|health| health.says(event)) {
                one.topics = topics;
            }
        }
    }

    /// Destinations were told how ready its workloads are.
    pub(crate) fn note_told_readiness(&mut self, to: &[Destination], health: Option<Health>) {
        for one in to {
            if let Some(notifications) = self.notifications.get_mut(one) {
                notifications.ready = health;
            }
        }
    }

    /// More has joined an open incident: decides which destinations get a notice.
    pub(super) fn note_worse(&mut self, rule: &RuleSettings, now: Time) {
        let (occurrences, width, topics) = (self.occurrences, self.width(now), self.details.topics.len());
        let topics_known = &self.details.topics;
        for (to, notifications) in &mut self.notifications {
            if notifications.next.is_some_and(|next| next.at_once || next.kind == NoticeKind::Opened)
                || !notifications.is_notified_by(rule, to)
            {
                continue;
            }
            if notifications.told.is_none() {
                notifications.next = Some(PendingNotice::new(NoticeKind::Opened, now));
                continue;
            }
            let other = rule.escalate.news && tells_of_another(topics_known, notifications.topics);
            if other {
                let kind = notifications.next.map_or(NoticeKind::Escalated, |next| match next.kind {
                    NoticeKind::Reopened => NoticeKind::Reopened,
                    _ => NoticeKind::Escalated,
                });
                notifications.next = Some(PendingNotice { at_once: true, ..PendingNotice::new(kind, now) });
                continue;
            }
            if notifications.next.is_some() {
                continue;
            }
            let worse = passed_count(&rule.escalate.counts, occurrences) > notifications.count_step
                || passed(&rule.escalate.objects, width) > notifications.object_step
                || (rule.escalate.news && topics > notifications.topics);
            if worse {
                notifications.next = Some(PendingNotice::new(NoticeKind::Escalated, now));
            }
        }
    }

    /// Drops the escalations that still wait when an event has ended the trouble and nothing has joined since. Returns
    /// whether that changed anything.
    pub(crate) fn drop_outdated(&mut self, now: Time) -> bool {
        let Some(ended_at) = self.ended_by_event().map(|end| end.at) else { return false };
        let (occurrences, objects, topics) = (self.occurrences, self.objects_lately(now), self.details.topics.len());
        let mut changed = false;
        for (_, notifications) in &mut self.notifications {
            let outdated = notifications.next.is_some_and(|next| {
                next.kind == NoticeKind::Escalated && next.caused_at < now && next.caused_at <= ended_at
            });
            if outdated {
                notifications.next = None;
                notifications.topics = topics;
                notifications.told = notifications.told.map(|told| LastNotified { occurrences, objects, ..told });
                changed = true;
            }
        }
        changed
    }

    /// The rule or its steps changed: steps that are already passed are not sent. A destination that the rule no longer
    /// notifies gets only the end. Returns whether that changed anything.
    pub(crate) fn pass_steps(&mut self, rule: &RuleSettings, now: Time) -> bool {
        let (occurrences, width) = (self.occurrences, self.width(now));
        let mut changed = self.pass_unacknowledged(rule, now);
        for (to, notifications) in &mut self.notifications {
            if !notifications.is_notified_by(rule, to) {
                changed |= notifications.next.take().is_some();
                continue;
            }
            if notifications.told.is_none() || notifications.next.is_some() {
                continue;
            }
            let before = (notifications.count_step, notifications.object_step);
            notifications.count_step = notifications.count_step.max(passed_count(&rule.escalate.counts, occurrences));
            notifications.object_step = notifications.object_step.max(passed(&rule.escalate.objects, width));
            changed |= before != (notifications.count_step, notifications.object_step);
        }
        changed
    }

    /// When the next notice is due, if nothing more happens. A notice that another incident holds has no such time:
    /// that hold ends by an event.
    pub(crate) fn next_notice_at(&self, rule: &RuleSettings, holds: &Holds) -> Option<Time> {
        let moment = |(to, notifications): (&Destination, &NotificationState)| {
            let (next, at) = self.moment(to, notifications, rule)?;
            if next.kind == NoticeKind::Reminded && notifications.after_mute.is_none() && !holds.was_read(at) {
                // The next good read sends it.
                return None;
            }
            match holds.of(to) {
                None => Some(at),
                // It is noted as held when it falls due, and sent when the hold ends.
                Some(held) if notifications.held.as_ref() != Some(&held) => Some(at),
                Some(HoldReason::Window { until, .. } | HoldReason::Mute { until, .. }) => Some(at.max(until)),
                Some(HoldReason::Inhibition { until, .. }) => until.map(|until| at.max(until)),
            }
        };
        self.notifications.iter().filter_map(moment).min()
    }

    /// Whether a reminder may be due by `now` that only waits for a target to be read.
    pub(crate) fn may_remind(&self, rule: &RuleSettings, now: Time) -> bool {
        let Some(every) = rule.remind_every else { return false };
        let mut told = self.notifications.values().filter_map(|notifications| notifications.told);
        told.any(|told| told.at.plus(every.max(rule.min_gap)) <= now)
    }

    /// Whether a destination was notified that it flaps, and not yet that it is over.
    pub(crate) fn owes_end(&self) -> bool {
        matches!(self.phase, Phase::Resolved { .. })
            && self.notifications.values().any(|notifications| notifications.flapping)
    }

    /// Whether a destination still waits for the notice that it opened: it cannot resolve before, unless that notice is
    /// held.
    pub(crate) fn owes_opened(&self, holds: &Holds) -> bool {
        let owed =
            |notifications: &NotificationState| notifications.next.is_some_and(|next| next.kind == NoticeKind::Opened);
        self.notifications.iter().any(|(to, notifications)| owed(notifications) && holds.of(to).is_none())
    }

    /// Takes out the notices that are due at `now` and not held, and notes them as sent.
    pub(crate) fn take_due(&mut self, rule: &RuleSettings, holds: &Holds, now: Time) -> Vec<Due> {
        if self.phase != Phase::Open {
            return Vec::new();
        }
        let due: Vec<_> = self
            .notifications
            .iter()
            .filter(|(to, _)| holds.of(to).is_none())
            .filter_map(|(to, notifications)| {
                let (next, at) = self.moment(to, notifications, rule)?;
                // A reminder claims that the problem persists: a target must have been read since.
                let known =
                    next.kind != NoticeKind::Reminded || notifications.after_mute.is_some() || holds.was_read(at);
                (at <= now && known).then(|| (to.clone(), next))
            })
            .collect();
        let mut grouped = Grouped::default();
        for (to, next) in due {
            self.tell(&mut grouped, &to, next, rule, now);
        }
        grouped.0
    }

    /// The incident is over: notifies the destinations that know of it or were about to. The end includes what still
    /// waited; where the end is not to be sent, what waited is sent instead.
    pub(crate) fn take_end(
        &mut self,
        kind: NoticeKind,
        rule: Option<&RuleSettings>,
        holds: &Holds,
        caused_at: Time,
        now: Time,
    ) -> Vec<Due> {
        let mut grouped = Grouped::default();
        let all: Vec<Destination> = self.notifications.keys().cloned().collect();
        let silent = kind == NoticeKind::Resolved && !rule.is_some_and(|rule| rule.send_resolved);
        for to in all {
            let held =
                holds.of(&to).filter(|held| self.notifications.get(&to).is_some_and(|one| self.misses_end(one, held)));
            let Some(notifications) = self.notifications.get_mut(&to) else { continue };
            // It was told of the end before.
            if notifications.by_step == NotifiedByStep::BeforeReopening {
                continue;
            }
            let waiting = notifications.next.take();
            if let Some(held) = held {
                if waiting.is_some() || notifications.told.is_some() {
                    notifications.held = Some(held);
                }
                continue;
            }
            // A destination that knows of the flapping gets only the final end, once the incident can no longer reopen;
            // the others were notified when it went quiet.
            let hears = match self.phase {
                Phase::Open => kind == NoticeKind::Closed || !notifications.flapping,
                _ => notifications.flapping,
            };
            if !hears {
                continue;
            }
            // A destination that an `unacknowledged` step notified, or that was told of the flapping, gets the end even
            // without `send_resolved`.
            let silent = silent && notifications.by_step != NotifiedByStep::SinceOpening && !notifications.flapping;
            let next = match (silent, waiting) {
                (true, None) => continue,
                (true, Some(waiting)) => waiting,
                (false, None) if notifications.told.is_none() => continue,
                (false, _) => PendingNotice::new(kind, caused_at),
            };
            match rule {
                Some(rule) => self.tell(&mut grouped, &to, next, rule, now),
                None => grouped.add(next, self.notifications.get(&to), &to),
            }
        }
        grouped.0
    }

    fn tell(&mut self, grouped: &mut Grouped, to: &Destination, next: PendingNotice, rule: &RuleSettings, now: Time) {
        let (occurrences, objects, topics) = (self.occurrences, self.objects_lately(now), self.details.topics.len());
        let width = self.width(now);
        grouped.add(next, self.notifications.get(to), to);
        let was_held = self.notifications.get(to).is_some_and(|notifications| notifications.held.is_some());
        self.note_told(was_held, now);
        if let Some(notifications) = self.notifications.get_mut(to) {
            notifications.next = None;
            notifications.held = None;
            notifications.after_mute = None;
            notifications.flapping |= next.kind == NoticeKind::Reopened && self.reopened >= FLAPPING;
            notifications.told = Some(LastNotified { at: now, occurrences, objects });
            notifications.count_step = notifications.count_step.max(passed_count(&rule.escalate.counts, occurrences));
            notifications.object_step = notifications.object_step.max(passed(&rule.escalate.objects, width));
            notifications.topics = topics;
        }
    }

    /// Whether a destination from which notices are held gets no notice of the end: always in a window; under a mute or
    /// an open cause only if it was never notified of this incident.
    pub(super) fn misses_end(&self, notifications: &NotificationState, held: &HoldReason) -> bool {
        match held {
            HoldReason::Window { .. } => true,
            HoldReason::Mute { .. } => notifications.told.is_none(),
            HoldReason::Inhibition { .. } => notifications.told.is_none() && self.phase == Phase::Open,
        }
    }

    /// The next notice of a destination, and when it is due.
    pub(super) fn moment(
        &self,
        to: &Destination,
        notifications: &NotificationState,
        rule: &RuleSettings,
    ) -> Option<(PendingNotice, Time)> {
        if self.phase != Phase::Open || !notifications.is_notified_by(rule, to) {
            return None;
        }
        let gap = notifications.told.map(|told| told.at.plus(rule.min_gap));
        match (notifications.next, notifications.told) {
            (Some(next), _) if next.unacknowledged.is_some() => Some((next, next.caused_at)),
            (Some(next), _) if next.kind == NoticeKind::Opened && next.at_once => Some((next, next.caused_at)),
            (Some(next), _) if next.kind == NoticeKind::Opened || next.at_once => {
                Some((next, next.caused_at.plus(rule.group_wait)))
            }
            (Some(next), _) => Some((next, gap.map_or(next.caused_at, |gap| gap.max(next.caused_at)))),
            // An acknowledged incident needs no reminders.
            (None, Some(_)) if self.acknowledged.is_some() => None,
            (None, Some(told)) => {
                let at = told.at.plus(rule.remind_every?.max(rule.min_gap));
                Some((PendingNotice::new(NoticeKind::Reminded, at), at))
            }
            (None, None) => None,
        }
    }
}

/// Notices under construction: destinations with the same state share one.
#[derive(Default)]
struct Grouped(Vec<Due>);

impl Grouped {
    fn add(&mut self, next: PendingNotice, notifications: Option<&NotificationState>, to: &Destination) {
        let (told, topics) =
            notifications.map_or((None, 0), |notifications| (notifications.told, notifications.topics));
        let after_mute = notifications.and_then(|notifications| notifications.after_mute.clone());
        let PendingNotice { kind, caused_at, unacknowledged, .. } = next;
        let due = Due { kind, caused_at, told, topics, after_mute, unacknowledged, to: Vec::new() };
        let same = |other: &Due| Due { to: Vec::new(), ..other.clone() } == due;
        match self.0.iter_mut().find(|other| same(other)) {
            Some(other) => other.to.push(to.clone()),
            None => self.0.push(Due { to: vec![to.clone()], ..due }),
        }
    }
}

/// Whether a topic beyond the first `known` belongs to a new class of troubles.
fn tells_of_another(topics: &[Topic], known: usize) -> bool {
    let (told, new) = topics.split_at(known.min(topics.len()));
    let is_told = |topic: &Topic| {
        told.iter().any(|other| other.trouble_class == topic.trouble_class || other.trouble_class.is_empty())
    };
    !told.is_empty() && new.iter().any(|topic| !is_told(topic))
}

/// The highest step that a value has reached; 0 for none.
fn passed(steps: &[u64], value: u64) -> u64 {
    steps.iter().copied().filter(|step| *step <= value).max().unwrap_or(0)
}

fn passed_count(steps: &CountSteps, value: u64) -> u64 {
    match steps {
        CountSteps::Listed(steps) => passed(steps, value),
        CountSteps::Decades => std::iter::successors(Some(100u64), |step| step.checked_mul(10))
            .take_while(|step| *step <= value)
            .last()
            .unwrap_or(0),
    }
}

/// Moves a notification state to a destination's new name. Returns whether there was one.
pub(crate) fn rename(
    notifications: &mut LiteMap<Destination, NotificationState>,
    from: &str,
    to: &Destination,
) -> bool {
    match notifications.remove(from) {
        Some(known) => {
            notifications.insert(to.clone(), known);
            true
        }
        None => false,
    }
}
