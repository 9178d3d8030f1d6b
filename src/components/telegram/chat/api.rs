//! The methods of the Bot API that a chat needs. The token is part of their address, which no error names.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::super::refused;
use crate::chat::reconnect::Disconnect;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::Reply;
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

const REFUSED: &str = "Telegram refuses the bot's token: check `token`";
pub(super) const DISPLACED: &str =
    "another program asks for this bot's updates, or a webhook is set (409): is another podbell using the token?";
const NOT_WELL: &str = "Telegram answers with an error";

/// How many updates are asked for at once. One has at most some 100 KB: a text, the one that it answers, buttons.
const MAX_UPDATES: u32 = 10;
/// How much of a reply is read: an answer that is cut off would be handed out for ever.
const MAX_REPLY: usize = 4 * 1024 * 1024;

/// A bot's access to it.
pub(super) struct Api {
    /// The shared HTTP client.
    pub client: reqwest::Client,
    /// Where it is.
    pub url: Url,
    /// The bot's token.
    pub token: SecretString,
    /// The clock.
    pub now: Arc<dyn Fn() -> Time + Send + Sync>,
}

impl Api {
    /// Calls a method.
    pub(super) async fn call(&self, method: &str, arguments: &Value) -> Result<Reply, Outcome> {
        let bot = format!("bot{}", self.token.expose_secret());
        let redactor = Redactor::new(bot.as_str(), std::slice::from_ref(&self.token), &[]);
        let held = arguments["timeout"].as_u64().map_or(Duration::ZERO, Duration::from_secs);
        let request = HttpRequest::post(arguments.to_string(), (self.now)());
        let request = request.below(&[&bot, method]).held(held).reading(MAX_REPLY);
        request.send(&self.client, &self.url, &redactor).await
    }

    /// Calls a method whose result is needed.
    pub(super) async fn result(&self, method: &str, arguments: &Value) -> Result<Value, Disconnect> {
        let Ok(reply) = self.call(method, arguments).await else {
            return Err(Disconnect::lost("Telegram cannot be reached"));
        };
        let mut whole: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        match whole["ok"].as_bool() {
            Some(true) => Ok(whole["result"].take()),
            Some(false) if reply.status == 409 => Err(Disconnect::Displaced(DISPLACED)),
            _ => Err(Disconnect::of(&refused(None, &reply), REFUSED, NOT_WELL)),
        }
    }

    /// The updates from a number on; those before are never handed out again.
    pub(super) async fn updates(&self, from: Option<i64>, hold: Duration) -> Result<Vec<Value>, Disconnect> {
        let mut arguments =
            json!({"timeout": hold.as_secs(), "limit": MAX_UPDATES, "allowed_updates": ["message", "callback_query"]});
        if let Some(from) = from {
            arguments["offset"] = json!(from);
        }
        match self.result("getUpdates", &arguments).await? {
            Value::Array(updates) => Ok(updates),
            _ => Err(Disconnect::lost("an answer that is not Telegram's")),
        }
    }
}
