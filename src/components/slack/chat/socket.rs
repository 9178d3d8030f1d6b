//! Socket Mode: connections that podbell opens, so that Slack need not reach it.
//!
//! A slot keeps one connection alive: it opens the next one before Slack renews the last, waits longer after each
//! failure, and gives up only when Socket Mode was switched off. Every envelope is acknowledged before it is
//! parsed, and runs once, even if it comes again over another connection.
//!
//! Source: "Socket Mode implementation" (`apps.connections.open`, a ticket works once; at most 10
//! connections; `disconnect` and its reasons).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::frame::{Frame, Reason, acknowledgement};
use super::payload::{AnswerTo, Payload};
use super::ticket::{self, Failed};
use super::{IN_HAND, NotTaken, Slack};
use crate::tasks::told;

type Socket = WebSocketStream<reqwest::Upgraded>;

/// Sending one frame may take this long: a connection that takes none is dead.
const SEND: Duration = Duration::from_secs(10);
/// How long what is in hand may take to finish when podbell shuts down.
const END: Duration = Duration::from_secs(3);

/// What a connection reports while it lasts.
enum Word {
    /// Slack greeted it.
    Hello,
    /// Slack will close it: another one is wanted.
    Refresh,
}

/// How a connection ended.
enum End {
    /// It could not be opened.
    Failed(Failed),
    /// It broke, or was closed; whether its replacement was requested before.
    Closed { replaced: bool },
    /// There are too many.
    Crowded,
    /// Socket Mode was switched off.
    Off,
    /// Podbell ends.
    Stopped,
}

impl Slack {
    /// Listens over Socket Mode until the watch turns true, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut slots = JoinSet::new();
        for _ in 0..self.config.connections.max(1) {
            slots.spawn(slot(self.clone(), stop.clone()));
        }
        while let Some(ended) = slots.join_next().await {
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        told(&mut stop).await;
        let all = u32::try_from(IN_HAND).unwrap_or(u32::MAX);
        let _ = timeout(END, self.in_hand.acquire_many(all)).await;
    }
}

