//! Which troubles of an incident's objects still stand, and when it is quiet.
//!
//! A trouble that ends by an event of its own stands until that event comes, or its object is deleted; any other ends
//! by silence. Owns that bookkeeping; which event ends what is decided in [`crate::reports`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::object_trouble::ObjectTrouble;
use super::{Details, Incident, LONGEST_SILENCE, ObjectState, Phase};
use crate::event::Event;
use crate::health::Status;
use crate::notice::EndedBy;
use crate::reports::{self, Deleted, EndEffect, EndScope, ObjectFailure, ReportingPattern};
use crate::rule::{EndsBy, RuleSettings};
use crate::time::Time;
use crate::workload;

/// An incident is quiet when nothing followed the event that ended its last trouble for this long.
const QUIET_AFTER_END: Duration = Duration::from_secs(300);
/// The quiet time after a completed run of a cron job: a job that fails every minute is over within six minutes of its
/// repair.
const QUIET_AFTER_RUN: Duration = Duration::from_secs(180);
/// The quiet time after a completed run that ended the trouble of pods: the pod of another run that still waits is reported
/// again within five minutes, and that is read two polls later.
const QUIET_AFTER_PODS_OF_RUN: Duration = Duration::from_secs(420);
/// A trouble that its reporter repeats is over after so long without a report, though its end was not seen: the kubelet
/// may have been silenced, or the object deleted unseen.
const LOST: Duration = Duration::from_secs(4 * 3600);
/// A trouble that comes back sooner than this had not ended: the kubelet tries again every five minutes.
const CAME_BACK: Duration = Duration::from_secs(330);
/// How long nothing may follow a controller's success: slightly longer than its longest back-off.
const QUIET_AFTER_CONTROLLER: Duration = Duration::from_secs(1030);
/// The kinds of objects that are deleted with the workload that they are called after.
const OF_WORKLOADS: [&str; 2] = ["Pod", "ReplicaSet"];
/// The kinds of objects that are called after a workload and can be deleted without it.
const BESIDE_WORKLOADS: [&str; 2] = ["HorizontalPodAutoscaler", "PodDisruptionBudget"];
/// A trouble that is reported once only is over after so long without a report. Longer than a day, because a cron job that
/// fails once a day is reported again before that.
const LOST_ONCE: Duration = Duration::from_secs(26 * 3600);

/// What decides when an incident is quiet, drawn from its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndEvidence {
    /// How many troubles stand whose end is always reported.
    pub standing: u32,
    /// Whether one of them is a node's.
    pub nodes: bool,
    /// Whether one of them is not a node's.
    pub others: bool,
    /// Since when the oldest of them stands.
    pub since: Option<Time>,
    /// When podbell last heard of one of them.
    last_heard: Option<Time>,
    /// How long they may all go unreported before they count as over, in seconds.
    lost_after: u32,
    /// The newest sign of a trouble that ends by silence.
    last_silent_sign: Option<Time>,
    /// When an event last ended a trouble.
    ended: Option<Time>,
    /// Whether a trouble stands that may also end without an event.
    #[serde(default)]
    pub(crate) may_end_unreported: bool,
}

/// Which events that end troubles a source is known to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct VisibleEnds {
    /// Those of pods and of what controls them.
    pub ends: bool,
    /// Those of nodes.
    pub nodes: bool,
}

impl VisibleEnds {
    /// All of them.
    pub(crate) const ALL: Self = Self { ends: true, nodes: true };
}

impl EndEvidence {
    /// Whether every trouble has ended by an event.
    pub(super) fn is_over(&self) -> bool {
        self.standing == 0 && self.last_silent_sign.is_none() && self.ended.is_some()
    }

    /// When an event last ended a trouble.
    pub(super) fn ended(&self) -> Option<Time> {
        self.ended
    }
}

