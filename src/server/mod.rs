//! What podbell serves: health, readiness, metrics, and behind a guard what is asked from outside.
//!
//! Health and metrics read only [`Pulse`], so they never wait for the store or a delivery.

pub mod api;
mod connections;
pub mod gateway;
pub mod limits;
mod metrics;
pub mod page;
mod refusals;

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use self::limits::{Gate, Limits};
use crate::app::Pulse;
use crate::app::reload::Ask;

/// Serves until the watch turns true. `outside` are routes for strangers (chats, an API), without a
/// fallback of their own; a guard stands in front of them.
pub async fn serve(
    listener: TcpListener,
    pulse: Arc<Pulse>,
    asks: Option<mpsc::Sender<Ask>>,
    outside: Router,
    stopped: watch::Receiver<bool>,
) {
    let outside = limits::guarded(outside, Gate::new(Limits::default()));
    connections::serve(listener, routes(pulse, asks).merge(outside), stopped).await;
}

fn routes(pulse: Arc<Pulse>, asks: Option<mpsc::Sender<Ask>>) -> Router {
    let (alive, ready) = (pulse.clone(), pulse.clone());
    Router::new()
        .route("/healthz", get(move || async move { verdict(alive.alive(), "no turn for 30 s") }))
        .route("/readyz", get(move || async move { verdict(ready.ready(), "the store cannot be written") }))
        .route("/metrics", get(move || async move { metrics_page(&pulse) }))
        .route("/-/reload", post(move || reload(asks)))
}

/// Reads the rules again. What is refused is told in the chat as well.
async fn reload(asks: Option<mpsc::Sender<Ask>>) -> (StatusCode, String) {
    let Some(asks) = asks else { return (StatusCode::NOT_FOUND, "there is nothing to reload\n".to_owned()) };
    let (ask, answer) = oneshot::channel();
    // One at a time; whoever is in a hurry comes again.
    if asks.try_send(ask).is_err() {
        return (StatusCode::TOO_MANY_REQUESTS, "a reload is going on\n".to_owned());
    }
    match answer.await {
        Ok(Ok(said)) => (StatusCode::OK, format!("{said}\n")),
        Ok(Err(wrong)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{wrong}\n")),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "podbell is ending\n".to_owned()),
    }
}

fn verdict(good: bool, bad: &'static str) -> (StatusCode, &'static str) {
    if good { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, bad) }
}

fn metrics_page(pulse: &Pulse) -> impl IntoResponse + use<> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics::page(&pulse.snapshot()))
}
