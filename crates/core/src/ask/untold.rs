//! `untold`: Warnings that no rule notified anybody of, so that nobody has to trust a silence.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::formatter::{AnswerFormatter, narrowed};
use super::mistake::Mistake;
use super::spec::{Args, Opt, Parse, Spec};
use super::status::is_zero;
use super::{Query, page, pages};
use crate::event::Target;
use crate::message::{self, Block, Message, words};
use crate::rule::RuleKey;
use crate::step::decision::{Decision, Verdict};
use crate::time::Time;
use crate::translations::Phrase;

/// How far back the answer looks by default.
const LATELY: Duration = Duration::from_secs(24 * 3600);

/// Which Warnings are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Of this namespace only.
    pub namespace: Option<String>,
    /// Of this cluster only, by id or alias.
    pub cluster: Option<String>,
    /// How far back.
    pub since: Duration,
    /// The page, counted from 1.
    pub page: u32,
}

impl Ask {
    /// Whether a target passes these filters.
    pub fn wants(&self, target: &Target, alias: Option<&str>) -> bool {
        target.names().are_of(self.namespace.as_deref(), self.cluster.as_deref(), alias)
    }

    fn typed(&self, page: u32) -> String {
        let narrowed = narrowed(&self.namespace, &self.cluster);
        format!("untold{narrowed} --since {}s --page {page}", self.since.as_secs())
    }
}

pub(super) const SPEC: Spec = Spec {
    name: "untold",
    usage: "untold [-n NAMESPACE] [-c CLUSTER] [--since 24h] [--page N]",
    about: Phrase::new(
        "Unmatched Warnings: those that nobody was notified of, and why.",
        "未通知的 Warning 事件及其原因。",
    ),
    examples: &["untold --since 2h"],
    options: &[Opt::Namespace, Opt::Cluster, Opt::Since, Opt::Page],
    arguments: 0,
    free_text: false,
    parse: Parse::Query(parse),
};

fn parse(args: Args) -> Result<Option<Query>, Mistake> {
    let (since, page) = (args.since.unwrap_or(LATELY), args.page.unwrap_or(1));
    Ok(Some(Query::Untold(Ask { namespace: args.namespace, cluster: args.cluster, since, page })))
}

/// Changes of one workload with one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The cluster's id.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The workload.
    pub workload: String,
    /// The reason.
    pub reason: String,
    /// Kind of the objects.
    pub obj_type: String,
    /// How many objects.
    pub objects: u64,
    /// New occurrences.
    pub occurrences: u64,
    /// When the newest of them was seen.
    pub at: Time,
    /// The text of the newest one.
    pub message: String,
    /// The rules that ignore it; empty if no rule matches it.
    pub ignored_by: Vec<RuleKey>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Untold {
    /// The question, from which the command for the next page is made.
    #[serde(skip)]
    pub ask: Ask,
    /// One page, the newest first.
    pub rows: Vec<Row>,
    /// How many there are on all pages.
    pub all: u64,
    /// How many pages.
    pub pages: u32,
    /// Services whose lists have entries that cannot be understood: nobody is notified of those.
    #[serde(skip_serializing_if = "is_zero")]
    pub unusable: u64,
}

impl Untold {
    /// The answer from decisions without an incident, the newest first. `unusable`: how many services have lists with
    /// entries that cannot be understood.
    pub fn new(ask: Ask, decisions: &[Decision], unusable: u64) -> Self {
        let mut rows: Vec<(Row, BTreeSet<&str>)> = Vec::new();
        for decision in decisions {
            let ignored_by = match &decision.verdict {
                Verdict::NoRule => Vec::new(),
                Verdict::Ignored(rules) => rules.clone(),
                Verdict::Claimed(_) => continue,
            };
            let same = |(row, _): &&mut (Row, BTreeSet<&str>)| {
                row.workload == decision.workload
                    && row.reason == decision.reason
                    && *row.namespace == *decision.target.namespace
                    && *row.cluster == *decision.target.cluster
                    && row.ignored_by == ignored_by
            };
            match rows.iter_mut().find(same) {
                Some((row, objects)) => {
                    row.occurrences = row.occurrences.saturating_add(decision.new);
                    objects.insert(&decision.obj_name);
                }
                None => rows.push((Row::of(decision, ignored_by), BTreeSet::from([decision.obj_name.as_str()]))),
            }
        }
        let mut rows: Vec<Row> =
            rows.into_iter().map(|(row, objects)| Row { objects: objects.len() as u64, ..row }).collect();
        // Within one poll the store sorts by hash, which means nothing to people.
        rows.sort_by_cached_key(|row| {
            let place = [&row.cluster, &row.namespace, &row.workload, &row.reason].map(Clone::clone);
            (Reverse(row.at), place)
        });
        let (pages, shown) = page(&rows, ask.page);
        Self { ask, rows: shown.to_vec(), all: rows.len() as u64, pages, unusable }
    }

    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let texts = formatter.texts;
        let since = formatter.say.duration(self.ask.since.as_secs());
        let said = match (self.all, self.unusable) {
            (0, 1..) => texts.untold_but_unusable(&since),
            (0, 0) => texts.nothing_untold(&since),
            _ => texts.untold(&since),
        };
        let mut blocks = vec![formatter.line(said)];
        blocks.extend(formatter.unusable(self.unusable));
        for row in &self.rows {
            row.write(formatter, &mut blocks);
        }
        blocks.extend(pages(formatter, self.ask.page, self.pages));
        let mut next = Vec::new();
        if self.ask.page < self.pages {
            next.push(self.ask.typed(self.ask.page + 1));
        }
        next.push("events".to_owned());
        blocks.push(formatter.next(&next));
        formatter.message(format!("🤐 {}", texts.untold_title(self.all)), blocks)
    }
}

impl Row {
    fn of(decision: &Decision, ignored_by: Vec<RuleKey>) -> Self {
        Self {
            cluster: decision.target.cluster.to_string(),
            namespace: decision.target.namespace.to_string(),
            workload: decision.workload.clone(),
            reason: decision.reason.clone(),
            obj_type: decision.obj_type.clone(),
            objects: 1,
            occurrences: decision.new,
            at: decision.at,
            message: decision.message.clone(),
            ignored_by,
        }
    }

    fn write(&self, formatter: &AnswerFormatter<'_>, blocks: &mut Vec<Block>) {
        let mut spans = vec![words("▪️ ")];
        let place = [&self.namespace, &self.workload].into_iter().filter(|part| !part.is_empty());
        let place = place.map(String::as_str).collect::<Vec<_>>().join("/");
        spans.push(message::data(&format!("{place}: {}", self.reason)));
        let figures = formatter.figures(self.occurrences, (self.objects, &self.obj_type), self.at);
        spans.push(words(format!("{figures} · ")));
        match self.ignored_by.first() {
            Some(rule) => spans.extend(formatter.fill(formatter.texts.ignored_by(), &[&rule.name])),
            None => spans.push(words(formatter.texts.no_rule())),
        }
        blocks.push(Block::Line(spans));
    }
}
