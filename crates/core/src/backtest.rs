//! Backtests: what rules would have notified of in recorded polls.
//!
//! Feeds [`super::replay`] and counts. Pure: the caller reads recordings poll by poll, so that they may be larger than
//! memory. Memory grows with the notices, not with the polls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Event, Target};
use super::health::HealthReport;
use super::history::{self, Polls};
use super::notice::{Notice, NoticeBody};
use super::outbox::Policy;
use super::outbox::pace::Pace;
use super::replay::{Outcomes, Replay, Sent};
use super::rollout::TemplateReport;
use super::rules::Rules;
use super::source::{Extent, ObjectName, Problem, SourceInfo, WatchCoverage};
use super::step::Setup;
use super::step::decision::{Decision, Effect, Verdict};
use super::time::Time;
use crate::rule::{Action, Destination, Field, RuleKey};

/// More notices than this within a minute become a digest, as in podbell.yaml.
const DIGEST_AFTER: usize = 3;
/// How many kinds of Warnings without a notice are counted.
const MAX_UNTOLD: usize = 10_000;

/// One set of rules that is run over recordings.
pub struct Backtest {
    setup: Arc<Setup>,
    replay: Option<Replay>,
    watched: BTreeSet<Target>,
    told: BTreeSet<u64>,
    waiting: BTreeMap<u64, Vec<(UntoldKey, u64)>>,
    untold: BTreeMap<UntoldKey, (u64, u64)>,
    report: Report,
}

/// The result of a backtest.
#[derive(Debug, Default)]
pub struct Report {
    /// Polls, failed ones included.
    pub polls: u64,
    /// How many of them failed.
    pub failed_polls: u64,
    /// Entries of all lists.
    pub events: u64,
    /// Changes of level Warning.
    pub warning_changes: u64,
    /// Notices, in the order in which they were made.
    pub notices: Vec<Notice>,
    /// Requests that chats would have got, after folding and digests.
    pub messages: Vec<Sent>,
    /// Incidents that are open at the end.
    pub open: Vec<u64>,
    /// How many notices each notifying rule made; 0 for a rule that never fired.
    pub by_rule: BTreeMap<RuleKey, u64>,
    /// Warnings that nobody was notified of, the most frequent first.
    pub untold: Vec<Untold>,
}

/// A kind of Warning that nobody was notified of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The cluster's id.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The workload.
    pub workload: String,
    /// The reason.
    pub reason: String,
    /// Why nobody was notified.
    pub because: NotNotifiedReason,
    /// How many changes.
    pub changes: u64,
    /// How many occurrences.
    pub occurrences: u64,
}

/// Why nobody was notified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotNotifiedReason {
    /// No rule is about it.
    NoRule,
    /// A rule ignores it.
    Ignored(RuleKey),
    /// There were too few for the rule's `open_when`.
    TooFew(RuleKey),
    /// The recording ended before the rule's notice was due.
    TooLate(RuleKey),
    /// The rule's notices were held back: by a window, or by an incident that explains it.
    Held(RuleKey),
}

type UntoldKey = (String, String, String, String, NotNotifiedReason);

/// The setup of a backtest: default settings of sources, and every destination is a chat.
pub fn setup(rules: Rules, sources: impl IntoIterator<Item = Arc<str>>) -> Arc<Setup> {
    let info = SourceInfo {
        poll_every: Duration::from_secs(60),
        memory: Duration::from_secs(3600),
        first_poll_window: Duration::from_secs(600),
        utc_offset_seconds: 0,
        aliases: BTreeMap::new(),
        extent: Extent::Found,
    };
    let sources = sources.into_iter().map(|name| (name, info.clone())).collect();
    let destinations = rules.iter().flat_map(|(_, rule)| rule.settings.destinations().cloned()).collect();
    Arc::new(Setup { rules, sources, operator: Vec::new(), destinations, daily: BTreeMap::new() })
}

