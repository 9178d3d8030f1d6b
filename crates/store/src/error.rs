//! Why a store cannot be used: a kind that the engine acts on, and the adapter's own error for people.

use std::error::Error;
use std::fmt;

/// What an error means for whoever uses the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What is stored is damaged: trying again does not help.
    Damaged,
    /// It is no longer the store that this process opened: the process must end.
    Replaced,
    /// A newer podbell wrote it.
    Newer,
    /// Another process owns it.
    InUse,
    /// It cannot be reached, read or written now; the next attempt may succeed.
    Unavailable,
}

/// Why the store cannot be used. `Display` is the adapter's sentence for the operator: which store, what is wrong,
/// what to do.
pub struct StoreError {
    kind: ErrorKind,
    why: String,
    cause: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// From an adapter's own error; `why` is what is wrong, without the store's name and without advice.
    pub(crate) fn new(kind: ErrorKind, why: String, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, why, cause: cause.into() }
    }

    /// What it means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether what is stored is damaged: trying again does not help.
    pub fn is_damage(&self) -> bool {
        self.kind == ErrorKind::Damaged
    }

    /// Whether a running podbell must end: what it has open is not, or no longer, its store.
    pub fn is_final(&self) -> bool {
        matches!(self.kind, ErrorKind::Damaged | ErrorKind::Replaced)
    }

    /// What is wrong, without the store's name and without advice.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError").field("kind", &self.kind).field("cause", &self.cause).finish()
    }
}

impl Error for StoreError {
    /// The cause's cause: the cause itself is what is displayed.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
