//! `POST /-/reload`: for a token that may write and sees everything, and for somebody on this machine. Restricted,
//! because its answer shows lines of rule files.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::{mpsc, oneshot};

use super::api::{Rights, Token, Tokens};
use crate::guard::{CallerSecrets, Peer, logged};

/// A request to reload: where its answer goes, which says what is in force now, or what is wrong.
pub(crate) type ReloadRequest = oneshot::Sender<Result<String, NotReloaded>>;

/// Why no other rules hold now, in words that name the mistakes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReloaded(pub String);

/// The task that reloads rules, and the tokens that may ask for it from elsewhere.
pub struct Reload {
    /// Requests to that task, one at a time.
    pub asks: mpsc::Sender<ReloadRequest>,
    /// The tokens of podbell.yaml; only those that may write and see everything are accepted.
    pub tokens: Vec<Token>,
    /// Whether podbell has a public address. Then a proxy on this machine may pass on requests of anybody, and many do
    /// not say so.
    pub is_public: bool,
}

struct Reloader {
    asks: mpsc::Sender<ReloadRequest>,
    tokens: Tokens,
    is_public: bool,
}

/// The route; none where there is nothing to reload.
pub(super) fn routes(reload: Option<Reload>) -> Router {
    let Some(Reload { asks, tokens, is_public }) = reload else { return Router::new() };
    let reloader = Arc::new(Reloader { asks, tokens: Tokens::new(tokens), is_public });
    Router::new().route("/-/reload", post(reload_rules)).with_state(reloader)
}

async fn reload_rules(
    State(reloader): State<Arc<Reloader>>,
    peer: Option<Extension<Peer>>,
    tries: Option<Extension<CallerSecrets>>,
    headers: HeaderMap,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    if let Err((status, why)) = reloader.admit(peer, tries.as_deref(), &headers) {
        return refused(status, why);
    }
    let (ask, answer) = oneshot::channel();
    // One reload at a time; the caller may try again.
    if reloader.asks.try_send(ask).is_err() {
        return (StatusCode::TOO_MANY_REQUESTS, "a reload is going on\n").into_response();
    }
    match answer.await {
        Ok(Ok(said)) => (StatusCode::OK, format!("{said}\n")).into_response(),
        Ok(Err(wrong)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{wrong}\n")).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "podbell is ending\n").into_response(),
    }
}

fn refused(status: StatusCode, why: &'static str) -> Response {
    let said = match status {
        StatusCode::TOO_MANY_REQUESTS => "too many wrong tokens: wait for a minute\n",
        _ => {
            "reload with a token of podbell.yaml that may write (Authorization: Bearer TOKEN), on podbell's own machine if podbell.yaml has no `server.public_url` (curl -X POST http://127.0.0.1:PORT/-/reload), or with SIGHUP\n"
        }
    };
    logged((status, said).into_response(), why)
}

impl Reloader {
    fn admit(
        &self,
        peer: Option<Peer>,
        tries: Option<&CallerSecrets>,
        headers: &HeaderMap,
    ) -> Result<(), (StatusCode, &'static str)> {
        if !headers.contains_key(header::AUTHORIZATION) {
            let near = !self.is_public && is_near(peer, headers);
            return near.then_some(()).ok_or((StatusCode::FORBIDDEN, "a reload that nobody may ask for"));
        }
        if tries.is_some_and(|tries| !tries.may_try()) {
            return Err((StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens"));
        }
        match self.tokens.find(headers) {
            Some(token) if token.rights == Rights::Write && token.scope.is_everything() => Ok(()),
            Some(_) => Err((StatusCode::FORBIDDEN, "a reload with a token that may not")),
            None => {
                tries.into_iter().for_each(CallerSecrets::was_wrong);
                Err((StatusCode::UNAUTHORIZED, "a reload with a token that is not known"))
            }
        }
    }
}

/// Whether a person on this machine asks: not a web page, and not a proxy for somebody else.
fn is_near(peer: Option<Peer>, headers: &HeaderMap) -> bool {
    const PASSED_ON: [&str; 9] = [
        "origin",
        "sec-fetch-site",
        "referer",
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
    ];
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, port)| match port.bytes().all(|b| b.is_ascii_digit()) {
        true => name,
        false => host,
    });
    // Only loopback names are accepted as `Host`: anybody's DNS can lead another name here.
    let own =
        matches!(name, "localhost" | "[::1]") || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback());
    peer.is_some_and(|Peer(ip)| ip.is_loopback()) && own && !PASSED_ON.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_somebody_on_this_machine_is_near() {
        let near = |peer: &str, pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(*name, axum::http::HeaderValue::from_static(value));
            }
            is_near(Some(Peer(peer.parse().unwrap())), &headers)
        };
        for host in ["127.0.0.1:8080", "localhost", "[::1]:8080", "127.0.0.2"] {
            assert!(near("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(near("::1", &[("host", "[::1]")]));
        assert!(!near("192.0.2.1", &[("host", "127.0.0.1:8080")]));
        for pair in [
            ("host", "podbell.example.com"),
            ("host", "rebound.example:8080"),
            ("host", ""),
            ("host", "127.0.0.1.evil.example"),
        ] {
            assert!(!near("127.0.0.1", &[pair]), "{pair:?}");
        }
        for more in [
            ("origin", "http://127.0.0.1:8080"),
            ("x-forwarded-for", "192.0.2.1"),
            ("via", "1.1 proxy"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!near("127.0.0.1", &[("host", "127.0.0.1:8080"), more]), "{more:?}");
        }
    }
}
