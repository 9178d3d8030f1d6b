//! A WeCom on real sockets that enforces what WeCom documents: a bot subscribes first, has one
//! connection (the newer pushes the older away), answers within 20,480 bytes and a request that is
//! known, and pings; and a caller of an app's callback that tries again when no answer comes.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::QUICK_CONNECTION;
use super::receiver::client;
use super::slack::FakeQueries;
use podbell::chat::ChatDeps;
use podbell::chat::access::Channel;
use podbell::chat::reconnect::{ConnectionTiming, Pauses};
use podbell::components::wecom::chat::{Access, AppConfig, AppTiming, Bot, BotConfig, BotTiming, ChatSettings, Crypto};
use podbell_core::time::Time;
use podbell_core::translations::Language;

pub const BOT_ID: &str = "bot-1";
pub const BOT_SECRET: &str = "marker-of-the-bot-secret";
pub const TOKEN: &str = "QDG6eK";
pub const KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
pub const CORP: &str = "wx5823bf96d3bd56c7";

/// What is to be done on a connection.
enum Order {
    Send(String),
    /// Gone without a word.
    Cut,
}

#[derive(Default)]
struct Inner {
    connections: Vec<Option<mpsc::UnboundedSender<Order>>>,
    /// The one that is subscribed.
    current: Option<usize>,
    /// Requests that may be answered.
    requests: HashSet<String>,
    streams: HashMap<String, Vec<(String, bool)>>,
    /// Everything that was wrong with a frame.
    refused: Vec<String>,
    pings: usize,
    /// Codes of the next answers to what the bot says.
    codes: Vec<i64>,
    /// How many answers are taken and not confirmed: the connection is cut instead.
    lose: usize,
}

