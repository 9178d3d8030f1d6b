//! Who reads.

use podbell_core::scope::Scope;
use podbell_core::time::Time;

/// Who reads, and when.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// What they may see.
    pub scope: Scope,
    /// The moment of asking.
    pub now: Time,
}
