//! How a recording's lines are written.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::recording::{RecordedHealth, RecordedObject, RecordedOutcome, RecordedPoll, RecordedTemplate};
use crate::sources::wall_clock::WallClock;
use podbell_core::event::Event;

/// An event as lists write it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WrittenEvent<'a> {
    first_seen: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    series: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    signal: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    last_seen: String,
    count: u64,
    level: &'static str,
    obj_type: &'a str,
    obj_name: &'a str,
    reason: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
}

impl<'a> WrittenEvent<'a> {
    /// With its times on this wall clock.
    pub(crate) fn new(event: &'a Event<'_>, clock: &WallClock) -> Self {
        let metadata = event.metadata.as_deref();
        let said = |all: &'a BTreeMap<String, String>| Some(all).filter(|all| !all.is_empty());
        Self {
            series: event.series,
            signal: event.signal,
            node: event.node.as_deref(),
            first_seen: clock.write(event.first_seen),
            last_seen: clock.write(event.last_seen),
            count: event.count,
            level: event.level.as_str(),
            obj_type: &event.obj_type,
            obj_name: &event.obj_name,
            reason: &event.reason,
            message: &event.message,
            labels: metadata.and_then(|metadata| said(&metadata.labels)),
            annotations: metadata.and_then(|metadata| said(&metadata.annotations)),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPoll<'a> {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_list: Option<Vec<WrittenEvent<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<&'a [RecordedHealth]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    templates: Option<&'a [RecordedTemplate]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<&'a [RecordedObject]>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    watched: bool,
}

/// Writes one poll as a line. Times lose their fractions of a second. A zone that puts its clocks back loses an
/// hour a year, so UTC is best.
pub fn write_poll(output: &mut impl Write, poll: &RecordedPoll, clock: &WallClock) -> io::Result<()> {
    let written = WrittenPoll {
        at: clock.write(poll.at),
        cluster: poll.scope.cluster.as_deref(),
        namespace: poll.scope.namespace.as_deref(),
        service: poll.scope.service.as_deref(),
        event_list: poll
            .outcome
            .list()
            .map(|events| events.iter().map(|event| WrittenEvent::new(event, clock)).collect()),
        error: match &poll.outcome {
            RecordedOutcome::Error(error) => Some(error),
            _ => None,
        },
        health: match &poll.outcome {
            RecordedOutcome::Health(health) => Some(health),
            _ => None,
        },
        templates: match &poll.outcome {
            RecordedOutcome::Templates(templates) => Some(templates),
            _ => None,
        },
        deleted: match &poll.outcome {
            RecordedOutcome::Deleted(objects) => Some(objects),
            _ => None,
        },
        watched: poll.outcome == RecordedOutcome::Watched,
    };
    serde_json::to_writer(&mut *output, &written)?;
    output.write_all(b"\n")
}
