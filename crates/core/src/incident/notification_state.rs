//! What each destination was told of an incident, and what it is to be told next.
//!
//! Each destination has its own memory, because a destination that joins late must first hear the
//! whole story. Destinations that know the same are told in one notice.

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::hold::{Held, Holds};
use super::{FLAPPING, Incident, Phase, Topic};
use crate::mute::Author;
use crate::notice::{LastNotified, NoticeKind};
use crate::rules::rule::{CountSteps, Destination, RuleSettings};
use crate::time::Time;

/// What one destination knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationState {
    /// The last notice; none before the first.
    pub told: Option<LastNotified>,
    /// The highest step of occurrences told or passed over.
    pub count_step: u64,
    /// The highest step of objects told or passed over.
    pub object_step: u64,
    /// How many of the incident's topics are known.
    pub topics: usize,
    /// What is to be told next.
    pub next: Option<Next>,
    /// Whether it was told that the incident flaps: it is not told again that it came back, and not
    /// that it is over before it is so for good.
    #[serde(default)]
    pub flapping: bool,
    /// What held back what was to be told last, if it was not told since.
    #[serde(default)]
    pub held: Option<Held>,
    /// Whose mute is over, until it is told that the incident is still open.
    #[serde(default)]
    pub after_mute: Option<Author>,
}

/// A notice that waits for its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What it will say.
    pub kind: NoticeKind,
    /// The poll that caused it; of several, the first.
    pub caused_at: Time,
    /// Whether it is of another kind of trouble than what was told: that does not wait for `min_gap`.
    #[serde(default)]
    pub at_once: bool,
}

impl Next {
    /// A notice that waits for its moment as its kind does.
    pub fn new(kind: NoticeKind, caused_at: Time) -> Self {
        Self { kind, caused_at, at_once: false }
    }
}

/// A notice whose moment has come, for destinations that know the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What it says.
    pub kind: NoticeKind,
    /// The poll or timer that caused it.
    pub caused_at: Time,
    /// What they were told last.
    pub told: Option<LastNotified>,
    /// How many topics they know.
    pub topics: usize,
    /// Whose mute ended before it.
    pub after_mute: Option<Author>,
    /// Who.
    pub to: Vec<Destination>,
}

impl Incident {
    /// It opened or came back: everybody is to hear of it.
    pub(super) fn start_telling(&mut self, rule: &RuleSettings, reopening: bool, now: Time) {
        for (to, telling) in &mut self.telling {
            if !rule.notify.contains(to) {
                continue;
            }
            let kind = if reopening && telling.told.is_some() { NoticeKind::Reopened } else { NoticeKind::Opened };
            telling.next = (!telling.flapping).then_some(Next::new(kind, now));
        }
    }

    /// More has joined an open incident: who is to hear of it?
    pub(super) fn note_worse(&mut self, rule: &RuleSettings, now: Time) {
        let (occurrences, objects, topics) = (self.occurrences, self.objects_lately(now), self.details.topics.len());
        let topics_known = &self.details.topics;
        for (to, telling) in &mut self.telling {
            if telling.next.is_some_and(|next| next.at_once || next.kind == NoticeKind::Opened)
                || !rule.notify.contains(to)
            {
                continue;
            }
            if telling.told.is_none() {
                telling.next = Some(Next::new(NoticeKind::Opened, now));
                continue;
            }
            let other = rule.escalate.news && tells_of_another(topics_known, telling.topics);
            if other {
                let kind = telling.next.map_or(NoticeKind::Escalated, |next| match next.kind {
                    NoticeKind::Reopened => NoticeKind::Reopened,
                    _ => NoticeKind::Escalated,
                });
                telling.next = Some(Next { at_once: true, ..Next::new(kind, now) });
                continue;
            }
            if telling.next.is_some() {
                continue;
            }
            let worse = passed_count(&rule.escalate.counts, occurrences) > telling.count_step
                || passed(&rule.escalate.objects, objects) > telling.object_step
                || (rule.escalate.news && topics > telling.topics);
            if worse {
                telling.next = Some(Next::new(NoticeKind::Escalated, now));
            }
        }
    }

