//! One conversation with an SMTP server, and what its replies mean.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret as _, SecretString};

use crate::notifiers::redact::Redactor;
use crate::notifiers::reply::words;
use podbell_core::outbox::Outcome;

/// How long a conversation may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to say goodbye, which changes nothing.
const GOODBYE: Duration = Duration::from_secs(1);

/// How a connection is encrypted.
#[derive(Clone)]
pub(super) enum Encryption {
    None,
    /// From the second command on. A server that does not offer it is not talked to.
    Starttls(TlsParameters),
    /// From the first byte on.
    Implicit(TlsParameters),
}

/// A server, and the login there.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    encryption: Encryption,
    pub(super) login: Option<(String, SecretString)>,
    redactor: Redactor,
}

/// A mail, as the server gets it.
pub(super) struct Envelope<'a> {
    pub(super) from: &'a Address,
    pub(super) to: Vec<&'a Address>,
    /// What is sent; `None` to ask only whether it would be taken.
    pub(super) mail: Option<&'a str>,
}

/// What became of the recipients of a mail that nothing else kept back.
#[derive(Debug, Default)]
pub(super) struct Recipients {
    /// The server has it for them.
    pub(super) taken: Vec<String>,
    /// The server says "not now" for them.
    pub(super) later: Vec<(String, String)>,
    /// The server does not take mail for them.
    pub(super) unknown: Vec<(String, String)>,
}

/// How far a conversation has come.
#[derive(Clone, Copy)]
enum Stage {
    Connect,
    Login,
    Sender,
    Content,
}

impl Server {
    pub(super) fn new(host: String, port: u16, encryption: Encryption, login: Option<(String, SecretString)>) -> Self {
        let secrets: Vec<SecretString> = login.iter().map(|(_, password)| password.clone()).collect();
        let redactor = Redactor::new("", &secrets, &[]);
        Self { host, port, encryption, login, redactor }
    }

    /// Whether everybody on the way can read what is sent.
    pub(super) fn is_open_to_read(&self) -> bool {
        matches!(self.encryption, Encryption::None)
    }

    /// Has one conversation.
    ///
    /// # Errors
    /// What it means for the message that nobody was reached, or that the server did not take it.
    pub(super) async fn talk(&self, envelope: &Envelope<'_>) -> Result<Recipients, Outcome> {
        let handed_over = AtomicBool::new(false);
        let talk = tokio::time::timeout(TIMEOUT, self.conversation(envelope, &handed_over));
        talk.await.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", TIMEOUT.as_secs());
            Err(not_heard(handed_over.load(Ordering::Relaxed), why))
        })
    }

    async fn conversation(&self, envelope: &Envelope<'_>, handed_over: &AtomicBool) -> Result<Recipients, Outcome> {
        let mut connection = self.open().await?;
        let said = self.envelope(&mut connection, envelope).await;
        let sent = match (said, envelope.mail) {
            (Ok(recipients), Some(mail)) if !recipients.taken.is_empty() => {
                self.content(&mut connection, mail, handed_over).await.map(|()| recipients)
            }
            (said, _) => said,
        };
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
        sent
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Outcome> {
        let me = ClientId::default();
        let implicit = match &self.encryption {
            Encryption::Implicit(tls) => Some(tls.clone()),
            Encryption::None | Encryption::Starttls(_) => None,
        };
        let place = (self.host.as_str(), self.port);
        let opened = AsyncSmtpConnection::connect_tokio1(place, Some(TIMEOUT), &me, implicit, None).await;
        let mut connection = opened.map_err(|error| self.refused(Stage::Connect, &error))?;
        if let Encryption::Starttls(tls) = &self.encryption {
            let encrypted = connection.starttls(tls.clone(), &me).await;
            encrypted.map_err(|error| self.refused(Stage::Connect, &error))?;
        }
        if let Some((user, password)) = &self.login {
            let login = Credentials::new(user.clone(), password.expose_secret().to_owned());
            let known = connection.auth(DEFAULT_MECHANISMS, &login).await;
            known.map_err(|error| self.refused(Stage::Login, &error))?;
        }
        Ok(connection)
    }

    async fn envelope(
        &self,
        connection: &mut AsyncSmtpConnection,
        envelope: &Envelope<'_>,
    ) -> Result<Recipients, Outcome> {
        let from = connection.command(Mail::new(Some(envelope.from.clone()), Vec::new())).await;
        from.map_err(|error| self.refused(Stage::Sender, &error))?;
        let mut recipients = Recipients::default();
        for address in &envelope.to {
            let name = address.to_string();
            match connection.command(Rcpt::new((*address).clone(), Vec::new())).await {
                Ok(_) => recipients.taken.push(name),
                Err(error) if error.is_permanent() => recipients.unknown.push((name, self.said(&error))),
                Err(error) if error.is_transient() => recipients.later.push((name, self.said(&error))),
                Err(error) => return Err(self.refused(Stage::Connect, &error)),
            }
        }
        Ok(recipients)
    }

    async fn content(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &str,
        handed_over: &AtomicBool,
    ) -> Result<(), Outcome> {
        let ready = connection.command(Data).await;
        ready.map_err(|error| self.refused(Stage::Content, &error))?;
        handed_over.store(true, Ordering::Relaxed);
        match connection.message(mail.as_bytes()).await {
            Ok(_) => Ok(()),
            Err(error) if error.status().is_some() => Err(self.refused(Stage::Content, &error)),
            Err(error) => Err(not_heard(true, self.said(&error))),
        }
    }

    /// What a refusal means for the message.
    fn refused(&self, stage: Stage, error: &Error) -> Outcome {
        let said = self.said(error);
        let code = error.status().map(|code| code.to_string());
        let dead = |advice: &str| Outcome::Dead {
            code: code.clone().unwrap_or_else(|| "login".to_owned()),
            text: said.clone(),
            advice: advice.to_owned(),
        };
        match stage {
            Stage::Login if error.is_permanent() => {
                dead("the server refuses the login: check `user` and `password` in podbell.yaml")
            }
            Stage::Login if error.is_client() => dead(
                "the server takes no login of podbell's kinds: leave `user` and `password` out, or use its port for clients",
            ),
            Stage::Sender if error.is_permanent() => dead(
                "the server does not take mail from podbell: check `from`, and whether it wants `user` and `password`",
            ),
            Stage::Content if error.is_permanent() => Outcome::Content { why: said },
            Stage::Connect | Stage::Login | Stage::Sender | Stage::Content => not_heard(false, said),
        }
    }

    /// The server's words, or what went wrong on the way, safe to show.
    fn said(&self, error: &Error) -> String {
        let mut cause = error.source();
        let mut all = match error.status() {
            Some(code) => format!("status {code}"),
            None => error.to_string(),
        };
        while let Some(error) = cause {
            let more = error.to_string();
            if !all.contains(&more) {
                all = format!("{all}: {more}");
            }
            cause = error.source();
        }
        words(&all, &self.redactor)
    }
}

/// The outcome where the server's answer is missing or says "not now".
fn not_heard(handed_over: bool, why: String) -> Outcome {
    match handed_over {
        true => Outcome::Unclear { retry_after: None, why },
        false => Outcome::Refused { retry_after: None, why },
    }
}

/// Recipients with the server's words for each, in one line.
pub(super) fn listed(refused: &[(String, String)]) -> String {
    let all: Vec<String> = refused.iter().map(|(address, said)| format!("{said} ({address})")).collect();
    all.join("; ")
}
