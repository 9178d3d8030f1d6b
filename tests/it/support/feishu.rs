//! An API of Feishu's with long connections, on real sockets: it gives out tokens and addresses, sends each event until it is
//! answered with 200, and counts what comes later than its 3 s.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::one_address::OneAddress;
use super::receiver::client;
use super::slack::FakeQueries;
use super::{QUICK_ANSWERS, QUICK_CONNECTION};
use podbell::chat::access::Access;
use podbell::chat::{ChatDeps, ChatSettings};
use podbell::components::feishu::chat::{Feishu, FeishuConfig, Timing};
use podbell_core::time::Time;
use podbell_core::translations::Language;

pub const SECRET: &str = "marker-of-the-app-secret";
/// The bot's own id.
pub const BOT: &str = "ou_bot";
const SERVICE: i32 = 7;

/// `pbbp2.Frame`.
#[derive(Clone, PartialEq, prost::Message)]
struct Pb {
    #[prost(uint64, required, tag = "1")]
    seq_id: u64,
    #[prost(uint64, required, tag = "2")]
    log_id: u64,
    #[prost(int32, required, tag = "3")]
    service: i32,
    #[prost(int32, required, tag = "4")]
    method: i32,
    #[prost(message, repeated, tag = "5")]
    headers: Vec<PbHeader>,
    #[prost(bytes = "vec", optional, tag = "8")]
    payload: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PbHeader {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

fn frame(method: i32, headers: &[(&str, &str)], payload: Vec<u8>) -> Vec<u8> {
    let header = |(key, value): &(&str, &str)| PbHeader { key: (*key).to_owned(), value: (*value).to_owned() };
    let headers = headers.iter().map(header).collect();
    Pb { seq_id: 1, log_id: 2, service: SERVICE, method, headers, payload: Some(payload) }.encode_to_vec()
}

enum Order {
    Send(Vec<u8>),
    Cut,
    /// Neither read nor write any more, and keep it open.
    Hang,
}

#[derive(Default)]
struct Inner {
    current: Option<mpsc::UnboundedSender<Order>>,
    connections: usize,
    pings: usize,
    /// Requests that were not answered with 200, with the moment when each was last sent.
    open: BTreeMap<String, (String, Time)>,
    /// How each was answered.
    answers: Vec<(String, Value)>,
    late: usize,
    /// What was posted as an answer to a message.
    posts: Vec<(String, Value)>,
    /// Messages that were changed, and to what.
    changes: Vec<(String, Value)>,
    /// What the next requests for an address are answered.
    endpoints: Vec<Value>,
    replies: Vec<Value>,
    refused: Vec<String>,
    numbers: usize,
}

/// A running API.
#[derive(Clone)]
pub struct FakeFeishu {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl FakeFeishu {
    /// One address for the API and the connections: the API is behind it.
    pub async fn start() -> Self {
        let front = OneAddress::bind().await;
        let server = Self { base: front.base(), inner: Arc::default() };
        let app = Router::new().fallback(answer).with_state(server.clone());
        let accepting = server.clone();
        front.serve(app, b"GET /ws/v2?", move |stream| accepting.clone().connection(stream)).await;
        server
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn connections(&self) -> usize {
        self.inner().connections
    }

    pub fn is_connected(&self) -> bool {
        self.inner().current.is_some()
    }

    pub fn pings(&self) -> usize {
        self.inner().pings
    }

    /// What was posted, with the message that it answers.
    pub fn posts(&self) -> Vec<(String, Value)> {
        self.inner().posts.clone()
    }

    /// The messages that were changed, and to what.
    pub fn changes(&self) -> Vec<(String, Value)> {
        self.inner().changes.clone()
    }

    /// How requests were answered, with their ids.
    pub fn answers(&self) -> Vec<(String, Value)> {
        self.inner().answers.clone()
    }

    pub fn late(&self) -> usize {
        self.inner().late
    }

    pub fn refused(&self) -> Vec<String> {
        self.inner().refused.clone()
    }

    /// How many requests still want an answer.
    pub fn unanswered(&self) -> usize {
        self.inner().open.len()
    }

    pub fn endpoints(&self, answers: &[Value]) {
        self.inner().endpoints = answers.to_vec();
    }

    pub fn replies(&self, answers: &[Value]) {
        self.inner().replies = answers.to_vec();
    }

    pub fn cut(&self) {
        self.order(Order::Cut);
        self.inner().current = None;
    }

    pub fn freeze(&self) {
        self.order(Order::Hang);
        self.inner().current = None;
    }

    fn order(&self, order: Order) {
        if let Some(current) = &self.inner().current {
            let _ = current.send(order);
        }
    }

    /// Any bytes as a frame.
    pub fn bytes(&self, bytes: &[u8]) {
        self.order(Order::Send(bytes.to_vec()));
    }

    /// A request of this id, in pieces.
    pub fn request(&self, id: &str, payload: &str, pieces: usize) {
        let bytes = payload.as_bytes();
        let size = bytes.len().div_ceil(pieces).max(1);
        let sum = bytes.len().div_ceil(size).to_string();
        self.inner().open.insert(id.to_owned(), (payload.to_owned(), podbell::clock::now()));
        // The order of pieces is not promised.
        for (seq, piece) in bytes.chunks(size).enumerate().collect::<Vec<_>>().into_iter().rev() {
            let seq = seq.to_string();
            let headers =
                [("type", "event"), ("message_id", id), ("trace_id", "t"), ("sum", sum.as_str()), ("seq", &seq)];
            self.bytes(&frame(1, &headers, piece.to_vec()));
        }
    }

    /// Sends again what was not answered, under new ids of frames.
    pub fn again(&self) {
        let open: Vec<(String, String)> =
            self.inner().open.iter().map(|(id, (payload, _))| (id.clone(), payload.clone())).collect();
        for (id, payload) in open {
            self.request(&id, &payload, 1);
        }
    }

    fn event(&self, kind: &str, id: &str, event: &Value, age: Duration) -> String {
        let at = podbell::clock::now().millis() - i64::try_from(age.as_millis()).unwrap();
        let header = json!({"event_id": id, "event_type": kind, "create_time": at.to_string(), "tenant_key": "t1", "app_id": "cli_a1"});
        json!({"schema": "2.0", "header": header, "event": event}).to_string()
    }

    /// A message in a group (`group`) or a conversation with the bot (`p2p`).
    pub fn message(&self, id: &str, chat_type: &str, text: &str, age: Duration) -> String {
        let mention = |key: &str, id: &str, name: &str| json!({"key": key, "id": {"open_id": id}, "name": name});
        let mentions = [mention("@_user_1", BOT, "podbell"), mention("@_user_2", "ou_2", "ann")];
        let used: Vec<&Value> = mentions.iter().filter(|one| text.contains(one["key"].as_str().unwrap())).collect();
        let message = json!({
            "message_id": format!("om_{id}"), "chat_id": "oc_1", "chat_type": chat_type, "message_type": "text",
            "content": json!({"text": text}).to_string(), "mentions": used,
        });
        let sender = json!({"sender_id": {"open_id": "ou_1"}, "sender_type": "user", "tenant_key": "t1"});
        self.event("im.message.receive_v1", id, &json!({"sender": sender, "message": message}), age)
    }

    pub fn say(&self, id: &str, text: &str) {
        self.request(id, &self.message(id, "group", text, Duration::ZERO), 1);
    }

    /// Somebody presses a button that carries this.
    pub fn press(&self, id: &str, value: &Value) {
        let event = json!({
            "operator": {"open_id": "ou_1", "tenant_key": "t1"}, "token": "c-1",
            "action": {"tag": "button", "value": value},
            "context": {"open_message_id": "om_card", "open_chat_id": "oc_1"},
        });
        self.request(id, &self.event("card.action.trigger", id, &event, Duration::ZERO), 1);
    }

    async fn connection(self, stream: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (orders, mut ordered) = mpsc::unbounded_channel();
        {
            let mut inner = self.inner();
            inner.connections += 1;
            inner.current = Some(orders);
        }
        loop {
            let received = tokio::select! {
                order = ordered.recv() => match order {
                    Some(Order::Send(bytes)) => {
                        let _ = socket.send(Frame::binary(bytes)).await;
                        continue;
                    }
                    Some(Order::Hang) => return std::future::pending().await,
                    _ => return,
                },
                received = socket.next() => received,
            };
            let bytes = match received {
                Some(Ok(Frame::Binary(bytes))) => bytes,
                Some(Ok(_)) => continue,
                _ => return,
            };
            let read = Pb::decode(&*bytes).unwrap();
            let header = |key: &str| read.headers.iter().find(|one| one.key == key).map(|one| one.value.clone());
            if read.service != SERVICE {
                self.inner().refused.push(format!("service {}", read.service));
            }
            if read.method == 0 {
                assert_eq!(header("type").as_deref(), Some("ping"));
                self.inner().pings += 1;
                let pong = frame(0, &[("type", "pong")], b"{\"PingInterval\":120}".to_vec());
                let _ = socket.send(Frame::binary(pong)).await;
                continue;
            }
            let mut answer: Value = serde_json::from_slice(&read.payload.clone().unwrap()).unwrap();
            if let Some(data) = answer["data"].as_str() {
                answer["data"] = serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap();
            }
            let id = header("message_id").unwrap();
            let mut inner = self.inner();
            let sent = inner.open.get(&id).map(|(_, sent)| *sent);
            inner.late +=
                usize::from(sent.is_some_and(|sent| podbell::clock::now().since(sent) > Duration::from_secs(3)));
            if answer["code"] == 200 {
                inner.open.remove(&id);
            }
            inner.answers.push((id, answer));
        }
    }
}

/// One request a connection: the next one may be a long one.
async fn answer(State(server): State<FakeFeishu>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let answer = api(&server, uri.path(), &headers, &body);
    let status = if answer["code"] == 0 || uri.path().starts_with("/callback") { 200 } else { 400 };
    (StatusCode::from_u16(status).unwrap(), [("connection", "close")], answer.to_string()).into_response()
}

fn api(server: &FakeFeishu, path: &str, headers: &HeaderMap, body: &Value) -> Value {
    match path {
        "/open-apis/auth/v3/tenant_access_token/internal" if body["app_secret"] == SECRET => {
            return json!({"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200});
        }
        "/open-apis/auth/v3/tenant_access_token/internal" => {
            return json!({"code": 10_014, "msg": "app secret invalid"});
        }
        "/callback/ws/endpoint" => {
            assert_eq!((&body["AppID"], &body["AppSecret"]), (&json!("cli_a1"), &json!(SECRET)));
            let mut inner = server.inner();
            if !inner.endpoints.is_empty() {
                return inner.endpoints.remove(0);
            }
            let base = server.base.replacen("http", "ws", 1);
            let url = format!("{base}/ws/v2?device_id=d1&service_id={SERVICE}&ticket=x");
            let config =
                json!({"ReconnectCount": -1, "ReconnectInterval": 120, "ReconnectNonce": 30, "PingInterval": 120});
            return json!({"code": 0, "msg": "", "data": {"URL": url, "ClientConfig": config}});
        }
        _ => {}
    }
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some("Bearer t-1") {
        return json!({"code": 99_991_663, "msg": "Invalid access token"});
    }
    if path == "/open-apis/bot/v3/info" {
        return json!({"code": 0, "msg": "ok", "bot": {"open_id": BOT, "app_name": "podbell"}});
    }
    let place = path.strip_prefix("/open-apis/im/v1/messages/").unwrap();
    let mut inner = server.inner();
    let Some(message) = place.strip_suffix("/reply") else {
        inner.changes.push((place.to_owned(), body.clone()));
        return json!({"code": 0, "msg": "success", "data": {}});
    };
    if !inner.replies.is_empty() {
        return inner.replies.remove(0);
    }
    let known = inner.posts.iter().any(|(_, post)| post["uuid"] == body["uuid"]);
    if !known {
        inner.posts.push((message.to_owned(), body.clone()));
    }
    inner.numbers += 1;
    json!({"code": 0, "msg": "success", "data": {"message_id": format!("om_a{}", inner.numbers)}})
}

/// An app there, not connected yet.
pub fn app(server: &FakeFeishu, queries: Arc<FakeQueries>, secret: &str, access: Access) -> Arc<Feishu> {
    let millis = Duration::from_millis;
    let settings =
        ChatSettings { name: "fs".into(), access, language: Language::En, time_zone: jiff::tz::TimeZone::UTC };
    let timing = Timing {
        reply: millis(300),
        connection: QUICK_CONNECTION,
        answers: QUICK_ANSWERS,
        stale: Duration::from_secs(15 * 60),
    };
    let api = server.base.parse().unwrap();
    let config =
        FeishuConfig { settings, app_id: "cli_a1".into(), app_secret: secret.into(), api, subscription: None, timing };
    let deps = ChatDeps { queries, client: client(), now: Arc::new(podbell::clock::now), chance: Arc::new(|| 0.0) };
    Feishu::new(config, deps)
}
