//! What came of a day under a set of rules, held against its labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use podbell_core::backtest::{policies, setup};
use podbell_core::event::{Event, Target};
use podbell_core::health::HealthReport;
use podbell_core::message::{Style, compose};
use podbell_core::notice::Notice;
use podbell_core::replay::{Outcomes, Replay, Sent};
use podbell_core::rules::Rules;
use podbell_core::source::Problem;
use podbell_core::step::Setup;
use podbell_core::step::decision::{Decision, Verdict};
use podbell_core::time::Time;
use podbell_core::translations::Language;

use super::day::{Cause, Day};
use super::writer::Reader;
use super::{judge, states};

/// Polls that were played, and what was told of them.
pub struct Played {
    pub setup: Arc<Setup>,
    pub polls: u64,
    pub changes: u64,
    pub outcomes: Outcomes,
}

/// One or several days, counted.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub polls: u64,
    /// Warning changes.
    pub changes: u64,
    pub messages: u64,
    /// Days with 10 or more Warning changes and more messages than a quarter of that.
    pub louder: Vec<String>,
    /// The most messages in any 60 s.
    pub worst_minute: usize,
    /// Workloads with a labelled problem, and those of which nobody was told.
    pub labelled: u64,
    pub untold: Vec<String>,
    /// Problems that were told as news of an open incident, or by one that came back.
    pub joined: u64,
    /// Incidents of several workloads.
    pub merged: Vec<String>,
    /// Seconds from the first Warning to the message: by rules that open at once, of problems that
    /// were told on their own; in digests, or one of many in a minute; by rules that wait; of incidents that people knew.
    pub delays: Vec<f64>,
    /// How many of these are over [`judge::SOON`], and how many of those because a poll failed.
    pub late: (u64, u64),
    pub delays_in_storms: Vec<f64>,
    pub delays_of_slow_rules: Vec<f64>,
    pub delays_as_news: Vec<f64>,
    /// Seconds from a signal that no event accompanies to its message, where no poll failed meanwhile.
    pub delays_of_signals: Vec<f64>,
    /// Messages in the first five minutes of a node that is down, where the source knows nodes.
    pub messages_of_nodes: Vec<usize>,
    /// Nodes that were down and whose first messages do not say which workloads that affects.
    pub unnamed: Vec<String>,
    /// From the end of a problem to the message that tells it, by cause.
    pub ends: BTreeMap<Cause, Vec<f64>>,
    /// Problems that were told as over before they were, and all, by cause.
    pub ended_early: BTreeMap<Cause, (u64, u64)>,
    /// Of image pulls of two hours or more.
    pub long_pulls: u64,
    pub long_pulls_ended_early: Vec<String>,
    /// Incidents told that no problem belongs to.
    pub about_nothing: Vec<String>,
    /// Decisions, and those that name no deciding step.
    pub decisions: u64,
    pub undecided: u64,
}

/// What podbell hears next.
pub enum Step<'a> {
    /// The list of a target, or nothing of a poll that failed.
    Poll(Time, usize, Option<Vec<Event<'a>>>),
    /// How workloads are.
    Health(Time, Vec<HealthReport>),
}

impl Step<'_> {
    fn at(&self) -> Time {
        match self {
            Self::Poll(at, ..) | Self::Health(at, _) => *at,
        }
    }
}

impl Played {
    /// Plays lists of any kind: when, which target, and the list, or nothing of a failed poll.
    pub fn polls<'a>(
        rules: Rules,
        targets: &[Target],
        polls: impl IntoIterator<Item = (Time, usize, Option<Vec<Event<'a>>>)>,
    ) -> Self {
        Self::steps(rules, targets, polls.into_iter().map(|(at, target, list)| Step::Poll(at, target, list)))
    }

