//! `why ID`: how an incident came about: the changes that decided and the newest ones, the rule that decided, and what
//! holds its notices back.

use serde::Serialize;

use super::args::only_id;
use super::brief::Brief;
use super::formatter::{AnswerFormatter, Prompt};
use super::mistake::Mistake;
use super::show::NotificationRecord;
use super::spec::{Args, Opt, Parse, Spec};
use super::{PAGE, Query, pages};
use crate::incident::hold::HoldReason;
use crate::message::{self, Block, Message, Span, Style, words};
use crate::notice::NoticeKind;
use crate::outbox::DeliveryPhase;
use crate::rollout::RolloutOf;
use crate::rule::Destination;
use crate::step::decision::{Decision, Effect, RuleDecision, Verdict};
use crate::time::Time;
use crate::trail::{Line, Trail};
use crate::translations::{Phrase, number};

pub(super) const SPEC: Spec = Spec {
    name: "why",
    usage: "why ID [--page N]",
    about: Phrase::new("Why an incident was reported, or was not.", "告警为什么通知，或为什么没有通知。"),
    examples: &["why 1042"],
    options: &[Opt::Page],
    arguments: 1,
    free_text: false,
    parse: Parse::Query(parse),
};

fn parse(args: Args) -> Result<Option<Query>, Mistake> {
    Ok(Some(Query::Why { id: only_id(&args, SPEC.name)?, page: args.page.unwrap_or(1) }))
}

/// A step of a rule's `unacknowledged` that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NextStep {
    /// When it is due.
    pub at: Time,
    /// The destinations.
    pub to: Vec<Destination>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// The summary.
    pub brief: Brief,
    /// The changes that joined it and that the reader may see.
    pub changes: Trail,
    /// The rollout that it opened soon after.
    pub rollout: Option<RolloutOf>,
    /// The destinations whose notices are held back, and by what.
    pub held: Vec<(Destination, HoldReason)>,
    /// Who is told next if nobody acknowledges it, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<NextStep>,
    /// The messages about it, the oldest first.
    pub told: Vec<NotificationRecord>,
}

impl Why {
    /// The answer from the changes that the reader may see, the oldest first. `held`: whose notices are held back.
    pub fn new(
        brief: Brief,
        decisions: Vec<Decision>,
        mut held: Vec<(Destination, HoldReason)>,
        told: Vec<NotificationRecord>,
        (page, now): (u32, Time),
    ) -> Self {
        let newest = decisions.last().and_then(|decision| claimed(decision, brief.id));
        for (to, by) in newest.map(|claimed| claimed.held.clone()).unwrap_or_default() {
            // Add the maintenance and hours that held the newest change and still last, even if no notice was due for
            // it. Mutes and other incidents are in `held` as they are now.
            let still = matches!(&by, HoldReason::Window { until, .. } if *until > now);
            if still && !held.iter().any(|(known, _)| *known == to) {
                held.push((to, by));
            }
        }
        let worse: Vec<Time> =
            told.iter().filter(|told| told.kind == NoticeKind::Escalated).map(|told| told.at).collect();
        let changes = Trail::new(decisions, Some(brief.id), &worse, page, PAGE);
        Self { brief, changes, rollout: None, held, next_step: None, told }
    }

    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let mut blocks = self.written(formatter);
        blocks.extend(pages(formatter, self.changes.page, self.changes.pages));
        let older = self.changes.older().map(|page| format!("why {} --page {page}", self.brief.id));
        let next = older.into_iter().chain([format!("show {}", self.brief.id), "untold".to_owned()]);
        blocks.push(formatter.next(&next.collect::<Vec<_>>()));
        let title = format!("🔎 #{} · {}", self.brief.id, self.brief.place());
        formatter.message(message::one_line(&title, 300), blocks)
    }

    /// The same for a page whose reader does not type commands.
    pub fn explanation(&self, style: &Style) -> Vec<Block> {
        self.written(&AnswerFormatter::new(style, Prompt::default()))
    }

    fn written(&self, formatter: &AnswerFormatter<'_>) -> Vec<Block> {
        let texts = formatter.texts;
        let sent =
            self.told.iter().filter(|told| matches!(told.state, DeliveryPhase::Sent | DeliveryPhase::Folded)).count()
                as u64;
        let mut blocks = vec![
            formatter.filled(texts.rule_decided(), &[&self.brief.rule.name]),
            formatter.line(if sent == 0 { texts.told_nobody().to_owned() } else { texts.told_so_often(sent) }),
        ];
        blocks.extend(self.rollout.iter().map(|one| formatter.rollout(&one.workload, &one.rollout)));
        for (to, held) in &self.held {
            let mut spans = vec![words("🤫 "), message::data(to), words(formatter.say.colon())];
            spans.extend(held_by(held, formatter));
            blocks.push(Block::Line(spans));
        }
        if let Some(NextStep { at, to }) = &self.next_step {
            let at = formatter.say.at(*at);
            blocks.push(formatter.filled(&texts.unless_acknowledged(&at), &[&to.join(", ")]));
        }
        blocks.extend(self.brief.muted.iter().map(|mute| formatter.muted(mute)));
        blocks.extend(self.changes.lines.iter().map(|line| match line {
            Line::Change(decision) => self.line(decision, formatter),
            Line::LeftOut(n) => Block::Small(vec![words(format!("… {} …", texts.changes_left_out(*n)))]),
        }));
        blocks
    }

    fn line(&self, decision: &Decision, formatter: &AnswerFormatter<'_>) -> Block {
        let mut spans = vec![words(format!("{} · ", formatter.say.at(decision.at)))];
        spans.push(message::data(&format!("{} {}", decision.reason, decision.obj_name)));
        spans.push(words(format!(" +{}{}", number(decision.new), formatter.say.colon())));
        if let Some(claimed) = claimed(decision, self.brief.id) {
            spans.push(words(effect(claimed.effect, formatter)));
        }
        Block::Line(spans)
    }
}

/// What this incident's rule decided about a change.
fn claimed(decision: &Decision, incident: u64) -> Option<&RuleDecision> {
    match &decision.verdict {
        Verdict::Claimed(claimed) => claimed.iter().find(|claimed| claimed.incident == Some(incident)),
        _ => None,
    }
}

fn effect(effect: Effect, formatter: &AnswerFormatter<'_>) -> String {
    match effect {
        Effect::SeenElsewhere => formatter.texts.seen_elsewhere().to_owned(),
        Effect::Gathers { have, need } => formatter.texts.gathers(have, need),
        Effect::TooYoung { until } => formatter.texts.too_young(&formatter.say.at(until)),
        Effect::Waits => formatter.texts.waits().to_owned(),
        Effect::Gone => formatter.texts.was_gone().to_owned(),
        Effect::Over => formatter.texts.was_over().to_owned(),
        Effect::Opened => formatter.texts.opened().to_owned(),
        Effect::Reopened => formatter.texts.reopened().to_owned(),
        Effect::Counted => formatter.texts.counted().to_owned(),
    }
}

fn held_by(held: &HoldReason, formatter: &AnswerFormatter<'_>) -> Vec<Span> {
    match held {
        HoldReason::Window { window, until } => {
            formatter.fill(&formatter.texts.held_by_window(&formatter.say.at(*until)), &[window.name()])
        }
        HoldReason::Mute { until, .. } => vec![words(formatter.texts.held_by_mute(&formatter.say.at(*until)))],
        HoldReason::Inhibition { incident, .. } => vec![words(formatter.texts.held_by_incident(&incident.to_string()))],
    }
}
