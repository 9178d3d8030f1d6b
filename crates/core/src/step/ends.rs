//! What ends troubles: an event that reports the end, or the deletion of the object.

use std::sync::Arc;
use std::time::Duration;

use super::{State, StepContext};
use crate::event::{Subject, Target};
use crate::history::ObjectReport;
use crate::incident::Incident;
use crate::reports::{self, Deleted, EndEffect, EndScope};
use crate::rule::RuleKey;
use crate::source::ObjectName;
use crate::time::Time;
use crate::workload;

/// How long the report of a deletion may be under way.
const UNDER_WAY: Duration = Duration::from_secs(2);

impl State {
    /// Takes in an event that may end troubles, at `at` by podbell's clock.
    pub(super) fn end_troubles(&mut self, subject: &Subject<'_>, at: Time, cx: &mut StepContext<'_>) {
        let event = subject.event;
        let (end, deleted) = (reports::end_effect(event), reports::deleted(event));
        if end.is_none() && deleted.is_none() {
            return;
        }
        let target = subject.target;
        if end.is_some_and(|end| end.of == EndScope::Node) {
            let cluster = (target.source.clone(), target.cluster.clone());
            let newest = self.nodes_back.entry(cluster).or_insert(event.last_seen);
            *newest = (*newest).max(event.last_seen);
        }
        let ids: Vec<u64> = match end {
            // The pods of a node can be in any target of its cluster.
            Some(EndEffect { of: EndScope::Node, .. }) => {
                let same = |of: &Target| of.source == target.source && of.cluster == target.cluster;
                let stands = |incident: &&Incident| incident.signs.nodes && incident.targets.iter().any(same);
                self.incidents().filter(stands).map(|incident| incident.id).collect()
            }
            _ => self.index.of_target(target).to_vec(),
        };
        for id in ids {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let mut ended = false;
            if let Some(end) = end {
                ended |= incident.end_by(event, end, at);
            }
            if let Some(gone) = deleted {
                ended |= incident.deleted(gone, at);
            }
            if ended {
                let rules: Vec<RuleKey> = incident.inhibiting_rules().cloned().collect();
                cx.writes.incidents.insert(id);
                self.schedule(id, cx.setup, cx.now);
                // What it explained is told if it goes on.
                self.release(cx.setup, &rules);
            }
        }
    }

    /// Objects were deleted: ends their standing troubles.
    pub(super) fn handle_deletions(&mut self, source: &Arc<str>, objects: &[ObjectName], cx: &mut StepContext<'_>) {
        let report = |object: &ObjectName| ObjectReport::Deleted { source: source.clone(), object: object.clone() };
        cx.writes.reports.extend(objects.iter().map(|object| (cx.now, report(object))));
        self.deletions.note(source, objects, cx.now);
        // A new object of the same name may have begun to fail while the report was under way.
        let at = cx.now.minus(UNDER_WAY);
        let stands = |incident: &&Incident| incident.may_end_by_a_deletion();
        let ids: Vec<u64> = self.incidents().filter(stands).map(|incident| incident.id).collect();
        for id in ids {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            let here = |object: &&ObjectName| {
                let of = |target: &Target| target.source == *source && *target.namespace == *object.namespace;
                incident.targets.iter().any(of)
            };
            let gone: Vec<&ObjectName> = objects.iter().filter(here).collect();
            let gone = gone.iter().map(|one| Deleted::One(&one.kind, &one.name));
            // Nothing new comes under the name of a pod that a template named.
            let at = |one: Deleted<'_>| match one.object() {
                ("Pod", name) if workload::template_of(name).is_some() => cx.now,
                _ => at,
            };
            let ended =
                gone.filter(|one| incident.deleted(*one, at(*one)) | incident.workload_deleted(*one, cx.now)).count();
            if ended > 0 {
                cx.writes.incidents.insert(id);
                self.schedule(id, cx.setup, cx.now);
            }
        }
    }
}
