//! A reply as data, and what its status alone means; the platforms refine that. Pure except for [`Reply::read`],
//! which reads only a bounded part of the body.

use std::time::Duration;

use crate::clock;
use crate::http::Clocks;
use podbell_core::message::clip;
use podbell_core::outbox::Outcome;
use podbell_core::time::Time;

use super::redact::Redactor;

/// How much of a body is read, unless the request wants more.
pub(super) const MAX_BODY: usize = 64 * 1024;
/// How much of the other side's words is kept.
const MAX_WORDS: usize = 200;

/// The longest wait that a reply can ask for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Headers that say how long to wait.
const RETRY_AFTER: [&str; 2] = ["retry-after", "x-ogw-ratelimit-reset"];

/// What came back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, or the same in a header of a gateway's own, if it is valid.
    pub retry_after: Option<Duration>,
    /// The body, for finding codes in it. Not for showing.
    pub body: String,
    /// The body, for showing: short, on one line, without secrets.
    pub words: String,
    /// What a token may do, where the platform says it beside its answers (`x-oauth-scopes`).
    pub scopes: Option<String>,
    /// The other side's clock.
    pub clocks: Option<Clocks>,
}

impl Reply {
    /// Reads a response, up to a limit. An error if it is cut off.
    pub(crate) async fn read(
        mut response: reqwest::Response,
        redactor: &Redactor,
        now: Time,
        most: usize,
    ) -> Result<Self, reqwest::Error> {
        let status = response.status().as_u16();
        let header = RETRY_AFTER.iter().find_map(|name| response.headers().get(*name)?.to_str().ok());
        let retry_after = header.and_then(|value| retry_after(value, now));
        let scopes = response.headers().get("x-oauth-scopes").and_then(|value| value.to_str().ok());
        let scopes = scopes.map(str::to_owned);
        let clocks = Clocks::of(response.headers(), now, clock::now());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(chunk.get(..chunk.len().min(most - body.len())).unwrap_or_default());
            if body.len() >= most {
                break;
            }
        }
        let reply = Self::of(status, retry_after, &String::from_utf8_lossy(&body), redactor);
        Ok(Self { scopes, clocks, ..reply })
    }

    /// A reply of these parts.
    pub(crate) fn of(status: u16, retry_after: Option<Duration>, body: &str, redactor: &Redactor) -> Self {
        Self { status, retry_after, body: body.to_owned(), words: words(body, redactor), scopes: None, clocks: None }
    }

    /// Whether the body is a page for people: the answer of something in between, such as an ingress whose service is just being
    /// replaced.
    pub(crate) fn is_page(&self) -> bool {
        self.body.trim_start().starts_with('<')
    }

    /// The reply in words: `status 404: no_service`.
    pub(crate) fn summary(&self) -> String {
        match self.words.as_str() {
            "" => format!("status {}", self.status),
            words => format!("status {}: {words}", self.status),
        }
    }

    /// It means that the URL or the credential is not valid any more. `code`: the platform's own, or the status.
    pub(crate) fn invalid_destination(&self, code: impl ToString, advice: impl Into<String>) -> Outcome {
        Outcome::InvalidDestination { code: code.to_string(), text: self.summary(), advice: advice.into() }
    }

    /// It means that the platform refuses this content.
    pub(crate) fn content_rejected(&self) -> Outcome {
        Outcome::ContentRejected { why: self.summary() }
    }

    /// It means "not now": nothing was taken.
    pub(crate) fn refused(&self) -> Outcome {
        Outcome::Refused { retry_after: self.retry_after, why: self.summary() }
    }
}

/// Words of the other side, safe to show: without secrets, on one line, at most 200 characters.
pub(crate) fn words(text: &str, redactor: &Redactor) -> String {
    let clean: String = redactor.redact(text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut line = String::new();
    for word in clean.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // Enough to show that the text was cut.
        if line.chars().count() > MAX_WORDS {
            break;
        }
    }
    clip(&line, MAX_WORDS)
}

/// The outcome where nobody knows whether the message was taken.
pub(crate) fn unclear(reply: &Reply, what: &str) -> Outcome {
    Outcome::Unclear { retry_after: reply.retry_after, why: format!("{what}: {}", reply.summary()) }
}

/// The outcome of a success that is not in the form of this platform.
pub(crate) fn success_not_of(reply: &Reply, platform: &str) -> Outcome {
    unclear(reply, &format!("a success that is not {platform}'s (a proxy or a login page in between?)"))
}

