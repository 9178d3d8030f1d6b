//! Polling: which targets there are, when each is read, and what is reported of it.
//!
//! Generic over how a target is read. Owns the turns, the bound on concurrent reads, the rhythm of discoveries, and
//! the shutdown: once told to stop, it starts nothing more and finishes what is in flight. Never diffs, and never
//! decides that a service is deleted: it only stops polling a service that two complete discoveries in a row did
//! not find.

pub(crate) mod pace;
pub(crate) mod schedule;
pub(crate) mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::pace::{PaceVerdict, real_interval};
use self::schedule::Schedule;
use self::watched::PolledTargets;
use super::{List, Problem, SourceEvent, TargetEntry};
use crate::clock;
use podbell_core::event::Target;

/// How a source's targets are found and read.
pub(crate) trait TargetReader: Send + Sync + 'static {
    /// Reads one target's list.
    fn read(&self, target: &Target) -> impl Future<Output = Result<List, Problem>> + Send;
    /// The targets that are always watched.
    fn configured(&self) -> Vec<TargetEntry>;
    /// Looks for more.
    fn discover(&self) -> impl Future<Output = Discovery> + Send;
}

/// What a discovery found.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The services, as far as the discovery got.
    pub targets: BTreeSet<Target>,
    /// Why that is not all.
    pub error: Option<Problem>,
}

/// The poller's intervals and limits.
#[derive(Clone, Debug)]
pub(crate) struct PollerConfig {
    /// The source's name.
    pub source: Arc<str>,
    /// How often each target is read.
    pub poll_every: Duration,
    /// The request rate that the reader keeps to.
    pub requests_per_second: NonZeroU32,
    /// How long the source shows an event.
    pub memory: Duration,
    /// How often targets are looked for, if at all. After a failure, again after `poll_every`.
    pub rediscover_every: Option<Duration>,
    /// The most reads at once.
    pub concurrency: usize,
}

/// Enough concurrent reads that answers which take a second do not slow the pace, within reason.
pub(crate) fn concurrency(requests_per_second: NonZeroU32) -> usize {
    usize::try_from(requests_per_second.get()).unwrap_or(usize::MAX).clamp(16, 256)
}

