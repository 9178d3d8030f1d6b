//! Opens a WebSocket. The handshake goes through the shared client, so that the proxy, certificate authorities and
//! time limits of podbell.yaml apply to it. No error names the address, which may be a secret.
//!
//! Source: RFC 6455 section 4.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::{Digest as _, Sha1};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use url::Url;

/// An open connection.
pub(crate) type Socket = WebSocketStream<reqwest::Upgraded>;

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