/// The outcome of a refusal that is not in the form of this platform.
pub(crate) fn answer_not_of(reply: &Reply, platform: &str) -> Outcome {
    unclear(reply, &format!("an answer that is not {platform}'s (wrong host, or a proxy in between?)"))
}

/// What an answer means that is not in the form of this platform: what its status says, or that something else answered.
pub(crate) fn not_of(reply: &Reply, platform: &str) -> Outcome {
    match reply.status {
        429 | 413 | 300..=399 | 500..=599 => by_status(reply),
        _ => answer_not_of(reply, platform),
    }
}

/// The outcome where something in between refused the message, which the receiver has not seen: it is sent again.
pub(crate) fn in_between(reply: &Reply) -> Outcome {
    let why = format!("a page in between answered: {}", reply.summary());
    Outcome::Refused { retry_after: reply.retry_after, why }
}

/// The same as [`by_status`] for a platform that never answers with a page: what refuses a message so stands in between.
pub(crate) fn of_platform(reply: &Reply) -> Outcome {
    match by_status(reply) {
        Outcome::ContentRejected { .. } if reply.is_page() => in_between(reply),
        outcome => outcome,
    }
}

/// What a server says that was asked without TLS and wants it, in the words of Go's and of nginx.
const WANTS_TLS: [&str; 2] = ["HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port"];

/// Whether a server was asked without TLS and wants it.
pub(crate) fn wants_tls(reply: &Reply) -> bool {
    WANTS_TLS.iter().any(|words| reply.body.contains(words))
}

/// What a status means if the body says nothing.
pub(crate) fn by_status(reply: &Reply) -> Outcome {
    let invalid = |advice: &str| reply.invalid_destination(reply.status, advice);
    match reply.status {
        200..=299 => Outcome::Delivered,
        // Following a redirect could carry the message to a stranger.
        300..=399 => invalid("redirects are not followed: put the final URL into podbell.yaml"),
        400 if wants_tls(reply) => invalid("the receiver speaks TLS: write https:// in podbell.yaml"),
        401 | 403 => invalid("the receiver refuses podbell: check URL and secret in podbell.yaml"),
        404 | 410 => invalid("nobody receives at this URL any more: correct it in podbell.yaml"),
        405 => invalid("the receiver does not take POST requests here: check the URL in podbell.yaml"),
        407 => invalid("the proxy wants a login: put user and password into http: proxy: of podbell.yaml"),
        421 => {
            invalid("the server there is not responsible for this host: check the URL in podbell.yaml, and the proxy")
        }
        426 => invalid("the receiver wants another protocol: check that the URL in podbell.yaml begins with https"),
        451 => invalid("the receiver may not take this for legal reasons: ask whoever runs it"),
        429 => reply.refused(),
        408 | 425 | 500.. => Outcome::Unclear { retry_after: reply.retry_after, why: reply.summary() },
        400..=499 => reply.content_rejected(),
        _ => unclear(reply, "a status that is no final answer"),
    }
}

/// `Retry-After` as seconds or as a date. `None` if it is neither, or says "at once": then the ordinary back-off
/// applies.
pub(crate) fn retry_after(value: &str, now: Time) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(value).ok()?;
            Time::from_millis(date.timestamp().as_millisecond()).since(now)
        }
    };
    (!wait.is_zero()).then_some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a24_retry_after_is_seconds_or_a_date_and_nonsense_is_ignored() {
        let now = Time::from_seconds(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        let after = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(after("120"), Some(120));
        assert_eq!(after(" 36000 "), Some(36_000));
        assert_eq!(after("Sun, 06 Nov 1994 08:51:37 GMT"), Some(120));
        for too_long in ["99999999999", "18446744073709551615", "06 Nov 2994 08:51:37 GMT"] {
            assert_eq!(after(too_long), Some(86_400), "{too_long}");
        }
        for ignored in ["-5", "0", "", "soon", "1.5", "Sun, 06 Nov 1994 08:00:00 GMT", "99999999999999999999999"] {
            assert_eq!(after(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn advice_fits_whoever_answered() {
        let advice = |status| match by_status(&Reply::of(status, None, "", &Redactor::default())) {
            Outcome::InvalidDestination { advice, .. } => advice,
            other => format!("{other:?}"),
        };
        assert!(advice(405).contains("POST"));
        assert!(advice(407).contains("proxy") && !advice(407).contains("POST"));
        let all: std::collections::BTreeSet<String> = [405, 407, 421, 426, 451].map(advice).into();
        assert_eq!(all.len(), 5, "{all:?}");
    }
}
