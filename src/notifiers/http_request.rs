//! One request and its reply. No retry, no redirect, and no secret in an error.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use secrecy::{ExposeSecret as _, SecretString};

use super::redact::Redactor;
use super::reply::{MAX_BODY, Reply, words};
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

/// How long a request may take, from connecting to the end of the reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One request.
#[derive(Clone)]
pub(crate) struct HttpRequest {
    method: Method,
    /// Segments that its address has more than that of the destination.
    below: Vec<String>,
    /// JSON, or nothing.
    body: Vec<u8>,
    /// When it is made.
    now: Time,
    headers: Vec<(&'static str, String)>,
    query: Vec<(&'static str, String)>,
    /// A scheme and a token.
    authorization: Option<(&'static str, SecretString)>,
    user_agent: &'static str,
    /// How long the other side may hold it before it answers.
    held: Duration,
    /// How much of the reply is read, in bytes.
    most: usize,
}

impl HttpRequest {
    fn new(method: Method, body: Vec<u8>, now: Time) -> Self {
        Self {
            method,
            below: Vec::new(),
            body,
            now,
            headers: Vec::new(),
            query: Vec::new(),
            authorization: None,
            user_agent: concat!("podbell/", env!("CARGO_PKG_VERSION")),
            held: Duration::ZERO,
            most: MAX_BODY,
        }
    }

    /// Posts JSON.
    pub(crate) fn post(body: impl Into<Vec<u8>>, now: Time) -> Self {
        Self::new(Method::POST, body.into(), now)
    }

    /// Asks for what is there.
    pub(crate) fn get(now: Time) -> Self {
        Self::new(Method::GET, Vec::new(), now)
    }

    /// When it is made.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// With another method.
    #[must_use]
    pub(crate) fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// With this header.
    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// At an address below that of the destination.
    #[must_use]
    pub(crate) fn below(self, segments: &[&str]) -> Self {
        Self { below: segments.iter().map(|one| (*one).to_owned()).collect(), ..self }
    }

    /// With these pairs added to the query of its address.
    #[must_use]
    pub(crate) fn query(self, query: Vec<(&'static str, String)>) -> Self {
        Self { query, ..self }
    }

    /// The other side holds it for this long when it has nothing to say.
    #[must_use]
    pub(crate) fn held(self, held: Duration) -> Self {
        Self { held, ..self }
    }

    /// Reads this much of the reply, in bytes.
    #[must_use]
    pub(crate) fn reading(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Adds a bearer token, for platforms whose address does not prove who asks.
    #[must_use]
    pub(crate) fn bearer(self, token: &SecretString) -> Self {
        self.authorized("Bearer", token)
    }

    /// Adds a token of another scheme.
    #[must_use]
    pub(crate) fn authorized(self, scheme: &'static str, token: &SecretString) -> Self {
        Self { authorization: Some((scheme, token.clone())), ..self }
    }

    /// Says who asks in the words that a platform wants.
    #[must_use]
    pub(crate) fn user_agent(self, user_agent: &'static str) -> Self {
        Self { user_agent, ..self }
    }

    /// Makes it, and reads the reply.
    ///
    /// # Errors
    /// What the transport's failure means for the message.
    pub(crate) async fn send(
        self,
        client: &reqwest::Client,
        url: &url::Url,
        redactor: &Redactor,
    ) -> Result<Reply, Outcome> {
        let mut url = url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&self.below);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut request = client
            .request(self.method, url)
            .timeout(TIMEOUT + self.held)
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(USER_AGENT, self.user_agent);
        if let Some((scheme, token)) = &self.authorization {
            let text = format!("{scheme} {}", token.expose_secret());
            request = match HeaderValue::try_from(&text) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    request.header(AUTHORIZATION, value)
                }
                // It cannot be a header; sending says so.
                Err(_) => request.header(AUTHORIZATION, text),
            };
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = request.body(self.body).send().await.map_err(|error| failed(error, redactor))?;
        Reply::read(response, redactor, self.now, self.most).await.map_err(|error| failed(error, redactor))
    }
}

/// What a transport error means for the message: a server that was never reached has not taken it.
fn failed(error: reqwest::Error, redactor: &Redactor) -> Outcome {
    let (never_reached, timed_out) = (error.is_connect(), error.is_timeout());
    let why = match timed_out {
        true => format!("no answer within {} s", TIMEOUT.as_secs()),
        false => words(&chain(&error.without_url()), redactor),
    };
    match never_reached {
        true => Outcome::Refused { retry_after: None, why },
        false => Outcome::Unclear { retry_after: None, why },
    }
}

/// An error with its causes: operators can act on the last one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
