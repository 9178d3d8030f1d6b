//! The legacy API, answered from the store, whatever source the events came from: for tools that still ask
//! `DescribeServiceEvent`. It exists only if podbell.yaml has a key for it.
//!
//! `served` checks who asks and shapes the answers. What a key may not see does not exist for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;

use super::served::{self, ApiRequest, ClusterRow, Key, Keys, Query, Refusal, View};
use super::{MEMORY, codes};
use crate::chat::RuleCatalog;
use crate::clock;
use crate::guard::Refused;
use podbell_core::event::{Event, Target};
use podbell_core::scope::Scope;
use podbell_core::time::Time;
use podbell_store::{Readers, Snapshot, StoreError};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests of one key are remembered for ten minutes, so that none is accepted twice.
const MAX_NONCES: usize = 100_000;

/// Somebody who may ask.
#[derive(Clone)]
pub struct GatewayKey {
    /// The `SecretId`.
    pub secret_id: SecretString,
    /// Its key.
    pub secret_key: SecretString,
    /// What it sees.
    pub scope: Scope,
}

struct Gateway {
    keys: Keys,
    scopes: Vec<Scope>,
    readers: Readers,
    catalog: Arc<RuleCatalog>,
}

/// The route of the gateway; none without keys. `host`: another host that clients may have signed instead of the
/// one in the request, because a proxy in between calls podbell by another name.
pub fn routes(keys: Vec<GatewayKey>, host: Option<String>, readers: Readers, catalog: Arc<RuleCatalog>) -> Router {
    if keys.is_empty() {
        return Router::new();
    }
    let scopes = keys.iter().map(|key| key.scope.clone()).collect();
    let keys = keys.into_iter().map(|key| Key { id: key.secret_id, key: key.secret_key, token: None });
    let keys = Keys::new(keys, host.into_iter().collect(), MAX_NONCES);
    let gateway = Arc::new(Gateway { keys, scopes, readers, catalog });
    Router::new().route(served::PATH, axum::routing::any(serve)).with_state(gateway)
}

async fn serve(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let asked = match ApiRequest::read(request).await {
        Ok(asked) => asked,
        Err(status) => return Refused::new(status, "a request that the legacy API does not know").into_response(),
    };
    let now = clock::now();
    let result = match gateway.admit(&asked, now) {
        Ok((scope, query)) => gateway.look(scope, query, now).await,
        Err(refusal) => Err(refusal),
    };
    let why = result.as_ref().err().and_then(|refusal| stranger(refusal.code));
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    let mut response = (kind, served::body(result)).into_response();
    if let Some(why) = why {
        // The API puts errors into the body and answers with status 200; the log must see the error all the same.
        response.extensions_mut().insert(Refused::new(StatusCode::OK, why));
    }
    response
}

/// The log's words for somebody who may not ask.
fn stranger(code: i64) -> Option<&'static str> {
    match code {
        4104 => Some("a gateway request of an unknown SecretId"),
        4100 | 4105 => Some("a gateway request with a wrong signature"),
        4200 => Some("a gateway request whose Timestamp is too far off"),
        4500 => Some("a gateway request whose Nonce was used before"),
        4400 => Some("a gateway key over its quota"),
        _ => None,
    }
}

impl Gateway {
    fn admit(&self, asked: &ApiRequest, now: Time) -> Result<(Scope, Query), Refusal> {
        asked.need("Action")?;
        let key = self.keys.check(asked, now)?;
        let scope = self.scopes.get(key).cloned().ok_or_else(|| Refusal::new(4104, "SecretId not found"))?;
        Ok((scope, Query::of(asked)?))
    }

    async fn look(&self, scope: Scope, query: Query, now: Time) -> Result<served::Data, Refusal> {
        let known = self.catalog.get();
        let reading = self.readers.read(TIMEOUT, move |snapshot| {
            let alias = |id: &str| known.alias(id).map(str::to_owned);
            Ok(query.look(&Stored { snapshot, scope: &scope, alias: &alias, now }))
        });
        reading.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the gateway could not answer");
            Err(Refusal::new(6000, "the state cannot be read at the moment"))
        })
    }
}

/// What a key may see of one snapshot of the store.
struct Stored<'a> {
    snapshot: &'a dyn Snapshot,
    scope: &'a Scope,
    alias: &'a dyn Fn(&str) -> Option<String>,
    now: Time,
}

impl Stored<'_> {
    fn targets(&self) -> Result<Vec<Target>, Refusal> {
        let own = self.snapshot.services(&|names| self.scope.sees_names(names)).map_err(unreadable)?;
        Ok(own.into_iter().map(|service| service.target).collect())
    }
}

fn unreadable(error: StoreError) -> Refusal {
    tracing::warn!(%error, "the gateway could not read the store");
    Refusal::new(6000, "the state cannot be read at the moment")
}

fn no_cluster(id: &str) -> Refusal {
    Refusal::new(codes::NO_CLUSTER, format!("cluster {id} not found"))
}

impl View for Stored<'_> {
    fn clusters(&self) -> Result<BTreeSet<ClusterRow>, Refusal> {
        let ids: BTreeSet<String> = self.targets()?.into_iter().map(|target| target.cluster.to_string()).collect();
        let row = |id: String| ClusterRow { name: (self.alias)(&id).unwrap_or_else(|| id.clone()), id };
        Ok(ids.into_iter().map(row).collect())
    }

    fn services(&self, cluster: &str) -> Result<BTreeSet<(String, String)>, Refusal> {
        let of_it = self.targets()?.into_iter().filter(|target| *target.cluster == *cluster);
        let all: BTreeSet<_> = of_it.map(|target| (target.namespace.to_string(), target.service.to_string())).collect();
        if all.is_empty() { Err(no_cluster(cluster)) } else { Ok(all) }
    }

    /// Events of the last hour, without duplicates: two sources may watch the same service.
    fn events(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<Event<'static>>, Refusal> {
        let named = self.snapshot.services_named(service).map_err(unreadable)?;
        let is_it = |target: &Target| *target.cluster == *cluster && *target.namespace == *namespace;
        let its: Vec<Target> = named.into_iter().map(|one| one.target).filter(|target| is_it(target)).collect();
        if its.is_empty() || !self.scope.sees_any(&its) {
            // A key that sees nothing of the cluster is told that there is no such cluster.
            self.services(cluster)?;
            return Err(Refusal::new(codes::NO_SERVICE, format!("service {service} not found")));
        }
        let since = self.now.minus(MEMORY);
        let mut all: Vec<Event<'static>> = Vec::new();
        for target in &its {
            let seen = self.snapshot.seen(&[target]).map_err(unreadable)?;
            all.extend(seen.into_iter().map(|seen| seen.event).filter(|event| event.last_seen >= since));
        }
        all.sort_by(|a, b| order(b).cmp(&order(a)).then_with(|| identity(a).cmp(&identity(b))));
        let mut known = BTreeSet::new();
        all.retain(|event| {
            let (kind, name, reason, message) = identity(event);
            known.insert((kind.to_owned(), name.to_owned(), reason.to_owned(), message.to_owned(), event.first_seen))
        });
        Ok(all)
    }
}

/// The newest first; of the same episode, the reading with the highest count.
fn order(event: &Event<'_>) -> (Time, Time, u64) {
    (event.last_seen, event.first_seen, event.count)
}

fn identity<'e>(event: &'e Event<'_>) -> (&'e str, &'e str, &'e str, &'e str) {
    (&event.obj_type, &event.obj_name, &event.reason, &event.message)
}
