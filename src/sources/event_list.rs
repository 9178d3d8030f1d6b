//! Reads the API's answers. Pure: bytes to events, or to the reason why there are none.
//!
//! An answer is read in one pass into texts that borrow from it. Reading is tolerant where that loses nothing:
//! unknown fields, `null`s, numbers written as texts. An entry that cannot be understood is left out and counted,
//! so that it does not silence the others; a missing list is an error, never an empty list. Called by the client,
//! the recordings and the file source.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::loose::{Bool, Integer, Pairs, Text, absent};
use crate::sources::wall_clock::WallClock;
use podbell_core::event::{self, Event, Level};
use podbell_core::metadata::Metadata;
use podbell_core::time::Time;

/// An earlier date than this, 2 January 1970, stands for zero, in whatever zone it was written.
const OLDEST: Time = Time::from_seconds(86_400);
/// The code of a refusal that means that a service does not exist (any more).
pub(crate) const NO_SERVICE: i64 = -16013;
/// Longer messages of refusals are cut to this.
const MAX_MESSAGE: usize = 2_000;

/// A list that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventList<'a> {
    /// Its events, in the answer's order.
    pub events: Vec<Event<'a>>,
    /// Entries that could not be understood: not an object, or an object that says nothing.
    pub skipped: usize,
}

impl EventList<'_> {
    /// The same list, owning its texts.
    pub fn into_owned(self) -> EventList<'static> {
        EventList { events: self.events.into_iter().map(Event::into_owned).collect(), skipped: self.skipped }
    }
}

/// Why an answer holds no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The API refused, with its own code.
    #[error("the API answered {code}: {message}")]
    Refused {
        /// `code`, as text.
        code: String,
        /// `message`, else `codeDesc`.
        message: String,
    },
    /// The JSON ends too early.
    #[error("the answer is cut off")]
    CutOff,
    /// Not JSON at all, such as a page of a proxy.
    #[error("the answer is not JSON: {0}")]
    NotJson(String),
    /// JSON, but not what the API should answer.
    #[error("the answer is not what the API should answer: {0}")]
    Malformed(String),
}

/// The events of a `DescribeServiceEvent` answer, in either envelope.
pub fn parse_events<'a>(body: &'a [u8], zone: &TimeZone) -> Result<EventList<'a>, AnswerError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Validating UTF-8 once is a tenth faster than once for every text.
    match std::str::from_utf8(body) {
        Ok(text) => parse_text(text, zone),
        // An invalid character in one message must not silence the list.
        Err(_) => parse_text(&String::from_utf8_lossy(body), zone).map(EventList::into_owned),
    }
}

fn parse_text<'a>(text: &'a str, zone: &TimeZone) -> Result<EventList<'a>, AnswerError> {
    let envelope = serde_json::from_str::<Envelope<EventData>>(text).map_err(|error| unreadable(&error))?;
    events_of(envelope, zone)
}

fn events_of<'a>(envelope: Envelope<'a, EventData<'a>>, zone: &TimeZone) -> Result<EventList<'a>, AnswerError> {
    envelope.refused()?;
    let list = envelope.data.0.and_then(|data| data.event_list).or(envelope.event_list);
    let Some(entries) = list else {
        return Err(AnswerError::Malformed("it has no eventList".to_owned()));
    };
    Ok(entries.understand(&mut WallClock::new(zone.clone())))
}

/// Reads the `data` of any other answer.
pub(crate) fn parse_data<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, AnswerError> {
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    envelope.refused()?;
    envelope.data.0.ok_or_else(|| AnswerError::Malformed("it has no data".to_owned()))
}

/// Why an answer cannot be read.
pub(crate) fn unreadable(error: &serde_json::Error) -> AnswerError {
    match error.classify() {
        serde_json::error::Category::Eof => AnswerError::CutOff,
        serde_json::error::Category::Data => AnswerError::Malformed(error.to_string()),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            AnswerError::NotJson(error.to_string())
        }
    }
}

/// What every answer looks like.
#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"), rename_all = "camelCase", expecting = "an answer of the API")]
struct Envelope<'a, T> {
    #[serde(borrow, default)]
    code: Text<'a>,
    #[serde(borrow, default)]
    code_desc: Text<'a>,
    #[serde(borrow, default)]
    message: Text<'a>,
    #[serde(default = "none")]
    data: ObjectOrNothing<T>,
    /// Some texts of the documentation place the list here.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    event_list: Option<Entries<'a>>,
}

fn none<T>() -> ObjectOrNothing<T> {
    ObjectOrNothing(None)
}

impl<T> Envelope<'_, T> {
    /// A missing code is no refusal: recordings of bare lists have none.
    fn refused(&self) -> Result<(), AnswerError> {
        let code = self.code.as_str().trim();
        if code.is_empty() || code.parse() == Ok(0_i64) {
            return Ok(());
        }
        let words = [&self.message, &self.code_desc].into_iter().map(Text::as_str).find(|text| !text.trim().is_empty());
        let message = words.unwrap_or("no message").trim().chars().take(MAX_MESSAGE).collect();
        Err(AnswerError::Refused { code: code.chars().take(40).collect(), message })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventData<'a> {
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    event_list: Option<Entries<'a>>,
}

