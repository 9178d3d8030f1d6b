//! The server API of an app: its token, which lives for two hours, and what replies mean. HTTP statuses say little: the code
//! in the body counts.
//!
//! Sources: <https://open.feishu.cn/document/server-docs/authentication-management/access-token/tenant_access_token_internal>,
//! <https://open.feishu.cn/document/server-docs/im-v1/message/create>.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::{self, Reply};
use crate::notifiers::token_cache::{Granted, TokenCache};
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

const MESSAGES: [&str; 4] = ["open-apis", "im", "v1", "messages"];
/// The code of a chat that has no threads.
const WITHOUT_THREADS: i64 = 230_071;

/// An app's access to the API.
pub(super) struct Api {
    /// Where it is.
    pub url: Url,
    /// The app's id.
    pub app: String,
    /// The app's secret.
    pub secret: SecretString,
    token: TokenCache,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("app", &self.app).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    tenant_access_token: String,
    /// In seconds.
    expire: u64,
}

/// An answer of the API, as far as all are alike.
#[derive(Deserialize)]
struct Answer {
    code: i64,
}

impl Api {
    /// Of an app.
    pub(super) fn new(url: Url, app: String, secret: SecretString) -> Self {
        Self { url, app, secret, token: TokenCache::default() }
    }

    /// Makes one request with the app's token. A token that is refused is fetched again, once.
    ///
    /// # Errors
    /// What it means for the message that there is no token, or that the transport failed.
    pub(super) async fn call(&self, client: &reqwest::Client, request: HttpRequest) -> Result<Reply, Outcome> {
        let now = request.now();
        let send = |token: SecretString| {
            let redactor = Redactor::new("", &[self.secret.clone(), token.clone()], &[]);
            let request = request.clone().bearer(&token);
            async move { request.send(client, &self.url, &redactor).await }
        };
        self.token.call(now, || self.fetch_token(client, now), send, is_about_token).await
    }

    /// Posts a message to the chat that it names (`receive_id`).
    ///
    /// # Errors
    /// See [`Api::call`], here and below.
    pub(super) async fn post(&self, client: &reqwest::Client, now: Time, message: &Value) -> Result<Reply, Outcome> {
        let request = HttpRequest::post(message.to_string(), now).below(&MESSAGES);
        self.call(client, request.query(vec![("receive_id_type", "chat_id".to_owned())])).await
    }

    /// Changes a message.
    ///
    /// # Errors
    /// See [`Api::call`].
    pub(super) async fn change(
        &self,
        client: &reqwest::Client,
        now: Time,
        id: &str,
        message: &Value,
    ) -> Result<Reply, Outcome> {
        let request = HttpRequest::post(message.to_string(), now).method(Method::PATCH);
        self.call(client, request.below(&[&MESSAGES[..], &[id]].concat())).await
    }

    /// Answers a message; outside of a thread where the chat has none.
    ///
    /// # Errors
    /// See [`Api::call`].
    pub(super) async fn answer(
        &self,
        client: &reqwest::Client,
        now: Time,
        id: &str,
        mut message: Value,
    ) -> Result<Reply, Outcome> {
        let place = [&MESSAGES[..], &[id, "reply"]].concat();
        let request = |message: &Value| HttpRequest::post(message.to_string(), now).below(&place);
        let reply = self.call(client, request(&message)).await?;
        if code(&reply) != Some(WITHOUT_THREADS) {
            return Ok(reply);
        }
        message["reply_in_thread"] = json!(false);
        self.call(client, request(&message)).await
    }

    /// The app's token.
    ///
    /// # Errors
    /// What it means for a message that there is none: nothing was sent.
    pub(super) async fn token(&self, client: &reqwest::Client, now: Time) -> Result<SecretString, Outcome> {
        self.token.get(now, self.fetch_token(client, now)).await
    }

    async fn fetch_token(&self, client: &reqwest::Client, now: Time) -> Result<Granted, Outcome> {
        let body = json!({"app_id": self.app, "app_secret": self.secret.expose_secret()}).to_string();
        let asked = HttpRequest::post(body, now).below(&["open-apis", "auth", "v3", "tenant_access_token", "internal"]);
        let reply = self.ask(client, asked).await?;
        Err(match code(&reply) {
            Some(0) => match serde_json::from_str(&reply.body) {
                Ok(TokenAnswer { tenant_access_token, expire }) => {
                    return Ok(Granted { token: tenant_access_token.into(), lives: Duration::from_secs(expire) });
                }
                // Its words may hold the token.
                Err(_) => {
                    let why = "an answer without a token that can be read".to_owned();
                    Outcome::Unclear { retry_after: reply.retry_after, why }
                }
            },
            Some(code @ (10003 | 10014)) => Outcome::InvalidDestination {
                code: code.to_string(),
                text: "the app's id or secret is refused".to_owned(),
                advice: "copy both from the app's page (凭证与基础信息) into podbell.yaml (`app_id`, `app_secret`), and check `api`: Feishu and Lark do not know each other's apps".to_owned(),
            },
            _ => refused_code(&reply),
        })
    }

    /// Makes one request as it is.
    ///
    /// # Errors
    /// What the transport's failure means.
    pub(super) async fn ask(&self, client: &reqwest::Client, request: HttpRequest) -> Result<Reply, Outcome> {
        let redactor = Redactor::new("", std::slice::from_ref(&self.secret), &[]);
        request.send(client, &self.url, &redactor).await
    }
}

/// The code of an answer; `None` if it is not the platform's.
pub(super) fn code(reply: &Reply) -> Option<i64> {
    serde_json::from_str::<Answer>(&reply.body).ok().map(|answer| answer.code)
}

fn is_about_token(reply: &Reply) -> bool {
    matches!(code(reply), Some(99_991_661 | 99_991_663..=99_991_665 | 99_991_668 | 99_991_671 | 99_991_677))
}

/// What a refusal of the API means, unless it is about a message that was posted before.
pub(super) fn refused_code(reply: &Reply) -> Outcome {
    let why = reply.summary();
    let Some(code) = code(reply) else {
        return reply::not_of(reply, "Feishu");
    };
    let invalid = |advice: &str| Outcome::InvalidDestination {
        code: code.to_string(),
        text: why.clone(),
        advice: advice.to_owned(),
    };
    match code {
        // The limits of the API, of a chat, and of a message; a token that was refused as soon as it was fetched.
        99_991_400 | 230_020 | 11_232 | 11_233 => Outcome::Refused { retry_after: reply.retry_after, why },
        _ if is_about_token(reply) => Outcome::Refused { retry_after: reply.retry_after, why },
        230_002 | 232_011 => invalid(
            "the bot is not in the chat: add it (设置 → 群机器人 → 添加机器人), and check `chat` in podbell.yaml",
        ),
        230_006 | 232_025 => {
            invalid("the app has no bot: turn it on (应用能力 → 机器人) and publish a version of the app")
        }
        230_027 | 99_991_672 | 99_991_679 => invalid(
            "the app lacks a permission: give it im:message:send_as_bot (权限管理) and publish a version of the app",
        ),
        230_013 | 230_018 | 230_029 | 230_034 | 230_035 | 230_038 | 230_053 | 232_009 | 232_010 => invalid(
            "the bot may not write in this chat, or there is no such chat: check `chat` in podbell.yaml and who may write there",
        ),
        230_001 if why.contains("receive_id") => invalid("there is no such chat: correct `chat` in podbell.yaml"),
        // Form, length, audit.
        230_001 | 230_022 | 230_025 | 230_028 | 230_099 | 9499 => Outcome::ContentRejected { why },
        _ => reply::unclear(reply, "an error"),
    }
}
