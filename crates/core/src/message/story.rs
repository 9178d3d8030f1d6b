//! The message about an incident.

use std::collections::BTreeMap;

use super::translations::Label;
use super::{Block, Fact, Message, MessageFormatter, Span, data, fill, help as known, sign, text, words};
use crate::enrichment::PodState;
use crate::health::{Health, Status};
use crate::notice::{EndedBy, Notice, NoticeKind, Story};
use crate::rule::Field;
use crate::translations::{Language, number};

/// The time of an occurrence is shown if it is more seconds ago than this.
const STALE: u64 = 300;
/// How many reasons, names and new things a message lists.
const MAX_LISTED: usize = 5;
/// How many characters of each new thing, label and reason are shown.
const MAX_WORDS: usize = 120;

impl MessageFormatter<'_> {
    pub(super) fn incident(&self, notice: &Notice, story: &Story) -> Message {
        let over = notice.kind.is_end();
        let mut blocks = self.beginning(notice, story);
        if over && story.told.is_some() {
            let facts = self.changes(story);
            if !facts.is_empty() {
                blocks.push(Block::Facts(facts));
            }
        } else {
            self.details(story, notice.kind, &mut blocks);
        }
        self.finished(notice, story, blocks)
    }

    /// What is new, for a reader of the messages before.
    pub(super) fn news_of(&self, notice: &Notice, story: &Story) -> Message {
        let mut blocks = self.beginning(notice, story);
        let facts: Vec<Fact> = self.news(story).into_iter().chain(self.blind_times(story)).collect();
        if !facts.is_empty() {
            blocks.push(Block::Facts(facts));
        }
        self.quotes(story, &mut blocks);
        self.finished(notice, story, blocks)
    }

    fn beginning(&self, notice: &Notice, story: &Story) -> Vec<Block> {
        let over = notice.kind.is_end();
        let mut blocks = vec![Block::Line(if over { self.the_end(notice, story) } else { self.gist(story) })];
        if let Some(Status::NotReady { health }) = story.status.filter(|_| !over) {
            blocks.push(Block::Line(vec![words(
                self.texts.quiet_but_not_ready(&self.clock.at(story.last_at), &self.ready(health)),
            )]));
        }
        blocks
    }

    fn finished(&self, notice: &Notice, story: &Story, mut blocks: Vec<Block>) -> Message {
        let over = notice.kind.is_end();
        if flapping(notice, story) {
            blocks.insert(1, Block::Line(vec![words(self.texts.flapping_note())]));
        }
        if let Some(acknowledged) = story.acknowledged.as_ref().filter(|_| !over) {
            let at = self.clock.at(acknowledged.at);
            blocks.push(Block::Small(fill(&self.texts.acknowledged(&at), &[&acknowledged.by.name])));
        }
        blocks.push(Block::Small(self.small_print(story)));
        Message {
            title: self.incident_title(notice, story),
            severity: notice.severity,
            kind: notice.kind,
            over,
            language: self.language,
            // Mention nobody at the end: it must not wake anybody.
            mentions: if over { Vec::new() } else { story.mentions.clone() },
            blocks,
        }
    }

    fn incident_title(&self, notice: &Notice, story: &Story) -> String {
        let status = match (flapping(notice, story), &story.mute_over) {
            (true, _) => self.texts.flapping_title(notice.severity.say(self.language), story.reopened),
            (false, Some(_)) if notice.kind == NoticeKind::Reminded => {
                self.texts.mute_over_title(notice.severity.say(self.language))
            }
            (false, _) if story.unacknowledged_seconds.is_some() => {
                self.texts.unacknowledged_title(notice.severity.say(self.language))
            }
            (false, _) => self.texts.status(notice.kind, notice.severity),
        };
        let (place, cluster) = (place(story), cluster(story));
        let cluster = if cluster.is_empty() || cluster == place { String::new() } else { format!(" · {cluster}") };
        let head = format!("{} {status} #{}", sign(notice.kind, notice.severity), story.incident);
        format!("{head} · {place}: {}{cluster}", what(story))
    }

    /// The story in one sentence: a lock screen shows no more of it.
    fn gist(&self, story: &Story) -> Vec<Span> {
        let objects = self.texts.objects(story.objects, &story.newest.obj_type);
        let more = story.told.map_or(0, |told| story.objects.saturating_sub(told.objects));
        let more = if more > 0 { format!(" (+{})", number(more)) } else { String::new() };
        let after_mute = story.mute_over.as_ref().map(|_| self.texts.mute_over(added_since(story).unwrap_or(0)));
        let unacknowledged =
            story.unacknowledged_seconds.map(|seconds| self.texts.nobody_acknowledged(&self.texts.duration(seconds)));
        let begin = unacknowledged.or(after_mute).unwrap_or_default();
        if story.affected_count > 0 {
            return [words(begin)].into_iter().chain(self.affected(story)).collect();
        }
        let often = self.how_often(story);
        let comma = self.texts.comma();
        // That it is quiet but not ready has a line of its own.
        let ready = story.ready.filter(|_| story.status.is_none());
        let ready = ready.map(|health| format!("{comma}{}", self.ready(health))).unwrap_or_default();
        vec![words(format!("{begin}{often}{comma}{objects}{more}{ready}"))]
    }

    /// "14 workloads affected: shop/web (3 pods), pay/api (1 pod), +12 more".
    fn affected(&self, story: &Story) -> Vec<Span> {
        let mut spans = vec![words(self.texts.affected_workloads(story.affected_count))];
        for (at, one) in story.affected.iter().enumerate() {
            spans.push(words(if at == 0 { self.texts.colon() } else { self.texts.comma() }));
            let place = [&one.namespace, &one.workload].map(|part| text::one_line(part, MAX_WORDS));
            let place: Vec<String> = place.into_iter().filter(|part| !part.is_empty()).collect();
            spans.push(data(&place.join("/")));
            if one.pods > 0 {
                spans.push(words(format!(" ({})", self.texts.pods(one.pods))));
            }
        }
        let hidden = story.affected_count.saturating_sub(story.affected.len() as u64);
        if hidden > 0 {
            spans.push(words(format!("{}{}", self.texts.comma(), self.texts.more(hidden))));
        }
        spans
    }

    /// "Quiet for 15 min: shop/web BackOff, 10:02-10:41, 134 times, 6 pods."
    fn the_end(&self, notice: &Notice, story: &Story) -> Vec<Span> {
        let comma = self.texts.comma();
        let begin = match notice.kind {
            NoticeKind::Closed => self.texts.closed_for(story.closed_because).to_owned(),
            _ => match story.quiet_seconds {
                0 => self.texts.went_quiet().to_owned(),
                seconds => self.texts.quiet_for(&self.texts.duration(seconds)),
            },
        };
        let resolved = notice.kind == NoticeKind::Resolved;
        let recovered = story.status.filter(|_| resolved).and_then(|status| match status {
            Status::Ready { health, since } => Some(self.texts.recovered(&self.clock.at(since), &self.ready(health))),
            Status::NotReady { .. } => None,
        });
        let begin = match (&recovered, story.ended_by.as_ref().filter(|_| resolved)) {
            (Some(recovered), _) => vec![words(recovered.clone())],
            (None, Some(end)) => self.ended(end),
            (None, None) => vec![words(begin)],
        };
        let span = self.clock.span(story.first_at, story.last_at);
        let times = self.texts.times(story.occurrences);
        let objects = self.texts.objects(story.objects, &story.newest.obj_type);
        let stop = self.texts.stop();
        let stop = if resolved && recovered.is_none() { stop } else { stop.trim_end() };
        let mut spans = begin;
        spans.push(data(&format!("{} {}", place(story), what(story))));
        spans.push(words(format!("{comma}{span}{comma}{times}{comma}{objects}{stop}")));
        if resolved && recovered.is_none() {
            let how_long = self.texts.duration(story.quiet_seconds);
            spans.push(words(match story.ended_by {
                Some(_) => self.texts.nothing_since(&how_long),
                None => self.texts.quiet_is_not_healthy().to_owned(),
            }));
        }
        if story.told.is_none() {
            // Otherwise a reader would think to have missed the beginning.
            spans.push(words(format!("{}{}", self.texts.gap(), self.texts.never_told())));
        }
        spans
    }

    /// "1 of 3 ready".
    fn ready(&self, health: Health) -> String {
        match health.rolling_out {
            true => self.texts.ready_in_rollout(health.ready, health.wanted),
            false => self.texts.ready(health.ready, health.wanted),
        }
    }

    /// "Over since 10:41 (NodeReady of node-1): ".
    fn ended(&self, end: &EndedBy) -> Vec<Span> {
        let at = self.clock.at(end.at);
        match end.reason.as_str() {
            "" => fill(&self.texts.over_deleted(&at), &[&end.obj_name]),
            reason => fill(&self.texts.over_by(&at), &[reason, &end.obj_name]),
        }
    }

    /// The time of the newest occurrence, if it is not recent.
    fn stale(&self, story: &Story) -> Option<String> {
        let old = self.clock.now.since(story.last_at).as_secs() > STALE;
        old.then(|| self.texts.last(&self.clock.at(story.last_at)))
    }

    /// "546 times, +412 since 10:02", or "1 new, 40 in all".
    fn how_often(&self, story: &Story) -> String {
        // "new" would be wrong for occurrences that the reader already knows.
        let often = if story.told.is_none() && story.in_all > story.occurrences {
            self.texts.new_in_all(story.occurrences, story.in_all)
        } else {
            self.texts.times(story.occurrences)
        };
        let parts = [Some(often), self.added(story), self.stale(story)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(self.texts.comma())
    }

    fn added(&self, story: &Story) -> Option<String> {
        let (added, told) = (added_since(story)?, story.told?);
        Some(self.texts.added(added, &self.clock.at(told.at)))
    }

    /// What an end adds for a reader who got the earlier messages.
    fn changes(&self, story: &Story) -> Vec<Fact> {
        let mut facts = Vec::new();
        if let Some(added) = self.added(story) {
            facts.push(self.fact(Label::HowOften, vec![words(added)]));
        }
        facts.extend(self.news(story));
        facts.extend(self.blind_times(story));
        facts
    }

    fn details(&self, story: &Story, kind: NoticeKind, blocks: &mut Vec<Block>) {
        blocks.push(Block::Facts(self.facts(story)));
        self.quotes(story, blocks);
        // What it usually means does not matter once it is over.
        if let Some(help) = help(story, self.language).filter(|_| !kind.is_end()) {
            let label = self.texts.label(Label::Usually);
            blocks.push(Block::Line(vec![words(format!("{label}{}{help}", self.texts.colon()))]));
        }
        blocks.extend(command(story).map(Block::Command));
        if let Some(runbook) = story.runbook.as_deref().filter(|url| is_web_address(url)) {
            let label = self.texts.label(Label::Runbook);
            blocks.push(Block::Line(vec![
                words(format!("{label}{}", self.texts.colon())),
                Span::Link(runbook.to_owned()),
            ]));
        }
    }

    /// The state of a pod, the newest text, and the end of a log.
    fn quotes(&self, story: &Story, blocks: &mut Vec<Block>) {
        if let Some(pod) = &story.pod {
            blocks.push(Block::Line(self.pod(pod)));
        }
        let newest = &story.newest;
        let quoted = text::lines(&newest.message);
        if !quoted.is_empty() {
            let of = [&newest.reason, &newest.obj_type, &newest.obj_name].map(|part| text::one_line(part, MAX_WORDS));
            let of = of.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" · ");
            blocks.push(Block::Quote { of, text: quoted });
        }
        if let Some(log) = story.pod.as_ref().and_then(|pod| pod.log.as_ref()) {
            let of = (if log.previous { self.texts.log_before() } else { self.texts.log_now() })
                .replace("{}", &text::one_line(&log.container, MAX_WORDS));
            blocks.push(Block::Quote { of, text: text::lines(&log.text) });
        }
    }

    /// "web-0 on n1, Running: web waits (CrashLoopBackOff), 5 restarts, ended with exit code 1 (Error) at 10:02".
    fn pod(&self, pod: &PodState) -> Vec<Span> {
        let mut spans = vec![data(&text::one_line(&pod.pod, MAX_WORDS))];
        if !pod.node.is_empty() {
            spans.extend(fill(self.texts.on_node(), &[&pod.node]));
        }
        if !pod.phase.is_empty() {
            spans.push(words(self.texts.comma()));
            spans.push(data(&pod.phase));
        }
        for container in &pod.containers {
            spans.push(words(self.texts.semicolon()));
            spans.push(data(&text::one_line(&container.name, MAX_WORDS)));
            if !container.waiting.is_empty() {
                spans.extend(fill(self.texts.waits(), &[&container.waiting]));
            }
            if container.restarts > 0 {
                spans.push(words(format!("{}{}", self.texts.comma(), self.texts.restarts(container.restarts))));
            }
            if let Some(end) = &container.ended {
                spans.push(words(self.texts.comma()));
                spans.extend(fill(
                    &self.texts.ended_with(&end.exit_code.to_string(), &self.clock.at(end.at)),
                    &[&end.reason],
                ));
            }
        }
        spans
    }

    fn facts(&self, story: &Story) -> Vec<Fact> {
        let mut facts = vec![
            self.fact(Label::Where, self.whereabouts(story)),
            self.fact(Label::Since, vec![words(self.since(story))]),
        ];
        let names = self.names(story.object_names.iter(), MAX_LISTED, story.objects);
        if !names.is_empty() {
            facts.push(self.fact(Label::Objects, names));
        }
        facts.extend(self.rollout(story));
        if story.reasons.len() > 1 {
            facts.push(self.fact(Label::Reasons, self.reasons(story)));
        }
        facts.extend(self.news(story));
        facts.extend(self.blind_times(story));
        if !story.labels.is_empty() {
            facts.push(self.fact(Label::Labels, labels(&story.labels, self.texts.comma())));
        }
        facts
    }

    fn whereabouts(&self, story: &Story) -> Vec<Span> {
        let place = [cluster(story), namespace(story), story.workload.clone()];
        let place: Vec<_> = place.into_iter().filter(|part| !part.is_empty()).collect();
        let mut spans = vec![data(&place.join("/"))];
        let others: Vec<&String> = story.services.iter().filter(|service| **service != story.workload).collect();
        if !others.is_empty() {
            spans.push(words(" ("));
            spans.extend(self.names(others.iter().copied(), MAX_LISTED, others.len() as u64));
            spans.push(words(")"));
        }
        spans
    }

    /// When podbell saw it first and last, and when the cluster did first, if the cluster counted more.
    fn since(&self, story: &Story) -> String {
        let mut since = self.clock.at(story.first_at);
        let in_cluster = self.clock.at(story.first_seen);
        if story.in_all > story.occurrences && story.first_seen < story.first_at && in_cluster != since {
            since = format!("{since} ({})", self.texts.seen_by_cluster(&in_cluster));
        }
        let last = self.clock.at(story.last_at);
        if last != self.clock.at(story.first_at) || self.stale(story).is_some() {
            since = format!("{since}{}{}", self.texts.comma(), self.texts.last(&last));
        }
        since
    }

    fn reasons(&self, story: &Story) -> Vec<Span> {
        let mut spans = Vec::new();
        for reason in story.reasons.iter().take(MAX_LISTED) {
            if !spans.is_empty() {
                spans.push(words(self.texts.comma()));
            }
            spans.push(data(&text::one_line(&reason.reason, MAX_WORDS)));
            spans.push(words(format!(" × {}", number(reason.occurrences))));
        }
        let hidden = story.reasons.len().saturating_sub(MAX_LISTED);
        if hidden > 0 {
            spans.push(words(format!("{}{}", self.texts.comma(), self.texts.more(hidden as u64))));
        }
        spans
    }

    fn news(&self, story: &Story) -> Option<Fact> {
        let news: Vec<String> = story.news.iter().map(|word| text::one_line(word, MAX_WORDS)).collect();
        let spans = self.names(news.iter(), MAX_LISTED, news.len() as u64);
        (!spans.is_empty()).then(|| self.fact(Label::New, spans))
    }

    /// "2 min after a rollout (web:v4 → web:v5, 10:00)".
    fn rollout(&self, story: &Story) -> Option<Fact> {
        let followed = story.rollout.as_ref()?;
        let (after, at) = (self.texts.duration(followed.after_seconds), self.clock.at(followed.rollout.at));
        let images = followed.rollout.images().map(|images| text::one_line(&images, MAX_WORDS));
        let spans = match images {
            Some(images) => fill(&self.texts.after_rollout_of(&after, &at), &[&images]),
            None => vec![words(self.texts.after_rollout(&after, &at))],
        };
        Some(self.fact(Label::Rollout, spans))
    }

    fn blind_times(&self, story: &Story) -> Option<Fact> {
        let (from, until) = *story.blind.last()?;
        let (from, until) = self.clock.ends(from, until);
        let mut said = self.texts.blind(&from, &until);
        if story.blind.len() > 1 {
            said = format!("{said} ({})", self.texts.more(story.blind.len() as u64 - 1));
        }
        Some(self.fact(Label::Blind, vec![words(said)]))
    }

    fn small_print(&self, story: &Story) -> Vec<Span> {
        let mut spans = vec![words(format!("#{} · ", story.incident))];
        spans.extend(fill(self.texts.rule(), &[&story.rule.name]));
        if !story.source.is_empty() {
            spans.push(words(" · "));
            spans.push(data(&story.source));
        }
        if story.reopened > 0 {
            spans.push(words(format!(" · {}", self.texts.came_back(story.reopened))));
        }
        spans.push(words(format!(" · {}", self.clock.offset())));
        spans
    }
}

