//! `events SERVICE`: the events of a service. `events` alone: the open incidents, then the baseline: Warnings that were
//! there before podbell's first contact, which nobody is notified of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::brief::{Brief, few};
use super::formatter::{AnswerFormatter, word};
use super::mistake::{Missing, Mistake};
use super::place::{FoundService, Named};
use super::spec::{Args, Opt, Parse, Spec};
use super::{Label, Query, page, pages};
use crate::event::{Event, Level, Target};
use crate::message::{self, Block, Message, Span, words};
use crate::rollout::RolloutOf;
use crate::time::Time;
use crate::translations::Phrase;
use crate::workload;

/// How many characters of an event's text are shown.
const MAX_TEXT: usize = 160;
/// How many incidents of a service are listed.
const MAX_INCIDENTS: usize = 5;
/// How many of the newest rollouts of a service are listed.
const MAX_ROLLOUTS: usize = 3;

/// Which events are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The service or workload.
    pub named: Named,
    /// Only events seen within this time.
    pub since: Option<Duration>,
    /// Also Normal events.
    pub all: bool,
    /// Only events whose reason contains this.
    pub reason: Option<String>,
    /// Only what is known to be about objects with this label.
    pub label: Option<Label>,
    /// The page, counted from 1.
    pub page: u32,
}

impl Ask {
    /// The command that asks the same about `named`.
    pub fn typed(&self, named: &Named, page: u32) -> String {
        Self { page, ..self.clone() }.typed_as(&named.typed())
    }

    /// Like [`Self::typed`], for a name that is already a command argument.
    pub fn typed_as(&self, named: &str) -> String {
        let page = self.page;
        let mut typed = format!("events {named}");
        if let Some(since) = self.since {
            typed.push_str(&format!(" --since {}s", since.as_secs()));
        }
        if self.all {
            typed.push_str(" --all");
        }
        if let Some(reason) = &self.reason {
            typed.push_str(&format!(" --reason {}", word(reason)));
        }
        if let Some(Label { key, value }) = &self.label {
            typed.push_str(&format!(" --label {}", word(&format!("{key}={value}"))));
        }
        if page > 1 {
            typed.push_str(&format!(" --page {page}"));
        }
        typed
    }
}

pub(super) const SPEC: Spec = Spec {
    name: "events",
    usage: "events [SERVICE] [-n NAMESPACE] [-c CLUSTER] [--since 2h] [--all] [--reason X] [--label KEY=VALUE] [--page N]",
    about: Phrase::new(
        "What a service shows, Warnings first; alone: everything that is open now.",
        "服务的事件，Warning 事件在前；不带服务名：当前所有未恢复的告警。",
    ),
    examples: &[
        "events web",
        "events web -n shop --since 2h",
        "events shop/web --reason BackOff --all",
        "events web --label team=payments",
        "events",
    ],
    options: &[Opt::Namespace, Opt::Cluster, Opt::Since, Opt::All, Opt::Reason, Opt::Label, Opt::Page],
    arguments: 1,
    free_text: false,
    parse: Parse::Query(parse),
};

fn parse(args: Args) -> Result<Option<Query>, Mistake> {
    let page = args.page.unwrap_or(1);
    let Some(service) = args.arguments.first() else {
        let narrowed = args.namespace.is_some()
            || args.cluster.is_some()
            || args.since.is_some()
            || args.reason.is_some()
            || args.label.is_some()
            || args.all;
        return match narrowed {
            true => Err(Mistake::Missing { command: SPEC.name, what: Missing::Service }),
            false => Ok(Some(Query::Overview { page })),
        };
    };
    if matches!(service.as_str(), "help" | "?") {
        return Ok(None);
    }
    let named = Named::read(service, &args, SPEC.name)?;
    let Args { since, all, reason, label, .. } = args;
    Ok(Some(Query::Events(Ask { named, since, all, reason, label, page })))
}

/// An episode from the store.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The target that shows it.
    pub target: Target,
    /// Its newest reading.
    pub event: Event<'static>,
    /// Whether it is baseline: it was there at first contact and has not occurred since.
    pub silent: bool,
}

