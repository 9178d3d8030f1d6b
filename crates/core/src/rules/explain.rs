//! Why a rule is about an event, or is not: every rule in reading order, with what decided.
//!
//! Agrees with [`Rules::claims`], but is slow and gives reasons; a test compares the two.

use std::fmt;

use super::set::Rules;
use crate::event::Subject;
use crate::rule::condition::{Conditions, EventFields};
use crate::rule::pattern::Pattern;
use crate::rule::{Action, Destination, Field, RuleKey};

/// What one rule says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: RuleKey,
    /// What decided.
    pub because: RuleVerdict,
}

/// What decided about one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleVerdict {
    /// A scope, of its file or of podbell.yaml, leaves the event out.
    OutOfScope(Mismatch),
    /// A key of `match` does not fit.
    NoMatch(Mismatch),
    /// This item of `except` fits, counted from 1.
    Excepted(usize),
    /// A rule before it, in the same entry of `rules:`, ignores the event.
    IgnoredBefore(RuleKey),
    /// It matches, but rules before it won all its destinations.
    Taken,
    /// It matches, and as an `ignore` rule ends the reading of its entry.
    Ignores,
    /// It wins these destinations.
    Claims(Vec<Destination>),
}

/// A key that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The key.
    pub field: Field,
    /// The patterns of the key, of which one must fit.
    pub wanted: Vec<String>,
    /// What the event has, shortened.
    pub found: String,
}

/// How much of a fact is shown.
const MAX_SHOWN: usize = 120;

impl Rules {
    /// What every rule says of the event, in reading order.
    pub fn explain(&self, subject: &Subject<'_>) -> Vec<Step> {
        let facts = EventFields::new(subject);
        let mut won: Vec<Destination> = Vec::new();
        let mut ignored: Vec<(u32, RuleKey)> = Vec::new();
        let mut steps = Vec::new();
        for (_, rule) in self.iter() {
            let scope = rule.scopes.iter().find_map(|scope| mismatch(scope, &facts));
            let before = ignored.iter().find(|(entry, _)| *entry == rule.entry);
            let excepted = rule.except.iter().position(|except| except.fit(&facts));
            let because = if let Some((_, by)) = before {
                RuleVerdict::IgnoredBefore(by.clone())
            } else if let Some(mismatch) = scope {
                RuleVerdict::OutOfScope(mismatch)
            } else if let Some(mismatch) = mismatch(&rule.matching, &facts) {
                RuleVerdict::NoMatch(mismatch)
            } else if let Some(place) = excepted {
                RuleVerdict::Excepted(place + 1)
            } else if rule.action == Action::Ignore {
                ignored.push((rule.entry, rule.settings.key.clone()));
                RuleVerdict::Ignores
            } else {
                let new: Vec<_> =
                    rule.settings.notify_of(&facts).iter().filter(|to| !won.contains(to)).cloned().collect();
                won.extend(new.iter().cloned());
                if new.is_empty() { RuleVerdict::Taken } else { RuleVerdict::Claims(new) }
            };
            steps.push(Step { rule: rule.settings.key.clone(), because });
        }
        steps
    }
}

/// The first key that does not fit.
fn mismatch(conditions: &Conditions, facts: &EventFields<'_>) -> Option<Mismatch> {
    let fits = |(field, patterns): &&(Field, Vec<Pattern>)| {
        let text = facts.get(*field);
        text.is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(text)))
    };
    let (field, patterns) = conditions.keys().iter().find(|key| !fits(key))?;
    let text = facts.text(*field);
    let mut found: String = text.chars().take(MAX_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if found.len() < text.len() {
        found.push('…');
    }
    Some(Mismatch {
        field: *field,
        wanted: patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        found,
    })
}

impl fmt::Display for RuleVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfScope(mismatch) => write!(f, "out of scope: {mismatch}"),
            Self::NoMatch(mismatch) => write!(f, "no match: {mismatch}"),
            Self::Excepted(place) => write!(f, "left out by item {place} of `except`"),
            Self::IgnoredBefore(rule) => write!(f, "not read: {rule} ignored the event before"),
            Self::Taken => f.write_str("matches, but rules before it won all its destinations"),
            Self::Ignores => f.write_str("matches: the event is ignored"),
            Self::Claims(to) => write!(f, "matches: wins {}", to.join(", ")),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.wanted.as_slice() {
            [one] => one.clone(),
            many => format!("any of {}", many.join(", ")),
        };
        write!(f, "{} is {:?}, wanted {wanted}", self.field, self.found)
    }
}
