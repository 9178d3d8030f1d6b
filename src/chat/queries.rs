//! The query service: takes a question, reads one snapshot of the store or has a user action carried out, and
//! answers within a deadline. It never fails and knows no platform.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::answer_context::Answers;
use super::lists::{DeliveryRow, EventRow, Filter, InvalidCursor, Listed, ListedService, Page};
use super::plans::{self, ChangePlan};
use super::{ActError, CommandSink, Queries, Question, Repeated, Reply};
use crate::chat::viewer::Viewer;
use podbell_core::ask::{self, Answer, AnswerFacts, Brief, Change, Command, Excuse, Prompt};
use podbell_core::message::{Message, Style};
use podbell_core::mute::{Author, Mute};
use podbell_core::scope::Scope;
use podbell_core::time::Time;
use podbell_core::user_action::{Act, ActionResult, UserAction};
use podbell_store::{Readers, ReadersError, Snapshot, StoreError};

/// The default deadline of an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the query service knows besides the store. The service replaces it at each reload.
#[derive(Debug, Default)]
pub struct RuleCatalog(RwLock<Arc<AnswerFacts>>);

impl RuleCatalog {
    /// With the rules and aliases in force.
    pub fn new(known: AnswerFacts) -> Self {
        Self(RwLock::new(Arc::new(known)))
    }

