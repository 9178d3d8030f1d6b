//! The bot's websocket: podbell opens it, so that mentions and direct messages need no public address.
//!
//! Events are numbered. After a break, or when a number is missing, the next connection names the last one that was read,
//! and Mattermost sends what came meanwhile; what comes twice is remembered. What a server does not keep, after its restart,
//! is read from the channels.
//!
//! Source: "WebSocket API" (`authentication_challenge`; `connection_id` and `sequence_number` take up a connection).

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::super::reply;
use super::Mattermost;
use super::api::{Api, REFUSED};
use super::event::{self, BotIdentity, Event, Frame};
use super::missed::{self, Missed};
use crate::chat::answer_delivery::{AnswerDelivery, Posted};
use crate::chat::asker::Rejection;
use crate::chat::reconnect::{Backoff, Connection, Disconnect, open_in_time};
use crate::chat::websocket::{self, Link, Pings};
use crate::notifiers::http_request::HttpRequest;
use podbell_core::outbox::Content;
use podbell_core::time::Time;

const BUSY: &str = "too many questions at once: the rest is asked for again";
/// How long an answer is tried.
const POSTS_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Up to where a connection was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The connection.
    pub connection: String,
    /// The number of the next event.
    pub next: i64,
    /// When anything was last received, by podbell's clock.
    pub last_received: Time,
}

/// How long an answer to a command waits for who the bot is.
const LEARNS_WITHIN: Duration = Duration::from_secs(1);

impl Mattermost {
    /// Listens until `stop` is cancelled, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, stop: CancellationToken) {
        let (Some(server), Some(token)) = (self.config.server.clone(), self.config.bot_token.clone()) else { return };
        let pauses = self.config.timing.connection.pauses;
        let bot =
            Bot { chat: self.clone(), api: Arc::new(Api { server, token, client: self.asker.deps.client.clone() }) };
        self.asker.keep_connected("the bot", pauses, &bot, stop).await;
    }
}

impl Mattermost {
    /// Asks who the bot is, if that is not known: a replica that stands by opens no connection, but answers commands, and
    /// a conversation with the bot is recognized by its id. Returns whether it is known since now.
    pub(super) async fn learn_who_it_is(&self) -> bool {
        let (None, Some(server), Some(token)) = (self.me.get(), &self.config.server, &self.config.bot_token) else {
            return false;
        };
        let api = Api { server: server.clone(), token: token.clone(), client: self.asker.deps.client.clone() };
        match timeout(LEARNS_WITHIN, api.me(self.asker.now())).await {
            Ok(Ok(me)) => self.me.set(me.id).is_ok(),
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

struct Bot {
    chat: Arc<Mattermost>,
    api: Arc<Api>,
}

impl Connection for Bot {
    fn run<'a>(&'a self, backoff: &'a mut Backoff, stop: &'a CancellationToken) -> BoxFuture<'a, Disconnect> {
        Box::pin(run_connection(self, backoff, stop))
    }
}

/// Opens a connection and says who podbell is: in the handshake, because only then a connection goes on where another one broke
/// off; and in a frame, in case something in between drops the header. A server that knows podbell already ignores the frame.
async fn open(bot: &Bot) -> Result<(Link, BotIdentity), Disconnect> {
    let me = bot.api.me(bot.chat.asker.now()).await?;
    bot.chat.me.get_or_init(|| me.id.clone());
    let mut url = bot.api.server.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["api", "v4", "websocket"]);
    }
    let position = bot.position();
    if !position.connection.is_empty() {
        url.query_pairs_mut()
            .append_pair("connection_id", &position.connection)
            .append_pair("sequence_number", &position.next.to_string());
    }
    let opened = websocket::open(&bot.api.client, url, Some(&bot.api.token), event::MAX).await;
    let mut socket = opened.map_err(Disconnect::lost)?;
    websocket::send(&mut socket, Message::text(event::challenge(bot.api.token.expose_secret()))).await?;
    Ok((Link::new(socket, Pings::of_the_protocol(bot.chat.config.timing.connection)), me))
}

