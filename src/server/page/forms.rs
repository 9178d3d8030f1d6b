//! What visitors submit: a token to sign in, and user actions. Anything that another site could have sent is refused.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use serde::Deserialize;

use super::access::{self, Visitor};
use super::action::PageAction;
use super::html::Tab;
use super::sessions::LIFETIME;
use super::sign_in::{self, SignInError};
use super::{Page, PageRequest, local, refused, to};
use crate::chat::{Question, Speaker};
use crate::guard::{CallerSecrets, logged};
use crate::hex::hex;
use crate::server::api::hash;
use podbell_core::ask::{self, Answer, Entry, Excuse, Prompt};
use podbell_core::message::one_line;
use podbell_core::mute::Author;

/// The sign-in form.
#[derive(Deserialize)]
pub(super) struct SignIn {
    api_token: String,
    next: Option<String>,
}

pub(super) async fn sign_in(
    State(page): State<Arc<Page>>,
    tries: Option<Extension<CallerSecrets>>,
    headers: HeaderMap,
    uri: Uri,
    form: Result<Form<SignIn>, FormRejection>,
) -> Response {
    let asking = page.asking(&headers, &uri);
    let cx = asking.context();
    let Ok(Form(form)) = form else { return refused(StatusCode::BAD_REQUEST, "a sign-in that cannot be read") };
    if page.is_foreign(&headers) {
        let response = asking.say(StatusCode::FORBIDDEN, cx.words.not_done(), cx.words.foreign());
        return logged(response, "a sign-in from another site");
    }
    let next = form.next.as_deref().and_then(local).unwrap_or("/");
    let again = |status, wrong, why| {
        let view = sign_in::view(&cx, next, Some(wrong));
        logged(asking.show(status, Tab::None, cx.words.sign_in(), &view), why)
    };
    let now = page.now();
    if tries.as_ref().is_some_and(|tries| !tries.may_try()) {
        return again(StatusCode::TOO_MANY_REQUESTS, SignInError::TooMany, "too many sign-ins with wrong tokens");
    }
    let Some(token) = page.tokens.known(form.api_token.trim().as_bytes()) else {
        tries.iter().for_each(|tries| tries.was_wrong());
        return again(StatusCode::UNAUTHORIZED, SignInError::Token, "a sign-in with a token that is not known");
    };
    // The cookie is not the token itself: whoever sees it cannot use the API.
    let id = hex(&rand::random::<[u8; 32]>());
    let mut sessions = page.sessions();
    if let Some(old) = access::session_id(&headers, page.cookie()) {
        sessions.close(&hash(old));
    }
    sessions.open(hash(&id), token.clone(), now);
    drop(sessions);
    with_cookie(to(&format!("{}{next}", page.base)), &page.set_cookie(&id, LIFETIME.as_secs()))
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A form that changes something.
#[derive(Deserialize)]
pub(super) struct ActionForm {
    token: String,
    #[serde(default, rename = "do")]
    command: String,
    #[serde(default)]
    what: String,
    #[serde(default)]
    lasts: String,
    #[serde(default)]
    why: String,
    #[serde(default)]
    back: String,
}

/// The visitor who sent a form, if the form is ours.
fn proven<'a>(asking: &'a PageRequest<'_>, headers: &HeaderMap, token: &str) -> Result<&'a Visitor, Box<Response>> {
    let Some(visitor) = &asking.visitor else {
        return Err(Box::new(refused(StatusCode::UNAUTHORIZED, "a form from somebody who is not signed in")));
    };
    let words = asking.context().words;
    let no = |said: &str, why| Err(Box::new(logged(asking.say(StatusCode::FORBIDDEN, words.not_done(), said), why)));
    if asking.page.is_foreign(headers) {
        return no(words.foreign(), "a form from another site");
    }
    if !access::is_form_token(&asking.page.key, visitor, token) {
        return no(words.stale(), "a form that the page did not make");
    }
    Ok(visitor)
}

pub(super) async fn sign_out(
    State(page): State<Arc<Page>>,
    headers: HeaderMap,
    uri: Uri,
    form: Result<Form<ActionForm>, FormRejection>,
) -> Response {
    let asking = page.asking(&headers, &uri);
    let Ok(Form(form)) = form else { return refused(StatusCode::BAD_REQUEST, "a form that cannot be read") };
    match proven(&asking, &headers, &form.token) {
        Ok(visitor) => page.sessions().close(&visitor.key),
        Err(response) => return *response,
    }
    with_cookie(to(&format!("{}/sign-in", page.base)), &page.set_cookie("", 0))
}

pub(super) async fn act(
    State(page): State<Arc<Page>>,
    headers: HeaderMap,
    uri: Uri,
    form: Result<Form<ActionForm>, FormRejection>,
) -> Response {
    let asking = page.asking(&headers, &uri);
    let Ok(Form(form)) = form else { return refused(StatusCode::BAD_REQUEST, "a form that cannot be read") };
    let visitor = match proven(&asking, &headers, &form.token) {
        Ok(visitor) => visitor,
        Err(response) => return *response,
    };
    let words = asking.context().words;
    if !visitor.may_write {
        return asking.say(StatusCode::FORBIDDEN, words.not_done(), words.forbidden());
    }
    let what = one_line(&form.what, 400);
    let action = PageAction::of(&form.command);
    let (action, text) = match (action, form.lasts.as_str()) {
        (Some(action @ (PageAction::Ack | PageAction::Unmute)), _) => (action, format!("{} {what}", action.as_str())),
        (Some(action @ PageAction::Mute), lasts @ ("1h" | "4h" | "24h")) => {
            let why = one_line(&form.why, 200);
            (action, format!("mute {what} {lasts} {}", ask::without_dashes(&why)))
        }
        _ => return refused(StatusCode::BAD_REQUEST, "a form that asks for nothing known"),
    };
    let author = Author { name: visitor.name.clone(), via: Author::PAGE.to_owned() };
    let speaker = Speaker { author, scope: visitor.scope.clone(), may_write: visitor.may_write };
    let question = Question { speaker, entry: Entry::Podbell, text, style: asking.style.clone(), key: None };
    let answer = page.queries.answer(&question).await;
    if !answer.is_good() {
        let status = match &answer {
            Answer::Unknown(_) => StatusCode::NOT_FOUND,
            Answer::Excuse { because: Excuse::MayNotWrite } => StatusCode::FORBIDDEN,
            Answer::Excuse { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        let said = page.queries.compose(&answer, &question.style, Prompt::Chat);
        let text = format!("{}\n{}", said.title, said.text());
        return asking.say(status, words.not_done(), &text);
    }
    let back = local(&form.back).filter(|back| back.starts_with(page.base.as_str())).unwrap_or("/");
    let join = if back.contains('?') { '&' } else { '?' };
    to(&format!("{back}{join}said={}", action.as_str()))
}
