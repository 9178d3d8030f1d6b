//! The events that an engine takes in. Data only.

use crate::sources::SourceEvent;
use podbell_core::outbox::{Outcome, SendId};
use podbell_core::rules::in_force::RuleFiles;
use podbell_core::source::Problem;
use podbell_core::user_action::{ActionResult, UserAction};

/// An event for the engine.
#[derive(Debug)]
pub enum EngineEvent {
    /// An event of a source.
    Source(SourceEvent),
    /// The result of a send.
    Answered(SendId, Outcome),
    /// The rule files changed.
    Rules(Box<NewRules>),
    /// A user action.
    Action(ActionRequest),
    /// A command was put into the store's inbox just now.
    Inbox,
}

/// A user action, and the callback for its result.
pub struct ActionRequest {
    /// The action.
    pub action: Box<UserAction>,
    /// Called once: with the result when it is committed, with `None` when it could not be written.
    pub answer: Box<dyn FnOnce(Option<ActionResult>) + Send>,
}

impl std::fmt::Debug for ActionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.action.fmt(f)
    }
}

/// What a reload found.
#[derive(Clone, Debug)]
pub enum NewRules {
    /// podbell.yaml and the files it names; some may have mistakes.
    Files(RuleFiles),
    /// The rules that the engine was created with: which files were accepted, which refused.
    AsMade {
        /// Names and texts.
        good: Vec<(String, String)>,
        /// Names and reasons.
        refused: Vec<(String, Problem)>,
    },
    /// podbell.yaml itself has mistakes: everything stays as it is.
    Refused(Problem),
}
