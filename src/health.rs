//! The health of the service, for health checks, metrics and the heartbeat. The engine's thread writes it once a
//! second; everybody else reads it without waiting for that thread.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::histogram::Histogram;

use crate::clock;
use crate::engine::{Engine, Totals};
use crate::otlp::Counts;
use podbell_core::time::Time;
use podbell_store::{Holder, Lease};

/// A service that made no turn for this long is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(30);

/// A source in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceHealth {
    /// Its name.
    pub name: String,
    /// Whether anything of it was ever read.
    pub read: bool,
    /// Watched services.
    pub targets: u64,
    /// Of those, unreadable ones.
    pub failing: u64,
    /// Entries of their lists that cannot be understood.
    pub unusable: u64,
    /// When the newest good poll was.
    pub last_good: Option<Time>,
}

/// A destination in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationNumbers {
    /// Its name.
    pub name: String,
    /// Deliveries that wait.
    pub due: u64,
    /// Requests that are not settled.
    pub open: u64,
    /// Failures in a row.
    pub failures: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// When the oldest delivery became due that has not arrived.
    pub oldest_waiting: Option<Time>,
}

/// The whole service in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// Counts since the start.
    pub totals: Totals,
    /// Incidents that are open.
    pub incidents: u64,
    /// Episodes that are known.
    pub episodes: u64,
    /// Rule files that are refused; podbell.yaml counts as one while its rules are.
    pub refused_rule_files: u64,
    /// The sources.
    pub sources: Vec<SourceHealth>,
    /// The destinations.
    pub destinations: Vec<DestinationNumbers>,
}

/// Which part a replica has in a store that several use. The process that owns a store alone is active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// It does not know yet, or the store cannot be reached.
    #[default]
    Waiting,
    /// It owns the store.
    Active,
    /// Another replica owns the store.
    Standby(Holder),
}

/// See the module.
#[derive(Debug)]
pub struct HealthStatus {
    inner: Mutex<Inner>,
    commits: tokio::sync::watch::Sender<u64>,
    turns: Histogram,
    exports: OnceLock<Arc<Counts>>,
}

/// The buckets of the time that turns take, in seconds.
const TURN_BUCKETS: [f64; 11] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

impl Default for HealthStatus {
    fn default() -> Self {
        let (inner, commits) = Default::default();
        Self { inner, commits, turns: Histogram::new(TURN_BUCKETS), exports: OnceLock::new() }
    }
}

#[derive(Debug, Default)]
struct Inner {
    snapshot: HealthSnapshot,
    last_turn: Option<Instant>,
    store_works: bool,
    role: Role,
    /// Whether several replicas use the store.
    is_shared: bool,
    /// When the store was reached last.
    reached: Option<Instant>,
    lease: Option<Lease>,
}

/// What a turn of the engine tells of it.
#[derive(Debug)]
pub struct TurnRecord {
    /// Whether the store takes commits.
    pub store_works: bool,
    /// What the store says of its owner, if several replicas use it.
    pub lease: Option<Lease>,
    /// The state of everything, when a new one is due.
    pub snapshot: Option<HealthSnapshot>,
}

impl HealthStatus {
    /// Records a turn.
    pub fn record_turn(&self, TurnRecord { store_works, lease, snapshot }: TurnRecord) {
        let now = clock::monotonic();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.role = Role::Active;
        inner.last_turn = Some(now);
        inner.store_works = store_works;
        inner.lease = lease;
        if store_works {
            inner.reached = Some(now);
        }
        if let Some(snapshot) = snapshot {
            inner.snapshot = snapshot;
        }
    }

