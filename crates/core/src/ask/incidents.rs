//! `incidents`: the open incidents, with `--all` also those that are over.

use serde::Serialize;

use super::brief::Brief;
use super::formatter::{AnswerFormatter, narrowed};
use super::mistake::Mistake;
use super::spec::{Args, Opt, Parse, Spec};
use super::{PAGE, Query};
use crate::event::Names;
use crate::message::{Block, Message};
use crate::translations::Phrase;

/// Which incidents are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Of this namespace only.
    pub namespace: Option<String>,
    /// Of this cluster only, by id or alias.
    pub cluster: Option<String>,
    /// Also those that are over.
    pub all: bool,
    /// The page, counted from 1.
    pub page: u32,
}

impl Ask {
    /// Whether a target passes these filters.
    pub fn wants(&self, names: Names<'_>, alias: Option<&str>) -> bool {
        names.are_of(self.namespace.as_deref(), self.cluster.as_deref(), alias)
    }
}

pub(super) const SPEC: Spec = Spec {
    name: "incidents",
    usage: "incidents [-n NAMESPACE] [-c CLUSTER] [--all] [--page N]",
    about: Phrase::new(
        "Open problems, the newest first; --all: those that are over, too.",
        "未恢复的告警，最新的在前；--all：包括已恢复的。",
    ),
    examples: &["incidents", "incidents -n shop --all"],
    options: &[Opt::Namespace, Opt::Cluster, Opt::All, Opt::Page],
    arguments: 0,
    free_text: false,
    parse: Parse::Query(parse),
};

fn parse(args: Args) -> Result<Option<Query>, Mistake> {
    let page = args.page.unwrap_or(1);
    Ok(Some(Query::Incidents(Ask { namespace: args.namespace, cluster: args.cluster, all: args.all, page })))
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Incidents {
    /// The question, from which the command for the next page is made.
    #[serde(skip)]
    pub ask: Ask,
    /// One page, the newest first.
    pub incidents: Vec<Brief>,
    /// How many there are on all pages.
    pub all: u64,
}

impl Incidents {
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let texts = formatter.texts;
        let count = if self.ask.all { texts.known(self.all) } else { texts.open_title(self.all) };
        let mut blocks: Vec<Block> = self.incidents.iter().map(|brief| brief.line(formatter)).collect();
        if blocks.is_empty() {
            blocks.push(formatter.line(texts.none_open()));
        }
        let shown = (u64::from(self.ask.page.max(1)) - 1) * PAGE as u64 + self.incidents.len() as u64;
        let more = self.all.saturating_sub(shown);
        blocks.extend(formatter.more(more));
        let mut next = Vec::new();
        if more > 0 {
            next.push(self.ask.typed(self.ask.page + 1));
        }
        match self.incidents.first() {
            Some(first) => next.extend([format!("show {}", first.id), format!("why {}", first.id)]),
            None if !self.ask.all => next.push(Ask { all: true, ..self.ask.clone() }.typed(1)),
            None => next.push("events".to_owned()),
        }
        blocks.push(formatter.next(&next));
        formatter.message(format!("📋 {count}"), blocks)
    }
}

impl Ask {
    fn typed(&self, page: u32) -> String {
        let all = if self.all { " --all" } else { "" };
        let page = if page > 1 { format!(" --page {page}") } else { String::new() };
        format!("incidents{}{all}{page}", narrowed(&self.namespace, &self.cluster))
    }
}
