//! Opens one connection of Socket Mode: a ticket from the Web API, then the WebSocket's handshake.
//!
//! The handshake goes through the shared client, so that proxy, certificate authorities and time
//! limits of podbell.yaml hold for it as for every other request. The ticket is a secret: no error
//! names the address.
//!
//! Sources: "apps.connections.open", RFC 6455 section 4.1.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{CONNECTION, RETRY_AFTER, UPGRADE};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Slack, frame, respond};

/// How much of a reply is read.
const MOST_REPLY: usize = 64 * 1024;

/// Why there is no connection.
pub(super) enum Failed {
    /// It may be better later.
    Later {
        /// Not before this.
        after: Option<Duration>,
        /// For the log.
        why: &'static str,
    },
    /// Slack refuses the token. Its code.
    Refused(String),
}

fn later(why: &'static str) -> Failed {
    Failed::Later { after: None, why }
}

/// Opens a connection.
pub(super) async fn open(slack: &Slack) -> Result<WebSocketStream<reqwest::Upgraded>, Failed> {
    let address = ticket(slack).await?;
    let url = slack.hosts.socket_url(&address).ok_or(later("Slack names an address that is not its own"))?;
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let request = slack.around.client.get(url);
    let request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
    let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", &key);
    let response = request.send().await.map_err(|_| later("the WebSocket cannot be reached"))?;
    let accepted = response.headers().get("sec-websocket-accept").and_then(|value| value.to_str().ok());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || accepted != Some(accept(&key).as_str()) {
        return Err(later("the WebSocket is not accepted"));
    }
    let upgraded = response.upgrade().await.map_err(|_| later("the WebSocket broke off"))?;
    let limits = WebSocketConfig::default().max_message_size(Some(frame::MOST)).max_frame_size(Some(frame::MOST));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await)
}

/// What a server that understood the handshake answers.
fn accept(key: &str) -> String {
    let mut sha = Sha1::new();
    sha.update(key);
    sha.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha.finalize())
}

/// An address that works once.
async fn ticket(slack: &Slack) -> Result<String, Failed> {
    let (Some(token), Some(url)) = (&slack.config.app_token, slack.hosts.method("apps.connections.open")) else {
        return Err(later("there is no app-level token"));
    };
    let request = slack.around.client.post(url).bearer_auth(token.expose_secret());
    let response = request.send().await.map_err(|_| later("Slack cannot be reached"))?;
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let after = after.and_then(|value| crate::notifiers::retry_after(value, slack.now()));
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_handshake_is_answered_as_the_rfc_s_example() {
        assert_eq!(super::accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
