//! Lists for programs: `GET` requests, paged by key. Each list is a row, from which its route and its part of the
//! document that describes the API are made.

use std::future::Future;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::{Api, unknown, wrong};
use crate::chat::lists::{DeliveryRow, EventRow, Filter, ListedService, Page};
use crate::chat::queries::{ListError, ListRequest};
use crate::clock;
use podbell_core::ask::Brief;
use podbell_core::mute::Mute;

type FilterQuery = Result<Query<Filter>, QueryRejection>;

pub(super) struct List {
    pub(super) path: &'static str,
    /// What is on it, in a sentence.
    pub(super) about: &'static str,
    /// The fields of [`Filter`] that it heeds.
    pub(super) filters: &'static [&'static str],
    /// The filter that must be given.
    pub(super) required: Option<&'static str>,
    /// Statuses other than 200.
    pub(super) refusals: &'static [u16],
    /// The shape of its pages.
    pub(super) page: fn(&mut SchemaGenerator) -> Schema,
    handler: fn() -> MethodRouter<Arc<Api>>,
}

const REFUSALS: &[u16] = &[400, 401, 429, 503];

/// Every list.
pub(super) const LISTS: [List; 5] = [
    List {
        path: "/api/v1/incidents",
        about: "Incidents, the newest first; a page may be short although there is a next one.",
        filters: &["cluster", "namespace", "service", "over", "after", "limit"],
        required: None,
        refusals: REFUSALS,
        page: page_of::<Brief>,
        handler: || get(incidents),
    },
    List {
        path: "/api/v1/events",
        about: "What a service shows and showed within the last day, the newest first.",
        filters: &["cluster", "namespace", "service", "level", "reason", "after", "limit"],
        required: Some("service"),
        refusals: REFUSALS,
        page: page_of::<EventRow>,
        handler: || get(events),
    },
    List {
        path: "/api/v1/mutes",
        about: "Mutes in force, the first to end first.",
        filters: &[],
        required: None,
        refusals: REFUSALS,
        page: page_of::<Mute>,
        handler: || get(mutes),
    },
    List {
        path: "/api/v1/deliveries",
        about: "Deliveries, the newest first; for tokens that see everything.",
        filters: &["destination", "state", "after", "limit"],
        required: None,
        refusals: &[400, 401, 403, 429, 503],
        page: page_of::<DeliveryRow>,
        handler: || get(deliveries),
    },
    List {
        path: "/api/v1/targets",
        about: "Watched services.",
        filters: &["cluster", "namespace", "service", "after", "limit"],
        required: None,
        refusals: REFUSALS,
        page: page_of::<ListedService>,
        handler: || get(targets),
    },
];

/// The routes of lists.
pub(super) fn routes() -> Router<Arc<Api>> {
    LISTS.iter().fold(Router::new(), |routes, list| routes.route(list.path, (list.handler)()))
}

async fn incidents(State(api): State<Arc<Api>>, headers: HeaderMap, asking: FilterQuery) -> Response {
    answer(&api, &headers, asking, |asked| api.queries.incidents(asked)).await
}

async fn mutes(State(api): State<Arc<Api>>, headers: HeaderMap, asking: FilterQuery) -> Response {
    answer(&api, &headers, asking, |asked| api.queries.mutes(asked)).await
}

async fn deliveries(State(api): State<Arc<Api>>, headers: HeaderMap, asking: FilterQuery) -> Response {
    answer(&api, &headers, asking, |asked| api.queries.deliveries(asked)).await
}

async fn targets(State(api): State<Arc<Api>>, headers: HeaderMap, asking: FilterQuery) -> Response {
    answer(&api, &headers, asking, |asked| api.queries.targets(asked)).await
}

async fn events(State(api): State<Arc<Api>>, headers: HeaderMap, asking: FilterQuery) -> Response {
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
    answer(&api, &headers, asking, |asked| api.queries.events(service, asked)).await
}

async fn answer<T: Serialize, F: Future<Output = Result<Page<T>, ListError>>>(
    api: &Api,
    headers: &HeaderMap,
    asking: FilterQuery,
    list: impl FnOnce(ListRequest) -> F,
) -> Response {
    let Some(token) = api.tokens.find(headers) else { return unknown() };
    let Ok(Query(filter)) = asking else { return unreadable() };
    match list(ListRequest { scope: token.scope.clone(), filter, now: clock::now() }).await {
        Ok(page) => ([(header::CACHE_CONTROL, "no-store")], Json(page)).into_response(),
        Err(ListError::InvalidCursor) => {
            let error = "`after` is the `next` of the page before, as it was";
            wrong(StatusCode::BAD_REQUEST, "an API request with an invalid key", error)
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

/// The schema of a page of `T`.
pub(super) fn page_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Page<T>>()
}