impl Incident {
    /// When it is over, if nothing more happens: by the events that end it, where the source shows them; else by
    /// silence.
    pub(crate) fn quiet_at(&self, rule: &RuleSettings, shows: VisibleEnds) -> Time {
        let silence = self.silence(rule);
        let by_silence = self.last_sign.plus(silence);
        if rule.until == EndsBy::Silence {
            return by_silence;
        }
        let EndEvidence { standing, last_heard, lost_after, last_silent_sign: silent, ended, .. } = self.signs;
        if standing > 0 && !self.end_is_shown(shows) {
            return by_silence;
        }
        let standing = last_heard.filter(|_| standing > 0).map(|at| at.plus(Duration::from_secs(lost_after.into())));
        let silent = silent.map(|at| at.plus(silence));
        let by_a_run = self.ended_by_event().is_some_and(EndedBy::is_a_run);
        let quiet_for = if by_a_run { QUIET_AFTER_RUN } else { QUIET_AFTER_END };
        let quiet_until = ended.map(|at| self.quiet_after_end_at(rule, at, quiet_for));
        [standing, silent, quiet_until].into_iter().flatten().max().unwrap_or(by_silence)
    }

    /// When the incident ends because its workloads have been ready since `ready_since`, whatever events say. Not before
    /// `others_ended`, the end of the problems of objects that belong to no workload, is long enough ago, and not sooner
    /// than it came back after an earlier end.
    pub(crate) fn recovers_at(&self, rule: &RuleSettings, ready_since: Time, others_ended: Option<Time>) -> Time {
        let recovered = ready_since.max(self.last_sign).plus(self.doubled(rule.recovered_after));
        let others = others_ended.map(|at| self.quiet_after_end_at(rule, at, QUIET_AFTER_END));
        recovered.max(self.last_sign.plus(self.rhythm.least_recovery())).max(others.unwrap_or(recovered))
    }

    /// When the quiet time is over that follows the event which ended its last trouble, at `ended`.
    fn quiet_after_end_at(&self, rule: &RuleSettings, ended: Time, quiet_for: Duration) -> Time {
        ended.plus(self.doubled(quiet_for.min(rule.resolve_after)))
    }

    /// Whether it was kept open because its workloads were not ready.
    pub(crate) fn is_held_by_status(&self) -> bool {
        matches!(self.status, Some(Status::NotReady { .. }))
    }

    /// Whether anything is left that the deletion of an object could end.
    pub(crate) fn may_end_by_a_deletion(&self) -> bool {
        self.signs.standing > 0
            || self.signs.may_end_unreported
            || self.signs.last_silent_sign.is_some() && self.phase == Phase::Open
    }

    /// Whether the source would show the end of what still stands.
    pub(crate) fn end_is_shown(&self, shows: VisibleEnds) -> bool {
        // An end during a blind time may have been missed.
        let missed = self.blind.last().is_some_and(|(_, until)| *until >= self.last_sign);
        (shows.nodes || !self.signs.nodes) && (shows.ends || !self.signs.others) && !missed
    }

    /// Whether a trouble stands whose reporter would not have repeated it soon.
    pub(crate) fn stands_in_silence(&self, shows: VisibleEnds) -> bool {
        let rare = |one: &ObjectTrouble| {
            let every = Duration::from_secs(one.repeats.into());
            one.ended.is_none() && one.end_is_reported && (every.is_zero() || every > reports::KUBELET)
        };
        self.signs.standing > 0
            && self.end_is_shown(shows)
            && self.details.objects.values().any(|seen| seen.standing.iter().any(rare))
    }

    /// The event that ended it, if it ended by an event.
    pub(crate) fn ended_by_event(&self) -> Option<&EndedBy> {
        let EndEvidence { standing, last_silent_sign: silent, .. } = self.signs;
        self.ended_by.as_ref().filter(|end| standing == 0 && silent.is_none_or(|silent| silent <= end.at))
    }

