//! Requests to an API server: a page of a list, a watch line by line. Answers are bounded, and every failure says
//! what the operator can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use url::form_urlencoded::Serializer;

use super::KubernetesConfig;
use super::connect::{self, chain};
use super::fault::Fault;
use super::resource::Resource;
use crate::clock;
use crate::http::Clocks;
use podbell_core::time::Time;

/// How many objects are asked for at once.
pub const PAGE: u32 = 500;
/// A line holds one object, which has at most 1.5 MB in etcd.
const MAX_LINE: usize = 4 << 20;
/// A page may hold large objects.
const MAX_PAGE: usize = 128 << 20;
/// A credential plugin that takes longer is left alone, and another one started.
const HANGS: Duration = Duration::from_secs(600);
/// The longest `Retry-After` that is obeyed.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// When nothing came for this long, everything has come: buffered data comes faster.
const SILENCE: Duration = Duration::from_millis(20);

/// A page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    /// Objects, one JSON text each.
    pub items: Vec<Box<RawValue>>,
    /// The version from which a watch continues.
    pub version: String,
    /// The token for the next page, if there is one.
    pub more: Option<String>,
}

/// How a watch begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WatchStart<'a> {
    /// After this version.
    Version(&'a str),
    /// With everything there is.
    Initial,
}

/// One API server. Clones of its client share connections.
pub(crate) struct Api {
    config: KubernetesConfig,
    client: Mutex<ClientState>,
    requests: Arc<AtomicU64>,
}

/// The client, which is made when it is needed.
#[derive(Default)]
struct ClientState {
    ready: Option<Client>,
    /// Clients that were made so far.
    generation: u64,
    /// When the newest was.
    made: Option<Instant>,
    /// Since when the next one is made. That goes on although nobody waits: a credential plugin that hangs would
    /// otherwise take another thread at each try.
    making: Option<(Instant, JoinHandle<Result<Client, Fault>>)>,
}

#[derive(Deserialize)]
struct ListBody {
    #[serde(default)]
    metadata: ListMeta,
    items: Option<Vec<Box<RawValue>>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    r#continue: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
    reason: String,
    message: String,
}

impl Api {
    /// A client of this source; nothing is connected yet.
    pub(crate) fn new(config: &KubernetesConfig) -> Self {
        Self { config: config.clone(), client: Mutex::default(), requests: Arc::default() }
    }

    /// Requests a page of the list.
    ///
    /// # Errors
    /// When there is no answer, or it is not a page.
    pub(crate) async fn list(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        more: Option<&str>,
    ) -> Result<Page, Fault> {
        let response = self.get(resource, namespace, &list_query(more), resource.accepts_list()).await?;
        let body = timeout(self.config.timing.patience.saturating_mul(2), read(response.into_body()));
        let body = body.await.map_err(|_| Fault::silent())??;
        let list: ListBody = serde_json::from_slice(&body).map_err(Fault::nonsense)?;
        let more = list.metadata.r#continue.filter(|more| !more.is_empty());
        Ok(Page { items: list.items.unwrap_or_default(), version: list.metadata.resource_version, more })
    }

