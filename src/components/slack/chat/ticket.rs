//! Opens one connection of Socket Mode: a ticket from the Web API, then the WebSocket's handshake.
//!
//! The ticket is a secret: no error names the address.
//!
//! Source: "apps.connections.open".

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;

use super::{Slack, frame, respond};
use crate::chat::websocket;

/// How much of a reply is read.
const MOST_REPLY: usize = 64 * 1024;

/// Why there is no connection.
pub(super) enum Failed {
    /// It may work later.
    Later {
        /// Not before this.
        after: Option<Duration>,
        /// For the log.
        why: &'static str,
    },
    /// Slack refuses the token, with this code.
    Refused(String),
}

fn later(why: &'static str) -> Failed {
    Failed::Later { after: None, why }
}

/// Opens a connection.
pub(super) async fn open(slack: &Slack) -> Result<WebSocketStream<reqwest::Upgraded>, Failed> {
    let address = ticket(slack).await?;
    let url = slack.hosts.socket_url(&address).ok_or(later("Slack names an address that is not its own"))?;
    websocket::open(&slack.asker.deps.client, url, None, frame::MOST).await.map_err(later)
}

/// Requests an address that works once.
async fn ticket(slack: &Slack) -> Result<String, Failed> {
    let (Some(token), Some(url)) = (&slack.config.app_token, slack.hosts.method("apps.connections.open")) else {
        return Err(later("there is no app-level token"));
    };
    let request = slack.asker.deps.client.post(url).bearer_auth(token.expose_secret());
    let response = request.send().await.map_err(|_| later("Slack cannot be reached"))?;
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|value| crate::notifiers::reply::retry_after(value, slack.now()));
    if !response.status().is_success() {
        return Err(Failed::Later { after, why: "Slack answers with an error" });
    }
    let reply = crate::http::read_body(response, MOST_REPLY).await.map_err(|_| later("Slack's answer broke off"))?;
    let reply: Value = serde_json::from_slice(&reply).unwrap_or_default();
    match (reply["ok"] == true, reply["url"].as_str()) {
        (true, Some(url)) => Ok(url.to_owned()),
        _ => match respond::code(&reply) {
            Some("ratelimited" | "internal_error" | "service_unavailable" | "fatal_error" | "request_timeout")
            | None => Err(Failed::Later { after, why: "Slack answers with an error" }),
            Some(code) => Err(Failed::Refused(code.to_owned())),
        },
    }
}
