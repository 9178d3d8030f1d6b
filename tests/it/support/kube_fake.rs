//! A stateful fake of an API server: it keeps objects under versions, forgets old versions, and misbehaves as it is told.
//! Only what newer servers, proxies and bad days do that the real one of the tests does not.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the next watch of events does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It ends at once, in an orderly way.
    ClosesAtOnce,
    /// It breaks off in the middle of a line, after this many events.
    CutAfter(usize),
    /// It says nothing at all, not even its end.
    Silent,
}

/// What the next request for events is refused with.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub retry_after: Option<u64>,
}

/// A request for events.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: std::time::Duration,
    pub watch: bool,
    pub query: BTreeMap<String, String>,
}

impl Asked {
    /// Asks where the server is, and for no events.
    fn asks_version(&self) -> bool {
        self.query.get("limit").is_some_and(|limit| limit == "1")
    }
}

#[derive(Default)]
struct Inner {
    version: u64,
    /// The version of the newest bookmark of events: a real server sends them now and then, not for each write.
    bookmark: u64,
    /// Bookmarks that were sent.
    marks: usize,
    /// How often it was restored: no watch outlives that.
    era: u64,
    /// Versions up to this one are forgotten.
    compacted: u64,
    events: BTreeMap<String, Value>,
    /// Of events: version, kind of change, object.
    history: Vec<(u64, &'static str, Value)>,
    /// All other objects, by resource.
    objects: BTreeMap<String, Objects>,
    /// Resources that may not be read.
    hidden: Vec<String>,
    token: String,
    moods: VecDeque<Mood>,
    refusals: VecDeque<Refusal>,
    forbidden: Vec<String>,
    /// Verbs and resources that the account may not use.
    denied: Vec<(String, String)>,
    watch_lists: bool,
    asked: Vec<Asked>,
    requests: usize,
    /// How many of them were about each resource.
    by_resource: BTreeMap<String, usize>,
}

/// The objects of one resource.
#[derive(Default)]
struct Objects {
    /// By namespace and name.
    newest: BTreeMap<String, Value>,
    /// Every state that they had, with its version and how it came to be, in the order of versions.
    states: Vec<(u64, &'static str, Value)>,
}

/// See the module.
#[derive(Clone)]
pub struct Fake {
    pub address: String,
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
    begun: std::time::Duration,
    _task: Arc<Serving>,
}

struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn now() -> Duration {
    Duration::from_millis(podbell::clock::now().millis().unsigned_abs())
}

impl Fake {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner { version: 100, token: "good".into(), ..Inner::default() }));
        let (changed, _) = watch::channel(0);
        let app = axum::Router::new().fallback(serve).with_state((inner.clone(), changed.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, inner, changed, begun: now(), _task: Arc::new(Serving(task)) }
    }

