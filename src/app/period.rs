//! The times during which this process owns the store. Each has an engine, sources and deliveries of its own, which read
//! everything from the store when it begins; what is in memory when it ends is thrown away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::deliveries::carry_out;
use super::engine_thread::{self, Ending, EngineThread, Inlets, Outlets, ThreadEnd};
use super::enrich::{self, Enricher};
use super::{Deliver, Ownership, QUEUE, SHUTDOWN, SOURCES_END, ServiceError, broken, standby};
use crate::chat::ExclusiveConnection;
use crate::clock;
use crate::engine::{Engine, EngineEvent, SendJob};
use crate::health::HealthStatus;
use crate::otlp::Outlet;
use crate::sources::{SourceEvent, SourceTask};
use podbell_store::{StoreError, Writer};

/// How long the sources of a period may take to end when the store goes to another replica, which reads them anew.
const UNHEARD_END: Duration = Duration::from_secs(1);
/// How long the engine's thread may take to give the store up.
const LEAVE: Duration = Duration::from_secs(2);
/// How long this replica leaves the store to the others after it could not read it; doubles each time. Longer than any of
/// them waits before it asks.
const READ_AGAIN: Duration = Duration::from_secs(3);
const READ_AGAIN_MAX: Duration = Duration::from_secs(20);
/// How long reading the store counts as being alive.
const READING: Duration = Duration::from_secs(90);

/// Builds what runs while this process owns the store. Reads the store, so it blocks.
pub type Activate = Arc<dyn Fn(Box<dyn Writer>) -> Result<Active, StoreError> + Send + Sync>;

/// What runs while this process owns the store.
pub struct Active {
    /// The engine, with the store.
    pub engine: Engine,
    /// The sources.
    pub sources: Vec<SourceTask>,
    /// Asks sources about pods.
    pub enricher: Option<Enricher>,
    /// Connections of chats that only one process may have.
    pub connections: Vec<ExclusiveConnection>,
}

/// What every period needs.
pub(super) struct Periods {
    pub(super) activate: Activate,
    pub(super) deliver: Deliver,
    pub(super) health: Arc<HealthStatus>,
    pub(super) outlet: Option<Outlet>,
    /// Where the current engine listens.
    pub(super) engine: watch::Sender<Option<mpsc::Sender<EngineEvent>>>,
    pub(super) stopped: CancellationToken,
}

/// How a period ended, if nothing is broken.
enum PeriodEnd {
    /// It was told to stop.
    Stopped,
    /// Another replica owns the store, or may own it.
    LeaseLost,
}

impl Periods {
    /// Runs one period after another until told to stop.
    ///
    /// # Errors
    /// When a part breaks down, or the store is damaged or was replaced.
    pub(super) async fn run(self, ownership: Ownership) -> Result<(), ServiceError> {
        let (location, replica) = match ownership {
            Ownership::Sole(writer) => {
                // Ownership ends with the process only.
                let active = self.activate(writer).await?;
                return self.period(active).await.map(|_| ());
            }
            Ownership::Shared { location, replica } => (location, replica),
        };
        self.health.set_shared();
        let mut read_again = READ_AGAIN;
        loop {
            let claimed = standby::claim(&location, &replica, &self.health, self.stopped.clone());
            let Some(writer) = claimed.await.map_err(ServiceError::Store)? else { return Ok(()) };
            let ended = match self.activate(writer).await {
                Ok(active) => {
                    read_again = READ_AGAIN;
                    self.period(active).await?
                }
                Err(ServiceError::Store(error)) if !error.is_final() => {
                    tracing::error!(%error, again_in_seconds = read_again.as_secs(), "the store cannot be read; standing by");
                    self.health.set_standby(None);
                    let _ = tokio::time::timeout(read_again, self.stopped.cancelled()).await;
                    read_again = READ_AGAIN_MAX.min(read_again * 2);
                    if self.stopped.is_cancelled() { PeriodEnd::Stopped } else { PeriodEnd::LeaseLost }
                }
                Err(error) => return Err(error),
            };
            self.health.set_standby(None);
            if matches!(ended, PeriodEnd::Stopped) {
                return Ok(());
            }
        }
    }

    async fn activate(&self, writer: Box<dyn Writer>) -> Result<Active, ServiceError> {
        let activate = self.activate.clone();
        let mut activating = tokio::task::spawn_blocking(move || activate(writer));
        let (begun, mut beats) = (clock::monotonic(), tokio::time::interval(Duration::from_secs(1)));
        let activated = loop {
            tokio::select! {
                activated = &mut activating => break activated,
                _ = beats.tick(), if self.health.is_shared() && begun.elapsed() < READING => self.health.record_loading(),
            }
        };
        activated.map_err(|error| ServiceError::Broken(error.to_string()))?.map_err(ServiceError::Store)
    }