    /// What waited to be told as worse and is over meanwhile is not told: nothing came since, and the event that ends
    /// it did. Says whether that changed anything.
    pub fn drop_outdated(&mut self, now: Time) -> bool {
        let Some(ended_at) = self.ended_by_event().map(|end| end.at) else { return false };
        let (occurrences, objects, topics) = (self.occurrences, self.objects_lately(now), self.details.topics.len());
        let mut changed = false;
        for (_, telling) in &mut self.telling {
            let outdated = telling.next.is_some_and(|next| {
                next.kind == NoticeKind::Escalated && next.caused_at < now && next.caused_at <= ended_at
            });
            if outdated {
                telling.next = None;
                telling.topics = topics;
                telling.told = telling.told.map(|told| LastNotified { occurrences, objects, ..told });
                changed = true;
            }
        }
        changed
    }

    /// Another rule, or the same with other steps: those that are passed already are not told. Whom it no
    /// longer notifies hears only of the end. Says whether that changed anything.
    pub fn pass_steps(&mut self, rule: &RuleSettings, now: Time) -> bool {
        let (occurrences, objects) = (self.occurrences, self.objects_lately(now));
        let mut changed = false;
        for (to, telling) in &mut self.telling {
            if !rule.notify.contains(to) {
                changed |= telling.next.take().is_some();
                continue;
            }
            if telling.told.is_none() || telling.next.is_some() {
                continue;
            }
            let before = (telling.count_step, telling.object_step);
            telling.count_step = telling.count_step.max(passed_count(&rule.escalate.counts, occurrences));
            telling.object_step = telling.object_step.max(passed(&rule.escalate.objects, objects));
            changed |= before != (telling.count_step, telling.object_step);
        }
        changed
    }

    /// The next moment at which something is to be told, if nothing more happens. What another
    /// incident holds has none: its end is an event.
    pub fn tell_at(&self, rule: &RuleSettings, holds: &Holds) -> Option<Time> {
        let moment = |(to, telling): (&Destination, &NotificationState)| {
            let (next, at) = self.moment(to, telling, rule)?;
            if next.kind == NoticeKind::Reminded && telling.after_mute.is_none() && !holds.was_read(at) {
                // The next good read tells it.
                return None;
            }
            match holds.of(to) {
                None => Some(at),
                // Noted as held when it falls due, then told when the window ends.
                Some(held) if telling.held.as_ref() != Some(&held) => Some(at),
                Some(Held::Window { until, .. } | Held::Mute { until, .. }) => Some(at.max(until)),
                Some(Held::By { .. }) => None,
            }
        };
        self.telling.iter().filter_map(moment).min()
    }

    /// Whether somebody heard that it flaps, and not yet that it is over.
    pub fn owes_end(&self) -> bool {
        matches!(self.phase, Phase::Resolved { .. }) && self.telling.values().any(|telling| telling.flapping)
    }

    /// Whether somebody still has to hear that it opened: it cannot be over before, unless it is held.
    pub fn owes_opened(&self, holds: &Holds) -> bool {
        let owed = |telling: &NotificationState| telling.next.is_some_and(|next| next.kind == NoticeKind::Opened);
        self.telling.iter().any(|(to, telling)| owed(telling) && holds.of(to).is_none())
    }

    /// Takes out what is due at `now` and not held, and remembers it as told.
    pub fn take_due(&mut self, rule: &RuleSettings, holds: &Holds, now: Time) -> Vec<Due> {
        if self.phase != Phase::Open {
            return Vec::new();
        }
        let due: Vec<_> = self
            .telling
            .iter()
            .filter(|(to, _)| holds.of(to).is_none())
            .filter_map(|(to, telling)| {
                let (next, at) = self.moment(to, telling, rule)?;
                // A reminder claims that it is still there: somebody must have looked.
                let known = next.kind != NoticeKind::Reminded || telling.after_mute.is_some() || holds.was_read(at);
                (at <= now && known).then(|| (to.clone(), next))
            })
            .collect();
        let mut grouped = Grouped::default();
        for (to, next) in due {
            self.tell(&mut grouped, &to, next, rule, now);
        }
        grouped.0
    }

