//! Discord: a webhook of a channel, and the API that bots of applications use.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use super::{Call, Place, Reply, TOKEN, no, ok};

/// A webhook of a channel.
pub(super) fn webhook(place: &mut Place, call: &Call) -> Reply {
    let Some(rest) = call.path.strip_prefix(&format!("/api/webhooks/1/{TOKEN}")) else {
        return no(401, &json!({"message": "Invalid Webhook Token", "code": 50_027}));
    };
    if call.method == Method::POST && !place.is_in_time(call, 5, Duration::from_secs(2)) {
        return (
            429,
            json!({"message": "You are being rate limited.", "retry_after": 1.5, "global": false}).to_string(),
            Some(2),
        );
    }
    if let Some(refused) = refused(place, call) {
        return refused;
    }
    assert_eq!(call.body["allowed_mentions"]["parse"], json!([]), "nobody is called by words");
    if let Some(id) = rest.strip_prefix("/messages/") {
        assert_eq!(call.method, Method::PATCH);
        return match place.change(id, &call.body) {
            true => ok(&json!({"id": id, "channel_id": "7"})),
            false => no(404, &json!({"message": "Unknown Message", "code": 10_008})),
        };
    }
    let id = place.post(call, None);
    match call.query.get("wait").map(String::as_str) {
        Some("true") => ok(&json!({"id": id.to_string(), "channel_id": "7"})),
        _ => (204, String::new(), None),
    }
}

/// The channel 7, for the bot of an application.
pub(super) fn bot(place: &mut Place, call: &Call) -> Reply {
    if call.bot != TOKEN {
        return no(401, &json!({"message": "401: Unauthorized", "code": 0}));
    }
    let Some(rest) = call.path.strip_prefix("/api/v10/channels/7/messages") else {
        return no(404, &json!({"message": "Unknown Channel", "code": 10_003}));
    };
    if call.method == Method::POST && !place.is_in_time(call, 5, Duration::from_secs(5)) {
        return (429, json!({"message": "You are being rate limited.", "retry_after": 1.5}).to_string(), Some(2));
    }
    if let Some(refused) = refused(place, call) {
        return refused;
    }
    let row = &call.body["components"];
    assert!(
        row == &json!([]) || row[0]["type"] == 1 && row[0]["components"][0]["type"] == 2,
        "a row of buttons: {row}"
    );
    assert_eq!(call.body["allowed_mentions"]["parse"], json!([]), "nobody is called by words");
    if let Some(id) = rest.strip_prefix('/') {
        assert_eq!(call.method, Method::PATCH);
        return match place.change(id, &call.body) {
            true => ok(&json!({"id": id, "channel_id": "7"})),
            false => no(404, &json!({"message": "Unknown Message", "code": 10_008})),
        };
    }
    let nonce = call.body["nonce"].as_str().filter(|nonce| nonce.len() <= 25).unwrap().to_owned();
    assert_eq!(call.body["enforce_nonce"], true);
    // The same nonce within minutes is the same message.
    let made = place.once_at.get(&nonce).is_some_and(|at| call.at.since(*at) < Duration::from_secs(180));
    if let Some(id) = place.once.get(&nonce).filter(|_| made) {
        return ok(&json!({"id": id.to_string(), "channel_id": "7"}));
    }
    let answers = call.body["message_reference"]["message_id"].as_str().map(str::to_owned);
    let stands = |id: &String| {
        let at = id.parse::<usize>().unwrap() - 1;
        place.messages.get(at).is_some_and(|message| !message.deleted)
    };
    if answers.as_ref().is_some_and(|id| !stands(id)) {
        let unknown = json!({"code": "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "message": "Unknown message"});
        let errors = json!({"message_reference": {"_errors": [unknown]}});
        return no(400, &json!({"message": "Invalid Form Body", "code": 50_035, "errors": errors}));
    }
    let id = place.post(call, answers);
    place.once_at.insert(nonce.clone(), call.at);
    place.once.insert(nonce, id);
    ok(&json!({"id": id.to_string(), "channel_id": "7"}))
}

/// What is wrong with a message.
fn refused(place: &mut Place, call: &Call) -> Option<Reply> {
    let units = |value: &Value| value.as_str().map_or(0, |text| text.encode_utf16().count());
    let embed = &call.body["embeds"][0];
    let empty = units(&call.body["content"]) == 0 && embed.is_null();
    if empty {
        return Some(place.refuse(400, &json!({"message": "Cannot send an empty message", "code": 50_006})));
    }
    let (title, text) = (units(&embed["title"]), units(&embed["description"]));
    if units(&call.body["content"]) > 2000 || title > 256 || text > 4096 || title + text > 6000 {
        return Some(place.refuse(400, &json!({"message": "Invalid Form Body", "code": 50_035})));
    }
    None
}
