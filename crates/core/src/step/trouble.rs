//! Podbell's own trouble: one incident per subject and error code, never one per target.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::state::{Member, UNUSABLE, member};
use super::{Failing, NoticeDraft, ReadabilityChange, State, StepContext, TroubleState, operators};
use crate::event::Target;
use crate::notice::{CloseReason, Info, NoticeBody, NoticeKind, StoreFate, TroubleSubject};
use crate::rule::{Destination, Severity};
use crate::source::{Extent, Problem, WatchCoverage};
use crate::time::Time;

/// How long a target must be unreadable before the operator is notified.
const UNREADABLE_AFTER: Duration = Duration::from_secs(300);
/// Targets that fail together share a notice: wait for one round of polls.
const GATHER: Duration = Duration::from_secs(60);
/// Most targets that the trouble of unusable entries names: its row is written again with each further one.
const MAX_UNUSABLE: usize = 1000;
/// The member that stands for a source's discovery.
const DISCOVERY: &str = "discovery";

impl State {
    /// A target could not be read. Its state stays; if the failure lasts, it becomes a trouble.
    pub(super) fn handle_failure(&mut self, target: &Target, error: &Problem, cx: &mut StepContext<'_>) {
        let Some(state) = self.targets.get_mut(target) else { return };
        if error.gone && state.discovered {
            self.gone(target, CloseReason::ServiceDeleted, cx);
            return;
        }
        let failing = state.failing.get_or_insert_with(|| {
            cx.writes.targets.insert(target.clone());
            let change = ReadabilityChange { target: target.clone(), at: cx.now, is_readable: false };
            cx.writes.readability.push(change);
            Failing::restored(cx.now, None)
        });
        let since = match failing.trouble.and_then(|id| self.troubles.get(&id)) {
            None => failing.since,
            Some(trouble) if trouble.code == error.code => {
                failing.other = None;
                return;
            }
            // It fails with another code now: that is another trouble, if it lasts.
            Some(_) => match failing.other.take().filter(|(code, _)| *code == error.code) {
                Some((code, since)) => {
                    failing.other = Some((code, since));
                    since
                }
                None => {
                    failing.other = Some((error.code.clone(), cx.now));
                    cx.now
                }
            },
        };
        if cx.now.since(since) < UNREADABLE_AFTER {
            return;
        }
        self.leave_trouble(target, cx);
        let subject = TroubleSubject::Source(target.source.to_string());
        let id = self.join_trouble(subject, error, (Member::Target(member(target)), since), GATHER, cx);
        if let Some(failing) = self.targets.get_mut(target).and_then(|state| state.failing.as_mut()) {
            failing.trouble = Some(id);
            failing.other = None;
        }
        cx.writes.targets.insert(target.clone());
    }

    /// A list has entries that cannot be understood, or no longer has: one trouble of its source for all its targets.
    pub(super) fn handle_unusable(&mut self, target: &Target, entries: usize, cx: &mut StepContext<'_>) {
        if let Some(state) = self.targets.get_mut(target) {
            state.unusable = entries as u64;
        }
        let subject = TroubleSubject::Source(target.source.to_string());
        let known = self.troubles.values().find(|trouble| trouble.subject == subject && trouble.code == UNUSABLE);
        let member = Member::Other(member(target));
        match (known, entries) {
            (None, 0) => {}
            (Some(trouble), 0) => {
                let id = trouble.id;
                self.remove_member(id, &member, cx);
            }
            (Some(trouble), _) if trouble.members.len() >= MAX_UNUSABLE => {}
            (_, entries) => {
                let error = Problem {
                    code: UNUSABLE.to_owned(),
                    text: format!("{entries} entries of a list could not be understood, so nobody hears of them"),
                    advice:
                        "look at the list: `podbell record` keeps it; an entry needs at least a reason or a message"
                            .to_owned(),
                    gone: false,
                };
                self.join_trouble(subject, &error, (member, cx.now), GATHER, cx);
            }
        }
    }

    /// Puts failing targets back into the troubles that they joined.
    pub(super) fn restore_members(&mut self) {
        for (target, state) in &self.targets {
            let Some(failing) = &state.failing else { continue };
            if let Some(trouble) = failing.trouble.and_then(|id| self.troubles.get_mut(&id)) {
                trouble.targets.insert(member(target), failing.since);
            }
        }
    }

    /// A target was read again.
    pub(super) fn recovered(&mut self, target: &Target, cx: &mut StepContext<'_>) {
        let failing = self.targets.get(target).is_some_and(|state| state.failing.is_some());
        if failing {
            self.leave_trouble(target, cx);
            if let Some(state) = self.targets.get_mut(target) {
                state.failing = None;
            }
            let change = ReadabilityChange { target: target.clone(), at: cx.now, is_readable: true };
            cx.writes.readability.push(change);
            cx.writes.targets.insert(target.clone());
        }
    }

