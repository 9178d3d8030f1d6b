//! `unmute SERVICE|ID|rule:NAME`: ends a mute before its time.

use super::Change;
use super::mistake::{Missing, Mistake};
use super::mute::MuteArgument;
use super::spec::{Args, Opt, Parse, Spec};
use crate::translations::Phrase;

pub(super) const SPEC: Spec = Spec {
    name: "unmute",
    usage: "unmute SERVICE|ID|rule:NAME",
    about: Phrase::new("End a mute before its time.", "提前解除静默。"),
    examples: &["unmute web", "unmute 1042"],
    options: &[Opt::Namespace, Opt::Cluster],
    arguments: 1,
    free_text: false,
    parse: Parse::Change(parse),
};

fn parse(args: Args) -> Result<Change, Mistake> {
    let what = args.arguments.first().ok_or(Mistake::Missing { command: SPEC.name, what: Missing::What })?;
    Ok(Change::Unmute(MuteArgument::read(what, &args, SPEC.name)?))
}
