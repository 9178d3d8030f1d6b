//! `status`: whether podbell itself is well, as far as the reader may see.

use serde::Serialize;

use super::Query;
use super::formatter::AnswerFormatter;
use super::spec::{Parse, Spec};
use crate::message::{self, Block, Message, Span, words};
use crate::time::Time;
use crate::translations::Phrase;

/// Seconds without a heartbeat after which the service counts as not running.
const ALIVE: u64 = 60;

pub(super) const SPEC: Spec = Spec {
    name: "status",
    usage: "status",
    about: Phrase::new("Whether podbell runs and reads everything.", "podbell 是否在运行并能读取全部服务。"),
    examples: &["status"],
    options: &[],
    arguments: 0,
    free_text: false,
    parse: Parse::Query(|_| Ok(Some(Query::Status))),
};

/// The answer. Fields that the reader may not see are `None`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// When the service was last alive.
    pub heartbeat: Option<Time>,
    /// No process owns the store, where that can be checked: podbell has ended, however recent its heartbeat is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
    /// Services that are watched.
    pub services: u64,
    /// How many of them cannot be read.
    pub unreadable: u64,
    /// Since when the first of them cannot be read.
    pub unreadable_since: Option<Time>,
    /// Services whose lists have entries that cannot be understood.
    #[serde(skip_serializing_if = "is_zero")]
    pub unusable: u64,
    /// Open incidents.
    pub open: u64,
    /// Mutes in force.
    pub mutes: u64,
    /// Messages that wait.
    pub waiting: Option<u64>,
    /// Messages that were given up.
    pub dead: Option<u64>,
    /// Destinations that take no messages at the moment.
    pub destinations: Option<Vec<String>>,
}

impl Status {
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let texts = formatter.texts;
        let silent = self.ended || self.heartbeat.is_none_or(|beat| formatter.style.now.since(beat).as_secs() > ALIVE);
        let mut blocks = vec![formatter.line(match self.heartbeat {
            Some(beat) if silent => texts.not_alive(&formatter.say.age(beat)),
            Some(_) => texts.alive().to_owned(),
            None => texts.never_alive().to_owned(),
        })];
        blocks.push(formatter.line(texts.watches(&formatter.say.services(self.services), self.open, self.mutes)));
        if let Some(since) = self.unreadable_since {
            let services = formatter.say.services(self.unreadable);
            blocks.push(formatter.line(format!("⚠️ {}", texts.unreadable(&services, &formatter.say.at(since)))));
        }
        blocks.extend(formatter.unusable(self.unusable));
        if let (Some(waiting), Some(dead)) = (self.waiting, self.dead) {
            blocks.push(formatter.line(texts.deliveries(waiting, dead)));
        }
        for name in self.destinations.iter().flatten() {
            let mut spans: Vec<Span> = vec![words("⚠️ ")];
            spans.extend(formatter.fill(texts.takes_nothing(), &[name]));
            blocks.push(Block::Line(spans));
        }
        blocks.push(formatter.next(&["events".to_owned(), "untold".to_owned(), "mutes".to_owned()]));
        let sign = if silent || self.unreadable > 0 || self.unusable > 0 { "⚠️" } else { "💚" };
        formatter.message(message::one_line(&format!("{sign} {}", texts.status_title()), 100), blocks)
    }
}

/// For serde: leaves out a count that is zero in most answers.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(super) fn is_zero(n: &u64) -> bool {
    *n == 0
}