    /// Plays lists and states.
    pub fn steps<'a>(rules: Rules, targets: &[Target], steps: impl Iterator<Item = Step<'a>>) -> Self {
        let setup = setup(rules, [super::source()]);
        let mut steps = steps.peekable();
        let first = steps.peek().map_or(Time::default(), Step::at);
        let mut replay = Replay::new(setup.clone(), policies(&setup), first);
        let mut outcomes = replay.watch(&super::source(), targets.to_vec());
        let away = Problem { code: "timeout".into(), text: "no answer".into(), advice: String::new(), gone: false };
        let mut count = 0;
        for step in steps {
            outcomes.add(match &step {
                Step::Poll(at, target, list) => {
                    count += 1;
                    match list {
                        Some(list) => replay.observe(&targets[*target], list, *at),
                        None => replay.fail(&targets[*target], &away, *at),
                    }
                }
                Step::Health(at, reports) => replay.health(reports, *at),
            });
        }
        let changes = replay.tally().warning_changes;
        Self { setup, polls: count, changes, outcomes }
    }

    /// The titles of what was told.
    pub fn titles(&self) -> Vec<String> {
        let title = |notice: &Notice| {
            let style = Style { language: Language::En, time_zone: TimeZone::UTC, now: notice.made_at };
            compose(notice, &style).title
        };
        self.outcomes.notices.iter().map(title).collect()
    }

    /// Counts without labels.
    pub fn counted(&self, name: &str) -> Measured {
        let messages = self.outcomes.sent.len() as u64;
        let louder = if self.changes >= 10 && messages * 4 > self.changes { vec![name.to_owned()] } else { Vec::new() };
        let decisions = &self.outcomes.decisions;
        Measured {
            polls: self.polls,
            changes: self.changes,
            messages,
            louder,
            worst_minute: worst_minute(&self.outcomes.sent),
            decisions: decisions.len() as u64,
            undecided: decisions.iter().filter(|decision| !names_a_step(decision)).count() as u64,
            ..Measured::default()
        }
    }
}

/// Plays a day and holds what was told against its labels.
pub fn play(day: &Day, rules: Rules) -> Measured {
    let mut readers: Vec<Reader<'_>> = day.lists.iter().map(|list| Reader::new(list)).collect();
    let mut health = states::reports(day).into_iter().peekable();
    let steps = day.polls().flat_map(|(at, service, good)| {
        let mut steps = Vec::new();
        while let Some((then, report)) = health.next_if(|(then, _)| *then <= at) {
            steps.push(Step::Health(second(day, then), vec![report]));
        }
        let list = readers[service].list(at, day.start);
        steps.push(Step::Poll(second(day, at), service, good.then_some(list)));
        steps
    });
    let played = Played::steps(rules, &day.targets, steps);
    let mut measured = played.counted(&day.name);
    judge::judge(day, &played, &mut measured);
    measured
}

fn second(day: &Day, at: i64) -> Time {
    Time::from_seconds(day.start.seconds() + at)
}

fn names_a_step(decision: &Decision) -> bool {
    match &decision.verdict {
        // That no rule is about it is what decided.
        Verdict::NoRule => true,
        Verdict::Ignored(rules) => !rules.is_empty(),
        Verdict::Claimed(claimed) => {
            !claimed.is_empty() && claimed.iter().all(|one| !one.to.is_empty() && !one.rule.name.is_empty())
        }
    }
}

fn worst_minute(sent: &[Sent]) -> usize {
    let times: Vec<i64> = sent.iter().map(|sent| sent.at.millis()).collect();
    let within = |from: &i64| times.iter().filter(|at| *at >= from && **at < from + 60_000).count();
    times.iter().map(within).max().unwrap_or(0)
}

impl Measured {
    /// Adds another day.
    pub fn add(&mut self, other: Self) {
        self.polls += other.polls;
        self.changes += other.changes;
        self.messages += other.messages;
        self.louder.extend(other.louder);
        self.worst_minute = self.worst_minute.max(other.worst_minute);
        self.labelled += other.labelled;
        self.untold.extend(other.untold);
        self.joined += other.joined;
        self.merged.extend(other.merged);
        self.delays.extend(other.delays);
        self.late = (self.late.0 + other.late.0, self.late.1 + other.late.1);
        self.delays_in_storms.extend(other.delays_in_storms);
        self.delays_of_slow_rules.extend(other.delays_of_slow_rules);
        self.delays_as_news.extend(other.delays_as_news);
        self.delays_of_signals.extend(other.delays_of_signals);
        self.messages_of_nodes.extend(other.messages_of_nodes);
        self.unnamed.extend(other.unnamed);
        for (cause, ends) in other.ends {
            self.ends.entry(cause).or_default().extend(ends);
        }
        for (cause, (early, all)) in other.ended_early {
            let sum = self.ended_early.entry(cause).or_default();
            *sum = (sum.0 + early, sum.1 + all);
        }
        self.long_pulls += other.long_pulls;
        self.long_pulls_ended_early.extend(other.long_pulls_ended_early);
        self.about_nothing.extend(other.about_nothing);
        self.decisions += other.decisions;
        self.undecided += other.undecided;
    }

    /// How many percent fewer messages than Warning changes there were.
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn quieter(&self) -> f64 {
        100.0 - 100.0 * self.messages as f64 / self.changes.max(1) as f64
    }
}

/// Of a hundred delays so many are at most this long.
pub fn percentile(delays: &[f64], percent: usize) -> f64 {
    let mut sorted = delays.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
