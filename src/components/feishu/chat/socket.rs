//! The long connection: podbell asks for its address and opens it, so that the platform need not reach podbell.
//!
//! Source: the vendor's clients (`POST /callback/ws/endpoint`; pings; each request is answered within 3 s).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::super::api::{code, refused_code};
use super::Feishu;
use super::answer;
use super::event::{self, Event};
use super::frame::{self, Frame, Pieces};
use crate::chat::asker::{FINISH_WITHIN, Rejection};
use crate::chat::reconnect::{Backoff, Connection, Disconnect, open_in_time};
use crate::chat::websocket::{self, Link, Pings};
use crate::notifiers::http_request::HttpRequest;
use crate::notifiers::reply::Reply;
use podbell_core::outbox::Outcome;

const REFUSED: &str =
    "the app is refused: check `app_id`, `app_secret` and `api`, and that the app is published with a bot";

impl Feishu {
    /// Listens until `stop` is cancelled, then finishes what is in hand.
    pub async fn connect(self: Arc<Self>, stop: CancellationToken) {
        self.asker.keep_connected("the app", self.timing.connection.pauses, &self, stop).await;
    }

    /// Asks who the bot is.
    pub(super) async fn me(&self) -> Result<String, Disconnect> {
        let now = self.asker.now();
        let asked = HttpRequest::get(now).below(&["open-apis", "bot", "v3", "info"]);
        let reply = self.api.call(&self.asker.deps.client, asked).await.map_err(|outcome| ended(&outcome))?;
        let known: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        match (code(&reply), known["bot"]["open_id"].as_str()) {
            (Some(0), Some(id)) => Ok(id.to_owned()),
            (Some(0), None) => Err(Disconnect::lost("an answer that does not name the bot")),
            _ => Err(ended(&refused_code(&reply))),
        }
    }

    /// Asks where to connect.
    async fn endpoint(&self) -> Result<Endpoint, Disconnect> {
        let (app, secret) = (&self.api.app, self.api.secret.expose_secret());
        let body = json!({"AppID": app, "AppSecret": secret}).to_string().into_bytes();
        let asked = HttpRequest::post(body, self.asker.now()).below(&["callback", "ws", "endpoint"]);
        let reply = self.api.ask(&self.asker.deps.client, asked).await.map_err(|outcome| ended(&outcome))?;
        match code(&reply) {
            Some(0) => Endpoint::read(&reply, &self.api.url)
                .ok_or(Disconnect::lost("an answer without an address to connect to")),
            Some(403 | 514 | 1_000_040_344) => Err(Disconnect::Refused(REFUSED)),
            Some(1_000_040_350) => Err(Disconnect::Displaced("the app has as many connections as it may have")),
            _ => Err(Disconnect::Lost { why: "no address to connect to is given out", after: reply.retry_after }),
        }
    }
}

/// What the failure of a request says of a connection.
fn ended(outcome: &Outcome) -> Disconnect {
    Disconnect::of(outcome, REFUSED, "the API cannot be reached, or answers with an error")
}

/// Where to connect.
struct Endpoint {
    url: Url,
    /// Frames of podbell's own carry it.
    service: i32,
    /// How often the platform wants to be asked whether it lives.
    ping: Option<Duration>,
}

#[derive(Deserialize)]
struct EndpointReply {
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(rename = "URL")]
    url: String,
    client_config: Option<ClientConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClientConfig {
    /// In seconds.
    ping_interval: Option<u64>,
}

impl Endpoint {
    fn read(reply: &Reply, api: &Url) -> Option<Self> {
        let EndpointReply { data } = serde_json::from_str(&reply.body).ok()?;
        let url = websocket::http_url(Url::parse(&data.url).ok()?)?;
        // Without TLS only if the operator configured the API without it, too.
        if url.scheme() == "http" && api.scheme() != "http" {
            return None;
        }
        let service = url.query_pairs().find(|(key, _)| key == "service_id")?.1.parse().ok()?;
        let ping = data.client_config.and_then(|config| config.ping_interval).filter(|seconds| *seconds > 0);
        Some(Self { url, service, ping: ping.map(Duration::from_secs) })
    }
}

impl Connection for Arc<Feishu> {
    fn run<'a>(&'a self, backoff: &'a mut Backoff, stop: &'a CancellationToken) -> BoxFuture<'a, Disconnect> {
        Box::pin(run_connection(self, backoff, stop))
    }
}

