//! Chats and on-call services as their vendors document them, on real sockets and in virtual time: each takes messages within
//! its limits of length and pace, knows its credential, and answers in its own words.

mod discord;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
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

/// The credential that every platform of these knows.
pub const TOKEN: &str = "marker-of-the-right-token";
/// The channel of a Mattermost bot.
pub const CHANNEL: &str = "abcdefghijklmnopqrstuvwxyz";

/// A platform.
#[derive(Clone, Copy)]
pub struct Platform {
    pub name: &'static str,
    /// The keys of its item in podbell.yaml, for a server at this address, with this credential.
    pub keys: fn(base: &str, token: &str) -> String,
    /// Carries out a request.
    pub serve: fn(&mut Place, &Call) -> Reply,
}

pub const PLATFORMS: [Platform; 13] = [
    Platform {
        name: "dingtalk",
        keys: |base, token| format!("kind: dingtalk, url: \"{base}/robot/send?access_token={token}\""),
        serve: dingtalk,
    },
    Platform {
        name: "dingtalk-app",
        keys: |base, token| {
            format!(
                "kind: dingtalk-app, api: \"{base}\", app_key: ding1, app_secret: \"{token}\", conversation: \"cidGroup==\""
            )
        },
        serve: dingtalk_app,
    },
    Platform {
        name: "dingtalk-app cards",
        // Its chat, which hears of presses, is another item of podbell.yaml.
        keys: |base, token| {
            let app = format!("kind: dingtalk-app, api: \"{base}\", app_key: ding1, app_secret: \"{token}\"");
            format!("{app}, conversation: \"cidGroup==\", cards: true}}]\nchats: [{{name: ask, {app}")
        },
        serve: dingtalk_app,
    },
    Platform {
        name: "teams",
        keys: |base, token| {
            format!("kind: teams, url: \"{base}/workflows/{token}/triggers/manual/paths/invoke?sig=x\"")
        },
        serve: teams,
    },
    Platform {
        name: "discord",
        keys: |base, token| format!("kind: discord, url: \"{base}/api/webhooks/1/{token}\""),
        serve: discord::webhook,
    },
    Platform {
        name: "discord bot",
        keys: |base, token| {
            format!("kind: discord, api: \"{base}/api/v10\", channel: \"7\", buttons: true, token: \"{token}\"")
        },
        serve: discord::bot,
    },
    Platform {
        name: "googlechat",
        keys: |base, token| format!("kind: googlechat, url: \"{base}/v1/spaces/S/messages?key=k&token={token}\""),
        serve: googlechat,
    },
    Platform {
        name: "mattermost",
        keys: |base, token| format!("kind: mattermost, url: \"{base}/hooks/{token}\""),
        serve: mattermost_hook,
    },
    Platform {
        name: "mattermost bot",
        keys: |base, token| {
            format!(
                "kind: mattermost, server: \"{base}\", channel: {CHANNEL}, actions_url: \"https://podbell.example.com/mattermost/ask\", token: \"{token}\""
            )
        },
        serve: mattermost_bot,
    },
    Platform {
        name: "telegram",
        keys: |base, token| {
            format!("kind: telegram, api: \"{base}\", chat: \"-1001\", buttons: true, token: \"{token}\"")
        },
        serve: telegram,
    },
    Platform {
        name: "feishu",
        keys: |base, token| format!("kind: feishu, url: \"{base}/open-apis/bot/v2/hook/{token}\""),
        serve: feishu,
    },
    Platform {
        name: "feishu-app",
        keys: |base, token| {
            format!(
                "kind: feishu-app, api: \"{base}\", app_id: cli_a1, chat: oc_1, buttons: true, app_secret: \"{token}\""
            )
        },
        serve: feishu_app,
    },
    Platform {
        name: "pagerduty",
        keys: |base, token| format!("kind: pagerduty, api: \"{base}/v2/enqueue\", routing_key: \"{token}\""),
        serve: pagerduty,
    },
];

