//! Receipts for what a watching source hands in. A poll that could not be stored is read again anyway; changes from
//! a watch would be lost. So each part has a receipt: it takes a share of a bound until the engine is done with the
//! part, and makes the source list everything again if the part could not be stored.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Events of one watch that may be in flight at a time.
const IN_HAND: u32 = 4000;

/// The source's side.
#[derive(Clone)]
pub struct Counter {
    room: Arc<Semaphore>,
    losses: Arc<Losses>,
}

/// How often something could not be stored.
#[derive(Default)]
struct Losses {
    count: AtomicU64,
    heard: Notify,
}

/// The engine's side. Dropped when the part is stored.
#[derive(Clone)]
pub struct Receipt {
    losses: Arc<Losses>,
    /// How many losses there were when it was made.
    before: u64,
    _share: Option<Arc<OwnedSemaphorePermit>>,
}

impl Default for Counter {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(IN_HAND as usize)), losses: Arc::default() }
    }
}

impl Counter {
    /// A receipt for this many events, once there is room for them.
    pub async fn receipt(&self, events: usize) -> Option<Receipt> {
        let share = u32::try_from(events).unwrap_or(IN_HAND).clamp(1, IN_HAND);
        let share = self.room.clone().acquire_many_owned(share).await.ok()?;
        Some(Receipt { _share: Some(Arc::new(share)), ..self.mark() })
    }

    /// A receipt for something that takes no room.
    pub fn mark(&self) -> Receipt {
        let before = self.losses.count.load(Ordering::SeqCst);
        Receipt { losses: self.losses.clone(), before, _share: None }
    }

    /// Resolves once a part could not be stored.
    pub async fn lost(&self) {
        self.losses.heard.notified().await;
    }
}

impl Receipt {
    /// A receipt that takes no room and makes no source list again: for tests and replays.
    pub fn free() -> Self {
        Counter::default().mark()
    }

    /// Reports that its part was not stored, and that nobody else holds it.
    pub fn lost(&self) {
        self.losses.count.fetch_add(1, Ordering::SeqCst);
        self.losses.heard.notify_one();
    }

    /// Whether an earlier part was lost. Then this part is not the whole any more; the list that makes up for the
    /// loss contains it again.
    pub(crate) fn is_stale(&self) -> bool {
        self.before != self.losses.count.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