/// A running WeCom for bots.
#[derive(Clone)]
pub struct FakeWecom {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl FakeWecom {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wecom = Self { address: listener.local_addr().unwrap(), inner: Arc::default() };
        let accepting = wecom.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().connection(stream));
            }
        });
        wecom
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.inner().connections.len()
    }

    pub fn is_subscribed(&self) -> bool {
        self.current().is_some()
    }

    /// Which connection is the subscribed one, counted from 0.
    pub fn current(&self) -> Option<usize> {
        self.inner().current
    }

    pub fn pings(&self) -> usize {
        self.inner().pings
    }

    /// What was wrong with the bot's frames.
    pub fn refused(&self) -> Vec<String> {
        self.inner().refused.clone()
    }

    /// How the next answers are confirmed.
    pub fn codes(&self, codes: &[i64]) {
        self.inner().codes = codes.to_vec();
    }

    /// The next answers are lost with their connection.
    pub fn lose(&self, count: usize) {
        self.inner().lose = count;
    }

    /// What a request was answered, frame by frame.
    pub fn answers(&self, req_id: &str) -> Vec<(String, bool)> {
        self.inner().streams.get(req_id).cloned().unwrap_or_default()
    }

    /// The end of an answer, once it is there.
    pub fn finished(&self, req_id: &str) -> Option<String> {
        self.answers(req_id).into_iter().find(|(_, finish)| *finish).map(|(content, _)| content)
    }

    fn order(&self, order: Order) {
        let inner = self.inner();
        let connection = inner.current.and_then(|current| inner.connections[current].clone());
        let _ = connection.unwrap().send(order);
    }

    /// Somebody writes in a group.
    pub fn say(&self, req_id: &str, msgid: &str, user: &str, content: &str) {
        let body = json!({
            "msgid": msgid, "aibotid": BOT_ID, "chatid": "group-1", "chattype": "group", "from": {"userid": user},
            "msgtype": "text", "text": {"content": content},
        });
        self.inner().requests.insert(req_id.to_owned());
        self.frame(&json!({"cmd": "aibot_msg_callback", "headers": {"req_id": req_id}, "body": body}));
    }

    /// Any frame.
    pub fn frame(&self, frame: &Value) {
        self.text(&frame.to_string());
    }

    pub fn text(&self, text: &str) {
        self.order(Order::Send(text.to_owned()));
    }

    pub fn cut(&self) {
        self.order(Order::Cut);
    }

    async fn connection(self, stream: TcpStream) {
        let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let own = {
            let mut inner = self.inner();
            inner.connections.push(Some(orders));
            inner.connections.len() - 1
        };
        loop {
            let received = tokio::select! {
                order = ordered.recv() => match order {
                    Some(Order::Send(text)) => {
                        let _ = socket.send(Frame::text(text)).await;
                        continue;
                    }
                    _ => break,
                },
                received = socket.next() => received,
            };
            let text = match received {
                Some(Ok(Frame::Text(text))) => text,
                Some(Ok(Frame::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => continue,
            };
            let Some(answer) = self.taken(own, &serde_json::from_str(&text).unwrap()) else { break };
            let _ = socket.send(Frame::text(answer.to_string())).await;
        }
        let mut inner = self.inner();
        inner.connections[own] = None;
        if inner.current == Some(own) {
            inner.current = None;
        }
    }

    /// What a frame is answered; nothing when its connection breaks off.
    fn taken(&self, own: usize, frame: &Value) -> Option<Value> {
        let mut inner = self.inner();
        let req_id = frame["headers"]["req_id"].as_str().unwrap_or_default().to_owned();
        let subscribed = inner.current == Some(own);
        let code = match frame["cmd"].as_str() {
            Some("aibot_subscribe") if frame["body"] != json!({"bot_id": BOT_ID, "secret": BOT_SECRET}) => 40001,
            Some("aibot_subscribe") => {
                if let Some(older) = inner.current.replace(own)
                    && let Some(older) = inner.connections[older].take()
                {
                    let _ = older.send(Order::Send(disconnected()));
                    let _ = older.send(Order::Cut);
                }
                0
            }
            _ if !subscribed => {
                inner.refused.push(format!("not subscribed: {frame}"));
                return None;
            }
            Some("ping") => {
                inner.pings += 1;
                0
            }
            Some("aibot_respond_msg") => {
                let stream = &frame["body"]["stream"];
                let content = stream["content"].as_str().unwrap_or_default().to_owned();
                let finish = stream["finish"].as_bool().unwrap_or_default();
                let good = frame["body"]["msgtype"] == "stream" && stream["id"].is_string() && !content.is_empty();
                if !good || content.len() > 20_480 || !inner.requests.contains(&req_id) {
                    inner.refused.push(format!("a wrong answer: {frame}"));
                    846_605
                } else if inner.lose > 0 {
                    inner.lose -= 1;
                    return None;
                } else if inner.codes.first().is_some_and(|code| *code != 0) {
                    inner.codes.remove(0)
                } else {
                    if !inner.codes.is_empty() {
                        inner.codes.remove(0);
                    }
                    if inner.streams.get(&req_id).is_some_and(|frames| frames.iter().any(|(_, finish)| *finish)) {
                        inner.refused.push(format!("after its end: {frame}"));
                    }
                    inner.streams.entry(req_id.clone()).or_default().push((content, finish));
                    0
                }
            }
            _ => {
                inner.refused.push(format!("unknown: {frame}"));
                40_000
            }
        };
        Some(json!({"headers": {"req_id": req_id}, "errcode": code, "errmsg": "said"}))
    }
}

fn disconnected() -> String {
    json!({
        "cmd": "aibot_event_callback", "headers": {"req_id": "event"},
        "body": {"msgtype": "event", "event": {"eventtype": "disconnected_event"}},
    })
    .to_string()
}

/// Less patience than in earnest.
pub fn quick() -> BotTiming {
    let millis = Duration::from_millis;
    let pauses =
        Pauses { first: millis(10), longest: millis(100), refused: millis(100), displaced: Duration::from_secs(3600) };
    BotTiming {
        inline: millis(2000),
        connection: ConnectionTiming { silence: millis(5000), pauses, ..QUICK_CONNECTION },
        confirm: millis(5000),
        again: millis(5),
        end: millis(3000),
    }
}

pub fn settings() -> ChatSettings {
    ChatSettings {
        name: "wx".into(),
        access: Access::default(),
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
    }
}

pub fn around(queries: Arc<FakeQueries>, now: Option<Time>) -> ChatDeps {
    ChatDeps {
        queries,
        client: client(),
        now: Arc::new(move || now.unwrap_or_else(podbell::clock::now)),
        chance: Arc::new(|| 0.0),
    }
}

/// A bot of that WeCom, not connected yet.
pub fn bot(wecom: &FakeWecom, queries: Arc<FakeQueries>, change: impl FnOnce(&mut BotConfig)) -> Arc<Bot> {
    let mut config = BotConfig {
        settings: settings(),
        bot_id: BOT_ID.into(),
        secret: BOT_SECRET.into(),
        endpoint: format!("ws://{}", wecom.address).parse().unwrap(),
        timing: quick(),
    };
    change(&mut config);
    Bot::new(config, around(queries, None))
}

pub fn crypto() -> Crypto {
    Crypto::new(TOKEN.into(), &KEY.into(), CORP.into()).unwrap()
}

pub fn app_config() -> AppConfig {
    AppConfig {
        settings: settings(),
        corp_id: CORP.into(),
        agent_id: None,
        crypto: crypto(),
        timing: AppTiming::default(),
    }
}

/// A channel that sees one namespace and changes nothing.
pub fn bound(namespace: &str) -> Channel {
    let scope = serde_json::from_value(json!({"namespace": [namespace]})).unwrap();
    Channel { scope, read_only: true }
}