pub fn platform_named(name: &str) -> Platform {
    *PLATFORMS.iter().find(|platform| platform.name == name).unwrap()
}

/// What is asked.
pub struct Call {
    pub method: Method,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub bearer: String,
    /// The token of a bot of Discord.
    pub bot: String,
    pub access_token: String,
    pub length: usize,
    pub body: Value,
    pub at: Time,
}

/// What is answered: a status, a body, and perhaps `Retry-After`.
pub type Reply = (u16, String, Option<u64>);

fn ok(body: &Value) -> Reply {
    (200, body.to_string(), None)
}

fn no(status: u16, body: &Value) -> Reply {
    (status, body.to_string(), None)
}

/// A message as people see it.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The message that it answers, or the key of its thread.
    pub answers: Option<String>,
    /// What it was posted with, and what it was changed to.
    pub versions: Vec<Value>,
    pub deleted: bool,
}

/// A place of a platform, such as a channel.
#[derive(Default)]
pub struct Place {
    pub messages: Vec<Posted>,
    /// Alerts of an on-call service, with what happened to each.
    pub alerts: BTreeMap<String, Vec<String>>,
    /// Ids of requests that are carried out once, with what they made.
    pub once: BTreeMap<String, usize>,
    /// When those of a platform were carried out that forgets them.
    once_at: BTreeMap<String, Time>,
    /// When requests were made that its pace counts.
    counted: Vec<Time>,
    /// How many requests were too fast.
    pub too_fast: usize,
    /// How many were refused for their form or length.
    pub refused: usize,
    /// The next requests are carried out, and their answers lost.
    pub lose: usize,
    /// The next cards of DingTalk are made and not shown.
    pub hide: usize,
    pub calls: usize,
}

impl Place {
    /// Whether another request is within `most` in `per`. Counts it if so.
    fn is_in_time(&mut self, call: &Call, most: usize, per: Duration) -> bool {
        let recent = self.counted.iter().filter(|at| call.at.since(**at) < per).count();
        let fits = recent < most;
        if fits {
            self.counted.push(call.at)
        } else {
            self.too_fast += 1
        }
        fits
    }

    fn post(&mut self, call: &Call, answers: Option<String>) -> usize {
        self.messages.push(Posted { answers, versions: vec![call.body.clone()], deleted: false });
        self.messages.len()
    }

    /// Changes a message, if it is there.
    fn change(&mut self, id: &str, body: &Value) -> bool {
        let found =
            id.trim_start_matches('m').parse::<usize>().ok().and_then(|id| self.messages.get_mut(id.checked_sub(1)?));
        let Some(message) = found.filter(|message| !message.deleted) else { return false };
        message.versions.push(body.clone());
        true
    }

    fn refuse(&mut self, status: u16, body: &Value) -> Reply {
        self.refused += 1;
        no(status, body)
    }
}

fn dingtalk(place: &mut Place, call: &Call) -> Reply {
    let error = |code: i64, words: &str| json!({"errcode": code, "errmsg": words});
    if call.query.get("access_token").map(String::as_str) != Some(TOKEN) {
        return ok(&error(300_005, "token is not exist"));
    }
    if !place.is_in_time(call, 20, Duration::from_secs(60)) {
        return ok(&error(130_101, "send too fast, exceed 20 times per minute"));
    }
    if call.length > 20_000 {
        place.refused += 1;
        return ok(&error(460_101, "message too long, exceed 20000 bytes"));
    }
    place.post(call, None);
    ok(&error(0, "ok"))
}

