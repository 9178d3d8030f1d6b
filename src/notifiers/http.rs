//! One POST and its reply. No retry, no redirect, no secret in what it says.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use secrecy::{ExposeSecret as _, SecretString};

use super::redact::Redactor;
use super::reply::{Reply, words};
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

/// How long a request may take, from connecting to the end of the reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One attempt to deliver a stored body.
pub(super) struct Attempt<'a> {
    /// The id of the message.
    pub id: &'a str,
    /// The stored body.
    pub body: Vec<u8>,
    /// The time of this attempt.
    pub now: Time,
    /// What proves who asks, where the address does not.
    pub bearer: Option<&'a SecretString>,
}

/// Posts it. `signed` is there for webhooks, with the signature if they have secrets.
pub(super) async fn post(
    client: &reqwest::Client,
    url: &url::Url,
    attempt: Attempt<'_>,
    signed: Option<Option<String>>,
    redactor: &Redactor,
) -> Result<Reply, Outcome> {
    let mut request = client
        .post(url.clone())
        .timeout(TIMEOUT)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header(USER_AGENT, concat!("podbell/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = attempt.bearer {
        request = request.bearer_auth(token.expose_secret());
    }
    if let Some(signature) = signed {
        request = request.header("webhook-id", attempt.id).header("webhook-timestamp", attempt.now.seconds());
        if let Some(signature) = signature {
            request = request.header("webhook-signature", signature);
        }
    }
    let response = request.body(attempt.body).send().await.map_err(|error| failed(error, redactor))?;
    Reply::read(response, redactor, attempt.now).await.map_err(|error| failed(error, redactor))
}

/// What an error of transport means: who was never reached has taken nothing.
fn failed(error: reqwest::Error, redactor: &Redactor) -> Outcome {
    let (never_reached, timed_out) = (error.is_connect(), error.is_timeout());
    let why = match timed_out {
        true => format!("no answer within {} s", TIMEOUT.as_secs()),
        false => words(&chain(&error.without_url()), redactor),
    };
    match never_reached {
        true => Outcome::Refused { retry_after: None, why },
        false => Outcome::Unclear { retry_after: None, why },
    }
}

/// An error with its causes: the last one is what an operator can act on.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
