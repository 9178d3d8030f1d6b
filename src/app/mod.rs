//! The running service: sources, the engine's thread, deliveries, the server, and their end.
//!
//! Owns tasks and channels, but not what they mean. A task that panics ends the process: a half-dead watcher is worse
//! than one that is restarted.

pub mod assemble;
pub mod chats;
pub(crate) mod command_sink;
mod engine_thread;
pub mod enrich;
pub mod heartbeat;
pub(crate) mod reload;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::engine_thread::Inlets;
use self::enrich::Enricher;
use crate::engine::{Engine, EngineEvent, NewRules, SendJob};
use crate::health::HealthStatus;
use crate::otlp::Exporter;
use crate::sources::{SourceEvent, SourceTask};
use crate::tasks::{BoxFuture, SideTask};
use podbell_core::outbox::Outcome;
use podbell_store::StoreError;
use podbell_store::crash_point;

/// How long everything together may take to end.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);
/// How long sources may take to finish what is in flight; the rest is for deliveries.
const SOURCES_END: Duration = Duration::from_secs(5);
/// How long the last records may take to be exported.
const EXPORT_END: Duration = Duration::from_secs(2);
/// How many polls and answers may wait for the engine.
const QUEUE: usize = 1024;

/// Carries out a request and says what came of it.
pub(crate) type Deliver = Arc<dyn Fn(SendJob) -> BoxFuture<Outcome> + Send + Sync>;
/// Everything that a service is made of.
pub struct Service {
    /// The engine, with its store.
    pub engine: Engine,
    /// How requests are carried out.
    pub deliver: Deliver,
    /// The sources.
    pub sources: Vec<SourceTask>,
    /// Other tasks: server, heartbeat.
    pub sides: Vec<SideTask>,
    /// Asks sources about pods.
    pub enricher: Option<Enricher>,
    /// Exports what was committed.
    pub exporter: Option<Exporter>,
    /// Watches rule files.
    pub rules: Option<reload::RulesTask>,
    /// User actions.
    pub user_actions: Option<command_sink::UserActions>,
    /// Resolves when the store turns out to be damaged.
    pub damage: BoxFuture<StoreError>,
    /// The health of the service.
    pub health: Arc<HealthStatus>,
}

/// Why a service ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A task ended that must not end.
    #[error(
        "a part of podbell broke down ({0}); it ends, so that it can be restarted. This is a bug: please report it"
    )]
    Broken(String),
    /// The store is damaged or was replaced.
    #[error(transparent)]
    Store(StoreError),
}

/// Runs a service until `stop` is ready, then lets it finish what is in flight.
///
/// # Errors
/// When a part of it panics, or the store is damaged or replaced.
pub async fn run(service: Service, stop: impl Future<Output = ()>) -> Result<(), ServiceError> {
    let (happened, inbox) = mpsc::channel::<EngineEvent>(QUEUE);
    let (events, seen) = mpsc::channel::<SourceEvent>(QUEUE);
    let (jobs, job_queue) = mpsc::unbounded_channel::<SendJob>();
    let (stopping, stopped) = watch::channel(false);
    let drain = Arc::new(AtomicBool::new(false));
    let inlets = Inlets { urgent: inbox, seen };
    let mut sides = JoinSet::new();
    let mut engine = service.engine;
    if let Some(enricher) = service.enricher {
        let (asks, questions) = mpsc::unbounded_channel();
        // The receiver is gone only when the process ends.
        engine.on_questions(move |new| drop(asks.send(new)));
        sides.spawn(enrich::run(enricher, questions, events.clone(), stopped.clone()));
    }
    let mut exports = JoinSet::new();
    if let Some(Exporter { outlet, task }) = service.exporter {
        engine.on_committed(move |changes, notices| outlet.offer(changes, notices));
        exports.spawn(task);
    }
    let engine = engine_thread::start(engine, inlets, jobs, service.health.clone(), drain.clone());
    let mut sources = JoinSet::new();
    for source in service.sources {
        sources.spawn(source(events.clone(), stopped.clone()));
    }
    // Drop our sender, so that the channel closes with the last source: a service without sources ends in order, too.
    drop(events);
    for side in service.sides {
        sides.spawn(side(stopped.clone()));
    }
    if let Some(rules) = service.rules {
        let (reloads, reloaded) = mpsc::channel::<NewRules>(1);
        sides.spawn(rules(reloads, stopped.clone()));
        sides.spawn(relay(reloaded, |rules| EngineEvent::Rules(Box::new(rules)), happened.clone()));
    }
    if let Some(user_actions) = service.user_actions {
        sides.spawn(relay(user_actions.0, EngineEvent::Action, happened.clone()));
    }
    sides.spawn(carry_out(job_queue, service.deliver, happened));
    tokio::pin!(stop);
    let mut damage = service.damage;
    let mut damaged = None;
    let broken = loop {
        tokio::select! {
            () = &mut stop => break None,
            Some(Err(error)) = sources.join_next() => break Some(error.to_string()),
            Some(Err(error)) = exports.join_next() => break Some(error.to_string()),
            Some(ended) = sides.join_next() => if let Err(error) = ended { break Some(error.to_string()) },
            error = &mut damage => { damaged = Some(error); break None }
            () = engine_thread::ended(&engine) => break Some("the engine's thread".into()),
        }
    };
    tracing::info!("ending: finishing what is in flight");
    // An error means that no receiver is left.
    let _ = stopping.send(true);
    let all_ended = async { while sources.join_next().await.is_some() {} };
    if tokio::time::timeout(SOURCES_END, all_ended).await.is_err() {
        tracing::warn!("a source did not end in time; its polls are lost, not its events");
    }
    drain.store(true, Ordering::SeqCst);
    let ended = engine_thread::join(engine, SHUTDOWN - SOURCES_END).await;
    // The engine had the other end of its queue, so it ends by itself if the collector takes what is left.
    let exported = async { while exports.join_next().await.is_some() {} };
    if tokio::time::timeout(EXPORT_END, exported).await.is_err() {
        tracing::warn!("the OTLP collector did not take the last records in time; they are lost");
    }
    if let Some(error) = ended.or(damaged) {
        return Err(ServiceError::Store(error));
    }
    match broken {
        Some(what) => Err(ServiceError::Broken(what)),
        None => Ok(()),
    }
}

/// Passes on what arrives, as the engine hears it, until no sender is left.
async fn relay<T>(mut inlet: mpsc::Receiver<T>, as_event: fn(T) -> EngineEvent, happened: mpsc::Sender<EngineEvent>) {
    while let Some(one) = inlet.recv().await {
        if happened.send(as_event(one)).await.is_err() {
            return;
        }
    }
}

/// Carries out jobs side by side; how many at once is the outbox's decision.
async fn carry_out(mut jobs: mpsc::UnboundedReceiver<SendJob>, deliver: Deliver, happened: mpsc::Sender<EngineEvent>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { break };
                let (deliver, happened) = (deliver.clone(), happened.clone());
                running.spawn(async move {
                    let send = job.send;
                    crash_point!("send.before");
                    let outcome = deliver(job).await;
                    crash_point!("send.after");
                    // The engine is gone only when the process ends; the send is then repeated after the next start.
                    let _ = happened.send(EngineEvent::Answered(send, outcome)).await;
                });
            }
            Some(ended) = running.join_next() => {
                if let Err(error) = ended {
                    std::panic::resume_unwind(Box::new(error.to_string()));
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}
