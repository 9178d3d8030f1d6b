//! User actions on their way to the engine, and their results on the way back.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::chat::{ActError, Acting, CommandSink};
use crate::engine::ActionRequest;
use podbell_core::user_action::UserAction;

/// How many user actions may wait for the engine.
const QUEUE: usize = 64;
/// How long a person waits for the result.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sending end, for chats and the server.
#[derive(Clone, Debug)]
pub(crate) struct EngineSink(mpsc::Sender<ActionRequest>);

/// The receiving end, for [`super::Service`].
#[derive(Debug)]
pub struct UserActions(pub(super) mpsc::Receiver<ActionRequest>);

/// Both ends of the channel.
pub(crate) fn command_sink() -> (EngineSink, UserActions) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (EngineSink(sender), UserActions(receiver))
}

impl CommandSink for EngineSink {
    fn act(&self, action: UserAction) -> Acting<'_> {
        Box::pin(async move {
            let (said, heard) = oneshot::channel();
            let answer = Box::new(move |done| {
                // The caller may be gone; the action is done all the same.
                let _ = said.send(done);
            });
            let asked = ActionRequest { action: Box::new(action), answer };
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
