//! `kind: dingtalk-app` of `notifiers:`: a group of DingTalk, through the robot of an application. With `cards`, one card
//! stands for an incident: its acknowledgement and its end change it, and what is new in between is a message.
//! <https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message>,
//! <https://open.dingtalk.com/document/development/create-and-deliver-cards>

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::api::{self, Api};
use super::card::{self, CardResult, Group as Room};
use super::{PACE, markdown};
use crate::examine::{Checked, Finding, Group, Net, not_well};
use crate::notifiers::buttons::Pressable;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Id, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};
use podbell_core::time::Time;
use podbell_core::yaml::key::{Bool, Custom, Key};
use podbell_core::yaml::{MapReader, Node, Reader};

pub(super) const SEND: [&str; 4] = ["v1.0", "robot", "groupMessages", "send"];
const CREATE: [&str; 4] = ["v1.0", "card", "instances", "createAndDeliver"];
const DELIVER: [&str; 4] = ["v1.0", "card", "instances", "deliver"];
const CHANGE: [&str; 3] = ["v1.0", "card", "instances"];
/// The pace of changes; an application may make 20 requests a second.
const CHANGES: Pace = Pace { limit: 1, per: Duration::from_millis(250), kept_for_critical: 0 };
/// The API.
const API: &str = "https://api.dingtalk.com";
pub(super) const APP_KEY: Key<Id> =
    Key::required("app_key", KEY, "Client ID (AppKey) of the application, such as dingabc123.");
pub(super) const APP_SECRET: Key<Secret> =
    Key::required("app_secret", Secret(SecretKind::Any), "Client Secret (AppSecret) of the application.");
pub(super) const API_URL: Key<Address> = Key::with_default("api", HTTP, API, "The API.");
const ROBOT_CODE: Key<Id> = Key::optional(
    "robot_code",
    Id { what: "a robot", ..KEY },
    "RobotCode of the application's robot [default: `app_key`, which most robots have].",
);
const CONVERSATION: Key<Custom<String>> = Key::required(
    "conversation",
    Custom { read: read_conversation, schema: conversation_schema },
    "The group's openConversationId, such as cid6KeBBLoveMJOGXoYKF5x7EeiodoA==.",
);
const CARDS: Key<Bool> = Key::optional(
    "cards",
    Bool,
    "Whether an incident has one card, which changes at its end; with buttons when chats has a `dingtalk-app`, of the same application; needs the right Card.Instance.Write [default: false, each notice is a message].",
);

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: super::APP_KIND,
    audience: Audience::People,
    forms: &[NotifierForm {
        about: "A group of DingTalk, through the robot of an application.",
        keys: &[&APP_KEY, &APP_SECRET, &ROBOT_CODE, &CONVERSATION, &API_URL, &CARDS],
    }],
    read,
    elsewhere: |key| match key {
        "url" | "secret" => Some("that belongs to a custom robot, `kind: dingtalk`"),
        "buttons" => Some("`cards: true` has them when `chats:` has a `dingtalk-app` of the same application"),
        _ => None,
    },
    // Its messages cannot mention anybody.
    people: None,
    preview: |url| {
        let api = Api::new(url, "ding".to_owned(), SecretString::from(""));
        Arc::new(App::new(api, "ding".to_owned(), "cid".to_owned(), None))
    },
};

fn read(map: &mut MapReader<'_>, chats: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (key, secret, api) = (APP_KEY.take(map, reader), APP_SECRET.take(map, reader), API_URL.take(map, reader));
    let (robot_code, conversation) = (ROBOT_CODE.take(map, reader), CONVERSATION.take(map, reader));
    let cards = CARDS.take(map, reader).unwrap_or(false);
    let cards = cards.then(|| Cards { buttons: chats.kinds.contains(&super::APP_KIND) });
    let (key, secret, api, conversation) = (key?, secret?, api?, conversation?);
    let robot_code = robot_code.unwrap_or_else(|| key.clone());
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let api = Api::new(api, key, secrets.get(&secret)?);
        Some(Arc::new(App::new(api, robot_code, conversation, cards)))
    }))
}

