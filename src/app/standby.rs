//! Standing by: asks for the store until this replica owns it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::health::HealthStatus;
use podbell_core::backoff::jittered;
use podbell_store::{ClaimOutcome, ErrorKind, Holder, Location, StoreError, Writer};

/// How often the store is asked for, at most: each wait is between a half and the whole of it, so that replicas that
/// started together do not ask together.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Asks until this replica owns the store; `None` when it is told to stop before.
///
/// # Errors
/// When the store is damaged or was replaced.
pub(super) async fn claim(
    location: &Location,
    replica: &str,
    health: &HealthStatus,
    stopped: CancellationToken,
) -> Result<Option<Box<dyn Writer>>, StoreError> {
    let mut logged = LastLogged::default();
    let mut candidate = location.candidate(replica);
    loop {
        // Never cancel the attempt: a lease that it won would keep other replicas out until the lease expires.
        let attempt = tokio::task::spawn_blocking(move || {
            let claimed = candidate.claim(clock::now());
            (candidate, claimed)
        });
        let (asked, attempt) = match attempt.await {
            Ok((asked, claimed)) => (asked, Ok(claimed)),
            Err(panicked) => (location.candidate(replica), Err(panicked)),
        };
        candidate = asked;
        match attempt {
            Ok(Ok(ClaimOutcome::Active(writer))) if stopped.is_cancelled() => {
                release(writer).await;
                return Ok(None);
            }
            Ok(Ok(ClaimOutcome::Active(writer))) => return Ok(Some(writer)),
            Ok(Ok(ClaimOutcome::Standby(holder))) => {
                logged.holder(&holder);
                health.set_standby(Some(holder));
            }
            Ok(Err(error)) if error.is_final() => return Err(error),
            Ok(Err(error)) => {
                logged.error(&error);
                health.set_standby(None);
            }
            // It panicked, which was printed; the next attempt may not.
            Err(_) => health.set_standby(None),
        }
        let wait = jittered(ASK_EVERY, rand::random());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped.cancelled() => return Ok(None),
        }
    }
}

/// Gives the store back to the others.
async fn release(mut writer: Box<dyn Writer>) {
    let released = tokio::task::spawn_blocking(move || writer.release()).await;
    if let Ok(Err(error)) = released {
        tracing::warn!(%error, "the store could not be given up; another replica takes it over when the lease ends");
    }
}

/// What the log was told last, so that each thing is said once.
#[derive(Default)]
struct LastLogged {
    epoch: Option<u64>,
    error: Option<ErrorKind>,
}

impl LastLogged {
    fn holder(&mut self, holder: &Holder) {
        if self.error.take().is_some() || self.epoch != Some(holder.epoch) {
            tracing::info!(active = holder.replica, epoch = holder.epoch, "standing by");
        }
        self.epoch = Some(holder.epoch);
    }

    fn error(&mut self, error: &StoreError) {
        if self.error.replace(error.kind()) == Some(error.kind()) {
            return;
        }
        match error.kind() {
            ErrorKind::Newer => tracing::error!(
                %error,
                "this replica does not take over, because a newer podbell wrote the store: replace it by that version"
            ),
            _ => tracing::error!(%error, "the store cannot be asked for; trying again every second"),
        }
    }
}
