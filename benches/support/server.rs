//! The other side of the load: answers event lists, services and webhooks at once, in the
//! benchmark's own process. Leaner than the emulator, whose checks and JSON values would cost more
//! than the service that is measured.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::tz::TimeZone;
use podbell::clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::lists::Words;
use super::{fixture, namespace_of};

/// How many events a list has.
pub const EVENTS: usize = 50;
/// An event changes at every so many-th poll: 5% of each list.
const CHANGES_EVERY: usize = 20;
/// How many minutes of times are written out in advance.
const MINUTES: usize = 240;
const PAGE: usize = 100;

/// What is served, and how much of it.
pub struct World {
    words: Words,
    /// Polls so far, by target.
    polls: Vec<AtomicU32>,
    /// Wall-clock texts, one a minute from an hour before the start.
    minutes: Vec<String>,
    /// Event lists answered.
    pub lists: AtomicU64,
    /// Webhooks taken.
    pub hooks: AtomicU64,
    /// Connections accepted.
    pub connections: AtomicU64,
    /// When each target was asked for last, in ms since the start.
    asked_at: Vec<AtomicU64>,
    begun: Instant,
    /// The times between two polls of a target, in ms.
    pub gaps: Mutex<Vec<f64>>,
    /// The times from a notice's falling due to its webhook, in ms.
    pub delays: Mutex<Vec<f64>>,
}

impl World {
    /// So many services.
    pub fn new(targets: usize) -> Arc<Self> {
        let china = TimeZone::get("Asia/Shanghai").unwrap();
        let start = clock::now().seconds() - 3600;
        let minute = |minute: usize| {
            let at = jiff::Timestamp::from_second(start + 60 * minute as i64).unwrap();
            china.to_datetime(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        Arc::new(Self {
            words: Words::real(),
            polls: (0..targets).map(|_| AtomicU32::new(0)).collect(),
            minutes: (0..MINUTES).map(minute).collect(),
            lists: AtomicU64::new(0),
            hooks: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            asked_at: (0..targets).map(|_| AtomicU64::new(0)).collect(),
            begun: clock::monotonic(),
            gaps: Mutex::default(),
            delays: Mutex::default(),
        })
    }

    /// Serves until the runtime ends.
    pub async fn serve(self: Arc<Self>, tls: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptor = tls.then(acceptor);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                self.connections.fetch_add(1, Ordering::Relaxed);
                let (world, acceptor) = (self.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => world.connection(stream).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                world.connection(stream).await;
                            }
                        }
                    }
                });
            }
        });
        addr
    }

    /// One kept-alive connection. Requests come one after the other, as reqwest sends them.
    async fn connection(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut buffer = Vec::with_capacity(8 * 1024);
        loop {
            buffer.clear();
            let head = loop {
                match stream.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
            };
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            let mut missing = content_length(&text).saturating_sub(buffer.len() - head);
            while missing > 0 {
                match stream.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => missing = missing.saturating_sub(read),
                }
            }
            let answer = self.answer(&text, &buffer[head..]);
            let mut whole = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            whole.push_str(&answer);
            if stream.write_all(whole.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &str, body: &[u8]) -> String {
        let line = head.lines().next().unwrap_or_default();
        if line.starts_with("POST") {
            self.hooks.fetch_add(1, Ordering::Relaxed);
            self.note_delay(&String::from_utf8_lossy(body));
            return "{}".to_owned();
        }
        match parameter(line, "Action") {
            Some("DescribeServiceEvent") => {
                self.lists.fetch_add(1, Ordering::Relaxed);
                let name = parameter(line, "serviceName").unwrap_or_default();
                let target = name.trim_start_matches("svc-").parse().unwrap_or_default();
                self.note_gap(target);
                self.list(target, name)
            }
            _ => self.services(parameter(line, "offset").and_then(|offset| offset.parse().ok()).unwrap_or(0)),
        }
    }

    fn note_gap(&self, target: usize) {
        let now = self.begun.elapsed().as_millis() as u64 + 1;
        let before = self.asked_at[target].swap(now, Ordering::Relaxed);
        if before > 0 {
            self.gaps.lock().unwrap().push((now - before) as f64);
        }
    }

    fn note_delay(&self, body: &str) {
        let made_at = body.split_once("\"made_at\":\"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(made_at) = made_at.and_then(|text| text.parse::<jiff::Timestamp>().ok()) {
            let delay = clock::now().millis() - made_at.as_millisecond();
            self.delays.lock().unwrap().push(delay as f64);
        }
    }

    /// Every list differs from the one before in a twentieth of its events.
    fn list(&self, target: usize, name: &str) -> String {
        let poll = self.polls[target].fetch_add(1, Ordering::Relaxed) as usize;
        self.words.answer(EVENTS, name, target, &self.minutes[5], |place| {
            let phase = (place + target * 7) % CHANGES_EVERY;
            let changes = (poll + phase) / CHANGES_EVERY;
            // What has not changed yet was seen last within the hour before the start.
            let minute = if changes == 0 { 20 + place % 40 } else { 60 + changes * CHANGES_EVERY - phase };
            (3 + changes as u64, &self.minutes[minute.min(MINUTES - 1)])
        })
    }

    /// A page of the discovery.
    fn services(&self, offset: usize) -> String {
        let service = |i: usize| serde_json::json!({"serviceName": super::service(i), "namespace": namespace_of(i), "status": "Normal"});
        let page: Vec<_> = (offset..self.polls.len().min(offset + PAGE)).map(service).collect();
        let data = serde_json::json!({"totalCount": self.polls.len(), "services": page});
        serde_json::json!({"code": 0, "message": "", "codeDesc": "Success", "data": data}).to_string()
    }
}

fn content_length(head: &str) -> usize {
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

fn parameter<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let query = line.split_once('?')?.1.split(' ').next()?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(fixture("tls/server.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture("tls/server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
