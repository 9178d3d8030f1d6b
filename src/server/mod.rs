//! The HTTP server: health, readiness, metrics, and, behind a guard, the public routes.
//!
//! Health and metrics read only [`HealthStatus`], so they never wait for the store or a delivery.

pub mod api;
mod connections;
pub(crate) mod files;
mod metrics;
pub mod page;
mod prompt;
mod reload;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) use self::reload::{Ask, NotReloaded, Reload};
use crate::guard::{Gate, Limits, guarded};
use crate::health::HealthStatus;

/// Serves until the watch turns true. `outside` are the public routes (chats, an API), without a fallback of their own;
/// a guard stands in front of them.
pub async fn serve(
    listener: TcpListener,
    health: Arc<HealthStatus>,
    reload: Option<Reload>,
    outside: Router,
    stopped: watch::Receiver<bool>,
) {
    let outside = outside.merge(reload::routes(reload));
    let outside = guarded(outside, Gate::new(Limits::default()));
    connections::serve(listener, routes(health).merge(outside), stopped).await;
}

fn routes(health: Arc<HealthStatus>) -> Router {
    let (alive, ready) = (health.clone(), health.clone());
    Router::new()
        .route("/healthz", get(move || async move { verdict(alive.alive(), "no turn for 30 s") }))
        .route("/readyz", get(move || async move { verdict(ready.ready(), "the store cannot be written") }))
        .route("/metrics", get(move || async move { metrics_page(&health) }))
}

fn verdict(good: bool, bad: &'static str) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, bad) }
}

fn metrics_page(health: &HealthStatus) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics::page(&health.snapshot(), health.turns(), health.exported()))
}
