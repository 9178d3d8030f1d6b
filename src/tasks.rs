//! Boxed futures, for code that builds them without knowing who runs them, and how they are told to end.

use std::pin::Pin;

use tokio::sync::watch;

/// A future that a task runs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// A future that borrows from the object that returned it.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A task that serves until the watch turns true.
pub(crate) type SideTask = Box<dyn FnOnce(watch::Receiver<bool>) -> BoxFuture<()> + Send>;

/// Waits until the watch turns true. A dropped sender means the same.
pub(crate) async fn wait_for_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
