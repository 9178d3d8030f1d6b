//! `ack ID`: acknowledges an incident.

use super::Change;
use super::args::only_id;
use super::mistake::Mistake;
use super::spec::{Args, Parse, Spec};
use crate::translations::Phrase;

pub(super) const SPEC: Spec = Spec {
    name: "ack",
    usage: "ack ID",
    about: Phrase::new(
        "Acknowledge an incident: no reminders until it comes back.",
        "认领告警：再次出现之前不再提醒。",
    ),
    examples: &["ack 1042"],
    options: &[],
    arguments: 1,
    free_text: false,
    parse: Parse::Change(parse),
};

fn parse(args: Args) -> Result<Change, Mistake> {
    Ok(Change::Ack { id: only_id(&args, SPEC.name)? })
}
