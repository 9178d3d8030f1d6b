//! Which of an incident's changes are shown: on the first page those that decided (the first change, the
//! opening, each step) and the newest; on later pages everything in between.
//!
//! Pure. An incident may have thousands of changes, and nearly all of them only count.

use serde::Serialize;

use super::step::decision::{Decision, Effect, RuleDecision, Verdict};
use super::time::Time;

/// How many deciding changes are shown: the first and the newest of them.
const MAX_STEPS: usize = 30;
/// How many of those are the first ones.
const FIRST_STEPS: usize = 10;

/// One line of a trail.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A change.
    Change(Box<Decision>),
    /// How many changes were left out here; another page shows them.
    LeftOut(u64),
}

/// The changes of an incident, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trail {
    /// Those of this page.
    pub lines: Vec<Line>,
    /// How many there are.
    pub all: u64,
    /// Counted from 1; the first has the newest.
    pub page: u32,
    /// How many pages there are.
    pub pages: u32,
}

impl Trail {
    /// The page of this number, with `most` changes; the first page has the newest. `incident`: the incident whose
    /// changes they are, if they are of one. `worse`: when notices said that it got worse, in the order of time.
    pub fn new(decisions: Vec<Decision>, incident: Option<u64>, worse: &[Time], page: u32, most: usize) -> Self {
        let (all, page, most) = (decisions.len(), page.max(1), most.max(1));
        let pages = u32::try_from(all.div_ceil(most).max(1)).unwrap_or(u32::MAX);
        let until = all.saturating_sub((page as usize - 1).saturating_mul(most));
        let from = until.saturating_sub(most);
        let steps = if page == 1 { steps(&decisions, incident, worse) } else { Vec::new() };
        let mut lines = Vec::new();
        let mut left_out = 0;
        for (place, decision) in decisions.into_iter().enumerate() {
            if (from..until).contains(&place) || steps.binary_search(&place).is_ok() {
                if left_out > 0 {
                    lines.push(Line::LeftOut(std::mem::take(&mut left_out)));
                }
                lines.push(Line::Change(Box::new(decision)));
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 {
            lines.push(Line::LeftOut(left_out));
        }
        Self { lines, all: all as u64, page, pages }
    }

    /// The changes among its lines.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Decision> {
        self.lines.iter().filter_map(|line| match line {
            Line::Change(decision) => Some(&**decision),
            Line::LeftOut(_) => None,
        })
    }

    /// Whether other pages have more.
    pub fn is_part(&self) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::LeftOut(_)))
    }

    /// The page that shows what came before this one, if there is any.
    pub fn older(&self) -> Option<u32> {
        (self.is_part() && self.page < self.pages).then(|| self.page + 1)
    }
}

/// The places of the changes that decided something, in order.
fn steps(decisions: &[Decision], incident: Option<u64>, worse: &[Time]) -> Vec<usize> {
    let mut steps: Vec<usize> = Vec::new();
    let mut reasons: Vec<&str> = Vec::new();
    let mut gathers = false;
    for (place, decision) in decisions.iter().enumerate() {
        let effects = || of(decision, incident).map(|claimed| claimed.effect);
        let turned =
            effects().any(|effect| matches!(effect, Effect::Opened | Effect::Reopened | Effect::Over | Effect::Gone));
        // Of the changes that gather for one opening, the first is a step: it says when they began.
        let gathering =
            effects().any(|effect| matches!(effect, Effect::Gathers { .. } | Effect::TooYoung { .. } | Effect::Waits));
        let begins = gathering && !std::mem::replace(&mut gathers, gathering);
        gathers = gathering;
        let news = reasons.len() < MAX_STEPS && !reasons.contains(&decision.reason.as_str());
        if news {
            reasons.push(&decision.reason);
        }
        if place == 0 || turned || begins || news {
            steps.push(place);
        }
    }
    // The newest change up to that moment made it worse.
    let told = worse.iter().map(|at| decisions.partition_point(|decision| decision.at <= *at));
    steps.extend(told.filter_map(|after| after.checked_sub(1)));
    steps.sort_unstable();
    steps.dedup();
    if steps.len() > MAX_STEPS {
        let newest = steps.len() - (MAX_STEPS - FIRST_STEPS);
        steps.drain(FIRST_STEPS..newest);
    }
    steps
}

/// What rules decided about a change, as far as it concerns this incident.
fn of(decision: &Decision, incident: Option<u64>) -> impl Iterator<Item = &RuleDecision> {
    let claimed = match &decision.verdict {
        Verdict::Claimed(claimed) => claimed.as_slice(),
        _ => &[],
    };
    claimed.iter().filter(move |claimed| incident.is_none() || claimed.incident == incident)
}
