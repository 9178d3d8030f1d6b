//! What podbell serves: health, readiness, metrics. Reads only [`Pulse`], so it never waits for the
//! store or a delivery.

mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::Pulse;

/// Serves until the watch turns true.
pub async fn serve(listener: TcpListener, pulse: Arc<Pulse>, mut stopped: watch::Receiver<bool>) {
    let stop = async move {
        // A sender that is gone means the same.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    if let Err(error) = axum::serve(listener, routes(pulse)).with_graceful_shutdown(stop).await {
        tracing::error!(%error, "the server ended");
    }
}

fn routes(pulse: Arc<Pulse>) -> Router {
    let (alive, ready) = (pulse.clone(), pulse.clone());
    Router::new()
        .route("/healthz", get(move || async move { verdict(alive.alive(), "no turn for 30 s") }))
        .route("/readyz", get(move || async move { verdict(ready.ready(), "the store cannot be written") }))
        .route("/metrics", get(move || async move { metrics_page(&pulse) }))
}

fn verdict(good: bool, bad: &'static str) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, bad) }
}

fn metrics_page(pulse: &Pulse) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics::page(&pulse.snapshot()))
}