/// Whether everything in the incident shares this fact. If the rule mixes, say, namespaces, the story names only one of
/// them, and a message must not claim that there are no others.
fn shared(story: &Story, field: Field) -> bool {
    story.group.contains_key(&field)
}

fn cluster(story: &Story) -> String {
    if !shared(story, Field::Cluster) {
        return text::one_line(&story.source, MAX_WORDS);
    }
    let name = story.cluster_alias.as_deref().filter(|alias| !alias.trim().is_empty()).unwrap_or(&story.cluster);
    text::one_line(name, MAX_WORDS)
}

fn namespace(story: &Story) -> String {
    if shared(story, Field::Namespace) { text::one_line(&story.namespace, MAX_WORDS) } else { String::new() }
}

/// Whether the notice says that the incident comes back again and again.
pub(super) fn flapping(notice: &Notice, story: &Story) -> bool {
    notice.kind == NoticeKind::Reopened && story.flaps()
}

/// How many occurrences there were since the reader's last notice.
pub(super) fn added_since(story: &Story) -> Option<u64> {
    let added = story.occurrences.saturating_sub(story.told?.occurrences);
    (added > 0).then_some(added)
}

/// `shop/web`, or the part of it that the incident's events share.
pub(super) fn place(story: &Story) -> String {
    let parts = [namespace(story), text::one_line(&story.workload, MAX_WORDS)];
    let place = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    if !place.is_empty() {
        return place;
    }
    match story.services.as_slice() {
        [one] => text::one_line(one, MAX_WORDS),
        _ => cluster(story),
    }
}

