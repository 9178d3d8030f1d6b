//! `ack ID`: "I have it".

use super::Command;
use super::args::only_id;
use super::mistake::Mistake;
use super::words::Word;

pub(super) fn parse(words: &[Word], text: &str) -> Result<Option<Command>, Mistake> {
    Ok(only_id(words, text, "ack")?.map(|id| Command::Ack { id }))
}
