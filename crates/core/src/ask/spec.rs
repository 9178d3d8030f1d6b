//! What defines a command, and what it can be given.

use std::time::Duration;

use super::mistake::Mistake;
use super::{Change, Query};
use crate::metadata::Metadata;
use crate::translations::Phrase;

/// All that defines a command, except how the store is read for it.
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// The name with its arguments.
    pub usage: &'static str,
    /// What it does, in a sentence.
    pub about: Phrase,
    /// Examples, as people type them.
    pub examples: &'static [&'static str],
    /// Its options.
    pub(super) options: &'static [Opt],
    /// How many words are arguments.
    pub(super) arguments: usize,
    /// Whether what follows the arguments is free text.
    pub(super) free_text: bool,
    pub(super) parse: Parse,
}

impl Spec {
    /// Whether it changes anything.
    pub fn writes(&self) -> bool {
        matches!(self.parse, Parse::Change(_))
    }
}

/// How the arguments become a command, and whether it changes anything.
pub(super) enum Parse {
    /// A question. `None` asks for its help.
    Query(fn(Args) -> Result<Option<Query>, Mistake>),
    /// A change.
    Change(fn(Args) -> Result<Change, Mistake>),
    /// The command `help`.
    Help,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opt {
    Namespace,
    Cluster,
    Since,
    All,
    Reason,
    Label,
    Page,
}

impl Opt {
    #[cfg(test)]
    pub(super) const ALL: [Self; 7] =
        [Self::Namespace, Self::Cluster, Self::Since, Self::All, Self::Reason, Self::Label, Self::Page];

    /// Its short name and its long one.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Namespace => ("n", "namespace"),
            Self::Cluster => ("c", "cluster"),
            Self::Since => ("s", "since"),
            Self::All => ("a", "all"),
            Self::Reason => ("r", "reason"),
            Self::Label => ("l", "label"),
            Self::Page => ("p", "page"),
        }
    }

    pub(super) fn long(self) -> &'static str {
        self.names().1
    }
}

#[derive(Debug, Default)]
pub(super) struct Args {
    pub arguments: Vec<String>,
    pub free_text: Option<String>,
    pub namespace: Option<String>,
    pub cluster: Option<String>,
    pub since: Option<Duration>,
    pub all: bool,
    pub reason: Option<String>,
    pub label: Option<Label>,
    pub page: Option<u32>,
    /// `--help` was given.
    pub help: bool,
}

/// A label of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its key, such as `team`.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Label {
    /// Whether an object with this metadata has the label.
    pub fn is_of(&self, metadata: &Metadata) -> bool {
        metadata.labels.get(&self.key) == Some(&self.value)
    }
}
