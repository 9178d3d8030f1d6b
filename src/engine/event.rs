//! What can happen to an engine. Only the shapes; what becomes of them is the engine's.

use crate::sources::SourceEvent;
use podbell_core::outbox::{Outcome, SendId};
use podbell_core::rules::in_force::RuleFiles;
use podbell_core::source::Problem;
use podbell_core::user_action::{ActionResult, UserAction};

/// What happened.
#[derive(Debug)]
pub enum EngineEvent {
    /// A source said something.
    Source(SourceEvent),
    /// A send came to something.
    Answered(SendId, Outcome),
    /// The rule files are others now.
    Rules(Box<NewRules>),
    /// A person did something.
    Action(ActionRequest),
}

/// What a person wants done, and who is told what came of it once it is committed: `None` when it
/// could not be written.
pub struct ActionRequest {
    /// What.
    pub deed: Box<UserAction>,
    /// Called once.
    pub answer: Box<dyn FnOnce(Option<ActionResult>) + Send>,
}

impl std::fmt::Debug for ActionRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.deed.fmt(f)
    }
}

/// What a reload found.
#[derive(Clone, Debug)]
pub enum NewRules {
    /// podbell.yaml and the files it names; some may have mistakes.
    Files(RuleFiles),
    /// What the engine was made with: which files were good, which refused.
    AsMade {
        /// Names and texts.
        good: Vec<(String, String)>,
        /// Names and reasons.
        refused: Vec<(String, Problem)>,
    },
    /// podbell.yaml itself has: everything stays as it is.
    Refused(Problem),
}
