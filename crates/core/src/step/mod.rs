//! The one pure step: `step(state, setup, input, now)` decides what is to be written and sent.
//!
//! The service, the demo, backtests and rule tests run the same function. [`State`] mirrors the store: when a commit
//! fails, the mirror is thrown away and read again. So nothing in it may matter unless [`Writes`] carries it out.

mod ages;
mod clock;
pub mod daily;
pub mod decision;
mod deletions;
mod ends;
mod first_contact;
mod health;
mod held;
mod incidents;
mod joining;
mod lag;
mod observe;
mod reload;
mod rollouts;
mod shared;
mod target_list;
mod trouble;
mod user_actions;
mod watched;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use daily::{DailyAt, Days};
pub use first_contact::{SourceState, clock_hint};
pub use health::Workloads;
pub use held::{HeldBack, HeldKey};
pub use rollouts::WorkloadKey;
pub use target_list::GONE_AFTER;
pub use trouble::{TroubleState, UNREADABLE_AFTER};
pub use user_actions::Recorded;
pub use writes::{Ended, SeriesRow, Tally, Writes};

use super::diff::{Reading, TargetReadings};
use super::enrichment::PodState;
use super::event::{Event, Level, Target};
use super::health::HealthReport;
use super::incident::Incident;
use super::mute::Mute;
use super::notice::{Notice, NoticeBody, NoticeKind, StoreFate, TroubleSubject};
use super::rollout::{Rollouts, TemplateReport};
use super::rules::Rules;
use super::rules::rule::{Destination, RuleKey, Severity};
use super::series::{EpisodeKey, Identities, ProblemId};
use super::source::{Covers, ObjectName, PartialObservation, Problem, SourceInfo, TargetEntry};
use super::time::Time;

/// The operator's configuration. Immutable: a reload makes a new one.
#[derive(Debug)]
pub struct Setup {
    /// All rules, or the built-in set.
    pub rules: Rules,
    /// The sources by name.
    pub sources: BTreeMap<Arc<str>, SourceInfo>,
    /// The destinations that hear of podbell's own trouble.
    pub operator: Vec<Destination>,
    /// Every destination there is.
    pub destinations: BTreeSet<Destination>,
    /// Destinations that want a daily line, and when.
    pub daily: BTreeMap<Destination, DailyAt>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A target was read; its readings must be loaded, see [`State::wants`].
    Observed {
        /// The target.
        target: &'a Target,
        /// Its whole list.
        events: &'a [Event<'a>],
    },
    /// Entries of a target's list could not be understood.
    Unusable {
        /// The target.
        target: &'a Target,
        /// How many; 0 when all is well again.
        entries: usize,
    },
    /// A target could not be read.
    Failed {
        /// The target.
        target: &'a Target,
        /// The error.
        error: &'a Problem,
    },
    /// The targets that a source watches from now on.
    TargetList {
        /// The source's name.
        source: &'a Arc<str>,
        /// The targets.
        targets: &'a [TargetEntry],
        /// Whether these are all of its targets.
        complete: bool,
    },
    /// A source could not list its targets.
    DiscoveryFailed {
        /// The source's name.
        source: &'a Arc<str>,
        /// The error.
        error: &'a Problem,
    },
    /// A watching source saw events; the target's readings must be loaded, see [`State::wants`].
    PartialObservation {
        /// The events, and their target.
        seen: &'a PartialObservation,
        /// Whether that is the target's whole list.
        whole: bool,
    },
    /// A watching source has handed in all of its lists.
    ListCompleted {
        /// What the watch covers.
        covers: &'a Covers,
        /// The targets that had events.
        shown: &'a [Target],
    },
    /// A watching source has missed nothing until now.
    WatchProgress {
        /// What the watch covers.
        covers: &'a Covers,
    },
    /// Objects were deleted.
    Deleted {
        /// The source's name.
        source: &'a Arc<str>,
        /// The objects.
        objects: &'a [ObjectName],
    },
    /// A source reports the health of workloads.
    Health {
        /// Of those that changed.
        reports: &'a [HealthReport],
    },
    /// A source was asked about a pod whose incident has opened.
    Enriched {
        /// The incident's number.
        incident: u64,
        /// How the pod is.
        state: &'a PodState,
    },
    /// A source reports what workloads run.
    Templates {
        /// Of those that are new or changed.
        reports: &'a [TemplateReport],
    },
    /// A watch was cut.
    WatchFailed {
        /// What the watch covered.
        covers: &'a Covers,
        /// The error.
        error: &'a Problem,
    },
    /// Deliveries to a destination fail, or work again.
    Destination {
        /// Its name.
        name: &'a Destination,
        /// The trouble; `None` when it works again.
        error: Option<&'a Problem>,
    },
    /// A rule file was read, or refused.
    RuleFile {
        /// Its name.
        name: &'a str,
        /// Why it was refused; `None` when all is well.
        error: Option<&'a Problem>,
    },
    /// The rules of the setup have changed.
    RulesChanged,
    /// Deliveries were given up.
    Dead {
        /// Their destination.
        destination: &'a Destination,
        /// How many.
        deliveries: u64,
        /// Why, in words.
        why: &'a str,
    },
    /// The store is not as podbell left it.
    Store {
        /// What became of it.
        fate: &'a StoreFate,
        /// Where the damaged files are kept.
        kept: Option<&'a str>,
    },
    /// A destination took a message.
    Told {
        /// Its name.
        destination: &'a Destination,
    },
    /// Time has passed.
    Tick,
}

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
    /// Loaded lazily at the first poll of its namespace.
    readings: Option<TargetReadings>,
    /// How old objects are that were seen lately. In memory only: after a start, the first list tells it again.
    ages: Option<ages::Ages>,
    /// Number of complete discoveries in a row that lacked it.
    absences: u32,
}

