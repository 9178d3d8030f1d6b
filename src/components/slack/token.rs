//! Checks whose token of Slack's it is and what it may do, for destinations and chats alike: `auth.test`.
//! <https://docs.slack.dev/reference/methods/auth.test>

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::requests;
use crate::examine::{Checked, Finding, Group, Net, not_well};
use crate::http::Clocks;
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::words;
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

/// A token, and where it is used.
pub(crate) struct TokenCheck<'a> {
    /// Where the finding belongs.
    pub group: Group,
    /// What podbell.yaml calls it.
    pub subject: &'a str,
    /// Slack's Web API.
    pub api: &'a Url,
    /// The token.
    pub token: &'a SecretString,
}

/// The address of a method of the Web API.
pub(super) fn method(api: &Url, name: &str) -> Option<Url> {
    Url::parse(&format!("{}/{name}", api.as_str().trim_end_matches('/'))).ok()
}

/// Asks Slack. Returns the scopes if the token is valid; empty if Slack does not list them.
pub(super) async fn examine(
    asked: &TokenCheck<'_>,
    needed: &[&str],
    net: &Net,
    now: Time,
) -> (Checked, Option<Vec<String>>) {
    let (group, subject) = (asked.group, asked.subject);
    let (clocks, findings, scopes) = match identity(asked, &net.client, now).await {
        Ok(identity) => {
            let finding = judge(asked, needed, &identity);
            (identity.clocks, vec![finding], Some(identity.scopes.unwrap_or_default()))
        }
        Err((outcome, clocks)) => (clocks, vec![not_well(group, subject, "the token", &outcome)], None),
    };
    let clocks = clocks.map(|clocks| (subject.to_owned(), clocks)).into_iter().collect();
    (Checked { findings, clocks, ..Checked::default() }, scopes)
}

fn judge(asked: &TokenCheck<'_>, needed: &[&str], identity: &Identity) -> Finding {
    let Identity { team, user, scopes, .. } = identity;
    if let Some(missing) = scopes.as_deref().and_then(|scopes| lacks(scopes, needed)) {
        let found = format!("the token of {user} in {team} lacks the scope {missing}");
        let advice = format!(
            "give the app the scope {missing} (OAuth & Permissions), reinstall it, and put the new token into podbell.yaml"
        );
        return Finding::fail(asked.group, asked.subject, found, advice);
    }
    let may = match scopes {
        Some(_) => format!(", with the scope {}", needed.join(", ")),
        None => "; Slack does not say what it may do".to_owned(),
    };
    Finding::ok(asked.group, asked.subject, format!("the token is {user} in {team}{may}"))
}

/// The scopes that the token needs and lacks.
fn lacks(scopes: &[String], needed: &[&str]) -> Option<String> {
    let missing: Vec<&str> = needed.iter().filter(|one| !scopes.iter().any(|scope| scope == *one)).copied().collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// Whose token it is.
struct Identity {
    team: String,
    user: String,
    /// Its scopes, if Slack lists them.
    scopes: Option<Vec<String>>,
    clocks: Option<Clocks>,
}

#[derive(Deserialize)]
struct AuthTestReply {
    ok: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    team: String,
    #[serde(default)]
    user: String,
}

/// The error is the outcome that a message would have.
async fn identity(
    asked: &TokenCheck<'_>,
    client: &reqwest::Client,
    now: Time,
) -> Result<Identity, (Outcome, Option<Clocks>)> {
    let redactor = Redactor::new("", std::slice::from_ref(asked.token), &[]);
    let unclear = |why: String| Outcome::Unclear { retry_after: None, why };
    let url = method(asked.api, "auth.test").ok_or((unclear("Slack's `api` is not an address".into()), None))?;
    let request = HttpRequest::post(b"{}".to_vec(), now).bearer(asked.token);
    let reply = request.send(client, &url, &redactor).await.map_err(|outcome| (outcome, None))?;
    let Ok(who) = serde_json::from_str::<AuthTestReply>(&reply.body) else {
        let why = format!("{}, which is not Slack's answer (a proxy or a login page in between?)", reply.summary());
        return Err((unclear(why), reply.clocks));
    };
    if !who.ok {
        let outcome = match requests::advice(&who.error) {
            Some(advice) => reply.invalid_destination(who.error, advice),
            None => reply.refused(),
        };
        return Err((outcome, reply.clocks));
    }
    let scopes = reply.scopes.as_ref().map(|scopes| {
        scopes.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect()
    });
    let words = |text: &str| words(text, &redactor);
    Ok(Identity { team: words(&who.team), user: words(&who.user), scopes, clocks: reply.clocks })
}
