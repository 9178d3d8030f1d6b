//! Passes on to the engine what arrives from outside of an active period.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::reload::CurrentRules;
use crate::engine::{EngineEvent, NewRules};

/// Where the engine takes in what happened; `None` while this process has no engine.
pub(super) type EngineInlet = watch::Receiver<Option<mpsc::Sender<EngineEvent>>>;

/// Passes on what arrives to the engine, until no sender is left. Without an engine it is dropped: whoever waits for an
/// answer hears that there is none.
pub(super) async fn relay(mut arriving: mpsc::Receiver<EngineEvent>, inlet: EngineInlet) {
    while let Some(event) = arriving.recv().await {
        let engine = inlet.borrow().clone();
        if let Some(engine) = engine {
            // An error means that the engine has ended meanwhile: the event is dropped, as without an engine.
            let _ = engine.send(event).await;
        }
    }
}

/// Passes on reloaded rules. Those that arrive without an engine are kept for the next one.
pub(super) async fn relay_rules(
    mut reloaded: mpsc::Receiver<NewRules>,
    current: Arc<CurrentRules>,
    mut inlet: EngineInlet,
) {
    // An engine that is being created may have read `current` before these were kept there.
    let mut missed: Vec<NewRules> = Vec::new();
    loop {
        tokio::select! {
            rules = reloaded.recv() => {
                let Some(rules) = rules else { return };
                current.keep(&rules);
                // The newest files replace all that came before them, and a refusal the one before it.
                match rules {
                    NewRules::Files(_) => missed.clear(),
                    _ => missed.retain(|before| matches!(before, NewRules::Files(_))),
                }
                missed.push(rules);
            }
            Ok(()) = inlet.changed() => {}
        }
        let engine = inlet.borrow_and_update().clone();
        match engine {
            Some(engine) => {
                for rules in missed.drain(..) {
                    let _ = engine.send(EngineEvent::Rules(Box::new(rules))).await;
                }
            }
            None if missed.is_empty() => {}
            None => current.show(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use podbell_core::rules::in_force::RuleFiles;
    use podbell_core::source::Problem;

    fn mistake() -> NewRules {
        let (code, text) = ("yaml".to_owned(), "a mistake".to_owned());
        NewRules::Refused(Problem { code, text, advice: String::new(), gone: false })
    }

    /// Reading a large store takes seconds, and the rules for it were taken before that.
    #[tokio::test]
    async fn rules_that_are_reloaded_while_an_engine_is_created_reach_it() {
        let current = Arc::new(CurrentRules::new(RuleFiles::default(), |_| {}));
        let (reloads, reloaded) = mpsc::channel(1);
        let (publish, inlet) = watch::channel(None);
        let relaying = tokio::spawn(relay_rules(reloaded, current, inlet));
        reloads.send(mistake()).await.unwrap();
        // The channel holds one, so that the first was taken out when this is sent.
        reloads.send(mistake()).await.unwrap();
        drop(reloads.reserve().await.unwrap());
        let (engine, mut events) = mpsc::channel(2);
        publish.send_replace(Some(engine));
        let heard = tokio::time::timeout(Duration::from_secs(20), events.recv()).await;
        assert!(matches!(heard, Ok(Some(EngineEvent::Rules(_)))));
        relaying.abort();
    }
}