/// A target that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Since when.
    pub since: Time,
    /// The trouble that it joined, if the failure lasted.
    pub trouble: Option<u64>,
    /// Another error code that it fails with lately, and since when; in memory only.
    other: Option<(String, Time)>,
}

impl Failing {
    /// Restores a failing target from the store.
    pub fn restored(since: Time, trouble: Option<u64>) -> Self {
        Self { since, trouble, other: None }
    }
}

/// The mirror of the store that steps work on.
#[derive(Debug)]
pub struct State {
    identities: Identities,
    targets: BTreeMap<Target, TargetState>,
    /// Boxed: moving ten thousand of them by value is a tenth of a start.
    incidents: BTreeMap<u64, Box<Incident>>,
    by_problem: HashMap<ProblemId, u64>,
    /// Incident numbers, ascending.
    by_target: HashMap<Target, Vec<u64>>,
    /// Incidents of workloads with generated names, by rule, group and shape of the name; ascending by number.
    by_shape: HashMap<ProblemId, Vec<u64>>,
    /// The date of the newest event that ended a node's absence, by source and cluster. Events about the node's pods
    /// may be read later and are compared with it. In memory only.
    nodes_back: HashMap<(Arc<str>, Arc<str>), Time>,
    deletions: deletions::Deletions,
    wake_at: HashMap<u64, Time>,
    wakes: BTreeSet<(Time, u64)>,
    troubles: BTreeMap<u64, TroubleState>,
    sources: BTreeMap<Arc<str>, SourceState>,
    held: BTreeMap<HeldKey, HeldBack>,
    /// Mutes that have not ended, by number.
    mutes: BTreeMap<u64, Mute>,
    /// Incidents of rules that inhibit others.
    inhibiting: HashMap<RuleKey, BTreeSet<u64>>,
    /// Rules whose incidents may no longer be inhibited; empty between steps.
    released: BTreeSet<RuleKey>,
    days: Days,
    next_incident: u64,
    next_notice: u64,
    next_mute: u64,
    episodes: usize,
    shared: shared::Shared,
    workloads: Workloads,
    rollouts: rollouts::AllRollouts,
    /// Bound on the known episodes of all targets; beyond it the least useful absent ones are forgotten.
    most_episodes: usize,
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
    pub held: Vec<(HeldKey, HeldBack)>,
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
pub(crate) const MOST_EPISODES: usize = 1_000_000;

impl TargetState {
    /// Restores a target from the store.
    pub fn restored(last_good: Option<Time>, failing: Option<Failing>, discovered: bool) -> Self {
        Self { last_good, failing, discovered, readings: None, ages: None, absences: 0, unusable: 0 }
    }
}

impl State {
    /// Rebuilds the mirror of a store at `now`. Incidents whose rule is gone are closed with the first tick.
    pub fn restore(restored: Restored, setup: &Setup, now: Time) -> Self {
        let mut state = Self {
            identities: Identities::new(restored.seed),
            targets: restored.targets.into_iter().collect(),
            incidents: BTreeMap::new(),
            by_problem: HashMap::with_capacity(restored.incidents.len()),
            by_target: HashMap::with_capacity(restored.incidents.len()),
            by_shape: HashMap::new(),
            nodes_back: HashMap::new(),
            deletions: deletions::Deletions::default(),
            wake_at: HashMap::with_capacity(restored.incidents.len()),
            wakes: BTreeSet::new(),
            troubles: restored.troubles.into_iter().map(|trouble| (trouble.id, trouble)).collect(),
            sources: restored.sources.into_iter().collect(),
            held: restored.held.into_iter().collect(),
            mutes: restored.mutes.into_iter().map(|mute| (mute.id, mute)).collect(),
            inhibiting: HashMap::new(),
            released: BTreeSet::new(),
            days: restored.days,
            next_incident: restored.next_incident.max(1),
            next_notice: restored.next_notice.max(1),
            next_mute: restored.next_mute.max(1),
            episodes: 0,
            shared: shared::Shared::default(),
            workloads: Workloads::default(),
            rollouts: restored.rollouts.into_iter().collect(),
            most_episodes: MOST_EPISODES,
        };
        let ids: Vec<u64> = restored.incidents.iter().map(|incident| incident.id).collect();
        restored.incidents.iter().for_each(|incident| state.index(incident));
        // Collect in one go: the rows are sorted already.
        state.incidents = restored.incidents.into_iter().map(|incident| (incident.id, incident)).collect();
        for id in ids {
            state.note_inhibiting(setup, id);
            state.schedule(id, setup, now);
        }
        state.restore_members();
        state.believe_heartbeat(restored.heartbeat, setup);
        state
    }

