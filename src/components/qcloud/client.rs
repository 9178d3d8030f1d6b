//! Carries signed requests to the API and their answers back.
//!
//! Owns the request rate, the retries within one poll, the size and time limits, and the texts of errors. Never
//! diffs, never schedules. A URL with its query (which holds the signature) appears in no error and no log.

use std::num::NonZeroU32;
use std::sync::PoisonError;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use url::Url;

use super::codes::{self, Retry};
use super::signature::{HttpMethod, sign, string_to_sign};
use super::{ApiConfig, SignatureMethod};
use crate::clock;
use crate::http::{BodyError, Clocks, read_body};
use crate::redact::spellings;
use crate::sources::event_list::{self as answer, AnswerError, EventList};
use crate::sources::{List, Problem};
use podbell_core::event::Target;

/// Retries of one poll when the API is unwell.
const MAX_RETRIES: u32 = 2;
/// No retry begins later than this within a poll, however long `poll_every` is.
const MAX_BUDGET: Duration = Duration::from_secs(30);

/// The longest error text that is kept of the other side.
const MAX_TEXT: usize = 300;

/// The characters to escape in a query: all but the unreserved ones of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A client of one source.
pub struct Client {
    config: ApiConfig,
    http: reqwest::Client,
    host: String,
    pace: Pace,
    clocks: std::sync::Mutex<Option<Clocks>>,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(config: ApiConfig, http: reqwest::Client) -> Self {
        let host = signed_host(&config.endpoint);
        Self { pace: Pace::new(config.requests_per_second), clocks: std::sync::Mutex::default(), http, host, config }
    }

    /// The source's configuration.
    pub fn config(&self) -> &ApiConfig {
        &self.config
    }

