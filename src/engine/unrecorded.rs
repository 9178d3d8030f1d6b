//! What a failed turn did not record and nobody sends again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Outcome, SendId};
use crate::sources::SourceEvent;
use podbell_core::event::Target;
use podbell_core::health::{HealthReport, WorkloadKind};
use podbell_core::rollout::TemplateReport;
use podbell_core::source::{ObjectName, TargetEntry};
use podbell_core::time::Time;

/// How many deleted objects are kept: some 20 MB. Beyond that the oldest are dropped, and their incidents end by silence.
const MAX_DELETED: usize = 100_000;

/// A workload: the target of its events, its kind and its name.
type Workload = (Target, WorkloadKind, Arc<str>);

/// The target lists of a source.
#[derive(Default)]
struct TargetLists {
    /// The newest complete one.
    complete: Option<Vec<TargetEntry>>,
    /// Those that the incomplete ones since then name.
    incomplete: BTreeMap<Target, TargetEntry>,
}

/// The answers to requests, and the newest of everything that a source reports once.
#[derive(Default)]
pub(super) struct Unrecorded {
    answers: Vec<(SendId, Outcome)>,
    lists: BTreeMap<Arc<str>, TargetLists>,
    unusable: BTreeMap<Target, (Time, usize)>,
    health: BTreeMap<Workload, (Time, HealthReport)>,
    templates: BTreeMap<Workload, (Time, TemplateReport)>,
    deleted: VecDeque<(Time, Arc<str>, ObjectName)>,
}

impl Unrecorded {
    /// Keeps the results of requests. Those kept before are among them, because the failed turn had taken them.
    pub(super) fn keep_answers(&mut self, answers: Vec<(SendId, Outcome)>) {
        self.answers = answers;
    }

    /// Keeps what its source does not send again. Polls are read again by themselves, and watches are told to list again.
    pub(super) fn keep(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::PartialObservation { receipt, .. } | SourceEvent::ListCompleted { receipt, .. } => {
                receipt.lost();
            }
            SourceEvent::TargetList { source, targets, complete } => {
                let lists = self.lists.entry(source).or_default();
                if complete {
                    *lists = TargetLists { complete: Some(targets), incomplete: BTreeMap::new() };
                } else {
                    lists.incomplete.extend(targets.into_iter().map(|entry| (entry.target.clone(), entry)));
                }
            }
            SourceEvent::Unusable { target, at, entries } => {
                self.unusable.insert(target, (at, entries));
            }
            SourceEvent::Health { at, reports } => {
                let keyed = |report: HealthReport| (workload(&report.target, report.kind, &report.name), (at, report));
                self.health.extend(reports.into_iter().map(keyed));
            }
            SourceEvent::Templates { at, reports } => {
                let keyed =
                    |report: TemplateReport| (workload(&report.target, report.kind, &report.name), (at, report));
                self.templates.extend(reports.into_iter().map(keyed));
            }
            SourceEvent::Deleted { source, at, objects } => {
                self.deleted.extend(objects.into_iter().map(|object| (at, source.clone(), object)));
                let excess = self.deleted.len().saturating_sub(MAX_DELETED);
                self.deleted.drain(..excess);
            }
            SourceEvent::Polled { .. }
            | SourceEvent::Failed { .. }
            | SourceEvent::DiscoveryFailed { .. }
            | SourceEvent::WatchProgress { .. }
            | SourceEvent::WatchFailed { .. }
            | SourceEvent::Enriched { .. } => {}
        }
    }

    /// Hands out all of it, for the next turn: the target lists first, then the rest in order of time.
    pub(super) fn take(&mut self) -> (Vec<SourceEvent>, Vec<(SendId, Outcome)>) {
        let Self { answers, lists, unusable, health, templates, deleted } = std::mem::take(self);
        let mut dated: Vec<(Time, SourceEvent)> = Vec::new();
        for (target, (at, entries)) in unusable {
            dated.push((at, SourceEvent::Unusable { target, at, entries }));
        }
        for (at, reports) in by_time(health.into_values()) {
            dated.push((at, SourceEvent::Health { at, reports }));
        }
        for (at, reports) in by_time(templates.into_values()) {
            dated.push((at, SourceEvent::Templates { at, reports }));
        }
        let of_source = deleted.into_iter().map(|(at, source, object)| ((at, source), object));
        for ((at, source), objects) in by_time(of_source) {
            dated.push((at, SourceEvent::Deleted { source, at, objects }));
        }
        dated.sort_by_key(|(at, _)| *at);
        let mut events = Vec::new();
        for (source, TargetLists { complete, incomplete }) in lists {
            events.extend(complete.map(|targets| SourceEvent::TargetList {
                source: source.clone(),
                targets,
                complete: true,
            }));
            if !incomplete.is_empty() {
                let targets = incomplete.into_values().collect();
                events.push(SourceEvent::TargetList { source, targets, complete: false });
            }
        }
        events.extend(dated.into_iter().map(|(_, event)| event));
        (events, answers)
    }
}

