//! What the daily lines count.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::rule::Destination;
use crate::time::{Jump, Time};

/// The counts for one destination since its last line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Start of the counts.
    pub since: Time,
    /// Entries of all lists that were read.
    pub events: u64,
    /// Messages that the destination took.
    pub messages: u64,
    /// Incidents whose opening was sent to it.
    pub incidents: u64,
    /// Kinds of Warnings (workload and reason) that no rule sent, as hashes.
    pub untold: BTreeSet<u64>,
    /// When the line is due; not stored, each process computes it.
    #[serde(skip)]
    pub(in crate::step) due: Option<Time>,
}

impl Day {
    pub(in crate::step) fn new(since: Time) -> Self {
        Self { since, events: 0, messages: 0, incidents: 0, untold: BTreeSet::new(), due: None }
    }
}

impl Day {
    /// Shifts the start of the counts. The due time follows the calendar and is computed anew.
    pub(in crate::step) fn clock_set(&mut self, by: Jump) {
        self.since.carry(by);
        self.due = None;
    }
}

/// The counts of all destinations that want a line.
pub type Days = BTreeMap<Destination, Day>;
