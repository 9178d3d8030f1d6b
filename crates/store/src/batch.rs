//! The rows that one commit writes. An adapter only has to bind them: nothing here refers to the engine's memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::{ErrorKind, InboxItem, StoreError, incident_codec};
use podbell_core::ask::Logged;
use podbell_core::event::{Level, Target};
use podbell_core::history::ObjectReport;
use podbell_core::incident::{Incident, Phase};
use podbell_core::notice::Notice;
use podbell_core::outbox::{
    Delivery, DeliveryId, DeliveryState, MessageState, Outbox, OutboxWrites, Parent, SendId, SendResult,
};
use podbell_core::rule::Destination;
use podbell_core::series::EpisodeKey;
use podbell_core::step::decision::Decision;
use podbell_core::step::{SeriesRow, State, TargetState, WorkloadKey, Writes};
use podbell_core::time::Time;
use podbell_core::timeline;

/// The highest tally: clusters report arbitrary counts, and their sums must not overflow.
pub(crate) const MAX_TALLIED: u64 = 1_000_000_000;
/// Shorter pauses are not recorded as gaps in the history: the last heartbeat is always somewhat older than the stop.
const NO_GAP: Duration = Duration::from_secs(30);

/// What is committed together, by table.
#[derive(Debug, Default)]
pub struct Batch {
    /// The moment of the turn.
    pub(crate) now: Time,
    /// The heartbeat, when one is due.
    pub heartbeat: Option<Time>,
    /// The generation of the rules that incidents were brought in line with, when it changed.
    pub rules_generation: Option<u64>,
    /// Accepted rule files: name and text.
    pub good_rules: Vec<(String, String)>,
    /// The counts for the daily lines, if this commit writes them.
    pub(crate) days: Option<DaysRow>,
    /// Commands of the inbox that were carried out, with their answers.
    pub answered: Vec<(InboxItem, String)>,
    /// Targets to delete, with all their rows.
    pub(crate) targets_gone: Vec<Target>,
    /// Targets that are new or changed.
    pub(crate) targets: Vec<(Target, TargetState)>,
    /// Episodes that are new or changed. The later of two rows of one episode wins.
    pub(crate) series: Vec<SeriesRow>,
    /// Episodes to delete, even if they are in `series`.
    pub(crate) forgotten: BTreeSet<(Target, EpisodeKey)>,
    /// Entries of the history, beside the changes in `series`.
    pub(crate) gaps: Vec<AvailabilityChange>,
    /// What sources said of objects, and when.
    pub(crate) reports: Vec<(Time, ObjectReport)>,
    /// Incidents that are new or changed.
    pub(crate) incidents: Vec<IncidentRow>,
    /// Incidents that ended before anybody was notified of them.
    pub(crate) incidents_gone: Vec<u64>,
    /// Decisions about changes, encoded, each with the incident that it joined.
    pub(crate) decisions: Vec<(Option<u64>, Vec<u8>)>,
    /// Mutes that are new: number, end, JSON.
    pub(crate) mutes: Vec<(u64, Time, String)>,
    /// Mutes that ended.
    pub(crate) mutes_over: Vec<u64>,
    /// Acknowledgements by incident, as JSON; `None`: cleared.
    pub(crate) acknowledged: Vec<(u64, Option<String>)>,
    /// User actions: when, on which incident, JSON.
    pub(crate) actions: Vec<(Time, Option<u64>, String)>,
    /// Podbell's own troubles, as JSON.
    pub(crate) troubles: Vec<(u64, String)>,
    /// Troubles that are over.
    pub(crate) troubles_over: Vec<u64>,
    /// What a window (as JSON) holds back from a destination, as JSON; `None`: nothing is held any more.
    pub(crate) held: Vec<(Destination, String, Option<String>)>,
    /// States of sources, as JSON.
    pub(crate) sources: Vec<(Arc<str>, String)>,
    /// What is known of the rollouts of workloads, as JSON; `None`: nothing any more.
    pub(crate) rollouts: Vec<(WorkloadKey, Option<String>)>,
    /// New notices.
    pub(crate) notices: Vec<NoticeRow>,
    /// Renamed destinations: from, to. Applied before all fields below.
    pub(crate) destinations_renamed: Vec<(Destination, Destination)>,
    /// Destinations that are gone.
    pub(crate) destinations_gone: Vec<Destination>,
    /// New deliveries, which are due.
    pub(crate) deliveries: Vec<(Destination, Delivery)>,
    /// Deliveries whose state changed.
    pub(crate) delivery_states: Vec<(DeliveryId, DeliveryState)>,
    /// New sends.
    pub(crate) sends: Vec<SendRow>,
    /// Retried sends, with the number of the attempt.
    pub(crate) repeated: Vec<(SendId, u32)>,
    /// Settled sends, with their result.
    pub(crate) settled: Vec<(SendId, SendResult)>,
    /// Attempts, by endpoint.
    pub(crate) attempts: Vec<(Arc<str>, Time)>,
    /// The message that stands for an incident at a destination; `None`: no longer.
    pub(crate) threads: Vec<(Destination, u64, Option<ThreadRow>)>,
    /// Destinations whose health changed: name, fingerprint, JSON.
    pub(crate) destinations: Vec<(Destination, Arc<str>, String)>,
}

