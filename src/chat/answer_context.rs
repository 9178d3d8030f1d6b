//! What answers are computed from.

use podbell_core::ask::AnswerFacts;
use podbell_core::scope::Scope;
use podbell_core::time::Time;
use podbell_store::Snapshot;

/// What answers are computed from.
pub(super) struct Answers<'a> {
    pub(super) store: &'a dyn Snapshot,
    pub(super) known: &'a AnswerFacts,
    pub(super) scope: &'a Scope,
    pub(super) now: Time,
}
