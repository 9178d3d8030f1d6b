//! What rows mean, whatever the adapter that read them.

use std::sync::Arc;
use std::time::Duration;

use podbell_core::ask::StoredIncident;
use podbell_core::ask::events::Seen;
use podbell_core::diff::ChangeKind;
use podbell_core::event::{Event, Level, Target};
use podbell_core::history::{Observation, Seen as Observed};
use podbell_core::incident::Incident;
use podbell_core::metadata::Metadata;
use podbell_core::mute::Acknowledged;
use podbell_core::rollout::{RolloutOf, Rollouts};
use podbell_core::rule::RuleKey;
use podbell_core::step::decision::Decision;
use podbell_core::time::Time;

use crate::DecisionFilter;

/// Attempts that precede the newest one by more than this, in milliseconds, do not matter for any pace.
pub(crate) const ATTEMPT_MEMORY_MS: i64 = 600_000;
/// How many services of a team are searched for their baseline.
pub(crate) const MAX_SERVICES: usize = 500;
/// How many changes are kept at most: some 70 MB.
pub(crate) const MAX_OBSERVATIONS: i64 = 1_000_000;
/// How many reports about objects are kept at most: some 60 MB.
pub(crate) const MAX_REPORTS: i64 = 200_000;

/// The kinds of observations that are no changes, beside those of [`change_number`].
pub(crate) const FAILING: i64 = 3;
pub(crate) const READABLE: i64 = 4;
pub(crate) const DOWN: i64 = 5;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long rows are kept, and how many rows one round deletes.
pub(crate) mod retention {
    use std::time::Duration;

    use super::DAY;
    use crate::HISTORY;

    const fn days(days: u32) -> Duration {
        DAY.saturating_mul(days)
    }

    /// Deliveries after they are settled, their notices, commands that were answered.
    pub(crate) const DELIVERIES: Duration = days(7);
    pub(crate) const DEAD: Duration = days(30);
    pub(crate) const SENDS: Duration = DAY;
    pub(crate) const TALLIES: Duration = HISTORY.saturating_add(Duration::from_secs(3600));
    /// Incidents that ended, and mutes.
    pub(crate) const INCIDENTS: Duration = days(30);
    /// People look up user actions long afterwards.
    pub(crate) const ACTIONS: Duration = days(365);
    /// How many rows of a table one round deletes at most, so that a commit never waits long.
    pub(crate) const ROUND: u32 = 5000;
}

/// Numbers that count up from 1 always fit.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A kind of change as a number.
pub(crate) fn change_number(kind: ChangeKind) -> i64 {
    match kind {
        ChangeKind::Appeared => 0,
        ChangeKind::Increased => 1,
        ChangeKind::Restarted => 2,
    }
}

/// A kind of change from its number.
pub(crate) fn change_kind(number: i64) -> Option<ChangeKind> {
    match number {
        0 => Some(ChangeKind::Appeared),
        1 => Some(ChangeKind::Increased),
        2 => Some(ChangeKind::Restarted),
        _ => None,
    }
}

/// A level from its number.
pub(crate) fn level(number: i64) -> Option<Level> {
    match number {
        0 => Some(Level::Normal),
        1 => Some(Level::Warning),
        _ => None,
    }
}

/// The names of the previous row: neighbouring rows share them.
#[derive(Default)]
pub(crate) struct SharedNames {
    target: [Option<Arc<str>>; 3],
    rule: [Option<Arc<str>>; 2],
}

impl SharedNames {
    /// A target, in the order source, cluster, namespace, service.
    pub(crate) fn target(&mut self, [source, cluster, namespace, service]: [&str; 4]) -> Target {
        Target {
            source: shared(&mut self.target[0], source),
            cluster: shared(&mut self.target[1], cluster),
            namespace: shared(&mut self.target[2], namespace),
            service: service.into(),
        }
    }

    /// Lets an incident use the names of the previous one where they are the same.
    pub(crate) fn share(&mut self, incident: &mut Incident) {
        for target in &mut incident.targets {
            let Target { source, cluster, namespace, service: _ } = target;
            for (last, name) in self.target.iter_mut().zip([source, cluster, namespace]) {
                share(last, name);
            }
        }
        let RuleKey { file, name } = &mut incident.rule;
        for (last, name) in self.rule.iter_mut().zip([file, name]) {
            share(last, name);
        }
    }
}

