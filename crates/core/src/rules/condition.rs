//! Conditions of rules: which facts of an event must fit which patterns.
//!
//! Owns the meaning of `match`, `except`, `sustain` and `scope`. Never decides what a match means;
//! [`super::set`] does.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::pattern::Pattern;
use super::rule::Field;
use crate::event::{Subject, Target};

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
    pub(crate) fn fit(&self, facts: &Facts<'_>) -> bool {
        self.keys.iter().all(|(field, patterns)| {
            let text = facts.text(*field);
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
    pub(super) fn patterns_mut(&mut self) -> impl Iterator<Item = &mut Pattern> {
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
pub struct Facts<'a> {
    texts: [&'a str; Field::ALL.len()],
    hashes: [OnceCell<u64>; Field::ALL.len()],
    seen: RefCell<HashMap<(usize, Field), bool>>,
}

impl<'a> Facts<'a> {
    /// The facts of an event in its place.
    pub(crate) fn new(subject: &Subject<'a>) -> Self {
        Self {
            texts: Field::ALL.map(|field| field.of(subject)),
            hashes: [const { OnceCell::new() }; Field::ALL.len()],
            seen: RefCell::default(),
        }
    }

    /// One fact.
    pub(crate) fn text(&self, field: Field) -> &'a str {
        self.texts[field as usize]
    }

    /// A hash of one fact.
    pub(crate) fn hash(&self, field: Field) -> u64 {
        *self.hashes[field as usize].get_or_init(|| xxh3_64(self.text(field).as_bytes()))
    }

    /// Rules repeat each other's expressions: try each only once per event.
    fn remember(&self, key: (usize, Field), find_out: impl FnOnce() -> bool) -> bool {
        *self.seen.borrow_mut().entry(key).or_insert_with(find_out)
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
        };
        text.trim()
    }

    /// Every field, in the order of its discriminant.
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
        }
    }
}