/// Events of one workload with one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Normal or Warning.
    pub level: Level,
    /// The workload.
    pub workload: String,
    /// Kind of the objects.
    pub obj_type: String,
    /// How many objects.
    pub objects: u64,
    /// The reason.
    pub reason: String,
    /// Occurrences, as the cluster counts them.
    pub occurrences: u64,
    /// When the cluster first saw it.
    pub first_seen: Time,
    /// When the cluster last saw it.
    pub last_seen: Time,
    /// The text of the newest event.
    pub message: String,
    /// The open incident that it belongs to.
    pub incident: Option<u64>,
    /// Whether it is baseline: it was there at first contact, and nobody was notified.
    pub silent: bool,
}

/// The answer about a service.
#[derive(Clone, Debug, Serialize)]
pub struct Events {
    /// The service or workload.
    pub place: FoundService,
    /// The question, from which the command for the next page is made.
    #[serde(skip)]
    pub ask: Ask,
    /// Its open incidents, the newest first.
    pub incidents: Vec<Brief>,
    /// One page of its events: Warnings first, the newest first.
    pub rows: Vec<Row>,
    /// How many rows there are in all.
    pub all: u64,
    /// Rows that were left out because they are Normal.
    pub normal: u64,
    /// How many pages there are.
    pub pages: u32,
    /// The rollouts of its workloads within the last day, the oldest first.
    pub rollouts: Vec<RolloutOf>,
    /// When the service was last read.
    pub read_at: Option<Time>,
    /// Since when the service cannot be read.
    pub failing_since: Option<Time>,
}

impl Events {
    /// Makes the answer from episodes and incidents of the store.
    pub fn new(place: FoundService, ask: Ask, incidents: Vec<Brief>, seen: &[Seen], now: Time) -> Self {
        let (rows, normal) = rows(seen, &ask, &incidents, now);
        let (pages, shown) = page(&rows, ask.page);
        let (all, rows) = (rows.len() as u64, shown.to_vec());
        Self {
            place,
            ask,
            incidents,
            rows,
            all,
            normal,
            pages,
            rollouts: Vec::new(),
            read_at: None,
            failing_since: None,
        }
    }

    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let texts = formatter.texts;
        let mut blocks = vec![formatter.line(texts.events_of(self.incidents.len() as u64, self.all))];
        if let Some(since) = self.failing_since {
            blocks.push(formatter.line(format!("⚠️ {}", texts.unreadable_since(&formatter.say.at(since)))));
        }
        if self.ask.page == 1 {
            let newest = self.rollouts.iter().rev().take(MAX_ROLLOUTS).rev();
            blocks.extend(newest.map(|one| formatter.rollout(&one.workload, &one.rollout)));
            blocks.extend(self.incidents.iter().take(MAX_INCIDENTS).map(|brief| brief.line(formatter)));
        }
        for row in &self.rows {
            row.write(formatter, &mut blocks);
        }
        blocks.extend(pages(formatter, self.ask.page, self.pages));
        if self.rows.is_empty() && self.normal > 0 {
            blocks.push(formatter.line(texts.only_normal(self.normal)));
        }
        if let (Some(read), None) = (self.read_at, self.failing_since) {
            blocks.push(Block::Small(vec![words(texts.read(&formatter.say.ago(read)))]));
        }
        blocks.push(formatter.next(&self.next()));
        let title = format!("📋 {} · {}", self.place.short(), self.place.cluster_for_people());
        formatter.message(message::one_line(&title, 300), blocks)
    }

    fn next(&self) -> Vec<String> {
        let named = self.place.named();
        let mut next = Vec::new();
        if self.ask.page < self.pages {
            next.push(self.ask.typed(&named, self.ask.page + 1));
        }
        match self.incidents.first() {
            Some(first) => {
                if first.acknowledged.is_none() {
                    next.push(format!("ack {}", first.id));
                }
                next.push(format!("show {}", first.id));
                next.push(format!("mute {} 2h", named.typed()));
            }
            None if self.rows.is_empty() && self.normal > 0 => {
                next.push(Ask { all: true, page: 1, ..self.ask.clone() }.typed(&named, 1));
            }
            None => next.push("events".to_owned()),
        }
        next
    }
}

