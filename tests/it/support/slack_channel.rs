//! Channels of a Slack workspace as a bot sees them, on real sockets and in virtual time: messages,
//! threads, changes, deletions. It enforces what Slack documents: a message a second and channel, 50
//! changes a minute, 50 blocks, buttons' ids, channels that the bot is in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::platform::platform;
use super::receiver::client;
use super::world::Wire;
use podbell::engine::SendJob;
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::outbox::Outcome;
use podbell_core::template::Template;
use podbell_core::time::Time;
use podbell_core::translations::Language;

pub const TOKEN: &str = "xoxb-marker-of-the-posting-token";
/// The channel's id and its name.
pub const OPS: (&str, &str) = ("C0OPS", "#ops");
pub const OTHER: (&str, &str) = ("C0OTHER", "#other");

/// A message as people see it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub channel: String,
    pub ts: String,
    /// The message whose thread it is in.
    pub thread: Option<String>,
    /// Whether the channel shows it: not, if it is an answer for its thread only.
    pub in_channel: bool,
    /// What it was posted with, and what it was changed to.
    pub versions: Vec<Value>,
    pub posted_at: Time,
    pub changed_at: Vec<Time>,
    pub deleted: bool,
}

impl Seen {
    /// Its text now.
    pub fn text(&self) -> String {
        self.versions.last().unwrap()["text"].as_str().unwrap().to_owned()
    }

    /// What its buttons would say.
    pub fn buttons(&self) -> Vec<String> {
        let blocks = self.versions.last().unwrap()["blocks"].as_array().cloned().unwrap_or_default();
        let actions = blocks.into_iter().filter(|block| block["type"] == "actions");
        let elements = actions.flat_map(|block| block["elements"].as_array().unwrap().clone());
        elements.map(|button| button["value"].as_str().unwrap().to_owned()).collect()
    }
}

#[derive(Default)]
struct Inner {
    now: Time,
    /// Its clock is the real one.
    real: bool,
    messages: Vec<Seen>,
    /// How the next calls are answered, without being done.
    answers: VecDeque<(u16, Value, Option<u64>)>,
    /// The next calls are done, and their answers lost.
    lose: usize,
    calls: Vec<(String, Value, Time)>,
    limited: Vec<String>,
}

/// A running workspace.
#[derive(Clone)]
pub struct Workspace {
    api: url::Url,
    inner: Arc<Mutex<Inner>>,
    runtime: Arc<Runtime>,
}

impl Workspace {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let api = format!("http://{}/api", listener.local_addr().unwrap()).parse().unwrap();
        let inner: Arc<Mutex<Inner>> = Arc::default();
        let app = Router::new().route("/api/{method}", post(call)).with_state(inner.clone());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { api, inner, runtime: Arc::new(runtime) }
    }

    /// One whose clock is the real one, for a real podbell.
    pub fn in_real_time() -> Self {
        let workspace = Self::start();
        workspace.inner().real = true;
        workspace
    }

    /// Slack's Web API.
    pub fn api(&self) -> String {
        self.api.to_string()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Destinations in channels of this workspace, and the wire to it.
    pub fn wire(&self, destinations: &[(&str, &str)]) -> Wire {
        self.wire_with(destinations, TOKEN)
    }

    pub fn wire_with(&self, destinations: &[(&str, &str)], token: &str) -> Wire {
        let config = |(name, channel): &(&str, &str)| NamedNotifier {
            name: (*name).into(),
            platform: platform(&format!(
                "kind: slack, token: \"{token}\", channel: \"{channel}\", api: \"{}\", buttons: true",
                self.api
            )),
            language: Language::En,
            time_zone: jiff::tz::TimeZone::UTC,
            digest_after: Some(3),
            template: Template::default(),
            logs: false,
        };
        let configs = destinations.iter().map(config).collect();
        // Connections belong to this runtime.
        let notifiers = {
            let _in = self.runtime.enter();
            Arc::new(Notifiers::new(configs, Default::default(), client()))
        };
        let (workspace, through) = (self.clone(), notifiers.clone());
        let deliver = move |job: &SendJob, now: Time| -> Outcome {
            workspace.inner().now = now;
            let to = through.deliver(&job.destination, &job.message_id, job.body.clone(), now);
            workspace.runtime.block_on(to)
        };
        Wire { notifiers, deliver: Arc::new(deliver) }
    }

    /// The messages that a channel shows, oldest first.
    pub fn channel(&self, id: &str) -> Vec<Seen> {
        let inner = self.inner();
        let shown = |seen: &&Seen| seen.channel == id && seen.in_channel && !seen.deleted;
        inner.messages.iter().filter(shown).cloned().collect()
    }

    /// A message, by its place in the order of posting.
    pub fn message(&self, at: usize) -> Seen {
        self.inner().messages[at].clone()
    }

    /// Every call that was made: its method and arguments.
    pub fn calls(&self) -> Vec<(String, Value, Time)> {
        self.inner().calls.clone()
    }

    /// Calls that were over a limit of Slack's.
    pub fn limited(&self) -> Vec<String> {
        self.inner().limited.clone()
    }

    /// Somebody deletes a message.
    pub fn delete(&self, at: usize) {
        self.inner().messages[at].deleted = true;
    }

    /// The next calls are not done, and answered like this.
    pub fn answer(&self, answers: impl IntoIterator<Item = (u16, Value, Option<u64>)>) {
        self.inner().answers.extend(answers);
    }

    /// The next calls are done, and nobody hears of it.
    pub fn lose(&self, count: usize) {
        self.inner().lose = count;
    }
}

