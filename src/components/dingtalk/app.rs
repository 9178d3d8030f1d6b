//! `kind: dingtalk-app` of `notifiers:`: a group of DingTalk, through the robot of an application.
//! <https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message>

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::api::{self, Api};
use super::{PACE, markdown};
use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::post::Post;
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, Look, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use crate::settings::keys::{Address, HTTP};
use crate::settings::{Draft, Secret, SecretKind};
use crate::tasks::Waiting;
use podbell_core::outbox::{Outcome, Policy};
use podbell_core::yaml::key::{Key, Own};
use podbell_core::yaml::{MapReader, Node, Reader};

const SEND: [&str; 4] = ["v1.0", "robot", "groupMessages", "send"];
/// The API.
const API: &str = "https://api.dingtalk.com";
pub(super) const APP_KEY: Key<Own<String>> = Key::required(
    "app_key",
    Own { read: read_key, schema: key_schema },
    "Client ID (AppKey) of the application, such as dingabc123.",
);
pub(super) const APP_SECRET: Key<Secret> =
    Key::required("app_secret", Secret(SecretKind::Any), "Client Secret (AppSecret) of the application.");
pub(super) const API_URL: Key<Address> = Key::with_default("api", HTTP, API, "The API.");
const ROBOT_CODE: Key<Own<String>> = Key::optional(
    "robot_code",
    Own { read: read_key, schema: key_schema },
    "RobotCode of the application's robot [default: `app_key`, which most robots have].",
);
const CONVERSATION: Key<Own<String>> = Key::required(
    "conversation",
    Own { read: read_conversation, schema: conversation_schema },
    "The group's openConversationId, such as cid6KeBBLoveMJOGXoYKF5x7EeiodoA==.",
);

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "dingtalk-app",
    audience: Audience::People,
    forms: &[NotifierForm {
        about: "A group of DingTalk, through the robot of an application.",
        keys: &[&APP_KEY, &APP_SECRET, &ROBOT_CODE, &CONVERSATION, &API_URL],
    }],
    read,
    elsewhere: |key| match key {
        "url" | "secret" => Some("that belongs to a custom robot, `kind: dingtalk`"),
        _ => None,
    },
    // Its messages cannot mention anybody.
    people: None,
    preview: |url| {
        let api = Api::new(url, "ding".to_owned(), SecretString::from(""));
        Arc::new(App { api, robot_code: "ding".to_owned(), conversation: "cid".to_owned() })
    },
};

fn read(map: &mut MapReader<'_>, _: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (key, secret, api) = (APP_KEY.take(map, reader), APP_SECRET.take(map, reader), API_URL.take(map, reader));
    let (robot_code, conversation) = (ROBOT_CODE.take(map, reader), CONVERSATION.take(map, reader));
    let (key, secret, api, conversation) = (key?, secret?, api?, conversation?);
    let robot_code = robot_code.unwrap_or_else(|| key.clone());
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let api = Api::new(api.clone(), key.clone(), secrets.get(&secret)?);
        Some(Arc::new(App { api, robot_code: robot_code.clone(), conversation: conversation.clone() }))
    }))
}

fn read_key(node: &Node, reader: &mut Reader) -> Option<String> {
    let text = reader.text(node, "letters and digits, such as dingabc123")?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    if !(1..=64).contains(&text.len()) || !text.bytes().all(fits) {
        let help = "copy it from the application's page on open-dev.dingtalk.com: 凭证与基础信息, or 机器人";
        reader.error_help(&node.span, format!("`{text}` has other characters than letters, digits, `-` and `_`"), help);
        return None;
    }
    Some(text.to_owned())
}

fn key_schema() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
}

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

/// A group, and the robot that writes there.
#[derive(Debug)]
struct App {
    api: Api,
    robot_code: String,
    conversation: String,
}

impl App {
    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&attempt.body) else {
            return Outcome::Content { why: "a body that is not JSON".into() };
        };
        body.insert("robotCode".into(), json!(self.robot_code));
        body.insert("openConversationId".into(), json!(self.conversation));
        let body = Value::Object(body).to_string().into_bytes();
        let request = || Post::json(body.clone(), attempt.now).below(&SEND);
        match self.api.call(attempt.client, attempt.now, request).await {
            Ok(reply) => api::of_message(&reply),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for App {
    fn policy(&self) -> Policy {
        let (api, key) = (self.api.url.as_str(), self.api.key.as_str());
        let endpoint = fingerprint([api, &self.robot_code, &self.conversation]);
        let all = fingerprint([api, key, self.api.secret.expose_secret(), &self.robot_code, &self.conversation]);
        Policy { pace: Some(PACE), ..Policy::of(endpoint, all) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        markdown::template(&rendering.message, rendering.content).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> Waiting<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, look: Look<'a>) -> Waiting<'a, Checked> {
        Box::pin(async move {
            let Look { subject, net, now, test_follows } = look;
            if test_follows {
                return Checked::default();
            }
            let group = Group::Destinations;
            let finding = match self.api.token(&net.client, now).await {
                Ok(_) => Finding::ok(
                    group,
                    subject,
                    "DingTalk knows the application; whether its robot is in the group, only a message shows",
                ),
                Err(outcome) => not_well(group, subject, "DingTalk", &outcome),
            };
            finding.into()
        })
    }
}
