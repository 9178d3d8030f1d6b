//! The card that stands for an incident: a template of DingTalk's own with a text and buttons, which every application may
//! use. A card can be changed; a message cannot. Pure.
//!
//! Sources: "Create and deliver a card" and "Update a card" (limits, codes), and the vendor's client for Stream mode (the template,
//! its variables and what a button carries).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{api, markdown};
use crate::notifiers::budget;
use crate::notifiers::buttons::{Button, Pressable};
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use podbell_core::message::Message;
use podbell_core::outbox::{Content, Outcome};

/// The template: `title`, `markdown`, `tips` and, as JSON, buttons.
const TEMPLATE: &str = "1366a1eb-bc54-4859-ac88-517c56a9acb1.schema";
/// The longest value of a variable, in bytes: the platform takes 1 KB.
const VALUE: usize = 1_000;
const SHORT: usize = 400;
/// The longest title, in bytes: it is also the line in the list of conversations.
const TITLE: usize = 200;

/// The values of the template's variables. `robot` sends the answers to presses.
pub(super) fn values(message: &Message, content: Content, buttons: Option<Pressable>, robot: &str) -> Value {
    let text = match content {
        Content::Full => markdown::text(message, VALUE),
        Content::Short => markdown::text(message, SHORT),
        Content::Minimal => markdown::minimal(message, SHORT),
    };
    let button = |pressable: Pressable, button: Button| {
        let color = if button == Button::Acknowledge { "blue" } else { "gray" };
        let params = json!({"command": button.command(pressable.incident), "robot": robot});
        json!({"text": button.say(message.language), "color": color, "id": button.name(), "request": true, "params": params})
    };
    let buttons = buttons.map(|pressable| pressable.buttons().into_iter().map(|one| button(pressable, one)).collect());
    let buttons = json!({"msgButtons": buttons.unwrap_or_else(|| json!([]))});
    json!({
        "title": budget::fit(&message.title, TITLE, budget::bytes), "markdown": text, "tips": "",
        "sys_full_json_obj": buttons.to_string(),
    })
}

/// A group, and the robot that writes there.
#[derive(Clone, Copy)]
pub(super) struct Group<'a> {
    pub robot: &'a str,
    pub conversation: &'a str,
}

impl Group<'_> {
    fn delivery(self, track: &str) -> Value {
        json!({
            "outTrackId": track, "userIdType": 1, "openSpaceId": format!("dtv1.card//IM_GROUP.{}", self.conversation),
            "imGroupOpenDeliverModel": {"robotCode": self.robot},
        })
    }

    /// The request that makes a card with this id and shows it in the group.
    pub(super) fn create(self, track: &str, values: &Value) -> Value {
        let mut body = self.delivery(track);
        let title = &values["title"];
        body["cardTemplateId"] = json!(TEMPLATE);
        body["callbackType"] = json!("STREAM");
        body["cardData"] = json!({"cardParamMap": values});
        // What the list of conversations and a locked phone show.
        let last = json!({"ZH_CN": title, "EN_US": title});
        body["imGroupOpenSpaceModel"] =
            json!({"supportForward": false, "lastMessageI18n": last, "notification": {"alertContent": title}});
        body
    }

    /// The request that shows, in the group, a card that was made before.
    pub(super) fn deliver(self, track: &str) -> Value {
        self.delivery(track)
    }
}

/// The request that changes a card.
pub(super) fn change(track: &str, values: &Value) -> Value {
    let options = json!({"updateCardDataByKey": true});
    json!({"outTrackId": track, "cardData": {"cardParamMap": values}, "cardUpdateOptions": options})
}

/// What a request for a card came to.
#[derive(Debug)]
pub(super) enum CardResult {
    /// It was done.
    Done,
    /// A card with this id was made before.
    Exists,
    /// It was made, or is there, and is not shown.
    Hidden(String),
    /// There is no card with this id.
    Gone(String),
    /// Anything else.
    Not(Outcome),
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(default)]
    result: Value,
}

