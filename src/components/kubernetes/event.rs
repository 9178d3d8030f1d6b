//! Reads a core/v1 event, whoever wrote it: the kubelet with first, last and count, a scheduler with `eventTime`
//! and `series` and null for the rest. No field is taken for granted; only an event without an object is rejected.

use jiff::Timestamp;
use serde::Deserialize;
use xxhash_rust::xxh3::xxh3_128;

use podbell_core::event::{Event, Level};
use podbell_core::time::Time;

/// An event of the API, read.
#[derive(Clone, Debug)]
pub struct KubeEvent {
    /// Identifies the object of the API.
    pub id: u128,
    /// Where it is kept.
    pub namespace: String,
    /// The namespace of what it is about; empty if that has none.
    pub object_namespace: String,
    /// What it says.
    pub event: Event<'static>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    involved_object: Object,
    reason: Option<String>,
    message: Option<String>,
    r#type: Option<String>,
    count: Option<i64>,
    first_timestamp: Option<String>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    series: Option<Series>,
    source: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    component: Option<String>,
    host: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: String,
    namespace: String,
    uid: String,
    creation_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    count: Option<i64>,
    last_observed_time: Option<String>,
}

/// Reads an event; `None` if the text is not one.
pub fn read(text: &str) -> Option<KubeEvent> {
    let raw: Raw = serde_json::from_str(text).ok()?;
    let kind = raw.involved_object.kind.filter(|kind| !kind.is_empty());
    let name = raw.involved_object.name.filter(|name| !name.is_empty());
    // A reporter that leaves out kind or name still says something. Without both, the event is about nothing.
    let (kind, name) = match (kind, name) {
        (None, None) => return None,
        (kind, name) => (kind.unwrap_or_else(|| "Object".to_owned()), name.unwrap_or_else(|| "unnamed".to_owned())),
    };
    // The newer recorder dates by `eventTime` alone, and counts repetitions in a series.
    let is_series = raw.series.is_some() || (raw.event_time.is_some() && raw.first_timestamp.is_none());
    let series = raw.series.unwrap_or_default();
    let written = instant(raw.metadata.creation_timestamp.as_deref());
    let at = instant(raw.event_time.as_deref());
    let (first, last) = (instant(raw.first_timestamp.as_deref()), instant(raw.last_timestamp.as_deref()));
    let observed = instant(series.last_observed_time.as_deref());
    // The last time must not serve as the first: it moves, and each move would start another episode.
    let first_seen = first.or(at).or(written).unwrap_or(Time::UNKNOWN);
    let last_seen = [last, observed, at, first].into_iter().flatten().max().or(written).unwrap_or(Time::UNKNOWN);
    let count = raw.count.into_iter().chain(series.count).max().unwrap_or(1).max(1);
    // A kubelet writes about what is on its node.
    let kubelet = raw.source.filter(|source| source.component.as_deref() == Some("kubelet"));
    let host = kubelet.and_then(|source| source.host).filter(|host| !host.is_empty());
    let id = match raw.metadata.uid.as_str() {
        "" => format!("{}/{}", raw.metadata.namespace, raw.metadata.name),
        uid => uid.to_owned(),
    };
    Some(KubeEvent {
        id: xxh3_128(id.as_bytes()),
        namespace: raw.metadata.namespace,
        object_namespace: raw.involved_object.namespace.unwrap_or_default(),
        event: Event {
            series: is_series,
            signal: false,
            node: host.map(Into::into),
            first_seen,
            last_seen: last_seen.max(first_seen),
            count: u64::try_from(count).unwrap_or(1),
            level: Level::of(raw.r#type.as_deref().unwrap_or_default()),
            obj_type: kind.into(),
            obj_name: name.into(),
            reason: raw.reason.unwrap_or_default().into(),
            message: raw.message.unwrap_or_default().into(),
            metadata: None,
        },
    })
}

/// An instant after 1970: Go writes its zero time as year 1.
fn instant(text: Option<&str>) -> Option<Time> {
    let stamp: Timestamp = text?.trim().parse().ok()?;
    (stamp.as_millisecond() > 0).then(|| Time::from_millis(stamp.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(change: Value) -> KubeEvent {
        let mut event = json!({
            "metadata": {"name": "web-1.17", "namespace": "shop", "uid": "u1", "creationTimestamp": "2026-01-02T03:00:00Z"},
            "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1"},
            "reason": "BackOff", "message": "Back-off", "type": "Warning",
        });
        for (key, value) in change.as_object().unwrap() {
            event[key] = value.clone();
        }
        read(&event.to_string()).unwrap()
    }

    fn at(text: &str) -> Time {
        instant(Some(text)).unwrap()
    }

    #[test]
    fn times_and_counts_are_found_wherever_a_reporter_puts_them() {
        let (a, b, c) = ("2026-01-02T03:04:05Z", "2026-01-02T03:05:06Z", "2026-01-02T03:06:07.123456Z");
        let (written, zero) = ("2026-01-02T03:00:00Z", "0001-01-01T00:00:00Z");
        let cases = [
            (json!({"firstTimestamp": a, "lastTimestamp": b, "count": 7}), a, b, 7),
            (json!({"firstTimestamp": null, "lastTimestamp": null, "eventTime": c, "count": null}), c, c, 1),
            (json!({"eventTime": a, "series": {"count": 9, "lastObservedTime": c}}), a, c, 9),
            (
                json!({"firstTimestamp": a, "lastTimestamp": a, "count": 1, "series": {"count": 4, "lastObservedTime": b}}),
                a,
                b,
                4,
            ),
            (
                json!({"firstTimestamp": null, "lastTimestamp": null, "eventTime": null, "count": 0}),
                written,
                written,
                1,
            ),
            (
                json!({"firstTimestamp": zero, "lastTimestamp": zero, "eventTime": zero, "count": -3}),
                written,
                written,
                1,
            ),
            (json!({"firstTimestamp": "yesterday", "lastTimestamp": b}), written, b, 1),
            (json!({"firstTimestamp": b, "lastTimestamp": a, "count": 2}), b, b, 2),
            (json!({"lastTimestamp": b, "series": null}), written, b, 1),
        ];
        for (change, first, last, count) in cases {
            let read = event(change.clone()).event;
            assert_eq!((read.first_seen, read.last_seen, read.count), (at(first), at(last), count), "{change}");
        }
    }

    #[test]
    fn microseconds_are_kept_as_milliseconds_and_any_offset_is_understood() {
        let read = event(json!({"eventTime": "2026-01-02T11:04:05.123456+08:00"})).event;
        assert_eq!(read.first_seen, Time::from_millis(at("2026-01-02T03:04:05Z").millis() + 123));
    }

    #[test]
    fn an_event_about_nothing_is_none_and_anything_else_is_one() {
        assert!(read("{}").is_none());
        assert!(read("[]").is_none());
        assert!(read(r#"{"involvedObject": {"kind": "", "name": null}}"#).is_none());
        let bare = read(r#"{"involvedObject": {"kind": "Node", "name": "n1"}}"#).unwrap();
        assert_eq!((bare.event.obj_type.as_ref(), bare.object_namespace.as_str(), bare.event.count), ("Node", "", 1));
        let nameless = read(r#"{"involvedObject": {"kind": "Pod"}, "type": "Normal"}"#).unwrap();
        assert_eq!((nameless.event.obj_name.as_ref(), nameless.event.level), ("unnamed", Level::Normal));
    }

    #[test]
    fn every_object_of_the_api_is_told_apart_by_its_uid() {
        assert_eq!(event(json!({})).id, event(json!({"message": "other"})).id);
        assert_ne!(event(json!({})).id, event(json!({"metadata": {"uid": "u2"}})).id);
    }
}
