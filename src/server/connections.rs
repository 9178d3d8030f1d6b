//! Accepts connections, bounds their number and the time that a request's head and the reading of an answer may take,
//! and ends them in order. axum's own loop has no such bounds, and anybody can stop a server that waits for ever for
//! half a head.
//!
//! When all places are taken, a silent connection makes room for a new one, so that a health probe finds a place
//! whatever strangers do.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::files;
use super::write_timeout::{TIMEOUT, WriteTimeout};
use crate::guard::{Caller, Peer};

/// How long a request's head may take, and how long a connection may be silent.
const HEAD: Duration = Duration::from_secs(30);
/// How long requests may take to end when podbell does.
const END: Duration = Duration::from_secs(5);

/// An extension of every request: cancelled when podbell ends, so that endless answers can end.
#[derive(Clone, Debug)]
pub(super) struct Ending(pub(super) CancellationToken);

/// What a connection does.
#[derive(Clone, Debug, Default)]
struct Activity(Arc<AtomicU8>);

impl Activity {
    /// It has not asked for anything yet.
    const SILENT: u8 = 0;
    /// Its answer is on its way, or it is idle after one.
    const ANSWERED: u8 = 1;
    /// Its request is worked on.
    const WORKING: u8 = 2;

    fn set(&self, doing: u8) {
        self.0.store(doing, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that is open.
struct Open {
    caller: IpAddr,
    doing: Activity,
    end: AbortHandle,
}

/// All open connections, by age.
struct OpenConnections {
    open: BTreeMap<u64, Open>,
    each: HashMap<IpAddr, usize>,
    next: u64,
    limit: usize,
}

impl OpenConnections {
    fn new(limit: usize) -> Self {
        Self { open: BTreeMap::new(), each: HashMap::new(), next: 0, limit }
    }

    /// Makes room for one more connection of a caller. Returns whether there is room.
    fn make_room(&mut self, caller: IpAddr) -> bool {
        let own = self.each.get(&caller).copied().unwrap_or_default();
        // One caller gets half of the places at most.
        if own >= (self.limit / 2).max(1) {
            return self.push_out(caller);
        }
        if self.open.len() < self.limit {
            return true;
        }
        // Of callers with equally many connections, prefer another than the new one's.
        let greed = |(other, connections): &(&IpAddr, &usize)| (**connections, **other != caller, **other);
        let greediest = self.each.iter().max_by_key(greed).map(|(caller, _)| *caller);
        greediest.is_some_and(|greediest| self.push_out(greediest))
    }

    /// Ends a caller's oldest connection that has not asked for anything, else its oldest that was answered.
    fn push_out(&mut self, caller: IpAddr) -> bool {
        let oldest = |doing: u8| {
            let mut all = self.open.iter().filter(|(_, one)| one.caller == caller && one.doing.get() == doing);
            all.next().map(|(number, _)| *number)
        };
        let Some(number) = oldest(Activity::SILENT).or_else(|| oldest(Activity::ANSWERED)) else { return false };
        if let Some(open) = self.forget(number) {
            open.end.abort();
        }
        true
    }

    fn take(&mut self, caller: IpAddr, doing: Activity, end: AbortHandle) {
        *self.each.entry(caller).or_default() += 1;
        self.open.insert(self.next, Open { caller, doing, end });
        self.next += 1;
    }

    fn forget(&mut self, number: u64) -> Option<Open> {
        let open = self.open.remove(&number)?;
        match self.each.get_mut(&open.caller) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                self.each.remove(&open.caller);
            }
        }
        Some(open)
    }
}

/// Serves until `stopped` is cancelled.
pub(super) async fn serve(listener: TcpListener, routes: Router, stopped: CancellationToken) {
    let mut running = JoinSet::new();
    let mut places = OpenConnections::new(files::most_connections());
    loop {
        tokio::select! {
            () = stopped.cancelled() => break,
            Some(ended) = running.join_next() => match ended {
                Ok(number) => drop(places.forget(number)),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // It was aborted to make room.
                Err(_) => {}
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    // An aborted connection holds its file until its task has ended.
                    while running.len() > places.open.len() {
                        match running.join_next().await {
                            Some(Ok(number)) => drop(places.forget(number)),
                            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                            _ => {}
                        }
                    }
                    let peer = Peer(address.ip().to_canonical());
                    let caller = Caller::of(address.ip());
                    // Without room, close without an answer: such a caller would not read it.
                    if places.make_room(caller.0) {
                        let (doing, number) = (Activity::default(), places.next);
                        let serving = connection(stream, (caller, peer), doing.clone(), routes.clone(), stopped.clone());
                        let end = running.spawn(async move { serving.await; number });
                        places.take(caller.0, doing, end);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    // Out of files, for example: this may pass in a moment.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    while running.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    (caller, peer): (Caller, Peer),
    doing: Activity,
    routes: Router,
    stopped: CancellationToken,
) {
    // Answers are small: waiting for more data would only delay them.
    let _ = stream.set_nodelay(true);
    let ending = Ending(stopped.clone());
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(ending.clone());
        doing.set(Activity::WORKING);
        let (answer, doing) = (routes.call(request), doing.clone());
        async move {
            let answer = answer.await;
            doing.set(Activity::ANSWERED);
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
    let mut serving = pin!(http.serve_connection(TokioIo::new(WriteTimeout::new(stream, TIMEOUT)), service));
    tokio::select! {
        // Not an error: the other side may end a connection at any time.
        _ = serving.as_mut() => return,
        () = stopped.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(END, serving).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_finds_a_place_and_the_greediest_silent_caller_makes_it() {
        let callers: [IpAddr; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse().unwrap());
        let mut places = OpenConnections::new(8);
        let mut tasks = JoinSet::new();
        let mut come = |places: &mut OpenConnections, caller: usize, doing: u8| {
            let room = places.make_room(callers[caller]);
            if room {
                let one = Activity::default();
                one.set(doing);
                places.take(callers[caller], one, tasks.spawn(std::future::pending::<()>()));
            }
            room
        };
        for caller in [0, 1, 0, 1, 0, 1, 0, 1] {
            assert!(come(&mut places, caller, Activity::SILENT));
        }
        for _ in 0..20 {
            assert!(come(&mut places, 2, Activity::SILENT), "somebody else finds a place");
        }
        assert_eq!((places.open.len(), places.each[&callers[2]]), (8, 4));
        let mut working = OpenConnections::new(4);
        assert!(come(&mut working, 0, Activity::WORKING) && come(&mut working, 0, Activity::ANSWERED));
        assert!(come(&mut working, 0, Activity::WORKING), "what was answered makes room");
        assert!(!come(&mut working, 0, Activity::WORKING), "what is worked on does not");
        assert!(come(&mut working, 1, Activity::SILENT));
        assert!(places.forget(u64::MAX).is_none());
    }
}
