//! Opens one connection of Socket Mode: a ticket from the Web API, then the WebSocket's handshake.
//!
//! The ticket is a secret: no error names the address.
//!
//! Source: "apps.connections.open".

use serde_json::Value;

use super::{Slack, frame, respond};
use crate::chat::reconnect::Disconnect;
use crate::chat::websocket::{self, Socket};
use crate::components::slack::error_class::ErrorClass;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;

const REFUSED: &str = "Slack refuses the app-level token: check `app_token` and its scope connections:write";

/// Opens a connection.
pub(super) async fn open(slack: &Slack) -> Result<Socket, Disconnect> {
    let address = ticket(slack).await?;
    let url = slack.hosts.socket_url(&address).ok_or(Disconnect::lost("Slack names an address that is not its own"))?;
    websocket::open(&slack.asker.deps.client, url, None, frame::MAX).await.map_err(Disconnect::lost)
}

/// Requests an address that works once.
async fn ticket(slack: &Slack) -> Result<String, Disconnect> {
    let (Some(token), Some(url)) = (&slack.config.app_token, slack.hosts.method("apps.connections.open")) else {
        return Err(Disconnect::lost("there is no app-level token"));
    };
    let redactor = Redactor::new("", std::slice::from_ref(token), &[]);
    let request = HttpRequest::post("{}", slack.now()).bearer(token);
    let reply = request.send(&slack.asker.deps.client, &url, &redactor).await;
    let reply = reply.map_err(|_| Disconnect::lost("Slack cannot be reached, or its answer broke off"))?;
    let failed = Disconnect::Lost { why: "Slack answers with an error", after: reply.retry_after };
    if !(200..300).contains(&reply.status) {
        return Err(failed);
    }
    let answer: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    match (answer["ok"] == true, answer["url"].as_str()) {
        (true, Some(url)) => Ok(url.to_owned()),
        _ => match respond::code(&answer).map(|code| (code, ErrorClass::of(code))) {
            None | Some((_, ErrorClass::RateLimited | ErrorClass::Transient)) => Err(failed),
            // Only the operator can fix it; until then it is tried now and then.
            Some((code, _)) => {
                tracing::debug!(chat = %slack.config.settings.name, code, "Slack refuses the app-level token");
                Err(Disconnect::Refused(REFUSED))
            }
        },
    }
}
