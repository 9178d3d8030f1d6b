//! Bounds what strangers may cost: a guard in front of every public route.
//!
//! Bounds bodies (size and time) and the requests of each caller (a second and at once), and logs what was refused. It
//! knows no platform and no secret. Health and metrics are not behind it, so that nobody can make podbell look dead.

mod attempts;
pub(crate) mod headers;
mod refusals;

pub(crate) use self::attempts::CallerSecrets;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use self::attempts::SharedWrongSecrets;
use self::refusals::Refusals;
use crate::clock;

/// Who calls: the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller(pub IpAddr);

/// The exact address of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub IpAddr);

impl Caller {
    /// The caller at an address. The owner of an IPv6 network has all of its addresses, so they count as one.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        }
    }
}

/// How much is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes. A click in a chat may carry the message that the button is in.
    pub body: usize,
    /// How long a body may take.
    pub body_time: Duration,
    /// Requests a second of one caller.
    pub per_second: NonZeroU32,
    /// How many of them at once after a pause.
    pub burst: NonZeroU32,
    /// Requests that are worked on at the same time.
    pub at_once: usize,
    /// The same for one caller, so that nobody takes every place.
    pub at_once_each: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self {
            body: 256 * 1024,
            body_time: Duration::from_secs(10),
            per_second: number(50),
            burst: number(200),
            at_once: 128,
            at_once_each: 32,
        }
    }
}

/// How many callers are remembered at the same time.
const MAX_CALLERS: usize = 10_000;

/// A refused request, with the reason for the log. The caller sees the status only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    /// The answer.
    pub status: StatusCode,
    /// Why, for the log: words of podbell's own, never of the request.
    pub why: &'static str,
}

impl Refused {
    /// A refusal.
    pub(crate) fn new(status: StatusCode, why: &'static str) -> Self {
        Self { status, why }
    }
}

/// A response that refuses something, for the log of what was refused.
pub(crate) fn logged(response: Response, why: &'static str) -> Response {
    (Extension(Refused::new(response.status(), why)), response).into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

type Rate = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// The guard's state.
pub struct Gate {
    limits: Limits,
    rate: Rate,
    busy: Mutex<HashMap<IpAddr, usize>>,
    refusals: Refusals,
    attempts: SharedWrongSecrets,
}

impl Gate {
    /// A guard with these limits.
    pub fn new(limits: Limits) -> Arc<Self> {
        let quota = Quota::per_second(limits.per_second).allow_burst(limits.burst);
        let rate = RateLimiter::new(quota, HashMapStateStore::default(), DefaultClock::default());
        Arc::new(Self {
            limits,
            rate,
            busy: Mutex::default(),
            refusals: Refusals::default(),
            attempts: SharedWrongSecrets::default(),
        })
    }

    fn in_time(&self, caller: Caller) -> bool {
        if self.rate.len() >= MAX_CALLERS {
            self.rate.retain_recent();
            if self.rate.len() >= MAX_CALLERS {
                // Ten thousand busy callers are an attack; strangers wait until it is over.
                return false;
            }
        }
        self.rate.check_key(&caller.0).is_ok()
    }

    /// Takes a place among the requests that are worked on.
    fn place(self: &Arc<Self>, caller: Caller) -> Option<Permit> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = busy.values().sum();
        let own = busy.get(&caller.0).copied().unwrap_or_default();
        if all >= self.limits.at_once || own >= self.limits.at_once_each {
            return None;
        }
        busy.insert(caller.0, own + 1);
        Some(Permit { gate: self.clone(), caller })
    }
}

/// A place; free again when it is dropped.
struct Permit {
    gate: Arc<Gate>,
    caller: Caller,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut busy = self.gate.busy.lock().unwrap_or_else(PoisonError::into_inner);
        match busy.get_mut(&self.caller.0) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                busy.remove(&self.caller.0);
            }
        }
    }
}

/// Puts the guard in front of routes, and of the fallbacks for unknown paths and methods.
pub fn guarded(routes: Router, gate: Arc<Gate>) -> Router {
    routes
        .method_not_allowed_fallback(|| async { Refused::new(StatusCode::METHOD_NOT_ALLOWED, "a wrong method") })
        .fallback(|| async { Refused::new(StatusCode::NOT_FOUND, "nothing is there") })
        .layer(from_fn_with_state(gate, guard))
}

async fn guard(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let unknown = Caller(Ipv4Addr::UNSPECIFIED.into());
    let caller = request.extensions().get::<Caller>().copied().unwrap_or(unknown);
    request.extensions_mut().insert(gate.attempts.of(caller));
    let response = match admit(&gate, caller, request, next).await {
        Ok(response) => response,
        Err(refused) => refused.into_response(),
    };
    if let Some(refused) = response.extensions().get::<Refused>() {
        gate.refusals.note(refused, caller, clock::now());
    }
    response
}

async fn admit(gate: &Arc<Gate>, caller: Caller, request: Request, next: Next) -> Result<Response, Refused> {
    if !gate.in_time(caller) {
        return Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, "too many requests"));
    }
    let busy = Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once");
    let _place = gate.place(caller).ok_or(busy)?;
    let (head, body) = request.into_parts();
    let too_large = Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "a body that is too large");
    if announced(&head.headers).is_some_and(|length| length > gate.limits.body as u64) {
        return Err(too_large);
    }
    let body = match tokio::time::timeout(gate.limits.body_time, to_bytes(body, gate.limits.body)).await {
        Err(_) => return Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "a body that is too slow")),
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_limit(&error) => return Err(too_large),
        Ok(Err(_)) => return Err(Refused::new(StatusCode::BAD_REQUEST, "a body that was cut off")),
    };
    Ok(next.run(Request::from_parts(head, Body::from(body))).await)
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether a body ended at its limit, and not because the other side went away.
fn is_limit(error: &axum::Error) -> bool {
    let mut error: Option<&dyn std::error::Error> = Some(error);
    while let Some(one) = error {
        if one.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        error = one.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_caller() {
        let caller = |text: &str| Caller::of(text.parse().unwrap());
        assert_eq!(caller("2001:db8:1:2::1"), caller("2001:db8:1:2:ffff::9"));
        assert_ne!(caller("2001:db8:1:2::1"), caller("2001:db8:1:3::1"));
        assert_eq!(caller("::ffff:192.0.2.1"), caller("192.0.2.1"));
        assert_ne!(caller("192.0.2.1"), caller("192.0.2.2"));
    }

    #[test]
    fn one_caller_never_takes_every_place_and_places_are_given_back() {
        let gate = Gate::new(Limits { at_once: 3, at_once_each: 2, ..Limits::default() });
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|text| Caller::of(text.parse().unwrap()));
        let (first, _second) = (gate.place(a).unwrap(), gate.place(a).unwrap());
        assert!(gate.place(a).is_none());
        let _other = gate.place(b).unwrap();
        assert!(gate.place(b).is_none(), "all places are taken");
        drop(first);
        assert!(gate.place(a).is_some());
        drop((_second, _other));
        assert!(gate.busy.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_of_callers_is_bounded() {
        let gate = Gate::new(Limits::default());
        for n in 0..30_000_u32 {
            gate.in_time(Caller(Ipv4Addr::from(n).into()));
        }
        assert!(gate.rate.len() <= MAX_CALLERS);
    }
}
