//! Why a store cannot be used: a kind that the engine acts on, and the adapter's own error for people.

use std::error::Error;
use std::fmt;

/// What an error means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The stored data is damaged; a retry does not help.
    Damaged,
    /// The store is no longer the one that this process opened; the process must end.
    Replaced,
    /// A newer podbell wrote it.
    Newer,
    /// Another process owns it.
    InUse,
    /// Another replica owns the store, or may own it: what is in memory is void, and this replica stands by.
    LeaseLost,
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
    /// Wraps an adapter's own error. `why` names the fault, without the store's name and without advice.
    pub(crate) fn new(kind: ErrorKind, why: String, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, why, cause: cause.into() }
    }

    /// The kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the stored data is damaged, so that a retry does not help.
    pub fn is_damage(&self) -> bool {
        self.kind == ErrorKind::Damaged
    }

    /// Whether a running podbell must end: the files that it has open are damaged, or no longer its store.
    pub fn is_final(&self) -> bool {
        matches!(self.kind, ErrorKind::Damaged | ErrorKind::Replaced)
    }

    /// The fault, without the store's name and without advice.
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
    /// `Display` already shows the cause itself, so this returns the cause's own source.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.source()
    }
}
