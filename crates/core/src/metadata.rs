//! Labels and annotations of an event's object, and the keys by which rules ask for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// The beginnings of the words by which rule files name them.
pub(crate) const LABEL: &str = "label:";
pub(crate) const ANNOTATION: &str = "annotation:";
/// The longest key that Kubernetes allows: a domain, a slash, a name.
const LONGEST_KEY: usize = 253 + 1 + 63;
/// Bounds on what one event brings with it.
const MAX_VALUES: usize = 64;
const MAX_VALUE_CHARS: usize = 300;

/// The word of a rule file for one label or annotation, such as `label:team`.
///
/// The word is kept once for the whole life of the process, so that a key is as cheap to copy and to compare as the
/// other facts of an event. Only rule files, and incidents that were grouped by them, name keys: there are few.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataKey(&'static str);

impl MetadataKey {
    /// The key of a word such as `label:team`; `None` if it is not one, or the key after the colon cannot exist.
    pub(crate) fn of(word: &str) -> Option<Self> {
        let key = word.strip_prefix(LABEL).or_else(|| word.strip_prefix(ANNOTATION))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!key.is_empty() && key.len() <= LONGEST_KEY && key.chars().all(fits)).then(|| Self(kept(word)))
    }

    /// The word, with what it is before the colon.
    pub(crate) fn word(self) -> &'static str {
        self.0
    }

    /// What Kubernetes calls it, such as `app.kubernetes.io/name`.
    pub fn key(self) -> &'static str {
        self.0.split_once(':').map_or(self.0, |(_, key)| key)
    }

    /// Whether it is a label, and no annotation.
    pub fn is_label(self) -> bool {
        self.0.starts_with(LABEL)
    }
}

impl fmt::Debug for MetadataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn kept(word: &str) -> &'static str {
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return known;
    }
    let word: &'static str = Box::leak(word.into());
    words.insert(word);
    word
}

/// The labels and annotations of an event's object: its own, and those of its owner and namespace where it has none of
/// that key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Metadata {
    /// Labels by key.
    pub labels: BTreeMap<String, String>,
    /// Annotations by key.
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Those that were read; `None` if there are none. What is far more than anybody writes is cut.
    pub fn of(
        labels: impl IntoIterator<Item = (String, String)>,
        annotations: impl IntoIterator<Item = (String, String)>,
    ) -> Option<Self> {
        let metadata = Self { labels: bounded(labels), annotations: bounded(annotations) };
        (metadata != Self::default()).then_some(metadata)
    }

    /// This, and what only the other has: nearest first.
    #[must_use]
    pub fn or(mut self, farther: &Self) -> Self {
        for (own, other) in [(&mut self.labels, &farther.labels), (&mut self.annotations, &farther.annotations)] {
            for (key, value) in other {
                own.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
        self
    }

    /// The value of a label or an annotation.
    pub fn get(&self, key: MetadataKey) -> Option<&str> {
        let all = if key.is_label() { &self.labels } else { &self.annotations };
        all.get(key.key()).map(String::as_str)
    }
}

fn bounded(all: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let fit = all.into_iter().filter(|(key, _)| key.len() <= LONGEST_KEY).take(MAX_VALUES);
    fit.map(|(key, value)| (key, value.chars().take(MAX_VALUE_CHARS).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_rule_file_is_a_key_only_if_such_a_label_can_exist() {
        let key = MetadataKey::of("label:app.kubernetes.io/name").unwrap();
        assert_eq!(
            (key.word(), key.key(), key.is_label()),
            ("label:app.kubernetes.io/name", "app.kubernetes.io/name", true)
        );
        assert!(!MetadataKey::of("annotation:owner").unwrap().is_label());
        let long = format!("label:{}", "a".repeat(400));
        for word in ["team", "label:", "label:a b", "labels:team", "annotation:é", &long] {
            assert_eq!(MetadataKey::of(word), None, "{word}");
        }
        assert!(std::ptr::eq(key.word(), MetadataKey::of("label:app.kubernetes.io/name").unwrap().word()));
    }

    #[test]
    fn labels_and_annotations_of_one_key_are_two_things() {
        let of = |key: &str, value: &str| [(key.to_owned(), value.to_owned())];
        let metadata = Metadata::of(of("team", "a"), of("team", "b")).unwrap();
        let get = |word: &str| metadata.get(MetadataKey::of(word).unwrap());
        assert_eq!((get("label:team"), get("annotation:team"), get("label:x")), (Some("a"), Some("b"), None));
        assert_eq!(Metadata::of([], []), None);
        let large = Metadata::of((0..1000).map(|n| (n.to_string(), "x".repeat(1000))), []).unwrap();
        assert_eq!((large.labels.len(), large.labels["7"].len()), (64, 300));
    }
}
