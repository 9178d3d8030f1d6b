//! `kind: webhook`: notifies a program over HTTP.

mod body;
mod message;
mod signature;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use url::Url;

pub(crate) use self::message::schema;
use self::signature::SigningKey;
use crate::examine::Checked;
use crate::notifiers::hook::{Hook, Replies};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::{Attempt, Audience, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering};
use crate::settings::{Draft, Secret, SecretKind, SecretRef, Secrets};
use podbell_core::outbox::{Outcome, Policy};
use podbell_core::yaml::key::{Key, ValueType};
use podbell_core::yaml::{MapReader, Node, Reader, Value};

const URL: Key<Secret> = Key::required("url", Secret(SecretKind::Url), "Where the program listens.");
const SECRET: Key<SigningSecrets> = Key::optional(
    "secret",
    SigningSecrets,
    "What bodies are signed with, base64; several while one replaces another. Without it they are not signed.",
);
/// How many requests are in flight at the same time.
const CONCURRENCY: usize = 8;
const NOT_BASE64: &str = "is not base64 (make one with `openssl rand -base64 32`)";

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "webhook",
    audience: Audience::Programs,
    forms: &[NotifierForm { about: "A program, told by HTTP: every notice, as JSON.", keys: &[&URL, &SECRET] }],
    read: |map, _, reader| read(map, reader),
    elsewhere: |key| match key {
        "daily" => Some("a line a day is for people; a webhook gets every notice"),
        "digest" | "digest_after" => Some("a webhook gets every notice; only chats get digests"),
        _ => None,
    },
    people: None,
    preview: |url| Arc::new(Webhook::new(url, Vec::new(), Vec::new())),
};

fn read(map: &mut MapReader<'_>, reader: &mut Reader) -> Option<Draft<dyn Notifier>> {
    let (url, secrets) = (URL.take(map, reader), SECRET.take(map, reader).unwrap_or_default());
    let url = url?;
    Some(Draft::<dyn Notifier>::new(move |values| {
        let address = values.url(&url);
        let keys = secrets.iter().map(|secret| key(secret, values)).collect::<Vec<_>>();
        let (keys, secrets) = keys.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
        Some(Arc::new(Webhook::new(address?, keys, secrets)))
    }))
}

fn key(secret: &SecretRef, values: &mut Secrets<'_>) -> Option<(SigningKey, SecretString)> {
    let value = values.get(secret)?;
    let key = SigningKey::read(&value);
    if key.is_none() {
        values.refuse(secret, NOT_BASE64);
    }
    Some((key?, value))
}

/// One secret, or a list of them.
#[derive(Clone, Copy, Debug)]
struct SigningSecrets;

impl ValueType for SigningSecrets {
    type Value = Vec<SecretRef>;

    fn read(&self, node: &Node, reader: &mut Reader) -> Option<Vec<SecretRef>> {
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        let read = |node: &Node| {
            let secret = Secret(SecretKind::Any).read(node, reader)?;
            if secret.written_out().is_some_and(|secret| SigningKey::read(&secret).is_none()) {
                let help = "make one with `openssl rand -base64 32`";
                reader.error_help(&node.span, "a webhook's secret is base64, with or without whsec_", help);
            }
            Some(secret)
        };
        Some(items.iter().filter_map(read).collect())
    }

    fn schema(&self) -> Json {
        let one = Secret(SecretKind::Any).schema();
        json!({"anyOf": [one, {"type": "array", "items": one}]})
    }
}

struct Webhook {
    hook: Hook,
    keys: Vec<SigningKey>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("keys", &self.keys.len()).finish()
    }
}

impl Webhook {
    fn new(url: Url, keys: Vec<SigningKey>, secrets: Vec<SecretString>) -> Self {
        Self { hook: Hook::new(url, secrets, &Replies::BY_STATUS), keys }
    }
}

impl Notifier for Webhook {
    fn policy(&self) -> Policy {
        Policy { concurrency: CONCURRENCY, ..self.hook.policy() }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mut notices: Vec<u64> = rendering.notices.iter().map(|notice| notice.id).collect();
        notices.sort_unstable();
        let facts =
            body::RequestFacts { notice: rendering.notice, notices, id: rendering.message_id, url: rendering.url };
        body::body(&facts, &rendering.message, rendering.content).to_string().into_bytes()
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        let Attempt { client, message_id, body, now } = attempt;
        let signature = signature::signature(&self.keys, message_id, now.seconds(), &body);
        let request = HttpRequest::post(body, now)
            .header("webhook-id", message_id.to_owned())
            .header("webhook-timestamp", now.seconds().to_string());
        let request = match signature {
            Some(signature) => request.header("webhook-signature", signature),
            None => request,
        };
        Box::pin(self.hook.deliver(client, request))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(self.hook.examine(context))
    }
}
