//! Reads what `kubectl get events` prints, wherever a list is read: JSON and YAML, a `List`, bare items, the
//! objects of `--watch`, with or without `--output-watch-events`, of core/v1 and of events.k8s.io/v1.
//!
//! Knows only the shapes; the reader of the Kubernetes source reads each event.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::sources::event_list::EventList;
use podbell_core::diagnostic::Source;
use podbell_core::yaml;

/// Said of the table that is meant for people.
const TABLE: &str =
    "this is the table that kubectl prints for people: podbell reads `kubectl get events -o json` (or yaml)";
const DESCRIBED: &str = "this is what `kubectl describe` prints for people: podbell reads `kubectl get events -o json`";
const NOTHING: &str = "kubectl found no events: try `kubectl get events --all-namespaces -o json`";
const SUCCESSOR: &str = "this is an answer of Tencent Cloud's API 3.0, which podbell does not read: it reads lists of \
                         DescribeServiceEvent and `kubectl get events -o json`";
const OTHER_OBJECTS: &str =
    "these are objects of Kubernetes, and none of them is an event: podbell reads `kubectl get events -o json`";
const BROKEN_YAML: &str = "this YAML cannot be read: podbell reads `kubectl get events -o json`, too";

/// What a text is, if kubectl or another known tool printed it.
#[derive(Debug)]
pub(crate) enum Kubectl {
    /// Events.
    Events(EventList<'static>),
    /// Something that is not a list; in words, with what to do.
    Other(&'static str),
}

/// Reads a text; `None` if it is not kubectl's.
pub(crate) fn read(text: &str) -> Option<Kubectl> {
    let text = text.trim();
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("LAST SEEN ") || (first.starts_with("NAMESPACE ") && first.contains("LAST SEEN ")) {
        return Some(Kubectl::Other(TABLE));
    }
    if first.starts_with("No resources found") {
        return Some(Kubectl::Other(NOTHING));
    }
    if first.starts_with("Name:  ") {
        return Some(Kubectl::Other(DESCRIBED));
    }
    if text.starts_with(['{', '[']) {
        let values = serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Result<Vec<_>, _>>();
        return of_values(values.ok()?);
    }
    let looks = text.lines().take(200).any(|line| line.trim_start_matches(['-', ' ']).starts_with("apiVersion:"));
    if !looks {
        return None;
    }
    let documents = text.split("\n---").map(|document| document.trim_start_matches('-').trim());
    let values = documents.filter(|document| !document.is_empty()).map(of_yaml).collect::<Option<Vec<_>>>();
    Some(
        values.map_or(Kubectl::Other(BROKEN_YAML), |values| of_values(values).unwrap_or(Kubectl::Other(OTHER_OBJECTS))),
    )
}

/// The events among the entries of a list of the usual shape; `None` if none of them is kubectl's.
pub(crate) fn of_entries(text: &[u8]) -> Option<EventList<'static>> {
    let value: Value = serde_json::from_slice(text).ok()?;
    match of_values(vec![value.get("eventList")?.clone()])? {
        Kubectl::Events(list) => Some(list),
        Kubectl::Other(_) => None,
    }
}

fn of_values(values: Vec<Value>) -> Option<Kubectl> {
    let mut found = Found::default();
    values.into_iter().for_each(|value| found.take(value));
    if found.successor {
        return Some(Kubectl::Other(SUCCESSOR));
    }
    if found.events.is_empty() && found.list && found.others + found.objects == 0 {
        return Some(Kubectl::Events(EventList { events: Vec::new(), skipped: 0 }));
    }
    if found.events.is_empty() {
        return (found.objects > 0).then_some(Kubectl::Other(OTHER_OBJECTS));
    }
    Some(read_all(found))
}

/// What was found in a text.
#[derive(Default)]
struct Found {
    /// Events, each once.
    events: Vec<Value>,
    /// The position of each event, by its identity.
    known: HashMap<String, usize>,
    /// Kubernetes objects that are not events, and entries that are not Kubernetes objects.
    objects: usize,
    others: usize,
    /// Whether there is a list of Kubernetes, even an empty one.
    list: bool,
    successor: bool,
}

impl Found {
    fn take(&mut self, value: Value) {
        let Value::Object(mut object) = value else {
            match value {
                Value::Array(items) => items.into_iter().for_each(|item| self.take(item)),
                _ => self.others += 1,
            }
            return;
        };
        let is_list = object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
        if let (true, Some(Value::Array(items))) = (is_list, object.get_mut("items").map(Value::take)) {
            self.list = true;
            return items.into_iter().for_each(|item| self.take(item));
        }
        // `--output-watch-events`. A deleted event counts, because it was there.
        if object.get("type").is_some_and(Value::is_string) && object.get("object").is_some_and(Value::is_object) {
            return self.take(object.get_mut("object").map(Value::take).unwrap_or_default());
        }
        // An answer of the legacy API has its list here or one level down.
        let inner = object.get("data").is_some_and(|data| data.get("eventList").is_some());
        let list = if inner {
            object.get_mut("data").and_then(|data| data.get_mut("eventList"))
        } else {
            object.get_mut("eventList")
        };
        if let Some(list) = list.map(Value::take) {
            return self.take(list);
        }
        self.successor |= object.get("Response").is_some_and(|response| response.get("RequestId").is_some());
        match event(&mut object) {
            Some(event) => self.note(event),
            None if object.contains_key("apiVersion") && object.contains_key("kind") => self.objects += 1,
            None => self.others += 1,
        }
    }

