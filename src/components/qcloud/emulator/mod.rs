//! The server's side of the legacy API, for demos and tests: real checks, real error codes, and a recording to
//! play.
//!
//! `play` knows what there is to see at a time; `served` checks who may ask and shapes the answers. The emulator is
//! no part of polling and imports nothing of the client; both share `signature` and `codes`.

mod play;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::play::Play;
use self::play::Shown;
use super::codes;
pub(crate) use super::served::PATH;
use super::served::{self, ApiRequest, ClusterRow, Key, Keys, MAX_FORM, Query, Refusal, View};
use crate::clock;
use podbell_core::event::Event;
use podbell_core::time::Time;

/// At most this many nonces are remembered.
const MAX_NONCES: usize = 1_000_000;

/// What the emulator accepts and plays.
#[derive(Clone)]
pub struct EmulatorConfig {
    /// The only `SecretId` it knows.
    pub secret_id: SecretString,
    /// Its key.
    pub secret_key: SecretString,
    /// The `Token` that requests must carry, if any.
    pub token: Option<SecretString>,
    /// What there is to see.
    pub play: Play,
}

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    addr: SocketAddr,
    state: Arc<Shared>,
    stop: DropGuard,
    task: JoinHandle<io::Result<()>>,
}

/// What requests share.
struct Shared {
    play: Play,
    keys: Keys,
    faults: Mutex<VecDeque<i64>>,
    requests: AtomicU64,
}

impl Emulator {
    /// Serves on a listener that is already bound, so that its port is known; the play starts now.
    pub fn start(listener: TcpListener, config: EmulatorConfig) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let EmulatorConfig { secret_id: id, secret_key: key, token, play } = config;
        let state = Arc::new(Shared {
            play,
            keys: Keys::new([Key { id, key, token }], Vec::new(), MAX_NONCES),
            faults: Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let app = Router::new()
            .route(PATH, axum::routing::any(serve))
            .layer(DefaultBodyLimit::max(MAX_FORM))
            .with_state(state.clone());
        let stop = CancellationToken::new();
        let ended = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(ended).await });
        Ok(Self { addr, state, stop: stop.drop_guard(), task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The `endpoint` for podbell.yaml.
    pub fn endpoint(&self) -> String {
        format!("http://{}{PATH}", self.addr)
    }

    /// Requests so far, refused ones included.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Answers the next requests that pass the checks with these codes, one each; 0 answers normally.
    pub fn fail_next(&self, codes: impl IntoIterator<Item = i64>) {
        self.state.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(codes);
    }

    /// Stops. Answers in progress may finish, but are waited for at most a second.
    pub async fn stop(self) {
        drop(self.stop);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(1), self.task).await.is_err() {
            abort.abort();
        }
    }
}

async fn serve(State(state): State<Arc<Shared>>, request: Request) -> Response {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let asked = match ApiRequest::read(request).await {
        Ok(asked) => asked,
        Err(status) => return status.into_response(),
    };
    let now = clock::now();
    let checked = || {
        asked.need("Action")?;
        state.keys.check(&asked, now)?;
        // A panic while the lock was held leaves the queue valid.
        let fault = state.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(code) = fault.filter(|code| *code != 0) {
            return Err(Refusal::new(code, "asked for"));
        }
        Query::of(&asked)?.look(&Showing { play: &state.play, now })
    };
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], served::body(checked())).into_response()
}

/// What the play shows at a moment.
struct Showing<'a> {
    play: &'a Play,
    now: Time,
}

impl View for Showing<'_> {
    fn clusters(&self) -> Result<BTreeSet<ClusterRow>, Refusal> {
        Ok(self.play.clusters(self.now).into_iter().map(|id| ClusterRow { name: id.clone(), id }).collect())
    }

    fn services(&self, cluster: &str) -> Result<BTreeSet<(String, String)>, Refusal> {
        if !self.play.knows_cluster(cluster) {
            return Err(Refusal::new(codes::NO_CLUSTER, format!("cluster {cluster} not found")));
        }
        Ok(self.play.services(cluster, self.now))
    }

    fn events(&self, cluster: &str, namespace: &str, service: &str) -> Result<Vec<Event<'static>>, Refusal> {
        match self.play.shown(cluster, namespace, service, self.now) {
            Shown::List(events) => Ok(events),
            Shown::Error(code, words) => Err(Refusal::new(code, words)),
        }
    }
}
