//! `why ID`: how an incident came about, in short: the newest changes that joined it, which rule decided,
//! and what keeps it from being told.

use serde::Serialize;

use super::Command;
use super::args::only_id;
use super::brief::Brief;
use super::mistake::Mistake;
use super::scribe::{Prompt, Scribe};
use super::show::ToldOnce;
use super::words::Word;
use crate::core::incident::hold::Held;
use crate::core::message::{self, Block, Message, Span, Style, words};
use crate::core::rules::rule::Destination;
use crate::core::step::decision::{Claimed, Decision, Effect, Verdict};
use crate::core::time::Time;

/// How many changes are told: the first ones decide, the newest are fresh.
const MOST_CHANGES: usize = 5;

pub(super) fn parse(words: &[Word], text: &str) -> Result<Option<Command>, Mistake> {
    Ok(only_id(words, text, "why")?.map(|id| Command::Why { id }))
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// In short.
    pub brief: Brief,
    /// The changes that joined it and that the reader may see, the oldest first.
    pub decisions: Vec<Decision>,
    /// Who was not told since, and by what.
    pub held: Vec<(Destination, Held)>,
    /// What was told, the oldest first.
    pub told: Vec<ToldOnce>,
}

impl Why {
    pub(super) fn answer(&self, scribe: &Scribe<'_>) -> Message {
        let mut blocks = self.written(scribe, MOST_CHANGES);
        blocks.push(scribe.next(&[format!("show {}", self.brief.id), "untold".to_owned()]));
        let title = format!("🔎 #{} · {}", self.brief.id, self.brief.place());
        scribe.message(message::one_line(&title, 300), blocks)
    }

    /// The same with so many changes, the newest, for a reader who clicks and does not type.
    pub fn explanation(&self, style: &Style, most: usize) -> Vec<Block> {
        self.written(&Scribe::new(style, Prompt::default()), most)
    }

    fn written(&self, scribe: &Scribe<'_>, most: usize) -> Vec<Block> {
        let talk = scribe.talk;
        let sent = self.told.iter().filter(|told| told.state == "sent" || told.state == "folded").count() as u64;
        let mut blocks =
            vec![scribe.filled(talk.rule_decided(), &[&self.brief.rule.name]), scribe.line(talk.told_so_often(sent))];
        for (to, held) in self.held.iter().chain(self.held_lately(scribe.style.now)) {
            let mut spans = vec![words("🤫 "), message::data(to), words(scribe.say.colon())];
            spans.extend(held_by(held, scribe));
            blocks.push(Block::Line(spans));
        }
        for mute in &self.brief.muted {
            let mut spans = vec![words("🔇 ")];
            spans.extend(scribe.mute(mute));
            blocks.push(Block::Line(spans));
        }
        let skipped = self.decisions.len().saturating_sub(most);
        blocks.extend(self.decisions.iter().skip(skipped).map(|decision| self.line(decision, scribe)));
        if skipped > 0 {
            blocks.push(Block::Small(vec![words(scribe.say.more(skipped as u64))]));
        }
        blocks
    }

    /// What held the newest change and still does, though nothing was to be told of that: planned work and hours. Mutes and
    /// other incidents are told as they are now.
    fn held_lately(&self, now: Time) -> impl Iterator<Item = &(Destination, Held)> {
        let newest = self.decisions.last().and_then(|decision| self.claimed(decision));
        let still = move |held: &Held| matches!(held, Held::Window { until, .. } if *until > now);
        let known = |to: &Destination| self.held.iter().any(|(known, _)| known == to);
        newest.into_iter().flat_map(|claimed| &claimed.held).filter(move |(to, held)| still(held) && !known(to))
    }

    /// How this incident's rule took a change.
    fn claimed<'a>(&self, decision: &'a Decision) -> Option<&'a Claimed> {
        match &decision.verdict {
            Verdict::Claimed(claimed) => claimed.iter().find(|claimed| claimed.incident == Some(self.brief.id)),
            _ => None,
        }
    }

    fn line(&self, decision: &Decision, scribe: &Scribe<'_>) -> Block {
        let mut spans = vec![words(format!("{} · ", scribe.say.at(decision.at)))];
        spans.push(message::data(&format!("{} {}", decision.reason, decision.obj_name)));
        spans.push(words(format!(" +{}{}", message::number(decision.new), scribe.say.colon())));
        if let Some(claimed) = self.claimed(decision) {
            spans.push(words(effect(claimed.effect, scribe)));
        }
        Block::Line(spans)
    }
}

fn effect(effect: Effect, scribe: &Scribe<'_>) -> String {
    match effect {
        Effect::SeenElsewhere => scribe.talk.seen_elsewhere().to_owned(),
        Effect::Gathers { have, need } => scribe.talk.gathers(have, need),
        Effect::Waits => scribe.talk.waits().to_owned(),
        Effect::Over => scribe.talk.was_over().to_owned(),
        Effect::Opened => scribe.talk.opened().to_owned(),
        Effect::Reopened => scribe.talk.reopened().to_owned(),
        Effect::Counted => scribe.talk.counted().to_owned(),
    }
}

fn held_by(held: &Held, scribe: &Scribe<'_>) -> Vec<Span> {
    match held {
        Held::Window { window, until } => {
            scribe.fill(&scribe.talk.held_by_window(&scribe.say.at(*until)), &[window.name()])
        }
        Held::Mute { until, .. } => vec![words(scribe.talk.held_by_mute(&scribe.say.at(*until)))],
        Held::By { incident } => vec![words(scribe.talk.held_by_incident(*incident))],
    }
}
