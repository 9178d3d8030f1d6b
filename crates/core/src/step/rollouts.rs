//! Rollouts of workloads: seen in lists and reported by sources, and told with the incidents that follow.

use std::sync::Arc;
use std::time::Duration;

use super::{State, StepContext, WorkloadKey};
use crate::diff::{ChangeKind, Diff};
use crate::event::Target;
use crate::history::ObjectReport;
use crate::incident::Incident;
use crate::notice::NoticeKind;
use crate::rollout::{Rollout, Rollouts, Scaled, TemplateReport};
use crate::rule::Field;
use crate::time::{Jump, Time};

/// Beyond this, the rollouts of further workloads are not kept.
const MAX_WORKLOADS: usize = 50_000;
/// A source that was not watched for longer than this may show a rollout much later than it happened.
const MISSED: Duration = Duration::from_secs(600);

impl State {
    /// Takes in the replica sets that a list shows to be scaled.
    pub(super) fn note_scaled(&mut self, target: &Target, diff: &Diff<'_>, cx: &mut StepContext<'_>) {
        let known = diff.baseline.iter().map(|(_, event)| (event, event.last_seen));
        let changed = diff.changes.iter().map(|change| match change.kind {
            ChangeKind::Appeared => (&change.event, change.event.first_seen),
            ChangeKind::Increased | ChangeKind::Restarted => (&change.event, change.event.last_seen),
        });
        let scaled = |(event, at): (_, Time)| Scaled::of(event).map(|scaled| (at, scaled));
        let mut all: Vec<(Time, Scaled<'_>)> = known.chain(changed).filter_map(scaled).collect();
        if all.is_empty() {
            return;
        }
        let behind = self.sources.get(&target.source).map_or(Duration::ZERO, |source| source.lag.behind());
        // The new replica set grows before the old one shrinks, both often within one second.
        all.sort_by_key(|(at, scaled)| (*at, !scaled.up));
        for (at, scaled) in all.into_iter().filter(|(at, _)| !at.is_unknown()) {
            let at = at.plus(behind).min(cx.now);
            self.change_rollouts(target, scaled.workload, cx, |rollouts| rollouts.scaled(&scaled, at));
        }
    }

    /// A source reports what workloads run.
    pub(super) fn handle_templates(&mut self, reports: &[TemplateReport], cx: &mut StepContext<'_>) {
        for report in reports {
            let TemplateReport { target, name, template, .. } = report;
            let watched = self.watched_before(target);
            let missed = watched.is_some_and(|until| cx.now.since(until) > MISSED);
            let now = cx.now;
            if self.change_rollouts(target, name, cx, |rollouts| rollouts.update_template(template, missed, now)) {
                cx.writes.reports.push((now, ObjectReport::Template(report.clone())));
            }
        }
    }

    /// Changes what is known of a workload's rollouts. Returns whether that is something new.
    fn change_rollouts(
        &mut self,
        target: &Target,
        workload: &str,
        cx: &mut StepContext<'_>,
        change: impl FnOnce(&mut Rollouts) -> bool,
    ) -> bool {
        let key: WorkloadKey = (target.clone(), workload.into());
        if !self.rollouts.contains_key(&key) && self.rollouts.len() >= MAX_WORKLOADS {
            return false;
        }
        let changed = change(self.rollouts.entry(key.clone()).or_default());
        if changed {
            cx.writes.rollouts.insert(key);
        }
        changed
    }

    /// What is known of the rollouts of a workload.
    pub fn rollouts(&self, key: &WorkloadKey) -> Option<&Rollouts> {
        self.rollouts.get(key)
    }

    /// Before an incident is told: notes the rollout that it follows.
    pub(super) fn note_rollout(&mut self, id: u64, kind: NoticeKind, caused_at: Time) {
        let Some(incident) = self.incidents.get(&id) else { return };
        let began = match kind {
            NoticeKind::Opened => incident.first_at,
            NoticeKind::Reopened => caused_at,
            _ => return,
        };
        let rollout = self.rollout_before(incident, began);
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.follows = rollout.map(|rollout| (began.since(rollout.at), rollout));
        }
    }

    /// The newest rollout of an incident's workload within half an hour before a moment.
    fn rollout_before(&self, incident: &Incident, began: Time) -> Option<Rollout> {
        let (_, workload) = incident.group.iter().find(|(field, _)| *field == Field::Workload)?;
        let workload: Arc<str> = workload.as_str().into();
        let of = |target: &Target| self.rollouts.get(&(target.clone(), workload.clone()))?.before(began).cloned();
        incident.targets.iter().filter_map(of).max_by_key(|rollout| rollout.at)
    }

    /// A target is gone, and what was known of its workloads.
    pub(super) fn forget_rollouts(&mut self, target: &Target, cx: &mut StepContext<'_>) {
        let gone: Vec<WorkloadKey> = self
            .rollouts
            .range((target.clone(), Arc::from(""))..)
            .map(|(key, _)| key)
            .take_while(|(of, _)| of == target)
            .cloned()
            .collect();
        for key in gone {
            self.rollouts.remove(&key);
            cx.writes.rollouts.insert(key);
        }
    }

    /// A workload was deleted.
    pub(super) fn forget_rollouts_of(&mut self, key: &WorkloadKey, cx: &mut StepContext<'_>) {
        if self.rollouts.remove(key).is_some() {
            cx.writes.rollouts.insert(key.clone());
        }
    }

    pub(super) fn carry_rollouts(&mut self, by: Jump, cx: &mut StepContext<'_>) {
        for (key, rollouts) in &mut self.rollouts {
            rollouts.clock_set(by);
            cx.writes.rollouts.insert(key.clone());
        }
    }
}
