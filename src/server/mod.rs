//! The HTTP server: health, readiness, metrics, and, behind a guard, the public routes.
//!
//! Health and metrics read only [`HealthStatus`], so they never wait for the store or a delivery.

pub mod api;
mod connections;
pub(crate) mod files;
mod metrics;
pub mod page;
mod reload;
mod write_timeout;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) use self::reload::{NotReloaded, Reload, ReloadRequest};
use crate::guard::{Gate, Limits, guarded};
use crate::health::{HealthStatus, Role};

/// Serves until `stopped` is cancelled. `outside` are the public routes (chats, an API), without a fallback of their own;
/// a guard stands in front of them.
pub async fn serve(
    listener: TcpListener,
    health: Arc<HealthStatus>,
    reload: Option<Reload>,
    outside: Router,
    stopped: CancellationToken,
) {
    let outside = outside.merge(reload::routes(reload));
    let outside = guarded(outside, Gate::new(Limits::default()));
    connections::serve(listener, routes(health).merge(outside), stopped).await;
}

fn routes(health: Arc<HealthStatus>) -> Router {
    let (alive, ready) = (health.clone(), health.clone());
    Router::new()
        .route("/healthz", get(move || async move { verdict(alive.is_alive(), "the engine has not run for 30 s\n") }))
        .route("/readyz", get(move || async move { readiness(&ready) }))
        .route("/metrics", get(move || async move { metrics_page(&health) }))
}

fn verdict(good: bool, bad: &'static str) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, bad) }
}

/// A standby is ready, too: it answers questions, and a rolling update waits for it.
fn readiness(health: &HealthStatus) -> (StatusCode, String) {
    if !health.is_ready() {
        let why = if health.is_shared() { "the store cannot be reached" } else { "the store cannot be written" };
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    }
    let role = match health.role() {
        Role::Active => match health.lease() {
            Some(lease) => format!(": active in epoch {}", lease.epoch),
            None => String::new(),
        },
        Role::Standby(holder) => format!(": standby; {} is active in epoch {}", holder.replica, holder.epoch),
        Role::Waiting => ": standby; no replica is known to be active".to_owned(),
    };
    (StatusCode::OK, format!("ok{role}\n"))
}

fn metrics_page(health: &HealthStatus) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics::page(health))
}
