//! `mutes`: what is muted, by whom, until when, and why.

use serde::Serialize;

use super::formatter::{AnswerFormatter, named, typed};
use super::spec::{Parse, Spec};
use super::{PAGE, Query};
use crate::message::{self, Block, Message, words};
use crate::mute::Mute;
use crate::translations::Phrase;

pub(super) const SPEC: Spec = Spec {
    name: "mutes",
    usage: "mutes",
    about: Phrase::new("What is muted, by whom, until when.", "当前静默：内容、操作人、截止时间。"),
    examples: &["mutes"],
    options: &[],
    arguments: 0,
    free_text: false,
    parse: Parse::Query(|_| Ok(Some(Query::Mutes))),
};

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Mutes {
    /// The mutes in force that the reader may see, the first to end first.
    pub mutes: Vec<Mute>,
}

impl Mutes {
    pub(super) fn answer(&self, formatter: &AnswerFormatter<'_>) -> Message {
        let mut blocks: Vec<Block> = self.mutes.iter().take(PAGE * 2).map(|mute| line(mute, formatter)).collect();
        blocks.extend(formatter.more(self.mutes.len().saturating_sub(PAGE * 2) as u64));
        match self.mutes.first() {
            Some(first) => blocks.push(formatter.next(&[format!("unmute {}", typed(&first.what))])),
            None => blocks
                .extend([formatter.line(formatter.texts.nothing_muted()), formatter.next(&["help mute".to_owned()])]),
        }
        formatter.message(format!("🔇 {}", formatter.texts.muted_title(self.mutes.len() as u64)), blocks)
    }
}

/// `shop/web · muted by ann (ops) until 12:00: deploy`.
pub(super) fn line(mute: &Mute, formatter: &AnswerFormatter<'_>) -> Block {
    let mut spans = vec![message::data(&named(&mute.what)), words(" · ")];
    spans.extend(formatter.mute(mute));
    Block::Line(spans)
}