    /// The API's clock compared with this machine's, from its newest answer.
    pub fn clocks(&self) -> Option<Clocks> {
        *self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One service's list.
    pub async fn events(&self, target: &Target) -> Result<List, Problem> {
        let params =
            [("clusterId", &*target.cluster), ("serviceName", &*target.service), ("namespace", &*target.namespace)];
        let read = |body: &[u8]| answer::parse_events(body, &self.config.time_zone).map(EventList::into_owned);
        let list = self.call("DescribeServiceEvent", &params, read).await?;
        Ok(List { events: list.events, unusable: list.skipped })
    }

    /// Asks until there is an answer, or until trying again would not help.
    pub(super) async fn call<T>(
        &self,
        action: &str,
        params: &[(&str, &str)],
        read: impl Fn(&[u8]) -> Result<T, AnswerError>,
    ) -> Result<T, Problem> {
        let begun = clock::monotonic();
        let budget = self.config.poll_every.min(MAX_BUDGET);
        let mut afresh = 0;
        let mut later = 0;
        loop {
            let trouble = match self.attempt(action, params, &read).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let retry = trouble.retry;
            let tries = match retry {
                Retry::Operator => return Err(trouble.error),
                Retry::Afresh if afresh == 0 => &mut afresh,
                Retry::Later { .. } if later < MAX_RETRIES => &mut later,
                Retry::Afresh | Retry::Later { .. } => return Err(trouble.error),
            };
            let delay = retry.delay(*tries, self.config.retry_delay).mul_f64(rand::random_range(0.5..1.5));
            *tries += 1;
            if begun.elapsed() + delay > budget {
                return Err(trouble.error);
            }
            tracing::debug!(source = %self.config.name, action, code = trouble.error.code, "trying again");
            tokio::time::sleep(delay).await;
        }
    }

    async fn attempt<T>(
        &self,
        action: &str,
        params: &[(&str, &str)],
        read: &impl Fn(&[u8]) -> Result<T, AnswerError>,
    ) -> Result<T, FailedAttempt> {
        self.pace.turn().await;
        let asked = clock::now();
        let response = self.request(action, params).send().await.map_err(|error| FailedAttempt::transport(&error))?;
        if let Some(clocks) = Clocks::of(response.headers(), asked, clock::now()) {
            *self.clocks.lock().unwrap_or_else(PoisonError::into_inner) = Some(clocks);
        }
        let status = response.status();
        if !status.is_success() {
            return Err(FailedAttempt::status(status));
        }
        let body = read_body(response, self.config.max_answer).await.map_err(|error| FailedAttempt::body(&error))?;
        read(&body).map_err(|error| {
            let mut trouble = FailedAttempt::answer(error);
            trouble.error.text = self.scrubbed(&trouble.error.text);
            trouble
        })
    }

    /// Removes our secrets from the API's words: it may answer a refused signature with all that was signed, the
    /// token included.
    fn scrubbed(&self, text: &str) -> String {
        let config = &self.config;
        let secrets = [Some(&config.secret_key), Some(&config.secret_id), config.token.as_ref()];
        let mut text = text.to_owned();
        for secret in secrets.into_iter().flatten() {
            for spelling in spellings(secret.expose_secret()) {
                text = text.replace(&spelling, "***");
            }
        }
        text.chars().take(MAX_TEXT).collect()
    }

    /// A request with a fresh nonce and the current time.
    fn request(&self, action: &str, params: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let form = self.signed_form(action, params);
        let mut url = self.config.endpoint.clone();
        let request = match self.config.method {
            HttpMethod::Get => {
                url.set_query(Some(&form));
                self.http.get(url)
            }
            HttpMethod::Post => {
                url.set_query(None);
                let form_type = "application/x-www-form-urlencoded";
                self.http.post(url).header(reqwest::header::CONTENT_TYPE, form_type).body(form)
            }
        };
        request.timeout(self.config.timeout)
    }

    fn signed_form(&self, action: &str, params: &[(&str, &str)]) -> String {
        let config = &self.config;
        let timestamp = clock::now().seconds().to_string();
        let nonce = rand::random_range(1..=i64::MAX).to_string();
        let mut all = vec![
            ("Action", action),
            ("Region", &*config.region),
            ("Timestamp", &*timestamp),
            ("Nonce", &*nonce),
            ("SecretId", config.secret_id.expose_secret()),
        ];
        if config.signature_method == SignatureMethod::HmacSha256 {
            all.push(("SignatureMethod", config.signature_method.as_str()));
        }
        if let Some(token) = &config.token {
            all.push(("Token", token.expose_secret()));
        }
        all.extend_from_slice(params);
        let text = string_to_sign(config.method, &self.host, config.endpoint.path(), all.iter().copied());
        let signature = sign(&text, &config.secret_key, config.signature_method);
        all.push(("Signature", &signature));
        encode(&all)
    }
}

fn encode(params: &[(&str, &str)]) -> String {
    let mut form = String::with_capacity(params.len() * 32);
    for (name, value) in params {
        if !form.is_empty() {
            form.push('&');
        }
        form.extend(utf8_percent_encode(name, ESCAPED));
        form.push('=');
        form.extend(utf8_percent_encode(value, ESCAPED));
    }
    form
}

/// The host as the request's `Host` header names it.
fn signed_host(endpoint: &Url) -> String {
    let host = endpoint.host_str().unwrap_or_default();
    match endpoint.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Spaces out the requests of a source: the API counts them per second. Requests that would leave within one tick
/// of the poller may leave together.
struct Pace {
    limiter: DefaultDirectRateLimiter,
    /// The queue of those who wait: a fair lock keeps a poll from being overtaken for ever.
    line: Mutex<()>,
}

impl Pace {
    fn new(per_second: NonZeroU32) -> Self {
        let together = NonZeroU32::new(per_second.get() / 10).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(per_second).allow_burst(together);
        Self { limiter: RateLimiter::direct(quota), line: Mutex::new(()) }
    }

    async fn turn(&self) {
        let _first = self.line.lock().await;
        while let Err(early) = self.limiter.check() {
            tokio::time::sleep(early.wait_time_from(DefaultClock::default().now())).await;
        }
    }
}

/// An attempt that failed: what to do, and what to report when nothing helps.
struct FailedAttempt {
    retry: Retry,
    error: Problem,
}

impl FailedAttempt {
    fn later(code: impl Into<String>, text: impl Into<String>, advice: &str) -> Self {
        Self { retry: Retry::Later { factor: 1 }, error: poll_error(code, text, advice) }
    }

    fn mend(code: impl Into<String>, text: impl Into<String>, advice: &str) -> Self {
        Self { retry: Retry::Operator, error: poll_error(code, text, advice) }
    }

    fn transport(error: &reqwest::Error) -> Self {
        if error.is_connect() {
            let text = format!("cannot connect: {}", root_cause(error));
            Self::later("connect", text, "check endpoint, http.proxy, http.ca_file and the network between")
        } else if error.is_timeout() {
            Self::later("timeout", "no answer in time", "check the network between; is the API slow?")
        } else {
            let text = format!("the connection broke: {}", root_cause(error));
            Self::later("cut-off", text, "check the network between, and proxies on the way")
        }
    }

    fn body(error: &BodyError) -> Self {
        match error {
            BodyError::TooLarge { .. } => Self::mend(
                "too-large",
                error.to_string(),
                "check what answers at this endpoint: no event list is that long",
            ),
            BodyError::Transport(cause) if cause.is_timeout() => {
                Self::later("timeout", "the answer did not end in time", "check the network between; is the API slow?")
            }
            BodyError::Transport(_) => {
                Self::later("cut-off", error.to_string(), "check the network between, and proxies on the way")
            }
        }
    }

    fn status(status: reqwest::StatusCode) -> Self {
        let code = format!("http-{}", status.as_u16());
        let text = format!("the API answered HTTP {status}");
        if status.is_redirection() {
            Self::mend(code, text, "name the final address as endpoint: redirects are not followed")
        } else if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            Self::later(code, text, "wait; if it lasts, check proxies on the way and ask the provider")
        } else {
            Self::mend(code, text, "check endpoint, and proxies on the way")
        }
    }

    fn answer(error: AnswerError) -> Self {
        let text = error.to_string();
        match error {
            AnswerError::Refused { code, message } => Self::refused(&code, &message),
            AnswerError::CutOff => Self::later("cut-off", text, "check the network between, and proxies on the way"),
            AnswerError::NotJson(_) => {
                Self::mend("not-json", text, "check endpoint: is a proxy or a login page answering?")
            }
            AnswerError::Malformed(_) => Self::mend("malformed", text, "check endpoint: is it this API that answers?"),
        }
    }

    fn refused(code: &str, message: &str) -> Self {
        let Ok(number) = code.trim().parse::<i64>() else {
            return Self::mend(code, message, "look the code up in the API's documentation");
        };
        let meaning = codes::meaning(number);
        let mut error = poll_error(number.to_string(), format!("{}: {message}", meaning.text), meaning.advice);
        error.gone = number == codes::NO_SERVICE;
        Self { retry: meaning.retry, error }
    }
}

fn poll_error(code: impl Into<String>, text: impl Into<String>, advice: &str) -> Problem {
    Problem { code: code.into(), text: text.into(), advice: advice.to_owned(), gone: false }
}

/// The innermost cause: the outer ones repeat that something failed, some with the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) { "unknown cause".to_owned() } else { cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_signed_unless_it_is_the_schemes_own() {
        for (endpoint, host) in [
            ("https://ccs.api.qcloud.com/v2/index.php", "ccs.api.qcloud.com"),
            ("https://ccs.api.qcloud.com:443/v2/index.php", "ccs.api.qcloud.com"),
            ("http://127.0.0.1:8080/v2/index.php", "127.0.0.1:8080"),
            ("http://[::1]:8080/x", "[::1]:8080"),
        ] {
            assert_eq!(signed_host(&endpoint.parse().unwrap()), host);
        }
    }

    #[test]
    fn every_value_is_encoded() {
        assert_eq!(encode(&[("a", "x y+z&=/%"), ("b", "单-_.~")]), "a=x%20y%2Bz%26%3D%2F%25&b=%E5%8D%95-_.~");
    }
}