    /// The silence that ends it: at least the interval of its slowest reporter and the longest pause so far, unless the
    /// rule says `until: silence`. Each reopening doubles the rule's `resolve_after`, up to 4 h.
    pub(crate) fn silence(&self, rule: &RuleSettings) -> Duration {
        let known = match rule.until {
            EndsBy::Event => Duration::from_secs(self.slowest.into()).max(self.rhythm.least_silence()),
            EndsBy::Silence => Duration::ZERO,
        };
        self.doubled(rule.resolve_after).max(known)
    }

    fn doubled(&self, span: Duration) -> Duration {
        let doubled = span.saturating_mul(1u32.checked_shl(self.reopened.min(16)).unwrap_or(u32::MAX));
        doubled.min(LONGEST_SILENCE.max(span))
    }

    /// Whether an occurrence at `at` says nothing of the present: it lies before the end of the same trouble of its
    /// object or, if it was written late, before the end of the incident.
    pub(super) fn is_over(&self, object: &str, event: &Event<'_>, at: Time, late: bool) -> bool {
        let ended = |report: ReportingPattern| {
            let known = self.details.objects.get(object)?.standing.iter().find(|one| one.trouble == report.trouble)?;
            known.ended.map(|ended| at <= ended)
        };
        let over = matches!(self.phase, Phase::Resolved { at: over } if late && at <= over);
        over || reports::of(event).and_then(ended).unwrap_or(false)
    }

    /// Ends the standing troubles that an event ends. Returns whether there were any.
    pub(crate) fn end_by(&mut self, event: &Event<'_>, end: EndEffect, now: Time) -> bool {
        let (kind, name) = (event.obj_type.trim(), event.obj_name.trim());
        let object = super::object_key(event);
        let of = workload::of(kind, name);
        let about = |key: &str, one: &ObjectTrouble| match end.of {
            // The event may be about another container of the pod: a trouble that came back after such an end stands
            // until the pod is deleted.
            EndScope::Object => key == object && !one.came_back,
            EndScope::Workload => key
                .split_once('/')
                .is_some_and(|(other, name)| workload::of(other, name) == of && (!end.same_kind || other == kind)),
            EndScope::Runs => key
                .split_once('/')
                .is_some_and(|(other, name)| workload::is_of_a_job(other, name) && workload::of(other, name) == of),
            // Which node a pod was on is not known: its trouble ends with the first node that is back.
            EndScope::Node => key == object || (one.trouble == ObjectFailure::NodeAway && !key.starts_with("Node/")),
        };
        let by = EndedBy {
            reason: super::clipped(event.reason.trim(), 100),
            obj_type: super::clipped(kind, 100),
            obj_name: super::clipped(name, 300),
            at: now,
        };
        let past = end.of == EndScope::Runs && self.end_silent_signs_of_runs(&by, now);
        self.end_those(|key, one| end.troubles.contains(&one.trouble) && about(key, one), by, now) || past
    }

    /// A run of a cron job completed: the troubles of this and earlier runs that end by silence are over, too, if the
    /// incident is open. Returns whether there were any.
    fn end_silent_signs_of_runs(&mut self, by: &EndedBy, now: Time) -> bool {
        let Some(completed) = workload::run_of(&by.obj_type, &by.obj_name) else { return false };
        let job = workload::of("Job", completed);
        let is_past = |key: &str, seen: &ObjectState| {
            let earlier = run_of(key).is_some_and(|run| run <= completed && workload::of("Job", run) == job);
            earlier && seen.silent.is_some_and(|silent| silent <= now && seen.gone.is_none_or(|gone| gone < silent))
        };
        let any = self.phase == Phase::Open && self.details.objects.iter().any(|(key, seen)| is_past(key, seen));
        if any {
            self.signs = self.details.change(|details| {
                for (key, seen) in details.objects.iter_mut() {
                    if is_past(key, seen) {
                        seen.gone = Some(now);
                    }
                }
                details.signs()
            });
            self.ended_by = Some(by.clone());
        }
        any
    }

