//! Examines what podbell depends on: findings, the HTTP clients, and words for what does not work. Each component
//! has its own checks; `podbell doctor` runs all of them.

mod finding;
mod net;

pub(crate) use finding::{Checked, Finding, FindingLevel, Group, count, size, span};
pub(crate) use net::Net;

use podbell_core::outbox::Outcome;

/// A finding that something would not take messages. Only a warning if it merely asks for a pause.
pub(crate) fn not_well(group: Group, subject: &str, what: &str, outcome: &Outcome) -> Finding {
    let (found, advice) = why_not(outcome);
    let found = found.trim_start_matches("perhaps ").trim_start_matches("not delivered: ");
    let advice = advice.unwrap_or_else(|| "ask those who run it why they refuse".to_owned());
    let pause = matches!(outcome, Outcome::Refused { why, .. } if replied(why));
    match pause {
        true => Finding::warn(group, subject, format!("{what}: {found}"), advice),
        false => Finding::fail(group, subject, format!("{what}: {found}"), advice),
    }
}

/// Why a message did not arrive, and what to do.
pub(crate) fn why_not(outcome: &Outcome) -> (String, Option<String>) {
    let (what, advice) = match outcome {
        Outcome::Delivered | Outcome::Posted(_) => ("arrived".to_owned(), None),
        Outcome::NotNeeded => ("nothing had to be sent".to_owned(), None),
        Outcome::Orphaned { why } => (format!("not delivered: {why}"), None),
        // A reply means that the server was reached, so the address is right.
        Outcome::Refused { why, retry_after } if replied(why) => {
            let advice = match retry_after {
                Some(wait) => format!("It asks to wait {} s: try again then", wait.as_secs()),
                None => "It wants a pause: try again in a minute".to_owned(),
            };
            (format!("not delivered: {why}"), Some(advice))
        }
        Outcome::Refused { why, .. } => {
            let advice = "It cannot be reached: check the address, http or https, the proxy and the firewall";
            (format!("not delivered: {why}"), Some(advice.to_owned()))
        }
        Outcome::Unclear { why, .. } => {
            let advice = match replied(why) {
                true => "It is in trouble itself: try again later, or ask those who run it",
                false => "Check the address, the proxy and the firewall",
            };
            (format!("perhaps not delivered: {why}"), Some(advice.to_owned()))
        }
        Outcome::ContentRejected { why } => (format!("not delivered: it does not take the message: {why}"), None),
        Outcome::InvalidDestination { code, text, advice } => {
            let what = if text.contains(code) { text.clone() } else { format!("{code}: {text}") };
            (format!("not delivered: {what}"), Some(advice.clone()))
        }
    };
    (what, advice)
}

/// Whether this is a reply of the other side, not an error on the way there.
fn replied(why: &str) -> bool {
    why.starts_with("status ")
}