    /// Keeps only the newest state of an event: a watch prints every state.
    fn note(&mut self, event: Value) {
        let meta = &event["metadata"];
        let id = match (meta["uid"].as_str(), meta["name"].as_str()) {
            (Some(uid), _) => Some(uid.to_owned()),
            (None, Some(name)) => Some(format!("{}/{name}", meta["namespace"].as_str().unwrap_or_default())),
            (None, None) => None,
        };
        let place = id.as_ref().and_then(|id| self.known.get(id)).and_then(|place| self.events.get_mut(*place));
        match place {
            Some(known) => *known = event,
            None => {
                self.known.extend(id.map(|id| (id, self.events.len())));
                self.events.push(event);
            }
        }
    }
}

/// An event of either API, with the keys of core/v1.
fn event(object: &mut Map<String, Value>) -> Option<Value> {
    let about = ["involvedObject", "regarding"].into_iter().find_map(|key| object.get_mut(key).map(Value::take))?;
    let mut of = |keys: [&str; 2]| {
        let found =
            keys.into_iter().find_map(|key| object.get_mut(key).map(Value::take).filter(|value| !value.is_null()));
        found.unwrap_or_default()
    };
    Some(json!({
        "involvedObject": about,
        "metadata": of(["metadata", "metadata"]),
        "reason": of(["reason", "reason"]),
        "message": of(["message", "note"]),
        "type": of(["type", "type"]),
        "count": number(of(["count", "deprecatedCount"])),
        "firstTimestamp": of(["firstTimestamp", "deprecatedFirstTimestamp"]),
        "lastTimestamp": of(["lastTimestamp", "deprecatedLastTimestamp"]),
        "eventTime": of(["eventTime", "eventTime"]),
        "series": series(of(["series", "series"])),
        "source": of(["source", "deprecatedSource"]),
    }))
}

/// Numbers of YAML are read as texts; turns one into a number.
fn number(value: Value) -> Value {
    match value {
        Value::String(text) => text.parse::<i64>().map_or(Value::Null, Value::from),
        other => other,
    }
}

fn series(mut value: Value) -> Value {
    if let Some(count) = value.get_mut("count") {
        *count = number(count.take());
    }
    value
}

fn of_yaml(document: &str) -> Option<Value> {
    let mut wrong = Vec::new();
    let root = yaml::parse(&Source::new("events.yaml", document), &mut wrong)?;
    wrong.is_empty().then(|| of_node(root))
}

fn of_node(node: yaml::Node) -> Value {
    match node.value {
        yaml::Value::Null | yaml::Value::Broken => Value::Null,
        yaml::Value::Scalar(text) => Value::String(text),
        yaml::Value::List(items) => items.into_iter().map(of_node).collect(),
        yaml::Value::Map(pairs) => {
            let pair = |(key, value): (yaml::Node, yaml::Node)| Some((key.text()?.to_owned(), of_node(value)));
            pairs.into_iter().filter_map(pair).collect()
        }
    }
}

fn read_all(found: Found) -> Kubectl {
    let mut list = EventList { events: Vec::new(), skipped: found.objects + found.others };
    for event in found.events {
        match super::read_event(&event.to_string()) {
            Some(event) => list.events.push(event),
            None => list.skipped += 1,
        }
    }
    Kubectl::Events(list)
}
