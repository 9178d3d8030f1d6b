//! Runs the calls of a connection on threads that block: the store's interface is blocking, and the client of
//! PostgreSQL is not.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::moment::Moment;

/// The runtime on which the connections of this process read and write. Callers wait on their own threads.
pub(super) fn runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build()
    });
    made.as_ref().map_err(|error| std::io::Error::new(error.kind(), error.to_string()))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread, at most for `limit`; `None`: the time is up. Unlike tokio's own, this may be called
/// where a runtime runs, too. The thread measures its time itself: a timer of the runtime would wake the thread that reads
/// the connections twice for each wait, and end up to a millisecond late.
pub(super) fn wait<T>(limit: Duration, future: impl Future<Output = T>) -> std::io::Result<Option<T>> {
    let _entered = runtime()?.enter();
    let start = Moment::now();
    // Without tokio's budget, because no task of tokio polls this.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Ok(Some(done));
        }
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::park_timeout(left);
    }
}
