//! Tests whether something can be reached: looks its name up, connects, does the TLS handshake, and hangs up without
//! sending a request.
//!
//! The connection is made by the same code, proxy and certificate authorities as every other one; a layer around it
//! ends the request before it begins. Behind a proxy, an http address only shows that the proxy answers; for an https
//! address, the proxy makes the whole connection.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;
use url::Url;

use crate::http::{ClientError, HttpOptions, client_with};

/// Connects and hangs up.
#[derive(Clone, Debug)]
pub(crate) struct Connectivity {
    client: reqwest::Client,
    has_file: bool,
}

/// Why something was not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// No answer in time.
    Timeout,
    /// Its name cannot be resolved.
    Name,
    /// The connection was refused.
    Refused,
    /// Its certificate is not trusted.
    Certificate,
    /// The same, although `http.ca_file` names whom to trust.
    CertificateDespiteFile,
    /// Anything else.
    Other,
}

impl Obstacle {
    /// What the operator can do.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Timeout => {
                "check the address, the firewall between, and whether it is reached through http.proxy only"
            }
            Self::Name => "check the host in the address, and this machine's DNS; behind a proxy set http.proxy",
            Self::Refused => "check host and port, and whether it runs",
            Self::Certificate => {
                "put the certificate of the authority that signed it into http.ca_file, or mend the certificate"
            }
            Self::CertificateDespiteFile => {
                "no authority in http.ca_file signed it for this address: put the one that did into that file (`openssl s_client -showcerts -connect HOST:PORT` shows it), or mend the certificate: its dates, and its subjectAltName"
            }
            Self::Other => "check the address, http or https, http.proxy and the firewall",
        }
    }
}

/// Why something was not reached. Never contains the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreached {
    /// The kind.
    pub obstacle: Obstacle,
    /// What the system said.
    pub text: String,
}

impl Connectivity {
    /// Reaches the network as `http:` of podbell.yaml says.
    ///
    /// # Errors
    /// Like [`crate::http::client`].
    pub(crate) fn new(options: &HttpOptions) -> Result<Self, ClientError> {
        let client = client_with(options, |builder| builder.connector_layer(HangUp))?;
        Ok(Self { client, has_file: options.ca_file.is_some() })
    }

    /// Connects to where an http(s) address points.
    ///
    /// # Errors
    /// When no connection is established.
    pub(crate) async fn reach(&self, url: Url) -> Result<(), Unreached> {
        match self.client.get(url).send().await {
            // Does not happen: no request is sent, so there is no answer.
            Ok(_) => Ok(()),
            Err(error) if causes(&error).any(|cause| cause.is::<Connected>()) => Ok(()),
            Err(error) => Err(unreached(&error, self.has_file)),
        }
    }
}

/// Ends a request once its connection is established.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connected")]
struct Connected;

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        // The source of an I/O error is the cause of the error that it wraps, not that error itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn unreached(error: &reqwest::Error, has_file: bool) -> Unreached {
    let text = causes(error).last().filter(|cause| !cause.is::<reqwest::Error>()).map(ToString::to_string);
    let text = text.unwrap_or_else(|| "unknown cause".to_owned());
    let refused = |cause: &(dyn Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    let certificate = |cause: &(dyn Error + 'static)| {
        matches!(cause.downcast_ref::<rustls::Error>(), Some(rustls::Error::InvalidCertificate(_)))
    };
    let lookup = causes(error).any(|cause| cause.to_string().starts_with("dns error"));
    let obstacle = match () {
        () if error.is_timeout() => Obstacle::Timeout,
        () if lookup => Obstacle::Name,
        () if causes(error).any(refused) => Obstacle::Refused,
        () if causes(error).any(certificate) && has_file => Obstacle::CertificateDespiteFile,
        () if causes(error).any(certificate) => Obstacle::Certificate,
        () => Obstacle::Other,
    };
    let text = match obstacle {
        Obstacle::Timeout => "nobody answers in time".to_owned(),
        // The system's message may contain the host.
        Obstacle::Name => "its name is not known here".to_owned(),
        Obstacle::Certificate | Obstacle::CertificateDespiteFile => {
            format!("its certificate is not believed ({})", short(&text))
        }
        _ => text,
    };
    Unreached { obstacle, text }
}

/// The kind of a certificate error; the rest of its text may name hosts.
fn short(text: &str) -> &str {
    let text = text.strip_prefix("invalid peer certificate: ").unwrap_or(text);
    text.split([':', ';', '(', '{']).next().unwrap_or(text).trim()
}

/// A layer that hangs up once a connection is established.
#[derive(Clone, Copy, Debug)]
struct HangUp;

impl<S> Layer<S> for HangUp {
    type Service = HangingUp<S>;

    fn layer(&self, inner: S) -> HangingUp<S> {
        HangingUp(inner)
    }
}

#[derive(Clone, Debug)]
struct HangingUp<S>(S);

type Failure = Box<dyn Error + Send + Sync>;

impl<S, R> Service<R> for HangingUp<S>
where
    S: Service<R, Error = Failure>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.0.call(request);
        Box::pin(async move {
            drop(connecting.await?);
            Err(Connected.into())
        })
    }
}