/// An open connection.
struct Opened {
    link: Link,
    /// The bot's open_id.
    me: String,
}

async fn open(chat: &Feishu) -> Result<Opened, Disconnect> {
    let me = chat.me().await?;
    let Endpoint { url, service, ping } = chat.endpoint().await?;
    let socket = websocket::open(&chat.asker.deps.client, url, None, frame::MAX).await.map_err(Disconnect::lost)?;
    let timing = chat.timing.connection;
    let pings = Pings {
        every: ping.map_or(timing.ping, |ping| ping.min(timing.ping)),
        silence: timing.silence,
        make: Box::new(move || Message::binary(Frame::ping(service))),
    };
    Ok(Opened { link: Link::new(socket, pings), me })
}

/// One connection, from its opening to its end.
async fn run_connection(chat: &Arc<Feishu>, backoff: &mut Backoff, stop: &CancellationToken) -> Disconnect {
    let opened = open_in_time(chat.timing.connection.open, stop, "there is no answer in time", open(chat)).await;
    let mut connection = match opened {
        Ok(opened) => opened,
        Err(end) => return end,
    };
    let (answers, mut answered) = mpsc::unbounded_channel();
    let end = listen(chat, &mut connection, answers, &mut answered, backoff, stop).await;
    if end == Disconnect::Stopped {
        // Send the answers that are ready: Feishu would send an unanswered request again, and a restarted podbell does
        // not know that it carried the request out.
        let rest = async {
            while let Some(frame) = answered.recv().await {
                if connection.link.send(Message::binary(frame)).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(FINISH_WITHIN, rest).await;
    }
    connection.link.close().await;
    end
}

async fn listen(
    chat: &Arc<Feishu>,
    connection: &mut Opened,
    answers: mpsc::UnboundedSender<Vec<u8>>,
    answered: &mut mpsc::UnboundedReceiver<Vec<u8>>,
    backoff: &mut Backoff,
    stop: &CancellationToken,
) -> Disconnect {
    let Opened { link, me } = connection;
    let mut pieces = Pieces::default();
    let mut is_taken = false;
    loop {
        let received = tokio::select! {
            received = link.next() => received,
            // `answers` is kept, so there is always a sender.
            Some(frame) = answered.recv() => match link.send(Message::binary(frame)).await {
                Ok(()) => continue,
                Err(end) => return end,
            },
            () = stop.cancelled() => return Disconnect::Stopped,
        };
        let frame = match received {
            Ok(Message::Binary(bytes)) => match Frame::read(&bytes) {
                Some(frame) => frame,
                None => {
                    chat.asker.complain("a frame cannot be read; it is left alone");
                    continue;
                }
            },
            Ok(_) => continue,
            Err(end) => return end,
        };
        // The first frame is the answer to the first ping, or a request.
        if !std::mem::replace(&mut is_taken, true) {
            backoff.connected();
        }
        if frame.is_request() {
            request(chat, frame, &mut pieces, me, &answers);
        }
    }
}

/// Carries out a request, once all of it is there. The answer goes to `answers`.
fn request(
    chat: &Arc<Feishu>,
    mut frame: Frame,
    pieces: &mut Pieces,
    me: &str,
    answers: &mpsc::UnboundedSender<Vec<u8>>,
) {
    let Some(payload) = pieces.add(&mut frame, chat.asker.now()) else { return };
    // If the connection is gone, Feishu sends what was not answered again.
    let done = |frame: Frame, status| drop(answers.send(frame.answer(status, None)));
    let said = match event::read(&payload, me) {
        Some(Event::Message(said)) => *said,
        Some(Event::Other) => return done(frame, 200),
        None => {
            chat.asker.complain("a request cannot be read; it is left alone");
            return done(frame, 200);
        }
    };
    let answering = match answer::submit(chat, said) {
        Ok(answering) => answering,
        // After a 503, Feishu sends the request again.
        Err(Rejection::Busy | Rejection::Full) => return done(frame, 503),
        Err(Rejection::Stranger) => return done(frame, 200),
    };
    let (chat, answers) = (chat.clone(), answers.clone());
    tokio::spawn(async move {
        let toast = answering.ready(&chat).await;
        let _ = answers.send(frame.answer(200, toast.as_ref()));
        drop(answers);
        if answering.taken.first {
            answering.follow(chat).await;
        }
    });
}
