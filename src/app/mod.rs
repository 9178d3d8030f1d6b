//! The running service: what always runs (server, chats), what runs while this process owns the store (engine, sources,
//! deliveries), and the end of both.
//!
//! Owns tasks and channels, but not what they mean. A task that panics ends the process: a half-dead watcher is worse
//! than one that is restarted.

pub mod assemble;
pub mod chats;
pub(crate) mod command_sink;
mod deliveries;
mod engine_thread;
pub mod enrich;
pub mod heartbeat;
mod period;
mod relay;
pub(crate) mod reload;
mod standby;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::period::Periods;
pub use self::period::{Activate, Active};
use self::relay::{relay, relay_rules};
use crate::engine::{NewRules, SendJob};
use crate::health::HealthStatus;
use crate::otlp::Exporter;
use crate::tasks::SideTask;
use podbell_core::outbox::Outcome;
use podbell_store::{Location, StoreError, Writer};

/// How long everything together may take to end.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(10);
/// How long sources may take to finish what is in flight; the rest is for deliveries.
const SOURCES_END: Duration = Duration::from_secs(5);
/// How long the last records may take to be exported.
const EXPORT_END: Duration = Duration::from_secs(2);
/// How many polls and answers may wait for the engine.
const QUEUE: usize = 1024;

/// Carries out a request and says what came of it.
pub(crate) type Deliver = Arc<dyn Fn(SendJob) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// How this process comes to own the store.
pub enum Ownership {
    /// It owns the store for as long as it lives.
    Sole(Box<dyn Writer>),
    /// One replica at a time owns the store: this one stands by until it is its turn.
    Shared {
        /// The store.
        location: Location,
        /// The name by which the others know this replica.
        replica: String,
    },
}

/// Everything that a service is made of.
pub struct Service {
    /// How it comes to own the store.
    pub ownership: Ownership,
    /// Builds what runs only while this process owns the store.
    pub activate: Activate,
    /// How requests are carried out.
    pub deliver: Deliver,
    /// What runs whoever owns the store: server, chats, heartbeat.
    pub sides: Vec<SideTask>,
    /// Exports what was committed.
    pub exporter: Option<Exporter>,
    /// Watches rule files.
    pub rules: Option<reload::Reloading>,
    /// User actions.
    pub user_actions: Option<command_sink::UserActions>,
    /// Resolves when the store turns out to be damaged.
    pub damage: BoxFuture<'static, StoreError>,
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
    let stopped = CancellationToken::new();
    let (engine, inlet) = watch::channel(None);
    let mut sides = JoinSet::new();
    let mut exports = JoinSet::new();
    let outlet = service.exporter.map(|Exporter { outlet, task }| {
        exports.spawn(task);
        outlet
    });
    for side in service.sides {
        sides.spawn(side(stopped.clone()));
    }
    if let Some(reload::Reloading { task, current }) = service.rules {
        let (reloads, reloaded) = mpsc::channel::<NewRules>(1);
        sides.spawn(task(reloads, stopped.clone()));
        sides.spawn(relay_rules(reloaded, current, inlet.clone()));
    }
    if let Some(user_actions) = service.user_actions {
        sides.spawn(relay(user_actions.0, inlet));
    }
    let periods = Periods {
        activate: service.activate,
        deliver: service.deliver,
        health: service.health,
        outlet,
        engine,
        stopped: stopped.clone(),
    };
    let mut periods = pin!(periods.run(service.ownership));
    let mut stop = pin!(stop);
    let mut damage = service.damage;
    let mut ended = None;
    let failure = tokio::select! {
        () = &mut stop => None,
        end = &mut periods => { ended = Some(end); None }
        what = broken(&mut exports) => Some(ServiceError::Broken(what)),
        what = broken(&mut sides) => Some(ServiceError::Broken(what)),
        error = &mut damage => Some(ServiceError::Store(error)),
    };
    tracing::info!("ending: finishing what is in flight");
    stopped.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => periods.await,
    };
    // The engine held the last sender of its queue, so the exporter ends once the queue is empty.
    let exported = async { while exports.join_next().await.is_some() {} };
    if tokio::time::timeout(EXPORT_END, exported).await.is_err() {
        tracing::warn!("the OTLP collector did not take the last records in time; they are lost");
    }
    ended?;
    failure.map_or(Ok(()), Err)
}

/// Waits until one of these tasks panics. Those that end in order are left out.
async fn broken(tasks: &mut JoinSet<()>) -> String {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            return error.to_string();
        }
    }
    std::future::pending().await
}