/// A key or a code of the application.
const KEY: Id = Id {
    what: "an application",
    example: "dingabc123",
    found_in: "the application's page on open-dev.dingtalk.com: 凭证与基础信息, or 机器人",
    fits: |text| {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    },
    pattern: "^[A-Za-z0-9_-]{1,64}$",
};

/// Whether a text is the id of a conversation.
pub(super) fn is_conversation(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    (4..=128).contains(&text.len()) && text.starts_with("cid") && text.bytes().all(fits)
}

fn read_conversation(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "a group's openConversationId, such as cid6KeBBLoveMJOGXoYKF5x7EeiodoA==")?;
    if !is_conversation(text) {
        let help = "configure a chat of `kind: dingtalk-app` and mention the robot in that group: podbell's log names the conversation; it begins with cid";
        reader.error_help(&node.span, format!("`{text}` is not the openConversationId of a group"), help);
        return None;
    }
    Some(text.to_owned())
}

fn conversation_schema() -> Value {
    json!({"type": "string", "pattern": "^cid[A-Za-z0-9+/=_-]{1,125}$"})
}

/// That incidents have cards.
#[derive(Clone, Copy, Debug)]
struct Cards {
    /// Whether they have buttons.
    buttons: bool,
}

/// A group, and the robot that writes there.
#[derive(Debug)]
struct App {
    api: Api,
    robot_code: String,
    conversation: String,
    cards: Option<Cards>,
    /// The group as this robot's: a card belongs to the application that made it.
    place: Arc<str>,
}

impl App {
    fn new(api: Api, robot_code: String, conversation: String, cards: Option<Cards>) -> Self {
        let place = fingerprint([api.url.as_str(), &api.key, &robot_code, &conversation, "cards"]);
        Self { api, robot_code, conversation, cards, place }
    }

    fn room(&self) -> Room<'_> {
        Room { robot: &self.robot_code, conversation: &self.conversation }
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        if self.cards.is_none() {
            return match serde_json::from_slice(&attempt.body) {
                Ok(message) => self.message(&attempt, message).await,
                Err(_) => Outcome::ContentRejected { why: "a body that is not JSON".into() },
            };
        }
        let request = match Request::read(&attempt.body, &self.place) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        match &request.act {
            Act::Post if request.stands => self.make(&attempt, &request).await,
            Act::Post | Act::Answer(_) => self.message(&attempt, request.arguments).await,
            Act::Change(track) => {
                let changed = card::change(track, &request.arguments);
                match self.call(&attempt, change_of_card(&changed, attempt.now)).await {
                    Ok(CardResult::Done) => request.arrived("", track),
                    Ok(CardResult::Gone(why)) => Outcome::Orphaned { why },
                    Ok(CardResult::Exists) => {
                        Outcome::ContentRejected { why: "an answer that does not fit a change".into() }
                    }
                    Ok(CardResult::Hidden(why)) => Outcome::Unclear { retry_after: None, why },
                    Ok(CardResult::Not(outcome)) | Err(outcome) => outcome,
                }
            }
        }
    }

    /// Posts a message, which stands for nothing.
    async fn message(&self, attempt: &Attempt<'_>, message: Value) -> Outcome {
        let Value::Object(mut body) = message else {
            return Outcome::ContentRejected { why: "a body that is not an object".into() };
        };
        if !body.contains_key("msgKey") {
            return Outcome::ContentRejected { why: "a body that was made for a card".into() };
        }
        body.insert("robotCode".into(), json!(self.robot_code));
        body.insert("openConversationId".into(), json!(self.conversation));
        let request = HttpRequest::post(Value::Object(body).to_string(), attempt.now).below(&SEND);
        match self.api.call(attempt.client, request).await {
            Ok(reply) => api::of_message(&reply),
            Err(outcome) => outcome,
        }
    }

    /// Makes the card of an incident and shows it. A card that exists was made by an attempt before this one, which did not
    /// show it, or whose answer was lost: it is shown, perhaps again.
    async fn make(&self, attempt: &Attempt<'_>, request: &Request) -> Outcome {
        let track = fingerprint([attempt.message_id, &self.place]);
        let made = HttpRequest::post(self.room().create(&track, &request.arguments).to_string(), attempt.now);
        let mut came = self.call(attempt, made.below(&CREATE)).await;
        if matches!(came, Ok(CardResult::Exists)) {
            let shown = HttpRequest::post(self.room().deliver(&track).to_string(), attempt.now);
            came = self.call(attempt, shown.below(&DELIVER)).await;
        }
        match came {
            Ok(CardResult::Done | CardResult::Exists) => request.arrived("", &track),
            // Not `Refused`: the next attempt must have the same id.
            Ok(CardResult::Hidden(why) | CardResult::Gone(why)) => Outcome::Unclear { retry_after: None, why },
            Ok(CardResult::Not(outcome)) | Err(outcome) => outcome,
        }
    }

    async fn call(&self, attempt: &Attempt<'_>, request: HttpRequest) -> Result<CardResult, Outcome> {
        Ok(card::of(&self.api.call(attempt.client, request).await?))
    }

    /// Changes a card that does not exist, which only an application may try that may write cards.
    async fn examine_cards(&self, subject: &str, net: &Net, now: Time) -> Finding {
        let request = change_of_card(&card::change("podbell-doctor", &json!({"tips": ""})), now);
        let came = self.api.call(&net.client, request).await.map(|reply| card::of(&reply));
        match came {
            Ok(CardResult::Not(outcome)) | Err(outcome) => {
                not_well(Group::Destinations, subject, "cards of DingTalk", &outcome)
            }
            Ok(_) => Finding::ok(
                Group::Destinations,
                subject,
                "the application may write cards; whether its robot is in the group shows only when a message is sent",
            ),
        }
    }

    fn values(&self, rendering: &Rendering<'_>, cards: Cards) -> Value {
        let pressable = Pressable::of(rendering).filter(|_| cards.buttons);
        card::values(&rendering.message, rendering.content, pressable, &self.robot_code)
    }
}