    /// Replaces the rules and aliases in force.
    pub fn set(&self, known: AnswerFacts) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// Those in force.
    pub(crate) fn get(&self) -> Arc<AnswerFacts> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Which list to read, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct ListRequest {
    /// What the reader may see.
    pub scope: Scope,
    /// Which part of it.
    pub filter: Filter,
    /// The moment of asking.
    pub now: Time,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListError {
    /// `after` is not a key that podbell issued.
    InvalidCursor,
    /// The list contains what this reader may not see.
    NotYours,
    /// The store cannot be read, or takes too long.
    Unreadable,
}

/// Answers questions from the store, and has changes carried out. See the module.
pub struct QueryService {
    readers: Readers,
    sink: Arc<dyn CommandSink>,
    catalog: Arc<RuleCatalog>,
    prompt: Prompt,
    patience: Duration,
}

impl QueryService {
    /// A query service for chats.
    pub fn new(readers: Readers, sink: Arc<dyn CommandSink>, catalog: Arc<RuleCatalog>) -> Self {
        Self { readers, sink, catalog, prompt: Prompt::Chat, patience: TIMEOUT }
    }

    /// Answers for another place where commands are typed.
    #[must_use]
    pub fn at(mut self, prompt: Prompt) -> Self {
        self.prompt = prompt;
        self
    }

    /// Sets another deadline, which applies once to reading and once to a user action.
    #[must_use]
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The facts of the answer, for machines.
    pub async fn answer(&self, question: &Question) -> Answer {
        match ask::parse(question.entry, &question.text) {
            Err(mistake) => Answer::Mistake(mistake),
            Ok(Command::Help { about }) => Answer::Help { about },
            Ok(Command::Query(query)) => {
                self.read(question, move |answers| answers.answer(query)).await.unwrap_or_else(|answer| answer)
            }
            Ok(Command::Change(_)) if !question.speaker.may_write => Answer::Excuse { because: Excuse::MayNotWrite },
            Ok(Command::Change(change)) => match self.repeated(question).await {
                Some(answer) => answer,
                None => self.change(question, change).await,
            },
        }
    }

    async fn change(&self, question: &Question, change: Change) -> Answer {
        match self.read(question, move |answers| answers.plan(&change)).await {
            Ok(ChangePlan::Act { act, about }) => self.act(question, act, about).await,
            Ok(ChangePlan::Answer(answer)) => *answer,
            Err(answer) => answer,
        }
    }

    /// The answer to a message that another replica carried out. Looked up before planning, because a mute that exists already
    /// or is gone already could not be planned again.
    async fn repeated(&self, question: &Question) -> Option<Answer> {
        let Repeated { action, done } = self.sink.repeated(question.key.as_ref()?).await?;
        let about = plans::about(&self.catalog.get(), &action.act);
        Some(answer(done, about, action.by))
    }

    /// Renders an answer in words, for a reader who types commands at `prompt`.
    pub fn compose(&self, answer: &Answer, style: &Style, prompt: Prompt) -> Message {
        answer.in_names(&self.catalog.get()).compose(style, prompt)
    }

    /// A page of incidents.
    pub(crate) async fn incidents(&self, asked: ListRequest) -> Result<Page<Brief>, ListError> {
        self.list(asked, |answers, filter| answers.incident_page(filter)).await
    }

    /// A page of watched services.
    pub(crate) async fn targets(&self, asked: ListRequest) -> Result<Page<ListedService>, ListError> {
        self.list(asked, |answers, filter| answers.target_page(filter)).await
    }

    /// A page of the events of a service.
    pub(crate) async fn events(&self, service: String, asked: ListRequest) -> Result<Page<EventRow>, ListError> {
        self.list(asked, move |answers, filter| answers.event_page(&service, filter)).await
    }

    /// A page of deliveries: only for whoever may see everything.
    pub(crate) async fn deliveries(&self, asked: ListRequest) -> Result<Page<DeliveryRow>, ListError> {
        if !asked.scope.is_everything() {
            return Err(ListError::NotYours);
        }
        self.list(asked, |answers, filter| answers.delivery_page(filter)).await
    }

    /// The mutes in force.
    pub(crate) async fn mutes(&self, asked: ListRequest) -> Result<Page<Mute>, ListError> {
        self.list(asked, |answers, _| answers.mute_page()).await
    }

    /// Runs any other read, for the status page.
    pub(super) async fn view<T: Send + 'static>(
        &self,
        reader: Viewer,
        view: impl FnOnce(&Answers<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ListError> {
        let asked = ListRequest { scope: reader.scope, filter: Filter::default(), now: reader.now };
        let view = |answers: &Answers<'_>, _: &Filter| Ok(Ok(Page { items: vec![view(answers)?], next: None }));
        let mut page = self.list(asked, view).await?;
        page.items.pop().ok_or(ListError::Unreadable)
    }

    async fn list<T: Send + 'static>(
        &self,
        asked: ListRequest,
        list: impl FnOnce(&Answers<'_>, &Filter) -> Listed<T> + Send + 'static,
    ) -> Result<Page<T>, ListError> {
        let (known, ListRequest { scope, filter, now }) = (self.catalog.get(), asked);
        let read = move |store: &dyn Snapshot| list(&Answers { store, known: &known, scope: &scope, now }, &filter);
        match self.readers.read(self.patience, read).await {
            Ok(page) => page.map_err(|InvalidCursor| ListError::InvalidCursor),
            Err(error) => {
                tracing::warn!(%error, "a list could not be read");
                Err(ListError::Unreadable)
            }
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        question: &Question,
        read: impl FnOnce(&Answers<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Answer> {
        let (known, scope, now) = (self.catalog.get(), question.speaker.scope.clone(), question.style.now);
        let read = move |store: &dyn Snapshot| read(&Answers { store, known: &known, scope: &scope, now });
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
        let action = UserAction { by: by.clone(), scope: question.speaker.scope.clone(), act };
        let acting = tokio::time::timeout(self.patience, self.sink.act(action, question.key.clone()));
        answer(acting.await.unwrap_or(Err(ActError::Silent)), about, by)
    }
}

fn answer(done: Result<ActionResult, ActError>, about: String, by: Author) -> Answer {
    let because = match done {
        Ok(done) => return Answer::Done { done: Box::new(done), about, by },
        Err(ActError::Store) => Excuse::NotDone,
        Err(ActError::NotRunning) => Excuse::NotRunning,
        Err(ActError::Silent) => Excuse::Silent,
    };
    Answer::Excuse { because }
}

impl Queries for QueryService {
    fn ask(&self, question: Question) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let answer = self.answer(&question).await;
            Reply {
                message: self.compose(&answer, &question.style, self.prompt),
                public: answer.is_public(),
                good: answer.is_good(),
                incident: answer.incident(),
            }
        })
    }
}
