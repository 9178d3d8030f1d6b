//! Stream mode: podbell opens the connection, so that DingTalk need not reach it.
//!
//! A message is acknowledged when podbell has taken it. What is not acknowledged, because the connection broke or there is no place,
//! comes again; what comes twice is remembered. When DingTalk announces the end of a connection, the next one is opened first.
//!
//! Source: "Stream mode: protocol" (a ticket works once, for 90 s).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::{api, app, classify, markdown};
use super::DingTalk;
use super::frame::{self, Address, Frame};
use crate::chat::answer_delivery::{AnswerDelivery, Posted};
use crate::chat::asker::{ChatAnswer, Rejection, Submitted};
use crate::chat::reconnect::{Backoff, Connection, Disconnect, open_in_time};
use crate::chat::websocket::{self, Link, Pings};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::redact::Redactor;
use podbell_core::outbox::{Content, Outcome};

/// How long an answer is tried.
const POSTS_WITHIN: Duration = Duration::from_secs(10 * 60);

#[derive(Deserialize)]
struct Ticket {
    endpoint: String,
    ticket: String,
}

/// Where an answer goes.
struct AnswerTarget {
    address: Address,
    /// The conversation whose pace holds.
    conversation: String,
}

impl DingTalk {
    /// Listens until `stop` is cancelled, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, stop: CancellationToken) {
        self.asker.keep_connected("Stream mode", self.timing.connection.pauses, &self, stop).await;
    }

    /// Opens a connection: a ticket, then the WebSocket.
    async fn open(&self) -> Result<Link, Disconnect> {
        let topics = [frame::MESSAGES, frame::PRESSES].map(|topic| json!({"type": "CALLBACK", "topic": topic}));
        let asked = json!({
            "clientId": self.api.key,
            "clientSecret": self.api.secret.expose_secret(),
            "subscriptions": topics,
            "ua": concat!("podbell/", env!("CARGO_PKG_VERSION")),
        });
        let asked = HttpRequest::post(asked.to_string(), self.asker.now())
            .header("accept", "application/json".to_owned())
            .below(&["v1.0", "gateway", "connections", "open"]);
        let client = &self.asker.deps.client;
        let reply = self.api.ask(client, asked).await.map_err(|_| Disconnect::lost("DingTalk cannot be reached"))?;
        if reply.status != 200 {
            let refused = "DingTalk refuses the application: check `app_key` and `app_secret`";
            return Err(Disconnect::of(&api::of_credentials(&reply), refused, "DingTalk answers with an error"));
        }
        let Ok(Ticket { endpoint, ticket }) = serde_json::from_str(&reply.body) else {
            return Err(Disconnect::lost("an answer that is not DingTalk's"));
        };
        let mut url =
            self.stream_url(&endpoint).ok_or(Disconnect::lost("DingTalk names an address that is not its own"))?;
        url.query_pairs_mut().append_pair("ticket", &ticket);
        let socket = websocket::open(client, url, None, frame::MAX).await.map_err(Disconnect::lost)?;
        Ok(Link::new(socket, Pings::of_the_protocol(self.timing.connection)))
    }

    /// The address of a stream, as HTTP names it.
    fn stream_url(&self, endpoint: &str) -> Option<Url> {
        let url = websocket::http_url(Url::parse(endpoint).ok()?)?;
        self.is_own(&url).then_some(url)
    }

    /// Whether an address is DingTalk's: of its domain, or where podbell.yaml says that its API is.
    fn is_own(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let is_of = |domain: &str| host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let is_public = url.scheme() == "https" && (is_of("dingtalk.com") || is_of("dingtalk.io"));
        is_public || url.scheme() == self.api.url.scheme() && url.host_str() == self.api.url.host_str()
    }

    /// Takes a message. Returns whether it is to be acknowledged.
    fn take(self: &Arc<Self>, said: frame::Received) -> bool {
        if matches!(&said.to, Address::Session(webhook, _) if !self.is_own(webhook)) {
            self.asker.complain("a message wants its answer at an address that is not DingTalk's; it is left alone");
            return true;
        }
        let to = AnswerTarget { address: said.to, conversation: said.incoming.conversation() };
        if said.incoming.channel != crate::chat::access::DIRECT {
            self.name(&said.incoming.channel);
        }
        match self.asker.submit_written(said.incoming, said.at, self.timing.stale) {
            Ok(taken) if taken.first => self.answer_later(taken, to),
            Ok(_) => {}
            Err(Rejection::Stranger) => {
                self.asker.complain("somebody of a company that is not allowed is not answered")
            }
            Err(Rejection::Busy | Rejection::Full) => {
                self.asker.complain("too many questions at once: some are left for DingTalk to send again");
                return false;
            }
        }
        true
    }

    fn answer_later(self: &Arc<Self>, taken: Submitted, to: AnswerTarget) {
        let chat = self.clone();
        tokio::spawn(async move {
            let said = chat.asker.answered(taken.answer).await;
            chat.post_answer(&said, &to).await;
            drop(taken.permit);
        });
    }

    /// Posts an answer until it is taken: to the address of its message, as long as that takes one, or in the group.
    async fn post_answer(&self, said: &ChatAnswer, to: &AnswerTarget) {
        let (within, rate) = match to.address {
            Address::Session(_, until) => (POSTS_WITHIN.min(until.since(self.asker.now())), &self.rate),
            Address::Group { .. } => (POSTS_WITHIN, &self.press_rate),
        };
        let delivery = self.asker.delivery(self.timing.answers.again, within);
        let delivery = AnswerDelivery { rate: Some((rate, &*to.conversation)), ..delivery };
        let body = |content| self.body(said, &to.address, content);
        let send = |body: Value| async move {
            let outcome = match &to.address {
                Address::Session(webhook, _) => self.answer_at(webhook, &body).await,
                Address::Group { .. } => self.write(&body).await,
            };
            Posted::from(outcome)
        };
        delivery.post(body(Content::Full), body(Content::Minimal), send).await;
    }

    /// The body of the request that posts it to this address.
    fn body(&self, said: &ChatAnswer, address: &Address, content: Content) -> Value {
        let language = self.asker.settings.language;
        match (said, address) {
            (ChatAnswer::Notice(own), Address::Session(..)) => {
                json!({"msgtype": "text", "text": {"content": own.say(language)}})
            }
            (ChatAnswer::Reply(reply), Address::Session(..)) => markdown::body(&reply.message, content, &[]),
            (said, Address::Group { robot, conversation }) => {
                let mut body = match said {
                    ChatAnswer::Notice(own) => markdown::plain_template(own.say(language)),
                    ChatAnswer::Reply(reply) => markdown::template(&reply.message, content),
                };
                (body["robotCode"], body["openConversationId"]) = (json!(robot), json!(conversation));
                body
            }
        }
    }

    async fn answer_at(&self, webhook: &Url, body: &Value) -> Outcome {
        let redactor = Redactor::new(webhook.as_str(), &[], &["robot", "sendBySession"]);
        let asked = HttpRequest::post(body.to_string(), self.asker.now());
        asked
            .send(&self.asker.deps.client, webhook, &redactor)
            .await
            .map_or_else(|outcome| outcome, |reply| classify(&reply))
    }

    async fn write(&self, body: &Value) -> Outcome {
        let (client, now) = (&self.asker.deps.client, self.asker.now());
        let request = HttpRequest::post(body.to_string(), now).below(&app::SEND);
        self.api.call(client, request).await.map_or_else(|outcome| outcome, |reply| api::of_message(&reply))
    }
}

