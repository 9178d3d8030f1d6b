//! Server-sent events that announce changes: the page then fetches itself again. An event carries the number of the
//! newest commit, and nothing of what is in it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::sessions::Hash;

/// The shortest time between two events of one stream.
const PAUSE: Duration = Duration::from_secs(1);
/// How often an idle stream shows that it is alive.
const ALIVE: Duration = Duration::from_secs(15);
/// The data of the event that shows it: browsers drop an event without data.
const ALIVE_SAYS: &str = "alive";
/// How soon a browser reconnects.
const AGAIN: Duration = Duration::from_secs(2);
/// How many streams there are at most: of one visitor, and in all. Far fewer than connections, so that chats and the
/// API always find a free connection.
const MAX_EACH: usize = 8;
const MAX: usize = 64;

/// Places for streams.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<HashMap<Hash, usize>>);

/// A place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    streams: Arc<Streams>,
    of: Hash,
}

impl Streams {
    /// A place for one more stream of a visitor.
    pub(super) fn place(self: &Arc<Self>, of: Hash) -> Option<Permit> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(&of).copied().unwrap_or_default();
        if own >= MAX_EACH || all.values().sum::<usize>() >= MAX {
            return None;
        }
        all.insert(of, own + 1);
        Some(Permit { streams: self.clone(), of })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut all = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                all.remove(&self.of);
            }
        }
    }
}

/// What a stream waits for.
#[derive(Debug)]
pub(crate) struct Waits {
    /// The number of commits.
    pub commits: watch::Receiver<u64>,
    /// Closed when the session ends.
    pub session: Option<watch::Receiver<()>>,
    /// Cancelled when podbell ends.
    pub ending: Option<CancellationToken>,
    /// How long the visitor's access lasts.
    pub lasts: Duration,
    /// The last event id that the browser saw.
    pub last: Option<u64>,
    /// Held as long as the stream.
    pub place: Permit,
}

/// The stream.
pub(crate) fn stream(mut waits: Waits) -> Response {
    let end = Box::pin(tokio::time::sleep(waits.lasts));
    let known = *waits.commits.borrow_and_update();
    // A browser that reconnects after it missed a commit gets an event at once.
    let missed = waits.last.is_some_and(|last| last != known);
    let first = Event::default().retry(AGAIN).id(known.to_string());
    let first =
        if missed { first.event("change").data(known.to_string()) } else { first.event("alive").data(ALIVE_SAYS) };
    let state = (waits, Some(first), end);
    let events = futures_util::stream::unfold(state, |(mut waits, first, mut end)| async move {
        let _held = &waits.place;
        if let Some(first) = first {
            return Some((Ok::<_, Infallible>(first), (waits, None, end)));
        }
        let next = tokio::select! {
            () = over(waits.session.as_mut(), waits.ending.as_ref()) => None,
            () = end.as_mut() => None,
            next = news(&mut waits.commits) => next,
            () = tokio::time::sleep(ALIVE) => Some(None),
        };
        let event = match next? {
            Some(next) => Event::default().event("change").id(next.to_string()).data(next.to_string()),
            // An event, not an SSE comment: the page sees it, and knows that nothing in between holds events back.
            None => Event::default().event("alive").data(ALIVE_SAYS),
        };
        Some((Ok(event), (waits, None, end)))
    });
    // nginx buffers answers unless this header forbids it.
    ([("x-accel-buffering", "no")], Sse::new(events)).into_response()
}

/// Waits for a new commit and returns its number; `None` when there will be none.
async fn news(commits: &mut watch::Receiver<u64>) -> Option<Option<u64>> {
    // Pause first, so that many commits of one moment are one event.
    tokio::time::sleep(PAUSE).await;
    commits.changed().await.ok()?;
    Some(Some(*commits.borrow_and_update()))
}

/// Waits until the session or podbell ends.
async fn over(session: Option<&mut watch::Receiver<()>>, ending: Option<&CancellationToken>) {
    let closed = async {
        match session {
            Some(session) => while session.changed().await.is_ok() {},
            None => std::future::pending().await,
        }
    };
    let ended = async {
        match ending {
            Some(ending) => ending.cancelled().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = closed => {}
        () = ended => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_for_each_visitor_and_in_all_and_places_are_given_back() {
        let streams = Arc::new(Streams::default());
        let mut held: Vec<Permit> = (0..MAX_EACH).map(|_| streams.place([0; 32]).unwrap()).collect();
        assert!(streams.place([0; 32]).is_none());
        held.pop();
        held.push(streams.place([0; 32]).unwrap());
        for n in 1..=255 {
            held.extend(streams.place([n; 32]));
        }
        assert_eq!(held.len(), MAX);
        drop(held);
        assert!(streams.0.lock().unwrap().is_empty());
    }
}