fn dingtalk_app(place: &mut Place, call: &Call) -> Reply {
    let error = |code: &str, words: &str| json!({"code": code, "message": words, "requestid": "r"});
    if call.path == "/v1.0/oauth2/accessToken" {
        return match call.body["appKey"] == "ding1" && call.body["appSecret"] == TOKEN {
            true => ok(&json!({"accessToken": "granted", "expireIn": 7200})),
            false => no(400, &error("invalidClientIdOrSecret", "无效的clientId或者clientSecret")),
        };
    }
    if call.access_token != "granted" {
        return no(400, &error("InvalidAuthentication", "不合法的access_token"));
    }
    if call.path.starts_with("/v1.0/card/instances") {
        return dingtalk_card(place, call);
    }
    if call.path != "/v1.0/robot/groupMessages/send" {
        return no(404, &error("InvalidAction.NotFound", &call.path));
    }
    if !place.is_in_time(call, 20, Duration::from_secs(60)) {
        return no(403, &error("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "too fast"));
    }
    if call.body["robotCode"] != "ding1" || call.body["openConversationId"] != "cidGroup==" {
        return place.refuse(400, &error("invalidParameter.robotCode.notExsit", "robot is not in the group"));
    }
    let parameters = call.body["msgParam"].as_str().unwrap_or_default();
    let is_read = serde_json::from_str::<Value>(parameters).is_ok_and(|read| match call.body["msgKey"].as_str() {
        Some("sampleMarkdown") => read["title"].is_string() && read["text"].is_string(),
        Some("sampleText") => read["content"].is_string(),
        _ => false,
    });
    if !is_read || parameters.len() > 15_000 {
        return place.refuse(400, &error("invalidParameter.msgParam.invalid", "msgParam is not valid, or too long"));
    }
    place.post(call, None);
    ok(&json!({"processQueryKey": "key"}))
}

/// Cards by the id that whoever makes them chooses; each is made once.
fn dingtalk_card(place: &mut Place, call: &Call) -> Reply {
    let error = |code: &str| json!({"code": code, "message": code, "requestid": "r"});
    let track = call.body["outTrackId"].as_str().unwrap_or_default().to_owned();
    let values = call.body["cardData"]["cardParamMap"].as_object();
    let fits = |values: &serde_json::Map<String, Value>| {
        values.values().all(|value| value.as_str().is_some_and(|value| value.len() <= 1024))
    };
    match (&call.method, call.path.as_str()) {
        _ if track.is_empty() => place.refuse(400, &error("param.outTrackIdEmpty")),
        (&Method::PUT, "/v1.0/card/instances") => match place.once.get(&track).copied() {
            _ if !values.is_some_and(fits) => place.refuse(400, &error("param.invalid")),
            Some(number) if place.change(&number.to_string(), &call.body) => {
                ok(&json!({"success": true, "result": true}))
            }
            _ => no(400, &error("param.cardNotExist")),
        },
        (&Method::POST, "/v1.0/card/instances/createAndDeliver") => {
            if place.once.contains_key(&track) {
                return no(400, &error("param.cardAlreadyExist"));
            }
            if !place.is_in_time(call, 20, Duration::from_secs(60)) {
                return no(403, &error("Forbidden.AccessDenied.QpsLimitForApi"));
            }
            let is_here = call.body["openSpaceId"] == "dtv1.card//IM_GROUP.cidGroup=="
                && call.body["imGroupOpenDeliverModel"]["robotCode"] == "ding1"
                && call.body["imGroupOpenSpaceModel"]["supportForward"].is_boolean();
            if !is_here || call.body["callbackType"] != "STREAM" || !values.is_some_and(fits) {
                return place.refuse(400, &error("param.invalid"));
            }
            let number = place.post(call, None);
            place.once.insert(track.clone(), number);
            let shown = place.hide == 0;
            place.hide = place.hide.saturating_sub(1);
            // What is not shown is as if it was deleted.
            place.messages[number - 1].deleted = !shown;
            let shown =
                json!({"spaceType": "IM_GROUP", "spaceId": "cidGroup==", "success": shown, "errorMsg": "SYSTEM_ERROR"});
            ok(&json!({"success": true, "result": {"outTrackId": track, "deliverResults": [shown]}}))
        }
        (&Method::POST, "/v1.0/card/instances/deliver") => {
            let Some(number) = place.once.get(&track).copied() else { return no(400, &error("param.cardNotExist")) };
            if !place.is_in_time(call, 20, Duration::from_secs(60)) {
                return no(403, &error("Forbidden.AccessDenied.QpsLimitForApi"));
            }
            let card = &mut place.messages[number - 1];
            let again = card.clone();
            match card.deleted {
                true => card.deleted = false,
                false => place.messages.push(again),
            }
            ok(&json!({"success": true, "result": [{"spaceType": "IM_GROUP", "success": true}]}))
        }
        _ => no(404, &error("InvalidAction.NotFound")),
    }
}

fn teams(place: &mut Place, call: &Call) -> Reply {
    if !call.path.starts_with(&format!("/workflows/{TOKEN}/")) {
        return no(404, &json!({"error": {"code": "WorkflowNotFound", "message": "The workflow could not be found."}}));
    }
    if !place.is_in_time(call, 4, Duration::from_secs(1)) {
        return (429, String::new(), Some(10));
    }
    let card = &call.body["attachments"][0]["content"];
    if call.length > 28_000 {
        return place.refuse(413, &json!({}));
    }
    if card["type"] != "AdaptiveCard" || card["version"] != "1.4" || card["body"].as_array().is_none_or(Vec::is_empty) {
        return place.refuse(400, &json!({"error": {"code": "TriggerInputSchemaMismatch"}}));
    }
    place.post(call, None);
    (202, String::new(), None)
}

fn googlechat(place: &mut Place, call: &Call) -> Reply {
    if call.query.get("token").map(String::as_str) != Some(TOKEN) {
        return no(403, &json!({"error": {"code": 403, "status": "PERMISSION_DENIED"}}));
    }
    if !place.is_in_time(call, 1, Duration::from_secs(1)) {
        return no(429, &json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}));
    }
    let empty = call.body["text"].is_null() && call.body["cardsV2"].is_null();
    if call.length > 32_000 || empty {
        return place.refuse(400, &json!({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}));
    }
    let threads = call.query.get("messageReplyOption").is_some_and(|option| option.starts_with("REPLY_MESSAGE_"));
    let thread = call.body["thread"]["threadKey"].as_str().filter(|_| threads).map(str::to_owned);
    let id = place.post(call, thread);
    ok(&json!({"name": format!("spaces/S/messages/{id}")}))
}