/// Replaces a name by the one that was read last, if it is the same, and is the last one otherwise.
fn share(last: &mut Option<Arc<str>>, name: &mut Arc<str>) {
    match last {
        Some(same) if same == name => name.clone_from(same),
        _ => *last = Some(name.clone()),
    }
}

/// This text as it was read last, if it is the same.
fn shared(last: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match last {
        Some(same) if **same == *text => same.clone(),
        _ => last.insert(text.into()).clone(),
    }
}

/// The rollouts of the last day, the oldest first.
pub(crate) fn recent_rollouts(known: Vec<(String, Rollouts)>, now: Time) -> Vec<RolloutOf> {
    let mut all = Vec::new();
    for (workload, known) in known {
        all.extend(known.last.into_iter().map(|rollout| RolloutOf { workload: workload.clone(), rollout }));
    }
    all.retain(|one| now.since(one.rollout.at) < DAY);
    all.sort_by_key(|one| one.rollout.at);
    all
}

/// The newest of the baselines of several services.
pub(crate) fn newest_baseline(mut all: Vec<Seen>, most: u32) -> Vec<Seen> {
    all.sort_by_cached_key(|seen| {
        let event = &seen.event;
        (std::cmp::Reverse(event.last_seen), event.obj_name.to_string(), event.reason.to_string())
    });
    all.truncate(most as usize);
    all
}

/// An entry of the history with what is stored of its target and its episode.
pub(crate) struct ObservationRow {
    pub at: Time,
    pub kind: i64,
    pub new: u64,
    pub count: u64,
    pub last_seen: Time,
    /// `None` if the target is no longer stored.
    pub target: Option<Target>,
    /// `None` if the episode is no longer stored.
    pub episode: Option<EpisodeRow>,
}

/// An episode's newest text.
pub(crate) struct EpisodeRow {
    pub first_seen: Time,
    pub level: Level,
    pub obj_type: String,
    pub obj_name: String,
    pub reason: String,
    pub message: String,
    pub node: Option<String>,
    pub signal: bool,
    pub metadata: Option<Metadata>,
}

impl ObservationRow {
    /// What was observed; `None` if its target or its episode is gone.
    ///
    /// # Errors
    /// The kind that is none.
    pub(crate) fn observation(self) -> Result<Option<Observation>, i64> {
        let Self { at, kind, new, count, last_seen, target, episode } = self;
        let what = match kind {
            DOWN => Some(Observed::Down { since: last_seen }),
            FAILING => target.is_some().then_some(Observed::Failing),
            READABLE => target.is_some().then_some(Observed::Readable),
            number => {
                let kind = change_kind(number).ok_or(number)?;
                let event = episode.filter(|_| target.is_some()).map(|row| Event {
                    first_seen: row.first_seen,
                    last_seen,
                    count,
                    level: row.level,
                    obj_type: row.obj_type.into(),
                    obj_name: row.obj_name.into(),
                    reason: row.reason.into(),
                    message: row.message.into(),
                    node: row.node.map(Into::into),
                    signal: row.signal,
                    metadata: row.metadata.map(Arc::new),
                    ..Event::default()
                });
                event.map(|event| Observed::Change { kind, new, event })
            }
        };
        Ok(what.map(|what| Observation { at, target, what }))
    }
}

/// An incident for an answer. Its own acknowledgement comes before the row of the table `acknowledged`.
pub(crate) fn stored_incident(
    incident: Incident,
    ended_at: Option<i64>,
    acknowledged: Option<Acknowledged>,
) -> StoredIncident {
    let acknowledged = incident.acknowledged.clone().or(acknowledged);
    StoredIncident { incident, ended_at: ended_at.map(Time::from_millis), acknowledged }
}

/// Collects the newest decisions that match, from rows that come newest first.
pub(crate) struct NewestDecisions<'a> {
    filter: &'a DecisionFilter,
    most: usize,
    found: Vec<Decision>,
}

impl<'a> NewestDecisions<'a> {
    pub(crate) fn new(filter: &'a DecisionFilter, most: usize) -> Self {
        Self { filter, most, found: Vec::new() }
    }

    /// Whether there are enough.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= self.most
    }

    pub(crate) fn add(&mut self, decision: Decision) {
        // A decision that joined several incidents has a row for each.
        if !self.is_full() && self.filter.wants(&decision) && self.found.last() != Some(&decision) {
            self.found.push(decision);
        }
    }

    /// The oldest first.
    pub(crate) fn oldest_first(mut self) -> Vec<Decision> {
        self.found.reverse();
        self.found
    }
}
