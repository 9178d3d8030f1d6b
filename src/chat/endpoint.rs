//! What every endpoint that a platform calls shares: its path, its headers, and an answer in time.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::adapter_notice::AdapterNotice;
use super::asker::{Asker, ChatAnswer, Incoming, Rejection};
use crate::examine::{Finding, Group};
use crate::guard::Refused;

/// A name as it stands in a path.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The path of a chat: `/PLATFORM/NAME`.
pub(crate) fn path(platform: &str, name: &str) -> String {
    format!("/{platform}/{}", utf8_percent_encode(name, IN_PATH))
}

/// A finding for a chat that its platform calls: the platform must reach podbell at its path.
pub(crate) fn examine(name: &str, platform: &str, folder: &str, public_url: Option<&Url>) -> Finding {
    let path = path(folder, name);
    match public_url {
        Some(url) => {
            let url = url.as_str().trim_end_matches('/');
            Finding::ok(Group::Chats, name, format!("{platform} must reach {url}{path}"))
        }
        None => Finding::warn(
            Group::Chats,
            name,
            format!("{platform} calls {path}, and `server.public_url` does not say where that is"),
            format!("put the address at which {platform} reaches podbell into `server.public_url`"),
        ),
    }
}

/// A body of another type than the platform's.
pub(crate) fn wrong_type() -> Refused {
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body of another type")
}

/// A body that is not the platform's though it is proved.
pub(crate) fn malformed() -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "a proved body that cannot be read")
}

/// An answer of JSON, as the platforms want it: with its charset.
pub(crate) struct Json(pub serde_json::Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], self.0.to_string()).into_response()
    }
}

/// What podbell says to it, if that is ready in time. It is carried out in any case.
///
/// # Errors
/// When it is a stranger's, or nothing more can be remembered.
pub(crate) async fn ask(asker: &Arc<Asker>, incoming: Incoming, within: Duration) -> Result<Arc<ChatAnswer>, Refused> {
    match asker.submit(incoming) {
        Ok(taken) => {
            let waited = tokio::time::timeout(within, asker.answered(taken.answer)).await;
            Ok(waited.unwrap_or_else(|_| Arc::new(ChatAnswer::Notice(AdapterNotice::Slow))))
        }
        Err(Rejection::Busy) => Ok(Arc::new(ChatAnswer::Notice(AdapterNotice::Busy))),
        Err(refused) => Err(refused.into()),
    }
}

impl From<Rejection> for Refused {
    fn from(refused: Rejection) -> Self {
        match refused {
            Rejection::Stranger => Self::new(StatusCode::FORBIDDEN, "a team that is not allowed"),
            Rejection::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many questions at once"),
            Rejection::Full => Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many messages to remember"),
        }
    }
}