/// The characters of a post of Mattermost's, with its attachments.
fn characters(body: &Value) -> usize {
    let text = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let attachments = body["attachments"].as_array().or(body["props"]["attachments"].as_array());
    text(&body["text"])
        + text(&body["message"])
        + attachments.into_iter().flatten().map(|one| text(&one["text"])).sum::<usize>()
}

fn mattermost_hook(place: &mut Place, call: &Call) -> Reply {
    if call.path != format!("/hooks/{TOKEN}") {
        return no(
            404,
            &json!({"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook.", "status_code": 404}),
        );
    }
    if characters(&call.body) == 0 {
        return place.refuse(
            400,
            &json!({"id": "web.incoming_webhook.text.app_error", "message": "No text specified.", "status_code": 400}),
        );
    }
    if characters(&call.body) > 16_383 {
        return place.refuse(
            400,
            &json!({"id": "model.post.is_valid.msg.app_error", "message": "Invalid message.", "status_code": 400}),
        );
    }
    place.post(call, None);
    (200, "ok".to_owned(), None)
}

fn mattermost_bot(place: &mut Place, call: &Call) -> Reply {
    if call.bearer != TOKEN {
        return no(
            401,
            &json!({"id": "api.context.session_expired.app_error", "message": "Invalid or expired session.", "status_code": 401}),
        );
    }
    if characters(&call.body) > 16_383 {
        return place.refuse(400, &json!({"id": "model.post.is_valid.msg.app_error", "status_code": 400}));
    }
    if let Some(id) = call.path.strip_prefix("/api/v4/posts/").and_then(|rest| rest.strip_suffix("/patch")) {
        assert_eq!(call.method, Method::PUT);
        return match place.change(id, &call.body) {
            true => ok(&json!({"id": id})),
            false => no(404, &json!({"id": "app.post.get.app_error", "status_code": 404})),
        };
    }
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/api/v4/posts"));
    if call.body["channel_id"] != CHANNEL {
        return no(403, &json!({"id": "api.context.permissions.app_error", "status_code": 403}));
    }
    let root = call.body["root_id"].as_str().map(str::to_owned);
    let stands = |root: &String| {
        let at = root.trim_start_matches('m').parse::<usize>().unwrap() - 1;
        place.messages.get(at).is_some_and(|message| !message.deleted)
    };
    if root.as_ref().is_some_and(|root| !stands(root)) {
        return no(400, &json!({"id": "api.post.create_post.root_id.app_error", "status_code": 400}));
    }
    let pending = call.body["pending_post_id"].as_str().unwrap().to_owned();
    let known = place.once_at.get(&pending).is_some_and(|at| call.at.since(*at) < Duration::from_secs(30));
    let id = match place.once.get(&pending).copied().filter(|_| known) {
        Some(id) => id,
        None => place.post(call, root),
    };
    place.once_at.entry(pending.clone()).or_insert(call.at);
    place.once.insert(pending, id);
    (201, json!({"id": format!("m{id}")}).to_string(), None)
}