/// The counts for the daily lines.
#[derive(Debug)]
pub(crate) enum DaysRow {
    /// As JSON.
    Counted(String),
    /// No destination wants a daily line: delete the stored counts, so that they do not come back.
    Unwanted,
}

/// An entry of the history that is not a change of an episode.
#[derive(Clone, Debug)]
pub(crate) enum AvailabilityChange {
    /// Podbell did not run from `since` until `at`.
    Down { since: Time, at: Time },
    /// A target cannot be read any more.
    Failing { target: Target, at: Time },
    /// A target can be read again.
    Readable { target: Target, at: Time },
}

/// An incident.
#[derive(Debug)]
pub(crate) struct IncidentRow {
    pub id: u64,
    pub rule_file: Arc<str>,
    pub rule_name: Arc<str>,
    /// The group by which it is looked up, as JSON.
    pub group_key: String,
    /// The services that show it. Services are only ever added.
    pub targets: Vec<Target>,
    pub workload: String,
    /// `gathering`, `open` or `resolved`.
    pub phase: &'static str,
    /// The time of its last occurrence.
    pub last_at: Time,
    /// When it ended for good.
    pub ended_at: Option<Time>,
    /// See [`incident_codec`].
    pub state: Vec<u8>,
}

/// A notice.
#[derive(Debug)]
pub(crate) struct NoticeRow {
    pub id: u64,
    pub kind: &'static str,
    pub severity: &'static str,
    pub incident: Option<u64>,
    pub made_at: Time,
    /// The whole notice, as JSON.
    pub facts: String,
}

/// A request that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendRow {
    pub id: SendId,
    pub destination: Destination,
    pub claimed_at: Time,
    /// The body, the same for each attempt.
    pub body: Vec<u8>,
}

/// A message that stands for an incident.
#[derive(Debug)]
pub(crate) struct ThreadRow {
    /// A hash of the place that it was sent to.
    pub place: Arc<str>,
    /// The platform's ids of the message.
    pub parent: Parent,
    pub since: Time,
    /// The state of the incident that it shows, as JSON, and since when.
    pub shown: Option<(String, Time)>,
}

/// New occurrences of a service in a quarter of an hour.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TallyRow<'a> {
    pub target: &'a Target,
    /// See [`timeline::quarter`].
    pub quarter: i64,
    pub warnings: u64,
    pub others: u64,
}

/// What a turn of the engine changed, in the engine's own terms.
#[derive(Debug)]
pub struct Changes<'a> {
    /// The core's state; [`Writes`] names the parts of it that changed.
    pub state: &'a State,
    /// What the core wants written. Its episodes are moved into the batch.
    pub writes: &'a mut Writes,
    /// The outbox; [`OutboxWrites`] names the parts of it that changed.
    pub outbox: &'a Outbox,
    /// What the outbox wants written.
    pub outbox_writes: &'a OutboxWrites,
    /// The bodies of the sends that are claimed.
    pub bodies: &'a HashMap<SendId, Vec<u8>>,
    /// From when until when podbell did not run before this start; with the first commit only.
    pub down: Option<(Time, Time)>,
}

