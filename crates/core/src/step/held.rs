//! What is held back, and what becomes of it: windows (hours, planned work) and inhibition.
//!
//! While a window holds, nothing of an incident is sent to its destinations. When the window ends, each incident that
//! is still open is sent as it is then; those that ended before are summed up in one message. Inhibition ends with the
//! incident that explains the others: those that outlive it are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{HeldKey, Setup, State, StepContext, WindowBacklog};
use crate::event::Subject;
use crate::health::Status;
use crate::incident::hold::{HoldReason, Holds, Inhibitor};
use crate::incident::{CauseState, Incident, Phase};
use crate::notice::Info;
use crate::rule::quiet::Window;
use crate::rule::{Destination, EventFields, Field, RuleKey, RuleSettings, Severity};
use crate::rules::RuleId;
use crate::time::Time;

/// Bounds per window: on the incidents that are remembered, and on the names of those that ended.
const MAX_INCIDENTS: usize = 10_000;
const MAX_NAMED: usize = 20;
/// What a cause explains is told by itself once it goes on this long after the cause is over.
const OUTLIVES: Duration = Duration::from_secs(300);

/// What became of an incident that windows hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It goes on.
    Open,
    /// It is over.
    Over,
}

impl State {
    /// What holds an incident now.
    pub(crate) fn holds(&self, setup: &Setup, incident: &Incident, now: Time) -> Holds {
        let Some(id) = setup.rules.find(&incident.rule) else { return Holds::default() };
        let rule = &setup.rules.get(id).settings;
        // Looked up for a due reminder only: looking it up for all of ten thousand incidents takes a tenth of the instructions
        // of a start.
        let reads = || incident.targets.iter().filter_map(|target| self.last_good(target)).max();
        let read_at = if incident.may_remind(rule, now) { reads() } else { None };
        Holds {
            window: window(setup, rule, incident, now),
            mute: self.muted(incident),
            inhibitors: self.inhibitors(setup, id, incident, now),
            read_at,
        }
    }

    /// Incidents that explain this one.
    fn inhibitors(&self, setup: &Setup, rule: RuleId, incident: &Incident, now: Time) -> Vec<Inhibitor> {
        let mut found = Vec::new();
        // Rules inhibit each other without cycles. A rule that joined an incident (`Incident::joined`) holds only
        // incidents that inhibit nothing, so that no two incidents hold each other.
        let explains_nothing = incident.joined.is_empty() && setup.rules.get(rule).settings.inhibits.is_empty();
        for inhibited in setup.rules.inhibited_by(rule) {
            let settings = &setup.rules.get(inhibited.by).settings;
            for id in self.inhibiting.get(&settings.key).into_iter().flatten().filter(|id| **id != incident.id) {
                let Some(other) = self.incidents.get(id).filter(|other| other.phase != Phase::Gathering) else {
                    continue;
                };
                let joined = other.rule != settings.key;
                let of_node = inhibited.equal.contains(&Field::Node);
                let nodes = if of_node { incident.last_nodes() } else { BTreeSet::new() };
                if joined && !(explains_nothing && other.was_joined(&settings.key, &nodes, now)) {
                    continue;
                }
                let until = match cause_state(other, incident, &inhibited.equal) {
                    CauseState::Unrelated => continue,
                    CauseState::Ongoing => None,
                    CauseState::EndedAt(_) if !inhibited.into_cause => continue,
                    CauseState::EndedAt(at) => match self.outlives(incident, at, now) {
                        AfterCause::GoesOn => continue,
                        AfterCause::UnknownUntil(until) => Some(until),
                        AfterCause::NoSign => None,
                    },
                };
                let of_other = setup.rules.find(&other.rule).map_or(settings, |id| &setup.rules.get(id).settings);
                let listeners = listeners(setup, of_other, other, now);
                found.push(Inhibitor { incident: other.id, listeners, into_cause: inhibited.into_cause, until });
            }
        }
        found
    }

    /// Whether an incident goes on although its cause is over since `at`.
    fn outlives(&self, incident: &Incident, at: Time, now: Time) -> AfterCause {
        let from = at.plus(OUTLIVES);
        if now < from {
            return AfterCause::UnknownUntil(from);
        }
        match self.status(incident) {
            // What went wrong well after the cause was over is trouble of its own, though all is ready again.
            Some(Status::Ready { .. }) if incident.last_sign < from => AfterCause::NoSign,
            Some(_) => AfterCause::GoesOn,
            // Nothing is known of its health: it goes on if it has said so, or if the end of its trouble is still missing.
            None if incident.last_sign >= from || incident.stands_in_silence(self.shows(incident)) => {
                AfterCause::GoesOn
            }
            None => AfterCause::NoSign,
        }
    }

