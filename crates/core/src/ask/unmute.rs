//! `unmute SERVICE|ID|rule:NAME`: ends a mute before its time.

use super::Command;
use super::args::{self, Opt, Spec};
use super::mistake::{Missing, Mistake};
use super::mute::What;
use super::words::Word;

const SPEC: Spec = Spec { command: "unmute", options: &[Opt::Namespace, Opt::Cluster], arguments: 1, free_text: false };

pub(super) fn parse(words: &[Word], text: &str) -> Result<Option<Command>, Mistake> {
    let args = args::read(words, text, &SPEC)?;
    if args.help {
        return Ok(None);
    }
    let what = args.arguments.first().ok_or(Mistake::Missing { command: "unmute", what: Missing::What })?;
    Ok(Some(Command::Unmute(What::read(what, &args, "unmute")?)))
}
