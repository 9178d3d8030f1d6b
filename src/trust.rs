//! The certificates that connections trust: the system's authorities, those of `http.ca_file`, and a server's
//! certificate that is itself in that file. Whoever runs one receiver makes one certificate for it with
//! `openssl req -x509`, which is an authority and a server's at once. Strict verifiers refuse that one as a server's,
//! even if it is trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// The verifier's name for this refusal.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

/// See the module.
#[derive(Debug)]
struct Trust {
    usual: Verifier,
    /// The certificates of the file.
    own: Vec<CertificateDer<'static>>,
}

/// The settings of a client that also trusts the certificates of a PEM file; `None` if there is none in it.
pub(crate) fn with_file(path: &Path) -> std::io::Result<Option<rustls::ClientConfig>> {
    let pem = std::fs::read(path)?;
    let own = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if own.is_empty() {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(config(own, provider).ok())
}

fn config(own: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<rustls::ClientConfig, Error> {
    let usual = Verifier::new_with_extra_roots(own.clone(), provider.clone())?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trust { usual, own }))
        .with_no_client_auth();
    Ok(config)
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
        let verified = self.usual.verify_server_cert(certificate, between, name, ocsp, now);
        match verified {
            // The verifier checks the dates before it refuses this, so they are good.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if format!("{why:?}").contains(AUTHORITY_AS_SERVER)
                    && self.own.iter().any(|own| own == certificate) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
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
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
