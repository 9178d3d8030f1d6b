//! Slack over HTTP: one address for slash commands, buttons and events. The body was already read within its limits
//! (`guard`); nothing in it is parsed before its signature is verified.
//!
//! Sources: "Verifying requests from Slack", "Slash commands: confirming receipt" (3 s), "Events API:
//! url_verification".

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::oneshot;

use super::answer;
use super::payload::{self, AnswerTo, Payload, Received};
use super::signature;
use super::{Slack, Submitted, respond};
use crate::chat::adapter_notice::AdapterNotice;
use crate::chat::asker::{ChatAnswer, Rejection};
use crate::chat::endpoint::{self, Json};
use crate::chat::replays::{Proof, Unproved};
use crate::guard::{Refused, headers};
use podbell_core::outbox::Content;

impl Slack {
    /// The path that Slack calls.
    pub(crate) fn path(&self) -> String {
        endpoint::path("slack", &self.config.settings.name)
    }

    /// Its routes: none without a signing secret.
    pub fn routes(self: &Arc<Self>) -> Router {
        match self.is_called() {
            true => Router::new().route(&self.path(), post(called)).with_state(self.clone()),
            false => Router::new(),
        }
    }
}

async fn called(State(slack): State<Arc<Slack>>, headers: HeaderMap, body: Bytes) -> Result<Response, Refused> {
    call(&slack, &headers, &body).await
}

async fn call(slack: &Arc<Slack>, headers: &HeaderMap, body: &[u8]) -> Result<Response, Refused> {
    let read = reader(headers)?;
    let proof = proved(slack, headers, body)?;
    let payload = read(body).map_err(|_| Refused::new(StatusCode::BAD_REQUEST, "a signed body that is not Slack's"))?;
    match payload {
        Payload::SslCheck => Ok(StatusCode::OK.into_response()),
        Payload::Challenge(challenge) => {
            Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], challenge).into_response())
        }
        Payload::Ignored(_) => Ok(StatusCode::OK.into_response()),
        Payload::Message(received) => respond_to(slack, received, &proof).await,
    }
}

type Read = fn(&[u8]) -> Result<Payload, payload::Malformed>;

/// How a body is read, by its type.
fn reader(headers: &HeaderMap) -> Result<Read, Refused> {
    match headers::content_type(headers).as_str() {
        "application/x-www-form-urlencoded" => Ok(payload::form),
        "application/json" => Ok(payload::event),
        _ => Err(endpoint::wrong_type()),
    }
}

fn proved(slack: &Slack, headers: &HeaderMap, body: &[u8]) -> Result<Proof, Refused> {
    let secret = slack.config.signing_secret.as_ref();
    let secret = secret.ok_or(Refused::new(StatusCode::NOT_FOUND, "nothing is there"))?;
    let (Some(time), Some(signed)) =
        (headers::only_text(headers, "x-slack-request-timestamp"), headers::only_text(headers, "x-slack-signature"))
    else {
        return Err(Unproved::Unsigned.into());
    };
    let now = slack.now();
    let proof = signature::verify(secret, time, signed, body, now)?;
    let mut replays = slack.replays.lock().unwrap_or_else(PoisonError::into_inner);
    replays.admit(proof, now)?;
    Ok(proof)
}

async fn respond_to(slack: &Arc<Slack>, received: Received, proof: &Proof) -> Result<Response, Refused> {
    if slack.cannot_answer(&received) {
        return Ok(StatusCode::OK.into_response());
    }
    let is_message = matches!(received.answer, AnswerTo::Message { .. });
    match slack.submit(received, None) {
        Ok(Some(taken)) => Ok(answered(slack, taken).await),
        Ok(None) => Ok(StatusCode::OK.into_response()),
        Err(refused @ Rejection::Stranger) => Err(refused.into()),
        // Slack sends an event again by itself; a person reads that they should try again.
        Err(refused) if is_message => {
            slack.replays.lock().unwrap_or_else(PoisonError::into_inner).forget(proof);
            Err(refused.into())
        }
        Err(_) => Ok(Json(answer::own(AdapterNotice::Busy, slack.config.settings.language)).into_response()),
    }
}

/// Acknowledges within 3 s, with the answer if it is a command's and ready in time.
async fn answered(slack: &Arc<Slack>, taken: Submitted) -> Response {
    if !matches!(taken.received.answer, AnswerTo::Command(_)) {
        slack.answer_later(taken);
        return StatusCode::OK.into_response();
    }
    // A task of its own: it is answered even if Slack hangs up.
    let (answers, mut answer) = oneshot::channel();
    let asking = slack.clone();
    tokio::spawn(async move {
        let Submitted { received, answer, permit } = taken;
        let said = asking.asker.answered(answer).await;
        if let Err(said) = answers.send(said) {
            // The request was already acknowledged: the answer follows separately.
            respond::send(&asking, &received, &said).await;
        }
        drop(permit);
    });
    let waited = tokio::time::timeout(slack.config.timing.inline, &mut answer).await;
    let own = |notice| Arc::new(ChatAnswer::Notice(notice));
    let said = waited.unwrap_or_else(|_| {
        answer.close();
        // The answer may have come at the last moment; then nobody else sends it.
        Ok(answer.try_recv().unwrap_or_else(|_| own(AdapterNotice::Working)))
    });
    let said = said.unwrap_or_else(|_| own(AdapterNotice::Broken));
    Json(answer::answer_body(&said, Content::Full, slack.config.settings.language)).into_response()
}
