//! `show ID`: one incident, what was told of it, and what people did.

use serde::Serialize;

use super::args::{Args, only_id};
use super::brief::{Brief, Logged};
use super::mistake::Mistake;
use super::registry::{Parse, Spec};
use super::scribe::{Prompt, Scribe};
use super::{Known, Query};
use crate::deed::Act;
use crate::incident::Incident;
use crate::incident::telling::Due;
use crate::message::{self, Block, Message, Style, compose_built_in, words};
use crate::notice::{Notice, NoticeBody, NoticeKind, Told};
use crate::scope::Scope;
use crate::time::Time;
use crate::translations::Phrase;

/// How many actions and messages are listed, the newest.
const MOST_LISTED: usize = 6;

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

/// A message about it that was sent, or waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToldOnce {
    /// What it says.
    pub kind: NoticeKind,
    /// When it became due.
    pub at: Time,
    /// To whom.
    pub to: String,
    /// due, claimed, sent, folded or dead.
    pub state: String,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// In short.
    pub brief: Brief,
    /// Its whole story, as a notice of this moment.
    pub notice: Notice,
    /// What people did, the oldest first.
    pub actions: Vec<Logged>,
    /// What was told, the oldest first.
    pub told: Vec<ToldOnce>,
}

/// An answer in its parts.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The story, as a message of this moment.
    pub story: Message,
    /// Who has it, and what is muted.
    pub people: Vec<Block>,
    /// What people did, the oldest first.
    pub actions: Vec<Block>,
    /// What was told, the oldest first.
    pub told: Vec<Block>,
}

impl Shown {
    pub(super) fn answer(&self, scribe: &Scribe<'_>) -> Message {
        let Parts { mut story, people, actions, told } = self.written(scribe);
        // Right below the gist: it decides whether there is anything left to do.
        let place = story.blocks.len().min(1);
        story.blocks.splice(place..place, people);
        story.blocks.extend(newest(actions));
        story.blocks.extend(newest(told));
        story.blocks.push(scribe.next(&self.next()));
        story
    }

    /// The same in parts and whole, for a reader who clicks and does not type.
    pub fn parts(&self, style: &Style) -> Parts {
        self.written(&Scribe::new(style, Prompt::default()))
    }

    fn written(&self, scribe: &Scribe<'_>) -> Parts {
        let talk = scribe.talk;
        let mut story = compose_built_in(&self.notice, scribe.style);
        // An answer calls nobody.
        story.mentions.clear();
        let mut people: Vec<Block> = Vec::new();
        for mute in &self.brief.muted {
            let mut spans = vec![words("🔇 ")];
            spans.extend(scribe.mute(mute));
            people.push(Block::Line(spans));
        }
        if let Some(acknowledged) = &self.brief.acknowledged {
            let mut spans = vec![words("🙋 ")];
            spans.extend(scribe.fill(talk.has_it(), &[&acknowledged.by.name]));
            spans.push(words(format!(" · {}", scribe.say.ago(acknowledged.at))));
            people.push(Block::Line(spans));
        }
        let told = self.told.iter().map(|told| {
            let (at, state) = (scribe.say.at(told.at), talk.delivery(&told.state));
            let mut spans = vec![words(format!("✉️ {at} {} → ", told.kind.say(scribe.style.language)))];
            spans.extend([message::data(&told.to), words(format!("{}{state}", scribe.say.colon()))]);
            Block::Small(spans)
        });
        let actions = self.actions.iter().map(|logged| line(logged, scribe)).collect();
        Parts { story, people, actions, told: told.collect() }
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

/// The story as it is now, as if it were told for the first time; of what is over, its end. What lies in
/// services that the reader may not see is left out.
pub fn notice(incident: &Incident, brief: &Brief, scope: &Scope, known: &Known, now: Time) -> Notice {
    let mut seen = incident.clone();
    seen.targets.retain(|target| scope.sees(target));
    let kind = if brief.resolved_at.is_some() { NoticeKind::Resolved } else { NoticeKind::Opened };
    let told = Told { at: now, occurrences: incident.occurrences, objects: brief.objects };
    let due = Due {
        kind,
        caused_at: brief.resolved_at.unwrap_or(now),
        told: brief.resolved_at.map(|_| told),
        topics: incident.details.topics.len(),
        after_mute: None,
        to: Vec::new(),
    };
    let alias = seen.targets.first().and_then(|target| known.alias(&target.cluster));
    let mut story = seen.story(&due, None, alias, now);
    if !scope.covers(&incident.targets) {
        // Nobody knows which service showed which of these.
        story.object_names.clear();
        story.newest.obj_name.clear();
        story.newest.message.clear();
    }
    let rule = known.rule(&incident.rule);
    story.runbook = rule.and_then(|rule| rule.runbook.clone());
    let severity = brief.severity;
    Notice {
        id: 0,
        kind,
        caused_at: now,
        made_at: now,
        severity,
        to: Vec::new(),
        body: NoticeBody::Incident(Box::new(story)),
    }
}

fn newest(all: Vec<Block>) -> impl Iterator<Item = Block> {
    let skipped = all.len().saturating_sub(MOST_LISTED);
    all.into_iter().skip(skipped)
}

fn line(logged: &Logged, scribe: &Scribe<'_>) -> Block {
    let (did, why) = match &logged.act {
        Act::Mute { lasts, why, .. } => (scribe.talk.did_mute(&scribe.say.duration(lasts.as_secs())), why.as_deref()),
        Act::Unmute { .. } => (scribe.talk.did_unmute().to_owned(), None),
        Act::Acknowledge { .. } => (scribe.talk.did_acknowledge().to_owned(), None),
    };
    let mut spans = vec![words(format!("👤 {} ", scribe.say.at(logged.at)))];
    spans.extend(scribe.author(&logged.by));
    spans.push(words(format!("{}{did}", scribe.say.colon())));
    if let Some(why) = why {
        spans.push(words(scribe.say.comma()));
        spans.extend(scribe.fill("{}", &[why]));
    }
    Block::Small(spans)
}
