//! The state in memory that steps work on, the same as in the store, and how it is rebuilt.

mod ages;
mod backlog;
mod days;
mod source;
mod trouble;
mod workloads;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) use ages::{Ages, FirstSeen};
pub use backlog::{HeldKey, WindowBacklog};
pub use days::{Day, Days};
pub(super) use source::patience;
pub use source::{Blind, SourceState, clock_hint};
pub use trouble::TroubleState;
pub(super) use trouble::{Member, UNUSABLE, member};
pub(super) use workloads::Workload;
pub use workloads::Workloads;

use super::index::IncidentIndex;
use super::{Setup, deletions, shared};
use crate::diff::{Reading, TargetReadings};
use crate::event::{Level, Target};
use crate::incident::Incident;
use crate::map::FastMap;
use crate::mute::Mute;
use crate::rollout::Rollouts;
use crate::rule::{Destination, RuleKey};
use crate::series::{EpisodeKey, Identities};
use crate::time::Time;

/// A workload of a target.
pub type WorkloadKey = (Target, Arc<str>);

/// What is known of the rollouts of every workload.
pub(super) type AllRollouts = BTreeMap<WorkloadKey, Rollouts>;

/// What is known of a target.
#[derive(Clone, Debug, Default)]
pub struct TargetState {
    /// When it was last read, as far as is known.
    pub last_good: Option<Time>,
    /// Since when it cannot be read.
    pub failing: Option<Failing>,
    /// Whether discovery found it.
    pub discovered: bool,
    /// How many entries of its list cannot be understood, by what its source said since the start.
    pub unusable: u64,
    /// Loaded lazily at the first poll of its namespace; boxed, because most of ten thousand targets have
    /// none right after a start.
    pub(super) readings: Option<Box<TargetReadings>>,
    /// How old objects are that were seen lately. In memory only: after a start, the first list tells it again.
    pub(super) ages: Option<Ages>,
    /// Number of complete discoveries in a row that lacked it.
    pub(super) absences: u32,
}

/// A target that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Time,
    /// The trouble that it joined, if the failure lasted.
    pub trouble: Option<u64>,
    /// Another error code that it fails with lately, and since when; in memory only.
    pub(super) other: Option<(String, Time)>,
}

impl Failing {
    /// Restores a failing target from the store.
    pub fn restored(since: Time, trouble: Option<u64>) -> Self {
        Self { since, trouble, other: None }
    }
}

/// The state in memory that steps work on: what the store holds.
#[derive(Debug)]
pub struct State {
    pub(super) identities: Identities,
    pub(super) targets: BTreeMap<Target, TargetState>,
    /// Boxed: moving ten thousand of them by value is a tenth of a start.
    pub(super) incidents: BTreeMap<u64, Box<Incident>>,
    pub(super) index: IncidentIndex,
    /// The date of the newest event that ended a node's absence, by source and cluster. Events about the node's pods
    /// may be read later and are compared with it. In memory only.
    pub(super) nodes_back: HashMap<(Arc<str>, Arc<str>), Time>,
    pub(super) deletions: deletions::Deletions,
    pub(super) wake_at: FastMap<u64, Time>,
    pub(super) wakes: BTreeSet<(Time, u64)>,
    pub(super) troubles: BTreeMap<u64, TroubleState>,
    pub(super) sources: BTreeMap<Arc<str>, SourceState>,
    pub(super) held: BTreeMap<HeldKey, WindowBacklog>,
    /// Mutes that have not ended, by number.
    pub(super) mutes: BTreeMap<u64, Mute>,
    /// Incidents of rules that inhibit others.
    pub(super) inhibiting: FastMap<RuleKey, BTreeSet<u64>>,
    /// Rules whose incidents may no longer be inhibited; empty between steps.
    pub(super) released: BTreeSet<RuleKey>,
    pub(super) days: Days,
    pub(super) next_incident: u64,
    pub(super) next_notice: u64,
    pub(super) next_mute: u64,
    pub(super) episodes: usize,
    pub(super) shared: shared::Shared,
    pub(super) workloads: Workloads,
    pub(super) rollouts: AllRollouts,
    /// Bound on the known episodes of all targets; beyond it the least useful absent ones are forgotten.
    pub(super) most_episodes: usize,
}

