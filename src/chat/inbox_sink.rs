//! User actions that go through the store's inbox to the process that owns the store: those of the terminal, and those
//! of replicas.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ActError, Acting, CommandSink, MessageKey, Repeated};
use crate::clock;
use podbell_core::user_action::{ActionResult, UserAction};
use podbell_store::{Command, Inbox, Location, StoreError};

/// How often to look for the answer.
const LOOK: Duration = Duration::from_millis(50);
/// How many commands may be under way at once, each with a connection of its own; others wait.
const MAX: usize = 8;

#[derive(Clone, Debug)]
pub(crate) struct InboxSink {
    store: Location,
    patience: Duration,
    free: Arc<Semaphore>,
}

impl InboxSink {
    /// Uses the inbox of this store, and waits at most `patience` for an answer.
    pub(crate) fn new(store: Location, patience: Duration) -> Self {
        Self { store, patience, free: Arc::new(Semaphore::new(MAX)) }
    }

    /// A place among the commands under way; `None` if none gets free in time.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        tokio::time::timeout(self.patience / 2, self.free.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Puts the action into the inbox, calls `handed_over`, and waits for the answer of whoever owns the store.
    pub(crate) async fn hand_over(
        &self,
        action: UserAction,
        key: Option<MessageKey>,
        handed_over: impl FnOnce() + Send + 'static,
    ) -> Result<ActionResult, ActError> {
        let until = clock::monotonic() + self.patience;
        let Some(place) = self.place().await else {
            tracing::warn!(commands = MAX, "a command was not handed over: too many are under way");
            return Err(ActError::Store);
        };
        let sink = self.clone();
        let acting = tokio::task::spawn_blocking(move || {
            // Held until this thread is done, even if nobody waits for it any more.
            let _place = place;
            sink.hand_over_now(action, key.as_ref(), until, handed_over)
        });
        acting.await.unwrap_or(Err(ActError::Silent))
    }

    /// What came of the action that was handed over with this key, if one was.
    pub(crate) async fn repeated(&self, key: MessageKey) -> Option<Repeated> {
        let until = clock::monotonic() + self.patience;
        let (sink, place) = (self.clone(), self.place().await?);
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            sink.repeated_now(&key, until)
        })
        .await;
        match looked.ok()? {
            Ok(repeated) => repeated,
            Err(error) => {
                tracing::warn!(%error, "whether a message came before cannot be read");
                None
            }
        }
    }

    fn repeated_now(&self, MessageKey(key): &MessageKey, until: Instant) -> Result<Option<Repeated>, StoreError> {
        let store = self.store.inbox()?;
        let Some(item) = store.submitted(key)? else { return Ok(None) };
        let Command::UserAction { action } = item.command else { return Ok(None) };
        Ok(Some(Repeated { action: *action, done: self.wait(&*store, item.id, until) }))
    }

    fn hand_over_now(
        &self,
        action: UserAction,
        key: Option<&MessageKey>,
        until: Instant,
        handed_over: impl FnOnce(),
    ) -> Result<ActionResult, ActError> {
        let store = self.store.inbox().map_err(refused)?;
        if clock::monotonic() >= until {
            tracing::warn!("a command was not handed over: connecting to the store took too long");
            return Err(ActError::Store);
        }
        let (command, now) = (Command::UserAction { action: Box::new(action) }, clock::now());
        let submitted = store.submit(key.map(|MessageKey(key)| key.as_str()), &command, now);
        let id = submitted.map_err(|error| match self.store.is_shared() {
            // It may have been written, and only the server's word of it was lost.
            true => {
                tracing::warn!(%error, "whether a command was handed over is not known");
                ActError::Silent
            }
            false => refused(error),
        })?;
        handed_over();
        self.wait(&*store, id, until)
    }

    fn wait(&self, store: &dyn Inbox, id: i64, until: Instant) -> Result<ActionResult, ActError> {
        while clock::monotonic() < until {
            // The command was handed over: whatever fails from here on, it may be carried out.
            match store.answer(id) {
                Ok(Some(answer)) => {
                    return serde_json::from_str(&answer).map_err(|error| {
                        tracing::warn!(%error, answer, "the service's answer cannot be read");
                        ActError::Silent
                    });
                }
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "the answer to a command cannot be looked at"),
            }
            std::thread::sleep(LOOK);
        }
        match store.withdraw(id) {
            // It was not carried out, and will not be.
            Ok(true) => Err(ActError::Store),
            // The service may have read the command already, and may still carry it out.
            Ok(false) => Err(ActError::Silent),
            Err(error) => {
                tracing::warn!(%error, "a command could not be taken out of the inbox");
                Err(ActError::Silent)
            }
        }
    }
}

fn refused(error: StoreError) -> ActError {
    tracing::warn!(%error, "the store's inbox cannot be used");
    ActError::Store
}

impl CommandSink for InboxSink {
    fn act(&self, action: UserAction, key: Option<MessageKey>) -> Acting<'_> {
        Box::pin(async move {
            let store = self.store.clone();
            let running = tokio::task::spawn_blocking(move || store.is_owned()).await.unwrap_or(false);
            // No service runs. Do not queue the action: the next service to start would carry it out unnoticed.
            if !running {
                return Err(ActError::NotRunning);
            }
            self.hand_over(action, key, || ()).await
        })
    }
}
