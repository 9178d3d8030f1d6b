//! The HTTP API, for bots of other chats, scripts and the command line elsewhere. Without a token in
//! podbell.yaml there is no API.
//!
//! It authenticates the caller, hands the question to the query service and shapes the answer; it knows no command.

mod lists;
mod openapi;
mod tokens;

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::openapi::DOCUMENT;
pub use self::tokens::Token;
pub(super) use self::tokens::{Tokens, hash};
use crate::chat::{QueryService, Question, Speaker};
use crate::clock;
use crate::guard::headers::content_type;
use crate::guard::{CallerSecrets, logged};
use podbell_core::ask::{Answer, Entry, Prompt};
use podbell_core::message::Style;
use podbell_core::mute::Author;
pub use podbell_core::scope::Rights;
use podbell_core::translations::Language;
use podbell_core::zone;

/// How much of a person's name is kept.
const MAX_NAME: usize = 100;

/// See the module.
struct Api {
    tokens: Tokens,
    queries: Arc<QueryService>,
}

/// The routes of the API; none without tokens.
pub fn routes(tokens: Vec<Token>, queries: Arc<QueryService>) -> Router {
    if tokens.is_empty() {
        return Router::new();
    }
    let api = Arc::new(Api { tokens: Tokens::new(tokens), queries });
    let routes = Router::new().route("/api/v1/commands", post(command)).merge(lists::routes()).merge(openapi::routes());
    routes.layer(from_fn(bounded)).with_state(api)
}

/// Bounds how often tokens can be guessed.
async fn bounded(tries: Option<Extension<CallerSecrets>>, request: Request, next: Next) -> Response {
    let Some(Extension(tries)) = tries.filter(|_| request.headers().contains_key(header::AUTHORIZATION)) else {
        return next.run(request).await;
    };
    if !tries.may_try() {
        let error = "too many wrong tokens came from this address: wait for a minute";
        let mut response = wrong(StatusCode::TOO_MANY_REQUESTS, "too many API requests with wrong tokens", error);
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("60"));
        return response;
    }
    let response = next.run(request).await;
    if response.status() == StatusCode::UNAUTHORIZED {
        tries.was_wrong();
    }
    response
}

/// A command, as a person would type it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Command {
    /// What follows `/podbell`.
    text: String,
    /// For whom a bot asks; none: for itself.
    user: Option<String>,
    language: Option<Language>,
    /// A name of the time zone database.
    time_zone: Option<String>,
    /// Where people type: answers name the next thing to type there.
    #[serde(default)]
    prompt: Prompt,
}

/// The answer to a command, for people and for machines.
#[derive(Serialize, JsonSchema)]
struct CommandResponse {
    /// Whether it was carried out.
    good: bool,
    /// Whether everybody in the channel should see it: something was changed.
    public: bool,
    /// The answer's first line.
    title: String,
    /// The lines below it, without markup. Text of clusters stands in it as it is.
    text: String,
    /// The one open incident that it is about.
    incident: Option<u64>,
    /// The facts; `answer` says which kind.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    answer: Answer,
}

/// What is wrong with a request, in words that name what to do.
#[derive(Serialize, JsonSchema)]
struct ErrorBody {
    error: Cow<'static, str>,
}

async fn command(State(api): State<Arc<Api>>, headers: HeaderMap, body: Bytes) -> Response {
    let token = match api.tokens.find(&headers) {
        Some(token) => token,
        None => return unknown(),
    };
    if content_type(&headers) != "application/json" {
        let error = "send the command as JSON, with content-type: application/json";
        return wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an API request that is not JSON", error);
    }
    let Ok(command) = serde_json::from_slice::<Command>(&body) else {
        let error = "send {\"text\": \"events web\"}, and if you like user, language (en, zh) and time_zone";
        return wrong(StatusCode::BAD_REQUEST, "an API command that cannot be read", error);
    };
    let time_zone = match command.time_zone.as_deref().map_or(Ok(TimeZone::UTC), zone::named) {
        Ok(time_zone) => time_zone,
        Err(help) => {
            let error = format!("unknown time_zone: {help}");
            return wrong(StatusCode::BAD_REQUEST, "an API command with an unknown time zone", error);
        }
    };
    let user = command.user.map(|user| user.trim().chars().take(MAX_NAME).collect::<String>());
    let author = Author {
        name: user.filter(|user| !user.is_empty()).unwrap_or_else(|| token.name.clone()),
        via: format!("{}{}", Author::API_PREFIX, token.name),
    };
    let speaker = Speaker { author, scope: token.scope.clone(), may_write: token.rights == Rights::Write };
    let style = Style { language: command.language.unwrap_or_default(), time_zone, now: clock::now() };
    let question = Question { speaker, entry: Entry::Podbell, text: command.text, style, key: None };
    let answer = api.queries.answer(&question).await;
    let message = api.queries.compose(&answer, &question.style, command.prompt);
    let said = CommandResponse {
        good: answer.is_good(),
        public: answer.is_public(),
        text: message.text(),
        title: message.title,
        incident: answer.incident().map(|incident| incident.id),
        answer,
    };
    ([(header::CACHE_CONTROL, "no-store")], Json(said)).into_response()
}

/// The answer to an unknown token says nothing but that.
fn unknown() -> Response {
    let mut response = wrong(
        StatusCode::UNAUTHORIZED,
        "an API request without a token that is known",
        "send a token of podbell.yaml (server: tokens) as Authorization: Bearer TOKEN",
    );
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

fn wrong(status: StatusCode, why: &'static str, error: impl Into<Cow<'static, str>>) -> Response {
    logged((status, Json(ErrorBody { error: error.into() })).into_response(), why)
}
