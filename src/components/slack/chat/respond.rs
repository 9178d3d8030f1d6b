//! Sends answers to Slack: to a `response_url`, or through the Web API. No redirect, token or address appears in
//! the log.
//!
//! Sources: "Handling user interaction: responses" (an address takes 5 posts within 30 min), "Rate
//! limits" (`Retry-After`).

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::payload::{AnswerTo, Received};
use super::{Slack, SlackConfig, answer};
use crate::chat::answer_delivery::{AnswerDelivery, Posted};
use crate::chat::asker::ChatAnswer;
use crate::components::slack::error_class::ErrorClass;
use podbell_core::outbox::Content;
use podbell_core::time::Time;

/// How often Slack takes something at a `response_url`.
const MAX_POSTS: u32 = 5;
/// How long an address may be called.
const POSTS_WITHIN: Duration = Duration::from_secs(30 * 60);
/// How much of a reply is read.
const MAX_REPLY: usize = 64 * 1024;

/// Sends an answer to where it belongs, in the plainest form if Slack refuses the other.
pub(super) async fn send(slack: &Slack, received: &Received, said: &ChatAnswer) {
    let SlackConfig { settings, timing, .. } = &slack.config;
    let [body, plain] =
        [Content::Full, Content::Minimal].map(|content| answer::answer_body(said, content, settings.language));
    let deps = &slack.asker.deps;
    let delivery =
        AnswerDelivery { max_posts: Some(MAX_POSTS), ..slack.asker.delivery(timing.answers.again, POSTS_WITHIN) };
    let incoming = &received.incoming;
    match &received.answer {
        AnswerTo::Command(address) | AnswerTo::Button { address, .. } => {
            let Some((url, own)) = slack.hosts.response_url(address) else {
                slack.asker.complain("a response_url that is not Slack's is not called");
                return;
            };
            // The operator's own address may be on this machine; any other is Slack's and public.
            let client = if own { &deps.client } else { &slack.guarded };
            let send = |body: Value| {
                let url = url.clone();
                async move { post(client, url, None, &body, slack.now()).await }
            };
            let changes_answer = matches!(received.answer, AnswerTo::Button { changes_answer: true, .. });
            if !changes_answer {
                return delivery.post(body, plain, send).await;
            }
            // The last post that Slack takes there is for the change.
            AnswerDelivery { max_posts: Some(MAX_POSTS - 1), ..delivery }.post(body, plain, send).await;
            if let Some(anew) = slack.asker.shown_anew(incoming, said).await {
                let anew = answer::anew(&anew);
                AnswerDelivery { max_posts: Some(1), ..delivery }.post(anew.clone(), anew, send).await;
            }
        }
        AnswerTo::Message { thread, direct } => {
            let Some(token) = &slack.config.bot_token else { return };
            let message = |mut body: Value| {
                // In a conversation of two nobody else is watching.
                let hidden = body["response_type"] == "ephemeral" && !direct;
                if let Some(map) = body.as_object_mut() {
                    map.remove("response_type");
                    map.remove("replace_original");
                    map.insert("channel".into(), json!(incoming.channel));
                    if let Some(thread) = thread {
                        map.insert("thread_ts".into(), json!(thread));
                    }
                    if hidden {
                        map.insert("user".into(), json!(incoming.user));
                    }
                }
                (if hidden { "chat.postEphemeral" } else { "chat.postMessage" }, body)
            };
            let send = |body: Value| {
                let (method, body) = message(body);
                let url = slack.hosts.method(method);
                async move {
                    let Some(url) = url else { return Posted::Never("no address".into()) };
                    post(&deps.client, url, Some(token), &body, slack.now()).await
                }
            };
            let rate = Some((&slack.rate, &*incoming.channel));
            AnswerDelivery { rate, max_posts: None, ..delivery }.post(body, plain, send).await;
        }
    }
}

async fn post(
    client: &reqwest::Client,
    url: url::Url,
    token: Option<&SecretString>,
    body: &Value,
    now: Time,
) -> Posted {
    let mut request = client
        .post(url)
        .timeout(Duration::from_secs(10))
        .header(reqwest::header::CONTENT_TYPE, "application/json; charset=utf-8")
        .body(body.to_string());
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let Ok(response) = request.send().await else { return Posted::Later(None) };
    let status = response.status();
    let after = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|value| crate::notifiers::reply::retry_after(value, now));
    let reply = crate::http::read_body(response, MAX_REPLY).await.unwrap_or_default();
    match status {
        StatusCode::OK if token.is_none() => Posted::Done,
        StatusCode::OK => posted(&reply),
        StatusCode::BAD_REQUEST => Posted::ContentRejected,
        StatusCode::TOO_MANY_REQUESTS => Posted::Later(after),
        status if status.is_server_error() => Posted::Later(after),
        status => Posted::Never(format!("status {}", status.as_u16())),
    }
}

/// The Web API's own word: `{"ok": false, "error": "channel_not_found"}` with status 200.
fn posted(reply: &[u8]) -> Posted {
    let reply: Value = serde_json::from_slice(reply).unwrap_or_default();
    if reply["ok"] == true {
        return Posted::Done;
    }
    let Some(code) = code(&reply) else { return Posted::Later(None) };
    match ErrorClass::of(code) {
        ErrorClass::RateLimited | ErrorClass::Transient => Posted::Later(None),
        ErrorClass::Content => Posted::ContentRejected,
        ErrorClass::Other => Posted::Never(code.to_owned()),
    }
}

/// The code of an error; `None` if there is none, as in a page of a proxy.
pub(super) fn code(reply: &Value) -> Option<&str> {
    let fine = |code: &&str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    reply["error"].as_str().filter(fine)
}