    /// The targets whose readings must be loaded before `target` can be observed: those of its namespace, because two
    /// services may show the same occurrence.
    pub fn wants(&self, target: &Target) -> Vec<Target> {
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
        state.readings = Some(readings);
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

    /// Renames a destination in notification states, in its trouble and in windows, so that nothing is sent again.
    pub fn rename_destination(&mut self, from: &str, to: &Destination, writes: &mut Writes) {
        for incident in self.incidents.values_mut() {
            if super::incident::notification_state::rename(&mut incident.notifications, from, to) {
                writes.incidents.insert(incident.id);
            }
        }
        for trouble in self.troubles.values_mut() {
            if trouble.rename(from, to) {
                writes.troubles.insert(trouble.id);
            }
        }
        let held: Vec<HeldKey> = self.held.keys().filter(|(name, _)| **name == *from).cloned().collect();
        for key in held {
            let new = (to.clone(), key.1.clone());
            if let Some(held) = self.held.remove(&key) {
                self.held.insert(new.clone(), held);
                writes.held.extend([key, new]);
            }
        }
    }

    /// Drops the notification states of destinations that are gone.
    pub fn keep_destinations(&mut self, destinations: &BTreeSet<Destination>) {
        for incident in self.incidents.values_mut() {
            incident.notifications.retain(|name, _| destinations.contains(name));
        }
    }

    /// The targets of the same source, cluster and namespace.
    fn namespace<'a>(&'a self, target: &Target) -> impl Iterator<Item = (&'a Target, &'a TargetState)> {
        let first = Target { service: "".into(), ..target.clone() };
        let of = (target.source.clone(), target.cluster.clone(), target.namespace.clone());
        self.targets.range(first..).take_while(move |(sibling, _)| {
            (&sibling.source, &sibling.cluster, &sibling.namespace) == (&of.0, &of.1, &of.2)
        })
    }

