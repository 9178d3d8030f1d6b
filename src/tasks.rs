//! Tasks that run beside the engine, for code that makes them without knowing who runs them.

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// A task that serves until the token is cancelled.
pub(crate) type SideTask = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;
