//! The desk: takes a question in, reads the store at one moment or has a deed done, and answers within a
//! deadline. It never fails and never knows a platform.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::answers::Answers;
use super::plans::Plan;
use super::{ActError, Answering, Desk, Hands, Question, Reply};
use crate::core::ask::{self, Answer, Command, Excuse, Known, Prompt};
use crate::core::deed::{Act, Deed};
use crate::store::{Readers, ReadersError, Snapshot, StoreError};

/// How long an answer may take, unless something else is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the desk knows beside the store; the service puts it in anew at each reload.
#[derive(Debug, Default)]
pub struct Surroundings(RwLock<Arc<Known>>);

impl Surroundings {
    /// From the rules and aliases in force.
    pub fn new(known: Known) -> Self {
        Self(RwLock::new(Arc::new(known)))
    }

    /// Others are in force from now on.
    pub fn set(&self, known: Known) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// Those in force.
    pub fn get(&self) -> Arc<Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// See the module.
pub struct FrontDesk {
    readers: Readers,
    hands: Arc<dyn Hands>,
    surroundings: Arc<Surroundings>,
    prompt: Prompt,
    patience: Duration,
}

impl FrontDesk {
    /// A desk for chats.
    pub fn new(readers: Readers, hands: Arc<dyn Hands>, surroundings: Arc<Surroundings>) -> Self {
        Self { readers, hands, surroundings, prompt: Prompt::Chat, patience: PATIENCE }
    }

    /// For another place where commands are typed.
    #[must_use]
    pub fn at(mut self, prompt: Prompt) -> Self {
        self.prompt = prompt;
        self
    }

    /// With another deadline, once for reading and once for a deed.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The facts of the answer, for machines.
    pub async fn answer(&self, question: &Question) -> Answer {
        let command = match ask::parse(question.entry, &question.text) {
            Ok(command) => command,
            Err(mistake) => return Answer::Mistake(mistake),
        };
        if command.writes() && !question.speaker.may_write {
            return Answer::Excuse { because: Excuse::MayNotWrite };
        }
        if let Command::Help { about } = command {
            return Answer::Help { about };
        }
        if command.writes() {
            return match self.read(question, move |answers| answers.plan(&command)).await {
                Ok(Plan::Act { act, about }) => self.act(question, act, about).await,
                Ok(Plan::Answer(answer)) => *answer,
                Err(answer) => answer,
            };
        }
        self.read(question, move |answers| answers.answer(command)).await.unwrap_or_else(|answer| answer)
    }

    async fn read<T: Send + 'static>(
        &self,
        question: &Question,
        read: impl FnOnce(&Answers<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Answer> {
        let (known, scope, now) = (self.surroundings.get(), question.speaker.scope.clone(), question.style.now);
        let read = move |store: &Snapshot<'_>| read(&Answers { store, known: &known, scope: &scope, now });
        self.readers.read(self.patience, read).await.map_err(|error| {
            tracing::warn!(%error, "a question could not be answered");
            let because = match error {
                ReadersError::Slow(_) => Excuse::Slow,
                ReadersError::Store(_) | ReadersError::Interrupted => Excuse::Unreadable,
            };
            Answer::Excuse { because }
        })
    }

    async fn act(&self, question: &Question, act: Act, about: String) -> Answer {
        let by = question.speaker.author.clone();
        let deed = Deed { by: by.clone(), scope: question.speaker.scope.clone(), act };
        let acting = tokio::time::timeout(self.patience, self.hands.act(deed));
        let because = match acting.await {
            Ok(Ok(done)) => return Answer::Done { done: Box::new(done), about, by },
            Ok(Err(ActError::Store)) => Excuse::NotDone,
            Ok(Err(ActError::NotRunning)) => Excuse::NotRunning,
            Ok(Err(ActError::Silent)) | Err(_) => Excuse::Silent,
        };
        Answer::Excuse { because }
    }
}

impl Desk for FrontDesk {
    fn ask(&self, question: Question) -> Answering<'_> {
        Box::pin(async move {
            let answer = self.answer(&question).await;
            Reply {
                message: answer.compose(&question.style, self.prompt),
                public: answer.is_public(),
                good: answer.is_good(),
                incident: answer.incident(),
            }
        })
    }
}