/// Groups episodes into rows, and counts the Normal rows that were left out.
fn rows(seen: &[Seen], ask: &Ask, incidents: &[Brief], now: Time) -> (Vec<Row>, u64) {
    let since = ask.since.map(|since| now.minus(since));
    let reason = ask.reason.as_ref().map(|reason| reason.to_lowercase());
    let wanted = |seen: &&Seen| {
        since.is_none_or(|since| seen.event.last_seen >= since)
            && reason.as_ref().is_none_or(|reason| seen.event.reason.to_lowercase().contains(reason))
    };
    let mut groups: BTreeMap<(Level, &str, &str, &str), Vec<&Seen>> = BTreeMap::new();
    for one in seen.iter().filter(wanted) {
        let event = &one.event;
        let workload = workload::of(&event.obj_type, &event.obj_name);
        groups.entry((event.level, workload, &event.obj_type, event.reason.trim())).or_default().push(one);
    }
    let all = groups.len();
    let shown = groups.into_iter().filter(|((level, ..), _)| ask.all || *level == Level::Warning);
    let mut rows: Vec<Row> = shown.filter_map(|(_, group)| Row::of(&group, incidents)).collect();
    rows.sort_by_key(|row| (std::cmp::Reverse((row.level, row.last_seen)), row.workload.clone(), row.reason.clone()));
    let left_out = (all - rows.len()) as u64;
    (rows, left_out)
}

impl Row {
    fn of(group: &[&Seen], incidents: &[Brief]) -> Option<Self> {
        let newest = group.iter().max_by_key(|seen| seen.event.last_seen)?;
        let event = &newest.event;
        let workload = workload::of(&event.obj_type, &event.obj_name).to_owned();
        let reason = event.reason.trim().to_owned();
        // Several services may show the same object: count the object and its episode once.
        let mut counts: BTreeMap<(&str, &str, Time), u64> = BTreeMap::new();
        for one in group {
            let count = counts.entry((&one.event.obj_name, &one.event.message, one.event.first_seen)).or_default();
            *count = (*count).max(one.event.count);
        }
        let objects: BTreeSet<&str> = group.iter().map(|seen| &*seen.event.obj_name).collect();
        let told = |brief: &&Brief| brief.workload == workload && brief.reasons.contains(&reason);
        Some(Self {
            level: event.level,
            obj_type: event.obj_type.trim().to_owned(),
            objects: objects.len() as u64,
            occurrences: counts.values().fold(0, |sum, count| sum.saturating_add(*count)),
            first_seen: group.iter().map(|seen| seen.event.first_seen).min()?,
            last_seen: event.last_seen,
            message: event.message.trim().to_owned(),
            incident: incidents.iter().find(told).map(|brief| brief.id),
            silent: group.iter().all(|seen| seen.silent),
            workload,
            reason,
        })
    }

    fn write(&self, formatter: &AnswerFormatter<'_>, blocks: &mut Vec<Block>) {
        let sign = if self.level == Level::Warning { "▪️" } else { "▫️" };
        let mut spans = vec![words(format!("{sign} "))];
        spans.push(message::data(&self.reason));
        spans.push(words(" · "));
        spans.push(message::data(&self.workload));
        spans.push(words(formatter.figures(self.occurrences, (self.objects, &self.obj_type), self.last_seen)));
        match (self.incident, self.silent && self.level == Level::Warning) {
            (Some(id), _) => spans.push(words(format!(" · #{id}"))),
            (None, true) => spans.push(words(format!(" · {}", formatter.texts.was_there()))),
            (None, false) => {}
        }
        blocks.push(Block::Line(spans));
        let text = message::one_line(&self.message, MAX_TEXT);
        if !text.is_empty() {
            blocks.push(Block::Small(vec![Span::Data(text)]));
        }
    }
}

/// A workload whose Warnings were already there at first contact.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// The workload and where it is.
    pub place: FoundService,
    /// Its reasons, the newest first.
    pub reasons: Vec<String>,
    /// Kind of its objects.
    pub obj_type: String,
    /// How many objects.
    pub objects: u64,
    /// Occurrences, as the cluster counts them.
    pub occurrences: u64,
    /// When the cluster last saw it.
    pub last_seen: Time,
}

