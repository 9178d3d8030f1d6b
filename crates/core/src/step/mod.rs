//! The one pure step: `step(state, setup, input, now)` decides what is to be written and sent.
//!
//! The service, the demo, backtests and rule tests run the same function. When a commit fails, [`State`] is thrown away
//! and read again from the store. So every change that must last has to be in [`Writes`] as well.

mod ages;
mod claimed;
mod clock;
pub mod daily;
pub mod decision;
mod deletions;
mod ends;
mod first_contact;
mod health;
mod held;
mod incidents;
mod index;
mod joining;
mod lag;
mod observe;
mod reload;
mod rollouts;
mod shared;
mod state;
mod target_list;
mod trouble;
mod user_actions;
mod watched;
mod writes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daily::DailyAt;
pub use state::{
    Blind, Day, Days, Failing, HeldKey, Restored, SourceState, State, TargetState, TroubleState, WindowBacklog,
    WorkloadKey, Workloads, clock_hint,
};
pub use writes::{ActionRecord, Ended, ReadabilityChange, SeriesRow, Tally, Writes};

use super::enrichment::PodState;
use super::event::{Event, Target};
use super::health::HealthReport;
use super::notice::{Notice, NoticeBody, NoticeKind, StoreFate, TroubleSubject};
use super::rollout::TemplateReport;
use super::rules::Rules;
use super::source::{ObjectName, PartialObservation, Problem, SourceInfo, TargetEntry, WatchCoverage};
use super::time::Time;
use crate::rule::{Destination, Severity};

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
    /// A target was read; its readings must be loaded, see [`State::readings_to_load`].
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
    /// A watching source saw events; the target's readings must be loaded, see [`State::readings_to_load`].
    PartialObservation {
        /// The events, and their target.
        seen: &'a PartialObservation,
        /// Whether that is the target's whole list.
        whole: bool,
    },
    /// A watching source has handed in all of its lists.
    ListCompleted {
        /// What the watch covers.
        covers: &'a WatchCoverage,
        /// The targets that had events.
        shown: &'a [Target],
    },
    /// A watching source has missed nothing until now.
    WatchProgress {
        /// What the watch covers.
        covers: &'a WatchCoverage,
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
        covers: &'a WatchCoverage,
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
    MessageArrived {
        /// Its name.
        destination: &'a Destination,
    },
    /// Time has passed.
    Tick,
}

impl State {
    fn notice(&mut self, made: NoticeDraft, cx: &mut StepContext<'_>) {
        if made.to.is_empty() {
            return;
        }
        if made.kind == NoticeKind::Opened && matches!(made.body, NoticeBody::Incident(_)) {
            self.count_opened(&made.to);
        }
        let id = self.next_notice;
        self.next_notice += 1;
        cx.writes.notices.push(Notice {
            id,
            kind: made.kind,
            caused_at: made.caused_at,
            made_at: cx.now,
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
struct StepContext<'a> {
    setup: &'a Setup,
    now: Time,
    writes: &'a mut Writes,
}

/// Takes in one input at `now`, and adds its consequences to `writes`.
pub fn step(state: &mut State, setup: &Setup, input: Input<'_>, now: Time, writes: &mut Writes) {
    let cx = &mut StepContext { setup, now, writes };

    match input {
        Input::Observed { target, events } => state.handle_observation(target, events, cx),
        Input::Unusable { target, entries } => state.handle_unusable(target, entries, cx),
        Input::Failed { target, error } => state.handle_failure(target, error, cx),
        Input::TargetList { source, targets, complete } => state.handle_target_list(source, targets, complete, cx),
        Input::DiscoveryFailed { source, error } => state.handle_discovery_failure(source, error, cx),
        Input::PartialObservation { seen, whole } => state.handle_partial_observation(seen, whole, cx),
        Input::ListCompleted { covers, shown } => state.handle_list_completed(covers, shown, cx),
        Input::WatchProgress { covers } => state.handle_watch_progress(covers, cx),
        Input::Deleted { source, objects } => state.handle_deletions(source, objects, cx),
        Input::Health { reports } => state.handle_health(reports, cx),
        Input::Enriched { incident, state: pod } => state.handle_enrichment(incident, pod, cx),
        Input::Templates { reports } => state.handle_templates(reports, cx),
        Input::WatchFailed { covers, error } => state.handle_watch_failure(covers, error, cx),
        Input::Destination { name, error } => state.handle_destination(name, error, cx),
        Input::RuleFile { name, error } => state.handle_rule_file(name, error, cx),
        Input::RulesChanged => state.adopt_rules(cx),
        Input::Dead { destination, deliveries, why } => {
            state.handle_dead_deliveries(destination, deliveries, why, cx);
        }
        Input::Store { fate, kept } => state.handle_store(fate, kept, cx),
        Input::MessageArrived { destination } => state.count_message(destination),
        Input::Tick => {
            state.wake_mutes(cx);
            state.wake_incidents(cx);
            state.wake_held(cx);
            state.wake_daily(cx);
            state.wake_troubles(cx);
            state.wake_sources(cx);
        }
    }
    state.evaluate_released(cx);
}