    /// Lists an incident in those that explain it.
    pub(super) fn list_in_causes(&mut self, id: u64, holds: &Holds, cx: &mut StepContext<'_>) {
        for by in holds.inhibitors.iter().filter(|by| by.into_cause && by.until.is_none()) {
            let Some(incident) = self.incidents.remove(&id) else { return };
            let cause = self.incidents.get_mut(&by.incident).filter(|cause| cause.phase == Phase::Open);
            if incident.phase == Phase::Open && cause.is_some_and(|cause| cause.affect(&incident)) {
                cx.writes.incidents.insert(by.incident);
            }
            self.incidents.insert(id, incident);
        }
    }

    /// An incident of these rules ended: at the end of this step the incidents that it inhibited are evaluated.
    pub(super) fn release(&mut self, setup: &Setup, rules: &[RuleKey]) {
        for id in rules.iter().filter_map(|rule| setup.rules.find(rule)) {
            self.released.extend(setup.rules.get(id).settings.inhibits.iter().map(|inhibit| inhibit.rule.clone()));
        }
    }

    /// Evaluates the incidents whose inhibitors ended: once a step, however many ended in it.
    pub(super) fn evaluate_released(&mut self, cx: &mut StepContext<'_>) {
        // An incident that ends here may have inhibited others. Inhibition has no cycles, so this terminates.
        while !self.released.is_empty() {
            let rules = std::mem::take(&mut self.released);
            let held = self.incidents.values().filter(|incident| rules.contains(&incident.rule));
            let ids: Vec<u64> = held.map(|incident| incident.id).collect();
            for id in ids {
                self.evaluate(id, cx);
            }
        }
    }

    /// Notes for the summary that an incident is held by windows, and whether it is over.
    pub(super) fn note_windows(&mut self, id: u64, held: Held, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get(&id) else { return };
        for (to, notifications) in &incident.notifications {
            let Some(HoldReason::Window { window, until }) = &notifications.held else { continue };
            if *until <= cx.now {
                continue;
            }
            let key = (to.clone(), window.clone());
            let fresh =
                || WindowBacklog { from: cx.now, until: *until, incidents: BTreeSet::new(), over: BTreeMap::new() };
            let backlog = self.held.entry(key.clone()).or_insert_with(fresh);
            let mut news = backlog.until != *until;
            backlog.until = *until;
            let room = backlog.incidents.len() < MAX_INCIDENTS;
            if room || backlog.incidents.contains(&id) {
                news |= backlog.incidents.insert(id);
            }
            if held == Held::Over && !backlog.over.contains_key(&id) {
                let named = backlog.over.len() < MAX_NAMED;
                backlog.over.insert(id, if named { words(incident) } else { String::new() });
                news = true;
            }
            if news {
                cx.writes.held.insert(key);
            }
        }
    }

    /// Sends the summary of each window that ended.
    pub(super) fn wake_held(&mut self, cx: &mut StepContext<'_>) {
        let ended: Vec<HeldKey> =
            self.held.iter().filter(|(_, held)| held.until <= cx.now).map(|(key, _)| key.clone()).collect();
        for key in ended {
            let Some(held) = self.held.remove(&key) else { continue };
            cx.writes.held.insert(key.clone());
            let (to, window) = key;
            let open = |id: &u64| self.incidents.get(id).is_some_and(|incident| incident.phase == Phase::Open);
            let still_open = held.incidents.iter().filter(|id| open(id)).count() as u64;
            let over: Vec<&String> = held.over.iter().filter(|(id, _)| !open(id)).map(|(_, words)| words).collect();
            // Open incidents are sent one by one: a summary is only for those that ended.
            if over.is_empty() {
                continue;
            }
            let info = Info::Held {
                window,
                from: held.from,
                until: held.until,
                over_count: over.len() as u64,
                over: over.into_iter().filter(|words| !words.is_empty()).take(MAX_NAMED).cloned().collect(),
                still_open,
            };
            self.inform(Severity::Info, vec![to], info, cx);
        }
    }