    /// Changes what events' watches are told.
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.inner.lock().unwrap();
        let done = change(&mut inner);
        inner.bookmark = inner.version;
        drop(inner);
        self.changed.send_modify(|turn| *turn += 1);
        done
    }

    /// Writes an event, new or anew.
    pub fn put(&self, mut event: Value) {
        self.with(|inner| {
            inner.version += 1;
            let key = format!("{}/{}", text(&event["metadata"]["namespace"]), text(&event["metadata"]["name"]));
            event["metadata"]["uid"] = json!(key);
            event["metadata"]["resourceVersion"] = json!(inner.version.to_string());
            let kind = if inner.events.contains_key(&key) { "MODIFIED" } else { "ADDED" };
            inner.history.push((inner.version, kind, event.clone()));
            inner.events.insert(key, event);
        });
    }

    /// Deletes an event, as its age would.
    pub fn expire(&self, namespace: &str, name: &str) {
        self.with(|inner| {
            inner.version += 1;
            let mut event = inner.events.remove(&format!("{namespace}/{name}")).unwrap();
            event["metadata"]["resourceVersion"] = json!(inner.version.to_string());
            inner.history.push((inner.version, "DELETED", event));
        });
    }

    /// Forgets everything that happened so far: watches from before are 410.
    pub fn compact(&self) {
        self.with(|inner| {
            inner.version += 1;
            inner.compacted = inner.version;
            inner.history.clear();
        });
    }

    /// The cluster is restored from a copy: an older version, these events, no past.
    pub fn restore(&self, version: u64, events: &[Value]) {
        self.with(|inner| {
            (inner.version, inner.history) = (version, Vec::new());
            inner.era += 1;
            inner.events.clear();
        });
        events.iter().for_each(|event| self.put(event.clone()));
    }

    /// Time passes for others: bookmarks say so.
    pub fn others_write(&self, versions: u64) {
        self.with(|inner| inner.version += versions);
    }

    pub fn pods(&self, pods: Vec<Value>) {
        pods.into_iter().for_each(|pod| self.write("pods", pod));
    }

    /// Writes objects of a resource, new or anew.
    pub fn objects(&self, resource: &str, objects: Vec<Value>) {
        objects.into_iter().for_each(|object| self.write(resource, object));
    }

    /// These resources, and no others, may not be read.
    pub fn hide(&self, resources: &[&str]) {
        self.with(|inner| inner.hidden = resources.iter().map(|name| (*name).to_owned()).collect());
    }

    /// Writes a deployment, new or anew.
    pub fn deployment(&self, object: Value) {
        self.write("deployments", object);
    }

    /// Writes an object of a resource other than events, new or anew.
    pub fn write(&self, resource: &str, mut object: Value) {
        let mut inner = self.inner.lock().unwrap();
        inner.version += 1;
        let version = inner.version;
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let key = format!("{namespace}/{}", text(&object["metadata"]["name"]));
        let objects = inner.objects.entry(resource.to_owned()).or_default();
        objects.states.push((version, "MODIFIED", object.clone()));
        objects.newest.insert(key, object);
        drop(inner);
        self.changed.send_modify(|turn| *turn += 1);
    }

    /// Deletes such an object.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) {
        let mut inner = self.inner.lock().unwrap();
        inner.version += 1;
        let version = inner.version;
        let objects = inner.objects.get_mut(resource).unwrap();
        let mut object = objects.newest.remove(&format!("{namespace}/{name}")).unwrap();
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        objects.states.push((version, "DELETED", object));
        drop(inner);
        self.changed.send_modify(|turn| *turn += 1);
    }

    pub fn moods(&self, moods: &[Mood]) {
        self.with(|inner| inner.moods.extend(moods));
    }

    pub fn refuse(&self, refusals: &[Refusal]) {
        self.with(|inner| inner.refusals.extend(refusals.iter().cloned()));
    }

    pub fn forbid(&self, namespaces: &[&str]) {
        self.with(|inner| inner.forbidden = namespaces.iter().map(|name| (*name).to_owned()).collect());
    }

    /// What an access review denies; only that.
    pub fn deny(&self, rights: &[(&str, &str)]) {
        let rights = rights.iter().map(|(verb, resource)| ((*verb).to_owned(), (*resource).to_owned())).collect();
        self.with(|inner| inner.denied = rights);
    }

    pub fn token(&self, token: &str) {
        self.with(|inner| inner.token = token.to_owned());
    }

    pub fn has_watch_lists(&self) {
        self.with(|inner| inner.watch_lists = true);
    }

    /// All requests for events so far.
    pub fn asked(&self) -> Vec<Asked> {
        let begun = self.begun;
        let asked = self.inner.lock().unwrap().asked.clone();
        asked.into_iter().map(|one| Asked { at: one.at - begun, ..one }).collect()
    }

    /// All requests so far, of every resource.
    pub fn requests(&self) -> usize {
        self.inner.lock().unwrap().requests
    }

    /// All requests about a resource so far.
    pub fn requests_of(&self, resource: &str) -> usize {
        self.inner.lock().unwrap().by_resource.get(resource).copied().unwrap_or_default()
    }

    /// Bookmarks that were sent so far.
    pub fn marks(&self) -> usize {
        self.inner.lock().unwrap().marks
    }

    pub fn lists(&self) -> usize {
        let begins = |one: &Asked| !one.watch && !one.query.contains_key("continue") && !one.asks_version();
        self.asked().into_iter().filter(begins).count()
    }

    pub fn watches(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|one| one.watch).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

type Shared = (Arc<Mutex<Inner>>, watch::Sender<u64>);

