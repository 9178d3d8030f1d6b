//! DingTalk (钉钉): notifies through a custom robot of a group or through an application's robot ([`app`]), which also answers
//! questions ([`chat`]).
//!
//! `kind: dingtalk` of `notifiers:`: a custom robot of a group.
//! <https://open.dingtalk.com/document/robots/custom-robot-access>

mod api;
pub(crate) mod app;
mod card;
pub mod chat;
mod markdown;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
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
use podbell_core::time::Time;
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

/// 20 in any 60 s, 5 of them reserved for critical; one second of reserve for the network. Whoever is faster is blocked
/// for ten minutes.
const PACE: Pace = Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 5 };
/// The kind of its application, as a notifier and as a chat.
const APP_KIND: &str = "dingtalk-app";
/// How fast presses on cards are answered.
const PRESS_PACE: Pace = Pace { limit: 5, kept_for_critical: 0, ..PACE };
/// How long a robot is blocked that was too fast.
const BLOCKED: Duration = Duration::from_secs(600);
const PATH: &str = "/robot/send";
const REPLIES: Replies = Replies {
    what: "DingTalk robot",
    public: &["robot", "send", PATH],
    is_own: |url| url.path().ends_with(PATH),
    classify,
    is_about_content: |_| false,
};
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "The address of a custom robot.");
const SECRET: Key<Secret> = Key::optional(
    "secret",
    Secret(SecretKind::Any),
    "The secret of the robot's signature (加签, SEC…), if that is its security setting.",
);

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "dingtalk",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A group of DingTalk, through a robot.", keys: &[&URL, &SECRET] }],
    read,
    elsewhere: |_| None,
    people: Some(People {
        platform: "DingTalk",
        help: "write the user id of the address book, such as manager4220, or all",
        read: |written| {
            let id = written.trim().trim_start_matches('@');
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.$".contains(&b);
            ((1..=64).contains(&id.len()) && id.bytes().all(fits)).then(|| id.to_owned())
        },
    }),
    preview: |url| Arc::new(Robot::new(url, None)),
};

fn read(map: &mut MapReader<'_>, _: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    signed_robot(URL.take(map, reader), SECRET.take(map, reader), |url, secret| Arc::new(Robot::new(url, secret)))
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

    /// What an attempt adds to the address: the platform accepts a signature for an hour.
    fn query(&self, now: Time) -> Vec<(&'static str, String)> {
        let signed = self.secret.as_ref().and_then(|secret| {
            let millis = now.millis().to_string();
            Some(vec![("sign", signature(&millis, secret)?), ("timestamp", millis)])
        });
        signed.unwrap_or_default()
    }
}

/// The signature: of time and secret, with the secret as the key.
fn signature(millis: &str, secret: &SecretString) -> Option<String> {
    let secret = secret.expose_secret();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(format!("{millis}\n{secret}").as_bytes());
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

impl Notifier for Robot {
    fn policy(&self) -> Policy {
        Policy { pace: Some(PACE), ..self.hook.policy() }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        markdown::body(&rendering.message, rendering.content, &mentions).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        let query = self.query(attempt.now);
        let request = HttpRequest::post(attempt.body, attempt.now).query(query);
        Box::pin(self.hook.deliver(attempt.client, request))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(self.hook.examine(context))
    }
}

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

/// What a reply means. The robot answers 200; the code is in the body. One code stands for all security settings, which
/// its words tell apart.
fn classify(reply: &Reply) -> Outcome {
    let answer = (reply.status == 200).then(|| serde_json::from_str::<Answer>(&reply.body).ok());
    let Some(Answer { errcode, errmsg }) = answer.flatten() else {
        return reply::not_of(reply, "DingTalk");
    };
    match errcode {
        0 => Outcome::Delivered,
        130_101 | 130_102 | 410_100 => {
            Outcome::Refused { retry_after: Some(reply.retry_after.unwrap_or(BLOCKED)), why: reply.summary() }
        }
        310_000 if errmsg.contains("keyword") || errmsg.contains("关键词") => reply.content_rejected(),
        300_001 | 300_005 | 310_000 | 400_013 | 400_101 | 400_102 | 400_106 => {
            reply.invalid_destination(errcode, advice(errcode))
        }
        // Errors of the content: none, its type, its length, words that the platform forbids.
        40_035 | 43_004 | 400_105 | 430_101..=430_104 | 460_101 => reply.content_rejected(),
        _ => reply::unclear(reply, "an error"),
    }
}

fn advice(errcode: i64) -> &'static str {
    match errcode {
        310_000 => {
            "the robot's security setting refuses podbell: put the secret of 加签 into podbell.yaml (`secret`) and set this machine's clock, or add podbell's address to the robot's IP list"
        }
        400_102 => "the robot is switched off: switch it on in the group's settings",
        _ => {
            "the robot was removed or its URL is wrong: add a robot to the group and put its new webhook URL into podbell.yaml"
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn signatures_are_those_of_the_vectors() {
        let vectors = include_str!("../../../tests/fixtures/vectors/dingtalk.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 2);
        for case in cases {
            let secret = case["secret"].as_str().unwrap().to_owned().into();
            let signed = signature(case["timestamp_ms"].as_str().unwrap(), &secret).unwrap();
            assert_eq!(signed, case["sign_b64"], "{}", case["name"]);
            let query: String = url::form_urlencoded::byte_serialize(signed.as_bytes()).collect();
            assert_eq!(query, case["sign_urlencoded"], "{}", case["name"]);
        }
    }
}
