//! What people do, on its way to the engine and back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::chat::{ActError, Acting, CommandSink};
use crate::engine::{ActionRequest, EngineEvent};
use podbell_core::user_action::UserAction;

/// How many deeds may wait for the engine.
const QUEUE: usize = 64;
/// How long a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// The near end, for chats and the server.
#[derive(Clone, Debug)]
pub struct EngineSink(mpsc::Sender<ActionRequest>);

/// The far end, for [`super::Service`].
#[derive(Debug)]
pub struct UserActions(mpsc::Receiver<ActionRequest>);

/// Both ends.
pub fn command_sink() -> (EngineSink, UserActions) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (EngineSink(sender), UserActions(receiver))
}

impl CommandSink for EngineSink {
    fn act(&self, deed: UserAction) -> Acting<'_> {
        Box::pin(async move {
            let (said, heard) = oneshot::channel();
            let answer = Box::new(move |done| {
                // Who asked may have gone; it is done all the same.
                let _ = said.send(done);
            });
            let asked = ActionRequest { deed: Box::new(deed), answer };
            let done = async {
                self.0.send(asked).await.map_err(|_| ActError::Silent)?;
                heard.await.map_err(|_| ActError::Silent)
            };
            match tokio::time::timeout(PATIENCE, done).await {
                Ok(done) => done?.ok_or(ActError::Store),
                Err(_) => Err(ActError::Silent),
            }
        })
    }
}

/// Passes deeds on until nobody can say any more.
pub(super) async fn relay(mut deeds: UserActions, happened: mpsc::Sender<EngineEvent>) {
    while let Some(asked) = deeds.0.recv().await {
        if happened.send(EngineEvent::Action(asked)).await.is_err() {
            return;
        }
    }
}
