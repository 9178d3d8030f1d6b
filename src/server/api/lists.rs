//! What there is, for programs: `GET` requests, pages by key. The document that describes them lies in
//! `schema/openapi.json`; a test holds it against what is answered.

use std::future::Future;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::{Api, unknown, wrong};
use crate::chat::desk::{Asked, ListError};
use crate::chat::lists::{Filter, Page};
use crate::clock;

/// The document.
const OPENAPI: &str = include_str!("../../schema/openapi.json");

type Asking = Result<Query<Filter>, QueryRejection>;

/// The routes of lists.
pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/api/v1/incidents", get(incidents))
        .route("/api/v1/events", get(events))
        .route("/api/v1/mutes", get(mutes))
        .route("/api/v1/deliveries", get(deliveries))
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/openapi.json", get(openapi))
}

async fn incidents(State(api): State<Arc<Api>>, headers: HeaderMap, asking: Asking) -> Response {
    answer(&api, &headers, asking, |asked| api.desk.incidents(asked)).await
}

async fn mutes(State(api): State<Arc<Api>>, headers: HeaderMap, asking: Asking) -> Response {
    answer(&api, &headers, asking, |asked| api.desk.mutes(asked)).await
}

async fn deliveries(State(api): State<Arc<Api>>, headers: HeaderMap, asking: Asking) -> Response {
    answer(&api, &headers, asking, |asked| api.desk.deliveries(asked)).await
}

async fn targets(State(api): State<Arc<Api>>, headers: HeaderMap, asking: Asking) -> Response {
    answer(&api, &headers, asking, |asked| api.desk.targets(asked)).await
}

async fn events(State(api): State<Arc<Api>>, headers: HeaderMap, asking: Asking) -> Response {
    let Some(service) = asking.as_ref().ok().and_then(|Query(filter)| filter.service.clone()) else {
        return match (api.tokens.find(&headers), asking) {
            (None, _) => unknown(),
            (_, Err(_)) => unreadable(),
            (_, Ok(_)) => {
                let error = "say of which service: ?service=web, and if you like namespace and cluster";
                wrong(StatusCode::BAD_REQUEST, "an API request for events of no service", error)
            }
        };
    };
    answer(&api, &headers, asking, |asked| api.desk.events(service, asked)).await
}

async fn openapi(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    match api.tokens.find(&headers) {
        Some(_) => ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response(),
        None => unknown(),
    }
}

async fn answer<T: Serialize, F: Future<Output = Result<Page<T>, ListError>>>(
    api: &Api,
    headers: &HeaderMap,
    asking: Asking,
    list: impl FnOnce(Asked) -> F,
) -> Response {
    let Some(token) = api.tokens.find(headers) else { return unknown() };
    let Ok(Query(filter)) = asking else { return unreadable() };
    match list(Asked { scope: token.scope.clone(), filter, now: clock::now() }).await {
        Ok(page) => ([(header::CACHE_CONTROL, "no-store")], Json(page)).into_response(),
        Err(ListError::NoKey) => {
            let error = "`after` is the `next` of the page before, as it was";
            wrong(StatusCode::BAD_REQUEST, "an API request with a key that is none", error)
        }
        Err(ListError::NotYours) => {
            let error = "deliveries are of all teams: only a token without cluster, namespace and service reads them";
            wrong(StatusCode::FORBIDDEN, "an API request beyond what a token sees", error)
        }
        Err(ListError::Unreadable) => {
            let error = "the store cannot be read at the moment; try again";
            wrong(StatusCode::SERVICE_UNAVAILABLE, "an API request that the store could not answer", error)
        }
    }
}

fn unreadable() -> Response {
    let error = "an unknown parameter, or one that cannot be read; see /api/v1/openapi.json";
    wrong(StatusCode::BAD_REQUEST, "an API request with a wrong parameter", error)
}
