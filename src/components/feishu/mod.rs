//! Feishu (飞书) or Lark: notifies through a robot of a group, or through an app ([`app`]), which answers
//! questions ([`chat`]).
//!
//! `kind: feishu` of `notifiers:`: a robot of a group.
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>

mod api;
mod app;
mod card;
pub mod chat;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use crate::examine::Checked;
use crate::notifiers::hook::{Hook, Replies, signed_robot};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, ExamineContext, Notifier, NotifierForm, NotifierKind, People, Rendering,
};
use crate::settings::{Draft, Secret, SecretKind};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy};
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

pub(crate) use app::APP;

/// The kind of its application, as a notifier and as a chat.
const APP_KIND: &str = "feishu-app";
/// 100 a minute and 5 a second are allowed: one each 700 ms satisfies both.
const PACE: Pace = Pace { limit: 1, per: Duration::from_millis(700), kept_for_critical: 0 };
const REPLIES: Replies = Replies {
    what: "Feishu robot",
    public: &["open-apis"],
    is_own: |url| url.path().starts_with("/open-apis/bot/"),
    classify,
    is_about_content: |_| false,
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of a custom robot.");
const SECRET: Key<Secret> = Key::optional(
    "secret",
    Secret(SecretKind::Any),
    "The secret of the robot's signature verification, if that is turned on.",
);

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "feishu",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A group of Feishu or Lark, through a robot.", keys: &[&URL, &SECRET] }],
    read,
    elsewhere: |_| None,
    people: Some(people("Feishu")),
    preview: |url| Arc::new(Robot::new(url, None)),
};

fn read(map: &mut MapReader<'_>, _: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    signed_robot(URL.take(map, reader), SECRET.take(map, reader), |url, secret| Arc::new(Robot::new(url, secret)))
}

/// How people are named; an app has ids of its own for them.
const fn people(platform: &'static str) -> People {
    People {
        platform,
        help: "write an open_id such as ou_18eac85d35a26f989317ad4f02e8bbbb, or all. Names can be taken by others, ids cannot",
        read: |written| {
            let id = written.trim().trim_start_matches('@');
            is_open_id(id).then(|| id.to_owned())
        },
    }
}

fn is_open_id(id: &str) -> bool {
    id == "all" || app::is_id(id, "ou_")
}

#[derive(Debug)]
struct Robot {
    hook: Hook,
    secret: Option<SecretString>,
}

impl Robot {
    fn new(url: Url, secret: Option<SecretString>) -> Self {
        Self { hook: Hook::new(url, secret.iter().cloned().collect(), &REPLIES), secret }
    }

    /// The stored body with the signature of this attempt: the platform accepts a signature for an hour.
    fn signed(&self, body: Vec<u8>, seconds: i64) -> Vec<u8> {
        let Some(secret) = &self.secret else { return body };
        let signature = signature(seconds, secret);
        match (serde_json::from_slice::<Value>(&body), signature) {
            (Ok(Value::Object(mut fields)), Some(signature)) => {
                fields.insert("timestamp".to_owned(), json!(seconds.to_string()));
                fields.insert("sign".to_owned(), json!(signature));
                Value::Object(fields).to_string().into_bytes()
            }
            _ => body,
        }
    }
}

/// The signature: of an empty text, with time and secret as the key.
fn signature(seconds: i64, secret: &SecretString) -> Option<String> {
    let key = format!("{seconds}\n{}", secret.expose_secret());
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

impl Notifier for Robot {
    fn policy(&self) -> Policy {
        Policy { pace: Some(PACE), ..self.hook.policy() }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        card::body(&rendering.message, rendering.content, &mentions).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        let body = self.signed(attempt.body, attempt.now.seconds());
        Box::pin(self.hook.deliver(attempt.client, HttpRequest::post(body, attempt.now)))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(self.hook.examine(context))
    }
}

/// An answer of the robot; an older form of it has capitalized keys.
#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "StatusCode")]
    code: i64,
}

/// What a reply means. The robot answers 200, or 400 for some errors; the code is in the body.
fn classify(reply: &Reply) -> Outcome {
    let answered = matches!(reply.status, 200 | 400).then(|| serde_json::from_str::<Answer>(&reply.body).ok());
    let Some(Answer { code }) = answered.flatten() else {
        return reply::not_of(reply, "Feishu");
    };
    match code {
        0 => Outcome::Delivered,
        // Over 5 in a second or 100 in a minute; also at full and half hours, when everybody sends.
        11232 => reply.refused(),
        19001 | 19021 | 19022 => reply.invalid_destination(code, advice(code)),
        // Errors of the content: its form, its length, a missing keyword.
        9499 | 10_000..=11_231 | 19002 | 19024 | 19036 => reply.content_rejected(),
        _ => reply::unclear(reply, "an error"),
    }
}

fn advice(code: i64) -> &'static str {
    match code {
        19021 => {
            "the signature is refused: put the secret of the robot's signature verification into podbell.yaml (`secret`), and set this machine's clock"
        }
        19022 => "the robot takes messages from certain addresses only: add podbell's address to its IP list",
        _ => {
            "the robot was removed or its URL is wrong: add a robot to the group and put its new webhook URL into podbell.yaml"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_vectors() {
        let vectors = include_str!("../../../tests/fixtures/vectors/feishu.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let of_robots = |case: &&Value| case["kind"] == "custom_bot_sign";
        let cases: Vec<&Value> = vectors["cases"].as_array().unwrap().iter().filter(of_robots).collect();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let seconds = case["timestamp"].as_str().unwrap().parse().unwrap();
            let secret = case["secret"].as_str().unwrap().to_owned().into();
            assert_eq!(signature(seconds, &secret).as_deref(), case["sign"].as_str(), "{}", case["name"]);
        }
    }
}
