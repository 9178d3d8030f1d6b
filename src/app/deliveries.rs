//! Carries out requests, each within the time for which this process certainly owns the store.

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Deliver;
use crate::engine::{EngineEvent, SendJob};
use podbell_core::outbox::Outcome;
use podbell_store::{LeaseEnd, crash_point};

/// A request that may leave.
pub(super) struct Dispatched {
    /// The request.
    pub(super) job: SendJob,
    /// When another replica may own the store and repeat the request: by then, this one must have ended. `None` where
    /// there are no replicas.
    pub(super) until: Option<LeaseEnd>,
}

/// Carries out jobs side by side; how many at once is the outbox's decision.
pub(super) async fn carry_out(
    mut jobs: mpsc::UnboundedReceiver<Dispatched>,
    deliver: Deliver,
    happened: mpsc::Sender<EngineEvent>,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { break };
                let (deliver, happened) = (deliver.clone(), happened.clone());
                running.spawn(async move {
                    let send = job.job.send;
                    crash_point!("send.before");
                    let outcome = in_time(job, &deliver).await;
                    crash_point!("send.after");
                    // Without this engine, the send is repeated by the next one.
                    let _ = happened.send(EngineEvent::Answered(send, outcome)).await;
                });
            }
            Some(ended) = running.join_next() => {
                if let Err(error) = ended {
                    std::panic::resume_unwind(Box::new(error.to_string()));
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn in_time(Dispatched { job, until }: Dispatched, deliver: &Deliver) -> Outcome {
    let Some(until) = until else { return deliver(job).await };
    let left = until.left();
    // Checked first: after a process was frozen, a time limit alone would let the request begin.
    if !left.is_zero()
        && let Ok(outcome) = tokio::time::timeout(left, deliver(job)).await
    {
        return outcome;
    }
    let why = "no answer while this replica certainly owned the store".to_owned();
    Outcome::Unclear { retry_after: None, why }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use podbell_core::outbox::SendId;
    use podbell_store::Lease;

    fn dispatched(until: Option<LeaseEnd>) -> Dispatched {
        let job = SendJob {
            send: SendId(1),
            destination: "ops".into(),
            message_id: "msg_1".to_owned(),
            body: b"body".to_vec(),
        };
        Dispatched { job, until }
    }

    /// Counts the requests that begin, and lets none of them end.
    fn endless(begun: &Arc<AtomicUsize>) -> Deliver {
        let begun = begun.clone();
        Arc::new(move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::pending())
        })
    }

    #[tokio::test]
    async fn a_request_does_not_begin_after_the_lease_and_is_cut_off_at_its_end() {
        let begun = Arc::new(AtomicUsize::new(0));
        let deliver = endless(&begun);
        let lease = |left| Lease { epoch: 1, left }.end();
        let outcome = in_time(dispatched(Some(lease(Duration::ZERO))), &deliver).await;
        assert!(matches!(outcome, Outcome::Unclear { .. }) && begun.load(Ordering::SeqCst) == 0);
        let until = lease(Duration::from_millis(20));
        let outcome = in_time(dispatched(Some(until)), &deliver).await;
        assert!(matches!(outcome, Outcome::Unclear { .. }) && begun.load(Ordering::SeqCst) == 1);
        assert!(until.left().is_zero());
    }
}
