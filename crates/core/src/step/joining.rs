//! Which incident a change belongs to: that of its rule and group, one of a related rule, one of many runs, or a new
//! one.

use std::time::Duration;

use super::state::note_inhibiting;
use super::{Setup, State, StepContext};
use crate::event::Subject;
use crate::incident::{Incident, Joining, Phase};
use crate::rule::{Destination, Field, OpenWhen, RuleKey, RuleSettings};
use crate::rules::RuleId;
use crate::time::Time;
use crate::{reports, topic, workload};

/// This many workloads whose names have the same shape get an incident each; further ones join the first incident.
const SEPARATE_IF_SURE: usize = 2;
/// The same where only the beginning of the names is the same.
const SEPARATE_IF_UNSURE: usize = 6;
/// An incident that lived for less than this, and has been silent for at least as long, is short-lived.
const SHORT_LIVED: Duration = Duration::from_secs(150);
/// Incidents whose last occurrence is older than this do not count.
const SAME_SHAPE_MEMORY: Duration = Duration::from_secs(3600);

/// The incident that a change joined.
pub(super) struct Joined {
    pub(super) id: u64,
    /// Its phase before the change.
    pub(super) before: Phase,
    /// Whether what the change reports was over when it was written.
    pub(super) over: bool,
    /// From when on the change counts, if its object is too young.
    pub(super) counts_from: Option<Time>,
}

impl State {
    /// Joins a change to the incident of its rule and group, or to a new one. Returns the incident and its phase
    /// before.
    pub(super) fn join(
        &mut self,
        rule: RuleId,
        subject: &Subject<'_>,
        joining: &Joining<'_>,
        cx: &mut StepContext<'_>,
    ) -> Option<Joined> {
        let group = cx.setup.rules.group_key(rule, subject);
        let own = self.index.of(&cx.setup.rules.get(rule).settings.key, &group);
        let matched = &cx.setup.rules.get(rule).settings;
        let (rule, own) = self.place(cx.setup, rule, own, &group, joining);
        let settings = &cx.setup.rules.get(rule).settings;
        let own = own.filter(|id| !self.is_another_trouble(*id, settings, joining, cx));
        let id = match own {
            Some(id) => id,
            // No new incident: another service showed all of the occurrences before, or the trouble is over.
            None if joining.new == 0 || joining.over => return None,
            None if let Some(id) = self.incident_of_same_shape(&settings.key, &group, joining, cx.now) => id,
            None => self.create(cx.setup, settings.key.clone(), group, joining, cx.now),
        };
        let incident = self.incidents.get_mut(&id)?;
        if incident.phase != Phase::Open {
            // A service that is gone would never be read again, and keep what opens now open.
            let targets = &self.targets;
            incident.targets.retain(|target| targets.contains_key(target));
        }
        // If the rule of the change inhibits others, the incident that it joins inhibits for it, too.
        let joins_another = matched.key != incident.rule && !matched.inhibits.is_empty();
        if joins_another && incident.note_joined(&matched.key, joining.event, cx.now) {
            note_inhibiting(&mut self.inhibiting, cx.setup, incident);
        }
        let mut times = joining.times;
        if joining.late {
            let OpenWhen { within, lasts, .. } = settings.open_when;
            times.not_before = Some(cx.now.minus(within.max(lasts.unwrap_or_default())));
        }
        let over = joining.over || incident.reports_past(joining.event, times.last, joining.late);
        let open = incident.phase == Phase::Open;
        let end_is_shown = self.sources.get(&joining.target.source).is_some_and(|source| {
            let of_node = reports::of(joining.event).is_some_and(|report| report.trouble.is_of_a_node());
            if of_node { source.shows_nodes } else { source.shows_ends }
        });
        let joining = &Joining { times, over, open, end_is_shown, ..*joining };
        let (before, had) = (incident.phase, incident.acknowledged.is_some());
        let counts_from = incident.join(settings, joining, cx.now);
        if had && incident.acknowledged.is_none() {
            cx.writes.acknowledged.insert(id);
        }
        if incident.targets.contains(joining.target) {
            self.index.note_target(joining.target, id);
        }
        cx.writes.incidents.insert(id);
        if before != Phase::Open && incident.phase == Phase::Open {
            self.opened(id, Some(joining), cx);
        }
        self.schedule(id, cx.setup, cx.now);
        Some(Joined { id, before, over: joining.over, counts_from })
    }

    /// Where a change belongs: to the incident of its rule, or to an open one of a related rule that notifies every
    /// destination of the change.
    fn place(
        &mut self,
        setup: &Setup,
        rule: RuleId,
        own: Option<u64>,
        group: &[(Field, String)],
        joining: &Joining<'_>,
    ) -> (RuleId, Option<u64>) {
        let open = |state: &Self, id: u64| state.incidents.get(&id).is_some_and(|one| one.phase == Phase::Open);
        if own.is_some_and(|id| open(self, id)) {
            return (rule, own);
        }
        for relative in setup.rules.relatives(rule) {
            let settings = &setup.rules.get(*relative).settings;
            let hears = joining.destinations.iter().all(|to| settings.notify.contains(to));
            if let Some(id) = self.index.of(&settings.key, group).filter(|id| hears && open(self, *id)) {
                return (*relative, Some(id));
            }
        }
        (rule, own)
    }