/// Everything that a [`State`] is rebuilt from.
#[derive(Debug, Default)]
pub struct Restored {
    /// The store's seed of identities.
    pub seed: u64,
    /// When the service was last alive.
    pub heartbeat: Option<Time>,
    /// Targets with last good poll, start of failing, and whether they were discovered.
    pub targets: Vec<(Target, TargetState)>,
    /// Incidents that are not over for good.
    pub incidents: Vec<Box<Incident>>,
    /// Troubles that are not over.
    pub troubles: Vec<TroubleState>,
    /// Sources by name, with their state.
    pub sources: Vec<(Arc<str>, SourceState)>,
    /// What windows hold back.
    pub held: Vec<(HeldKey, WindowBacklog)>,
    /// Mutes that are not over.
    pub mutes: Vec<Mute>,
    /// What is known of rollouts.
    pub rollouts: Vec<(WorkloadKey, Rollouts)>,
    /// What was counted for the daily lines.
    pub days: Days,
    /// The first free number of incidents.
    pub next_incident: u64,
    /// The first free number of notices.
    pub next_notice: u64,
    /// The first free number of mutes.
    pub next_mute: u64,
}

/// Bound on the episodes that are remembered for all targets, absent ones included.
const MAX_EPISODES: usize = 1_000_000;

impl TargetState {
    /// Restores a target from the store.
    pub fn restored(last_good: Option<Time>, failing: Option<Failing>, discovered: bool) -> Self {
        Self { last_good, failing, discovered, readings: None, ages: None, absences: 0, unusable: 0 }
    }
}

impl State {
    /// Rebuilds the state from a store at `now`. Incidents whose rule is gone are closed with the first tick.
    pub fn restore(restored: Restored, setup: &Setup, now: Time) -> Self {
        let identities = Identities::new(restored.seed);
        let mut index = IncidentIndex::new(identities.clone(), restored.incidents.len());
        let mut inhibiting = FastMap::default();
        for incident in &restored.incidents {
            index.insert(incident);
            note_inhibiting(&mut inhibiting, setup, incident);
        }
        let mut state = Self {
            identities,
            targets: restored.targets.into_iter().collect(),
            // Collect in one go: the rows are sorted already.
            incidents: restored.incidents.into_iter().map(|incident| (incident.id, incident)).collect(),
            index,
            nodes_back: HashMap::new(),
            deletions: deletions::Deletions::default(),
            wake_at: FastMap::default(),
            wakes: BTreeSet::new(),
            troubles: restored.troubles.into_iter().map(|trouble| (trouble.id, trouble)).collect(),
            sources: restored.sources.into_iter().collect(),
            held: restored.held.into_iter().collect(),
            mutes: restored.mutes.into_iter().map(|mute| (mute.id, mute)).collect(),
            inhibiting,
            released: BTreeSet::new(),
            days: restored.days,
            next_incident: restored.next_incident.max(1),
            next_notice: restored.next_notice.max(1),
            next_mute: restored.next_mute.max(1),
            episodes: 0,
            shared: shared::Shared::default(),
            workloads: Workloads::default(),
            rollouts: restored.rollouts.into_iter().collect(),
            most_episodes: MAX_EPISODES,
        };
        let next = |incident: &Incident| state.next_of(incident, setup, now);
        let wakes = state.incidents.values().filter_map(|incident| Some((incident.id, next(incident)?)));
        state.wake_at = wakes.collect();
        state.wakes = state.wake_at.iter().map(|(id, at)| (*at, *id)).collect();
        state.restore_members();
        state.believe_heartbeat(restored.heartbeat, setup);
        state
    }

