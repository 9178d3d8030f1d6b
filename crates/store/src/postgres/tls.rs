//! TLS of a connection, with libpq's meaning of `sslmode`.

use podbell_trust::{Check, Roots};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::{Server, TlsMode};

/// Why a connection cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("sslrootcert {path} cannot be read: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("sslrootcert {0} holds no certificate in PEM")]
    Empty(String),
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

/// What encrypts the connections to a server; `None` if nothing does.
pub(super) fn of(server: &Server) -> Result<Option<MakeRustlsConnect>, TlsError> {
    let roots = roots(server)?;
    let check = match (server.tls, &roots) {
        (TlsMode::Disable, _) => return Ok(None),
        (TlsMode::Prefer, _) | (TlsMode::Require, Roots::System) => Check::Nothing,
        // As libpq does: a file with authorities makes `require` check them.
        (TlsMode::Require, _) | (TlsMode::VerifyCa, _) => Check::Authority,
        (TlsMode::VerifyFull, _) => Check::AuthorityAndName,
    };
    let config = podbell_trust::client_config(check, roots).map_err(|error| TlsError::Setup(error.to_string()))?;
    Ok(Some(MakeRustlsConnect::new(config)))
}

/// The authorities of `sslrootcert` alone, or those of the system.
fn roots(server: &Server) -> Result<Roots, TlsError> {
    let Some(path) = &server.root_certificates else { return Ok(Roots::System) };
    let shown = path.display().to_string();
    let own = podbell_trust::certificates(path).map_err(|source| TlsError::Read { path: shown.clone(), source })?;
    if own.is_empty() { Err(TlsError::Empty(shown)) } else { Ok(Roots::Only(own)) }
}