    /// Whether an open incident of a related rule and the same group covers an incident that gathers.
    pub(super) fn is_covered_by_relative(&mut self, id: u64, setup: &Setup) -> bool {
        let Some(incident) = self.incidents.get(&id).filter(|one| one.phase == Phase::Gathering) else { return false };
        let Some(rule) = setup.rules.find(&incident.rule) else { return false };
        let group = incident.group.clone();
        let hearers: Vec<Destination> = incident.notifications.keys().cloned().collect();
        setup.rules.relatives(rule).iter().any(|relative| {
            let settings = &setup.rules.get(*relative).settings;
            let known = self.index.of(&settings.key, &group);
            let one = known.and_then(|id| self.incidents.get(&id)).filter(|one| one.phase == Phase::Open);
            // Where the rule chooses destinations by the change, only those that were chosen count.
            let tells = |one: &Incident, to: &Destination| {
                settings.notify.contains(to) && (settings.routing.is_none() || one.notifications.contains_key(to))
            };
            one.is_some_and(|one| hearers.iter().all(|to| tells(one, to)))
        })
    }

    /// Lets an incident that opens quote the cause, if a related rule has gathered it for the same workload.
    pub(super) fn quote_cause(&mut self, id: u64, setup: &Setup) {
        let Some(mut incident) = self.incidents.remove(&id) else { return };
        if let Some(rule) = setup.rules.find(&incident.rule).filter(|_| incident.is_of_one_workload()) {
            let keys = setup.rules.relatives(rule).iter().map(|one| &setup.rules.get(*one).settings.key);
            let known = keys.filter_map(|key| self.index.of(key, &incident.group));
            let gather = known.filter_map(|id| self.incidents.get(&id)).filter(|one| one.phase == Phase::Gathering);
            let gather: Vec<&Incident> = gather.map(|one| &**one).collect();
            incident.quote_cause_of(gather.into_iter());
        }
        self.incidents.insert(id, incident);
    }

    /// The first incident of this rule whose workload's name has the same shape as this one's, if enough such incidents
    /// report the same within an hour.
    fn incident_of_same_shape(
        &mut self,
        rule: &RuleKey,
        group: &[(Field, String)],
        joining: &Joining<'_>,
        now: Time,
    ) -> Option<u64> {
        // A pod with a template hash belongs to a workload whose name somebody chose.
        if joining.event.obj_type.trim() == "Pod" && workload::template_of(&joining.event.obj_name).is_some() {
            return None;
        }
        let (ids, sure) = self.index.of_shape(rule, group)?;
        let topic = topic::of(joining.event, joining.workload);
        let same = |incident: &&Incident| {
            let age = now.since(incident.last_at);
            // Where only the beginning of the names is the same, the incident must also have been short-lived.
            let of_a_run =
                sure || incident.is_shared_by_shape() || age >= SHORT_LIVED && incident.lived() < SHORT_LIVED;
            age < SAME_SHAPE_MEMORY
                && of_a_run
                && incident.details.topics.first().is_some_and(|first| first.key == topic)
        };
        let mut known = ids.iter().rev().filter_map(|id| self.incidents.get(id).map(Box::as_ref)).filter(same);
        let id = known.clone().map(|incident| incident.id).min()?;
        let first = self.incidents.get(&id)?;
        let runs = if sure { SEPARATE_IF_SURE } else { SEPARATE_IF_UNSURE };
        (first.is_shared_by_shape() || known.nth(runs - 1).is_some()).then_some(id)
    }

    /// Whether the change begins a trouble of its own: the incident is resolved and was about something else, or what it
    /// gathered is too old to count. Then it ends.
    fn is_another_trouble(
        &mut self,
        id: u64,
        rule: &RuleSettings,
        joining: &Joining<'_>,
        cx: &mut StepContext<'_>,
    ) -> bool {
        let Some(incident) = self.incidents.get(&id).filter(|_| joining.new > 0) else { return false };
        let of_something_else = matches!(incident.phase, Phase::Resolved { .. })
            && !incident.owes_end()
            && !incident.is_about(joining.event);
        let other = of_something_else || !joining.over && incident.is_outlived_by(&joining.times, rule);
        if other {
            self.end(id, cx);
        }
        other
    }

    fn create(
        &mut self,
        setup: &Setup,
        rule: RuleKey,
        group: Vec<(Field, String)>,
        joining: &Joining<'_>,
        now: Time,
    ) -> u64 {
        let id = self.next_incident;
        self.next_incident += 1;
        let incident = Incident::new(id, rule, group, joining, now);
        self.index.insert(&incident);
        note_inhibiting(&mut self.inhibiting, setup, &incident);
        self.incidents.insert(id, Box::new(incident));
        id
    }
}