impl Inner {
    /// Carries out a call.
    fn call(&mut self, method: &str, arguments: &Value) -> Result<Value, &'static str> {
        let text = |key: &str| arguments[key].as_str().map(str::to_owned);
        let named = text("channel").ok_or("invalid_arguments")?;
        // Changing takes an id only.
        let names = |(id, name): &&(&str, &str)| named == *id || (method == "chat.postMessage" && named == *name);
        let channel = [OPS, OTHER].iter().find(names).ok_or("channel_not_found")?.0.to_owned();
        let blocks = arguments["blocks"].as_array().cloned().unwrap_or_default();
        if blocks.len() > 50 {
            return Err("invalid_blocks");
        }
        if text("text").is_none_or(|text| text.is_empty()) {
            return Err("no_text");
        }
        let now = self.now;
        let recent = |span: u64, at: &Time| now.since(*at) < Duration::from_secs(span);
        match method {
            "chat.postMessage" => {
                let busy = self.messages.iter().any(|seen| seen.channel == channel && recent(1, &seen.posted_at));
                if busy {
                    return Err("ratelimited");
                }
                let asked = text("thread_ts");
                let stands = |ts: &String| {
                    self.messages.iter().any(|seen| seen.channel == channel && seen.ts == *ts && !seen.deleted)
                };
                let thread = asked.filter(|ts| stands(ts));
                let in_channel = thread.is_none() || arguments["reply_broadcast"] == true;
                let ts = format!("{}.{:06}", now.seconds(), self.messages.len());
                let (versions, changed_at) = (vec![arguments.clone()], Vec::new());
                let answered = thread.clone();
                self.messages.push(Seen {
                    channel: channel.clone(),
                    ts: ts.clone(),
                    thread,
                    in_channel,
                    versions,
                    posted_at: now,
                    changed_at,
                    deleted: false,
                });
                let mut message = json!({"type": "message", "ts": ts});
                if let Some(thread) = answered {
                    message["thread_ts"] = json!(thread);
                }
                Ok(json!({"ok": true, "channel": channel, "ts": ts, "message": message}))
            }
            "chat.update" => {
                let changes = self.messages.iter().flat_map(|seen| &seen.changed_at);
                if changes.filter(|at| recent(60, at)).count() >= 50 {
                    return Err("ratelimited");
                }
                let ts = text("ts").ok_or("invalid_arguments")?;
                let found = self.messages.iter_mut().find(|seen| seen.channel == channel && seen.ts == ts);
                let seen = found.filter(|seen| !seen.deleted).ok_or("message_not_found")?;
                seen.versions.push(arguments.clone());
                seen.changed_at.push(now);
                Ok(json!({"ok": true, "channel": channel, "ts": ts, "text": arguments["text"]}))
            }
            _ => Err("unknown_method"),
        }
    }
}

async fn call(
    State(inner): State<Arc<Mutex<Inner>>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let arguments: Value = serde_json::from_slice(&body).unwrap();
    let mut inner = inner.lock().unwrap();
    if inner.real {
        inner.now = podbell::clock::now();
    }
    let now = inner.now;
    inner.calls.push((method.clone(), arguments.clone(), now));
    if let Some((status, body, retry_after)) = inner.answers.pop_front() {
        let after = retry_after.map(|after| ("retry-after", after.to_string()));
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        return match after {
            Some(after) => (status, [after], body).into_response(),
            None => (status, body).into_response(),
        };
    }
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if bearer != format!("Bearer {TOKEN}") {
        return json!({"ok": false, "error": "invalid_auth"}).to_string().into_response();
    }
    let done = inner.call(&method, &arguments);
    if inner.lose > 0 {
        inner.lose -= 1;
        return (StatusCode::BAD_GATEWAY, "the answer is lost").into_response();
    }
    match done {
        Ok(answer) => answer.to_string().into_response(),
        Err("ratelimited") => {
            inner.limited.push(method);
            let body = json!({"ok": false, "error": "ratelimited"}).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], body).into_response()
        }
        Err(error) => json!({"ok": false, "error": error}).to_string().into_response(),
    }
}