    /// From now on, one replica of several owns the store, and this one stands by.
    pub(crate) fn set_shared(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).is_shared = true;
    }

    /// Records that another replica owns the store, or that it could not be reached. What was counted while this
    /// replica was active is void.
    pub(crate) fn set_standby(&self, holder: Option<Holder>) {
        let now = clock::monotonic();
        if let Some(holder) = &holder {
            self.committed(holder.commit);
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last_turn = Some(now);
        inner.snapshot = HealthSnapshot { totals: inner.snapshot.totals, ..HealthSnapshot::default() };
        inner.lease = None;
        inner.store_works = holder.is_some();
        if holder.is_some() {
            inner.reached = Some(now);
        }
        inner.role = holder.map_or(Role::Waiting, Role::Standby);
    }

    /// Records that this replica reads the store, which it owns now.
    pub(crate) fn record_loading(&self) {
        let now = clock::monotonic();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.last_turn, inner.reached) = (Some(now), Some(now));
    }

    /// Records the number of commits since the start, of a standby those of all replicas, and wakes whoever waits for more.
    pub(crate) fn committed(&self, commits: u64) {
        self.commits.send_if_modified(|known| std::mem::replace(known, commits) != commits);
    }

    /// Records how long a turn took that committed something, from reading what it needs to the end of the commit.
    pub(crate) fn observe_turn(&self, time: Duration) {
        self.turns.observe(time.as_secs_f64());
    }

    /// How long turns that committed something took, in seconds.
    pub(crate) fn turns(&self) -> Histogram {
        self.turns.clone()
    }

    /// The number of commits since the start; changes when there are more.
    pub(crate) fn commits(&self) -> tokio::sync::watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Sets where the exporter counts, once.
    pub(crate) fn set_export_counts(&self, counts: Arc<Counts>) {
        // There is one exporter; a second would not be counted.
        let _ = self.exports.set(counts);
    }

    /// What the exporter counts; `None` if nothing is exported.
    pub(crate) fn exported(&self) -> Option<&Counts> {
        self.exports.get().map(|counts| &**counts)
    }

    /// Whether the engine makes turns.
    pub(crate) fn is_alive(&self) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.last_turn.is_none_or(|last| last.elapsed() < DEAD_AFTER)
    }

    /// Whether the store can be used; trouble with sources does not count. A shared store may be out of reach for 30 s,
    /// the time of a takeover or a failover: replicas that answer are not to be taken out of service at each.
    pub(crate) fn is_ready(&self) -> bool {
        let recently = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < DEAD_AFTER);
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let store_works = if inner.is_shared { recently(inner.reached) } else { inner.store_works };
        store_works && recently(inner.last_turn)
    }

    /// What this replica does now. A replica whose lease has ended is not active, although its engine may not have noticed:
    /// it may have been frozen, and another one may own the store.
    pub(crate) fn role(&self) -> Role {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match (&inner.role, inner.lease) {
            (Role::Active, Some(lease)) if lease.left().is_zero() => Role::Waiting,
            (role, _) => role.clone(),
        }
    }

    /// Whether several replicas use the store.
    pub(crate) fn is_shared(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).is_shared
    }

    /// The lease by which this replica owns the store, if it does.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lease.filter(|lease| !lease.left().is_zero())
    }

    /// Whether polling, store and turns all work: the condition of the operator's heartbeat. False before the first
    /// good poll, and where there is nothing to poll.
    pub(crate) fn is_well(&self, now: Time, polled_within: Duration) -> bool {
        let snapshot = self.snapshot();
        let polled = |source: &SourceHealth| source.last_good.is_some_and(|last| now.since(last) <= polled_within);
        self.is_ready() && snapshot.sources.iter().any(polled)
    }

    /// The newest numbers.
    pub fn snapshot(&self) -> HealthSnapshot {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).snapshot.clone()
    }
}

/// Counts that need a visit to every service and every incident: milliseconds in a large installation.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    incidents: u64,
    sources: Vec<SourceHealth>,
}

/// Visits every service and every incident.
pub fn count(engine: &Engine) -> Counted {
    let mut counted = Counted::default();
    if let Some(state) = engine.state() {
        let open = |incident: &&podbell_core::incident::Incident| incident.phase == podbell_core::incident::Phase::Open;
        counted.incidents = state.incidents().filter(open).count() as u64;
        // Targets are sorted by source.
        for (target, known) in state.targets() {
            if counted.sources.last().is_none_or(|source| source.name != *target.source) {
                counted.sources.push(SourceHealth { name: target.source.to_string(), ..SourceHealth::default() });
            }
            if let Some(source) = counted.sources.last_mut() {
                source.targets += 1;
                source.failing += u64::from(known.failing.is_some());
                source.unusable = source.unusable.saturating_add(known.unusable);
                source.last_good = source.last_good.max(known.last_good);
            }
        }
        // A quiet cluster may have no target yet.
        for (name, known) in state.sources() {
            let last_good = known.watched.values().max().copied();
            match counted.sources.iter_mut().find(|source| source.name == **name) {
                Some(source) => source.last_good = source.last_good.max(last_good),
                None => {
                    counted.sources.push(SourceHealth { name: name.to_string(), last_good, ..SourceHealth::default() })
                }
            }
        }
        for name in engine.sources() {
            if counted.sources.iter().all(|source| source.name != *name) {
                counted.sources.push(SourceHealth { name: name.to_owned(), ..SourceHealth::default() });
            }
        }
        for source in &mut counted.sources {
            source.read = source.last_good.is_some() || state.source(&source.name).is_some();
        }
    }
    counted
}

/// The numbers of an engine, with what was counted last.
pub fn snapshot(engine: &Engine, counted: Counted) -> HealthSnapshot {
    let Counted { incidents, sources } = counted;
    let episodes = engine.state().map_or(0, |state| state.episodes() as u64);
    let refused_rule_files = engine.state().map_or(0, |state| state.refused_rule_files().len() as u64);
    let mut snapshot = HealthSnapshot {
        totals: engine.totals(),
        incidents,
        episodes,
        refused_rule_files,
        sources,
        destinations: Vec::new(),
    };
    let destinations = engine.outbox().into_iter().flat_map(|outbox| outbox.destinations());
    snapshot.destinations = destinations
        .map(|(name, state)| DestinationNumbers {
            name: name.to_string(),
            due: state.due.len() as u64,
            open: state.sends.len() as u64,
            failures: u64::from(state.health.failures),
            paused: state.health.paused.is_some(),
            oldest_waiting: state.oldest_waiting(),
        })
        .collect();
    snapshot
}

#[cfg(test)]
mod tests {
    use podbell_store::LeaseEnd;

    use super::*;

    #[test]
    fn a_replica_that_was_frozen_beyond_its_lease_does_not_say_that_it_is_active() {
        let health = HealthStatus::default();
        health.set_shared();
        let record = |left| {
            let lease = Some(Lease { epoch: 7, end: LeaseEnd::in_time(left) });
            health.record_turn(TurnRecord { store_works: true, lease, snapshot: None });
        };
        record(Duration::from_secs(10));
        assert_eq!((health.role(), health.lease().map(|lease| lease.epoch)), (Role::Active, Some(7)));
        record(Duration::ZERO);
        assert_eq!((health.role(), health.lease()), (Role::Waiting, None));
    }
}