/// The two reasons that occurred most, and how many others there are.
pub(super) fn what(story: &Story) -> String {
    let reasons = story.reasons.iter().map(|reason| text::one_line(&reason.reason, MAX_WORDS));
    let named: Vec<String> = reasons.filter(|reason| !reason.is_empty()).take(2).collect();
    let hidden = story.reasons.len().saturating_sub(2);
    match (named.is_empty(), hidden) {
        (true, _) => {
            let newest = [&story.newest.reason, &story.newest.obj_type];
            let word = newest.into_iter().find(|word| !word.trim().is_empty());
            word.map(|word| text::one_line(word, MAX_WORDS)).unwrap_or_default()
        }
        (false, 0) => named.join(", "),
        (false, more) => format!("{} +{more}", named.join(", ")),
    }
}

/// The command to type first, if the namespace of the newest object is known. Safe for a shell: it contains only valid
/// Kubernetes names.
pub fn command(story: &Story) -> Option<String> {
    let namespace = shared(story, Field::Namespace).then_some(story.namespace.as_str());
    known::command(namespace, &story.newest)
}

/// What the newest event usually means, in one sentence; `None` for reasons that podbell does not
/// know.
pub fn help(story: &Story, language: Language) -> Option<&'static str> {
    known::of(&story.newest).map(|help| help.say(language))
}

fn labels(labels: &BTreeMap<String, String>, comma: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for (name, value) in labels.iter().take(MAX_LISTED * 2) {
        if !spans.is_empty() {
            spans.push(words(comma));
        }
        spans.push(data(&format!("{name}={}", text::one_line(value, MAX_WORDS))));
    }
    spans
}

/// Only these are shown as links: never `javascript:` and the like.
fn is_web_address(url: &str) -> bool {
    let lower = url.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let fits = url.len() <= 2_000 && url.chars().all(|c| !c.is_whitespace() && !c.is_control());
    fits && rest.is_some_and(|rest| !rest.is_empty())
}
