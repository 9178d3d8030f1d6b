//! A trouble of podbell's own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Target;
use crate::notice::{Notice, NoticeBody, NoticeKind, Trouble, TroubleSubject};
use crate::rule::Severity;
use crate::time::Time;

/// How often there is a reminder of one.
const REMIND: Duration = Duration::from_secs(4 * 3600);
/// Notify again when ten times as many are affected, but not within this time.
const MIN_GAP: Duration = Duration::from_secs(300);
const WORSE_BY: u64 = 10;
/// The error code for list entries that cannot be understood.
pub(in crate::step) const UNUSABLE: &str = "unusable-entries";
/// How many names a notice lists.
const MAX_NAMES: usize = 20;

/// A trouble that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleState {
    /// Its number, from the same sequence as incidents.
    pub id: u64,
    /// What it is about.
    pub subject: TroubleSubject,
    /// The error code.
    pub code: String,
    /// What happened, in words.
    pub text: String,
    /// What the operator can do.
    pub advice: String,
    /// What is affected besides unreadable targets, and since when: a discovery, a watch, a destination.
    pub members: BTreeMap<String, Time>,
    /// Affected targets, and since when. Stored with the targets: in one row, ten thousand of them would be written ten
    /// thousand times.
    #[serde(skip)]
    pub targets: BTreeMap<String, Time>,
    /// When it began.
    pub since: Time,
    /// When the first notice is due.
    pub tell_at: Time,
    /// When the last notice was made, and how many were affected then.
    pub told: Option<(Time, u64)>,
}

impl TroubleState {
    /// Whether it reports entries in a list of this target that cannot be understood.
    pub fn is_unusable_of(&self, target: &Target) -> bool {
        self.code == UNUSABLE
            && matches!(&self.subject, TroubleSubject::Source(name) if **name == *target.source)
            && self.members.contains_key(&member(target))
    }
}

/// What a trouble affects.
pub(in crate::step) enum Member {
    Target(String),
    /// Anything but an unreadable target: a discovery, a watch, a destination, a rule file or a list.
    Other(String),
}

impl TroubleState {
    /// Renames the destination that the trouble is about. Returns whether it is about that one.
    pub(in crate::step) fn rename(&mut self, from: &str, to: &str) -> bool {
        let its = self.subject == TroubleSubject::Destination(from.to_owned());
        if its {
            self.subject = TroubleSubject::Destination(to.to_owned());
            let since = self.members.remove(from).unwrap_or(self.since);
            self.members.insert(to.to_owned(), since);
        }
        its
    }

    pub(in crate::step) fn wake_at(&self) -> Option<Time> {
        Some(self.next().1)
    }

    pub(in crate::step) fn next(&self) -> (NoticeKind, Time) {
        match self.told {
            None => (NoticeKind::Opened, self.tell_at),
            Some((at, members)) if self.affected() >= members.max(1).saturating_mul(WORSE_BY) => {
                (NoticeKind::Escalated, at.plus(MIN_GAP))
            }
            Some((at, _)) => (NoticeKind::Reminded, at.plus(REMIND)),
        }
    }

    pub(in crate::step) fn affected(&self) -> u64 {
        (self.members.len() + self.targets.len()) as u64
    }

    pub(in crate::step) fn join(&mut self, member: Member, since: Time) {
        match member {
            Member::Target(name) => self.targets.entry(name).or_insert(since),
            Member::Other(name) => self.members.entry(name).or_insert(since),
        };
    }

    pub(in crate::step) fn forget(&mut self, member: &Member) -> bool {
        match member {
            Member::Target(name) => self.targets.remove(name),
            Member::Other(name) => self.members.remove(name),
        }
        .is_some()
    }

    /// The trouble as it is.
    pub(in crate::step) fn current_notice(&self, now: Time) -> Notice {
        let body = NoticeBody::Trouble(Box::new(self.story(None)));
        let (kind, severity) = (NoticeKind::Opened, Severity::Critical);
        Notice { id: 0, kind, caused_at: self.since, made_at: now, severity, to: Vec::new(), body }
    }

    pub(in crate::step) fn story(&self, until: Option<Time>) -> Trouble {
        Trouble {
            incident: self.id,
            subject: self.subject.clone(),
            code: self.code.clone(),
            text: self.text.clone(),
            advice: self.advice.clone(),
            affected: self.members.keys().chain(self.targets.keys()).take(MAX_NAMES).cloned().collect(),
            affected_count: self.affected(),
            since: self.since,
            until,
        }
    }
}

pub(in crate::step) fn member(target: &Target) -> String {
    format!("{}/{}/{}", target.cluster, target.namespace, target.service)
}