/// `null` is an empty list; absent is absent.
pub(crate) fn null_is_empty<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Entries<'a>>, D::Error> {
    Entries::deserialize(deserializer).map(Some)
}

/// An object; anything else counts as absent. An empty `data` is `null`, `""` or `[]` in some answers.
struct ObjectOrNothing<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ObjectOrNothing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = ObjectOrNothing<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(|data| ObjectOrNothing(Some(data)))
            }
            absent!(ObjectOrNothing(None); visit_str: &str);
        }
        deserializer.deserialize_any(Any(PhantomData))
    }
}

/// An `eventList` as written. `null` is an empty one.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a>(Vec<Entry<'a>>);

impl<'a> Entries<'a> {
    /// From entries to events.
    pub(crate) fn understand(self, clock: &mut WallClock) -> EventList<'a> {
        let all = self.0.len();
        let mut events: Vec<_> = self.0.into_iter().filter_map(|entry| entry.understand(clock)).collect();
        event::note_nodes(&mut events);
        EventList { skipped: all - events.len(), events }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of events")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Entries::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(64);
                while let Some(entry) = seq.next_element()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_any(List)
    }
}

/// One entry as written; all fields are empty if it is not an object. Entries are moved several times while a list is
/// read, so they are kept small.
#[derive(Debug, Default)]
struct Entry<'a> {
    first_seen: Text<'a>,
    last_seen: Text<'a>,
    count: Integer,
    level: Option<Level>,
    /// Whether it is an object of Kubernetes' own API, which uses other field names.
    foreign: bool,
    obj_type: Text<'a>,
    obj_name: Text<'a>,
    reason: Text<'a>,
    message: Text<'a>,
    additions: Option<Box<Additions<'a>>>,
}

/// What is not part of the API: lists and recordings of other sources say it.
#[derive(Debug, Default)]
struct Additions<'a> {
    series: bool,
    signal: bool,
    node: Text<'a>,
    labels: Pairs,
    annotations: Pairs,
}

impl<'a> Entry<'a> {
    /// `None` only for an entry that has neither text nor date, or that is of another API. A date that is missing
    /// or cannot be read is unknown: whoever observes the entry knows when that was. What is listed happened, so a
    /// count that is missing, zero or negative is 1.
    fn understand(self, clock: &mut WallClock) -> Option<Event<'a>> {
        let said = [&self.obj_type, &self.obj_name, &self.reason, &self.message];
        let silent = said.iter().all(|text| text.as_str().trim().is_empty());
        let mut date = |text: &Text<'_>| clock.read(text.as_str()).filter(|at| *at > OLDEST).unwrap_or(Time::UNKNOWN);
        let (first_seen, last_seen) = (date(&self.first_seen), date(&self.last_seen));
        if self.foreign || silent && first_seen.is_unknown() && last_seen.is_unknown() {
            return None;
        }
        let mut event = Event {
            series: false,
            signal: false,
            node: None,
            first_seen,
            last_seen,
            count: u64::try_from(self.count.0.unwrap_or(1)).unwrap_or(1).max(1),
            level: self.level.unwrap_or_else(|| Level::of("")),
            obj_type: self.obj_type.0,
            obj_name: self.obj_name.0,
            reason: self.reason.0,
            message: self.message.0,
            metadata: None,
        };
        if let Some(additions) = self.additions {
            let Additions { series, signal, node, labels, annotations } = *additions;
            (event.series, event.signal) = (series, signal);
            event.node = Some(node.0).filter(|node| !node.trim().is_empty());
            event.metadata = Metadata::of(labels.0, annotations.0).map(Arc::new);
        }
        Some(event)
    }

    fn additions(&mut self) -> &mut Additions<'a> {
        self.additions.get_or_insert_default()
    }
}

/// Written by hand: the derived one fails the whole list for a duplicate key, or for a list where an object should
/// be.
impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    FirstSeen,
    LastSeen,
    Count,
    Series,
    Signal,
    Node,
    #[serde(alias = "regarding")]
    InvolvedObject,
    Level,
    ObjType,
    ObjName,
    Reason,
    Message,
    Labels,
    Annotations,
    #[serde(other)]
    Other,
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entry = Entry::default();
        while let Some(key) = map.next_key()? {
            match key {
                Key::FirstSeen => entry.first_seen = map.next_value()?,
                Key::LastSeen => entry.last_seen = map.next_value()?,
                Key::Count => entry.count = map.next_value()?,
                Key::Series => entry.additions().series = map.next_value::<Bool>()?.0,
                Key::Signal => entry.additions().signal = map.next_value::<Bool>()?.0,
                Key::Node => entry.additions().node = map.next_value()?,
                Key::InvolvedObject => {
                    entry.foreign = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Level => entry.level = Some(Level::of(map.next_value::<Text<'_>>()?.as_str())),
                Key::ObjType => entry.obj_type = map.next_value()?,
                Key::ObjName => entry.obj_name = map.next_value()?,
                Key::Reason => entry.reason = map.next_value()?,
                Key::Message => entry.message = map.next_value()?,
                Key::Labels => entry.additions().labels = map.next_value()?,
                Key::Annotations => entry.additions().annotations = map.next_value()?,
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(entry)
    }

    absent!(Entry::default(); visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
}

#[cfg(test)]
#[path = "event_list_tests.rs"]
mod tests;