fn refusal(status: u16, reason: &str) -> Response {
    let body = json!({"kind": "Status", "code": status, "reason": reason, "message": format!("refused: {reason}")});
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

async fn serve(
    State((inner, changed)): State<Shared>,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    let resource = *path.last().unwrap();
    let namespace =
        path.iter().position(|part| *part == "namespaces").and_then(|at| path.get(at + 1)).map(|one| (*one).to_owned());
    let watch = query.get("watch").is_some_and(|watch| watch == "true");
    let mut mood = None;
    {
        let mut inner = inner.lock().unwrap();
        if headers.get("authorization").and_then(|value| value.to_str().ok())
            != Some(&format!("Bearer {}", inner.token))
        {
            return refusal(401, "Unauthorized");
        }
        inner.requests += 1;
        *inner.by_resource.entry(resource.to_owned()).or_default() += 1;
        if inner.hidden.iter().any(|hidden| hidden == resource) {
            return refusal(403, "Forbidden");
        }
        if resource == "events" {
            inner.asked.push(Asked { at: now(), watch, query: query.clone() });
            if let Some(refused) = inner.refusals.pop_front() {
                let mut response = refusal(refused.status, "Busy");
                if let Some(seconds) = refused.retry_after {
                    response.headers_mut().insert("retry-after", seconds.into());
                }
                return response;
            }
            if namespace.as_ref().is_some_and(|name| inner.forbidden.contains(name)) {
                return refusal(403, "Forbidden");
            }
            if watch {
                mood = inner.moods.pop_front();
            }
        }
    }
    match (resource, watch) {
        ("version", _) => json!({"major": "1", "minor": "33", "gitVersion": "v1.33.1"}).to_string().into_response(),
        ("selfsubjectaccessreviews", _) => {
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let what = &asked["spec"]["resourceAttributes"];
            let part = what["subresource"].as_str().map(|part| format!("/{part}")).unwrap_or_default();
            let right = (text(&what["verb"]).to_owned(), format!("{}{part}", text(&what["resource"])));
            let allowed = !inner.lock().unwrap().denied.contains(&right);
            (StatusCode::CREATED, json!({"status": {"allowed": allowed}}).to_string()).into_response()
        }
        ("events", false) => list(&inner.lock().unwrap(), namespace.as_deref(), &query),
        ("events", true) => events(inner, changed, namespace, query, mood),
        (_, false) => {
            let inner = inner.lock().unwrap();
            let none = BTreeMap::new();
            let objects = inner.objects.get(resource).map_or(&none, |objects| &objects.newest);
            page(objects, inner.version, namespace.as_deref(), &query)
        }
        (_, true) if query.contains_key("sendInitialEvents") => refusal(422, "Invalid"),
        (_, true) => states(inner, &changed, (resource.to_owned(), namespace), &query),
    }
}

/// A watch of what is written to a resource.
fn states(
    inner: Arc<Mutex<Inner>>,
    changed: &watch::Sender<u64>,
    (resource, namespace): (String, Option<String>),
    query: &BTreeMap<String, String>,
) -> Response {
    let from: u64 = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    let seconds: u64 = query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
    let next = move |from: u64| {
        let inner = inner.lock().unwrap();
        let states = &inner.objects.get(&resource)?.states;
        let since = &states[states.partition_point(|(version, ..)| *version <= from)..];
        let fits = |object: &Value| {
            namespace.as_deref().is_none_or(|wanted| object["metadata"]["namespace"].as_str() == Some(wanted))
        };
        let (version, kind, object) = since.iter().find(|(.., object)| fits(object))?;
        Some((*version, line(kind, object)))
    };
    let lines = futures_util::stream::unfold((changed.subscribe(), from), move |(mut turns, from)| {
        let next = next.clone();
        async move {
            loop {
                turns.mark_unchanged();
                if let Some((version, line)) = next(from) {
                    return Some((Ok::<_, std::io::Error>(Bytes::from(line)), (turns, version)));
                }
                turns.changed().await.ok()?;
            }
        }
    });
    let end = Box::pin(tokio::time::sleep(Duration::from_secs(seconds)));
    Response::new(Body::from_stream(futures_util::StreamExt::take_until(lines, end)))
}

fn is_in(key: &str, namespace: Option<&str>) -> bool {
    namespace.is_none_or(|name| key.split_once('/').is_some_and(|(of, _)| of == name))
}

fn list(inner: &Inner, namespace: Option<&str>, query: &BTreeMap<String, String>) -> Response {
    let first = query.get("continue").and_then(|token| token.split_once('|'));
    if first.is_some_and(|(version, _)| version.parse::<u64>().unwrap() < inner.compacted) {
        return refusal(410, "Expired");
    }
    page(&inner.events, inner.version, namespace, query)
}

/// A page; its token is the version of the first page, and the last key that was shown.
fn page<T: Borrow<Value>>(
    objects: &BTreeMap<String, T>,
    version: u64,
    namespace: Option<&str>,
    query: &BTreeMap<String, String>,
) -> Response {
    let limit: usize = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let (version, after) = match query.get("continue").and_then(|token| token.split_once('|')) {
        Some((version, after)) => (version.parse().unwrap(), Some(after.to_owned())),
        None => (version, None),
    };
    let after = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = objects.range((after, Bound::Unbounded)).filter(|(key, _)| is_in(key, namespace));
    let mut page: Vec<_> = rest.take(limit.saturating_add(1)).collect();
    let more = if page.len() > limit {
        page.truncate(limit);
        format!("{version}|{}", page.last().unwrap().0)
    } else {
        String::new()
    };
    let items: Vec<&Value> = page.iter().map(|(_, object)| (*object).borrow()).collect();
    json!({"metadata": {"resourceVersion": version.to_string(), "continue": more}, "items": items})
        .to_string()
        .into_response()
}

fn events(
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
    namespace: Option<String>,
    query: BTreeMap<String, String>,
    mood: Option<Mood>,
) -> Response {
    let initial = query.contains_key("sendInitialEvents");
    let (mut from, mut backlog, watch_lists, era) = {
        let inner = inner.lock().unwrap();
        let from: u64 = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(inner.version);
        if initial && !inner.watch_lists {
            return refusal(422, "Invalid");
        }
        let backlog: Vec<String> = match initial {
            true => {
                let mine = inner.events.iter().filter(|(key, _)| is_in(key, namespace.as_deref()));
                mine.map(|(_, event)| line("ADDED", event)).collect()
            }
            false => Vec::new(),
        };
        (from, backlog, inner.watch_lists, inner.era)
    };
    if initial && watch_lists {
        let marks = json!({"k8s.io/initial-events-end": "true"});
        backlog
            .push(line("BOOKMARK", &json!({"metadata": {"resourceVersion": from.to_string(), "annotations": marks}})));
    }
    let seconds: u64 = query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(300);
    let (sender, lines) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(16);
    tokio::spawn(async move {
        let mut turns = changed.subscribe();
        let end = tokio::time::sleep(Duration::from_secs(seconds));
        tokio::pin!(end);
        if mood == Some(Mood::ClosesAtOnce) {
            return;
        }
        if mood == Some(Mood::Silent) {
            return sender.closed().await;
        }
        let mut sent = 0;
        for line in backlog {
            if mood == Some(Mood::CutAfter(sent)) {
                return cut(&sender, &line).await;
            }
            let _ = sender.send(Ok(line.into())).await;
            sent += 1;
        }
        loop {
            turns.mark_unchanged();
            let new: Vec<(u64, String)> = {
                let inner = inner.lock().unwrap();
                if inner.era != era {
                    vec![(0, String::new())]
                } else if from < inner.compacted {
                    let error = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
                    vec![(0, line("ERROR", &error))]
                } else {
                    let fits = |event: &Value| {
                        namespace.as_deref().is_none_or(|name| name == text(&event["metadata"]["namespace"]))
                    };
                    let begin = inner.history.partition_point(|(version, ..)| *version <= from);
                    let since = inner.history[begin..].iter().filter(|(_, _, event)| fits(event));
                    let mut new: Vec<_> = since.map(|(version, kind, event)| (*version, line(kind, event))).collect();
                    if new.is_empty() && inner.bookmark > from {
                        let marked = json!({"metadata": {"resourceVersion": inner.bookmark.to_string()}});
                        new.push((inner.bookmark, line("BOOKMARK", &marked)));
                    }
                    new
                }
            };
            for (version, line) in new {
                if let Some(Mood::CutAfter(most)) = mood
                    && sent >= most
                {
                    return cut(&sender, &line).await;
                }
                let mark = line.contains("BOOKMARK");
                let line = if line.is_empty() { Err(std::io::Error::other("restored")) } else { Ok(line.into()) };
                if sender.send(line).await.is_err() || version == 0 {
                    return;
                }
                inner.lock().unwrap().marks += usize::from(mark);
                (from, sent) = (version, sent + 1);
            }
            tokio::select! {
                _ = turns.changed() => {}
                () = &mut end => return,
                () = sender.closed() => return,
            }
        }
    });
    let stream =
        futures_util::stream::unfold(lines, |mut lines| async { lines.recv().await.map(|line| (line, lines)) });
    Response::new(Body::from_stream(stream))
}

/// Breaks off in the middle of a line.
async fn cut(sender: &tokio::sync::mpsc::Sender<Result<Bytes, std::io::Error>>, line: &str) {
    let half = line[..line.len() / 2].to_owned();
    let _ = sender.send(Ok(half.into())).await;
    let _ = sender.send(Err(std::io::Error::other("cut"))).await;
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}
