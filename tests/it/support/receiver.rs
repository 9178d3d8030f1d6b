//! A receiver of deliveries on a real socket: answers as it is told to, and remembers what came,
//! and when. It checks signatures with its own few lines, not with podbell's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use podbell_core::time::Time;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the receiver says.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub after: Duration,
}

impl Answer {
    pub fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned(), after: Duration::ZERO }
    }

    pub fn late(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }

    pub fn with(mut self, header: &str, value: &str) -> Self {
        self.headers.push((header.to_owned(), value.to_owned()));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = self.body.into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            response.headers_mut().insert(name, HeaderValue::from_str(&value).unwrap());
        }
        response
    }
}

/// What came.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Time,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The status that it was answered with, heard or not.
    pub status: u16,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Whether one of its signatures was made with this secret (base64, with or without `whsec_`).
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = base64::engine::general_purpose::STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(self.header("webhook-id").unwrap().as_bytes());
        mac.update(b".");
        mac.update(self.header("webhook-timestamp").unwrap().as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        let header = self.header("webhook-signature").unwrap_or_default();
        header.split(' ').any(|one| one.strip_prefix("v1,") == Some(signature.as_str()))
    }
}

/// What a receiver says to each request.
type Manner = Box<dyn FnMut(&Received) -> Answer + Send>;

#[derive(Default)]
struct Inner {
    next: VecDeque<Answer>,
    manner: Option<Manner>,
    received: Vec<Received>,
}

/// A running receiver; it stops when it is dropped.
pub struct Receiver {
    address: String,
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Starts one that answers 200 `ok` until it is told otherwise.
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// The same at an address.
    pub async fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner::default()));
        let app = axum::Router::new().fallback(receive).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, inner, task }
    }

    /// Its URL with a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// What it says next, in order.
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.inner.lock().unwrap().next.extend(answers);
    }

    /// What it says when nothing else was said.
    pub fn otherwise(&self, answer: Answer) {
        self.behave(move |_| answer.clone());
    }

    /// The same, by what it is asked.
    pub fn behave(&self, manner: impl FnMut(&Received) -> Answer + Send + 'static) {
        self.inner.lock().unwrap().manner = Some(Box::new(manner));
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.inner.lock().unwrap().received.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let answer = {
        let mut inner = inner.lock().unwrap();
        let now = podbell::clock::now();
        let mut received = Received { at: now, method, uri, headers, body: body.to_vec(), status: 0 };
        let answer = inner.next.pop_front().or_else(|| inner.manner.as_mut().map(|manner| manner(&received)));
        let answer = answer.unwrap_or_else(|| Answer::new(200, "ok"));
        received.status = answer.status;
        inner.received.push(received);
        answer
    };
    // Nothing but the time ends this wait.
    let _ = tokio::time::timeout(answer.after, std::future::pending::<()>()).await;
    answer
}

/// Accepts connections, reads a little, and cuts them without a word. The URL to ask.
pub async fn one_that_hangs_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/very-secret-path", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut buffer = [0; 512];
            stream.readable().await.unwrap();
            let _ = stream.try_read(&mut buffer);
        }
    });
    url
}

/// A URL where nobody listens.
pub async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/hook/very-secret-path", listener.local_addr().unwrap())
}

/// The client of the notifiers.
pub fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    podbell::http::client(&podbell::http::HttpOptions::default()).unwrap()
}
