//! Rules: what matters, when, where it goes and how it reads.
//!
//! Text becomes checked rules once, at load; afterwards [`Rules`] answers which rules an event
//! belongs to. Never counts, times or sends anything.

pub mod builtin;
pub mod compile;
pub(crate) mod condition;
mod doubt;
pub mod example;
pub mod explain;
pub mod in_force;
pub(crate) mod index;
pub mod keys;
pub mod lint;
pub(crate) mod literals;
mod memo;
pub mod notify;
pub mod pace;
pub(crate) mod pattern;
pub mod quiet;
pub mod raw;
pub mod rule;
pub mod set;

pub use compile::{Compiled, Located, RuleFile, compile};
pub use condition::{Conditions, EventFields};
pub use pattern::{Pattern, PatternError};
pub use raw::Names;
pub use rule::{Action, Destination, Field, Rule, RuleKey, RuleSettings, Severity};
pub use set::{Claim, RuleId, Rules};
