//! Whether a collector takes records: asked with a request that has none.

use super::post::{ExportOutcome, post};
use super::{Collector, records};
use crate::clock;
use crate::examine::{Finding, Group};
use prost::Message as _;

const SUBJECT: &str = "export.otlp";

/// Looks at a collector.
pub(crate) async fn examine(client: &reqwest::Client, collector: &Collector) -> Finding {
    let fail = |found: String, advice: &str| Finding::fail(Group::Destinations, SUBJECT, found, advice);
    match post(client, collector, records::request(&[]).encode_to_vec(), clock::now()).await {
        ExportOutcome::Taken { .. } => {
            Finding::ok(Group::Destinations, SUBJECT, "the collector takes logs (a request without records was sent)")
        }
        ExportOutcome::Again { why, .. } if why.starts_with("status ") => {
            let found = format!("the collector does not take logs now: {why}");
            Finding::warn(
                Group::Destinations,
                SUBJECT,
                found,
                "podbell tries again until it does; look at the collector",
            )
        }
        ExportOutcome::Again { why, .. } => fail(
            format!("the collector does not answer: {why}"),
            "check `export.otlp.endpoint`, the proxy and the firewall",
        ),
        ExportOutcome::Refused { why } => {
            let advice = "check `endpoint` (OTLP over HTTP, usually port 4318, without /v1/logs) and `headers`";
            fail(format!("the collector refuses logs: {why}"), advice)
        }
    }
}
