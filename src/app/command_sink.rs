//! User actions on their way to the engine, and their results on the way back.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::chat::inbox_sink::InboxSink;
use crate::chat::{ActError, Acting, CommandSink, MessageKey, Repeated};
use crate::engine::{ActionRequest, EngineEvent};
use podbell_core::user_action::UserAction;
use podbell_store::Location;

/// How many user actions may wait for the engine.
const QUEUE: usize = 64;
/// How long a person waits for the result of an action. Less than the query service's deadline, so that the answer can
/// say whether the action was withdrawn from the inbox.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The sending end, for chats and the server.
#[derive(Clone, Debug)]
struct EngineSink(mpsc::Sender<EngineEvent>);

/// The receiving end, for [`super::Service`].
#[derive(Debug)]
pub struct UserActions(pub(super) mpsc::Receiver<EngineEvent>);

/// Both ends of the channel.
pub(crate) fn command_sink() -> (Arc<dyn CommandSink>, UserActions) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Arc::new(EngineSink(sender)), UserActions(receiver))
}

/// Hands user actions to the active replica, whichever that is, through the store's inbox. If it is this one, its engine
/// is told to look there at once.
struct ReplicaSink {
    inbox: InboxSink,
    engine: mpsc::Sender<EngineEvent>,
}

/// The sink of a replica, and what it tells the engine.
pub(crate) fn replica_sink(store: Location) -> (Arc<dyn CommandSink>, UserActions) {
    // One pending signal is enough: the engine reads the whole inbox.
    let (engine, events) = mpsc::channel(1);
    (Arc::new(ReplicaSink { inbox: InboxSink::new(store, TIMEOUT), engine }), UserActions(events))
}

impl CommandSink for ReplicaSink {
    fn act(&self, action: UserAction, key: Option<MessageKey>) -> Acting<'_> {
        let engine = self.engine.clone();
        // Nobody needs a second signal before the first is taken.
        Box::pin(self.inbox.hand_over(action, key, move || drop(engine.try_send(EngineEvent::Inbox))))
    }

    fn repeated(&self, key: &MessageKey) -> BoxFuture<'_, Option<Repeated>> {
        Box::pin(self.inbox.repeated(key.clone()))
    }
}

impl CommandSink for EngineSink {
    fn act(&self, action: UserAction, _: Option<MessageKey>) -> Acting<'_> {
        Box::pin(async move {
            let (said, heard) = oneshot::channel();
            let answer = Box::new(move |done| {
                // The caller may be gone; the action is done all the same.
                let _ = said.send(done);
            });
            let asked = ActionRequest { action: Box::new(action), answer };
            let done = async {
                self.0.send(EngineEvent::Action(asked)).await.map_err(|_| ActError::Silent)?;
                heard.await.map_err(|_| ActError::Silent)
            };
            match tokio::time::timeout(TIMEOUT, done).await {
                Ok(done) => done?.ok_or(ActError::Store),
                Err(_) => Err(ActError::Silent),
            }
        })
    }
}
