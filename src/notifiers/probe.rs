//! Whether a destination would take messages, found out without sending one.
//!
//! A Slack webhook and a WeCom robot are sent an empty JSON object: they refuse it and post nothing, and
//! how they refuse it tells a live address from a dead one. A token is asked who it is. Sources: "Incoming
//! webhooks: handling errors", "auth.test", WeCom's "global error codes".

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::redact::Redactor;
use super::{Kind, Notifiers, http, slack, slack_app, wecom};
use crate::http::Clocks;
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Probed {
    /// What was answered.
    pub answered: Answered,
    /// The other side's clock, if it says.
    pub clocks: Option<Clocks>,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It refused the empty message, as it does where it takes others.
    Alive,
    /// Anything else, as for a message.
    Otherwise(Outcome),
}

/// Who a token of Slack's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The workspace.
    pub team: String,
    /// The app's user there.
    pub user: String,
    /// What it may do, if Slack says.
    pub scopes: Option<Vec<String>>,
    /// Slack's clock.
    pub clocks: Option<Clocks>,
}

impl Notifiers {
    /// Sends something empty that cannot be posted. `None`: nothing can be asked there without a doubt. An
    /// address of another shape may be a workflow's, or a program's that takes Slack's messages: both might
    /// do something.
    pub async fn probe(&self, destination: &str, now: Time) -> Option<Probed> {
        let notifier = self.notifiers.get(destination)?;
        let url = notifier.url.as_ref()?;
        let path = url.path();
        let is_robot = matches!(notifier.config.kind, Kind::Wecom { .. });
        let classify = match notifier.config.kind {
            Kind::Slack { .. } if path.contains("/services/") => slack::classify,
            Kind::Wecom { .. } if path.ends_with("/cgi-bin/webhook/send") => wecom::classify,
            _ => return None,
        };
        let attempt = http::Attempt { id: "", body: b"{}".to_vec(), now, bearer: None };
        let reply = match http::post(&self.client, url, attempt, None, &notifier.redactor).await {
            Err(outcome) => return Some(Probed { answered: Answered::Otherwise(outcome), clocks: None }),
            Ok(reply) => reply,
        };
        let answered = match classify(&reply) {
            Outcome::Content { .. } => Answered::Alive,
            // A key is looked at before the message is. Codes beyond these are about who asks (48002, 60020), how often
            // (45009), or how WeCom is (-1), and would refuse a message, too.
            Outcome::Unclear { .. } if is_robot && wecom::errcode(&reply).is_some_and(is_about_content) => {
                Answered::Alive
            }
            other => Answered::Otherwise(other),
        };
        Some(Probed { answered, clocks: reply.clocks })
    }
}

fn is_about_content(code: i64) -> bool {
    matches!(code, 40_000..=44_999 | 47_000..=47_999)
}

#[derive(Deserialize)]
struct Who {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    user: String,
}

/// Asks Slack who a token is.
///
/// # Errors
/// What keeps it from being used, as for a message.
pub async fn auth_test(
    client: &reqwest::Client,
    api: &Url,
    token: &SecretString,
    now: Time,
) -> Result<Identity, (Outcome, Option<Clocks>)> {
    let redactor = Redactor::new("", std::slice::from_ref(token));
    let unclear = |why: String| Outcome::Unclear { retry_after: None, why };
    let url = Url::parse(&format!("{}/auth.test", api.as_str().trim_end_matches('/')));
    let url = url.map_err(|_| (unclear("the address of Slack's API is none".into()), None))?;
    let attempt = http::Attempt { id: "", body: b"{}".to_vec(), now, bearer: Some(token) };
    let reply = http::post(client, &url, attempt, None, &redactor).await.map_err(|outcome| (outcome, None))?;
    let Ok(who) = serde_json::from_str::<Who>(&reply.body) else {
        let why = format!("{}, which is not Slack's answer (a proxy or a login page in between?)", reply.said());
        return Err((unclear(why), reply.clocks));
    };
    if !who.ok {
        let outcome = match slack_app::advice(&who.error) {
            Some(advice) => Outcome::Dead { code: who.error, text: reply.said(), advice: advice.to_owned() },
            None => Outcome::Refused { retry_after: reply.retry_after, why: reply.said() },
        };
        return Err((outcome, reply.clocks));
    }
    let scopes = reply.scopes.as_ref().map(|scopes| {
        scopes.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect()
    });
    let words = |text: &str| super::reply::words(text, &redactor);
    Ok(Identity { team: words(&who.team), user: words(&who.user), scopes, clocks: reply.clocks })
}
