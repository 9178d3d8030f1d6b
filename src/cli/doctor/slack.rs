//! Who a token of Slack's is and what it may do, for destinations and chats alike.

use secrecy::SecretString;
use url::Url;

use super::destinations::not_well;
use super::finding::{Checked, Finding, Group};
use super::net::Net;
use crate::clock;
use crate::notifiers::auth_test;

/// Asks Slack. The scopes are there if the token lives and Slack says them.
pub(super) async fn token(
    group: Group,
    subject: &str,
    net: &Net,
    api: &Url,
    token: &SecretString,
    needed: &[&str],
) -> (Checked, Option<Vec<String>>) {
    match auth_test(&net.client, api, token, clock::now()).await {
        Ok(identity) => {
            let scopes = identity.scopes.clone();
            let findings = match scopes.as_deref().and_then(|scopes| lacks(scopes, needed)) {
                Some(missing) => {
                    let found =
                        format!("the token of {} in {} lacks the scope {missing}", identity.user, identity.team);
                    let advice = format!(
                        "give the app the scope {missing} (OAuth & Permissions), reinstall it, and put the new token \
                         into podbell.yaml"
                    );
                    vec![Finding::fail(group, subject, found, advice)]
                }
                None => {
                    let may = match &scopes {
                        Some(_) => format!(", with the scope {}", needed.join(", ")),
                        None => "; Slack does not say what it may do".to_owned(),
                    };
                    let found = format!("the token is {} in {}{may}", identity.user, identity.team);
                    vec![Finding::ok(group, subject, found)]
                }
            };
            let clocks = identity.clocks.map(|clocks| (subject.to_owned(), clocks)).into_iter().collect();
            (Checked { findings, clocks, ..Checked::default() }, Some(scopes.unwrap_or_default()))
        }
        Err((outcome, clocks)) => {
            let findings = vec![not_well(group, subject, "the token", &outcome)];
            let clocks = clocks.map(|clocks| (subject.to_owned(), clocks)).into_iter().collect();
            (Checked { findings, clocks, ..Checked::default() }, None)
        }
    }
}

/// What the token may not do and must.
fn lacks(scopes: &[String], needed: &[&str]) -> Option<String> {
    let missing: Vec<&str> = needed.iter().filter(|one| !scopes.iter().any(|scope| scope == *one)).copied().collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}
