//! One conversation with an SMTP server, and what its replies mean.

use std::error::Error as _;
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

/// How long the steps of a conversation may take.
#[derive(Clone, Copy)]
struct Timeouts {
    /// Connecting, logging in and naming the sender: a server may let a stranger wait on purpose.
    begin: Duration,
    /// In addition for each recipient, whom the server may look up elsewhere.
    recipient: Duration,
    /// From the end of the mail to the answer: the server may scan it first. Whoever waits for less sends a mail again that was
    /// taken (RFC 5321, 4.5.3.2.6 and 6.1).
    answer: Duration,
}

const TIMEOUT: Timeouts =
    Timeouts { begin: Duration::from_secs(60), recipient: Duration::from_secs(10), answer: Duration::from_secs(600) };
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
    timeouts: Timeouts,
}

/// A mail, as the server gets it.
pub(super) struct Envelope<'a> {
    pub(super) from: &'a Address,
    pub(super) to: Vec<&'a Address>,
    /// What is sent; `None` to ask only whether it would be taken.
    pub(super) mail: Option<&'a str>,
}

/// What the server said of each recipient, after it accepted the connection, the login and the sender.
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
        Self { host, port, encryption, login, redactor, timeouts: TIMEOUT }
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
        let most = self.timeouts.begin + self.timeouts.recipient * u32::try_from(envelope.to.len()).unwrap_or(u32::MAX);
        let begun = tokio::time::timeout(most, self.begin(envelope)).await;
        let (mut connection, recipients) =
            begun.unwrap_or_else(|_| Err(Outcome::Refused { retry_after: None, why: silent(most) }))?;
        let mail = envelope.mail.filter(|_| !recipients.taken.is_empty());
        let sent = match mail {
            Some(mail) => self.content(&mut connection, mail).await,
            None => Ok(()),
        };
        let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
        sent.map(|()| recipients)
    }

    /// Everything before the mail itself.
    async fn begin(&self, envelope: &Envelope<'_>) -> Result<(AsyncSmtpConnection, Recipients), Outcome> {
        let mut connection = self.open().await?;
        let recipients = self.envelope(&mut connection, envelope).await;
        match recipients {
            Ok(recipients) if envelope.mail.is_some() && !recipients.taken.is_empty() => {
                let ready = connection.command(Data).await;
                ready.map_err(|error| self.refused(Stage::Content, &error))?;
                Ok((connection, recipients))
            }
            Ok(recipients) => Ok((connection, recipients)),
            Err(outcome) => {
                let _ = tokio::time::timeout(GOODBYE, connection.quit()).await;
                Err(outcome)
            }
        }
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Outcome> {
        let me = ClientId::default();
        let implicit = match &self.encryption {
            Encryption::Implicit(tls) => Some(tls.clone()),
            Encryption::None | Encryption::Starttls(_) => None,
        };
        let place = (self.host.as_str(), self.port);
        let opened = AsyncSmtpConnection::connect_tokio1(place, Some(self.timeouts.begin), &me, implicit, None).await;
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
                Err(error) if error.is_permanent() => recipients.unknown.push((name, self.words(&error))),
                Err(error) if error.is_transient() => recipients.later.push((name, self.words(&error))),
                Err(error) => return Err(self.refused(Stage::Connect, &error)),
            }
        }
        Ok(recipients)
    }

    /// The mail, and the server's word that it has it.
    async fn content(&self, connection: &mut AsyncSmtpConnection, mail: &str) -> Result<(), Outcome> {
        let answered = tokio::time::timeout(self.timeouts.answer, connection.message(mail.as_bytes())).await;
        match answered {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.status().is_some() => Err(self.refused(Stage::Content, &error)),
            Ok(Err(error)) => Err(Outcome::Unclear { retry_after: None, why: self.words(&error) }),
            Err(_) => Err(Outcome::Unclear { retry_after: None, why: silent(self.timeouts.answer) }),
        }
    }

    /// What a refusal means for the message.
    fn refused(&self, stage: Stage, error: &Error) -> Outcome {
        let said = self.words(error);
        let code = error.status().map(|code| code.to_string());
        let invalid = |advice: &str| Outcome::InvalidDestination {
            code: code.clone().unwrap_or_else(|| "login".to_owned()),
            text: said.clone(),
            advice: advice.to_owned(),
        };
        match stage {
            Stage::Login if error.is_permanent() => {
                invalid("the server refuses the login: check `user` and `password` in podbell.yaml")
            }
            Stage::Login if error.is_client() => invalid(
                "the server takes no login of podbell's kinds: leave `user` and `password` out, or use its port for clients",
            ),
            Stage::Sender if error.is_permanent() => invalid(
                "the server does not take mail from podbell: check `from`, and whether it wants `user` and `password`",
            ),
            Stage::Content if error.is_permanent() => Outcome::ContentRejected { why: said },
            Stage::Connect | Stage::Login | Stage::Sender | Stage::Content => {
                Outcome::Refused { retry_after: None, why: said }
            }
        }
    }

    /// The server's words, or what went wrong on the way, safe to show.
    fn words(&self, error: &Error) -> String {
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

fn silent(limit: Duration) -> String {
    format!("no answer within {} s", limit.as_secs())
}

/// Recipients with the server's words for each, in one line.
pub(super) fn listed(refused: &[(String, String)]) -> String {
    let all: Vec<String> = refused.iter().map(|(address, said)| format!("{said} ({address})")).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// What becomes of a mail at a server that waits so long before it answers to the end of the mail.
    async fn after(wait: Duration, timeouts: Timeouts) -> Result<Recipients, Outcome> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 here\r\n").await.unwrap();
            while let Some(line) = lines.next_line().await.unwrap() {
                let answer = match line.get(..4).unwrap_or(&line) {
                    "DATA" => "354 go on\r\n",
                    "." => {
                        tokio::time::sleep(wait).await;
                        "250 taken\r\n"
                    }
                    "EHLO" | "MAIL" | "RCPT" | "QUIT" => "250 ok\r\n",
                    _ => continue,
                };
                if write.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        });
        let mut server = Server::new("127.0.0.1".to_owned(), port, Encryption::None, None);
        server.timeouts = timeouts;
        let address: Address = "a@example.com".parse().unwrap();
        server.talk(&Envelope { from: &address, to: vec![&address], mail: Some("Subject: x\r\n\r\nx\r\n") }).await
    }

    #[tokio::test]
    async fn a_server_that_scans_a_mail_for_longer_than_it_takes_to_connect_is_waited_for() {
        let timeouts = Timeouts {
            begin: Duration::from_millis(1_500),
            recipient: Duration::ZERO,
            answer: Duration::from_secs(60),
        };
        let taken = after(Duration::from_millis(1_600), timeouts).await.unwrap();
        assert_eq!(taken.taken, ["a@example.com"]);
    }

    #[tokio::test]
    async fn a_server_that_took_a_mail_and_says_nothing_may_have_it() {
        let timeouts = Timeouts { answer: Duration::from_secs(1), ..TIMEOUT };
        let outcome = after(Duration::from_secs(3600), timeouts).await.unwrap_err();
        assert!(matches!(&outcome, Outcome::Unclear { why, .. } if why.contains("1 s")), "{outcome:?}");
    }

    #[test]
    fn the_answer_to_a_mail_is_waited_for_as_long_as_the_protocol_asks() {
        assert!(TIMEOUT.answer >= Duration::from_secs(600));
    }
}
