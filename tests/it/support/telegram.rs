//! A Bot API on real sockets that enforces what Telegram documents of updates: they are handed out until a greater
//! number is asked for, to one poller at a time, and a press is confirmed once.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::chat_servers::{TOKEN, balanced};
use super::receiver::client;
use super::slack::FakeQueries;
use super::{QUICK_ANSWERS, QUICK_CONNECTION};
use podbell::chat::{ChatDeps, ChatSettings};
use podbell::components::telegram::chat::{Telegram, TelegramConfig, Timing};
use podbell_core::time::Time;
use podbell_core::translations::Language;

#[derive(Default)]
struct Inner {
    updates: VecDeque<Value>,
    last: i64,
    /// How often each update was handed out.
    handed: Vec<i64>,
    /// The offsets that were asked for.
    offsets: Vec<Option<i64>>,
    polls: usize,
    posts: Vec<Value>,
    /// How many messages a chat takes in how long, and when it took them.
    limit: Option<(usize, Duration)>,
    taken: Vec<Time>,
    presses: HashSet<String>,
    confirmed: Vec<String>,
    /// Changes of buttons.
    edited: Vec<Value>,
    /// The next answers, instead of good ones: method, status, body; without a body the connection is cut.
    answers: VecDeque<(&'static str, u16, Option<Value>)>,
    refused: Vec<String>,
}

/// A running Bot API.
#[derive(Clone)]
pub struct FakeTelegram {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
    /// Which poll is the newest: older ones end with 409. And a tick for whoever waits for updates.
    changed: watch::Sender<u64>,
}

impl FakeTelegram {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let telegram = Self { base, inner: Arc::default(), changed: watch::channel(0).0 };
        let app = Router::new().fallback(answer).with_state(telegram.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        telegram
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Somebody writes in a group, now.
    pub fn say(&self, user: i64, text: &str) -> i64 {
        self.say_at(podbell::clock::now(), user, text)
    }

    pub fn say_at(&self, at: Time, user: i64, text: &str) -> i64 {
        let from = json!({"id": user, "is_bot": false, "first_name": "Ann", "username": format!("user{user}")});
        let chat = json!({"id": -1001, "type": "supergroup", "title": "team"});
        self.update(json!({"message": {
            "message_id": 500 + user, "date": at.seconds(), "chat": chat, "from": from, "text": text,
            "message_thread_id": 42, "is_topic_message": true,
        }}))
    }

    /// Somebody presses a button of a message.
    pub fn press(&self, press: &str, user: i64, data: &str) -> i64 {
        self.inner().presses.insert(press.to_owned());
        let message = json!({"message_id": 77, "date": 1000, "chat": {"id": -1001, "type": "supergroup"}});
        let from = json!({"id": user, "is_bot": false, "first_name": "Ann", "username": format!("user{user}")});
        self.update(json!({"callback_query": {"id": press, "chat_instance": "1", "from": from, "message": message, "data": data}}))
    }

    /// Any update, with the next number.
    pub fn update(&self, mut update: Value) -> i64 {
        let mut inner = self.inner();
        inner.last += 1;
        let id = inner.last;
        update["update_id"] = json!(id);
        inner.updates.push_back(update);
        drop(inner);
        self.changed.send_modify(|tick| *tick += 1);
        id
    }

    /// Numbers go on from here, as after a week without updates.
    pub fn count_from(&self, last: i64) {
        self.inner().last = last;
    }

    /// How the next call of a method is answered.
    pub fn next(&self, method: &'static str, status: u16, body: Option<Value>) {
        self.inner().answers.push_back((method, status, body));
        self.changed.send_modify(|tick| *tick += 1);
    }

    /// A chat takes so many messages in this time from now on.
    pub fn limit(&self, most: usize, per: Duration) {
        self.inner().limit = Some((most, per));
    }

    pub fn posts(&self) -> Vec<Value> {
        self.inner().posts.clone()
    }

    pub fn edited(&self) -> Vec<Value> {
        self.inner.lock().unwrap().edited.clone()
    }

    pub fn confirmed(&self) -> Vec<String> {
        self.inner().confirmed.clone()
    }

    pub fn polls(&self) -> usize {
        self.inner().polls
    }

    /// How often an update was handed out.
    pub fn handed(&self, id: i64) -> usize {
        self.inner().handed.iter().filter(|handed| **handed == id).count()
    }

    /// Whether Telegram still has updates that nobody confirmed.
    pub fn unconfirmed(&self) -> usize {
        self.inner().updates.len()
    }

    pub fn refused(&self) -> Vec<String> {
        self.inner().refused.clone()
    }

    /// Another program asks for the updates.
    pub async fn poll_elsewhere(&self) -> (u16, Value) {
        let response = client().post(format!("{}/bot{TOKEN}/getUpdates", self.base)).body(r#"{"timeout": 0}"#);
        let response = response.send().await.unwrap();
        (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
    }

    async fn updates(&self, arguments: &Value) -> (u16, Value) {
        let offset = arguments["offset"].as_i64();
        let own = {
            let mut inner = self.inner();
            inner.polls += 1;
            inner.offsets.push(offset);
            if let Some(offset) = offset {
                inner.updates.retain(|update| update["update_id"].as_i64().unwrap() >= offset);
            }
            inner.polls
        };
        // Whoever asked before is sent away.
        self.changed.send_modify(|tick| *tick += 1);
        let mut changed = self.changed.subscribe();
        let held = Duration::from_secs(arguments["timeout"].as_u64().unwrap_or_default());
        let limit = usize::try_from(arguments["limit"].as_u64().unwrap_or(100)).unwrap();
        let look = async {
            loop {
                {
                    let mut inner = self.inner();
                    if inner.polls != own {
                        return error(
                            409,
                            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                        );
                    }
                    if inner.answers.front().is_some_and(|(method, ..)| *method == "getUpdates") {
                        let (_, status, body) = inner.answers.pop_front().unwrap();
                        return (status, body.unwrap_or(Value::Null));
                    }
                    let found: Vec<Value> = inner.updates.iter().take(limit).cloned().collect();
                    if !found.is_empty() {
                        let ids: Vec<i64> = found.iter().map(|one| one["update_id"].as_i64().unwrap()).collect();
                        inner.handed.extend(ids);
                        return (200, json!({"ok": true, "result": found}));
                    }
                }
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(held, look).await.unwrap_or((200, json!({"ok": true, "result": []})))
    }

    fn called(&self, method: &str, arguments: &Value) -> (u16, Value) {
        let mut inner = self.inner();
        if inner.answers.front().is_some_and(|(next, ..)| *next == method) {
            let (_, status, body) = inner.answers.pop_front().unwrap();
            return (status, body.unwrap_or(Value::Null));
        }
        match method {
            "getMe" => (
                200,
                json!({"ok": true, "result": {"id": 1, "is_bot": true, "first_name": "podbell", "username": "podbell_bot"}}),
            ),
            "getWebhookInfo" => (200, json!({"ok": true, "result": {"url": "", "pending_update_count": 0}})),
            "answerCallbackQuery" => {
                let press = arguments["callback_query_id"].as_str().unwrap().to_owned();
                let text = arguments["text"].as_str().unwrap_or_default();
                if text.chars().count() > 200 {
                    inner.refused.push(format!("too long: {arguments}"));
                    return error(400, "Bad Request: MESSAGE_TOO_LONG");
                }
                if !inner.presses.remove(&press) {
                    inner.refused.push(format!("confirmed twice: {arguments}"));
                    return error(
                        400,
                        "Bad Request: query is too old and response timeout expired or query ID is invalid",
                    );
                }
                inner.confirmed.push(press);
                (200, json!({"ok": true, "result": true}))
            }
            "editMessageReplyMarkup" => {
                inner.edited.push(arguments.clone());
                (200, json!({"ok": true, "result": true}))
            }
            "sendMessage" => {
                let text = arguments["text"].as_str().unwrap_or_default();
                if text.is_empty() || text.encode_utf16().count() > 4096 || balanced(text).is_err() {
                    inner.refused.push(format!("a wrong message: {arguments}"));
                    return error(400, "Bad Request: can't parse entities");
                }
                let now = podbell::clock::now();
                if let Some((most, per)) = inner.limit {
                    inner.taken.retain(|at| now.since(*at) < per);
                    if inner.taken.len() >= most {
                        inner.refused.push(format!("too fast: {arguments}"));
                        return error(429, "Too Many Requests: retry after 1");
                    }
                    inner.taken.push(now);
                }
                let buttons = arguments["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten();
                for button in buttons.flat_map(|row| row.as_array().unwrap()) {
                    assert!((1..=64).contains(&button["callback_data"].as_str().unwrap().len()));
                }
                inner.posts.push(arguments.clone());
                let chat = json!({"id": -1001, "type": "supergroup"});
                (200, json!({"ok": true, "result": {"message_id": inner.posts.len(), "date": 1000, "chat": chat}}))
            }
            "deleteWebhook" => (200, json!({"ok": true, "result": true})),
            other => error(404, &format!("Not Found: {other}")),
        }
    }
}

/// What Telegram says when it refuses something.
pub fn error(code: u16, words: &str) -> (u16, Value) {
    (code, json!({"ok": false, "error_code": code, "description": words}))
}

/// The arguments of a call, as JSON or as a form, whose values are text or JSON.
fn arguments(headers: &HeaderMap, body: &[u8]) -> Value {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind != "application/x-www-form-urlencoded" {
        return serde_json::from_slice(body).unwrap_or_default();
    }
    let text = |key: &str| matches!(key, "text" | "callback_query_id" | "parse_mode");
    let form = url::form_urlencoded::parse(body).map(|(key, value)| {
        let read = serde_json::from_str(&value).ok().filter(|_| !text(&key));
        (key.into_owned(), read.unwrap_or_else(|| Value::from(value)))
    });
    Value::Object(form.collect())
}

async fn answer(State(telegram): State<FakeTelegram>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let Some(method) = uri.path().strip_prefix(&format!("/bot{TOKEN}/")) else {
        let (status, body) = error(401, "Unauthorized");
        return (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
    };
    let arguments = arguments(&headers, &body);
    let (status, body) = match method {
        "getUpdates" => telegram.updates(&arguments).await,
        method => telegram.called(method, &arguments),
    };
    let text = if body.is_null() { "<html>".to_owned() } else { body.to_string() };
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

/// Less patience than in earnest.
pub fn quick() -> Timing {
    Timing {
        hold: Duration::from_secs(5),
        pauses: QUICK_CONNECTION.pauses,
        answers: QUICK_ANSWERS,
        stale: Duration::from_secs(900),
        batch: Duration::from_secs(30),
    }
}

/// A bot there, not connected yet.
pub fn bot(
    telegram: &FakeTelegram,
    queries: Arc<FakeQueries>,
    change: impl FnOnce(&mut TelegramConfig),
) -> Arc<Telegram> {
    let settings = ChatSettings {
        name: "tg".into(),
        access: Default::default(),
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
    };
    let mut config =
        TelegramConfig { settings, token: TOKEN.into(), api: telegram.base.parse().unwrap(), timing: quick() };
    change(&mut config);
    let deps = ChatDeps { queries, client: client(), now: Arc::new(podbell::clock::now), chance: Arc::new(|| 0.0) };
    Telegram::new(config, deps)
}
