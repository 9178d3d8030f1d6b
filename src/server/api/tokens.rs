//! Bearer tokens (RFC 6750): who may ask, what they see, and whether they may change anything.

use std::fmt;

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::guard::headers::only_text;
use podbell_core::scope::{Rights, Scope};

/// A token of podbell.yaml.
#[derive(Clone)]
pub struct Token {
    /// What logs and authors call it.
    pub name: String,
    /// The token itself.
    pub secret: SecretString,
    /// What it may do.
    pub rights: Rights,
    /// What it sees.
    pub scope: Scope,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("name", &self.name).field("rights", &self.rights).finish_non_exhaustive()
    }
}

/// All tokens, by hash: equal lengths, whatever was sent.
pub(in crate::server) struct Tokens(Vec<([u8; 32], Token)>);

impl Tokens {
    pub(in crate::server) fn new(tokens: Vec<Token>) -> Self {
        Self(tokens.into_iter().map(|token| (hash(token.secret.expose_secret()), token)).collect())
    }

    /// The token that a request shows.
    pub(in crate::server) fn find(&self, headers: &HeaderMap) -> Option<&Token> {
        let (scheme, token) = only_text(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        self.known(token.trim().as_bytes())
    }

    /// The token with this value. Compares with every one, so that the time does not depend on what was sent.
    pub(in crate::server) fn known(&self, token: &[u8]) -> Option<&Token> {
        let hash = hash(token);
        let mut found = None;
        for (known, token) in &self.0 {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(token);
            }
        }
        found
    }
}

/// What is compared and kept in place of a secret.
pub(crate) fn hash(secret: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(secret).into()
}