    fn notice(&mut self, made: NoticeDraft, turn: &mut Turn<'_>) {
        if made.to.is_empty() {
            return;
        }
        if made.kind == NoticeKind::Opened && matches!(made.body, NoticeBody::Incident(_)) {
            self.count_opened(&made.to);
        }
        let id = self.next_notice;
        self.next_notice += 1;
        turn.writes.notices.push(Notice {
            id,
            kind: made.kind,
            caused_at: made.caused_at,
            made_at: turn.now,
            severity: made.severity,
            to: made.to,
            body: made.body,
        });
    }
}

/// A notice before it has its number.
struct NoticeDraft {
    kind: NoticeKind,
    caused_at: Time,
    severity: Severity,
    to: Vec<Destination>,
    body: NoticeBody,
}

/// The operator's destinations, except the one that is in trouble itself. If that is the only one, all other
/// destinations: somebody must hear of it.
fn operators(setup: &Setup, subject: &TroubleSubject) -> Vec<Destination> {
    let itself = match subject {
        TroubleSubject::Destination(name) => Some(name.as_str()),
        TroubleSubject::Source(_) | TroubleSubject::Rules(_) => None,
    };
    let not_itself = |to: &&Destination| Some(to.as_ref()) != itself;
    let operators: Vec<Destination> = setup.operator.iter().filter(not_itself).cloned().collect();
    match operators.is_empty() && !setup.operator.is_empty() {
        true => setup.destinations.iter().filter(not_itself).cloned().collect(),
        false => operators,
    }
}

/// What one step works with besides the state: the configuration, the time, and what is to be written.
struct Turn<'a> {
    setup: &'a Setup,
    now: Time,
    writes: &'a mut Writes,
}

/// Takes in one input at `now`, and adds its consequences to `writes`.
pub fn step(state: &mut State, setup: &Setup, input: Input<'_>, now: Time, writes: &mut Writes) {
    let turn = &mut Turn { setup, now, writes };

    match input {
        Input::Observed { target, events } => state.observed(target, events, turn),
        Input::Unusable { target, entries } => state.unusable(target, entries, turn),
        Input::Failed { target, error } => state.failed(target, error, turn),
        Input::TargetList { source, targets, complete } => state.target_list(source, targets, complete, turn),
        Input::DiscoveryFailed { source, error } => state.discovery_failed(source, error, turn),
        Input::PartialObservation { seen, whole } => state.seen(seen, whole, turn),
        Input::ListCompleted { covers, shown } => state.list_completed(covers, shown, turn),
        Input::WatchProgress { covers } => state.watch_progress(covers, turn),
        Input::Deleted { source, objects } => state.deleted(source, objects, turn),
        Input::Health { reports } => state.health(reports, turn),
        Input::Enriched { incident, state: pod } => state.enriched(incident, pod, turn),
        Input::Templates { reports } => state.templates(reports, turn),
        Input::WatchFailed { covers, error } => state.watch_cut(covers, error, turn),
        Input::Destination { name, error } => state.destination(name, error, turn),
        Input::RuleFile { name, error } => state.rule_file(name, error, turn),
        Input::RulesChanged => state.adopt_rules(turn),
        Input::Dead { destination, deliveries, why } => {
            state.dead(destination, deliveries, why, turn);
        }
        Input::Store { fate, kept } => state.store(fate, kept, turn),
        Input::Told { destination } => state.count_message(destination),
        Input::Tick => {
            state.wake_mutes(turn);
            state.wake_incidents(turn);
            state.wake_held(turn);
            state.wake_daily(turn);
            state.wake_troubles(turn);
            state.wake_sources(turn);
        }
    }
    state.attend_released(turn);
}
