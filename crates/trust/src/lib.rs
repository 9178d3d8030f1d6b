//! What a connection trusts: authorities, and a server's certificate that somebody wrote down as such. Whoever runs one
//! receiver or one database makes one certificate for it with `openssl req -x509`, which is an authority and a server's
//! at once. Strict verifiers refuse that one as a server's, even if it is trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// The verifier's name for a certificate that is an authority's and a server's at once.
const AUTHORITY_AS_SERVER: &str = "CaUsedAsEndEntity";

/// What is checked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing: the connection is encrypted, but not to anybody in particular.
    Nothing,
    /// Who signed it, and its dates.
    Authority,
    /// The same, and that it is the server's of this name.
    AuthorityAndName,
}

/// Which authorities are trusted, and which certificates as a server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// Those of the system.
    System,
    /// Those of the system, and these.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// These and no others.
    Only(Vec<CertificateDer<'static>>),
}

/// The certificates of a file in PEM; none if it holds none.
///
/// # Errors
/// When it cannot be read.
pub fn certificates(path: &Path) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(path)?;
    Ok(CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().unwrap_or_default())
}

/// The settings of a client that checks so much, by these authorities.
///
/// # Errors
/// When none of the authorities can be used.
pub fn client_config(check: Check, roots: Roots) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // Who checks nothing needs no authorities, which a small container image may not have.
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Anybody(provider.signature_verification_algorithms)),
        Check::Authority => Arc::new(Trust::new(check, roots, provider.clone())?),
        Check::AuthorityAndName => Arc::new(Trust::new(check, roots, provider.clone())?),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// Takes every certificate, if the server has its key.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Takes the certificates that authorities signed.
#[derive(Debug)]
struct Trust {
    checks_name: bool,
    usual: Arc<dyn ServerCertVerifier>,
    /// Certificates that may be a server's own.
    own: Vec<CertificateDer<'static>>,
}

impl Trust {
    fn new(check: Check, roots: Roots, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let (usual, own): (Arc<dyn ServerCertVerifier>, _) = match roots {
            Roots::System => (Arc::new(Verifier::new(provider)?), Vec::new()),
            Roots::SystemAnd(own) => (Arc::new(Verifier::new_with_extra_roots(own.clone(), provider)?), own),
            Roots::Only(own) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(own.clone());
                let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
                (usual.map_err(|error| Error::General(error.to_string()))?, own)
            }
        };
        Ok(Self { checks_name: check == Check::AuthorityAndName, usual, own })
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
        match self.usual.verify_server_cert(certificate, between, name, ocsp, now) {
            // The name is checked last, so the rest is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            // The verifier checks the dates before it refuses this, so they are good.
            Err(Error::InvalidCertificate(CertificateError::Other(why)))
                if format!("{why:?}").contains(AUTHORITY_AS_SERVER)
                    && self.own.iter().any(|own| own == certificate) =>
            {
                if self.checks_name {
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
