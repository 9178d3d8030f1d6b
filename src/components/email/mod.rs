//! `kind: email` of `notifiers:`: mail through an SMTP server. Mails about an incident are one thread.

mod keys;
mod mail;
mod smtp;

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use self::smtp::{Encryption, Envelope, Recipients, Server, listed};
use crate::examine::{Checked, Finding, Group, not_well};
use crate::notifiers::{
    Attempt, Audience, ExamineContext, Notifier, NotifierForm, NotifierKind, Rendering, fingerprint,
};
use podbell_core::outbox::pace::Pace;
use podbell_core::outbox::{Outcome, Policy};

/// Slow enough for the limits of mail providers on what one sender may send.
const PACE: Pace = Pace { limit: 20, per: Duration::from_secs(61), kept_for_critical: 5 };
/// How many mails are remembered that some recipients have and others do not have yet.
const MAX_PARTLY: usize = 1_000;

/// Its registry row.
pub(crate) const NOTIFIER: NotifierKind = NotifierKind {
    name: "email",
    audience: Audience::People,
    forms: &[NotifierForm {
        about: "Mail, through an SMTP server.",
        keys: &[
            &keys::HOST,
            &keys::PORT,
            &keys::TLS,
            &keys::CA_FILE,
            &keys::USER,
            &keys::PASSWORD,
            &keys::FROM,
            &keys::TO,
        ],
    }],
    read: |map, _, reader| keys::read(map, reader),
    elsewhere: |key| match key {
        "url" => Some("a mail server has `host` and `port`"),
        _ => None,
    },
    people: None,
    preview: |url| {
        let server = Server::new(url.host_str().unwrap_or_default().to_owned(), 25, Encryption::None, None);
        let address =
            |user: &str| lettre::Address::new(user, "example.com").ok().map(|email| Mailbox::new(None, email));
        let (from, to) = (address("podbell"), address("team"));
        match from {
            Some(from) => Arc::new(Email::new(server, from, to.into_iter().collect())),
            None => Arc::new(crate::components::Terminal),
        }
    },
};

/// A mail that some recipients have and others do not have yet.
struct PartlyTaken {
    message_id: String,
    have: BTreeSet<String>,
}

struct Email {
    server: Server,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Who has the mails that others do not have yet. A start does not know: then somebody may get one twice, with the same
    /// `Message-ID`.
    partly: Mutex<VecDeque<PartlyTaken>>,
}

/// A request as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The mail, in ASCII.
    mail: String,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NOTIFIER.name)
    }
}

impl Email {
    fn new(server: Server, from: Mailbox, to: Vec<Mailbox>) -> Self {
        Self { server, from, to, partly: Mutex::default() }
    }

    async fn send(&self, attempt: Attempt<'_>) -> Outcome {
        let Ok(Stored { mail }) = serde_json::from_slice(&attempt.body) else {
            return Outcome::ContentRejected { why: "the stored request cannot be read".into() };
        };
        let have = self.who_has(attempt.message_id);
        let to = self.to.iter().map(|one| &one.email).filter(|address| !have.contains(&address.to_string())).collect();
        let envelope = Envelope { from: &self.from.email, to, mail: Some(&mail) };
        match self.server.talk(&envelope).await {
            Ok(recipients) => self.record_recipients(attempt.message_id, have, recipients),
            Err(outcome) => outcome,
        }
    }

    /// Records which recipients have the mail, and returns what that means for it.
    fn record_recipients(&self, message_id: &str, mut have: BTreeSet<String>, recipients: Recipients) -> Outcome {
        let Recipients { taken, later, unknown } = recipients;
        have.extend(taken);
        if !unknown.is_empty() {
            tracing::warn!(why = listed(&unknown), "a mail server does not take mail for some recipients");
        }
        let nobody_has_it = have.is_empty();
        let mut partly = self.partly();
        partly.retain(|mail| mail.message_id != message_id);
        if !later.is_empty() && !nobody_has_it {
            partly.push_back(PartlyTaken { message_id: message_id.to_owned(), have });
            if partly.len() > MAX_PARTLY {
                partly.pop_front();
            }
        }
        drop(partly);
        match (later.is_empty(), nobody_has_it) {
            (true, true) => unknown_here(&unknown),
            (true, false) => Outcome::Delivered,
            (false, true) => Outcome::Refused { retry_after: None, why: listed(&later) },
            // Those who have it must not get it in another form: the same mail is repeated for the others.
            (false, false) => Outcome::Unclear { retry_after: None, why: listed(&later) },
        }
    }