fn telegram(place: &mut Place, call: &Call) -> Reply {
    let error = |code: u16, words: &str| json!({"ok": false, "error_code": code, "description": words});
    let Some(method) = call.path.strip_prefix(&format!("/bot{TOKEN}/")) else {
        return no(401, &error(401, "Unauthorized"));
    };
    if call.body["chat_id"] != "-1001" {
        return no(400, &error(400, "Bad Request: chat not found"));
    }
    if method == "sendMessage" && !place.is_in_time(call, 20, Duration::from_secs(60)) {
        let mut body = error(429, "Too Many Requests: retry after 35");
        body["parameters"] = json!({"retry_after": 35});
        return no(429, &body);
    }
    let text = call.body["text"].as_str().unwrap_or_default();
    if text.encode_utf16().count() > 4096 {
        return place.refuse(400, &error(400, "Bad Request: message is too long"));
    }
    // What is opened is closed, and nothing else is a mark.
    if let Err(tag) = balanced(text) {
        return place.refuse(400, &error(400, &format!("Bad Request: can't parse entities: {tag}")));
    }
    let known = |id: &Value| id.as_i64().map(|id| id.to_string());
    match method {
        "editMessageText" => match place.change(&known(&call.body["message_id"]).unwrap(), &call.body) {
            true => ok(&json!({"ok": true, "result": {"message_id": call.body["message_id"]}})),
            false => no(400, &error(400, "Bad Request: message to edit not found")),
        },
        "sendMessage" => {
            let answers = known(&call.body["reply_parameters"]["message_id"]);
            let id = place.post(call, answers);
            ok(&json!({"ok": true, "result": {"message_id": id}}))
        }
        other => panic!("{other}"),
    }
}

/// Whether the marks of HTML are those that Telegram knows, and closed in order.
pub fn balanced(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, _) = part.split_once('>').ok_or_else(|| part.to_owned())?;
        let name = tag.split(' ').next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) if open.pop() == Some(name) => {}
            None if ["b", "code", "a", "blockquote"].contains(&name) => open.push(name),
            _ => return Err(tag.to_owned()),
        }
    }
    open.is_empty().then_some(()).ok_or_else(|| open.join(" "))
}

fn feishu(place: &mut Place, call: &Call) -> Reply {
    let error = |code: i64, words: &str| json!({"code": code, "msg": words});
    if call.path != format!("/open-apis/bot/v2/hook/{TOKEN}") {
        return ok(&error(19_001, "param invalid: incoming webhook access token invalid"));
    }
    if !place.is_in_time(call, 100, Duration::from_secs(60)) {
        return ok(&error(11_232, "frequency limited"));
    }
    if call.length > 20_000 {
        place.refused += 1;
        return ok(&error(19_036, "The message exceeds the size limit"));
    }
    place.post(call, None);
    ok(&error(0, "success"))
}

