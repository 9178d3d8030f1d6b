//! A mail server on a real socket, as RFC 5321 has it: it knows its login and its mailboxes, puts strangers off, refuses what is too
//! long, and loses answers.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use podbell::engine::SendJob;
use podbell::notifiers::{NamedNotifier, Notifiers};
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;
use podbell_core::translations::Language;

use super::platform::platform;
use super::receiver::client;
use super::world::Wire;

/// The password that the server knows.
pub const PASSWORD: &str = "marker-of-the-right-password";

/// What it does with the answer to a mail.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Answer {
    #[default]
    Given,
    /// The connection is closed instead.
    Lost,
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

impl Mail {
    /// The value of a header, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The names of its headers.
    pub fn names(&self) -> Vec<String> {
        self.headers().into_iter().map(|(name, _)| name).collect()
    }

    fn headers(&self) -> Vec<(String, String)> {
        let head = self.data.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        head.split("\r\n").map(|line| pair(line).unwrap_or_else(|| (line.to_owned(), String::new()))).collect()
    }
}

/// What the server is like.
#[derive(Default)]
pub struct State {
    pub mails: Vec<Mail>,
    pub unknown: BTreeSet<String>,
    /// Recipients that it puts off, and how often still.
    pub put_off: Vec<(String, usize)>,
    /// The longest mail that it takes.
    pub most: Option<usize>,
    /// What it does with its next answers to mails that it takes.
    pub answers: Vec<Answer>,
    /// What it says to whoever connects, if that is no welcome.
    pub greeting: Option<&'static str>,
    pub connections: usize,
}

/// A running server.
#[derive(Clone)]
pub struct SmtpServer {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl SmtpServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = server.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = state.clone();
                // A client may hang up at any moment.
                std::thread::spawn(move || drop(talk(&stream, &state)));
            }
        });
        server
    }

    /// Looks at what is there, or changes it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.state().mails.clone()
    }

    /// The keys of an item of podbell.yaml.
    pub fn keys(&self, password: &str, to: &str) -> String {
        let port = self.port;
        format!(
            "kind: email, host: 127.0.0.1, port: {port}, user: podbell, password: \"{password}\", from: \"podbell <podbell@example.com>\", to: {to}"
        )
    }

    /// A destination `team` there, and the wire to it.
    pub fn wire(&self, password: &str, to: &str) -> Wire {
        let config = NamedNotifier {
            name: "team".into(),
            platform: platform(&self.keys(password, to)),
            language: Language::En,
            time_zone: jiff::tz::TimeZone::UTC,
            digest_after: None,
            template: Default::default(),
            logs: false,
        };
        let notifiers = Arc::new(Notifiers::new(vec![config], Default::default(), client()));
        let through = notifiers.clone();
        let deliver = move |job: &SendJob, now: Time| -> Outcome {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(through.deliver(&job.destination, &job.message_id, job.body.clone(), now))
        };
        Wire { notifiers, deliver: Arc::new(deliver) }
    }
}

fn talk(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream);
    let say = |words: &str| (&mut &*stream).write_all(format!("{words}\r\n").as_bytes());
    let greeting = {
        let mut state = state.lock().unwrap();
        state.connections += 1;
        state.greeting
    };
    if let Some(greeting) = greeting {
        return say(greeting);
    }
    say("220 mail.example.com ESMTP")?;
    let (mut known, mut from, mut to) = (false, String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => say("250-mail.example.com\r\n250-8BITMIME\r\n250 AUTH PLAIN")?,
            "AUTH" => {
                let sent = line.rsplit(' ').next().unwrap_or_default();
                let login = base64::engine::general_purpose::STANDARD.decode(sent).unwrap();
                known = login == format!("\0podbell\0{PASSWORD}").into_bytes();
                say(if known { "235 2.7.0 ok" } else { "535 5.7.8 bad credentials" })?;
            }
            "MAIL" if !known => say("530 5.7.0 log in first")?,
            "MAIL" => {
                (from, to) = (address(), Vec::new());
                say("250 ok")?;
            }
            "RCPT" => {
                let mut state = state.lock().unwrap();
                let put_off = state.put_off.iter_mut().find(|(one, left)| *one == address() && *left > 0);
                if let Some((_, left)) = put_off {
                    *left -= 1;
                    say("451 4.7.1 greylisted, come back later")?;
                } else if state.unknown.contains(&address()) {
                    say("550 5.1.1 no such mailbox")?;
                } else {
                    to.push(address());
                    say("250 ok")?;
                }
            }
            "DATA" => {
                say("354 go on")?;
                let mut data = String::new();
                loop {
                    let mut line = String::new();
                    lines.read_line(&mut line)?;
                    assert!(line.len() <= 1_000 && line.ends_with("\r\n"), "a line of a mail: {line:?}");
                    assert!(line.is_ascii(), "eight bits: {line:?}");
                    if line == ".\r\n" {
                        break;
                    }
                    data.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                let mut state = state.lock().unwrap();
                if state.most.is_some_and(|most| data.len() > most) {
                    say("552 5.3.4 message too big")?;
                    continue;
                }
                state.mails.push(Mail { from: from.clone(), to: to.clone(), data });
                let answer = if state.answers.is_empty() { Answer::Given } else { state.answers.remove(0) };
                drop(state);
                match answer {
                    Answer::Given => say("250 2.0.0 taken")?,
                    Answer::Lost => return Ok(()),
                }
            }
            "QUIT" => return say("221 bye"),
            "RSET" | "NOOP" => say("250 ok")?,
            _ => say("500 what?")?,
        }
    }
}