    /// The targets whose readings must be loaded before `target` can be observed: those of its namespace, because two
    /// services may show the same occurrence.
    pub fn readings_to_load(&self, target: &Target) -> Vec<Target> {
        if self.targets.get(target).is_some_and(|state| state.readings.is_some()) {
            return Vec::new();
        }
        let missing = self.namespace(target).filter(|(_, state)| state.readings.is_none());
        missing.map(|(sibling, _)| sibling.clone()).collect()
    }

    /// Takes in the readings of a target from the store.
    pub fn load(&mut self, target: &Target, rows: impl IntoIterator<Item = (EpisodeKey, Reading, Level)>) {
        let Some(state) = self.targets.get_mut(target) else { return };
        let readings = TargetReadings::restored(state.last_good, rows);
        self.episodes += readings.len();
        readings.keys().for_each(|key| self.shared.note(key));
        state.readings = Some(Box::new(readings));
    }

    /// When something is due without further input; a tick then carries it out.
    pub fn next_wake(&self, setup: &Setup) -> Option<Time> {
        let incident = self.wakes.first().map(|(at, _)| *at);
        let trouble = self.troubles.values().filter_map(TroubleState::wake_at).min();
        let source = self.sources.iter().filter_map(|(name, source)| source.wake_at(setup.sources.get(name))).min();
        let held = self.held.values().map(|held| held.until).min();
        let mute = self.mutes.values().map(|mute| mute.until).min();
        [incident, trouble, source, held, mute, self.daily_wake(setup)].into_iter().flatten().min()
    }

    /// A target's state.
    pub fn target(&self, target: &Target) -> Option<&TargetState> {
        self.targets.get(target)
    }

    /// All targets.
    pub fn targets(&self) -> impl Iterator<Item = (&Target, &TargetState)> {
        self.targets.iter()
    }

    /// An incident that is not over for good.
    pub fn incident(&self, id: u64) -> Option<&Incident> {
        self.incidents.get(&id).map(Box::as_ref)
    }

    /// All incidents that are not over for good, ascending by number.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().map(Box::as_ref)
    }

    /// A trouble that is not over.
    pub fn trouble(&self, id: u64) -> Option<&TroubleState> {
        self.troubles.get(&id)
    }

    /// What is known of a source.
    pub fn source(&self, name: &str) -> Option<&SourceState> {
        self.sources.get(name)
    }

    /// All sources that were read.
    pub fn sources(&self) -> impl Iterator<Item = (&Arc<str>, &SourceState)> {
        self.sources.iter()
    }

    /// How many episodes are known.
    pub fn episodes(&self) -> usize {
        self.episodes
    }

    /// Sets the bound on the known episodes of all targets.
    pub fn limit_episodes(&mut self, most: usize) {
        self.most_episodes = most;
    }

    /// Drops the notification states of destinations that are gone.
    pub fn keep_destinations(&mut self, destinations: &BTreeSet<Destination>) {
        for incident in self.incidents.values_mut() {
            incident.notifications.retain(|name, _| destinations.contains(name));
        }
    }

    /// The targets of the same source, cluster and namespace.
    pub(super) fn namespace<'a>(&'a self, target: &Target) -> impl Iterator<Item = (&'a Target, &'a TargetState)> {
        let first = Target { service: "".into(), ..target.clone() };
        let of = (target.source.clone(), target.cluster.clone(), target.namespace.clone());
        self.targets.range(first..).take_while(move |(sibling, _)| {
            (&sibling.source, &sibling.cluster, &sibling.namespace) == (&of.0, &of.1, &of.2)
        })
    }
}

/// Notes an incident whose rules inhibit others.
pub(super) fn note_inhibiting(inhibiting: &mut FastMap<RuleKey, BTreeSet<u64>>, setup: &Setup, incident: &Incident) {
    for rule in incident.inhibiting_rules() {
        let holds = setup.rules.find(rule).is_some_and(|rule| !setup.rules.get(rule).settings.inhibits.is_empty());
        if holds {
            inhibiting.entry(rule.clone()).or_default().insert(incident.id);
        }
    }
}
