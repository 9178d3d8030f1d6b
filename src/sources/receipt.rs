//! What becomes of what a watching source hands in. A poll that could not be stored is read again by itself; what came
//! through a watch would be lost. So each part has a receipt: it takes a share of a bound until the engine is done with
//! it, and tells the source to list everything again when it could not be stored.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Events of one watch that may be on their way at a time.
const IN_HAND: u32 = 4000;

/// The source's side.
#[derive(Clone)]
pub struct Counter {
    room: Arc<Semaphore>,
    lost: Arc<Notify>,
}

/// The engine's side. Dropped when the part is stored.
#[derive(Clone)]
pub struct Receipt {
    lost: Arc<Notify>,
    _share: Option<Arc<OwnedSemaphorePermit>>,
}

impl Default for Counter {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(IN_HAND as usize)), lost: Arc::new(Notify::new()) }
    }
}

impl Counter {
    /// A receipt for so many events, as soon as there is room for them.
    pub async fn receipt(&self, events: usize) -> Option<Receipt> {
        let share = u32::try_from(events).unwrap_or(IN_HAND).clamp(1, IN_HAND);
        let share = self.room.clone().acquire_many_owned(share).await.ok()?;
        Some(Receipt { lost: self.lost.clone(), _share: Some(Arc::new(share)) })
    }

    /// Ready once a part could not be stored.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }
}

impl Receipt {
    /// For what takes no room and is not listed again: what tests and replays hand in.
    pub fn free() -> Self {
        Self { lost: Arc::new(Notify::new()), _share: None }
    }

    /// What it is for was not stored, and nobody else has it.
    pub fn lost(&self) {
        self.lost.notify_one();
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