/// Plays a history of the running service: its polls, and what its sources said of objects, both the oldest first.
pub fn play(sets: &mut [Backtest], polls: Polls, reports: Vec<(Time, history::ObjectReport)>) {
    let error =
        Problem { code: "failed".into(), text: "it could not be read".into(), advice: String::new(), gone: false };
    let mut reports = reports.into_iter().peekable();
    for poll in polls {
        // Of one moment, events come first: an object is seen to fail before it is deleted.
        while let Some((at, report)) = reports.next_if(|(at, _)| *at < poll.at) {
            sets.iter_mut().for_each(|set| set.report(&report, at));
        }
        for set in sets.iter_mut() {
            set.poll(&poll.target, poll.events.as_deref().ok_or(&error), poll.at);
        }
    }
    for (at, report) in reports {
        sets.iter_mut().for_each(|set| set.report(&report, at));
    }
}

impl Backtest {
    /// A backtest that has read nothing yet.
    pub fn new(setup: Arc<Setup>) -> Self {
        let tells = setup.rules.iter().filter(|(_, rule)| rule.action == Action::Notify);
        let by_rule = tells.map(|(_, rule)| (rule.settings.key.clone(), 0)).collect();
        let report = Report { by_rule, ..Report::default() };
        Self {
            setup,
            replay: None,
            watched: BTreeSet::new(),
            told: BTreeSet::new(),
            waiting: BTreeMap::new(),
            untold: BTreeMap::new(),
            report,
        }
    }

    /// Whether any rule has a condition on this field.
    pub fn looks_at(&self, field: Field) -> bool {
        self.setup.rules.iter().any(|(_, rule)| {
            let mut conditions = rule.scopes.iter().chain(&rule.except).chain([&rule.matching]);
            conditions.any(|conditions| conditions.key(field).is_some())
        })
    }

