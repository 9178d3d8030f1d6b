//! A pool of readers that all callers share. At most a fixed number of threads read at once, and a caller that waits
//! too long gets an error.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::{Cancel, Location, Reader, Snapshot, StoreError};

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadersError {
    /// The store, or the callers before this one, took too long.
    #[error("the store took longer than {0:?}")]
    Slow(Duration),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that read ended early.
    #[error("reading the store was interrupted")]
    Interrupted,
}

/// A pool of readers, see the module.
pub struct Readers {
    location: Location,
    idle: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    free: Arc<Semaphore>,
}

/// How far the reading of a snapshot is.
#[derive(Default)]
enum Progress {
    /// It has not begun, or is over.
    #[default]
    Waits,
    /// A query runs, which this cancels.
    Reads(Cancel),
    /// The caller does not wait any more.
    GivenUp,
}

impl Readers {
    /// A pool of at most `most` readers of a store, opened when they are needed.
    pub fn new(location: impl Into<Location>, most: usize) -> Self {
        Self { location: location.into(), idle: Arc::default(), free: Arc::new(Semaphore::new(most.max(1))) }
    }

    /// Reads one snapshot of the store, on a thread that may block.
    ///
    /// # Errors
    /// When that takes longer than `patience`, or the store cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        patience: Duration,
        read: impl FnOnce(&dyn Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ReadersError> {
        let progress: Arc<Mutex<Progress>> = Arc::default();
        let work = async {
            // The semaphore is never closed.
            let permit = self.free.clone().acquire_owned().await.map_err(|_| ReadersError::Interrupted)?;
            let (location, idle, handle) = (self.location.clone(), self.idle.clone(), progress.clone());
            let reading = tokio::task::spawn_blocking(move || {
                // Held until this thread is free again, even if the caller has timed out.
                let _permit = permit;
                let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut reader = kept.filter(|reader| reader.is_current()).map_or_else(|| location.reader(), Ok)?;
                let is_given_up = {
                    let mut progress = handle.lock().unwrap_or_else(PoisonError::into_inner);
                    let is_given_up = matches!(*progress, Progress::GivenUp);
                    *progress = Progress::Reads(reader.canceller());
                    is_given_up
                };
                if is_given_up {
                    // Connecting took all the time: nobody waits for the answer.
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
                    return Ok(None);
                }
                let result = reader.snapshot().and_then(|snapshot| read(&*snapshot));
                // The reader may serve another caller from here on: do not cancel it.
                *handle.lock().unwrap_or_else(PoisonError::into_inner) = Progress::Waits;
                // A reader that failed is not reused.
                if result.is_ok() {
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
                }
                result.map(Some)
            });
            let read: Result<_, StoreError> = reading.await.map_err(|_| ReadersError::Interrupted)?;
            read?.ok_or(ReadersError::Interrupted)
        };
        match tokio::time::timeout(patience, work).await {
            Ok(result) => result,
            Err(_) => {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                if let Progress::Reads(cancel) = &*progress {
                    cancel();
                }
                *progress = Progress::GivenUp;
                Err(ReadersError::Slow(patience))
            }
        }
    }
}
