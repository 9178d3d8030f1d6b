//! TLS of a connection, with libpq's meaning of `sslmode`.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::{Server, TlsMode};

/// The verifier's name for a certificate that is an authority's and a server's at once.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

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

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    AuthorityAndName,
}

/// What encrypts the connections to a server; `None` if nothing does.
pub(super) fn of(server: &Server) -> Result<Option<MakeRustlsConnect>, TlsError> {
    let own = server.root_certificates.as_deref().map(certificates).transpose()?;
    let check = match (server.tls, &own) {
        (TlsMode::Disable, _) => return Ok(None),
        (TlsMode::Prefer, _) | (TlsMode::Require, None) => Check::Nothing,
        // As libpq does: a file with authorities makes `require` check them.
        (TlsMode::Require, Some(_)) | (TlsMode::VerifyCa, _) => Check::Authority,
        (TlsMode::VerifyFull, _) => Check::AuthorityAndName,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = Trust::new(check, own.unwrap_or_default(), provider.clone())?;
    let setup = |error: Error| TlsError::Setup(error.to_string());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let shown = path.display().to_string();
    let pem = std::fs::read(path).map_err(|source| TlsError::Read { path: shown.clone(), source })?;
    let own = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if own.is_empty() { Err(TlsError::Empty(shown)) } else { Ok(own) }
}

#[derive(Debug)]
struct Trust {
    check: Check,
    usual: Arc<dyn ServerCertVerifier>,
    /// The certificates of `sslrootcert`.
    own: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    fn new(check: Check, own: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let setup = |error: &dyn std::fmt::Display| TlsError::Setup(error.to_string());
        let usual: Arc<dyn ServerCertVerifier> = if own.is_empty() {
            Arc::new(Verifier::new(provider.clone()).map_err(|error| setup(&error))?)
        } else {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(own.clone());
            let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
            usual.map_err(|error| setup(&error))?
        };
        Ok(Self { check, usual, own, provider })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        match self.usual.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is checked last, so the rest is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            // A certificate that signs itself is in the file as authority and is the server's. The verifier checks the
            // dates before it refuses this, so they are good.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if format!("{why:?}").contains(AUTHORITY_AS_SERVER)
                    && self.own.iter().any(|own| own == certificate) =>
            {
                if self.check == Check::AuthorityAndName {
                    rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