impl Batch {
    /// The rows of what changed. The caller adds heartbeat, rules and answers.
    ///
    /// # Errors
    /// When something cannot be encoded, or a claimed send has no body, which is a defect of podbell.
    pub fn of(changes: Changes<'_>, now: Time) -> Result<Self, StoreError> {
        let mut batch = Self { now, ..Self::default() };
        batch.add_targets(&changes);
        batch.add_incidents(&changes)?;
        batch.add_people(&changes)?;
        batch.add_own(&changes)?;
        batch.add_outbox(&changes)?;
        batch.notices = changes.writes.notices.iter().map(notice_row).collect::<Result<_, _>>()?;
        batch.series = std::mem::take(&mut changes.writes.series);
        batch.reports = std::mem::take(&mut changes.writes.reports);
        batch.forgotten = std::mem::take(&mut changes.writes.forgotten);
        Ok(batch)
    }

    /// Adds the counts for the daily lines to this commit.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn add_days(&mut self, state: &State) -> Result<(), StoreError> {
        let days = state.days();
        self.days = Some(if days.is_empty() { DaysRow::Unwanted } else { DaysRow::Counted(json(days)?) });
        Ok(())
    }

    fn add_targets(&mut self, Changes { state, writes, down, .. }: &Changes<'_>) {
        self.targets_gone = writes.gone.iter().cloned().collect();
        let row = |target: &Target| {
            let TargetState { last_good, failing, discovered, .. } = state.target(target)?;
            Some((target.clone(), TargetState::restored(*last_good, failing.clone(), *discovered)))
        };
        self.targets = writes.targets.iter().filter_map(row).collect();
        let down = down.filter(|(since, until)| until.since(*since) > NO_GAP);
        self.gaps.extend(down.map(|(since, at)| AvailabilityChange::Down { since, at }));
        self.gaps.extend(writes.readability.iter().map(|change| {
            let (target, at) = (change.target.clone(), change.at);
            if change.is_readable {
                AvailabilityChange::Readable { target, at }
            } else {
                AvailabilityChange::Failing { target, at }
            }
        }));
    }

    fn add_incidents(&mut self, Changes { state, writes, .. }: &Changes<'_>) -> Result<(), StoreError> {
        for ended in &writes.ended {
            match ended.known {
                true => self.incidents.push(incident_row(&ended.incident, Some(ended.at))?),
                false => self.incidents_gone.push(ended.incident.id),
            }
        }
        for incident in writes.incidents.iter().filter_map(|id| state.incident(*id)) {
            self.incidents.push(incident_row(incident, None)?);
        }
        for decision in &writes.decisions {
            self.add_decision(decision)?;
        }
        Ok(())
    }

    /// A decision that joined several incidents gets a row for each.
    fn add_decision(&mut self, decision: &Decision) -> Result<(), StoreError> {
        let body = rmp_serde::to_vec_named(decision).map_err(unencodable)?;
        let mut joined = decision.incidents().peekable();
        if joined.peek().is_none() {
            self.decisions.push((None, body));
            return Ok(());
        }
        for id in joined {
            self.decisions.push((Some(id), body.clone()));
        }
        Ok(())
    }

    fn add_people(&mut self, Changes { state, writes, .. }: &Changes<'_>) -> Result<(), StoreError> {
        for mute in writes.mutes.iter().filter_map(|id| state.mute_in_force(*id)) {
            self.mutes.push((mute.id, mute.until, json(mute)?));
        }
        self.mutes_over = writes.mutes_over.iter().copied().collect();
        for id in &writes.acknowledged {
            let acknowledged = state.incident(*id).and_then(|incident| incident.acknowledged.as_ref());
            self.acknowledged.push((*id, acknowledged.map(json).transpose()?));
        }
        for one in &writes.recorded {
            let logged = Logged { by: one.by.clone(), act: one.act.clone(), at: one.at };
            self.actions.push((one.at, one.incident, json(&logged)?));
        }
        Ok(())
    }

    fn add_own(&mut self, Changes { state, writes, .. }: &Changes<'_>) -> Result<(), StoreError> {
        for id in &writes.troubles {
            if let Some(trouble) = state.trouble(*id) {
                self.troubles.push((*id, json(trouble)?));
            }
        }
        self.troubles_over = writes.troubles_over.iter().copied().collect();
        for key in &writes.held {
            self.held.push((key.0.clone(), json(&key.1)?, state.held(key).map(json).transpose()?));
        }
        for name in &writes.sources {
            if let Some(source) = state.source(name) {
                self.sources.push((name.clone(), json(source)?));
            }
        }
        for key in &writes.rollouts {
            self.rollouts.push((key.clone(), state.rollouts(key).map(json).transpose()?));
        }
        if writes.daily {
            self.add_days(state)?;
        }
        Ok(())
    }

    fn add_outbox(&mut self, changes: &Changes<'_>) -> Result<(), StoreError> {
        let Changes { outbox, outbox_writes: writes, bodies, .. } = changes;
        self.destinations_renamed.clone_from(&writes.renamed);
        self.destinations_gone.clone_from(&writes.removed);
        self.deliveries.clone_from(&writes.added);
        self.delivery_states = writes.changed.iter().map(|(id, state)| (*id, state.clone())).collect();
        for claimed in &writes.claimed {
            let body = bodies.get(&claimed.send).filter(|body| !body.is_empty());
            let body = body.ok_or_else(|| unencodable(format!("send {} has no body", claimed.send.0)))?.clone();
            let destination = claimed.destination.clone();
            self.sends.push(SendRow { id: claimed.send, destination, claimed_at: claimed.at, body });
        }
        self.repeated.clone_from(&writes.repeated);
        self.settled.clone_from(&writes.settled);
        self.attempts.clone_from(&writes.attempts);
        for (name, incident) in &writes.threads {
            self.threads.push((name.clone(), *incident, thread_row(outbox, name, *incident)?));
        }
        for name in &writes.destinations {
            if let Some((state, policy)) = outbox.destination(name) {
                self.destinations.push((name.clone(), policy.fingerprint.clone(), json(&state.health)?));
            }
        }
        Ok(())
    }

    /// New occurrences by service and quarter of an hour; each pair once.
    pub(crate) fn tallies(&self) -> Vec<TallyRow<'_>> {
        let mut added: BTreeMap<(&Target, i64), (u64, u64)> = BTreeMap::new();
        for row in &self.series {
            let Some((_, new)) = row.change else { continue };
            let (warnings, others) = added.entry((&row.target, timeline::quarter(row.observed_at))).or_default();
            let sum = if row.event.level == Level::Warning { warnings } else { others };
            *sum = sum.saturating_add(new).min(MAX_TALLIED);
        }
        let row = |((target, quarter), (warnings, others))| TallyRow { target, quarter, warnings, others };
        added.into_iter().map(row).collect()
    }
}

