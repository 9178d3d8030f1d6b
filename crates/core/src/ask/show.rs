//! `show ID`: one incident, the messages about it, and what people did.

use serde::Serialize;

use super::args::only_id;
use super::brief::{Brief, Logged};
use super::formatter::{AnswerFormatter, Prompt};
use super::mistake::Mistake;
use super::spec::{Args, Parse, Spec};
use super::{AnswerFacts, Query};
use crate::incident::Incident;
use crate::incident::notification_state::Due;
use crate::message::{self, Block, Message, Style, compose_built_in, words};
use crate::notice::{LastNotified, Notice, NoticeBody, NoticeKind};
use crate::outbox::DeliveryPhase;
use crate::scope::Scope;
use crate::time::Time;
use crate::translations::Phrase;
use crate::user_action::Act;

/// How many of the newest actions and messages are listed.
const MAX_LISTED: usize = 6;

pub(super) const SPEC: Spec = Spec {
    name: "show",
    usage: "show ID",
    about: Phrase::new(
        "One incident: what, where, since when, and what people did.",
        "一个告警的详情：什么、在哪、何时开始、谁做过什么。",
    ),
    examples: &["show 1042"],
    options: &[],
    arguments: 1,
    free_text: false,
    parse: Parse::Query(parse),
};

fn parse(args: Args) -> Result<Option<Query>, Mistake> {
    Ok(Some(Query::Show { id: only_id(&args, SPEC.name)? }))
}

/// A message about an incident, sent or waiting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotificationRecord {
    /// What it says of the incident.
    pub kind: NoticeKind,
    /// When it became due.
    pub at: Time,
    /// The destination.
    pub to: String,
    /// How far it is.
    pub state: DeliveryPhase,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The summary.
    pub brief: Brief,
    /// The whole story, as a notice that is made now.
    pub notice: Notice,
    /// User actions, the oldest first.
    pub actions: Vec<Logged>,
    /// The messages about it, the oldest first.
    pub told: Vec<NotificationRecord>,
}

/// An answer in its parts.
#[derive(Clone, Debug)]
pub struct ShownParts {
    /// The story, as a message that is made now.
    pub story: Message,
    /// Its acknowledgement and mutes.
    pub people: Vec<Block>,
    /// User actions, the oldest first.
    pub actions: Vec<Block>,
    /// The messages about it, the oldest first.
    pub told: Vec<Block>,
}

impl Shown {
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let ShownParts { mut story, people, actions, told } = self.written(formatter);
        // Right below the gist: whether somebody acknowledged or muted it decides what is left to do.
        let place = story.blocks.len().min(1);
        story.blocks.splice(place..place, people);
        story.blocks.extend(newest(actions));
        story.blocks.extend(newest(told));
        story.blocks.push(formatter.next(&self.next()));
        story
    }

    /// The same in parts and in full, for a page whose reader does not type commands.
    pub fn parts(&self, style: &Style) -> ShownParts {
        self.written(&AnswerFormatter::new(style, Prompt::default()))
    }

    fn written(&self, formatter: &AnswerFormatter<'_>) -> ShownParts {
        let texts = formatter.texts;
        let mut story = compose_built_in(&self.notice, formatter.style);
        // An answer mentions nobody.
        story.mentions.clear();
        let mut people: Vec<Block> = self.brief.muted.iter().map(|mute| formatter.muted(mute)).collect();
        if let Some(acknowledged) = &self.brief.acknowledged {
            let mut spans = vec![words("🙋 ")];
            spans.extend(formatter.fill(texts.has_it(), &[&acknowledged.by.name]));
            spans.push(words(format!(" · {}", formatter.say.ago(acknowledged.at))));
            people.push(Block::Line(spans));
        }
        let told = self.told.iter().map(|told| {
            let (at, state) = (formatter.say.at(told.at), texts.delivery(told.state));
            let mut spans = vec![words(format!("✉️ {at} {} → ", told.kind.say(formatter.style.language)))];
            spans.extend([message::data(&told.to), words(format!("{}{state}", formatter.say.colon()))]);
            Block::Small(spans)
        });
        let actions = self.actions.iter().map(|logged| line(logged, formatter)).collect();
        ShownParts { story, people, actions, told: told.collect() }
    }

    fn next(&self) -> Vec<String> {
        let id = self.brief.id;
        let mut next = Vec::new();
        if self.brief.resolved_at.is_none() {
            if self.brief.acknowledged.is_none() {
                next.push(format!("ack {id}"));
            }
            let own = |mute: &crate::mute::Mute| mute.what == crate::mute::Muted::Incident { id };
            match self.brief.muted.iter().any(own) {
                true => next.push(format!("unmute {id}")),
                false => next.push(format!("mute {id} 2h")),
            }
        }
        next.push(format!("why {id}"));
        next
    }
}

/// A notice that is made now: of an open incident the first one, of one that is over its end. Leaves out services that
/// the reader may not see.
pub fn notice(incident: &Incident, brief: &Brief, scope: &Scope, known: &AnswerFacts, now: Time) -> Notice {
    let mut seen = incident.clone();
    seen.targets.retain(|target| scope.sees(target));
    let kind = if brief.resolved_at.is_some() { NoticeKind::Resolved } else { NoticeKind::Opened };
    let told = LastNotified { at: now, occurrences: incident.occurrences, objects: brief.objects };
    let due = Due {
        kind,
        caused_at: brief.resolved_at.unwrap_or(now),
        told: brief.resolved_at.map(|_| told),
        topics: incident.details.topics.len(),
        after_mute: None,
        unacknowledged: None,
        to: Vec::new(),
    };
    let alias = seen.targets.first().and_then(|target| known.alias(&target.cluster));
    let mut story = seen.story(&due, None, alias, now);
    if !scope.covers(&incident.targets) {
        // It is not known which service showed which of these.
        story.object_names.clear();
        story.newest.obj_name.clear();
        story.newest.message.clear();
        (story.affected, story.affected_count) = (Vec::new(), 0);
        (story.pod, story.rollout, story.ended_by, story.metadata) = (None, None, None, None);
        (story.status, story.ready) = (None, None);
    }
    let rule = known.rule(&incident.rule);
    story.runbook = rule.and_then(|rule| rule.runbook.clone());
    let severity = brief.severity;
    let body = NoticeBody::Incident(Box::new(story));
    let mut notice = Notice { id: 0, kind, caused_at: now, made_at: now, severity, to: Vec::new(), body };
    // Logs leave only for notifiers with `logs: true`, and anybody may ask.
    notice.remove_logs();
    notice
}

fn newest(all: Vec<Block>) -> impl Iterator<Item = Block> {
    let skipped = all.len().saturating_sub(MAX_LISTED);
    all.into_iter().skip(skipped)
}

fn line(logged: &Logged, formatter: &AnswerFormatter<'_>) -> Block {
    let (did, why) = match &logged.act {
        Act::Mute { lasts, why, .. } => {
            (formatter.texts.did_mute(&formatter.say.duration(lasts.as_secs())), why.as_deref())
        }
        Act::Unmute { .. } => (formatter.texts.did_unmute().to_owned(), None),
        Act::Acknowledge { .. } => (formatter.texts.did_acknowledge().to_owned(), None),
    };
    let mut spans = vec![words(format!("👤 {} ", formatter.say.at(logged.at)))];
    spans.extend(formatter.author(&logged.by));
    spans.push(words(format!("{}{did}", formatter.say.colon())));
    if let Some(why) = why {
        spans.push(words(formatter.say.comma()));
        spans.extend(formatter.fill("{}", &[why]));
    }
    Block::Small(spans)
}
