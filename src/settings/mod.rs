//! What the sections of podbell.yaml share: secrets, and keys that mean the same wherever they occur.

mod id;
pub mod keys;
mod secret;

use std::fmt;
use std::sync::Arc;

pub(crate) use id::Id;
pub use secret::{Environment, ProcessEnvironment, Secret, SecretError, SecretKind, SecretRef, Secrets};

/// Something that podbell.yaml describes, usable once its secrets are resolved.
pub struct Draft<T: ?Sized>(Box<Complete<T>>);

type Complete<T> = dyn FnOnce(&mut Secrets<'_>) -> Option<Arc<T>> + Send + Sync;

impl<T: ?Sized> Draft<T> {
    /// `complete` puts the secrets in; `None` if one of them is missing.
    pub(crate) fn new(complete: impl FnOnce(&mut Secrets<'_>) -> Option<Arc<T>> + Send + Sync + 'static) -> Self {
        Self(Box::new(complete))
    }

    /// The finished thing; `None` if a secret is missing.
    pub(crate) fn complete(self, secrets: &mut Secrets<'_>) -> Option<Arc<T>> {
        let before = secrets.missing.len();
        (self.0)(secrets).filter(|_| secrets.missing.len() == before)
    }
}

impl<T: ?Sized> fmt::Debug for Draft<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft")
    }
}
