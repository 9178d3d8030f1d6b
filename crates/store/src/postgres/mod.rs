//! The adapter for PostgreSQL: several replicas share one database. One of them owns the lease and writes; the others
//! read, hand over commands, and take over when the lease ends.
//!
//! The lease is a row, and its truth is the database's: every commit begins by renewing it and fails where that is not
//! possible, in the transaction of the commit itself. Nothing depends on a session (advisory locks, LISTEN), so that a
//! pooler may stand between. Everything lies in a schema of its own.

mod blocking;
mod call;
mod column;
mod commit;
mod commit_outbox;
mod copy;
mod delete_old;
mod error;
mod held_lease;
mod inbox;
mod inspect;
mod keeper;
mod lease;
mod load;
mod migrate;
mod passfile;
mod queries;
mod server;
mod session;
mod tls;
mod writer;

#[cfg(test)]
#[cfg(feature = "outside")]
mod tests;

use std::time::Duration;

pub(crate) use copy::{CopySource, CopyTarget};
pub use error::PostgresError;
pub(crate) use inbox::inbox;
pub use inspect::{Inspection, StoreInfo, inspect};
pub(crate) use lease::{Candidate, exists, holder, writer};
pub(crate) use queries::Reader;
pub use server::{AddressError, Server, TlsMode};

/// For how long a replica owns the store after it renewed its lease.
pub(super) const LEASE: Duration = crate::LEASE_TTL;
/// How old the lease gets before its owner renews it.
pub(super) const RENEWAL: Duration = crate::LEASE_RENEWAL;
/// How long the server may take for a call, for a commit too: shorter than the lease, and longer than the server's own limit
/// for a statement, so that its refusal is known before this one gives up.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(8);
/// The same for reading all of a large store.
pub(super) const LOAD_LIMIT: Duration = Duration::from_secs(60);
/// Begins a transaction that writes, whatever the database's default is.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
