//! The rules of an installation without rule files: useful in the first minute, quiet about known
//! noise. Read by the same code as everybody's files.

use super::compile::{RuleFile, compile};
use super::context::Names;
use super::set::Rules;
use super::settings::Partial;
use crate::diagnostic::Source;
use crate::rule::Destination;

/// The file name of built-in rules in their [`crate::rule::RuleKey`].
pub const FILE: &str = "builtin";

/// The file itself, for those who want to start from it.
pub(crate) const TEXT: &str = include_str!("builtin.yaml");

/// The built-in rules, which notify these destinations: all chats.
pub fn rules(notify: &[Destination]) -> Rules {
    let defaults = Partial::notifying(notify.to_vec());
    let file = RuleFile { source: Source::new(FILE, TEXT), entry: 0, scope: None, names: Names::default(), defaults };
    Rules::of([compile(&file)])
}
