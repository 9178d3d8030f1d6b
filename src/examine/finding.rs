//! What was found, as data.

use serde::Serialize;

use crate::http::Clocks;

/// What a finding is about, in the order of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// podbell.yaml and its secrets.
    Configuration,
    /// The store's file.
    Store,
    /// This machine's clock, compared with others.
    Clock,
    /// `sources:`.
    Sources,
    /// The rules in force.
    Rules,
    /// `notifiers:`.
    Destinations,
    /// `chats:`.
    Chats,
    /// `server:` and the heartbeat.
    Server,
}

impl Group {
    /// As people read it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Store => "store",
            Self::Clock => "clock",
            Self::Sources => "sources",
            Self::Rules => "rules",
            Self::Destinations => "destinations",
            Self::Chats => "chats",
            Self::Server => "server",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// Nothing to do.
    Ok,
    /// Worth a look.
    Warn,
    /// Something is not told, or will not be.
    Fail,
}

/// One line of the output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where it belongs in the output.
    pub group: Group,
    /// What was looked at.
    pub subject: String,
    /// How bad it is.
    pub verdict: FindingLevel,
    /// What was found.
    pub found: String,
    /// What to do; always there unless all is well.
    pub advice: Option<String>,
}

impl Finding {
    /// Nothing to do.
    pub(crate) fn ok(group: Group, subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { group, subject: subject.into(), verdict: FindingLevel::Ok, found: found.into(), advice: None }
    }

    /// Worth a look; `advice` is what to do.
    pub(crate) fn warn(
        group: Group,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: FindingLevel::Warn, advice: Some(advice.into()), ..Self::ok(group, subject, found) }
    }

    /// Something is not told, or will not be; `advice` is what to do.
    pub(crate) fn fail(
        group: Group,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { verdict: FindingLevel::Fail, advice: Some(advice.into()), ..Self::ok(group, subject, found) }
    }
}

/// The result of one check.
#[derive(Debug, Default)]
pub struct Checked {
    /// In the order of the output.
    pub findings: Vec<Finding>,
    /// The clocks of others, each with the name of the component that was asked.
    pub clocks: Vec<(String, Clocks)>,
    /// The destination at which a test message arrived.
    pub arrived: Option<String>,
}

impl From<Vec<Finding>> for Checked {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, ..Self::default() }
    }
}

impl From<Finding> for Checked {
    fn from(finding: Finding) -> Self {
        vec![finding].into()
    }
}

/// A span in words: `3 s`, `5 min`, `2 h`, `3 d`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", (seconds + 30) / 60),
        7_200..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", seconds.saturating_add(43_200) / 86_400),
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mib @ 1..10_240 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

/// `1 rule`, `2 rules`.
pub(crate) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
