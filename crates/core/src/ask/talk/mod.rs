//! The words of answers, one file per language: an `impl` of [`Talk`] and a row of [`of`]. What answers
//! share with messages is in [`crate::message::Phrases`].
//!
//! `{}` marks where text from outside goes. It is put in as data, so that no platform takes it for markup.

mod en;
mod zh;

use super::Excuse;
use super::mistake::Missing;
use super::place::Kind;
use crate::deed::Refusal;
use crate::message::Language;
use crate::notice::NoticeKind;

/// The words of a language.
pub(super) fn of(language: Language) -> &'static dyn Talk {
    match language {
        Language::En => &en::English,
        Language::Zh => &zh::Chinese,
    }
}

/// Everything that answers say in a person's language.
pub(super) trait Talk: Sync {
    /// Before the exact next things to type.
    fn next(&self) -> &'static str;
    /// Before what was probably meant.
    fn meant(&self) -> &'static str;
    /// Before how a command is typed.
    fn type_this(&self) -> &'static str;
    fn page(&self, page: u32, pages: u32) -> String;
    fn and_more(&self) -> &'static str;

    fn not_understood(&self) -> &'static str;
    fn too_long(&self, most: usize) -> String;
    fn too_many_words(&self, most: usize) -> String;
    fn unknown_command(&self) -> &'static str;
    fn unknown_option(&self, command: &str) -> String;
    fn no_value(&self, option: &str) -> String;
    fn twice(&self, option: &str) -> String;
    fn missing(&self, what: Missing) -> &'static str;
    fn extra(&self, command: &str) -> String;
    /// `incidents` with a name.
    fn extra_name(&self) -> &'static str;
    fn no_number(&self, option: &str) -> String;
    fn no_time(&self) -> &'static str;
    fn wrong_length(&self) -> &'static str;
    fn no_incident(&self) -> &'static str;
    fn no_name(&self) -> &'static str;

    fn which(&self) -> &'static str;
    fn several(&self, n: u64) -> String;
    fn not_found(&self) -> &'static str;
    fn unknown(&self, kind: Kind) -> &'static str;
    fn no_answer(&self) -> &'static str;
    fn not_allowed(&self) -> &'static str;
    fn not_done(&self) -> &'static str;
    fn excuse(&self, because: Excuse) -> &'static str;

    fn help_title(&self) -> &'static str;
    fn help(&self) -> &'static str;
    /// What a command does, in a sentence.
    fn about(&self, command: &str) -> &'static str;

    /// Of a service: how many incidents are open, and how many kinds of events it shows.
    fn events_of(&self, open: u64, rows: u64) -> String;
    fn only_normal(&self, n: u64) -> String;
    fn unreadable_since(&self, at: &str) -> String;
    fn read(&self, ago: &str) -> String;
    /// Of a Warning that was there before podbell came.
    fn was_there(&self) -> &'static str;
    /// The title of what is open.
    fn open_title(&self, n: u64) -> String;
    fn open_now(&self, n: u64, services: &str) -> String;
    fn baseline(&self) -> &'static str;
    fn known(&self, n: u64) -> String;
    fn none_open(&self) -> &'static str;

    /// `{}` is who.
    fn muted_until(&self, until: &str) -> String;
    /// `{}` is who.
    fn has_it(&self) -> &'static str;
    fn muted_title(&self, n: u64) -> String;
    fn nothing_muted(&self) -> &'static str;
    fn holds(&self, n: u64) -> String;
    /// `{}` is who.
    fn unmuted(&self) -> &'static str;
    /// `{}` is who.
    fn acknowledged(&self) -> &'static str;
    /// `{}` is who.
    fn had_it(&self, since: &str) -> String;
    fn refused(&self, because: Refusal) -> &'static str;
    fn did_mute(&self, lasts: &str) -> String;
    fn did_unmute(&self) -> &'static str;
    fn did_acknowledge(&self) -> &'static str;

    fn kind(&self, kind: NoticeKind) -> &'static str;
    fn delivery(&self, state: &str) -> &'static str;
    /// `{}` is the rule.
    fn rule_decided(&self) -> &'static str;
    fn told_so_often(&self, n: u64) -> String;
    fn seen_elsewhere(&self) -> &'static str;
    fn gathers(&self, have: u64, need: u64) -> String;
    fn waits(&self) -> &'static str;
    fn was_over(&self) -> &'static str;
    fn opened(&self) -> &'static str;
    fn reopened(&self) -> &'static str;
    fn counted(&self) -> &'static str;
    /// Between the changes that are shown.
    fn changes_left_out(&self, n: u64) -> String;
    /// `{}` is the window.
    fn held_by_window(&self, until: &str) -> String;
    fn held_by_mute(&self, until: &str) -> String;
    fn held_by_incident(&self, id: u64) -> String;

    fn untold_title(&self, n: u64) -> String;
    fn untold(&self, n: u64, since: &str) -> String;
    /// Nothing is untold of what could be read.
    fn untold_but_unusable(&self, since: &str) -> String;
    fn unusable(&self, services: &str) -> String;
    /// `{}` is the rule.
    fn ignored_by(&self) -> &'static str;
    fn no_rule(&self) -> &'static str;

    fn status_title(&self) -> &'static str;
    fn alive(&self) -> &'static str;
    fn not_alive(&self, age: &str) -> String;
    fn never_alive(&self) -> &'static str;
    fn watches(&self, services: &str, open: u64, mutes: u64) -> String;
    fn unreadable(&self, services: &str, since: &str) -> String;
    fn deliveries(&self, waiting: u64, dead: u64) -> String;
    /// `{}` is the destination.
    fn takes_nothing(&self) -> &'static str;
}