/// The answer to `events` alone.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// The newest open incidents.
    pub incidents: Vec<Brief>,
    /// How many are open.
    pub open: u64,
    /// The page of `incidents`.
    pub page: u32,
    /// Workloads of the baseline, the newest first.
    pub baseline: Vec<Baseline>,
    /// Whether the baseline has more workloads.
    pub more_baseline: bool,
    /// How many services are watched.
    pub services: u64,
}

impl Overview {
    /// The baseline by workload: at most one page of it.
    pub fn baseline(seen: &[Seen], alias: impl Fn(&str) -> Option<String>) -> (Vec<Baseline>, bool) {
        let mut groups: Vec<(FoundService, Vec<&Seen>)> = Vec::new();
        for one in seen {
            let target = &one.target;
            let place = FoundService {
                namespace: target.namespace.to_string(),
                cluster: target.cluster.to_string(),
                alias: alias(&target.cluster),
                name: workload::of(&one.event.obj_type, &one.event.obj_name).to_owned(),
                workload: true,
            };
            match groups.iter_mut().find(|(known, _)| *known == place) {
                Some((_, group)) => group.push(one),
                None => groups.push((place, vec![one])),
            }
        }
        let more = groups.len() > super::PAGE;
        let kept = groups.into_iter().take(super::PAGE).filter_map(|(place, group)| Baseline::of(place, &group));
        let mut kept: Vec<Baseline> = kept.collect();
        kept.sort_by_cached_key(|one| {
            let place = [&one.place.cluster, &one.place.namespace, &one.place.name].map(Clone::clone);
            (std::cmp::Reverse(one.last_seen), place)
        });
        (kept, more)
    }

    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let (texts, services) = (formatter.texts, formatter.say.services(self.services));
        let mut blocks = vec![formatter.line(match self.open {
            0 => texts.none_open_in(&services),
            open => texts.open_in(open, &services),
        })];
        blocks.extend(self.incidents.iter().map(|brief| brief.line(formatter)));
        let shown = (u64::from(self.page.max(1)) - 1) * super::PAGE as u64 + self.incidents.len() as u64;
        let more = self.open.saturating_sub(shown);
        blocks.extend(formatter.more(more));
        if !self.baseline.is_empty() {
            blocks.push(formatter.line(texts.baseline()));
            blocks.extend(self.baseline.iter().map(|one| one.line(formatter)));
            if self.more_baseline {
                blocks.push(Block::Small(vec![words(texts.and_more())]));
            }
        }
        let mut next = Vec::new();
        if more > 0 {
            next.push(format!("events --page {}", self.page + 1));
        }
        let named = |name: &str, namespace: &str| match namespace {
            "" => format!("events {}", word(name)),
            namespace => format!("events {} -n {}", word(name), word(namespace)),
        };
        match (self.incidents.first(), self.baseline.first()) {
            (Some(first), _) => next.push(format!("show {}", first.id)),
            (None, Some(first)) => next.push(named(&first.place.name, &first.place.namespace)),
            (None, None) => next.push("untold".to_owned()),
        }
        next.push("help".to_owned());
        blocks.push(formatter.next(&next));
        formatter.message(format!("📋 {}", texts.open_title(self.open)), blocks)
    }
}

impl Baseline {
    fn of(place: FoundService, group: &[&Seen]) -> Option<Self> {
        let newest = group.iter().max_by_key(|seen| seen.event.last_seen)?;
        let mut reasons: Vec<String> = Vec::new();
        for one in group {
            let reason = one.event.reason.trim();
            if !reasons.iter().any(|known| known == reason) {
                reasons.push(reason.to_owned());
            }
        }
        let objects: BTreeSet<&str> = group.iter().map(|seen| &*seen.event.obj_name).collect();
        Some(Self {
            place,
            reasons,
            obj_type: newest.event.obj_type.trim().to_owned(),
            objects: objects.len() as u64,
            occurrences: group.iter().fold(0, |sum, seen| sum.saturating_add(seen.event.count)),
            last_seen: newest.event.last_seen,
        })
    }

    fn line(&self, formatter: &AnswerFormatter<'_>) -> Block {
        let mut spans = vec![words("▪️ ")];
        spans.push(message::data(&format!("{}: {}", self.place.short(), few(&self.reasons))));
        spans.push(words(formatter.figures(self.occurrences, (self.objects, &self.obj_type), self.last_seen)));
        Block::Line(spans)
    }
}
