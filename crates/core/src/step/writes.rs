//! What steps want written, and sent once that is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decision::Decision;
use super::{HeldKey, WorkloadKey};
use crate::diff::ChangeKind;
use crate::enrichment::PodQuestion;
use crate::event::{Event, Target};
use crate::history::ObjectReport;
use crate::incident::Incident;
use crate::mute::Author;
use crate::notice::Notice;
use crate::series::EpisodeKey;
use crate::time::Time;
use crate::user_action::Act;

/// A target can no longer be read, or can be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadabilityChange {
    /// The target.
    pub target: Target,
    /// Since when.
    pub at: Time,
    /// Whether it can be read.
    pub is_readable: bool,
}

/// What a step wants written, and sent once that is written. Incidents, targets, troubles and sources are only named
/// here and read from the [`State`](super::State), so that several steps of one commit write each of them once.
#[derive(Debug, Default)]
pub struct Writes {
    /// Targets whose row changed.
    pub targets: BTreeSet<Target>,
    /// Targets that are gone with all their series.
    pub gone: BTreeSet<Target>,
    /// Episodes that are new or changed.
    pub series: Vec<SeriesRow>,
    /// Which targets can no longer be read, or can be again.
    pub readability: Vec<ReadabilityChange>,
    /// What sources said of objects, and when.
    pub reports: Vec<(Time, ObjectReport)>,
    /// Episodes that are forgotten.
    pub forgotten: BTreeSet<(Target, EpisodeKey)>,
    /// Incidents that changed.
    pub incidents: BTreeSet<u64>,
    /// Incidents that ended. Those that had opened are kept for the record; gathering ones are forgotten.
    pub ended: Vec<Ended>,
    /// Troubles that changed.
    pub troubles: BTreeSet<u64>,
    /// Troubles that are over.
    pub troubles_over: BTreeSet<u64>,
    /// Sources whose state changed.
    pub sources: BTreeSet<Arc<str>>,
    /// Workloads of whose rollouts something new is known, or nothing any more.
    pub rollouts: BTreeSet<WorkloadKey>,
    /// Windows whose held incidents changed or were summed up.
    pub held: BTreeSet<HeldKey>,
    /// Mutes that are new or changed.
    pub mutes: BTreeSet<u64>,
    /// Mutes that are over.
    pub mutes_over: BTreeSet<u64>,
    /// Incidents whose acknowledgement was set or cleared.
    pub acknowledged: BTreeSet<u64>,
    /// User actions that were carried out.
    pub recorded: Vec<ActionRecord>,
    /// Notices to send.
    pub notices: Vec<Notice>,
    /// What became of each Warning change; kept for a while for those who ask why.
    pub decisions: Vec<Decision>,
    /// Pods about which the engine asks their sources after the commit; messages made after the answer quote it.
    pub questions: Vec<PodQuestion>,
    /// Whether a daily line was sent: its counts start anew.
    pub daily: bool,
    /// Counts for the metrics and the summary.
    pub tally: Tally,
}

/// Counts of what went through a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Polls that brought a list.
    pub polls: u64,
    /// Entries in those lists.
    pub events: u64,
    /// Changes of any level.
    pub changes: u64,
    /// Changes of level Warning.
    pub warning_changes: u64,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: Tally) {
        self.polls += other.polls;
        self.events += other.events;
        self.changes += other.changes;
        self.warning_changes += other.warning_changes;
    }
}

/// An episode as the store keeps it, its text inline.
#[derive(Clone, Debug)]
pub struct SeriesRow {
    /// The target that shows it.
    pub target: Target,
    /// The episode.
    pub key: EpisodeKey,
    /// Its newest reading and text.
    pub event: Event<'static>,
    /// When podbell observed it.
    pub observed_at: Time,
    /// How the diff classified its change, and how many occurrences are new; `None` in the silent baseline.
    pub change: Option<(ChangeKind, u64)>,
}

/// An incident's end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The incident as it was.
    pub incident: Incident,
    /// When it ended.
    pub at: Time,
    /// Whether it had opened, so that somebody may know of it.
    pub known: bool,
}

impl Writes {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
            && self.gone.is_empty()
            && self.series.is_empty()
            && self.readability.is_empty()
            && self.reports.is_empty()
            && self.forgotten.is_empty()
            && self.incidents.is_empty()
            && self.ended.is_empty()
            && self.troubles.is_empty()
            && self.troubles_over.is_empty()
            && self.sources.is_empty()
            && self.rollouts.is_empty()
            && self.held.is_empty()
            && self.mutes.is_empty()
            && self.mutes_over.is_empty()
            && self.acknowledged.is_empty()
            && self.recorded.is_empty()
            && !self.daily
            && self.notices.is_empty()
    }
}

/// A user action that was carried out, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRecord {
    /// When it was carried out.
    pub at: Time,
    /// The incident that it concerns, if any.
    pub incident: Option<u64>,
    /// Who carried it out.
    pub by: Author,
    /// The action.
    pub act: Act,
}
