//! Runs one case: which notices came, and how they differ from those that must come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::coverage::Coverage;
use super::read::is_called;
use super::row::{self, Cell};
use super::{Case, Expected, HealthRow, offset};
use crate::event::{Event, Subject, Target};
use crate::health::{Health, HealthReport};
use crate::message::{Style, compose};
use crate::notice::{Notice, NoticeBody, NoticeKind};
use crate::replay::{Outcomes, Replay};
use crate::rule::{Destination, RuleKey, Severity};
use crate::rules::Rules;
use crate::source::Problem;
use crate::step::Setup;
use crate::time::Time;
use crate::translations::Language;
use crate::{backtest, workload};

/// A notice that came in a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actual {
    /// The time of the poll that caused it, or of its timer, after the first poll.
    pub at: Duration,
    /// What it says of its incident.
    pub notice: NoticeKind,
    /// Its rule.
    pub rule: RuleKey,
    /// Its destinations, sorted.
    pub to: Vec<Destination>,
    /// How urgent it is.
    pub severity: Severity,
    /// Its title in English, times in UTC.
    pub title: String,
    /// Its text in English, times in UTC.
    pub text: String,
}

/// The result of a case.
#[derive(Debug, Default)]
pub struct CaseResult {
    /// All notices that came, in time order, each with the expected notice that it meets, by its place in the case.
    pub told: Vec<(Actual, Option<usize>)>,
    /// Expected notices that did not come, by their place in the case.
    pub missing: Vec<usize>,
    /// Notices that would have come had the polls gone on: the rule, and when it is due.
    pub waiting: Vec<(RuleKey, Duration)>,
}

impl CaseResult {
    /// Whether exactly the notices came that must come.
    pub fn passed(&self) -> bool {
        self.missing.is_empty() && self.told.iter().all(|(_, fulfils)| fulfils.is_some())
    }
}

/// The setup of the cases of one file.
pub fn setup(rules: Rules, cases: &[Case]) -> Arc<Setup> {
    backtest::setup(rules, cases.iter().flat_map(|case| &case.rows).map(|row| row.target.source.clone()))
}

/// Runs a case, beginning with a good empty poll, and compares.
pub fn run(case: &Case, setup: &Arc<Setup>, coverage: &mut Coverage) -> CaseResult {
    let mut replay = Replay::new(setup.clone(), BTreeMap::new(), case.start.minus(case.every));
    let targets: BTreeSet<&Target> = case.rows.iter().map(|row| &row.target).collect();
    let mut outcomes = Outcomes::default();
    for target in &targets {
        outcomes.add(replay.watch(&target.source, vec![(*target).clone()]));
        outcomes.add(replay.observe(target, &[], case.start.minus(case.every)));
    }
    let (lists, healths) = (case.rows.iter().map(|row| row.cells.len()), case.health.iter().map(|row| row.ready.len()));
    let polls = lists.chain(healths).max().unwrap_or(1);
    let mut rows: Vec<Played<'_>> = case.rows.iter().map(Played::new).collect();
    for poll in 0..polls {
        let at = moment(case, poll);
        for row in &mut rows {
            row.turn(poll, at);
        }
        for target in &targets {
            let mine = || rows.iter().filter(|row| row.row.target == **target);
            if mine().any(|row| row.failed) {
                outcomes.add(replay.fail(target, &failure(), at));
                continue;
            }
            let list: Vec<Event<'_>> = mine().filter_map(|row| row.shown.clone()).collect();
            for event in &list {
                let workload = workload::of(&event.obj_type, &event.obj_name);
                coverage.saw(&setup.rules, &Subject { target, event, workload });
            }
            outcomes.add(replay.observe(target, &list, at));
        }
        let reports = reports(&case.health, poll);
        if !reports.is_empty() {
            outcomes.add(replay.health(&reports, at));
        }
    }
    // Notices that the last poll caused count; those that the next one would cause do not.
    let end = moment(case, polls).minus(Duration::from_millis(1));
    outcomes.add(replay.pass(end));
    coverage.told(&outcomes.notices);
    let told = outcomes.notices.iter().filter_map(|notice| actual(notice, case)).collect();
    CaseResult { waiting: waiting(&replay, setup, case), ..compare(told, &case.expected) }
}

/// What the workloads' controllers report with a poll: what differs from the poll before.
fn reports(health: &[HealthRow], poll: usize) -> Vec<HealthReport> {
    let shown = |row: &HealthRow, poll| match row::at(&row.ready, poll) {
        Cell::Count(ready) => {
            let ready = u32::try_from(ready).unwrap_or(u32::MAX);
            Some(Health { wanted: row.wanted, ready, rolling_out: false })
        }
        Cell::Absent | Cell::Failed => None,
    };
    let changed = health.iter().filter(|row| match poll.checked_sub(1) {
        Some(before) => shown(row, before) != shown(row, poll),
        None => shown(row, poll).is_some(),
    });
    let report = |row: &HealthRow| HealthReport {
        target: row.target.clone(),
        kind: row.kind,
        name: row.name.clone(),
        health: shown(row, poll),
        deleted: false,
    };
    changed.map(report).collect()
}

fn moment(case: &Case, poll: usize) -> Time {
    case.start.plus(case.every.saturating_mul(u32::try_from(poll).unwrap_or(u32::MAX)))
}

fn failure() -> Problem {
    Problem { code: "test".into(), text: "the test says so".into(), advice: String::new(), gone: false }
}

/// A row and what its newest poll shows.
struct Played<'a> {
    row: &'a super::Row,
    first_seen: Option<Time>,
    last: Option<(u64, Time)>,
    shown: Option<Event<'a>>,
    failed: bool,
}

