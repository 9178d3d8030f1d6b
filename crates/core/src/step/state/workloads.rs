//! How workloads are, by the reports of sources.
//!
//! It is kept in memory only: a source reports everything again after a start. After a failed commit it is carried over,
//! because it is a fact of the cluster, not of the store.

use std::sync::Arc;

use crate::event::Target;
use crate::health::{Health, HealthReport, WorkloadKind};
use crate::map::FastMap;
use crate::time::{Jump, Time};

/// Every workload whose health is known, by target.
#[derive(Debug, Default)]
pub struct Workloads(FastMap<Target, Vec<Workload>>);

#[derive(Debug)]
pub(in crate::step) struct Workload {
    pub(in crate::step) kind: WorkloadKind,
    pub(in crate::step) name: Arc<str>,
    pub(in crate::step) health: Health,
    /// Since when it is whole, by podbell's clock.
    pub(in crate::step) ready_since: Option<Time>,
}

impl Workloads {
    /// Takes in a report. Returns whether anything changed.
    pub(in crate::step) fn take(&mut self, report: &HealthReport, now: Time) -> bool {
        let HealthReport { target, kind, name, health, deleted: _ } = report;
        let known =
            self.0.get(target).and_then(|all| all.iter().position(|one| one.kind == *kind && one.name == *name));
        let Some(health) = *health else {
            let Some(at) = known else { return false };
            let Some(all) = self.0.get_mut(target) else { return false };
            all.remove(at);
            if all.is_empty() {
                self.0.remove(target);
            }
            return true;
        };
        let ready_since = health.is_whole().then_some(now);
        let all = self.0.entry(target.clone()).or_default();
        match known.and_then(|at| all.get_mut(at)) {
            Some(one) if one.health == health => false,
            Some(one) => {
                one.health = health;
                one.ready_since = ready_since.map(|now| one.ready_since.unwrap_or(now));
                true
            }
            None => {
                all.push(Workload { kind: *kind, name: name.clone(), health, ready_since });
                true
            }
        }
    }

    pub(in crate::step) fn of(&self, target: &Target) -> &[Workload] {
        self.0.get(target).map(Vec::as_slice).unwrap_or_default()
    }

    /// The clock was set.
    pub fn clock_set(&mut self, by: Jump) {
        self.0.values_mut().flatten().filter_map(|one| one.ready_since.as_mut()).for_each(|since| since.carry(by));
    }
}