    /// It is over: everybody who knows of it, or was about to, hears so. What still waited is part
    /// of that story; where the end is not to be told, what waited is.
    pub fn take_end(
        &mut self,
        kind: NoticeKind,
        rule: Option<&RuleSettings>,
        holds: &Holds,
        caused_at: Time,
        now: Time,
    ) -> Vec<Due> {
        let mut grouped = Grouped::default();
        let all: Vec<Destination> = self.telling.keys().cloned().collect();
        let silent = kind == NoticeKind::Resolved && !rule.is_some_and(|rule| rule.send_resolved);
        for to in all {
            let held = holds.of(&to).filter(|held| self.telling.get(&to).is_some_and(|one| self.misses_end(one, held)));
            let Some(telling) = self.telling.get_mut(&to) else { continue };
            let waiting = telling.next.take();
            if let Some(held) = held {
                if waiting.is_some() || telling.told.is_some() {
                    telling.held = Some(held);
                }
                continue;
            }
            // Who heard that it flaps hears of its end for good, when it can no longer come back; the
            // others heard of it when it went quiet.
            if kind == NoticeKind::Resolved && telling.flapping == (self.phase == Phase::Open) {
                continue;
            }
            let next = match (silent, waiting) {
                (true, None) => continue,
                (true, Some(waiting)) => waiting,
                (false, None) if telling.told.is_none() => continue,
                (false, _) => Next::new(kind, caused_at),
            };
            match rule {
                Some(rule) => self.tell(&mut grouped, &to, next, rule, now),
                None => grouped.add(next, self.telling.get(&to), &to),
            }
        }
        grouped.0
    }

    fn tell(&mut self, grouped: &mut Grouped, to: &Destination, next: Next, rule: &RuleSettings, now: Time) {
        let (occurrences, objects, topics) = (self.occurrences, self.objects_lately(now), self.details.topics.len());
        grouped.add(next, self.telling.get(to), to);
        if let Some(telling) = self.telling.get_mut(to) {
            telling.next = None;
            telling.held = None;
            telling.after_mute = None;
            telling.flapping |= next.kind == NoticeKind::Reopened && self.reopened >= FLAPPING;
            telling.told = Some(LastNotified { at: now, occurrences, objects });
            telling.count_step = telling.count_step.max(passed_count(&rule.escalate.counts, occurrences));
            telling.object_step = telling.object_step.max(passed(&rule.escalate.objects, objects));
            telling.topics = topics;
        }
    }

    /// What a destination hears next, and when.
    pub(super) fn moment(
        &self,
        to: &Destination,
        telling: &NotificationState,
        rule: &RuleSettings,
    ) -> Option<(Next, Time)> {
        if self.phase != Phase::Open || !rule.notify.contains(to) {
            return None;
        }
        let gap = telling.told.map(|told| told.at.plus(rule.min_gap));
        match (telling.next, telling.told) {
            (Some(next), _) if next.kind == NoticeKind::Opened && next.at_once => Some((next, next.caused_at)),
            (Some(next), _) if next.kind == NoticeKind::Opened || next.at_once => {
                Some((next, next.caused_at.plus(rule.group_wait)))
            }
            (Some(next), _) => Some((next, gap.map_or(next.caused_at, |gap| gap.max(next.caused_at)))),
            // Somebody has it: they need not be reminded.
            (None, Some(_)) if self.acknowledged.is_some() => None,
            (None, Some(told)) => {
                let at = told.at.plus(rule.remind_every?.max(rule.min_gap));
                Some((Next::new(NoticeKind::Reminded, at), at))
            }
            (None, None) => None,
        }
    }
}

/// Notices under construction: destinations that know the same share one.
#[derive(Default)]
struct Grouped(Vec<Due>);

impl Grouped {
    fn add(&mut self, next: Next, telling: Option<&NotificationState>, to: &Destination) {
        let (told, topics) = telling.map_or((None, 0), |telling| (telling.told, telling.topics));
        let after_mute = telling.and_then(|telling| telling.after_mute.clone());
        let due = Due { kind: next.kind, caused_at: next.caused_at, told, topics, after_mute, to: Vec::new() };
        let same = |other: &Due| Due { to: Vec::new(), ..other.clone() } == due;
        match self.0.iter_mut().find(|other| same(other)) {
            Some(other) => other.to.push(to.clone()),
            None => self.0.push(Due { to: vec![to.clone()], ..due }),
        }
    }
}

/// Whether what came after the first `known` topics is of a family that is not among them.
fn tells_of_another(topics: &[Topic], known: usize) -> bool {
    let (told, new) = topics.split_at(known.min(topics.len()));
    let is_told = |topic: &Topic| told.iter().any(|other| other.family == topic.family || other.family.is_empty());
    !told.is_empty() && new.iter().any(|topic| !is_told(topic))
}

/// The highest step that a value has passed; 0 for none.
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

/// The memory of what was told, moved to a destination's new name.
pub fn rename(telling: &mut LiteMap<Destination, NotificationState>, from: &str, to: &Destination) -> bool {
    match telling.remove(from) {
        Some(known) => {
            telling.insert(to.clone(), known);
            true
        }
        None => false,
    }
}