impl<'a> Played<'a> {
    fn new(row: &'a super::Row) -> Self {
        Self { row, first_seen: None, last: None, shown: None, failed: false }
    }

    fn turn(&mut self, poll: usize, at: Time) {
        let cell = row::at(&self.row.cells, poll);
        self.failed = cell == Cell::Failed;
        self.shown = None;
        let Cell::Count(count) = cell else { return };
        let first_seen = *self.first_seen.get_or_insert(at);
        let last_seen = match self.last {
            Some((before, seen)) if before == count => seen,
            _ => at,
        };
        self.last = Some((count, last_seen));
        self.shown = Some(Event {
            metadata: self.row.metadata.clone(),
            first_seen,
            last_seen,
            count,
            level: self.row.level,
            obj_type: self.row.obj_type.as_str().into(),
            obj_name: self.row.obj_name.as_str().into(),
            reason: self.row.reason.as_str().into(),
            message: self.row.message.as_str().into(),
            signal: self.row.signal,
            node: (!self.row.node.is_empty()).then(|| self.row.node.as_str().into()),
            ..Event::default()
        });
    }
}

fn actual(notice: &Notice, case: &Case) -> Option<Actual> {
    let NoticeBody::Incident(story) = &notice.body else { return None };
    let style = Style { language: Language::En, time_zone: TimeZone::UTC, now: notice.made_at };
    let message = compose(notice, &style);
    let mut to = notice.to.clone();
    to.sort();
    Some(Actual {
        at: notice.caused_at.since(case.start),
        notice: notice.kind,
        rule: story.rule.clone(),
        to,
        severity: notice.severity,
        text: message.text(),
        title: message.title,
    })
}

/// Notices that wait for `group_wait` or `min_gap` when the polls end.
fn waiting(replay: &Replay, setup: &Setup, case: &Case) -> Vec<(RuleKey, Duration)> {
    let due = replay.state().incidents().filter_map(|incident| {
        let rule = &setup.rules.get(setup.rules.find(&incident.rule)?).settings;
        let waits = incident.notifications.values().any(|state| state.next.is_some());
        let holds = replay.state().holds(setup, incident, replay.now());
        let at = incident.next_notice_at(rule, &holds).filter(|_| waits)?;
        Some((incident.rule.clone(), at.since(case.start)))
    });
    due.collect()
}

/// Pairs the notices that came with those that must come, as many as possible.
fn compare(told: Vec<Actual>, expected: &[Expected]) -> CaseResult {
    let fits: Vec<Vec<usize>> =
        expected.iter().map(|one| (0..told.len()).filter(|place| meets(&told[*place], one)).collect()).collect();
    // Several expected notices may fit the same notice that came, so that taking the first that fits can
    // leave a pair unfound: augmenting paths find them all.
    let mut holder: Vec<Option<usize>> = vec![None; told.len()];
    let mut missing: Vec<usize> =
        (0..expected.len()).filter(|one| !place(*one, &fits, &mut holder, &mut vec![false; told.len()])).collect();
    missing.sort_unstable();
    CaseResult { told: told.into_iter().zip(holder).collect(), missing, waiting: Vec::new() }
}

fn place(one: usize, fits: &[Vec<usize>], holder: &mut [Option<usize>], tried: &mut [bool]) -> bool {
    for &candidate in &fits[one] {
        if std::mem::replace(&mut tried[candidate], true) {
            continue;
        }
        if holder[candidate].is_none_or(|other| place(other, fits, holder, tried)) {
            holder[candidate] = Some(one);
            return true;
        }
    }
    false
}

fn meets(actual: &Actual, expected: &Expected) -> bool {
    let named = |to: &Vec<(Destination, _)>| {
        let mut names: Vec<&Destination> = to.iter().map(|(name, _)| name).collect();
        names.sort();
        names.iter().copied().eq(actual.to.iter())
    };
    expected.is_about(actual)
        && expected.to.as_ref().is_none_or(named)
        && expected.severity.is_none_or(|severity| severity == actual.severity)
        && expected.title.as_ref().is_none_or(|title| title.matches(actual.title.trim()))
        && expected.text.as_ref().is_none_or(|text| text.matches(actual.text.trim()))
}

impl Expected {
    /// Whether time, kind and rule fit, so that only something else differs.
    pub fn is_about(&self, actual: &Actual) -> bool {
        self.at.is_none_or(|at| at == actual.at)
            && self.notice.is_none_or(|notice| notice == actual.notice)
            && self.rule.as_ref().is_none_or(|(name, _)| is_called(&actual.rule, name))
    }
}

/// As a test would write it.
impl std::fmt::Display for Actual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, notice, rule) = (offset(self.at), self.notice.as_str(), &self.rule.name);
        write!(f, "{{at: {at}, notice: {notice}, rule: {rule}, to: [{}]}}", self.to.join(", "))
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut said = Vec::new();
        said.extend(self.at.map(|at| format!("at: {}", offset(at))));
        said.extend(self.notice.map(|notice| format!("notice: {}", notice.as_str())));
        said.extend(self.rule.as_ref().map(|(rule, _)| format!("rule: {rule}")));
        said.extend(self.to.as_ref().map(|to| {
            let names: Vec<&str> = to.iter().map(|(name, _)| &**name).collect();
            format!("to: [{}]", names.join(", "))
        }));
        said.extend(self.severity.map(|severity| format!("severity: {}", severity.as_str())));
        said.extend(self.title.as_ref().map(|title| format!("title: {:?}", title.as_str())));
        said.extend(self.text.as_ref().map(|text| format!("text: {:?}", text.as_str())));
        write!(f, "{{{}}}", said.join(", "))
    }
}
