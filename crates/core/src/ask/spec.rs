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
    /// Whether anything but options follows its name.
    pub fn takes_words(&self) -> bool {
        self.arguments > 0 || self.free_text
    }

    /// The options that it takes, in the order in which people read of them.
    pub fn options(&self) -> impl Iterator<Item = &'static OptionSpec> {
        self.options.iter().map(|opt| opt.spec())
    }

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

    /// All that is known of it.
    pub(super) fn spec(self) -> &'static OptionSpec {
        match self {
            Self::Namespace => {
                const {
                    &OptionSpec::new(
                        'n',
                        "namespace",
                        Some("NAME"),
                        Phrase::new("Only this namespace", "只看该命名空间"),
                    )
                }
            }
            Self::Cluster => {
                const {
                    &OptionSpec::new(
                        'c',
                        "cluster",
                        Some("NAME"),
                        Phrase::new(
                            "Only this cluster, by its id or its name in aliases",
                            "只看该集群（ID 或 aliases 中的名称）",
                        ),
                    )
                }
            }
            Self::Since => {
                const {
                    &OptionSpec::new(
                        's',
                        "since",
                        Some("2h"),
                        Phrase::new(
                            "Only events seen within this time, such as 2h; untold: one day by default",
                            "只看这段时间内（如 2h）的事件；untold 默认一天",
                        ),
                    )
                }
            }
            Self::All => {
                const {
                    &OptionSpec::new(
                        'a',
                        "all",
                        None,
                        Phrase::new(
                            "Include Normal events; include incidents that are over",
                            "包括 Normal 事件；包括已恢复的告警",
                        ),
                    )
                }
            }
            Self::Reason => {
                const {
                    &OptionSpec::new(
                        'r',
                        "reason",
                        Some("TEXT"),
                        Phrase::new(
                            "Only reasons that contain this text; case is ignored",
                            "只看原因包含该文字的事件，不区分大小写",
                        ),
                    )
                }
            }
            Self::Label => {
                const {
                    &OptionSpec::new(
                        'l',
                        "label",
                        Some("KEY=VALUE"),
                        Phrase::new(
                            "Only objects with this label; also written label:KEY=VALUE",
                            "只看带该标签的对象，也可写作 label:KEY=VALUE",
                        ),
                    )
                }
            }
            Self::Page => {
                const {
                    &OptionSpec::new(
                        'p',
                        "page",
                        Some("N"),
                        Phrase::new("Another page; a page has ten lines", "第几页，每页十行"),
                    )
                }
            }
        }
    }

    pub(super) fn long(self) -> &'static str {
        self.spec().long
    }
}

/// What people read of an option.
pub struct OptionSpec {
    /// After one hyphen.
    pub short: char,
    /// After two.
    pub long: &'static str,
    /// What follows it, as help shows it. `None` for a switch.
    pub value: Option<&'static str>,
    /// What it does.
    pub about: Phrase,
}

impl OptionSpec {
    const fn new(short: char, long: &'static str, value: Option<&'static str>, about: Phrase) -> Self {
        Self { short, long, value, about }
    }

    /// Both its names and its value, as help shows them: `-n, --namespace NAME`.
    pub fn usage(&self) -> String {
        let value = self.value.map(|value| format!(" {value}")).unwrap_or_default();
        format!("-{}, --{}{value}", self.short, self.long)
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        name == self.long || name.chars().eq([self.short])
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
