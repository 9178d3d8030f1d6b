//! `mute SERVICE|ID|rule:NAME 2h [why]`: holds notices back. Also answers with the result of any user action.

use std::time::Duration;

use serde::Serialize;

use super::formatter::{AnswerFormatter, named, typed, word};
use super::mistake::{Missing, Mistake};
use super::place::{Kind, Named, Unknown};
use super::spec::{Args, Opt, Parse, Spec};
use super::{Change, args, mutes};
use crate::message::{self, Block, Message, words};
use crate::mute::{Author, LONGEST_MUTE};
use crate::translations::Phrase;
use crate::user_action::{ActionResult, Refusal};

/// What a word means, judged by its shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MuteArgument {
    /// A number: an incident.
    Incident(u64),
    /// `rule:NAME`, or `rule:FILE:NAME`.
    Rule(String),
    /// A service or workload; a bare name may also be a rule's.
    Named(Named),
}

impl MuteArgument {
    pub(super) fn read(written: &str, args: &Args, command: &'static str) -> Result<Self, Mistake> {
        let narrowed = args.namespace.is_some() || args.cluster.is_some();
        if let Some(id) = args::id(written).filter(|_| !narrowed) {
            return Ok(Self::Incident(id));
        }
        // Look for `rule:` before anything is split: a rule's file may have any name.
        match written.get(..5).filter(|head| head.eq_ignore_ascii_case("rule:")) {
            Some(_) => Ok(Self::Rule(args::name(written.get(5..).unwrap_or_default().trim(), command)?)),
            None => Ok(Self::Named(Named::read(written, args, command)?)),
        }
    }

    /// As the argument of a command.
    pub fn typed(&self) -> String {
        match self {
            Self::Incident(id) => id.to_string(),
            Self::Rule(name) => word(&format!("rule:{name}")),
            Self::Named(named) => named.typed(),
        }
    }
}

/// What is to be muted, for how long, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What to mute.
    pub what: MuteArgument,
    /// How long it lasts.
    pub lasts: Duration,
    /// The duration as it was typed.
    pub length: String,
    /// The reason in their words.
    pub why: Option<String>,
}

impl Ask {
    /// The command that mutes `what` in the same way.
    pub fn typed(&self, what: &str) -> String {
        let why = self.why.as_ref().map_or(String::new(), |why| format!(" {why}"));
        format!("mute {what} {}{why}", self.length)
    }
}

pub(super) const SPEC: Spec = Spec {
    name: "mute",
    usage: "mute SERVICE|ID|rule:NAME 2h [why]",
    about: Phrase::new(
        "Hold messages of a service, an incident or a rule for a while.",
        "暂时静默服务、告警或规则的消息。",
    ),
    examples: &["mute web 2h deploying", "mute 1042 30m", "mute rule:image-pull 1d"],
    options: &[Opt::Namespace, Opt::Cluster],
    arguments: 2,
    free_text: true,
    parse: Parse::Change(parse),
};

fn parse(args: Args) -> Result<Change, Mistake> {
    let missing = |what| Mistake::Missing { command: SPEC.name, what };
    let written = args.arguments.first().ok_or(missing(Missing::What))?;
    let what = MuteArgument::read(written, &args, SPEC.name)?;
    let length = args.arguments.get(1).ok_or(missing(Missing::Length))?.clone();
    let lasts = args::length(&length, SPEC.name)?;
    if lasts < Duration::from_secs(1) || lasts > LONGEST_MUTE {
        return Err(Mistake::Length { word: length });
    }
    Ok(Change::Mute(Ask { what, lasts, length, why: args.free_text }))
}

/// Answers with the result of a user action.
pub(super) fn answer_done(done: &ActionResult, about: &str, by: &Author, formatter: &AnswerFormatter<'_>) -> Message {
    let texts = formatter.texts;
    match done {
        ActionResult::Muted { mute, holds } => {
            let title = format!("🔇 {}", message::one_line(&named(&mute.what), 200));
            let lasts = formatter.say.duration(mute.until.since(formatter.style.now).as_secs().saturating_add(30));
            let mut gist = formatter.mute(mute);
            gist.push(words(format!(" ({lasts})")));
            let blocks = vec![
                Block::Line(gist),
                formatter.line(if *holds == 0 { texts.holds_none().to_owned() } else { texts.holds(*holds) }),
                formatter.next(&[format!("unmute {}", typed(&mute.what)), "mutes".to_owned()]),
            ];
            formatter.message(title, blocks)
        }
        ActionResult::Unmuted { mutes } => {
            let mut blocks = vec![Block::Line(formatter.fill(texts.unmuted(), &[&by.name]))];
            blocks.extend(mutes.iter().take(super::PAGE).map(|mute| mutes::line(mute, formatter)));
            blocks.push(formatter.next(&["mutes".to_owned(), "events".to_owned()]));
            let what = mutes.first().map_or(about.to_owned(), |mute| named(&mute.what));
            formatter.message(format!("🔔 {}", message::one_line(&what, 200)), blocks)
        }
        ActionResult::Acknowledged { id, before } => {
            let mut blocks = vec![Block::Line(formatter.fill(texts.acknowledged(), &[&by.name]))];
            if let Some(before) = before {
                blocks.push(formatter.filled(&texts.had_it(&formatter.say.at(before.at)), &[&before.by.name]));
            }
            blocks.push(formatter.next(&[format!("show {id}"), format!("mute {id} 2h")]));
            formatter.message(format!("🙋 #{id}"), blocks)
        }
        ActionResult::Refused { because: Refusal::Unknown } => {
            Unknown { kind: Kind::Thing, word: about.to_owned(), near: Vec::new() }.answer(formatter)
        }
        ActionResult::Refused { because: Refusal::NotMuted } => {
            Unknown { kind: Kind::Mute, word: about.to_owned(), near: Vec::new() }.answer(formatter)
        }
        ActionResult::Refused { because } => {
            let blocks = vec![
                formatter.line(because.say(formatter.style.language)),
                formatter.next(&["mutes".to_owned(), "incidents".to_owned()]),
            ];
            formatter.message(format!("✋ {}", message::one_line(about, 200)), blocks)
        }
    }
}