/// The API of an app: tokens for its secret, messages of a chat, changes, and answers.
fn feishu_app(place: &mut Place, call: &Call) -> Reply {
    let error = |code: i64, words: &str| json!({"code": code, "msg": words});
    if call.path == "/open-apis/auth/v3/tenant_access_token/internal" {
        return match call.body["app_secret"] == TOKEN && call.body["app_id"] == "cli_a1" {
            true => ok(&json!({"code": 0, "msg": "ok", "tenant_access_token": "t-1", "expire": 7200})),
            false => ok(&error(10_014, "app secret invalid")),
        };
    }
    if call.bearer != "t-1" {
        return no(400, &error(99_991_663, "Invalid access token for authorization. Please make a test attempt again"));
    }
    let content = serde_json::from_str::<Value>(call.body["content"].as_str().unwrap_or_default());
    if call.length > 30_000 {
        return place.refuse(400, &error(230_025, "The length of the message content reaches its limit."));
    }
    let is_card = content.is_ok_and(|card| {
        card["elements"].as_array().is_some_and(|all| !all.is_empty()) && card["config"]["update_multi"] == true
    });
    if !is_card {
        return place.refuse(400, &error(230_099, "Failed to create card content."));
    }
    let messages = "/open-apis/im/v1/messages";
    let rest = call.path.strip_prefix(messages).unwrap_or_else(|| panic!("{}", call.path)).trim_start_matches('/');
    if call.method == Method::PATCH {
        return match place.change(rest, &call.body) {
            true => ok(&json!({"code": 0, "msg": "success", "data": {}})),
            false => no(400, &error(230_110, "The message was deleted.")),
        };
    }
    assert_eq!((call.method.as_str(), call.body["msg_type"].as_str()), ("POST", Some("interactive")));
    let answers = rest.strip_suffix("/reply").map(str::to_owned);
    if answers.is_none() && (call.body["receive_id"] != "oc_1" || call.query["receive_id_type"] != "chat_id") {
        return no(400, &error(230_002, "Bot/User can NOT be out of the chat."));
    }
    if !place.is_in_time(call, 5, Duration::from_secs(1)) {
        return no(400, &error(230_020, "This operation triggers the frequency limit."));
    }
    let deleted = |id: &String| {
        let at = id.trim_start_matches('m').parse::<usize>().unwrap() - 1;
        place.messages.get(at).is_none_or(|message| message.deleted)
    };
    if answers.as_ref().is_some_and(deleted) {
        return no(400, &error(230_011, "The message was withdrawn."));
    }
    let uuid = call.body["uuid"].as_str().unwrap().to_owned();
    assert!((1..=50).contains(&uuid.len()));
    let id = match place.once.get(&uuid) {
        Some(id) => *id,
        None => place.post(call, answers),
    };
    place.once.insert(uuid, id);
    ok(&json!({"code": 0, "msg": "success", "data": {"message_id": format!("m{id}"), "chat_id": "oc_1"}}))
}

fn pagerduty(place: &mut Place, call: &Call) -> Reply {
    let invalid =
        |words: &str| json!({"status": "invalid event", "message": "Event object is invalid", "errors": [words]});
    if call.body["routing_key"] != TOKEN {
        return no(400, &invalid("Invalid routing key"));
    }
    if !place.is_in_time(call, 120, Duration::from_secs(60)) {
        return (429, String::new(), None);
    }
    let action = call.body["event_action"].as_str().unwrap_or_default();
    let payload = &call.body["payload"];
    let summary = payload["summary"].as_str().unwrap_or_default();
    let severity = ["critical", "error", "warning", "info"].iter().any(|known| payload["severity"] == *known);
    let whole = (1..=1024).contains(&summary.chars().count())
        && severity
        && payload["source"].as_str().is_some_and(|source| !source.is_empty());
    if action == "trigger" && !whole
        || call.length > 512_000
        || !["trigger", "acknowledge", "resolve"].contains(&action)
    {
        return place.refuse(400, &invalid("'payload' is invalid"));
    }
    let alert = call.body["dedup_key"].as_str().unwrap().to_owned();
    assert!(alert.chars().count() <= 255);
    place.alerts.entry(alert.clone()).or_default().push(action.to_owned());
    place.post(call, Some(alert.clone()));
    (202, json!({"status": "success", "message": "Event processed", "dedup_key": alert}).to_string(), None)
}