fn incident_row(incident: &Incident, ended_at: Option<Time>) -> Result<IncidentRow, StoreError> {
    let phase = match incident.phase {
        Phase::Gathering => "gathering",
        Phase::Open => "open",
        Phase::Resolved { .. } => "resolved",
    };
    Ok(IncidentRow {
        id: incident.id,
        rule_file: incident.rule.file.clone(),
        rule_name: incident.rule.name.clone(),
        group_key: json(&incident.group)?,
        targets: incident.targets.clone(),
        workload: incident.workload.clone(),
        phase,
        last_at: incident.last_at,
        ended_at,
        state: incident_codec::write(incident).map_err(unencodable)?,
    })
}

fn notice_row(notice: &Notice) -> Result<NoticeRow, StoreError> {
    Ok(NoticeRow {
        id: notice.id,
        kind: notice.kind.as_str(),
        severity: notice.severity.as_str(),
        incident: notice.body.incident(),
        made_at: notice.made_at,
        facts: json(notice)?,
    })
}

fn thread_row(outbox: &Outbox, name: &Destination, incident: u64) -> Result<Option<ThreadRow>, StoreError> {
    let Some((state, policy)) = outbox.destination(name) else { return Ok(None) };
    let (Some(thread), Some(policy)) = (state.threads.get(incident), &policy.threads) else { return Ok(None) };
    let shown =
        thread.shown.map(|(state, at): (MessageState, Time)| Ok::<_, StoreError>((json(&state)?, at))).transpose()?;
    let (place, parent) = (policy.place.clone(), thread.parent.clone());
    Ok(Some(ThreadRow { place, parent, since: thread.since, shown }))
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(unencodable)
}

fn unencodable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    let cause = cause.into();
    StoreError::new(ErrorKind::Unavailable, format!("a row cannot be encoded: {cause}"), cause)
}
