//! Asks sources about pods whose incidents have just opened, and hands what they say to the engine. Nothing waits for it:
//! an answer that comes too late is not in the first message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::sources::{Source, SourceEvent};
use podbell_core::enrichment::PodQuestion;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How many questions are asked at once; in a flood of incidents the rest is left out.
const AT_ONCE: usize = 8;

/// The sources that answer questions, by name.
#[derive(Clone)]
pub struct Enricher(pub(super) BTreeMap<Arc<str>, Arc<dyn Source>>);

/// Answers questions until told to stop.
pub(super) async fn run(
    enricher: Enricher,
    mut questions: mpsc::UnboundedReceiver<Vec<PodQuestion>>,
    events: mpsc::Sender<SourceEvent>,
    stop: CancellationToken,
) {
    let mut asked = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(ended) = asked.join_next() => if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                std::panic::resume_unwind(panic);
            },
            new = questions.recv() => {
                let Some(new) = new else { return };
                let room = AT_ONCE.saturating_sub(asked.len());
                let mine = new.into_iter().filter_map(|question| Some((enricher.0.get(&question.source)?.clone(), question)));
                for (source, question) in mine.take(room) {
                    let events = events.clone();
                    asked.spawn(async move {
                        if let Ok(Some(state)) = timeout(TIMEOUT, source.enrich(&question)).await {
                            let event = SourceEvent::Enriched { incident: question.incident, at: clock::now(), state: Box::new(state) };
                            // The engine is gone only when the period ends.
                            let _ = events.send(event).await;
                        }
                    });
                }
            }
        }
    }
}
