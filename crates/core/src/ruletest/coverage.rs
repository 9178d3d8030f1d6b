//! What no case has fired: rules, and the escalation steps that rule files write out.

use std::collections::BTreeSet;
use std::fmt;

use crate::event::Subject;
use crate::notice::{Notice, NoticeBody, NoticeKind};
use crate::rule::{Action, CountSteps, RuleKey, RuleSettings, Severity};
use crate::rules::{RuleId, Rules};

/// Something that a test can fire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A rule: it notified of an incident's opening, or ignored an event.
    Rule(RuleKey),
    /// An escalation at this many occurrences.
    Occurrences(RuleKey, u64),
    /// An escalation at this many objects.
    Objects(RuleKey, u64),
}

/// What cases fired.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    fired: BTreeSet<RuleKey>,
    ignoring: BTreeSet<RuleId>,
    /// Escalations: occurrences and objects of the notice before, and of the escalation.
    escalated: BTreeSet<(RuleKey, [u64; 2], [u64; 2])>,
}

impl Coverage {
    /// Notes that a list showed this event.
    pub(super) fn saw(&mut self, rules: &Rules, subject: &Subject<'_>) {
        for id in rules.ignored_by(subject) {
            // Polls show the same events again: most were noted before.
            if self.ignoring.insert(id) {
                self.fired.insert(rules.get(id).settings.key.clone());
            }
        }
    }

    /// Notes that these notices came.
    pub(super) fn told(&mut self, notices: &[Notice]) {
        for notice in notices {
            let NoticeBody::Incident(story) = &notice.body else { continue };
            match notice.kind {
                NoticeKind::Opened => {
                    self.fired.insert(story.rule.clone());
                }
                NoticeKind::Escalated => {
                    let before = story.told.map_or([0, 0], |told| [told.occurrences, told.objects]);
                    self.escalated.insert((story.rule.clone(), before, [story.occurrences, story.objects]));
                }
                _ => {}
            }
        }
    }

    /// Adds what the cases of another file fired. Rules are known by file and name.
    pub fn add(&mut self, other: Self) {
        self.fired.extend(other.fired);
        self.escalated.extend(other.escalated);
    }

    /// Everything that tests can fire, and whether it fired.
    pub fn items<'a>(&self, rules: impl IntoIterator<Item = &'a Rules>) -> Vec<(Item, bool)> {
        let mut items = BTreeSet::new();
        for (_, rule) in rules.into_iter().flat_map(Rules::iter) {
            items.insert(Item::Rule(rule.settings.key.clone()));
            if rule.action == Action::Notify {
                items.extend(steps(&rule.settings));
            }
        }
        items.into_iter().map(|item| (item.clone(), self.has(&item))).collect()
    }

    fn has(&self, item: &Item) -> bool {
        let passed = |rule: &RuleKey, step: u64, which: usize| {
            self.escalated.iter().any(|(of, before, now)| of == rule && before[which] < step && step <= now[which])
        };
        match item {
            Item::Rule(rule) => self.fired.contains(rule),
            Item::Occurrences(rule, step) => passed(rule, *step, 0),
            Item::Objects(rule, step) => passed(rule, *step, 1),
        }
    }
}

/// The steps that the file writes out: defaults need no test.
fn steps(rule: &RuleSettings) -> Vec<Item> {
    let default = RuleSettings::new(rule.key.clone(), Severity::Warning, Vec::new()).escalate.objects;
    let counts = match &rule.escalate.counts {
        CountSteps::Listed(counts) => counts.as_slice(),
        CountSteps::Decades => &[],
    };
    let objects = if rule.escalate.objects == default { &[][..] } else { &rule.escalate.objects };
    let counts = counts.iter().map(|step| Item::Occurrences(rule.key.clone(), *step));
    counts.chain(objects.iter().map(|step| Item::Objects(rule.key.clone(), *step))).collect()
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "{rule}"),
            Self::Occurrences(rule, step) => write!(f, "{rule}: escalation at {step} occurrences"),
            Self::Objects(rule, step) => write!(f, "{rule}: escalation at {step} objects"),
        }
    }
}
