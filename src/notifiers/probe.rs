//! Checks whether an endpoint would take messages, without sending one. An empty JSON object is refused and nothing
//! is posted; how it is refused distinguishes a live address from a dead one.

use super::post::{Post, post};
use super::redact::Redactor;
use super::reply::Reply;
use crate::examine::{Checked, Finding, Group, not_well};
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

/// An endpoint, and how it answers.
pub struct Probe<'a> {
    /// The destination's name.
    pub subject: &'a str,
    /// What the endpoint is called, such as "group robot".
    pub what: &'a str,
    /// Where it is.
    pub url: &'a url::Url,
    /// What must not be shown.
    pub redactor: &'a Redactor,
    /// What its replies mean.
    pub classify: fn(&Reply) -> Outcome,
    /// Whether a reply refuses a message for its content. A live address refuses the empty object in this way.
    pub is_about_content: fn(&Reply) -> bool,
}

/// Sends an empty object, which cannot be posted, and judges the reply.
pub async fn probe(probe: &Probe<'_>, client: &reqwest::Client, now: Time) -> Checked {
    let Probe { subject, what, url, redactor, .. } = *probe;
    let group = Group::Destinations;
    let reply = match post(client, url, Post::json(b"{}".to_vec(), now), redactor).await {
        Err(outcome) => return not_well(group, subject, what, &outcome).into(),
        Ok(reply) => reply,
    };
    let finding = match (probe.classify)(&reply) {
        Outcome::Content { .. } => alive(subject, what),
        Outcome::Unclear { .. } if (probe.is_about_content)(&reply) => alive(subject, what),
        outcome if outcome.arrived() => Finding::warn(
            group,
            subject,
            format!("{what}: took an empty message, which the real one refuses"),
            "check the address: does something else answer there?",
        ),
        outcome => not_well(group, subject, what, &outcome),
    };
    let clocks = reply.clocks.map(|clocks| (subject.to_owned(), clocks)).into_iter().collect();
    Checked { findings: vec![finding], clocks, ..Checked::default() }
}

fn alive(subject: &str, what: &str) -> Finding {
    Finding::ok(Group::Destinations, subject, format!("{what}: lives: it refused an empty message, as it should"))
}
