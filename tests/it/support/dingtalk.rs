//! A DingTalk on real sockets that enforces what it documents of applications: an access token for the robot's messages and
//! cards, a ticket that opens one stream, and messages and presses that come again until they are acknowledged by their id.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response as Shaken};

use super::receiver::client;
use super::slack::FakeQueries;
use super::{FAST, QUICK_ANSWERS, QUICK_CONNECTION};
use podbell::chat::access::Access;
use podbell::chat::{ChatDeps, ChatSettings};
use podbell::components::dingtalk::chat::{DingTalk, DingTalkConfig, Timing};
use podbell_core::translations::Language;

pub const KEY: &str = "dingmarker";
pub const SECRET: &str = "marker-of-the-application-s-secret";
const MESSAGES: &str = "/v1.0/im/bot/messages/get";
const PRESSES: &str = "/v1.0/card/instances/callback";
pub const GROUP: &str = "cidmarkerOfTheGroup==";

enum Order {
    Send(String),
    Cut,
    /// Neither read nor write any more, and keep it open.
    Hang,
}

#[derive(Default)]
struct Inner {
    stream: String,
    current: Option<mpsc::UnboundedSender<Order>>,
    connections: usize,
    closed: usize,
    tickets: HashSet<String>,
    issued: usize,
    /// Access tokens that work.
    tokens: HashSet<String>,
    granted: usize,
    /// Messages by the id of their frame, oldest first.
    messages: Vec<(String, String)>,
    acknowledged: HashSet<String>,
    pongs: Vec<String>,
    /// Everything that podbell did wrong.
    refused: Vec<String>,
    /// Answers, with the session that they were posted to.
    answers: Vec<(String, Value)>,
    /// Codes of the next answers to what is posted to a session.
    codes: Vec<i64>,
    /// What the robot wrote in the group by itself.
    sent: Vec<Value>,
    /// Cards by the id that their maker chose.
    cards: HashMap<String, Card>,
    no_cards: bool,
}

/// A card.
#[derive(Clone, Debug, Default)]
pub struct Card {
    /// The values of its template's variables, as each request left them.
    pub versions: Vec<Value>,
    /// How often it was shown in the group.
    pub shown: usize,
}

/// A running server.
#[derive(Clone)]
pub struct FakeDingTalk {
    pub base: String,
    inner: Arc<Mutex<Inner>>,
}

