//! Whether messages would arrive: without sending one, or with `--send` by sending one.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::finding::{Checked, Finding, Group};
use super::net::Net;
use crate::cli::send_test;
use crate::clock;
use crate::config::{NotifierConfig, NotifierKind};
use crate::notifiers::{Answered, Notifiers, Probed};
use podbell_core::outbox::Outcome;

/// Looks at one destination.
pub(super) async fn check(notifier: &NotifierConfig, net: &Net, notifiers: &Notifiers, send: bool) -> Checked {
    let name = notifier.name.to_string();
    let mut checked = match &notifier.kind {
        NotifierKind::Console => {
            Finding::ok(Group::Destinations, &name, "console: standard output of `podbell run`").into()
        }
        NotifierKind::SlackApp { token, channel, api, .. } => {
            let (mut checked, scopes) =
                super::slack::token(Group::Destinations, &name, net, api, token, &["chat:write"]).await;
            if scopes.is_some() && !send {
                let found = format!("posts to {channel}; `podbell send-test {name}` shows whether the app is in there");
                checked.findings.push(Finding::ok(Group::Destinations, &name, found));
            }
            checked
        }
        // A test message says more.
        _ if send => Checked::default(),
        NotifierKind::Webhook { url, .. } => reached(&name, "webhook", url, net).await,
        NotifierKind::Slack { url } => asked(&name, "Slack webhook", url, net, notifiers).await,
        NotifierKind::Wecom { url } => asked(&name, "WeCom robot", url, net, notifiers).await,
    };
    if send && !matches!(notifier.kind, NotifierKind::Console) {
        let outcome = send_test::send(notifiers, &name).await;
        checked.findings.push(match (outcome.arrived(), send_test::why_not(&outcome)) {
            (true, _) => Finding::ok(Group::Destinations, &name, "the test message arrived"),
            (false, (found, advice)) => {
                let advice = advice.unwrap_or_else(|| "ask those who run it why they refuse it".to_owned());
                Finding::fail(Group::Destinations, &name, format!("the test message: {found}"), advice)
            }
        });
        if outcome.arrived() {
            checked.arrived = Some(name);
        }
    }
    checked
}

async fn reached(name: &str, kind: &str, url: &SecretString, net: &Net) -> Checked {
    match Url::parse(url.expose_secret()) {
        Ok(url) => net.reached(Group::Destinations, name, kind, url).await.into(),
        Err(_) => Finding::fail(Group::Destinations, name, "its url is none", "begin it with https://").into(),
    }
}

async fn asked(name: &str, kind: &str, url: &SecretString, net: &Net, notifiers: &Notifiers) -> Checked {
    match notifiers.probe(name, clock::now()).await {
        Some(probed) => of_probe(name, kind, probed),
        None => reached(name, kind, url, net).await,
    }
}

fn of_probe(name: &str, kind: &str, probed: Probed) -> Checked {
    let group = Group::Destinations;
    let finding = match probed.answered {
        Answered::Alive => {
            Finding::ok(group, name, format!("{kind}: lives: it refused an empty message, as it should"))
        }
        Answered::Otherwise(outcome) if outcome.arrived() => Finding::warn(
            group,
            name,
            format!("{kind}: took an empty message, which the real one refuses"),
            "check the address: does something else answer there?",
        ),
        Answered::Otherwise(outcome) => not_well(group, name, kind, &outcome),
    };
    let clocks = probed.clocks.map(|clocks| (name.to_owned(), clocks)).into_iter().collect();
    Checked { findings: vec![finding], clocks, ..Checked::default() }
}

/// Why something would not take messages. One that only wants a pause is none the worse for it.
pub(super) fn not_well(group: Group, subject: &str, what: &str, outcome: &Outcome) -> Finding {
    let (found, advice) = send_test::why_not(outcome);
    let found = found.trim_start_matches("perhaps ").trim_start_matches("not delivered: ");
    let advice = advice.unwrap_or_else(|| "ask those who run it why they refuse".to_owned());
    let pause = matches!(outcome, Outcome::Refused { why, .. } if send_test::replied(why));
    match pause {
        true => Finding::warn(group, subject, format!("{what}: {found}"), advice),
        false => Finding::fail(group, subject, format!("{what}: {found}"), advice),
    }
}
