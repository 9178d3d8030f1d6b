//! Carries out requests, each within the time for which this process certainly owns the store.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Deliver;
use crate::engine::{EngineEvent, SendJob};
use podbell_core::outbox::Outcome;
use podbell_store::{LeaseEnd, crash_point};

/// The deadline of requests in flight: after it another replica may own the store and repeat them. Each renewal of the lease
/// moves it. `None` where there are no replicas.
pub(super) type LeaseDeadline = watch::Receiver<Option<LeaseEnd>>;

/// How often a request that takes long looks whether this process still owns the store.
const LOOK: Duration = Duration::from_millis(500);

/// Carries out jobs side by side; how many at once is the outbox's decision.
pub(super) async fn carry_out(
    mut jobs: mpsc::UnboundedReceiver<SendJob>,
    deliver: Deliver,
    events: mpsc::Sender<EngineEvent>,
    until: LeaseDeadline,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => {
                let Some(job) = job else { break };
                let (deliver, events, until) = (deliver.clone(), events.clone(), until.clone());
                running.spawn(async move {
                    let send = job.send;
                    crash_point!("send.before");
                    let outcome = in_time(job, &deliver, &until).await;
                    crash_point!("send.after");
                    // If this engine has ended, the result is lost, and the next engine repeats the send.
                    let _ = events.send(EngineEvent::Answered(send, outcome)).await;
                });
            }
            Some(ended) = running.join_next() => {
                if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn in_time(job: SendJob, deliver: &Deliver, until: &LeaseDeadline) -> Outcome {
    let left = || until.borrow().map_or(LOOK, |end| end.left().min(LOOK));
    // Looked at before the request begins, too: this process may have been frozen since it was dispatched.
    if !left().is_zero() {
        let mut request = deliver(job);
        loop {
            match tokio::time::timeout(left(), &mut request).await {
                Ok(outcome) => return outcome,
                Err(_) if left().is_zero() => break,
                Err(_) => {}
            }
        }
    }
    let why = "this replica's lease on the store ended before the receiver answered".to_owned();
    Outcome::Unclear { retry_after: None, why }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use podbell_core::outbox::SendId;

    fn job() -> SendJob {
        SendJob { send: SendId(1), destination: "ops".into(), message_id: "msg_1".to_owned(), body: b"body".to_vec() }
    }

    /// Counts the requests that begin, and lets each take so long.
    fn taking(begun: &Arc<AtomicUsize>, time: Duration) -> Deliver {
        let begun = begun.clone();
        Arc::new(move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                tokio::time::sleep(time).await;
                Outcome::Delivered
            })
        })
    }

    #[tokio::test]
    async fn a_request_does_not_begin_after_the_lease_and_is_cut_off_at_its_end() {
        let begun = Arc::new(AtomicUsize::new(0));
        let deliver = taking(&begun, Duration::from_secs(3600));
        let lease = |left| watch::channel(Some(LeaseEnd::in_time(left))).1;
        let outcome = in_time(job(), &deliver, &lease(Duration::ZERO)).await;
        assert!(matches!(outcome, Outcome::Unclear { .. }) && begun.load(Ordering::SeqCst) == 0);
        let until = lease(Duration::from_millis(20));
        let outcome = in_time(job(), &deliver, &until).await;
        assert!(matches!(outcome, Outcome::Unclear { .. }) && begun.load(Ordering::SeqCst) == 1);
        assert!(until.borrow().is_some_and(|end| end.left().is_zero()));
    }

    #[tokio::test]
    async fn a_request_goes_on_while_the_lease_is_renewed() {
        let deliver = taking(&Arc::default(), Duration::from_millis(300));
        let (lease, until) = watch::channel(Some(LeaseEnd::in_time(Duration::from_millis(250))));
        let renewals = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                lease.send_replace(Some(LeaseEnd::in_time(Duration::from_millis(250))));
            }
        };
        tokio::select! {
            outcome = in_time(job(), &deliver, &until) => assert_eq!(outcome, Outcome::Delivered),
            () = renewals => {}
        }
    }
}