impl FakeDingTalk {
    pub async fn start() -> Self {
        let (api, stream) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let base = format!("http://{}", api.local_addr().unwrap());
        let server = Self { base, inner: Arc::default() };
        server.inner().stream = format!("ws://{}/connect", stream.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(api, app).await.unwrap() });
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = stream.accept().await {
                tokio::spawn(accepting.clone().connection(socket));
            }
        });
        server
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn connections(&self) -> usize {
        self.inner().connections
    }

    pub fn closed(&self) -> usize {
        self.inner().closed
    }

    pub fn is_connected(&self) -> bool {
        self.inner().current.is_some()
    }

    pub fn answers(&self) -> Vec<(String, Value)> {
        self.inner().answers.clone()
    }

    pub fn sent(&self) -> Vec<Value> {
        self.inner().sent.clone()
    }

    pub fn cards(&self) -> HashMap<String, Card> {
        self.inner().cards.clone()
    }

    /// Whether the application has the right to write cards.
    pub fn may_write_cards(&self, may: bool) {
        self.inner().no_cards = !may;
    }

    pub fn granted(&self) -> usize {
        self.inner().granted
    }

    pub fn pongs(&self) -> Vec<String> {
        self.inner().pongs.clone()
    }

    pub fn refused(&self) -> Vec<String> {
        self.inner().refused.clone()
    }

    /// Whether everything was acknowledged.
    pub fn is_all_acknowledged(&self) -> bool {
        let inner = self.inner();
        inner.messages.iter().all(|(id, _)| inner.acknowledged.contains(id))
    }

    pub fn codes(&self, codes: &[i64]) {
        self.inner().codes = codes.to_vec();
    }

    /// No access token works any more.
    pub fn revoke(&self) {
        self.inner().tokens.clear();
    }

    fn order(&self, order: Order) {
        if let Some(current) = &self.inner().current {
            let _ = current.send(order);
        }
    }

    pub fn cut(&self) {
        self.order(Order::Cut);
        self.inner().current = None;
    }

    pub fn freeze(&self) {
        self.order(Order::Hang);
        self.inner().current = None;
    }

    /// Any text as a frame.
    pub fn text(&self, text: &str) {
        self.order(Order::Send(text.to_owned()));
    }

    fn system(&self, topic: &str, id: &str, data: &str) {
        let headers =
            json!({"topic": topic, "messageId": id, "contentType": "application/json", "time": "1690362102194"});
        self.text(&json!({"specVersion": "1.0", "type": "SYSTEM", "headers": headers, "data": data}).to_string());
    }

    pub fn ping(&self, data: &str) {
        self.system("ping", "ping-1", data);
    }

    /// Announces the end of the connection: nothing more is sent over it.
    pub fn disconnect(&self) {
        self.system("disconnect", "disconnect-1", r#"{"reason": "persistent connection is timeout"}"#);
        self.inner().current = None;
    }

    /// A message as DingTalk documents it, from somebody in the group.
    pub fn message(&self, id: &str, content: &str) -> Value {
        json!({
            "conversationId": GROUP, "conversationType": "2", "conversationTitle": "ops", "isInAtList": true,
            "atUsers": [{"dingtalkId": "$:LWCP_v1:$robot"}], "chatbotCorpId": "dingcorp", "chatbotUserId": "$:LWCP_v1:$robot",
            "msgId": id, "msgtype": "text", "text": {"content": content}, "robotCode": KEY, "isAdmin": false,
            "senderId": "$:LWCP_v1:$ann", "senderStaffId": "manager4220", "senderNick": "Ann", "senderCorpId": "dingcorp",
            "createAt": podbell::clock::now().millis(),
            "sessionWebhook": format!("{}/robot/sendBySession?session=session-of-{id}", self.base),
            "sessionWebhookExpiredTime": podbell::clock::now().millis() + 5_400_000,
        })
    }

    /// Somebody mentions the robot in the group.
    pub fn say(&self, id: &str, content: &str) {
        self.deliver(&self.message(id, content));
    }

    /// Hands out a message: now, and over each later connection until it is acknowledged.
    pub fn deliver(&self, message: &Value) {
        self.hand_out(MESSAGES, message);
    }

    /// A press of a button as DingTalk documents it, by somebody in the group.
    pub fn pressed(&self, track: &str, params: &Value) -> Value {
        let content = json!({"cardPrivateData": {"actionIds": ["ack"], "params": params}});
        json!({
            "type": "actionCallback", "outTrackId": track, "corpId": "dingcorp", "userId": "manager4220", "userIdType": 1,
            "spaceType": "IM_GROUP", "spaceId": GROUP, "content": content.to_string(), "extension": "{}",
        })
    }

    /// Somebody presses a button.
    pub fn press(&self, press: &Value) {
        self.hand_out(PRESSES, press);
    }

    /// Somebody pressed a button then, in milliseconds since 1970.
    pub fn press_at(&self, press: &Value, at: i64) {
        self.hand_out_at(PRESSES, press, at);
    }

    /// Hands the first frame out again, though it was acknowledged.
    pub fn repeat(&self) {
        let frame = self.inner().messages[0].1.clone();
        self.text(&frame);
    }

    fn hand_out(&self, topic: &str, data: &Value) {
        self.hand_out_at(topic, data, podbell::clock::now().millis());
    }

    fn hand_out_at(&self, topic: &str, data: &Value, at: i64) {
        let frame = {
            let mut inner = self.inner();
            let id = format!("frame-{}", inner.messages.len());
            let frame = callback(topic, &id, data, at);
            inner.messages.push((id, frame.clone()));
            frame
        };
        self.text(&frame);
    }

    async fn connection(self, stream: TcpStream) {
        let mut query = String::new();
        #[allow(clippy::result_large_err, reason = "the type is the library's")]
        let shake = |request: &Request, response: Shaken| -> Result<Shaken, ErrorResponse> {
            request.uri().query().unwrap_or_default().clone_into(&mut query);
            Ok(response)
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, shake).await else { return };
        let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let ticket = query.get("ticket").cloned().unwrap_or_default();
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let missed: Vec<String> = {
            let mut inner = self.inner();
            if !inner.tickets.remove(&ticket) {
                inner.refused.push(format!("a ticket that does not work: {ticket}"));
                return;
            }
            inner.connections += 1;
            inner.current = Some(orders);
            let left = inner.messages.iter().filter(|(id, _)| !inner.acknowledged.contains(id));
            left.map(|(_, frame)| frame.clone()).collect()
        };
        for frame in missed {
            let _ = socket.send(Frame::text(frame)).await;
        }
        loop {
            let received = tokio::select! {
                order = ordered.recv() => match order {
                    Some(Order::Send(text)) => {
                        let _ = socket.send(Frame::text(text)).await;
                        continue;
                    }
                    Some(Order::Hang) => return std::future::pending().await,
                    Some(Order::Cut) => return,
                    // Its end was announced: it is read until podbell closes it.
                    None => socket.next().await,
                },
                received = socket.next() => received,
            };
            match received {
                Some(Ok(Frame::Text(text))) => self.acknowledged(&text),
                Some(Ok(Frame::Close(_)) | Err(_)) | None => {
                    self.inner().closed += 1;
                    return;
                }
                Some(Ok(_)) => {}
            }
        }
    }

    fn acknowledged(&self, text: &str) {
        let mut inner = self.inner();
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        let id = frame["headers"]["messageId"].as_str().unwrap_or_default().to_owned();
        let is_data = frame["data"].as_str().is_some_and(|data| serde_json::from_str::<Value>(data).is_ok());
        let is_system = ["ping-1", "disconnect-1"].contains(&id.as_str());
        let known = is_system || inner.messages.iter().any(|(known, _)| *known == id);
        match known && is_data && frame["code"] == 200 && frame["headers"]["contentType"] == "application/json" {
            true if id == "ping-1" => inner.pongs.push(frame["data"].as_str().unwrap().to_owned()),
            true => {
                inner.acknowledged.insert(id);
            }
            false => inner.refused.push(format!("no acknowledgement: {text}")),
        }
    }
}

