//! The shared HTTP client.

use podbell::http::{ClientError, HttpOptions, client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::fixture;
use crate::support::scripted::{Reply, Scripted};
use crate::support::tls::acceptor;

/// An HTTPS server whose certificate is of the authority in `tests/fixtures/tls`.
async fn https_server() -> String {
    let acceptor = acceptor();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

#[tokio::test]
async fn an_extra_authority_is_trusted_and_an_unknown_one_is_not() {
    let url = https_server().await;
    let trusting = HttpOptions { ca_file: Some(fixture("tls/ca.pem")), ..HttpOptions::default() };
    let answer = client(&trusting).unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok");
    let refused = client(&HttpOptions::default()).unwrap().get(&url).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
}

#[test]
fn a_missing_or_empty_bundle_of_authorities_is_told() {
    let options = |path| HttpOptions { ca_file: Some(path), ..HttpOptions::default() };
    assert!(matches!(client(&options("/missing.pem".into())), Err(ClientError::CaFile { .. })));
    assert!(matches!(client(&options(fixture("tls/README.md"))), Err(ClientError::CaContent { .. })));
}

#[tokio::test]
async fn requests_go_through_the_proxy_and_its_password_is_not_shown() {
    let proxy = Scripted::start([Reply::Http(200, "by proxy".into())]).await;
    let url = proxy.endpoint.replace("http://", "http://user:hidden@");
    let options = HttpOptions { proxy: Some(url.parse().unwrap()), ..HttpOptions::default() };
    assert!(!format!("{options:?}").contains("hidden"));
    let answer = client(&options).unwrap().get("http://example.invalid/x").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "by proxy");
    assert_eq!(proxy.requests(), ["GET http://example.invalid/x HTTP/1.1"]);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let server = Scripted::start([Reply::Http(307, String::new())]).await;
    let answer = client(&HttpOptions::default()).unwrap().get(&server.endpoint).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), server.requests().len()), (307, 1));
}