    /// Ends the windows that the new rules no longer have.
    pub(super) fn end_removed_windows(&mut self, cx: &mut StepContext<'_>) {
        let hours: BTreeSet<String> = cx
            .setup
            .rules
            .iter()
            .filter_map(|(_, rule)| rule.settings.active.as_ref())
            .map(ToString::to_string)
            .collect();
        for (key, held) in &mut self.held {
            let window = &key.1;
            let planned = cx.setup.rules.maintenance().iter();
            let until = match window {
                Window::Hours(name) => hours.contains(&**name).then_some(held.until),
                Window::Maintenance { name, file } => {
                    planned.filter(|one| one.name == *name && one.file == *file).map(|one| one.until).max()
                }
            };
            let until = until.unwrap_or(cx.now);
            if held.until != until {
                held.until = until;
                cx.writes.held.insert(key.clone());
            }
        }
    }

    /// What windows keep from a destination.
    pub fn held(&self, key: &HeldKey) -> Option<&WindowBacklog> {
        self.held.get(key)
    }
}

/// Whether an incident goes on although its cause is over.
enum AfterCause {
    /// It goes on by itself: the cause no longer holds it.
    GoesOn,
    /// Not known before this time: until then the cause holds it.
    UnknownUntil(Time),
    /// Nothing shows that it goes on: the cause still holds it.
    NoSign,
}

/// Whether `cause` explains an incident, as far as these values tell.
fn cause_state(cause: &Incident, incident: &Incident, equal: &[Field]) -> CauseState {
    if equal.iter().any(|field| *field != Field::Node && value(cause, *field) != value(incident, *field)) {
        return CauseState::Unrelated;
    }
    if !equal.contains(&Field::Node) {
        return match cause.phase {
            Phase::Gathering => CauseState::Unrelated,
            Phase::Open => CauseState::Ongoing,
            Phase::Resolved { at } => CauseState::EndedAt(at),
        };
    }
    // Each of its nodes must be explained; the last of them to recover counts.
    let reliefs = incident.last_nodes().into_iter().map(|node| cause.cause_state_on(node));
    let worse = |one: CauseState, other: CauseState| match (one, other) {
        (CauseState::Unrelated, _) | (_, CauseState::Unrelated) => CauseState::Unrelated,
        (CauseState::Ongoing, _) | (_, CauseState::Ongoing) => CauseState::Ongoing,
        (CauseState::EndedAt(one), CauseState::EndedAt(other)) => CauseState::EndedAt(one.max(other)),
    };
    reliefs.reduce(worse).unwrap_or(CauseState::Unrelated)
}

/// The destinations that hear of an incident: those that were notified and, if no window holds it, those that will be.
fn listeners(setup: &Setup, rule: &RuleSettings, incident: &Incident, now: Time) -> Vec<Destination> {
    let kept = window(setup, rule, incident, now).is_some();
    let hears = incident.notifications.iter().filter(|(_, notifications)| !kept || notifications.told.is_some());
    hears.map(|(to, _)| to.clone()).collect()
}

/// The window that holds a rule's incident; of several, the one that ends last.
fn window(setup: &Setup, rule: &RuleSettings, incident: &Incident, now: Time) -> Option<(Window, Time)> {
    let hours = rule.active.as_ref();
    let hours = hours.and_then(|active| Some((Window::Hours(active.to_string().into()), active.closed_until(now)?)));
    let planned = setup.rules.maintenance().iter().filter(|one| one.holds_at(now));
    let planned = planned.filter(|one| all_targets(incident, |facts| one.is_about(&rule.key, facts)));
    let planned = planned.map(|one| {
        let window = Window::Maintenance { name: one.name.clone(), file: one.file.clone() };
        (window, one.until)
    });
    planned.chain(hours).max_by_key(|(_, until)| *until)
}

/// Whether a condition holds for every service that shows the incident.
fn all_targets(incident: &Incident, holds: impl Fn(&EventFields<'_>) -> bool) -> bool {
    let event = incident.newest_event();
    let fits = |target| holds(&EventFields::new(&Subject { target, event: &event, workload: &incident.workload }));
    !incident.targets.is_empty() && incident.targets.iter().all(fits)
}

/// A value that the incident is grouped by.
fn value(incident: &Incident, field: Field) -> Option<&str> {
    incident.group.iter().find(|(other, _)| *other == field).map(|(_, value)| value.as_str())
}

/// An incident in words, such as `shop/web: Failed, BackOff`.
pub(super) fn words(incident: &Incident) -> String {
    let namespace = incident.targets.first().map_or("", |target| &*target.namespace);
    let reasons: Vec<&str> = incident.details.reasons.iter().take(2).map(|reason| reason.reason.as_str()).collect();
    format!("{namespace}/{}: {}", incident.workload, reasons.join(", "))
}