fn callback(topic: &str, id: &str, data: &Value, at: i64) -> String {
    let headers = json!({
        "appId": "app", "connectionId": "c", "contentType": "application/json", "messageId": id,
        "time": at.to_string(), "topic": topic,
    });
    json!({"specVersion": "1.0", "type": "CALLBACK", "headers": headers, "data": data.to_string()}).to_string()
}

fn json_of(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

/// Cards: made once for an id, shown in places, changed.
fn card(inner: &mut Inner, method: &Method, path: &str, body: &Value) -> Response {
    let no = |code: &str| json_of(400, &json!({"code": code, "message": code, "requestid": "r"}));
    let track = body["outTrackId"].as_str().unwrap_or_default().to_owned();
    let values = body["cardData"]["cardParamMap"].clone();
    let is_short = |value: &Value| value.as_str().is_some_and(|value| value.len() <= 1024);
    let fits = values.as_object().is_some_and(|values| values.values().all(is_short));
    let show = |inner: &mut Inner, track: &str| {
        inner.cards.get_mut(track).unwrap().shown += 1;
        json!({"spaceType": "IM_GROUP", "spaceId": GROUP, "success": true, "errorMsg": ""})
    };
    let is_for_the_group = body["openSpaceId"] == format!("dtv1.card//IM_GROUP.{GROUP}")
        && body["imGroupOpenDeliverModel"]["robotCode"] == KEY;
    let is_new = !inner.cards.contains_key(&track);
    match (method.as_str(), path) {
        _ if inner.no_cards => {
            let code = "Forbidden.AccessDenied.AccessTokenPermissionDenied";
            json_of(
                403,
                &json!({"code": code, "message": "应用尚未开通所需的权限：[Card.Instance.Write]", "requestid": "r"}),
            )
        }
        _ if track.is_empty() => no("param.outTrackIdEmpty"),
        ("POST", "/v1.0/card/instances" | "/v1.0/card/instances/createAndDeliver") if !is_new => {
            no("param.cardAlreadyExist")
        }
        ("PUT" | "POST", "/v1.0/card/instances/deliver" | "/v1.0/card/instances")
            if is_new && (method == Method::PUT || path.ends_with("deliver")) =>
        {
            no("param.cardNotExist")
        }
        ("POST", "/v1.0/card/instances/deliver") => match is_for_the_group {
            true => {
                let place = show(inner, &track);
                json_of(200, &json!({"success": true, "result": [place]}))
            }
            false => no("param.openSpaceIdInvalid"),
        },
        _ if !fits => no("param.invalid"),
        ("PUT", "/v1.0/card/instances") => {
            inner.cards.get_mut(&track).unwrap().versions.push(values);
            json_of(200, &json!({"success": true, "result": true}))
        }
        ("POST", "/v1.0/card/instances" | "/v1.0/card/instances/createAndDeliver") => {
            if body["callbackType"] != "STREAM" || !body["imGroupOpenSpaceModel"]["supportForward"].is_boolean() {
                return no("param.openSpaceModelInvalid");
            }
            let delivers = path.ends_with("createAndDeliver");
            if delivers && !is_for_the_group {
                return no("param.openSpaceIdInvalid");
            }
            inner.cards.insert(track.clone(), Card { versions: vec![values], shown: 0 });
            let places: Vec<Value> = if delivers { vec![show(inner, &track)] } else { Vec::new() };
            json_of(200, &json!({"success": true, "result": {"outTrackId": track, "deliverResults": places}}))
        }
        (_, other) => json_of(404, &json!({"code": "InvalidAction.NotFound", "message": other})),
    }
}

async fn answer(
    State(server): State<FakeDingTalk>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut inner = server.inner();
    match uri.path() {
        "/v1.0/gateway/connections/open" => {
            if body["clientId"] != KEY || body["clientSecret"] != SECRET {
                return json_of(401, &json!({"code": "authFailed", "message": "鉴权失败", "requestid": "r"}));
            }
            let topics = [MESSAGES, PRESSES].map(|topic| json!({"type": "CALLBACK", "topic": topic}));
            let known = |one: &Value| topics.contains(one);
            if !body["subscriptions"].as_array().is_some_and(|all| all.contains(&topics[0]) && all.iter().all(known)) {
                inner.refused.push(format!("subscriptions: {body}"));
            }
            inner.issued += 1;
            let ticket = format!("ticket+{}/=", inner.issued);
            inner.tickets.insert(ticket.clone());
            json_of(200, &json!({"endpoint": inner.stream, "ticket": ticket}))
        }
        "/v1.0/oauth2/accessToken" => {
            if body["appKey"] != KEY || body["appSecret"] != SECRET {
                let no = json!({"code": "invalidClientIdOrSecret", "message": "无效的clientId或者clientSecret", "requestid": "r"});
                return json_of(400, &no);
            }
            inner.granted += 1;
            let token = format!("token-{}", inner.granted);
            inner.tokens.insert(token.clone());
            json_of(200, &json!({"accessToken": token, "expireIn": 7200}))
        }
        path if path.starts_with("/v1.0/robot/") || path.starts_with("/v1.0/card/") => {
            let token = headers.get("x-acs-dingtalk-access-token").and_then(|value| value.to_str().ok());
            if token.is_none_or(|token| !inner.tokens.contains(token)) {
                let no = json!({"code": "InvalidAuthentication", "message": "不合法的access_token", "requestid": "r"});
                return json_of(400, &no);
            }
            if path != "/v1.0/robot/groupMessages/send" {
                return card(&mut inner, &method, path, &body);
            }
            inner.sent.push(body);
            json_of(200, &json!({"processQueryKey": "key"}))
        }
        "/robot/sendBySession" => {
            let session = uri.query().unwrap_or_default().trim_start_matches("session=").to_owned();
            if !inner.codes.is_empty() {
                let code = inner.codes.remove(0);
                return json_of(200, &json!({"errcode": code, "errmsg": "no"}));
            }
            inner.answers.push((session, body));
            json_of(200, &json!({"errcode": 0, "errmsg": "ok"}))
        }
        other => json_of(404, &json!({"code": "InvalidAction.NotFound", "message": other})),
    }
}

/// A chat there, not connected yet.
pub fn chat(
    server: &FakeDingTalk,
    queries: Arc<FakeQueries>,
    change: impl FnOnce(&mut DingTalkConfig),
) -> Arc<DingTalk> {
    let settings = ChatSettings {
        name: "dt".into(),
        access: Access::default(),
        language: Language::En,
        time_zone: jiff::tz::TimeZone::UTC,
    };
    let timing = Timing {
        connection: QUICK_CONNECTION,
        answers: QUICK_ANSWERS,
        press_pace: FAST,
        stale: Duration::from_secs(900),
    };
    let mut config = DingTalkConfig {
        settings,
        app_key: KEY.into(),
        app_secret: SECRET.into(),
        api: server.base.parse().unwrap(),
        timing,
    };
    change(&mut config);
    let deps = ChatDeps { queries, client: client(), now: Arc::new(podbell::clock::now), chance: Arc::new(|| 0.0) };
    DingTalk::new(config, deps)
}
