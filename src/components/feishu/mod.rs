//! `kind: feishu` of `notifiers:`: a robot of a group in Feishu (飞书) or Lark.
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>

mod card;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use crate::examine::{Checked, Group};
use crate::notifiers::post::{Post, post};
use crate::notifiers::probe::{Probe, probe};
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::{
    Attempt, Audience, ConfiguredChats, Look, Notifier, NotifierForm, NotifierKind, People, Rendering, fingerprint,
};
use crate::settings::{Draft, Secret, SecretKind};
use crate::tasks::Waiting;
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy};
use podbell_core::yaml::key::Key;
use podbell_core::yaml::{MapReader, Reader};

/// 100 a minute and 5 a second are allowed: one each 700 ms satisfies both.
const PACE: Pace = Pace { most: 1, per: Duration::from_millis(700), kept_for_critical: 0 };
const PATH: &str = "/open-apis/bot/";
const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "Of a custom robot.");
const SECRET: Key<Secret> =
    Key::optional("secret", Secret(SecretKind::Any), "Of its signature verification, if that is turned on.");

/// Its registry row.
pub const NOTIFIER: NotifierKind = NotifierKind {
    name: "feishu",
    audience: Audience::People,
    forms: &[NotifierForm { about: "A group of Feishu or Lark, through a robot.", keys: &[&URL, &SECRET] }],
    read,
    elsewhere: |_| None,
    people: Some(People {
        platform: "Feishu",
        help: "write an open_id such as ou_18eac85d35a26f989317ad4f02e8bbbb, or all. Names can be taken by others, ids cannot",
        read: |written| {
            let id = written.trim().trim_start_matches('@');
            is_open_id(id).then(|| id.to_owned())
        },
    }),
    preview: |url| Arc::new(Robot::new(url, None)),
};

fn read(map: &mut MapReader<'_>, _: &ConfiguredChats, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (url, secret) = (URL.take(map, reader), SECRET.take(map, reader));
    let url = url?;
    Some(Draft::<dyn Notifier>::new(move |secrets| {
        let address = secrets.url(&url);
        let secret = secret.as_ref().and_then(|secret| secrets.get(secret));
        Some(Arc::new(Robot::new(address?, secret)))
    }))
}

fn is_open_id(id: &str) -> bool {
    let rest = id.strip_prefix("ou_").unwrap_or_default();
    id == "all" || (1..=64).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

struct Robot {
    url: Url,
    secret: Option<SecretString>,
    redactor: Redactor,
}

impl fmt::Debug for Robot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("feishu")
    }
}

impl Robot {
    fn new(url: Url, secret: Option<SecretString>) -> Self {
        let redactor = Redactor::new(url.as_str(), secret.as_slice(), &["open-apis"]);
        Self { url, secret, redactor }
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
        let endpoint = fingerprint([self.url.as_str()]);
        let secret = self.secret.iter().map(SecretString::expose_secret);
        let all = fingerprint(std::iter::once(self.url.as_str()).chain(secret));
        Policy { pace: Some(PACE), ..Policy::of(endpoint, all) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        card::body(&rendering.message, rendering.content, &mentions).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> Waiting<'a, Outcome> {
        Box::pin(async move {
            let Attempt { client, body, now, .. } = attempt;
            let body = self.signed(body, now.seconds());
            match post(client, &self.url, Post::json(body, now), &self.redactor).await {
                Ok(reply) => classify(&reply),
                Err(outcome) => outcome,
            }
        })
    }

    fn examine<'a>(&'a self, look: Look<'a>) -> Waiting<'a, Checked> {
        const WHAT: &str = "Feishu robot";
        Box::pin(async move {
            let Look { subject, net, now, test_follows } = look;
            if test_follows {
                return Checked::default();
            }
            // Do not probe an address that is not Feishu's: it might act on the probe. A robot that wants a
            // signature refuses the probe for the lack of it, which says nothing about the secret.
            if self.secret.is_some() || !self.url.path().starts_with(PATH) {
                return net.reached(Group::Destinations, subject, WHAT, self.url.clone()).await.into();
            }
            let (url, redactor) = (&self.url, &self.redactor);
            let asked = Probe { subject, what: WHAT, url, redactor, classify, is_about_content: |_| false };
            probe(&asked, &net.client, now).await
        })
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
        return match reply.status {
            429 | 413 | 300..=399 | 500..=599 => reply::by_status(reply),
            _ => reply::unclear(reply, "an answer that is not Feishu's (wrong host, or a proxy in between?)"),
        };
    };
    match code {
        0 => Outcome::Delivered,
        // Over 5 in a second or 100 in a minute; also at full and half hours, when everybody sends.
        11232 => Outcome::Refused { retry_after: reply.retry_after, why: reply.said() },
        19001 | 19021 | 19022 => {
            Outcome::Dead { code: code.to_string(), text: reply.said(), advice: advice(code).to_owned() }
        }
        // Errors of the content: its form, its length, a missing keyword.
        9499 | 10_000..=11_231 | 19002 | 19024 | 19036 => Outcome::Content { why: reply.said() },
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
        let cases: Vec<&Value> = vectors["cases"].as_array().unwrap().iter().collect();
        assert_eq!(cases.len(), 3);
        for case in cases {
            let seconds = case["timestamp"].as_str().unwrap().parse().unwrap();
            let secret = case["secret"].as_str().unwrap().to_owned().into();
            assert_eq!(signature(seconds, &secret).as_deref(), case["sign"].as_str(), "{}", case["name"]);
        }
    }
}
