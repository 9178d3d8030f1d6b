//! One request of OTLP over HTTP, and what its answer means. No secret is in a reason: neither addresses nor bodies of answers.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret as _;

use super::Collector;
use crate::http::read_body;
use crate::notifiers::reply::retry_after;
use podbell_core::time::Time;

/// How long a request may take, as the specification's default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const MAX_BODY: usize = 64 * 1024;

/// What an answer means for a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExportOutcome {
    /// The collector has it, but for some records.
    Taken {
        /// How many records it rejected.
        rejected: usize,
    },
    /// It may take it later.
    Again {
        /// Not before this.
        after: Option<Duration>,
        /// Why not now.
        why: String,
    },
    /// It never will.
    Refused {
        /// Why.
        why: String,
    },
}

/// Posts an encoded request.
pub(super) async fn post(client: &reqwest::Client, collector: &Collector, body: Vec<u8>, now: Time) -> ExportOutcome {
    let mut request =
        client.post(collector.url.clone()).timeout(TIMEOUT).header(CONTENT_TYPE, "application/x-protobuf").body(body);
    for (name, value) in &collector.headers {
        request = request.header(name, value.expose_secret());
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_builder() => {
            return ExportOutcome::Refused { why: "a header or the address cannot be sent".to_owned() };
        }
        Err(error) => return ExportOutcome::Again { after: None, why: not_answered(&error) },
    };
    let status = response.status().as_u16();
    let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
    let after = header.and_then(|value| retry_after(value, now));
    let why = format!("status {status}");
    match status {
        200..=299 => ExportOutcome::Taken { rejected: rejected(response).await },
        // The statuses that the specification calls retryable.
        429 | 502 | 503 | 504 => ExportOutcome::Again { after, why },
        _ => ExportOutcome::Refused { why },
    }
}

/// How many records an answer says were rejected. The batch arrived, whatever became of the answer's body.
async fn rejected(response: reqwest::Response) -> usize {
    let body = read_body(response, MAX_BODY).await.unwrap_or_default();
    let partial = ExportLogsServiceResponse::decode(body.as_slice()).ok().and_then(|answer| answer.partial_success);
    partial.and_then(|partial| usize::try_from(partial.rejected_log_records).ok()).unwrap_or(0)
}

fn not_answered(error: &reqwest::Error) -> String {
    let why = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time",
        (_, true) => "it cannot be reached",
        _ => "the connection broke off",
    };
    why.to_owned()
}
