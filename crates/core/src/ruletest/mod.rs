//! Rule tests: invented polls, and the notices that they would cause.
//!
//! A test file says which rule files it is about, what successive polls show, and which notices
//! must come of it: those and no others. [`read()`] checks the file, [`run()`] plays one case through
//! [`super::replay`], [`Coverage`] knows what no case has fired. Pure: files are arguments.

mod coverage;
pub mod keys;
mod read;
mod row;
mod run;
mod values;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

pub use coverage::{Coverage, Item};
pub use read::read;
pub use row::{Cell, MAX_POLLS};
pub use run::{Actual, CaseResult, run, setup};

pub use crate::yaml::write_duration as offset;

use super::diagnostic::Source;
use super::event::{Level, Target};
use super::health::WorkloadKind;
use super::metadata::Metadata;
use super::notice::NoticeKind;
use super::rules::Rules;
use super::time::Time;
use crate::rule::{Destination, Pattern, Severity};

/// A checked test file.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Name and text.
    pub source: Arc<Source>,
    /// The rule files it is about, as written, and where.
    pub rule_files: Vec<(String, Range<usize>)>,
    /// Its cases in order.
    pub cases: Vec<Case>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// Where its name is written.
    pub at: Range<usize>,
    /// When its first poll is.
    pub start: Time,
    /// The time between two polls.
    pub every: Duration,
    /// What the polls show.
    pub rows: Vec<Row>,
    /// The health of workloads, as far as it is known.
    pub health: Vec<HealthRow>,
    /// The notices that must come, and no others.
    pub expected: Vec<Expected>,
}

/// One series in successive polls of one target.
#[derive(Clone, Debug)]
pub struct Row {
    /// Whose list shows it.
    pub target: Target,
    /// See [`super::event::Event`].
    pub level: Level,
    /// Kind of object.
    pub obj_type: String,
    /// Name of the object.
    pub obj_name: String,
    /// Short machine word.
    pub reason: String,
    /// Free text.
    pub message: String,
    /// The node that the object is on; empty: not known.
    pub node: String,
    /// Whether a source makes it of an object's state.
    pub signal: bool,
    /// The labels and annotations of its object.
    pub metadata: Option<Arc<Metadata>>,
    /// What each poll shows of it.
    pub cells: Vec<Cell>,
}

/// The health of a workload in successive polls.
#[derive(Clone, Debug)]
pub struct HealthRow {
    /// The target of its events.
    pub target: Target,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: Arc<str>,
    /// How many pods it should have.
    pub wanted: u32,
    /// How many are ready.
    pub ready: Vec<Cell>,
}

/// A notice that must come. Fields that are `None` are not compared.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Where it is written.
    pub span: Range<usize>,
    /// The time of the poll that causes it, or of its timer, after the first poll.
    pub at: Option<Duration>,
    /// What it says of its incident.
    pub notice: Option<NoticeKind>,
    /// Its rule's name, or `file:name`, and where that is written.
    pub rule: Option<(String, Range<usize>)>,
    /// Exactly these, in any order, and where they are written.
    pub to: Option<Vec<(Destination, Range<usize>)>>,
    /// How urgent it is.
    pub severity: Option<Severity>,
    /// Its title in English, times in UTC.
    pub title: Option<Pattern>,
    /// Its text, in English, times in UTC.
    pub text: Option<Pattern>,
}

impl TestFile {
    /// Notes rules and destinations that are named but do not exist.
    pub fn check_names(&self, rules: &Rules) -> Vec<super::diagnostic::Diagnostic> {
        read::check_names(self, rules)
    }
}
