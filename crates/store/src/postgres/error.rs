//! What can be wrong with a PostgreSQL store, in words that say what to do. No variant shows a password.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::{ErrorKind, Holder, StoreError};

/// The state of SQL that the function `podbell.fence` raises when another replica owns the store, or nobody does.
pub(super) const LEASE_LOST: &str = "PB001";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// No connection.
    #[error("cannot connect to {server}: {why}")]
    Connect {
        /// The store.
        server: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The server did not answer in time.
    #[error("{server} did not answer within {} s: look at the server and the network between", limit.as_secs())]
    Slow {
        /// The store.
        server: String,
        /// How long this one has waited.
        limit: Duration,
    },
    /// The server refused a statement.
    #[error("{server}: {why}")]
    Refused {
        /// The store.
        server: String,
        /// What it said, and what to do.
        why: String,
        /// Its error.
        source: tokio_postgres::Error,
    },
    /// The connection ended.
    #[error("the connection to {server} broke off: {why}")]
    Broken {
        /// The store.
        server: String,
        /// What is known of it.
        why: String,
    },
    /// A commit whose answer was lost, and which turned out not to be written.
    #[error("the connection to {server} broke off during a commit, which was not written; it is tried again")]
    NotWritten {
        /// The store.
        server: String,
    },
    /// Another replica may own the store.
    #[error("{server} is no longer owned by this replica: {why}; it stands by")]
    LeaseLost {
        /// The store.
        server: String,
        /// How that was noticed.
        why: &'static str,
    },
    /// Another replica owns it.
    #[error("{server} is in use by {} (waited {waited_seconds} s); stop that one, or give this one another `store:`", holder.replica)]
    InUse {
        /// The store.
        server: String,
        /// Who owns it.
        holder: Holder,
        /// How long this one has waited.
        waited_seconds: u64,
    },
    /// It was written by a newer podbell.
    #[error(
        "{server} was written by a newer podbell (version {found} of the format, this one knows {known}); this replica neither reads it nor takes over: run the newer version everywhere, or restore a backup from before it"
    )]
    Newer {
        /// The store.
        server: String,
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A replica of an older version owns it.
    #[error(
        "{server} has an older format (version {found}, this one needs {known}): it is brought to this one when a replica of this version becomes active"
    )]
    Older {
        /// The store.
        server: String,
        /// The version found.
        found: i64,
        /// The version that this program needs.
        known: i64,
    },
    /// No podbell made a store there.
    #[error("{server} holds no store yet; `podbell run` makes it")]
    NoStore {
        /// The store.
        server: String,
    },
    /// The server is too old.
    #[error("{server} is PostgreSQL {found}: podbell needs 13 or later")]
    TooOld {
        /// The store.
        server: String,
        /// Its version.
        found: String,
    },
    /// The database cannot hold every text.
    #[error(
        "{server} has the encoding {encoding}, and podbell's texts need UTF8: make the database with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// The store.
        server: String,
        /// Its encoding.
        encoding: String,
    },
    /// A row that this program cannot read.
    #[error("{server} is damaged: {what} cannot be read ({why}). Restore a backup, or ask for help with this message")]
    Row {
        /// The store.
        server: String,
        /// Which row.
        what: String,
        /// Why.
        why: String,
    },
    /// What this kind of store cannot do.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl PostgresError {
    /// Translates an error of a statement or of the connection.
    pub(super) fn of(server: &impl ToString, source: tokio_postgres::Error) -> Self {
        let server = server.to_string();
        let Some(error) = source.as_db_error() else {
            return Self::Broken { server, why: innermost(&source) };
        };
        if error.code().code() == LEASE_LOST {
            return Self::LeaseLost { server, why: "its lease ended or another replica took over" };
        }
        let advice = match error.code() {
            code if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                "; let its user own the schema podbell, or let it make that: GRANT CREATE ON DATABASE … TO …"
            }
            code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => "; this server takes no writes: name the primary",
            code if *code == SqlState::DISK_FULL => "; make room on the server's disk",
            code if *code == SqlState::TOO_MANY_CONNECTIONS => "; raise max_connections, or use a pooler",
            _ => "",
        };
        let why = format!("{} (SQLSTATE {}){advice}", error.message(), error.code().code());
        Self::Refused { server, why, source }
    }

    /// Translates an error of connecting.
    pub(super) fn connecting(server: &impl ToString, source: &tokio_postgres::Error) -> Self {
        let why = match source.as_db_error() {
            Some(error) => {
                let advice = match error.code() {
                    code if *code == SqlState::INVALID_PASSWORD => "; look at the password and at pg_hba.conf",
                    code if *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                        "; look at pg_hba.conf and sslmode"
                    }
                    code if *code == SqlState::INVALID_CATALOG_NAME => "; make the database with createdb",
                    _ => "",
                };
                format!("{}{advice}", error.message())
            }
            None => format!("{source}: {}", innermost(source)),
        };
        Self::Connect { server: server.to_string(), why }
    }

    /// The fault, without advice.
    fn why(&self) -> String {
        match self {
            Self::Row { what, why, .. } => format!("{what} cannot be read: {why}"),
            other => other.to_string(),
        }
    }
}

fn innermost(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl From<PostgresError> for StoreError {
    fn from(error: PostgresError) -> Self {
        let kind = match &error {
            PostgresError::LeaseLost { .. } => ErrorKind::LeaseLost,
            PostgresError::Newer { .. } => ErrorKind::Newer,
            PostgresError::InUse { .. } => ErrorKind::InUse,
            PostgresError::Row { .. } => ErrorKind::Damaged,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, error.why(), error)
    }
}
