//! A Mattermost on real sockets that enforces what Mattermost documents of its websocket: a bot says who it is first,
//! events are numbered, and a connection that broke off is taken up where it was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response as Shaken};

use super::one_address::OneAddress;
use super::receiver::client;
use super::slack::FakeQueries;
use super::{QUICK_ANSWERS, QUICK_CONNECTION};
use podbell::chat::access::Access;
use podbell::chat::{ChatDeps, ChatSettings};
use podbell::components::mattermost::chat::{Mattermost, MattermostConfig, Timing};
use podbell_core::translations::Language;

pub const TOKEN: &str = "marker-of-the-bot-token";

enum Order {
    Send(String),
    Cut,
    /// Neither read nor write any more, and keep it open.
    Hang,
}

#[derive(Default)]
struct Inner {
    current: Option<mpsc::UnboundedSender<Order>>,
    connections: usize,
    /// How many of them went on where another one broke off.
    resumed: usize,
    /// What the next reads of a channel are answered with.
    read_replies: Vec<u16>,
    /// The connection that events belong to, and all of its events.
    id: String,
    events: Vec<Value>,
    posts: Vec<Value>,
    /// What people posted, as channels show it.
    kept: Vec<Value>,
    /// How often the list of channels was read.
    looked: usize,
    /// How often a channel was read.
    catching_up: usize,
    /// How the next posts are answered.
    replies: Vec<u16>,
    refused: Vec<String>,
}

