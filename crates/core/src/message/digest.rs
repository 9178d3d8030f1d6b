//! The message that sums a storm up: what, how many, where, since when, and the likely cause.

use std::collections::BTreeMap;

use super::story::{place, what};
use super::translations::Label;
use super::{Block, Message, MessageFormatter, Span, Style, data, fill, fold, sign, text, words};
use crate::notice::{Notice, NoticeBody, NoticeKind, Story};
use crate::outbox::StormFacts;
use crate::rule::Severity;
use crate::time::Time;
use crate::translated;

/// How many incidents are listed.
const MAX_LISTED: usize = 10;
/// How many namespaces are named, and how many of the incidents that are over.
const MAX_NAMES: usize = 5;
/// A cause is likely if this many of a hundred incidents share it, and at least [`MIN`] do.
const SHARE: usize = 60;
const MIN: usize = 3;

/// What many incidents may have in common, the most likely cause first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    Node,
    Image,
    Reason,
}

translated! { Cause;
    Node: "the node", "节点";
    Image: "the image", "镜像";
    Reason: "the reason", "原因";
}

/// What a digest holds.
struct DigestScope {
    /// When the first of its notices was caused.
    since: Time,
    notices: u64,
    /// How many incidents there are, if some of them have several notices.
    about: Option<u64>,
}

/// Puts the notices of a digest into words.
pub fn compose_digest(notices: &[Notice], storm: StormFacts, style: &Style) -> Message {
    // The storm may have begun with notices of other messages: count only those of this one.
    let since = notices.iter().map(|notice| notice.caused_at).min().unwrap_or(storm.since);
    let mut incidents: BTreeMap<(u64, u64), Vec<Notice>> = BTreeMap::new();
    for notice in notices {
        // A notice without an incident is an entry of its own.
        let key = notice.body.incident().map_or((0, notice.id), |incident| (incident, 0));
        incidents.entry(key).or_default().push(notice.clone());
    }
    let folded: Vec<Notice> = incidents.values().filter_map(|of_one| fold(of_one)).collect();
    // Podbell's announcements are not problems: they are listed, but not counted.
    let (said, problems): (Vec<Notice>, Vec<Notice>) =
        folded.into_iter().partition(|notice| matches!(notice.body, NoticeBody::Info(_)));
    let (over, mut standing): (Vec<Notice>, Vec<Notice>) =
        problems.into_iter().partition(|notice: &Notice| notice.kind.is_end());
    standing.sort_by_key(|notice| (std::cmp::Reverse((notice.severity, weight(notice))), notice.id));
    let (notices, entries) = (notices.len() as u64, (standing.len() + over.len() + said.len()) as u64);
    let about = (notices > entries && said.is_empty()).then_some(entries);
    MessageFormatter::new(style).digest(&standing, &over, &said, DigestScope { since, notices, about })
}