    /// Objects were deleted: ends their standing troubles. Returns whether there were any.
    pub(crate) fn deleted(&mut self, gone: Deleted<'_>, now: Time) -> bool {
        let (kind, name) = gone.object();
        let by = EndedBy { reason: String::new(), obj_type: kind.to_owned(), obj_name: name.to_owned(), at: now };
        let is = |key: &str| key.split_once('/').is_some_and(|(kind, name)| gone.is(kind, name));
        self.end_those(|key, one| is(key) && !one.trouble.outlives_its_object(), by, now)
    }

    /// A workload was deleted, or an object that outlived its workload: the troubles of its objects that end by silence
    /// are over, if the incident is open. Jobs and their pods are left out, because only a job's next run tells how the
    /// job is. Returns whether the incident has such objects.
    pub(crate) fn workload_deleted(&mut self, gone: Deleted<'_>, now: Time) -> bool {
        let (kind, name) = gone.object();
        let is_gone = |key: &str, seen: &ObjectState| {
            key.split_once('/').is_some_and(|(other, object)| {
                let goes_with_it = !BESIDE_WORKLOADS.contains(&kind) && OF_WORKLOADS.contains(&other);
                let of_it = workload::of(other, object) == name && (other == kind || goes_with_it);
                let left = gone.is(other, object) && seen.gone.is_some();
                (of_it || left) && !workload::is_of_a_job(other, object)
            })
        };
        let any = self.phase == Phase::Open && self.details.objects.iter().any(|(key, seen)| is_gone(key, seen));
        if any {
            let silent = self.signs.last_silent_sign;
            self.signs = self.details.change(|details| {
                for (key, seen) in details.objects.iter_mut() {
                    if is_gone(key, seen) {
                        seen.gone = Some(now);
                    }
                }
                details.signs()
            });
            if self.signs.standing == 0 && self.signs.last_silent_sign < silent {
                self.ended_by = Some(EndedBy {
                    reason: String::new(),
                    obj_type: kind.to_owned(),
                    obj_name: name.to_owned(),
                    at: now,
                });
            }
        }
        any
    }

    /// The incident is over by other means: ends each standing trouble at its newest occurrence, so that only what
    /// happened before counts as past.
    pub(super) fn end_all(&mut self) {
        if self.signs.standing > 0 {
            self.signs = self.details.change(|details| {
                for (_, seen) in &mut details.objects {
                    let stand = seen.standing.iter_mut().filter(|one| one.ended.is_none());
                    stand.for_each(|one| one.ended = Some(one.at));
                }
                details.signs()
            });
            self.ended_by = None;
        }
    }

    fn end_those(&mut self, which: impl Fn(&str, &ObjectTrouble) -> bool, by: EndedBy, at: Time) -> bool {
        let ends = |key: &str, one: &ObjectTrouble| one.ended.is_none() && one.at <= at && which(key, one);
        let any = self.details.objects.iter().any(|(key, seen)| seen.standing.iter().any(|one| ends(key, one)));
        if any {
            self.signs = self.details.change(|details| {
                for (key, seen) in details.objects.iter_mut() {
                    for one in seen.standing.iter_mut().filter(|one| ends(key, one)) {
                        (one.ended, one.ended_by_a_run) = (Some(at), by.is_a_run());
                    }
                }
                details.signs()
            });
            self.ended_by = Some(by);
        }
        any
    }
}

/// The run of a cron job that an object of an incident is, or is a pod of.
fn run_of(key: &str) -> Option<&str> {
    let (kind, name) = key.split_once('/')?;
    workload::run_of(kind, name)
}

impl ObjectState {
    /// When its last trouble ended, if all have ended by events.
    pub(crate) fn ended(&self) -> Option<Time> {
        let silent = self.silent.is_some_and(|silent| self.gone.is_none_or(|gone| silent > gone));
        let ends: Option<Vec<Time>> = self.standing.iter().map(|one| one.ended).collect();
        ends.filter(|_| !silent)?.into_iter().chain(self.gone).max()
    }