impl Connection for Arc<DingTalk> {
    fn run<'a>(&'a self, backoff: &'a mut Backoff, stop: &'a CancellationToken) -> BoxFuture<'a, Disconnect> {
        Box::pin(async move {
            // The connection that ends, until the next one is there.
            let mut before: Option<Link> = None;
            loop {
                let opened = self.asker.now();
                let late = "DingTalk does not answer in time";
                let link = open_in_time(self.timing.connection.open, stop, late, self.open()).await;
                if let Some(before) = before.take() {
                    before.close().await;
                }
                let mut link = match link {
                    Ok(link) => link,
                    Err(end) => return end,
                };
                backoff.connected();
                match listen(self, &mut link, stop).await {
                    Err(end) => {
                        link.close().await;
                        return end;
                    }
                    // At most one connection in this time, even if DingTalk ends each of them at once.
                    Ok(()) => {
                        let lasted = self.asker.now().since(opened);
                        before = Some(link);
                        tokio::select! {
                            () = stop.cancelled() => return Disconnect::Stopped,
                            () = sleep(self.timing.connection.pauses.first.saturating_sub(lasted)) => {}
                        }
                    }
                }
            }
        })
    }
}

/// Listens until DingTalk announces the connection's end.
///
/// # Errors
/// Why it ended before.
async fn listen(chat: &Arc<DingTalk>, link: &mut Link, stop: &CancellationToken) -> Result<(), Disconnect> {
    loop {
        let received = tokio::select! {
            received = link.next() => received,
            () = stop.cancelled() => return Err(Disconnect::Stopped),
        };
        let text = match received {
            Ok(Message::Text(text)) => text,
            Ok(_) => continue,
            Err(end) => return Err(end),
        };
        let answer = match frame::read(&text) {
            None => {
                chat.asker.complain("a frame is not DingTalk's; it is left alone");
                None
            }
            Some(Frame::Disconnect) => return Ok(()),
            Some(Frame::Ping(answer) | Frame::Other(answer)) => Some(answer),
            Some(Frame::Message { ack, said }) => said.is_none_or(|said| chat.take(*said)).then_some(ack),
            Some(Frame::Unread(answer)) => {
                chat.asker.complain("a press of a button that is not podbell's, or not in a group, is left alone");
                Some(answer)
            }
            Some(Frame::Ignored) => None,
        };
        if let Some(answer) = answer {
            link.send(Message::text(answer)).await?;
        }
    }
}
