//! Opens a WebSocket and watches whether it lives. The handshake goes through the shared client, so that the proxy,
//! certificate authorities and time limits of podbell.yaml apply to it. No error names the address, which may be a secret.
//!
//! Source: RFC 6455 section 4.1.

use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::{Digest as _, Sha1};
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

use super::reconnect::{ConnectionTiming, Disconnect};

/// How a connection ended that was closed by the other side, or by something in between.
pub(crate) const BROKE_OFF: Disconnect = Disconnect::Lost { why: "the connection broke off", after: None };
/// Sending one frame may take this long: a connection that takes none is dead.
const SEND: Duration = Duration::from_secs(10);
/// How long the other side may take to close.
const CLOSE: Duration = Duration::from_secs(1);

/// An open connection.
pub(crate) type Socket = WebSocketStream<reqwest::Upgraded>;

/// How it is found out that a connection is dead. One that a router has forgotten looks alive but is silent.
pub(crate) struct Pings {
    /// How often a ping is sent.
    pub every: Duration,
    /// A connection without any frame for this long is dead.
    pub silence: Duration,
    /// Makes a ping: the protocol's own, or one of the platform.
    pub make: Box<dyn FnMut() -> Message + Send>,
}

impl Pings {
    /// Pings of the WebSocket protocol.
    pub(crate) fn of_the_protocol(timing: ConnectionTiming) -> Self {
        let ConnectionTiming { ping, silence, .. } = timing;
        Self { every: ping, silence, make: Box::new(|| Message::Ping(Vec::new().into())) }
    }
}

/// An open connection that is pinged.
pub(crate) struct Link {
    socket: Socket,
    pings: Pings,
    next_ping: Interval,
    silent: Pin<Box<Sleep>>,
}

impl Link {
    /// The first ping is sent with the first call of [`Link::next`].
    pub(crate) fn new(socket: Socket, pings: Pings) -> Self {
        let mut next_ping = interval(pings.every);
        next_ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silent = Box::pin(sleep(pings.silence));
        Self { socket, pings, next_ping, silent }
    }

    /// The next frame, which may be one of the protocol itself. No frame is lost if this is dropped before it is ready.
    ///
    /// # Errors
    /// [`Disconnect::Lost`] when the connection broke off or is silent.
    pub(crate) async fn next(&mut self) -> Result<Message, Disconnect> {
        loop {
            tokio::select! {
                received = self.socket.next() => {
                    self.silent.set(sleep(self.pings.silence));
                    return match received {
                        Some(Ok(Message::Close(_)) | Err(_)) | None => Err(BROKE_OFF),
                        Some(Ok(frame)) => Ok(frame),
                    };
                }
                _ = self.next_ping.tick() => send(&mut self.socket, (self.pings.make)()).await?,
                () = self.silent.as_mut() => return Err(Disconnect::lost("the connection is silent")),
            }
        }
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// [`Disconnect::Lost`] when the connection does not take it.
    pub(crate) async fn send(&mut self, frame: Message) -> Result<(), Disconnect> {
        send(&mut self.socket, frame).await
    }

    /// Closes the connection.
    pub(crate) async fn close(mut self) {
        let _ = timeout(CLOSE, self.socket.close(None)).await;
    }
}

/// Sends one frame.
///
/// # Errors
/// [`Disconnect::Lost`] when the connection does not take it.
pub(crate) async fn send(socket: &mut Socket, frame: Message) -> Result<(), Disconnect> {
    match timeout(SEND, socket.send(frame)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(BROKE_OFF),
    }
}

/// Opens a connection to an http(s) address, whose messages have at most `most` bytes, with a token in the handshake where the
/// platform looks for one there.
///
/// # Errors
/// When it cannot be opened, in words for the log.
pub(crate) async fn open(
    client: &Client,
    url: Url,
    bearer: Option<&SecretString>,
    most: usize,
) -> Result<Socket, &'static str> {
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let request = client.get(url);
    let request = request.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
    let request = request.header("sec-websocket-version", "13").header("sec-websocket-key", &key);
    let request = match bearer {
        Some(token) => request.bearer_auth(token.expose_secret()),
        None => request,
    };
    let response = request.send().await.map_err(|_| "the WebSocket cannot be reached")?;
    let accepted = response.headers().get("sec-websocket-accept").and_then(|value| value.to_str().ok());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || accepted != Some(accept(&key).as_str()) {
        return Err("the WebSocket is not accepted");
    }
    let upgraded = response.upgrade().await.map_err(|_| "the WebSocket broke off")?;
    let limits = WebSocketConfig::default().max_message_size(Some(most)).max_frame_size(Some(most));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await)
}

/// The address of a websocket as an HTTP client takes it; `None` for any other address.
pub(crate) fn http_url(mut websocket: Url) -> Option<Url> {
    let scheme = match websocket.scheme() {
        "wss" => "https",
        "ws" => "http",
        _ => return None,
    };
    websocket.set_scheme(scheme).ok()?;
    Some(websocket)
}

/// What a server answers that understood the handshake.
fn accept(key: &str) -> String {
    let mut sha = Sha1::new();
    sha.update(key);
    sha.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha.finalize())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_handshake_is_answered_as_the_rfc_s_example() {
        assert_eq!(super::accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