/// Polls until told to stop, or until nobody listens any more.
pub(crate) async fn run<R: TargetReader>(
    reader: Arc<R>,
    plan: PollerConfig,
    events: mpsc::Sender<SourceEvent>,
    stop: CancellationToken,
) {
    // Sorting ten thousand names takes a while, and this thread serves readiness, too.
    let begin = move || {
        let configured = reader.configured();
        let mut poller = Poller::new(reader, plan, events, &configured);
        poller.watch();
        (poller, configured)
    };
    let Ok((mut poller, configured)) = tokio::task::spawn_blocking(begin).await else { return };
    poller.first_target_list(configured).await;
    while !stop.is_cancelled() && !poller.events.is_closed() {
        poller.start_due();
        let wake = poller.next_wake();
        tokio::select! {
            () = stop.cancelled() => break,
            () = poller.events.closed() => break,
            () = sleep_until(wake) => {}
            Some(done) = poller.running.join_next() => poller.finish(done),
        }
    }
    while poller.running.join_next().await.is_some() {}
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

/// Reads start together at the ticks of this clock: waking up for each of hundreds of reads a second costs more
/// than half of what reading them costs.
const TICK: Duration = Duration::from_millis(100);

/// The first tick at or after `due`.
fn next_tick(due: Duration) -> Duration {
    let ticks = due.as_nanos().div_ceil(TICK.as_nanos());
    TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
}

enum Done {
    Read { target: Target, unusable: Option<usize> },
    Discovered { found: BTreeSet<Target>, complete: bool },
}

struct Poller<R> {
    reader: Arc<R>,
    plan: PollerConfig,
    events: mpsc::Sender<SourceEvent>,
    begun: Instant,
    schedule: Schedule,
    watched: PolledTargets,
    next_discovery: Option<Duration>,
    discovering: bool,
    running: JoinSet<Done>,
    /// The targets whose last list had entries that could not be understood, and how many.
    unusable: BTreeMap<Target, usize>,
    verdict: PaceVerdict,
}

impl<R: TargetReader> Poller<R> {
    fn new(reader: Arc<R>, plan: PollerConfig, events: mpsc::Sender<SourceEvent>, configured: &[TargetEntry]) -> Self {
        let configured = configured.iter().map(|entry| entry.target.clone());
        Self {
            watched: PolledTargets::new(configured),
            schedule: Schedule::new(plan.poll_every),
            next_discovery: plan.rediscover_every.map(|_| Duration::ZERO),
            begun: clock::monotonic(),
            discovering: false,
            running: JoinSet::new(),
            unusable: BTreeMap::new(),
            verdict: PaceVerdict::Holds,
            reader,
            plan,
            events,
        }
    }

    /// With discovery, the configured services are not the complete list.
    async fn first_target_list(&mut self, targets: Vec<TargetEntry>) {
        let complete = self.plan.rediscover_every.is_none();
        let target_list = SourceEvent::TargetList { source: self.plan.source.clone(), targets, complete };
        if complete || !self.schedule.is_empty() {
            let _ = self.events.send(target_list).await;
        }
    }

    fn now(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.begun)
    }

    fn watch(&mut self) {
        let now = self.now();
        self.schedule.watch(self.watched.targets(), now);
        let plan = &self.plan;
        let verdict = PaceVerdict::of(self.schedule.len(), plan.requests_per_second, plan.poll_every, plan.memory);
        if verdict != self.verdict {
            let targets = self.schedule.len();
            match verdict {
                PaceVerdict::Holds => tracing::info!(source = %plan.source, targets, "{verdict}"),
                PaceVerdict::Slower(_) => tracing::warn!(source = %plan.source, targets, "{verdict}"),
                PaceVerdict::BlindAfter(_) => tracing::error!(source = %plan.source, targets, "{verdict}"),
            }
            self.verdict = verdict;
        }
    }

    fn start_due(&mut self) {
        let now = self.now();
        if !self.discovering && self.next_discovery.is_some_and(|due| due <= now) {
            self.discovering = true;
            self.running.spawn(discover(self.reader.clone(), self.plan.source.clone(), self.events.clone()));
        }
        while self.has_room()
            && let Some(target) = self.schedule.take(now)
        {
            let before = self.unusable.get(&target).copied();
            self.running.spawn(read(self.reader.clone(), target, before, self.events.clone()));
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.plan.concurrency + usize::from(self.discovering)
    }

    fn next_wake(&mut self) -> Option<Instant> {
        let discovery = self.next_discovery.filter(|_| !self.discovering);
        let turn = if self.has_room() { self.schedule.next_turn() } else { None };
        let next = [discovery, turn].into_iter().flatten().min()?;
        Some(self.begun + next_tick(next))
    }

    fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Read { target, unusable }) => {
                let now = self.now();
                match unusable {
                    Some(entries) => self.unusable.insert(target.clone(), entries),
                    None => self.unusable.remove(&target),
                };
                self.schedule.done(&target, now);
            }
            Ok(Done::Discovered { found, complete }) => {
                self.discovering = false;
                let every = self.plan.rediscover_every.unwrap_or(self.plan.poll_every);
                let pause = if complete { every } else { every.min(self.plan.poll_every) };
                self.next_discovery = Some(self.now() + pause);
                self.watched.discovered(found, complete);
                let watched = self.watched.targets();
                self.unusable.retain(|target, _| watched.contains(target));
                self.watch();
            }
            // If the read panicked, its target would silently never be read again: better that the process ends
            // loudly.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
}

/// Reads a target; `before` entries of its last list could not be understood, if this process has read one. The first
/// list is always reported: the store may remember a trouble of it.
async fn read<R: TargetReader>(
    reader: Arc<R>,
    target: Target,
    before: Option<usize>,
    events: mpsc::Sender<SourceEvent>,
) -> Done {
    let result = reader.read(&target).await;
    let at = clock::now();
    let (event, unusable) = match result {
        Ok(List { events, unusable }) => (SourceEvent::Polled { target: target.clone(), at, events }, Some(unusable)),
        Err(error) => {
            tracing::debug!(%target, code = error.code, "a poll failed");
            let unusable = before.filter(|_| !error.gone);
            (SourceEvent::Failed { target: target.clone(), at, error }, unusable)
        }
    };
    // The receiver is gone only when the process ends; then the loop ends, too.
    let _ = events.send(event).await;
    if let Some(entries) = unusable.filter(|_| unusable != before) {
        if entries > 0 {
            tracing::warn!(%target, entries, "entries of an event list cannot be understood");
        }
        let _ = events.send(SourceEvent::Unusable { target: target.clone(), at, entries }).await;
    }
    Done::Read { target, unusable }
}

async fn discover<R: TargetReader>(reader: Arc<R>, source: Arc<str>, events: mpsc::Sender<SourceEvent>) -> Done {
    let discovery = reader.discover().await;
    let complete = discovery.error.is_none();
    let mut targets = reader.configured();
    let configured: BTreeSet<_> = targets.iter().map(|entry| entry.target.clone()).collect();
    let found = discovery.targets.difference(&configured).cloned();
    targets.extend(found.map(|target| TargetEntry { target, discovered: true }));
    tracing::debug!(%source, services = targets.len(), complete, "a discovery ended");
    let _ = events.send(SourceEvent::TargetList { source: source.clone(), targets, complete }).await;
    if let Some(error) = discovery.error {
        tracing::debug!(%source, code = error.code, "a discovery was not complete");
        let _ = events.send(SourceEvent::DiscoveryFailed { source, at: clock::now(), error }).await;
    }
    Done::Discovered { found: discovery.targets, complete }
}
