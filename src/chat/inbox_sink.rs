//! The command sink of the terminal: user actions go through the store's inbox to the service that runs beside it.

use std::time::Duration;

use super::{ActError, Acting, CommandSink};
use crate::clock;
use podbell_core::user_action::{ActionResult, UserAction};
use podbell_store::{Command, Location, StoreError};

/// How often to look for the answer.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(crate) struct InboxSink {
    store: Location,
    patience: Duration,
}

impl InboxSink {
    /// Uses the inbox of this store, and waits at most `patience` for an answer.
    pub(crate) fn new(store: Location, patience: Duration) -> Self {
        Self { store, patience }
    }

    fn act_now(&self, action: UserAction) -> Result<ActionResult, ActError> {
        let running = self.store.is_owned();
        let store = self.store.inbox().map_err(refused)?;
        // No service runs. Do not queue the action: the next service to start would carry it out unnoticed.
        if !running {
            return Err(ActError::NotRunning);
        }
        let id = store.ask(&Command::UserAction { action: Box::new(action) }, clock::now()).map_err(refused)?;
        let start = clock::monotonic();
        while start.elapsed() < self.patience {
            if let Some(answer) = store.answer(id).map_err(refused)? {
                return serde_json::from_str(&answer).map_err(|error| {
                    tracing::warn!(%error, answer, "the service's answer cannot be read");
                    ActError::Silent
                });
            }
            std::thread::sleep(LOOK);
        }
        // The service may have read the command already, and may still carry it out.
        if let Err(error) = store.withdraw(id) {
            tracing::warn!(%error, "a command could not be taken out of the inbox");
        }
        Err(ActError::Silent)
    }
}

fn refused(error: StoreError) -> ActError {
    tracing::warn!(%error, "the store's inbox cannot be used");
    ActError::Store
}

impl CommandSink for InboxSink {
    fn act(&self, action: UserAction) -> Acting<'_> {
        let sink = self.clone();
        Box::pin(async move {
            let acting = tokio::task::spawn_blocking(move || sink.act_now(action));
            acting.await.unwrap_or(Err(ActError::Silent))
        })
    }
}