    /// A source could not list its targets: a trouble, as if discovery were a target.
    pub(super) fn handle_discovery_failure(&mut self, source: &Arc<str>, error: &Problem, cx: &mut StepContext<'_>) {
        let subject = TroubleSubject::Source(source.to_string());
        self.join_trouble(subject, error, (Member::Other(DISCOVERY.to_owned()), cx.now), UNREADABLE_AFTER, cx);
    }

    pub(super) fn discovery_recovered(&mut self, source: &Arc<str>, cx: &mut StepContext<'_>) {
        self.leave_all(&TroubleSubject::Source(source.to_string()), DISCOVERY, cx);
    }

    /// A watch was cut: a trouble, if it lasts. If the watch fails in another way meanwhile, the trouble takes the
    /// newer text.
    pub(super) fn handle_watch_failure(&mut self, covers: &WatchCoverage, error: &Problem, cx: &mut StepContext<'_>) {
        let subject = TroubleSubject::Source(covers.source.to_string());
        let member = covers.name();
        let mine = |trouble: &&mut TroubleState| trouble.subject == subject && trouble.members.contains_key(&member);
        let Some(trouble) = self.troubles.values_mut().find(mine) else {
            self.join_trouble(subject, error, (Member::Other(member), cx.now), UNREADABLE_AFTER, cx);
            return;
        };
        if trouble.code == error.code {
            return;
        }
        if trouble.affected() == 1 {
            trouble.code.clone_from(&error.code);
            trouble.text.clone_from(&error.text);
            trouble.advice.clone_from(&error.advice);
            cx.writes.troubles.insert(trouble.id);
        } else if trouble.told.is_none() {
            // Others still fail with the old code: move only this watch.
            let (id, since) = (trouble.id, trouble.members.get(&member).copied().unwrap_or(cx.now));
            let wait = since.plus(UNREADABLE_AFTER).since(cx.now);
            self.remove_member(id, &Member::Other(member.clone()), cx);
            self.join_trouble(subject, error, (Member::Other(member), since), wait, cx);
        }
    }

    /// A watch works again.
    pub(super) fn watch_recovered(&mut self, covers: &WatchCoverage, cx: &mut StepContext<'_>) {
        self.leave_all(&TroubleSubject::Source(covers.source.to_string()), &covers.name(), cx);
    }

    /// Ends what is left of the troubles of a source that was removed, such as that of its discovery, and of the watches
    /// that it does not have any more.
    pub(super) fn end_troubles_of_what_is_unwatched(&mut self, cx: &mut StepContext<'_>) {
        let unwatched = |source: &str, member: &str| match cx.setup.sources.get(source).map(|info| &info.extent) {
            None => true,
            Some(Extent::Covered(all)) => {
                WatchCoverage::is_a_name(member) && !all.iter().any(|one| one.name() == member)
            }
            Some(Extent::Named) => member == DISCOVERY,
            Some(Extent::Found) => false,
        };
        let members = |trouble: &TroubleState| match &trouble.subject {
            TroubleSubject::Source(name) => {
                trouble.members.keys().filter(|member| unwatched(name, member)).cloned().collect()
            }
            _ => Vec::new(),
        };
        let left: Vec<(u64, Vec<String>)> =
            self.troubles.values().map(|trouble| (trouble.id, members(trouble))).collect();
        for (id, members) in left {
            for member in members {
                self.remove_member(id, &Member::Other(member), cx);
            }
        }
    }

    pub(super) fn leave_trouble(&mut self, target: &Target, cx: &mut StepContext<'_>) {
        let failing = self.targets.get(target).and_then(|state| state.failing.as_ref());
        if let Some(id) = failing.and_then(|failing| failing.trouble) {
            self.remove_member(id, &Member::Target(member(target)), cx);
        }
    }

    /// Deliveries to a destination fail, or work again. The notice goes elsewhere at once.
    pub(super) fn handle_destination(&mut self, name: &Destination, error: Option<&Problem>, cx: &mut StepContext<'_>) {
        self.lone_trouble(TroubleSubject::Destination(name.to_string()), name, error, cx);
    }

    /// A rule file was refused, or is valid again. The notice is made at once.
    pub(super) fn handle_rule_file(&mut self, name: &str, error: Option<&Problem>, cx: &mut StepContext<'_>) {
        self.lone_trouble(TroubleSubject::Rules(name.to_owned()), name, error, cx);
    }

    /// Begins or ends a trouble that has a single member.
    fn lone_trouble(&mut self, subject: TroubleSubject, name: &str, error: Option<&Problem>, cx: &mut StepContext<'_>) {
        match error {
            Some(error) => {
                self.join_trouble(subject, error, (Member::Other(name.to_owned()), cx.now), Duration::ZERO, cx);
                self.wake_troubles(cx);
            }
            None => self.leave_all(&subject, name, cx),
        }
    }