/// One connection, from its opening to its end.
async fn run_connection(bot: &Bot, backoff: &mut Backoff, stop: &CancellationToken) -> Disconnect {
    let most = bot.chat.config.timing.connection.open;
    let (mut link, me) = match open_in_time(most, stop, "Mattermost does not answer in time", open(bot)).await {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    let end = listen(bot, &mut link, &me, backoff, stop).await;
    link.close().await;
    end
}

async fn listen(
    bot: &Bot,
    link: &mut Link,
    me: &BotIdentity,
    backoff: &mut Backoff,
    stop: &CancellationToken,
) -> Disconnect {
    // A connection that goes on is not greeted.
    let goes_on = !bot.position().connection.is_empty();
    let (mut greeted, mut frames) = (false, 0);
    loop {
        let received = tokio::select! {
            received = link.next() => received,
            () = stop.cancelled() => return Disconnect::Stopped,
        };
        let text = match received {
            Ok(Message::Text(text)) => Some(text),
            Ok(_) => None,
            Err(end) => return end,
        };
        if greeted {
            bot.hears();
        }
        let Some(text) = text else {
            // By the second answer to a ping, a connection that does not go on would have been greeted.
            frames += 1;
            if goes_on && frames > 1 {
                backoff.connected();
            }
            continue;
        };
        match event::read(&text, me) {
            None => bot.chat.asker.complain("a frame is not Mattermost's; it is left alone"),
            Some(Frame::Done) => {}
            Some(Frame::Refused) => return Disconnect::Refused(REFUSED),
            Some(Frame::Event(number, Event::Hello(connection))) => {
                if let Some(last_received) = bot.forgotten(&connection)
                    && let Err(end) = bot.catch_up(me, last_received).await
                {
                    return end;
                }
                backoff.connected();
                bot.greeted(connection, number);
                greeted = true;
            }
            Some(Frame::Event(number, event)) => {
                if bot.next() < number {
                    return Disconnect::lost("an event is missing: it is asked for again");
                }
                backoff.connected();
                greeted = true;
                if let Event::Message(said) = event
                    && let Err(Rejection::Busy | Rejection::Full) = bot.submit(*said)
                {
                    return Disconnect::lost(BUSY);
                }
                bot.passed(number);
            }
        }
    }
}

impl Bot {
    fn position(&self) -> Position {
        self.chat.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// If Mattermost forgot the last connection, or this is the first one: when anything was heard of it.
    fn forgotten(&self, connection: &str) -> Option<Time> {
        let last = self.position();
        (last.connection != connection).then_some(last.last_received)
    }

    /// Takes what was written since then, as far as the channels show it. Until they do, the next connection tries it again, as
    /// long as it would be carried out.
    async fn catch_up(&self, me: &BotIdentity, since: Time) -> Result<(), Disconnect> {
        let now = self.chat.asker.now();
        let missed = match missed::since(&self.api, me, since, now).await {
            Ok(missed) => missed,
            Err(missed::NotShown { .. }) if now.since(since) > missed::STALE => Missed { said: Vec::new(), hidden: 1 },
            Err(missed::NotShown { after }) => {
                let why = "Mattermost does not show what was written meanwhile: it is asked again";
                return Err(Disconnect::Lost { why, after });
            }
        };
        if missed.hidden > 0 {
            self.chat.asker.complain(
                "Mattermost does not show all channels: some of what was written while podbell was not connected is not heard",
            );
        }
        for said in missed.said {
            if let Err(Rejection::Busy | Rejection::Full) = self.submit(said) {
                return Err(Disconnect::lost(BUSY));
            }
        }
        Ok(())
    }

    /// A connection that goes on keeps its id, and its events keep their numbers.
    fn greeted(&self, connection: String, number: i64) {
        let mut position = self.chat.position.lock().unwrap_or_else(PoisonError::into_inner);
        if position.connection != connection {
            *position = Position { connection, next: number.saturating_add(1), last_received: self.chat.asker.now() };
        }
    }

    /// Something was received.
    fn hears(&self) {
        let now = self.chat.asker.now();
        self.chat.position.lock().unwrap_or_else(PoisonError::into_inner).last_received = now;
    }

    /// The number of the next event.
    fn next(&self) -> i64 {
        self.position().next
    }

    /// This event need not come again.
    fn passed(&self, number: i64) {
        let mut position = self.chat.position.lock().unwrap_or_else(PoisonError::into_inner);
        position.next = position.next.max(number.saturating_add(1));
    }

    fn submit(&self, said: event::Received) -> Result<(), Rejection> {
        let taken = self.chat.asker.submit(said.incoming)?;
        if !taken.first {
            return Ok(());
        }
        let (chat, api, permit) = (self.chat.clone(), self.api.clone(), taken.permit);
        let (channel, root, post) = (said.channel, said.root, said.post);
        tokio::spawn(async move {
            let answer = chat.asker.answered(taken.answer).await;
            let body = |content| {
                let mut body = chat.post(&answer, content, &post);
                body["channel_id"] = json!(channel);
                body["root_id"] = json!(root);
                body
            };
            let send = |body: Value| {
                let api = &api;
                let asked = HttpRequest::post(body.to_string(), chat.asker.now()).below(&["api", "v4", "posts"]);
                async move {
                    match api.call(asked).await {
                        Err(outcome) => Posted::from(outcome),
                        Ok(reply) if reply.status == 201 || reply.status == 200 => Posted::Done,
                        Ok(reply) => Posted::from(reply::of_question(&reply)),
                    }
                }
            };
            let delivery = chat.asker.delivery(chat.config.timing.answers.again, POSTS_WITHIN);
            let delivery = AnswerDelivery { rate: Some((&chat.rate, &*channel)), ..delivery };
            delivery.post(body(Content::Full), body(Content::Minimal), send).await;
            drop(permit);
        });
        Ok(())
    }
}
