//! Conditions of rules: which facts of an event must fit which patterns.
//!
//! Owns the meaning of `match`, `except`, `sustain` and `scope`. Never decides what a match means;
//! [`crate::rules::set`] does.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

use super::Field;
use super::pattern::Pattern;
use crate::event::{Subject, Target, trimmed};
use crate::metadata::{Metadata, MetadataKey};

/// Keys that must all fit; of the patterns of a key one must fit. Without keys everything fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conditions {
    keys: Vec<(Field, Vec<Pattern>)>,
}

impl Conditions {
    /// Conditions that everything meets.
    pub fn any() -> Self {
        Self::default()
    }

    /// The same conditions and one key more.
    #[must_use]
    pub fn with(mut self, field: Field, patterns: Vec<Pattern>) -> Self {
        self.keys.push((field, patterns));
        self
    }

    /// Whether all keys fit.
    pub(crate) fn fit(&self, facts: &EventFields<'_>) -> bool {
        self.keys.iter().all(|(field, patterns)| {
            let Some(text) = facts.get(*field) else { return false };
            patterns.iter().any(|pattern| match pattern.shared_expression() {
                Some(id) => facts.remember((id, *field), || pattern.matches(text)),
                None => pattern.matches(text),
            })
        })
    }

    /// Whether its keys about places fit a target.
    pub(crate) fn admits(&self, target: &Target) -> bool {
        self.keys.iter().all(|(field, patterns)| {
            let place = match field {
                Field::Source => &target.source,
                Field::Cluster => &target.cluster,
                Field::Namespace => &target.namespace,
                Field::Service => &target.service,
                _ => return true,
            };
            patterns.iter().any(|pattern| pattern.matches(place.trim()))
        })
    }

    /// Every pattern, to be replaced by an equal one.
    pub(crate) fn patterns_mut(&mut self) -> impl Iterator<Item = &mut Pattern> {
        self.keys.iter_mut().flat_map(|(_, patterns)| patterns)
    }

    /// The keys in the order of the file.
    pub fn keys(&self) -> &[(Field, Vec<Pattern>)] {
        &self.keys
    }

    /// The patterns of one key, if it is there.
    pub fn key(&self, field: Field) -> Option<&[Pattern]> {
        self.keys.iter().find(|(other, _)| *other == field).map(|(_, patterns)| &**patterns)
    }
}

/// The facts of one event, trimmed, and the results of expressions that were tried on them.
#[derive(Debug)]
pub struct EventFields<'a> {
    texts: [&'a str; Field::ALL.len()],
    metadata: Option<&'a Metadata>,
    hashes: [OnceCell<u64>; Field::ALL.len()],
    seen: RefCell<HashMap<(usize, Field), bool>>,
}

impl<'a> EventFields<'a> {
    /// The facts of an event in its place.
    pub(crate) fn new(subject: &Subject<'a>) -> Self {
        Self {
            texts: Field::ALL.map(|field| field.of(subject)),
            metadata: subject.event.metadata.as_deref(),
            hashes: [const { OnceCell::new() }; Field::ALL.len()],
            seen: RefCell::default(),
        }
    }

    /// One fact; `None` for a label or an annotation that the object does not have, or that is not known.
    pub(crate) fn get(&self, field: Field) -> Option<&'a str> {
        match field.place() {
            Ok(place) => Some(self.texts[place]),
            Err(key) => self.metadata.and_then(|metadata| metadata.get(key)).map(str::trim),
        }
    }

    /// One fact; empty if it is not there.
    pub(crate) fn text(&self, field: Field) -> &'a str {
        self.get(field).unwrap_or_default()
    }

    /// A hash of one fact.
    pub(crate) fn hash(&self, field: Field) -> u64 {
        let hash = || xxh3_64(self.text(field).as_bytes());
        match field.place() {
            Ok(place) => *self.hashes[place].get_or_init(hash),
            Err(_) => hash(),
        }
    }

    /// Rules repeat each other's expressions: try each only once per event.
    fn remember(&self, key: (usize, Field), find_out: impl FnOnce() -> bool) -> bool {
        *self.seen.borrow_mut().entry(key).or_insert_with(find_out)
    }
}

/// As the word of rule files: incidents are stored with it.
impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field of events")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Field, E> {
                Field::named(word).ok_or_else(|| E::custom(format!("unknown field `{word}`")))
            }
        }
        deserializer.deserialize_str(Word)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Field {
    /// What it is, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Level => "Warning (the default of a rule) or Normal.",
            Self::Reason => "The event's short machine word, such as BackOff.",
            Self::ObjType => "The kind of object, such as Pod.",
            Self::ObjName => "The object's name.",
            Self::Workload => "The object's name without generated suffixes: frontend-542052039-h2yj8 is frontend.",
            Self::Message => "The event's text. To find a word anywhere write /word/ or \"*word*\".",
            Self::Source => "The source's name in podbell.yaml.",
            Self::Cluster => "The cluster's id.",
            Self::Namespace => "The namespace.",
            Self::Service => "The service whose list shows it.",
            Self::Node => "The node that the object is, or is on; empty where that is not known.",
            Self::Metadata(_) => "A label or an annotation of the object, its owner or its namespace.",
        }
    }

    /// This fact of a subject, trimmed.
    pub fn of<'a>(self, subject: &Subject<'a>) -> &'a str {
        let (target, event) = (subject.target, subject.event);
        let text: &'a str = match self {
            Self::Source => &target.source,
            Self::Cluster => &target.cluster,
            Self::Namespace => &target.namespace,
            Self::Service => &target.service,
            Self::Workload => subject.workload,
            Self::ObjType => &event.obj_type,
            Self::ObjName => &event.obj_name,
            Self::Reason => &event.reason,
            Self::Level => event.level.as_str(),
            Self::Message => &event.message,
            Self::Node => event.node(),
            Self::Metadata(key) => event.metadata.as_deref().and_then(|metadata| metadata.get(key)).unwrap_or_default(),
        };
        trimmed(text)
    }

    /// Its place in [`Self::ALL`], or the key of a label or an annotation, which are not listed there.
    pub(crate) fn place(self) -> Result<usize, MetadataKey> {
        match self {
            Self::Source => Ok(0),
            Self::Cluster => Ok(1),
            Self::Namespace => Ok(2),
            Self::Service => Ok(3),
            Self::Workload => Ok(4),
            Self::ObjType => Ok(5),
            Self::ObjName => Ok(6),
            Self::Reason => Ok(7),
            Self::Level => Ok(8),
            Self::Message => Ok(9),
            Self::Node => Ok(10),
            Self::Metadata(key) => Err(key),
        }
    }

    /// The field of a word in rule files.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let listed = Self::ALL.into_iter().find(|field| field.as_str() == word);
        listed.or_else(|| MetadataKey::of(word).map(Self::Metadata))
    }

    /// Every field but labels and annotations, of which there are many.
    pub(crate) const ALL: [Self; 11] = [
        Self::Source,
        Self::Cluster,
        Self::Namespace,
        Self::Service,
        Self::Workload,
        Self::ObjType,
        Self::ObjName,
        Self::Reason,
        Self::Level,
        Self::Message,
        Self::Node,
    ];

    /// The word of rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Cluster => "cluster",
            Self::Namespace => "namespace",
            Self::Service => "service",
            Self::Workload => "workload",
            Self::ObjType => "objType",
            Self::ObjName => "objName",
            Self::Reason => "reason",
            Self::Level => "level",
            Self::Message => "message",
            Self::Node => "node",
            Self::Metadata(key) => key.word(),
        }
    }
}
