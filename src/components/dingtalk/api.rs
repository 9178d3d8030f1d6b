//! The API that an application of DingTalk calls: its access token, requests, and what the replies mean.
//!
//! Sources: "Obtain the access token of an internal app" (valid for two hours), "Send a group message by a bot" (its codes), and the
//! list of common codes (`Forbidden.AccessDenied.…`).

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::token_cache::{Granted, TokenCache};
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";

/// An application's access to the API.
pub(super) struct Api {
    /// Where the API is.
    pub url: Url,
    /// The application's key (Client ID).
    pub key: String,
    /// Its secret (Client Secret).
    pub secret: SecretString,
    token: TokenCache,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    access_token: String,
    expire_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Api {
    pub(super) fn new(url: Url, key: String, secret: SecretString) -> Self {
        Self { url, key, secret, token: TokenCache::default() }
    }

    /// Makes one request without a token.
    ///
    /// # Errors
    /// What the transport's failure means for the message.
    pub(super) async fn ask(&self, client: &reqwest::Client, request: HttpRequest) -> Result<Reply, Outcome> {
        request.send(client, &self.url, &self.redactor(None)).await
    }

    /// Makes a request with an access token. One that is refused for its token is made again with a new one: nothing was
    /// carried out.
    ///
    /// # Errors
    /// When there is no token, or what the transport's failure means for the message.
    pub(super) async fn call(&self, client: &reqwest::Client, request: HttpRequest) -> Result<Reply, Outcome> {
        let now = request.now();
        let send = |token: SecretString| {
            let redactor = self.redactor(Some(&token));
            let request = request.clone().header(TOKEN_HEADER, token.expose_secret().to_owned());
            async move { request.send(client, &self.url, &redactor).await }
        };
        self.token.call(now, || self.fetch_token(client, now), send, is_about_the_token).await
    }

    /// The access token: the one that is kept, or a new one.
    ///
    /// # Errors
    /// Why there is none. Nothing was sent then, so it is never [`Outcome::Unclear`].
    pub(super) async fn token(&self, client: &reqwest::Client, now: Time) -> Result<SecretString, Outcome> {
        self.token.get(now, self.fetch_token(client, now)).await
    }

    async fn fetch_token(&self, client: &reqwest::Client, now: Time) -> Result<Granted, Outcome> {
        let body = json!({"appKey": self.key, "appSecret": self.secret.expose_secret()}).to_string();
        let asked = HttpRequest::post(body, now).below(&["v1.0", "oauth2", "accessToken"]);
        let reply = self.ask(client, asked).await?;
        match (reply.status, serde_json::from_str(&reply.body)) {
            (200, Ok(TokenAnswer { access_token, expire_in })) if is_header(&access_token) => {
                Ok(Granted { token: access_token.into(), lives: Duration::from_secs(expire_in) })
            }
            // Its words may hold the token.
            (200, _) => {
                let why = "an answer without an access token that can be read".to_owned();
                Err(Outcome::Unclear { retry_after: reply.retry_after, why })
            }
            _ => Err(of_credentials(&reply)),
        }
    }

    fn redactor(&self, token: Option<&SecretString>) -> Redactor {
        let secrets: Vec<SecretString> = std::iter::once(&self.secret).chain(token).cloned().collect();
        Redactor::new("", &secrets, &[])
    }
}

/// Whether a text can stand in a header.
fn is_header(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The code of a refusal.
pub(super) fn code(reply: &Reply) -> Option<String> {
    serde_json::from_str::<Refusal>(&reply.body).ok().map(|refusal| refusal.code)
}

fn is_about_the_token(reply: &Reply) -> bool {
    code(reply).is_some_and(|code| reply.status == 401 || code.starts_with("InvalidAuthentication"))
}

/// What the refusal of key and secret means.
pub(super) fn of_credentials(reply: &Reply) -> Outcome {
    match (reply.status, code(reply)) {
        (400..=499, Some(code)) if !is_too_fast(reply.status, &code) => reply.invalid_destination(code, "DingTalk refuses the application's key and secret: copy Client ID and Client Secret from its page into podbell.yaml (`app_key`, `app_secret`)"),
        (400..=499, Some(_)) => reply.refused(),
        _ => common(reply),
    }
}

/// What the reply to a message means. Its code says it; one status stands for many of them.
pub(super) fn of_message(reply: &Reply) -> Outcome {
    let Some(code) = code(reply) else {
        return match reply.status {
            200 if reply.body.contains("processQueryKey") => Outcome::Delivered,
            _ => common(reply),
        };
    };
    let is_about = |words: &[&str]| words.iter().any(|word| code.to_ascii_lowercase().contains(word));
    let invalid = |advice: &str| reply.invalid_destination(code.clone(), advice);
    match reply.status {
        429 => reply.refused(),
        400..=499 if is_too_fast(reply.status, &code) => reply.refused(),
        400..=499 if is_about_the_token(reply) => {
            invalid("DingTalk refuses access tokens that it has just granted: check `app_key` and `app_secret`")
        }
        403 => invalid(
            "give the application the right to send messages by its robot (企业内机器人发送消息权限, qyapi_robot_sendmsg), and add podbell's address to its IP list",
        ),
        400..=499 if is_about(&["robotcode", "bot.", "robot.", "template."]) => invalid(
            "the robot is switched off, is not in the group, or belongs to another application: check `robot_code`",
        ),
        400..=499 if is_about(&["conversation", "resource.not.found", "chat."]) => {
            invalid("the group does not exist any more, or the robot is not in it: check `conversation`")
        }
        400..=499 if is_about(&["msg", "param.", "content"]) => reply.content_rejected(),
        400..=499 => reply::unclear(reply, "an error"),
        _ => common(reply),
    }
}

fn is_too_fast(status: u16, code: &str) -> bool {
    let code = code.to_ascii_lowercase();
    status == 429
        || ["qpslimit", "throttl", "flowcontrol", "toofast", "overlimit"].iter().any(|word| code.contains(word))
}

/// What a reply without a code means.
fn common(reply: &Reply) -> Outcome {
    match reply.status {
        429 | 413 | 300..=399 | 407 | 408 | 425 | 500..=599 => reply::by_status(reply),
        _ => reply::answer_not_of(reply, "DingTalk"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> &'static str {
        match of_message(&Reply::of(status, None, body, &Redactor::default())) {
            Outcome::Delivered => "delivered",
            Outcome::Refused { .. } => "refused",
            Outcome::Unclear { .. } => "unclear",
            Outcome::ContentRejected { .. } => "content",
            Outcome::InvalidDestination { .. } => "dead",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_code_of_a_reply_says_what_became_of_a_message() {
        for (status, code, meaning) in [
            (400, "InvalidAuthentication", "dead"),
            (403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", "dead"),
            (403, "Forbidden.AccessDenied.IpNotInWhiteList", "dead"),
            (403, "Forbidden.AccessDenied.QpsLimitForApi", "refused"),
            (403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "refused"),
            (429, "Throttling", "refused"),
            (400, "invalidParameter.robotCode.empty", "dead"),
            (400, "invalidParameter.robotCode.auth", "dead"),
            (400, "invalidParameter.robotCode.notExsit", "dead"),
            (400, "bot.stopped", "dead"),
            (400, "invalid.openConversationId", "dead"),
            (400, "resource.not.found", "dead"),
            (400, "invalidParameter.msgParam.invalid", "content"),
            (400, "invalidParameter.msgKey.invalid", "content"),
            (400, "invalidParameter.param.invalid", "content"),
            (400, "somethingNew", "unclear"),
            (500, "ServiceUnavailable", "unclear"),
        ] {
            let body = json!({"code": code, "message": "no", "requestid": "r"}).to_string();
            assert_eq!(of(status, &body), meaning, "{status} {code}");
        }
        assert_eq!(of(200, r#"{"processQueryKey":"k"}"#), "delivered");
        for (status, meaning) in [(200, "unclear"), (403, "unclear"), (429, "refused"), (502, "unclear")] {
            assert_eq!(of(status, "<html>please log in</html>"), meaning, "{status}");
        }
    }
}