/// Keeps one connection alive.
async fn slot(slack: Arc<Slack>, mut stop: watch::Receiver<bool>) {
    let (words, mut said) = mpsc::channel(16);
    let mut lines: JoinSet<End> = JoinSet::new();
    let mut next = pin!(sleep(Duration::ZERO));
    let mut state = State { wanted: true, alone: false, tries: 0, troubled: false };
    let mut opened = slack.now();
    loop {
        tokio::select! {
            () = told(&mut stop) => break,
            () = next.as_mut(), if state.wanted && (!state.alone || lines.is_empty()) => {
                (state.wanted, state.alone) = (false, false);
                opened = slack.now();
                lines.spawn(line(slack.clone(), words.clone(), stop.clone()));
            }
            Some(word) = said.recv() => match word {
                Word::Hello => state.greeted(&slack),
                Word::Refresh => {
                    // Reconnect at most once a second, even if Slack renews without end.
                    let since = slack.now().since(opened);
                    next.set(sleep(slack.config.timing.reopen.saturating_sub(since)));
                    state.wanted = true;
                }
            },
            Some(ended) = lines.join_next() => match ended {
                Ok(End::Closed { replaced: true } | End::Stopped) => {}
                Ok(End::Off) => {
                    slack.complain("Socket Mode is switched off in the app's settings: this chat is not heard until podbell starts again");
                    return;
                }
                Ok(end) => {
                    next.set(sleep(state.lost(&slack, &end)));
                    state.wanted = true;
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
    while lines.join_next().await.is_some() {}
}

/// What a slot knows of its state.
struct State {
    /// Another connection must be opened.
    wanted: bool,
    /// It must not be opened while another one exists.
    alone: bool,
    /// How often it failed since Slack last greeted it.
    tries: u32,
    /// Whether the trouble was logged.
    troubled: bool,
}

impl State {
    fn greeted(&mut self, slack: &Slack) {
        self.tries = 0;
        if std::mem::take(&mut self.troubled) {
            tracing::info!(chat = %slack.config.name, "Socket Mode is connected again");
        } else {
            tracing::debug!(chat = %slack.config.name, "Socket Mode is connected");
        }
    }

    /// How long to wait after this end.
    fn lost(&mut self, slack: &Slack, end: &End) -> Duration {
        let timing = &slack.config.timing;
        let chance = (slack.deps.chance)().clamp(0.0, 1.0);
        let jittered = |wait: Duration| wait.mul_f64(0.5 + chance / 2.0);
        let backed_off = timing.reopen.saturating_mul(2_u32.saturating_pow(self.tries)).min(timing.reopen_most);
        self.tries = self.tries.saturating_add(1);
        let (wait, why) = match end {
            End::Crowded => {
                self.alone = true;
                (jittered(timing.crowded), "the app has too many connections: is another podbell using its token?")
            }
            End::Failed(Failed::Refused(code)) => {
                // Only the operator can fix it; until then it is tried now and then.
                tracing::debug!(chat = %slack.config.name, code, "Slack refuses the app-level token");
                (
                    timing.reopen_most,
                    "Slack refuses the app-level token: check `app_token` and its scope connections:write",
                )
            }
            End::Failed(Failed::Later { after, why }) => (jittered(backed_off).max(after.unwrap_or_default()), *why),
            _ => (jittered(backed_off), "the connection broke off"),
        };
        // A single lost connection is normal; it is logged when the next attempt fails, too.
        if !self.troubled && (self.tries > 1 || matches!(end, End::Crowded | End::Failed(Failed::Refused(_)))) {
            self.troubled = true;
            tracing::warn!(chat = %slack.config.name, why, "Socket Mode is not connected; trying again");
        }
        wait
    }
}

/// One connection, from its ticket to its end.
async fn line(slack: Arc<Slack>, words: mpsc::Sender<Word>, mut stop: watch::Receiver<bool>) -> End {
    let opening = timeout(slack.config.timing.open, ticket::open(&slack));
    let opened = tokio::select! {
        () = told(&mut stop) => return End::Stopped,
        opened = opening => opened,
    };
    let mut socket = match opened {
        Ok(Ok(socket)) => socket,
        Ok(Err(failed)) => return End::Failed(failed),
        Err(_) => return End::Failed(Failed::Later { after: None, why: "Slack does not answer in time" }),
    };
    let timing = slack.config.timing;
    let mut replaced = false;
    let mut pings = interval(timing.ping);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A connection that a router has forgotten looks alive but is silent.
    let mut silent = pin!(sleep(timing.silence));
    let mut linger = pin!(sleep(Duration::MAX));
    loop {
        let received = tokio::select! {
            received = socket.next() => received,
            _ = pings.tick() => match send(&mut socket, Message::Ping(Vec::new().into())).await {
                true => continue,
                false => return End::Closed { replaced },
            },
            () = silent.as_mut() => return End::Closed { replaced },
            () = linger.as_mut() => break,
            () = told(&mut stop) => break,
        };
        silent.set(sleep(timing.silence));
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Closed { replaced },
            Some(Ok(_)) => continue,
        };
        match Frame::read(&text) {
            Ok(Frame::Hello) => tell(&words, Word::Hello).await,
            Ok(Frame::Disconnect(Reason::TooMany)) => return End::Crowded,
            Ok(Frame::Disconnect(Reason::Off)) => return End::Off,
            Ok(Frame::Disconnect(Reason::Refresh)) if !replaced => {
                // Keep reading until it is closed: what comes over it would be lost otherwise.
                replaced = true;
                linger.set(sleep(timing.linger));
                tell(&words, Word::Refresh).await;
            }
            Ok(Frame::Disconnect(Reason::Refresh) | Frame::Unknown) => {}
            Ok(Frame::Envelope { id, payload }) => {
                if !envelope(&slack, &mut socket, &id, *payload).await {
                    return End::Closed { replaced };
                }
            }
            Err(_) => slack.complain("a frame over Socket Mode is not Slack's; it is left alone"),
        }
    }
    let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
    if *stop.borrow() { End::Stopped } else { End::Closed { replaced } }
}

async fn tell(words: &mpsc::Sender<Word>, word: Word) {
    // The slot receives as long as it has connections.
    let _ = words.send(word).await;
}

/// Sends one frame. Returns whether the connection took it.
async fn send(socket: &mut Socket, message: Message) -> bool {
    matches!(timeout(SEND, socket.send(message)).await, Ok(Ok(())))
}

/// Acknowledges an envelope, then has it run. Returns whether the connection still works.
async fn envelope(
    slack: &Arc<Slack>,
    socket: &mut Socket,
    id: &str,
    payload: Result<Payload, super::payload::Malformed>,
) -> bool {
    let taken = match payload {
        Ok(Payload::Said(heard)) => {
            let mute = matches!(heard.answer, AnswerTo::Message { .. }) && slack.config.bot_token.is_none();
            if mute {
                slack.complain("mentions and direct messages cannot be answered: the chat has no `bot_token`");
                None
            } else {
                match slack.take(heard, Some(format!("envelope {id}"))) {
                    Ok(taken) => Some(taken),
                    Err(NotTaken::Again) => None,
                    Err(NotTaken::Stranger(_)) => {
                        slack.complain("somebody of a team that is not allowed is not answered");
                        None
                    }
                    Err(NotTaken::Busy) => {
                        // Not acknowledged, so Slack sends it again.
                        slack.complain("too many questions at once: some are left for Slack to send again");
                        return true;
                    }
                }
            }
        }
        Ok(_) => None,
        Err(malformed) => {
            slack.complain(malformed.0);
            None
        }
    };
    let sent = send(socket, Message::text(acknowledgement(id))).await;
    // Also if the acknowledgement was lost: it is remembered, so a repetition is not run again.
    if let Some(taken) = taken {
        slack.run(taken);
    }
    sent
}
