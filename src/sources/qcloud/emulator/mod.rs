//! The other side of the legacy API, for demos and tests: real checks, real error codes, and a
//! recording to play.
//!
//! `auth` checks who asks, `play` knows what there is to see at a time, `api` puts both into
//! answers. It is no part of polling and imports nothing of the client; both share `signature` and
//! `codes`.

mod api;
mod auth;
mod play;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::play::Play;
use super::signature::HttpMethod;
use crate::clock;

/// Where the API answers.
pub const PATH: &str = "/v2/index.php";
/// Longer forms than this are refused.
const MAX_FORM: usize = 64 * 1024;

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
    stop: watch::Sender<bool>,
    task: JoinHandle<io::Result<()>>,
}

/// What requests share.
struct Shared {
    config: EmulatorConfig,
    nonces: Mutex<auth::Nonces>,
    faults: Mutex<VecDeque<i64>>,
    requests: AtomicU64,
}

impl Emulator {
    /// Serves on a listener that is bound already, so that its port is known; the play starts now.
    pub fn start(listener: TcpListener, config: EmulatorConfig) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let state = Arc::new(Shared {
            config,
            nonces: Mutex::default(),
            faults: Mutex::default(),
            requests: AtomicU64::new(0),
        });
        let app = Router::new()
            .route(PATH, axum::routing::any(serve))
            .layer(DefaultBodyLimit::max(MAX_FORM))
            .with_state(state.clone());
        let (stop, mut stopped) = watch::channel(false);
        let ended = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let task = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(ended).await });
        Ok(Self { addr, state, stop, task })
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

    /// Answers the next requests that pass the checks with these codes, one each; 0 answers as ever.
    pub fn fail_next(&self, codes: impl IntoIterator<Item = i64>) {
        lock(&self.state.faults).extend(codes);
    }

    /// Stops; answers that are under way are finished, but not waited for longer than a second.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(1), self.task).await.is_err() {
            abort.abort();
        }
    }
}

/// A thread that panicked while it held the lock left a queue or a set, both fine as they are.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(State(state): State<Arc<Shared>>, request: Request) -> Response {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let method = match *request.method() {
        Method::GET => HttpMethod::Get,
        Method::POST => HttpMethod::Post,
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let form = match method {
        HttpMethod::Get => request.uri().query().unwrap_or_default().as_bytes().to_vec(),
        HttpMethod::Post => match axum::body::to_bytes(request.into_body(), MAX_FORM).await {
            Ok(body) => body.to_vec(),
            Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        },
    };
    // Both `+` and `%20` are blanks.
    let params: Vec<(String, String)> = url::form_urlencoded::parse(&form).into_owned().collect();
    let body = api::answer(&state, &auth::Asked { method, host: &host, path: PATH, params: &params }, clock::now());
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
}
