//! TLS in front of something, with a certificate of the authority in `tests/fixtures/tls`.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::fixture;

/// Accepts for `127.0.0.1`.
pub fn acceptor() -> TlsAcceptor {
    acceptor_with("server")
}

/// Accepts with a certificate of `tests/fixtures/tls`.
pub fn acceptor_with(name: &str) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_file(fixture(&format!("tls/{name}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(fixture(&format!("tls/{name}.key"))).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Passes everything on to an address, and says where it listens itself.
pub async fn in_front_of(address: &str) -> String {
    with_certificate("server", address).await
}

/// The same with another certificate of `tests/fixtures/tls`.
pub async fn with_certificate(name: &str, address: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let (acceptor, address) = (acceptor_with(name), address.to_owned());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, address) = (acceptor.clone(), address.clone());
            tokio::spawn(async move {
                let (Ok(mut inside), Ok(mut outside)) =
                    (TcpStream::connect(&address).await, acceptor.accept(stream).await)
                else {
                    return;
                };
                let _ = copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    here
}
