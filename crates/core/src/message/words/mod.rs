//! The words of messages, one file per language. A language is one `impl` of [`Words`] and one
//! row of [`of`]; nothing else knows any.
//!
//! In what these functions return, `{}` marks where text of a cluster goes. It is put in as data,
//! so that no platform takes it for markup.

mod en;
mod zh;

use super::Language;
use super::digest::Cause;
use super::help::Help;
use crate::notice::{NoticeKind, StoreFate};
use crate::rules::rule::Severity;

/// The words of a language.
pub(super) fn of(language: Language) -> &'static dyn Words {
    match language {
        Language::En => &en::English,
        Language::Zh => &zh::Chinese,
    }
}

/// What podbell's own trouble is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    Source,
    Destination,
    Rules,
}

/// Headings of facts.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Where,
    Since,
    HowOften,
    Objects,
    Reasons,
    New,
    Blind,
    Runbook,
    Labels,
    Code,
    Affected,
    ToDo,
    Usually,
    Page,
}

/// Everything a message says in a person's language.
pub(super) trait Words: Sync {
    /// The beginning of a title: how urgent, and what became of it.
    fn status(&self, kind: NoticeKind, severity: Severity) -> String;
    fn label(&self, label: Label) -> &'static str;
    fn times(&self, n: u64) -> String;
    /// What is new, and what the cluster had counted before.
    fn new_in_all(&self, new: u64, all: u64) -> String;
    /// What was added since the reader was told last.
    fn added(&self, n: u64, at: &str) -> String;
    fn objects(&self, n: u64, kind: &str) -> String;
    fn more(&self, n: u64) -> String;
    fn services(&self, n: u64) -> String;
    fn duration(&self, seconds: u64) -> String;
    /// Of an age; `None`: just now.
    fn ago(&self, age: Option<&str>) -> String;
    /// Where somebody said something; the name of a chat as it is.
    fn via(&self, via: &str) -> String;
    /// Between items of one sentence.
    fn comma(&self) -> &'static str;
    /// After a heading.
    fn colon(&self) -> &'static str;
    /// Between sentences.
    fn stop(&self) -> &'static str;
    /// When it was seen last.
    fn last(&self, at: &str) -> String;
    /// The cluster has seen it for longer than podbell.
    fn seen_by_cluster(&self, at: &str) -> String;
    fn quiet(&self, how_long: Option<&str>) -> String;
    /// The event and its object, which ended it at this time.
    fn over_by(&self, at: &str) -> String;
    /// The object that was deleted.
    fn over_deleted(&self, at: &str) -> String;
    /// Nothing followed its end for so long.
    fn nothing_since(&self, how_long: &str) -> String;
    fn quiet_is_not_healthy(&self) -> &'static str;
    /// Of what is over before it could be told.
    fn never_told(&self) -> &'static str;
    fn closed(&self, because: &str) -> String;
    fn came_back(&self, n: u32) -> String;
    /// The beginning of the title of one that comes back again and again.
    fn flapping(&self, severity: Severity, n: u32) -> String;
    fn flapping_note(&self) -> &'static str;
    fn late(&self, happened: &str, sent: &str) -> String;
    fn blind(&self, from: &str, until: &str) -> String;
    fn rule(&self) -> &'static str;
    /// What a known reason usually means, in one sentence.
    fn help(&self, help: Help) -> &'static str;
    /// Why these are not the words of the template; `{}` says it.
    fn template_failed(&self) -> &'static str;

    fn trouble_title(&self, about: About, over: bool) -> &'static str;
    fn trouble(&self, since: &str) -> String;
    fn trouble_over(&self, span: &str, how_long: &str) -> String;
    fn affected(&self, about: About, n: u64) -> String;

    fn watching_title(&self, services: u64) -> String;
    fn already_there(&self, problems: u64) -> String;
    fn clock_hint(&self, hours: u64) -> String;
    fn clock_hint_zone(&self) -> &'static str;
    fn blind_title(&self) -> &'static str;
    fn blind_source(&self, from: &str, until: &str, services: u64) -> String;
    fn held_title(&self, over: u64) -> String;
    /// `{}` is the hours outside of which it was; a time follows.
    fn held_outside(&self) -> &'static str;
    /// `{}` is the maintenance.
    fn held_during(&self) -> &'static str;
    fn held_open(&self, n: u64) -> String;
    /// Never days: the last day is 24 h.
    fn hours(&self, hours: u64) -> String;
    /// Of how long; then events, messages, incidents and untold kinds.
    fn daily(&self, span: &str, counts: [u64; 4]) -> String;
    /// `{}` is the command that says why.
    fn daily_untold(&self) -> &'static str;
    /// `{}` is what is muted.
    fn muted_title(&self) -> &'static str;
    /// `{}` is who muted it.
    fn muted(&self) -> &'static str;
    /// Follows [`Self::muted`].
    fn muted_until(&self, at: &str) -> String;
    fn muted_holds(&self, n: u64) -> String;
    /// `{}` is where it was said.
    fn muted_how_to_end(&self) -> &'static str;
    /// The beginning of the title of what a mute held and is still open.
    fn mute_over_status(&self, severity: Severity) -> String;
    /// The beginning of its first sentence.
    fn mute_over(&self, more: u64) -> String;
    /// `{}` is who; when.
    fn acknowledged(&self, at: &str) -> String;
    fn store_title(&self, fate: &StoreFate) -> &'static str;
    /// How many commits are missing, when the newest is of that is there, and when the last one was made.
    fn store_went_back(&self, commits: u64, from: Option<&str>, until: &str) -> String;
    fn store_replaced(&self, until: &str) -> String;
    fn store_lost(&self, until: Option<&str>) -> String;
    fn store_damaged(&self, until: Option<&str>) -> String;
    fn store_mended(&self, rows: u64) -> String;
    fn store_rewritten(&self) -> &'static str;
    fn store_unsure(&self) -> &'static str;
    /// `{}` is a folder.
    fn store_kept(&self) -> &'static str;
    fn test_title(&self) -> &'static str;
    /// `{}` is the destination.
    fn test(&self) -> &'static str;
    fn dead_title(&self, n: u64) -> String;
    fn dead(&self, n: u64) -> String;
    fn dead_list(&self) -> &'static str;

    fn digest_title(&self, standing: u64, over: u64) -> String;
    /// `about`: of how many incidents, where that is fewer.
    fn digest(&self, since: &str, notices: u64, about: Option<u64>) -> String;
    /// `{}` is the node, image or reason.
    fn digest_cause(&self, cause: Cause, n: u64, of: u64) -> String;
    fn digest_over(&self) -> &'static str;
}