/// What the reply to a request for a card means.
pub(super) fn of(reply: &Reply) -> CardResult {
    let Some(code) = api::code(reply) else { return of_success(reply) };
    let code = code.to_ascii_lowercase();
    let invalid = |advice: &str| CardResult::Not(reply.invalid_destination(code.clone(), advice));
    match code.as_str() {
        "param.cardalreadyexist" => CardResult::Exists,
        "param.cardnotexist" => CardResult::Gone(reply.summary()),
        "param.contentunsafe" => CardResult::Not(reply.content_rejected()),
        code if code.contains("permission") => invalid(
            "give the application the right to write cards (互动卡片实例写权限, Card.Instance.Write), or leave `cards` out",
        ),
        code if code.contains("template") => {
            invalid("DingTalk does not have its template of cards here: leave `cards` out")
        }
        code if code.contains("openspace") => invalid("the group does not exist any more: check `conversation`"),
        code if code.contains("delivermodel") => invalid("the robot cannot write in the group: check `robot_code`"),
        _ => CardResult::Not(api::of_message(reply)),
    }
}

/// What a reply without a code means. Making a card can succeed while showing it fails.
fn of_success(reply: &Reply) -> CardResult {
    let answer: Option<Answer> = serde_json::from_str(&reply.body).ok().filter(|_| reply.status == 200);
    let Some(answer) = answer else { return CardResult::Not(api::of_message(reply)) };
    let places = answer.result["deliverResults"].as_array().or(answer.result.as_array());
    let failed = places.into_iter().flatten().find(|place| place["success"] == false);
    match failed {
        Some(place) => {
            let error = reply::words(place["errorMsg"].as_str().unwrap_or_default(), &Redactor::default());
            CardResult::Hidden(format!("the card is not shown (is the robot in the group?): {error}"))
        }
        None if answer.success => CardResult::Done,
        None => CardResult::Not(reply::unclear(reply, "no success")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_says_what_became_of_a_card() {
        let shown = |success: bool| {
            json!({"success": true, "result": {"outTrackId": "t", "deliverResults": [
                {"spaceType": "IM_GROUP", "spaceId": "cid", "success": success, "errorMsg": "robot not in group"}]}})
        };
        let code = |code: &str| json!({"code": code, "message": "no", "requestid": "r"});
        for (status, body, meaning) in [
            (200, shown(true), "done"),
            (200, shown(false), "hidden"),
            (200, json!({"success": true, "result": true}), "done"),
            (200, json!({"success": true, "result": [{"success": false}]}), "hidden"),
            (200, json!({"success": false, "result": false}), "unclear"),
            (200, json!({"errcode": 0}), "unclear"),
            (400, code("param.cardAlreadyExist"), "exists"),
            (400, code("param.cardNotExist"), "gone"),
            (400, code("param.contentUnsafe"), "content"),
            (400, code("param.invalid"), "content"),
            (400, code("param.templateUnpublished"), "dead"),
            (400, code("param.openSpaceIdInvalid"), "dead"),
            (400, code("param.openDeliverModelError"), "dead"),
            (403, code("Forbidden.AccessDenied.AccessTokenPermissionDenied"), "dead"),
            (403, code("Forbidden.AccessDenied.QpsLimitForApi"), "refused"),
            (500, code("system.busy"), "unclear"),
        ] {
            let body = body.to_string();
            let came = match of(&Reply::of(status, None, &body, &Redactor::default())) {
                CardResult::Done => "done",
                CardResult::Exists => "exists",
                CardResult::Hidden(why) => {
                    assert!(why.starts_with("the card is not shown (is the robot in the group?):"), "{why}");
                    "hidden"
                }
                CardResult::Gone(_) => "gone",
                CardResult::Not(Outcome::Refused { .. }) => "refused",
                CardResult::Not(Outcome::Unclear { .. }) => "unclear",
                CardResult::Not(Outcome::ContentRejected { .. }) => "content",
                CardResult::Not(Outcome::InvalidDestination { .. }) => "dead",
                CardResult::Not(other) => panic!("{other:?}"),
            };
            assert_eq!(came, meaning, "{status} {body}");
        }
    }
}
