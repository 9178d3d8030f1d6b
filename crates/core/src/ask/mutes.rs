//! `mutes`: what is muted, by whom, until when, and why.

use serde::Serialize;

use super::mistake::Mistake;
use super::scribe::{Scribe, named, typed};
use super::words::Word;
use super::{Command, PAGE, alone};
use crate::message::{self, Block, Message, words};
use crate::mute::Mute;

pub(super) fn parse(words: &[Word], text: &str) -> Result<Option<Command>, Mistake> {
    Ok(alone("mutes", words, text)?.map(|()| Command::Mutes))
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Mutes {
    /// Those in force that the reader may see, the first to end first.
    pub mutes: Vec<Mute>,
}

impl Mutes {
    pub(super) fn answer(&self, scribe: &Scribe<'_>) -> Message {
        let mut blocks: Vec<Block> = self.mutes.iter().take(PAGE * 2).map(|mute| line(mute, scribe)).collect();
        if let Some(more) = self.mutes.len().checked_sub(PAGE * 2).filter(|more| *more > 0) {
            blocks.push(Block::Small(vec![words(scribe.say.more(more as u64))]));
        }
        match self.mutes.first() {
            Some(first) => blocks.push(scribe.next(&[format!("unmute {}", typed(&first.what))])),
            None => blocks.extend([scribe.line(scribe.talk.nothing_muted()), scribe.next(&["help mute".to_owned()])]),
        }
        scribe.message(format!("🔇 {}", scribe.talk.muted_title(self.mutes.len() as u64)), blocks)
    }
}

/// `shop/web · muted by ann (ops) until 12:00: deploy`.
pub(super) fn line(mute: &Mute, scribe: &Scribe<'_>) -> Block {
    let mut spans = vec![message::data(&named(&mute.what)), words(" · ")];
    spans.extend(scribe.mute(mute));
    Block::Line(spans)
}
