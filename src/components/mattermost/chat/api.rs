//! A bot's requests.

use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use super::event::BotIdentity;
use crate::chat::reconnect::Disconnect;
use crate::components::mattermost::reply;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::Reply;
use podbell_core::outbox::Outcome;

pub(super) const REFUSED: &str = "Mattermost refuses the bot's token: check `token`, and that the bot is enabled";

/// A bot's access to the API.
pub(super) struct Api {
    pub server: Url,
    pub token: SecretString,
    pub client: reqwest::Client,
}

impl Api {
    pub(super) async fn call(&self, request: HttpRequest) -> Result<Reply, Outcome> {
        let redactor = Redactor::new("", std::slice::from_ref(&self.token), &[]);
        request.bearer(&self.token).send(&self.client, &self.server, &redactor).await
    }

    /// Asks who the bot is.
    pub(super) async fn me(&self, now: podbell_core::time::Time) -> Result<BotIdentity, Disconnect> {
        let asked = HttpRequest::get(now).below(&["api", "v4", "users", "me"]);
        let reply = self.call(asked).await.map_err(|_| Disconnect::lost("Mattermost cannot be reached"))?;
        if reply.status != 200 {
            return Err(Disconnect::of(&reply::of_question(&reply), REFUSED, "Mattermost answers with an error"));
        }
        let me: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        match (me["id"].as_str(), me["username"].as_str()) {
            (Some(id), Some(name)) => Ok(BotIdentity { id: id.to_owned(), name: name.to_owned() }),
            _ => Err(Disconnect::lost("an answer that is not Mattermost's")),
        }
    }
}