    /// The version that a list would have now.
    ///
    /// # Errors
    /// When there is no valid answer.
    pub(crate) async fn version(&self, resource: Resource, namespace: Option<&str>) -> Result<String, Fault> {
        let response = self.get(resource, namespace, "limit=1", resource.accepts_list()).await?;
        let body = timeout(self.config.timing.patience, read(response.into_body()));
        let list: ListBody =
            serde_json::from_slice(&body.await.map_err(|_| Fault::silent())??).map_err(Fault::nonsense)?;
        Ok(list.metadata.resource_version)
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// When the watch cannot be opened.
    pub(crate) async fn watch(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        from: WatchStart<'_>,
    ) -> Result<Lines, Fault> {
        let seconds = resource.watch_for(&self.config).as_secs().max(1);
        let query = watch_query(seconds, from);
        let response = self.get(resource, namespace, &query, resource.accepts_watch()).await?;
        Ok(Lines { body: response.into_body(), buffer: Vec::new(), read: 0, caught_up: clock::now() })
    }

    async fn get(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        query: &str,
        accept: &str,
    ) -> Result<Response<Body>, Fault> {
        let address = format!("{}?{query}", resource.path(namespace));
        let request = Request::get(address).header(header::ACCEPT, accept).header(header::ACCEPT_ENCODING, "identity");
        self.send(request.body(Body::empty()).map_err(Fault::setup_of)?).await
    }

    /// One request and its whole answer, with the server's clock.
    ///
    /// # Errors
    /// When there is no good answer.
    pub(super) async fn ask(
        &self,
        address: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<(Vec<u8>, Option<Clocks>), Fault> {
        let request = match body {
            None => Request::get(address).body(Body::empty()),
            Some(body) => Request::post(address)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string().into_bytes())),
        };
        let asked = clock::now();
        let response = self.send(request.map_err(Fault::setup_of)?).await?;
        let clocks = Clocks::of(response.headers(), asked, clock::now());
        let body = timeout(self.config.timing.patience, read(response.into_body())).await;
        Ok((body.map_err(|_| Fault::silent())??, clocks))
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Fault> {
        let (client, generation) = self.client().await?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let sent = timeout(self.config.timing.patience, client.send(request)).await;
        let response = match sent.map_err(|_| Fault::silent())? {
            Ok(response) => response,
            Err(error) => {
                self.not_reached(generation).await;
                return Err(Fault::cut(chain(&error)));
            }
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            self.read_credentials_again(generation).await;
        }
        Err(refused(response, self.config.timing.patience).await)
    }

    /// The client and its generation.
    async fn client(&self) -> Result<(Client, u64), Fault> {
        let mut state = self.client.lock().await;
        if let Some(client) = &state.ready {
            return Ok((client.clone(), state.generation));
        }
        state.making.take_if(|(since, _)| since.elapsed() >= HANGS);
        let (_, making) = state.making.get_or_insert_with(|| {
            // A credential plugin runs in the thread that calls it, for as long as it likes.
            let (config, runtime) = (self.config.clone(), Handle::current());
            (clock::monotonic(), spawn_blocking(move || runtime.block_on(connect::client(&config))))
        });
        let made = timeout(self.config.timing.patience, making).await.map_err(|_| Fault::slow_setup())?;
        state.making = None;
        let made = made.map_err(|error| Fault::setup(&error))??;
        state.generation += 1;
        state.made = Some(clock::monotonic());
        state.ready = Some(made.clone());
        Ok((made, state.generation))
    }

    /// The cluster may have got another address or authority: the client is made anew, but not for each request of a
    /// long outage, because a credential plugin takes time.
    async fn not_reached(&self, generation: u64) {
        let mut state = self.client.lock().await;
        let is_old = state.made.is_none_or(|made| made.elapsed() >= self.config.timing.longest_pause);
        if state.generation == generation && is_old {
            state.ready = None;
        }
    }

    /// Makes the client anew before the next request, unless another request with this one has seen to that.
    async fn read_credentials_again(&self, generation: u64) {
        let mut state = self.client.lock().await;
        if state.generation == generation {
            state.ready = None;
        }
    }
}

fn list_query(more: Option<&str>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("limit", &PAGE.to_string());
    if let Some(more) = more {
        query.append_pair("continue", more);
    }
    query.finish()
}

fn watch_query(seconds: u64, from: WatchStart<'_>) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("watch", "true").append_pair("allowWatchBookmarks", "true");
    query.append_pair("timeoutSeconds", &seconds.to_string());
    match from {
        WatchStart::Version(version) => query.append_pair("resourceVersion", version),
        WatchStart::Initial => {
            query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan")
        }
    };
    query.finish()
}

async fn refused(response: Response<Body>, patience: Duration) -> Fault {
    let status = response.status().as_u16();
    let header = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    // A proxy in between must not silence a source.
    let retry_after = retry_after.map(|wait| wait.min(LONGEST_WAIT));
    let body = timeout(patience, read(response.into_body())).await;
    let said: Status =
        body.ok().and_then(Result::ok).and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    Fault { retry_after, ..Fault::status(status, &said.reason, &said.message) }
}

async fn read(mut body: Body) -> Result<Vec<u8>, Fault> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::cut(chain(&error)))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > MAX_PAGE {
                return Err(Fault::nonsense("the answer is too large"));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole)
}

/// A watch's answer, line by line.
pub(crate) struct Lines {
    body: Body,
    buffer: Vec<u8>,
    /// How much of the buffer was consumed.
    read: usize,
    caught_up: Time,
}

/// A line of a watch.
#[derive(Debug)]
pub(crate) enum Line {
    /// An object is new or changed.
    Changed(Box<RawValue>),
    /// An object was deleted.
    Deleted(Box<RawValue>),
    /// Nothing happened up to this version.
    Bookmark {
        /// The version.
        version: String,
        /// Whether all initial objects have come.
        ends_initial: bool,
    },
    /// The watch failed.
    Failed(Fault),
}

#[derive(Deserialize)]
struct RawLine<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Marked {
    metadata: MarkedMeta,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MarkedMeta {
    resource_version: String,
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

impl Lines {
    /// When the server last had nothing more to say: everything until then was returned, or is about to be. If
    /// nobody reads for a while, this time stays where it was, because what is read next is old.
    pub(crate) fn caught_up(&self) -> Time {
        self.caught_up
    }

    /// The next line; `None` at a normal end. Cancel-safe.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is not a watch.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            let rest = self.buffer.get(self.read..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest.get(..end).unwrap_or_default();
                let parsed = if line.trim_ascii().is_empty() { None } else { Some(parse(line)?) };
                self.read += end + 1;
                match parsed {
                    Some(line) => return Ok(Some(line)),
                    None => continue,
                }
            }
            if rest.len() > MAX_LINE {
                return Err(Fault::nonsense("a line of the watch is too long"));
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            let mut frame = self.body.frame();
            let came = match timeout(SILENCE, &mut frame).await {
                Ok(came) => came,
                Err(_) => {
                    self.caught_up = clock::now();
                    let came = frame.await;
                    self.caught_up = clock::now();
                    came
                }
            };
            match came {
                None => return Ok(None),
                Some(Err(error)) => return Err(Fault::cut(chain(&error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<Line, Fault> {
    let raw: RawLine<'_> = serde_json::from_slice(line).map_err(Fault::nonsense)?;
    Ok(match raw.r#type {
        "ADDED" | "MODIFIED" => Line::Changed(raw.object.to_owned()),
        "DELETED" => Line::Deleted(raw.object.to_owned()),
        "BOOKMARK" => {
            let marked: Marked = serde_json::from_str(raw.object.get()).unwrap_or_default();
            let ends_initial = marked
                .metadata
                .annotations
                .is_some_and(|all| all.get("k8s.io/initial-events-end").is_some_and(|value| value == "true"));
            Line::Bookmark { version: marked.metadata.resource_version, ends_initial }
        }
        _ => {
            let said: Status = serde_json::from_str(raw.object.get()).unwrap_or_default();
            Line::Failed(Fault::status(said.code, &said.reason, &said.message))
        }
    })
}