    /// The next poll; `at` never goes backwards.
    pub fn poll(&mut self, target: &Target, outcome: Result<&[Event<'_>], &Problem>, at: Time) {
        let setup = &self.setup;
        let replay = self.replay.get_or_insert_with(|| Replay::new(setup.clone(), policies(setup), at));
        let mut outcomes = replay.pass(at);
        if self.watched.insert(target.clone()) {
            outcomes.add(replay.watch(&target.source, vec![target.clone()]));
        }
        self.report.polls += 1;
        outcomes.add(match outcome {
            Ok(events) => replay.observe(target, events, at),
            Err(error) => {
                self.report.failed_polls += 1;
                replay.fail(target, error, at)
            }
        });
        self.take(outcomes);
    }

    /// The health of workloads; `at` never goes backwards.
    pub fn health(&mut self, reports: &[HealthReport], at: Time) {
        let setup = &self.setup;
        let replay = self.replay.get_or_insert_with(|| Replay::new(setup.clone(), policies(setup), at));
        let outcomes = replay.health(reports, at);
        self.take(outcomes);
    }

    /// What workloads run from `at` on; `at` never goes backwards.
    pub fn templates(&mut self, reports: &[TemplateReport], at: Time) {
        let setup = &self.setup;
        let replay = self.replay.get_or_insert_with(|| Replay::new(setup.clone(), policies(setup), at));
        let outcomes = replay.templates(reports, at);
        self.take(outcomes);
    }

    /// Objects of a source were deleted; `at` never goes backwards.
    pub fn deleted(&mut self, source: &Arc<str>, objects: &[ObjectName], at: Time) {
        let setup = &self.setup;
        let replay = self.replay.get_or_insert_with(|| Replay::new(setup.clone(), policies(setup), at));
        let outcomes = replay.deleted(source, objects, at);
        self.take(outcomes);
    }

    /// A watch has missed nothing until `at`, which never goes backwards.
    pub fn watched(&mut self, covers: &WatchCoverage, at: Time) {
        let setup = &self.setup;
        let replay = self.replay.get_or_insert_with(|| Replay::new(setup.clone(), policies(setup), at));
        let outcomes = replay.watched(covers, at);
        self.take(outcomes);
    }

    /// What a source said of an object; `at` never goes backwards.
    fn report(&mut self, report: &history::ObjectReport, at: Time) {
        match report {
            history::ObjectReport::Health(report) => self.health(std::slice::from_ref(report), at),
            history::ObjectReport::Template(report) => self.templates(std::slice::from_ref(report), at),
            history::ObjectReport::Deleted { source, object } => self.deleted(source, std::slice::from_ref(object), at),
        }
    }

    /// Ends the recordings: timers run only until the last poll.
    pub fn finish(mut self) -> Report {
        if let Some(replay) = &self.replay {
            let tally = replay.tally();
            (self.report.events, self.report.warning_changes) = (tally.events, tally.warning_changes);
            let open = replay.state().incidents().filter(|incident| incident.phase == super::incident::Phase::Open);
            self.report.open = open.map(|incident| incident.id).collect();
        }
        let mut untold = std::mem::take(&mut self.untold);
        for (incident, changes) in std::mem::take(&mut self.waiting) {
            for (mut key, new) in changes {
                if let (true, NotNotifiedReason::TooFew(rule)) = (self.report.open.contains(&incident), &key.4) {
                    key.4 = NotNotifiedReason::TooLate(rule.clone());
                }
                add(&mut untold, key, new);
            }
        }
        let untold = untold.into_iter().map(|((cluster, namespace, workload, reason, because), sum)| Untold {
            cluster,
            namespace,
            workload,
            reason,
            because,
            changes: sum.0,
            occurrences: sum.1,
        });
        self.report.untold = untold.collect();
        self.report.untold.sort_by_key(|untold| std::cmp::Reverse((untold.changes, untold.occurrences)));
        self.report
    }

    fn take(&mut self, outcomes: Outcomes) {
        for decision in &outcomes.decisions {
            self.decided(decision);
        }
        for notice in &outcomes.notices {
            if let NoticeBody::Incident(story) = &notice.body {
                *self.report.by_rule.entry(story.rule.clone()).or_default() += 1;
                self.told.insert(story.incident);
                self.waiting.remove(&story.incident);
            }
        }
        self.report.notices.extend(outcomes.notices);
        self.report.messages.extend(outcomes.sent);
    }

    /// Notes a change that perhaps nobody is notified of.
    fn decided(&mut self, decision: &Decision) {
        let key = |because| {
            let target = &decision.target;
            let (cluster, namespace) = (target.cluster.to_string(), target.namespace.to_string());
            (cluster, namespace, decision.workload.clone(), decision.reason.clone(), because)
        };
        match &decision.verdict {
            Verdict::NoRule => self.untold(key(NotNotifiedReason::NoRule), decision.new),
            Verdict::Ignored(rules) => {
                if let Some(rule) = rules.first() {
                    self.untold(key(NotNotifiedReason::Ignored(rule.clone())), decision.new);
                }
            }
            Verdict::Claimed(claimed) => {
                // It is enough that one rule notifies.
                let joined = claimed.iter().filter_map(|one| Some((one.incident?, one)));
                let known = joined.clone().any(|(incident, _)| self.told.contains(&incident));
                let first = joined.clone().find(|(_, one)| one.effect != Effect::SeenElsewhere);
                if let (false, Some((incident, one))) = (known, first) {
                    let because = match one.held.len() == one.to.len()
                        && !matches!(one.effect, Effect::Gathers { .. } | Effect::TooYoung { .. } | Effect::Waits)
                    {
                        true => NotNotifiedReason::Held(one.rule.clone()),
                        false => NotNotifiedReason::TooFew(one.rule.clone()),
                    };
                    self.waiting.entry(incident).or_default().push((key(because), decision.new));
                }
            }
        }
    }

    fn untold(&mut self, key: UntoldKey, new: u64) {
        if self.untold.len() < MAX_UNTOLD || self.untold.contains_key(&key) {
            add(&mut self.untold, key, new);
        }
    }
}

fn add(untold: &mut BTreeMap<UntoldKey, (u64, u64)>, key: UntoldKey, new: u64) {
    let sum = untold.entry(key).or_default();
    *sum = (sum.0 + 1, sum.1.saturating_add(new));
}

/// Policies of chats that accept everything, one message a second.
pub fn policies(setup: &Setup) -> BTreeMap<Destination, Policy> {
    let policy = |name: &Destination| Policy {
        endpoint: name.clone(),
        fingerprint: name.clone(),
        pace: Some(Pace::ONE_A_SECOND),
        concurrency: 1,
        threads: None,
        digest_after: Some(DIGEST_AFTER),
    };
    setup.destinations.iter().map(|name| (name.clone(), policy(name))).collect()
}
