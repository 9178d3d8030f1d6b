//! The AI bot's long connection: podbell opens it, says who it is, and answers over it in streams.
//!
//! There is one connection. After it broke off it is opened again, with longer pauses after each failure. When a
//! newer connection of the same bot took its place, it waits for a long time: two that displace each other without
//! end answer nobody. An answer that WeCom did not confirm goes over the next connection.
//!
//! Source: "AI bot: long connection" of WeCom's developer documentation (subscribe first, a ping every
//! 30 s, one connection for each bot, `disconnected_event`).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::answer::{AdapterNotice, Form};
use super::frame::{self, Frame};
use super::outbox::{Job, Next, Outbox};
use crate::chat::ChatDeps;
use crate::chat::asker::{Asker, ChatAnswer, ChatSettings, Incoming, Rejection};
use crate::chat::reconnect::{Backoff, Connection, ConnectionTiming, Disconnect, Pauses, keep, open_in_time};
use crate::chat::websocket::{self, BROKE_OFF, Link, Pings};
use podbell_core::backoff::doubled;

/// Where WeCom listens.
pub const ENDPOINT: &str = "wss://openws.work.weixin.qq.com";
/// How often a refused answer is sent again.
const MAX_TRIES: u32 = 3;

/// One AI bot.
#[derive(Clone, Debug)]
pub struct BotConfig {
    /// What every chat has. Its channels are ids of groups, or [`super::DIRECT`].
    pub settings: ChatSettings,
    /// The bot's id.
    pub bot_id: String,
    /// Its secret for long connections.
    pub secret: SecretString,
    /// Where WeCom listens, ws(s).
    pub endpoint: Url,
    /// How long things take.
    pub timing: BotTiming,
}

/// How long things take; tests have less patience.
#[derive(Clone, Copy, Debug)]
pub struct BotTiming {
    /// An answer that takes longer begins with a placeholder.
    pub inline: Duration,
    /// How its connection is kept; WeCom wants a ping every 30 s.
    pub connection: ConnectionTiming,
    /// How long WeCom may take to confirm a frame.
    pub confirm: Duration,
    /// The pause before a frame that WeCom could not take is sent again; doubles each time.
    pub again: Duration,
    /// How long what is in hand may take to finish when podbell shuts down.
    pub end: Duration,
}

impl Default for BotTiming {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let pauses = Pauses { displaced: seconds(15 * 60), ..Pauses::default() };
        Self {
            inline: seconds(1),
            connection: ConnectionTiming { ping: seconds(30), silence: seconds(75), pauses, ..Default::default() },
            confirm: seconds(5),
            again: seconds(2),
            end: seconds(3),
        }
    }
}

const REFUSED: &str = "WeCom refuses the bot: check `bot_id` and `secret`";
const KICKED: &str = "a newer connection of the same bot took this one's place: is another podbell using it?";

/// A running bot.
pub struct Bot {
    asker: Arc<Asker>,
    bot_id: String,
    secret: SecretString,
    endpoint: Url,
    timing: BotTiming,
    outbox: Outbox,
}

impl Bot {
    /// A bot that does not listen yet: see [`Bot::connect`].
    pub fn new(config: BotConfig, deps: ChatDeps) -> Arc<Self> {
        Arc::new(Self {
            asker: Asker::new(config.settings, deps),
            bot_id: config.bot_id,
            secret: config.secret,
            endpoint: config.endpoint,
            timing: config.timing,
            outbox: Outbox::default(),
        })
    }

    fn name(&self) -> &str {
        &self.asker.settings.name
    }

    /// Listens until `stop` is cancelled, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, stop: CancellationToken) {
        let pauses = self.timing.connection.pauses;
        let backoff = Backoff::new(self.name(), "the bot", pauses, self.asker.deps.chance.clone());
        keep(&self, backoff, stop).await;
    }

    fn pings(&self) -> Pings {
        let mut pinged = 0_u64;
        let make = move || {
            pinged += 1;
            Message::text(frame::ping(&format!("ping-{pinged}")))
        };
        let ConnectionTiming { ping, silence, .. } = self.timing.connection;
        Pings { every: ping, silence, make: Box::new(make) }
    }

    fn written(&self, said: &ChatAnswer) -> Arc<str> {
        Form::Stream.write(said, self.asker.settings.language).into()
    }

    fn own(&self, own: AdapterNotice) -> Arc<str> {
        self.written(&ChatAnswer::Notice(own))
    }

    /// Accepts what was said; its answer goes to the outbox.
    fn submit(self: &Arc<Self>, req_id: &str, incoming: Incoming) {
        let (id, now) = (incoming.ids.join(" "), self.asker.now());
        let taken = match self.asker.submit(incoming) {
            Ok(taken) if !taken.first => return self.outbox.moved(&id, req_id),
            Ok(taken) => Ok(taken),
            Err(Rejection::Full) => {
                return self.asker.complain("too many messages to remember: some are not answered");
            }
            Err(Rejection::Stranger) => return,
            Err(Rejection::Busy) => Err(self.own(AdapterNotice::Busy)),
        };
        let stream = format!("{:032x}", rand::random::<u128>());
        if !self.outbox.expect(&id, req_id, stream, now) {
            return self.asker.complain("too many answers wait for a connection: some are not sent");
        }
        let bot = self.clone();
        tokio::spawn(async move {
            let content = match taken {
                Err(own) => own,
                Ok(taken) => {
                    let mut said = pin!(bot.asker.answered(taken.answer));
                    match timeout(bot.timing.inline, said.as_mut()).await {
                        Ok(said) => bot.written(&said),
                        Err(_) => {
                            let content = bot.own(AdapterNotice::Working);
                            bot.outbox.push(Job { id: id.clone(), content, finish: false, tries: 0 });
                            bot.written(&*said.await)
                        }
                    }
                }
            };
            bot.outbox.push(Job { id, content, finish: true, tries: 0 });
        });
    }

    /// What WeCom's answer to a frame means for it.
    fn confirmed(self: &Arc<Self>, sent: Next, code: i64) {
        let Next { mut job, req_id, .. } = sent;
        match code {
            0 if job.finish => self.outbox.done(&job.id),
            0 => {}
            // The question came again meanwhile: answer the newer request, which WeCom still knows.
            _ if self.outbox.has_moved(&job.id, &req_id) => self.outbox.push(job),
            // Busy, or more than 30 a minute in one conversation: try again later.
            -1 | 45009 if job.tries < MAX_TRIES => {
                let wait = doubled(self.timing.again, job.tries, Duration::MAX);
                job.tries += 1;
                let bot = self.clone();
                tokio::spawn(async move {
                    sleep(wait).await;
                    bot.outbox.push(job);
                });
            }
            _ => {
                tracing::warn!(chat = %self.name(), code, "WeCom refuses an answer");
                if job.finish {
                    self.outbox.done(&job.id);
                }
            }
        }
    }
}

