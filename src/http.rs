//! Builds the HTTP client that sources and notifiers share: the only way out.
//!
//! Owns what must hold for every outgoing request: no redirects (a signed request or a webhook's
//! secret must not follow one elsewhere), time limits, the proxy, the extra certificate authority,
//! the TLS provider, and bodies that end at a limit. It never retries and knows no platform.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::HeaderMap;
use url::Url;

use podbell_core::time::Time;
use podbell_trust::{Check, Roots};

/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take in all, unless the caller says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// `http:` of podbell.yaml.
#[derive(Clone, Default)]
pub struct HttpOptions {
    /// Every request goes through this proxy. `None` means none at all: the environment's proxy
    /// variables are not consulted, so that podbell.yaml alone says where requests go.
    pub proxy: Option<Url>,
    /// Certificate authorities trusted beside the system's, a PEM bundle.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's URL may carry a password.
        let proxy = self.proxy.as_ref().and_then(Url::host_str);
        f.debug_struct("HttpOptions").field("proxy", &proxy).field("ca_file", &self.ca_file).finish()
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The bundle of certificate authorities cannot be read.
    #[error("cannot read http.ca_file {path}: {source}")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It holds no usable certificate.
    #[error("http.ca_file {path} holds no usable PEM certificate")]
    CaContent {
        /// Which file.
        path: PathBuf,
    },
    /// The client cannot be built; the text contains no URLs.
    #[error("cannot set up HTTP: {0}")]
    Build(String),
}

/// A client with kept-alive connections. Callers may set shorter time limits per request.
pub fn client(options: &HttpOptions) -> Result<reqwest::Client, ClientError> {
    client_with(options, |builder| builder)
}

/// The same, with a change by the caller, such as how names are looked up.
pub(crate) fn client_with(
    options: &HttpOptions,
    change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, ClientError> {
    install_tls_provider();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(90))
        .tcp_keepalive(Duration::from_secs(30))
        .user_agent(concat!("podbell/", env!("CARGO_PKG_VERSION")));
    builder = match &options.proxy {
        Some(url) => builder.proxy(reqwest::Proxy::all(url.clone()).map_err(build_error)?),
        None => builder.no_proxy(),
    };
    if let Some(path) = &options.ca_file {
        builder = builder.tls_backend_preconfigured(trust(path)?);
    }
    change(builder).build().map_err(build_error)
}

/// Whether a file could be `http.ca_file`.
///
/// # Errors
/// When it cannot be read, or holds no usable certificate.
pub(crate) fn check_ca_file(path: &Path) -> Result<(), ClientError> {
    trust(path).map(drop)
}

fn trust(path: &Path) -> Result<rustls::ClientConfig, ClientError> {
    let own =
        podbell_trust::certificates(path).map_err(|source| ClientError::CaFile { path: path.to_owned(), source })?;
    let unusable = || ClientError::CaContent { path: path.to_owned() };
    if own.is_empty() {
        return Err(unusable());
    }
    podbell_trust::client_config(Check::AuthorityAndName, Roots::SystemAnd(own)).map_err(|_| unusable())
}

fn build_error(error: reqwest::Error) -> ClientError {
    ClientError::Build(error.without_url().to_string())
}

/// Several crates of the tree can bring a TLS provider; two of them panic at run time unless one
/// is chosen before the first connection.
pub(crate) fn install_tls_provider() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // An error means that the embedding process chose one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// What the `Date` of an answer says of this machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// The other side's time, in whole seconds.
    pub date: Time,
    /// When it was asked, by this machine's clock.
    pub asked: Time,
    /// When its answer began to arrive.
    pub answered: Time,
}

impl Clocks {
    /// From an answer's headers. `None` without a date, or if the answer comes from a cache.
    pub(crate) fn of(headers: &HeaderMap, asked: Time, answered: Time) -> Option<Self> {
        if headers.contains_key("age") {
            return None;
        }
        let date = jiff::fmt::rfc2822::parse(headers.get("date")?.to_str().ok()?).ok()?;
        Some(Self { date: Time::from_millis(date.timestamp().as_millisecond()), asked, answered })
    }

    /// By how many seconds this machine's clock is certainly ahead of the other one; negative: behind. The answer was
    /// dated between the request and its arrival, so a slow answer proves less.
    pub(crate) fn ahead(self) -> i64 {
        let (date, asked, answered) = (self.date.millis(), self.asked.millis(), self.answered.millis());
        match (asked - date, date - answered) {
            // `Date` has whole seconds: the answer may be of any moment within its second.
            (ahead, _) if ahead > 1000 => ahead / 1000,
            (_, behind) if behind > 0 => -((behind + 999) / 1000),
            _ => 0,
        }
    }
}

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It is longer than the limit.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The connection ended or stalled before the body did.
    #[error("the answer broke off")]
    Transport(#[source] reqwest::Error),
}

/// Reads a body in chunks, at most `limit` bytes of it, whatever its length header says.
pub(crate) async fn read_body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, BodyError> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge { limit });
    }
    // Do not trust the header: allocate memory as bytes arrive.
    let mut body = Vec::with_capacity(announced.unwrap_or(0).min(64 * 1024));
    while let Some(chunk) = response.chunk().await.map_err(|error| BodyError::Transport(error.without_url()))? {
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