impl MessageFormatter<'_> {
    fn digest(&self, standing: &[Notice], over: &[Notice], said: &[Notice], held: DigestScope) -> Message {
        let severity = standing.iter().chain(said).map(|notice| notice.severity).max().unwrap_or(Severity::Info);
        let (kind, title) = match (standing, over, said) {
            ([], [], [first, ..]) => (first.kind, self.held(&held)),
            ([], ..) => (NoticeKind::Resolved, self.texts.digest_heading(0, over.len() as u64)),
            _ => (NoticeKind::Opened, self.texts.digest_heading(standing.len() as u64, over.len() as u64)),
        };
        let mut blocks = vec![Block::Line(self.how_much(standing, &held))];
        if let Some((cause, name, n)) = likely_cause(standing) {
            let sentence = self.texts.digest_cause(cause.say(self.language), n, standing.len());
            blocks.push(Block::Line(fill(&sentence, &[&name])));
        }
        blocks.extend(standing.iter().take(MAX_LISTED).map(|notice| Block::Line(self.one(notice))));
        if standing.len() > MAX_LISTED {
            let more = self.texts.more((standing.len() - MAX_LISTED) as u64);
            blocks.push(Block::Line(vec![words(more)]));
        }
        if !over.is_empty() {
            let names: Vec<String> = over.iter().map(|notice| self.name(notice)).collect();
            let mut spans = vec![words(format!("{}{}", self.texts.digest_over(), self.texts.colon()))];
            spans.extend(self.names(names.iter(), MAX_NAMES, names.len() as u64));
            blocks.push(Block::Line(spans));
        }
        blocks.extend(said.iter().take(MAX_LISTED).map(|notice| self.announced(notice)));
        if said.len() > MAX_LISTED {
            let more = self.texts.more((said.len() - MAX_LISTED) as u64);
            blocks.push(Block::Line(vec![words(more)]));
        }
        blocks.push(Block::Small(vec![words(self.clock.offset())]));
        Message {
            title: format!("{} {title}", sign(kind, severity)),
            severity,
            kind,
            over: standing.is_empty() && !over.is_empty(),
            language: self.language,
            mentions: mentions(standing),
            blocks,
        }
    }

    fn held(&self, held: &DigestScope) -> String {
        let about = held.about.map(|n| self.texts.digest_about(n)).unwrap_or_default();
        self.texts.digest(held.notices, &about, &self.clock.at(held.since))
    }

    /// How many notices, since when, and in which namespaces.
    fn how_much(&self, standing: &[Notice], held: &DigestScope) -> Vec<Span> {
        let mut spans = vec![words(self.held(held))];
        let mut places: Vec<String> = stories(standing).map(|story| story.namespace.clone()).collect();
        places.retain(|place| !place.is_empty());
        places.sort();
        places.dedup();
        if !places.is_empty() {
            spans.push(words(format!("{}{}{}", self.texts.gap(), self.texts.label(Label::Where), self.texts.colon())));
            spans.extend(self.names(places.iter(), MAX_NAMES, places.len() as u64));
        }
        spans
    }

    /// An announcement of podbell's, on one line.
    fn announced(&self, notice: &Notice) -> Block {
        let message = self.built_in(notice);
        let mut spans = vec![Span::Data(text::one_line(&message.title, 160))];
        if let Some(Block::Line(gist)) = message.blocks.first() {
            spans.push(words(" · "));
            spans.extend(gist.iter().cloned());
        }
        Block::Line(spans)
    }

    /// One incident on one line.
    fn one(&self, notice: &Notice) -> Vec<Span> {
        let sign = words(format!("{} ", sign(notice.kind, notice.severity)));
        let NoticeBody::Incident(story) = &notice.body else { return vec![sign, data(&self.name(notice))] };
        let (times, comma) = (self.texts.times(story.occurrences), self.texts.comma());
        let objects = self.texts.objects(story.objects, &story.newest.obj_type);
        let end = format!("{comma}{times}{comma}{objects} · #{}", story.incident);
        vec![sign, data(&self.name(notice)), words(end)]
    }
}

impl MessageFormatter<'_> {
    /// `shop/web: Failed`, or what else the notice is about. A trouble of podbell's own is named with its source or
    /// destination, not only with the error.
    fn name(&self, notice: &Notice) -> String {
        match &notice.body {
            NoticeBody::Incident(story) => format!("{}: {}", place(story), what(story)),
            NoticeBody::Trouble(trouble) => self.trouble_name(trouble, notice.kind),
            NoticeBody::Info(_) => "podbell".to_owned(),
        }
    }
}

fn stories(notices: &[Notice]) -> impl Iterator<Item = &Story> {
    notices.iter().filter_map(|notice| match &notice.body {
        NoticeBody::Incident(story) => Some(&**story),
        _ => None,
    })
}

fn weight(notice: &Notice) -> u64 {
    match &notice.body {
        NoticeBody::Incident(story) => story.occurrences,
        _ => 0,
    }
}

/// All that the notices mention, each once.
fn mentions(standing: &[Notice]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for mention in stories(standing).flat_map(|story| &story.mentions) {
        if !all.contains(mention) {
            all.push(mention.clone());
        }
    }
    all
}

/// What most of the incidents share, and how many of them do.
fn likely_cause(standing: &[Notice]) -> Option<(Cause, String, usize)> {
    let mut shared: BTreeMap<(Cause, String), usize> = BTreeMap::new();
    for story in stories(standing) {
        for cause in causes(story) {
            *shared.entry(cause).or_default() += 1;
        }
    }
    let enough = |n: usize| n >= MIN && n * 100 >= standing.len() * SHARE;
    shared
        .into_iter()
        .filter(|(_, n)| enough(*n))
        .map(|((cause, name), n)| (cause, name, n))
        .min_by_key(|(cause, _, n)| (*cause, std::cmp::Reverse(*n)))
}

fn causes(story: &Story) -> Vec<(Cause, String)> {
    let (newest, message) = (&story.newest, story.newest.message.as_str());
    let node =
        if newest.obj_type == "Node" { Some(newest.obj_name.as_str()) } else { after(message, "node", node_like) };
    let image = after(message, "image", image_like);
    let reason = story.reasons.first().map(|reason| reason.reason.as_str());
    [(Cause::Node, node), (Cause::Image, image), (Cause::Reason, reason)]
        .into_iter()
        .filter_map(|(cause, name)| Some((cause, name.filter(|name| !name.is_empty())?.to_owned())))
        .collect()
}

