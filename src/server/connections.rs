//! Connections: accepted, bounded in number and in the time that a request's head may take, ended in
//! order. axum's own loop knows no such bounds, and a server that waits for ever for half a head is
//! one that anybody can stop.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::limits::Caller;

/// How long a head may take, and how long a connection may say nothing.
const HEAD: Duration = Duration::from_secs(30);
/// How many connections are open at the same time.
const MOST: usize = 1024;
/// How many of one caller: probes of health always find a place.
const MOST_EACH: usize = 512;
/// How long requests may take to end when podbell does.
const END: Duration = Duration::from_secs(5);

/// Of every request: turns true when podbell ends, so that answers without an end find one.
#[derive(Clone, Debug)]
pub(super) struct Ending(pub(super) watch::Receiver<bool>);

/// Serves until the watch turns true.
pub(super) async fn serve(listener: TcpListener, routes: Router, stopped: watch::Receiver<bool>) {
    let mut ending = stopped.clone();
    let mut running = JoinSet::new();
    let mut open: HashMap<IpAddr, usize> = HashMap::new();
    loop {
        tokio::select! {
            () = told(&mut ending) => break,
            Some(ended) = running.join_next() => match ended {
                Ok(caller) => forget(&mut open, caller),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => {}
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    let caller = Caller::of(address.ip());
                    let own = open.entry(caller.0).or_default();
                    // Closed without a word: whoever does this reads none.
                    if running.len() < MOST && *own < MOST_EACH {
                        *own += 1;
                        running.spawn(connection(stream, caller, routes.clone(), stopped.clone()));
                    } else if *own == 0 {
                        open.remove(&caller.0);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    // Out of files, say: it may be better in a moment.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    while running.join_next().await.is_some() {}
}

/// Until podbell ends. A sender that is gone means the same.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn forget(open: &mut HashMap<IpAddr, usize>, caller: Caller) {
    match open.get_mut(&caller.0) {
        Some(count) if *count > 1 => *count -= 1,
        _ => {
            open.remove(&caller.0);
        }
    }
}

async fn connection(stream: TcpStream, caller: Caller, routes: Router, mut stopped: watch::Receiver<bool>) -> Caller {
    // Answers are small; waiting for more of them would only be late.
    let _ = stream.set_nodelay(true);
    let ending = Ending(stopped.clone());
    let routes = TowerToHyperService::new(routes);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(ending.clone());
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 * 1024);
    let mut serving = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What ends a connection early is the other side's business.
        _ = serving.as_mut() => return caller,
        () = told(&mut stopped) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(END, serving).await;
    caller
}
