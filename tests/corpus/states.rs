//! How workloads are from second to second, as a Kubernetes source reports it beside events.

use podbell_core::health::{Health, HealthReport, WorkloadKind};

use super::day::Day;
use super::fleet::{Made, Workload};

/// When pods of which workload are not ready, and when a rollout is under way.
#[derive(Clone, Debug, Default)]
pub struct States(Vec<(Place, Lack)>);

type Place = (&'static str, String);

#[derive(Clone, Copy, Debug)]
struct Lack {
    from: i64,
    until: i64,
    /// So many pods are not ready; 0: a rollout is under way.
    pods: i64,
}

impl States {
    /// So many pods are not ready for so long.
    pub fn misses(&mut self, of: &Workload, (from, until): (i64, i64), pods: i64) {
        self.0.push((of.place(), Lack { from, until, pods }));
    }

    /// A rollout is under way.
    pub fn rolls(&mut self, of: &Workload, span: (i64, i64)) {
        self.misses(of, span, 0);
    }

    /// Whether a workload is as it should be at a second.
    pub fn is_whole(&self, place: &Place, at: i64) -> bool {
        !self.0.iter().any(|(of, lack)| of == place && (lack.from..lack.until).contains(&at))
    }

    /// What is reported of a workload, and when: at first, and with each change.
    fn of(&self, of: &Workload) -> Vec<(i64, Health)> {
        let place = of.place();
        let lacks: Vec<Lack> = self.0.iter().filter(|(of, _)| *of == place).map(|(_, lack)| *lack).collect();
        let mut seconds: Vec<i64> = lacks.iter().flat_map(|lack| [lack.from, lack.until]).chain([0]).collect();
        seconds.sort_unstable();
        seconds.dedup();
        let health = |at: i64| {
            let now = || lacks.iter().filter(|lack| (lack.from..lack.until).contains(&at));
            let missing: i64 = now().map(|lack| lack.pods).sum();
            Health {
                wanted: u32::try_from(of.replicas).unwrap(),
                ready: u32::try_from((of.replicas - missing).max(0)).unwrap(),
                rolling_out: now().any(|lack| lack.pods == 0),
            }
        };
        let mut all: Vec<(i64, Health)> = seconds.into_iter().map(|at| (at, health(at))).collect();
        all.dedup_by_key(|(_, health)| *health);
        all
    }
}

/// Everything that is reported of the workloads of a day, in the order of time; nothing where states are not known.
pub fn reports(day: &Day) -> Vec<(i64, HealthReport)> {
    let known = day.workloads.iter().filter(|of| day.kind.knows_states() && of.made != Made::CronJob);
    let mut all: Vec<(i64, HealthReport)> = known
        .flat_map(|of| {
            let kind = match of.made {
                Made::StatefulSet => WorkloadKind::StatefulSet,
                Made::DaemonSet => WorkloadKind::DaemonSet,
                Made::Deployment | Made::CronJob => WorkloadKind::Deployment,
            };
            let report = move |health| HealthReport {
                target: day.targets[of.targets[0]].clone(),
                kind,
                name: of.name.as_str().into(),
                health: Some(health),
                deleted: false,
            };
            day.states.of(of).into_iter().map(move |(at, health)| (at, report(health)))
        })
        .collect();
    all.sort_by_key(|(at, _)| *at);
    all
}
