//! The operator's dead man's switch: called only while polling, store and turns work.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::health::{HealthStatus, Role};

/// How long after the start the lack of a good poll is normal.
const FIRST_POLL: Duration = Duration::from_secs(60);

/// An address that is called while all is well.
pub struct Heartbeat {
    /// The address.
    pub url: SecretString,
    /// How often it is called.
    pub every: Duration,
    /// How old the newest good poll may be.
    pub polled_within: Duration,
}

/// Calls the address until `stopped` is cancelled.
pub async fn run(heartbeat: Heartbeat, client: reqwest::Client, health: Arc<HealthStatus>, stopped: CancellationToken) {
    let Heartbeat { url, every, polled_within } = heartbeat;
    let mut turns = tokio::time::interval(every.max(Duration::from_secs(1)));
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut failing, started) = (false, clock::monotonic());
    loop {
        tokio::select! {
            _ = turns.tick() => {}
            () = stopped.cancelled() => return,
        }
        // The active replica calls: a standby polls nothing and says nothing of whether polling works.
        if health.role() != Role::Active && health.is_shared() {
            continue;
        }
        if !health.is_well(clock::now(), polled_within) {
            // Before the first poll, the missing heartbeat needs no warning.
            if started.elapsed() > FIRST_POLL {
                tracing::warn!("no heartbeat sent: polling or the store does not work");
            } else {
                tracing::debug!("no heartbeat sent: nothing was polled yet");
            }
            continue;
        }
        let answer = client.get(url.expose_secret()).timeout(Duration::from_secs(10)).send().await;
        let error = match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => None,
            Err(error) => Some(error.without_url().to_string()),
        };
        match (&error, failing) {
            (Some(error), false) => tracing::warn!(error, "the heartbeat's address does not answer"),
            (None, true) => tracing::info!("the heartbeat's address answers again"),
            _ => {}
        }
        failing = error.is_some();
    }
}