fn change_of_card(change: &Value, now: Time) -> HttpRequest {
    HttpRequest::post(change.to_string(), now).method(Method::PUT).below(&CHANGE)
}

impl Notifier for App {
    fn policy(&self) -> Policy {
        let (api, key) = (self.api.url.as_str(), self.api.key.as_str());
        let endpoint = fingerprint([api, &self.robot_code, &self.conversation]);
        let all = [api, key, self.api.secret.expose_secret(), &self.robot_code, &self.conversation];
        // Whoever switches cards off because they are refused wants it to be tried again.
        let all = fingerprint(all.into_iter().chain(self.cards.map(|_| "cards")));
        let threads = self.cards.map(|_| ThreadPolicy {
            place: self.place.clone(),
            endpoint: fingerprint([&endpoint, "changes"]),
            pace: CHANGES,
            upkeep: Upkeep::Changes,
        });
        // Answers to presses on cards are messages to the same group.
        let pace = match self.cards {
            Some(Cards { buttons: true }) => Pace { limit: PACE.limit - super::PRESS_PACE.limit, ..PACE },
            _ => PACE,
        };
        Policy { pace: Some(pace), threads, ..Policy::of(endpoint, all) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let Some(cards) = self.cards else {
            return markdown::template(&rendering.message, rendering.content).to_string().into_bytes();
        };
        let mut request = Request::new(rendering, &self.place, Value::Null);
        request.arguments = match &request.act {
            Act::Change(_) => self.values(rendering, cards),
            Act::Post if request.stands => self.values(rendering, cards),
            Act::Post | Act::Answer(_) => markdown::template(&rendering.message, rendering.content),
        };
        request.stored()
    }

    fn answers_in_threads(&self) -> bool {
        false
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        if self.cards.is_some() { Request::shown_body(stored) } else { Cow::Borrowed(stored) }
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(async move {
            let ExamineContext { subject, net, now, test_follows } = context;
            // A test is a message: it says nothing of cards.
            if test_follows && self.cards.is_none() {
                return Checked::default();
            }
            let group = Group::Destinations;
            let finding = match self.api.token(&net.client, now).await {
                Err(outcome) => not_well(group, subject, "DingTalk", &outcome),
                Ok(_) if self.cards.is_some() => self.examine_cards(subject, net, now).await,
                Ok(_) => Finding::ok(
                    group,
                    subject,
                    "DingTalk knows the application; whether its robot is in the group shows only when a message is sent",
                ),
            };
            finding.into()
        })
    }
}
