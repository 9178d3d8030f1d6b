//! A channel through a webhook.

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::Method;
use url::Url;

use super::reply::of_webhook;
use super::{CHANGES, NOTIFIER, PACE, REPLIES, embed};
use crate::examine::Checked;
use crate::notifiers::hook::Hook;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::thread::{Act, Request};
use crate::notifiers::{Attempt, ExamineContext, Notifier, Rendering, fingerprint};
use podbell_core::outbox::{Outcome, Policy, ThreadPolicy, Upkeep};

#[derive(Debug)]
pub(super) struct Webhook {
    hook: Hook,
    place: Arc<str>,
}

impl Webhook {
    pub(super) fn new(url: Url) -> Self {
        let place = fingerprint([url.as_str()]);
        Self { hook: Hook::new(url, Vec::new(), &REPLIES), place }
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let request = match Request::read(&attempt.body, &self.place) {
            Ok(request) => request,
            Err(outcome) => return outcome,
        };
        // `wait`: the answer names the message, so that it can be changed.
        let post =
            HttpRequest::post(request.arguments.to_string(), attempt.now).query(vec![("wait", "true".to_owned())]);
        let post = match &request.act {
            Act::Change(message) => post.method(Method::PATCH).below(&["messages", message]),
            // A webhook cannot answer a message.
            Act::Post | Act::Answer(_) => post,
        };
        match self.hook.ask(attempt.client, post).await {
            Ok(reply) => of_webhook(Some(&request), &reply),
            Err(outcome) => outcome,
        }
    }
}

impl Notifier for Webhook {
    fn policy(&self) -> Policy {
        let policy = self.hook.policy();
        let endpoint = fingerprint([&*policy.endpoint, "changes"]);
        let threads = ThreadPolicy { place: self.place.clone(), endpoint, pace: CHANGES, upkeep: Upkeep::Changes };
        Policy { pace: Some(PACE), threads: Some(threads), ..policy }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let mentions = rendering.mentioned(NOTIFIER.name);
        let arguments = embed::body(&rendering.message, rendering.content, &mentions);
        Request::new(rendering, &self.place, arguments).stored()
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        Request::shown_body(stored)
    }

    // What follows stands in the channel, wherever that is by then.
    fn answers_in_threads(&self) -> bool {
        false
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(self.hook.examine(context))
    }
}