/// Opens a connection and subscribes.
async fn open(bot: &Bot) -> Result<Link, Disconnect> {
    let url = websocket::http_url(bot.endpoint.clone());
    let url = url.ok_or(Disconnect::lost("the endpoint is not the address of a websocket"))?;
    let mut socket = websocket::open(&bot.asker.deps.client, url, None, frame::MAX).await.map_err(Disconnect::lost)?;
    let hello = frame::subscribe("subscribe", &bot.bot_id, bot.secret.expose_secret());
    websocket::send(&mut socket, Message::text(hello)).await?;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        match Frame::read(&text) {
            Ok(Frame::Answer { req_id, code }) if req_id == "subscribe" => {
                return match code {
                    0 => Ok(Link::new(socket, bot.pings())),
                    -1 | 45009 => Err(Disconnect::lost("WeCom is busy")),
                    code => {
                        tracing::debug!(chat = %bot.name(), code, "WeCom refuses the bot");
                        Err(Disconnect::Refused(REFUSED))
                    }
                };
            }
            Ok(Frame::Kicked) => return Err(Disconnect::Displaced(KICKED)),
            _ => {}
        }
    }
    Err(BROKE_OFF)
}

impl Connection for Arc<Bot> {
    fn run<'a>(&'a self, backoff: &'a mut Backoff, stop: &'a CancellationToken) -> BoxFuture<'a, Disconnect> {
        Box::pin(run_connection(self, backoff, stop))
    }
}

/// One connection, from its opening to its end.
async fn run_connection(bot: &Arc<Bot>, backoff: &mut Backoff, stop: &CancellationToken) -> Disconnect {
    let mut link =
        match open_in_time(bot.timing.connection.open, stop, "WeCom does not answer in time", open(bot)).await {
            Ok(link) => link,
            Err(end) => return end,
        };
    backoff.connected();
    let mut sent = None;
    let end = converse(bot, &mut link, &mut sent, stop).await;
    if let Some(Next { job, .. }) = sent {
        // Not confirmed: send it over the next connection. The stream is the same, so it does not appear twice.
        bot.outbox.push(job);
    }
    link.close().await;
    end
}

/// Receives and answers. `sent` is the frame that WeCom has not confirmed: one at a time, so that frames of a
/// stream cannot overtake each other.
async fn converse(bot: &Arc<Bot>, link: &mut Link, sent: &mut Option<Next>, stop: &CancellationToken) -> Disconnect {
    let timing = bot.timing;
    let mut late = pin!(sleep(Duration::MAX));
    let mut ending = false;
    let mut ended = pin!(sleep(Duration::MAX));
    loop {
        if ending && sent.is_none() && bot.outbox.is_idle() {
            return Disconnect::Stopped;
        }
        if sent.is_none() {
            let (next, dropped) = bot.outbox.next(bot.asker.now());
            if dropped > 0 {
                tracing::warn!(chat = %bot.name(), dropped, "answers are too late for WeCom");
            }
            if let Some(next) = next {
                let frame = frame::respond(&next.req_id, &next.stream, &next.job.content, next.job.finish);
                *sent = Some(next);
                late.set(sleep(timing.confirm));
                if let Err(end) = link.send(Message::text(frame)).await {
                    return end;
                }
            }
        }
        let received = tokio::select! {
            received = link.next() => received,
            () = bot.outbox.woken(), if sent.is_none() => continue,
            () = late.as_mut(), if sent.is_some() => return Disconnect::lost("WeCom does not confirm"),
            () = stop.cancelled(), if !ending => {
                ending = true;
                ended.set(sleep(timing.end));
                continue;
            }
            () = ended.as_mut() => return Disconnect::Stopped,
        };
        let text = match received {
            Ok(Message::Text(text)) => text,
            Ok(_) => continue,
            Err(end) => return end,
        };
        match Frame::read(&text) {
            Ok(Frame::Answer { req_id, code }) => {
                if let Some(next) = sent.take_if(|next| next.req_id == req_id) {
                    bot.confirmed(next, code);
                }
            }
            Ok(Frame::Message { req_id, incoming: Some(incoming) }) => bot.submit(&req_id, incoming),
            Ok(Frame::Kicked) => return Disconnect::Displaced(KICKED),
            Ok(Frame::Message { incoming: None, .. } | Frame::Other) => {}
            Err(frame::Malformed) => bot.asker.complain("a frame is not WeCom's; it is left alone"),
        }
    }
}