/// The name that follows a word of a message: `image "shop/web:2"`, `node/ip-10-0-0-1`.
fn after<'a>(message: &'a str, word: &str, is_name: fn(&str) -> bool) -> Option<&'a str> {
    message.match_indices(word).find_map(|(at, _)| {
        let rest = &message[at + word.len()..];
        let rest = rest.trim_start_matches([' ', '"', '\'', '\\', '/', ':', '=']);
        let end = rest.find(|c: char| c.is_whitespace() || "\"'\\,;()".contains(c)).unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches(['.', ':']);
        is_name(name).then_some(name)
    })
}

/// Names of nodes have digits, words of a sentence do not.
fn node_like(name: &str) -> bool {
    name.len() > 2 && name.contains(|c: char| c.is_ascii_digit()) && !name.contains('/')
}

fn image_like(name: &str) -> bool {
    name.contains([':', '/']) && name.len() > 2
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::mute::Author;
    use crate::notice::{Info, Trouble, TroubleSubject};
    use crate::translations::Language;

    fn muted(id: u64, what: &str) -> Notice {
        let by = Author { name: "ann".into(), via: "ops".into() };
        let until = sample::NOW.plus(std::time::Duration::from_secs(3600));
        let info = Info::Muted { what: what.into(), by, why: Some("deploy".into()), until, holds: 0 };
        let like = sample::notice(sample::Kind::Opened, &sample::story(), Severity::Info, Vec::new());
        Notice { id, kind: NoticeKind::Info, body: NoticeBody::Info(info), ..like }
    }

    #[test]
    fn what_people_did_is_told_in_a_digest_and_is_no_problem() {
        let opened = sample::notice(sample::Kind::Opened, &sample::story(), Severity::Warning, Vec::new());
        let (web, db) = (muted(2, "shop/web"), muted(3, "shop/db"));
        let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: sample::NOW };
        let storm = StormFacts { since: sample::NOW, notices: 3 };
        let digest = compose_digest(&[opened, web.clone(), db.clone()], storm, &style);
        assert!(digest.title.contains("Many at once: 1 problem"), "{}", digest.title);
        let text = digest.text();
        for words in ["shop/web", "shop/db", "ann", "deploy"] {
            assert!(text.contains(words), "no {words} in {text}");
        }
        let alone = compose_digest(&[web, db], storm, &style);
        assert!(!alone.title.contains("problem") && !alone.over, "{}", alone.title);
    }

    #[test]
    fn a_digest_counts_what_it_holds_and_names_what_podbell_cannot_do() {
        let opened = sample::notice(sample::Kind::Opened, &sample::story(), Severity::Warning, Vec::new());
        let trouble = Trouble {
            incident: 7,
            subject: TroubleSubject::Destination("team-slack".into()),
            code: "404".into(),
            text: "status 404: {\"ok\":false,\"error\":\"[hidden]\"}".into(),
            advice: String::new(),
            since: sample::NOW,
            until: None,
            affected: Vec::new(),
            affected_count: 0,
        };
        let failing = Notice { id: 9, body: NoticeBody::Trouble(Box::new(trouble)), ..opened.clone() };
        let style = Style { language: Language::En, time_zone: jiff::tz::TimeZone::UTC, now: sample::NOW };
        let storm = StormFacts { since: sample::NOW, notices: 14 };
        let digest = compose_digest(&[opened.clone(), failing.clone()], storm, &style);
        let text = digest.text();
        assert!(text.contains("2 notices since") && !text.contains("14"), "{text}");
        assert!(text.contains("podbell cannot deliver to team-slack: 404") && !text.contains("hidden"), "{text}");
        let again = Notice { id: 10, ..opened.clone() };
        let text = compose_digest(&[opened, again, failing], storm, &style).text();
        assert!(text.contains("3 notices about 2 problems since"), "{text}");
    }

    #[test]
    fn names_of_nodes_and_images_are_found_in_messages() {
        for (message, node, image) in [
            ("Failed to pull image \"shop/web:2\": not found", None, Some("shop/web:2")),
            ("Back-off pulling image \\\"shop/web:2\\\"", None, Some("shop/web:2")),
            ("Node is not ready, node/ip-10-0-0-1 lost", Some("ip-10-0-0-1"), None),
            ("0/3 nodes are available: 3 Insufficient cpu.", None, None),
            ("the image is fine; marking node worker-7.", Some("worker-7"), None),
            ("node", None, None),
        ] {
            assert_eq!(after(message, "node", node_like), node, "{message}");
            assert_eq!(after(message, "image", image_like), image, "{message}");
        }
    }
}