    async fn period(&self, active: Active) -> Result<PeriodEnd, ServiceError> {
        let Active { mut engine, sources: tasks, enricher, connections } = active;
        let (engine_events, inbox) = mpsc::channel::<EngineEvent>(QUEUE);
        let (events, seen) = mpsc::channel::<SourceEvent>(QUEUE);
        let (jobs, dispatched) = mpsc::unbounded_channel::<SendJob>();
        // Ends before the process does if the store goes to another replica.
        let ended = CancellationToken::new();
        let thread_ends = Arc::new(Ending::default());
        let (lease, until) = watch::channel(None);
        let mut others = JoinSet::new();
        if let Some(enricher) = enricher {
            let (asks, questions) = mpsc::unbounded_channel();
            // The receiver is gone only when the period ends.
            engine.on_questions(move |new| drop(asks.send(new)));
            others.spawn(enrich::run(enricher, questions, events.clone(), ended.clone()));
        }
        if let Some(outlet) = self.outlet.clone() {
            engine.on_committed(move |changes, notices| outlet.offer(changes, notices));
        }
        let (inlets, outlets) = (Inlets { urgent: inbox, seen }, Outlets { jobs, lease });
        let thread = engine_thread::start(engine, inlets, outlets, self.health.clone(), thread_ends.clone());
        let mut sources = JoinSet::new();
        for source in tasks {
            sources.spawn(source(events.clone(), ended.clone()));
        }
        // Drop our sender, so that the channel closes with the last source: a service without sources ends in order, too.
        drop(events);
        for connect in connections {
            others.spawn(connect(ended.clone()));
        }
        others.spawn(carry_out(dispatched, self.deliver.clone(), engine_events.clone(), until));
        self.engine.send_replace(Some(engine_events));
        let broken = tokio::select! {
            () = self.stopped.cancelled() => None,
            what = broken(&mut sources) => Some(what),
            what = broken(&mut others) => Some(what),
            () = engine_thread::ended(&thread) => None,
        };
        ended.cancel();
        let patience = if self.health.is_shared() { UNHEARD_END } else { SOURCES_END };
        let end = match thread.is_finished() {
            true => self.ended_early(thread, &mut sources).await,
            false => drained(thread, &mut sources, &thread_ends, patience).await,
        };
        self.engine.send_replace(None);
        // Requests that are still in flight end here; the next owner of the store repeats them.
        drop(others);
        match (end, broken) {
            (Err(error), _) => Err(error),
            (Ok(_), Some(what)) => Err(ServiceError::Broken(what)),
            (Ok(end), None) => Ok(end),
        }
    }

    /// After the engine's thread has ended by itself.
    async fn ended_early(&self, thread: EngineThread, sources: &mut JoinSet<()>) -> Result<PeriodEnd, ServiceError> {
        // The engine has ended, so what sources still report is dropped. Sources that take longer are aborted.
        let _ = tokio::time::timeout(UNHEARD_END, async { while sources.join_next().await.is_some() {} }).await;
        match thread.join() {
            Ok(ThreadEnd::LeaseLost) => Ok(PeriodEnd::LeaseLost),
            Ok(ThreadEnd::Store(error)) => Err(ServiceError::Store(error)),
            // It was told to stop just now.
            Ok(ThreadEnd::Drained) if self.stopped.is_cancelled() => Ok(PeriodEnd::Stopped),
            // A panic was printed already.
            Ok(ThreadEnd::Drained) | Err(_) => Err(ServiceError::Broken("the engine's thread".to_owned())),
        }
    }
}

/// Finishes what is in flight, in order: sources, for `patience` at most, then deliveries.
async fn drained(
    thread: EngineThread,
    sources: &mut JoinSet<()>,
    thread_ends: &Ending,
    patience: Duration,
) -> Result<PeriodEnd, ServiceError> {
    let all_ended = async { while sources.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all_ended).await.is_err() {
        tracing::warn!("a source did not end in time; its polls are lost, not its events");
    }
    thread_ends.drain();
    if !engine_thread::ends_within(&thread, SHUTDOWN - SOURCES_END).await {
        tracing::warn!(
            "requests are still in flight; they are repeated with the same id by whoever owns the store next"
        );
        thread_ends.leave();
        if !engine_thread::ends_within(&thread, LEAVE).await {
            return Ok(PeriodEnd::Stopped);
        }
    }
    match thread.join() {
        Ok(ThreadEnd::Store(error)) => Err(ServiceError::Store(error)),
        Ok(ThreadEnd::LeaseLost | ThreadEnd::Drained) => Ok(PeriodEnd::Stopped),
        // A panic was printed already.
        Err(_) => Err(ServiceError::Broken("the engine's thread".to_owned())),
    }
}