    /// Who has a mail already.
    fn who_has(&self, message_id: &str) -> BTreeSet<String> {
        let mail = self.partly().iter().find(|mail| mail.message_id == message_id).map(|mail| mail.have.clone());
        mail.unwrap_or_default()
    }

    fn partly(&self) -> MutexGuard<'_, VecDeque<PartlyTaken>> {
        self.partly.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn examined(&self, context: ExamineContext<'_>) -> Checked {
        let group = Group::Destinations;
        let what = format!("mail server {}:{}", self.server.host, self.server.port);
        let to = self.to.iter().map(|one| &one.email).collect();
        let envelope = Envelope { from: &self.from.email, to, mail: None };
        let mut checked = Checked::default();
        let finding = match self.server.talk(&envelope).await {
            Err(outcome) => not_well(group, context.subject, &what, &outcome),
            Ok(Recipients { taken, later, unknown }) if unknown.is_empty() => {
                let found = match later.is_empty() {
                    true => format!("{what}: would take mail for {} (nothing was sent)", taken.join(", ")),
                    // Many servers take mail of strangers at the second attempt only.
                    false => format!("{what}: takes mail later: {} (nothing was sent)", listed(&later)),
                };
                Finding::ok(group, context.subject, found)
            }
            Ok(Recipients { unknown, .. }) => not_well(group, context.subject, &what, &unknown_here(&unknown)),
        };
        checked.findings.push(finding);
        if self.server.is_open_to_read() && !keys::is_here(&self.server.host) {
            let found = format!("{what}: mail goes there unencrypted");
            checked.findings.push(Finding::warn(
                group,
                context.subject,
                found,
                "set `tls: starttls` or `tls: implicit`",
            ));
        }
        checked
    }
}

fn unknown_here(unknown: &[(String, String)]) -> Outcome {
    Outcome::InvalidDestination {
        code: "recipient".to_owned(),
        text: listed(unknown),
        advice: "the server does not take mail for these addresses: check `to` in podbell.yaml, and whether the server wants a login".to_owned(),
    }
}

impl Notifier for Email {
    fn policy(&self) -> Policy {
        let port = self.server.port.to_string();
        let login = self.server.login.as_ref().map_or(("", ""), |(user, password)| (user, password.expose_secret()));
        let addresses: Vec<String> = std::iter::once(&self.from).chain(&self.to).map(ToString::to_string).collect();
        // A provider counts what an account sends, to whomever.
        let endpoint = fingerprint([&*self.server.host, &port, login.0]);
        let whole = [&*self.server.host, &port, login.0, login.1];
        let whole = fingerprint(whole.into_iter().chain(addresses.iter().map(String::as_str)));
        Policy { pace: Some(PACE), ..Policy::of(endpoint, whole) }
    }

    fn body(&self, rendering: &mut Rendering<'_>) -> Vec<u8> {
        let Some(mail) = mail::of(rendering, &self.from, &self.to) else { return Vec::new() };
        serde_json::to_vec(&Stored { mail }).unwrap_or_default()
    }

    fn shown_body<'a>(&self, stored: &'a [u8]) -> Cow<'a, [u8]> {
        match serde_json::from_slice::<Stored>(stored) {
            Ok(Stored { mail }) => Cow::Owned(mail.into_bytes()),
            Err(_) => Cow::Borrowed(stored),
        }
    }

    fn deliver<'a>(&'a self, attempt: Attempt<'a>) -> BoxFuture<'a, Outcome> {
        Box::pin(self.send(attempt))
    }

    fn examine<'a>(&'a self, context: ExamineContext<'a>) -> BoxFuture<'a, Checked> {
        Box::pin(self.examined(context))
    }
}