fn workload(target: &Target, kind: WorkloadKind, name: &Arc<str>) -> Workload {
    (target.clone(), kind, name.clone())
}

fn by_time<K: Ord, T>(dated: impl Iterator<Item = (K, T)>) -> BTreeMap<K, Vec<T>> {
    let mut by_time: BTreeMap<K, Vec<T>> = BTreeMap::new();
    for (at, one) in dated {
        by_time.entry(at).or_default().push(one);
    }
    by_time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceEvent;

    fn at(second: i64) -> Time {
        Time::from_millis(second * 1000)
    }

    fn report(name: &str, deleted: bool) -> HealthReport {
        let target = Target::new("prod", "cls-1", "shop", "web");
        HealthReport { target, kind: WorkloadKind::Deployment, name: name.into(), health: None, deleted }
    }

    fn deleted(second: i64, name: &str) -> SourceEvent {
        let object = ObjectName { namespace: "shop".into(), kind: "Pod".into(), name: name.into() };
        SourceEvent::Deleted { source: "prod".into(), at: at(second), objects: vec![object] }
    }

    #[test]
    fn reports_come_back_in_order_of_time_and_the_newest_of_each_workload_only() {
        let mut unrecorded = Unrecorded::default();
        unrecorded.keep(SourceEvent::Health { at: at(1), reports: vec![report("web", false), report("api", false)] });
        unrecorded.keep(deleted(2, "web-0"));
        unrecorded.keep(SourceEvent::Health { at: at(3), reports: vec![report("web", true)] });
        let (events, _) = unrecorded.take();
        let [
            SourceEvent::Health { reports: first, .. },
            SourceEvent::Deleted { objects, .. },
            SourceEvent::Health { reports: last, at: newest },
        ] = events.as_slice()
        else {
            panic!("{events:?}");
        };
        assert_eq!((first.as_slice(), last.as_slice()), (&[report("api", false)][..], &[report("web", true)][..]));
        assert_eq!((objects[0].name.as_str(), *newest), ("web-0", at(3)));
        assert!(unrecorded.take().0.is_empty());
    }

    #[test]
    fn what_waits_for_the_store_has_a_bound() {
        let mut unrecorded = Unrecorded::default();
        for number in 0..MAX_DELETED + 10 {
            unrecorded.keep(deleted(number as i64, &format!("web-{number}")));
            unrecorded.keep(SourceEvent::Health { at: at(number as i64), reports: vec![report("web", false)] });
        }
        let (events, _) = unrecorded.take();
        assert_eq!(events.len(), MAX_DELETED + 1);
        let SourceEvent::Deleted { objects, .. } = &events[0] else { panic!("{:?}", events[0]) };
        assert_eq!(objects[0].name, "web-10");
    }
}