    /// The names of the rule files that are refused.
    pub fn refused_rule_files(&self) -> Vec<String> {
        let subjects = self.troubles.values().map(|trouble| &trouble.subject);
        let names = subjects.filter_map(|subject| match subject {
            TroubleSubject::Rules(name) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// Deliveries were given up.
    pub(super) fn handle_dead_deliveries(
        &mut self,
        destination: &Destination,
        deliveries: u64,
        why: &str,
        cx: &mut StepContext<'_>,
    ) {
        let to = operators(cx.setup, &TroubleSubject::Destination(destination.to_string()));
        let info = Info::Dead { destination: destination.to_string(), deliveries, why: why.to_owned() };
        self.inform(Severity::Warning, to, info, cx);
    }

    /// The store is not as podbell left it: the notice is made at once, and once.
    pub(super) fn handle_store(&mut self, fate: &StoreFate, kept: Option<&str>, cx: &mut StepContext<'_>) {
        let info = Info::Store { fate: fate.clone(), kept: kept.map(str::to_owned) };
        self.inform(Severity::Critical, cx.setup.operator.clone(), info, cx);
    }

    /// Makes the notices about troubles that are due.
    pub(super) fn wake_troubles(&mut self, cx: &mut StepContext<'_>) {
        let due: Vec<_> = self
            .troubles
            .values_mut()
            .filter_map(|trouble| {
                let (kind, at) = trouble.next();
                (at <= cx.now).then(|| {
                    trouble.told = Some((cx.now, trouble.affected()));
                    (trouble.id, kind, at)
                })
            })
            .collect();
        for (id, kind, at) in due {
            self.tell_trouble(id, kind, at, None, cx);
        }
    }

    fn join_trouble(
        &mut self,
        subject: TroubleSubject,
        error: &Problem,
        (member, since): (Member, Time),
        wait: Duration,
        cx: &mut StepContext<'_>,
    ) -> u64 {
        let known = self.troubles.values_mut().find(|t| t.subject == subject && t.code == error.code);
        let id = match known {
            Some(trouble) => {
                // A rule file may be mended in one place and wrong in another: show the newest text.
                if matches!(subject, TroubleSubject::Rules(_)) {
                    trouble.text.clone_from(&error.text);
                    trouble.advice.clone_from(&error.advice);
                }
                trouble.join(member, since);
                trouble.id
            }
            None => {
                let id = self.next_incident;
                self.next_incident += 1;
                let mut trouble = TroubleState {
                    id,
                    subject,
                    code: error.code.clone(),
                    text: error.text.clone(),
                    advice: error.advice.clone(),
                    members: BTreeMap::new(),
                    targets: BTreeMap::new(),
                    since,
                    tell_at: cx.now.plus(wait),
                    told: None,
                };
                trouble.join(member, since);
                self.troubles.insert(id, trouble);
                id
            }
        };
        cx.writes.troubles.insert(id);
        id
    }

    fn remove_member(&mut self, id: u64, member: &Member, cx: &mut StepContext<'_>) {
        let Some(trouble) = self.troubles.get_mut(&id) else { return };
        if !trouble.forget(member) {
            return;
        }
        cx.writes.troubles.insert(id);
        if trouble.affected() > 0 {
            return;
        }
        if trouble.told.is_some() {
            self.tell_trouble(id, NoticeKind::Resolved, cx.now, Some(cx.now), cx);
        }
        self.troubles.remove(&id);
        cx.writes.troubles.remove(&id);
        cx.writes.troubles_over.insert(id);
    }

    /// Removes a member from every trouble of a subject.
    fn leave_all(&mut self, subject: &TroubleSubject, member: &str, cx: &mut StepContext<'_>) {
        let with = |trouble: &&TroubleState| trouble.subject == *subject && trouble.members.contains_key(member);
        let ids: Vec<u64> = self.troubles.values().filter(with).map(|trouble| trouble.id).collect();
        for id in ids {
            self.remove_member(id, &Member::Other(member.to_owned()), cx);
        }
    }

    fn tell_trouble(
        &mut self,
        id: u64,
        kind: NoticeKind,
        caused_at: Time,
        until: Option<Time>,
        cx: &mut StepContext<'_>,
    ) {
        let Some(trouble) = self.troubles.get(&id) else { return };
        cx.writes.troubles.insert(id);
        let made = NoticeDraft {
            kind,
            caused_at,
            severity: Severity::Critical,
            to: operators(cx.setup, &trouble.subject),
            body: NoticeBody::Trouble(Box::new(trouble.story(until))),
        };
        self.notice(made, cx);
    }
}
