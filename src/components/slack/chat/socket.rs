//! Socket Mode: connections that podbell opens, so that Slack need not reach it.
//!
//! Each connection is kept up: the next one is opened before Slack closes the last. podbell waits longer after each failure, and
//! gives up only when Socket Mode was switched off. Every envelope is acknowledged and runs once, even if it comes again over
//! another connection.
//!
//! Source: "Socket Mode implementation" (`apps.connections.open`, a ticket works once; at most 10
//! connections; `disconnect` and its reasons).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::Slack;
use super::frame::{Frame, Reason, acknowledgement};
use super::payload::Payload;
use super::ticket;
use crate::chat::asker::Rejection;
use crate::chat::reconnect::{Backoff, Disconnect, open_in_time};
use crate::chat::websocket::{BROKE_OFF, Link, Pings};

const CROWDED: Disconnect =
    Disconnect::Displaced("the app has too many connections: is another podbell using its token?");

/// What a connection reports while it lasts.
enum Word {
    /// Slack greeted it.
    Hello,
    /// Slack will close it: another one is wanted.
    Refresh,
}

/// How a connection ended.
enum ConnectionEnd {
    /// After its replacement was requested.
    Replaced,
    /// Socket Mode was switched off.
    Off,
    /// Otherwise.
    Disconnected(Disconnect),
}

impl ConnectionEnd {
    fn closed(replaced: bool) -> Self {
        if replaced { Self::Replaced } else { Self::Disconnected(BROKE_OFF) }
    }
}

impl Slack {
    /// Listens over Socket Mode until `stop` is cancelled, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, stop: CancellationToken) {
        let mut maintained = JoinSet::new();
        for _ in 0..self.config.connections.max(1) {
            maintained.spawn(maintain_connection(self.clone(), stop.clone()));
        }
        while let Some(ended) = maintained.join_next().await {
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        stop.cancelled().await;
        self.asker.finish().await;
    }
}

/// Keeps one connection alive.
async fn maintain_connection(slack: Arc<Slack>, stop: CancellationToken) {
    let (words, mut said) = mpsc::channel(16);
    let mut lines: JoinSet<ConnectionEnd> = JoinSet::new();
    let mut next = pin!(sleep(Duration::ZERO));
    let pauses = slack.config.timing.connection.pauses;
    let backoff = Backoff::new(&slack.config.settings.name, "Socket Mode", pauses, slack.asker.deps.chance.clone());
    let mut state = State { wanted: true, alone: false, backoff };
    let mut opened = slack.now();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = next.as_mut(), if state.wanted && (!state.alone || lines.is_empty()) => {
                (state.wanted, state.alone) = (false, false);
                opened = slack.now();
                lines.spawn(run_connection(slack.clone(), words.clone(), stop.clone()));
            }
            Some(word) = said.recv() => match word {
                Word::Hello => state.backoff.connected(),
                Word::Refresh => {
                    // Reconnect at most once a second, even if Slack renews without end.
                    let since = slack.now().since(opened);
                    next.set(sleep(pauses.first.saturating_sub(since)));
                    state.wanted = true;
                }
            },
            Some(ended) = lines.join_next() => match ended {
                Ok(ConnectionEnd::Replaced | ConnectionEnd::Disconnected(Disconnect::Stopped)) => {}
                Ok(ConnectionEnd::Off) => {
                    slack.asker.complain("Socket Mode is switched off in the app's settings: this chat is not heard until podbell starts again");
                    return;
                }
                Ok(ConnectionEnd::Disconnected(end)) => {
                    next.set(sleep(state.backoff.wait(&end)));
                    state.wanted = true;
                    state.alone |= matches!(end, Disconnect::Displaced(_));
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
    while lines.join_next().await.is_some() {}
}

/// What is known of a maintained connection.
struct State {
    /// Another connection must be opened.
    wanted: bool,
    /// It must not be opened while another one exists.
    alone: bool,
    /// What happened to its connections.
    backoff: Backoff,
}

/// One connection, from its ticket to its end.
async fn run_connection(slack: Arc<Slack>, words: mpsc::Sender<Word>, stop: CancellationToken) -> ConnectionEnd {
    let (late, limit) = ("Slack does not answer in time", slack.config.timing.connection.open);
    let socket = match open_in_time(limit, &stop, late, ticket::open(&slack)).await {
        Ok(socket) => socket,
        Err(end) => return ConnectionEnd::Disconnected(end),
    };
    let timing = slack.config.timing;
    let mut replaced = false;
    let mut link = Link::new(socket, Pings::of_the_protocol(timing.connection));
    let mut linger = pin!(sleep(Duration::MAX));
    loop {
        let received = tokio::select! {
            received = link.next() => received,
            () = linger.as_mut() => break,
            () = stop.cancelled() => break,
        };
        let text = match received {
            Ok(Message::Text(text)) => text,
            Ok(_) => continue,
            Err(_) => return ConnectionEnd::closed(replaced),
        };
        match Frame::read(&text) {
            Ok(Frame::Hello) => tell(&words, Word::Hello).await,
            Ok(Frame::Disconnect(Reason::TooMany)) => return ConnectionEnd::Disconnected(CROWDED),
            Ok(Frame::Disconnect(Reason::Off)) => return ConnectionEnd::Off,
            Ok(Frame::Disconnect(Reason::Refresh)) if !replaced => {
                // Keep reading until it is closed: what comes over it would be lost otherwise.
                replaced = true;
                linger.set(sleep(timing.linger));
                tell(&words, Word::Refresh).await;
            }
            Ok(Frame::Disconnect(Reason::Refresh) | Frame::Unknown) => {}
            Ok(Frame::Envelope { id, payload }) => {
                if !envelope(&slack, &mut link, &id, *payload).await {
                    return ConnectionEnd::closed(replaced);
                }
            }
            Err(_) => slack.asker.complain("a frame over Socket Mode is not Slack's; it is left alone"),
        }
    }
    link.close().await;
    match stop.is_cancelled() {
        true => ConnectionEnd::Disconnected(Disconnect::Stopped),
        false => ConnectionEnd::closed(replaced),
    }
}

async fn tell(words: &mpsc::Sender<Word>, word: Word) {
    // It is received as long as there are connections.
    let _ = words.send(word).await;
}

/// Has an envelope carried out and acknowledges it. Returns whether the connection still works.
async fn envelope(
    slack: &Arc<Slack>,
    link: &mut Link,
    id: &str,
    payload: Result<Payload, super::payload::Malformed>,
) -> bool {
    let taken = match payload {
        Ok(Payload::Message(received)) if !slack.cannot_answer(&received) => {
            match slack.submit(received, Some(format!("envelope {id}"))) {
                Ok(taken) => taken,
                Err(Rejection::Stranger) => {
                    slack.asker.complain("somebody of a team that is not allowed is not answered");
                    None
                }
                Err(Rejection::Busy | Rejection::Full) => {
                    // Not acknowledged, so Slack sends it again.
                    slack.asker.complain("too many questions at once: some are left for Slack to send again");
                    return true;
                }
            }
        }
        Ok(_) => None,
        Err(malformed) => {
            slack.asker.complain(malformed.0);
            None
        }
    };
    let sent = link.send(Message::text(acknowledgement(id))).await.is_ok();
    // Also if the acknowledgement was lost: it is remembered, so a repetition is not answered again.
    if let Some(taken) = taken {
        slack.answer_later(taken);
    }
    sent
}
