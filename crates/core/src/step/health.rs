//! What the health of workloads, as sources report it, means for incidents.

use std::collections::BTreeSet;
use std::time::Duration;

use super::state::Workload;
use super::{State, StepContext, Workloads};
use crate::event::Target;
use crate::health::{Health, HealthReport, Status};
use crate::history::ObjectReport;
use crate::incident::{Incident, Phase};
use crate::notice::NoticeKind;
use crate::reports::Deleted;
use crate::rule::{EndsBy, RuleSettings};
use crate::time::{Jump, Time};
use crate::workload;

/// How long an incident is kept open because its workloads were not ready when they were last seen.
const UNSEEN: Duration = Duration::from_secs(4 * 3600);
/// The kinds of workloads.
const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];
/// The kinds of objects whose troubles end when their workload is ready.
const ABOUT_PODS: [&str; 5] = ["Pod", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet"];

/// Whether the trouble of an object of this kind is over when its workload is ready.
fn is_of_a_workload(kind: &str) -> bool {
    kind == CLAIM || ABOUT_PODS.contains(&kind)
}

/// What a pod's volume is claimed by.
const CLAIM: &str = "PersistentVolumeClaim";

impl State {
    /// Gives away what is known of workloads, for a state that is read anew.
    pub fn take_workloads(&mut self) -> Workloads {
        std::mem::take(&mut self.workloads)
    }

    /// Takes over what another state knew of workloads.
    pub fn adopt_workloads(&mut self, workloads: Workloads) {
        self.workloads = workloads;
    }

    /// A source reports the health of workloads.
    pub(super) fn handle_health(&mut self, reports: &[HealthReport], cx: &mut StepContext<'_>) {
        // First all of them, then what follows: an incident may be about several workloads.
        let mut changed = BTreeSet::new();
        for report in reports {
            if self.workloads.take(report, cx.now) {
                changed.insert(&report.target);
                cx.writes.reports.push((cx.now, ObjectReport::Health(report.clone())));
            }
            if report.deleted {
                self.workload_deleted(report, cx);
                self.forget_rollouts_of(&(report.target.clone(), report.name.clone()), cx);
            }
        }
        for target in changed {
            self.after_poll(target, cx);
        }
    }

    /// A workload was deleted: neither that it was not ready nor what its pods said keeps an incident open any more.
    fn workload_deleted(&mut self, report: &HealthReport, cx: &mut StepContext<'_>) {
        for id in self.index.of_target(&report.target).to_vec() {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let held = incident.is_held_by_status();
            if held {
                incident.status = None;
            }
            if incident.workload_deleted(Deleted::One(report.kind.as_str(), &report.name), cx.now) || held {
                cx.writes.incidents.insert(id);
                self.schedule(id, cx.setup, cx.now);
            }
        }
    }

    pub(super) fn carry_workloads(&mut self, by: Jump) {
        self.workloads.clock_set(by);
    }

    /// The health of the workloads that an incident is about, together: not ready even if only some are known, ready
    /// only if all are known. `None` otherwise.
    pub(super) fn status(&self, incident: &Incident) -> Option<Status> {
        let (status, is_whole) = self.known_status(incident)?;
        (is_whole || matches!(status, Status::NotReady { .. })).then_some(status)
    }

    /// The health of those workloads of an incident of which it is known, and whether that is all of it.
    fn known_status(&self, incident: &Incident) -> Option<(Status, bool)> {
        // Check this first: right after a start no workload is known, and incidents' packed details stay undecoded.
        if incident.targets.iter().all(|target| self.workloads.of(target).is_empty()) {
            return None;
        }
        // Of objects that were left out of a long list, nobody knows of which workload they were.
        if incident.details.unlisted.is_some() {
            return None;
        }
        let (mut sum, mut since) = (Health { wanted: 0, ready: 0, rolling_out: false }, Time::default());
        let (mut all_ready, mut all_known) = (true, true);
        let mut counted: Vec<(&Target, &Workload)> = Vec::new();
        for (key, seen) in &incident.details.objects {
            let (kind, object) = key.split_once('/')?;
            if !is_of_a_workload(kind) {
                // A node's trouble stands: the health of workloads does not show its end.
                if kind == "Node" && seen.ended().is_none() {
                    return None;
                }
                // What ended by an event is over, whatever the workload is like.
                all_known &= seen.ended().is_some();
                continue;
            }
            let name = workload::of(kind, object);
            // Objects do not say in which of several namespaces they are: all of that name count.
            let is = |one: &&Workload| match kind {
                // The pods of a job may be called like those of a deployment.
                "Pod" => *one.name == *name && workload::may_be_of(one.kind, name, object),
                _ => *one.name == *name && (one.kind.as_str() == kind || !KINDS.contains(&kind)),
            };
            // A claim belongs to the service of the pods that it was made for, and they do not start without it.
            let is = |one: &&Workload| kind == CLAIM || is(one);
            let of = |target| self.workloads.of(target).iter().filter(is).map(move |one| (target, one));
            let known: Vec<(&Target, &Workload)> = incident.targets.iter().flat_map(of).collect();
            all_known &= !known.is_empty();
            counted.extend(known);
        }
        counted.sort_by_key(|(target, one)| (*target, one.kind, one.name.clone()));
        counted.dedup_by_key(|(target, one)| (*target, one.kind, one.name.clone()));
        if !incident.targets.iter().all(|target| counted.iter().any(|(of, _)| *of == target)) {
            return None;
        }
        for (_, one) in &counted {
            sum.wanted = sum.wanted.saturating_add(one.health.wanted);
            sum.ready = sum.ready.saturating_add(one.health.ready.min(one.health.wanted));
            sum.rolling_out |= one.health.rolling_out;
            // A workload that should have no pods has not recovered.
            all_known &= one.health.wanted > 0;
            match one.ready_since {
                Some(ready) => since = since.max(ready),
                None => all_ready = false,
            }
        }
        let status = match all_ready {
            false => Status::NotReady { health: sum },
            true => Status::Ready { health: sum, since },
        };
        (!counted.is_empty()).then_some((status, all_known))
    }

    /// The health to show in a notice of kind `told`, if the workloads are not ready; never in a notice of the end.
    pub(super) fn not_ready(&self, incident: &Incident, told: NoticeKind) -> Option<Health> {
        match self.status(incident).filter(|_| !told.is_end()) {
            Some(Status::NotReady { health }) => Some(health),
            _ => None,
        }
    }

    /// When an incident is over, if nothing more happens: by the health of its workloads where that is known, else by
    /// events and silence. `None`: not before its workloads are ready.
    pub(super) fn quiet_at(&self, incident: &Incident, rule: &RuleSettings) -> Option<Time> {
        let by_events = || incident.quiet_at(rule, self.shows(incident));
        if rule.until == EndsBy::Silence {
            return Some(by_events());
        }
        match self.status(incident) {
            None => match self.known_status(incident) {
                // The rest of it can only end by events.
                Some((Status::Ready { since, .. }, _)) => {
                    Some(by_events().max(incident.recovers_at(rule, since, None)))
                }
                // It was not ready when it was last seen: a source that is away for a while, or has not listed it yet, is
                // no recovery.
                _ if incident.is_held_by_status() => Some(by_events().max(incident.last_sign.plus(UNSEEN))),
                _ => Some(by_events()),
            },
            Some(Status::NotReady { .. }) => None,
            Some(Status::Ready { since, .. }) => {
                let objects = incident.details.objects.iter();
                let others =
                    objects.filter(|(key, _)| !key.split_once('/').is_some_and(|(kind, _)| is_of_a_workload(kind)));
                let ended = others.filter_map(|(_, seen)| seen.ended()).max();
                Some(incident.recovers_at(rule, since, ended))
            }
        }
    }

    /// Notes in an open incident that it would be quiet for long enough, but its workloads are not ready; messages
    /// that stand for it then say so.
    pub(super) fn note_status(&mut self, id: u64, rule: &RuleSettings, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get(&id).filter(|incident| incident.phase == Phase::Open) else { return };
        let status = match self.status(incident).filter(|_| rule.until == EndsBy::Event) {
            None if rule.until == EndsBy::Event && self.known_status(incident).is_none() => incident.status,
            Some(status @ Status::NotReady { .. }) if self.silent_at(incident, rule) <= cx.now => Some(status),
            _ => None,
        };
        if incident.status != status
            && let Some(incident) = self.incidents.get_mut(&id)
        {
            incident.status = status;
            cx.writes.incidents.insert(id);
        }
    }

    /// Once objects are old enough for `settled`, decides by the health of their workloads whether they still fail,
    /// without waiting for another event. During a rollout that health says nothing of a single pod.
    pub(super) fn count_matured(&mut self, id: u64, rule: &RuleSettings, cx: &mut StepContext<'_>) {
        let Some(incident) = self.incidents.get(&id).filter(|incident| incident.phase != Phase::Open) else { return };
        if incident.settles_at().is_none_or(|at| at > cx.now) {
            return;
        }
        let still_fail = match self.status(incident) {
            None => return,
            Some(Status::NotReady { health }) if health.rolling_out => return,
            Some(Status::NotReady { .. }) => true,
            Some(Status::Ready { .. }) => false,
        };
        if let Some(incident) = self.incidents.get_mut(&id) {
            incident.count_matured(rule, still_fail, cx.now);
            cx.writes.incidents.insert(id);
        }
    }

    /// When its events would end an incident if nothing were known of its workloads.
    pub(super) fn silent_at(&self, incident: &Incident, rule: &RuleSettings) -> Time {
        incident.quiet_at(rule, self.shows(incident))
    }
}