struct Inner {
    now: Time,
    place: Place,
    serve: fn(&mut Place, &Call) -> Reply,
}

/// A running platform.
#[derive(Clone)]
pub struct Server {
    platform: Platform,
    pub base: String,
    inner: Arc<Mutex<Inner>>,
    runtime: Arc<Runtime>,
}

impl Server {
    pub fn start(platform: Platform) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let inner = Inner { now: Time::default(), place: Place::default(), serve: platform.serve };
        let inner = Arc::new(Mutex::new(inner));
        let app = Router::new().fallback(answer).with_state(inner.clone());
        runtime.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { platform, base, inner, runtime: Arc::new(runtime) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Looks at what is there, or changes it.
    pub fn place<T>(&self, look: impl FnOnce(&mut Place) -> T) -> T {
        look(&mut self.inner().place)
    }

    /// A destination `team` there, and the wire to it.
    pub fn wire(&self, token: &str) -> Wire {
        let config = NamedNotifier {
            name: "team".into(),
            platform: platform(&(self.platform.keys)(&self.base, token)),
            language: Language::En,
            time_zone: jiff::tz::TimeZone::UTC,
            digest_after: None,
            template: Template::default(),
            logs: false,
        };
        // Connections belong to this runtime.
        let notifiers = {
            let _in = self.runtime.enter();
            Arc::new(Notifiers::new(vec![config], Default::default(), client()))
        };
        let (server, through) = (self.clone(), notifiers.clone());
        let deliver = move |job: &SendJob, now: Time| -> Outcome {
            server.inner().now = now;
            server.runtime.block_on(through.deliver(&job.destination, &job.message_id, job.body.clone(), now))
        };
        Wire { notifiers, deliver: Arc::new(deliver) }
    }

    /// What is shown, oldest first: each message as it is now, and what it answers.
    pub fn shown(&self) -> Vec<(String, Option<String>)> {
        let text = |posted: &Posted| (posted.versions.last().unwrap().to_string(), posted.answers.clone());
        self.place(|place| place.messages.iter().filter(|posted| !posted.deleted).map(text).collect())
    }
}

async fn answer(
    State(inner): State<Arc<Mutex<Inner>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inner = inner.lock().unwrap();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (bearer, access_token) = (header("authorization"), header("x-acs-dingtalk-access-token"));
    let query = uri.query().unwrap_or_default();
    let call = Call {
        method,
        path: uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        access_token: access_token.to_owned(),
        bot: bearer.strip_prefix("Bot ").unwrap_or_default().to_owned(),
        bearer: bearer.trim_start_matches("Bearer ").to_owned(),
        length: body.len(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        at: inner.now,
    };
    let serve = inner.serve;
    inner.place.calls += 1;
    let (status, body, retry_after) = serve(&mut inner.place, &call);
    // Only answers to messages are lost.
    if inner.place.lose > 0 && !call.path.ends_with("/accessToken") {
        inner.place.lose -= 1;
        return (StatusCode::BAD_GATEWAY, "the answer is lost").into_response();
    }
    let status = StatusCode::from_u16(status).unwrap();
    match retry_after {
        Some(after) => (status, [("retry-after", after.to_string())], body).into_response(),
        None => (status, body).into_response(),
    }
}
