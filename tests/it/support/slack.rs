//! A Slack on real sockets that enforces what Slack documents: tickets that work once, at most 10
//! connections, envelopes that come again until they are acknowledged, response URLs that take 5
//! posts. And a query service that remembers what it was asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response as Shaken};

use super::receiver::client;
use super::{QUICK_ANSWERS, QUICK_CONNECTION};
use podbell::chat::reconnect::{ConnectionTiming, Pauses};
use podbell::chat::{ChatDeps, Queries, Question, Reply};
use podbell::components::slack::chat::{Access, ChatSettings, Slack, SlackConfig, Timing, guarded_client};
use podbell::http::HttpOptions;
use podbell_core::ask::OpenIncident;
use podbell_core::message::{Block, Message, Span};
use podbell_core::notice::NoticeKind;
use podbell_core::rule::Severity;
use podbell_core::time::Time;
use podbell_core::translations::Language;

pub const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const APP_TOKEN: &str = "xapp-1-marker-of-the-app-token";
pub const BOT_TOKEN: &str = "xoxb-marker-of-the-bot-token";
/// How many connections an app may have.
const MAX: usize = 10;
/// How many posts a response URL takes.
const POSTS: usize = 5;

/// Slack's signature, with lines of its own.
pub fn signature(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

/// What is to be done on a connection.
enum Order {
    Send(String),
    /// Close it in order.
    Close,
    /// Neither read nor write any more, and keep it open: a router that forgot it.
    Hang,
    /// Gone without a word.
    Cut,
}

#[derive(Default)]
struct Inner {
    tickets: HashSet<String>,
    /// How `apps.connections.open` answers, when not well.
    opens: VecDeque<(StatusCode, Value)>,
    opened_at: Vec<Time>,
    connections: Vec<Option<mpsc::UnboundedSender<Order>>>,
    most_open: usize,
    /// What waits for its acknowledgement.
    waiting: HashMap<String, Value>,
    acknowledged: Vec<(String, usize)>,
    /// Acknowledgements that are lost on the way.
    lose: usize,
    refused: Vec<&'static str>,
    posts: Vec<(String, Value, Time)>,
    /// How response URLs and the Web API answer next.
    replies: VecDeque<(StatusCode, &'static str)>,
}

/// A running Slack.
#[derive(Clone)]
pub struct FakeSlack {
    pub address: String,
    socket: String,
    inner: Arc<Mutex<Inner>>,
    patience: Duration,
}

impl FakeSlack {
    /// One that sends an envelope again after `patience`; the real one waits 3 s.
    pub async fn start(patience: Duration) -> Self {
        let (http, socket) = (TcpListener::bind("127.0.0.1:0").await, TcpListener::bind("127.0.0.1:0").await);
        let (http, socket) = (http.unwrap(), socket.unwrap());
        let slack = Self {
            address: format!("http://{}", http.local_addr().unwrap()),
            socket: format!("ws://{}", socket.local_addr().unwrap()),
            inner: Arc::default(),
            patience,
        };
        let app = Router::new()
            .route("/api/apps.connections.open", post(open))
            .route("/api/{method}", post(method))
            .route("/response/{id}", post(response))
            .with_state(slack.clone());
        tokio::spawn(async move { axum::serve(http, app).await.unwrap() });
        let accepting = slack.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(accepting.clone().connection(stream));
            }
        });
        slack
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn api(&self) -> url::Url {
        format!("{}/api", self.address).parse().unwrap()
    }

    pub fn response_url(&self, id: &str) -> String {
        format!("{}/response/{id}", self.address)
    }

    /// How the next requests for a ticket are answered.
    pub fn refuse_to_open(&self, answers: impl IntoIterator<Item = (u16, Value)>) {
        let answers = answers.into_iter().map(|(status, body)| (StatusCode::from_u16(status).unwrap(), body));
        self.inner().opens.extend(answers);
    }

    /// How the next posts are answered.
    pub fn reply(&self, replies: impl IntoIterator<Item = (u16, &'static str)>) {
        let replies = replies.into_iter().map(|(status, body)| (StatusCode::from_u16(status).unwrap(), body));
        self.inner().replies.extend(replies);
    }

    /// When tickets were asked for.
    pub fn opens(&self) -> Vec<Time> {
        self.inner().opened_at.clone()
    }

    /// How many connections there were so far, and how many at the same time.
    pub fn connections(&self) -> (usize, usize) {
        let inner = self.inner();
        (inner.connections.len(), inner.most_open)
    }

    /// The connections that are open.
    pub fn open_now(&self) -> Vec<usize> {
        let inner = self.inner();
        (0..inner.connections.len()).filter(|at| inner.connections[*at].is_some()).collect()
    }

    /// The envelopes that were acknowledged, and over which connection.
    pub fn acknowledged(&self) -> Vec<(String, usize)> {
        self.inner().acknowledged.clone()
    }

    /// What podbell did that Slack does not allow.
    pub fn refused(&self) -> Vec<&'static str> {
        self.inner().refused.clone()
    }

    /// The next acknowledgements are lost.
    pub fn lose_acknowledgements(&self, count: usize) {
        self.inner().lose = count;
    }

    /// What was posted, and where: `response/ID`, or a method of the Web API.
    pub fn posts(&self) -> Vec<(String, Value)> {
        self.inner().posts.iter().map(|(to, body, _)| (to.clone(), body.clone())).collect()
    }

    fn order(&self, connection: usize, order: Order) {
        if let Some(Some(orders)) = self.inner().connections.get(connection) {
            let _ = orders.send(order);
        }
    }

    /// Sends a frame as it is, once.
    pub fn send(&self, connection: usize, frame: &Value) {
        self.order(connection, Order::Send(frame.to_string()));
    }

    pub fn disconnect(&self, connection: usize, reason: &str) {
        self.send(connection, &json!({"type": "disconnect", "reason": reason}));
    }

    pub fn close(&self, connection: usize) {
        self.order(connection, Order::Close);
    }

    pub fn cut(&self, connection: usize) {
        self.order(connection, Order::Cut);
    }

    pub fn freeze(&self, connection: usize) {
        self.order(connection, Order::Hang);
    }

    /// Sends an envelope, first over this connection, then over any, until it is acknowledged.
    pub fn deliver(&self, connection: usize, envelope: Value) {
        let id = envelope["envelope_id"].as_str().unwrap().to_owned();
        self.inner().waiting.insert(id.clone(), envelope.clone());
        self.send(connection, &envelope);
        let slack = self.clone();
        tokio::spawn(async move {
            let mut turns = tokio::time::interval(slack.patience);
            turns.tick().await;
            for attempt in 0.. {
                turns.tick().await;
                let Some(envelope) = slack.inner().waiting.get(&id).cloned() else { return };
                let open = slack.open_now();
                if !open.is_empty() {
                    slack.send(open[attempt % open.len()], &envelope);
                }
            }
        });
    }

    async fn connection(self, stream: TcpStream) {
        let mut ticket = String::new();
        #[allow(clippy::result_large_err, reason = "the library's own type")]
        let check = |request: &Request, response: Shaken| -> Result<Shaken, ErrorResponse> {
            ticket = request.uri().query().unwrap_or_default().to_owned();
            let known = self.inner().tickets.remove(&ticket);
            if known { Ok(response) } else { Err(Shaken::builder().status(408).body(None).unwrap()) }
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, check).await else {
            self.inner().refused.push("a ticket twice, or none");
            return;
        };
        let (orders, mut told) = mpsc::unbounded_channel();
        let (number, open) = {
            let mut inner = self.inner();
            inner.connections.push(Some(orders));
            let open = inner.connections.iter().flatten().count();
            inner.most_open = inner.most_open.max(open);
            (inner.connections.len() - 1, open)
        };
        if open > MAX {
            self.inner().connections[number] = None;
            self.inner().refused.push("too many connections");
            let _ = socket
                .send(Frame::text(json!({"type": "disconnect", "reason": "too_many_websockets"}).to_string()))
                .await;
            let _ = socket.close(None).await;
            return;
        }
        let hello = json!({"type": "hello", "num_connections": open, "connection_info": {"app_id": "A1"}});
        let _ = socket.send(Frame::text(hello.to_string())).await;
        loop {
            tokio::select! {
                order = told.recv() => match order {
                    Some(Order::Send(text)) => if socket.send(Frame::text(text)).await.is_err() { break },
                    Some(Order::Close) => { let _ = socket.close(None).await; break }
                    Some(Order::Hang) => {
                        // Nobody answers, and the connection stays.
                        self.inner().connections[number] = None;
                        std::future::pending::<()>().await;
                    }
                    Some(Order::Cut) | None => break,
                },
                received = socket.next() => match received {
                    Some(Ok(Frame::Text(text))) => self.acknowledge(&text, number),
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
            }
        }
        self.inner().connections[number] = None;
    }

    fn acknowledge(&self, text: &str, connection: usize) {
        let frame: Value = serde_json::from_str(text).unwrap();
        let id = frame["envelope_id"].as_str().unwrap().to_owned();
        let mut inner = self.inner();
        if inner.lose > 0 {
            inner.lose -= 1;
            return;
        }
        inner.waiting.remove(&id);
        inner.acknowledged.push((id, connection));
    }
}

fn bearer(headers: &HeaderMap) -> &str {
    headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn open(State(slack): State<FakeSlack>, headers: HeaderMap) -> Response {
    let mut inner = slack.inner();
    inner.opened_at.push(podbell::clock::now());
    if let Some((status, body)) = inner.opens.pop_front() {
        return (status, [("retry-after", "1")], body.to_string()).into_response();
    }
    if bearer(&headers) != format!("Bearer {APP_TOKEN}") {
        return json!({"ok": false, "error": "invalid_auth"}).to_string().into_response();
    }
    let ticket = format!("ticket={}", inner.opened_at.len());
    inner.tickets.insert(ticket.clone());
    json!({"ok": true, "url": format!("{}/link/?{ticket}", slack.socket)}).to_string().into_response()
}

async fn method(
    State(slack): State<FakeSlack>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    if bearer(&headers) != format!("Bearer {BOT_TOKEN}") {
        return json!({"ok": false, "error": "invalid_auth"}).to_string().into_response();
    }
    let mut inner = slack.inner();
    inner.posts.push((method, body, podbell::clock::now()));
    match inner.replies.pop_front() {
        Some(reply) => reply.into_response(),
        None => json!({"ok": true}).to_string().into_response(),
    }
}

async fn response(State(slack): State<FakeSlack>, Path(id): Path<String>, body: Bytes) -> Response {
    let to = format!("response/{id}");
    let mut inner = slack.inner();
    if inner.posts.iter().filter(|(other, ..)| *other == to).count() >= POSTS {
        inner.refused.push("a sixth post");
        return (StatusCode::NOT_FOUND, "used_url").into_response();
    }
    inner.posts.push((to, serde_json::from_slice(&body).unwrap(), podbell::clock::now()));
    match inner.replies.pop_front() {
        Some((status, body)) => (status, [("location", "/api/elsewhere")], body).into_response(),
        None => "ok".into_response(),
    }
}

/// A query service that says back what it was asked, when it is let.
pub struct FakeQueries {
    asked: Mutex<Vec<Question>>,
    open: watch::Sender<bool>,
    public: bool,
    incident: Option<OpenIncident>,
    /// Whether what is public and about the incident is as podbell has it.
    by_command: bool,
}

impl FakeQueries {
    pub fn new() -> Arc<Self> {
        Self::like(false, None)
    }

    /// One whose answers are for everybody, or about an incident that nobody has.
    pub fn like(public: bool, incident: Option<u64>) -> Arc<Self> {
        let incident = incident.map(|id| OpenIncident { id, acknowledged: false });
        Arc::new(Self { asked: Mutex::default(), open: watch::channel(true).0, public, incident, by_command: false })
    }

    /// One with an open incident, which `ack` acknowledges: what it changes everybody sees, and `show` is for whoever asks.
    pub fn with_incident(id: u64) -> Arc<Self> {
        let incident = Some(OpenIncident { id, acknowledged: false });
        let (asked, open) = (Mutex::default(), watch::channel(true).0);
        Arc::new(Self { asked, open, public: false, incident, by_command: true })
    }

    /// Answers wait from now on, or come.
    pub fn open(&self, open: bool) {
        self.open.send_replace(open);
    }

    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked, as text.
    pub fn texts(&self) -> Vec<String> {
        self.asked().into_iter().map(|question| question.text).collect()
    }
}

impl Queries for FakeQueries {
    fn ask(&self, question: Question) -> BoxFuture<'_, Reply> {
        self.asked.lock().unwrap().push(question.clone());
        let mut open = self.open.subscribe();
        Box::pin(async move {
            open.wait_for(|open| *open).await.unwrap();
            let is = |command: &str| question.text.starts_with(command);
            let acknowledged = match self.by_command {
                true => self.texts().iter().any(|text| text.starts_with("ack ")),
                false => is("ack "),
            };
            let public = self.public || self.by_command && (is("ack ") || is("mute "));
            let has_incident = !self.by_command || is("ack ") || is("show ");
            let message = Message {
                title: format!("You said {}", question.text),
                severity: Severity::Info,
                kind: NoticeKind::Info,
                over: false,
                language: Language::En,
                mentions: Vec::new(),
                blocks: vec![Block::Line(vec![Span::Data(question.text)])],
            };
            let incident = self.incident.filter(|_| has_incident);
            let incident = incident.map(|incident| OpenIncident { acknowledged, ..incident });
            Reply { message, public, good: true, incident }
        })
    }
}

/// Less patience than in earnest.
pub fn quick() -> Timing {
    let millis = Duration::from_millis;
    let pauses = Pauses { first: millis(10), longest: millis(2000), refused: millis(2000), displaced: millis(100) };
    Timing {
        inline: millis(2500),
        answers: QUICK_ANSWERS,
        connection: ConnectionTiming { silence: millis(2000), pauses, ..QUICK_CONNECTION },
        linger: millis(5000),
    }
}

/// A chat with every secret.
pub fn config(slack: &FakeSlack) -> SlackConfig {
    SlackConfig {
        settings: ChatSettings {
            name: "ops".into(),
            access: Access::default(),
            language: Language::En,
            time_zone: jiff::tz::TimeZone::UTC,
        },
        signing_secret: Some(SECRET.into()),
        app_token: Some(APP_TOKEN.into()),
        bot_token: Some(BOT_TOKEN.into()),
        api: slack.api(),
        connections: 1,
        timing: quick(),
    }
}

/// A running chat at a clock that stands still, without a network outside: every name is this
/// machine's, which the guard refuses.
pub fn chat(config: SlackConfig, queries: Arc<FakeQueries>, now: Option<Time>) -> Arc<Slack> {
    let nowhere = Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1:443".parse().unwrap()]) }) as _);
    let guarded = guarded_client(&HttpOptions::default(), nowhere).unwrap();
    let deps = ChatDeps {
        queries,
        client: client(),
        now: Arc::new(move || now.unwrap_or_else(podbell::clock::now)),
        chance: Arc::new(|| 1.0),
    };
    Slack::new(config, deps, guarded)
}