/// A running server.
#[derive(Clone)]
pub struct FakeMattermost {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl FakeMattermost {
    /// One address for the API and the websocket, as Mattermost has it: the API is behind it.
    pub async fn start() -> Self {
        let front = OneAddress::bind().await;
        let server = Self { base: front.base(), inner: Arc::default() };
        let app = Router::new().fallback(answer).with_state(server.clone());
        let accepting = server.clone();
        front.serve(app, b"GET /api/v4/websocket", move |stream| accepting.clone().connection(stream)).await;
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

    pub fn posts(&self) -> Vec<Value> {
        self.inner().posts.clone()
    }

    /// How often podbell asked which channels there are.
    pub fn looked(&self) -> usize {
        self.inner().looked
    }

    /// How often a channel was read.
    pub fn catching_up(&self) -> usize {
        self.inner().catching_up
    }

    /// What was posted in the channel is two hours old now.
    pub fn age(&self) {
        for post in &mut self.inner().kept {
            post["create_at"] = json!(post["create_at"].as_i64().unwrap() - 2 * 3_600_000);
        }
    }

    pub fn refused(&self) -> Vec<String> {
        self.inner().refused.clone()
    }

    pub fn replies(&self, statuses: &[u16]) {
        self.inner().replies = statuses.to_vec();
    }

    pub fn cut(&self) {
        self.order(Order::Cut);
        self.inner().current = None;
    }

    pub fn freeze(&self) {
        self.order(Order::Hang);
        self.inner().current = None;
    }

    /// Another process of the server, which knows nothing of earlier connections.
    pub fn forget(&self) {
        self.inner().id.clear();
    }

    fn order(&self, order: Order) {
        if let Some(current) = &self.inner().current {
            let _ = current.send(order);
        }
    }

    pub fn resumed(&self) -> usize {
        self.inner().resumed
    }

    /// What the next reads of a channel are answered with.
    pub fn read_replies(&self, statuses: &[u16]) {
        self.inner().read_replies = statuses.to_vec();
    }

    /// Any text as a frame.
    pub fn text(&self, text: &str) {
        self.order(Order::Send(text.to_owned()));
    }

    /// Somebody posts in a channel. `lost`: it gets its number, and does not arrive.
    pub fn say(&self, id: &str, message: &str, lost: bool) {
        self.post(&json!({"id": id, "user_id": "u1", "channel_id": "c1", "root_id": "", "message": message, "type": "", "props": {}}), "O", lost);
    }

    pub fn post(&self, post: &Value, channel_type: &str, lost: bool) {
        let data =
            json!({"channel_type": channel_type, "post": post.to_string(), "sender_name": "@ann", "team_id": "t1"});
        let event = {
            let mut inner = self.inner();
            let mut shown = post.clone();
            shown["create_at"] = json!(podbell::clock::now().millis());
            inner.kept.push(shown);
            // The greeting has number 0.
            let event = json!({"event": "posted", "data": data, "broadcast": {}, "seq": inner.events.len() + 1});
            inner.events.push(event.clone());
            event
        };
        if !lost {
            self.text(&event.to_string());
        }
    }

    async fn connection(self, stream: TcpStream) {
        let (mut query, mut bearer) = (String::new(), String::new());
        #[allow(clippy::result_large_err, reason = "the type is the library's")]
        let shake = |request: &Request, response: Shaken| -> Result<Shaken, ErrorResponse> {
            request.uri().query().unwrap_or_default().clone_into(&mut query);
            let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
            header.unwrap_or_default().clone_into(&mut bearer);
            Ok(response)
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, shake).await else { return };
        let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        // With a session of the handshake, the challenge is ignored; without one, no connection goes on.
        let known_at_once = bearer == format!("Bearer {TOKEN}");
        if !known_at_once {
            let Some(Ok(Frame::Text(first))) = socket.next().await else { return };
            let first: Value = serde_json::from_str(&first).unwrap();
            let known = first["action"] == "authentication_challenge" && first["data"]["token"] == TOKEN;
            if !known {
                self.inner().refused.push(format!("not authenticated: {first}"));
                let no = json!({"status": "FAIL", "seq_reply": first["seq"], "error": {"id": "api.web_socket_router.bad_auth.app_error"}});
                let _ = socket.send(Frame::text(no.to_string())).await;
                return;
            }
        }
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let frames: Vec<Value> = {
            let mut inner = self.inner();
            inner.connections += 1;
            let resumed = known_at_once && !inner.id.is_empty() && query.get("connection_id") == Some(&inner.id);
            inner.resumed += usize::from(resumed);
            if !resumed {
                inner.id = format!("connection-{}", inner.connections);
                inner.events.clear();
            }
            let hello =
                json!({"event": "hello", "data": {"connection_id": inner.id, "server_version": "10"}, "seq": 0});
            let from: usize = query.get("sequence_number").and_then(|number| number.parse().ok()).unwrap_or(1);
            let missed = inner.events.iter().skip(from.saturating_sub(1)).cloned().collect::<Vec<_>>();
            inner.current = Some(orders);
            // Only the answer to a challenge says OK, and only a new connection is greeted.
            let ok = (!known_at_once).then(|| json!({"status": "OK", "seq_reply": 1}));
            ok.into_iter().chain((!resumed).then_some(hello)).chain(missed).collect()
        };
        for frame in frames {
            let _ = socket.send(Frame::text(frame.to_string())).await;
        }
        loop {
            let received = tokio::select! {
                order = ordered.recv() => match order {
                    Some(Order::Send(text)) => {
                        let _ = socket.send(Frame::text(text)).await;
                        continue;
                    }
                    Some(Order::Hang) => return std::future::pending().await,
                    _ => return,
                },
                received = socket.next() => received,
            };
            if !matches!(received, Some(Ok(_))) {
                return;
            }
        }
    }
}

/// One request a connection: the next one may be that of the websocket.
async fn answer(State(server): State<FakeMattermost>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    ([("connection", "close")], api(&server, &uri, &headers, &body)).into_response()
}

fn api(server: &FakeMattermost, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if bearer != format!("Bearer {TOKEN}") {
        let no = json!({"id": "api.context.session_expired.app_error", "status_code": 401});
        return (StatusCode::UNAUTHORIZED, no.to_string()).into_response();
    }
    match uri.path() {
        "/api/v4/users/bot1/channels" => {
            let mut inner = server.inner();
            inner.looked += 1;
            let known = &inner.kept;
            let newest = known.iter().map(|post| post["create_at"].as_i64().unwrap()).max().unwrap_or_default();
            let channel = |id: &str, last: i64| json!({"id": id, "type": "O", "team_id": "t1", "last_post_at": last});
            json!([channel("c1", newest), channel("c-quiet", 1000)]).to_string().into_response()
        }
        "/api/v4/channels/c1/posts" => {
            let query: HashMap<String, String> =
                url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
            let since: i64 = query["since"].parse().unwrap();
            let mut inner = server.inner();
            inner.catching_up += 1;
            if !inner.read_replies.is_empty() {
                let status = StatusCode::from_u16(inner.read_replies.remove(0)).unwrap();
                return (status, "{}").into_response();
            }
            let new = inner.kept.iter().filter(|post| post["create_at"].as_i64().unwrap() > since);
            let posts: serde_json::Map<String, Value> =
                new.map(|post| (post["id"].as_str().unwrap().to_owned(), post.clone())).collect();
            json!({"order": posts.keys().rev().collect::<Vec<_>>(), "posts": posts}).to_string().into_response()
        }
        "/api/v4/users/me" => json!({"id": "bot1", "username": "podbell"}).to_string().into_response(),
        "/api/v4/posts" => {
            let mut inner = server.inner();
            if !inner.replies.is_empty() {
                let status = inner.replies.remove(0);
                return (StatusCode::from_u16(status).unwrap(), "{}").into_response();
            }
            let post: Value = serde_json::from_slice(body).unwrap();
            let mut shown = post.clone();
            shown["id"] = json!(format!("answer-{}", inner.posts.len()));
            shown["user_id"] = json!("bot1");
            shown["create_at"] = json!(podbell::clock::now().millis());
            inner.kept.push(shown);
            inner.posts.push(post);
            (StatusCode::CREATED, json!({"id": "p"}).to_string()).into_response()
        }
        other => panic!("{other}"),
    }
}

/// A bot there, not connected yet.
pub fn bot(server: &FakeMattermost, queries: Arc<FakeQueries>, token: &str) -> Arc<Mattermost> {
    bot_for(server, queries, token, Access::default())
}

/// The slash command that it knows.
pub const SLASH: &str = "token-of-a-slash-command";

/// The same, for some only.
pub fn bot_for(server: &FakeMattermost, queries: Arc<FakeQueries>, token: &str, access: Access) -> Arc<Mattermost> {
    let settings =
        ChatSettings { name: "mm".into(), access, language: Language::En, time_zone: jiff::tz::TimeZone::UTC };
    let timing = Timing { reply: Duration::from_secs(5), connection: QUICK_CONNECTION, answers: QUICK_ANSWERS };
    let config = MattermostConfig {
        settings,
        tokens: vec![SLASH.into()],
        bot_token: Some(token.into()),
        server: Some(server.base.parse().unwrap()),
        actions_url: Some("https://podbell.example.com/mattermost/mm".parse().unwrap()),
        timing,
    };
    let deps = ChatDeps { queries, client: client(), now: Arc::new(podbell::clock::now), chance: Arc::new(|| 0.0) };
    Mattermost::new(config, deps)
}