    /// Takes in an occurrence at `at`, by podbell's clock, that podbell heard of at `now`.
    pub(super) fn occur(&mut self, event: &Event<'_>, at: Time, now: Time) {
        match reports::of(event) {
            None => self.silent = self.silent.max(Some(now)),
            Some(report) => {
                let repeats = report.repeats.map_or(0, |every| u32::try_from(every.as_secs()).unwrap_or(u32::MAX));
                let new = ObjectTrouble {
                    trouble: report.trouble,
                    since: at,
                    at,
                    heard: now,
                    repeats,
                    end_is_reported: report.end_is_reported,
                    ended: None,
                    came_back: false,
                    ended_by_a_run: false,
                };
                match self.standing.iter_mut().find(|one| one.trouble == report.trouble) {
                    Some(one) if one.ended.is_none() => {
                        (one.at, one.since, one.heard) = (one.at.max(at), one.since.min(at), now);
                    }
                    Some(one) => {
                        let soon = one.ended.is_some_and(|ended| at.since(ended) < CAME_BACK);
                        let starts = matches!(one.trouble, ObjectFailure::NoImage | ObjectFailure::NotStarted);
                        *one = ObjectTrouble { came_back: soon && starts, ..new };
                    }
                    None => self.standing.push(new),
                }
            }
        }
    }
}

impl Details {
    /// What decides when an incident of these objects is quiet.
    pub(super) fn signs(&self) -> EndEvidence {
        let mut signs = EndEvidence { last_silent_sign: self.unlisted, ..EndEvidence::default() };
        for (key, seen) in &self.objects {
            // A pod may still wait, unless its run is known to have ended.
            let may_wait = run_of(key).is_some_and(|run| !self.objects.contains_key(&*format!("Job/{run}")));
            let quiet_for = if may_wait { QUIET_AFTER_PODS_OF_RUN - QUIET_AFTER_RUN } else { Duration::ZERO };
            match seen.gone {
                Some(gone) if seen.silent.is_none_or(|silent| silent <= gone) => {
                    signs.ended = signs.ended.max(Some(gone.plus(quiet_for)));
                }
                _ => signs.last_silent_sign = signs.last_silent_sign.max(seen.silent),
            }
            for one in &seen.standing {
                match one.ended {
                    // A controller that could create one object may be refused the next, and reports that with its next
                    // try.
                    Some(at) if one.trouble == ObjectFailure::NotCreated => {
                        signs.ended = signs.ended.max(Some(at.plus(QUIET_AFTER_CONTROLLER - QUIET_AFTER_END)));
                    }
                    Some(at) if one.ended_by_a_run && one.repeats > 0 => {
                        signs.ended = signs.ended.max(Some(at.plus(QUIET_AFTER_PODS_OF_RUN - QUIET_AFTER_RUN)));
                    }
                    Some(at) => signs.ended = signs.ended.max(Some(at)),
                    None if !one.end_is_reported => {
                        signs.last_silent_sign = signs.last_silent_sign.max(Some(one.heard));
                        signs.may_end_unreported = true;
                    }
                    None => {
                        let repeats = Duration::from_secs(one.repeats.into());
                        let lost = match repeats {
                            Duration::ZERO => LOST_ONCE,
                            repeats => LOST.max(repeats.saturating_mul(2)),
                        };
                        signs.standing = signs.standing.saturating_add(1);
                        let of_node = one.trouble.is_of_a_node();
                        signs.nodes |= of_node;
                        signs.others |= !of_node;
                        signs.since = Some(signs.since.map_or(one.since, |since| since.min(one.since)));
                        signs.last_heard = signs.last_heard.max(Some(one.heard));
                        let lost = u32::try_from(lost.as_secs()).unwrap_or(u32::MAX);
                        signs.lost_after = signs.lost_after.max(lost);
                    }
                }
            }
        }
        signs
    }
}
