//! A few readers, shared by everybody who asks: however many ask at once, so many threads read at most,
//! and who waits too long hears so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Reader, Snapshot};
use crate::StoreError;

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadersError {
    /// The store, or those who asked before, took too long.
    #[error("the store took longer than {0:?}")]
    Slow(Duration),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that read ended early.
    #[error("reading the store was interrupted")]
    Interrupted,
}

/// See the module.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Reader>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    /// At most so many readers of a store, opened when they are needed.
    pub fn new(path: PathBuf, most: usize) -> Self {
        Self { path, idle: Arc::default(), free: Arc::new(Semaphore::new(most.max(1))) }
    }

    /// Reads on a thread that may block, all of it at one moment of the store.
    ///
    /// # Errors
    /// When that takes longer than `patience`, or the store cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        patience: Duration,
        read: impl FnOnce(&Snapshot<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadersError> {
        let interrupt = Arc::new(Mutex::new(None));
        let work = async {
            // Never closed.
            let permit = self.free.clone().acquire_owned().await.map_err(|_| ReadersError::Interrupted)?;
            let (path, idle, handle) = (self.path.clone(), self.idle.clone(), interrupt.clone());
            let reading = tokio::task::spawn_blocking(move || {
                // Held until this thread is free again, also when nobody waits for it any more.
                let _permit = permit;
                // One whose files got other names reads what nobody writes any more.
                let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop().filter(Reader::is_in_place);
                let mut reader = kept.map_or_else(|| Reader::open(&path), Ok)?;
                *handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader.interrupt_handle());
                let result = reader.snapshot().and_then(|snapshot| read(&snapshot));
                // From here on it may read for somebody else.
                *handle.lock().unwrap_or_else(PoisonError::into_inner) = None;
                // One that failed is not trusted again.
                if result.is_ok() {
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
                }
                result
            });
            Ok(reading.await.map_err(|_| ReadersError::Interrupted)??)
        };
        match tokio::time::timeout(patience, work).await {
            Ok(result) => result,
            Err(_) => {
                if let Some(handle) = &*interrupt.lock().unwrap_or_else(PoisonError::into_inner) {
                    handle.interrupt();
                }
                Err(ReadersError::Slow(patience))
            }
        }
    }
}
